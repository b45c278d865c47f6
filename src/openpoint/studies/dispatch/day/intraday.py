"""Intraday re-planning: the grid and the question of the rest of the day, from what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from openpoint.errors import InputError, Problem, did_you_mean
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.network.day import nominal_load
from openpoint.network.devices import DeviceKind, Devices, build_devices
from openpoint.scenarios.day.schemas import MEASURED, at, has_fault
from openpoint.scenarios.day.uncertain import GROUPS
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.rolling import (
    ROUNDING,
    DayState,
    reachable,
    rest_of_question,
    running_now,
    start_of,
    store_problem,
)
from openpoint.studies.dispatch.tables import KINDS, shown_positions

_KIND = {KINDS[kind][0]: kind for kind in (DeviceKind.BANK, DeviceKind.TAP, DeviceKind.VOLTAGE)}
_TABLE = {
    DeviceKind.BANK: ("capacitors", "steps_on"),
    DeviceKind.TAP: ("transformers", "tap_pos"),
    DeviceKind.VOLTAGE: ("sources", "v_pu"),
}


@dataclass(frozen=True)
class Rest:
    """The rest of a day: where it begins.

    Attributes:
        period: name of its first period. start: the state then, as of the rest: its period is 0.
        measured: what was measured.
    """

    period: str
    start: DayState
    measured: pl.DataFrame


@dataclass(frozen=True)
class Intraday:
    """A day at the beginning of one of its periods, to be re-planned from there.

    Attributes:
        period: its number in the whole day. name: of the period.
        measured: rows of `openpoint.scenarios.day.schemas.MeasuredState`. faults: of the table itself.
        grid: of the whole day.
    """

    period: int
    name: str
    measured: pl.DataFrame
    faults: tuple[Problem, ...]
    grid: Grid

    def refuse_faults(self, question: DayQuestion) -> None:
        """Refuse what cannot be.

        Args:
            question: of the whole day.

        Raises:
            InputError: with all faults of the measured state.
        """
        checks = {
            "store": _store_faults,
            "generator": _generator_faults,
            "bus": _bus_faults,
            "quantity": _quantity_faults,
        }
        devices, found = build_devices(self.grid, question.network), list(self.faults)
        for n, row in enumerate(self.measured.iter_rows(named=True)):
            if row["kind"] not in MEASURED or row["name"] is None:  # the reader reports it
                continue
            if row["kind"] in _KIND:
                faults = _device_faults(devices, row)
            elif row["kind"] == "branch":
                faults = _branch_faults(self.grid, row)
            else:
                faults = checks[row["kind"]](question, self.period, row)
            fresh = (fault for fault in faults if not has_fault(self.faults, row["name"], fault[0]))
            found += [at("state", self.measured, n, *fault) for fault in fresh]
        if found:
            raise InputError(found)

    def grid_now(self) -> Grid:
        """The grid with the switches, taps, steps and voltages of sources as they were measured."""
        rows = self.measured.filter(kind="branch")
        grid = self.grid.with_closed(dict(rows.select("name", "closed").iter_rows()))
        for name, kind in _KIND.items():
            table, column = _TABLE[kind]
            frame, measured = grid.tables()[table], self.measured.filter(kind=name)
            if measured.height:
                new = frame.select("name").join(measured, on="name", how="left", maintain_order="left")["position"]
                values = new.cast(frame.schema[column]).fill_null(frame[column])
                grid = grid.with_tables(**{table: frame.with_columns(values.alias(column))})
        return grid

    def rest_of(self, question: DayQuestion) -> tuple[DayQuestion, Rest, tuple[str, ...]]:
        """The question of the rest of the day, what it starts from, and notes on it.

        Args:
            question: of the whole day, on the grid as it is now.
        """
        state = self.state(question)
        rest = rest_of_question(question, state)
        start = replace(start_of(rest), deviated=state.deviated, operations=state.operations)
        return rest, Rest(self.name, start, self.measured), tuple(self._notes(question, state))

    def state(self, question: DayQuestion) -> DayState:
        """The state at the start of the period.

        Args:
            question: of the whole day, on the grid as it is now.
        """
        start, net, base = start_of(question), question.network, question.network.s_base_kva
        generation, contents, moved = start.generation.copy(), start.contents.copy(), start.moved.copy()
        on, deviated = running_now(question, start.positions), start.deviated.copy()
        generation[:] = np.nan if self.period else generation
        was = dict(self.grid.branches().select("name", "closed").iter_rows())
        operations = start.operations.copy()
        stores, generators, quantities = (_numbers(names) for names in (
            question.day.stores.names, net.generator_names, question.day.uncertain.names))  # fmt: skip
        buses = _numbers([net.bus_names[bus] for bus in net.terminal_bus])
        for row in self.measured.iter_rows(named=True):
            kind, name = row["kind"], row["name"]
            if kind == "store":
                contents[stores[name]] = row["energy_kwh"] / base
            elif kind == "generator":
                g = generators[name]
                on[g] = row["p_kw"] != 0.0 if row["on"] is None else row["on"]
                if row["p_kw"] is not None:
                    q = net.generator_s[g].imag if row["q_kvar"] is None else row["q_kvar"] / base
                    generation[g] = complex(row["p_kw"] / base, q)
            elif kind == "branch":
                e = net.branch_numbers([name])[0]
                operations[e] = row["closed"] != was[name] if row["operations"] is None else row["operations"]
            elif kind == "bus":
                moved[buses[name]] = row["moved_kwh"] / base
            elif kind == "quantity" and name in quantities:
                deviated[quantities[name]] = row["deviated_hours"]
        return replace(
            start,
            period=self.period,
            positions=_positions(question.devices, start.positions, on),
            generation=generation,
            contents=contents,
            moved=moved,
            deviated=deviated,
            operations=operations,
        )

    def _notes(self, question: DayQuestion, state: DayState) -> Iterator[str]:
        """What of the state changes the meaning of figures.

        Args:
            question: of the whole day. state: of the period.
        """
        day, net, t = question.day, question.network, self.period
        known = {kind: set(self.measured.filter(kind=kind)["name"]) for kind in ("store", "generator")}
        there = (day.stores.first < t) & (t < day.stores.last)
        if names := [name for name, here in zip(day.stores.names, there) if here and name not in known["store"]]:
            yield (
                f"{names_in_words(names)}: not measured at {self.name}; taken to hold what they hold at the start of "
                "the day, or on arrival"
            )
        linked = np.isfinite(day.units.ramp_up) | np.isfinite(day.units.ramp_down) if t else np.zeros(0)
        unknown = [name for name, ramp in zip(net.generator_names, linked) if ramp and name not in known["generator"]]
        if unknown:
            yield f"{names_in_words(unknown)}: not measured at {self.name}; no ramp binds in the first period"
        unused = [] if day.uncertain.count else self.measured.filter(kind="quantity")["name"].to_list()
        if unused:
            yield (
                f"{names_in_words(unused)}: periods in which it deviated count for nothing, as no quantity is "
                "uncertain in the rest"
            )
        most, asked = reachable(day, state), day.stores.energy_end
        for b in np.flatnonzero((day.stores.last > t) & (most < asked * (1.0 - ROUNDING))):
            yield (
                f"{day.stores.names[b]}: {net.s_base_kva * asked[b]:,.4g} kWh are asked for at the end, and can no "
                f"longer be reached; the plan holds {net.s_base_kva * most[b]:,.4g} kWh there, by charging all the time"
            )


Fault = tuple[str, str, str]
"""Column, message and remedy."""


def _numbers(names: Any) -> dict[str, int]:
    return {name: n for n, name in enumerate(names)}


def _positions(devices: Devices, positions: np.ndarray, on: np.ndarray) -> np.ndarray:
    """(D) positions with units on or off."""
    found = positions.copy()
    for unit in devices.of(DeviceKind.UNIT):
        found[unit] = int(np.argmax((devices.values[unit] != 0.0) == on[devices.place[unit]]))
    return found


def _store_faults(question: DayQuestion, t: int, row: dict[str, Any]) -> Iterator[Fault]:
    stores, names = question.day.stores, question.day.names
    if row["name"] not in stores.names:
        remedy = did_you_mean(row["name"], stores.names, "Use the name of a storage or vehicle of the day")
        yield "name", "there is no storage or vehicle of this name", remedy
        return
    b = stores.names.index(row["name"])
    if stores.last[b] <= t:
        yield "energy_kwh", f"it left at the start of period {names[stores.last[b]]!r}", "Leave the row out"
    elif stores.first[b] > t:
        came = f"it comes at the start of period {names[stores.first[b]]!r}"
        yield "energy_kwh", came, "Leave the row out; what it then holds is start_kwh of the table `vehicles`"
    elif row["energy_kwh"] is not None and (
        fault := store_problem(question, b, row["energy_kwh"] / question.network.s_base_kva)
    ):
        yield "energy_kwh", *fault


def _generator_faults(question: DayQuestion, _t: int, row: dict[str, Any]) -> Iterator[Fault]:
    net, names = question.network, question.network.generator_names
    if row["name"] not in names:
        remedy = did_you_mean(row["name"], names, "Leave the row out")
        yield "name", "there is no generator of this name whose output is decided", remedy
        return
    g, p, on = names.index(row["name"]), row["p_kw"], row["on"]
    low, high = net.p_min[g] * net.s_base_kva, net.p_max[g] * net.s_base_kva
    may_stop = g in question.devices.place[question.devices.of(DeviceKind.UNIT)]
    if (on is False or (p == 0.0 and low > 0.0)) and not may_stop:
        yield "p_kw" if on is None else "on", "it is off, but may_stop is false", "Write may_stop true, or on true"
    elif on is False and p not in (None, 0.0):
        yield "p_kw", f"{p:g} kW while it is off", "Write 0, or on true"
    elif p is not None and on is not False and not (may_stop and p == 0.0):
        slack = ROUNDING * max(abs(low), abs(high), 1.0)
        if not low - slack <= p <= high + slack:
            yield "p_kw", f"{p:g} kW lie outside its limits, {low:g} to {high:g}", "Correct it, or leave it empty"


def _branch_faults(grid: Grid, row: dict[str, Any]) -> Iterator[Fault]:
    names = grid.branches()["name"].to_list()
    if row["name"] not in names:
        yield "name", "there is no branch of this name", did_you_mean(row["name"], names, "Use a branch of the grid")


def _device_faults(devices: Devices, row: dict[str, Any]) -> Iterator[Fault]:
    mine = {devices.names[d]: int(d) for d in devices.of(_KIND[row["kind"]])}
    if row["name"] not in mine:
        remedy = did_you_mean(row["name"], mine, "Leave the row out: what cannot be set stays as in the grid")
        yield "name", f"there is no {row['kind']} of this name that can be set", remedy
        return
    d, position = mine[row["name"]], row["position"]
    values = shown_positions(devices, d)
    if position is not None and not np.isclose(values, position, rtol=ROUNDING).any():
        yield (
            "position",
            f"{position:g} is none of its positions",
            f"Give one from {values.min():g} to {values.max():g}",
        )


def _bus_faults(question: DayQuestion, t: int, row: dict[str, Any]) -> Iterator[Fault]:
    day, net = question.day, question.network
    buses = [net.bus_names[bus] for bus in net.terminal_bus]
    if row["name"] not in buses:
        yield "name", "there is no bus of this name", did_you_mean(row["name"], buses, "Use a bus of the grid")
        return
    n, asked = buses.index(row["name"]), abs(row["moved_kwh"] or 0.0)
    loads = [max(float(nominal_load(day, later)[n].real), 0.0) for later in range(t, day.periods)]
    most = net.s_base_kva * float(day.demand.shift_time[n] * (day.hours[t:] @ np.array(loads)))
    if asked > most * (1.0 + ROUNDING) + ROUNDING:
        if day.demand.shift_time[n] == 0.0:
            yield "moved_kwh", "its load does not move in time", "Leave the row out, or give it a share (shift_time)"
        else:
            message = f"{asked:.4g} kWh were moved, and the rest of the day can make up for {most:.4g} at most"
            yield "moved_kwh", message, "Measure again, or raise the share that may move (shift_time)"


def _quantity_faults(question: DayQuestion, _t: int, row: dict[str, Any]) -> Iterator[Fault]:
    names, name = question.day.uncertain.names, row["name"]
    if names and name not in names:
        remedy = did_you_mean(name, names, f"The uncertain quantities are {names_in_words(list(names))}")
        yield "name", "there is no uncertain quantity of this name", remedy
    elif not names and name not in (known := _may_be_uncertain(question)):
        remedy = did_you_mean(name, known, f"Leave the row out: nothing is uncertain; groups are {', '.join(GROUPS)}")
        yield "name", "the day has no quantity of this name that could be uncertain", remedy


def _may_be_uncertain(question: DayQuestion) -> list[str]:
    """Names that quantities of the day have where they are uncertain: of groups, loads and renewable sources."""
    net, day = question.network, question.day
    return [*GROUPS, *(f"load at {net.bus_names[bus]}" for bus in net.terminal_bus), *day.renewables.names]
