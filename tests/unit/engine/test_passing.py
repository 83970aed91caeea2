"""Behind which revocations a publication is that no log keeps."""

import pytest

from realtime.engine import passing
from realtime.engine.conf import settings
from realtime.engine.passing import Seen
from tests.virtual import VirtualLoop


@pytest.fixture
def marked(monkeypatch):
    """The mark of what was seen first, when each further look sees the next, the last for ever."""

    def ask(first, *later):
        answers = list(later)

        async def look():
            return answers.pop(0) if len(answers) > 1 else answers[0]

        monkeypatch.setattr(passing, "alook", look)
        loop = VirtualLoop()
        try:
            return loop.run_until_complete(passing.mark(first)), loop.now
        finally:
            loop.close()

    return ask


def seen(offset, *unnumbered):
    return Seen(offset, frozenset(unnumbered))


def test_where_all_are_numbered_it_is_the_last(marked):
    assert marked(seen(4)) == (4, 0.0)


def test_the_relay_is_waited_for_and_only_for_what_was_there(marked):
    found, took = marked(seen(4, 7, 8), seen(4, 7, 8), seen(5, 8, 9), seen(6, 9, 10))
    assert found == 6
    assert 0 < took < settings.PENDING_WAIT_S


def test_without_a_relay_nothing_may_be_passed_on(marked):
    with settings.override(PENDING_WAIT_S=0.5):
        found, took = marked(seen(4, 7), seen(9, 7))
    assert found is None
    assert 0.5 <= took < 1.0
