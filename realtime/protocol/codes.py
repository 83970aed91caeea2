"""The numbers of the protocol, each named once with its text and what the client does on it.

A disconnect below 3500 makes the client reconnect, from 3500 on it stays away; an unsubscribe below
2500 ends the subscription, from 2500 on the client subscribes again at once. Texts are never empty
and at most 32 bytes: clients judge by the close reason, and an empty one reads as "try again".
Source: protocol.md, section 3.
"""

from enum import Enum

_FIRST_TERMINAL_DISCONNECT = 3500
_FIRST_TEMPORARY_UNSUBSCRIBE = 2500


class Error(Enum):
    """Why a command was refused; the connection lives on."""

    INTERNAL = (100, "internal server error", True)
    UNAUTHORIZED = (101, "unauthorized", False)
    UNKNOWN_CHANNEL = (102, "unknown channel", False)
    PERMISSION_DENIED = (103, "permission denied", False)
    METHOD_NOT_FOUND = (104, "method not found", False)
    ALREADY_SUBSCRIBED = (105, "already subscribed", False)
    LIMIT_EXCEEDED = (106, "limit exceeded", False)
    BAD_REQUEST = (107, "bad request", False)
    NOT_AVAILABLE = (108, "not available", False)
    TOKEN_EXPIRED = (109, "token expired", False)
    EXPIRED = (110, "expired", False)
    TOO_MANY_REQUESTS = (111, "too many requests", True)
    UNRECOVERABLE_POSITION = (112, "unrecoverable position", False)

    def __init__(self, number: int, text: str, temporary: bool) -> None:  # noqa: FBT001 - the rows above are the call
        self.number = number
        self.text = text
        self.temporary = temporary


class Disconnect(Enum):
    """Why a connection ends: sent as a push first, then as the close code."""

    SHUTDOWN = (3001, "shutdown")
    INTERNAL = (3004, "internal server error")
    EXPIRED = (3005, "connection expired")
    SUBSCRIPTION_EXPIRED = (3006, "subscription expired")
    SLOW = (3008, "slow")
    WRITE_ERROR = (3009, "write error")
    INSUFFICIENT_STATE = (3010, "insufficient state")
    FORCE_RECONNECT = (3011, "force reconnect")
    NO_PONG = (3012, "no pong")
    TOO_MANY_REQUESTS = (3013, "too many requests")
    INVALID_TOKEN = (3500, "invalid token")
    BAD_REQUEST = (3501, "bad request")
    STALE = (3502, "stale")
    FORCE = (3503, "force disconnect")
    CONNECTION_LIMIT = (3504, "connection limit")
    CHANNEL_LIMIT = (3505, "channel limit")
    INAPPROPRIATE_PROTOCOL = (3506, "inappropriate protocol")
    PERMISSION_DENIED = (3507, "permission denied")
    NOT_AVAILABLE = (3508, "not available")

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.text = text

    @property
    def reconnect(self) -> bool:
        return self.number < _FIRST_TERMINAL_DISCONNECT


class Unsubscribe(Enum):
    """Why the server ends a subscription; pushed after it is gone on the server."""

    SERVER = (2000, "server unsubscribe")
    INSUFFICIENT_STATE = (2500, "insufficient state")
    EXPIRED = (2501, "subscription expired")

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.text = text

    @property
    def resubscribe(self) -> bool:
        return self.number >= _FIRST_TEMPORARY_UNSUBSCRIBE
