"""The front of two criteria, a proven optimum a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.network.criteria import CRITERIA
from openpoint.results import columns
from openpoint.results.base import Result
from openpoint.results.columns import finite
from openpoint.results.shape import Shape
from openpoint.studies.dispatch.front.schema import FRONT, POINTS, V_MIN
from openpoint.studies.dispatch.result import DispatchResult
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, repr=False, kw_only=True)
class DispatchFront(Result):
    """The answer of `dispatch_front`: the least of one criterion at several bounds of another.

    Attributes:
        grid: the grid as given. sought: criterion that is minimised. kept: criterion that is bounded.
        limits: bound of each point, None = none. results: the answers to them.
        notes: warnings that belong to the front. cut: whether the time limit ended it before its last point.
    """

    grid: Grid
    sought: str
    kept: str
    limits: tuple[float | None, ...]
    results: tuple[DispatchResult, ...]
    notes: tuple[str, ...] = ()
    cut: bool = False

    shape: ClassVar[Shape] = FRONT

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
        return columns.frame(POINTS, rows)

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
