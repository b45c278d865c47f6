"""A dispatch in the terminal: why it stopped, the criteria before and after, and what to do."""

from __future__ import annotations

import math

from openpoint.network.freedom import FREE
from openpoint.report.terminal import view as v
from openpoint.report.terminal import words
from openpoint.studies.dispatch.result import DispatchResult

_MOST_ACTIONS = 30


def view(result: DispatchResult) -> v.View:
    """Why the run stopped, and the grid before and after."""
    return [
        *v.stop(result),
        *_answer(result),
        *v.ac_check(result.ac_max_mismatch_pu, len(result.violations)),
        *v.violations("Limits violated", result.violations),
        *v.least_violation(result),
    ]


def _answer(result: DispatchResult) -> v.View:
    missing = [kind for kind in FREE if kind not in result.free]
    not_free = f" (not: {', '.join(missing)})" if missing else ""
    free = v.Line(f"Free: {', '.join(result.free)}{not_free}")
    bound = f"bound {figure(result.lower_bound, result.objective_unit)}"
    if result.objective is None:
        return [free, v.Line(f"No state that keeps the limits was found ({bound}).")]
    rows = v.Rows(_before_after(result), (1, 2), head=True)
    objective = f" of {figure(result.objective, result.objective_unit)}"
    return [free, v.Line(), rows, *_actions(result), v.proof(result.gap, bound, objective)]


def _before_after(result: DispatchResult) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("", "today", "answer", "sought")]
    for row in result.criteria.iter_rows(named=True):
        weight, most = row["weight"], row["at_most"]
        sought = [f"weight {weight:g}"] if weight is not None else []
        sought += [f"at most {most:g}"] if most is not None else []
        values = (figure(row[when], row["unit"]) for when in ("today", "answer"))
        rows.append((row["name"], *values, ", ".join(sought)))
    for side in ("lowest", "highest"):
        short = "min" if side == "lowest" else "max"
        before, after = getattr(result, f"v_{short}_before_pu"), getattr(result, f"v_{short}_pu")
        bus = getattr(result, f"v_{short}_bus")
        rows.append((f"{side} voltage", figure(before, "pu"), figure(after, "pu"), f"at {words.safe(bus or '?')}"))
    return rows


def _actions(result: DispatchResult) -> v.View:
    listed = result.actions
    if listed.is_empty():
        return [v.Line("Nothing to do: today's state is the answer.", "bold")]
    columns = ["number", "action", "kind", "name", "place", "quantity", "today", "answer", "unit", "then"]
    shown = listed.head(_MOST_ACTIONS).select(columns)
    rows: list[tuple[str, ...]] = [("", "do", "what", "name", "at", "quantity", "today", "answer", "", "then")]
    rows += [tuple(words.safe(str(cell)) for cell in row) for row in shown.iter_rows()]
    left = listed.height - shown.height
    more = [v.Line(f"and {left} more; --csv, --json and --report list all")] if left else []
    return [v.Line("\nTo do:", "bold"), v.Rows(rows, (0, 6, 7), head=True), *more, v.Line()]


def figure(value: float | None, unit: str) -> str:
    """A figure with its unit."""
    if value is None or not math.isfinite(value):
        return "-"
    digits = {"kW": 3, "$/h": 2, "pu": 5}.get(unit, 0 if value == int(value) else 4)
    return f"{value:.{digits}f}{unit and ' ' + unit}"
