"""Tap changers that hold a voltage: after a fault each steps, one step at a time, until its voltage is in its band.

All that are out of their bands step at once, then the power flow is solved anew, as `DiscreteTapControl` of pandapower
does. One at the end of its range stays there. Those that find no rest, with bands narrower than their steps, *hunt*.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import InputError, Problem
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.network import Network
from openpoint.network.build import tap_ratio
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.powerflow.balanced import Flows, solve

ROUNDS = 4
"""Rounds of steps for each position of the largest range, after which tap changers hunt."""
_FIGURES = ("v", "i_rated", "loss", "status", "energised")


@dataclass(frozen=True)
class TapControls:
    """D tap changers that hold a voltage.

    Attributes:
        names: (D). branch: (D) branch of each. at: (D) bus whose voltage it holds. low, high: (D) its band, pu.
        ratios: (D) arrays, the ratio at every position. first: (D) tap position of the first of them.
        today: (D) position today, from 0. up: (D) step that raises the voltage, 1 or -1.
        number: (D) which of all of the grid it is.
    """

    names: tuple[str, ...]
    branch: Ints
    at: Ints
    low: Floats
    high: Floats
    ratios: tuple[Floats, ...]
    first: Ints
    today: Ints
    up: Ints
    number: Ints

    @property
    def count(self) -> int:
        return len(self.names)

    def only(self, chosen: Ints, branch: Ints, at: Ints) -> TapControls:
        """Some of them, with their branches and buses under other numbers."""
        kept = {key: getattr(self, key)[chosen] for key in ("low", "high", "first", "today", "up", "number")}
        names, ratios = (tuple(every[d] for d in chosen) for every in (self.names, self.ratios))
        return TapControls(names, branch=branch[chosen], at=at[chosen], ratios=ratios, **kept)

    def in_part(self, place: Ints, branches: Ints) -> TapControls:
        """Those of a part of the network; `place`: (N) number of each bus there. `branches`: its branches."""
        number = np.full(int(max(branches.max(initial=-1), self.branch.max(initial=-1))) + 1, -1, dtype=np.int64)
        number[branches] = np.arange(len(branches))
        return self.only(np.flatnonzero(number[self.branch] >= 0), number[self.branch], place[self.at])

    def moved(self, network: Network, positions: Ints) -> Network:
        """The network with its tap changers at (D) positions."""
        tap = network.tap.copy()
        tap[self.branch] = [ratios[k] for ratios, k in zip(self.ratios, positions.tolist(), strict=True)]
        return replace(network, tap=tap)

    def steps(self, positions: Ints) -> tuple[tuple[int, int], ...]:
        """Number in the grid and position of those that moved to (D) positions."""
        moved = np.flatnonzero(positions != self.today)
        return tuple(zip(self.number[moved].tolist(), positions[moved].tolist(), strict=True))

    def in_words(self, steps: Iterable[tuple[int, int]]) -> str:
        """Tap positions before and after, as `T1: -2 → 1`."""
        place = {int(number): d for d, number in enumerate(self.number)}
        moved = [(place[number], position) for number, position in steps]
        return join_names(f"{self.names[d]}: {self.first[d] + self.today[d]} → {self.first[d] + k}" for d, k in moved)


def controls_of(grid: Grid, stations: Stations) -> tuple[TapControls, tuple[str, ...]]:
    """The tap changers that hold a voltage, and notes on those that stay.

    Args:
        grid: balanced. stations: of its network.
    """
    network = stations.whole
    level = dict(grid.buses.select("name", "vn_kv").iter_rows())
    bus, number = ({name: k for k, name in enumerate(names)} for names in (network.bus_names, network.branch_names))
    rows = list(grid.transformers.filter(_holds()).iter_rows(named=True))
    branch = np.array([number[row["name"]] for row in rows], dtype=np.int64)
    ratios, first = [], np.array([row["tap_min"] for row in rows], dtype=np.int64)
    for row in rows:
        ends = level[row["from_bus"]], level[row["to_bus"]]
        ratios.append(np.array([tap_ratio(row, k, *ends) for k in range(row["tap_min"], row["tap_max"] + 1)]))
    at_to = np.array([row["hold_side"] == "to" for row in rows], dtype=np.bool_)
    falls = np.array([values[-1] < values[0] for values in ratios], dtype=np.bool_)
    found = TapControls(
        names=tuple(row["name"] for row in rows),
        branch=branch,
        at=np.array([bus[row[f"{row['hold_side']}_bus"]] for row in rows], dtype=np.int64),
        low=np.array([row["v_hold_min_pu"] for row in rows], dtype=np.float64),
        high=np.array([row["v_hold_max_pu"] for row in rows], dtype=np.float64),
        ratios=tuple(ratios),
        first=first,
        today=np.array([row["tap_pos"] for row in rows], dtype=np.int64) - first,
        up=np.where(at_to == falls, 1, -1),
        number=np.arange(len(rows)),
    )
    apart = _apart(found, stations)
    if not apart.any():
        return found, ()
    named = join_names(found.names[d] for d in np.flatnonzero(apart).tolist())
    note = f"taps of transformers in parallel that do not hold the same voltage by the same steps stay: {named}"
    return found.only(np.flatnonzero(~apart), found.branch, found.at), (note,)


def _holds() -> pl.Expr:
    moves = (pl.col("tap_min") < pl.col("tap_max")) & (pl.col("tap_step_percent") != 0.0)
    return moves & pl.all_horizontal(pl.col("v_hold_min_pu", "v_hold_max_pu").is_not_null())


def _apart(found: TapControls, stations: Stations) -> Bools:
    """(D) whether one in parallel would step otherwise, so that the ratios would differ."""
    own = {int(e): d for d, e in enumerate(found.branch)}
    tells = [
        (found.low[d], found.high[d], found.today[d], tuple(np.round(found.ratios[d], 12))) for d in range(found.count)
    ]
    beside = [np.flatnonzero(stations.carrier == stations.carrier[e]).tolist() for e in found.branch]
    return np.array([any(e not in own or tells[own[e]] != tells[d] for e in beside[d]) for d in range(found.count)])


def held_grid(grid: Grid) -> tuple[Grid, tuple[str, ...]]:
    """The grid once its tap changers hold their voltages without a fault, and a note where they moved."""
    from openpoint.network import build_network

    if not grid.transformers.filter(_holds()).height:
        return grid, ()
    stations = open_held_meshes(build_network(grid))
    controls, _ = controls_of(grid, stations)
    opened = stations.opened
    _, positions, hunts = follow(opened, opened.closed[None], controls, stations.whole.closed & ~opened.closed)
    if hunts[0]:
        return grid, ("tap changers hunt without a fault: their bands are narrower than their steps",)
    if not (words := controls.in_words(controls.steps(positions[0]))):
        return grid, ()
    tap = dict(zip(controls.names, (controls.first + positions[0]).tolist(), strict=True))
    table = grid.transformers.with_columns(tap_pos=pl.col("name").replace_strict(tap, default=pl.col("tap_pos")))
    note = f"without a fault tap changers step until they hold their voltages: {words}; the faults are of that state"
    return grid.with_tables(transformers=table), (note,)


def follow(
    network: Network,
    states: Bools,
    controls: TapControls,
    dropped: Bools | None = None,
    flow: Callable[[Network, Bools], Flows] = solve,
) -> tuple[Flows, Ints, Bools]:
    """The power flows of (K, E) states with their tap changers at rest.

    Args:
        dropped: (E) branches that are closed though the states have them open. flow: of states of a network.

    Returns:
        The flows; (K, D) positions; (K) whether tap changers hunt.
    """
    flows, hunts = flow(network, states), np.zeros(len(states), dtype=np.bool_)
    positions = np.repeat(controls.today[None], len(states), axis=0)
    if not controls.count:
        return flows, positions, hunts
    most = np.array([len(ratios) - 1 for ratios in controls.ratios])
    steps_at = states[:, controls.branch] | (False if dropped is None else dropped[controls.branch])
    todo = np.arange(len(states))
    for _ in range(ROUNDS * int(most.max())):
        v, now = np.abs(flows.v[todo][:, controls.at]), positions[todo]
        wanted = np.where(v < controls.low, controls.up, np.where(v > controls.high, -controls.up, 0))
        fed = flows.energised[todo][:, controls.at] & flows.converged[todo][:, None]
        step = np.where(steps_at[todo] & fed, wanted, 0)
        step = np.clip(now + step, 0, most) - now
        todo = todo[step.any(axis=1)]
        if not len(todo):
            return flows, positions, hunts
        positions[todo] += step[step.any(axis=1)]
        for each in np.unique(positions[todo], axis=0):
            some = todo[(positions[todo] == each).all(axis=1)]
            moved = flow(controls.moved(network, each), states[some])
            for name in _FIGURES:
                getattr(flows, name)[some] = getattr(moved, name)
    hunts[todo] = True
    return flows, positions, hunts


def with_bands(grid: Grid, bands: Iterable[tuple[str, float, float]]) -> Grid:
    """The grid whose tap changers of these names, or patterns, hold the voltage at the to side, and no others.

    Raises:
        InputError: a name of no transformer whose tap can move.
    """
    table = grid.transformers
    able = table.filter(pl.col("tap_min") < pl.col("tap_max"), pl.col("tap_step_percent") != 0.0)["name"].to_list()
    found: dict[str, list[float]] = {}
    faults = []
    for text, *band in bands:
        names = [text] if text in able else fnmatch.filter(able, text)
        found |= dict.fromkeys(names, band)
        if not names:
            message = "no transformer of this name has a tap changer that can move"
            faults.append(
                Problem("transformers", text, "", message, f"Those that can: {join_names(able[:10]) or 'none'}")
            )
    if faults:
        raise InputError(faults)
    low, high = ([found[name][k] if name in found else None for name in table["name"]] for k in (0, 1))
    columns = [pl.Series("v_hold_min_pu", low, pl.Float64), pl.Series("v_hold_max_pu", high, pl.Float64)]
    return grid.with_tables(transformers=table.with_columns(pl.lit("to").alias("hold_side"), *columns))
