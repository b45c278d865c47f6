"""Where a value stands in the text of a JSON file, so that it can be replaced and every other character kept."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_DECODER = json.JSONDecoder(strict=False)
_BLANK = re.compile(r"[ \t\n\r]*")
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)


def span(text: str, way: Sequence[str | int], start: int = 0) -> tuple[int, int]:
    """First and next-to-last character of the value that keys and numbers lead to.

    Args:
        text: valid JSON. way: a key of an object or a number in an array, level by level. start: where the value
            begins at which the way begins.

    Raises:
        LookupError: nothing stands there.
    """
    at = _skip(text, start)
    for step in way:
        at = _member(text, at, step) if isinstance(step, str) else _item(text, at, step)
    return at, _end(text, at)


def offsets(literal: str) -> list[int]:
    """Where each character of a string stands in its JSON literal, the quotes included, and the closing quote."""
    found, at = [], 1
    while at < len(literal) - 1:
        found.append(at)
        escape = _ESCAPE.match(literal, at) if literal[at] == "\\" else None
        at = escape.end() if escape else at + 1
    return [*found, at]


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _end(text: str, at: int) -> int:
    return int(_DECODER.raw_decode(text, at)[1])


def _member(text: str, at: int, key: str) -> int:
    if text[at] != "{":
        raise LookupError(key)
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)  # behind the colon
        if name == key:
            return at
        at = _next(text, at)
    raise LookupError(key)


def _item(text: str, at: int, number: int) -> int:
    if text[at] != "[":
        raise LookupError(number)
    at = _skip(text, at + 1)
    for _ in range(number):
        if text[at] == "]":
            raise LookupError(number)
        at = _next(text, at)
    if text[at] == "]":
        raise LookupError(number)
    return at


def _next(text: str, at: int) -> int:
    """Where the value after this one begins, or the bracket that closes."""
    at = _skip(text, _end(text, at))
    return _skip(text, at + 1) if text[at] == "," else at
