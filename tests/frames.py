"""What a client reads in a frame of either form, by the decoder of its own SDK."""

import base64
import json

from centrifuge import codecs
from centrifuge.protocol import client_pb2


def replies(frame):
    """The replies of a frame as dicts, in Protobuf with bytes where JSON has a value."""
    if isinstance(frame, str):
        return [json.loads(line) for line in frame.split("\n")]
    found, position = [], 0
    while position < len(frame):
        size, position = codecs._varint_decode(frame, position)
        assert position + size <= len(frame), "a message that ends too early"
        found.append(as_dict(client_pb2.Reply.FromString(frame[position : position + size])))
        position += size
    return found


def command(frame_of, said):
    """One command as the SDK frames it; `frame_of` is a text for JSON, bytes for Protobuf."""
    if frame_of is str:
        return codecs._JsonCodec.encode_commands([said])
    return codecs._ProtobufCodec.encode_commands([_in_base64(said)])


def readable(reply):
    """With the values that bytes are the JSON of: the same, whichever form it was read in."""
    if isinstance(reply, dict):
        return {key: readable(value) for key, value in reply.items()}
    if isinstance(reply, list):
        return [readable(value) for value in reply]
    if isinstance(reply, bytes):
        try:
            return json.loads(reply)
        except ValueError:
            return reply
    return reply


def _in_base64(said):
    """As the SDK takes data for Protobuf: the text of the JSON, or bytes."""
    if not isinstance(said, dict):
        return said
    return {
        key: _data(value) if key == "data" else _in_base64(value) for key, value in said.items()
    }


def _data(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.b64encode(data).decode()


def as_dict(message):
    """Only what is set, by its names in the schema."""
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field, value):
    if field.message_type is None:
        return list(value) if _is_list(field) else value
    if field.message_type.GetOptions().map_entry:
        of_values = field.message_type.fields_by_name["value"]
        return {key: _value(of_values, each) for key, each in value.items()}
    return [as_dict(each) for each in value] if _is_list(field) else as_dict(value)


def _is_list(field):
    return field.is_repeated


class Undelta:
    """Keeps the base of a subscription's deltas, as the SDK does, and gives the true data."""

    def __init__(self):
        self.base = b""

    def data(self, pub):
        """The data of a publication of a subscription that negotiated deltas."""
        said = pub["data"]
        said = said.encode() if isinstance(said, str) else said
        assert isinstance(said, bytes), f"deltas need data as a text: {pub}"
        self.base = codecs.apply_delta(self.base, said) if pub.get("delta") else said
        return bytes(self.base)
