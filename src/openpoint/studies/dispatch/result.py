"""The result of dispatch: what moves, what it is worth, and the state of the grid before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.results.base import Head, count_words, in_kw, switching_words
from openpoint.results.common import BRANCH_BEFORE_AFTER, BUS_BEFORE_AFTER
from openpoint.results.shape import figure, table
from openpoint.results.switched import SwitchedResult, with_output
from openpoint.results.violation import Violation
from openpoint.studies.dispatch.tables import (
    ACTIONS,
    CRITERIA_TABLE,
    DEVICES,
    GENERATORS,
    ITERATIONS,
    SOURCES,
    VIOLATIONS,
    actions_table,
)

if TYPE_CHECKING:
    import os


class DispatchResult(SwitchedResult, study="dispatch", frames={"actions": ACTIONS}):
    """The answer of `dispatch`. Every figure of a state is that of an exact AC power flow; see `network.criteria`."""

    why_method: str = figure("why this method was taken")
    free: tuple[str, ...] = figure("what was free to move")
    objective: float | None = figure(
        "what is minimised: the sum of weight times figure over the criteria; null: no answer"
    )
    objective_unit: str = figure("its unit; empty for a sum of several")
    lower_bound: float = figure("proven bound of objective", maybe=True)
    loss_before_kw: float | None = figure("exact AC loss, kW, today")
    loss_kw: float | None = figure("exact AC loss, kW, in the answer")
    cost_before_usd_per_h: float | None = figure("cost of sources and generators, $/h; null without prices, today")
    cost_usd_per_h: float | None = figure("cost of sources and generators, $/h; null without prices, in the answer")
    balance_before: float | None = figure("sum over feeder heads of squared loading, today")
    balance: float | None = figure("sum over feeder heads of squared loading, in the answer")
    deviation_before_pu: float | None = figure("mean of |v² − 1| / 2 over the buses that no source holds, pu, today")
    deviation_pu: float | None = figure("mean of |v² − 1| / 2 over the buses that no source holds, pu, in the answer")
    v_min_before_pu: float | None = figure("lowest voltage, pu, today")
    v_min_pu: float | None = figure("lowest voltage, pu, in the answer")
    v_min_bus: str | None = figure("bus of the lowest voltage in the answer")
    v_max_before_pu: float | None = figure("highest voltage, pu, today")
    v_max_pu: float | None = figure("highest voltage, pu, in the answer")
    v_max_bus: str | None = figure("bus of the highest voltage in the answer")
    violations: tuple[Violation, ...] = table(VIOLATIONS, "limits that the AC solution of the answer breaks")
    least_violation: tuple[Violation, ...] = table(
        VIOLATIONS, "where there is no answer: limits that break at the least violation met"
    )
    criteria: pl.DataFrame = table(CRITERIA_TABLE)
    devices: pl.DataFrame = table(DEVICES)
    sources: pl.DataFrame = table(SOURCES)
    generators: pl.DataFrame = table(GENERATORS)
    buses: pl.DataFrame = table(BUS_BEFORE_AFTER)
    branches: pl.DataFrame = table(BRANCH_BEFORE_AFTER)
    iterations: pl.DataFrame = table(ITERATIONS)

    @property
    def head(self) -> Head:
        return self._head(self.objective, self.lower_bound, self.objective_unit)

    @property
    def has_answer(self) -> bool:
        """Whether a state was found that keeps all limits."""
        return self.objective is not None

    @property
    def actions(self) -> pl.DataFrame:
        """What to do to get from today's state to the answer, in order: the table for the control room.

        Every closing is followed by an opening after which the grid is radial again; `then` says where it is not.
        """
        return actions_table(self.grid, self.open_branches, self.switching_list, self.devices, self.generators)

    @property
    def moves(self) -> pl.DataFrame:
        """The devices whose position differs between today and the answer."""
        return self.devices.filter(pl.col("answer").is_not_null() & (pl.col("answer") != pl.col("today")))

    def to_do(self) -> str:
        if not self.has_answer:
            return ""
        texts = [switching_words([action for _, action in self.switching])] if self.switching else []
        texts += [count_words(self.moves.height, "device")] if self.moves.height else []
        settings = self.actions.filter(pl.col("quantity").is_in(["active power", "reactive power"]))["name"].n_unique()
        texts += [f"new output of {count_words(settings, 'generator')}"] if settings else []
        return ", ".join(texts) or "nothing to move"

    def answer_facts(self) -> dict[str, str]:
        loss = f"{in_kw(self.loss_before_kw)} → {in_kw(self.loss_kw)}"
        return {"loss": loss, "open": join_names(self.open_branches) or "none"}

    def to_switch(self) -> list[tuple[object, ...]]:
        return list(self.actions.select("action", "name", "today", "answer", "unit").rows())

    def write_state(self, path: str | os.PathLike[str]) -> None:
        """Write the grid in its new state: a folder of tables, `.xlsx` or `.dss`.

        Raises:
            OptionError: there is no answer, or it cannot be written.
        """
        from openpoint.io import write

        if self.grid_after is None:
            raise OptionError("there is no answer")
        write(self.grid_after, path)

    def _states(self) -> dict[str, bool]:
        others = self.actions.filter(~pl.col("action").is_in(["close", "open"]))
        if others.height:
            raise OptionError(
                f"the answer sets more than branches, which a net is not given: {join_names(others['name'].unique())}. "
                "`actions` lists what to set; `write_state` writes all of it"
            )
        return super()._states()

    @property
    def grid_after(self) -> Grid | None:
        """The grid in the state of the answer: switches, taps, steps, voltages of sources, outputs; None without one.

        `openpoint.write` writes it.
        """
        grid = super().grid_after
        if grid is None:
            return None
        grid = with_output(grid, self.generators.select("name", p_kw="p_after_kw", q_kvar="q_after_kvar"))
        for kept, column, kind in (
            ("capacitors", "steps_on", "capacitor bank"),
            ("transformers", "tap_pos", "tap changer"),
            ("sources", "v_pu", "source voltage"),
        ):
            frame: pl.DataFrame = grid.tables()[kept]
            new = self.moves.filter(kind=kind).select("name", answer=pl.col("answer").cast(frame.schema[column]))
            joined = frame.select("name", column).join(new, on="name", how="left", maintain_order="left")
            grid = grid.with_tables(
                **{kept: frame.with_columns(joined["answer"].fill_null(frame[column]).alias(column))}
            )
        return grid
