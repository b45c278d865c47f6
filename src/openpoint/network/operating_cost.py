"""The cost of an operating point, which a study with devices minimises, and the limits of its sources and generators.

    loss · loss_price + Σ_s price_s P_s + Σ_g (price_g p_g + square_g p_g² + idle_g on_g)
        + Σ_e current_e l_e + deviation Σ_n |w_n − 1| / 2 + change · changes of switches + move · devices moved

Everything is per unit of `s_base_kva`: a price per unit of power is a plain number, so that with `loss_price` 1 and
nothing else the cost is the loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Floats


@dataclass(frozen=True)
class OperatingCost:
    """Prices over G dispatchable generators, S sources and E branches.

    Attributes:
        loss: price of the loss of all branches.
        source: (S) price of the active power that a source delivers, the load at its own bus included.
        generator, square: (G) linear and quadratic price of a generator's active power; square >= 0.
        idle: (G) cost of a generator that is on, whatever its output.
        current: (E) price of the squared current of a branch, >= 0.
        deviation: price of |w - 1| / 2, nearly |v - 1|, of every bus that no source holds.
        change: cost of a switch in another state than today's. move: of a device in another position than today's.
    """

    loss: float
    source: Floats
    generator: Floats
    square: Floats
    idle: Floats
    current: Floats
    deviation: float = 0.0
    change: float = 0.0
    move: float = 0.0


@dataclass(frozen=True)
class SupplyLimits:
    """Limits of sources and generators beside the boxes of `Network`, per unit; ±inf = none.

    Attributes:
        p_min, p_max, q_min, q_max, s_max: (S) active, reactive and apparent power that a source delivers, the load at
            its own bus included. generator_s_max: (G) apparent power of a dispatchable generator, p² + q² <= s².
    """

    p_min: Floats
    p_max: Floats
    q_min: Floats
    q_max: Floats
    s_max: Floats
    generator_s_max: Floats

    @property
    def any_of_sources(self) -> bool:
        """Whether any source has a limit."""
        return bool(np.isfinite(np.concatenate([self.p_min, self.p_max, self.q_min, self.q_max, self.s_max])).any())


def least_loss(generators: int, sources: int, branches: int) -> OperatingCost:
    """The cost that is the loss."""
    by_generator = np.zeros(generators)
    return OperatingCost(1.0, np.zeros(sources), by_generator, by_generator, by_generator, np.zeros(branches))


def no_supply_limits(generators: int, sources: int) -> SupplyLimits:
    """No limits beside the boxes of the network."""
    least, most = np.full(sources, -math.inf), np.full(sources, math.inf)
    return SupplyLimits(least, most, least, most, most, np.full(generators, math.inf))
