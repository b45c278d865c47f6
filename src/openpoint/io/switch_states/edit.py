"""Edits of a text: what a format changes of a file, as replacements of its characters, and their list for the user."""

from __future__ import annotations

from collections.abc import Iterable
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
