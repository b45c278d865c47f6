"""The shape of the JSON that `openpoint partition` writes."""

from __future__ import annotations

from openpoint.studies.schema_words import Schema, flag, listing, maybe, names, number, record, text, value, whole
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
