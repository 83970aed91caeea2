"""A row of the log as a publication: the same text whenever and by whomever it is read."""

from realtime.protocol import codec
from realtime.protocol.messages import Publication


def publication(  # noqa: PLR0917  (a row of the log, in the order of the statements)
    offset: int,
    op: str,
    key: str | None,
    body: str | None,
    counts: str | None,
    at: int,
    entry: int,
    mark: int,
) -> Publication:
    """A row of the log with its wire data."""
    data = codec.row_data(op, key or "", body, counts, at)
    return Publication(offset, data, key, op, entry, mark)
