"""The whole site without Redis, with a frozen one, as people sign out, and as it stops."""

import random
import signal
import sys

import pytest

from tests.faults import site as sites
from tests.faults.battery import DEADLINE_S, Battery, make_clients, world
from tests.faults.checker import Heard
from tests.faults.clients import listening
from tests.live import close_programs, eventually, raw
from tests.realtime import in_database

pytestmark = pytest.mark.django_db(transaction=True)
SHUTDOWN, FORCED, DENIED = 3001, 3503, 103


async def battery_of(site, signed_in, probe_id):
    """Clients that stay, and everything they need."""
    clients = make_clients(site.ports, signed_in, random.Random(1))
    for client in clients:
        client.restless = False
    return Battery(site, clients, [user.pk for user, _ in signed_in], probe_id)


def notify(person, word):
    text = "INSERT INTO notifications_notification (recipient_id, title) VALUES (%s, %s)"
    raw().execute(sites.mark(text), [person, f"inbox:#{person}|{word}"])


def titles(client):
    heard = [event.data.get("body") or {} for event in client.log if isinstance(event, Heard)]
    return [body.get("title", "").partition("|")[2] for body in heard]


async def sign_out_by_sql(battery, user, cookie):
    """Every connection of the session is cut; nothing written after the sign-out reaches it."""
    own = [client for client in battery.clients if client.user == user]
    notify(user.pk, "before")
    await eventually(lambda: all("before" in titles(client) for client in own), DEADLINE_S)
    raw().execute(sites.mark("DELETE FROM django_session WHERE session_key = %s"), [cookie])
    notify(user.pk, "after")
    await eventually(lambda: all(client.over for client in own), DEADLINE_S)
    assert all(FORCED in client.codes for client in own)
    assert not any("after" in titles(client) for client in own)
    battery.clients = [client for client in battery.clients if client not in own]


async def test_without_redis_the_log_delivers_and_the_end_is_orderly(tmp_path):
    signed_in, probe_id = await in_database(world)
    async with sites.running(tmp_path, with_redis=False, relays=1) as site:
        battery = await battery_of(site, signed_in, probe_id)
        (ada, cookie), (grace, _), *_ = signed_in
        curious = next(client for client in battery.clients if client.user == ada)
        curious.topics = [*curious.topics, f"inbox:#{grace.pk}"]
        async with listening(battery.clients):
            for _ in range(3):
                await battery.heard_by_all("Redis never there")
            assert curious.codes == [DENIED]
            assert f"inbox:#{grace.pk}" not in curious.positions
            await sign_out_by_sql(battery, ada, cookie)
            await battery.heard_by_all("somebody signed out")
            site.server.process.send_signal(signal.SIGTERM)
            await eventually(lambda: all(SHUTDOWN in c.codes for c in battery.clients), DEADLINE_S)
            await eventually(lambda: site.server.process.poll() == 0, DEADLINE_S)
        close_programs()
    sys.stdout.write(battery.report())


async def test_a_frozen_redis_holds_nobody_up_and_a_sign_out_cuts_at_once(tmp_path):
    signed_in, probe_id = await in_database(world)
    async with sites.running(tmp_path, relays=1) as site:
        battery = await battery_of(site, signed_in, probe_id)
        async with listening(battery.clients):
            await battery.heard_by_all("nothing")
            site.redis.signal(signal.SIGSTOP)
            for _ in range(8):
                await battery.heard_by_all("Redis frozen")
            site.redis.signal(signal.SIGCONT)
            for _ in range(3):
                await battery.heard_by_all("Redis goes on")
            await sign_out_by_sql(battery, *signed_in[0])
            await battery.heard_by_all("somebody signed out")
        close_programs()
    sys.stdout.write(battery.report())
