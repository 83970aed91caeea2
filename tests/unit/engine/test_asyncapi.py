"""The AsyncAPI document: the committed one is of today, and both are what the standard says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from realtime.engine import asyncapi, topics
from realtime.engine.topics import History, Topic

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = ROOT / "docs" / "reference" / "asyncapi.yaml"
# the standard's own schema, in the package that its project publishes
STANDARD = ROOT / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0-without-$id.json"


def printed(*options):
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings"}
    command = [sys.executable, "manage.py", "asyncapi", *options]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def of_tests():
    """The declarations of the tests too: every kind of column, of history, of name."""
    return asyncapi.document(topics.registry(), "0")


def of_site():
    return yaml.safe_load(COMMITTED.read_text())


@pytest.fixture(params=[of_site, of_tests], ids=["site", "tests"])
def document(request):
    return request.param()


def test_the_topics_and_messages_are_documented():
    regenerate = "manage.py asyncapi > docs/reference/asyncapi.yaml"
    assert COMMITTED.read_text() == printed(), f"topics have changed: run {regenerate}"


def test_yaml_and_json_say_the_same():
    assert json.loads(printed("--json")) == of_site()


def test_it_is_valid_by_the_standard(document):
    standard = jsonschema.Draft7Validator(json.loads(STANDARD.read_text()))
    assert [error.message for error in standard.iter_errors(document)] == []
    document["channels"]["x"] = {"place": "a"}
    assert not standard.is_valid(document)


def references(node):
    if isinstance(node, dict):
        yield from [node["$ref"]] if "$ref" in node else []
        node = list(node.values())
    for inner in node if isinstance(node, list) else []:
        yield from references(inner)


def test_every_reference_leads_somewhere(document):
    found = set(references(document))
    assert len(found) > 30
    for reference in found:
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_every_schema_is_one(document):
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)


def test_channels_have_the_parameters_of_their_address(document):
    for channel in document["channels"].values():
        named = set(re.findall(r"{(\w+)}", channel["address"]))
        assert set(channel.get("parameters", {})) == named


def test_every_template_of_every_namespace_has_a_channel():
    addresses = {channel["address"] for channel in of_tests()["channels"].values()}
    assert addresses == {t.text for one in topics.registry().values() for t in one.templates}


def test_operations_are_of_messages_that_their_channels_have(document):
    for operation in document["operations"].values():
        _, name = operation["channel"]["$ref"].rsplit("/", 1)
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"#/channels/{name}/messages/")


def test_a_reader_learns_what_a_topic_offers():
    channel = of_site()["channels"]["inbox.by-recipient_id"]
    assert channel["address"] == "inbox:#{recipient_id}"
    assert (
        channel["x-tocsin"].items()
        >= {
            "history": {"keeps": "publications", "size": 1000, "days": 30},
            "recovery": "what was missed",
            "counts": ["unread", "unseen"],
            "limited_to_user": True,
            "presence": False,
        }.items()
    )
    tickers = of_site()["channels"]["tickers.all"]["x-tocsin"]
    assert tickers["recovery"] == "the newest of each key"


def test_what_clients_publish_is_received():
    class Board(Topic):
        namespace = "board"
        name = "board:{place}"
        history = History(newest=True)
        allows_publish = Topic.allows

    found = asyncapi.document({"board": Board()}, "0")
    assert {name: one["action"] for name, one in found["operations"].items()} == {
        "board.by-place.tell": "send",
        "board.by-place.hear": "receive",
    }
    options = found["channels"]["board.by-place"]["x-tocsin"]
    assert options["recovery"] == "the newest alone"
    assert options["clients_publish"] is True
    # nothing is known of what is published
    assert found["components"]["messages"]["board.published"]["payload"] == {}


def test_servers_say_how_to_come_in():
    servers = of_site()["servers"]
    paths = {server["pathname"] for server in servers.values()}
    known = {f"/connection/{name}" for name in ("websocket", "http_stream", "sse")}
    assert paths == known
    server = servers["websocket"]
    assert server["x-subprotocols"] == ["centrifuge-json", "centrifuge-protobuf"]
    assert [one["$ref"].rsplit("/")[-1] for one in server["security"]] == ["session", "token"]
