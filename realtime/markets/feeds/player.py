"""Plays a source into the database in its own rhythm, exactly once, whatever kills it.

What is played and how far it has come are committed together, so a killed replay goes on behind
its last committed message. Messages of one instant are never parted.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import structlog
from django.db import transaction

from realtime.markets import actions, prices
from realtime.markets.feeds.source import Message, OnBadLine, Second, Source
from realtime.markets.models import Market, ReplayState, Ticker

BILLION = 1_000_000_000
WINDOW_S = 0.05  # messages this close together share a transaction
BATCH = 1000  # messages in a transaction at most, where more than that are due
NAP_S = 0.2  # how long a wait goes on before it looks whether to stop
LATE_S = 2.0

log = structlog.get_logger(__name__)


class Elsewhere(Exception):  # noqa: N818
    """Another replay writes into this database."""


class NothingToPlay(Exception):  # noqa: N818
    """The recording holds nothing in this span."""


@dataclass(slots=True)
class Played:
    """What one call has done; `behind_s` is the furthest it fell behind its rhythm."""

    trades: int = 0
    quotes: int = 0
    seconds: int = 0
    firings: int = 0
    behind_s: float = 0.0

    @property
    def messages(self) -> int:
        return self.trades + self.quotes + self.seconds


@dataclass
class Player:
    """`speed` times the recording's rhythm, None for as fast as the database takes it.

    `begins` and `ends` are nanoseconds of the recorder's clock: from the first on, up to the
    second and without it. `moved` is told the recorder's time after each transaction.
    """

    source: Source
    on_bad_line: OnBadLine
    speed: float | None = 1.0
    begins: int | None = None
    ends: int | None = None
    stopped: Callable[[], bool] = lambda: False
    moved: Callable[[int], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    played: Played = field(default_factory=Played)

    def __post_init__(self) -> None:
        self._state = ReplayState()
        self._markets: dict[str, Market] = {}

    @property
    def feed(self) -> str:
        pace = f"{self.speed:g}×" if self.speed else "as fast as possible"
        return f"{self.source.label}, {pace}"

    def round(self) -> Played:
        """Play what is left of an unfinished round, else a new one, to its end or to a stop.

        Raises NothingToPlay and Elsewhere, and whatever `on_bad_line` raises.
        """
        self._open()
        resumed, before = self._state.position, self.played.messages
        for batch in self._batches():
            self._write(batch)
            self.moved(batch[-1].at)
            if self.stopped():
                return self.played
        if self.stopped():
            return self.played
        if not resumed and self.played.messages == before:
            raise NothingToPlay("the recording holds no trade and no best price in this span")
        ReplayState.objects.filter(pk=self._state.pk).update(stage=ReplayState.Stage.DONE)
        return self.played

    # --- Where it stands ------------------------------------------------------------------

    def _open(self) -> None:
        """Find the unfinished round of this very replay, or begin a new one."""
        for known in self.source.instruments():
            self._markets[known.symbol], _ = Market.objects.get_or_create(
                symbol=known.symbol,
                defaults={
                    "base": known.base,
                    "quote": known.quote,
                    "price_step": known.price_step,
                    "quantity_step": known.quantity_step,
                },
            )
        asked = {"source": self.source.name, "begins": self.begins, "ends": self.ends}
        with transaction.atomic():
            ReplayState.objects.get_or_create(pk=1, defaults={**asked, "stage": "done"})
            state = ReplayState.objects.select_for_update().get(pk=1)
            same = all(getattr(state, name) == value for name, value in asked.items())
            if same and state.stage == ReplayState.Stage.RUNNING:
                Ticker.objects.filter(market__in=self._markets.values()).update(feed=self.feed)
                log.info("replay.resumed", run=state.run, position=state.position)
            else:
                actions.clear(self._markets.values(), self.feed)
                for name, value in asked.items():
                    setattr(state, name, value)
                state.position, state.stage = 0, ReplayState.Stage.RUNNING
                state.run += 1
                state.save()
                log.info("replay.begun", run=state.run, source=state.source)
        self._state = state

    # --- In rhythm ------------------------------------------------------------------------

    def _messages(self) -> Iterator[Message]:
        first = max(self._state.position + 1, self.begins or 0)
        for message in self.source.messages(self.on_bad_line):
            if self.ends is not None and message.at >= self.ends:
                return
            if message.at >= first:
                yield message

    def _batches(self) -> Iterator[list[Message]]:
        """Messages that are due, together; waits until some are. Ends early when stopped."""
        messages = self._messages()
        held = next(messages, None)
        if held is None:
            return
        origin, begun = held.at, self.clock()
        while held is not None:
            if self.speed is None:
                horizon = None
            else:
                self._wait(begun + (held.at - origin) / BILLION / self.speed)
                if self.stopped():
                    return
                elapsed = self.clock() - begun
                horizon = origin + int((elapsed + WINDOW_S) * self.speed * BILLION)
            batch, held = _taken(held, messages, horizon)
            yield batch

    def _wait(self, due: float) -> None:
        while (left := due - self.clock()) > 0 and not self.stopped():
            self.sleep(min(left, NAP_S))
        behind = self.clock() - due
        if behind > max(LATE_S, self.played.behind_s):
            log.warning("replay.late", behind_s=round(behind, 1))
        self.played.behind_s = max(self.played.behind_s, behind)

    # --- Into the database ----------------------------------------------------------------

    def _write(self, batch: list[Message]) -> None:
        """One transaction: the rows, the firings, and how far the replay has come."""
        with transaction.atomic():
            moved = ReplayState.objects.filter(
                pk=self._state.pk, run=self._state.run, position=self._state.position
            ).update(position=batch[-1].at)
            if not moved:
                raise Elsewhere("another replay writes into this database; stop one of them")
            firings = sum(
                self._record(self._markets[symbol], [m for m in batch if m.symbol == symbol])
                for symbol in sorted({message.symbol for message in batch})
            )
        self._state.position = batch[-1].at
        self.played.firings += firings
        for message in batch:
            self._count(message)

    def _record(self, market: Market, messages: list[Message]) -> int:
        told = [message.what for message in messages]
        trades = [what for what in told if isinstance(what, prices.Trade)]
        quotes = [what for what in told if isinstance(what, prices.Quote)]
        fired = 0
        if trades or quotes:
            fired = actions.record(market, trades, quotes, prices.instant(messages[-1].at))
        for message in messages:
            if isinstance(message.what, Second):
                second = message.what
                ended = prices.instant(message.at)
                fired += actions.record_bar(market, second.bar, second.quote, ended)
        return fired

    def _count(self, message: Message) -> None:
        if isinstance(message.what, prices.Trade):
            self.played.trades += 1
        elif isinstance(message.what, prices.Quote):
            self.played.quotes += 1
        else:
            self.played.seconds += 1


def _taken(
    first: Message, messages: Iterator[Message], horizon: int | None
) -> tuple[list[Message], Message | None]:
    """The messages up to `horizon`, at least `first`, and the one behind them."""
    batch: list[Message] = []
    for message in chain([first], messages):
        apart = bool(batch) and message.at > batch[-1].at
        if apart and (len(batch) >= BATCH or (horizon is not None and message.at > horizon)):
            return batch, message
        batch.append(message)
    return batch, None
