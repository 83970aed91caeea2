"""The admin as its people see it: what they may do, what they are told, how many queries it is."""

import datetime as dt
from decimal import Decimal
from urllib.parse import unquote

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from realtime.markets.models import Market, PriceAlert, Ticker, Trade
from realtime.notifications import actions
from realtime.notifications.models import Announcement, Notification

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = "/admin/auth/user/"
GROUPS = "/admin/auth/group/"
ADDRESSES = "/admin/account/emailaddress/"
ANNOUNCEMENTS = "/admin/notifications/announcement/"
NOTIFICATIONS = "/admin/notifications/notification/"
LISTS = (
    PEOPLE,
    GROUPS,
    "/admin/account/emailaddress/",
    "/admin/mfa/authenticator/",
    ANNOUNCEMENTS,
    NOTIFICATIONS,
    "/admin/markets/market/",
    "/admin/markets/ticker/",
    "/admin/markets/trade/",
    "/admin/markets/pricealert/",
    "/admin/markets/alertfiring/",
    "/admin/markets/replaystate/",
    "/admin/engine/head/",
    "/admin/engine/entry/",
    "/admin/engine/namespace/",
)
PAGES = (*LISTS, "/admin/engine/apikey/", "/admin/engine/relay/", "/admin/engine/log/")
MESSAGE = {"title": "Maintenance", "body": "At noon", "url": "/inbox/", "kind": "maintenance"}


@pytest.fixture
def ada():
    return User.objects.create_user("ada", "ada@example.org", first_name="Ada")


@pytest.fixture
def grace():
    return User.objects.create_user("grace", "grace@example.org")


@pytest.fixture
def boss(client):
    person = User.objects.create_superuser("admin")
    client.force_login(person)
    return person


@pytest.fixture
def staff(client):
    """A member of staff with no permission, signed in; `staff.user_permissions` gives some."""
    person = User.objects.create_user("staff", is_staff=True)
    client.force_login(person)
    return person


def permit(person, *names):
    for name in names:
        app, codename = name.split(".")
        person.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )


def chosen(*people, **more):
    return {"action": "notify_selected", "_selected_action": [p.pk for p in people], **more}


def said(response):
    return " ".join(str(message) for message in response.context["messages"])


def queries(client, url):
    client.get(url)  # whatever is cached once is not what grows
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


# --- Who sees what ------------------------------------------------------------------------------


@pytest.mark.parametrize("url", PAGES)
def test_staff_without_a_permission_sees_nothing(client, staff, url):
    assert client.get(url).status_code == 403


def test_the_side_bar_leads_nowhere_for_staff_without_a_permission(client, staff):
    text = client.get("/admin/").content.decode()
    assert not [page for page in PAGES if f'href="{page}"' in text]


@pytest.mark.parametrize("url", ["/admin/", *PAGES])
def test_people_who_are_no_staff_are_told_that_it_is_not_open_to_them(client, ada, url):
    client.force_login(ada)
    answer = client.get(url, follow=True)
    assert answer.status_code == 403
    assert "This is not open to you" in answer.content.decode()


def test_who_is_not_signed_in_comes_to_the_admin_by_the_sites_own_door(client):
    last, _ = client.get("/admin/auth/user/", follow=True).redirect_chain[-1]
    assert unquote(last) == "/login/?next=/admin/auth/user/"


@pytest.mark.parametrize("url", ["/admin/", *PAGES])
def test_a_superuser_sees_every_page(client, boss, url):
    response = client.get(url)
    assert response.status_code == 200
    assert "Tocsin" in response.content.decode()


@pytest.mark.parametrize("url", LISTS)
def test_every_list_can_be_searched(client, boss, ada, url):
    response = client.get(url, {"q": "ada 5"})
    assert response.status_code == 200
    assert response.context["cl"].search_fields


@pytest.mark.parametrize("url", [x for x in LISTS if "/markets/" in x or "/engine/" in x])
def test_markets_and_the_engine_are_read_only(client, boss, url):
    assert client.get(f"{url}add/").status_code == 403


def test_staff_who_may_change_people_cannot_take_more_rights(client, staff, ada):
    permit(staff, "auth.view_user", "auth.change_user")
    form = {"username": "ada", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    client.post(f"{PEOPLE}{ada.pk}/change/", form)
    ada.refresh_from_db()
    assert not ada.is_staff
    assert not ada.is_superuser


def test_staff_cannot_change_the_password_of_a_superuser(client, staff):
    permit(staff, "auth.view_user", "auth.change_user")
    root = User.objects.create_superuser("root")
    assert client.get(f"{PEOPLE}{root.pk}/password/").status_code == 403
    assert client.post(f"{PEOPLE}{root.pk}/change/", {"username": "root"}).status_code == 403


def test_staff_cannot_lead_a_superusers_new_password_to_an_address_of_their_own(
    client, staff, ada, mailoutbox
):
    rights = (f"account.{verb}_emailaddress" for verb in ("view", "add", "change", "delete"))
    permit(staff, *rights, "auth.view_user")
    root = User.objects.create_superuser("root", "root@example.org")
    theirs = EmailAddress.objects.create(user=root, email="root@example.org")
    form = {"email": "mine@example.org", "verified": "on", "primary": "on"}
    added = client.post(f"{ADDRESSES}add/", {**form, "user": root.pk})
    assert "Select a valid choice" in added.content.decode()
    changed = client.post(f"{ADDRESSES}{theirs.pk}/change/", {**form, "user": ada.pk})
    assert changed.status_code == 403
    assert client.post(f"{ADDRESSES}{theirs.pk}/delete/", {"post": "yes"}).status_code == 403
    own = EmailAddress.objects.create(user=staff, email="mine@example.org")
    client.post(f"{ADDRESSES}{own.pk}/change/", {**form, "user": root.pk})
    assert list(root.emailaddress_set.values_list("email", flat=True)) == ["root@example.org"]
    client.post("/accounts/password/reset/", {"email": "mine@example.org"})
    assert "root" not in "".join(mail.body for mail in mailoutbox)
    assert client.post(f"{ADDRESSES}add/", {**form, "user": ada.pk, "email": "a@b.org"}).url


# --- Notify the selected ------------------------------------------------------------------------


def test_the_selected_people_are_told_after_a_look(client, boss, ada, grace):
    page = client.post(PEOPLE, chosen(ada, grace))
    assert "2 people" in page.content.decode()
    assert not Notification.objects.exists()
    done = client.post(PEOPLE, chosen(ada, grace, send="yes", shown=2, **MESSAGE), follow=True)
    assert said(done) == "2 people told."
    told = Notification.objects.order_by("recipient__username")
    assert [row.recipient.username for row in told] == ["ada", "grace"]
    assert [(row.title, row.url, row.kind) for row in told] == [
        ("Maintenance", "/inbox/", "maintenance")
    ] * 2
    assert LogEntry.objects.get().change_message == "Told 2 people."


def test_all_people_behind_the_page_can_be_told_but_not_who_is_inactive(client, boss, ada):
    User.objects.bulk_create(User(username=f"person{n}") for n in range(120))
    User.objects.filter(username="person7").update(is_active=False)
    form = chosen(ada, select_across="1", send="yes", shown=121, **MESSAGE)
    client.post(PEOPLE, form)
    assert Notification.objects.count() == 121


def test_the_people_of_a_group_are_told_once(client, boss, ada, grace):
    groups = [Group.objects.create(name=name) for name in ("desk", "night")]
    ada.groups.set(groups)
    grace.groups.set(groups[:1])
    form = chosen(*groups, send="yes", shown=2, **MESSAGE)
    assert said(client.post(GROUPS, form, follow=True)) == "2 people told."
    assert Notification.objects.count() == 2


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"url": "javascript:alert(1)"}, "Start with http://, https:// or /"),
        ({"url": "//evil.example"}, "Start with http://, https:// or /"),
        ({"title": ""}, "This field is required."),
        ({"title": "x" * 201}, "at most 200 characters"),
        ({"kind": "Very Loud"}, "A kind is one word in small letters"),
        ({"title": "a\0b"}, "Null characters are not allowed."),
    ],
)
def test_bad_input_is_said_at_its_field_and_tells_nobody(client, boss, ada, bad, words):
    page = client.post(PEOPLE, chosen(ada, send="yes", shown=1, **{**MESSAGE, **bad}))
    assert words in page.content.decode()
    assert not Notification.objects.exists()


def test_who_joined_the_selection_meanwhile_is_not_told_unseen(client, boss, ada, grace):
    page = client.post(PEOPLE, chosen(ada, grace, send="yes", shown=1, **MESSAGE))
    assert "the number of people became 2" in page.content.decode()
    assert 'value="2"' in page.content.decode()
    assert not Notification.objects.exists()


def test_the_action_needs_the_right_to_add_notifications(client, staff, ada):
    permit(staff, "auth.view_user")
    client.post(PEOPLE, chosen(ada, send="yes", shown=1, **MESSAGE))
    assert not Notification.objects.exists()
    permit(staff, "notifications.add_notification")
    client.post(PEOPLE, chosen(ada, send="yes", shown=1, **MESSAGE))
    assert Notification.objects.count() == 1


# --- Announcements ------------------------------------------------------------------------------


def test_a_draft_is_written_published_and_withdrawn(client, boss, ada):
    client.post(f"{ANNOUNCEMENTS}add/", {"title": "Hello", "body": "All", "url": "/"})
    row = Announcement.objects.get()
    assert (row.state, row.author, row.audience) == ("draft", boss, None)

    asked = client.get(f"{ANNOUNCEMENTS}{row.pk}/publish/")
    assert "2 people will see it" in asked.content.decode()
    row.refresh_from_db()
    assert row.state == "draft"
    done = client.post(f"{ANNOUNCEMENTS}{row.pk}/publish/", follow=True)
    assert said(done) == "Published: Hello"
    row.refresh_from_db()
    assert (row.state, row.audience, row.number) == ("published", "all", 1)

    client.post(f"{ANNOUNCEMENTS}{row.pk}/withdraw/")
    row.refresh_from_db()
    assert (row.state, row.audience) == ("withdrawn", None)
    assert LogEntry.objects.filter(object_id=row.pk).count() == 3


def test_what_is_published_is_not_rewritten(client, boss):
    row = actions.announce("Hello")
    page = f"{ANNOUNCEMENTS}{row.pk}/change/"
    assert client.post(page, {"title": "Other"}).status_code == 403
    text = client.get(page).content.decode()
    assert f"{ANNOUNCEMENTS}{row.pk}/withdraw/" in text
    assert f"{ANNOUNCEMENTS}{row.pk}/publish/" not in text


def test_publishing_twice_says_that_nothing_was_done(client, boss):
    row = actions.announce("Hello")
    done = client.post(f"{ANNOUNCEMENTS}{row.pk}/publish/", follow=True)
    assert said(done) == "Nothing was done: it is published."
    row.refresh_from_db()
    assert row.number == 1


def test_a_new_announcement_is_a_draft_on_the_page_where_it_can_be_published(client, boss):
    written = client.post(f"{ANNOUNCEMENTS}add/", {"title": "Hall is open"}, follow=True)
    row = Announcement.objects.get()
    assert (row.state, row.author) == ("draft", boss)
    assert written.redirect_chain == [(f"{ANNOUNCEMENTS}{row.pk}/change/", 302)]
    assert "nobody sees it until you publish it" in written.content.decode()
    assert f"{ANNOUNCEMENTS}{row.pk}/publish/" in written.content.decode()


def test_publishing_needs_the_right_to_change_announcements(client, staff):
    row = Announcement.objects.create(title="Hello")
    permit(staff, "notifications.view_announcement")
    assert client.post(f"{ANNOUNCEMENTS}{row.pk}/publish/").status_code == 403
    assert client.post(f"{ANNOUNCEMENTS}x/publish/").status_code == 403
    row.refresh_from_db()
    assert row.state == "draft"


def test_a_draft_with_an_unsafe_link_is_refused_with_a_word(client, boss):
    page = client.post(f"{ANNOUNCEMENTS}add/", {"title": "Hello", "url": "javascript:alert(1)"})
    assert "Start with http://, https:// or /" in page.content.decode()
    assert not Announcement.objects.exists()


def test_readers_count_receipts_and_those_who_read_all(client, boss, ada, grace):
    first, second = actions.announce("First"), actions.announce("Second")
    actions.read_announcements(ada, [first.pk])
    actions.mark_all_read(grace)
    actions.read_announcements(grace, [second.pk])
    rows = client.get(ANNOUNCEMENTS).context["cl"].result_list
    assert {row.title: row.read_by for row in rows} == {"First": 2, "Second": 1}


# --- Notifications ------------------------------------------------------------------------------


def test_notifications_are_found_by_person_and_by_state(client, boss, ada, grace):
    actions.notify([ada, grace], "message", "First")
    actions.notify(ada, "alert", "Second")
    row = Notification.objects.get(title="First", recipient=ada)
    actions.mark_read(ada, [row.pk])

    def titles(**query):
        return sorted(
            (row.title, row.recipient.username)
            for row in client.get(NOTIFICATIONS, query).context["cl"].result_list
        )

    assert titles(q="grace") == [("First", "grace")]
    assert titles(state="read") == [("First", "ada")]
    assert titles(state="unseen") == [("First", "grace"), ("Second", "ada")]
    assert titles(kind="alert") == [("Second", "ada")]
    assert titles(state="nonsense") == titles()
    assert client.post(f"{NOTIFICATIONS}{row.pk}/change/", {"title": "x"}).status_code == 403


def test_a_link_that_sql_wrote_is_shown_but_cannot_be_followed(client, boss, ada):
    row = Notification.objects.create(recipient=ada, title="Bad", url="javascript:alert(1)")
    text = client.get(f"{NOTIFICATIONS}{row.pk}/change/").content.decode()
    assert "javascript:alert(1) (not safe to follow)" in text
    assert 'href="javascript' not in text


# --- Markets ------------------------------------------------------------------------------------


@pytest.fixture
def market():
    market = Market.objects.create(symbol="BTCUSDT", base="BTC", quote="USDT")
    now = timezone.now()
    Trade.objects.bulk_create(
        Trade(
            market=market,
            trade_id=5_000_000_000 + n,
            price=Decimal("61640.10"),
            quantity=Decimal("0.5"),
            side="buy",
            traded_at=now + dt.timedelta(milliseconds=n),
        )
        for n in range(200)
    )
    Ticker.objects.create(market=market, last=Decimal(61650), open=Decimal(61640))
    return market


def test_a_trade_is_found_by_its_number(client, boss, market):
    page = client.get("/admin/markets/trade/", {"q": "5000000007"})
    assert [row.trade_id for row in page.context["cl"].result_list] == [5_000_000_007]
    assert "61,640.1" in page.content.decode()


def test_a_list_of_trades_never_counts_them(client, boss, market):
    with CaptureQueriesContext(connection) as captured:
        client.get("/admin/markets/trade/")
    counts = [q["sql"] for q in captured if "COUNT(" in q["sql"] and "trade" in q["sql"]]
    assert not counts


# --- How many queries ---------------------------------------------------------------------------


def more(n):
    """Rows for every list, the people's own each with another person."""
    market, _ = Market.objects.get_or_create(symbol=f"M{n}", base="M", quote="U")
    people = [User.objects.create_user(f"p{n}-{i}") for i in range(5)]
    for person in people:
        group = Group.objects.create(name=f"g{person.pk}")
        person.groups.add(group)
        PriceAlert.objects.create(owner=person, market=market, price=Decimal(1))
        Announcement.objects.create(title="Hello", author=person)
    actions.notify(people, "message", "Hello")
    Ticker.objects.create(market=market)


@pytest.mark.parametrize("url", LISTS)
def test_a_list_takes_as_many_queries_for_more_rows(client, boss, url):
    more(1)
    few = queries(client, url)
    more(2)
    assert queries(client, url) <= few
