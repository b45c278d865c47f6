"""A kept limit: one that is not exceeded by more than a share of it. Bounds and judgements take it from here alone.

A bound is that of all states whose limits count as kept, so that no state that is accepted lies below it. What is
chosen and not computed, such as the output of a generator, keeps its range exactly.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openpoint.arrays import Floats
from openpoint.network.arrays import Network
from openpoint.network.operating_cost import SupplyLimits

LIMIT_TOLERANCE = 1e-6
"""Excess, as a share of the limit, up to which it counts as kept: far finer than any meter's."""
LEAST_POWER = 1e-2
"""A limit of power is relative to itself, or to this share of `s_base_kva` if it is less."""
CHOSEN = 1e-9
"""Excess, as a share of its limit, up to which what is chosen counts as within its range: rounding."""


def least_square(square: Floats) -> Floats:
    """Least squares that keep lower limits of a magnitude, whose squares are given."""
    return np.asarray(square * (1.0 - LIMIT_TOLERANCE) ** 2)


def greatest_square(square: Floats) -> Floats:
    """Greatest squares that keep upper limits of a magnitude, whose squares are given."""
    return np.asarray(square * (1.0 + LIMIT_TOLERANCE) ** 2)


def least_magnitude(limit: Floats) -> Floats:
    """Least magnitudes that keep lower limits."""
    return np.asarray(limit * (1.0 - LIMIT_TOLERANCE))


def greatest_magnitude(limit: Floats) -> Floats:
    """Greatest magnitudes that keep upper limits."""
    return np.asarray(limit * (1.0 + LIMIT_TOLERANCE))


def power_slack(limit: Floats) -> Floats:
    """By how much limits of power, per unit, may be exceeded; 0 where there is none."""
    return np.asarray(LIMIT_TOLERANCE * power_scale(limit))


def power_scale(limit: Floats) -> Floats:
    """What an excess of power is relative to; 0 where there is no limit."""
    return np.where(np.isfinite(limit), np.maximum(np.abs(limit), LEAST_POWER), 0.0)


def at_kept_limits(network: Network) -> Network:
    """The network with limits of voltage and current as far out as they count as kept."""
    return network.with_limits(
        w_min=least_square(network.w_min), w_max=greatest_square(network.w_max), l_max=greatest_square(network.l_max)
    )


def at_kept_supply(supply: SupplyLimits) -> SupplyLimits:
    """Limits of sources as far out as they count as kept; those of generators are of what is chosen, and stay."""
    return replace(
        supply,
        p_min=supply.p_min - power_slack(supply.p_min),
        p_max=supply.p_max + power_slack(supply.p_max),
        q_min=supply.q_min - power_slack(supply.q_min),
        q_max=supply.q_max + power_slack(supply.q_max),
        s_max=supply.s_max + power_slack(supply.s_max),
    )
