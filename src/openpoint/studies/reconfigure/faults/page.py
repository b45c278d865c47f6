"""The report of a reconfiguration with faults: that of a reconfiguration, with what faults do today and after."""

from __future__ import annotations

from openpoint.report.page import model as m
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.studies.reconfigure.faults.result import SecuredResult
from openpoint.studies.reconfigure.faults.view import fault_rows, figure
from openpoint.studies.reconfigure.page import page as plain_page


def page(result: SecuredResult, *, picture: bool = True) -> m.Page:
    """The report of a result; `picture`: also one for readers without scripts."""
    plain = plain_page(result, picture=picture)
    cards = next(k for k, part in enumerate(plain.parts) if isinstance(part, m.Cards))
    parts = [*plain.parts[: cards + 1], _faults(result), *plain.parts[cards + 1 :]]
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


html = html_for(page)
