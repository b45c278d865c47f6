"""The question of dispatch as numbers: what may move, what is sought, what is kept, and the exact judgement of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.network.devices import Devices
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.powerflow.ensemble import LIMIT_TOLERANCE
from openpoint.powerflow.operating_point import OperatingPointEvaluator
from openpoint.search.operating_states import OperatingState
from openpoint.studies.dispatch.criteria import weighted


@dataclass(frozen=True)
class Question:
    """What is asked of a balanced grid.

    Attributes:
        network: with the limits to keep, the devices at today's positions.
        devices: those that are free. supply: limits of sources and generators.
        costs: the operating cost that each criterion is. weights: of those that are minimised, above 0.
        most: the most that a criterion may be, but for changes.
        must_close, must_open: (E) branches whose state is given. max_changes: most switches whose state may change.
        free: what is free, of `options.FREE`.
    """

    network: Network
    devices: Devices
    supply: SupplyLimits
    costs: Mapping[str, OperatingCost]
    weights: Mapping[str, float]
    most: Mapping[str, float]
    must_close: Bools
    must_open: Bools
    max_changes: int | None
    free: tuple[str, ...]

    @cached_property
    def cost(self) -> OperatingCost:
        """The weighted sum that is minimised; times `s_base_kva` it is in the units of the criteria."""
        return weighted(self.costs, self.weights)

    @property
    def dispatches(self) -> bool:
        """Whether the output of any generator may be chosen within a range."""
        net = self.network
        return bool(np.any((net.p_min < net.p_max) | (net.q_min < net.q_max)))

    @cached_property
    def evaluator(self) -> BoundedEvaluator:
        """Objective and violation of states, bounded criteria included."""
        bounds = tuple((self.criterion(name), most / self.network.s_base_kva) for name, most in self.most.items())
        plain = OperatingPointEvaluator(self.network, self.devices, self.cost, self.supply)
        return BoundedEvaluator(plain, bounds)

    @property
    def today(self) -> OperatingState:
        """Today's state."""
        net = self.network
        return self.state(net.closed, self.devices.today, net.generator_s)

    def state(self, closed: Bools, positions: Ints, generation: Complexes) -> OperatingState:
        """A state with its value, per unit, and its violation; both are inf where it has no power flow."""
        value, violation = self.evaluator.evaluate(closed, positions, generation)
        return OperatingState(closed, positions, generation, float(value[0]), float(violation[0]))

    def figures(self, state: OperatingState) -> dict[str, float]:
        """Every criterion of a state in its unit; inf where it has no power flow."""
        parts = state.closed, state.positions, state.generation
        return {
            name: float(self.criterion(name).evaluate(*parts)[0][0]) * self.network.s_base_kva for name in self.costs
        }

    def criterion(self, name: str) -> OperatingPointEvaluator:
        """The exact evaluation of a criterion."""
        return OperatingPointEvaluator(self.network, self.devices, self.costs[name], self.supply)


@dataclass(frozen=True)
class BoundedEvaluator:
    """Cost and violation of operating states, where the violation counts bounded costs, too.

    Attributes:
        unbounded: cost and violation without these.
        bounds: evaluators of other costs, and the most that each may be, per unit.
    """

    unbounded: OperatingPointEvaluator
    bounds: tuple[tuple[OperatingPointEvaluator, float], ...]

    @property
    def network(self) -> Network:
        """As of `unbounded`."""
        return self.unbounded.network

    @property
    def devices(self) -> Devices:
        """As of `unbounded`."""
        return self.unbounded.devices

    def on(self, positions: Ints) -> Bools:
        """(K, G) whether each generator is on."""
        return self.unbounded.on(positions)

    def evaluate(self, closed: Bools, positions: Ints, generation: Complexes | None = None) -> tuple[Floats, Floats]:
        """(K) costs and (K) violations of states; both are inf where no flow exists or a bus has no source."""
        value, violation = self.unbounded.evaluate(closed, positions, generation)
        for other, most in self.bounds:
            excess = (other.evaluate(closed, positions, generation)[0] - most) / max(abs(most), LEAST)
            violation = violation + np.where(excess > LIMIT_TOLERANCE, excess, 0.0)
        return value, violation


LEAST = 1e-9
"""A bound is relative to itself, or to this if it is less."""
