"""Results: bounds, open points and states under the grid's own names and units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

import polars as pl

from openpoint.atomic import write_text
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.results import columns as c
from openpoint.results.base import Result, Value, in_kw, write_file
from openpoint.results.common import BRANCH_BEFORE_AFTER, BUS_BEFORE_AFTER, both, iteration_columns
from openpoint.results.export import geojson
from openpoint.results.schema import listing, record
from openpoint.results.shape import declare, figure, keys_of, table
from openpoint.results.switch_plan import PLAN, STEPS, SwitchPlan
from openpoint.results.switched import LossResult, with_output
from openpoint.results.violation import PHASE, VIOLATIONS, Violation, phase_words
from openpoint.results.witness import HasWitness
from openpoint.results.worth import WORTH_KEYS, Worth

if TYPE_CHECKING:
    import os

GENERATORS: c.Table = {
    "name": c.text("name of the generator", "generator"),
    "bus": c.text("its bus"),
    "p_kw": c.maybe_number("active power in the answer, kW", "P, kW", 2),
    "q_kvar": c.maybe_number("reactive power in the answer, kvar", "Q, kvar", 2),
}
ITERATIONS = iteration_columns(
    "kw",
    "kW",
    value="exact objective of the topology tried, kW; null where it breaks limits",
    violation="least violation of the topology tried; 0 where limits hold",
    heading="violation",
)
SWITCH_GROUPS: c.Table = {
    "group": c.whole("number of the group of switchings", "group"),
    "to_close": c.names("branches to close", "close"),
    "to_open": c.names("branches to open", "open"),
    "operations": c.whole("switch operations of the group", "operations"),
    "saving_kw": c.number("loss that the group saves after those before it, kW", "saves, kW", 3),
    "saving_per_operation_kw": c.number("the same per switch operation, kW", "per operation, kW", 3),
    "loss_kw": c.number("exact AC loss after the group, kW", "loss after it, kW", 3),
}
PHASES: c.Table = {
    "phase": PHASE,
    **both("v_min", "pu", "lowest voltage of the phase, pu", "lowest {}, pu", 5),
    **both("v_max", "pu", "highest voltage of the phase, pu", "highest {}, pu", 5),
}


@dataclass(frozen=True, slots=True)
class RelaxedLimit:
    """A limit that had to give way."""

    kind: str = figure("what is relaxed", options=("voltage low", "voltage high", "current"))
    name: str | None = figure("branch; null for a limit of voltage, which is relaxed alike at all buses")
    phase: str | None = figure("phase of the branch")
    percent: float = figure("by how much of the limit")

    def __str__(self) -> str:
        where = " at all buses" if self.name is None else f" at {self.name}{phase_words(self.phase)}"
        return f"{self.kind}{where} by {self.percent:.1f} %"


declare(RelaxedLimit)


@dataclass(frozen=True, slots=True)
class SoftLimits:
    """How the limits were relaxed for an answer where nothing keeps them all, see `studies.reconfigure.soft`."""

    relaxed: tuple[RelaxedLimit, ...] = figure(
        "the limits that had to give way, by 0.1 % of each; all others are kept",
        schema=listing(record(keys_of(RelaxedLimit)), ""),
    )
    proven: bool = figure("whether no radial state does with less")
    least_percent: float = figure(
        "proven: no radial state keeps all limits relaxed alike by less; 0: nothing is proven"
    )


declare(SoftLimits)


class HasSoftLimits(Result):
    """A result whose answer may break limits, as little as can be."""

    soft_limits: SoftLimits | None = figure(
        "how limits were relaxed where nothing keeps them all; null: not asked for, or kept",
        schema={**record(keys_of(SoftLimits)), "type": ["object", "null"]},
        default=None,
    )

    def _cells(self, key: str, value: Any) -> dict[str, Value]:
        if key != "soft_limits" or self.soft_limits is None:
            return super()._cells(key, value)
        return {key: "; ".join(str(limit) for limit in self.soft_limits.relaxed)}


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


class TopologyResult(
    HasSoftLimits,
    LossResult,
    more=WORTH_KEYS,
    frames={"phases": PHASES, "switch_groups": SWITCH_GROUPS, "switch_plan": STEPS},
):
    """A topology for one demand. Every figure is that of an exact AC power flow.

    Voltages are to neutral, powers positive from the from bus to the to bus. Phases couple: add losses up over those of
    a branch. Where limits were relaxed, the answer breaks those in `violations`; bounds and gap are within the relaxed.

    Attributes:
        switch_groups: the way from today's state to the answer, what saves most per switch operation first; none where
            today's state is not radial, or outputs are chosen, or of several phases.
        worth: what losses are worth, where that was given.
    """

    loss_before_kw: float | None = figure(
        "exact AC loss today; null where today's state is not radial or has no solution"
    )
    loss_kw: float | None = figure("exact AC loss of the answer; null where there is none")
    v_min_pu: float | None = figure("lowest voltage of the answer, pu")
    v_min_bus: str | None = figure("its bus")
    v_min_phase: str | None = figure("its phase", default="1")
    v_min_before_pu: float | None = figure("lowest voltage today, pu")
    v_min_before_bus: str | None = figure("its bus")
    v_min_before_phase: str | None = figure("its phase", default="1")
    violations: tuple[Violation, ...] = table(VIOLATIONS, "limits that the AC solution of the answer breaks")
    least_violation: tuple[Violation, ...] = table(
        VIOLATIONS, "where infeasible: limits that break at the least violation met"
    )
    generators: pl.DataFrame = table(GENERATORS)
    plan: SwitchPlan | None = figure(
        "the switch plan, whose steps are in the table `switch_plan`; null: not asked for", schema=PLAN, default=None
    )
    switch_groups: tuple[SwitchGroup, ...] = ()
    worth: Worth | None = None
    buses: pl.DataFrame = table(BUS_BEFORE_AFTER)
    branches: pl.DataFrame = table(BRANCH_BEFORE_AFTER)
    iterations: pl.DataFrame = table(ITERATIONS)

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
        return dict(Worth(0.0).values(None) if self.worth is None else self.worth.values(self.saving_kw))

    def _special_tables(self) -> dict[str, pl.DataFrame]:
        steps = c.empty(STEPS) if self.plan is None else self.plan.steps
        groups = ({"group": k, **each.row} for k, each in enumerate(self.switch_groups, 1))
        return {"switch_plan": steps, "switch_groups": c.frame(SWITCH_GROUPS, groups)}

    def _cells(self, key: str, value: Any) -> dict[str, Value]:
        if key == "plan" and self.plan is not None:
            return {key: self.plan.in_short}
        return super()._cells(key, value)


@final
class ReconfigureResult(HasWitness, TopologyResult, study="reconfigure"):
    """The answer of `reconfigure`. `loss_kw` is the exact AC loss of the open points found.

    With a set of loads the witness is of a state that would lose less and is disproved.
    """
