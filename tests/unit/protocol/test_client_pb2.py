"""Our messages, number by number, are those that the SDKs have; and both live in one process."""

import pytest
from centrifuge.protocol import client_pb2 as sdk
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto

from realtime.protocol import client_pb2 as ours

# Younger than the SDK: name, number and type of what a client may set and this server passes over.
LATER = {
    "Publication": "key 11 string, removed 12 bool, score 13 sint64, epoch 14 string, "
    "prev_data 15 bytes, version 16 uint64",
    "ConnectRequest": "dict 8 string, profile 9 string",
    "ConnectResult": "flag 12 int64, dict 13 Dictionary",
    "SubscribeRequest": "type 15 int32, phase 16 int32, cursor 17 string, limit 18 int32, "
    "asc 19 bool",
    "SubscribeResult": "type 15 int32, phase 16 int32, cursor 17 string, state 18 *Publication, "
    "publish_debounce 19 uint32",
    "SubRefreshRequest": "type 3 int32, track 4 *TrackBatch, untrack 5 *string",
    "SubRefreshResult": "items 3 *Publication",
    "PublishRequest": "type 3 int32, key 4 string, removed 5 bool",
    "Dictionary": "id 1 string, data 2 bytes, data_b64 3 string",
    "KeyedItem": "key 1 string, version 2 uint64",
    "TrackBatch": "signature 1 string, items 2 *KeyedItem",
}
RESERVED = {
    "Command": [2, 3],
    "Reply": [3],
    "Push": [3],
    "Publication": [1, 2, 3],
    "Unsubscribe": [1],
    "Subscribe": [2, 3],
    "SubscribeRequest": [4, 5],
    "SubscribeResult": [4, 5],
    "HistoryRequest": [2, 3, 4, 5, 6],
}
SCALARS = {
    getattr(FieldDescriptor, f"TYPE_{name.upper()}"): name
    for name in ["bool", "bytes", "int32", "int64", "sint64", "string", "uint32", "uint64"]
}


def written(field):
    """`name number type` of a field; a map is a repeated entry, which is compared like the rest."""
    kind = field.message_type.name if field.message_type else SCALARS[field.type]
    star = "*" if field.is_repeated else ""
    return f"{field.name} {field.number} {star}{kind}"


def messages(file):
    """Every message of the file and every entry of its maps: name -> fields as written."""
    found, left = {}, list(file.message_types_by_name.values())
    while left:
        message = left.pop()
        found[message.name] = {written(field) for field in message.fields}
        left += message.nested_types
    return found


def test_every_message_has_the_fields_that_clients_know_and_those_that_come_later():
    expected = messages(sdk.DESCRIPTOR)
    for name, fields in LATER.items():
        expected[name] = expected.get(name, set()) | set(fields.split(", "))
    assert messages(ours.DESCRIPTOR) == expected


@pytest.mark.parametrize("name", ours.DESCRIPTOR.message_types_by_name)
def test_numbers_that_meant_something_else_are_never_given_again(name):
    made = DescriptorProto()
    ours.DESCRIPTOR.message_types_by_name[name].CopyToProto(made)
    numbers = [number for gap in made.reserved_range for number in range(gap.start, gap.end)]
    assert numbers == RESERVED.get(name, [])


def test_no_field_excludes_another():
    assert not any(m.oneofs for m in ours.DESCRIPTOR.message_types_by_name.values())


def test_what_a_client_says_is_what_the_server_reads():
    said = sdk.Command(
        id=7,
        subscribe=sdk.SubscribeRequest(
            channel="tickers:BTC",
            recover=True,
            epoch="abcdefgh",
            offset=2**64 - 1,
            flag=3,
            tf=sdk.FilterNode(op="not", nodes=[sdk.FilterNode(key="lang", cmp="eq", val="ü")]),
        ),
    )
    read = ours.Command.FromString(said.SerializeToString())
    assert read.subscribe.offset == 2**64 - 1
    assert read.subscribe.tf.nodes[0].val == "ü"
    assert read.SerializeToString() == said.SerializeToString()


def test_what_a_newer_client_says_is_read_and_passed_over():
    said = ours.Command(id=7, connect=ours.ConnectRequest(token="t", dict="d", profile="p"))
    assert sdk.Command.FromString(said.SerializeToString()).connect.token == "t"


def test_a_ping_is_no_byte_and_a_limit_of_minus_one_is_ten():
    assert ours.Reply().SerializeToString() == b""
    assert ours.HistoryRequest(limit=-1).SerializeToString() == b"\x38" + b"\xff" * 9 + b"\x01"
