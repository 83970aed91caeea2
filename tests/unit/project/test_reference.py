"""The reference pages name what the code has, and nothing else."""

import re
from pathlib import Path

from django.core.management import get_commands, load_command_class

from realtime.protocol import filters
from realtime.protocol.client_pb2 import Command

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = (ROOT / "docs" / "reference" / "settings.md").read_text()
PROTOCOL = (ROOT / "docs" / "reference" / "protocol.md").read_text()
COMMANDS = (ROOT / "docs" / "reference" / "commands.md").read_text()
OURS = ("realtime.", "project")
# of make run, the tests and Docker Compose: read elsewhere than in project/settings.py
ELSEWHERE = {
    *(
        "PORT",
        "HOST",
        "WORKERS",
        "CHROMIUM",
        "TOCSIN_TEST_DATABASE",
        "DB_PASSWORD",
        "TOCSIN_FAULTS",
    ),
    *("FORCE_COLOR", "DJANGO_SETTINGS_MODULE"),
}


def headings(text, pattern):
    return set(re.findall(pattern, text, re.MULTILINE))


def test_variables_of_the_environment_are_documented():
    files = (ROOT / "project" / name for name in ("settings.py", "environment.py"))
    source = "".join(file.read_text() for file in files)
    read = set(re.findall(r'\b(?:env\.\w+|_read|switch)\(\s*(?:env, )?"([A-Z_]+)"', source))
    assert {"DEBUG", "SECRET_KEY", "DATABASE_URL", "REDIS_URL", "EMAIL_URL"} <= read
    documented = headings(SETTINGS, r"^### ([A-Z_]+)$")
    from realtime.engine.conf import SETTINGS as ENGINE  # noqa: PLC0415

    engine = {f"TOCSIN_{setting.name}" for setting in ENGINE}
    assert documented - engine - ELSEWHERE == read


def commands():
    return sorted(name for name, app in get_commands().items() if app.startswith(OURS))


def test_commands_are_documented():
    assert headings(COMMANDS, r"^### `manage\.py (\w+)") == set(commands())


def test_options_of_commands_are_documented():
    plain = load_command_class("django.core", "check").create_parser("", "")
    common = {o for a in plain._actions for o in a.option_strings} | {"--skip-checks"}
    for name in commands():
        section = COMMANDS.split(f"### `manage.py {name}")[1].split("\n### ")[0]
        parser = load_command_class(get_commands()[name], name).create_parser("", name)
        options = {o for a in parser._actions for o in a.option_strings if o.startswith("--")}
        for option in options - common:
            assert f"`{option}" in section, f"{name} {option}"


def test_make_targets_are_documented():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert headings(COMMANDS, r"^\| `make ([a-z-]+)`") == targets


def test_commands_of_the_protocol_are_documented():
    table = PROTOCOL.split("| command | what is done")[1].split("\n\n")[0]
    named = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    fields = {field.name for field in Command.DESCRIPTOR.fields} - {"id"}
    assert set(re.findall(r"`(\w+)`", "".join(named))) == fields


def test_limits_of_the_protocol_are_documented():
    assert set(re.findall(r"`(TOCSIN_\w+)`", PROTOCOL)) <= headings(SETTINGS, r"^### (TOCSIN_\w+)$")
    most = (filters.MAX_DEPTH, filters.MAX_NODES, filters.MAX_VALUES, filters.MAX_NUMBER)
    said = "at most {} levels, {} nodes and {} values; a number in it or in a tag at most {} char"
    assert said.format(*most) in " ".join(PROTOCOL.split())
