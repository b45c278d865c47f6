"""Results: bounds, open points and states under the grid's own names and units."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import polars as pl

from openpoint.atomic import write_text
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.results import columns as c
from openpoint.results.base import Value, in_kw, write_file
from openpoint.results.export import geojson
from openpoint.results.shape import Shape
from openpoint.results.switch_plan import STEPS, SwitchPlan
from openpoint.results.switched import LossResult, with_output
from openpoint.results.violation import Violation, phase_words, violation_table
from openpoint.results.worth import Worth
from openpoint.studies.reconfigure.schema import RECONFIGURE, SWITCH_GROUPS

if TYPE_CHECKING:
    import os


@dataclass(frozen=True, slots=True)
class RelaxedLimit:
    """A limit that had to give way.

    Attributes:
        kind: `voltage low`, `voltage high` or `current`.
        name: branch; None for the voltage limits, which are relaxed alike at all buses.
        phase: of the branch.
        percent: by how much of the limit it is relaxed.
    """

    kind: str
    name: str | None
    phase: str | None
    percent: float

    @property
    def row(self) -> dict[str, str | float | None]:
        """As it is written."""
        return asdict(self)

    def __str__(self) -> str:
        where = " at all buses" if self.name is None else f" at {self.name}{phase_words(self.phase)}"
        return f"{self.kind}{where} by {self.percent:.1f} %"


@dataclass(frozen=True, slots=True)
class SoftLimits:
    """How the limits were relaxed for an answer where nothing keeps them all.

    Attributes:
        relaxed: the limits that gave way, to 0.1 % of each; all others are kept.
        proven: whether no radial state does with less, see `openpoint.studies.reconfigure.soft`.
        least_percent: proven: no radial state keeps all limits relaxed alike by less than this; 0 = nothing is proven.
    """

    relaxed: tuple[RelaxedLimit, ...]
    proven: bool
    least_percent: float


@dataclass(frozen=True, slots=True)
class SwitchGroup:
    """Branches that are closed and opened together on the way to an answer (`openpoint.studies.reconfigure.answer`).

    Attributes:
        to_close, to_open: names of the branches.
        loss_before_kw, loss_kw: exact AC loss before and after it.
    """

    to_close: tuple[str, ...]
    to_open: tuple[str, ...]
    loss_before_kw: float
    loss_kw: float

    @property
    def operations(self) -> int:
        """Switch operations."""
        return len(self.to_close) + len(self.to_open)

    @property
    def saving_kw(self) -> float:
        """Loss that it saves after the groups before it."""
        return self.loss_before_kw - self.loss_kw

    @property
    def saving_per_operation_kw(self) -> float:
        """The same per switch operation."""
        return self.saving_kw / self.operations

    def __add__(self, later: SwitchGroup) -> SwitchGroup:
        closes, opens = self.to_close + later.to_close, self.to_open + later.to_open
        return SwitchGroup(closes, opens, self.loss_before_kw, later.loss_kw)

    @property
    def row(self) -> dict[str, Any]:
        """As it is written, but for its number."""
        names = {"to_close": list(self.to_close), "to_open": list(self.to_open)}
        return {**names, **{key: getattr(self, key) for key in SWITCH_GROUPS if key not in ("group", *names)}}


@dataclass(frozen=True, repr=False, kw_only=True)
class TopologyResult(LossResult):
    """A topology for one demand; its fields are described in `ReconfigureResult`."""

    loss_before_kw: float | None
    loss_kw: float | None
    v_min_pu: float | None
    v_min_bus: str | None
    v_min_before_pu: float | None
    v_min_before_bus: str | None
    violations: tuple[Violation, ...]
    least_violation: tuple[Violation, ...]
    generators: pl.DataFrame
    v_min_phase: str | None = "1"
    v_min_before_phase: str | None = "1"
    soft_limits: SoftLimits | None = None
    plan: SwitchPlan | None = None
    switch_groups: tuple[SwitchGroup, ...] = ()
    worth: Worth | None = None

    def violations_listed(self) -> pl.DataFrame:
        return violation_table(self.violations or self.least_violation)

    def answer_facts(self) -> dict[str, str]:
        loss = f"{in_kw(self.loss_before_kw)} → {in_kw(self.loss_kw)}"
        return {"loss": loss, "open": join_names(self.open_branches) or "none"}

    @property
    def phases(self) -> pl.DataFrame:
        """The range of voltages by phase: phase, v_min_before_pu, v_max_before_pu, v_min_after_pu, v_max_after_pu.

        Buses of sources count, too; null where there is no state.
        """
        extremes = [
            getattr(pl.col(f"v_{when}_pu"), side)().alias(f"v_{side}_{when}_pu")
            for when in ("before", "after")
            for side in ("min", "max")
        ]
        return self.buses.group_by("phase").agg(extremes).sort("phase")

    @property
    def has_answer(self) -> bool:
        """Whether a topology was found that keeps the limits, or the relaxed ones."""
        return self.loss_kw is not None

    @property
    def grid_after(self) -> Grid | None:
        """The grid with the switch states of the answer and the output of its generators; None where there is none."""
        grid = super().grid_after
        return None if grid is None else with_output(grid, self.generators)

    @property
    def saving_kw(self) -> float | None:
        """Loss today less that of the answer; None where one of them is not known."""
        before, after = self.loss_before_kw, self.loss_kw
        return None if before is None or after is None else before - after

    def with_plan(self, plan: SwitchPlan) -> Self:
        """The result with a switch plan, see `openpoint.plan_answer`, which its tables, JSON and report then show."""
        return replace(self, plan=plan)

    def write_geojson(self, path: str | os.PathLike[str]) -> Path:
        """Write the answer as GeoJSON (`.geojson`): branches with state, flow and loading, open points, voltages.

        Raises:
            OptionError: there is no answer, a grid of several phases, another ending, or a path that cannot be written.
            InputError: no bus has coordinates.
        """
        if not self.has_answer:
            raise OptionError("there is no answer to be written as GeoJSON")
        if self.buses["phase"].n_unique() > 1 or self.buses["phase"][0] != "1":
            raise OptionError("GeoJSON is written of balanced grids (phases '1'); this grid has phases a, b, c")

        def write(file: Path) -> None:
            write_text(file, geojson(self.grid, self.buses, self.branches, "after"))

        return write_file(path, (".geojson",), write)

    def _special_values(self) -> dict[str, Any]:
        soft = self.soft_limits
        return {
            **super()._special_values(),
            "v_min_phase": self.v_min_phase if self.v_min_bus is not None else None,
            "v_min_before_phase": self.v_min_before_phase if self.v_min_before_bus is not None else None,
            "plan": None if self.plan is None else self.plan.row,
            **(Worth(0.0).values(None) if self.worth is None else self.worth.values(self.saving_kw)),
            "switch_groups": [{"group": k, **each.row} for k, each in enumerate(self.switch_groups, 1)],
            "soft_limits": None
            if soft is None
            else {
                "proven": soft.proven,
                "least_percent": soft.least_percent,
                "relaxed": [each.row for each in soft.relaxed],
            },
        }

    def _special_tables(self) -> dict[str, pl.DataFrame]:
        steps = c.empty(STEPS) if self.plan is None else self.plan.steps
        tables = {"violations": violation_table(self.violations), "switch_plan": steps}
        return {**super()._special_tables(), **tables, "switch_groups": self.switch_groups_listed}

    @property
    def switch_groups_listed(self) -> pl.DataFrame:
        """The switch groups as a table: group, to_close, to_open, operations, savings, loss_kw."""
        joined = [
            {**each.row, "group": k, "to_close": join_names(each.to_close), "to_open": join_names(each.to_open)}
            for k, each in enumerate(self.switch_groups, 1)
        ]
        return c.frame(SWITCH_GROUPS, joined)

    def _cells(self, key: str, value: Any) -> dict[str, Value]:
        if key == "plan" and self.plan is not None:
            return {key: self.plan.in_short}
        if key != "soft_limits" or self.soft_limits is None:
            return super()._cells(key, value)
        return {key: "; ".join(str(limit) for limit in self.soft_limits.relaxed)}


@final
@dataclass(frozen=True, repr=False, kw_only=True)
class ReconfigureResult(TopologyResult):
    """The answer of `reconfigure`. `loss_kw` is the exact AC loss of the open points found.

    Attributes:
        loss_before_kw: exact AC loss today; None where today's state is not radial or its flow has no solution.
        loss_kw: exact AC loss of the answer; None where no topology that keeps the limits was found.
        v_min_pu, v_min_bus, v_min_phase: lowest voltage of the answer, its bus and phase; `v_min_before_…` today's.
        violations: limits that the AC solution of the answer breaks (empty when `loss_kw` is verified).
        least_violation: where infeasible: the limits that break at the least violation met.
        buses: a row a bus and phase; voltages are to neutral, per unit of the nominal phase voltage.
        branches: a row a branch and phase; power is positive from the from bus to the to bus. Phases couple: add losses
            up over those of a branch.
        generators: their output in the answer.
        soft_limits: with `soft_limits=True`, where nothing keeps all limits: how they were relaxed. The answer then
            breaks the limits in `violations`, and bounds and gap are those within the relaxed limits. None: kept.
        switch_groups: the way from today's state to the answer, what saves most per switch operation first; none where
            today's state is not radial, or outputs are chosen, or of several phases.
        worth: what losses are worth, where that was given; `saving_mwh_a_year`, `saving_money_a_year` and
            `saving_present_value` of `summary()` follow from it.
        plan: the switch plan, where one was asked for: see `with_plan`.
    """

    shape: ClassVar[Shape] = RECONFIGURE
