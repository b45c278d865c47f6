"""The shape of what `openpoint reconfigure` writes where a year is given."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import BRANCH, BUS, both, run_keys
from openpoint.results.schema import Schema, listing, maybe, names, number, whole
from openpoint.results.shape import Shape
from openpoint.results.switched import SWITCHED, SWITCHING_LIST
from openpoint.results.violation import VIOLATIONS, without_phase
from openpoint.studies.reconfigure.schema import ITERATIONS


def _steps(name: str, doc: str) -> c.Table:
    """The step at which a quantity is met, today and in the answer."""
    words = {"before": "today", "after": "in the answer"}
    return {f"{name}_{when}_step": c.text(f"step of it {word}", nullable=True) for when, word in words.items()}


_TABLES: dict[str, c.Table] = {
    "switching_list": SWITCHING_LIST,
    "steps": {
        "step": c.text("when the step starts, or its number"),
        "hours": c.number("its length, h", "hours", 2),
        "demand_kw": c.number("net active demand of all buses of constant power, kW", "demand, kW", 1),
        **both("loss", "kw", "exact AC loss, kW; null without a power flow solution", "loss {}, kW", 2),
        **both("v_min", "pu", "lowest voltage of a bus that is no source, pu", "lowest {}, pu", 4),
        **both("v_max", "pu", "highest voltage of a bus that is no source, pu", "highest {}, pu", 4),
        "broken_before": c.maybe_flag("whether limits are broken today"),
        "broken_after": c.maybe_flag("whether limits are broken in the answer"),
    },
    "buses": {
        **BUS,
        **both("v_lowest", "pu", "lowest voltage in any step, pu", "lowest {}, pu", 5),
        **_steps("v_lowest", "lowest voltage"),
        **both("v_highest", "pu", "highest voltage in any step, pu", "highest {}, pu", 5),
        **_steps("v_highest", "highest voltage"),
    },
    "branches": {
        **BRANCH,
        "closed_before": c.flag("closed today", "state today"),
        "closed_after": c.maybe_flag("closed in the answer", "state after"),
        **c.LIMITS_OF_CURRENT,
        **both("i_highest", "a", "highest current in any step, A", "highest current {}, A", 2),
        **_steps("i_highest", "highest current"),
        **both("loading_highest", "percent", "the same in percent of the rating", "highest loading {}, %", 1),
        **both("energy_lost", "kwh", "energy lost in the year, kWh", "energy lost {}, kWh", 1),
    },
    "violations": {
        "step": c.text("step in which it is broken most"),
        **without_phase(VIOLATIONS),
    },
    "iterations": ITERATIONS,
}

_KEYS: dict[str, Schema] = {
    **run_keys("of the method alone, without imports and reading"),
    "steps_count": whole("number of steps"),
    "hours": number("their length together, h"),
    "groups_count": whole("groups of several steps by which the bound is computed"),
    "energy_before_mwh": maybe("number", "energy lost in the year today, MWh; null where a step has no power flow"),
    "energy_mwh": maybe("number", "energy lost in the year in the answer, MWh"),
    "energy_bound_mwh": maybe("number", "proven bound of the energy lost, the cost of changes included, MWh"),
    "objective_kw": maybe("number", "mean loss over the year plus the cost of the changes: what the bounds enclose"),
    "lower_bound_kw": maybe("number", "proven bound of objective_kw"),
    "gap": maybe("number", "(objective − bound) / objective; 0.0001 is 0.01 %"),
    "open_before": names("branches open today"),
    "open_branches": names("branches open in the answer"),
    "changes": listing(SWITCHED, "what to close and then to open to get from today's state to the answer"),
    "steps_broken_before": maybe("integer", "steps in which limits are broken today"),
    "steps_broken": maybe("integer", "steps in which limits are broken in what is shown: 0 in an answer"),
    "ac_max_mismatch_pu": maybe("number", "largest power mismatch by a check of its own, in checked_steps, pu"),
    "checked_steps": whole("steps that are checked so: the extremes, and others evenly over the year"),
    "least_violation_open": names("where infeasible: the branches open at the least violation met"),
    "notes": names("warnings that belong to the answer"),
}

YEAR = Shape(
    "reconfigure-year",
    "reconfigure-year",
    "Result of openpoint reconfigure-year",
    _KEYS,
    _TABLES,
    beside=("switching_list",),
    asked="what was asked: one topology for a year",
)
