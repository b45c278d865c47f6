"""A reconfiguration with faults in the terminal: the grid before and after, and what faults do to it."""

from __future__ import annotations

import math

from openpoint.report.terminal import view as v
from openpoint.report.terminal import words
from openpoint.studies.reconfigure import view as plain
from openpoint.studies.reconfigure.faults.result import SecuredResult


def view(result: SecuredResult) -> v.View:
    """Why the run stopped, and the grid before and after."""
    lines: v.View = [*v.stop(result)]
    if result.loss_kw is None:
        return [*lines, v.Line("No radial state that keeps all limits was found."), *_limit(result)]
    bound, value = figure(result.minimized_bound), figure(result.minimized_value)
    lines += [
        v.Line(f"\nLeast {result.minimized}: {value} {result.minimized_unit}", "bold"),
        v.Rows([*plain.before_after(result), *fault_rows(result)], head=True),
        *_limit(result),
        v.Line(f"Open today: {words.names(result.open_before)}"),
        *v.switching(result, plain.places(result)),
        v.Line(f"Gap: {words.percent(result.gap)} % (bound {bound} {result.minimized_unit})"),
        v.Line(f"AC check: {v.violated(len(result.violations))}"),
        *v.violations("Limits violated", result.violations),
    ]
    return lines


def fault_rows(result: SecuredResult) -> list[tuple[str, str, str]]:
    """What faults do today and in the answer; a row for each figure that is known."""

    def row(name: str, of: str, unit: str) -> tuple[str, str, str]:
        before, after = (getattr(each, of) for each in (result.before, result.after))
        return (name, f"{figure(before)} {unit}".strip(), f"{figure(after)} {unit}".strip())

    rows = [
        row("unrestorable faults", "unrestorable", ""),
        row("SAIFI", "saifi_per_year", "1/a"),
        row("SAIDI", "saidi_h_per_year", "h/a"),
        row("energy not supplied", "not_supplied_kwh_per_year", "kWh/a"),
    ]
    return [each for each in rows if each[1:] != (figure(None), figure(None)) and not each[2].startswith("- ")]


def figure(value: float | None) -> str:
    """A figure with the digits that matter; `-` where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}" if abs(value) >= 1.0 else f"{value:.4g}"


def _limit(result: SecuredResult) -> v.View:
    return [v.Line(f"Limit of faults: {result.fault_limit}")] if result.fault_limit else []
