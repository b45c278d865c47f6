"""Faults of renewables, storages, vehicles and units: places, names, energies that cannot be held or reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from openpoint.errors import Problem
from openpoint.grid.grid import Grid
from openpoint.scenarios.day.rows import at, duplicates, unknown
from openpoint.scenarios.day.tables import Day

KINDS = ("solar", "wind")
# Energies are reached where this share of them is missing.
_TOLERANCE = 1e-9


def resource_faults(day: Day, grid: Grid) -> Iterator[Problem]:
    """Faults of the resources of a day on a grid with what the day brings."""
    buses = grid.buses["name"].to_list()
    seen: dict[str, str] = dict.fromkeys(day.generators["name"], "generators")
    for kind in ("renewables", "storages", "vehicles"):
        frame = day.tables()[kind]
        yield from unknown(kind, frame, "bus", buses, "Use a bus of the grid")
        for n, name in enumerate(frame["name"]):
            if name in seen:
                message = f"this name is used in {seen[name]}, too"
                yield at(kind, frame, n, "name", message, "Give every resource a name of its own")
            seen.setdefault(name, kind)
            if name == "":
                yield at(kind, frame, n, "name", "the name is empty", "Give every row a name")
    for n, kind in enumerate(day.renewables["kind"]):
        if kind not in KINDS:
            yield at("renewables", day.renewables, n, "kind", f"{kind!r} is not known", f"Write {' or '.join(KINDS)}")
    yield from _storage_faults(day)
    yield from _vehicle_faults(day)
    yield from _unit_faults(day, grid)


def _storage_faults(day: Day) -> Iterator[Problem]:
    frame = day.storages
    for n, row in enumerate(frame.iter_rows(named=True)):
        row["end_kwh"] = row["start_kwh"] if row["end_kwh"] is None else row["end_kwh"]
        row["discharge_kw"] = row["charge_kw"] if row["discharge_kw"] is None else row["discharge_kw"]
        yield from _energy_faults("storages", frame, n, row, float(day.periods["hours"].sum()))


def _vehicle_faults(day: Day) -> Iterator[Problem]:
    frame, periods = day.vehicles, day.periods["period"].to_list()
    for column in ("arrival", "departure"):
        yield from unknown("vehicles", frame, column, periods, "Use a period of the table `periods`")
    for n, row in enumerate(frame.iter_rows(named=True)):
        if (stay := stay_of(row, periods)) is None:
            continue
        first, last = stay
        if first >= last:
            message = f"it leaves at the start of period {row['departure']!r}, and comes at that of {periods[first]!r}"
            remedy = (
                "Let it leave later; one that stays over midnight is two rows: from the start of the day until it "
                "leaves, and from its return to the end"
            )
            yield at("vehicles", frame, n, "departure", message, remedy)
            continue
        row |= {"least_kwh": 0.0, "discharge_kw": row["back_feed_kw"]}
        yield from _energy_faults("vehicles", frame, n, row, float(day.periods["hours"][first:last].sum()))


def stay_of(row: dict[str, Any], periods: list[str]) -> tuple[int, int] | None:
    """First and last + 1 number of the periods of a vehicle's stay; None where they are not known."""
    ends = (row["arrival"], row["departure"])
    if not periods or any(name is not None and name not in periods for name in ends):
        return None
    return 0 if ends[0] is None else periods.index(ends[0]), len(periods) if ends[1] is None else periods.index(ends[1])


def _energy_faults(kind: str, frame: pl.DataFrame, n: int, row: dict[str, Any], hours: float) -> Iterator[Problem]:
    """Contents that cannot be held or reached in so many hours, and powers above that of the inverter."""
    least, most, start, end = (row[f"{name}_kwh"] for name in ("least", "energy", "start", "end"))
    for column, value, low in (("least_kwh", least, 0.0), ("start_kwh", start, least), ("end_kwh", end, least)):
        if value > most:
            yield at(
                kind, frame, n, column, f"{value:g} kWh are more than it holds, {most:g}", f"Give at most {most:g}"
            )
        elif value < low:
            message = f"{value:g} kWh are less than it may hold, {low:g}"
            yield at(kind, frame, n, column, message, f"Give {low:g} or more")
    gained = hours * max(row["charge_kw"], 0.0) * row["charge_efficiency"]
    if most >= end > (start + gained) * (1.0 + _TOLERANCE):
        message = f"{end:g} kWh are out of reach: {start:g} at first, {gained:g} to gain in {hours:g} h"
        yield at(kind, frame, n, "end_kwh", message, "Ask for less, raise charge_kw, or let it stay longer")
    fed = "discharge_kw" if kind == "storages" else "back_feed_kw"
    for column in ("charge_kw", fed):
        if row["s_max_kva"] is not None and (row[column] or 0.0) > row["s_max_kva"]:
            message = f"{row[column]:g} kW are more than the inverter can, {row['s_max_kva']:g} kVA"
            yield at(kind, frame, n, column, message, "Correct the power or s_max_kva")


def _unit_faults(day: Day, grid: Grid) -> Iterator[Problem]:
    frame = day.units
    rows = {row["name"]: row for row in grid.generators.iter_rows(named=True)}
    yield from unknown("units", frame, "generator", rows, "Use a generator of the grid or of the table `generators`")
    yield from duplicates("units", frame, "generator")
    for n, unit in enumerate(frame.iter_rows(named=True)):
        if (row := rows.get(unit["generator"])) is not None:
            yield from _unit_row_faults(frame, n, unit, row)


def _unit_row_faults(frame: pl.DataFrame, n: int, unit: dict[str, Any], row: dict[str, Any]) -> Iterator[Problem]:
    if all(row[limit] is None for limit in ("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")):
        message = "it is not dispatchable: it has no limits, so that its output is fixed"
        yield at("units", frame, n, "generator", message, "Give it p_min_kw and p_max_kw")
        return
    if unit["on_before"] is False and not row["may_stop"]:
        message = "it is off before the day, but may_stop is false"
        yield at(
            "units", frame, n, "on_before", message, "Write may_stop true in the table `generators`, or on_before true"
        )
    if unit["start_cost_usd"] and not row["may_stop"]:
        message, remedy = "it never starts, since may_stop is false", "Write may_stop true in the table `generators`"
        yield at("units", frame, n, "start_cost_usd", message, remedy, "warning")
    p = unit["p_before_kw"]
    if p is None:
        return
    low, high = (row["p_kw"] if row[limit] is None else row[limit] for limit in ("p_min_kw", "p_max_kw"))
    if unit["on_before"] is False and p != 0.0:
        yield at("units", frame, n, "p_before_kw", f"{p:g} kW while it is off", "Write 0, or on_before true")
    elif unit["on_before"] is not False and not (low <= p <= high) and not (row["may_stop"] and p == 0.0):
        message = f"{p:g} kW lie outside its limits, {low:g} to {high:g}"
        yield at("units", frame, n, "p_before_kw", message, "Correct it, or leave it empty")
