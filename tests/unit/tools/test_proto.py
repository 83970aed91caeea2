"""The committed module is the one that `make proto` would make."""

from tools import proto


def test_the_messages_are_made_from_the_schema_as_it_is(tmp_path):
    made = proto.generate(tmp_path)
    assert {path.name: path.read_text() for path in made} == {
        path.name: path.read_text() for path in (proto.ROOT / name for name in proto.MADE)
    }, "client.proto has changed: run `make proto`"
