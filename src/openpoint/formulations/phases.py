"""The question that a grid of any phases puts to reconfiguration and dispatch: what may be set, and what is sought."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import final

import numpy as np

from openpoint.arguments import Names
from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.formulations.radiality import (
    Choices,
    Switching,
    by_branch,
    choices_of,
    is_radial_state,
    radial_states,
    refuse_impossible,
)
from openpoint.grid.devices import at_positions, positions_of
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.devices import DeviceKind
from openpoint.network.freedom import SwitchingRules
from openpoint.network.limits import Limits
from openpoint.twostage.ambiguity import ProbabilitySet, exactly

FREE = ("topology", "taps", "capacitors")
"""What may be free."""


class Sought(StrEnum):
    """The objective, in kW."""

    LOSS = "loss"
    SOURCE = "source power"


# Tap changers and capacitors of a grid of any phases: what may be set to one of several whole positions.
#
# A position is the number that the tables have: `tap_pos` of a transformer, `steps_on` of a capacitor. All phases of
# a row move together; regulators that move by phase are a row a phase.


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


@dataclass(frozen=True)
class Demands:
    """K demands, and how their values become one number.

    Attributes:
        loads_kva: (K, L) power of each row of the table of loads; None = today's alone.
        risk: probabilities of which the worst expectation is the value of all. weights: (K) of the demands.
        limits_share: share of the weights in which the limits are to be kept.
    """

    loads_kva: Complexes | None = None
    risk: ProbabilitySet = field(default_factory=lambda: exactly(np.ones(1)))
    weights: Floats = field(default_factory=lambda: np.ones(1))
    limits_share: float = 1.0

    def measure(self, values: Floats) -> float:
        """The one value of (K) values."""
        return float(self.risk.worst(values)[0])

    def broken(self, excess: Floats) -> float:
        """The violation of limits with (K) excesses: the sum, without the largest that the share allows."""
        order = np.argsort(-excess, kind="stable")
        spared = np.cumsum(self.weights[order]) <= 1.0 - self.limits_share + 1e-9
        return float(excess[order[~spared]].sum())


@final
@dataclass(frozen=True)
class PhasesQuestion:
    """What is asked of a grid of any phases.

    Attributes:
        grid: as it is today. network: its arrays with the limits to keep. devices: those that are free.
        choices: what is left to decide of the branches, over conductors.
        switching: number and cost of changes. sought: what is minimised. demands: under which.
    """

    grid: Grid
    network: Network
    devices: PhaseDevices
    choices: Choices
    switching: Switching
    sought: Sought = Sought.LOSS
    demands: Demands = Demands()

    @property
    def today(self) -> Bools:
        """(B) today's state of the branches."""
        return self.switching.today

    @cached_property
    def always(self) -> Bools:
        """(B) branches that are always closed."""
        return by_branch(self.network, self.choices.state == 1.0)

    @cached_property
    def never(self) -> Bools:
        """(B) branches that are always open."""
        return by_branch(self.network, self.choices.state == 0.0)

    def states(self, weight: Floats | None = None) -> Iterator[Bools]:
        """All radial states (B), whatever they change; those that keep branches of great weight (B) come first."""
        for state in radial_states(self.choices, self.network.conductor_branch, weight):
            yield by_branch(self.network, state)

    def is_radial(self, closed: Bools) -> bool:
        """Whether a state (B) is radial."""
        return is_radial_state(self.network, closed)

    def grid_at(self, closed: Bools, positions: Ints) -> Grid:
        """The grid in a state (B), (D)."""
        grid, names = self.devices.placed(self.grid, positions), self.network.branch_names
        moved = np.flatnonzero(closed != grid.branches()["closed"].to_numpy())
        return grid.with_closed({names[b]: bool(closed[b]) for b in moved})


def phases_question(
    grid: Grid,
    *,
    free: Collection[str] = FREE,
    sought: Sought = Sought.LOSS,
    limits: Limits | None = None,
    locked_open: Names = (),
    locked_closed: Names = (),
    max_changes: int | None = None,
    change_cost_kw: float = 0.0,
) -> PhasesQuestion:
    """The question about a grid.

    Args:
        free: of `FREE`; what else there is stays as it is today. limits: default: those of the grid.
        locked_open, locked_closed: branches that stay so. max_changes: most branches whose state may differ.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks leave no radial state.
    """
    network = Limits.given(limits).applied(build_network(grid))
    today = by_branch(network, network.closed)
    movable = by_branch(network, network.switchable) & ("topology" in free)
    rules = SwitchingRules.locked(network, today, movable, locked_open, locked_closed)
    choices = choices_of(network, rules.must_close, rules.must_open)
    if movable.any() or tuple(free) == ("topology",):
        refuse_impossible(grid, network, choices, rules.must_close)
    devices = phase_devices(grid, taps="taps" in free, capacitors="capacitors" in free)
    return PhasesQuestion(grid, network, devices, choices, Switching(today, max_changes, change_cost_kw), sought)
