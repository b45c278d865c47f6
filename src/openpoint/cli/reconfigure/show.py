"""What a person sees of a reconfiguration: why it stopped, and the grid before and after."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl
from rich.text import Text

from openpoint.cli import words
from openpoint.cli.display import VIOLATIONS_SHOWN, limits_violated, show_rows, show_stop, show_violations

if TYPE_CHECKING:
    from rich.console import Console

    from openpoint.studies.reconfigure.result import ReconfigureResult, SoftLimits


def show_reconfigure(out: Console, result: ReconfigureResult) -> None:
    """Why the run stopped, and the grid before and after."""
    show_stop(out, result)
    bound = f"bound {words.kw(result.lower_bound_kw)} kW"
    if result.loss_kw is None:
        out.print(Text(f"No topology that keeps the limits was found ({bound})."))
    else:
        out.print(
            Text(f"\nLoss {words.kw(result.loss_before_kw)} → {words.kw(result.loss_kw)} kW{_saving(result)}", "bold")
        )
        show_rows(out, _before_after(result), head=True)
        out.print(Text(f"Open today: {words.names(result.open_before)}"))
        out.print(Text(f"Open branches: {words.names(result.open_branches)}", "bold"))
        for action in ("close", "open"):
            if branches := _places(result, action):
                out.print(Text(f"To {action}: {words.names(branches)}"))
        if not result.changes:
            out.print(Text("Nothing to switch: today's open branches are the answer."))
        objective = (
            "" if result.objective_kw == result.loss_kw else f" of {words.kw(result.objective_kw)} kW with changes"
        )
        if result.linear_kw is not None:
            bound += f" of the linear model, its best {words.kw(result.linear_kw)} kW"
        known = f"{words.percent(result.gap)} %{objective} ({bound})"
        out.print(Text(f"Gap: {known if math.isfinite(result.gap) else 'not known, no bound is proven'}"))
    if result.ac_max_mismatch_pu is not None:
        mismatch = f"largest mismatch {words.small(result.ac_max_mismatch_pu)} pu"
        out.print(Text(f"AC check: {mismatch}, {limits_violated(result.violations)}"))
    show_violations(out, "Limits violated", result.violations)
    if result.soft_limits is not None:
        out.print(Text(f"Limits relaxed for this answer: {words.safe(_relaxed(result.soft_limits))}", style="bold red"))
    show_violations(out, "Least violation met", result.least_violation)
    if result.least_violation_open:
        out.print(Text(f"  with these branches open: {words.names(result.least_violation_open)}"))


def _places(result: ReconfigureResult, action: str) -> list[str]:
    """What is to be opened or closed; of a line that is switched at one end alone the bus there."""
    rows = result.switching_list.filter(action=action).select("name", "open_end", "from_bus", "to_bus").iter_rows()
    at = {"from": " (at {0})", "to": " (at {1})", "both": ""}
    return [name + at[end].format(fr, to) for name, end, fr, to in rows]


def _before_after(result: ReconfigureResult) -> list[tuple[str, str, str]]:
    from openpoint.results.violation import phase_words

    before, after = (_loading(result.branches, f"loading_{when}_percent") for when in ("before", "after"))
    return [
        ("", "today", "answer"),
        ("loss", f"{words.kw(result.loss_before_kw)} kW", f"{words.kw(result.loss_kw)} kW"),
        (
            "lowest voltage",
            words.voltage(result.v_min_before_pu, result.v_min_before_bus) + phase_words(result.v_min_before_phase),
            words.voltage(result.v_min_pu, result.v_min_bus) + phase_words(result.v_min_phase),
        ),
        ("highest loading", before, after),
    ]


def _loading(branches: pl.DataFrame, column: str) -> str:
    known = branches.filter(pl.col(column).is_not_null()).sort(column)
    if known.is_empty():
        return "no ratings given"
    return f"{known[column][-1]:.1f} % at {words.safe(known['name'][-1])}"


def _saving(result: ReconfigureResult) -> str:
    before, after = result.loss_before_kw, result.loss_kw
    if before is None or after is None or before <= 0.0:
        return ""
    return f" ({100.0 * (after - before) / before:+.2f} %)"


def _relaxed(soft: SoftLimits) -> str:
    shown = [str(each) for each in soft.relaxed[:VIOLATIONS_SHOWN]]
    more = len(soft.relaxed) - len(shown)
    proof = "proven to be the least" if soft.proven else "not proven to be the least"
    return f"{', '.join(shown)}{f', and {more} more' if more else ''}; {proof}"
