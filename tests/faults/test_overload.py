"""More than there is room for: crowds that come back, readers that never read, what piled up."""

import asyncio
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from realtime.engine.conf import settings
from tests.faults import crowd
from tests.faults import site as sites
from tests.live import ask, eventually, raw
from tests.realtime import in_database

WHOLE = bool(os.environ.get("TOCSIN_OVERLOAD"))
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
long = pytest.mark.skipif(not WHOLE, reason="minutes: `make faults` asks for it")
TOPIC = "everything:all"
DEADLINE_S = 120.0
SLOW, SHUTDOWN = 3008, 3001
# so that a few hundred small publications are too much
SMALL = {"TOCSIN_UNSENT_BYTES": "16384", "TOCSIN_SLOW_S": "1"}
# connections of relay, tests and pages
OTHERS = 12
# to drain 5 s, for requests under way 5 s, for last words 2 s; and a busy machine
GONE_S = 15.0


def publish(count, size=0):
    """So many entries in one commit, of about `size` bytes each."""
    raw().execute(
        "INSERT INTO tocsin_entry (topics, op, key, body) SELECT ARRAY[%s], 'u', n::text,"
        " json_build_object('n', n, 'text', repeat('x', %s)) FROM generate_series(1, %s) n",
        [TOPIC, size, count],
    )


async def published(offset):
    """Wait until the topic stands there; gives its position."""
    await eventually(lambda: sites.heads().get(TOPIC, ("", 0))[1] == offset, DEADLINE_S)
    return sites.heads()[TOPIC]


def memory_mib(*pids):
    """Of each process, what it has and what was the most."""
    found = []
    for pid in pids:
        said = Path(f"/proc/{pid}/status").read_text()
        found += [int(said.split(name)[1].split()[0]) >> 10 for name in ("VmRSS:", "VmHWM:")]
    return found


def backends():
    return ask("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")[0][0]


def say(**facts):
    sys.stdout.write(", ".join(f"{name} {fact}" for name, fact in facts.items()) + "\n")


def sockets(site):
    """Connections of all web processes that are not listening."""
    found = [psutil.Process(pid).net_connections(kind="tcp") for pid in site.workers()]
    return sum(one.status != psutil.CONN_LISTEN for some in found for one in some)


def given_up(site):
    return sum(f"code={SLOW}" in plain(line) for line in site.server.lines)


def plain(line):
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


@asynccontextmanager
async def clients_of(site, keys, position, **more):
    clients = [crowd.Client(site.port, key, TOPIC, position, **more) for key in keys]
    yield clients
    for client in clients:
        client.close()


async def test_who_never_reads_is_given_up_and_those_beside_hear_everything(tmp_path):
    count, size, extra = (200, 5000, {}) if WHOLE else (8, 500, SMALL)
    keys = await in_database(crowd.people, 2 * count)
    async with sites.running(tmp_path, relays=1, workers=(1,), **extra) as site:
        publish(1)
        position = await published(1)
        async with (
            clients_of(site, keys[:count], position) as healthy,
            clients_of(site, keys[count:], position, receive_bytes=4096) as stuck,
        ):
            everybody = [*healthy, *stuck]
            await crowd.come(everybody, 1.0)
            await eventually(lambda: all(client.done for client in everybody), DEADLINE_S)
            before, top = memory_mib(*site.workers()), 1
            for client in stuck:
                client.stop_reading()
            while given_up(site) < count:
                publish(20, size)
                top += 20
                await eventually(lambda t=top: all(at_or_wrong(c, t) for c in healthy), DEADLINE_S)
            assert [client.trouble for client in healthy if client.trouble] == []
            # nothing of them is left, though they have read nothing of their end
            await eventually(lambda: sockets(site) == count, DEADLINE_S)
            after = memory_mib(*site.workers())
            say(never_read=count, publications=top, memory_mib=(before, after))
            assert max(after) - max(before) < 8 * count


def at_or_wrong(client, offset):
    return client.offset >= offset or client.trouble


@long
async def test_two_thousand_come_back_and_have_all_they_missed(tmp_path):
    count, missed = 2000, 1000
    keys = await in_database(crowd.people, count)
    async with sites.running(tmp_path, relays=1, workers=(2,)) as site:
        publish(1)
        position = await published(1)
        publish(missed)
        await published(missed + 1)
        before, read = memory_mib(*site.workers()), rows_read()
        async with clients_of(site, keys, position) as clients:
            began, connections, chance = time.monotonic(), 0, random.Random(1)
            coming = asyncio.gather(*(client.stay(chance) for client in clients))
            while not coming.done():
                connections = max(connections, backends())
                await asyncio.sleep(0.1)
                assert time.monotonic() < began + DEADLINE_S
            await coming
            took_s = time.monotonic() - began
            assert [client.trouble for client in clients if client.trouble] == []
            assert {client.offset for client in clients} == {missed + 1}
            await eventually(lambda: rows_read() >= read + missed, DEADLINE_S)
            say(
                came_back=count,
                came_in_vain=dict(Counter(code for client in clients for code in client.again)),
                recovered_within_s=round(took_s, 1),
                rows_read=rows_read() - read,
                connections=connections,
                memory_mib=(before, memory_mib(*site.workers())),
            )
            # a reading for each process, and not for each client: then it were 2,000,000; the
            # relay looks each second for what is to be trimmed
            assert rows_read() - read < count * missed / 10
            assert connections <= 2 * settings.DATABASE_THREADS + OTHERS


def rows_read():
    """Of the log, by anybody."""
    text = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = %s"
    return ask(text, ["tocsin_log"])[0][0]


@long
async def test_a_deploy_sends_everybody_on_without_a_herd(tmp_path):
    count = 500
    keys = await in_database(crowd.people, count)
    async with sites.running(tmp_path, relays=1, workers=(2, 2)) as site:
        publish(1)
        position = await published(1)
        async with clients_of(site, keys, position) as clients:
            await crowd.come(clients, 2.0)
            await eventually(lambda: all(client.done for client in clients), DEADLINE_S)
            assert [client.trouble for client in clients if client.trouble] == []
            began = time.monotonic()
            site.server.process.send_signal(signal.SIGTERM)
            told, back, top = [], [], 1
            while len(back) < count:
                publish(1)
                top += 1
                now = [client for client in clients if client.code and client not in back]
                told += [client.told_at - began for client in now]
                for client in now:
                    assert client.code == SHUTDOWN
                    client.code, client.subscribed, client.port = 0, False, site.ports[1]
                await asyncio.gather(*(client.come() for client in now))
                back += now
                await asyncio.sleep(0.05)
                assert time.monotonic() < began + DEADLINE_S
            await eventually(lambda: all(at_or_wrong(c, top) for c in clients), DEADLINE_S)
            assert [client.trouble for client in clients if client.trouble] == []
            await eventually(lambda: site.server.process.poll() is not None, DEADLINE_S)
            gone_s = time.monotonic() - began
            assert site.server.process.returncode == 0
            told.sort()
            most = max(sum(at <= one < at + 1 for one in told) for at in told)
            say(
                drained=count,
                told_between_s=(round(told[0], 2), round(told[-1], 2)),
                most_in_a_second=most,
                gone_after_s=round(gone_s, 1),
            )
            assert gone_s < GONE_S
            assert most < count / 2


@long
async def test_what_was_written_while_no_relay_ran_is_caught_up(tmp_path):
    count, topics = 100_000, 50
    [key] = await in_database(crowd.people, 1)
    async with sites.running(tmp_path, relays=1, workers=(1,)) as site:
        publish(1)
        position = await published(1)
        async with clients_of(site, [key], position) as [client]:
            await client.come()
            await eventually(lambda: client.done, DEADLINE_S)
            site.relays[0].end(signal.SIGTERM)
            raw().execute(
                "INSERT INTO tocsin_entry (topics, op, key, body)"
                " SELECT ARRAY['talk:' || mod(n, %s)], 'u', n::text, json_build_object('n', n)"
                " FROM generate_series(1, %s) n",
                [topics, count],
            )
            relay = site.start_relay()
            await eventually(lambda: sites.leads(relay), DEADLINE_S)
            began = time.monotonic()
            top, memory = 1, []
            while not sites.handed_over():
                publish(1)
                top += 1
                memory += memory_mib(relay.process.pid)[:1]
                await asyncio.sleep(0.1)
                assert time.monotonic() < began + DEADLINE_S
            took_s = time.monotonic() - began
            await eventually(lambda: at_or_wrong(client, top), DEADLINE_S)
            assert not client.trouble
            say(
                caught_up=count,
                per_second=round(count / took_s),
                relay_mib=(memory[0], max(memory)),
                written_meanwhile=top - 1,
            )
            assert max(memory) - memory[0] < 64
