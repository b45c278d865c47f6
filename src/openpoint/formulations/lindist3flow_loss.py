"""Losses of LinDist3Flow: convex and quadratic in the flows, around given voltages.

A conductor that carries s has the current i = conj(s / u), with u the internal voltage of its to end, and a branch with
impedance matrix Z = R + jX, symmetric, loses Re(i^H Z i) = i^H R i. With R = F Fᵀ that is

    Σ_k |j_k|²,   j_k = Σ_φ F_φk i_φ        as many terms as R has rank, mutual resistances included
    |j_k|² ≤ x l_k                           x the state of the branch: the perspective of a closed branch

so that the loss Σ l is a cone program, and at x = 0 no current flows. Since the flows themselves contain no losses, the
loss is underestimated by some percent where the grid loses some percent of its load. Magnetising branches lose g |u|²,
independent of the flow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.errors import InputError, Problem
from openpoint.formulations.lindist3flow_deltas import by_branch
from openpoint.formulations.lindist3flow_equations import idle_shunts, internal_voltages, series_impedance
from openpoint.network import Network
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import Cone

# Relative size below which an eigenvalue of a resistance matrix counts as 0.
_RANK = 1e-12
# Relative size of a negative one that rounding in the data explains.
_ROUNDED = 1e-4


@dataclass(frozen=True)
class LossTerms:
    """The loss as a sum of L squares.

    Attributes:
        matrix: (L, E) complex; term k is |(matrix @ s)_k|², in per unit of the base of power of a phase.
        branch: (L) branch of each term.
    """

    matrix: sp.csr_array
    branch: Ints

    def loss(self, s: Complexes) -> Floats:
        """(K) loss of flows (K, E), 0 on open branches."""
        return np.asarray((np.abs(np.asarray(self.matrix @ np.atleast_2d(s).T)) ** 2).sum(axis=0))


def loss_terms(network: Network, v: Complexes) -> LossTerms:
    """The terms of the loss around voltages v (N), per unit.

    Raises:
        InputError: a matrix of resistances that is not positive semidefinite: such a branch would make power.
    """
    weight = 1.0 / np.asarray(internal_voltages(network)[1] @ v)
    r = series_impedance(network).real
    rows: list[Floats] = []
    wrong: list[Problem] = []
    row: list[int] = []
    column: list[int] = []
    branch: list[int] = []
    for conductors in by_branch(network):
        value, vector = np.linalg.eigh(r[conductors][:, conductors].toarray())
        if value.min() < -_ROUNDED * max(value.max(), 0.0):
            kind, name = (names[network.conductor_branch[conductors[0]]] for names in _names(network))
            message = "its resistances are not a positive semidefinite matrix: some currents would make power"
            wrong.append(Problem(kind, name, "r_ohm", message, "Check the order of the phases and the mutual terms"))
        for k in np.flatnonzero(value > _RANK * max(value.max(), 0.0)):
            row += [len(branch)] * len(conductors)
            column += conductors.tolist()
            rows.append(np.sqrt(value[k]) * vector[:, k])
            branch.append(int(network.conductor_branch[conductors[0]]))
    if wrong:
        raise InputError(wrong)
    shape = (len(branch), network.n_conductors)
    data = np.concatenate(rows) if rows else np.empty(0)
    factor = sp.coo_array((data, (np.array(row, dtype=np.int64), np.array(column, dtype=np.int64))), shape=shape)
    return LossTerms(sp.csr_array(factor @ sp.diags_array(weight)), np.array(branch, dtype=np.int64))


def loss_cones(
    terms: LossTerms, closed: cp.Expression, p: cp.Variable, q: cp.Variable
) -> tuple[Cone, cp.Expression, list[cp.Constraint]]:
    """The loss per unit, its cones, and the constraints that link the cones to states and flows.

    Args:
        closed: (B) state of the branches, between 0 and 1, affine.
        p, q: (E) flow.
    """
    count = len(terms.branch)
    along, across, l, state = (cp.Variable(count, name=f"loss_{part}") for part in ("re", "im", "l", "state"))
    real, imaginary = sp.csr_array(terms.matrix.real), sp.csr_array(terms.matrix.imag)
    constraints = [
        along == real @ p - imaginary @ q,
        across == imaginary @ p + real @ q,
        state == closed[terms.branch],
    ]
    return Cone((along, across), l, state), cp.sum(l), constraints


def idle_loss(network: Network, v: Complexes) -> Floats:
    """(B) loss of the magnetising branch of each transformer at voltages v (N) where it is closed, per unit."""
    nothing_floats = np.zeros(network.n_terminals, dtype=np.bool_)
    squares = [np.abs(np.asarray(a @ v)) ** 2 for a in internal_voltages(network)]
    squares[0] = squares[0] / network.tap**2
    each = sum(y.real * square for y, square in zip(idle_shunts(network, nothing_floats), squares))
    loss = np.zeros(len(network.branch_names))
    np.add.at(loss, network.conductor_branch, each)
    return loss


def _names(network: Network) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return network.branch_kinds, network.branch_names
