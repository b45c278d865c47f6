"""The result of reconfiguring for a year: one topology, verified in every step."""

from __future__ import annotations

import polars as pl

from openpoint.names import join_names
from openpoint.results import columns as c
from openpoint.results.common import BRANCH, BUS, both
from openpoint.results.shape import figure, table
from openpoint.results.switched import LossResult
from openpoint.results.violation import VIOLATIONS, without_phase
from openpoint.studies.reconfigure.result import ITERATIONS, HasSoftLimits


def _steps(name: str, doc: str) -> c.Table:
    """The step at which a quantity is met, today and in the answer."""
    words = {"before": "today", "after": "in the answer"}
    return {f"{name}_{when}_step": c.text(f"step of it {word}", nullable=True) for when, word in words.items()}


STEPS: c.Table = {
    "step": c.text("when the step starts, or its number"),
    "hours": c.number("its length, h", "hours", 2),
    "demand_kw": c.number("net active demand of all buses of constant power, kW", "demand, kW", 1),
    **both("loss", "kw", "exact AC loss, kW; null without a power flow solution", "loss {}, kW", 2),
    **both("v_min", "pu", "lowest voltage of a bus that is no source, pu", "lowest {}, pu", 4),
    **both("v_max", "pu", "highest voltage of a bus that is no source, pu", "highest {}, pu", 4),
    "broken_before": c.maybe_flag("whether limits are broken today"),
    "broken_after": c.maybe_flag("whether limits are broken in the answer"),
}
BUSES: c.Table = {
    **BUS,
    **both("v_lowest", "pu", "lowest voltage in any step, pu", "lowest {}, pu", 5),
    **_steps("v_lowest", "lowest voltage"),
    **both("v_highest", "pu", "highest voltage in any step, pu", "highest {}, pu", 5),
    **_steps("v_highest", "highest voltage"),
}
BRANCHES: c.Table = {
    **BRANCH,
    "closed_before": c.flag("closed today", "state today"),
    "closed_after": c.maybe_flag("closed in the answer", "state after"),
    **c.LIMITS_OF_CURRENT,
    **both("i_highest", "a", "highest current in any step, A", "highest current {}, A", 2),
    **_steps("i_highest", "highest current"),
    **both("loading_highest", "percent", "the same in percent of the rating", "highest loading {}, %", 1),
    **both("energy_lost", "kwh", "energy lost in the year, kWh", "energy lost {}, kWh", 1),
}
BROKEN: c.Table = {
    "step": c.text("step in which it is broken most"),
    **without_phase(VIOLATIONS),
}


class YearResult(HasSoftLimits, LossResult, study="reconfigure-year", also=("steps_count",)):
    """The answer of `reconfigure` where a year is given. Every figure is that of an exact AC power flow in every step.

    `before` is today's topology, `after` the answer, or where infeasible the state of least violation met, if any.
    Where limits were relaxed, the answer breaks those in `violations`; bounds and gap are within the relaxed. The
    mismatch is that of a check of its own in `checked_steps` steps.
    """

    hours: float = figure("their length together, h")
    groups_count: int = figure("groups of several steps by which the bound is computed")
    energy_before_mwh: float | None = figure("energy lost in the year today, MWh; null where a step has no power flow")
    energy_mwh: float | None = figure("energy lost in the year in the answer, MWh")
    energy_bound_mwh: float = figure("proven bound of the energy lost, the cost of changes included, MWh", maybe=True)
    steps_broken_before: int | None = figure("steps in which limits are broken today")
    steps_broken: int | None = figure("steps in which limits are broken in what is shown")
    checked_steps: int = figure("steps that are checked so: the extremes, and others evenly over the year")
    steps: pl.DataFrame = table(STEPS)
    violations: pl.DataFrame = table(BROKEN)
    buses: pl.DataFrame = table(BUSES)
    branches: pl.DataFrame = table(BRANCHES)
    iterations: pl.DataFrame = table(ITERATIONS)

    def answer_facts(self) -> dict[str, str]:
        lost = "not known" if self.energy_mwh is None else f"{self.energy_mwh:,.3f} MWh"
        return {"energy lost": lost, "open": join_names(self.open_branches) or "none"}

    @property
    def steps_count(self) -> int:
        """Number of steps."""
        return self.steps.height
