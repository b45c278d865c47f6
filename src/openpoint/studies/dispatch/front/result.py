"""The front of two criteria, a proven optimum a point."""

from __future__ import annotations

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.network.criteria import CRITERIA
from openpoint.results import columns as c
from openpoint.results.base import Result
from openpoint.results.columns import finite
from openpoint.results.shape import figure
from openpoint.studies.dispatch.result import DispatchResult
from openpoint.twostage.log import Termination

V_MIN = "v_min"
"""The lowest voltage, which is bounded from below; the criteria are bounded from above."""

POINTS: c.Table = {
    "number": c.whole("1, 2, …; the first is the least of the criterion sought alone", "point"),
    "limit": c.maybe_number("bound of the other criterion; null: none", "bound", 5),
    "sought": c.maybe_number("the criterion sought, exact AC, in its unit; null: no answer", "sought", 4),
    "lower_bound": c.maybe_number("no state that keeps the bound has less of it, proven", "lower bound", 4),
    "gap": c.maybe_number("(sought − lower bound) / sought", "gap", 6),
    "kept": c.maybe_number("the other criterion, exact AC, in its unit", "kept", 5),
    "open_branches": c.text("names of the branches open in the answer", "open"),
    "actions": c.maybe_whole("steps from today's state to the answer", "to do"),
    "method": c.text("name and options of the method", "method"),
    "termination": c.text("why the run of the point ended", "ended", options=[t.value for t in Termination]),
    "seconds": c.number("of the method alone", "seconds", 2),
}


class DispatchFront(
    Result, study="dispatch-front", also=("sought_unit", "kept_unit", "point_count"), frames={"points": POINTS}
):
    """The answer of `dispatch_front`: the least of one criterion at several bounds of another.

    Attributes:
        grid: the grid as given. results: the answers at the bounds `limits`, None = none.
        cut: whether the time limit ended it before its last point.
    """

    grid: Grid
    sought: str = figure("criterion that is minimised at each point", options=list(CRITERIA))
    kept: str = figure("criterion that is bounded, a bound a point", options=[*CRITERIA, V_MIN])
    limits: tuple[float | None, ...]
    results: tuple[DispatchResult, ...]
    notes: tuple[str, ...] = figure("warnings that belong to the front", default=())
    cut: bool = False

    @property
    def sought_unit(self) -> str:
        """Unit of the criterion sought."""
        return CRITERIA[self.sought].unit

    @property
    def kept_unit(self) -> str:
        """Unit of the criterion kept."""
        return "pu" if self.kept == V_MIN else CRITERIA[self.kept].unit

    @property
    def point_count(self) -> int:
        """Number of points with an answer."""
        return sum(each.has_answer for each in self.results)

    @property
    def points(self) -> pl.DataFrame:
        """A row a point: bound, both criteria, proven bound and gap."""
        rows = [
            (
                number,
                limit,
                figure_of(each, self.sought),
                finite(each.lower_bound),
                finite(each.gap),
                figure_of(each, self.kept),
                join_names(each.open_branches),
                each.actions.height if each.has_answer else None,
                each.method,
                each.termination.value,
                each.seconds,
            )
            for number, (limit, each) in enumerate(zip(self.limits, self.results, strict=True), start=1)
        ]
        return c.frame(POINTS, rows)

    @property
    def exit_code(self) -> int:
        """The greatest of the points; bounds that nothing keeps end the front, and are no failure of it."""
        ends = [each.termination.exit_code for each in self.results[:1]]
        ends += [each.termination.exit_code for each in self.results[1:] if each.has_answer]
        return max(ends + [Termination.TIME.exit_code] * self.cut)

    @property
    def in_short(self) -> str:
        return f"{self.point_count} points between {self.sought} and {self.kept}"

    def facts(self) -> dict[str, str]:
        ends = [each for each in (self.results[0], self.results[-1]) if each.has_answer]
        return {f"{self.kept} {figure_of(each, self.kept):.5g}": f"{figure_of(each, self.sought):.6g}" for each in ends}


def figure_of(result: DispatchResult, name: str) -> float | None:
    """A criterion of an answer, or its lowest voltage; None where there is no answer."""
    if not result.has_answer:
        return None
    if name == V_MIN:
        return result.v_min_pu
    return next((value for key, value in result.criteria.select("name", "answer").iter_rows() if key == name), None)
