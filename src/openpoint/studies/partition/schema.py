"""The shapes of what `openpoint partition` writes."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import KIND, run_keys
from openpoint.results.iterations import iteration_columns
from openpoint.results.schema import Schema, flag, maybe, names, number, whole
from openpoint.results.shape import Shape

_KEYS: dict[str, Schema] = {
    **run_keys("of the method alone, without imports and reading"),
    "uncertainty": number("largest deviation of an uncertain load, a share of its power"),
    "uncertain_loads": names("the uncertain loads"),
    "served_kw": number("nominal load of the energised blocks, kW"),
    "total_kw": number("nominal load of all blocks, kW"),
    "cost_usd": maybe(
        "number", "de-energised blocks, set-points and following the loads at worst, $ for an hour; null: no plan"
    ),
    "lost_usd": maybe("number", "of the de-energised blocks, $"),
    "generation_usd": maybe("number", "of the set-points, $"),
    "worst_recourse_usd": maybe("number", "proven bound of what following the loads adds, $; below 0 where it saves"),
    "lower_bound_usd": maybe("number", "proven bound of cost_usd, $"),
    "gap": maybe("number", "(cost − bound) / cost; 0.0001 is 0.01 %"),
    "worst_slack_kw": number(
        "least nodal slack (power that no source gives) in the worst realisation tried last, kW; 0 is none"
    ),
    "seconds_to_best": maybe("number", "seconds after which the plan was known; null: no plan"),
    "energised_count": whole("number of blocks with supply"),
    "closed_count": whole("number of switchable branches that are closed"),
    "energised_blocks": names("blocks with supply; a block is called after its first bus"),
    "closed_switches": names("switchable branches that are closed"),
    "open_switches": names("switchable branches that are open"),
    "grid_forming": names("generators that form the grid of an island"),
    "ac": maybe(
        "string",
        "whether limits hold in exact AC for every load of the set: proved, disproved or open; null: not asked",
    ),
    "ac_as_planned": maybe("string", "the same with the set-points of the linear model"),
    "ac_level": maybe("number", "largest deviation of a load up to which it is proved, a share of its power"),
    "ac_cost_usd": maybe("number", "no load of the set costs more, de-energised blocks included, $; null: not proved"),
    "ac_short_kw": maybe(
        "number", "by how much limits are missed at the load that disproves the set-points, kW or kvar; null: no such"
    ),
    "notes": names("warnings that belong to the answer"),
}

_ISLAND = c.whole("number of the island, 0 = without supply", "island")


def _share(name: str, heading: str, doc: str) -> c.Table:
    return {
        f"{name}_share": c.number(f"share of the samples in which {doc}", heading, 2),
        f"{name}_low": c.number("lower end of its 95 % confidence interval (Clopper-Pearson)", "at least, %", 2),
        f"{name}_high": c.number("upper end", "at most, %", 2),
    }


_TABLES: dict[str, c.Table] = {
    "islands": {
        "island": c.whole("number of the island, from 1", "island"),
        "blocks": c.names("its blocks", "blocks (first bus)"),
        "grid_forming": c.names("generators that form its grid", "grid formed by"),
        "load_kw": c.number("its nominal load, kW", "load, kW", 1),
        "capacity_kw": c.number("most power of its generators, kW", "capacity, kW", 1),
        "generation_kw": c.number("their set-points, kW", "set-points, kW", 1),
    },
    "blocks": {
        "name": c.text("name of the block, that of its first bus", "block (first bus)"),
        "energised": c.flag("has supply"),
        "island": _ISLAND,
        "load_kw": c.number("its nominal load, kW", "load, kW", 1),
        "loads": c.whole("number of its loads", "loads"),
        "buses": c.text("names of its buses"),
    },
    "generators": {
        "name": c.text("name of the generator", "generator"),
        "bus": c.text("its bus"),
        "block": c.text("its block"),
        "island": _ISLAND,
        "forms_grid": c.flag("holds the voltage of its island"),
        "p_kw": c.number("set-point, kW", "P, kW", 1),
        "q_kvar": c.number("set-point, kvar", "Q, kvar", 1),
        "p_max_kw": c.number("most active power, kW", "most, kW", 1),
    },
    "switches": {
        "name": c.text("name of the switchable branch", "switch"),
        "kind": KIND,
        "from_block": c.text("block at one end"),
        "to_block": c.text("block at the other end"),
        "closed": c.flag("closed in the answer"),
        "switching": c.text("what to do in today's state", options=["", "close", "open"]),
    },
    "samples": {
        "plan": c.text("the plan asked about, or that for nominal loads", options=["robust", "deterministic"]),
        "seed": c.whole("of the samples"),
        "asked": c.whole("samples asked for"),
        "judged": c.whole("samples evaluated before Ctrl-C, if it came", "samples"),
        "served_kw": c.number("nominal load of the energised blocks, kW", "served, kW", 1),
        "energised_blocks": c.whole("their number"),
        **_share("linear", "linear, %", "generators can follow the loads in the linear model"),
        **_share(
            "ac",
            "exact AC, %",
            "exact AC power flow keeps all limits, all generators sharing what the linear model misses",
        ),
        **_share(
            "ac_alone",
            "AC, forming ones alone, %",
            "exact AC keeps all limits, the grid-forming generators making up for that alone",
        ),
        "unsolved": c.whole("samples whose AC power flow has no solution", "without solution"),
        "max_mismatch_pu": c.number(
            "largest mismatch of the AC flows by the equations of the network, pu", "mismatch, pu", 9
        ),
    },
    "failures": {
        "plan": c.text("as in the samples", options=["robust", "deterministic"]),
        "shared": c.flag("all generators share what the linear model misses", "all share"),
        "kind": c.text("the limit that breaks, such as voltage low, current, active power", "limit"),
        "element": c.text("bus, branch or generator", "where"),
        "phase": c.text("its phase"),
        "samples": c.whole("in how many samples", "samples"),
        "worst_excess": c.number("by how much at most, in the unit", "worst excess", 4),
        "unit": c.text("pu, A, kW or kvar"),
    },
    "limits": {
        "kind": c.text(
            "voltage, current, active or reactive power, or band of loads: where their model holds", "limit"
        ),
        "element": c.text("bus, branch or generator", "where"),
        "phase": c.text("its phase"),
        "side": c.text("the least, the most, or the most change", options=["least", "most", "ramp down", "ramp up"]),
        "limit": c.number("the limit, in the unit", "limit", 3),
        "bound": c.number("no load of the set has more, or less", "proved", 3),
        "margin": c.number("room between them; negative: not proved", "margin", 3),
        "unit": c.text("pu, A, kW or kvar"),
    },
    "set_points": {
        "generator": c.text("name of the generator"),
        "phase": c.text("its phase"),
        "forms_grid": c.flag("holds the voltage: what it delivers at nominal loads in exact AC"),
        "p_kw": c.number("active power at nominal loads, kW", "P, kW", 3),
        "q_kvar": c.number("reactive power at nominal loads, kvar", "Q, kvar", 3),
    },
    "policy": {
        "generator": c.text("generator that follows"),
        "phase": c.text("its phase"),
        "load": c.text("load that it follows"),
        "p_kw": c.number("what it adds when the load is at its upper end, and takes off at the lower, kW", "P, kW", 3),
        "q_kvar": c.number("reactive power likewise, kvar", "Q, kvar", 3),
    },
    "counterexample": {
        "load": c.text("uncertain load"),
        "deviation_percent": c.number("its deviation where no recourse keeps the limits, %", "deviation, %", 1),
    },
    "iterations": iteration_columns(
        "usd",
        "$",
        value="cost of the plan tried, $",
        violation="least violation of the plan tried, pu; 0 where the physics holds",
        heading="least violation",
    ),
}

PARTITION = Shape("partition", "partition", "Result of openpoint partition", _KEYS, _TABLES)

_STEP: c.Table = {"step": c.text("name of the step")}

_STEPS_KEYS: dict[str, Schema] = {
    **{name: _KEYS[name] for name in ("method", "termination", "remedy", "seconds")},
    "uncertainty": _KEYS["uncertainty"],
    "uncertain_loads": _KEYS["uncertain_loads"],
    "max_actions": maybe("integer", "most switches that change their state in a step; null: no limit"),
    "keep_energised": flag("a block that is energised stays so unless it has a fault"),
    "served_kwh": number("nominal energy of the energised blocks, kWh"),
    "total_kwh": number("nominal energy of all blocks, kWh"),
    "cost_usd": maybe("number", "de-energised blocks, set-points and following the loads at worst, $; null: no plan"),
    **{name: _KEYS[name] for name in ("lost_usd", "generation_usd", "worst_recourse_usd", "lower_bound_usd")},
    "gap": _KEYS["gap"],
    "worst_slack_kw": number(
        "least nodal slack (power that no source gives) in the worst realisation tried last, all steps, kW; 0 is none"
    ),
    "notes": _KEYS["notes"],
}

_STEPS_TABLES: dict[str, c.Table] = {
    "steps": {
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
    },
    "switches": {
        **_STEP,
        **_TABLES["switches"],
        "switching": c.text("what to do in the state of the step before", options=["", "close", "open"]),
        "held": c.text("state in which events hold it", options=["", "open", "closed"]),
    },
    "islands": {**_STEP, **_TABLES["islands"]},
    "blocks": {**_STEP, **_TABLES["blocks"], "fault": c.flag("a fault keeps it de-energised")},
    "generators": {
        **_STEP,
        **_TABLES["generators"],
        "ac_p_kw": c.maybe_number("in the AC power flow at nominal loads, kW"),
        "ac_q_kvar": c.maybe_number("in the AC power flow at nominal loads, kvar"),
    },
    "storage": {
        **_STEP,
        "generator": c.text("generator that has an energy"),
        "p_kw": c.number("set-point, kW; below 0 it charges", "P, kW", 1),
        "start_kwh": c.number("energy at the start of the step, kWh", "start, kWh", 1),
        "end_kwh": c.number("energy at its end, kWh", "end, kWh", 1),
        "reserve_more_kw": c.number("what it may deliver beyond p_kw when loads deviate, kW", "may add, kW", 1),
        "reserve_less_kw": c.number("what it may deliver less, kW", "may take back, kW", 1),
    },
    "priorities": {
        **_STEP,
        "priority": c.number("factor on the cost of a kW that is not served"),
        "load_kw": c.number("nominal load of this priority, kW"),
        "served_kw": c.number("of it in energised blocks, kW"),
    },
    "iterations": _TABLES["iterations"],
}

STEPS = Shape("partition-steps", "partition-steps", "Result of openpoint partition-steps", _STEPS_KEYS, _STEPS_TABLES)
