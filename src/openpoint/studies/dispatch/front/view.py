"""A front in the terminal: a row a point."""

from __future__ import annotations

from openpoint.report.page.model import Remarks
from openpoint.report.terminal import view as v
from openpoint.report.terminal import words
from openpoint.studies.dispatch.front.result import DispatchFront
from openpoint.studies.dispatch.view import figure


def view(result: DispatchFront) -> v.View:
    """A row a point."""
    rows: list[tuple[str, ...]] = [
        ("", f"bound of {result.kept}", result.kept, result.sought, "proven", "gap %", "to do", "ended")
    ]
    for row in result.points.iter_rows(named=True):
        rows.append(
            (
                str(row["number"]),
                figure(row["limit"], result.kept_unit),
                figure(row["kept"], result.kept_unit),
                figure(row["sought"], result.sought_unit),
                figure(row["lower_bound"], result.sought_unit),
                words.percent(row["gap"]),
                "-" if row["actions"] is None else str(row["actions"]),
                row["termination"],
            )
        )
    text = f"\nThe least {result.sought} at each bound of {result.kept}: {words.count(result.point_count, 'point')}."
    return [v.Line(text, "bold"), Remarks(result.notes), v.Rows(rows, (1, 2, 3, 4, 5, 6), head=True)]
