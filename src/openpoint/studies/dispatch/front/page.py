"""The report of a front: the picture, and a row a point."""

from __future__ import annotations

import polars as pl

from openpoint.network.criteria import CRITERIA
from openpoint.report.drawing import Panel
from openpoint.report.numerals import method_words
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.studies.dispatch.front.pictures import chart
from openpoint.studies.dispatch.front.result import DispatchFront


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
