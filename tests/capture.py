"""What the triggers have written, the same on both databases: for tests of capture."""

import json
from typing import NamedTuple

from django.db import connection


class Written(NamedTuple):
    topics: tuple
    op: str
    key: str | None
    body: object
    counts: object


def forget():
    """Empty outbox and log."""
    with connection.cursor() as cursor:
        for table in ("tocsin_entry", "tocsin_log", "tocsin_head"):
            cursor.execute(f"DELETE FROM {table}")


def written(namespace=None):
    """Everything since the last look, in order; by topic of a namespace, if asked."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT topics, op, key, body::text, counts::text FROM tocsin_entry ORDER BY id"
            )
            found = [(tuple(row[0]), *row[1:]) for row in cursor.fetchall()]
        else:
            cursor.execute("SELECT topic, op, key, body, counts FROM tocsin_log ORDER BY id")
            found = [((row[0],), *row[1:]) for row in cursor.fetchall()]
    forget()
    return [
        Written(topics, op, key, _load(body), _load(counts))
        for topics, op, key, body, counts in found
        if namespace is None
        or any(topic.partition(":")[0] == namespace for topic in topics)
        or (op == "T" and key == namespace)
    ]


def in_topic(topic):
    """(op, key, body, counts) of one topic since the last look, in order."""
    return [tuple(w[1:]) for w in written() if topic in w.topics]


def _load(text):
    return None if text is None else json.loads(text)
