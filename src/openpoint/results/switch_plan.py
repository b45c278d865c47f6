"""A switch plan: the steps from today's state to another one, with what each does to the grid."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from openpoint.results import columns as c
from openpoint.results.base import count_words
from openpoint.results.common import KIND
from openpoint.results.schema import Schema, record
from openpoint.results.shape import declare, figure, keys_of

STEPS: c.Table = {
    "step": c.whole("number of the step", "step"),
    "action": c.text("what to do", options=["close", "open"]),
    "name": c.text("name of the branch"),
    "switch": c.text("its switch, by number and name in a pandapower net; empty where there is none"),
    "kind": KIND,
    "open_end": c.text("end at which a line is switched, or both", options=["both", "from", "to"]),
    "bus": c.text("where it is switched: the bus at this end, or those at both"),
    "x": c.maybe_number("horizontal coordinate of the first of these buses"),
    "y": c.maybe_number("vertical coordinate of the first of these buses"),
    "remote": c.flag("operated by remote control"),
    "i_before_a": c.number("current of the branch before the step, A", "before, A", 1),
    "i_after_a": c.number("current of the branch after the step, A", "after, A", 1),
    "loop": c.flag("a loop is closed after the step, or two sources are joined, that were not before the plan"),
    "v_min_pu": c.number("lowest voltage of a bus with supply after the step, pu", "lowest, pu", 5),
    "v_min_bus": c.text("its bus"),
    "loading_percent": c.maybe_number("highest loading after the step, percent of the rating", "loading, %", 1),
    "loading_branch": c.text("its branch; empty without limits of current"),
    "limit": c.text("limit that is broken most after the step; empty where all are kept"),
    "off_buses": c.text("buses with load that are off after the step"),
    "off_kw": c.number("their load, kW", "off, kW", 1),
    "off_customers": c.maybe_number("their customers; null where none are given", "customers off", 0),
    "off_min": c.number("how long they are off: until the next step is done, min", "off, min", 0),
}


@dataclass(frozen=True, kw_only=True)
class SwitchPlan:
    """The steps from today's state to another one; the theory is in `openpoint.search.plan.order`.

    Without an order in which every state has a power flow there are no steps. No plan is better than a proven one: of
    fewer operations, then fewer manual ones, then less energy not supplied, then a lower highest loading (without
    ratings a higher lowest voltage). Energy is that at the times of an operation in `notes`.
    """

    steps: pl.DataFrame
    found: bool = figure("whether there is an order in which every state has a power flow")
    fewest_operations: int = figure("operations that any plan needs: one for each branch that differs")
    keeps_limits: bool = figure("whether no state breaks a limit by more than today's state or the last one does")
    excess_percent: float = figure("largest excess of a limit in any state, percent of the limit")
    not_supplied_kwh: float = figure("energy not supplied while the plan is carried out")
    proven: bool = figure(
        "whether no plan is better: fewer operations, then fewer manual ones, less energy not supplied, less strain"
    )
    ac_max_mismatch_pu: float | None = figure("largest power mismatch of any state at any bus, pu")
    notes: tuple[str, ...] = figure("what belongs to the plan")

    @property
    def operations(self) -> int:
        """Switch operations."""
        return self.steps.height

    @property
    def manual_operations(self) -> int:
        """Operations of switches without remote control."""
        return int((~self.steps["remote"]).sum())

    @property
    def in_short(self) -> str:
        """The plan in a text: `8 operations (5 manual), no fewer are possible; limits kept in every state.`"""
        if not self.found:
            return "No order was found in which every state has a power flow."
        if not self.operations:
            return "Nothing to switch."
        more = self.operations - self.fewest_operations
        text = f"{count_words(self.operations, 'operation')} ({self.manual_operations} manual)"
        text += f", {more} more than the branches that differ" if more else ", no fewer are possible"
        text += "; limits kept in every state" if self.excess_percent == 0.0 else f"; {self._excess()}"
        off = self.steps.filter(pl.col("off_kw") > 0.0).height
        text += f"; {count_words(off, 'interruption')}, {self.not_supplied_kwh:.1f} kWh" if off else "; no interruption"
        return f"{text}. {'Proven best' if self.proven else 'Not proven best'}."

    def _excess(self) -> str:
        by = f"by at most {self.excess_percent:.2f} %"
        if self.keeps_limits:
            return f"limits broken {by}, as in today's state or the last one"
        return f"limits broken on the way {by}{', the least possible' if self.proven else ''}"


declare(SwitchPlan, also=("operations", "manual_operations"))
PLAN: Schema = {**record(keys_of(SwitchPlan)), "type": ["object", "null"]}
