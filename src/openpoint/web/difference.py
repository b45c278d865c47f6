"""Two answers about a grid on one picture, in a process of its own.

    python -m openpoint.web.difference SOURCE PAGE FIRST SECOND

reads the grid and two results, and writes a page with the exact power flow of both topologies, and what is open in one
of them alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from openpoint.atomic import write_text
from openpoint.errors import OpenpointError

OPEN = "open_branches"
"""The key of results that are one topology."""


def difference(grid: Any, first: Collection[str], second: Collection[str]) -> Any:
    """The page of two topologies of a grid, by the names of what each has open.

    Raises:
        InputError: there is no power flow of one of them.
    """
    from openpoint.report.grids import grid_sheet
    from openpoint.report.page.model import Page
    from openpoint.report.page.sections import grid_section
    from openpoint.report.scene import scene_of
    from openpoint.studies.powerflow.report import powerflow_scene
    from openpoint.studies.powerflow.study import run_powerflow

    names = grid.branches()["name"]
    one, other = (
        powerflow_scene(run_powerflow(grid.with_closed({name: name not in opened for name in names})))
        for opened in (first, second)
    )
    states = {
        "before": replace(one.states["before"], title="First"),
        "after": replace(other.states["before"], key="after", title="Second"),
    }
    scene = scene_of(grid, names, states, (one.v_min, one.v_max, one.i_max), feasible=True)
    note = "What the second has open and the first closed “opens”."
    return Page("", "", "difference", (grid_section(scene, grid_sheet(scene, ""), note=note, picture=False),), "")


def main(source: str, target: str, *results: str) -> None:
    """Read the grid and the results, and write the page."""
    from openpoint.io import read
    from openpoint.report.page.html import render
    from openpoint.report.page.model import Banner, Page

    first, second = (json.loads(Path(path).read_text(encoding="utf-8"))[OPEN] for path in results)
    try:
        page = difference(read(source), first, second)
    except OpenpointError as error:
        page = Page("", "", "difference", (Banner("warn", "No picture.", str(error)),), "")
    write_text(Path(target), render(page))


if __name__ == "__main__":
    main(*sys.argv[1:])
