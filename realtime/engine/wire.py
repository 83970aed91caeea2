"""A row of the log as a publication: the same text whenever and by whomever it is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from realtime.protocol.codec import text
from realtime.protocol.messages import Publication

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime.protocol.messages import ClientInfo


def publication(  # noqa: PLR0917  (a row of the log, in the order of the statements)
    offset: int,
    op: str,
    key: str | None,
    body: str | None,
    counts: str | None,
    at: int,
    entry: int,
    mark: int,
    about: str | None = None,
) -> Publication:
    """A row of the log with its wire data."""
    data = text.row_data(op, key or "", body, counts, at)
    return Publication(offset, data, key, op, entry, mark, about)


def about(info: ClientInfo | None, tags: Mapping[str, str] | None) -> str | None:
    """What a publication says besides its data, as the log keeps it; None for nothing."""
    parts = []
    if info is not None:
        parts.append(f'"info":{text.client_info(info)}')
    if tags:
        parts.append(f'"tags":{json.dumps(dict(tags), separators=(",", ":"))}')
    return f"{{{','.join(parts)}}}" if parts else None
