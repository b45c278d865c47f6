"""Edits of a text: what a format changes of a file, as replacements of its characters, and their list for the user."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openpoint.errors import InputError, Problem
from openpoint.grid.grid import Grid


@dataclass(frozen=True)
class Change:
    """One state that is changed in a file.

    Attributes:
        branch: name of the branch in the grid. closed: its new state.
        element: what is changed, in the words of the file. value: its new value there.
    """

    branch: str
    closed: bool
    element: str
    value: str

    def __str__(self) -> str:
        return f"{'close' if self.closed else 'open'} {self.branch}: {self.element} = {self.value}"


@dataclass(frozen=True)
class Edit:
    """The characters from `start` to `end` of a text become `text`."""

    start: int
    end: int
    text: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text after edits that do not overlap."""
    for edit in sorted(edits, key=lambda edit: -edit.start):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def cannot_write(file: str, row: str, message: str, remedy: str) -> InputError:
    """The error of a state that the file cannot hold."""
    return InputError([Problem(file, row, "", message, remedy)])


def refuse_difference(file: str, wanted: Grid, made: Grid) -> None:
    """What is read again must be what was meant: all tables, but for the end at which a line opens.

    Raises:
        InputError: naming the table, and where branches differ these.
    """
    message = "read again, the file that was written is not the same grid in these states: something else sets them"
    remedy = "Set the states in the program that wrote the file"
    mine, theirs = (dict(grid.branches().select("name", "closed").iter_rows()) for grid in (wanted, made))
    if mine != theirs:
        wrong = [name for name, closed in mine.items() if theirs.get(name) != closed]
        raise cannot_write(file, ", ".join(wrong[:10]), message, remedy)
    if file.lower().endswith(".dss"):
        return
    for kind, table in wanted.tables().items():
        if not table.drop("open_end", strict=False).equals(made.tables()[kind].drop("open_end", strict=False)):
            raise cannot_write(file, kind, message, remedy)


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
