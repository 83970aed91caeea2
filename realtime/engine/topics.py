"""Live topics: what an app declares, which topic a name means, and who may subscribe.

An app's `topics.py` holds classes under `@live`: model, name, fields, history, `allows`, and
`snapshot` where the default does not do. The triggers make publications of every committed change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar
from urllib.parse import unquote

import structlog
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Model, Q, QuerySet

from realtime.engine import canon, names, people, pool, sql
from realtime.engine.conf import settings
from realtime.engine.exceptions import BadTopic, UnknownTopic
from realtime.engine.names import limited_to, namespace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = [
    "Authorisation", "History", "Latest", "Match", "Topic", "authorise", "authorise_now",
    "has_rows", "is_latest", "keeps_newest", "limited_to", "live", "match",
    "models_of", "namespace_of", "permits", "registry", "rows",
]  # fmt: skip

log = structlog.get_logger(__name__)
OPERATIONS = ("insert", "update", "delete")


@dataclass(frozen=True)
class History:
    """Keep the newest `size` publications of a topic, none older than `days`.

    `newest`: who comes back is brought the newest one alone, whatever was missed before it.
    """

    size: int = 1000
    days: float = 30
    newest: bool = False


@dataclass(frozen=True)
class Latest:
    """Keep the newest publication of each key; of a deleted row, for `days`, that it is gone."""

    days: float = 7


class Topic:
    """A declaration. Subclass it under `@live`; see docs/tutorial.

    `models`: instead of `model`, several; `fields` and `operations` are then given by model, keys
    of all but the first read `receipt:12`, and `counts` are of the first. A row belongs to every
    template of `name` whose columns are not NULL. `depends_on`: models whose rows `allows` reads
    besides users, groups and permissions: a change there asks it again. `reread`: another AFTER
    trigger changes the same rows; the body is then read anew when it is written. `presence`: who is
    on the topic may be asked; `join_leave`: who comes and goes is told to who asks for it, or
    "always" to everybody. `deltas`: data may be said as the difference to what came before.
    `binary`: clients may publish what is no JSON (on a topic without history). `allows_publish`: a
    method like `allows`; may this user publish?
    """

    namespace: ClassVar[str]
    model: ClassVar[type[Model] | None] = None
    models: ClassVar[Sequence[type[Model]]] = ()
    name: ClassVar[str | Sequence[str]]
    fields: ClassVar[Sequence[str] | Mapping[type[Model], Sequence[str]]] = ()
    history: ClassVar[History | Latest | None] = None
    counts: ClassVar[Mapping[str, Q]] = {}
    operations: ClassVar[Mapping[type[Model], Sequence[str]]] = {}
    anonymous: ClassVar[bool] = False
    presence: ClassVar[bool] = False
    join_leave: ClassVar[bool | Literal["always"]] = False
    deltas: ClassVar[bool] = False
    binary: ClassVar[bool] = False
    allows_publish: Any = None
    depends_on: ClassVar[Sequence[type[Model]]] = ()
    reread: ClassVar[bool] = False

    def allows(self, user: Any, *args: Any, **params: Any) -> bool:
        """May this user subscribe? Asked again after every revocation; without it, nobody may."""
        return False

    def snapshot(self, user: Any, *args: Any, **params: Any) -> Any:
        """The rows a page starts from: a QuerySet, or several, one a model.

        By default the newest rows of the first model, at most `history.size`, and all rows of the
        others.
        """
        found: list[QuerySet[Any]] = []
        for model in models_of(self):
            known = {k: v for k, v in params.items() if v is not None}
            some = model._base_manager.filter(**known).order_by("-pk")  # noqa: SLF001
            limited = not found and isinstance(self.history, History)
            found.append(some[: self.history.size] if limited else some)  # type: ignore[union-attr]
        return found

    @cached_property
    def templates(self) -> tuple[names.Template, ...]:
        texts = (self.name,) if isinstance(self.name, str) else self.name
        return tuple(names.Template(text) for text in texts)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns in the names, each once."""
        return tuple(dict.fromkeys(c for template in self.templates for c in template.columns))


T = TypeVar("T", bound=type[Topic])
_declared: list[Topic] = []


def live(cls: T) -> T:
    """Register a topic. Mistakes are found by `manage.py check`, not here."""
    _declared.append(cls())
    return cls


def declared() -> tuple[Topic, ...]:
    """Every declaration, also one whose namespace is taken."""
    return tuple(_declared)


def registry() -> dict[str, Topic]:
    """The declarations by namespace."""
    return {getattr(topic, "namespace", ""): topic for topic in reversed(_declared)}


def models_of(declaration: Topic) -> list[type[Model]]:
    return list(declaration.models or ((declaration.model,) if declaration.model else ()))


def fields_of(declaration: Topic, model: type[Model]) -> tuple[str, ...]:
    fields = declaration.fields
    return tuple(fields if not hasattr(fields, "keys") else fields.get(model, ()))  # type: ignore[union-attr]


def operations_of(declaration: Topic, model: type[Model]) -> tuple[str, ...]:
    return tuple(declaration.operations.get(model, OPERATIONS))


def key_prefix(declaration: Topic, model: type[Model]) -> str:
    """What stands before the key of a row: nothing for the first model, `receipt:` for others."""
    if model is models_of(declaration)[0]:
        return ""
    return f"{model._meta.model_name}:"  # noqa: SLF001


def is_latest(declaration: Topic) -> bool:
    return isinstance(declaration.history, Latest)


def keeps_newest(declaration: Topic) -> bool:
    return isinstance(declaration.history, History) and declaration.history.newest


def has_rows(declaration: Topic) -> bool:
    """Whether a subscriber starts from rows: of the log, of the model, or of its own `snapshot`."""
    own = type(declaration).snapshot is not Topic.snapshot
    return own or bool(models_of(declaration) and declaration.history is not None)


# --- Names


@dataclass(frozen=True)
class Match:
    """A name, what it means, and the values in it; a column of another template is None."""

    topic: str
    declaration: Topic
    params: dict[str, Any]


def declaration_of(topic: str) -> Topic:
    """What is declared for a name's namespace. Raises BadTopic (107) and UnknownTopic (102)."""
    if not 0 < len(topic) <= settings.TOPIC_BYTES or not topic.isascii():
        raise BadTopic(f"a topic's name has 1 to {settings.TOPIC_BYTES} ASCII characters")
    if topic == names.CONTROL:
        raise BadTopic(f'"{topic}" is the engine\'s own')  # whatever the default namespace matches
    declaration = registry().get(namespace_of(topic))
    if declaration is None:
        known = ", ".join(sorted(registry())) or "none"
        raise UnknownTopic(f'topic "{topic}" matches no namespace; known: {known}')
    return declaration


def match(topic: str) -> Match:
    """What a name means. Raises as `declaration_of` does."""
    declaration = declaration_of(topic)
    # constants win: `tickers:all` is all of them, not a market of that name
    for template in sorted(declaration.templates, key=lambda template: len(template.columns)):
        values = template.match(topic)
        if values is not None:
            return Match(topic, declaration, _params(declaration, topic, values))
    shapes = ", ".join(template.text for template in declaration.templates)
    raise UnknownTopic(f'topic "{topic}" has not the form {shapes}')


def _params(declaration: Topic, topic: str, values: dict[str, str]) -> dict[str, Any]:
    params: dict[str, Any] = dict.fromkeys(declaration.columns)
    model = next(iter(models_of(declaration)), None)
    for column, part in values.items():
        text = unquote(part)
        # no database of ours keeps U+0000 in every text
        if not names.is_canonical(part) or "\x00" in text:
            raise BadTopic(f'topic "{topic}": "{part}" is not written as it must be')
        try:
            params[column] = canon.decode(canon.field_of(model, column), text) if model else text
        except ValueError:
            raise BadTopic(f'topic "{topic}": "{part}" is no {column}') from None
    return params


# --- Rows


def rows(
    declaration: Topic, found: QuerySet[Any] | Iterable[QuerySet[Any]]
) -> list[dict[str, Any]]:
    """What `snapshot` gave, as keys and canonical bodies, in its order."""
    queries = [found] if isinstance(found, QuerySet) else found
    return [row for query in queries for row in _rows(declaration, query)]


def _rows(declaration: Topic, query: QuerySet[Any]) -> list[dict[str, Any]]:
    prefix = key_prefix(declaration, query.model)
    pk = canon.field_of(query.model, "pk")
    fields = [canon.field_of(query.model, name) for name in fields_of(declaration, query.model)]
    return [
        {
            "key": f"{prefix}{canon.key_text(pk, key)}",
            "body": {f.attname: canon.encode(f, v) for f, v in zip(fields, values, strict=True)},
        }
        for key, *values in query.values_list("pk", *(field.attname for field in fields))
    ]


# --- Rights


@dataclass(frozen=True)
class Authorisation:
    """An answer, and the head of the revocations that it has certainly seen."""

    allowed: bool
    covers: int


def authorise_now(user: Any, match: Match) -> bool:
    """May this person subscribe?"""
    return permits(match.declaration.allows, user, match)


def permits(rule: Callable[..., bool], user: Any, match: Match) -> bool:
    """What a rule of the declaration says of somebody whom the name of the topic does not exclude.

    A rule that raises has said no. A database that does not answer has said nothing: its error
    passes, and it is asked again.
    """
    named = limited_to(match.topic)
    if not user.is_authenticated:
        if named is not None or not match.declaration.anonymous:
            return False
    elif named is not None and names.quote(str(user.pk)) not in named:
        return False
    try:
        return bool(rule(user, **match.params))
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("allows.failed", namespace=namespace_of(match.topic), rule=rule.__name__)
        return False


def authorise_user(user_id: str, topic: str) -> Authorisation:
    """`authorise` for those who have a thread; the head is read before the rights."""
    with connection.cursor() as cursor:
        cursor.execute(sql.read(connection.vendor, "control_head"))
        covers = cursor.fetchone()[0]
    user = people.load_user(user_id)
    return Authorisation(user is not None and authorise_now(user, match(topic)), covers)


authorise = pool.awaitable(authorise_user)
