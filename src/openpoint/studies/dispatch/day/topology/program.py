"""The quadratic program of a node: schedule and recourse with a conductance for every branch that is not open.

    min Σ_i c_i x_i + s_i x_i² + Σ_k π_k s_k Σ_e [ρ (p² + q²) / w + slope (r p + x q)]

with the balances of every copy and the rows of the columns. Its multipliers are those of the bound of a node; columns
of which it is clear where they are best may be left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import clarabel
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.search.kernel.arrays import OPEN, Model
from openpoint.studies.dispatch.day.topology.columns import Columns

ACCURACY = 1e-5
"""Accuracy of the quadratic program, relative."""
REFINED = 1e-6
"""Accuracy from which on the solver refines its linear systems: for multipliers of a search, of which any give a bound,
that takes a fifth of the time and changes the bound by 1e-8."""
LEAST_SQUARE = 1e-9
"""Least coefficient of squared flows in the quadratic program."""


@dataclass(frozen=True)
class Conductances:
    """Terms of the m branches in K copies, see `openpoint.search.kernel.periods.Periods`."""

    square: Floats
    slope: Floats
    current: Floats
    down: Bools


@dataclass(frozen=True)
class Grid:
    """The grid of a program.

    Attributes:
        model: its branches. bus: bus of the network by number in the model. flexible: (K, N) loads of constant current
            and impedance at nominal voltage.
    """

    model: Model
    bus: Ints
    flexible: Complexes


class NodeProgram:
    """The program in one solver, of which only numbers change."""

    def __init__(self, program: Columns, grid: Grid, held: Bools, at: Floats, accuracy: float = ACCURACY) -> None:
        """`held`: (n) columns that are left out, at these values; `accuracy`: relative."""
        self.program, self.grid, self.accuracy = program, grid, accuracy
        model, bus = grid.model, grid.bus
        k, m, n = len(program.copies), len(model.fr), len(bus)
        self.shape = (k, m)
        self.held = held | (program.lower == program.upper)
        self.free = np.flatnonzero(~self.held)
        self.at_held = np.where(held, at, np.where(self.held, program.lower, 0.0))
        fr, to = bus[model.fr], bus[model.to]
        self.fr, self.to = fr, to
        e = np.arange(m)
        one = sp.csr_array((np.repeat([1.0, -1.0], m), (np.concatenate([fr, to]), np.tile(e, 2))), shape=(n, m))
        flows = sp.kron(sp.eye_array(2 * k), one, format="csr")
        size, count = 2 * k * m, len(self.free)
        some = program.a[:, self.free]
        rows = np.diff(sp.csr_array(some).indptr) > 0
        self.rows = np.flatnonzero(rows)
        equations = self.rows[self.rows < program.n_zero]
        others = self.rows[self.rows >= program.n_zero]
        eye = sp.eye_array(count, format="csr")
        blank = sp.csr_array((len(others), size))
        stack = [
            [program.balance[:, self.free], flows],
            [some[equations], sp.csr_array((len(equations), size))],
            [some[others], blank],
            [-eye, sp.csr_array((count, size))],
            [eye, sp.csr_array((count, size))],
        ]
        self.a = sp.csc_matrix(sp.block_array(stack, format="csc"))
        self.a.sort_indices()
        side = program.b - program.a @ self.at_held
        self.base = (
            -program.fixed.ravel()
            - program.balance @ self.at_held
            - np.concatenate([grid.flexible.real, grid.flexible.imag], axis=1).ravel()
        )
        self.b = np.concatenate(
            [self.base, side[equations], side[others], -program.lower[self.free], program.upper[self.free]]
        )
        self.n_zero = 2 * k * n + len(equations)
        self.column_start = self.a.indptr[count:]
        self.solver: clarabel.DefaultSolver | None = None

    def solve(
        self, status: States, terms: Conductances, costs: tuple[Floats, Floats], scales: Floats
    ) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        """Columns, (K, m) active and reactive flows, (K, N) multipliers of both balances, and those of the rows.

        Args:
            costs: (n) linear and squared. scales: (K) $ per unit of power of the copies.
        """
        program, model, (k, m), count = self.program, self.grid.model, self.shape, len(self.free)
        shut, scale, (cost, curve) = status == OPEN, scales[:, None], costs
        square = np.where(shut, 1.0, np.maximum(scale * np.maximum(terms.square, LEAST_SQUARE), 1e-12))
        both = np.stack([square, square], axis=1).ravel()
        diagonal = 2.0 * np.concatenate([curve[self.free], both])
        slope = np.where(shut, 0.0, scale * terms.slope)
        linear = np.concatenate([cost[self.free], np.stack([slope * model.r, slope * model.x], axis=1).ravel()])
        data = self.a.data.copy()
        closed = np.tile(np.where(shut, 0.0, 1.0), 2 * k)
        data[self.column_start[0] :] *= np.repeat(closed, np.diff(self.column_start))
        n = len(self.grid.bus)
        lost = np.zeros((k, 2, n))
        current = np.where(shut, 0.0, terms.current)
        for part, z in enumerate((model.r, model.x)):
            for end, here in ((self.to, terms.down), (self.fr, ~terms.down)):
                np.add.at(lost[:, part].T, end, (z * current * here).T)
        b = self.b.copy()
        b[: 2 * k * n] -= lost.ravel()
        a = sp.csc_matrix((data, self.a.indices, self.a.indptr), shape=self.a.shape)
        quadratic = sp.csc_matrix(sp.diags_array(diagonal))
        settings = clarabel.DefaultSettings()
        settings.verbose, settings.presolve_enable, settings.max_threads = False, False, 1
        settings.tol_feas = settings.tol_gap_abs = settings.tol_gap_rel = self.accuracy
        settings.iterative_refinement_enable = self.accuracy <= REFINED
        cones = [clarabel.ZeroConeT(self.n_zero), clarabel.NonnegativeConeT(len(b) - self.n_zero)]
        if self.solver is None:
            self.solver = clarabel.DefaultSolver(quadratic, linear, a, b, cones, settings)
        else:
            self.solver.update(P=quadratic, q=linear, A=a, b=b)
        answer = self.solver.solve()
        values, z = np.array(answer.x), np.array(answer.z)
        x = self.at_held.copy()
        x[self.free] = values[:count]
        flows = values[count:].reshape(k, 2, m)
        prices = z[: 2 * k * n].reshape(k, 2, n) / np.maximum(scales, 1e-12)[:, None, None]
        nu = np.zeros(len(program.b))
        nu[self.rows] = z[2 * k * n : 2 * k * n + len(self.rows)]
        self.status = str(answer.status)
        return x, flows[:, 0], flows[:, 1], prices[:, 0].copy(), prices[:, 1].copy(), nu
