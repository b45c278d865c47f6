"""Every error that openpoint raises on purpose. Each names the place and says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from typing import Literal


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
    """

    table: str
    row: str
    column: str
    message: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        row = self.row if self.row.startswith("line ") else self.row and f"row {self.row}"
        place = ", ".join(part for part in (self.table, row, self.column) if part)
        return f"{place}: {self.message}. {self.remedy}"


class InputError(OpenpointError):
    """The input cannot be used. `problems` lists every fault found, not only the first.

    Attributes:
        problems: the faults, in the order found; severity `"error"` at least once.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class OptionError(OpenpointError):
    """An option or argument makes no sense; the text says which and what is accepted."""


class MissingExtraError(OpenpointError):
    """A package of an optional extra is not installed; the text says the pip command."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: {pip_command(extra)}")


def pip_command(extra: str) -> str:
    """How to install what an extra of openpoint brings, in the versions that it is tested with.

    The packages are named themselves: pip knows an openpoint by its name only where an index has it.
    """
    found = []
    lines: list[str] = []
    with suppress(metadata.PackageNotFoundError):  # run from its source, not installed
        lines = metadata.requires("openpoint") or []
    for line in lines:
        requirement, _, marker = line.partition(";")
        if marker.replace('"', "'").strip() == f"extra == '{extra}'":
            found.append(f"'{requirement.strip()}'")
    return "pip install " + (" ".join(found) or f"'.[{extra}]' in a clone of openpoint")
