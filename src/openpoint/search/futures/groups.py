"""Groups of the steps of a year, so that few futures bound the energy lost in all steps.

**The bound.** Let θ_t(x) be the loss of a radial state x in step t with demand s_t, and h_t the hours of the step. At a
node of the search, and at multipliers held fixed, the bound of the loss of its completions is

    b(s) = Σ_j (P_j y_j + Q_j μ_j) − c(y, μ, ν, φ, σ)          (`openpoint.search.kernel.bound`)

where c contains the greatest voltages, the limits and the loads that are no constant power, but no P and no Q. So b is
affine in the demand, and b(s_t) <= θ_t(x) for every completion x that keeps the limits in step t, if the voltages in c
hold in step t. Let the steps be divided into groups g with H_g = Σ h_t and mean demand m_g = Σ h_t s_t / H_g. Then for
each group, at multipliers of its own,

    H_g b(m_g) = Σ_{t in g} h_t b(s_t) <= Σ_{t in g} h_t θ_t(x)

and the sum over the groups is a lower bound of the energy lost. It is the bound of futures with the demands m_g and the
probabilities H_g / Σ H, so that the search for many futures takes it as it is, with two conditions: its caps of the
voltages are those of the least demand of every bus and of the greatest loss in any *step*, and the states that it ends
at are evaluated in all steps. Limits of voltage and current add terms with φ and σ to c, which are affine likewise.

**What it loses.** The best multipliers are other ones in every step, so that the bound at the mean is less than the
mean of the bounds (Jensen). The loss is nearly quadratic in the demand. With G the loss of the flows that the demands
cause on a tree at nominal voltage, what is lost is about the scatter Σ_g Σ_t h_t (s_t − m_g)ᴴ G (s_t − m_g). So groups
are divided, that of the largest scatter first, across the direction in which it scatters most. Which tree G is taken
from changes the groups, and never the validity of the bound.

Theory: docs/methods.md M17.
"""

from __future__ import annotations

import heapq
import itertools

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.powerflow.balanced import solve

KEPT = 1e-7
"""Share of the scatter of all steps in the directions that are left out where groups are formed."""
TINY = 1e-4
"""Demands are scaled to that share of their size to find the flows that they cause without losses."""


def loss_form(network: Network, closed: Bools, shares: Complexes) -> Floats:
    """(d, d) matrix G: demands uᵀ shares lose about uᵀ G u on a tree, at nominal voltage and without losses of losses.

    Args:
        network: of constant power only for what is asked here. closed: (E) a tree. shares: (d, N) demands.
    """
    size = max(float(np.abs(shares).sum(axis=1).max(initial=0.0)), 1e-12)
    none = np.zeros(network.n_terminals, dtype=np.complex128)
    idle = np.zeros(len(network.generator_terminal), dtype=np.complex128)
    rows = np.vstack([none[None, :], shares * (TINY / size)])
    flows = solve(network, closed, s_power=rows, s_current=none, s_impedance=none, generation=idle)
    caused = np.nan_to_num(flows.i_series[1:] - flows.i_series[0]) * (size / TINY)
    return np.asarray(((caused * network.r) @ caused.conj().T).real)


def coordinates(profile: Floats, form: Floats, hours: Floats) -> Floats:
    """(T, k) coordinates of the steps in which squared distances are losses; directions of no weight are left out."""
    value, vector = np.linalg.eigh(form)
    points = profile @ (vector * np.sqrt(np.maximum(value, 0.0)))
    points = points - np.average(points, axis=0, weights=hours)
    spread, axes = np.linalg.eigh((points * hours[:, None]).T @ points)
    beyond = np.cumsum(np.maximum(spread, 0.0))
    return np.asarray(points @ axes[:, beyond >= KEPT * beyond[-1]])


def group_steps(points: Floats, hours: Floats, count: int, single: Ints) -> Ints:
    """(T) number of the group of each step: each of `single` by itself, the others in at most `count` groups.

    Args:
        points: (T, k) coordinates of the steps. hours: (T) their lengths. single: steps that are groups of their own.
    """
    label = np.full(len(points), -1, dtype=np.int64)
    label[single] = np.arange(len(single))
    rest = np.flatnonzero(label < 0)
    made = itertools.count()
    heap = [_measured(points, hours, rest, next(made))] if len(rest) else []
    while len(heap) < count and heap and heap[0][0] < 0.0:
        _, number, members, axis = heapq.heappop(heap)
        along = points[members] @ axis
        upper = along > np.average(along, weights=hours[members])
        if not upper.any() or upper.all():
            heapq.heappush(heap, (0.0, number, members, axis))
            continue
        for part in (members[upper], members[~upper]):
            heapq.heappush(heap, _measured(points, hours, part, next(made)))
    for number, (_, _, members, _) in enumerate(heap):
        label[members] = len(single) + number
    return label


def _measured(points: Floats, hours: Floats, members: Ints, number: int) -> tuple[float, int, Ints, Floats]:
    """Less the scatter of a group, its number, its members, and the direction in which it scatters most."""
    weight = hours[members, None]
    away = points[members] - (weight * points[members]).sum(axis=0) / weight.sum()
    spread, axes = np.linalg.eigh((away * weight).T @ away)
    return -float(np.maximum(spread, 0.0).sum()), number, members, axes[:, -1]


def means(profile: Floats, hours: Floats, label: Ints) -> tuple[Floats, Floats]:
    """(K, d) mean profile of every group, and (K) its hours."""
    total = np.asarray(np.bincount(label, hours), dtype=np.float64)
    mean = np.stack([np.bincount(label, hours * column) for column in profile.T], axis=1)
    return np.asarray(mean / total[:, None]), total
