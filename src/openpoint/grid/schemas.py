"""The tables of a grid: one schema a kind of component.

The schemas are the only list of columns: reading, validation and the reference page are all derived from them. A
column with a `default` in its metadata may be left out of a file. Units stand in the column names. Powers are totals
over the phases of the row; impedances are those of the pi model.

Phases are a string: `"1"` is the single-phase equivalent of a balanced three-phase grid (powers are three-phase
totals, voltages line to line, impedances positive sequence), or a subset of `"abc"` in that order.

Matrices (`r_ohm`, `x_ohm`, `g_us`, `b_us` of lines) are lists with the lower triangle row by row: one number for one
phase, three for two phases, six for three.

Coordinates and routes are longitude and latitude in degrees (WGS 84), or those of a plane, such as metres.

A device is what a decision may set beside switches: a tap changer, a capacitor bank, the voltage of a source, a
generator. Limits of power of sources and generators, and their prices, are totals over the phases, too.
"""

from __future__ import annotations

from typing import Any, Protocol

import polars as pl

from openpoint.columns import Bool, Float64, Int64, Numbers, String, TableSchema
from openpoint.errors import Problem


def _meta(doc: str, unit: str = "", **default: Any) -> dict[str, Any]:
    return {"doc": doc, "unit": unit, **default}


def _name(doc: str = "name, unique in its table; branches over lines, switches and transformers") -> String:
    return String(metadata=_meta(doc))


def _text(doc: str, **default: Any) -> String:
    return String(metadata=_meta(doc, **default))


def _number(doc: str, unit: str, **default: Any) -> Float64:
    return Float64(metadata=_meta(doc, unit, **default))


def _optional(doc: str, unit: str) -> Float64:
    return Float64(nullable=True, metadata=_meta(doc, unit, default=None))


def _remote() -> Bool:
    return _flag("its switch is operated by remote control; else by a person on site", False)


def _locked_reason() -> String:
    return _text("why it must not be operated, for whatever decision; empty = it may be", default="")


def _integer(doc: str, default: int) -> Int64:
    return Int64(metadata=_meta(doc, default=default))


def _planned() -> Float64:
    return _number("largest loading that is planned for, the limit", "% of the rating", default=100.0)


def _emergency() -> Float64:
    return _optional(
        "largest loading after a fault; empty = 100, or what is planned for if that is more", "% of the rating"
    )


def _flag(doc: str, default: bool) -> Bool:
    return Bool(metadata=_meta(doc, default=default))


def _numbers(doc: str, unit: str, **default: Any) -> Numbers:
    return Numbers(metadata=_meta(doc, unit, **default))


def _route() -> Numbers:
    return _numbers(
        "points of its way between its two buses, for pictures: x and y in turn; empty = straight", "", default=[]
    )


def _phases() -> String:
    return _text('"1" (balanced equivalent) or a subset of "abc"', default="1")


def _connection() -> String:
    return _text("wye (to the grounded neutral) or delta (between phases)", default="wye")


def _loss_price() -> Float64:
    return _number("price of what its series resistance loses, beside the energy itself", "$/kWh", default=0.0)


class Buses(TableSchema):
    """Buses: the nodes of the grid."""

    name = _name()
    vn_kv = _number("nominal voltage, line to line", "kV")
    phases = _phases()
    v_min_pu = _optional("lower voltage limit; empty = none", "pu")
    v_max_pu = _optional("upper voltage limit; empty = none", "pu")
    x = _optional("horizontal coordinate for pictures", "")
    y = _optional("vertical coordinate for pictures", "")


class Lines(TableSchema):
    """Lines and cables: a pi section between two buses.

    An open line is disconnected at both ends, or at one end only (`open_end`): then it stays under voltage from its
    other end and keeps its charging there. This holds today and for every decision that opens it.
    """

    name = _name()
    from_bus = _text("bus at one end")
    to_bus = _text("bus at the other end")
    phases = _phases()
    r_ohm = _numbers("series resistance", "ohm")
    x_ohm = _numbers("series reactance", "ohm")
    g_us = _numbers("shunt conductance, both ends together", "µS", default=[])
    b_us = _numbers("charging susceptance, both ends together", "µS", default=[])
    i_max_a = _optional("rated current; empty = unknown, no limit", "A")
    max_loading_percent = _planned()
    emergency_loading_percent = _emergency()
    loss_price_usd_per_kwh = _loss_price()
    length_km = _optional("length, only for the voltage profile; the impedances are those of the whole line", "km")
    switchable = _flag("may be opened or closed by a decision", True)
    remote = _remote()
    locked_reason = _locked_reason()
    closed = _flag("closed today", True)
    open_end = _text(
        "where it is open when it is open: both ends, from or to; one end in balanced grids only", default="both"
    )
    switch_ends = _text(
        "ends at which a switch can part it from its bus after a fault: both, from, to or none; empty = where it is "
        "open when it is open, of one that is not switchable none",
        default="",
    )
    route = _route()


class Switches(TableSchema):
    """Switches without impedance (bus couplers, section switches)."""

    name = _name()
    from_bus = _text("bus at one end")
    to_bus = _text("bus at the other end")
    phases = _phases()
    i_max_a = _optional("rated current; empty = unknown, no limit", "A")
    max_loading_percent = _planned()
    emergency_loading_percent = _emergency()
    switchable = _flag("may be opened or closed by a decision", True)
    remote = _remote()
    locked_reason = _locked_reason()
    closed = _flag("closed today", True)
    route = _route()


class Transformers(TableSchema):
    """Two-winding transformers: an ideal ratio at the from side in series with a pi section on the to side.

    Rated voltages are line to line whatever the phases, so that a single-phase unit of 2.4 kV between phase and
    neutral has 2.4 √3 kV. Impedances are those of a phase, of a delta those of its wye equivalent. A delta-delta of two
    phases is one winding between these lines, with its own impedance; a branch beside it joins one of the two phases.
    Of the magnetising branch half is at either end of the impedance in a balanced grid, all at the to end in a grid
    with letters, as in OpenDSS.
    """

    name = _name()
    from_bus = _text("bus of the winding that carries the ratio")
    to_bus = _text("bus of the other winding")
    phases = _phases()
    connection = _text("windings from-to: wye-wye, delta-wye, wye-delta or delta-delta", default="wye-wye")
    vn_from_kv = _number("rated voltage of the from winding at the neutral tap", "kV")
    vn_to_kv = _number("rated voltage of the to winding at the neutral tap", "kV")
    s_max_kva = _optional("rating of both windings, at their rated voltages; empty = none", "kVA")
    i_max_from_a = _optional("rated current of the from winding; empty = that of s_max_kva", "A")
    i_max_to_a = _optional("rated current of the to winding; empty = that of s_max_kva", "A")
    max_loading_percent = _planned()
    emergency_loading_percent = _emergency()
    loss_price_usd_per_kwh = _loss_price()
    r_ohm = _number("series resistance, referred to the to side", "ohm")
    x_ohm = _number("series reactance, referred to the to side", "ohm")
    g_us = _number("magnetising conductance, referred to the to side", "µS", default=0.0)
    b_us = _number("magnetising susceptance, referred to the to side (negative: inductive)", "µS", default=0.0)
    tap_side = _text("winding with the tap changer: from or to", default="from")
    tap_pos = _integer("tap position today", 0)
    tap_neutral = _integer("tap position at rated voltage", 0)
    tap_min = _integer("lowest tap position", 0)
    tap_max = _integer("highest tap position", 0)
    tap_step_percent = _number("change of the tapped winding's voltage per step", "%", default=0.0)
    controllable = _flag("its tap may be set by a decision, to any position from tap_min to tap_max", True)
    hold_side = _text("end whose voltage the tap changer holds after a fault: from or to", default="to")
    v_hold_min_pu = _optional("below this voltage it steps up; empty = its tap stays", "pu")
    v_hold_max_pu = _optional("above this voltage it steps down; empty = its tap stays", "pu")
    shift_degree = _number("phase shift, from leads to; with letters ±30 between delta and wye", "degree", default=0.0)
    switchable = _flag("may be opened or closed by a decision; a transformer only where this is said", False)
    remote = _remote()
    locked_reason = _locked_reason()
    closed = _flag("closed today", True)
    route = _route()


class Sources(TableSchema):
    """Substations: buses fed by the upstream grid, which hold their voltage.

    With `v_min_pu`, `v_max_pu` and `v_step_pu` the voltage may be set by a decision, as by the tap changer of the
    substation's transformer: to v_min_pu, v_min_pu + v_step_pu, … up to v_max_pu, as far as its bus allows it. Limits
    hold for the power that the source delivers, the load at its own bus included; negative power flows back into the
    upstream grid.
    """

    name = _name()
    bus = _text("bus that the source holds")
    v_pu = _number("voltage held today", "pu", default=1.0)
    angle_degree = _number("voltage angle held", "degree", default=0.0)
    v_min_pu = _optional("lowest voltage that it can be set to; empty = fixed at v_pu", "pu")
    v_max_pu = _optional("highest voltage that it can be set to; empty = fixed at v_pu", "pu")
    v_step_pu = _optional("difference of neighbouring voltages that it can be set to; empty = fixed at v_pu", "pu")
    p_min_kw = _optional("least active power; empty = none", "kW")
    p_max_kw = _optional("most active power; empty = none", "kW")
    q_min_kvar = _optional("least reactive power; empty = none", "kvar")
    q_max_kvar = _optional("most reactive power; empty = none", "kvar")
    s_max_kva = _optional("most apparent power; empty = none", "kVA")
    price_usd_per_kwh = _optional("price of the energy that it delivers; empty = not known", "$/kWh")


class Loads(TableSchema):
    """Loads, positive consumption.

    `power`, `current` and `impedance` are constant; the power of a `cvr` load follows the voltage, its reactive power
    the square of it. In the AC power flow by OpenDSS a load goes over to an impedance where its voltage leaves
    `v_min_pu … v_max_pu`: below by degrees to that of its power at its rated voltage.
    """

    name = _name()
    bus = _text("bus")
    phases = _phases()
    connection = _connection()
    model = _text("how it follows the voltage: power, current, impedance or cvr", default="power")
    p_kw = _number("active power at nominal voltage", "kW")
    q_kvar = _number("reactive power at nominal voltage; negative = capacitive", "kvar", default=0.0)
    v_min_pu = _optional("voltage below which the load is an impedance; empty = none", "pu")
    v_max_pu = _optional("voltage above which the load is an impedance; empty = none", "pu")
    v_rated_pu = _number(
        "rated voltage, per unit of the nominal one of the bus; matters below v_min_pu only", "pu", default=1.0
    )


class Generators(TableSchema):
    """Generators, positive injection. With limits the output is dispatchable, without it is fixed.

    What a dispatchable one costs while it is on is cost_on_usd_per_h + cost_usd_per_kwh p + cost_usd_per_kw2h p² in
    $/h, p in kW. With `may_stop` it may be off, too: then it feeds nothing in, its limits do not hold, and it costs
    nothing.

    With `v_pu`, in balanced grids, a generator holds the voltage of its bus with its reactive power, as far as this
    stays within its limits, which an empty cell then leaves open: `powerflow` does so, and the other studies want it
    read with another output (`--pv pq`, `--pv free`).
    """

    name = _name()
    bus = _text("bus")
    phases = _phases()
    connection = _connection()
    p_kw = _number("active power today", "kW")
    q_kvar = _number("reactive power today", "kvar", default=0.0)
    p_min_kw = _optional("least active power; empty = fixed at p_kw", "kW")
    p_max_kw = _optional("most active power; empty = fixed at p_kw", "kW")
    q_min_kvar = _optional("least reactive power; empty = fixed at q_kvar", "kvar")
    q_max_kvar = _optional("most reactive power; empty = fixed at q_kvar", "kvar")
    v_pu = _optional("voltage that it holds with its reactive power; empty = none", "pu")
    s_max_kva = _optional("most apparent power, as of an inverter: p² + q² <= s²; empty = none", "kVA")
    may_stop = _flag("may be off; p_min_kw is then its least active power while it is on", False)
    cost_usd_per_kwh = _number("cost of its energy, linear in its active power", "$/kWh", default=0.0)
    cost_usd_per_kw2h = _number("cost per hour, by the square of its active power", "$/(kW²·h)", default=0.0)
    cost_on_usd_per_h = _number("cost of an hour in which it is on, whatever its output", "$/h", default=0.0)


class Capacitors(TableSchema):
    """Shunt capacitors, and with negative kvar reactors: constant impedance, in steps of equal size or as `levels_kvar`
    says.
    """

    name = _name()
    bus = _text("bus")
    phases = _phases()
    connection = _connection()
    q_kvar = _number(
        "reactive power of all steps together at nominal voltage; negative: a reactor, in balanced grids only", "kvar"
    )
    steps = _integer("number of steps", 1)
    steps_on = _integer("steps switched on today", 1)
    levels_kvar = _numbers(
        "reactive power with one step on, with two and so on, up to q_kvar; empty = steps of equal size",
        "kvar",
        default=[],
    )
    controllable = _flag("its steps may be switched by a decision", True)


SCHEMAS: dict[str, type[TableSchema]] = {
    "buses": Buses,
    "lines": Lines,
    "switches": Switches,
    "transformers": Transformers,
    "sources": Sources,
    "loads": Loads,
    "generators": Generators,
    "capacitors": Capacitors,
}
BRANCH_TABLES = ("lines", "switches", "transformers")


def may_operate() -> pl.Expr:
    """Whether a decision may open or close a branch: it is switchable and not locked; as the column `switchable`."""
    return (pl.col("switchable") & (pl.col("locked_reason") == "")).alias("switchable")


class Tables(Protocol):
    """The tables of a grid, as the rules of `openpoint.grid.rules` read them; a `Grid` has them all."""

    @property
    def buses(self) -> pl.DataFrame: ...
    @property
    def lines(self) -> pl.DataFrame: ...
    @property
    def switches(self) -> pl.DataFrame: ...
    @property
    def transformers(self) -> pl.DataFrame: ...
    @property
    def sources(self) -> pl.DataFrame: ...
    @property
    def loads(self) -> pl.DataFrame: ...
    @property
    def generators(self) -> pl.DataFrame: ...
    @property
    def capacitors(self) -> pl.DataFrame: ...
    @property
    def notes(self) -> tuple[Problem, ...]:
        """Doubts met while reading."""
        ...

    def tables(self) -> dict[str, pl.DataFrame]:
        """The tables by kind, in the order of `SCHEMAS`."""
        ...

    def branches(self) -> pl.DataFrame:
        """Lines, switches and transformers in one table, in this order."""
        ...
