"""A publication as its difference from the one before: the fossil delta format, writing only.

Guarantee: who applies the delta to the source gets the target, byte for byte; where the target is
UTF-8 so is the delta, for it never cuts a character. The time is linear in both lengths, whatever
they repeat. Source: protocol.md, section 10.
"""

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
_BLOCK = 16  # what repeats is found by pieces of the source this long
_STEP = 64  # bytes compared at once, first; then twice as many each time
_WORD = 4


class _Copy(NamedTuple):
    """The target from `begin` to `end` is the source from `at` on."""

    begin: int
    end: int
    at: int


def shorter(source: bytes, target: bytes) -> bytes | None:
    """The delta, or None where it would not be shorter than the target itself."""
    delta = create(source, target)
    return delta if len(delta) < len(target) else None


def create(source: bytes, target: bytes) -> bytes:
    """What makes `target` from `source`."""
    parts, done = [_number(len(target)), b"\n"], 0
    for begin, end, at in _copies(source, target):
        parts += [_insert(target[done:begin]), _command(end - begin, at)]
        done = end
    parts += [_insert(target[done:]), _number(_checksum(target)), b";"]
    return b"".join(parts)


def _insert(text: bytes) -> bytes:
    return _number(len(text)) + b":" + text if text else b""


def _command(length: int, at: int) -> bytes:
    return _number(length) + b"@" + _number(at) + b","


def _number(value: int) -> bytes:
    digits = _DIGITS[value & 63 : (value & 63) + 1]
    while value := value >> 6:
        digits = _DIGITS[value & 63 : (value & 63) + 1] + digits
    return digits


def _checksum(target: bytes) -> int:
    """The sum of its big-endian words of 32 bits, the last filled up with zeros."""
    count = -(-len(target) // _WORD)
    words: tuple[int, ...] = struct.unpack(f">{count}I", target.ljust(count * _WORD, b"\0"))
    return sum(words) & 0xFFFFFFFF


# --- What the target has from the source ------------------------------------------------------


def _copies(source: bytes, target: bytes) -> Iterator[_Copy]:
    """In the target's order: most bodies differ in the middle only, so both ends come first."""
    head = _uncut(target, 0, _ahead(source, target, 0, 0, len(target)), 0)
    done = head.end if _pays(head) else 0
    same = _behind(source, target, len(source), len(target), len(target) - done)
    tail = _uncut(target, len(target) - same, len(target), len(source) - same)
    stop = tail.begin if _pays(tail) else len(target)
    if done:
        yield head
    yield from _repeats(source, target, done, stop)
    if stop < len(target):
        yield tail


def _repeats(source: bytes, target: bytes, done: int, stop: int) -> Iterator[_Copy]:
    """What stands between `done` and `stop` in the target and anywhere in the source.

    A piece is looked for at one place of the source, the first that has it: from there a repetition
    runs longest, and a body of one letter costs no more than any other.
    """
    if stop - done < _BLOCK:
        return
    last = (len(source) // _BLOCK - 1) * _BLOCK
    places = {source[at : at + _BLOCK]: at for at in range(last, -1, -_BLOCK)}
    here = done
    while here <= stop - _BLOCK:
        at = places.get(target[here : here + _BLOCK])
        if at is None:
            here += 1
            continue
        back = _behind(source, target, at, here, here - done)
        end = here + _ahead(source, target, at, here, stop - here)
        copy = _uncut(target, here - back, end, at - back)  # ten bytes or more: it always pays
        yield copy
        here = done = copy.end


def _uncut(target: bytes, begin: int, end: int, at: int) -> _Copy:
    """Without the characters that are cut at either end.

    Of a character three bytes at most go on, so bytes that are no text lose no more than that.
    """
    first, last = min(begin + 3, end), max(begin, end - 3)
    while begin < first and _goes_on(target, begin):
        begin, at = begin + 1, at + 1
    while end > max(begin, last) and _goes_on(target, end):
        end -= 1
    return _Copy(begin, end, at)


def _pays(copy: _Copy) -> bool:
    """Is it longer than its command?"""
    length = copy.end - copy.begin
    return length > len(_command(length, copy.at))


def _goes_on(target: bytes, here: int) -> bool:
    """Is this in the middle of a character?"""
    return here < len(target) and target[here] & 0xC0 == 0x80  # noqa: PLR2004 - UTF-8's own bits


def _ahead(source: bytes, target: bytes, at: int, here: int, most: int) -> int:
    """How many bytes are the same from these places on."""
    most, count, step = min(len(source) - at, most), 0, _STEP
    while count < most:
        end = min(count + step, most)
        one, other = source[at + count : at + end], target[here + count : here + end]
        if one != other:
            return count + _same(one, other, "little")
        count, step = end, step * 2
    return count


def _behind(source: bytes, target: bytes, at: int, here: int, most: int) -> int:
    """How many bytes are the same up to these places."""
    most, count, step = min(at, most), 0, _STEP
    while count < most:
        end = min(count + step, most)
        one, other = source[at - end : at - count], target[here - end : here - count]
        if one != other:
            return count + _same(one, other, "big")
        count, step = end, step * 2
    return count


def _same(one: bytes, other: bytes, order: Literal["little", "big"]) -> int:
    """How many bytes of the two, which differ, are the same: the first, or with "big" the last."""
    difference = int.from_bytes(one, order) ^ int.from_bytes(other, order)
    return ((difference & -difference).bit_length() - 1) // 8
