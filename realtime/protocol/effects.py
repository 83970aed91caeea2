"""What a session wants done; the connection does it, in the order given.

`size`: about how many bytes the command had.
"""

from dataclasses import dataclass, field

from realtime.protocol import commands, messages


@dataclass(frozen=True, slots=True)
class Send:
    """Put this on the wire, behind everything sent before."""

    message: messages.Message


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Find out who this is, then call `Session.connected` or `Session.refused`."""

    command: commands.Connect
    size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Join:
    """Open the topic, then call `Session.subscribed` or `Session.not_subscribed`, with `request`.

    Pushes of the topic wait until the reply is sent.
    """

    topic: str
    request: commands.Subscribe
    size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Leave:
    """Forget the topic: no push of it may follow. Also ends a Join that is still under way."""

    topic: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Find the answer, then call `Session.answered` with this command."""

    command: commands.Question
    size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Hear:
    """The client has sent a message; nobody waits for an answer."""

    command: commands.Send
    size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket with this code; the push that announces it was sent before."""

    reason: messages.Ending


Effect = Send | Authenticate | Join | Leave | Ask | Hear | Close
