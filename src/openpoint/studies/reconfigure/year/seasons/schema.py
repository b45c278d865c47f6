"""The shape of what `openpoint reconfigure` writes for a year in blocks."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import run_keys
from openpoint.results.schema import Schema, flag, maybe, names, number, whole
from openpoint.results.shape import Shape
from openpoint.results.switched import SWITCHING_LIST
from openpoint.studies.reconfigure.schema import ITERATIONS
from openpoint.studies.reconfigure.year.schema import YEAR

_TABLES: dict[str, c.Table] = {
    "blocks": {
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
    },
    "switchings": {
        "block": c.text("block at whose beginning it is done"),
        "step": c.text("first step of the block"),
        "counted": c.flag("whether it counts as a switch operation"),
        **SWITCHING_LIST,
    },
    "steps": YEAR.tables["steps"],
    "violations": {"block": c.text("block of the step"), **YEAR.tables["violations"]},
    "iterations": ITERATIONS,
}

_KEYS: dict[str, Schema] = {
    **run_keys("of the method alone, without imports and reading"),
    "steps_count": whole("number of steps"),
    "hours": number("their length together, h"),
    "switchings_a_year": maybe("integer", "most switch operations asked for; null = any number"),
    "switching_kwh": number("energy that a switch operation must save, kWh, as asked for"),
    "from_today": flag("whether operations from today's state to that of the first block count"),
    "operations": maybe("integer", "switch operations that count, an opening and a closing one each"),
    "operations_to_first": maybe("integer", "operations from today's state to that of the first block"),
    "operations_back": maybe("integer", "operations from the last block back to the first one, which do not count"),
    "energy_before_mwh": maybe("number", "energy lost in the year today, MWh; null where a step has no power flow"),
    "energy_mwh": maybe("number", "energy lost in the year in the answer, MWh"),
    "energy_bound_mwh": maybe("number", "proven bound of energy_mwh with the price of the operations, MWh"),
    "objective_kw": maybe(
        "number", "mean loss over the year plus the price of the operations: what the bounds enclose"
    ),
    "lower_bound_kw": maybe("number", "proven bound of objective_kw"),
    "gap": maybe("number", "(objective − bound) / objective; 0.0001 is 0.01 %"),
    "open_before": names("branches open today"),
    "infeasible_block": maybe("string", "where infeasible: a block in which no topology keeps the limits, if known"),
    "least_violation_open": names("the branches open at the least violation met in that block"),
    "steps_broken_before": maybe("integer", "steps in which limits are broken today"),
    "steps_broken": maybe("integer", "steps in which limits are broken in the answer: 0"),
    "ac_max_mismatch_pu": maybe("number", "largest power mismatch by a check of its own, in checked_steps, pu"),
    "checked_steps": whole("steps that are checked so: the extremes of every block, and others evenly over it"),
    "notes": names("warnings that belong to the answer"),
}

SEASONS = Shape(
    "reconfigure-seasons",
    "reconfigure-seasons",
    "Result of openpoint reconfigure-seasons",
    _KEYS,
    _TABLES,
    asked="what was asked: a topology for each block of a year",
)
