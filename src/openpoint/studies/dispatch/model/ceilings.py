"""Ceilings: the most that further costs of an operating state may be, beside the one that is minimised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.network.devices import Devices
from openpoint.network.limits import LIMIT_TOLERANCE
from openpoint.network.operating_cost import OperatingCost
from openpoint.powerflow.operating_point import OperatingPointEvaluator

LEAST = 1e-9
"""A ceiling is relative to itself, or to this share of `s_base_kva` if it is less."""


@dataclass(frozen=True)
class Ceiling:
    """The most that a cost may be.

    Attributes:
        name: of the cost. cost: its prices. most: per unit.
    """

    name: str
    cost: OperatingCost
    most: float

    @property
    def scale(self) -> float:
        """What an excess is relative to."""
        return max(abs(self.most), LEAST)


@dataclass(frozen=True)
class BoundedEvaluator:
    """Cost and violation of operating states, where the violation counts what exceeds a ceiling, too.

    Attributes:
        unbounded: cost and violation without ceilings. ceilings: what else may not be exceeded.
        others: the evaluators of the costs of these.
    """

    unbounded: OperatingPointEvaluator
    ceilings: tuple[Ceiling, ...]
    others: tuple[OperatingPointEvaluator, ...]

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
        for ceiling, other in zip(self.ceilings, self.others, strict=True):
            excess = (other.evaluate(closed, positions, generation)[0] - ceiling.most) / ceiling.scale
            violation = violation + np.where(excess > LIMIT_TOLERANCE, excess, 0.0)
        return value, violation

    def margins(self, closed: Bools, positions: Ints, generation: Complexes) -> tuple[Floats, Floats]:
        """(K) costs and (K, M) by how much states exceed what counts as kept of limits and ceilings."""
        value, excess = self.unbounded.margins(closed, positions, generation)
        over = [
            (other.evaluate(closed, positions, generation)[0] - ceiling.most) / ceiling.scale - LIMIT_TOLERANCE
            for ceiling, other in zip(self.ceilings, self.others, strict=True)
        ]
        return value, np.column_stack([excess, *over])


def bounded(unbounded: OperatingPointEvaluator, ceilings: Iterable[Ceiling]) -> BoundedEvaluator:
    """The evaluator with ceilings of other costs."""
    some, base = tuple(ceilings), unbounded
    others = (OperatingPointEvaluator(base.network, base.devices, each.cost, base.supply) for each in some)
    return BoundedEvaluator(unbounded, some, tuple(others))
