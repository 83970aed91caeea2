"""What is said to many, made into bytes once for each form in which somebody wants to hear it.

A form is a codec and how data is said in it. Nothing is made before it is wanted: where nobody
speaks Protobuf, nobody pays for it.
"""

from __future__ import annotations

import json
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from realtime.protocol import delta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realtime.protocol.codec.base import Codec, Frame
    from realtime.protocol.messages import Publication, Push

# the frame around a publication, about
FRAME_BYTES = 64


class Style(IntEnum):
    """How data is said: as it is; whole, but as deltas need it; as the delta to the one before."""

    PLAIN, WHOLE, DELTA = range(3)


class Form(NamedTuple):
    codec: Codec
    style: Style = Style.PLAIN


class Slot:
    """A publication of a topic; `before` is the data of the one before it in the stream."""

    __slots__ = ("_delta", "_frames", "_tags", "before", "publication", "topic")

    def __init__(self, topic: str, publication: Publication, before: str | None = None) -> None:
        self.topic, self.publication, self.before = topic, publication, before
        self._frames: dict[Form, Frame] = {}
        self._delta: bytes | bool | None = False
        self._tags: Mapping[str, str] | None = None

    @property
    def offset(self) -> int:
        return self.publication.offset

    @property
    def size(self) -> int:
        """About what it takes in a frame and in memory."""
        said = self.publication.blob or self.publication.data
        return len(said) + len(self.topic) + FRAME_BYTES

    @property
    def tags(self) -> Mapping[str, str]:
        if self._tags is None:
            about = self.publication.about
            self._tags = json.loads(about).get("tags", {}) if about else {}
        return self._tags

    def frame(self, form: Form) -> Frame:
        """Raises Inappropriate where the codec cannot say it."""
        frame = self._frames.get(form)
        if frame is None:
            frame = self._frames[form] = form.codec.publication_push(
                self.topic,
                self.publication,
                quoted=form.style is not Style.PLAIN,
                delta=self._difference() if form.style is Style.DELTA else None,
            )
        return frame

    def _difference(self) -> bytes | None:
        """None: there is none, or it would be longer than the data."""
        if self._delta is False:
            before, data = self.before, self.publication.data
            self._delta = None if before is None else delta.shorter(before.encode(), data.encode())
        return self._delta  # type: ignore[return-value]


class Pushes:
    """Several publications in one frame: bytes in a send are nearly free, sends are not."""

    __slots__ = ("_frames", "slots")

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = slots
        self._frames: dict[Form, Frame] = {}

    def __len__(self) -> int:
        return len(self.slots)

    def frame(self, form: Form) -> Frame:
        frame = self._frames.get(form)
        if frame is None:
            frames = [slot.frame(form) for slot in self.slots]
            frame = self._frames[form] = frames[0] if len(frames) == 1 else form.codec.batch(frames)
        return frame


class Saying:
    """Any other push that several connections get."""

    __slots__ = ("_frames", "_push")

    def __init__(self, push: Push) -> None:
        self._push = push
        self._frames: dict[Codec, Frame] = {}

    def __len__(self) -> int:
        return 1

    def frame(self, form: Form) -> Frame:
        if form.codec not in self._frames:
            self._frames[form.codec] = form.codec.encode(self._push)
        return self._frames[form.codec]
