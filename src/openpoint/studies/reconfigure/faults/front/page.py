"""The report of a front: the picture, a row a point with its switches, and what is proven."""

from __future__ import annotations

from openpoint.report.drawing import Panel
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.results import columns as c
from openpoint.studies.reconfigure.faults.front.pictures import chart
from openpoint.studies.reconfigure.faults.front.result import ReconfigureFront
from openpoint.studies.reconfigure.faults.front.view import HOW, least
from openpoint.studies.reconfigure.faults.task import UNRESTORABLE


def page(result: ReconfigureFront) -> m.Page:
    """The report of a result."""
    drawn = chart(result)
    text = f"The least loss over {result.kept_words}, and what is proven to be empty"
    picture = None if drawn is None else Panel("front", drawn, "", text)
    proven_least = least(result)
    ended = f"{result.termination.value}: {result.termination.remedy}"
    texts = ["to_close", "to_open", "open_branches", "termination"]
    searches = "What is proven, a row a search"
    declared = result.shape.tables["bounds"]
    if result.kept == UNRESTORABLE:
        declared = {**declared, "limit": c.maybe_number("most unrestorable faults", "limit")}
    proven = t.frame_table("bounds", searches, result.bounds, declared, [], last=["termination"])
    parts = [
        s.remarks(result.notes),
        m.section(
            f"Loss and {result.kept_words}",
            picture,
            m.Words(f"Ended: {ended}"),
            m.Words(proven_least, small=True) if proven_least else None,
        ),
        t.table_section("Points", result, "points", text, [], last=texts, below=m.Words(HOW, small=True)),
        m.section("Bounds", proven),
        s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "front of loss and faults", parts)


html = html_for(page)
