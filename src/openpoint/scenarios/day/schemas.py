"""The tables of a day: one schema a table, the only list of columns, with the range of every number.

In the metadata of a column, `least` and `most` are the least and greatest value, `above` a bound that it must exceed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from openpoint.columns import Bool, Float64, Int64, String, TableSchema
from openpoint.errors import Problem, did_you_mean
from openpoint.grid.schemas import Generators


def _text(doc: str, **default: Any) -> Any:
    return String(metadata={"doc": doc, **default})


def _name(doc: str = "name, unique among generators, renewables, storages and vehicles") -> Any:
    return _text(doc)


def _reference(doc: str) -> Any:
    return String(nullable=True, metadata={"doc": doc, "default": None})


def _number(doc: str, unit: str = "", **more: Any) -> Any:
    return Float64(metadata={"doc": doc, "unit": unit, **more})


def _optional(doc: str, unit: str = "", **more: Any) -> Any:
    return Float64(nullable=True, metadata={"doc": doc, "unit": unit, "default": None, **more})


def _share(doc: str) -> Any:
    return _number(doc, least=0.0, most=1.0, default=0.0)


def _price(doc: str) -> Any:
    return _number(doc, "$/kWh", least=0.0, default=0.0)


def _efficiency(doc: str) -> Any:
    return _number(doc, above=0.0, most=1.0, default=1.0)


class Periods(TableSchema):
    """Periods: spans of time, one after the other in the order of the rows.

    With `starts_at` in every row, gaps and overlaps are found. Where clocks change, times need their offset from UTC
    (`2026-03-29T03:00+02:00`): such a day has 23 or 25 hours.
    """

    period = _text("name of the period, unique")
    hours = _number("how long it is", "h", above=0.0, default=1.0)
    starts_at = _reference("when it starts: 2026-03-29T01:00+01:00, 2026-03-29 01:00 or 01:00; empty = not given")
    price_usd_per_kwh = _optional(
        "price of the energy of the sources; empty = that of each source in the grid", "$/kWh"
    )
    export_price_usd_per_kwh = _optional(
        "what energy earns that flows back, at most the price; empty = 0, or the price where it is below 0", "$/kWh"
    )
    reactive_price_usd_per_kvarh = _number(
        "price of the reactive energy that sources deliver; what flows back earns nothing",
        "$/kvarh",
        least=0.0,
        default=0.0,
    )
    load_share = _number("what loads without a profile are, a share of the grid's", least=0.0, default=1.0)


class Profiles(TableSchema):
    """Profiles: a row a period, a column a profile, whose name is that of the column and whose numbers are shares.

    1 is the load, the rated power or the upper limit in the other tables.
    """

    period = _text("period; every one has its row")


class LoadProfiles(TableSchema):
    """Load profiles: which load follows which profile. A row without a load is for all loads that have none."""

    load = _reference("load of the grid; empty = all others")
    profile = _text("column of the table `profiles`")
    q_profile = _reference("column of the table `profiles` for reactive power, also below 0; empty = as active power")


class Renewables(TableSchema):
    """Renewables: sources whose active power is at most what is available; the rest is curtailed."""

    name = _name()
    bus = _text("bus")
    kind = _text("solar or wind")
    p_kw = _number("rated active power, available where the profile is 1", "kW", least=0.0)
    s_max_kva = _optional(
        "apparent power of the inverter, p² + q² <= s²; empty = no reactive power and at most p_kw", "kVA", above=0.0
    )
    profile = _text("column of the table `profiles`, shares from 0 to 1")
    curtailment_price_usd_per_kwh = _price("price of the energy that is curtailed")


class Storages(TableSchema):
    """Storages: batteries. Power is counted on the side of the grid, energy inside.

    In a period of h hours the content changes by h (charge_efficiency · charge − discharge / discharge_efficiency).
    """

    name = _name()
    bus = _text("bus")
    energy_kwh = _number("the most it holds", "kWh", above=0.0)
    least_kwh = _number("the least it may hold", "kWh", least=0.0, default=0.0)
    start_kwh = _number("what it holds at the start of the day", "kWh", least=0.0)
    end_kwh = _optional("the least at the end of the day; empty = start_kwh", "kWh", least=0.0)
    charge_kw = _number("most power of charging", "kW", least=0.0)
    discharge_kw = _optional("most power of discharging; empty = charge_kw", "kW", least=0.0)
    charge_efficiency = _efficiency("energy held for each kWh taken")
    discharge_efficiency = _efficiency("kWh delivered for each kWh held")
    s_max_kva = _optional("apparent power of the inverter, p² + q² <= s²; empty = no reactive power", "kVA", above=0.0)
    wear_usd_per_kwh = _price("price of the energy that is discharged")


class Vehicles(TableSchema):
    """Vehicles: one, or several that come and leave together. They charge and, with `back_feed_kw`, also feed back.

    One that stays over midnight is two rows: from the start of the day until it leaves, and from its return to the end.
    """

    name = _name()
    bus = _text("bus of the charging station")
    count = Int64(
        metadata={"doc": "number of vehicles; the other columns are those of one", "default": 1, "least": 1},
    )
    arrival = _reference("period from whose start it is there; empty = the first")
    departure = _reference("period at whose start it leaves; empty = it stays to the end")
    energy_kwh = _number("the most it holds", "kWh", above=0.0)
    start_kwh = _number("what it holds on arrival", "kWh", least=0.0)
    end_kwh = _number("the least when it leaves", "kWh", least=0.0)
    charge_kw = _number("most power of charging", "kW", least=0.0)
    back_feed_kw = _number("most power that it feeds back; 0 = it only charges", "kW", least=0.0, default=0.0)
    charge_efficiency = _efficiency("energy held for each kWh taken")
    discharge_efficiency = _efficiency("kWh delivered for each kWh held")
    s_max_kva = _optional("apparent power of the charger, p² + q² <= s²; empty = no reactive power", "kVA", above=0.0)
    wear_usd_per_kwh = _price("price of the energy that is fed back")


class FlexibleLoads(TableSchema):
    """Flexible loads: what of a load may be moved or shed. A row with neither load nor bus is for all others."""

    load = _reference("load of the grid; empty = all at the bus, or all others")
    bus = _reference("bus, in place of a load")
    shift_buses_share = _share("share that may move to other buses in the same period")
    shift_time_share = _share("share by which it may differ in a period, with the energy of the day as forecast")
    shift_price_usd_per_kwh = _price("price of the energy that is moved, counted where it leaves")
    shed_share = _share("share that may be shed")
    shed_price_usd_per_kwh = _optional("price of the energy that is shed; needed with shed_share", "$/kWh", least=0.0)
    shed_price_usd_per_kvarh = _optional(
        "price of the reactive energy that is shed, which then is shed by itself, up to the same share; empty = it is "
        "shed with the active power, at the power factor of the forecast",
        "$/kvarh",
        least=0.0,
    )


class Units(TableSchema):
    """Units: what links the periods of dispatchable generators, those of the grid and of the table `generators`."""

    generator = _text("dispatchable generator")
    ramp_up_kw_per_h = _optional(
        "most rise of its power, between the middles of periods; empty = none", "kW/h", least=0
    )
    ramp_down_kw_per_h = _optional("most fall of its power; empty = none", "kW/h", least=0.0)
    start_cost_usd = _number("cost of a start", "$", least=0.0, default=0.0)
    on_before = Bool(
        nullable=True,
        metadata={
            "doc": "whether it is on before the day; empty = whether p_before_kw, or today's output, is not 0",
            "default": None,
        },
    )
    p_before_kw = _optional("its power before the day; empty = not known, so that no ramp binds at the start", "kW")
    profile = _reference("column of the table `profiles`, shares of p_max_kw that it has; empty = all")


class VoltageLimits(TableSchema):
    """Limits: voltages to keep on this day in place of the grid's. A row without a bus is for all others but sources'.

    An empty limit is that of the grid.
    """

    bus = _reference("bus; empty = all others")
    v_min_pu = _optional("lower voltage limit", "pu", above=0.0, most=2.0)
    v_max_pu = _optional("upper voltage limit", "pu", above=0.0, most=2.0)


class BranchLimits(TableSchema):
    """Branch limits: the most active and reactive power at either end of a branch, either way, beside its current."""

    branch = _text("line, switch or transformer")
    p_max_kw = _optional("most active power; empty = none", "kW", least=0.0)
    q_max_kvar = _optional("most reactive power; empty = none", "kvar", least=0.0)


class Origin(TableSchema):
    """Origin: where numbers come from, for people. No study reads it."""

    table = _text("table")
    column = _text("column, or several; empty = all", default="")
    origin = _text("a publication, a measurement, or a choice and its reason")


MEASURED: dict[str, tuple[str, ...]] = {
    "store": ("energy_kwh",),
    "generator": ("p_kw", "q_kvar", "on"),
    "branch": ("closed", "operations"),
    "capacitor bank": ("position",),
    "tap changer": ("position",),
    "source voltage": ("position",),
    "bus": ("moved_kwh",),
    "quantity": ("deviated_hours",),
}
"""What may be measured of each kind."""
NEEDED = {kind: columns[:1] for kind, columns in MEASURED.items()} | {"generator": ("p_kw", "on")}
"""Of which at least one must be given."""


class MeasuredState(TableSchema):
    """State: what was measured at the start of a period. What has no row is taken as at the start of the day.

    A generator without a row may have had any output, so that no ramp binds in the first period.
    """

    period = _reference("period at whose start it was measured; empty = the one that is asked about")
    kind = String(
        metadata={"doc": f"what it is: {', '.join(MEASURED)}; a store is a storage or a vehicle that is there"},
    )
    name = String(metadata={"doc": "its name"})
    energy_kwh = _optional("what a store holds; of several vehicles, all together", "kWh", least=0.0)
    p_kw = _optional("active power of a generator in the period before", "kW")
    q_kvar = _optional("its reactive power; empty = today's", "kvar")
    on = Bool(
        nullable=True,
        metadata={"doc": "whether a generator that may stop runs; empty = whether p_kw is not 0", "default": None},
    )
    closed = Bool(nullable=True, metadata={"doc": "whether a line, switch or transformer is closed", "default": None})
    operations = Int64(
        nullable=True,
        metadata={
            "doc": "how often it was switched on this day; empty = once if it is not as in the grid, else never",
            "default": None,
            "least": 0,
        },
    )
    position = _optional("steps that are on, tap position, or voltage of a source in pu")
    moved_kwh = _optional("energy by which the load of a bus was above its forecast so far, moved in time", "kWh")
    deviated_hours = _optional(
        "by how much an uncertain quantity deviated so far: the sum over periods of |deviation| / largest deviation, "
        "which uses up its budget",
        least=0.0,
    )


DAY_SCHEMAS: dict[str, type[TableSchema]] = {
    "periods": Periods,
    "profiles": Profiles,
    "load_profiles": LoadProfiles,
    "generators": Generators,
    "units": Units,
    "renewables": Renewables,
    "storages": Storages,
    "vehicles": Vehicles,
    "flexible_loads": FlexibleLoads,
    "limits": VoltageLimits,
    "branch_limits": BranchLimits,
    "origin": Origin,
}


def profile_schema(columns: list[str]) -> type[TableSchema]:
    """The schema of a table of profiles with these columns."""
    names = [name for name in dict.fromkeys(columns) if name and name != "period"]
    fields = {
        f"profile_{k}": Float64(alias=name, metadata={"doc": f"shares of the profile {name!r}"})
        for k, name in enumerate(names)
    }
    body = {"__doc__": Profiles.__doc__, "__module__": __name__, "period": _text("period"), **fields}
    return type("ProfilesOfDay", (TableSchema,), body)


_LABELS = ("name", "period", "generator", "load", "branch", "bus")


def at(
    table: str, frame: pl.DataFrame, n: int, column: str, message: str, remedy: str, *more: Any, **kw: Any
) -> Problem:
    """A problem at row n of a table, which is called by its name, or by its number where it has none."""
    label = next((name for name in _LABELS if name in frame.columns), "")
    name = frame[label][n] if label else None
    return Problem(table, f"number {n + 1}" if name is None else str(name), column, message, remedy, *more, **kw)


def unknown(table: str, frame: pl.DataFrame, column: str, known: Iterable[str], remedy: str) -> Iterator[Problem]:
    """Names in a column that are not known."""
    names = list(dict.fromkeys(known))
    there = set(names)
    for n, name in enumerate(frame[column]):
        if name is not None and name not in there:
            advice = did_you_mean(name, names, remedy)
            yield at(table, frame, n, column, f"there is no {column} {name!r}", advice)


def duplicates(table: str, frame: pl.DataFrame, *columns: str) -> Iterator[Problem]:
    """Rows with the names of an earlier one."""
    first: dict[tuple[str | None, ...], int] = {}
    for n, key in enumerate(frame.select(columns).iter_rows()):
        if (before := first.setdefault(key, n)) != n:
            name = " ".join(map(repr, filter(None, key))) or "a row for all others"
            message = f"{name} stands in row number {before + 1}, too"
            yield at(table, frame, n, columns[0], message, "Keep one of the rows")


def has_fault(faults: Iterable[Problem], name: str | None, column: str) -> bool:
    """Whether one of the faults is of a cell: of a column, in the row of a name, as readers of tables and files say."""
    row = (fault.row for fault in faults if fault.column == column)
    return name is not None and any(place == name or place.startswith(f"{name!r} in line ") for place in row)
