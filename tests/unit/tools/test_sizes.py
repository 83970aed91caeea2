"""A file that wants more lines holds two ideas."""

import pytest

from tools import sizes


@pytest.fixture
def root(tmp_path):
    for room in sizes.ROOMS:
        (tmp_path / room).mkdir()
    return tmp_path


def test_a_long_module_is_named(root):
    (root / "project" / "long.py").write_text("x = 1\n" * 301)
    assert sizes.oversized(root) == ["project/long.py: 301 lines, at most 300"]


def test_a_docstring_does_not_count_as_body(root):
    docstring = '    """' + "words\n    " * 50 + '"""\n'
    (root / "project" / "a.py").write_text(f"def f():\n{docstring}" + "    x = 1\n" * 40)
    (root / "project" / "b.py").write_text("async def g():\n" + "    x = 1\n" * 41)
    assert sizes.oversized(root) == ["project/b.py:1 g: 41 lines, at most 40"]


def test_consumers_have_a_ceiling_of_their_own(root):
    (root / "realtime" / "engine").mkdir()
    (root / "realtime" / "engine" / "consumers.py").write_text("x = 1\n" * 121)
    assert sizes.oversized(root) == ["realtime/engine/consumers.py: 121 lines, at most 120"]
