"""Which topics a session asks for, holds, and until when."""

from realtime.protocol.commands import Publish, Subscribe, Unsubscribe
from realtime.protocol.subscriptions import Subscriptions


def asked(number=1, topic="a"):
    return Subscribe(number, topic)


def test_a_topic_that_is_asked_for_is_not_held_before_the_answer():
    topics, request = Subscriptions(), asked()
    topics.ask(request)
    assert "a" in topics
    assert len(topics) == 1
    assert topics.awaits(request)
    assert not topics.holds("a")
    topics.begin("a", None, 0, server=False)
    assert topics.holds("a")
    assert not topics.awaits(request)
    assert not topics.is_of_server("a")


def test_the_answer_to_an_earlier_request_is_not_awaited_any_more():
    topics, former, present = Subscriptions(), asked(1), asked(1)
    topics.ask(former)
    removed = topics.remove("a")
    assert removed.request is former
    topics.ask(present)
    assert not topics.awaits(former)
    assert topics.awaits(present)


def test_nothing_is_known_of_a_topic_nobody_asked_for():
    topics = Subscriptions()
    assert "a" not in topics
    assert topics.remove("a") is None
    assert not topics.holds("a")
    assert not topics.is_of_server("a")
    assert not topics.awaits(asked())


def test_what_the_server_gives_is_of_the_server():
    topics = Subscriptions()
    topics.begin("a", None, 0, server=True)
    assert topics.is_of_server("a")


def test_subscriptions_end_in_their_time_unless_they_are_renewed():
    topics = Subscriptions()
    assert topics.next_end is None
    topics.begin("a", 10, 100, server=False)
    topics.begin("b", 20, 100, server=False)
    topics.begin("c", None, 100, server=False)
    assert topics.next_end == 110
    assert topics.ended(109) == []
    assert topics.ended(110) == ["a"]
    topics.renew("a", 30, 105)
    assert topics.ended(120) == ["b"]
    topics.renew("b", None, 105)
    assert topics.next_end == 135
    topics.remove("a")
    assert topics.next_end is None


def test_a_topic_taken_up_again_without_an_end_has_none():
    topics = Subscriptions()
    topics.begin("a", 10, 0, server=False)
    topics.begin("a", None, 0, server=False)
    assert topics.next_end is None


def test_what_concerns_a_topic_waits_while_it_is_opened():
    topics = Subscriptions()
    assert topics.queue(Unsubscribe(1, "a"), early=False) is None
    topics.ask(asked(2))
    queue = topics.queue(Unsubscribe(4, "a"), early=False)
    assert topics.queue(asked(5), early=False) is queue
    assert topics.queue(asked(5, "b"), early=False) is None
    assert topics.queue(Publish(6, "a"), early=False) is None
    topics.begin("a", None, 0, server=False)
    assert topics.queued("a") is queue
    assert not topics.queued("a")
    assert topics.queue(Unsubscribe(7, "a"), early=False) is None


def test_at_the_end_nothing_is_left():
    topics = Subscriptions()
    topics.begin("a", 10, 0, server=False)
    topics.ask(asked(2, "b"))
    topics.queue(Unsubscribe(3, "b"), early=False).append(Unsubscribe(3, "b"))
    topics.clear()
    assert not topics.queued("b")
    assert len(topics) == 0
    assert topics.next_end is None
