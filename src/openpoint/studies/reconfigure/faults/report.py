"""The report of a reconfiguration with faults: that of a reconfiguration, with what faults do today and after."""

from __future__ import annotations

import math

from openpoint.report.page import model as m
from openpoint.report.page import tables as t
from openpoint.studies.reconfigure.faults.result import SecuredResult
from openpoint.studies.reconfigure.report import COMPARED, PICTURES
from openpoint.studies.reconfigure.report import page as plain_page

__all__ = ["COMPARED", "PICTURES"]


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


def page(result: SecuredResult, *, picture: bool = True) -> m.Page:
    """The report of a result; `picture`: also one for readers without scripts."""
    plain = plain_page(result, picture=picture)
    cards = next(k for k, part in enumerate(plain.offered) if isinstance(part, m.Cards))
    parts = [*plain.offered[: cards + 1], _faults(result), *plain.offered[cards + 1 :]]
    return m.page_of(result.grid, plain.study, parts)


def _faults(result: SecuredResult) -> m.Section:
    """What faults do, and the branches whose fault it is."""
    rows = fault_rows(result)
    compared = t.table("fault-figures", "Figures of all faults", ["", "today", "answer"], rows)
    caption = "{} branches that may have a fault, those first whose verdict differs"
    listed = t.listed(result, "faults", caption, ["name"], search=True)
    asked = f"Limit of faults: {result.fault_limit}. " if result.fault_limit else ""
    value, bound = figure(result.minimized_value), figure(result.minimized_bound)
    least = f"Least {result.minimized}: {value} {result.minimized_unit}; proven: no state has less than {bound}. "
    text = "Restorable: one tie for each part feeds all that is cut off and not isolated, within the limits."
    return m.section("Faults", m.Words(asked + least + text), compared, listed, long=True)
