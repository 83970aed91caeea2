"""The bytes of every command, reply and push in both forms, one row for each.

The Protobuf ones were made by the SDK's own module from the JSON ones, and then written down.
"""

from realtime.protocol.codes import Disconnect, Error, Unsubscribe
from realtime.protocol.commands import (
    Connect,
    History,
    Node,
    Ping,
    Pong,
    Presence,
    PresenceStats,
    Publish,
    Refresh,
    Rpc,
    Send,
    SubRefresh,
    Subscribe,
)
from realtime.protocol.commands import Unsubscribe as Leave
from realtime.protocol.messages import (
    ClientInfo,
    Connected,
    DisconnectPush,
    Dismissal,
    Failure,
    JoinPush,
    LeavePush,
    MessagePush,
    PingPush,
    Position,
    PresenceCount,
    Present,
    Publication,
    PublicationPush,
    Published,
    Recorded,
    Refreshed,
    Reply,
    Returned,
    SubRefreshed,
    Subscribed,
    SubscribePush,
    Unsubscribed,
    UnsubscribePush,
)

DATA = '{"n":1}'
ADA = ClientInfo("c1", "5", '{"a":1}', "[2]")
INFO = '"info":{"user":"5","client":"c1","conn_info":{"a":1},"chan_info":[2]}'
ABOUT = f'{{{INFO},"tags":{{"lang":"de"}}}}'


def plain(offset):
    return Publication(offset, DATA, None, "p", 0, 0)


SUBS = {"a": Subscribe(1, "a", since=Position("abcd", 7))}
FILTER = Node(
    "and",
    nodes=(
        Node(key="k", cmp="eq", val="v"),
        Node("not", nodes=(Node(key="n", cmp="in", vals=("1", "2")),)),
    ),
)
PUB = Publication(5, DATA, None, "p", 0, 0, ABOUT)

# name: the command, its frame in JSON, its frame in Protobuf
COMMANDS = {
    "connect": (
        Connect(1),
        '{"id":1,"connect":{}}',
        bytes.fromhex("0408012200"),
    ),
    "connect in full": (
        Connect(
            1, "t", '{"a": 1}', "js", "5.8", {"a": Subscribe(1, "a", since=Position("abcd", 7))}
        ),
        (
            '{"id":1,"connect":{"token":"t","data":{"a": 1},"subs":{"a":{"recover":tr'
            'ue,"epoch":"abcd","offset":7}},"name":"js","version":"5.8"}}'
        ),
        bytes.fromhex(
            "2b080122270a017412087b2261223a20317d1a0f0a0161120a1801320461626364380722"
            "026a732a03352e38"
        ),
    ),
    "subscribe": (
        Subscribe(2, "inbox:#1"),
        '{"id":2,"subscribe":{"channel":"inbox:#1","flag":1}}',
        bytes.fromhex("1008022a0c0a08696e626f783a23317001"),
    ),
    "subscribe in full": (
        Subscribe(
            id=2,
            topic="é",
            token="t",
            since=Position("abcd", 9007199254740993),
            strict=True,
            data="[1]",
            positioned=True,
            recoverable=True,
            join_leave=True,
            delta="fossil",
            filter=FILTER,
        ),
        (
            '{"id":2,"subscribe":{"channel":"é","token":"t","recover":true,"epoch":"a'
            'bcd","offset":9007199254740993,"data":[1],"positioned":true,"recoverable'
            '":true,"join_leave":true,"delta":"fossil","tf":{"op":"and","nodes":[{"ke'
            'y":"k","cmp":"eq","val":"v"},{"op":"not","nodes":[{"key":"n","cmp":"in",'
            '"vals":["1","2"]}]}]},"flag":3}}'
        ),
        bytes.fromhex(
            "5a08022a560a02c3a9120174180132046162636438818080808080801042035b315d4801"
            "500158016206666f7373696c6a270a03616e64320a12016b1a02657122017632140a036e"
            "6f74320d12016e1a02696e2a01312a01327003"
        ),
    ),
    "unsubscribe": (
        Leave(3, "a"),
        '{"id":3,"unsubscribe":{"channel":"a"}}',
        bytes.fromhex("07080332030a0161"),
    ),
    "publish": (
        Publish(4, "a", DATA),
        '{"id":4,"publish":{"channel":"a","data":{"n":1}}}',
        bytes.fromhex("1008043a0c0a016112077b226e223a317d"),
    ),
    "presence": (
        Presence(5, "a"),
        '{"id":5,"presence":{"channel":"a"}}',
        bytes.fromhex("07080542030a0161"),
    ),
    "presence stats": (
        PresenceStats(6, "a"),
        '{"id":6,"presence_stats":{"channel":"a"}}',
        bytes.fromhex("0708064a030a0161"),
    ),
    "history": (
        History(7, "a"),
        '{"id":7,"history":{"channel":"a"}}',
        bytes.fromhex("07080752030a0161"),
    ),
    "history in full": (
        History(7, "a", -1, Position("e", 3), reverse=True),
        (
            '{"id":7,"history":{"channel":"a","limit":-1,"since":{"offset":3,"epoch":'
            '"e"},"reverse":true}}'
        ),
        bytes.fromhex("1b080752170a016138ffffffffffffffffff01420508031201654801"),
    ),
    "ping": (
        Ping(8),
        '{"id":8,"ping":{}}',
        bytes.fromhex("0408085a00"),
    ),
    "send": (
        Send('{"n":1}'),
        '{"send":{"data":{"n":1}}}',
        bytes.fromhex("0b62090a077b226e223a317d"),
    ),
    "rpc": (
        Rpc(10, "m", DATA),
        '{"id":10,"rpc":{"data":{"n":1},"method":"m"}}',
        bytes.fromhex("10080a6a0c0a077b226e223a317d12016d"),
    ),
    "refresh": (
        Refresh(11, "t"),
        '{"id":11,"refresh":{"token":"t"}}',
        bytes.fromhex("07080b72030a0174"),
    ),
    "sub_refresh": (
        SubRefresh(4294967295, "a", "t"),
        '{"id":4294967295,"sub_refresh":{"channel":"a","token":"t"}}',
        bytes.fromhex("0e08ffffffff0f7a060a0161120174"),
    ),
    "pong": (
        Pong(),
        "{}",
        bytes.fromhex("00"),
    ),
}

# name: the message, its frame in JSON, its frame in Protobuf
MESSAGES = {
    "connect": (
        Reply(1, Connected("c1", "0.1.0")),
        ('{"id":1,"connect":{"client":"c1","version":"0.1.0","ping":25,"pong":true}}'),
        bytes.fromhex("1308012a0f0a0263311205302e312e3038194001"),
    ),
    "connect in full": (
        Reply(
            1,
            Connected(
                "c1",
                "0.1.0",
                '{"n":1}',
                10,
                ttl_s=300,
                session="s",
                node="n",
                subs={"#5": Subscribed(Position("abcd", 4))},
            ),
        ),
        (
            '{"id":1,"connect":{"client":"c1","version":"0.1.0","expires":true,"ttl":'
            '300,"data":{"n":1},"subs":{"#5":{"recoverable":true,"epoch":"abcd","offs'
            'et":4,"positioned":true}},"ping":10,"pong":true,"session":"s","node":"n"'
            "}}"
        ),
        bytes.fromhex(
            "3b08012a370a0263311205302e312e30180120ac022a077b226e223a317d32120a022335"
            "120c180132046162636448045001380a40014a017352016e"
        ),
    ),
    "subscribe": (
        Reply(2, Subscribed()),
        '{"id":2,"subscribe":{}}',
        bytes.fromhex("0408023200"),
    ),
    "subscribe in full": (
        Reply(
            2,
            Subscribed(
                Position("abcd", 4),
                recovered=True,
                was_recovering=True,
                publications=(PUB, plain(6)),
                data='{"n":1}',
                ttl_s=60,
            ),
        ),
        (
            '{"id":2,"subscribe":{"expires":true,"ttl":60,"recoverable":true,"epoch":'
            '"abcd","publications":[{"data":{"n":1},"info":{"user":"5","client":"c1",'
            '"conn_info":{"a":1},"chan_info":[2]},"tags":{"lang":"de"},"offset":5},{"'
            'data":{"n":1},"offset":6}],"recovered":true,"offset":4,"positioned":true'
            ',"data":{"n":1},"was_recovering":true}}'
        ),
        bytes.fromhex(
            "5e0802325a0801103c18013204616263643a2e22077b226e223a317d2a150a0135120263"
            "311a077b2261223a317d22035b325d30053a0a0a046c616e67120264653a0b22077b226e"
            "223a317d30064001480450015a077b226e223a317d6001"
        ),
    ),
    "subscribe with deltas": (
        Reply(2, Subscribed(delta=True)),
        '{"id":2,"subscribe":{"delta":true}}',
        bytes.fromhex("06080232026801"),
    ),
    "unsubscribe": (
        Reply(3, Unsubscribed()),
        '{"id":3,"unsubscribe":{}}',
        bytes.fromhex("0408033a00"),
    ),
    "publish": (
        Reply(4, Published()),
        '{"id":4,"publish":{}}',
        bytes.fromhex("0408044200"),
    ),
    "presence": (
        Reply(5, Present({"c1": ADA})),
        (
            '{"id":5,"presence":{"presence":{"c1":{"user":"5","client":"c1","conn_inf'
            'o":{"a":1},"chan_info":[2]}}}}'
        ),
        bytes.fromhex("2108054a1d0a1b0a02633112150a0135120263311a077b2261223a317d22035b325d"),
    ),
    "presence stats": (
        Reply(6, PresenceCount(2, 1)),
        '{"id":6,"presence_stats":{"num_clients":2,"num_users":1}}',
        bytes.fromhex("080806520408021001"),
    ),
    "history": (
        Reply(7, Recorded(Position("abcd", 5), (PUB,))),
        (
            '{"id":7,"history":{"publications":[{"data":{"n":1},"info":{"user":"5","c'
            'lient":"c1","conn_info":{"a":1},"chan_info":[2]},"tags":{"lang":"de"},"o'
            'ffset":5}],"epoch":"abcd","offset":5}}'
        ),
        bytes.fromhex(
            "3c08075a380a2e22077b226e223a317d2a150a0135120263311a077b2261223a317d2203"
            "5b325d30053a0a0a046c616e67120264651204616263641805"
        ),
    ),
    "rpc": (
        Reply(10, Returned('{"n":1}')),
        '{"id":10,"rpc":{"data":{"n":1}}}',
        bytes.fromhex("0d080a6a090a077b226e223a317d"),
    ),
    "rpc of nothing": (
        Reply(10, Returned()),
        '{"id":10,"rpc":{}}',
        bytes.fromhex("04080a6a00"),
    ),
    "refresh": (
        Reply(11, Refreshed("c1", "0.1.0", 300)),
        ('{"id":11,"refresh":{"client":"c1","version":"0.1.0","expires":true,"ttl":300}}'),
        bytes.fromhex("14080b72100a0263311205302e312e30180120ac02"),
    ),
    "refresh without an end": (
        Reply(11, Refreshed()),
        '{"id":11,"refresh":{}}',
        bytes.fromhex("04080b7200"),
    ),
    "sub_refresh": (
        Reply(12, SubRefreshed(60)),
        '{"id":12,"sub_refresh":{"expires":true,"ttl":60}}',
        bytes.fromhex("08080c7a040801103c"),
    ),
    "error": (
        Reply(13, Error.PERMISSION_DENIED),
        '{"id":13,"error":{"code":103,"message":"permission denied"}}',
        bytes.fromhex("19080d1215086712117065726d697373696f6e2064656e696564"),
    ),
    "error for now": (
        Reply(13, Error.INTERNAL),
        ('{"id":13,"error":{"code":100,"message":"internal server error","temporary":true}}'),
        bytes.fromhex("1f080d121b08641215696e7465726e616c20736572766572206572726f721801"),
    ),
    "error of an app": (
        Reply(4294967295, Failure(460, "sold out")),
        '{"id":4294967295,"error":{"code":460,"message":"sold out"}}',
        bytes.fromhex("1508ffffffff0f120d08cc031208736f6c64206f7574"),
    ),
    "publication": (
        PublicationPush("a", PUB),
        (
            '{"push":{"channel":"a","pub":{"data":{"n":1},"info":{"user":"5","client"'
            ':"c1","conn_info":{"a":1},"chan_info":[2]},"tags":{"lang":"de"},"offset"'
            ":5}}}"
        ),
        bytes.fromhex(
            "352233120161222e22077b226e223a317d2a150a0135120263311a077b2261223a317d22"
            "035b325d30053a0a0a046c616e6712026465"
        ),
    ),
    "publication nobody keeps": (
        PublicationPush("é", plain(0)),
        '{"push":{"channel":"é","pub":{"data":{"n":1}}}}',
        bytes.fromhex("11220f1202c3a9220922077b226e223a317d"),
    ),
    "join": (
        JoinPush("a", ADA),
        (
            '{"push":{"channel":"a","join":{"info":{"user":"5","client":"c1","conn_in'
            'fo":{"a":1},"chan_info":[2]}}}}'
        ),
        bytes.fromhex("1e221c1201612a170a150a0135120263311a077b2261223a317d22035b325d"),
    ),
    "leave": (
        LeavePush("a", ClientInfo("c2", "7")),
        '{"push":{"channel":"a","leave":{"info":{"user":"7","client":"c2"}}}}',
        bytes.fromhex("10220e12016132090a070a013712026332"),
    ),
    "subscribed by the server": (
        SubscribePush("a", Subscribed(Position("abcd", 4), data='{"n":1}')),
        (
            '{"push":{"channel":"a","subscribe":{"recoverable":true,"epoch":"abcd","o'
            'ffset":4,"positioned":true,"data":{"n":1}}}}'
        ),
        bytes.fromhex("1c221a1201614a150801220461626364280430013a077b226e223a317d"),
    ),
    "subscribed to what nobody keeps": (
        SubscribePush("a", Subscribed()),
        '{"push":{"channel":"a","subscribe":{}}}',
        bytes.fromhex("0722051201614a00"),
    ),
    "unsubscribed": (
        UnsubscribePush("a", Unsubscribe.INSUFFICIENT_STATE),
        ('{"push":{"channel":"a","unsubscribe":{"code":2500,"reason":"insufficient state"}}}'),
        bytes.fromhex("1e221c1201613a1710c4131a12696e73756666696369656e74207374617465"),
    ),
    "message": (
        MessagePush('{"n":1}'),
        '{"push":{"message":{"data":{"n":1}}}}',
        bytes.fromhex("0d220b42090a077b226e223a317d"),
    ),
    "disconnect": (
        DisconnectPush(Disconnect.BAD_REQUEST),
        '{"push":{"disconnect":{"code":3501,"reason":"bad request"}}}',
        bytes.fromhex("1422125a1008ad1b120b6261642072657175657374"),
    ),
    "dismissal": (
        DisconnectPush(Dismissal(4001, "come back")),
        '{"push":{"disconnect":{"code":4001,"reason":"come back"}}}',
        bytes.fromhex("1222105a0e08a11f1209636f6d65206261636b"),
    ),
    "ping": (
        PingPush(),
        "{}",
        bytes.fromhex("00"),
    ),
}
