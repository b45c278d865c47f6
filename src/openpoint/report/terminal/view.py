"""A result in the terminal: lines and aligned rows that a study makes of it, printed by one renderer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import polars as pl
from rich.console import Console
from rich.text import Text

from openpoint.report.page.model import Remarks
from openpoint.report.scene import Change
from openpoint.report.terminal import words
from openpoint.results.base import Answer
from openpoint.results.switched import SwitchedResult

VIOLATIONS_SHOWN = 10


@dataclass(frozen=True)
class Line:
    """A line of text in a style of Rich; `more` follows on it in a style of its own."""

    text: str = ""
    style: str = ""
    more: str = ""
    more_style: str = ""


@dataclass(frozen=True)
class Rows:
    """Cells under each other; the columns `right` are set to the right, `head` makes the first row a heading."""

    rows: Sequence[Sequence[str]]
    right: Iterable[int] = ()
    head: bool = False


View = list[Line | Rows | Remarks]


def stop(result: Answer) -> View:
    """Why a run ended, what is to be done, and what changes the meaning of the figures that follow."""
    why = result.termination
    style = {0: "green", 3: "red"}.get(why.exit_code, "yellow")
    stopped = f"\nStopped after {result.seconds:.2f} s: {why.value}. "
    return [Line(stopped, f"bold {style}", result.in_short, "not bold"), Remarks(result.notes)]


def switching(result: SwitchedResult, places: pl.DataFrame | None = None) -> View:
    """What is open in the answer and what to switch; `places`: action and name, where that is not the branch alone."""
    lines: View = [Line(f"Open branches: {words.names(result.open_branches)}", "bold")]
    todo = result.switching_list if places is None else places
    for action in ("close", "open"):
        if branches := todo.filter(action=action)["name"].to_list():
            lines.append(Line(f"To {action}: {words.names(branches)}"))
    if not result.changes:
        lines.append(Line("Nothing to switch: today's open branches are the answer."))
    return lines


def violated(count: int) -> str:
    """How many limits are violated."""
    return f"{words.count(count, 'limit')} violated" if count else "no limit violated"


def ac_check(mismatch_pu: float | None, count: int, more: str = "") -> View:
    """What the AC power flow of the answer leaves over, and how many limits it breaks; nothing without an answer."""
    if mismatch_pu is None:
        return []
    return [Line(f"AC check: largest mismatch {words.small(mismatch_pu)} pu{more}, {violated(count)}")]


def proof(gap: float, bound: str, of: str = "") -> Line:
    """The gap, of what, and the bound that proves it."""
    known = f"{words.percent(gap)} %{of} ({bound})"
    return Line(f"Gap: {known if math.isfinite(gap) else 'not known, no bound is proven'}")


def least_violation(result: Change) -> View:
    """The limits that break at the least violation met, and what is open there."""
    lines = violations("Least violation met", result.least_violation)
    if result.least_violation_open:
        lines.append(Line(f"  with these branches open: {words.names(result.least_violation_open)}"))
    return lines


def violations(title: str, found: Sequence[object]) -> View:
    """The first of them under a title; nothing where there are none."""
    return [Line(f"{title}:"), *_first([str(each) for each in found])] if found else []


def violation_rows(found: pl.DataFrame, where: str, place: str) -> View:
    """The first rows of a table of violations; `where` says how `place`, a column of it, follows the name."""
    limits = [
        f"{row['kind']} at {row['name']} {where} {row[place]}: "
        f"{row['value']:.5g} {row['unit']}, limit {row['limit']:.5g} {row['unit']}"
        for row in found.iter_rows(named=True)
    ]
    return _first(limits)


def _first(limits: list[str]) -> View:
    lines: View = [Line(f"  {words.safe(limit)}") for limit in limits[:VIOLATIONS_SHOWN]]
    if (more := len(limits) - VIOLATIONS_SHOWN) > 0:
        lines.append(Line(f"  and {more} more; --json, --csv and --report list all"))
    return lines


def show(out: Console, view: View, remark: Callable[[Console, Iterable[str]], None]) -> None:
    """Print a view; `remark` prints what changes the meaning of the figures."""
    for part in view:
        if isinstance(part, Remarks):
            remark(out, part.notes)
        elif isinstance(part, Line):
            out.print(Text(part.text, part.style).append(part.more, part.more_style))
        else:
            show_rows(out, part.rows, part.right, head=part.head)


def show_rows(out: Console, rows: Sequence[Sequence[str]], right: Iterable[int] = (), *, head: bool = False) -> None:
    """Lines with cells under each other; the columns `right` are set to the right."""
    for number, line in enumerate(words.aligned(rows, right)):
        out.print(Text(line, style="bold" if head and number == 0 else ""))
