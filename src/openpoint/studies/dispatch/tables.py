"""Tables of an answer: criteria, devices, sources, generators and actions, under the grid's own names and units."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.graph import energised, exchange_order, is_radial
from openpoint.grid.grid import Grid
from openpoint.network.criteria import CRITERIA
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.limits import power_slack
from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.results.common import both, iteration_columns
from openpoint.results.violation import POWERS, Violation, violation_columns
from openpoint.search.enumeration import OperatingState
from openpoint.studies.dispatch.question import Question

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


KINDS = {
    DeviceKind.BANK: ("capacitor bank", "steps on"),
    DeviceKind.VOLTAGE: ("source voltage", "voltage"),
    DeviceKind.TAP: ("tap changer", "tap position"),
    DeviceKind.UNIT: ("generator", "on"),
}
"""What a device is called, and what is set of it."""


def criteria_table(
    weights: Mapping[str, float],
    most: Mapping[str, float],
    there: Collection[str],
    today: Mapping[str, float],
    answer: Mapping[str, float],
) -> pl.DataFrame:
    """A row for every criterion that is there: weight, bound, figures today and in the answer."""
    rows = [
        (
            name,
            CRITERIA[name].unit,
            weights.get(name),
            most.get(name),
            finite(today.get(name, math.nan)),
            finite(answer.get(name, math.nan)),
            CRITERIA[name].text,
        )
        for name in CRITERIA
        if name in there
    ]
    return c.frame(CRITERIA_TABLE, rows)


def devices_table(question: Question, answer: OperatingState | None) -> pl.DataFrame:
    """A row for every device that was free."""
    devices, rows = question.devices, []
    for d, name in enumerate(devices.names):
        kind, quantity = KINDS[DeviceKind(devices.kind[d])]
        shown = shown_positions(devices, d)
        now = None if answer is None else float(shown[answer.positions[d]])
        unit, today = "pu" if quantity == "voltage" else "", float(shown[devices.today[d]])
        rows.append((kind, name, _place(question, d), quantity, unit, shown.min(), shown.max(), today, now))
    return c.frame(DEVICES, rows)


def shown_positions(devices: Devices, d: int) -> Floats:
    """The positions of a device as the grid counts them: voltages in pu, else whole numbers."""
    if devices.kind[d] == DeviceKind.VOLTAGE:
        return devices.values[d]
    return np.asarray(devices.first[d] + np.arange(len(devices.values[d])), dtype=np.float64)


def _place(question: Question, d: int) -> str:
    net, place = question.network, int(question.devices.place[d])
    kind = DeviceKind(question.devices.kind[d])
    if kind == DeviceKind.TAP:
        ends = [net.terminal_fr[place], net.terminal_to[place]]
    elif kind == DeviceKind.BANK:
        ends = [place]
    else:
        ends = [(net.source_terminal if kind == DeviceKind.VOLTAGE else net.generator_terminal)[place]]
    return " – ".join(net.bus_names[net.terminal_bus[end]] for end in ends)


def sources_table(grid: Grid, v: tuple[Floats, Floats], s_kva: tuple[Complexes, Complexes]) -> pl.DataFrame:
    """A row for every source.

    Args:
        v: voltages held, pu, today and in the answer. s_kva: power delivered; nan where there is no state.
    """
    price = grid.sources["price_usd_per_kwh"]
    table = grid.sources.with_columns(
        *_both("v", "pu", v),
        *_both("p", "kw", tuple(s.real for s in s_kva)),
        *_both("q", "kvar", tuple(s.imag for s in s_kva)),
        (price * pl.Series(s_kva[1].real)).alias("cost_after_usd_per_h"),
    )
    return table.select(list(SOURCES)).with_columns(pl.selectors.float().fill_nan(None))


Outputs = tuple[Mapping[str, complex], Mapping[str, bool]]
"""Output in kW + j kvar and whether it is on, of generators by name; the others are as today."""


def outputs(question: Question, answer: OperatingState | None) -> Outputs | None:
    """Those of an answer."""
    if answer is None:
        return None
    names, on = question.network.generator_names, question.evaluator.on(answer.positions[None, :])[0]
    s = answer.generation * question.network.s_base_kva
    return dict(zip(names, map(complex, s), strict=True)), dict(zip(names, map(bool, on), strict=True))


def generators_table(grid: Grid, answer: Outputs | None) -> pl.DataFrame:
    """A row for every generator, dispatchable or not."""
    output, on = answer or ({}, {})
    rows = []
    for row in grid.generators.iter_rows(named=True):
        before = complex(row["p_kw"], row["q_kvar"])
        after = None if answer is None else output.get(row["name"], before)
        runs = None if after is None else on.get(row["name"], True) and not (row["may_stop"] and after == 0)
        cost = None if after is None else _hourly_cost(row, after.real) if runs else 0.0
        figures = {
            "on_before": before != 0 or not row["may_stop"],
            "on_after": runs,
            "p_before_kw": before.real,
            "q_before_kvar": before.imag,
            "p_after_kw": None if after is None else after.real,
            "q_after_kvar": None if after is None else after.imag,
            "cost_after_usd_per_h": cost,
        }
        rows.append([{**row, **figures}[name] for name in GENERATORS])
    return c.frame(GENERATORS, rows)


def _hourly_cost(row: dict[str, float], p_kw: float) -> float:
    return row["cost_on_usd_per_h"] + row["cost_usd_per_kwh"] * p_kw + row["cost_usd_per_kw2h"] * p_kw**2


def _both(name: str, unit: str, values: tuple[Floats, ...]) -> Iterator[pl.Series]:
    for when, each in zip(("before", "after"), values, strict=True):
        yield pl.Series(f"{name}_{when}_{unit}", each, dtype=pl.Float64)


def supply_violations(question: Question, source_s: Complexes, names: tuple[str, ...]) -> Iterator[Violation]:
    """Limits of sources that a state breaks, in the units of the grid; outputs of generators keep theirs.

    Args:
        source_s: (S) power that the sources deliver, per unit. names: of the sources.
    """
    supply, s = question.supply, question.network.s_base_kva
    p, q = source_s.real, source_s.imag
    limits: tuple[tuple[str, Floats, Floats, int], ...] = (
        ("active power", p, supply.p_max, 1),
        ("active power", p, supply.p_min, -1),
        ("reactive power", q, supply.q_max, 1),
        ("reactive power", q, supply.q_min, -1),
        ("apparent power", np.abs(source_s), supply.s_max, 1),
    )
    for kind, value, limit, sign in limits:
        slack = power_slack(limit)
        for k in np.flatnonzero(sign * (value - limit) > slack):
            yield Violation(kind, names[k], float(value[k]) * s, float(limit[k]) * s)


# Actions: what to do to get from today's state to the answer.


SAME_KVA = 0.01
"""Difference of outputs in kW or kvar up to which a generator keeps its output."""


def actions_table(
    grid: Grid,
    open_after: Collection[str],
    switching: pl.DataFrame,
    devices: pl.DataFrame,
    generators: pl.DataFrame,
) -> pl.DataFrame:
    """What to do: generators, banks, voltages and taps are set; then switches close and open in turns.

    Every closing is followed by the opening that makes the grid radial again (`openpoint.graph.exchange_order`).

    Args:
        grid: the grid today. open_after: branches that are open in the answer.
        switching: the switching list. devices, generators: of a result.
    """
    rows = [(*row, "") for row in (*_set_points(generators), *_positions(devices))]
    described = {row["name"]: row for row in switching.iter_rows(named=True)}
    for name, then in _in_order(grid, open_after) if described else ():
        row = described[name]
        state = ("open", "closed") if row["action"] == "close" else ("closed", "open")
        place = f"{row['from_bus']} – {row['to_bus']}" + (
            "" if row["open_end"] == "both" else f", {row['open_end']} end"
        )
        rows.append((row["action"], row["kind"], row["name"], place, "state", *state, "", then))
    numbered = [(number, *row) for number, row in enumerate(rows, start=1)]
    return c.frame(ACTIONS, numbered)


def _in_order(grid: Grid, open_after: Collection[str]) -> Iterator[tuple[str, str]]:
    """The branches to be switched in order, and what the grid is after each: an option of `then` in `ACTIONS`."""
    branches = grid.branches()
    number = {bus: k for k, bus in enumerate(grid.buses["name"])}
    fr, to = (np.array([number[bus] for bus in branches[end]], dtype=np.int64) for end in ("from_bus", "to_bus"))
    sources = np.unique([number[bus] for bus in grid.sources["bus"]])
    names, closed = branches["name"].to_list(), branches["closed"].to_numpy().copy()
    after = np.array([name not in open_after for name in names], dtype=np.bool_)

    def in_words(closed: Bools) -> str:
        if not energised(len(number), fr, to, closed, sources).all():
            return "de-energised buses"
        return "radial" if is_radial(len(number), fr, to, closed, sources) else "loop"

    for e in exchange_order(len(number), fr, to, closed, after, sources):
        closed[e] = not closed[e]
        yield names[e], in_words(closed)


def _positions(devices: pl.DataFrame) -> Iterator[tuple[str, ...]]:
    for row in devices.iter_rows(named=True):
        if row["answer"] is None or row["answer"] == row["today"] or row["kind"] == "generator":
            continue
        digits = 4 if row["unit"] else 0
        values = [f"{row[when]:.{digits}f}" for when in ("today", "answer")]
        yield "set", row["kind"], row["name"], row["place"], row["quantity"], *values, row["unit"]


def _set_points(generators: pl.DataFrame) -> Iterator[tuple[str, ...]]:
    for row in generators.iter_rows(named=True):
        if row["on_after"] is None:
            continue
        who = "generator", row["name"], row["bus"]
        if row["on_before"] != row["on_after"]:
            words = ["on" if row[when] else "off" for when in ("on_before", "on_after")]
            yield "start" if row["on_after"] else "stop", *who, "on", *words, ""
        if not row["on_after"]:
            continue
        for name, quantity, unit in (("p", "active power", "kW"), ("q", "reactive power", "kvar")):
            ending = "kw" if name == "p" else "kvar"
            before, after = row[f"{name}_before_{ending}"], row[f"{name}_after_{ending}"]
            if abs(after - before) > SAME_KVA:
                yield "set", *who, quantity, f"{before:.2f}", f"{after:.2f}", unit
