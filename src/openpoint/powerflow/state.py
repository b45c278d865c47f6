"""The exact AC state of a balanced grid under one topology and one demand, checked by the equations of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.network import Network
from openpoint.network.limits import at_kept_limits, greatest_square, least_square
from openpoint.powerflow.balanced import Flows, FlowStatus, solve
from openpoint.powerflow.check import AcCheck, check_flow
from openpoint.powerflow.meshed import solve_meshed


@dataclass(frozen=True)
class AcState:
    """Exact AC state of a topology.

    Attributes:
        closed: (E) state of the branches. generation: (G) complex injection of dispatchable generators.
        v: (N) complex voltage. i: (E) rated current (`openpoint.network.limits`). s_fr, s_to: (E) power into the
            branch at its ends.
        source_s: (S) power that each source delivers. loss: per unit. check: the independent check of the state.
    """

    closed: Bools
    generation: Complexes
    v: Complexes
    i: Floats
    s_fr: Complexes
    s_to: Complexes
    source_s: Complexes
    loss: float
    check: AcCheck


def ac_state(
    network: Network, closed: Bools, generation: Complexes | None = None, start: Complexes | None = None
) -> AcState | None:
    """Exact AC state of a topology, verified; None where a bus is without supply or no solution exists.

    A radial state is solved by the sweep, another one by Newton's method (`openpoint.powerflow.meshed`), which
    may `start` at given voltages (N).
    """
    generation = network.generator_s if generation is None else generation
    radial = solve(network, closed, generation=generation)
    is_meshed = radial.status[0] == FlowStatus.NOT_RADIAL
    flows = solve_meshed(network, closed, generation, start) if is_meshed else radial
    if flows is None or not flows.converged[0] or not flows.energised[0].all():
        return None
    ends = flows.i_rated[0], flows.s_fr[0], flows.s_to[0], flows.source_s[0]
    check = check_flow(network, closed, flows.v[0], generation=generation)
    return AcState(closed, generation, flows.v[0], *ends, float(flows.loss[0]), check)


@dataclass(frozen=True)
class Ensemble:
    """Exact AC states of one topology under K demands.

    Attributes:
        closed: (E) state of the branches. demand: (K, N) constant power. generation: (K, G) injections.
        v: (K, N) complex voltage, nan where no state exists. i: (K, E) rated current.
        loss: (K) per unit, inf where no state exists. excess: (K) sum of the excesses of the limits.
    """

    closed: Bools
    demand: Complexes
    generation: Complexes
    v: Complexes
    i: Floats
    loss: Floats
    excess: Floats


def ensemble(network: Network, closed: Bools, demand: Complexes, generation: Complexes) -> Ensemble:
    """The states of a topology; there are none if a bus is not connected to a source."""
    flows = solve(network, closed, s_power=demand, generation=generation)
    lost = ~(flows.converged & flows.energised.all(axis=1))
    loss = np.where(lost, np.inf, flows.loss)
    excess = np.where(lost, np.inf, excesses(network, flows))
    return Ensemble(closed, demand, generation, flows.v, flows.i_rated, loss, excess)


def excesses(network: Network, flows: Flows) -> Floats:
    """(K) sum of the excesses of squared voltages and currents, relative to their limits, beyond the tolerance."""
    w, l = np.abs(flows.v) ** 2, flows.i_rated**2
    inner = network.inner
    w_min = np.where(network.w_min > 0, network.w_min, np.nan)
    low = np.where(w < least_square(w_min), 1.0 - w / w_min, 0.0)
    high = np.where(w > greatest_square(network.w_max), w / network.w_max - 1.0, 0.0)
    over = np.where(l > greatest_square(network.l_max), l / network.l_max - 1.0, 0.0)
    return np.asarray(low[:, inner].sum(axis=1) + high[:, inner].sum(axis=1) + over.sum(axis=1))


def margins(network: Network, flows: Flows) -> Floats:
    """(K, M) by how much squared voltages and currents exceed what counts as kept of the M limits, relative to it."""
    kept = at_kept_limits(network)
    inner = network.inner
    low, high = inner[kept.w_min[inner] > 0.0], inner[np.isfinite(kept.w_max[inner])]
    rated = np.flatnonzero(np.isfinite(kept.l_max))
    w, l = np.abs(flows.v) ** 2, np.abs(flows.i_series) ** 2
    parts = [
        1.0 - w[:, low] / kept.w_min[low],
        w[:, high] / kept.w_max[high] - 1.0,
        l[:, rated] / kept.l_max[rated] - 1.0,
    ]
    return np.concatenate(parts, axis=1)


def is_limited(network: Network) -> bool:
    """Whether there is any limit of voltage or current."""
    return bool(np.any(network.w_min > 0) or np.any(np.isfinite(network.w_max)) or np.any(np.isfinite(network.l_max)))
