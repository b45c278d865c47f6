"""Edits of a text: what a format changes of a file, as replacements of its characters, and their list for the user."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openpoint.errors import InputError, Problem


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
