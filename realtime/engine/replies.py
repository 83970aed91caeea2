"""What a request of the server API is answered: a result, or an error with the protocol's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from realtime.engine import entering
from realtime.engine.exceptions import BadRequest, Forbidden, NotAvailable, TocsinError
from realtime.engine.placing import Placed
from realtime.protocol.codes import Error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime.protocol.messages import Position

Reply = dict[str, Any]
Result = Reply | Raw
REFUSED: dict[type[Exception], Error] = {
    **entering.REFUSED,
    BadRequest: Error.BAD_REQUEST,
    Forbidden: Error.PERMISSION_DENIED,
    NotAvailable: Error.NOT_AVAILABLE,
}


def error(code: Error, detail: str = "") -> Reply:
    message = f"{code.text}: {detail}" if detail else code.text
    return {"error": {"code": code.number, "message": message}}


def refusal(why: Exception) -> Reply:
    return error(REFUSED[type(why)], str(why))


@dataclass(frozen=True, slots=True)
class Begun:
    """What came of a request: a result, why there is none, or what was published to each topic."""

    name: str
    found: Raw | Exception | list[Placed | TocsinError]
    alone: bool = False

    @property
    def placed(self) -> list[Placed]:
        found = self.found if isinstance(self.found, list) else []
        return [one for one in found if isinstance(one, Placed)]

    def reply(self, where: Mapping[Placed, Position]) -> Reply:
        if isinstance(self.found, Exception):
            return refusal(self.found)
        if not isinstance(self.found, list):
            return {self.name: self.found}
        if self.alone:
            return _placed(self.found[0], where, self.name)
        responses = [_placed(one, where, "result") for one in self.found]
        return {self.name: {"responses": responses}}


def _placed(one: Placed | TocsinError, where: Mapping[Placed, Position], name: str) -> Reply:
    if not isinstance(one, Placed):
        return refusal(one)
    position = where.get(one)
    return {name: {"offset": position.offset, "epoch": position.epoch} if position else {}}
