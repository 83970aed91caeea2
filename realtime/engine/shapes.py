"""Whether a declaration says things of the right kind, before anybody asks what they mean.

What it tells is a fault, what to write, and the number of the check.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.db.models import Model, Q

from realtime.engine.names import COLUMN, LIMIT, UNRESERVED
from realtime.engine.topics import OPERATIONS, History, Latest, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from realtime.engine.names import Template

Fault = tuple[str, str, str]


def faults(topic: Any) -> list[Fault]:
    """What no further check could make sense of."""
    if not isinstance(topic, Topic):
        return [("is no Topic", f"Write class {type(topic).__name__}(Topic): …", "E021")]
    return [*_models(topic)] or [*_members(topic), *_history(topic.history)]


def _models(topic: Topic) -> Iterator[Fault]:
    found: Any = topic.models or ((topic.model,) if topic.model else ())
    if not _is_models(found):
        yield f"is about {found!r}", "Write model = Notification: the class, not abstract.", "E022"
    elif not found and (topic.fields or topic.counts or topic.operations):
        yield "has fields or counts, and no model", "Write model = Notification.", "E022"


def _members(topic: Topic) -> Iterator[Fault]:
    name: Any = getattr(topic, "name", None)
    if name and not (isinstance(name, str) or _is_texts(name)):
        yield f"has the name {name!r}", 'Write name = "inbox:#{recipient_id}".', "E003"
    fields: Any = topic.fields
    if not (_is_texts(fields) or _is_mapping(fields, type, _is_texts)):
        yield f"has the fields {fields!r}", 'Write fields = ("id", "title").', "E023"
    if not _is_mapping(topic.counts, str, lambda condition: isinstance(condition, Q)):
        hint = 'Write counts = {"unread": Q(read_at=None)}.'
        yield f"has the counts {topic.counts!r}", hint, "E017"
    if not _is_mapping(topic.operations, type, _is_operations):
        hint = f"Write operations = {{Notification: {OPERATIONS}}}, or some of these."
        yield f"has the operations {topic.operations!r}", hint, "E024"
    if not _is_models(topic.depends_on):
        hint = "Write depends_on = (Membership,): the classes whose rows allows() reads."
        yield f"depends on {topic.depends_on!r}", hint, "E025"


def _history(history: Any) -> Iterator[Fault]:
    if isinstance(history, History | Latest):
        size = getattr(history, "size", 1)
        if not (isinstance(size, int) and size > 0):
            yield f"keeps {size!r} publications", "Write History(size=1000, days=30).", "E005"
        if not (isinstance(history.days, int | float) and history.days > 0):
            yield f"keeps {history.days!r} days", "Write a number of days above 0.", "E005"


def of_name(template: Template) -> Iterator[Fault]:
    """What makes a name another one than was meant."""
    text = template.text
    if any(brace in constant for constant in template.constants for brace in "{}"):
        yield f'name "{text}" has a brace around no column', "Write {recipient_id}.", "E026"
    if not text.isascii() or text.startswith("!"):
        hint = "Write ASCII characters; ! is the engine's own."
        yield f'name "{text}" is one that nobody can ask for', hint, "E026"
    _, limited, people = text.rpartition(LIMIT)
    if limited and COLUMN.sub("", people).strip(",0123456789"):
        hint = "Put #{owner_id} at the end: what follows # are the ids of who may subscribe."
        yield f'name "{text}" is limited to people of no id', hint, "E026"
    pairs = zip(pairwise(template.columns), template.constants[1:-1], strict=True)
    for (one, other), between in pairs:
        # a value is percent-encoded, so any other character ends it
        if not set(between) - {*UNRESERVED, "%"}:
            hint = f"Put a colon between them: {{{one}}}:{{{other}}}."
            yield f'name "{text}" does not tell where {one} ends', hint, "E027"


def refusal(call: Any, columns: Iterable[str]) -> str | None:
    """Why `call(user, **columns)` can give no answer; None: it can."""
    if not callable(call):
        return f"is {call!r}"
    if inspect.iscoroutinefunction(call):
        return "is asynchronous"  # a coroutine is true, whatever it would have said
    try:
        inspect.signature(call).bind(None, **dict.fromkeys(columns))
    except TypeError as error:
        return f"does not fit its name: {error}"
    return None


def _is_models(values: Any) -> bool:
    return isinstance(values, tuple | list) and all(
        isinstance(value, type) and issubclass(value, Model) and not value._meta.abstract  # noqa: SLF001
        for value in values
    )


def _is_texts(values: Any) -> bool:
    return isinstance(values, tuple | list) and all(isinstance(value, str) for value in values)


def _is_operations(values: Any) -> bool:
    return _is_texts(values) and set(values) <= set(OPERATIONS)


def _is_mapping(values: Any, key: type, fits: Callable[[Any], bool]) -> bool:
    return isinstance(values, Mapping) and all(
        isinstance(name, key) and fits(value) for name, value in values.items()
    )
