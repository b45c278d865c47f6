"""The pictures of a grid alone: as a page, and as a frame in a page of another, such as a notebook."""

from __future__ import annotations

from html import escape
from importlib import import_module

import numpy as np

from openpoint.grid.grid import Grid
from openpoint.report.drawing import Panel
from openpoint.report.grids import grid_sheet
from openpoint.report.page.html import render
from openpoint.report.page.model import GridTools, Page, Panels, Section, Still
from openpoint.report.page.sections import grid_section
from openpoint.report.scene import State, scene_of
from openpoint.results.base import Result

_AROUND = 190
"""Pixels of a frame beside its charts: heading, tools and legend."""


def picture_of(page: Page) -> Page:
    """The sections of a page that show the grid, as a page; it has none where they show none."""
    shown = [part for part in page.parts if isinstance(part, Section)]
    kept = [
        Section(part.heading, tuple(block for block in part.content if not isinstance(block, Still)))
        for part in shown
        if any(isinstance(block, GridTools) for block in part.content)
    ]
    return Page("", "", page.study, tuple(kept), "")


def picture_of_today(grid: Grid) -> Page:
    """The picture of today's state without figures."""
    branches = grid.branches()
    v, i = (np.full(frame.height, np.nan) for frame in (grid.buses, branches))
    closed = branches["closed"].to_numpy().astype(bool)
    state = State("before", "Today", None, v, closed, i, i, i, i, i, ())
    scene = scene_of(grid, branches["name"], {"before": state}, (v, v, i), feasible=False)
    return Page("", "", "today", (grid_section(scene, grid_sheet(scene, grid.name), picture=False),), "")


def picture_of_result(result: Result) -> Page:
    """The pictures of the grid in the report of a result."""
    page: Page = import_module(f"{result.place}.report").page(result)
    return picture_of(page)


def frame(page: Page) -> str:
    """A page within another, apart from it; empty where it has no parts."""
    if not page.parts:
        return ""
    blocks = [block for part in page.parts if isinstance(part, Section) for block in part.content]
    rows = [
        [block] if isinstance(block, Panel) else block.panels for block in blocks if isinstance(block, Panel | Panels)
    ]
    high = sum(_AROUND + max(panel.chart.height for panel in row) for row in rows)
    return (
        f'<iframe title="The grid" sandbox="allow-scripts allow-downloads" srcdoc="{escape(render(page))}" '
        f'style="width:100%;height:{high}px;border:0"></iframe>'
    )
