"""Replay: exactly once whatever kills it, in order, and honest about what it cannot read."""

import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection

from realtime.markets import prices
from realtime.markets.actions import set_alert
from realtime.markets.feeds.player import Elsewhere, Player
from realtime.markets.feeds.recorded import Recording
from realtime.markets.feeds.seconds import Seconds
from realtime.markets.feeds.source import NoRecording
from realtime.markets.models import AlertFiring, Candle, Market, ReplayState, Ticker, Trade
from tests.unit.markets.lines import quote, recording, trade

pytestmark = pytest.mark.django_db(transaction=True)
S = 1_000_000_000
BEGIN = 1_700_000_000 * S


def stop(bad):
    raise bad


def at(second):
    return BEGIN + int(second * S)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a test's own recording lies; TOCSIN_RECORDING names it."""
    monkeypatch.setattr(settings, "TOCSIN_RECORDING", str(tmp_path))
    return tmp_path


@pytest.fixture
def table(monkeypatch):
    """The small table is all there is."""
    monkeypatch.setattr("realtime.markets.feeds.find.Recording", _none)


def _none(folder):
    raise NoRecording(folder)


def ids():
    return list(Trade.objects.order_by("id").values_list("trade_id", flat=True))


def trades(count, step_s=0.01):
    rows = []
    for n in range(count):
        moment = BEGIN + int(n * step_s * S)
        price = f"{100 + n % 7}.00"
        rows.append(trade(moment, n + 1, price, traded_ms=moment // 1_000_000))
    return rows


def environment():
    """For a process of its own: this test's database."""
    name = str(connection.settings_dict["NAME"])
    url = f"sqlite:///{name}"
    if connection.vendor == "postgresql":
        url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
    return {**os.environ, "DATABASE_URL": url, "TOCSIN_RECORDING": settings.TOCSIN_RECORDING}


def start(*options):
    command = [sys.executable, "manage.py", "replay", *options]
    return subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(fact, process, deadline_s=20):
    """The one wait of these tests: for a fact in the database, with a deadline."""
    end = time.monotonic() + deadline_s
    while not fact():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_recording_arrives_whole_and_in_order(folder):
    recording(
        folder,
        BTCUSDT=[quote(at(0)), *trades(30), quote(at(1), "101.50", "101.60")],
        ETHUSDT=[quote(at(0.5), "9.00", "9.10")],
    )
    call_command("replay", "--speed", "max")
    assert ids() == list(range(1, 31))
    ticker = Ticker.objects.get(market="BTCUSDT")
    assert (ticker.trades, ticker.quotes, ticker.last_trade_id) == (30, 2, 30)
    assert (ticker.open, ticker.high, ticker.low, ticker.last) == (100, 106, 100, 101)
    assert (ticker.bid, ticker.ask) == (Decimal("101.50"), Decimal("101.60"))
    assert (ticker.feed, ticker.run) == ("Recorded, as fast as possible", 1)
    assert Ticker.objects.get(market="ETHUSDT").last is None
    assert ReplayState.objects.get().stage == "done"


def test_a_killed_replay_goes_on_behind_its_last_committed_message(folder):
    recording(folder, BTCUSDT=trades(1200), ETHUSDT=trades(1200))
    process = start("--speed", "4")
    until(lambda: Trade.objects.count() > 300, process)
    process.kill()
    process.communicate()
    assert ReplayState.objects.get().stage == "running"
    before = Trade.objects.count()
    assert before < 2400
    call_command("replay", "--speed", "max")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        rows = Trade.objects.filter(market=symbol).order_by("id")
        assert list(rows.values_list("trade_id", flat=True)) == list(range(1, 1201))
        assert Ticker.objects.get(market=symbol).volume == 600
    assert ReplayState.objects.get().run == 1


def test_a_replay_told_to_stop_ends_cleanly_and_is_resumed(folder):
    recording(folder, BTCUSDT=trades(1200))
    process = start("--speed", "2", "--loop")
    until(lambda: Trade.objects.count() > 50, process)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Stopped: " in said
    call_command("replay", "--speed", "max")
    assert ids() == list(range(1, 1201))


def test_a_bad_line_stops_the_run_and_is_named_by_file_and_number(folder):
    recording(folder, BTCUSDT=[*trades(2), "nonsense", trade(at(9), 3)])
    process = start("--speed", "max")
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "btcusdt_20240808.gz, line 3: does not begin with a receive time" in said
    assert "Traceback" not in said


def test_a_bad_line_is_passed_over_where_one_keeps_going(folder):
    recording(folder, BTCUSDT=[*trades(2), "nonsense", trade(at(9), 3)])
    process = start("--speed", "max", "--keep-going")
    out, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "line 3" in out + said
    assert ids() == [1, 2, 3]


def test_from_and_to_bound_what_is_played(folder):
    recording(folder, BTCUSDT=trades(10, step_s=1))
    call_command("replay", "--speed", "0", "--from", "+2", "--to", "+5")
    assert ids() == [3, 4, 5]
    clock = f"{prices.instant(at(7)):%H:%M:%S}"
    call_command("replay", "--speed", "0", "--from", clock)
    assert ids() == [8, 9, 10]
    assert Ticker.objects.get().open == 100  # the first trade of this run


def test_what_holds_nothing_is_said_to(folder):
    recording(folder, BTCUSDT=trades(10))
    with pytest.raises(CommandError, match="holds no trade"):
        call_command("replay", "--loop", "--from", "+500")
    for moment in ("noon", "9999-01-01T00:00:00", "+1e300", "1969-01-01T00:00:00"):
        with pytest.raises(CommandError, match="is no moment"):
            call_command("replay", "--from", moment)
    settings.TOCSIN_RECORDING = str(folder / "elsewhere")
    with pytest.raises(CommandError, match=r"TOCSIN_RECORDING: .*elsewhere holds no"):
        call_command("replay")


def test_a_span_with_nothing_in_it_takes_nothing_away(folder):
    recording(folder, BTCUSDT=trades(10))
    call_command("replay", "--speed", "0")
    for span in (["--from", "+500"], ["--to", "+0"], ["--from", "+5", "--to", "+5"]):
        with pytest.raises(CommandError, match=r"holds no trade|before --to"):
            call_command("replay", *span)
    assert ids() == list(range(1, 11))


def test_a_new_round_begins_with_cleared_rows_and_armed_alerts(folder):
    recording(folder, BTCUSDT=trades(20))
    market = Market.objects.create(symbol="BTCUSDT", base="BTC", quote="USDT")
    alert = set_alert(User.objects.create_user("ada"), market, "up", Decimal(105))
    paused = set_alert(alert.owner, market, "up", Decimal(104))
    type(paused).objects.filter(pk=paused.pk).update(state="paused")
    for run in (1, 2):
        call_command("replay", "--speed", "max")
        alert.refresh_from_db()
        paused.refresh_from_db()
        assert ids() == list(range(1, 21))
        assert Candle.objects.count() == 1
        assert [row.trade.trade_id for row in AlertFiring.objects.all()] == [6]
        assert (alert.state, alert.firings, paused.state) == ("fired", 1, "paused")
        ticker = Ticker.objects.get()
        assert (ticker.run, ticker.trades, ticker.volume) == (run, 20, 10)


def test_the_rhythm_is_the_recordings(folder):
    recording(folder, BTCUSDT=trades(41, step_s=0.25))
    now, naps, seen = [0.0], [], []

    def sleep(seconds):
        naps.append(seconds)
        now[0] += seconds

    player = Player(
        Recording(folder),
        stop,
        speed=2.0,
        moved=lambda moment: seen.append((now[0], (moment - BEGIN) / S)),
        clock=lambda: now[0],
        sleep=sleep,
    )
    player.round()
    assert now[0] == pytest.approx(5.0)
    assert len(seen) == 41
    assert all(abs(played - recorded / 2) <= 0.05 for played, recorded in seen)
    assert player.feed == "Recorded, 2×"


def test_messages_of_one_instant_are_never_parted(folder):
    recording(folder, BTCUSDT=[trade(BEGIN, n + 1) for n in range(1500)], ETHUSDT=[quote(BEGIN)])
    moments = []
    Player(Recording(folder), stop, speed=None, moved=moments.append).round()
    assert moments == [BEGIN]


def test_a_second_replay_beside_a_running_one_stops(folder):
    recording(folder, BTCUSDT=trades(2500))
    player = Player(Recording(folder), stop, speed=None)

    def intrude(_):
        ReplayState.objects.update(position=BEGIN)

    player.moved = intrude
    with pytest.raises(Elsewhere, match="another replay"):
        player.round()
    assert len(ids()) == 1000


def test_the_small_table_plays_its_seconds_and_makes_up_no_trade(table):
    market = Market.objects.create(symbol="BTCUSDT", base="BTC", quote="USDT")
    owner = User.objects.create_user("ada")
    alert = set_alert(owner, market, "down", Decimal(61700))
    call_command("replay", "--speed", "max")
    assert not Trade.objects.exists()
    bars = [m.what.bar for m in Seconds().messages(stop) if m.symbol == "BTCUSDT" and m.what.bar]
    names = ("start", "open", "high", "low", "close", "volume", "trades")
    rows = list(Candle.objects.filter(market=market).order_by("start").values_list(*names))
    assert rows == [tuple(getattr(bar, name) for name in names) for bar in bars]
    ticker = Ticker.objects.get(market=market)
    assert ticker.feed == "One-second figures of a recording, as fast as possible"
    assert (ticker.volume, ticker.trades) == (Decimal("437.91552"), 19904)
    assert (str(ticker.high), str(ticker.low)) == ("61860.80000000", "61556.04000000")
    (firing,) = AlertFiring.objects.filter(alert=alert)
    assert firing.trade is None
    assert firing.candle.low <= 61700
    first = next(bar for bar in bars if bar.low <= 61700)
    assert firing.fired_at == first.start
