"""The result of a power flow: voltages, currents and losses of today's state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.results.base import Result, in_kw
from openpoint.results.shape import Shape
from openpoint.results.violation import Violation, violation_table
from openpoint.studies.powerflow.schema import POWERFLOW

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, repr=False)
class PowerflowResult(Result):
    """The answer of `powerflow`. A balanced grid has one phase, "1", and its powers are those of the three phases.

    Attributes:
        grid: the grid asked about.
        loss_kw: active power lost in all branches.
        v_min_pu, v_min_bus, v_min_phase, v_max_pu, v_max_bus, v_max_phase: extreme voltages and where they are.
        ac_max_mismatch_pu: largest power mismatch at any bus and phase, per unit of the grid's base of power (that of
            a phase where there are several).
        violations: limits that the state breaks, by phase.
        buses: name, phase, vn_kv, v_min_pu, v_max_pu, v_pu, angle_degree; a row a bus and phase, voltages to neutral
            per unit of the nominal phase voltage.
        branches: kind, name, phase, from_bus, to_bus, switchable, closed, i_max_a,
            loading_limit_percent, i_a, i_from_a, i_to_a, loading_percent, p_from_kw, q_from_kvar, loss_kw; a row a
            branch and phase. `i_a` is the current at the end that is nearer to its rating, of a transformer as much as
            it is at the to side. `loss_kw`
            is the power that enters the conductor at both ends. Phases couple, so that one may gain what others lose:
            add losses up over the phases of a branch.
        sources: name, bus, p_kw, q_kvar delivered by all phases.
        generators: name, bus, p_kw, q_kvar, v_pu (to be held; null: none), holds (whether it is; else a limit of
            reactive power came first, q_kvar is that limit).
        notes: what changes the meaning of the figures, from the reader of the grid.
    """

    grid: Grid
    loss_kw: float
    v_min_pu: float
    v_min_bus: str
    v_min_phase: str
    v_max_pu: float
    v_max_bus: str
    v_max_phase: str
    ac_max_mismatch_pu: float
    violations: tuple[Violation, ...]
    buses: pl.DataFrame
    branches: pl.DataFrame
    sources: pl.DataFrame
    generators: pl.DataFrame
    notes: tuple[str, ...] = ()

    shape: ClassVar[Shape] = POWERFLOW

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

    def _special_tables(self) -> dict[str, pl.DataFrame]:
        return {**super()._special_tables(), "violations": violation_table(self.violations)}
