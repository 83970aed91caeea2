"""What a client is answered, in which order, and when the server gives it up."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from realtime.protocol import commands, messages
from realtime.protocol.codes import Disconnect, Error, Unsubscribe
from realtime.protocol.effects import Ask, Authenticate, Close, Hear, Join, Leave, Send
from realtime.protocol.messages import Position
from realtime.protocol.session import GRACE_S, Limits, Session

LIMITS = Limits(topics=3, queued=4, connect_s=10, ping_s=25, pong_s=8)


def fresh():
    return Session(limits=LIMITS, now=100.0)


WELCOME = messages.Connected("c1", "0.1.0", '{"now":1}', 25)


def welcome(session, now=100.0, **told):
    return session.connected(replace(WELCOME, **told), first_ping_s=20.0, now=now)


def ready():
    session = fresh()
    session.receive(commands.Connect(1), 100.0)
    welcome(session)
    return session


def subscribed(topic="a", ttl_s=None):
    session = ready()
    request = commands.Subscribe(2, topic)
    session.receive(request, 100.0)
    session.subscribed(request, messages.Subscribed(ttl_s=ttl_s), 100.0)
    return session


def assert_reply(effect, number, result):
    assert effect == Send(messages.Reply(number, result))


def assert_closed(effects, reason):
    assert effects[-2:] == [Send(messages.DisconnectPush(reason)), Close(reason)]


# --- Connecting -------------------------------------------------------------------------------


def test_a_client_is_told_who_it_is_and_how_often_it_is_pinged():
    session = fresh()
    connect = commands.Connect(1, token="t")
    assert session.receive(connect, 100.0) == [Authenticate(connect)]
    [reply] = welcome(session)
    assert_reply(reply, 1, WELCOME)


@pytest.mark.parametrize(
    "command", [commands.Subscribe(1, "a"), commands.Pong(), commands.Send(), commands.Ping(1)]
)
def test_whoever_begins_with_anything_but_connect_is_sent_away(command):
    session = fresh()
    assert_closed(session.receive(command, 100.0), Disconnect.BAD_REQUEST)
    assert session.closed
    assert session.receive(commands.Connect(2), 100.0) == []


def test_whoever_connects_twice_is_sent_away():
    assert_closed(ready().receive(commands.Connect(2), 100.0), Disconnect.BAD_REQUEST)
    session = fresh()
    session.receive(commands.Connect(1), 100.0)
    assert_closed(session.receive(commands.Connect(2), 100.0), Disconnect.BAD_REQUEST)
    assert welcome(session) == []


def test_subscribes_in_the_frame_of_the_connect_are_answered_behind_it():
    session = fresh()
    session.receive(commands.Connect(1), 100.0)
    first, second = commands.Subscribe(2, "a"), commands.Subscribe(3, "b")
    assert session.receive(first, 100.0) == []
    assert session.receive(second, 100.0) == []
    [reply, *rest] = welcome(session)
    assert reply.message.id == 1
    assert rest == [Join("a", first), Join("b", second)]


def test_a_fault_behind_the_connect_ends_the_connection_after_its_reply():
    session = fresh()
    for command in [commands.Connect(1), commands.Refresh(3, "t"), commands.Subscribe(2, "a")]:
        session.receive(command, 100.0)
    [reply, *rest] = welcome(session)
    assert reply.message.id == 1
    assert len(rest) == 2
    assert_closed(rest, Disconnect.BAD_REQUEST)


def test_whoever_sends_too_much_before_it_is_known_may_come_again():
    session = fresh()
    session.receive(commands.Connect(1), 100.0)
    for number in range(2, 6):
        assert session.receive(commands.Subscribe(number, "a"), 100.0) == []
    effects = session.receive(commands.Subscribe(6, "a"), 100.0)
    assert_closed(effects, Disconnect.TOO_MANY_REQUESTS)


def test_after_a_refused_connect_the_rest_of_the_frame_is_neither_answered_nor_punished():
    session = fresh()
    session.receive(commands.Connect(1), 100.0)
    session.receive(commands.Subscribe(2, "a"), 100.0)
    [reply] = session.refused(Error.UNAUTHORIZED, 101.0)
    assert_reply(reply, 1, Error.UNAUTHORIZED)
    assert session.receive(commands.Subscribe(3, "a"), 101.0) == []
    assert session.receive(commands.Connect(4), 101.0) == []
    assert welcome(session) == []
    assert session.due == 111.0
    assert_closed(session.tick(111.0), Disconnect.STALE)


def test_a_connect_may_be_answered_by_a_disconnect():
    session = fresh()
    assert session.refused(Error.UNAUTHORIZED, 100.0) == []
    session.receive(commands.Connect(1), 100.0)
    assert_closed(
        session.refused(Disconnect.PERMISSION_DENIED, 100.0), Disconnect.PERMISSION_DENIED
    )
    assert session.refused(Error.UNAUTHORIZED, 100.0) == []


# --- Subscribing ------------------------------------------------------------------------------


def test_a_subscribe_is_answered_when_its_topic_is_open():
    session = ready()
    request = commands.Subscribe(2, "a", since=Position("e", 1), strict=True)
    assert session.receive(request, 100.0) == [Join("a", request)]
    assert not session.is_subscribed("a")
    result = messages.Subscribed(Position("e", 5))
    [reply] = session.subscribed(request, result, 100.0)
    assert_reply(reply, 2, result)
    assert session.is_subscribed("a")
    assert session.subscribed(request, result, 100.0) == []


def test_a_refused_subscribe_leaves_the_topic_free():
    session = ready()
    request = commands.Subscribe(2, "a")
    session.receive(request, 100.0)
    [reply] = session.not_subscribed(request, Error.PERMISSION_DENIED)
    assert_reply(reply, 2, Error.PERMISSION_DENIED)
    assert session.not_subscribed(request, Error.PERMISSION_DENIED) == []
    assert isinstance(session.receive(commands.Subscribe(3, "a"), 100.0)[0], Join)


def test_who_asks_again_for_a_topic_being_opened_hears_of_the_first_first():
    session, first = ready(), commands.Subscribe(2, "a")
    session.receive(first, 100.0)
    assert session.receive(commands.Subscribe(3, "a"), 100.0) == []
    begun, refused = session.subscribed(first, messages.Subscribed(), 100.0)
    assert_reply(begun, 2, messages.Subscribed())
    assert_reply(refused, 3, Error.ALREADY_SUBSCRIBED)


def test_who_asks_again_for_a_topic_that_was_refused_meanwhile_is_asked_about_again():
    session, first, again = ready(), commands.Subscribe(2, "a"), commands.Subscribe(3, "a")
    session.receive(first, 100.0)
    session.receive(again, 100.0)
    refused, join = session.not_subscribed(first, Error.INTERNAL)
    assert_reply(refused, 2, Error.INTERNAL)
    assert join == Join("a", again)


def test_a_topic_is_held_once_by_a_connection():
    [reply] = subscribed("a").receive(commands.Subscribe(3, "a"), 100.0)
    assert_reply(reply, 3, Error.ALREADY_SUBSCRIBED)


def test_a_connection_holds_so_many_topics_and_no_more():
    session = subscribed("a")
    for number, topic in enumerate("bc", 3):
        session.receive(commands.Subscribe(number, topic), 100.0)
    [reply] = session.receive(commands.Subscribe(5, "a"), 100.0)
    assert_reply(reply, 5, Error.ALREADY_SUBSCRIBED)
    [reply] = session.receive(commands.Subscribe(6, "d"), 100.0)
    assert_reply(reply, 6, Error.LIMIT_EXCEEDED)
    session.receive(commands.Unsubscribe(7, "a"), 100.0)
    assert isinstance(session.receive(commands.Subscribe(8, "d"), 100.0)[0], Join)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (commands.Subscribe(2, "a", kind=1), Error.NOT_AVAILABLE),
        (
            commands.Subscribe(2, "a", delta="fossil", filter=commands.Node(key="k", cmp="ex")),
            Error.BAD_REQUEST,
        ),
    ],
)
def test_what_this_server_has_not_is_refused(request_, error):
    [reply] = ready().receive(request_, 100.0)
    assert_reply(reply, 2, error)


def test_a_known_delta_is_no_fault_and_an_unknown_one_is():
    request = commands.Subscribe(2, "a", delta="fossil")
    assert ready().receive(request, 100.0) == [Join("a", request)]
    effects = ready().receive(commands.Subscribe(2, "a", delta="vcdiff"), 100.0)
    assert_closed(effects, Disconnect.BAD_REQUEST)


# --- Unsubscribing ----------------------------------------------------------------------------


def test_an_unsubscribe_is_always_answered():
    [reply] = ready().receive(commands.Unsubscribe(2, "a"), 100.0)
    assert_reply(reply, 2, messages.Unsubscribed())
    session = subscribed("a")
    [leave, reply] = session.receive(commands.Unsubscribe(3, "a"), 100.0)
    assert leave == Leave("a")
    assert_reply(reply, 3, messages.Unsubscribed())
    assert not session.is_subscribed("a")


def test_what_follows_an_unsubscribe_waits_for_the_subscribe_before_it():
    session = ready()
    old, new, other = (commands.Subscribe(n, name) for n, name in ((2, "a"), (4, "a"), (5, "b")))
    session.receive(old, 100.0)
    assert session.receive(commands.Unsubscribe(3, "a"), 100.0) == []
    assert session.receive(new, 100.0) == []
    assert session.receive(other, 100.0) == [Join("b", other)]  # waits for none
    [first, leave, left, join] = session.subscribed(old, messages.Subscribed(), 100.0)
    assert_reply(first, 2, messages.Subscribed())
    assert leave == Leave("a")
    assert_reply(left, 3, messages.Unsubscribed())
    assert join == Join("a", new)
    assert session.subscribed(old, messages.Subscribed(), 100.0) == []
    [reply] = session.subscribed(new, messages.Subscribed(), 100.0)
    assert_reply(reply, 4, messages.Subscribed())
    assert session.is_subscribed("a")


def test_it_waits_again_for_the_next_subscribe():
    session = ready()
    first, second = commands.Subscribe(2, "a"), commands.Subscribe(4, "a")
    session.receive(first, 100.0)
    for command in (commands.Unsubscribe(3, "a"), second, commands.Unsubscribe(5, "a")):
        assert session.receive(command, 100.0) == []
    [refused, left, join] = session.not_subscribed(first, Error.INTERNAL)
    assert_reply(refused, 2, Error.INTERNAL)
    assert_reply(left, 3, messages.Unsubscribed())
    assert join == Join("a", second)
    [_, leave, left] = session.subscribed(second, messages.Subscribed(), 100.0)
    assert leave == Leave("a")
    assert_reply(left, 5, messages.Unsubscribed())
    assert not session.is_subscribed("a")


def test_a_subscribe_that_the_server_refuses_meanwhile_lets_go_what_waits():
    session = ready()
    new = commands.Subscribe(4, "a")
    session.receive(commands.Subscribe(2, "a"), 100.0)
    session.receive(commands.Unsubscribe(3, "a"), 100.0)
    session.receive(new, 100.0)
    [leave, refused, left, join] = session.unsubscribe("a", Unsubscribe.SERVER)
    assert leave == Leave("a")
    assert_reply(refused, 2, Error.PERMISSION_DENIED)
    assert_reply(left, 3, messages.Unsubscribed())
    assert join == Join("a", new)


def test_a_fault_among_what_waits_is_the_end_and_nothing_follows():
    session = ready()
    first = commands.Subscribe(2, "a")
    session.receive(first, 100.0)
    session.receive(commands.Unsubscribe(3, "a"), 100.0)
    session.receive(commands.Subscribe(4, "a", delta="rsync"), 100.0)
    session.receive(commands.Subscribe(5, "a"), 100.0)
    effects = session.subscribed(first, messages.Subscribed(), 100.0)
    assert_closed(effects, Disconnect.BAD_REQUEST)


def test_so_many_wait_for_a_subscribe_and_no_more():
    session = ready()
    session.receive(commands.Subscribe(2, "a"), 100.0)
    for number in range(LIMITS.queued):
        assert session.receive(commands.Unsubscribe(3 + number, "a"), 100.0) == []
    effects = session.receive(commands.Unsubscribe(99, "a"), 100.0)
    assert_closed(effects, Disconnect.TOO_MANY_REQUESTS)


def test_the_server_may_end_a_subscription():
    session = subscribed("a")
    assert session.unsubscribe("a", Unsubscribe.SERVER) == [
        Leave("a"),
        Send(messages.UnsubscribePush("a", Unsubscribe.SERVER)),
    ]
    assert session.unsubscribe("a", Unsubscribe.SERVER) == []


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (Unsubscribe.SERVER, Error.PERMISSION_DENIED),
        (Unsubscribe.INSUFFICIENT_STATE, Error.INTERNAL),
    ],
)
def test_a_subscription_ended_before_its_reply_is_refused_and_not_pushed(reason, error):
    session = ready()
    session.receive(commands.Subscribe(2, "a"), 100.0)
    [leave, reply] = session.unsubscribe("a", reason)
    assert leave == Leave("a")
    assert_reply(reply, 2, error)


# --- What the world has to answer -------------------------------------------------------------

QUESTIONS = [
    (commands.Publish(5, "a", "{}"), messages.Published()),
    (commands.Presence(5, "a"), messages.Present({})),
    (commands.PresenceStats(5, "a"), messages.PresenceCount(1, 1)),
    (commands.History(5, "a"), messages.Recorded(Position("e", 1))),
    (commands.Rpc(5, "m"), messages.Returned("1")),
    (commands.SubRefresh(5, "a", "token"), messages.SubRefreshed(7)),
    (commands.Publish(5, "a", "{}"), Error.PERMISSION_DENIED),
    (commands.Rpc(5, "m"), messages.Failure(400, "no such order")),
]


@pytest.mark.parametrize(("command", "answer"), QUESTIONS)
def test_a_question_is_asked_and_answered_by_its_id(command, answer):
    session = subscribed("a")
    assert session.receive(command, 100.0) == [Ask(command)]
    [reply] = session.answered(command, answer, 101.0)
    assert_reply(reply, 5, answer)


def test_an_answer_after_the_end_is_not_said():
    session = ready()
    command = commands.Rpc(5, "m")
    session.receive(command, 100.0)
    session.close(Disconnect.SHUTDOWN)
    assert session.answered(command, messages.Returned(), 101.0) == []


@pytest.mark.parametrize(
    "command",
    [commands.Ping(5), commands.SubRefresh(5, "a", kind=1), commands.Publish(5, "a", kind=1)],
)
def test_what_this_server_has_not_is_not_available(command):
    [reply] = subscribed("a").receive(command, 100.0)
    assert_reply(reply, 5, Error.NOT_AVAILABLE)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (commands.SubRefresh(5, "b", "token"), Error.PERMISSION_DENIED),
        (commands.SubRefresh(5, "a"), Error.BAD_REQUEST),
    ],
)
def test_a_subscription_refresh_needs_a_subscription_and_a_token(command, error):
    [reply] = subscribed("a").receive(command, 100.0)
    assert_reply(reply, 5, error)


@pytest.mark.parametrize(
    "command",
    [
        commands.Subscribe(5, ""),
        commands.Unsubscribe(5, ""),
        commands.Publish(5, ""),
        commands.Presence(5, ""),
        commands.PresenceStats(5, ""),
        commands.History(5, ""),
        commands.SubRefresh(5, ""),
        commands.Refresh(5, "token"),
    ],
)
def test_a_command_without_its_channel_and_a_refresh_unasked_are_faults(command):
    assert_closed(ready().receive(command, 100.0), Disconnect.BAD_REQUEST)


def test_a_message_is_heard_and_not_answered():
    message = commands.Send("{}")
    assert ready().receive(message, 100.0) == [Hear(message)]


# --- What ends --------------------------------------------------------------------------------


def expiring(ttl_s=60):
    session = fresh()
    session.receive(commands.Connect(1, "token"), 100.0)
    welcome(session, ttl_s=ttl_s)
    return session


def pass_time(session, until):
    """A client that answers every ping."""
    said = []
    while session.due is not None and session.due <= until:
        now = session.due
        effects = session.tick(now)
        said += [effect for effect in effects if effect != Send(messages.PingPush())]
        if not session.closed:
            session.receive(commands.Pong(), now)
    return said


def test_a_client_that_does_not_renew_its_token_is_sent_away_after_a_grace():
    session = expiring()
    assert pass_time(session, 100.0 + 60 + GRACE_S - 0.1) == []
    assert_closed(pass_time(session, 100.0 + 60 + GRACE_S), Disconnect.EXPIRED)


def test_a_renewed_token_counts_from_its_renewal():
    session = expiring()
    refresh = commands.Refresh(5, "new")
    assert session.receive(refresh, 160.0) == [Ask(refresh)]
    session.answered(refresh, messages.Refreshed(ttl_s=60), 160.0)
    assert pass_time(session, 160.0 + 60 + GRACE_S - 0.1) == []
    assert_closed(pass_time(session, 160.0 + 60 + GRACE_S), Disconnect.EXPIRED)


def test_a_token_without_an_end_ends_the_renewing():
    session = expiring()
    refresh = commands.Refresh(5, "new")
    session.receive(refresh, 160.0)
    session.answered(refresh, messages.Refreshed(), 160.0)
    assert pass_time(session, 1e4) == []
    assert_closed(session.receive(refresh, 1e4), Disconnect.BAD_REQUEST)


def test_who_is_told_of_an_end_cannot_renew_it_with_nothing():
    assert_closed(expiring().receive(commands.Refresh(5), 110.0), Disconnect.BAD_REQUEST)


def test_a_subscription_that_is_not_renewed_is_ended_and_may_be_made_anew():
    session = subscribed("a", ttl_s=60)
    assert pass_time(session, 100.0 + 60 + GRACE_S) == [
        Leave("a"),
        Send(messages.UnsubscribePush("a", Unsubscribe.EXPIRED)),
    ]
    assert not session.closed


def test_a_renewed_subscription_counts_from_its_renewal():
    session = subscribed("a", ttl_s=60)
    command = commands.SubRefresh(5, "a", "token")
    session.receive(command, 150.0)
    session.answered(command, messages.SubRefreshed(60), 150.0)
    assert pass_time(session, 150.0 + 60 + GRACE_S - 0.1) == []
    assert pass_time(session, 150.0 + 60 + GRACE_S) != []


def test_a_subscription_left_meanwhile_is_not_renewed():
    session = subscribed("a", ttl_s=60)
    command = commands.SubRefresh(5, "a", "token")
    session.receive(command, 150.0)
    session.receive(commands.Unsubscribe(6, "a"), 150.0)
    due = session.due
    session.answered(command, messages.SubRefreshed(1), 50.0)
    assert session.due == due
    assert pass_time(session, 1e4) == []


# --- What the server subscribes ---------------------------------------------------------------


def given(topic="#5", ttl_s=None):
    session = fresh()
    session.receive(commands.Connect(1), 100.0)
    welcome(session, subs={topic: messages.Subscribed(ttl_s=ttl_s)})
    return session


def test_a_topic_given_at_the_connect_is_held():
    session = given("#5")
    assert session.is_subscribed("#5")
    [reply] = session.receive(commands.Subscribe(2, "#5"), 100.0)
    assert_reply(reply, 2, Error.ALREADY_SUBSCRIBED)


def test_a_topic_given_later_is_pushed_and_taken_back_by_a_push():
    session = ready()
    result = messages.Subscribed(Position("e", 5))
    assert session.subscribe("#5", result, 100.0) == [Send(messages.SubscribePush("#5", result))]
    assert session.subscribe("#5", result, 100.0) == []
    assert session.unsubscribe("#5", Unsubscribe.SERVER) == [
        Leave("#5"),
        Send(messages.UnsubscribePush("#5", Unsubscribe.SERVER)),
    ]


def test_nothing_is_given_before_the_connect_is_answered():
    assert fresh().subscribe("#5", messages.Subscribed(), 100.0) == []


def test_the_server_is_told_beforehand_what_a_client_cannot_be_given():
    assert ready().takes("b")
    assert not fresh().takes("b")
    assert not subscribed("a").takes("a")
    joining = ready()
    joining.receive(commands.Subscribe(2, "a"), 100.0)
    assert not joining.takes("a")
    full = ready()
    for topic in ("a", "b", "c"):
        full.subscribe(topic, messages.Subscribed(), 100.0)
    assert not full.takes("d")


def test_the_server_may_set_an_end():
    session = ready()
    session.ends_at = 110.0
    session.receive(commands.Pong(), 120.0)
    assert session.due <= 110.0 + GRACE_S
    assert_closed(session.tick(110.0 + GRACE_S), Disconnect.EXPIRED)


def test_an_application_ends_a_connection_in_its_own_words():
    own = messages.Dismissal(4001, "come back")
    assert_closed(ready().close(own), own)


def test_who_cannot_subscribe_again_by_itself_comes_back_instead():
    effects = given("#5").unsubscribe("#5", Unsubscribe.INSUFFICIENT_STATE)
    assert_closed(effects, Disconnect.INSUFFICIENT_STATE)


def test_a_given_topic_that_ends_ends_the_connection():
    session = given("#5", ttl_s=60)
    effects = pass_time(session, 100.0 + 60 + GRACE_S)
    assert_closed(effects, Disconnect.SUBSCRIPTION_EXPIRED)


def test_a_message_of_the_server_is_pushed_to_who_has_connected():
    assert ready().say("{}") == [Send(messages.MessagePush("{}"))]
    assert fresh().say("{}") == []


def test_after_the_end_nothing_is_said():
    session = subscribed("a")
    request = commands.Subscribe(3, "b")
    session.receive(request, 100.0)
    assert len(session.close(Disconnect.SHUTDOWN)) == 2
    assert session.close(Disconnect.SHUTDOWN) == []
    assert session.receive(commands.Unsubscribe(4, "a"), 100.0) == []
    assert session.subscribed(request, messages.Subscribed(), 100.0) == []
    assert session.unsubscribe("a", Unsubscribe.SERVER) == []
    assert session.tick(1e9) == []
    assert session.due is None
    assert not session.is_subscribed("a")


# --- Time -------------------------------------------------------------------------------------


def test_whoever_does_not_connect_in_time_is_stale():
    session = fresh()
    assert session.due == 110.0
    assert session.tick(109.9) == []
    assert_closed(session.tick(110.0), Disconnect.STALE)


def test_whoever_is_not_recognised_in_time_may_come_again():
    session = fresh()
    session.receive(commands.Connect(1), 105.0)
    assert session.tick(114.9) == []
    assert_closed(session.tick(115.0), Disconnect.INTERNAL)


def test_pings_go_out_whatever_else_is_said():
    session = ready()
    assert session.due == 120.0
    assert session.tick(119.0) == []
    assert session.tick(120.0) == [Send(messages.PingPush())]
    session.receive(commands.Pong(), 121.0)
    session.receive(commands.Rpc(2), 130.0)
    assert session.due == 145.0
    assert session.tick(145.5) == [Send(messages.PingPush())]
    session.receive(commands.Pong(), 146.0)
    assert session.due == 170.0


def test_a_late_clock_does_not_ping_twice():
    session = ready()
    assert session.tick(190.0) == [Send(messages.PingPush())]
    session.receive(commands.Pong(), 190.0)
    assert session.due == 215.0


def test_a_client_that_does_not_answer_a_ping_is_gone():
    session = ready()
    session.tick(120.0)
    session.receive(commands.Rpc(2), 127.0)  # only a pong is a pong
    assert session.due == 128.0
    assert session.tick(127.9) == []
    assert_closed(session.tick(128.0), Disconnect.NO_PONG)


def test_a_pong_nobody_asked_for_is_ignored():
    assert ready().receive(commands.Pong(), 100.0) == []


# --- Any order --------------------------------------------------------------------------------

TOPICS = st.sampled_from("abcd")
PAUSES = st.floats(0, 40)


class SessionMachine(RuleBasedStateMachine):
    """Any commands, facts and times in any order, watched as a client and as the hub see them."""

    @initialize(how=st.integers(0, 5))
    def begin(self, how):
        self.now = 0.0
        self.session = Session(limits=LIMITS, now=0.0)
        self.asked = {}  # id -> command, not yet answered
        self.number = 0
        self.authenticating = False
        self.refused = False
        self.joins = {}  # topic -> request, as the hub has it
        self.cancelled = []  # joins whose answer may still come
        self.questions = []  # of the world, not yet answered
        self.open = set()  # topics as the client has them
        self.given = set()  # those that it never asked for
        self.closing = self.closed = False
        if how > 0:
            self.ask(commands.Connect)
        if how > 1:
            self.recognise()

    def watch(self, effects):
        for effect in effects:
            assert not self.closed, "something after the close"
            match effect:
                case Send(message):
                    assert not self.closing, "something between the disconnect push and the close"
                    self.see(message)
                case Authenticate():
                    self.authenticating = True
                case Join(topic, request):
                    assert not self.authenticating
                    assert topic not in self.joins
                    assert topic == request.topic
                    assert self.asked[request.id] is request
                    self.joins[topic] = request
                case Ask(command):
                    assert not self.authenticating
                    self.questions.append(command)
                case Hear():
                    assert not self.authenticating
                case Leave(topic):
                    request = self.joins.pop(topic)
                    self.given.discard(topic)
                    if request is not None:
                        self.cancelled.append(request)
                case Close():
                    assert self.closing, "a close without its push"
                    self.closed = True
        assert self.closing == self.closed

    def see(self, message):
        match message:
            case messages.Reply(number, result):
                command = self.asked.pop(number)  # KeyError: a second reply for one id
                self.see_result(command, result)
            case messages.SubscribePush(topic):
                self.open.add(topic)
            case messages.UnsubscribePush(topic, reason):
                self.open.remove(topic)
                assert not (topic in self.given and reason.resubscribe), "it cannot come again"
            case messages.DisconnectPush():
                self.closing = True
            case messages.PingPush():
                assert not self.authenticating

    def see_result(self, command, result):
        assert not self.authenticating or isinstance(command, commands.Connect)
        match command, result:
            case commands.Connect(), messages.Connected():
                self.authenticating = False
            case commands.Connect(), Error():
                self.authenticating, self.refused = False, True
                self.asked.clear()  # the rest of what it sent is neither answered nor punished
            case commands.Subscribe(topic=topic), messages.Subscribed():
                assert topic not in self.open
                assert self.joins[topic] is command
                self.open.add(topic)
            case commands.Unsubscribe(topic=topic), messages.Unsubscribed():
                assert topic not in self.joins, "the hub would still push"
                self.open.discard(topic)
            case commands.Connect() | commands.Unsubscribe(), _:
                raise AssertionError(result)
            case _:
                assert isinstance(result, Error | messages.Returned | messages.SubRefreshed)

    def ask(self, make, *args, **kwargs):
        self.number += 1
        command = make(self.number, *args, **kwargs)
        if not self.closed and not self.refused:
            self.asked[self.number] = command
        self.watch(self.session.receive(command, self.now))

    # --- The client

    @rule(again=st.integers(0, 9))
    def connect(self, again):
        if self.number == 0 or again == 0:
            self.ask(commands.Connect)

    @rule(topic=TOPICS, kind=st.sampled_from([0, 0, 0, 1]))
    def subscribe(self, topic, kind):
        self.ask(commands.Subscribe, topic, kind=kind)

    @rule(topic=TOPICS)
    def unsubscribe(self, topic):
        self.ask(commands.Unsubscribe, topic)

    @rule(topic=TOPICS)
    def subscribe_and_think_better_of_it(self, topic):
        self.ask(commands.Subscribe, topic)
        self.ask(commands.Unsubscribe, topic)
        self.ask(commands.Subscribe, topic)

    @rule(kind=st.sampled_from([commands.Presence, commands.History, commands.Rpc]))
    def ask_for_more(self, kind):
        self.ask(kind, "a")

    @rule(topic=TOPICS, token=st.sampled_from(["", "t"]))
    def renew(self, topic, token):
        self.ask(commands.SubRefresh, topic, token)

    @rule()
    def pong(self):
        self.watch(self.session.receive(commands.Pong(), self.now))

    @rule(chance=st.integers(0, 19))
    def offend(self, chance):
        if chance == 0:
            self.watch(self.session.close(Disconnect.BAD_REQUEST))
        elif chance == 1:
            self.ask(commands.Refresh, "t")

    @rule()
    def speak(self):
        self.watch(self.session.receive(commands.Send(), self.now))

    # --- The engine

    @rule()
    def recognise(self):
        effects = welcome(self.session, self.now)
        assert bool(effects) == (self.authenticating and not self.closed)
        self.watch(effects)

    @rule(chance=st.integers(0, 9), why=st.sampled_from([Error.INTERNAL, Disconnect.FORCE]))
    def refuse(self, chance, why):
        if chance == 0:
            self.watch(self.session.refused(why, self.now))

    @rule(topic=TOPICS, well=st.booleans())
    def open_topic(self, topic, well):
        request = self.joins.get(topic)
        if request is None or topic in self.open:
            return
        if well:
            effects = self.session.subscribed(request, messages.Subscribed(), self.now)
        else:
            effects = self.session.not_subscribed(request, Error.PERMISSION_DENIED)
        assert bool(effects) != self.closed
        if not well:
            del self.joins[topic]
        self.watch(effects)

    @rule(data=st.data(), well=st.booleans())
    def open_what_was_left(self, data, well):
        if not self.cancelled:
            return
        request = data.draw(st.sampled_from(self.cancelled))
        if well:
            assert self.session.subscribed(request, messages.Subscribed(), self.now) == []
        else:
            assert self.session.not_subscribed(request, Error.INTERNAL) == []

    @rule(data=st.data(), ttl_s=st.none() | st.integers(1, 100), well=st.booleans())
    def answer(self, data, ttl_s, well):
        if not self.questions:
            return
        command = data.draw(st.sampled_from(self.questions))
        self.questions.remove(command)
        renewing = isinstance(command, commands.SubRefresh)
        answer = messages.SubRefreshed(ttl_s) if renewing else messages.Returned("1")
        answer = answer if well else Error.INTERNAL
        effects = self.session.answered(command, answer, self.now)
        assert bool(effects) != self.closed
        self.watch(effects)

    @rule(topic=TOPICS)
    def give(self, topic):
        """The server subscribes the client to a topic that it does not hold."""
        held = (
            topic in self.joins
            or len(self.joins) >= LIMITS.topics
            or self.number == 0
            or self.authenticating
            or self.refused
        )
        effects = self.session.subscribe(topic, messages.Subscribed(), self.now)
        assert bool(effects) != (held or self.closed)
        if effects:
            self.joins[topic] = None
            self.given.add(topic)
        self.watch(effects)

    @rule(topic=TOPICS, reason=st.sampled_from(Unsubscribe))
    def end(self, topic, reason):
        self.watch(self.session.unsubscribe(topic, reason))

    @rule(chance=st.integers(0, 29))
    def shut_down(self, chance):
        if chance == 0:
            self.watch(self.session.close(Disconnect.SHUTDOWN))

    @rule(passed=PAUSES)
    def wait(self, passed):
        due = self.session.due
        self.now += passed
        effects = self.session.tick(self.now)
        assert bool(effects) == (due is not None and due <= self.now)
        self.watch(effects)

    # --- What must hold

    @invariant()
    def the_session_knows_what_the_client_knows(self):
        assert self.session.closed == self.closed
        if not self.closed:
            assert self.open == {t for t in "abcd" if self.session.is_subscribed(t)}
            assert self.open <= self.joins.keys()
            assert len(self.joins) <= LIMITS.topics

    @invariant()
    def everything_asked_is_answered_or_under_way(self):
        if not self.closed and not self.authenticating:
            joining = {t: r for t, r in self.joins.items() if t not in self.open}
            under_way = {request.id for request in joining.values()}
            under_way |= {question.id for question in self.questions}
            assert under_way <= self.asked.keys()
            waiting = {}  # by topic, the first of them
            for number in sorted(self.asked.keys() - under_way):
                command = self.asked[number]
                waiting.setdefault(command.topic, command)
            for topic, command in waiting.items():
                assert isinstance(command, commands.Subscribe | commands.Unsubscribe)
                assert joining[topic].id < command.id

    def teardown(self):
        if hasattr(self, "session") and self.authenticating and not self.closed:
            self.recognise()
            self.everything_asked_is_answered_or_under_way()


SessionMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSession = SessionMachine.TestCase


def test_a_subscription_token_of_somebody_else_ends_the_connection():
    session = ready()
    request = commands.Subscribe(2, "a", token="another's")
    session.receive(request, 100.0)
    effects = session.not_subscribed(request, Disconnect.INVALID_TOKEN)
    assert_closed(effects, Disconnect.INVALID_TOKEN)
    assert session.not_subscribed(request, Disconnect.INVALID_TOKEN) == []
