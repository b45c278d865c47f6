"""Every error that openpoint raises on purpose. Each names the place and the remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Literal

MOST_LINES = 20
"""Lines of problems in the text of an error."""
MOST_FAULTS = 10_000
"""Faults of a file that are looked for."""
ROWS_NAMED = 3
"""Rows named of problems that are listed together."""
_VALUE = re.compile(r"'[^']*'|[-+]?\d[\w.+-]*")


class OpenpointError(Exception):
    """Base of all errors that openpoint raises on purpose; its text is meant for the user."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault or doubt in the input: where it is, what is wrong, and what to do.

    Attributes:
        table: table (`"lines"`) or file (`"case.m"`) that holds it.
        row: name of the row, or `"line 17"` of a text file; `""` when it concerns the whole table.
        column: name of the column; `""` when it concerns the whole row.
        message: what is wrong.
        remedy: what to do about it.
        severity: an `"error"` stops the run, a `"warning"` is shown.
        changes_figures: whether it changes what figures mean, as a unit does; results then repeat it beside them.
    """

    table: str
    row: str
    column: str
    message: str
    remedy: str
    severity: Literal["error", "warning"] = "error"
    changes_figures: bool = False

    def __str__(self) -> str:
        row = self.row if self.row.startswith("line ") else self.row and f"row {self.row}"
        return self.told(row, self.message)

    def told(self, where: str, message: str) -> str:
        """The sentence of the problem with other rows and another message."""
        place = ", ".join(part for part in (self.table, where, self.column) if part)
        return f"{place and f'{place}: '}{message}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class Alike:
    """Problems that are alike in several rows; at least one."""

    problems: tuple[Problem, ...]

    @property
    def severity(self) -> Literal["error", "warning"]:
        return self.problems[0].severity

    def __str__(self) -> str:
        """All in one sentence: how many rows, the first of them by name, and the message about the very first."""
        first, count = self.problems[0], len(self.problems)
        if count == 1:
            return str(first)
        of_lines = all(p.row.startswith("line ") for p in self.problems)
        names = [p.row.removeprefix("line ") if of_lines else p.row for p in self.problems[:ROWS_NAMED]]
        more = f" and {count - ROWS_NAMED} more" if count > ROWS_NAMED else ""
        same = all(p.message == first.message for p in self.problems)
        where = f"{count} {'lines' if of_lines else 'rows'} ({', '.join(names)}{more})"
        return first.told(where, first.message if same else f"of the first, {first.message}")


def grouped(problems: Iterable[Problem]) -> list[Alike]:
    """The problems in the order of the first of each kind, those that differ in names and numbers alone as one."""
    alike: dict[tuple[object, ...], list[Problem]] = {}
    for k, problem in enumerate(problems):
        shape = tuple(_VALUE.sub("…", text) for text in (problem.message, problem.remedy))
        own = () if problem.row else (k,)  # without a row there is nothing to gather
        place = (problem.severity, problem.changes_figures, problem.table, problem.column)
        alike.setdefault((*place, *shape, *own), []).append(problem)
    return [Alike(tuple(members)) for members in alike.values()]


class InputError(OpenpointError):
    """The input cannot be used. `problems` lists every fault found, not only the first; the text groups alike ones.

    Attributes:
        problems: the faults, in the order found; severity `"error"` at least once.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(alike) for alike in grouped(self.problems)]
        more = [f"and {len(lines) - MOST_LINES} more; `problems` holds all"] if len(lines) > MOST_LINES else []
        super().__init__("\n".join([*lines[:MOST_LINES], *more]))


class Faults(list[Problem]):
    """Faults in the order found. So many that nobody reads them end the reading, before they fill the memory."""

    def append(self, problem: Problem) -> None:
        """Add a fault.

        Raises:
            InputError: with all of them, once there are too many.
        """
        super().append(problem)
        if len(self) >= MOST_FAULTS:
            raise InputError(self)


class OptionError(OpenpointError):
    """An option or argument makes no sense; the text says which and what is accepted."""


class NotWrittenError(OpenpointError):
    """A file that a run must write could not be written, as where a disk is full; the text says what is kept."""


class MissingExtraError(OpenpointError):
    """A package of an optional extra is not installed; the text says the pip command."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: {pip_command(extra)}")


_UNITS = {
    "_mw": ("_kw", "multiply its numbers by 1000"),
    "_w": ("_kw", "divide its numbers by 1000"),
    "_mvar": ("_kvar", "multiply its numbers by 1000"),
    "_var": ("_kvar", "divide its numbers by 1000"),
    "_mva": ("_kva", "multiply its numbers by 1000"),
    "_va": ("_kva", "divide its numbers by 1000"),
    "_ka": ("_a", "multiply its numbers by 1000"),
    "_m": ("_km", "divide its numbers by 1000"),
    "_v": ("_kv", "divide its numbers by 1000"),
}
"""By unit of a column that is not known: the unit of ours, and how its numbers become ours."""


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy for a name that is not known: those it may stand for, or something else."""
    names = list(dict.fromkeys(known))
    near = [other for other in names if other.casefold() == name.strip().casefold()]
    near = near or difflib.get_close_matches(name, names, n=3)
    return f"Did you mean {' or '.join(map(repr, near))}?" if near else otherwise


def remedy_of_column(name: str, known: Iterable[str]) -> str:
    """What to do about a column that is not known: other units are to be converted, a slip is to be mended."""
    columns = list(known)
    for unit, (ours, change) in _UNITS.items():
        stem = name.strip().casefold().removesuffix(unit)
        if name.strip().casefold().endswith(unit) and (column := stem + ours) in columns:
            return f"Call it {column} and {change}"
    return did_you_mean(name, columns, f"Remove it; the columns are {', '.join(columns)}")


def refuse_unknown(table: str, names: Iterable[str], known: Iterable[str], noun: str = "branch") -> None:
    """Refuse names that a table of the grid does not have.

    Raises:
        InputError: naming each, with what may be meant.
    """
    there = dict.fromkeys(known)
    otherwise = (
        "`openpoint info GRID --branches` lists the branches" if noun == "branch" else f"Use a {noun} of the grid"
    )
    unknown = [name for name in dict.fromkeys(names) if name not in there]
    if unknown:
        shown = [did_you_mean(name, there, otherwise) for name in unknown[:MOST_LINES]]
        remedies = [*shown, *[otherwise] * (len(unknown) - len(shown))]  # a comparison with every name takes long
        message = f"no such {noun} in this grid"
        raise InputError(
            [Problem(table, name, "", message, each) for name, each in zip(unknown, remedies, strict=True)]
        )


def require_extra(package: str, extra: str, purpose: str) -> None:
    """Refuse what an extra is needed for, where the package of that extra is not installed; nothing is imported.

    Raises:
        MissingExtraError: naming the pip command.
    """
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise MissingExtraError(package, extra, purpose)


@cache
def pip_command(extra: str) -> str:
    """How to install what an extra of openpoint brings, in the versions that it is tested with.

    The packages are named themselves: pip knows an openpoint by its name only where an index has it.
    """
    from importlib import metadata  # takes a tenth of the time of `openpoint --help`

    found = []
    lines: list[str] = []
    with suppress(metadata.PackageNotFoundError):  # run from its source, not installed
        lines = metadata.requires("openpoint") or []
    for line in lines:
        requirement, _, marker = line.partition(";")
        if marker.replace('"', "'").strip() == f"extra == '{extra}'":
            found.append(f"'{requirement.strip()}'")
    return "pip install " + (" ".join(found) or f"'.[{extra}]' in a clone of openpoint")
