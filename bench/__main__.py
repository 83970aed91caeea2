"""`python -m bench`: the measurements, each printed as a table with ratios; `--smoke` in small.

These machines are noisy: read the ratios and the CPU seconds of the server process, which come from
one interleaved run, not the wall time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import world
from bench.measure import cpu_s, median, percentile, rss_kib, table
from bench.sockets import Socket, connect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PATH = "/connection/websocket"
TOPIC = f"trades:{world.SYMBOL}"
CONNECT_AT_ONCE = 50
PATIENCE_S = 120.0


@dataclass
class Sizes:
    sockets: int = 1000
    publications: int = 50
    rounds: int = 3
    latencies: int = 300
    entries: int = 20_000


SMOKE = Sizes(sockets=50, publications=10, rounds=1, latencies=20, entries=1000)


class Counter:
    """Counts frames that hold `needle`, on all sockets, and keeps when the last one came."""

    def __init__(self, needle: bytes) -> None:
        self.needle = needle
        self.count = 0
        self.arrivals: list[tuple[bytes, float]] = []
        self.keep = False

    def __call__(self, socket: Socket, text: bytes, arrived: float) -> None:
        if text == b"{}":
            socket.send(b"{}")
            return
        found = text.count(self.needle)
        self.count += found
        if found and self.keep:
            self.arrivals.append((text, arrived))

    async def reached(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.count < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.count} of {count} arrived")
            await asyncio.sleep(0.005)


async def crowd(
    port: int, size: int, seen: Counter, cookie: str, first: bytes | None
) -> list[Socket]:
    """`size` sockets that listen; `first`: the frame that connects and subscribes."""
    sockets: list[Socket] = []
    for start in range(0, size, CONNECT_AT_ONCE):
        some = range(start, min(size, start + CONNECT_AT_ONCE))
        sockets += await asyncio.gather(*(connect(port, PATH, seen, cookie=cookie) for _ in some))
    if first:
        replies = Counter(b'"subscribe":{')
        for socket in sockets:
            socket.on_text = replies
            socket.send(first)
        await replies.reached(size)
        for socket in sockets:
            socket.on_text = seen
    return sockets


def subscribe_frame() -> bytes:
    commands = ({"id": 1, "connect": {}}, {"id": 2, "subscribe": {"channel": TOPIC}})
    return "\n".join(json.dumps(command) for command in commands).encode()


class Writer:
    """Commits one trade after the other, each in a transaction of its own, by plain SQL."""

    def __init__(self) -> None:
        import psycopg  # noqa: PLC0415

        from realtime.markets.models import Market  # noqa: PLC0415

        Market.objects.get_or_create(symbol=world.SYMBOL, base="BEN", quote="CH")
        from django.db import connection  # noqa: PLC0415

        self.connection = psycopg.connect(
            **{
                key: value
                for key, value in connection.get_connection_params().items()
                if key in {"host", "port", "user", "dbname", "password"}
            },
            autocommit=True,
        )
        self.number = 0

    def write(self, count: int = 1) -> None:
        self.connection.execute(
            """INSERT INTO markets_trade (market_id, trade_id, price, quantity, side, traded_at)
               SELECT %s, %s + n, 61602.02, 0.00215, 'buy', now() FROM generate_series(1, %s) n""",
            (world.SYMBOL, self.number, count),
        )
        self.number += count


async def fan_out(
    pid: int,
    port: int,
    sizes: Sizes,
    *,
    needle: bytes,
    send: Callable[[], Awaitable[None]],
    cookie: str = "",
    first: bytes | None = None,
) -> float:
    """Deliveries per CPU second of the server's process, paced so that nobody's queue overflows."""
    seen = Counter(needle)
    sockets = await crowd(port, sizes.sockets, seen, cookie, first)
    await send()
    await seen.reached(sizes.sockets)
    before = cpu_s(pid)
    for number in range(2, sizes.publications + 2):
        await send()
        await seen.reached(number * sizes.sockets)
    spent = cpu_s(pid) - before
    for socket in sockets:
        socket.transport.close()
    return sizes.sockets * sizes.publications / max(spent, 0.01)


async def compare(sizes: Sizes, writer: Writer, cookie: str) -> str:
    results: dict[str, list[float]] = {}
    payload = json.dumps({"trade": "x" * 180})

    async def commit() -> None:
        await asyncio.to_thread(writer.write)

    for _ in range(sizes.rounds):
        with world.tocsin() as (pid, port), world.relay():
            figure = await fan_out(
                pid, port, sizes, needle=b'"offset"', send=commit, cookie=cookie,
                first=subscribe_frame(),
            )  # fmt: skip
            results.setdefault("Tocsin, a committed row", []).append(figure)
        for layer in ("pubsub", "core"):
            with world.stock(layer) as (pid, port):
                figure = await fan_out(
                    pid, port, sizes, needle=b'"trade"', send=_group_send(layer, payload)
                )
                results.setdefault(f"stock consumer, {layer} layer", []).append(figure)
    own = median(results["Tocsin, a committed row"])
    rows = [
        (name, f"{median(figures):,.0f}", f"{own / median(figures):.1f}")
        for name, figures in results.items()
    ]
    head = (f"{sizes.sockets} sockets on a topic", "deliveries per CPU-second", "Tocsin is ×")
    return table(head, rows)


def _group_send(layer: str, payload: str) -> Callable[[], Awaitable[None]]:
    from channels_redis.core import RedisChannelLayer  # noqa: PLC0415
    from channels_redis.pubsub import RedisPubSubChannelLayer  # noqa: PLC0415

    kind: Any = RedisPubSubChannelLayer if layer == "pubsub" else RedisChannelLayer
    channels = kind(hosts=[os.environ["REDIS_URL"]])

    async def send() -> None:
        await channels.group_send("room", {"type": "room.message", "text": payload})

    return send


async def latency(sizes: Sizes, writer: Writer, cookie: str) -> str:
    """From just before the INSERT is sent until the frame is in the client's hand."""
    rows = []
    for crowd_size in sorted({1, min(100, sizes.sockets), sizes.sockets}):
        with world.tocsin() as (pid, port), world.relay():
            seen = Counter(b'"offset"')
            seen.keep = True
            sockets = await crowd(port, crowd_size, seen, cookie, subscribe_frame())
            waits: list[float] = []
            await asyncio.to_thread(writer.write)
            await seen.reached(crowd_size)  # the relay has begun to lead
            for number in range(2, sizes.latencies + 2):
                seen.arrivals.clear()
                sent = time.time()
                await asyncio.to_thread(writer.write)
                await seen.reached(number * crowd_size)
                waits += [(arrived - sent) * 1000 for _, arrived in seen.arrivals]
            idle = rss_kib(pid)
            for socket in sockets:
                socket.transport.close()
        rows.append(
            (
                f"{crowd_size:,}",
                f"{percentile(waits, 0.5):.1f}",
                f"{percentile(waits, 0.99):.1f}",
                f"{idle / 1024:.0f}",
            )
        )
    return table(("sockets", "INSERT to client p50 ms", "p99 ms", "server MiB"), rows)


def throughput(sizes: Sizes, writer: Writer) -> str:
    """Entries written while no relay runs, then moved and published by one."""
    from django.db import connection  # noqa: PLC0415

    def waiting() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM tocsin_entry")
            return int(cursor.fetchone()[0])

    writer.write(sizes.entries)
    queued = waiting()
    begun = time.monotonic()
    with world.relay() as child:
        while waiting() == queued:
            time.sleep(0.002)
        first, first_cpu, left = time.monotonic(), cpu_s(child.pid), waiting()
        while waiting():
            time.sleep(0.002)
            if time.monotonic() - begun > PATIENCE_S:
                raise RuntimeError("the relay did not empty the outbox")
        took, cpu = time.monotonic() - first, cpu_s(child.pid) - first_cpu
    row = (f"{queued:,}", f"{left / max(took, 0.001):,.0f}", f"{left / max(cpu, 0.01):,.0f}")
    return table(
        ("entries waiting", "moved and published per second", "per CPU-second of the relay"), [row]
    )


async def main(sizes: Sizes) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    writer = await asyncio.to_thread(Writer)
    cookie = await asyncio.to_thread(world.session_cookie)
    for name, result in (
        ("Relay: outbox to log and Redis", await asyncio.to_thread(throughput, sizes, writer)),
        ("Commit to client", await latency(sizes, writer, cookie)),
        (f"Fan-out, median of {sizes.rounds}, interleaved", await compare(sizes, writer, cookie)),
    ):
        print(f"\n{name}\n{result}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small sizes: does it run?")
    arguments = parser.parse_args()
    with world.environment():
        asyncio.run(main(SMOKE if arguments.smoke else Sizes()))
