"""The report of a front: the picture, a row a point with its switches, and what is proven."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from openpoint.arrays import Floats
from openpoint.report.charts import Front, chart_sheet
from openpoint.report.drawing import Chart, Sheet
from openpoint.report.numerals import figures, percent
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.scene import Scene, build_scene
from openpoint.results import columns as c
from openpoint.studies.reconfigure.faults.front.result import ReconfigureFront, figure_in
from openpoint.studies.reconfigure.faults.report import figure
from openpoint.studies.reconfigure.faults.task import UNRESTORABLE


def chart(result: ReconfigureFront) -> Chart | None:
    """The loss over the figure that is kept, with what is proven; None without points."""
    x, y, bound = _places(result)
    hovers = tuple("\n".join([f"point {number}", *lines]) for number, lines in _figures(result).items())
    title = f"{result.kept_words}, {result.kept_unit}".removesuffix(", ")
    known = result.kept_before is not None and result.loss_before_kw is not None
    today = (float(result.kept_before or 0.0), float(result.loss_before_kw or 0.0)) if known else None
    leads = tuple(map(s.lead, _figures(result)))
    return Front(x, y, bound, hovers, title, "loss, kW", _empty(result), today, leads).chart()


def front(result: ReconfigureFront) -> Sheet:
    """The front as a picture."""
    return chart_sheet(f"{result.title}: loss and {result.kept_words}", chart(result), "No point was found.")


PICTURES: Mapping[str, Callable[[ReconfigureFront], Sheet]] = {"front": front}


def _figures(result: ReconfigureFront) -> dict[int, list[str]]:
    """The figures of the points in lines, by number."""
    return {
        number: [
            f"loss {figures(y, 6)} kW, proven bound {figures(bound, 6)} kW, gap {percent(each.gap, 4)}",
            f"{result.kept_words} {figures(x, 6)} {result.kept_unit}".rstrip(),
        ]
        for number, (each, x, y, bound) in enumerate(zip(result.results, *_places(result), strict=True), start=1)
    }


def _places(result: ReconfigureFront) -> tuple[Floats, Floats, Floats]:
    """(K) figure kept, loss and proven bound of the points."""
    rows = [(figure_in(each.after, result.kept), each.loss_kw, each.lower_bound_kw) for each in result.results]
    found = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return found[:, 0], found[:, 1], found[:, 2]


def _empty(result: ReconfigureFront) -> Floats:
    """(K, 2) corners of the edge below which no state is: the bound of the loss holds to the left of each limit."""
    x, y, _ = _places(result)
    if not len(x):
        return np.zeros((0, 2))
    limits = np.array([np.inf if limit is None else limit for limit in result.bounds["limit"]])
    bounds = np.array([-np.inf if bound is None else bound for bound in result.bounds["lower_bound_kw"]])
    known = np.isfinite(bounds)
    limits, bounds = np.minimum(limits[known], x.max()), np.maximum.accumulate(bounds[known])
    corners = []
    for k, (limit, bound) in enumerate(zip(limits, bounds, strict=True)):
        if k:
            corners.append((limit, bounds[k - 1]))
        corners.append((limit, bound))
    if corners and np.isfinite(result.kept_bound):
        left = min(result.kept_bound, corners[-1][0])
        corners += [(left, corners[-1][1]), (left, max(y.max(), corners[-1][1]))]
    return np.array(corners, dtype=np.float64).reshape(-1, 2)


HOW = "To have a point: openpoint reconfigure GRID --open (its open branches, with commas), with --write."
"""With all open branches given, the point is the only radial state."""


def least(result: ReconfigureFront) -> str:
    """Below what no state is, in words; empty where nothing is proven."""
    if not (math.isfinite(result.kept_bound) and result.kept_bound > 0.0):
        return ""
    if result.kept == UNRESTORABLE:
        return f"Proven: no state has fewer than {result.kept_bound:.0f} unrestorable faults."
    return f"Proven: no state has less than {result.kept_bound:.4g} {result.kept_unit} of {result.kept_words}."


def page(result: ReconfigureFront) -> m.Page:
    """The report of a result."""
    text = f"The least loss over {result.kept_words}, and what is proven to be empty"
    proven_least = least(result)
    proven_all = "" if result.termination.exit_code == 0 else " known"
    heading = f"No state{proven_all} has both less loss and less {result.kept_words}"
    if not result.results:
        heading = "No radial state that keeps all limits was found; reconfigure alone names the least violation"
    kept = figure(result.kept_before)
    ended = f"{result.termination.value}: {result.remedy.removesuffix('.')}"
    texts = ["to_close", "to_open", "open_branches", "termination"]
    searches = "What is proven, a row a search"
    declared = result.shape.tables["bounds"]
    if result.kept == UNRESTORABLE:
        declared = {**declared, "limit": c.maybe_number("most unrestorable faults", "limit")}
    proven = t.frame_table("bounds", searches, result.bounds, declared, [], last=["termination"])
    parts = [
        s.remarks(result.notes),
        m.section(
            heading,
            m.Words(f"Ended: {ended}, after {result.seconds:.2f} s"),
            m.Words(proven_least, small=True) if proven_least else None,
            m.Words(f"Today: loss {figure(result.loss_before_kw)} kW, {result.kept_words} {kept}"),
        ),
        lambda: s.front_section(f"Loss and {result.kept_words}", text, chart(result), _points(result)),
        t.table_section("Points", result, "points", text, [], last=texts, below=m.Words(HOW, small=True)),
        lambda: m.section("Bounds", proven),
        lambda: s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "front of loss and faults", parts)


def _points(result: ReconfigureFront) -> dict[int, tuple[Scene, list[str]]]:
    """The answers along the figure that is kept, by the number of their points."""
    points = {}
    for number, lines in reversed(_figures(result).items()):
        each = result.results[number - 1]
        points[number] = build_scene(each), [*lines, *s.switched(each)]
    return points
