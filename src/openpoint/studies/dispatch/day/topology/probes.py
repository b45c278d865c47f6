"""Bounds of a node with one more branch open, without another program.

Opening branch e sends its power over other ways. With the conductances of the node's program, u = L⁻¹ b_e and the
resistance R = b_e·u between its ends, the multipliers that belong to the rerouted power are

    y' = y − u p_e / (1 − G_e R)

in every copy, and μ' likewise. A bus whose output is between its limits in the program keeps its multiplier, or moves
it by the curvature of its cost: it is tied to the ground in L. What is scheduled hardly changes where one branch opens.
Recourse of small range, such as load that moves between buses, soon reaches its limits instead, and its buses are then
not tied. Both are tried, and the greater bound counts: it is rigorous at any multipliers.
"""

from __future__ import annotations

import math

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.search.kernel.arrays import OPEN, UNDECIDED
from openpoint.studies.dispatch.day.topology.program import LEAST_SQUARE
from openpoint.studies.dispatch.day.topology.relaxation import LEAST_PRICE, DayRelaxation, NodeBound

INNER = 1e-4
"""Share of its range by which an output is off its limits where it counts as free."""
FREE = 30.0
"""Ratio of this share to the reduced cost, as a share of the price of energy, from which on it counts as free: at the
accuracy of the program an output that belongs at a limit is a little off it."""
LEAST_REST = 1e-7
"""Least share of the power of a branch that finds no other way; 0 at a bridge."""
TIED = 1e4
"""Conductance that holds a multiplier, in units of the largest of a branch."""


def probe(relaxation: DayRelaxation, status: States, found: NodeBound, cutoff: float = math.inf) -> Floats:
    """(m) bounds with an undecided branch open; inf where no radial state is left.

    Args:
        status: (m) of the node. found: its bound. cutoff: a bound that reaches it need not be the greater of the two.
    """
    bounds = np.full(len(status), found.value)
    count, model, n = len(relaxation.scale), relaxation.model, relaxation.model.n
    conductance = np.where(status != OPEN, 0.5 / np.maximum(found.conductances.square, LEAST_SQUARE), 0.0)
    scheduled, free = relaxation.columns.owner < 0, _free(relaxation, found)
    held = [free, free & scheduled] if (free & ~scheduled).any() else [free]
    potentials = _Potentials(relaxation, conductance)
    fr, to = np.minimum(model.fr, n), np.minimum(model.to, n)
    inner = relaxation.bus[:n]
    for some in held:
        left = np.flatnonzero((status == UNDECIDED) & (bounds < cutoff))
        if not len(left):
            break
        moved = list[Floats]()
        for tie, flow in zip(_ties(relaxation, some, conductance), (found.p, found.q), strict=True):
            u = potentials.at(tie, left)  # (K, n + 1, B)
            here = np.arange(len(left))
            rest = np.maximum(1.0 - conductance[:, left] * (u[:, fr[left], here] - u[:, to[left], here]), LEAST_REST)
            step = np.zeros((len(left), count, len(relaxation.bus)))
            step[:, :, inner] = (-u[:, :n] * (flow[:, left] / rest)[:, None]).transpose(2, 0, 1)
            moved.append(step)
        bounds[left] = np.maximum(bounds[left], relaxation.values_opened(status, found, left, moved[0], moved[1]))
    return bounds


class _Potentials:
    """What a unit of power sent from one end of a branch to the other does to the multipliers."""

    def __init__(self, relaxation: DayRelaxation, conductance: Floats) -> None:
        """`conductance`: (K, m) of all branches in the copies."""
        model, n = relaxation.model, relaxation.model.n
        self._ends = np.minimum(model.fr, n), np.minimum(model.to, n)
        fr, to = self._ends
        self._laplacian = np.zeros((len(conductance), n + 1, n + 1))
        for a, b, sign in ((fr, fr, 1.0), (to, to, 1.0), (fr, to, -1.0), (to, fr, -1.0)):
            np.add.at(self._laplacian.transpose(1, 2, 0), (a, b), (sign * conductance).T)
        self._bus = relaxation.bus[:n]
        self._known = list[tuple[Floats, Ints, Floats]]()

    def at(self, ties: Floats, branches: Ints) -> Floats:
        """(K, n + 1, B) for some branches, with (K, N) conductances from the buses to the ground; the sources are the
        last bus."""
        for before, of, potential in self._known:
            if np.array_equal(of, branches) and np.array_equal(before, ties):
                return potential
        n, here = len(self._bus), np.arange(len(self._bus))
        sent, (fr, to) = np.zeros((n + 1, len(branches))), self._ends
        np.add.at(sent, (fr[branches], np.arange(len(branches))), 1.0)
        np.add.at(sent, (to[branches], np.arange(len(branches))), -1.0)
        tied = self._laplacian[:, :n, :n].copy()
        tied[:, here, here] += ties[:, self._bus]
        potential = np.zeros((len(tied), n + 1, len(branches)))
        potential[:, :n] = np.linalg.solve(tied, np.broadcast_to(sent[:n], (len(tied), *sent[:n].shape)))
        self._known.append((ties, branches, potential))
        return potential


def _free(relaxation: DayRelaxation, found: NodeBound) -> Bools:
    """(n) columns that are between their limits in the program."""
    columns, x = relaxation.columns, found.x
    span = columns.upper - columns.lower
    room = np.minimum(x - columns.lower, columns.upper - x)
    slope = np.abs(relaxation.reduced(found) + 2.0 * relaxation.square * x)
    worth = relaxation.scale * np.maximum(relaxation.price(), LEAST_PRICE)
    unit = np.append(worth, worth.mean())[columns.owner]
    return np.asarray((span > 0.0) & (room > INNER * span) & (room * unit > FREE * slope * span))


def _ties(relaxation: DayRelaxation, free: Bools, conductance: Floats) -> tuple[Floats, Floats]:
    """(K, N) conductances to the ground, of active and of reactive power, of the buses of free columns."""
    columns = relaxation.columns
    curved = free & (columns.square > 0.0)
    rigid = (free & ~curved).astype(np.float64)
    shape = (len(relaxation.scale), 2, len(relaxation.bus))
    size = relaxation.absolute_balance
    held = (size @ rigid).reshape(shape)
    scale = np.maximum(relaxation.columns.scale, 1e-12)[:, None, None]
    slack = np.where(curved, 0.5 / np.where(curved, columns.square, 1.0), 0.0)
    ties = (size @ slack).reshape(shape) * scale
    ties += TIED * conductance.max() * np.minimum(held, 1.0)
    return ties[:, 0], ties[:, 1]
