"""A pinned version with a known advisory does not pass."""

import re

from tools import floors


def test_a_planted_old_version_is_named_with_its_advisory():
    [line] = floors.below("channels==4.3.2\ndaphne==4.2.1\n", floors.floors())
    assert re.match(r"daphne 4\.2\.1 is below 4\.2\.2 \(CVE-2026-44545", line)


def test_versions_are_numbers_and_markers_do_not_hide_them():
    [floor] = [floor for floor in floors.floors() if floor.package == "sqlparse"]
    assert floors.below("sqlparse==0.4.10 ; python_version < '4'\n", [floor])
    assert not floors.below("sqlparse==0.10.0\n", [floor])
    assert not floors.below("sqlparse==0.5.0.post1\n", [floor])


def test_names_are_compared_in_one_spelling():
    [floor] = [floor for floor in floors.floors() if floor.package == "django-allauth"]
    assert floors.below("Django_Allauth==65.0.0\n", [floor])


def test_what_is_pinned_now_passes(capsys):
    assert floors.main() == 0
    assert "no pin below" in capsys.readouterr().out


def test_every_floor_is_of_a_package_we_pin():
    pinned = "".join((floors.ROOT / name).read_text() for name in floors.FILES).lower()
    for floor in floors.floors():
        assert f"\n{floor.package}==" in pinned, floor.package
