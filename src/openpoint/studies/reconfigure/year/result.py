"""The result of reconfiguring for a year: one topology, verified in every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from openpoint.names import join_names
from openpoint.results.shape import Shape
from openpoint.results.switched import LossResult
from openpoint.studies.reconfigure.year.schema import YEAR

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, repr=False, kw_only=True)
class YearResult(LossResult):
    """The answer of `reconfigure` where a year is given. Every figure is that of an exact AC power flow in every step.

    `before` is today's topology, `after` the answer, or where infeasible the state of least violation met, if any.

    Attributes:
        hours: of all steps. groups_count: groups of several steps by which the bound is computed.
        energy_before_mwh, energy_mwh: energy lost in the year; None where there is no answer, or a step without a flow.
        energy_bound_mwh: proven bound of energy_mwh with the cost of the changes.
        steps_broken_before, steps_broken: number of steps in which limits are broken, or that have no flow.
        ac_max_mismatch_pu: largest mismatch by an independent check in `checked_steps` steps.
        steps: one row a step. violations: limits that are broken, each in the step in which it is broken most.
        buses, branches: extremes over the steps with the step of each, today and in the answer.
    """

    hours: float
    groups_count: int
    energy_before_mwh: float | None
    energy_mwh: float | None
    energy_bound_mwh: float
    steps_broken_before: int | None
    steps_broken: int | None
    checked_steps: int
    steps: pl.DataFrame
    violations: pl.DataFrame

    shape: ClassVar[Shape] = YEAR

    def violations_listed(self) -> pl.DataFrame:
        return self.violations

    def answer_facts(self) -> dict[str, str]:
        lost = "not known" if self.energy_mwh is None else f"{self.energy_mwh:,.3f} MWh"
        return {"energy lost": lost, "open": join_names(self.open_branches) or "none"}

    @property
    def steps_count(self) -> int:
        """Number of steps."""
        return self.steps.height
