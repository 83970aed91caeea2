"""Moments of a recording as people write them: 00:01:24, 2024-08-09T00:01:24, +92."""

from datetime import UTC, datetime, timedelta

from realtime.markets import prices

BILLION = 1_000_000_000


def moment(text: str, first: int) -> int:
    """Nanoseconds since 1970, by the recorder's clock, of a recording that begins at `first`.

    A time of day is the first such moment from the recording's first minute on, so it may lie
    behind midnight; `+92` is 92 s after the first message. Raises ValueError.
    """
    at = _moment(text, first)
    if not 0 <= at <= prices.LAST_NS:
        raise ValueError(f"{text} is no time that can be kept")
    return at


def _moment(text: str, first: int) -> int:
    if text.startswith("+"):
        return first + int(float(text[1:]) * BILLION)
    begins = prices.instant(first)
    if "-" in text:
        named = datetime.fromisoformat(text)
        at = named if named.tzinfo else named.replace(tzinfo=UTC)
    else:
        clock = datetime.strptime(text, _form(text)).replace(tzinfo=UTC).time()
        at = datetime.combine(begins.date(), clock, UTC)
        if at < begins.replace(second=0, microsecond=0):
            at += timedelta(days=1)
    return (at - prices.EPOCH) // timedelta(microseconds=1) * 1000


def _form(text: str) -> str:
    if "." in text:
        return "%H:%M:%S.%f"
    return "%H:%M:%S" if text.count(":") == 2 else "%H:%M"  # noqa: PLR2004
