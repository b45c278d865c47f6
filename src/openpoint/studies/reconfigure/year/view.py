"""One topology for a year in the terminal: why the run stopped, and the year today and with the answer."""

from __future__ import annotations

import polars as pl

from openpoint.report.terminal import words
from openpoint.report.terminal.view import Line, Rows, View, stop, switching, violated, violation_rows
from openpoint.studies.reconfigure.year.result import YearResult


def view(result: YearResult) -> View:
    """Why the run stopped, and the year today and with the answer."""
    bound = f"bound {energy(result.energy_bound_mwh)}"
    lines = stop(result)
    if result.has_answer:
        less = saving(result.energy_before_mwh, result.energy_mwh)
        text = f"\nEnergy lost {energy(result.energy_before_mwh)} → {energy(result.energy_mwh)}{less}"
        lines.append(Line(text, "bold"))
    else:
        lines.append(Line(f"No topology was found that keeps the limits in every step ({bound})."))
    lines += [Rows(_before_after(result), head=True), Line(f"Open today: {words.names(result.open_before)}")]
    if result.has_answer:
        lines += [*switching(result), Line(f"Gap: {words.percent(result.gap)} % ({bound})")]
    elif result.least_violation_open:
        lines.append(Line(f"Least violation met with these branches open: {words.names(result.least_violation_open)}"))
    if result.ac_max_mismatch_pu is None:
        return lines
    broken = violated(result.violations.height)
    steps = f"{words.count(result.steps_count, 'step')} by AC power flow"
    mismatch = f"largest mismatch {words.small(result.ac_max_mismatch_pu)} pu in {result.checked_steps} of them"
    return [*lines, Line(f"All {steps}, {mismatch}, {broken}"), *violation_rows(result.violations, "in", "step")]


def energy(mwh: float | None) -> str:
    """An energy in words."""
    return "-" if mwh is None or mwh in (float("inf"), float("-inf")) else f"{mwh:,.3f} MWh"


def worst(result: YearResult, key: str) -> tuple[str, str, str]:
    """Lowest voltage, highest voltage and highest loading over the year of a topology, each with place and step."""
    low = _extreme(result.buses, f"v_lowest_{key}_pu", f"v_lowest_{key}_step", "{:.4f} pu", descending=False)
    high = _extreme(result.buses, f"v_highest_{key}_pu", f"v_highest_{key}_step", "{:.4f} pu", descending=True)
    loading = f"loading_highest_{key}_percent"
    return low, high, _extreme(result.branches, loading, f"i_highest_{key}_step", "{:.1f} %", descending=True)


def _extreme(frame: pl.DataFrame, column: str, step: str, how: str, *, descending: bool) -> str:
    known = frame.filter(pl.col(column).is_not_null() & pl.col(step).is_not_null()).sort(column, descending=descending)
    if known.is_empty():
        return "-"
    return f"{how.format(known[column][0])} at {words.safe(known['name'][0])}, {known[step][0]}"


def _before_after(result: YearResult) -> list[tuple[str, str, str]]:
    after = "answer" if result.has_answer else "least violation"
    named = zip(
        ("lowest voltage", "highest voltage", "highest loading"), worst(result, "before"), worst(result, "after")
    )
    counts = ("-" if n is None else f"{n:,}" for n in (result.steps_broken_before, result.steps_broken))
    return [("", "today", after), *named, ("steps with broken limits", *counts)]  # type: ignore[list-item]


def saving(before: float | None, after: float | None) -> str:
    """The change of an energy in words; empty where one is not known."""
    if before is None or after is None or before <= 0.0:
        return ""
    return f" ({100.0 * (after - before) / before:+.2f} %)"
