"""An hour of coming and going (`make soak`; a minute of it in `make test`): memory stays flat.

And nothing is lost. TOCSIN_SOAK_S says how many seconds.
"""

import asyncio
import contextlib
import os
import random
import statistics
import sys
import time
from pathlib import Path

import pytest

from tests.faults import site as sites
from tests.faults.battery import Battery, make_clients, world
from tests.faults.clients import listening
from tests.faults.test_chaos import converged, ended, wrongs
from tests.live import close_programs
from tests.realtime import in_database

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.either]
SOAK_S = float(os.environ.get("TOCSIN_SOAK_S", "45"))
# rings, caches and pools fill up first; how much a process may have more at the end than then
WARM, SAMPLE_S, GROWTH_MIB = 0.3, 1.0, 6.0
CLIENTS, RING = 12, 100
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def memory(site):
    """MiB of each process that should live as long as the site."""
    pids = [*site.workers(), *(relay.process.pid for relay in site.relays)]
    pages = {pid: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids}
    return {pid: number * PAGE_BYTES / (1 << 20) for pid, number in pages.items()}


async def samples(site):
    end = time.monotonic() + SOAK_S
    found = []
    while time.monotonic() < end:
        found.append(memory(site))
        await asyncio.sleep(SAMPLE_S)
    return found


def grown(found):
    """Of each process, MiB by which the last third is above what it had when it was warm."""
    warm = found[int(len(found) * WARM) :]
    third = len(warm) // 3
    return {
        pid: statistics.median(one[pid] for one in warm[-third:])
        - statistics.median(one[pid] for one in warm[:third])
        for pid in warm[0]
    }


async def test_memory_is_flat_while_people_come_and_go(tmp_path):
    signed_in, probe_id = await in_database(world)
    async with sites.running(tmp_path, relays=1, TOCSIN_RING_SIZE=str(RING)) as site:
        clients = make_clients(site.ports, signed_in, random.Random(2), number=CLIENTS)
        for client in clients:
            client.restless = True
        battery = Battery(site, clients, [user.pk for user, _ in signed_in], probe_id)
        async with contextlib.AsyncExitStack() as stack:
            writers = [battery.start_writer(kind, 3) for kind in ("orm", "sql")]
            for writer in writers:
                stack.callback(writer.close)
            async with listening(clients):
                await battery.heard_by_all("nothing")
                found = await samples(site)
                await ended(writers)
                for client in clients:
                    client.restless = False
                await converged(battery)
        growth = grown(found)
        lines = [
            f"{pid}: {found[0][pid]:.0f} MiB, grown by {mib:.1f}" for pid, mib in growth.items()
        ]
        sys.stdout.write("\n".join([battery.report(), *lines, ""]))
        wrong, _ = await wrongs(clients)
        assert not wrong, "\n".join(wrong)
        assert max(growth.values()) < GROWTH_MIB, lines
        close_programs()
