"""How much a client may ask for."""

import asyncio

from realtime.engine.limits import Bucket, Seats, Shares, Turns


def test_a_burst_is_taken_and_then_the_lasting_rate():
    bucket = Bucket(10, 5, 0)
    assert bucket.take(5, 0)
    assert not bucket.take(1, 0)
    assert bucket.take(1, 0.1)
    assert not bucket.take(6, 100)


async def test_turns_are_taken_a_few_at_a_time_and_none_while_there_is_much_to_read():
    turns, inside = Turns(2), []
    going = asyncio.Event()

    async def take(name):
        async with turns.one():
            inside.append(name)
            await going.wait()

    turns.pause(busy=True)
    tasks = [asyncio.create_task(take(name)) for name in "abc"]
    await asyncio.sleep(0)
    assert inside == []
    turns.pause(busy=False)
    await asyncio.sleep(0)
    assert inside == ["a", "b"]
    going.set()
    await asyncio.gather(*tasks)
    assert inside == ["a", "b", "c"]


async def test_shares_are_a_few_for_each_name_and_forgotten_with_the_last():
    shares, inside = Shares(2), []
    going = asyncio.Event()

    async def take(name):
        async with shares.one(name):
            inside.append(name)
            await going.wait()

    tasks = [asyncio.create_task(take(name)) for name in ("ada", "ada", "ada", "grace")]
    await asyncio.sleep(0)
    assert inside == ["ada", "ada", "grace"]
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    await asyncio.sleep(0)
    assert inside == ["ada", "ada", "grace", "ada"]
    going.set()
    await asyncio.gather(*tasks[1:])
    assert not shares._few


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
