"""The front of loss and a figure of faults, a proven optimum a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.results import columns
from openpoint.results.base import Result
from openpoint.results.shape import Shape
from openpoint.studies.reconfigure.faults.front.schema import FRONT, POINTS
from openpoint.studies.reconfigure.faults.result import UNITS, FaultSummary, SecuredResult
from openpoint.studies.reconfigure.faults.task import UNRESTORABLE
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    pass


@final
@dataclass(frozen=True, repr=False, kw_only=True)
class ReconfigureFront(Result):
    """The answer of `reconfigure_front`: the states of which none has both less loss and less of another figure.

    Attributes:
        grid: the grid as given. kept: the figure that is bounded: unrestorable, saifi, saidi or ens.
        results: the points, by rising loss; each a whole answer as that of `reconfigure_secure`.
        bounds: limit, lower_bound_kw, is_empty, nodes, termination, seconds; a row a search: what is proven of all
            states within a limit of the figure that is kept.
        kept_bound: proven: no state has less of it. before: figures of today. loss_before_kw: exact AC loss today.
        termination: GAP or OPTIMAL: every point is proven. seconds: of all searches. notes: warnings.
    """

    grid: Grid
    kept: str
    results: tuple[SecuredResult, ...]
    bounds: pl.DataFrame
    kept_bound: float
    before: FaultSummary
    loss_before_kw: float | None
    termination: Termination
    seconds: float
    notes: tuple[str, ...] = ()

    shape: ClassVar[Shape] = FRONT

    @property
    def kept_words(self) -> str:
        """What the figure that is kept is called in a sentence."""
        return (
            "unrestorable faults"
            if self.kept == UNRESTORABLE
            else "energy not supplied"
            if self.kept == "ens"
            else self.kept.upper()
        )

    @property
    def kept_unit(self) -> str:
        """Unit of the figure that is kept; empty for a number of faults."""
        return "" if self.kept == UNRESTORABLE else UNITS[self.kept]

    @property
    def kept_before(self) -> float | None:
        """The figure today."""
        return figure_in(self.before, self.kept)

    @property
    def point_count(self) -> int:
        """Number of points."""
        return len(self.results)

    @property
    def gap(self) -> float:
        """Greatest gap of a point; NaN where there is none."""
        return max((each.gap for each in self.results), default=float("nan"))

    def document(self) -> dict[str, Any]:
        """The whole result as plain values, in the order of the published schema; names of branches are lists."""
        whole = super().document()
        for row, each in zip(whole["points"], self.results, strict=True):
            row |= {f"to_{action}": _branches(each, action) for action in ("close", "open")}
            row["open_branches"] = list(each.open_branches)
        return whole

    @property
    def points(self) -> pl.DataFrame:
        """A row a point: loss, proven bound and gap, what faults do, and what to switch."""
        rows = [
            {
                "number": number,
                "loss_kw": each.loss_kw,
                "lower_bound_kw": each.lower_bound_kw,
                "gap": each.gap,
                "unrestorable": each.after.unrestorable,
                "saifi_per_year": each.after.saifi_per_year,
                "saidi_h_per_year": each.after.saidi_h_per_year,
                "not_supplied_kwh_per_year": each.after.not_supplied_kwh_per_year,
                "changes": len(each.changes),
                "to_close": join_names(_branches(each, "close")),
                "to_open": join_names(_branches(each, "open")),
                "open_branches": join_names(each.open_branches),
                "termination": each.termination.value,
            }
            for number, each in enumerate(self.results, start=1)
        ]
        return columns.frame(POINTS, rows)

    @property
    def in_short(self) -> str:
        return f"{self.point_count} points between loss and {self.kept_words}"

    def facts(self) -> dict[str, str]:
        ends = {id(each): each for each in (*self.results[:1], *self.results[-1:])}.values()
        figures = {f"{self.kept} {figure_in(each.after, self.kept):.5g}": f"{each.loss_kw:.6g} kW" for each in ends}
        return {"ended": self.termination.value, "points": str(self.point_count), **figures}

    def _special_values(self) -> dict[str, Any]:
        return {**super()._special_values(), "remedy": self.termination.remedy}


def _branches(result: SecuredResult, action: str) -> list[str]:
    """The branches to close or to open from today."""
    return [name for name, done in result.switching if done == action]


def figure_in(summary: FaultSummary, kept: str) -> float | None:
    """A figure of what faults do, by its name."""
    known = {
        "saifi": summary.saifi_per_year,
        "saidi": summary.saidi_h_per_year,
        "ens": summary.not_supplied_kwh_per_year,
    }
    return summary.unrestorable if kept == UNRESTORABLE else known[kept]
