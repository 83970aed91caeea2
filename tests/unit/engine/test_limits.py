"""How much a client may ask for."""

from realtime.engine.limits import Bucket, Seats


def test_a_burst_is_taken_and_then_the_lasting_rate():
    bucket = Bucket(10, 5, 0)
    assert bucket.take(5, 0)
    assert not bucket.take(1, 0)
    assert bucket.take(1, 0.1)
    assert not bucket.take(6, 100)


def test_seats_are_counted_by_name_and_given_back():
    seats = Seats()
    assert seats.take("ada", 1)
    assert not seats.take("ada", 1)
    assert seats.take("grace", 1)
    seats.give_back("ada")
    assert seats.take("ada", 1)


def test_who_has_no_name_is_not_counted():
    seats = Seats()
    assert all(seats.take("", 0) for _ in range(3))
    seats.give_back("")
