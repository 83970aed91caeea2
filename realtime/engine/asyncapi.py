"""The live topics as an AsyncAPI 3.0 document, made from their declarations.

A channel of it is a topic, a message the `data` of a publication; the frames around them are those
of the Centrifuge protocol (docs/reference/protocol.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

from realtime.engine import canon, schemas, topics
from realtime.engine.names import LIMIT
from realtime.protocol.codec import binary, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realtime.engine.names import Template
    from realtime.engine.topics import Topic

Node = dict[str, Any]

ABOUT = (
    "Every channel here is a topic: what a client subscribes to, by its name, within one "
    "connection that speaks the Centrifuge protocol; any of its SDKs does. A message is the "
    "`data` of a publication. Values in a topic's name are percent-encoded, all but "
    "A-Z a-z 0-9 _ . - ~."
)
SNAPSHOT = "What a subscription begins with that was not recovered: the `data` of its reply."
SCHEMES: Mapping[str, Node] = {
    "session": {
        "type": "httpApiKey",
        "in": "cookie",
        "description": "The Django session of a page whose origin is this site's.",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A connection token, sent in the first command; "
        "a subscription token opens one topic.",
    },
}

COMMANDS = "what a client says goes to /emulation. https where a proxy ends TLS."
SERVERS: Mapping[str, Node] = {
    "websocket": {
        "pathname": "/connection/websocket",
        "protocol": "ws",
        "description": "wss where a proxy ends TLS. Without a subprotocol it speaks JSON.",
        "x-subprotocols": [text.NAME, binary.NAME],
    },
    "http_stream": {
        "pathname": "/connection/http_stream",
        "protocol": "http",
        "description": f"HTTP streaming, JSON or Protobuf; {COMMANDS}",
    },
    "sse": {
        "pathname": "/connection/sse",
        "protocol": "http",
        "description": f"Server-Sent Events, JSON; {COMMANDS}",
    },
}


def document(declarations: Mapping[str, Topic], version: str) -> Node:
    """Of these topics, by namespace."""
    described = [_Described(name, declarations[name]) for name in sorted(declarations)]
    schemes = {name: dict(scheme) for name, scheme in SCHEMES.items()}
    schemes["session"]["name"] = settings.SESSION_COOKIE_NAME
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tocsin",
            "version": version,
            "description": ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {name: _server(**said) for name, said in SERVERS.items()},
        "channels": {k: v for one in described for k, v in one.channels.items()},
        "operations": {k: v for one in described for k, v in one.operations()},
        "components": {
            "messages": {k: v for one in described for k, v in one.messages.items()},
            "schemas": {k: v for one in described for k, v in one.schemas.items()},
            "securitySchemes": schemes,
        },
    }


def _server(**said: Any) -> Node:
    return {
        "host": "{host}",
        **said,
        "variables": {"host": {"default": "localhost:8000", "description": "where it listens"}},
        "security": [_ref("components", "securitySchemes", name) for name in SCHEMES],
    }


class _Described:
    """One declaration: its channels, the messages on each of them, and their schemas."""

    def __init__(self, namespace: str, declaration: Topic) -> None:
        self.namespace, self.declaration = namespace or "default", declaration
        self.schemas: dict[str, Node] = {}
        self.messages: dict[str, Node] = {}
        self.snapshot: str | None = None
        self._rows()
        if self.publishable:
            self._message("published", "What was published, not written to a row.", {})
        self.channels = {self._id(one): self._channel(one) for one in declaration.templates}

    @property
    def publishable(self) -> bool:
        """Whether a message may be on it that is no row's; of a `Latest` topic none can be."""
        declaration = self.declaration
        free = not topics.models_of(declaration) or declaration.allows_publish is not None
        return free and not topics.is_latest(declaration)

    def _rows(self) -> None:
        declaration = self.declaration
        bodies, publications = [], []
        for model in topics.models_of(declaration):
            name = str(model._meta.model_name)  # noqa: SLF001
            label = model._meta.label  # noqa: SLF001
            body = self._schema(f"{name}.body", schemas.of_body(declaration, model))
            change = schemas.of_publication(declaration, model, body)
            publications.append(self._schema(name, change))
            bodies.append(body)
            self._message(name, f"A change of a row of {label}.", publications[-1])
        if topics.has_rows(declaration):
            some = bodies or [{}]
            snapshot = schemas.of_snapshot(declaration, some, publications or [{}])
            self.snapshot = self._message("snapshot", SNAPSHOT, self._schema("snapshot", snapshot))

    def _schema(self, name: str, schema: Node) -> Node:
        self.schemas[f"{self.namespace}.{name}"] = schema
        return _ref("components", "schemas", f"{self.namespace}.{name}")

    def _message(self, name: str, summary: str, payload: Node) -> str:
        full = f"{self.namespace}.{name}"
        self.messages[full] = {"name": full, "summary": summary, "payload": payload}
        return full

    def _id(self, template: Template) -> str:
        """`tickers:{market_id}` and `tickers:all` are tickers.by-market_id and tickers.all."""
        behind = template.text.partition(":")[2] or template.text
        words = behind.replace("{", "by-").replace("}", "").replace(LIMIT, "").split(":")
        return ".".join([self.namespace, *("".join(filter(_plain, word)) for word in words)])

    def _channel(self, template: Template) -> Node:
        channel = {
            "address": template.text,
            "title": type(self.declaration).__name__,
            "description": type(self.declaration).__doc__ or "",
            "messages": {name: _ref("components", "messages", name) for name in self.messages},
            "parameters": {name: self._parameter(template, name) for name in template.columns},
            "x-tocsin": self._options(template),
        }
        return {name: value for name, value in channel.items() if value}

    def _parameter(self, template: Template, column: str) -> Node:
        limited = template.text.rpartition(LIMIT)[2] if LIMIT in template.text else ""
        models = topics.models_of(self.declaration)
        if not models:
            said = "any text"
        else:
            field = canon.field_of(models[0], column)
            said = f"{field.attname} of {models[0]._meta.label}: {canon.kind_of(field)}"  # noqa: SLF001
        if f"{{{column}}}" in limited:
            said += "; only the user of this id may subscribe"
        return {"description": said}

    def _options(self, template: Template) -> Node:
        declaration = self.declaration
        return {
            "namespace": getattr(declaration, "namespace", ""),
            "history": _history(declaration.history),
            "recovery": _recovery(declaration),
            "counts": [*declaration.counts],
            "anonymous": declaration.anonymous,
            "limited_to_user": LIMIT in template.text,
            "presence": declaration.presence,
            "join_leave": declaration.join_leave,
            "deltas": declaration.deltas and not topics.is_latest(declaration),
            "binary": declaration.binary,
            "clients_publish": declaration.allows_publish is not None and self.publishable,
        }

    def operations(self) -> Iterator[tuple[str, Node]]:
        news = [name for name in self.messages if name != self.snapshot]
        for channel in self.channels:
            if self.snapshot:
                yield f"{channel}.begin", _operation("send", channel, [self.snapshot])
            yield f"{channel}.tell", _operation("send", channel, news)
            if self.channels[channel]["x-tocsin"]["clients_publish"]:
                published = [f"{self.namespace}.published"]
                yield f"{channel}.hear", _operation("receive", channel, published)


def _operation(action: str, channel: str, messages: list[str]) -> Node:
    return {
        "action": action,
        "channel": _ref("channels", channel),
        "messages": [_ref("channels", channel, "messages", name) for name in messages],
    }


def _history(history: Any) -> Node | None:
    match history:
        case topics.History():
            return {"keeps": "publications", "size": history.size, "days": history.days}
        case topics.Latest():
            return {"keeps": "the newest of each key", "days": history.days}
    return None


def _recovery(declaration: Topic) -> str | None:
    if topics.is_latest(declaration):
        return "the newest of each key"
    if topics.keeps_newest(declaration):
        return "the newest alone"
    return "what was missed" if declaration.history else None


def _plain(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character in "-_")


def _ref(*path: str) -> Node:
    return {"$ref": f"#/{'/'.join(path)}"}
