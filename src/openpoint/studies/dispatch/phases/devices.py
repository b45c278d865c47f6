"""Tap changers and capacitors of a grid of any phases: what may be set to one of several whole positions.

A position is the number that the tables have: `tap_pos` of a transformer, `steps_on` of a capacitor. All phases of a
row move together; regulators that move by phase are a row a phase.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.grid.devices import at_positions, kvar_by_steps, positions_of
from openpoint.grid.grid import Grid
from openpoint.network.build import tap_ratio
from openpoint.network.devices import DeviceKind


@dataclass(frozen=True)
class PhaseDevices:
    """D devices that are free: tap changers, then capacitors.

    Attributes:
        names: (D) of their rows. kind: (D) `DeviceKind.TAP` or `BANK`. row: (D) number of the row in its table.
        low, high: (D) range of positions. today: (D) position today.
    """

    names: tuple[str, ...]
    kind: Ints
    row: Ints
    low: Ints
    high: Ints
    today: Ints

    @property
    def count(self) -> int:
        """D."""
        return len(self.names)

    @property
    def taps(self) -> Ints:
        """Numbers of the tap changers."""
        return np.flatnonzero(self.kind == DeviceKind.TAP)

    @property
    def banks(self) -> Ints:
        """Numbers of the capacitors."""
        return np.flatnonzero(self.kind == DeviceKind.BANK)

    def tables(self, grid: Grid, positions: Ints) -> tuple[Ints, Ints]:
        """(transformers) tap positions and (capacitors) steps of the whole grid with the devices at positions (D)."""
        tap_pos, steps_on = (part.copy() for part in positions_of(grid))
        tap_pos[self.row[self.taps]] = positions[self.taps]
        steps_on[self.row[self.banks]] = positions[self.banks]
        return tap_pos, steps_on

    def placed(self, grid: Grid, positions: Ints) -> Grid:
        """The grid with the devices at positions (D)."""
        return at_positions(grid, *self.tables(grid, positions))

    def ratios(self, grid: Grid, device: int) -> Floats:
        """(K) ratio of a tap changer at each of its positions, as `Network.tap`."""
        row = grid.transformers.row(int(self.row[device]), named=True)
        level = dict(grid.buses.select("name", "vn_kv").iter_rows())
        ends = level[row["from_bus"]], level[row["to_bus"]]
        return np.array([tap_ratio(row, k, *ends) for k in range(self.low[device], self.high[device] + 1)])

    def shares(self, grid: Grid, device: int) -> Floats:
        """(K) share of the reactive power of a capacitor with none, one, … all of its steps on."""
        row = grid.capacitors.row(int(self.row[device]), named=True)
        return np.array(kvar_by_steps(row)) / float(row["q_kvar"])

    def without_banks(self, grid: Grid) -> Grid:
        """The grid with the free capacitors off."""
        return self.placed(grid, np.where(self.kind == DeviceKind.BANK, 0, self.today))

    def with_one_bank(self, grid: Grid, device: int) -> Grid:
        """The grid with all steps of one free capacitor on and the others off."""
        off = np.where(self.kind == DeviceKind.BANK, 0, self.today)
        off[device] = self.high[device]
        return self.placed(grid, off)

    def only(self, which: Bools) -> PhaseDevices:
        """The devices chosen (D); the others stay as they are today."""
        names = tuple(name for name, kept in zip(self.names, which) if kept)
        parts = {key: getattr(self, key)[which] for key in ("kind", "row", "low", "high", "today")}
        return replace(self, names=names, **parts)


def phase_devices(grid: Grid, *, taps: bool = True, capacitors: bool = True) -> PhaseDevices:
    """The devices of a grid that a decision may set and that have more than one position.

    Args:
        taps, capacitors: whether they are free.
    """
    names: list[str] = []
    rows: list[tuple[int, int, int, int, int]] = []
    for row, of in enumerate(grid.transformers.iter_rows(named=True)):
        if taps and of["controllable"] and of["tap_min"] < of["tap_max"] and of["tap_step_percent"]:
            names.append(of["name"])
            rows.append((int(DeviceKind.TAP), row, of["tap_min"], of["tap_max"], of["tap_pos"]))
    for row, of in enumerate(grid.capacitors.iter_rows(named=True)):
        if capacitors and of["controllable"] and of["q_kvar"] > 0:
            names.append(of["name"])
            rows.append((int(DeviceKind.BANK), row, 0, of["steps"], of["steps_on"]))
    kind, row_of, low_of, high_of, today = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    return PhaseDevices(tuple(names), kind, row_of, low_of, high_of, today)
