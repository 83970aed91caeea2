"""Every number has one meaning, a range that says what the client does, and a text it can read."""

import pytest

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
    assert reconnecting == {3001, 3004, 3005, 3008, 3009, 3010, 3011, 3012, 3013}


def test_a_client_subscribes_again_from_2500_on():
    assert [code.number for code in Unsubscribe if code.resubscribe] == [2500]
    assert [code.number for code in Unsubscribe if not code.resubscribe] == [2000]
