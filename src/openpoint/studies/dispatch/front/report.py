"""The report of a front: the picture, and a row a point."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from openpoint.network.criteria import CRITERIA
from openpoint.report.charts import Front, chart_sheet
from openpoint.report.drawing import Chart, Panel, Sheet
from openpoint.report.numerals import figures, method_words, percent
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.report.page.model import Remarks
from openpoint.report.terminal import view as v
from openpoint.report.terminal import words
from openpoint.studies.dispatch.front.result import DispatchFront
from openpoint.studies.dispatch.report import figure


def chart(result: DispatchFront) -> Chart | None:
    """The criterion sought over the criterion kept, with the proven bound of each point; None where none was found."""
    found = result.points.filter(pl.col("sought").is_not_null()).sort("kept")
    # Where no bound is proven it is that of the answer.
    found = found.with_columns(pl.col("lower_bound").fill_null(pl.col("sought")))
    named = ((result.kept, result.kept_unit), (result.sought, result.sought_unit))
    titles = [f"{name.replace('v_min', 'lowest voltage')}{unit and ', ' + unit}" for name, unit in named]
    hovers = tuple(
        f"{result.sought} {figures(row['sought'], 6)} {result.sought_unit}\n{result.kept} {figures(row['kept'], 6)} "
        f"{result.kept_unit}\nproven bound {figures(row['lower_bound'], 6)}, gap {percent(row['gap'], 4)}"
        for row in found.iter_rows(named=True)
    )
    x, y, bound = (found[column].to_numpy() for column in ("kept", "sought", "lower_bound"))
    return Front(x, y, bound, hovers, titles[0], titles[1], np.zeros((0, 2))).chart()


def front(result: DispatchFront) -> Sheet:
    """The front as a picture."""
    return chart_sheet(f"{result.title}: {result.sought} and {result.kept}", chart(result), "No point was found.")


PICTURES: Mapping[str, Callable[[DispatchFront], Sheet]] = {"front": front}


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


def page(result: DispatchFront) -> m.Page:
    """The report of a result."""
    drawn = chart(result)
    text = f"The least {result.sought} at each bound of {result.kept}, and the bound that is proven of it"
    picture = None if drawn is None else Panel("front", drawn, "", text)
    meant = [
        m.Words(f"{name}: {CRITERIA[name].text}.", small=True)
        for name in (result.sought, result.kept)
        if name in CRITERIA
    ]
    points = result.points.with_columns(pl.col("method").map_elements(method_words, pl.String))
    last = ["termination", "method"]
    parts = [
        s.remarks(result.notes),
        m.section(f"{result.sought.capitalize()} and {result.kept}", picture, *meant),
        t.table_section("Points", result, "points", text, ["open_branches"], frame=points, last=last),
        s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "front of dispatch", parts)


html = html_for(page)
