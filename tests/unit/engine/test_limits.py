"""How much a client may ask for."""

import asyncio

import pytest
from structlog.testing import capture_logs

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


async def test_what_fails_when_nobody_waits_for_it_any_more_is_logged():
    shares, ends = Shares(1), asyncio.Event()

    async def work():
        await ends.wait()
        raise ValueError("too late")

    with capture_logs() as lines:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(shares.run("ada", work), 0.001)
        ends.set()
        await asyncio.sleep(0)
        await shares.take("ada")
    assert [line["error"] for line in lines] == ["ValueError('too late')"]
    shares.give_back("ada")
    with capture_logs() as lines, pytest.raises(ValueError, match="too late"):
        await shares.run("ada", work)
    assert lines == []


async def test_what_goes_on_in_its_thread_counts_though_nobody_waits_for_it_any_more():
    shares, asked = Shares(1), []
    ends = asyncio.Event()

    async def work(name):
        asked.append(name)
        await ends.wait()
        return name

    first = asyncio.create_task(shares.run("ada", lambda: work("first")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(shares.run("ada", lambda: work("second")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert asked == ["first"]
    ends.set()
    assert await second == "second"
    assert not shares._few


async def test_a_turn_is_the_clients_own_and_the_question_in_it_a_share():
    turns, shares = Turns(1), Shares(1)
    turns.shared = lambda work: shares.run("ada", work)
    await shares.take("ada")
    asking = asyncio.create_task(turns.ask(lambda: asyncio.sleep(0, "answer")))
    await asyncio.sleep(0)
    assert not asking.done()
    shares.give_back("ada")
    assert await asking == "answer"


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
