"""From the tables of a horizon to what happens in each step: loads, locks and stores; every fault of the tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.errors import InputError, Problem, did_you_mean
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.blocks import Blocks
from openpoint.scenarios.horizon import EVENTS, Horizon
from openpoint.studies.partition.model.step import Locks


@dataclass(frozen=True)
class Stored:
    """A generator with an energy, in kWh; see `openpoint.scenarios.horizon.StoredEnergy`."""

    generator: str
    energy_kwh: float
    start_kwh: float
    least_kwh: float
    end_kwh: float
    charge_efficiency: float
    discharge_efficiency: float


@dataclass(frozen=True)
class Timeline:
    """The events of each of T steps.

    Attributes:
        names: (T). hours: (T). share: (T, L) what each load is, a share of the grid's.
        locks: (T). storage: generators with an energy.
    """

    names: tuple[str, ...]
    hours: Floats
    share: Floats
    locks: tuple[Locks, ...]
    storage: tuple[Stored, ...] = ()

    @staticmethod
    def one(grid: Grid, locks: Locks) -> Timeline:
        """An hour with the loads of the grid."""
        return Timeline(("1",), np.ones(1), np.ones((1, grid.loads.height)), (locks,))


def timeline_of(horizon: Horizon, grid: Grid, network: Network, blocks: Blocks) -> Timeline:
    """The timeline of a horizon on a grid.

    Raises:
        InputError: with every fault of every table.
    """
    names = horizon.steps["step"].to_list()
    faults = [*_step_faults(horizon), *_profile_faults(horizon, grid), *_storage_faults(horizon, grid, network)]
    reading = _Events(horizon.events, network, blocks, names)
    locks = reading.locks()
    faults += reading.faults
    if faults:
        raise InputError(faults)
    return Timeline(
        names=tuple(names),
        hours=horizon.steps["hours"].to_numpy(),
        share=_shares(horizon, grid),
        locks=tuple(locks),
        storage=tuple(
            Stored(**{**row, "end_kwh": _or(row["end_kwh"], row["least_kwh"])})
            for row in horizon.storage.drop("charge_kw").iter_rows(named=True)
        ),
    )


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _shares(horizon: Horizon, grid: Grid) -> Floats:
    """(T, L)"""
    step = {name: t for t, name in enumerate(horizon.steps["step"])}
    load = {name: k for k, name in enumerate(grid.loads["name"])}
    share = np.repeat(horizon.steps["load_share"].to_numpy()[:, None], len(load), axis=1)
    for name, own, value in horizon.profiles.iter_rows():
        share[step[name], load[own]] = value
    return share


def _step_faults(horizon: Horizon) -> Iterator[Problem]:
    if horizon.steps.is_empty():
        yield Problem("steps", "", "", "the table has no rows", "Give a row for each step")
    yield from _repeated("steps", horizon.steps, ["step"], "Give every step a name of its own")
    for n, (_, hours, share) in enumerate(horizon.steps.iter_rows(), start=1):
        if not (math.isfinite(hours) and hours > 0.0):
            yield _at("steps", n, "hours", f"{hours:g} hours", "Give more than 0")
        yield from _share_fault("steps", n, "load_share", share)


def _profile_faults(horizon: Horizon, grid: Grid) -> Iterator[Problem]:
    table = horizon.profiles
    yield from _unknown("profiles", table["step"], horizon.steps["step"])
    yield from _unknown("profiles", table["load"], grid.loads["name"])
    yield from _repeated("profiles", table, ["step", "load"], "Keep one of the rows")
    for n, share in enumerate(table["share"], start=1):
        yield from _share_fault("profiles", n, "share", share)


def _storage_faults(horizon: Horizon, grid: Grid, network: Network) -> Iterator[Problem]:
    table, hours = horizon.storage, float(horizon.steps["hours"].sum())
    yield from _unknown("storage", table["generator"], grid.generators["name"])
    yield from _repeated("storage", table, ["generator"], "Keep one of the rows")
    for n, row in enumerate(table.iter_rows(named=True), start=1):
        if row["generator"] in set(grid.generators["name"]) - set(network.generator_names):
            message = f"generator {row['generator']!r} is not dispatchable"
            yield _at("storage", n, "generator", message, "Give it limits such as p_max_kw in the grid")
        figures = {name: value for name, value in row.items() if isinstance(value, float)}
        if bad := [name for name, value in figures.items() if not math.isfinite(value)]:
            yield from (_at("storage", n, name, "the value is not finite", "Give a number") for name in bad)
            continue
        if row["energy_kwh"] <= 0.0:
            yield _at("storage", n, "energy_kwh", f"{row['energy_kwh']:g} kWh", "Give more than 0")
            continue
        end, least, most = _or(row["end_kwh"], row["least_kwh"]), row["least_kwh"], row["energy_kwh"]
        for name, value, low in (
            ("least_kwh", least, 0.0),
            ("start_kwh", row["start_kwh"], least),
            ("end_kwh", end, least),
        ):
            if not low <= value <= most:
                between = (
                    f"Give {low:g} (least_kwh) to {most:g} (energy_kwh)" if name != "least_kwh" else f"0 to {most:g}"
                )
                yield _at("storage", n, name, f"{value:g} kWh cannot be held", between)
        for name in ("charge_efficiency", "discharge_efficiency"):
            if not 0.0 < row[name] <= 1.0:
                yield _at("storage", n, name, f"an efficiency of {row[name]:g}", "Give more than 0 and at most 1")
        charge = _or(row["charge_kw"], 0.0)
        if charge < 0.0:
            yield _at("storage", n, "charge_kw", f"{charge:g} kW", "Give 0 or more; charging is positive here")
        least_kw = dict(grid.generators.select("name", "p_min_kw").iter_rows()).get(row["generator"])
        gained = hours * max(charge, -_or(least_kw, 0.0)) * row["charge_efficiency"]
        if most >= end > row["start_kwh"] + max(gained, 0.0) and row["start_kwh"] >= least:
            message = f"{end:g} kWh at the end are out of reach: {row['start_kwh']:g} at the start, {gained:g} to gain"
            yield _at("storage", n, "end_kwh", message, "Ask for less, or raise charge_kw")


class _Events:
    """The events one by one; `faults` fills up."""

    def __init__(self, table: pl.DataFrame, network: Network, blocks: Blocks, steps: list[str]) -> None:
        self.table, self.network, self.blocks, self.steps = table, network, blocks, steps
        self.faults = [*_unknown("events", table["step"], steps)]
        self.faults += _unknown("events", table["branch"], network.branch_names)
        first = np.unique(network.conductor_branch, return_index=True)[1]
        self._switchable, self._closed = network.switchable[first], network.closed[first]
        self._from = network.terminal_bus[network.terminal_fr[first]]

    def locks(self) -> list[Locks]:
        """Of each step."""
        number = {name: k for k, name in enumerate(self.network.branch_names)}
        rows = [(n, *row) for n, row in enumerate(self.table.iter_rows(), start=1) if row[1] in number]
        held: dict[int, tuple[str, int]] = {}
        found = []
        for step in dict.fromkeys(self.steps):
            seen: dict[int, tuple[str, int]] = {}
            for n, at, name, event in rows:
                if at == step:
                    self._take(n, number[name], event, held, seen)
            found.append(self._locks(held))
        for n, _, name, event in rows:
            self._check_event(n, number[name], event)
        return found

    def _check_event(self, n: int, branch: int, event: str) -> None:
        """Faults of a row that the other rows do not matter for."""
        if event not in EVENTS:
            self._fault(n, "event", f"unknown event {event!r}", f"The events are {', '.join(EVENTS)}")
        elif event in ("open", "close") and not self._switchable[branch]:
            self._fault(
                n, "branch", "the branch cannot be operated", "Mark it switchable in the grid, or remove the row"
            )
        elif event == "fault" and not self._switchable[branch] and not self._closed[branch]:
            message = "the branch is open and cannot be operated, so that its fault changes nothing"
            self._fault(n, "branch", message, "Remove the row")

    def _take(
        self, n: int, branch: int, event: str, held: dict[int, tuple[str, int]], seen: dict[int, tuple[str, int]]
    ) -> None:
        """An event at its step."""
        if event not in EVENTS:
            return
        if branch in seen:
            before, row = seen[branch]
            message = f"{event} and, in row number {row}, {before} in the same step"
            message = f"the same event stands in row number {row}" if event == before else message
            self._fault(n, "event", message, "Keep one of the rows")
            return
        seen[branch] = event, n
        now = held.get(branch, ("", 0))[0]
        if event == "release" and not now:
            self._fault(n, "event", "nothing holds the branch", "Remove the row, or give it a later step")
        elif now == "fault" and event in ("open", "close"):
            message = f"the branch has a fault since row number {held[branch][1]}"
            self._fault(n, "event", message, "Release it before, or remove the row")
        elif event == "release":
            del held[branch]
        else:
            held[branch] = event, n

    def _locks(self, held: dict[int, tuple[str, int]]) -> Locks:
        block_graph = self.blocks
        open_, closed, faulted = (
            np.zeros(k, dtype=np.bool_) for k in (*(2 * [len(block_graph.switches)]), block_graph.count)
        )
        place = {int(branch): k for k, branch in enumerate(block_graph.switches)}
        blame: dict[int, int] = {}
        for branch, (event, n) in held.items():
            if branch in place:
                (closed if event == "close" else open_)[place[branch]] = True
            elif event == "fault":
                block = int(block_graph.of_bus[self._from[branch]])
                faulted[block], blame[block] = True, n
        open_ |= faulted[block_graph.fr] | faulted[block_graph.to]
        for k in np.flatnonzero(open_ & closed):
            row = held[int(block_graph.switches[k])][1]
            fault = next(blame[block] for block in (int(block_graph.fr[k]), int(block_graph.to[k])) if block in blame)
            message = f"held closed while the fault of row number {fault} holds the switches of its block open"
            problem = _at("events", row, "event", message, "Release one of them before the other begins")
            if problem not in self.faults:
                self.faults.append(problem)
        return Locks(open_, closed, faulted)

    def _fault(self, n: int, column: str, message: str, remedy: str) -> None:
        self.faults.append(_at("events", n, column, message, remedy))


def _at(table: str, n: int, column: str, message: str, remedy: str) -> Problem:
    return Problem(table, f"number {n}", column, message, remedy)


def _share_fault(table: str, n: int, column: str, share: float) -> Iterator[Problem]:
    if not (math.isfinite(share) and share >= 0.0):
        yield _at(table, n, column, f"a share of {share:g}", "Give 0 or more; 1 is the load of the grid")


def _unknown(table: str, given: pl.Series, known: Iterable[str]) -> Iterator[Problem]:
    """Names of a column that are not known."""
    names = list(known)
    for n, name in enumerate(given, start=1):
        if name not in names:
            message = f"there is no {given.name} {name!r}"
            yield _at(table, n, given.name, message, did_you_mean(name, names, f"Use a {given.name} that exists"))


def _repeated(table: str, frame: pl.DataFrame, columns: list[str], remedy: str) -> Iterator[Problem]:
    first: dict[tuple[str, ...], int] = {}
    for n, key in enumerate(frame.select(columns).iter_rows(), start=1):
        if (before := first.setdefault(key, n)) != n:
            yield _at(table, n, columns[-1], f"{' '.join(key)} stands in row number {before}, too", remedy)
