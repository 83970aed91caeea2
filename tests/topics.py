"""`verify_topic`: what a page knew and what it heard since is what a fresh page knows."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from django.db import connection

from realtime.engine import api, history, outbox
from realtime.protocol.messages import Position
from tests.live import raw

RULE = Path(__file__).parent / "js" / "apply.js"


def settle():
    """The outbox is in the log; on SQLite the triggers wrote it there."""
    while connection.vendor == "postgresql" and outbox.move(raw(), 0, 1000):
        pass


def applied(rows, publications):
    """The rows after the publications, by the very code of the page."""
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    question = json.dumps({"rows": rows, "publications": publications})
    command = [node, str(RULE)]
    done = subprocess.run(command, input=question, capture_output=True, text=True, check=True)
    return {row["key"]: row["body"] for row in json.loads(done.stdout)}


def verify_topic(user, topic, action, *, changes=True):
    """Do `action`: an open page must know what a new one knows. Gives the publications."""
    settle()
    before = api.snapshot(user, topic)
    action()
    settle()
    page = history.since(topic, Position(before["epoch"], before["offset"]), 1000)
    publications = [json.loads(publication.data) for publication in page.publications]
    counts = dict(before["counts"])
    for publication in publications:
        for name, delta in publication.get("counts", {}).items():
            counts[name] += delta
    fresh = api.snapshot(user, topic)
    expected = {row["key"]: row["body"] for row in fresh["rows"]}
    assert applied(before["rows"], publications) == expected
    assert counts == fresh["counts"]
    changed = expected != {row["key"]: row["body"] for row in before["rows"]}
    assert changed is changes
    assert bool(publications) is changes
    return publications
