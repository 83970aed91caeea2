"""Judges a client's log against a fresh read. Pure: no clock, no socket, no database.

What must hold for each topic of each client: offsets without gap or repeat (`Latest`: rising), one
epoch unless the client was told, rows + publications by the page's rule = the fresh read, nothing
of a rolled-back transaction, nothing of somebody else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

UNDONE = "undo"  # what is written only in transactions that are rolled back
RESUBSCRIBE = 2500


@dataclass(frozen=True)
class Began:
    """Rows, and what belongs behind them. `asked`: to go on from before; `told`: it cannot."""

    topic: str
    epoch: str
    offset: int
    rows: list
    counts: dict
    behind: list
    asked: bool = False
    told: bool = False


@dataclass(frozen=True)
class Recovered:
    """The publications (offset, data) since what the client knew."""

    topic: str
    epoch: str
    offset: int
    missed: list


@dataclass(frozen=True)
class Heard:
    topic: str
    offset: int
    data: dict


@dataclass(frozen=True)
class Ended:
    """By the server: an unsubscribe, a refusal, or (without a topic) a disconnect for good."""

    topic: str
    code: int


@dataclass(frozen=True)
class Truth:
    """A fresh read. `newest`: rows of so many highest keys; `compacted`: a `Latest` topic."""

    epoch: str
    offset: int
    rows: dict
    counts: dict
    newest: int = 0
    compacted: bool = False


@dataclass
class Reading:
    """What the client's page shows of a topic."""

    topic: str
    truth: Truth
    epoch: str
    offset: int
    rows: dict
    counts: dict
    first: list = field(default_factory=list)
    applied: list = field(default_factory=list)
    epochs: set = field(default_factory=set)

    @property
    def gapless(self):
        # a provisional epoch ("!") leaves out what its rows contain already
        return not self.truth.compacted and not self.epoch.endswith("!")

    def follow(self, offset, data):
        """One publication; gives what is wrong with it."""
        wrong = []
        if offset <= self.offset:
            wrong.append(f"{self.topic}: {offset} came after {self.offset}: repeated or reordered")
        elif self.gapless and offset != self.offset + 1:
            wrong.append(f"{self.topic}: {offset} came after {self.offset}: lost")
        self.offset = max(self.offset, offset)
        return wrong + self.apply(data)

    def apply(self, data):
        """The page's rule (static/tocsin/rows.js), and what must not be seen."""
        self.applied.append(data)
        wrong = blemishes(self.topic, data.get("body"))
        key, known = data["key"], data["key"] in self.rows
        if not self.truth.compacted and not self.truth.newest:
            if data["op"] == "i" and known:
                wrong.append(f"{self.topic}: row {key} inserted twice")
            if data["op"] == "d" and not known:
                wrong.append(f"{self.topic}: row {key} deleted, but it was not there")
        if data["op"] == "d":
            self.rows.pop(key, None)
        elif data.get("body"):
            self.rows[key] = data["body"]
        for name, delta in data.get("counts", {}).items():
            self.counts[name] = self.counts.get(name, 0) + delta
        return wrong

    def end(self):
        """Against the fresh read, when everything has arrived."""
        wrong, truth = [], self.truth
        if (self.epoch.rstrip("!"), self.offset) != (truth.epoch, truth.offset):
            have, want = f"{self.epoch} {self.offset}", f"{truth.epoch} {truth.offset}"
            wrong.append(f"{self.topic}: stands at {have}, the log at {want}")
        if (rows := newest(self.rows, truth.newest)) != truth.rows:
            keys = sorted(k for k in rows.keys() | truth.rows if rows.get(k) != truth.rows.get(k))
            shown = [(key, rows.get(key), truth.rows.get(key)) for key in keys[:3]]
            wrong.append(f"{self.topic}: {len(keys)} rows differ from a fresh read: {shown}")
        if self.counts != truth.counts:
            wrong.append(f"{self.topic}: counts {self.counts}, a fresh read {truth.counts}")
        return wrong


def newest(rows, number):
    if not number:
        return rows
    return {key: rows[key] for key in sorted(rows, key=int, reverse=True)[:number]}


def blemishes(topic, body):
    """A row carries where it belongs: a title begins with the topic, a price names the market."""
    if body is None:
        return []
    wrong = []
    if UNDONE in json.dumps(body):
        wrong.append(f"{topic}: from a rolled-back transaction: {body}")
    if "title" in body and not body["title"].startswith(f"{topic}|"):
        wrong.append(f"{topic}: somebody else's: {body['title']}")
    if topic.startswith("trades:") and not body["price"].startswith(topic.partition(":M")[2]):
        wrong.append(f"{topic}: another market's: {body}")
    return wrong


def judge(log, truths):
    """Everything wrong with a client's log, and its readings at the end by topic."""
    readings, wrong = {}, []
    for event in log:
        if isinstance(event, Ended):
            if event.code != RESUBSCRIBE:
                wrong.append(f"{event.topic or 'the connection'}: ended with {event.code}")
        elif event.topic not in truths:
            wrong.append(f"{event.topic}: never asked for")
        elif isinstance(event, Began):
            wrong += _begin(event, readings, truths[event.topic])
        elif (reading := readings.get(event.topic)) is None:
            wrong.append(f"{event.topic}: heard before its beginning")
        elif isinstance(event, Recovered):
            wrong += _recover(event, reading)
        else:
            wrong += reading.follow(event.offset, event.data)
    wrong += [f"{topic}: never begun" for topic in truths if topic not in readings]
    for reading in readings.values():
        wrong += reading.end()
    return wrong, readings


def _begin(event, readings, truth):
    before = readings.get(event.topic)
    wrong = []
    if event.asked and not event.told:
        wrong.append(f"{event.topic}: began anew without a word")
    rows = {row["key"]: row["body"] for row in event.rows}
    for body in rows.values():
        wrong += blemishes(event.topic, body)
    reading = readings[event.topic] = Reading(
        event.topic, truth, event.epoch, event.offset, rows, dict(event.counts), event.rows
    )
    reading.epochs = {*(before.epochs if before else ()), event.epoch.rstrip("!")}
    for data in event.behind:
        wrong += reading.apply(data)
    return wrong


def _recover(event, reading):
    wrong = []
    if event.epoch != reading.epoch:
        wrong.append(f"{event.topic}: recovered into {event.epoch} from {reading.epoch}")
    if event.offset != reading.offset:
        wrong.append(f"{event.topic}: recovered from {event.offset}, stood at {reading.offset}")
    for offset, data in event.missed:
        wrong += reading.follow(offset, data)
    return wrong
