"""The proof page's answers: for staff of a demo alone, and nothing is hit that is not its own."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from redis import Redis

from project import faults, proof
from realtime.engine import tokens
from realtime.markets import prices
from realtime.markets.actions import record
from realtime.markets.models import Market
from realtime.notifications.models import Notification

pytestmark = pytest.mark.django_db(transaction=True)
BEGIN = prices.EPOCH + timedelta(days=20_000)
COMMITTED = "/proof/committed?trades=0&candles=0"
POSTS = [*(f"/proof/hit/{name}" for name in proof.HITS), "/proof/ada/take"]


@pytest.fixture(autouse=True)
def timers(settings, monkeypatch):
    """In a demo; what it left for later, which does not come by itself."""
    settings.DEBUG = True
    started = []

    class Timer:
        def __init__(self, _seconds, do, values):
            self.start = lambda: started.append(lambda: do(*values))

    monkeypatch.setattr(proof, "Timer", Timer)
    return started


@pytest.fixture
def admin(client):
    user = User.objects.create_superuser("admin")
    client.force_login(user)
    return user


@pytest.fixture
def ada():
    return User.objects.create_user("ada")


@pytest.fixture
def supervisor(monkeypatch):
    """What would have been told to a supervisor that runs these."""

    class Supervisor:
        def __init__(self):
            self.running, self.told = {"redis", "relay", "web", "market"}, []

        def programs(self, fault=""):
            self.told += [fault] if fault else []
            return self.running

    supervisor = Supervisor()
    monkeypatch.setattr(faults, "programs", supervisor.programs)
    return supervisor


def trade(symbol, *numbers):
    market, _ = Market.objects.get_or_create(symbol=symbol, base=symbol[:3], quote="USDT")
    told = [
        prices.Trade(n, Decimal("61700.00"), Decimal("0.002"), "buy", BEGIN + timedelta(seconds=n))
        for n in numbers
    ]
    record(market, told)
    return market


@pytest.mark.parametrize("path", ["/proof/", COMMITTED, *POSTS])
def test_it_is_for_staff_of_a_demo(client, admin, ada, settings, path):
    ask = client.post if path in POSTS else client.get
    client.force_login(ada)
    assert ask(path).status_code == 403
    client.logout()
    assert ask(path).url.startswith("/login/?next=/proof/")
    settings.DEBUG = False
    client.force_login(admin)
    assert ask(path).status_code == 404
    ada.refresh_from_db()
    assert ada.is_active


@pytest.mark.parametrize("path", POSTS)
def test_nothing_is_hit_by_a_link_or_from_another_site(admin, ada, supervisor, path):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    assert client.get(path).status_code == 405
    assert client.post(path).status_code == 403
    assert supervisor.told == []
    ada.refresh_from_db()
    assert ada.is_active


def test_the_page_is_linked_for_staff_of_a_demo(client, admin, ada, settings):
    assert client.get("/").content.decode().count('href="/proof/"') == 2
    settings.DEBUG = False
    assert 'href="/proof/"' not in client.get("/").content.decode()
    settings.DEBUG = True
    client.force_login(ada)
    assert 'href="/proof/"' not in client.get("/").content.decode()


@pytest.mark.parametrize(
    ("name", "fault"),
    [("relay", "kill relay"), ("freeze", "freeze redis"), ("sockets", "kill_children web")],
)
def test_a_press_is_told_to_the_supervisor(client, admin, supervisor, name, fault):
    assert client.post(f"/proof/hit/{name}").status_code == 200
    assert supervisor.told == [fault]
    assert client.post("/proof/hit/market").status_code == 404


def test_what_is_just_being_started_cannot_be_killed(client, admin, supervisor):
    supervisor.running = {"redis", "web"}
    answer = client.post("/proof/hit/relay")
    assert answer.status_code == 409
    assert answer.json()["says"].startswith("The relay is not running at this moment")


@pytest.fixture
def key():
    with Redis.from_url(django_settings.REDIS_URL) as redis:
        redis.set("kept", "1")
        yield lambda: redis.exists("kept")


def test_the_redis_of_make_run_is_flushed(client, admin, supervisor, key):
    assert client.post("/proof/hit/flush").status_code == 200
    assert not key()


@pytest.mark.parametrize("name", ["flush", "freeze"])
def test_a_redis_that_make_run_did_not_start_is_left_alone(client, admin, supervisor, key, name):
    supervisor.running = {"relay", "web", "market"}
    answer = client.post(f"/proof/hit/{name}")
    assert answer.status_code == 409
    assert "a Redis that `make run` did not start" in answer.json()["says"]
    assert key()
    assert supervisor.told == []
    page = client.get("/proof/").content.decode()
    assert page.count("a Redis that `make run` did not start") == 1
    assert page.count("disabled data-never") == 3  # and there is no Ada


def test_a_redis_over_the_network_is_left_alone(client, admin, supervisor, settings):
    settings.REDIS_URL = "redis://localhost:1/0"
    assert client.post("/proof/hit/flush").status_code == 409


def test_where_make_run_does_not_run_the_site_nothing_is_hit(client, admin, ada, key, monkeypatch):
    monkeypatch.delenv(faults.DOOR, raising=False)
    for name in proof.HITS:
        answer = client.post(f"/proof/hit/{name}")
        assert answer.status_code == 409
        assert "Only where `make run` runs this site" in answer.json()["says"]
    assert key()
    page = client.get("/proof/").content.decode()
    assert page.count("Only where `make run` runs this site") == 1
    assert page.count("disabled data-never") == 5


def test_what_the_tables_hold_is_told_from_an_id_on(client, admin, monkeypatch):
    trade("BTCUSDT", 1, 2)
    trade("XRPUSDT", 3)
    trade("ETHUSDT", 4)
    told = client.get(COMMITTED).json()
    assert [len(told["ids"][kind]) for kind in ("trades", "candles")] == [3, 3]
    assert told["more"] == []
    first, *rest = told["ids"]["trades"]
    assert client.get(f"/proof/committed?trades={first}&candles=0").json()["ids"]["trades"] == rest
    monkeypatch.setattr(proof, "BOUND", 2)
    bounded = client.get(COMMITTED).json()
    assert bounded["ids"]["trades"] == told["ids"]["trades"][:2]
    assert bounded["more"] == ["trades", "candles"]


@pytest.mark.parametrize("since", ["", "x", "-1", "9" * 19])
def test_an_id_that_is_none_is_not_found(client, admin, since):
    assert client.get(f"/proof/committed?trades={since}&candles=0").status_code == 404


def test_an_ada_that_make_run_did_not_make_is_left_in_peace(client, admin, ada, monkeypatch):
    monkeypatch.delenv(faults.DOOR, raising=False)
    for verb in ("token", *proof.ADA_VERBS):
        answer = client.post(f"/proof/ada/{verb}")
        assert answer.status_code == 409
        assert "make run" in answer.json()["says"]
    ada.refresh_from_db()
    assert ada.is_active
    assert not Notification.objects.exists()
    assert "of <code>make run</code> alone" in client.get("/proof/").content.decode()


@pytest.mark.usefixtures("supervisor")
def test_adas_right_is_taken_and_given_back(client, admin, ada):
    def press(verb):
        return client.post(f"/proof/ada/{verb}").json()

    def active():
        ada.refresh_from_db()
        told = client.get(COMMITTED).json()["ada_active"]
        assert told is ada.is_active
        return told

    assert tokens.connection(press("token")["token"]).user == str(ada.pk)
    before = press("begin")["id"]
    taken = press("take")["id"]
    assert not active()
    written = press("write")["id"]
    given = press("give")["id"]
    assert active()
    mine = Notification.objects.filter(recipient=ada).order_by("pk")
    assert [row.pk for row in mine] == [before, taken, written, given]
    assert ["without" in row.title for row in mine] == [False, True, True, False]
    press("begin")
    assert mine.all().count() == 1


@pytest.mark.usefixtures("supervisor")
def test_a_closed_page_does_not_leave_ada_without_her_right(client, admin, ada, timers):
    client.post("/proof/ada/take")
    [give] = timers
    give()
    ada.refresh_from_db()
    assert ada.is_active


@pytest.mark.usefixtures("supervisor")
def test_what_one_press_left_for_later_does_not_disturb_the_next(client, admin, ada, timers):
    for verb in ("begin", "take", "give", "begin", "take"):
        client.post(f"/proof/ada/{verb}")
    timers[0]()
    ada.refresh_from_db()
    assert not ada.is_active


@pytest.mark.usefixtures("supervisor")
def test_without_ada_there_is_nobody_to_revoke(client, admin):
    assert client.post("/proof/ada/take").status_code == 404
    assert "There is nobody called ada here" in client.get("/proof/").content.decode()
