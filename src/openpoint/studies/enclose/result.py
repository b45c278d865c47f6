"""The result of an enclosure: bounds of the power flows of a whole set of loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

import polars as pl

from openpoint.enclosure.claims import Claim, write_claim
from openpoint.grid.grid import Grid
from openpoint.network.limits import Limits
from openpoint.results import columns as c
from openpoint.results.common import BRANCH, BUS, with_phase
from openpoint.results.shape import figure, table
from openpoint.results.violation import PHASES
from openpoint.results.witness import HasWitness

VERDICTS = ("proved", "disproved", "open")


def _bounds(name: str, unit: str, what: str, digits: int) -> c.Table:
    """The columns of one quantity: in the middle, its bounds, and what exact flows attain."""
    words = {
        "": f"{what}, at the loads as they are",
        "_low": f"{what}: no realisation has less",
        "_high": f"{what}: no realisation has more",
        "_least": f"{what}: the least that an exact flow of a realisation was seen to have",
        "_greatest": f"{what}: the greatest that an exact flow of a realisation was seen to have",
    }
    titles = {"": "as it is", "_low": "at least", "_high": "at most", "_least": "", "_greatest": ""}
    return {
        f"{name}{end}_{unit}": c.number(doc, f"{titles[end]}, {unit}" if titles[end] else "", digits)
        for end, doc in words.items()
    }


_EXACT = c.flag("whether the bounds are attained, as the signs of all slopes are proven")
_KEPT = c.text("whether its limits hold for every realisation: `open` where neither is known", options=VERDICTS)
BUSES: c.Table = {
    **with_phase(BUS),
    **_bounds("v", "pu", "voltage to neutral, pu of the nominal phase voltage", 5),
    "exact": _EXACT,
    "limits": _KEPT,
}
BRANCHES: c.Table = {
    **with_phase(BRANCH),
    "closed": c.flag("closed today", "state"),
    "i_max_a": c.maybe_number("current limit, A", "limit, A", 1),
    **_bounds("i", "a", "current at the end nearer to its limit, of a transformer referred to its to side, A", 2),
    "exact": _EXACT,
    "limits": _KEPT,
}
SOURCES: c.Table = {
    "name": c.text("name of the source", "source"),
    "bus": c.text("its bus"),
    **_bounds("p", "kw", "active power delivered by all phases, kW", 2),
    **_bounds("q", "kvar", "reactive power delivered by all phases, kvar", 2),
}


class EncloseResult(HasWitness, study="enclose"):
    """The answer of `enclose`: bounds (`low`, `high`), and what exact flows attain (`least`, `greatest`).

    Attributes:
        grid: the grid asked about. shares: what deviates, by group, and by which share.
    """

    grid: Grid
    for_every: str = figure("what deviates, and by which share of its power")
    budget: float | None = figure("how many deviate fully at once, at most; null: any number")
    deviations: int = figure("loads and generators that deviate, each by itself")
    limits: str = figure(
        "whether all limits hold for every realisation; disproved: an exact flow of one breaks some", options=VERDICTS
    )
    loss_kw: float = figure("active power lost in all branches at the loads as they are, kW")
    loss_low_kw: float = figure("no realisation loses less, kW")
    loss_high_kw: float = figure("no realisation loses more, kW")
    v_low_pu: float = figure("no voltage of any realisation is lower, pu")
    v_low_bus: str = figure("where it is lowest")
    v_low_phase: str = figure("its phase", options=PHASES)
    v_high_pu: float = figure("no voltage of any realisation is higher, pu")
    v_high_bus: str = figure("where it is highest")
    v_high_phase: str = figure("its phase", options=PHASES)
    v_wider_percent: float | None = figure("most by which bounds of a voltage are wider than its true range, %")
    exact_percent: float = figure("share of voltages and currents whose bounds are attained, %")
    deviation: float = figure("no voltage at a load deviates more from that at the loads as they are, relative to it")
    contraction: float = figure("factor below 1 of the contraction that proves that the flows are unique")
    buses: pl.DataFrame = table(BUSES)
    branches: pl.DataFrame = table(BRANCHES)
    sources: pl.DataFrame = table(SOURCES)
    notes: tuple[str, ...] = figure("what changes the meaning of the figures", default=())
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def in_short(self) -> str:
        how = {
            "proved": "all limits hold, proven in exact AC",
            "disproved": "some limits do not hold, as an exact flow shows",
            "open": "whether all limits hold is open",
        }
        return f"for every {self.set_words}: {how[self.limits]}"

    @property
    def set_words(self) -> str:
        """The set in words."""
        most = "" if self.budget is None else f", at most {self.budget:g} of them fully at once"
        of = f" of {self.deviations} loads and generators" if self.deviations else ""
        return f"{self.for_every}{of}{most}"

    def to_certificate(self, path: Path | str) -> None:
        """Write a certificate of the set, which `openpoint.verify_set` checks.

        Raises:
            OptionError: a set too large for it. OSError: it cannot be written.
        """
        write_claim(Path(path), self.grid, Claim(Limits(), self.shares, self.budget))

    def facts(self) -> dict[str, str]:
        return {
            "voltage": f"{self.v_low_pu:.5f} to {self.v_high_pu:.5f} pu",
            "loss": f"{self.loss_low_kw:,.3f} to {self.loss_high_kw:,.3f} kW",
            "limits": self.limits,
        } | ({"broken": str(self.witness_limits[0])} if self.witness_limits else {})
