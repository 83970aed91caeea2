"""The errors of the engine, one tree; the docstring of a class is its default message.

TocsinError
├── DeclarationError          a topic class that cannot work
├── TopicError
│   ├── UnknownTopic          102
│   └── BadTopic              107
├── PublishError              data that cannot be published
├── TriggerError              the triggers of the database are not what they should be
├── EpochChanged              112, the log was begun anew
├── RequestError              of the server API
│   ├── BadRequest            107
│   ├── Forbidden             103, the key is not for that
│   ├── TooMany               106
│   └── NotAvailable          108
├── TokenError
│   ├── InvalidToken          3500 on connect, 103 on subscribe
│   └── ExpiredToken          109, the client brings a new one
└── Unavailable               100, the answer is not there in time; ask again
"""


class TocsinError(Exception):
    """Something went wrong in Tocsin."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class DeclarationError(TocsinError):
    """A topic is declared in a way that cannot work."""


class TopicError(TocsinError):
    """No topic can be meant by this name."""


class UnknownTopic(TopicError):  # noqa: N818  (the name says what the topic is)
    """The topic matches no declared namespace or template."""


class BadTopic(TopicError):  # noqa: N818
    """The name of the topic is not in its canonical form."""


class PublishError(TocsinError):
    """The data cannot be published."""


class TriggerError(TocsinError):
    """The triggers of the database are not what they should be."""


class EpochChanged(TocsinError):  # noqa: N818
    """The log was begun anew since this position."""


class RequestError(TocsinError):
    """The request cannot be fulfilled."""


class BadRequest(RequestError):  # noqa: N818
    """The request cannot be read."""


class Forbidden(RequestError):  # noqa: N818
    """The API key is not for this."""


class TooMany(RequestError):  # noqa: N818
    """There is more of it than can be told."""


class NotAvailable(RequestError):  # noqa: N818
    """The topic's declaration does not provide for it."""


class TokenError(TocsinError):
    """The token opens nothing."""


class InvalidToken(TokenError):  # noqa: N818
    """The token is malformed, signed by nobody known here, or for something else."""


class ExpiredToken(TokenError):  # noqa: N818
    """The token has expired, or is not valid yet."""


class Unavailable(TocsinError):  # noqa: N818
    """The answer is not there in time; ask again."""
