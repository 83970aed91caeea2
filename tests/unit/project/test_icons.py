"""Icons stand in the page itself."""

from project.icons import icon


def test_an_icon_is_inline_and_for_the_eye_alone():
    drawn = icon("bell")
    assert drawn.startswith('<svg class="icon"')
    assert 'aria-hidden="true"' in drawn
    assert "style=" not in drawn


def test_an_icon_that_is_not_there_is_nothing():
    assert icon("no-such-icon") == ""
