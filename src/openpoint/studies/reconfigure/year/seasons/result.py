"""The result of reconfiguring for a year in blocks: a topology for each, verified in every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from openpoint.names import join_names
from openpoint.results.base import Answer, Head, count_words
from openpoint.results.shape import Shape
from openpoint.studies.reconfigure.year.seasons.schema import SEASONS

if TYPE_CHECKING:
    pass

LISTED = ("open_branches", "to_close", "to_open")
"""Columns of the table of blocks that list names."""


@dataclass(frozen=True)
class BlockState:
    """The open points of a block: its name, the open branches, and what to close and to open at its beginning."""

    block: str
    open_branches: tuple[str, ...]
    to_close: tuple[str, ...]
    to_open: tuple[str, ...]


@dataclass(frozen=True, repr=False, kw_only=True)
class SeasonsResult(Answer):
    """The answer of `reconfigure` for a year in blocks. Every figure is that of an exact AC power flow in every step.

    Attributes:
        hours: of all steps.
        switchings_a_year, switching_kwh, from_today: as asked.
        operations: switch operations that count; an opening and a closing are one each, an exchange of two branches is
            two. operations_to_first: from today's state to the first block. operations_back: from the last block back
            to the first, which a year that is repeated needs and which does not count. None without an answer.
        energy_before_mwh, energy_mwh: energy lost in the year; None where there is no answer, or a step without a flow.
        energy_bound_mwh: proven bound of energy_mwh with the price of the operations.
        objective_kw: mean loss over the year plus the price of the operations. lower_bound_kw: proven bound of it.
        open_before: branches open today. states: the open points of every block; empty where there is no answer.
        infeasible_block: where infeasible: a block that no topology serves, if known. least_violation_open: the open
            branches of the least violation met in it.
        steps_broken_before, steps_broken: number of steps in which limits are broken, or that have no flow.
        ac_max_mismatch_pu: largest mismatch by an independent check in `checked_steps` steps.
        blocks: one row a block. switchings: one row a switch operation. steps: one row a step. violations: limits that
            are broken, each in the step in which it is broken most.
    """

    hours: float
    switchings_a_year: int | None
    switching_kwh: float
    from_today: bool
    operations: int | None
    operations_to_first: int | None
    operations_back: int | None
    energy_before_mwh: float | None
    energy_mwh: float | None
    energy_bound_mwh: float
    objective_kw: float | None
    lower_bound_kw: float
    open_before: tuple[str, ...]
    states: tuple[BlockState, ...]
    infeasible_block: str | None
    least_violation_open: tuple[str, ...]
    steps_broken_before: int | None
    steps_broken: int | None
    ac_max_mismatch_pu: float | None
    checked_steps: int
    blocks: pl.DataFrame
    switchings: pl.DataFrame
    steps: pl.DataFrame
    violations: pl.DataFrame

    shape: ClassVar[Shape] = SEASONS

    @property
    def head(self) -> Head:
        return self._head(self.objective_kw, self.lower_bound_kw, "kW", self.violations)

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

    def document(self) -> dict[str, Any]:
        """The whole result as plain values, in the order of the published schema; names of branches are lists."""
        whole = super().document()
        for row, state in zip(whole["blocks"], self.states or [None] * len(whole["blocks"]), strict=True):
            row |= {name: list(getattr(state, name)) if state is not None else [] for name in LISTED}
        return whole


def names_of_state(state: BlockState) -> dict[str, str]:
    """The cells of a row of the table of blocks that list names."""
    return {name: join_names(getattr(state, name)) for name in LISTED}
