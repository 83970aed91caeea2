"""Faults on demand, for the demo's proof page: a door to the supervisor of `make run`.

Guarantee: nothing is hit but programs that this supervisor started and still runs. It alone sends
the signals; the door, a unix socket in a 0700 folder, takes names. Only its own programs are told
where the door is, so who does not know one is not run by `make run`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
from typing import TYPE_CHECKING

from project.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOOR = "TOCSIN_FAULTS"  # the variable that says where the door is
FROZEN_S = 10.0
ANSWER_S = 0.3  # until the page has its answer: what brings it may be what is hit
PATIENCE_S = 5.0
FAULTS: dict[str, Callable[[Supervisor, str], None]] = {
    "kill": Supervisor.kill,
    "kill_children": Supervisor.kill_children,
    "freeze": lambda supervisor, name: supervisor.freeze(name, FROZEN_S),
}


class NoDoor(Exception):  # noqa: N818
    """No `make run` runs us, or it does not answer."""


async def listen(supervisor: Supervisor, path: Path) -> asyncio.Server:
    """Open the door, and tell the programs to come where it is."""
    server = await asyncio.start_unix_server(functools.partial(_answer, supervisor), path)
    os.environ[DOOR] = str(path)
    return server


async def _answer(
    supervisor: Supervisor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        line = (await reader.readline()).decode(errors="replace")
        fault, _, name = line.strip().partition(" ")
        if fault in FAULTS and name in supervisor.pids:
            asyncio.get_running_loop().call_later(ANSWER_S, _hit, supervisor, fault, name)
        writer.write(" ".join(supervisor.pids).encode())
    except (OSError, ValueError):  # it left, or its line has no end
        pass
    finally:
        writer.close()


def _hit(supervisor: Supervisor, fault: str, name: str) -> None:
    with contextlib.suppress(KeyError, ProcessLookupError):  # it ended meanwhile
        FAULTS[fault](supervisor, name)


def programs(fault: str = "") -> set[str]:
    """The programs that run there now; after `fault`, "kill relay", if one is named.

    Raises NoDoor.
    """
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(PATIENCE_S)
            door.connect(os.environ[DOOR])
            door.sendall(f"{fault}\n".encode())
            return set(door.makefile().read().split())
    except (KeyError, OSError) as error:
        raise NoDoor("`make run` does not run this site") from error
