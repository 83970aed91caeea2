"""What a form of the protocol does: frames into commands, replies and pushes into frames."""

from collections.abc import Iterable
from typing import Protocol

from realtime.protocol.commands import Command
from realtime.protocol.messages import Message, Publication

Frame = str | bytes
REFUSE_UNRECOVERED = 2  # a bit of SubscribeRequest.flag


class Malformed(ValueError):  # noqa: N818 - it names the frame, not the mishap
    """The frame is not what the protocol calls a frame."""


class Inappropriate(ValueError):  # noqa: N818 - as above
    """What is to be said cannot be said in this form: bytes, to a client that reads JSON."""


class Codec(Protocol):
    """`codec.text` and `codec.binary` are the two there are. `NAME`: the WebSocket subprotocol."""

    NAME: str

    def decode(self, frame: Frame, max_commands: int) -> list[Command]:
        """The commands of a frame in their order; raises Malformed for anything that is not one."""

    def encode(self, message: Message) -> Frame:
        """One object, which is also a whole frame. Raises Inappropriate."""

    def batch(self, frames: Iterable[Frame]) -> Frame:
        """Several encoded objects as one frame."""

    def publication_push(
        self,
        topic: str,
        publication: Publication,
        *,
        quoted: bool = False,
        delta: bytes | None = None,
    ) -> Frame:
        """The frame that every connection of the topic gets. Raises Inappropriate.

        `quoted`: to those who negotiated deltas data goes as a text; `delta`: as the difference to
        the publication before.
        """
