"""Operating states, and the vector of zeros and ones that a decision on one is to the two-stage methods.

The vector is [closed (E), z of device 0, z of device 1, …], z one-hot over the positions of a device. What is decided
once comes first and what every period decides for itself after it, so that more periods are more blocks at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network.devices import Devices


@dataclass(frozen=True)
class DispatchState:
    """The decision of a dispatch.

    Attributes:
        closed: (E) state of the branches. positions: (D) of the devices.
        generation: (G) output of the dispatchable generators.
    """

    closed: Bools
    positions: Ints
    generation: Complexes


@dataclass(frozen=True)
class DecisionLayout:
    """Where branches and positions stand in a decision.

    Attributes:
        branches: E. devices: D devices.
    """

    branches: int
    devices: Devices

    @cached_property
    def size(self) -> int:
        """Entries of a decision."""
        return self.branches + int(self.devices.sizes.sum())

    @cached_property
    def starts(self) -> Ints:
        """(D) first entry of each device."""
        sizes = self.devices.sizes
        return self.branches + np.cumsum(sizes) - sizes

    def decision(self, closed: Bools, positions: Ints) -> Floats:
        """The decision for (E) states of branches and (D) positions."""
        vector = np.zeros(self.size)
        vector[: self.branches] = closed
        vector[self.starts + positions] = 1.0
        return vector

    def allowed(self, closed: Bools, lowest: Ints, highest: Ints) -> Floats:
        """The vector that is 1 at all positions from `lowest` to `highest`, (D) each."""
        vector = np.zeros(self.size)
        vector[: self.branches] = closed
        for start, low, high in zip(self.starts, lowest, highest, strict=True):
            vector[start + low : start + high + 1] = 1.0
        return vector

    def closed(self, decision: Floats) -> Bools:
        """(E) which branches are closed."""
        return decision[: self.branches] > 0.5

    def positions(self, decision: Floats) -> Ints:
        """(D) the position with the largest entry."""
        return np.array([int(np.argmax(part)) for part in self._parts(decision)], dtype=np.int64)

    def nearest(self, decision: Floats) -> Ints:
        """(D) the position whose value is nearest to the mean value under a fractional decision."""
        found = [
            int(np.argmin(np.abs(values - values @ part)))
            for values, part in zip(self.devices.values, self._parts(decision), strict=True)
        ]
        return np.array(found, dtype=np.int64)

    def drawn(self, decision: Floats, rng: np.random.Generator) -> Ints:
        """(D) positions drawn with the entries of a fractional decision as chances."""
        chances = [np.maximum(part, 0.0) + 1e-12 for part in self._parts(decision)]
        return np.array([rng.choice(len(part), p=part / part.sum()) for part in chances], dtype=np.int64)

    def _parts(self, decision: Floats) -> Iterator[Floats]:
        for start, size in zip(self.starts, self.devices.sizes, strict=True):
            yield decision[start : start + size]
