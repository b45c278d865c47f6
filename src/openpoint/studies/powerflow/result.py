"""The result of a power flow: voltages, currents and losses of today's state."""

from __future__ import annotations

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.results import columns as c
from openpoint.results.base import Result, in_kw
from openpoint.results.common import BRANCH, BUS, with_phase
from openpoint.results.shape import figure, table
from openpoint.results.violation import PHASES, VIOLATIONS, Violation

BUSES: c.Table = {
    **with_phase(BUS),
    "v_pu": c.maybe_number("voltage to neutral, pu of the nominal phase voltage", "voltage, pu", 5),
    "angle_degree": c.maybe_number("voltage angle, degree", "angle, °", 4),
}
BRANCHES: c.Table = {
    **with_phase(BRANCH),
    "closed": c.flag("closed today", "state"),
    **c.LIMITS_OF_CURRENT,
    "i_a": c.maybe_number(
        "current at the end nearer to its limit, of a transformer referred to its to side, A", "current, A", 2
    ),
    "i_from_a": c.maybe_number("current at the from end, A; balanced grids only", "current from, A", 2),
    "i_to_a": c.maybe_number("current at the to end, A; balanced grids only", "current to, A", 2),
    "loading_percent": c.maybe_number("current in percent of the rating", "loading, %", 1),
    "p_from_kw": c.maybe_number("active power into the branch at its from end, kW", "P, kW", 2),
    "q_from_kvar": c.maybe_number("reactive power into the branch at its from end, kvar", "Q, kvar", 2),
    "loss_kw": c.maybe_number(
        "active power in at both ends, kW; add it up over the phases of a branch, which couple", "loss, kW", 3
    ),
}
SOURCES: c.Table = {
    "name": c.text("name of the source", "source"),
    "bus": c.text("its bus"),
    "p_kw": c.number("active power delivered by all phases, kW", "P, kW", 2),
    "q_kvar": c.number("reactive power delivered by all phases, kvar", "Q, kvar", 2),
}
GENERATORS: c.Table = {
    "name": c.text("name of the generator"),
    "bus": c.text("its bus"),
    "p_kw": c.number("active power, kW"),
    "q_kvar": c.number("reactive power, kvar"),
    "v_pu": c.maybe_number("voltage to be held, pu; null: none"),
    "holds": c.maybe_flag("whether it is held; else a limit of reactive power came first"),
}


class PowerflowResult(Result, study="powerflow"):
    """The answer of `powerflow`. A balanced grid has one phase, "1", and its powers are those of the three phases.

    Attributes:
        grid: the grid asked about.
    """

    grid: Grid
    loss_kw: float = figure("active power lost in all branches, kW")
    v_min_pu: float = figure("lowest voltage, pu")
    v_min_bus: str = figure("its bus")
    v_min_phase: str = figure("its phase", options=PHASES)
    v_max_pu: float = figure("highest voltage, pu")
    v_max_bus: str = figure("its bus")
    v_max_phase: str = figure("its phase", options=PHASES)
    ac_max_mismatch_pu: float = figure("largest power mismatch at any bus and phase, pu of the power of one phase")
    violations: tuple[Violation, ...] = table(VIOLATIONS, "limits that the state breaks")
    buses: pl.DataFrame = table(BUSES)
    branches: pl.DataFrame = table(BRANCHES)
    sources: pl.DataFrame = table(SOURCES)
    generators: pl.DataFrame = table(GENERATORS)
    notes: tuple[str, ...] = figure("what changes the meaning of the figures", default=())

    @property
    def in_short(self) -> str:
        return "power flow of today's state"

    def facts(self) -> dict[str, str]:
        broken = len(self.violations)
        return {
            "loss": in_kw(self.loss_kw),
            "voltage": f"{self.v_min_pu:.5f} to {self.v_max_pu:.5f} pu",
            "limits": f"{broken} broken" if broken else "kept",
        }
