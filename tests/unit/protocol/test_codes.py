"""Every number has one meaning, a range that says what the client does, and a text it can read."""

from pathlib import Path

import pytest

from realtime.protocol import codes
from realtime.protocol.codes import Disconnect, Error, Unsubscribe


@pytest.mark.parametrize("kind", [Error, Disconnect, Unsubscribe])
def test_a_number_is_named_once(kind):
    numbers = [code.number for code in kind.__members__.values()]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("code", [*Error, *Disconnect, *Unsubscribe])
def test_a_text_is_short_ascii_and_no_number(code):
    assert 0 < len(code.text.encode("ascii")) <= 32
    assert not code.text[0].isdigit()


def test_errors_keep_clear_of_the_numbers_of_the_sdks_and_of_applications():
    assert all(100 <= error.number < 400 for error in Error)


def test_a_client_tries_again_after_exactly_these_errors():
    assert {error.number for error in Error if error.temporary} == {100, 111}


def test_a_client_reconnects_below_3500_and_stays_away_from_there_on():
    assert all(3000 < code.number < 4000 for code in Disconnect)
    reconnecting = {code.number for code in Disconnect if code.reconnect}
    assert reconnecting == {3001, 3004, 3005, 3006, 3008, 3009, 3010, 3011, 3012, 3013}


def test_a_client_subscribes_again_from_2500_on():
    assert [code.number for code in Unsubscribe if code.resubscribe] == [2500, 2501]
    assert [code.number for code in Unsubscribe if not code.resubscribe] == [2000]


def documented(title):
    text = Path(codes.__file__).parents[2].joinpath("docs/reference/codes.md").read_text("utf-8")
    section = text.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1:5] for line in section.splitlines() if line.startswith("| ")]
    cells = [tuple(cell.strip() for cell in row) for row in rows[2:]]
    assert all(when for *_, when in cells)
    return [(int(number), text, again == "yes") for number, text, again, _ in cells]


def test_the_documentation_lists_exactly_these_codes():
    assert documented("Errors") == [(c.number, c.text, c.temporary) for c in Error]
    assert documented("Disconnects") == [(c.number, c.text, c.reconnect) for c in Disconnect]
    assert documented("Unsubscribes") == [(c.number, c.text, c.resubscribe) for c in Unsubscribe]
