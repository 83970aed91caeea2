"""`manage.py replay`: a recorded market, played into the database in its own rhythm."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from realtime.markets import prices
from realtime.markets.feeds.find import find
from realtime.markets.feeds.moments import moment
from realtime.markets.feeds.player import BILLION, Elsewhere, NothingToPlay, Player
from realtime.markets.feeds.source import BadLine, NoRecording, Source

log = structlog.get_logger(__name__)


def speed(text: str) -> float | None:
    """A factor; `max` or 0 for as fast as possible."""
    if text == "max":
        return None
    factor = float(text)
    if not 0 <= factor < float("inf"):
        raise ValueError(text)
    return factor or None


class Command(BaseCommand):
    help = (
        "Play the recorded market into the database, in its own rhythm. A replay that was stopped "
        "goes on where it was; one that came to its end begins anew and first clears the market's "
        "rows. TOCSIN_RECORDING names the folder of a tick recording; without one the one-second "
        "figures that come with the project are played."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--speed", type=speed, default=1.0, help="times the rhythm; max or 0: no waiting"
        )
        parser.add_argument("--loop", action="store_true", help="begin again at the end")
        moments = "by the recorder's clock: 00:01:24, 2024-08-09T00:01:24 or +92 (seconds)"
        parser.add_argument("--from", dest="begins", metavar="T", help=f"first moment, {moments}")
        parser.add_argument("--to", dest="ends", metavar="T", help="stop before it")
        parser.add_argument(
            "--keep-going", action="store_true", help="report a bad line and go on behind it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._stop = False
        self._keep_going = options["keep_going"]
        try:
            with self._stoppable():
                self._play(**options)
        except (BadLine, Elsewhere, NoRecording, NothingToPlay) as error:
            raise CommandError(str(error)) from error

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop behind the transaction that is under way."""
        if current_thread() is not main_thread():  # only there signals can be caught
            yield
            return
        before = {name: signal.signal(name, self._on_signal) for name in _STOPPING}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    def _play(self, *, loop: bool, begins: str | None, ends: str | None, **options: Any) -> None:
        source = find()
        span = source.span()
        player = Player(
            source,
            self._on_bad_line,
            speed=options["speed"],
            begins=_at(begins, span[0]),
            ends=_at(ends, span[0]),
            stopped=lambda: self._stop,
        )
        _demand_overlap(player, span)
        while not self._stop:
            self._round(player, source, span)
            if not loop:
                break
        played = player.played
        self.stdout.write(
            f"{'Stopped' if self._stop else 'Done'}: {played.trades:,} trades, "
            f"{played.quotes:,} best prices, {played.seconds:,} seconds, "
            f"{played.firings:,} alerts fired; at most {played.behind_s:.2f} s behind."
        )

    def _round(self, player: Player, source: Source, span: tuple[int, int]) -> None:
        first, last = max(span[0], player.begins or 0), min(span[1], player.ends or span[1])
        with tqdm(
            total=max(0, round((last - first) / BILLION)),
            desc=source.label,
            unit="s",
            disable=not sys.stderr.isatty(),
        ) as bar:

            def moved(at: int) -> None:
                bar.update((at - first) // BILLION - bar.n)

            player.moved = moved
            player.round()

    def _on_signal(self, *_: Any) -> None:
        self._stop = True

    def _on_bad_line(self, bad: BadLine) -> None:
        if not self._keep_going:
            raise bad
        log.warning("line.skipped", reason=str(bad))


_STOPPING = (signal.SIGTERM, signal.SIGINT)


def _at(text: str | None, first: int) -> int | None:
    if text is None:
        return None
    try:
        return moment(text, first)
    except (ValueError, OverflowError) as error:
        raise CommandError(
            f'"{text}" is no moment: write 00:01:24, 2024-08-09T00:01:24 or +92 (seconds)'
        ) from error


def _demand_overlap(player: Player, span: tuple[int, int]) -> None:
    """A span with nothing in it is said before the market's rows are cleared for it."""
    begins, ends = player.begins or 0, prices.LAST_NS if player.ends is None else player.ends
    if begins >= ends:
        raise CommandError("--from must be before --to")
    if any(span) and (begins > span[1] or ends <= span[0]):
        first, last = (f"{prices.instant(at):%Y-%m-%dT%H:%M:%S}" for at in span)
        raise CommandError(
            "the recording holds no trade and no best price in this span: "
            f"it goes from {first} to {last}"
        )
