"""The columns of the tables of a partition."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import KIND, iteration_columns

_ISLAND = c.whole("number of the island, 0 = without supply", "island")


def _share(name: str, heading: str, doc: str) -> c.Table:
    return {
        f"{name}_share": c.number(f"share of the samples in which {doc}", heading, 2),
        f"{name}_low": c.number("lower end of its 95 % confidence interval (Clopper-Pearson)", "at least, %", 2),
        f"{name}_high": c.number("upper end", "at most, %", 2),
    }


ISLANDS: c.Table = {
    "island": c.whole("number of the island, from 1", "island"),
    "blocks": c.names("its blocks", "blocks (first bus)"),
    "grid_forming": c.names("generators that form its grid", "grid formed by"),
    "load_kw": c.number("its nominal load, kW", "load, kW", 1),
    "capacity_kw": c.number("most power of its generators, kW", "capacity, kW", 1),
    "generation_kw": c.number("their set-points, kW", "set-points, kW", 1),
}
BLOCKS: c.Table = {
    "name": c.text("name of the block, that of its first bus", "block (first bus)"),
    "energised": c.flag("has supply"),
    "island": _ISLAND,
    "load_kw": c.number("its nominal load, kW", "load, kW", 1),
    "loads": c.whole("number of its loads", "loads"),
    "buses": c.text("names of its buses"),
}
GENERATORS: c.Table = {
    "name": c.text("name of the generator", "generator"),
    "bus": c.text("its bus"),
    "block": c.text("its block"),
    "island": _ISLAND,
    "forms_grid": c.flag("holds the voltage of its island"),
    "p_kw": c.number("set-point, kW", "P, kW", 1),
    "q_kvar": c.number("set-point, kvar", "Q, kvar", 1),
    "p_max_kw": c.number("most active power, kW", "most, kW", 1),
}
SWITCHES: c.Table = {
    "name": c.text("name of the switchable branch", "switch"),
    "kind": KIND,
    "from_block": c.text("block at one end"),
    "to_block": c.text("block at the other end"),
    "closed": c.flag("closed in the answer"),
    "switching": c.text("what to do in today's state", options=["", "close", "open"]),
}
SAMPLES: c.Table = {
    "plan": c.text("the plan asked about, or that for nominal loads", options=["planned", "nominal"]),
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
}
FAILURES: c.Table = {
    "plan": c.text("as in the samples", options=["planned", "nominal"]),
    "shared": c.flag("all generators share what the linear model misses", "all share"),
    "kind": c.text("the limit that breaks, such as voltage low, current, active power", "limit"),
    "element": c.text("bus, branch or generator", "where"),
    "phase": c.text("its phase"),
    "samples": c.whole("in how many samples", "samples"),
    "worst_excess": c.number("by how much at most, in the unit", "worst excess", 4),
    "unit": c.text("pu, A, kW or kvar"),
}
LIMITS: c.Table = {
    "kind": c.text("voltage, current, active or reactive power, or band of loads: where their model holds", "limit"),
    "element": c.text("bus, branch or generator", "where"),
    "phase": c.text("its phase"),
    "side": c.text("the least, the most, or the most change", options=["least", "most", "ramp down", "ramp up"]),
    "limit": c.number("the limit, in the unit", "limit", 3),
    "bound": c.number("no load of the set has more, or less", "proved", 3),
    "margin": c.number("room between them; negative: not proved", "margin", 3),
    "unit": c.text("pu, A, kW or kvar"),
}
SET_POINTS: c.Table = {
    "generator": c.text("name of the generator"),
    "phase": c.text("its phase"),
    "forms_grid": c.flag("holds the voltage: what it delivers at nominal loads in exact AC"),
    "p_kw": c.number("active power at nominal loads, kW", "P, kW", 3),
    "q_kvar": c.number("reactive power at nominal loads, kvar", "Q, kvar", 3),
}
POLICY: c.Table = {
    "generator": c.text("generator that follows"),
    "phase": c.text("its phase"),
    "load": c.text("load that it follows"),
    "p_kw": c.number("what it adds when the load is at its upper end, and takes off at the lower, kW", "P, kW", 3),
    "q_kvar": c.number("reactive power likewise, kvar", "Q, kvar", 3),
}
COUNTEREXAMPLE: c.Table = {
    "load": c.text("uncertain load"),
    "deviation_percent": c.number("its deviation where no recourse keeps the limits, %", "deviation, %", 1),
}
ITERATIONS = iteration_columns(
    "usd",
    "$",
    value="cost of the plan tried, $",
    violation="least violation of the plan tried, pu; 0 where the physics holds",
    heading="least violation",
)
