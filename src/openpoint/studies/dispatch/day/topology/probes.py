"""Bounds of a node with one more branch open, without another program.

Opening branch e sends its power over other ways. With the conductances of the node's program, u = L⁻¹ b_e and the
resistance R = b_e·u between its ends, the multipliers that belong to the rerouted power are

    y' = y − u p_e / (1 − G_e R)

in every copy, and μ' likewise. A bus whose output is between its limits in the program keeps its multiplier, or moves
it by the curvature of its cost: it is tied to the ground in L. The bound at y', μ' is rigorous like any other, and near
that of a program of its own, since plans hardly change where one branch opens.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats, States
from openpoint.search.kernel.arrays import OPEN, UNDECIDED
from openpoint.studies.dispatch.day.topology.relaxation import LEAST_SQUARE, DayRelaxation, NodeBound

INNER = 1e-4
"""Share of its range by which an output is off its limits where it counts as free."""
LEAST_REST = 1e-7
"""Least share of the power of a branch that finds no other way; 0 at a bridge."""
TIED = 1e4
"""Conductance that holds a multiplier, in units of the largest of a branch."""


def probe(relaxation: DayRelaxation, status: States, found: NodeBound) -> Floats:
    """(m) bounds with an undecided branch open; inf where no radial state is left.

    Args:
        status: (m) of the node. found: its bound.
    """
    bounds = np.full(len(status), found.value)
    count, model, n = len(relaxation.scale), relaxation.model, relaxation.model.n
    conductance = np.where(status != OPEN, 0.5 / np.maximum(found.conductances.square, LEAST_SQUARE), 0.0)
    inverse = [_inverse(relaxation, conductance, tie) for tie in _ties(relaxation, found, conductance)]
    fr, to = np.minimum(model.fr, n), np.minimum(model.to, n)
    trial = status.copy()
    for e in np.flatnonzero(status == UNDECIDED).tolist():
        moved = []
        for matrix, flow in zip(inverse, (found.p, found.q), strict=True):
            u = matrix[:, :, fr[e]] - matrix[:, :, to[e]]
            rest = np.maximum(1.0 - conductance[:, e] * (u[:, fr[e]] - u[:, to[e]]), LEAST_REST)
            step = np.zeros((count, len(relaxation.bus)))
            step[:, relaxation.bus[:n]] = -u[:, :n] * (flow[:, e] / rest)[:, None]
            moved.append(step)
        trial[e] = OPEN
        bounds[e] = max(bounds[e], relaxation.value_at(trial, found, moved[0], moved[1]))
        trial[e] = UNDECIDED
    return bounds


def _inverse(relaxation: DayRelaxation, conductance: Floats, ties: Floats) -> Floats:
    """(K, n + 1, n + 1) inverses of the Laplacians of the copies with ties, the sources as the last bus."""
    model, n = relaxation.model, relaxation.model.n
    fr, to = np.minimum(model.fr, n), np.minimum(model.to, n)
    laplacian = np.zeros((len(conductance), n + 1, n + 1))
    for a, b, sign in ((fr, fr, 1.0), (to, to, 1.0), (fr, to, -1.0), (to, fr, -1.0)):
        np.add.at(laplacian.transpose(1, 2, 0), (a, b), (sign * conductance).T)
    here = np.arange(n)
    laplacian[:, here, here] += ties[:, relaxation.bus[:n]]
    whole = np.zeros_like(laplacian)
    whole[:, :n, :n] = np.linalg.inv(laplacian[:, :n, :n])
    return whole


def _ties(relaxation: DayRelaxation, found: NodeBound, conductance: Floats) -> tuple[Floats, Floats]:
    """(K, N) conductances to the ground, of active and of reactive power."""
    columns, span = relaxation.columns, relaxation.columns.upper - relaxation.columns.lower
    inner = (found.x - columns.lower > INNER * span) & (columns.upper - found.x > INNER * span) & (span > 0.0)
    curved = inner & (columns.square > 0.0)
    rigid = (inner & ~curved).astype(np.float64)
    shape = (len(relaxation.scale), 2, len(relaxation.bus))
    size = relaxation.absolute_balance
    held = (size @ rigid).reshape(shape)
    scale = np.maximum(relaxation.columns.scale, 1e-12)[:, None, None]
    slack = np.where(curved, 0.5 / np.where(curved, columns.square, 1.0), 0.0)
    ties = (size @ slack).reshape(shape) * scale
    ties += TIED * conductance.max() * np.minimum(held, 1.0)
    return ties[:, 0], ties[:, 1]
