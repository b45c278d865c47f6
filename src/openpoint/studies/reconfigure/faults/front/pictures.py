"""The picture of a front: the points, the gap of each, what is proven to be empty, and today's state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from openpoint.arrays import Floats
from openpoint.report.charts import Front, chart_sheet
from openpoint.report.drawing import Chart, Sheet
from openpoint.report.numerals import figures, percent
from openpoint.studies.reconfigure.faults.front.result import ReconfigureFront, figure_in


def chart(result: ReconfigureFront) -> Chart | None:
    """The loss over the figure that is kept, with what is proven; None without points."""
    x, y, bound = _places(result)
    hovers = tuple(
        f"point {number}\nloss {figures(high, 6)} kW, proven bound {figures(low, 6)} kW, gap {percent(each.gap, 4)}\n"
        f"{result.kept_words} {figures(a, 6)} {result.kept_unit}"
        for number, (each, a, low, high) in enumerate(zip(result.results, x, bound, y, strict=True), start=1)
    )
    title = f"{result.kept_words}, {result.kept_unit}".removesuffix(", ")
    known = result.kept_before is not None and result.loss_before_kw is not None
    today = (float(result.kept_before or 0.0), float(result.loss_before_kw or 0.0)) if known else None
    return Front(x, y, bound, hovers, title, "loss, kW", _empty(result), today).chart()


def front(result: ReconfigureFront) -> Sheet:
    """The front as a picture."""
    return chart_sheet(f"{result.title}: loss and {result.kept_words}", chart(result), "No point was found.")


PICTURES: Mapping[str, Callable[[ReconfigureFront], Sheet]] = {"front": front}


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
