"""The columns of the tables of a dispatch."""

from __future__ import annotations

from openpoint.network.criteria import CRITERIA
from openpoint.results import columns as c
from openpoint.results.common import both
from openpoint.results.iterations import iteration_columns
from openpoint.results.violation import POWERS, violation_columns

DEVICE_KINDS = ("capacitor bank", "source voltage", "tap changer", "generator")
QUANTITIES = ("steps on", "voltage", "tap position", "on")

VIOLATIONS = violation_columns({**POWERS, "apparent power": "kVA"}, "bus, branch, source or generator")
CRITERIA_TABLE: c.Table = {
    "name": c.text("name of the criterion", "criterion", options=list(CRITERIA)),
    "unit": c.text("of its figures; empty for a plain number", "unit"),
    "weight": c.maybe_number("what a unit of it counts in what is minimised; null: not sought", "weight", 4),
    "at_most": c.maybe_number("the most that it may be; null: not bounded", "at most", 4),
    "today": c.maybe_number("today; null where today's state has no power flow or no price", "today", 4),
    "answer": c.maybe_number("in the answer; null where there is none", "answer", 4),
    "definition": c.text("what it is"),
}
DEVICES: c.Table = {
    "kind": c.text("what it is", "device", options=DEVICE_KINDS),
    "name": c.text("name of its row in the grid", "name"),
    "place": c.text("its bus, or the buses of a transformer", "at"),
    "quantity": c.text("what is set", "quantity", options=QUANTITIES),
    "unit": c.text("of the figures; empty for a plain number", "unit"),
    "least": c.number("least that it may be", "least", 4),
    "most": c.number("most that it may be", "most", 4),
    "today": c.number("today", "today", 4),
    "answer": c.maybe_number("in the answer; null where there is none", "answer", 4),
}
ACTIONS: c.Table = {
    "number": c.whole("1, 2, …", "step"),
    "action": c.text("what to do", "action", options=["close", "open", "set", "start", "stop"]),
    "kind": c.text("what is operated", "what", options=["lines", "switches", "transformers", *DEVICE_KINDS]),
    "name": c.text("its name", "name"),
    "place": c.text("its bus, or the buses at its ends", "at"),
    "quantity": c.text("what is changed", "quantity", options=["state", *QUANTITIES, "active power", "reactive power"]),
    "today": c.text("today, in the unit", "today"),
    "answer": c.text("in the answer, in the unit", "answer"),
    "unit": c.text("of both; empty for states and positions", "unit"),
    "then": c.text(
        "what the grid is after a switching: radial, or with a loop, or with buses without supply",
        "then",
        options=["", "radial", "loop", "de-energised buses"],
    ),
}
_LIMITS: c.Table = {
    "p_min_kw": c.maybe_number("least active power, kW"),
    "p_max_kw": c.maybe_number("most active power, kW", "P at most, kW", 1),
    "q_min_kvar": c.maybe_number("least reactive power, kvar"),
    "q_max_kvar": c.maybe_number("most reactive power, kvar", "Q at most, kvar", 1),
    "s_max_kva": c.maybe_number("most apparent power, kVA", "S at most, kVA", 1),
}
SOURCES: c.Table = {
    "name": c.text("name of the source", "source"),
    "bus": c.text("its bus"),
    **both("v", "pu", "voltage held, pu", "{}, pu", 4),
    **both("p", "kw", "active power delivered, kW", "P {}, kW", 2),
    **both("q", "kvar", "reactive power delivered, kvar", "Q {}, kvar", 2),
    **_LIMITS,
    "price_usd_per_kwh": c.maybe_number("price of its energy, $/kWh", "$/kWh", 4),
    "cost_after_usd_per_h": c.maybe_number("cost of its energy in the answer, $/h", "$/h", 2),
}
GENERATORS: c.Table = {
    "name": c.text("name of the generator", "generator"),
    "bus": c.text("its bus"),
    "on_before": c.maybe_flag("whether it runs today", "today"),
    "on_after": c.maybe_flag("whether it runs in the answer", "answer"),
    **both("p", "kw", "active power, kW", "P {}, kW", 2),
    **both("q", "kvar", "reactive power, kvar", "Q {}, kvar", 2),
    **_LIMITS,
    "cost_usd_per_kwh": c.number("linear cost of its energy, $/kWh", "$/kWh", 4),
    "cost_after_usd_per_h": c.maybe_number("what it costs in the answer, $/h", "$/h", 2),
}
ITERATIONS = iteration_columns(
    "",
    "",
    value="exact objective of the state tried; null where it breaks limits",
    violation="least violation of the state tried; 0 where limits hold",
    heading="violation",
)
