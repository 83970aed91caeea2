"""The pages of docs/ name only what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])


def defined_in_tests() -> set[str]:
    text = "\n".join(path.read_text() for path in ROOT.glob("tests/**/*.py"))
    return set(re.findall(r"(?:def|class) (test_\w+|\w+Machine)\b", text))


def test_every_test_that_the_proofs_name_exists():
    page = (ROOT / "docs/explanation/correctness.md").read_text()
    named = set(re.findall(r"`(test_\w+|\w+Machine)`", page))
    assert len(named) > 40
    assert named - defined_in_tests() == set()


def test_every_threat_has_a_defence_and_a_test_that_exists():
    page = (ROOT / "docs/explanation/security.md").read_text()
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row[0].strip() not in {"threat", "---"}]
    assert len(rows) > 35
    for threat, defence, proof in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", proof)
        assert named, threat
        assert defence.strip(), threat
        for file, test in named:
            assert re.search(rf"def {test}\(", (ROOT / file).read_text()), f"{file}::{test}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_files_that_a_page_names_exist(page):
    text = page.read_text()
    links = [
        link.split("#")[0]
        for link in re.findall(r"\]\(([^)]+)\)", text)
        if not link.startswith(("http", "#"))
    ]
    missing = [link for link in links if not (page.parent / link).exists()]
    files = re.findall(r"`((?:realtime|project|tests|tools|docs|templates|static)/[\w./-]+)`", text)
    missing += [name for name in files if not (ROOT / name).exists() and "vendor" not in name]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_command_that_a_page_shows_can_be_typed(page):
    """`manage.py` alone is on nobody's PATH, and the machine's Python has no Django."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for line in "".join(blocks).splitlines() if "manage.py" in line]
    typed = r"(?:\.venv/bin/python|docker compose exec \w+ python) manage\.py"
    assert [line for line in lines if line.count("manage.py") != len(re.findall(typed, line))] == []
