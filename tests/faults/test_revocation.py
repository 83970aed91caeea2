"""Whatever takes a right away, by whatever program: nothing committed after it arrives.

Each person listens on both processes and by every transport; so does a bystander, who must hear
everything. Of the guarantee itself: correctness.md, section 7.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, product

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone
from websockets.asyncio.client import connect as websocket

from realtime.engine import blocklist, conf, pool, tokens
from realtime.protocol.codes import Disconnect, Unsubscribe
from tests import live, realtime, streams
from tests.app.models import Right
from tests.faults import site as sites
from tests.live import raw, write
from tests.realtime import Client, Socket, in_database

GONE = Disconnect.FORCE.number
CUT = Unsubscribe.SERVER.number
UNAUTHORIZED, DENIED = 101, 103
OPEN, PRIVATE, ITEMS = "door:any", "$secret:door", "items:open"
SECRET = "a secret that is long enough for any test"
PERMISSION = "view_quote"
SOCKET = "socket"
WAYS = (SOCKET, "http_stream", "sse")
people = count(1)


@dataclass
class Listener:
    """A person, and all that hangs on it. `keys`: of its sessions, the second one unused.

    `token`: to connect with in place of a session; `topic_token`: for the topic.
    """

    user: User
    keys: list[str]
    token: str = ""
    topic_token: str = ""


@dataclass(frozen=True)
class Cause:
    """How a right is lost. `topic`: what it opened; `code`: of the end that must come.

    `sql`: texts with names of what `names` knows, in an order that the database accepts.
    """

    name: str
    topic: str
    code: int
    orm: Callable[[Listener], object]
    sql: tuple[str, ...]


def names(who):
    permission = Permission.objects.get(codename=PERMISSION).pk
    group = Group.objects.get(name="members").pk
    keys = [f"'{key}'" for key in who.keys]
    own = {"now": f"'{timezone.now()}'", "user": who.user.pk, "key": keys[0], "other": keys[1]}
    return {**own, "permission": permission, "group": group}


def sign_out_everywhere(who):
    for key in who.keys:
        SessionStore(key).delete()


def end_session(who):
    Session.objects.filter(session_key=who.keys[0]).update(expire_date=timezone.now())


def change_password(who):
    who.user.set_password("another")
    who.user.save()


def lose(**flags):
    def lose(who):
        for name, value in flags.items():
            setattr(who.user, name, value)
        who.user.save()

    return lose


PERSON_GONE = (
    "DELETE FROM auth_user_groups WHERE user_id = {user}",
    "DELETE FROM auth_user_user_permissions WHERE user_id = {user}",
    "DELETE FROM tests_app_right WHERE user_id = {user}",
    "DELETE FROM auth_user WHERE id = {user}",
)
REVOKE = """INSERT INTO tocsin_revoked_token ("user", token_id, revoked_at) VALUES """
TOKENS_GONE = (f"{REVOKE}('{{user}}', '', {{now}})",)
ONE_TOKEN_GONE = (f"{REVOKE}('{{user}}', 'of this topic', {{now}})",)
GROUP_GONE = (
    "DELETE FROM auth_group_permissions WHERE group_id = {group}",
    "DELETE FROM auth_user_groups WHERE group_id = {group}",
    "DELETE FROM auth_group WHERE id = {group}",
)
CAUSES = [
    Cause(
        "signed out",
        OPEN,
        GONE,
        lambda who: SessionStore(who.keys[0]).flush(),
        ("DELETE FROM django_session WHERE session_key = {key}",),
    ),
    Cause(
        "signed out everywhere",
        OPEN,
        GONE,
        sign_out_everywhere,
        ("DELETE FROM django_session WHERE session_key IN ({key}, {other})",),
    ),
    Cause(
        "session ended",
        OPEN,
        GONE,
        end_session,
        ("UPDATE django_session SET expire_date = '2000-01-01' WHERE session_key = {key}",),
    ),
    Cause(
        "deactivated",
        OPEN,
        GONE,
        lose(is_active=False),
        ("UPDATE auth_user SET is_active = false WHERE id = {user}",),
    ),
    Cause("deleted", OPEN, GONE, lambda who: who.user.delete(), PERSON_GONE),
    Cause(
        "password changed",
        OPEN,
        GONE,
        change_password,
        ("UPDATE auth_user SET password = 'another' WHERE id = {user}",),
    ),
    Cause(
        "tokens revoked",
        OPEN,
        GONE,
        lambda who: blocklist.revoke(str(who.user.pk)),
        TOKENS_GONE,
    ),
    Cause(
        "token of a topic revoked",
        PRIVATE,
        CUT,
        lambda who: blocklist.revoke(str(who.user.pk), "of this topic"),
        ONE_TOKEN_GONE,
    ),
    Cause(
        "left a group",
        "door:group",
        CUT,
        lambda who: who.user.groups.clear(),
        ("DELETE FROM auth_user_groups WHERE user_id = {user}",),
    ),
    Cause(
        "group deleted",
        "door:group",
        CUT,
        lambda who: Group.objects.get(name="members").delete(),
        GROUP_GONE,
    ),
    Cause(
        "permission taken",
        "door:permission",
        CUT,
        lambda who: who.user.user_permissions.clear(),
        ("DELETE FROM auth_user_user_permissions WHERE user_id = {user}",),
    ),
    Cause(
        "permission taken from a group",
        "door:permission",
        CUT,
        lambda who: Group.objects.get(name="readers").permissions.clear(),
        ("DELETE FROM auth_group_permissions WHERE permission_id = {permission}",),
    ),
    Cause(
        "no longer staff",
        "door:staff",
        CUT,
        lose(is_staff=False),
        ("UPDATE auth_user SET is_staff = false WHERE id = {user}",),
    ),
    Cause(
        "no longer a superuser",
        "door:permission",
        CUT,
        lose(is_superuser=False),
        ("UPDATE auth_user SET is_superuser = false WHERE id = {user}",),
    ),
    Cause(
        "a row that the rule reads deleted",
        ITEMS,
        CUT,
        lambda who: Right.objects.filter(user=who.user).delete(),
        ("DELETE FROM tests_app_right WHERE user_id = {user}",),
    ),
    Cause(
        "a row that the rule reads changed",
        ITEMS,
        CUT,
        lambda who: Right.objects.filter(user=who.user).update(group="shut"),
        ("UPDATE tests_app_right SET \"group\" = 'shut' WHERE user_id = {user}",),
    ),
]


# --- People, and what they may


def person(cause):
    """Somebody who has the right that `cause` takes."""
    user = User.objects.create_user(f"person{next(people)}", password="first")
    may = Permission.objects.get(codename=PERMISSION)
    members, _ = Group.objects.get_or_create(name="members")
    readers, _ = Group.objects.get_or_create(name="readers")
    if cause.topic == "door:group":
        user.groups.add(members)
    elif cause.topic == "door:staff":
        lose(is_staff=True)(Listener(user, []))
    elif cause.topic == ITEMS:
        Right.objects.create(user=user, group="open")
    elif cause.name == "permission taken from a group":
        readers.permissions.add(may)
        user.groups.add(readers)
    elif cause.name == "no longer a superuser":
        lose(is_superuser=True)(Listener(user, []))
    elif cause.topic == "door:permission":
        user.user_permissions.add(may)
    who = Listener(user, [realtime.sign_in(user), realtime.sign_in(user)])
    with conf.settings.override(TOKEN_SECRETS=SECRET):
        if cause.name == "tokens revoked":
            who.token = tokens.issue(str(user.pk))
        elif cause.topic == PRIVATE:
            who.topic_token = tokens.issue(str(user.pk), topic=PRIVATE, jti="of this topic")
    return who


# --- Listening


@contextlib.asynccontextmanager
async def by_socket(port, key):
    origin = f"http://127.0.0.1:{port}"
    async with websocket(
        f"ws://127.0.0.1:{port}/connection/websocket",
        origin=origin,
        additional_headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={key}"},
        proxy=None,
    ) as socket:
        yield Client(Socket(socket))


@contextlib.asynccontextmanager
async def by_stream(port, key, transport):
    yield Client(streams.Wire(port, transport=transport, headers=streams.by_a_page(port, key)))


@contextlib.asynccontextmanager
async def everywhere(site, who, topic, ways=WAYS):
    """Clients of a person at every process, by every transport."""
    key = "" if who.token else who.keys[0]
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for port, way in product(site.ports, ways):
            opening = by_socket(port, key) if way == SOCKET else by_stream(port, key, way)
            client = await stack.enter_async_context(opening)
            assert "connect" in await client.connect(**given(who.token))
            token = who.topic_token if topic == PRIVATE else ""
            assert "subscribe" in await client.subscribe(topic, **given(token))
            clients.append(client)
        yield clients


def given(token):
    return {"token": token} if token else {}


def said(client, topic):
    return [publication["data"]["body"]["said"] for publication in client.publications(topic)]


async def all_hear(clients, topic, word):
    for client in clients:
        await client.until(lambda c=client: word in said(c, topic))


# --- The tests


@pytest.fixture(scope="module")
def site(request, tmp_path_factory, django_db_setup, django_db_blocker):
    """One for all: nothing is flushed between the tests, each has people of its own."""
    with django_db_blocker.unblock():
        live.empty()
        folder = tmp_path_factory.mktemp("site")
        with_redis = request.param == "Redis"
        running = sites.running(
            folder, with_redis=with_redis, relays=1, workers=(1, 1), TOCSIN_TOKEN_SECRETS=SECRET
        )
        with asyncio.Runner() as runner:
            try:
                yield runner.run(running.__aenter__())
            finally:
                runner.run(running.__aexit__(None, None, None))
                call_command("flush", interactive=False, reset_sequences=False)
                live.empty()


@pytest.fixture(autouse=True)
def _programs():
    yield
    live.close_programs()
    pool.close()


@pytest.fixture(autouse=True)
async def _lines():
    yield
    await streams.hang_up()


async def by_orm(cause, who):
    await in_database(cause.orm, who)


async def by_sql(cause, who):
    values = await in_database(names, who)
    program = raw()
    program.execute("BEGIN")
    for text in cause.sql:
        program.execute(text.format(**values))
    program.execute("COMMIT")


@pytest.mark.parametrize(
    ("site", "take"),
    [("Redis", by_orm), ("Redis", by_sql), ("no Redis", by_sql)],
    indirect=["site"],
    scope="module",
)
@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name.replace(" ", "_"))
async def test_nothing_arrives_after_a_right_is(cause, take, site):
    who, other = [await in_database(person, cause) for _ in range(2)]
    topic = cause.topic
    both = sorted({topic, OPEN})
    async with (
        everywhere(site, who, topic) as clients,
        everywhere(site, other, OPEN, [SOCKET]) as others,
    ):
        write(raw(), both, {"said": "before"})
        await all_hear(clients, topic, "before")
        await take(cause, who)
        write(raw(), both, {"said": "after"})
        await all_hear(others, OPEN, "after")
        for client in clients:
            await ends(client, topic, cause.code)
            assert said(client, topic) == ["before"]
    await comes_in_vain(site.ports[0], who, topic, cause.code)


async def ends(client, topic, code):
    """As it must, and nothing comes behind it."""
    if code == GONE:
        assert await client.ended() == GONE
        return
    await client.until(lambda: client.pushes("unsubscribe", topic))
    assert [push["code"] for push in client.pushes("unsubscribe", topic)] == [code]
    # what was on its way has arrived when this reply has
    await client.subscribe(OPEN)


async def comes_in_vain(port, who, topic, code):
    async with by_socket(port, who.keys[0]) as client:
        if who.token:
            await client.say(id=1, connect={"token": who.token})
            assert await client.ended() == Disconnect.INVALID_TOKEN.number
        elif code == GONE:
            assert (await client.connect())["error"]["code"] == UNAUTHORIZED
        else:
            await client.connect()
            answer = await client.subscribe(topic, **given(who.topic_token))
            assert answer["error"]["code"] == DENIED
