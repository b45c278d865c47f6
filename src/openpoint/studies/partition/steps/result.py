"""The result of a partition over time: the plan of every step."""

from __future__ import annotations

import polars as pl

from openpoint.results import columns as c
from openpoint.results.shape import figure, table
from openpoint.scenarios.horizon import Horizon
from openpoint.studies.partition import schema as d
from openpoint.studies.partition.result import PlanResult

_STEP: c.Table = {"step": c.text("name of the step")}
STEPS: c.Table = {
    **_STEP,
    "hours": c.number("how long it is, h", "hours", 2),
    "load_kw": c.number("nominal load of all blocks, kW", "load, kW", 1),
    "served_kw": c.number("nominal load of the energised blocks, kW", "served, kW", 1),
    "energised_blocks": c.whole("blocks with supply", "blocks"),
    "actions": c.whole("switches that change their state, but for those that events hold", "actions"),
    "lost_usd": c.maybe_number("of the de-energised blocks, $", "de-energised blocks, $", 2),
    "generation_usd": c.maybe_number("of the set-points, $", "set-points, $", 2),
    "loss_kw": c.maybe_number(
        "AC losses at nominal loads, kW; null: nothing energised, or no power flow found", "AC loss, kW", 2
    ),
    "v_min_pu": c.maybe_number("lowest AC voltage to neutral, pu", "AC voltage from, pu", 4),
    "v_max_pu": c.maybe_number("highest AC voltage to neutral, pu", "to, pu", 4),
    "v_excess_pu": c.maybe_number(
        "the most by which an AC voltage misses its limits, pu; 0 keeps all", "beyond limits, pu", 4
    ),
}
SWITCHES: c.Table = {
    **_STEP,
    **d.SWITCHES,
    "switching": c.text("what to do in the state of the step before", options=["", "close", "open"]),
    "held": c.text("state in which events hold it", options=["", "open", "closed"]),
}
ISLANDS: c.Table = {**_STEP, **d.ISLANDS}
BLOCKS: c.Table = {**_STEP, **d.BLOCKS, "fault": c.flag("a fault keeps it de-energised")}
GENERATORS: c.Table = {
    **_STEP,
    **d.GENERATORS,
    "ac_p_kw": c.maybe_number("in the AC power flow at nominal loads, kW"),
    "ac_q_kvar": c.maybe_number("in the AC power flow at nominal loads, kvar"),
}
STORAGE: c.Table = {
    **_STEP,
    "generator": c.text("generator that has an energy"),
    "p_kw": c.number("set-point, kW; below 0 it charges", "P, kW", 1),
    "start_kwh": c.number("energy at the start of the step, kWh", "start, kWh", 1),
    "end_kwh": c.number("energy at its end, kWh", "end, kWh", 1),
    "reserve_more_kw": c.number("what it may deliver beyond p_kw when loads deviate, kW", "may add, kW", 1),
    "reserve_less_kw": c.number("what it may deliver less, kW", "may take back, kW", 1),
}
PRIORITIES: c.Table = {
    **_STEP,
    "priority": c.number("factor on the cost of a kW that is not served"),
    "load_kw": c.number("nominal load of this priority, kW"),
    "served_kw": c.number("of it in energised blocks, kW"),
}


class PartitionStepsResult(PlanResult, study="partition-steps"):
    """The answer of `partition_steps`, over all steps.

    Every table but `iterations` has the name of the step in its first column. Switches in de-energised parts stay as
    they were where they can. Generators that form a grid deliver the losses of the AC power flow, too.

    Attributes:
        horizon: the steps asked about.
    """

    horizon: Horizon
    max_actions: int | None = figure("most switches that change their state in a step; null: no limit")
    keep_energised: bool = figure("a block that is energised stays so unless it has a fault")
    served_kwh: float = figure("nominal energy of the energised blocks, kWh")
    total_kwh: float = figure("nominal energy of all blocks, kWh")
    steps: pl.DataFrame = table(STEPS)
    storage: pl.DataFrame = table(STORAGE)
    priorities: pl.DataFrame = table(PRIORITIES)
    blocks: pl.DataFrame = table(BLOCKS)
    islands: pl.DataFrame = table(ISLANDS)
    generators: pl.DataFrame = table(GENERATORS)
    switches: pl.DataFrame = table(SWITCHES)

    def answer_facts(self) -> dict[str, str]:
        return {
            "serves": f"{self.served_kwh:,.3f} of {self.total_kwh:,.3f} kWh",
            "steps": str(self.steps.height),
        }
