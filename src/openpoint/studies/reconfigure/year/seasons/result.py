"""The result of reconfiguring for a year in blocks: a topology for each, verified in every step."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from openpoint.results import columns as c
from openpoint.results.base import Answer, Head, count_words
from openpoint.results.shape import figure, table
from openpoint.results.switched import SWITCHING_LIST
from openpoint.studies.reconfigure.result import ITERATIONS
from openpoint.studies.reconfigure.year.result import BROKEN, STEPS

BLOCKS: c.Table = {
    "block": c.text("name of the block"),
    "first_step": c.text("its first step", "from"),
    "last_step": c.text("its last step", "last step"),
    "steps_count": c.whole("number of its steps"),
    "hours": c.number("its length, h", "hours", 1),
    "open_branches": c.names("branches open in the block", "open"),
    "to_close": c.names("branches to close at its beginning", "to close"),
    "to_open": c.names("branches to open at its beginning", "to open"),
    "operations": c.maybe_whole(
        "switch operations at its beginning, an opening and a closing one each; null where they are not counted",
        "operations",
    ),
    "energy_before_mwh": c.maybe_number("energy lost in it by today's open points, MWh", "today's points, MWh", 3),
    "energy_staying_mwh": c.maybe_number(
        "energy lost in it by the open points of the block before it, MWh; null where they have no power flow",
        "points of the block before, MWh",
        3,
    ),
    "staying_broken": c.maybe_flag("whether the open points of the block before it break limits in it"),
    "energy_mwh": c.maybe_number("energy lost in it in the answer, MWh", "lost, MWh", 3),
    "v_min_pu": c.maybe_number("lowest voltage in any step, pu", "lowest voltage, pu", 4),
    "v_max_pu": c.maybe_number("highest voltage in any step, pu", "highest voltage, pu", 4),
    "loading_highest_percent": c.maybe_number("highest loading in any step, %", "highest loading, %", 1),
}
SWITCHINGS: c.Table = {
    "block": c.text("block at whose beginning it is done"),
    "step": c.text("first step of the block"),
    "counted": c.flag("whether it counts as a switch operation"),
    **SWITCHING_LIST,
}
BROKEN_IN_BLOCKS: c.Table = {"block": c.text("block of the step"), **BROKEN}


@dataclass(frozen=True)
class BlockState:
    """The open points of a block: its name, the open branches, and what to close and to open at its beginning."""

    block: str
    open_branches: tuple[str, ...]
    to_close: tuple[str, ...]
    to_open: tuple[str, ...]


class SeasonsResult(Answer, study="reconfigure-seasons", also=("steps_count",)):
    """The answer of `reconfigure` for a year in blocks. Every figure is that of an exact AC power flow in every step.

    An exchange of two branches is two switch operations. Without an answer operations and energies are None.

    Attributes:
        states: the open points of every block; empty where there is no answer.
    """

    hours: float = figure("their length together, h")
    switchings_a_year: int | None = figure("most switch operations asked for; null = any number")
    switching_kwh: float = figure("energy that a switch operation must save, kWh, as asked for")
    from_today: bool = figure("whether operations from today's state to that of the first block count")
    operations: int | None = figure("switch operations that count, an opening and a closing one each")
    operations_to_first: int | None = figure("operations from today's state to that of the first block")
    operations_back: int | None = figure("operations from the last block back to the first one, which do not count")
    energy_before_mwh: float | None = figure("energy lost in the year today, MWh; null where a step has no power flow")
    energy_mwh: float | None = figure("energy lost in the year in the answer, MWh")
    energy_bound_mwh: float = figure("proven bound of energy_mwh with the price of the operations, MWh", maybe=True)
    objective_kw: float | None = figure(
        "mean loss over the year plus the price of the operations: what the bounds enclose"
    )
    lower_bound_kw: float = figure("proven bound of objective_kw", maybe=True)
    open_before: tuple[str, ...] = figure("branches open today")
    states: tuple[BlockState, ...]
    infeasible_block: str | None = figure("where infeasible: a block in which no topology keeps the limits, if known")
    least_violation_open: tuple[str, ...] = figure("the branches open at the least violation met in that block")
    steps_broken_before: int | None = figure("steps in which limits are broken today")
    steps_broken: int | None = figure("steps in which limits are broken in the answer: 0")
    ac_max_mismatch_pu: float | None = figure("largest power mismatch by a check of its own, in checked_steps, pu")
    checked_steps: int = figure("steps that are checked so: the extremes of every block, and others evenly over it")
    blocks: pl.DataFrame = table(BLOCKS)
    switchings: pl.DataFrame = table(SWITCHINGS)
    steps: pl.DataFrame = table(STEPS)
    violations: pl.DataFrame = table(BROKEN_IN_BLOCKS)
    iterations: pl.DataFrame = table(ITERATIONS)

    @property
    def head(self) -> Head:
        return self._head(self.objective_kw, self.lower_bound_kw, "kW")

    @property
    def steps_count(self) -> int:
        """Number of steps."""
        return self.steps.height

    @property
    def has_answer(self) -> bool:
        """Whether a plan was found that keeps the limits in every step."""
        return bool(self.states)

    @property
    def topologies(self) -> int:
        """Number of different topologies of the blocks."""
        return len({frozenset(state.open_branches) for state in self.states})

    def to_do(self) -> str:
        if not self.has_answer or self.operations is None:
            return ""
        done = count_words(self.operations, "switch operation") or "no switch operation"
        many = count_words(self.topologies, "topology").replace("topologys", "topologies")
        return f"{done} in the year, {many} in {count_words(len(self.states), 'block')}"

    def answer_facts(self) -> dict[str, str]:
        lost = "not known" if self.energy_mwh is None else f"{self.energy_mwh:,.3f} MWh"
        return {"energy lost": lost, "operations": str(self.operations)}

    def to_switch(self) -> list[tuple[object, ...]]:
        return list(self.switchings.select("block", "action", "name").rows())
