"""What the way of a change looks like just now: who leads, what waits, whether Redis answers.

Only reads, and each figure is the truth of the moment it was read; nothing here is remembered.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import re
from dataclasses import dataclass

import redis
from django.conf import settings as django_settings
from django.db import connection
from django.db.models import Count, Max, Min
from django.utils import timezone

from realtime.engine import sql
from realtime.engine.conf import settings
from realtime.engine.leader.postgresql import LEADER_LOCK
from realtime.engine.leader.sqlite import lock_path
from realtime.engine.models import CONTROL, Entry, Head

# what waits longer than this is late
LATE_S = 5.0
# with less on its disk SQLite is about to refuse what applications write
LEAST_BYTES = 1 << 20
NAME = re.compile(r"tocsin relay (?P<host>\S+?):(?P<pid>\d+)(?: since (?P<since>\d+))?")


@dataclass(frozen=True)
class Process:
    """A relay: where it runs, and since when it leads (or is connected)."""

    host: str
    pid: int
    since: dt.datetime | None


@dataclass(frozen=True)
class Relay:
    """`standbys` is None where nobody can tell; `oldest_s` is the age of what waits longest.

    `redis` says why Redis does not answer, and is empty when it does. `waiting`: counted up to one
    more than OUTBOX_ENTRIES; then it is `behind`.
    """

    leader: Process | None
    standbys: int | None
    waiting: int
    oldest_s: float
    redis: str

    @property
    def behind(self) -> bool:
        return self.waiting > int(settings.OUTBOX_ENTRIES)


@dataclass(frozen=True)
class Log:
    """The publication log at large; these figures look at every topic's head."""

    last_move: dt.datetime | None
    topics: int
    revocations: int


def relay() -> Relay:
    leader, standbys = _processes()
    waiting, oldest_s = _waiting()
    return Relay(leader, standbys, waiting, oldest_s, redis_trouble())


def log() -> Log:
    heads = Head.objects.exclude(topic=CONTROL).aggregate(last=Max("moved_at"), topics=Count("pk"))
    control = Head.objects.filter(topic=CONTROL).values_list("offset", flat=True).first()
    return Log(heads["last"], heads["topics"], control or 0)


def disk_trouble() -> str:
    """Why nothing can be written into SQLite's file; empty where it can. Nothing is tried."""
    if connection.vendor != "sqlite":
        return ""
    file = connection.settings_dict["NAME"]
    folder = os.path.dirname(file)  # noqa: PTH120  (NAME may be of either kind)
    if not (os.access(file, os.W_OK) and os.access(folder, os.W_OK)):
        return "the database is read-only"
    disk = os.statvfs(folder)
    return "the disk is full" if disk.f_bavail * disk.f_frsize < LEAST_BYTES else ""


def redis_trouble() -> str:
    """Why Redis does not answer, in its own words; empty when it does."""
    timeout = settings.BROKER_TIMEOUT_S
    client = redis.Redis.from_url(
        django_settings.REDIS_URL, socket_timeout=timeout, socket_connect_timeout=timeout
    )
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        return str(error) or type(error).__name__
    finally:
        client.close()
    return ""


def _waiting() -> tuple[int, float]:
    """On SQLite nothing ever waits: the trigger appends to the log itself."""
    oldest = Entry.objects.aggregate(oldest=Min("written_at"))["oldest"]
    if oldest is None:
        return 0, 0.0
    count = Entry.objects.all()[: settings.OUTBOX_ENTRIES + 1].count()
    return count, max(0.0, (timezone.now() - oldest).total_seconds())


def _processes() -> tuple[Process | None, int | None]:
    """The leader, and how many stand by, where the database knows."""
    if connection.vendor != "postgresql":
        return _file_leader(), None
    with connection.cursor() as cursor:
        high, low = divmod(LEADER_LOCK, 2**32)
        cursor.execute(sql.read("postgresql", "relays"), {"high": high, "low": low})
        rows = cursor.fetchall()
    leaders = [_process(*row[:4]) for row in rows if row[4]]
    return (leaders[0] if leaders else None), len(rows) - len(leaders)


def _file_leader() -> Process | None:
    """Whoever holds the file's lock. Looking takes it for an instant: a standby tries again."""
    try:
        with lock_path().open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _written(file.read())
    except OSError:
        return None
    return None


def _written(text: str) -> Process:
    """What the leader wrote into its file; it may be about to."""
    try:
        told = json.loads(text)
        since = dt.datetime.fromtimestamp(told["since"], dt.timezone.utc)  # noqa: UP017
        return Process(str(told["host"]), int(told["pid"]), since)
    except (ValueError, KeyError, TypeError):
        return Process("this machine", 0, None)


def _process(name: str, backend: int, began: dt.datetime, address: str) -> Process:
    """Without the name it is some program that took the lock: its address, its backend."""
    if match := NAME.match(name):
        since = match["since"]
        started = dt.datetime.fromtimestamp(int(since), dt.timezone.utc) if since else began  # noqa: UP017
        return Process(match["host"], int(match["pid"]), started)
    return Process(address or "the database's own machine", backend, began)
