"""How much a reader has left unread, as far as its pongs tell."""

from realtime.engine.backlog import Backlog


def test_a_pong_says_that_all_before_its_ping_was_read():
    backlog = Backlog(100, 3)
    backlog.sent(40, 0)
    backlog.pinged()
    backlog.sent(30, 0)
    backlog.ponged(1)
    assert backlog.bytes == 30


def test_half_the_bound_asks_for_one_ping_only():
    backlog = Backlog(100, 3)
    backlog.sent(51, 0)
    assert backlog.wants_ping
    backlog.pinged()
    assert not backlog.wants_ping
    assert backlog.busy


def test_a_reader_above_the_bound_has_a_while_to_read():
    backlog = Backlog(100, 3)
    backlog.sent(101, 10)
    assert not backlog.too_slow(12.9)
    assert backlog.due == 13
    assert backlog.too_slow(13)


def test_each_pong_gives_time_anew_while_there_is_progress():
    backlog = Backlog(100, 3)
    backlog.sent(150, 0)
    backlog.pinged()
    backlog.sent(120, 1)
    backlog.ponged(2.9)
    assert not backlog.too_slow(5.8)
    assert backlog.too_slow(5.9)


def test_far_above_the_bound_nobody_is_waited_for():
    backlog = Backlog(100, 3)
    backlog.sent(401, 0)
    assert backlog.too_slow(0)


def test_what_was_asked_for_is_not_held_against_the_reader():
    backlog = Backlog(100, 3)
    backlog.sent(5000, 0, asked=True)
    assert backlog.busy
    assert not backlog.too_slow(29)
    backlog.pinged()
    backlog.sent(101, 21)
    assert backlog.due == 24
    backlog.ponged(22)
    assert backlog.bytes == 101
    assert backlog.due == 25


def test_who_asks_on_and_reads_nothing_is_too_slow_in_the_end():
    backlog = Backlog(100, 3)
    for second in range(30):
        backlog.sent(60, second, asked=True)
        backlog.pinged()
        backlog.ponged(second, unsent=60 * (second + 1))  # answered blindly: nothing has left
        assert not backlog.too_slow(second)
    assert backlog.too_slow(31)


def test_who_reads_slowly_what_it_asked_for_is_left_in_peace():
    backlog = Backlog(100, 3)
    for second in range(100):
        backlog.sent(100, second, asked=True)
        backlog.pinged()
        backlog.ponged(second, unsent=50 * (second + 1))
        assert not backlog.too_slow(second)


def test_what_has_not_left_nobody_has_read():
    backlog = Backlog(100, 3)
    backlog.sent(150, 0)
    backlog.pinged()
    backlog.ponged(1, unsent=140)
    assert backlog.bytes == 140
    assert backlog.due == 4


def test_a_pong_nobody_asked_for_says_nothing():
    backlog = Backlog(100, 3)
    backlog.sent(60, 0)
    backlog.ponged(0)
    assert backlog.bytes == 60
    assert backlog.due is None
