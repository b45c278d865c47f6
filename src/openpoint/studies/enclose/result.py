"""The result of an enclosure: bounds of the power flows of a whole set of loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import polars as pl

from openpoint.enclosure.claims import Claim, write_claim
from openpoint.grid.grid import Grid
from openpoint.network.limits import Limits
from openpoint.results.base import Result
from openpoint.results.shape import Shape
from openpoint.studies.enclose.schema import ENCLOSE


@dataclass(frozen=True, repr=False)
class EncloseResult(Result):
    """The answer of `enclose`.

    Attributes:
        grid: the grid asked about.
        for_every: what deviates, as `load=10%`. budget: how many deviate fully at once, at most; None = any number.
        deviations: loads and generators that deviate, each by itself.
        limits: `proved` where all limits hold for every realisation, `disproved` where an exact flow of one breaks
            some, else `open`.
        loss_kw, loss_low_kw, loss_high_kw: active power lost in all branches as it is, at least, at most.
        v_low_pu, v_low_bus, v_low_phase, v_high_pu, v_high_bus, v_high_phase: extreme bounds of voltages.
        v_wider_percent: most by which the bounds of a voltage are wider than its true range; None where none varies.
        exact_percent: share of voltages and currents whose bounds are attained.
        deviation: most by which a voltage at a load deviates. contraction: factor of the proof that flows are unique.
        buses, branches, sources: as it is, bounds (`low`, `high`), and what exact flows at realisations attain
            (`least`, `greatest`), a row a bus or branch and phase, or a source.
        notes: what changes the meaning of the figures. shares: what deviates, by group, and by which share.
    """

    grid: Grid
    for_every: str
    budget: float | None
    deviations: int
    limits: str
    loss_kw: float
    loss_low_kw: float
    loss_high_kw: float
    v_low_pu: float
    v_low_bus: str
    v_low_phase: str
    v_high_pu: float
    v_high_bus: str
    v_high_phase: str
    v_wider_percent: float | None
    exact_percent: float
    deviation: float
    contraction: float
    buses: pl.DataFrame
    branches: pl.DataFrame
    sources: pl.DataFrame
    notes: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)

    shape: ClassVar[Shape] = ENCLOSE

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
        return f"{self.for_every} of {self.deviations} loads and generators{most}"

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
        }
