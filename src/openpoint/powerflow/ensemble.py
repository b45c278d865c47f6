"""Ensembles: exact AC states of one topology under many demands, with their losses and violations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.network import Network
from openpoint.powerflow.balanced import Flows, solve

LIMIT_TOLERANCE = 1e-6
"""Relative excess up to which a limit counts as kept: the accuracy of the cone program, far finer than any meter's."""


@dataclass(frozen=True)
class Ensemble:
    """Exact AC states of one topology under K demands.

    Attributes:
        closed: (E) state of the branches. demand: (K, N) constant power. generation: (K, G) injections.
        v: (K, N) complex voltage, nan where no state exists. i: (K, E) series current.
        loss: (K) per unit, inf where no state exists. excess: (K) sum of the excesses of the limits.
    """

    closed: Bools
    demand: Complexes
    generation: Complexes
    v: Complexes
    i: Complexes
    loss: Floats
    excess: Floats


def ensemble(network: Network, closed: Bools, demand: Complexes, generation: Complexes) -> Ensemble:
    """The states of a topology; there are none if a bus is not connected to a source."""
    flows = solve(network, closed, s_power=demand, generation=generation)
    lost = ~(flows.converged & flows.energised.all(axis=1))
    loss = np.where(lost, np.inf, flows.loss)
    excess = np.where(lost, np.inf, excesses(network, flows))
    return Ensemble(closed, demand, generation, flows.v, flows.i_series, loss, excess)


def excesses(network: Network, flows: Flows) -> Floats:
    """(K) sum of the excesses of squared voltages and currents, relative to their limits, beyond the tolerance."""
    w, l = np.abs(flows.v) ** 2, np.abs(flows.i_series) ** 2
    most = (1.0 + LIMIT_TOLERANCE) ** 2
    inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    w_min = np.where(network.w_min > 0, network.w_min, np.nan)
    low = np.where(w < w_min * (1.0 - LIMIT_TOLERANCE) ** 2, 1.0 - w / w_min, 0.0)
    high = np.where(w > network.w_max * most, w / network.w_max - 1.0, 0.0)
    over = np.where(l > network.l_max * most, l / network.l_max - 1.0, 0.0)
    return np.asarray(low[:, inner].sum(axis=1) + high[:, inner].sum(axis=1) + over.sum(axis=1))


def is_limited(network: Network) -> bool:
    """Whether there is any limit of voltage or current."""
    return bool(np.any(network.w_min > 0) or np.any(np.isfinite(network.w_max)) or np.any(np.isfinite(network.l_max)))
