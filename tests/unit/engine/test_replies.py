"""What a request of the server API is answered."""

from realtime.engine.exceptions import BadRequest, Forbidden, Unavailable, UnknownTopic
from realtime.engine.placing import Placed
from realtime.engine.replies import Begun, refusal
from realtime.protocol.messages import Position

HERE = Placed("a", 7, Position("", 2))
WHERE = {HERE: Position("epoch", 3)}


def test_an_error_has_the_protocols_code_and_says_what_is_wrong():
    assert refusal(BadRequest("`data` is missing")) == {
        "error": {"code": 107, "message": "bad request: `data` is missing"}
    }
    assert refusal(Forbidden())["error"]["code"] == 103
    assert refusal(UnknownTopic())["error"]["code"] == 102
    assert refusal(Unavailable())["error"]["code"] == 100


def test_a_result_bears_the_name_of_its_method():
    assert Begun("result", {"a": 1}).reply({}) == {"result": {"a": 1}}
    assert Begun("info", Forbidden("no")).reply({})["error"]["code"] == 103


def test_a_publication_is_told_its_place_where_that_is_known():
    assert Begun("publish", [HERE], alone=True).reply(WHERE) == {
        "publish": {"offset": 3, "epoch": "epoch"}
    }
    assert Begun("publish", [HERE], alone=True).reply({}) == {"publish": {}}
    assert Begun("publish", [UnknownTopic()], alone=True).reply({})["error"]["code"] == 102


def test_a_broadcast_is_answered_topic_by_topic():
    begun = Begun("result", [HERE, BadRequest("b"), Placed("c")])
    assert begun.placed == [HERE, Placed("c")]
    responses = begun.reply(WHERE)["result"]["responses"]
    assert [one.get("result", one.get("error", {}).get("code")) for one in responses] == [
        {"offset": 3, "epoch": "epoch"},
        107,
        {},
    ]
