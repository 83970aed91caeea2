"""What is done to a site: each is a function of the battery that says when it is felt.

`SHORT` is what every run of the tests does; `WHOLE` is the battery.
"""

import asyncio
import contextlib
import os
import signal

import psycopg
from django.db import connection

from tests.faults import site as sites
from tests.faults.battery import DEADLINE_S
from tests.faults.links import BACK, THERE
from tests.live import ask, close_programs, eventually, raw

FROZEN_S = 10.0
HOUR_S = 3600


async def kill_leading_relay(battery):
    site = battery.site
    sites.kill(site.leader.process.pid)
    await battery.heard_by_all("leading relay killed")
    site.start_relay()


async def kill_web_process(battery):
    before = battery.site.workers()
    sites.kill(before[0])
    await battery.heard_by_all("web process killed")
    await eventually(lambda: len(set(battery.site.workers()) - set(before)) == 1, DEADLINE_S)


async def restart_redis(battery):
    battery.site.redis.kill()
    await battery.heard_by_all("Redis killed, away")
    await battery.goes_on()
    battery.site.redis.start()
    await battery.heard_by_all("Redis back, empty")


async def flush_redis(battery):
    battery.site.redis.say("FLUSHALL")
    await battery.heard_by_all("FLUSHALL")


async def cut_redis_listeners(battery):
    battery.site.redis.say("CLIENT", "KILL", "TYPE", "pubsub")
    await battery.heard_by_all("CLIENT KILL TYPE pubsub")


async def cut_everybody_from_the_database(battery):
    if connection.vendor == "postgresql":
        raw().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await battery.heard_by_all("every backend terminated")


async def kill_relay_while_redis_is_away(battery):
    battery.site.redis.kill()
    await kill_leading_relay(battery)
    await kill_web_process(battery)
    battery.site.redis.start()
    await battery.heard_by_all("Redis back after both")


# --- The longer ones


async def freeze_redis(battery):
    battery.site.redis.signal(signal.SIGSTOP)
    await battery.heard_by_all("Redis frozen")
    await asyncio.sleep(FROZEN_S)
    await battery.heard_by_all("Redis still frozen")
    battery.site.redis.signal(signal.SIGCONT)
    await battery.heard_by_all("Redis goes on")


async def flush_redis_again_and_again(battery):
    for _ in range(10):
        battery.site.redis.say("FLUSHALL")
        await asyncio.sleep(0.5)
    await battery.heard_by_all("FLUSHALL every half second")


async def freeze_leading_relay(battery):
    """SQLite's lock goes with the process alone: there the hubs read the log by themselves."""
    leader = battery.site.leader
    leader.process.send_signal(signal.SIGSTOP)
    await battery.heard_by_all("leading relay frozen")
    leader.process.send_signal(signal.SIGCONT)
    await battery.heard_by_all("the frozen relay goes on")


async def freeze_web_process(battery):
    pid = battery.site.workers()[0]
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(FROZEN_S / 2)
    os.kill(pid, signal.SIGCONT)
    await battery.heard_by_all("web process frozen for 5 s")


async def kill_all_web_processes(battery):
    for pid in battery.site.workers():
        sites.kill(pid)
    await battery.heard_by_all("every web process of a server killed")


async def kill_everything(battery):
    """Relays, web processes and Redis in one moment."""
    site = battery.site
    living = [relay for relay in site.relays if relay.process.poll() is None]
    for pid in [*(relay.process.pid for relay in living), *site.workers()]:
        sites.kill(pid)
    site.redis.kill()
    for _ in living:
        site.start_relay()
    site.redis.start()
    await battery.heard_by_all("relays, web processes and Redis killed")


async def deploy(battery):
    for server in list(battery.site.servers):
        await battery.site.restart_server(server)
    await battery.heard_by_all("deploy, one server after the other")


async def step_clocks(battery):
    """Processes whose clocks are an hour ahead take over from those that know the time."""
    site = battery.site
    await site.restart_server(site.servers[0], **sites.clock(HOUR_S))
    ahead = site.start_relay(**sites.clock(HOUR_S))
    site.start_relay(**sites.clock(-HOUR_S))
    await eventually(lambda: ahead.said, DEADLINE_S)
    sites.kill(site.leader.process.pid)
    await battery.heard_by_all("clocks an hour ahead and behind")


async def crash_postgresql(battery):
    """A backend that is killed makes the whole server recover; nobody may connect meanwhile."""
    if connection.vendor == "postgresql":
        [[pid]] = ask("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() LIMIT 1")
        sites.kill(pid)
        await eventually(_postgresql_is_back, DEADLINE_S)
        await battery.heard_by_all("PostgreSQL crashed and recovered")


def _postgresql_is_back():
    with contextlib.suppress(psycopg.OperationalError):
        return ask("SELECT 1")


async def exhaust_connections(battery):
    if connection.vendor != "postgresql":
        return
    try:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                raw()
        await asyncio.sleep(FROZEN_S / 2)
    finally:
        close_programs()
    await battery.heard_by_all("no connection left for 5 s")


async def cut_links(battery):
    for name, link in battery.site.links.items():
        await battery.goes_on()
        link.reset()
        await battery.heard_by_all(f"{name}: reset")


async def swallow_links(battery):
    for name, link in battery.site.links.items():
        await battery.goes_on()
        link.swallow()
        await asyncio.sleep(FROZEN_S)
        link.heal()
        await battery.heard_by_all(f"{name}: black hole for 10 s")


async def half_open_links(battery):
    """One end is gone and the other was not told: each way, of every line that there is."""
    for name, link in battery.site.links.items():
        for way, what in ((THERE, "there"), (BACK, "back")):
            await battery.goes_on()
            link.deafen(way)
            await battery.heard_by_all(f"{name}: half open, nothing comes {what}")


async def slow_links(battery):
    """People stay: by such a line to the database nobody begins within a visit of two seconds."""
    restless = [client for client in battery.clients if client.restless]
    for client in restless:
        client.restless = False
    for name, link in battery.site.links.items():
        await battery.goes_on()
        link.slow()
        await battery.heard_by_all(f"{name}: 300 ms ± 200 ms")
        link.heal()
    for client in restless:
        client.restless = True


SHORT = (
    kill_leading_relay,
    kill_web_process,
    restart_redis,
    flush_redis,
    cut_redis_listeners,
    cut_everybody_from_the_database,
    kill_relay_while_redis_is_away,
)
WHOLE = (
    *SHORT,
    freeze_redis,
    flush_redis_again_and_again,
    freeze_leading_relay,
    freeze_web_process,
    kill_all_web_processes,
    kill_everything,
    deploy,
    crash_postgresql,
    exhaust_connections,
    cut_links,
    swallow_links,
    half_open_links,
    slow_links,
    step_clocks,
)
