"""The front of loss and a figure of faults, a proven optimum a point."""

from __future__ import annotations

from typing import final

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.results import columns as c
from openpoint.results.base import Result
from openpoint.results.shape import figure, table
from openpoint.studies.reconfigure.faults.result import UNITS, FaultSummary, SecuredResult
from openpoint.studies.reconfigure.faults.task import FIGURES, UNRESTORABLE
from openpoint.twostage.log import Termination

ENDINGS = [t.value for t in Termination]

POINTS: c.Table = {
    "number": c.whole("1, 2, …; the first is the least loss of all", "point"),
    "loss_kw": c.number("exact AC loss, kW", "loss, kW", 3),
    "lower_bound_kw": c.number("no state with as little of the figure that is kept loses less, proven", "bound, kW", 3),
    "gap": c.number("(loss − lower bound) / loss", "gap", 6),
    "unrestorable": c.whole("faults that one tie for each part does not restore", "unrestorable"),
    "saifi_per_year": c.maybe_number("SAIFI: interruptions of a customer a year", "SAIFI, 1/a", 4),
    "saidi_h_per_year": c.maybe_number("SAIDI: hours without supply of a customer a year", "SAIDI, h/a", 4),
    "not_supplied_kwh_per_year": c.maybe_number("energy not supplied a year, kWh", "ENS, kWh/a", 1),
    "changes": c.whole("branches to switch from today", "to switch"),
    "to_close": c.names("branches to close from today", "to close"),
    "to_open": c.names("branches to open from today", "to open"),
    "open_branches": c.names("branches open in the point", "open"),
    "termination": c.text("whether it is proven, or what stopped the proof", "ended", options=ENDINGS),
}

BOUNDS: c.Table = {
    "limit": c.maybe_number("most of the figure that is kept, in its unit; null: any", "limit", 4),
    "lower_bound_kw": c.maybe_number(
        "no state within the limit loses less, proven; null: see is_empty", "bound, kW", 3
    ),
    "is_empty": c.flag("whether it is proven that no state is within the limit", "proven empty"),
    "nodes": c.whole("of the search", "nodes"),
    "termination": c.text("how the search ended", "ended", options=ENDINGS),
    "seconds": c.number("of the search", "seconds", 2),
}


@final
class ReconfigureFront(
    Result,
    study="reconfigure-front",
    also=("kept_unit", "kept_before", "remedy", "gap", "point_count"),
    frames={"points": POINTS},
):
    """The answer of `reconfigure_front`: the states of which none has both less loss and less of another figure.

    Attributes:
        grid: the grid as given. before: figures of faults today.
        results: the points, by rising loss; each a whole answer as that of `reconfigure_secure`.
    """

    grid: Grid
    kept: str = figure("figure that is bounded, a bound a point", options=FIGURES)
    results: tuple[SecuredResult, ...]
    bounds: pl.DataFrame = table(BOUNDS)
    kept_bound: float = figure("no state has less of it, proven; null: nothing is proven", maybe=True)
    before: FaultSummary
    loss_before_kw: float | None = figure("exact AC loss today, kW; null: no radial state, or none with a solution")
    termination: Termination = figure("whether every point is proven, or what stopped the run", options=ENDINGS)
    seconds: float = figure("of all searches")
    notes: tuple[str, ...] = figure("warnings that belong to the front", default=())

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
    def gap(self) -> float | None:
        """Greatest gap of a point; None where there is none."""
        return max((each.gap for each in self.results), default=None)

    @property
    def remedy(self) -> str:
        """What to do about why it ended."""
        return self.termination.remedy

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
                "to_close": each.to_close,
                "to_open": each.to_open,
                "open_branches": each.open_branches,
                "termination": each.termination.value,
            }
            for number, each in enumerate(self.results, start=1)
        ]
        return c.frame(POINTS, rows)

    @property
    def in_short(self) -> str:
        return f"{self.point_count} points between loss and {self.kept_words}"

    def facts(self) -> dict[str, str]:
        ends = {id(each): each for each in (*self.results[:1], *self.results[-1:])}.values()
        figures = {f"{self.kept} {figure_in(each.after, self.kept):.5g}": f"{each.loss_kw:.6g} kW" for each in ends}
        return {"ended": self.termination.value, "points": str(self.point_count), **figures}


def figure_in(summary: FaultSummary, kept: str) -> float | None:
    """A figure of what faults do, by its name."""
    known = {
        "saifi": summary.saifi_per_year,
        "saidi": summary.saidi_h_per_year,
        "ens": summary.not_supplied_kwh_per_year,
    }
    return summary.unrestorable if kept == UNRESTORABLE else known[kept]
