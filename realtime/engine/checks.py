"""System checks of the declarations: a mistake is named, with what to write instead."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

from django.core import checks
from django.db import DEFAULT_DB_ALIAS, models, router

from realtime.engine import canon, capture, columns, shapes, topics
from realtime.engine.conf import settings as conf
from realtime.engine.exceptions import DeclarationError
from realtime.engine.topics import History, Latest, Topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.checks import CheckMessage

SECRET = re.compile(r"password|passwd|token|secret|api_?key|private_?key", re.IGNORECASE)
# with a `$` in front nobody is let in without a token
NAMESPACE = re.compile(r"\$?[A-Za-z0-9_.-]*")
DECIMAL_DIGITS = 15  # what SQLite's floats keep


def declarations(**_: Any) -> list[CheckMessage]:
    found = [fault for topic in topics.declared() for fault in _declaration(topic)]
    for one, other in combinations(topics.declared(), 2):
        if getattr(one, "namespace", None) == getattr(other, "namespace", None):
            found.append(
                _error(
                    other,
                    f'namespace "{one.namespace}" is declared by {_name(one)} already',
                    "Give each class a namespace of its own.",
                    "E002",
                )
            )
    return found


def _declaration(topic: Topic) -> Iterator[CheckMessage]:
    basics: list[CheckMessage] = [_error(topic, *fault) for fault in shapes.faults(topic)]
    basics = basics or list(_basics(topic))
    yield from basics
    if basics:
        return
    named = list(_names(topic))
    yield from _rights(topic) if not named else ()
    yield from named
    for model in topics.models_of(topic):
        yield from _place(topic, model)
        yield from _lengths(topic, model)
        yield from _columns(topic, model)
        yield from _key(topic, model)
    yield from _counts(topic)
    yield from _publishing(topic)


def _basics(topic: Topic) -> Iterator[CheckMessage]:
    namespace = getattr(topic, "namespace", None)
    if not isinstance(namespace, str) or not NAMESPACE.fullmatch(namespace):
        hint = 'Write namespace = "inbox": letters, digits, "_", "-" and ".", no colon.'
        yield _error(topic, "has no namespace", hint, "E001")
    if not getattr(topic, "name", None):
        yield _error(topic, "has no name", 'Write name = "inbox:#{recipient_id}".', "E003")
    if topic.model and topic.models:
        yield _error(topic, "has both model and models", "Keep the one that is meant.", "E004")
    if topic.history is not None and not isinstance(topic.history, History | Latest):
        hint = "Write history = History(size=1000, days=30), Latest() or None."
        yield _error(topic, f"has the history {topic.history!r}", hint, "E005")
    if isinstance(topic.history, Latest) and len(topics.models_of(topic)) > 1:
        hint = "Give each model a namespace: a TRUNCATE of one would take the others' rows away."
        yield _error(topic, "keeps the latest of several models", hint, "E020")


def _publishing(topic: Topic) -> Iterator[CheckMessage]:
    if topic.allows_publish is not None:
        if topics.is_latest(topic):
            hint = "Let clients call a method that writes the row."
            yield _error(topic, "keeps rows, which clients cannot publish", hint, "E028")
        if why := shapes.refusal(topic.allows_publish, topic.columns):
            hint = f"Write def allows_publish{_words(topic)}: …"
            yield _error(topic, f"allows_publish() {why}", hint, "E028")
    if topic.binary and topic.history:
        hint = "Leave out binary, or write history = None: the log keeps JSON."
        yield _error(topic, "keeps what is no JSON", hint, "E029")
    if topic.deltas and not isinstance(topic.history, History):
        hint = "Leave out deltas, or keep a History: a difference is to what came before."
        yield _error(topic, "says differences to what nobody keeps", hint, "E030")


def _words(topic: Topic) -> str:
    columns = "".join(f", {column}" for column in topic.columns)
    return f"(self, user{', *' if columns else ''}{columns})"


def _rights(topic: Topic) -> Iterator[CheckMessage]:
    words = _words(topic)
    if type(topic).allows is Topic.allows:
        hint = f"Write def allows{words}: … that says who may subscribe."
        yield _error(topic, "has no allows(): nobody could subscribe", hint, "E006")
    for name in ("allows", "snapshot"):
        if why := shapes.refusal(getattr(topic, name), topic.columns):
            yield _error(topic, f"{name}() {why}", f"Write def {name}{words}: …", "E006")


def _names(topic: Topic) -> Iterator[CheckMessage]:
    for template in topic.templates:
        yield from (_error(topic, *fault) for fault in shapes.of_name(template))
        if template.namespace != topic.namespace:
            prefix = f"{topic.namespace}:" if topic.namespace else "a name without a colon"
            hint = f"Begin the template with {prefix}, or change the namespace."
            yield _error(topic, f'name "{template.text}" is outside its namespace', hint, "E007")
        for model in topics.models_of(topic):
            for column in template.columns:
                try:
                    canon.nameable(canon.field_of(model, column))
                except DeclarationError as error:
                    hint = f"Columns are {_columns_of(model)}."
                    yield _error(topic, f'name "{template.text}": {error}', hint, "E008")
    for one, other in combinations(topic.templates, 2):
        # a constant beside a column is meant: `tickers:all` beside `tickers:{market_id}`
        if bool(one.columns) == bool(other.columns) and one.clashes(other):
            hint = "Tell them apart by a constant, or keep one."
            texts = f'"{one.text}" and "{other.text}" can be the same topic'
            yield _error(topic, texts, hint, "E009")


def _place(topic: Topic, model: type[models.Model]) -> Iterator[CheckMessage]:
    alias = router.db_for_write(model)
    if alias != DEFAULT_DB_ALIAS:
        fault = f"is about {model._meta.label} in the database {alias!r}"  # noqa: SLF001
        hint = f"Live rows must be in {DEFAULT_DB_ALIAS!r}, beside users and the log."
        yield _error(topic, fault, hint, "E018")


def _lengths(topic: Topic, model: type[models.Model]) -> Iterator[CheckMessage]:
    for template in topic.templates:
        longest = len("".join(template.constants))
        for column in template.columns:
            try:
                base = canon.base_of(canon.field_of(model, column))
            except DeclarationError:
                return  # told already
            text = canon.KINDS.get(type(base)) == "text"
            longest += (base.max_length or conf.TOPIC_BYTES + 1) if text else 0
        if longest > conf.TOPIC_BYTES:
            yield checks.Warning(
                f'{_name(topic)} name "{template.text}" can be longer than {conf.TOPIC_BYTES} '
                "bytes: such a row is in no topic",
                hint="Limit the column by max_length.",
                obj=type(topic),
                id="tocsin.W019",
            )


def _columns(topic: Topic, model: type[models.Model]) -> Iterator[CheckMessage]:
    label = model._meta.label  # noqa: SLF001
    names = topics.fields_of(topic, model)
    if not names:
        hint = f"Write fields = (…); columns are {_columns_of(model)}."
        yield _error(topic, f"has no fields for {label}", hint, "E010")
    for name in names:
        if SECRET.search(name):
            hint = "Leave it out: all that is declared is sent to every subscriber."
            yield _error(topic, f"declares {label}.{name}, which looks secret", hint, "E011")
        try:
            field = canon.field_of(model, name)
            canon.kind_of(field)
        except DeclarationError as error:
            hint = f"Leave it out, or declare another column: {_columns_of(model)}."
            yield _error(topic, f"cannot send {name!r}: {error}", hint, "E012")
        else:
            yield from _digits(topic, field)
    if not isinstance(topic.fields, tuple | list):
        given: set[Any] = set(topic.fields)
        for other in given - set(topics.models_of(topic)):
            hint = "Add it to models, or take it out of fields."
            yield _error(topic, f"has fields for {other._meta.label}", hint, "E013")  # noqa: SLF001


def _digits(topic: Topic, field: Any) -> Iterator[CheckMessage]:
    base = canon.base_of(field)
    if isinstance(base, models.DecimalField) and (base.max_digits or 0) > DECIMAL_DIGITS:
        yield checks.Warning(
            f"{_name(topic)} sends {field.name}, of {base.max_digits} digits: on SQLite only "
            f"{DECIMAL_DIGITS} are kept",
            hint=f"Make it max_digits={DECIMAL_DIGITS}, or use PostgreSQL.",
            obj=type(topic),
            id="tocsin.W014",
        )


def _key(topic: Topic, model: type[models.Model]) -> Iterator[CheckMessage]:
    try:
        canon.nameable(canon.field_of(model, "pk"))
    except DeclarationError as error:
        hint = "Give the model a primary key of one number, text or UUID."
        yield _error(topic, f"cannot name its rows: {error}", hint, "E015")


def _counts(topic: Topic) -> Iterator[CheckMessage]:
    if topic.counts and isinstance(topic.history, Latest):
        hint = "A delta that is replaced would be lost: use History, or drop the counts."
        yield _error(topic, "has counts on a Latest topic", hint, "E016")
        return
    found = topics.models_of(topic)
    if not topic.counts or not found:
        return
    source = capture.Source(topic, found[0])
    for name, condition in topic.counts.items():
        try:
            [canon.kind_of(canon.field_of(found[0], c)) for c in canon.columns_of(condition)]
            source.matches(columns.Sqlite("r"), condition)
        except Exception as error:  # noqa: BLE001  (whatever Django says of a condition)
            hint = "Count by columns of the row itself: Q(read_at=None)."
            yield _error(topic, f'cannot count "{name}": {error}', hint, "E017")


def _error(topic: Topic, fault: str, hint: str, number: str) -> checks.Error:
    return checks.Error(
        f"{_name(topic)} {fault}", hint=hint, obj=type(topic), id=f"tocsin.{number}"
    )


def _name(topic: Topic) -> str:
    return f"{type(topic).__module__}.{type(topic).__qualname__}"


def _columns_of(model: type[models.Model]) -> str:
    return ", ".join(field.attname for field in model._meta.concrete_fields)  # noqa: SLF001
