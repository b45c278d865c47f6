"""Generators that hold the voltage of their bus: the reactive power at which they do, in a radial balanced grid.

Each holds its voltage while its reactive power lies within its limits; at its most the voltage may lie below, at its
least above. This complementarity is solved by a semismooth Newton method (Qi and Sun 1993) around the radial sweep: the
sensitivities of the voltages are those of one more sweep for each generator, all in one call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.powerflow.balanced import solve

TOLERANCE = 1e-9
"""Difference from the set voltage up to which it counts as held, pu."""
NUDGE = 1e-5
"""Reactive power by which sensitivities are found, per unit of the load of the grid."""
STIFF = 1e-9
"""Sensitivity, pu of voltage per unit of reactive power, below which the voltage cannot be controlled."""
ITERATIONS = 60
HALVINGS = 12
"""Of a step after which the power flow has no solution."""


@dataclass(frozen=True)
class Holding:
    """Reactive power of the generators that hold a voltage.

    Attributes:
        q: (H) reactive power, per unit. holds: (H) whether the voltage is held; else a limit came first, or there is
            nothing between the bus and a source, which holds the voltage itself. v: (N) all voltages, of a meshed
            state; None of a radial one.
    """

    q: Floats
    holds: Bools
    v: Complexes | None = None


def hold_voltages(
    network: Network, closed: Bools, terminal: Ints, v: Floats, q: Floats, q_min: Floats, q_max: Floats
) -> Holding | None:
    """The reactive power at which voltages are held; None where none is found or the power flow has no solution.

    Args:
        network: balanced, with loads and generation but that of these generators' reactive power.
        closed: (E) radial state that supplies all buses. terminal: (H) buses, each once. v: (H) voltage to hold.
        q: (H) initial value, also the final one where the voltage cannot be controlled and there is no limit.
        q_min, q_max: (H) limits, infinite where there is none.
    """
    q = np.clip(q, q_min, q_max)
    size, slope = _look(network, closed, terminal, q)
    if size is None or slope is None:
        return None
    stiff = np.abs(slope.diagonal()) < STIFF
    for _ in range(ITERATIONS):
        missing, own = v - size, np.where(stiff, 1.0, slope.diagonal())
        end = np.where(missing > 0.0, q_max, q_min)
        stays = (np.abs(missing) <= TOLERANCE) | np.isinf(end)
        wanted = np.where(stiff, np.where(stays, q, end), q + missing / own)
        bound = (wanted <= q_min) | (wanted >= q_max) | stiff
        step = np.where(bound, np.clip(wanted, q_min, q_max) - q, 0.0)
        if np.abs(np.where(bound, step * own, missing)).max(initial=0.0) <= TOLERANCE:
            return Holding(q, ~bound | (stiff & (np.abs(missing) <= TOLERANCE)))
        free = np.flatnonzero(~bound)
        rest = missing[free] - slope[np.ix_(free, np.flatnonzero(bound))] @ step[bound]
        step[free] = np.linalg.lstsq(slope[np.ix_(free, free)], rest, rcond=None)[0]
        for halving in range(HALVINGS):
            tried = q + step * 0.5**halving
            size, moved = _look(network, closed, terminal, tried)
            if size is not None:
                break
        if size is None:
            return None
        q, slope = tried, slope if moved is None else moved
    return None


def with_reactive(network: Network, terminal: Ints, q: Floats) -> Network:
    """The network with this additional reactive power fed in at these terminals, (H)."""
    return replace(network, s_power=_drawn(network, terminal, q[None, :])[0])


def shared(q: float, low: Floats, high: Floats) -> Floats:
    """Reactive power of those who share it: the same part of each range, or equal parts of those without limits."""
    span = high - low
    if np.isfinite(span).all():
        return np.asarray(low + (q - low.sum()) * span / (span.sum() or 1.0))
    part = np.clip(np.zeros(len(low)), low, high)
    return np.asarray(part + np.where(np.isinf(span), (q - part.sum()) / np.isinf(span).sum(), 0.0))


def _look(network: Network, closed: Bools, terminal: Ints, q: Floats) -> tuple[Floats | None, Floats | None]:
    """(H) voltages at reactive powers, and their (H, H) sensitivities to these; None where there is no solution."""
    rows = np.vstack([q, q + NUDGE * np.eye(len(q))])
    flows = solve(network, closed, s_power=_drawn(network, terminal, rows))
    size = np.abs(flows.v[:, terminal])
    if not flows.converged[0]:
        return None, None
    return size[0], (size[1:] - size[0]).T / NUDGE if flows.converged.all() else None


def _drawn(network: Network, terminal: Ints, q: Floats) -> Complexes:
    """(K, N) constant power with (K, H) fed in."""
    drawn = np.repeat(network.s_power[None, :], len(q), axis=0)
    drawn[:, terminal] -= 1j * q
    return drawn
