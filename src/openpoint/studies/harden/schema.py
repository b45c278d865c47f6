"""The shape of what `openpoint harden` writes."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import ENDS, run_keys
from openpoint.results.iterations import iteration_columns
from openpoint.results.schema import Schema, maybe, names, text
from openpoint.results.shape import Shape
from openpoint.results.violation import POWERS, violation_columns, without_phase

_DISASTER: c.Table = {"disaster": c.text("name of the disaster")}

_KEYS: dict[str, Schema] = {
    **run_keys("of the method alone, without imports, reading, and the value of information"),
    "uncertainty": text("the disasters and how they count"),
    "any_lines": maybe("integer", "number of lines that an attack breaks; null where disasters were given"),
    "cost_usd": maybe("number", "investment and expected (or worst) cost of the disasters, $; null where no plan"),
    "investment_usd": maybe("number", "of the plan, $"),
    "lower_bound_usd": maybe("number", "proven bound of cost_usd, $"),
    "gap": maybe("number", "(cost − bound) / cost; 0.0001 is 0.01 %"),
    "hardened_branches": names("branches to harden"),
    "generators": names("buses that get a backup generator"),
    "shed_kw": {
        "type": "object",
        "description": "load shed in each disaster, kW; null where only its cost is known",
        "additionalProperties": {"type": ["number", "null"]},
    },
    "without_plan_usd": maybe("number", "cost if nothing is bought, $; null where not computed"),
    "wait_and_see_usd": maybe("number", "cost if the disaster were known in advance, $; null where not computed"),
    "evpi_usd": maybe("number", "what knowing it would be worth: cost − wait-and-see, $"),
    "most_likely_plan_usd": maybe("number", "cost of the best plan for the most likely disaster, in all of them, $"),
    "mean_value_plan_usd": maybe("number", "cost of the best plan for the mean disaster, in all of them, $"),
    "vss_usd": maybe("number", "value of the stochastic solution: mean-value plan − cost, $"),
    "worst_attack": names("with any_lines: the lines whose loss costs most after the plan"),
    "ac_max_mismatch_pu": maybe("number", "largest power mismatch of the AC solutions at any bus, pu"),
    "notes": names("warnings that belong to the answer"),
}

_TABLES: dict[str, c.Table] = {
    "disasters": {
        **_DISASTER,
        "count": c.whole("number of equal disasters given", "equal ones"),
        "probability": c.maybe_number("nominal; null for an attack", "probability", 4),
        "weight": c.maybe_number("probability that counts: the worst of the ambiguous ones", "weight", 4),
        "broken": c.text("names of the branches that break"),
        "cost_usd": c.maybe_number("of the outage, $", "cost, $", 2),
        "shed_kw": c.maybe_number("load shed, kW", "shed, kW", 2),
        "shed_percent": c.maybe_number("load shed in percent of all load", "shed, %", 2),
        "islands": c.maybe_whole("energised islands, one a substation or forming generator", "islands"),
        "ac_max_mismatch_pu": c.maybe_number("largest power mismatch of the AC solution at any bus, pu"),
        "violations": c.maybe_whole("number of limits that the AC solution breaks", "limits broken"),
    },
    "buses": {
        **_DISASTER,
        "name": c.text("name of the bus"),
        "island": c.whole("number of its island, 0 = without supply", "island"),
        "load_kw": c.number("load net of infeed, kW", "load, kW", 2),
        "shed_kw": c.number("load shed, kW", "shed, kW", 2),
        "v_pu": c.maybe_number("voltage, pu; null where de-energised", "voltage, pu", 5),
        "angle_degree": c.maybe_number("voltage angle, degree"),
    },
    "branches": {
        **_DISASTER,
        **ENDS,
        "state": c.text("after the disaster", options=["closed", "open", "broken"]),
        "hardened": c.flag("hardened by the plan"),
        "switching": c.text("what to do in today's state", options=["", "close", "open"]),
        **c.LIMITS_OF_CURRENT,
        "i_a": c.maybe_number("current, A", "current, A", 2),
        "loading_percent": c.maybe_number("current in percent of the rating", "loading, %", 1),
        "p_from_kw": c.maybe_number("active power into the branch at its from end, kW", "P, kW", 2),
        "q_from_kvar": c.maybe_number("reactive power into the branch at its from end, kvar", "Q, kvar", 2),
        "loss_kw": c.maybe_number("active power lost, kW", "loss, kW", 3),
    },
    "sources": {
        **_DISASTER,
        "kind": c.text("what it is", options=["substation", "backup", "generator"]),
        "name": c.text("its name"),
        "bus": c.text("its bus"),
        "forms_grid": c.flag("holds the voltage of an island"),
        "p_kw": c.maybe_number("active power delivered, kW", "P, kW", 2),
        "q_kvar": c.maybe_number("reactive power delivered, kvar", "Q, kvar", 2),
    },
    "violations": {
        **_DISASTER,
        **without_phase(violation_columns(POWERS, "bus or branch")),
    },
    "iterations": iteration_columns(
        "usd",
        "$",
        value="cost of the plan tried, $",
        violation="least violation of the plan tried; 0 where limits hold",
    ),
}

HARDEN = Shape("harden", "harden", "Result of openpoint harden", _KEYS, _TABLES)
