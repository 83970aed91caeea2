"""CPU seconds of a process and plain statistics: what the tables are made of."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence


def server(pid: int) -> psutil.Process:
    """The process that holds the sockets: the one child of a supervisor, else `pid` itself."""
    children = psutil.Process(pid).children()
    return children[0] if children else psutil.Process(pid)


def cpu_s(pid: int) -> float:
    """User and system seconds of the process that does the work, threads included."""
    times = server(pid).cpu_times()
    return float(times.user + times.system)


def rss_kib(pid: int) -> float:
    return float(server(pid).memory_info().rss) / 1024


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
             for row in [head, ["-" * w for w in widths], *rows]]  # fmt: skip
    return "\n".join(lines)
