"""The shape of the JSON that `openpoint harden` writes."""

from __future__ import annotations

from openpoint.results.schema import Schema, flag, maybe, names, number, text, value, whole
from openpoint.twostage.log import Termination

_DISASTER = {"disaster": text("name of the disaster")}

HARDEN: dict[str, Schema] = {
    "study": {"const": "harden", "description": "what was asked"},
    "version": text("version of openpoint"),
    "grid": text("name of the grid"),
    "method": text("name and options of the method"),
    "termination": value("string", "why the run ended", enum=[t.value for t in Termination]),
    "remedy": text("what to do about it"),
    "seconds": number("of the method alone, without imports, reading, and the value of information"),
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

HARDEN_TABLES: dict[str, dict[str, Schema]] = {
    "disasters": {
        **_DISASTER,
        "count": whole("number of equal disasters given"),
        "probability": maybe("number", "nominal; null for an attack"),
        "weight": maybe("number", "probability that counts: the worst of the ambiguous ones"),
        "broken": text("names of the branches that break"),
        "cost_usd": maybe("number", "of the outage, $"),
        "shed_kw": maybe("number", "load shed, kW"),
        "shed_percent": maybe("number", "load shed in percent of all load"),
        "islands": maybe("integer", "energised islands, one a substation or forming generator"),
        "ac_max_mismatch_pu": maybe("number", "largest power mismatch of the AC solution at any bus, pu"),
        "violations": maybe("integer", "number of limits that the AC solution breaks"),
    },
    "buses": {
        **_DISASTER,
        "name": text("name of the bus"),
        "island": whole("number of its island, 0 = without supply"),
        "load_kw": number("load net of infeed, kW"),
        "shed_kw": number("load shed, kW"),
        "v_pu": maybe("number", "voltage, pu; null where dead"),
        "angle_degree": maybe("number", "voltage angle, degree"),
    },
    "branches": {
        **_DISASTER,
        "kind": value("string", "table of the branch", enum=["lines", "switches", "transformers"]),
        "name": text("name of the branch"),
        "from_bus": text("bus at one end"),
        "to_bus": text("bus at the other end"),
        "state": value("string", "after the disaster", enum=["closed", "open", "broken"]),
        "hardened": flag("hardened by the plan"),
        "switching": value("string", "what to do in today's state", enum=["", "close", "open"]),
        "i_max_a": maybe("number", "current limit, A"),
        "i_a": maybe("number", "current, A"),
        "loading_percent": maybe("number", "current in percent of the limit"),
        "p_from_kw": maybe("number", "active power into the branch at its from end, kW"),
        "q_from_kvar": maybe("number", "reactive power into the branch at its from end, kvar"),
        "loss_kw": maybe("number", "active power lost, kW"),
    },
    "sources": {
        **_DISASTER,
        "kind": value("string", "what it is", enum=["substation", "backup", "generator"]),
        "name": text("its name"),
        "bus": text("its bus"),
        "forms_grid": flag("holds the voltage of an island"),
        "p_kw": maybe("number", "active power delivered, kW"),
        "q_kvar": maybe("number", "reactive power delivered, kvar"),
    },
    "violations": {
        **_DISASTER,
        "kind": value(
            "string",
            "what is broken",
            enum=["voltage low", "voltage high", "current", "active power", "reactive power"],
        ),
        "name": text("bus or branch"),
        "value": number("what the AC power flow gives"),
        "limit": number("what is allowed"),
        "unit": value("string", "of value and limit", enum=["pu", "A", "kW", "kvar"]),
    },
    "iterations": {
        "number": whole("1, 2, …"),
        "seconds": number("since the start of the method"),
        "lower_bound_usd": maybe("number", "best proven so far, $"),
        "upper_bound_usd": maybe("number", "best verified so far, $"),
        "gap": maybe("number", "(upper − lower) / upper"),
        "value_usd": maybe("number", "cost of the plan tried, $"),
        "verdict": text("what was learnt"),
        "violation": maybe("number", "least violation of the plan tried; 0 where limits hold"),
        "mark": text("a warning where the numbers were bad, else empty"),
    },
}
