"""Exact evaluation of operating states of a grid of any phases, by OpenDSS: one circuit, each state once.

A state that keeps more of its limits is better, whatever it costs; of those that keep all, the one that costs less.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.formulations.radiality import Switching
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.limits import at_kept_limits, rated_amperes
from openpoint.powerflow.opendss import OpenDssCircuit, PhaseFlows
from openpoint.studies.dispatch.phases.devices import PhaseDevices

BETTER = 1e-9
"""Relative difference that counts as better."""


class Sought(StrEnum):
    """What is minimised, in kW."""

    LOSS = "loss"
    SOURCE = "source power"


@final
@dataclass(frozen=True)
class EvaluatedState:
    """An operating state and its evaluation by the exact power flow.

    Attributes:
        closed: (B) state of the branches. positions: (D) of the devices.
        violation: sum of the relative excesses of the squared limits. value_kw: what is minimised.
    """

    closed: Bools
    positions: Ints
    violation: float
    value_kw: float

    def better(self, than: EvaluatedState | None) -> bool:
        """Whether it is better than another state, or than none."""
        if than is None or abs(self.violation - than.violation) > BETTER * max(1.0, than.violation):
            return than is None or self.violation < than.violation
        return self.value_kw < than.value_kw - BETTER * abs(than.value_kw)


@final
@dataclass
class PhasesEvaluator:
    """Exact power flows of operating states: the circuit is compiled once, each state computed once.

    Attributes:
        grid: as it is today. network: its arrays, with the limits to keep. devices: those that are free.
        sought: what is minimised. switching: how many switches may change.
    """

    grid: Grid
    network: Network
    devices: PhaseDevices
    sought: Sought
    switching: Switching
    _circuit: OpenDssCircuit | None = None
    _known: dict[bytes, EvaluatedState | None] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """States evaluated."""
        return len(self._known)

    def is_known(self, closed: Bools, positions: Ints) -> bool:
        """Whether the evaluation of a state takes no power flow any more."""
        return _key(closed, positions) in self._known or not self.switching.allowed(closed)

    def evaluate(self, closed: Bools, positions: Ints) -> EvaluatedState | None:
        """The evaluation of a state (B), (D).

        None where too much is switched, a terminal has no supply or there is no solution.
        """
        if not self.switching.allowed(closed):
            return None
        key = _key(closed, positions)
        if key not in self._known:
            flows = self.flows(closed, positions)
            solved = bool(flows.converged[0] and flows.energised.all())
            self._known[key] = (
                EvaluatedState(closed.copy(), positions.copy(), excess(self.network, flows), self._value(flows))
                if solved
                else None
            )
        return self._known[key]

    def flows(self, closed: Bools, positions: Ints) -> PhaseFlows:
        """The exact power flow of a state (B), (D), radial or not."""
        if self._circuit is None:
            self._circuit = OpenDssCircuit(self.grid, closed=closed)
        elif not np.array_equal(self._circuit.state, closed):
            self._circuit.rewire(closed)
        self._circuit.set_positions(*self.devices.tables(self.grid, positions))
        return self._circuit.solve()

    def grid_at(self, state: EvaluatedState) -> Grid:
        """The grid in a state."""
        grid, names = self.devices.placed(self.grid, state.positions), self.network.branch_names
        moved = np.flatnonzero(state.closed != grid.branches()["closed"].to_numpy())
        return grid.with_closed({names[b]: bool(state.closed[b]) for b in moved})

    def _value(self, flows: PhaseFlows) -> float:
        return float(flows.loss_kw[0] if self.sought is Sought.LOSS else flows.source_kva[0].real.sum())


def excess(network: Network, flows: PhaseFlows) -> float:
    """Sum of the relative excesses of the squared limits that the one flow breaks, as of a `PhaseState`."""
    w = np.abs(flows.v[0]) ** 2
    i = rated_amperes(network, flows.i_fr_a[0], flows.i_to_a[0]) / network.i_base_a
    kept, low = at_kept_limits(network), network.w_min > 0.0
    parts = [1.0 - w[low] / kept.w_min[low], w / kept.w_max - 1.0, i**2 / kept.l_max - 1.0]
    return sum(float(np.maximum(part, 0.0).sum()) for part in parts)


def _key(closed: Bools, positions: Ints) -> bytes:
    return np.packbits(closed).tobytes() + positions.tobytes()
