"""The shape of the JSON that `openpoint partition` writes."""

from __future__ import annotations

from openpoint.results.schema import Schema, flag, listing, maybe, names, number, record, text, value, whole
from openpoint.twostage.log import Termination

_HEAD: dict[str, Schema] = {"version": text("version of openpoint"), "grid": text("name of the grid")}

_SUMMARY: dict[str, Schema] = {
    "method": text("name and options of the method"),
    "termination": value("string", "why the run ended", enum=[t.value for t in Termination]),
    "remedy": text("what to do about it"),
    "seconds": number("of the method alone, without imports and reading"),
    "uncertainty": number("largest deviation of an uncertain load, a share of its power"),
    "uncertain_loads": names("the uncertain loads"),
    "served_kw": number("nominal load of the energised blocks, kW"),
    "total_kw": number("nominal load of all blocks, kW"),
    "cost": maybe("number", "dead blocks, set-points and following the loads at worst, $ for an hour; null: no plan"),
    "lost_cost": maybe("number", "of the dead blocks, $"),
    "generation_cost": maybe("number", "of the set-points, $"),
    "worst_recourse_cost": maybe("number", "proven bound of what following the loads adds, $; below 0 where it saves"),
    "lower_bound": maybe("number", "proven bound of cost, $"),
    "gap": maybe("number", "(cost − bound) / cost; 0.0001 is 0.01 %"),
    "worst_slack_kw": number("least power from nowhere in the worst realisation tried last, kW; 0 is none"),
    "energised_blocks": names("blocks with supply; a block is called after its first bus"),
    "closed_switches": names("switchable branches that are closed"),
    "open_switches": names("switchable branches that are open"),
    "grid_forming": names("generators that form the grid of an island"),
    "notes": names("warnings that belong to the answer"),
}

PARTITION: dict[str, Schema] = {"study": {"const": "partition", "description": "what was asked"}, **_HEAD, **_SUMMARY}

_ISLAND = whole("number of the island, 0 = without supply")


def _share(name: str, doc: str) -> dict[str, Schema]:
    return {
        f"{name}_share": number(f"share of the samples in which {doc}"),
        f"{name}_low": number("lower end of its 95 % confidence interval (Clopper-Pearson)"),
        f"{name}_high": number("upper end"),
    }


PARTITION_TABLES: dict[str, dict[str, Schema]] = {
    "islands": {
        "island": whole("number of the island, from 1"),
        "blocks": names("its blocks"),
        "grid_forming": names("generators that form its grid"),
        "load_kw": number("its nominal load, kW"),
        "capacity_kw": number("most power of its generators, kW"),
        "generation_kw": number("their set-points, kW"),
    },
    "blocks": {
        "name": text("name of the block, that of its first bus"),
        "energised": flag("has supply"),
        "island": _ISLAND,
        "load_kw": number("its nominal load, kW"),
        "loads": whole("number of its loads"),
        "buses": text("names of its buses"),
    },
    "generators": {
        "name": text("name of the generator"),
        "bus": text("its bus"),
        "block": text("its block"),
        "island": _ISLAND,
        "forms_grid": flag("holds the voltage of its island"),
        "p_kw": number("set-point, kW"),
        "q_kvar": number("set-point, kvar"),
        "p_max_kw": number("most active power, kW"),
    },
    "switches": {
        "name": text("name of the switchable branch"),
        "kind": value("string", "table of the branch", enum=["lines", "switches", "transformers"]),
        "from_block": text("block at one end"),
        "to_block": text("block at the other end"),
        "closed": flag("closed in the answer"),
        "switching": value("string", "what to do in today's state", enum=["", "close", "open"]),
    },
    "samples": {
        "plan": value("string", "the plan asked about, or that for nominal loads", enum=["robust", "deterministic"]),
        "seed": whole("of the samples"),
        "asked": whole("samples asked for"),
        "judged": whole("samples judged before Ctrl-C, if it came"),
        "served_kw": number("nominal load of the energised blocks, kW"),
        "energised_blocks": whole("their number"),
        **_share("linear", "generators can follow the loads in the linear model"),
        **_share("ac", "exact AC power flow keeps all limits, all generators sharing what the linear model misses"),
        **_share("ac_alone", "exact AC keeps all limits, the grid-forming generators making up for that alone"),
        "unsolved": whole("samples whose AC power flow has no solution"),
        "max_mismatch_pu": number("largest mismatch of the AC flows by the equations of the network, pu"),
    },
    "failures": {
        "plan": value("string", "as in the samples", enum=["robust", "deterministic"]),
        "shared": flag("all generators share what the linear model misses"),
        "kind": text("the limit that breaks, such as voltage low, current, active power"),
        "element": text("bus, branch or generator"),
        "phase": text("its phase"),
        "samples": whole("in how many samples"),
        "worst_excess": number("by how much at most, in the unit"),
        "unit": text("pu, A, kW or kvar"),
    },
    "iterations": {
        "number": whole("1, 2, …"),
        "seconds": number("since the start of the method"),
        "lower_bound_usd": maybe("number", "best proven so far, $"),
        "upper_bound_usd": maybe("number", "best verified so far, $"),
        "gap": maybe("number", "(upper − lower) / upper"),
        "value_usd": maybe("number", "cost of the plan tried, $"),
        "verdict": text("what was learnt"),
        "violation": maybe("number", "least violation of the plan tried, pu; 0 where the physics holds"),
        "mark": text("a warning where the numbers were bad, else empty"),
    },
}

_STEP = {"step": text("name of the step")}

STEPS: dict[str, Schema] = {
    "study": {"const": "partition-steps", "description": "what was asked"},
    **_HEAD,
    **{name: _SUMMARY[name] for name in ("method", "termination", "remedy", "seconds")},
    "uncertainty": _SUMMARY["uncertainty"],
    "uncertain_loads": _SUMMARY["uncertain_loads"],
    "max_actions": maybe("integer", "most switches that change their state in a step; null: no limit"),
    "keep_energised": flag("a block that is energised stays so unless it has a fault"),
    "served_kwh": number("nominal energy of the energised blocks, kWh"),
    "total_kwh": number("nominal energy of all blocks, kWh"),
    "cost": maybe("number", "dead blocks, set-points and following the loads at worst, $; null: no plan"),
    **{name: _SUMMARY[name] for name in ("lost_cost", "generation_cost", "worst_recourse_cost", "lower_bound", "gap")},
    "worst_slack_kw": number("least power from nowhere in the worst realisation tried last, all steps, kW; 0 is none"),
    "notes": _SUMMARY["notes"],
}

STEPS_TABLES: dict[str, dict[str, Schema]] = {
    "steps": {
        **_STEP,
        "hours": number("how long it is, h"),
        "load_kw": number("nominal load of all blocks, kW"),
        "served_kw": number("nominal load of the energised blocks, kW"),
        "energised_blocks": whole("blocks with supply"),
        "actions": whole("switches that change their state, but for those that events hold"),
        "lost_usd": maybe("number", "of the dead blocks, $"),
        "generation_usd": maybe("number", "of the set-points, $"),
        "loss_kw": maybe("number", "AC losses at nominal loads, kW; null: nothing energised, or no power flow found"),
        "v_min_pu": maybe("number", "lowest AC voltage to neutral, pu"),
        "v_max_pu": maybe("number", "highest AC voltage to neutral, pu"),
        "v_excess_pu": maybe("number", "the most by which an AC voltage misses its limits, pu; 0 keeps all"),
    },
    "switches": {
        **_STEP,
        **PARTITION_TABLES["switches"],
        "switching": value("string", "what to do in the state of the step before", enum=["", "close", "open"]),
        "held": value("string", "state in which events hold it", enum=["", "open", "closed"]),
    },
    "islands": {**_STEP, **PARTITION_TABLES["islands"]},
    "blocks": {**_STEP, **PARTITION_TABLES["blocks"], "fault": flag("a fault keeps it dead")},
    "generators": {
        **_STEP,
        **PARTITION_TABLES["generators"],
        "ac_p_kw": maybe("number", "in the AC power flow at nominal loads, kW"),
        "ac_q_kvar": maybe("number", "in the AC power flow at nominal loads, kvar"),
    },
    "storage": {
        **_STEP,
        "generator": text("generator that has an energy"),
        "p_kw": number("set-point, kW; below 0 it charges"),
        "start_kwh": number("energy at the start of the step, kWh"),
        "end_kwh": number("energy at its end, kWh"),
        "reserve_more_kw": number("what it may deliver beyond p_kw when loads deviate, kW"),
        "reserve_less_kw": number("what it may deliver less, kW"),
    },
    "priorities": {
        **_STEP,
        "priority": number("factor on the cost of a kW that is not served"),
        "load_kw": number("nominal load of this priority, kW"),
        "served_kw": number("of it in energised blocks, kW"),
    },
    "iterations": PARTITION_TABLES["iterations"],
}

_TABLES = {
    name: listing(record(columns), f"one object a row of the table of {name}")
    for name, columns in PARTITION_TABLES.items()
}

LEVELS: dict[str, Schema] = {
    "study": {"const": "partition-levels", "description": "what was asked"},
    **_HEAD,
    "level_count": whole("levels of uncertainty that were computed"),
    "levels": listing(
        record({"level": number("uncertainty asked about, a share of the load"), **_SUMMARY, **_TABLES}),
        "a result a level, those of lower levels first, in the shape of the result at one level",
    ),
}
