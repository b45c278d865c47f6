"""Lower bounds of a day in which some branches are closed, some open and the others undecided.

**What is bounded.** Realisations of days have weights that sum to 1; then copy k = (t, v), period t in realisation v,
counts π_k, with Σ_v π_(t, v) = 1. The worst day costs at least the weighted mean of these days, so

    min over schedules x of  c(x) + Σ_k π_k q_k(x)

with q_k the least cost of the recourse, is a lower bound of the worst case of every plan. A radial state that agrees
with the node costs at least that with its own flows.

**The bound.** With multipliers y, μ of the balances of active and reactive power of every copy, the flow of any such
radial state, losses and voltages included, adds at least h_k(y, μ) in closed form (`openpoint.search.kernel.bound`),
whatever the net loads are. What is left is linear in the columns x but for squares, and is least column by column:

    Σ_k π_k s_k (h_k + y·P_k + μ·Q_k) + Σ_i min_{l_i ≤ x_i ≤ u_i} (c + Bᵀ(π s y) + Aᵀν)_i x_i + σ_i x_i² − ν·b

for any multipliers ν of the rows, not negative where these are inequalities. No accuracy of a solver enters.

**The multipliers** are those of a quadratic program in which every branch that is not open is a conductance, see
`openpoint.search.kernel.periods`; it is solved once or twice at a node, with the terms of the last bound. The bound is
smooth in the multipliers of a copy and greatest at those of its own flow, so that an error of 5 % in differences of
prices costs 0.25 % of the loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import clarabel
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.formulations.day_bounds import day_voltage_bounds
from openpoint.formulations.hour import without_generators
from openpoint.network.day import load_factors
from openpoint.powerflow.ensemble import LIMIT_TOLERANCE
from openpoint.search.kernel.arrays import CLOSED, OPEN, Model, work_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.kernel.periods import Periods, bounds_of_periods, sum_of_periods
from openpoint.search.model.build import build_model
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.topology.columns import Columns, Copy, columns

TOLERANCE = 1e-7
"""Accuracy of the quadratic program, relative."""
LEAST_PRICE = 1e-4
"""Least price of energy that multipliers begin with, $/kWh."""
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
class NodeBound:
    """The bound of a node.

    Attributes:
        value: in $. conductances: for the next program. x: columns of the program. p, q: (K, m) its flows.
        y, mu: (K, N) multipliers of the balances, by bus of the network. nu: those of the rows.
    """

    value: float
    conductances: Conductances
    x: Floats
    p: Floats
    q: Floats
    y: Floats
    mu: Floats
    nu: Floats


class DayRelaxation:
    """Bounds of nodes with the same weights of the same copies."""

    def __init__(self, question: DayQuestion, copies: tuple[Copy, ...], weights: Floats) -> None:
        """`weights`: (K) of the copies, those of a period sum to 1."""
        net, day = question.network, question.day
        self.question = question
        self.columns: Columns = columns(question, copies)
        self.model, self.branch, self.bus = search_model(question)
        self.work = work_for(self.model)
        self.scale = np.empty(len(copies))
        self.weigh(weights)
        self.first = self._first()
        k, m, n = len(copies), len(self.branch), net.n_terminals
        factor = [load_factors(day, c.realisation) for c in copies]
        current = np.array([net.s_current + day.load_current[c.period] * f for c, f in zip(copies, factor)])
        steady = np.array([net.s_impedance + day.load_impedance[c.period] * f for c, f in zip(copies, factor)])
        self.flexible = current + steady
        self.periods = Periods(
            **{name: np.zeros((k, n)) for name in ("y", "mu")},
            **{
                name: np.ascontiguousarray(part[:, self.bus])
                for name, part in (
                    ("p_v", current.real),
                    ("q_v", current.imag),
                    ("p_w", steady.real),
                    ("q_w", steady.imag),
                )
            },
            scale=self.scale,
            value=np.zeros(k),
            **{name: np.zeros((k, m)) for name in ("p_flow", "q_flow", "square", "slope", "current")},
            down=np.zeros((k, m), dtype=np.bool_),
        )
        self._from_prices = sp.csr_array(self.columns.balance.T)
        self._from_rows = sp.csr_array(self.columns.a.T)
        self.absolute_balance = abs(self.columns.balance)
        self._program = _Program(self)

    def weigh(self, weights: Floats) -> None:
        """Give the copies other weights (K)."""
        self.weights = weights
        self.cost, self.square = self.columns.costs(weights)
        self.scale[:] = weights * self.columns.scale
        self.constant = self.columns.constant + float(weights @ self.columns.constants)

    def bound(self, status: States, start: Conductances | None = None, iterations: int = 1) -> NodeBound | None:
        """The bound of a node (m), after which `status` has its consequences; None where no radial state is left."""
        if not self.propagate(status):
            return None
        terms, best = start or self.first, None
        for _ in range(iterations):
            x, p, q, y, mu, nu = self._program.solve(status, terms)
            found = self._evaluate(x, p, q, y, mu, nu, self._changes(status))
            terms = found.conductances
            if best is None or found.value > best.value:
                best = found
        return best

    def propagate(self, status: States) -> bool:
        """Write the consequences of states (m) into them; False where no radial state is left."""
        self.work.status[:] = status
        if not propagate(self.model, self.work):
            return False
        status[:] = self.work.status
        return True

    def _changes(self, status: States) -> float:
        """Least cost of switch operations: C − n + 2 k of them, with k the branches that are open today and close."""
        net = self.question.network
        count = int(net.closed.sum()) - self.model.n + 2 * int(((status == CLOSED) & self.model.swap).sum())
        return self.question.cost.change * net.s_base_kva * max(count, 0)

    def _evaluate(
        self, x: Floats, p: Floats, q: Floats, y: Floats, mu: Floats, nu: Floats, changes: float
    ) -> NodeBound:
        periods = self.periods
        y, mu = self._at_sources(y, mu)
        periods.p_flow[:], periods.q_flow[:] = p, q
        least = np.maximum(self._price(), LEAST_PRICE)[:, None]
        for tried in range(3):
            periods.y[:], periods.mu[:] = y[:, self.bus], mu[:, self.bus]
            bounds_of_periods(self.model, self.work, periods)
            lost = ~np.isfinite(periods.value)
            if not lost.any():
                break
            # Where energy is worth nothing, rounding makes losses cheaper than nothing: multipliers above 0 instead.
            y[lost] = np.maximum(y, 1e-2 * least)[lost] if tried == 0 else least[lost]
            mu[lost] = np.clip(mu, -0.1 * y, 0.1 * y)[lost] if tried == 0 else 0.0
        y[:, self.bus], mu[:, self.bus] = periods.y, periods.mu
        nu = np.where(np.arange(len(nu)) < self.columns.n_zero, nu, np.maximum(nu, 0.0))
        total = changes + self._total(float(self.scale @ periods.value), y, mu, nu)
        terms = Conductances(periods.square.copy(), periods.slope.copy(), periods.current.copy(), periods.down.copy())
        return NodeBound(total, terms, x, p, q, y, mu, nu)

    def value_at(self, status: States, found: NodeBound, y_more: Floats, mu_more: Floats) -> float:
        """The bound of states (m) at the multipliers of another node's bound and more."""
        y, mu = self._at_sources(found.y + y_more, found.mu + mu_more)
        status = status.copy()
        if not self.propagate(status):
            return math.inf
        self.periods.y[:], self.periods.mu[:] = y[:, self.bus], mu[:, self.bus]
        total = sum_of_periods(self.model, self.work, self.periods)
        y[:, self.bus], mu[:, self.bus] = self.periods.y, self.periods.mu
        return self._changes(status) + self._total(total, y, mu, found.nu) if math.isfinite(total) else -math.inf

    def _total(self, flows: float, y: Floats, mu: Floats, nu: Floats) -> float:
        """The bound with that of the flows, see the module."""
        program = self.columns
        prices = np.concatenate([y, mu], axis=1) * self.scale[:, None]
        reduced = self.cost + self._from_prices @ prices.ravel() + self._from_rows @ nu
        at = _where_least(reduced, self.square, program.lower, program.upper)
        total = self.constant + flows + float((prices * program.fixed).sum())
        total += float(reduced @ at + self.square @ at**2) - float(nu @ program.b)
        return total - 1e-9 * abs(total)

    def costs_of_copies(self, found: NodeBound) -> tuple[float, Floats]:
        """Cost of the first stage and (K) of the copies at a solution of the program."""
        program, x = self.columns, found.x
        each = program.cost * x + program.square * x**2
        costs = np.bincount(program.owner + 1, each, minlength=len(program.copies) + 1)
        return float(costs[0]) + program.constant, costs[1:] + program.constants

    def _at_sources(self, y: Floats, mu: Floats) -> tuple[Floats, Floats]:
        """Multipliers at which the power of sources without limits costs nothing more or less."""
        day, supply, at = self.question.day, self.question.supply, self.question.network.source_terminal
        t = np.array([c.period for c in self.columns.copies])
        for s, bus in enumerate(at):
            if np.isinf(supply.s_max[s]) and np.isinf(supply.p_max[s]) and np.isinf(supply.p_min[s]):
                y[:, bus] = np.clip(y[:, bus], day.export_price[t, s], day.source_price[t, s])
            if np.isinf(supply.s_max[s]) and np.isinf(supply.q_max[s]) and np.isinf(supply.q_min[s]):
                mu[:, bus] = 0.0
        return y, mu

    def _price(self) -> Floats:
        """(K) mean price of the sources."""
        t = np.array([c.period for c in self.columns.copies])
        return np.asarray(self.question.day.source_price[t].mean(axis=1))

    def _first(self) -> Conductances:
        """Terms before anything is known: loss at the price of the sources, nominal voltage."""
        price = np.maximum(self._price() + self.model.loss_price, LEAST_PRICE)
        square = np.outer(price, self.model.r) + self.model.current_price
        zero = np.zeros_like(square)
        return Conductances(square, zero, zero, zero.astype(np.bool_))


class _Program:
    """The quadratic program of a relaxation in one solver, of which only numbers change."""

    def __init__(self, relaxation: DayRelaxation) -> None:
        self.of = relaxation
        program, model, bus = relaxation.columns, relaxation.model, relaxation.bus
        k, m, n = len(program.copies), len(relaxation.branch), len(bus)
        self.shape = (k, m)
        self.held = program.lower == program.upper
        self.free = np.flatnonzero(~self.held)
        self.at_held = np.where(self.held, program.lower, 0.0)
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
            - np.concatenate([relaxation.flexible.real, relaxation.flexible.imag], axis=1).ravel()
        )
        self.b = np.concatenate(
            [self.base, side[equations], side[others], -program.lower[self.free], program.upper[self.free]]
        )
        self.n_zero = 2 * k * n + len(equations)
        self.column_start = self.a.indptr[count:]
        self.solver: clarabel.DefaultSolver | None = None

    def solve(self, status: States, terms: Conductances) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        """Columns, (K, m) active and reactive flows, (K, N) multipliers of both balances, and those of the rows."""
        of, (k, m) = self.of, self.shape
        program, model, count = of.columns, of.model, len(self.free)
        shut = status == OPEN
        scale = of.scale[:, None]
        square = np.where(shut, 1.0, np.maximum(scale * np.maximum(terms.square, LEAST_SQUARE), 1e-12))
        both = np.stack([square, square], axis=1).ravel()
        diagonal = 2.0 * np.concatenate([of.square[self.free], both])
        slope = np.where(shut, 0.0, scale * terms.slope)
        linear = np.concatenate([of.cost[self.free], np.stack([slope * model.r, slope * model.x], axis=1).ravel()])
        data = self.a.data.copy()
        closed = np.tile(np.where(shut, 0.0, 1.0), 2 * k)
        data[self.column_start[0] :] *= np.repeat(closed, np.diff(self.column_start))
        n = len(of.bus)
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
        settings.tol_feas = settings.tol_gap_abs = settings.tol_gap_rel = TOLERANCE
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
        prices = z[: 2 * k * n].reshape(k, 2, n) / np.maximum(of.scale, 1e-12)[:, None, None]
        nu = np.zeros(len(program.b))
        nu[self.rows] = z[2 * k * n : 2 * k * n + len(self.rows)]
        self.status = str(answer.status)
        return x, flows[:, 0], flows[:, 1], prices[:, 0].copy(), prices[:, 1].copy(), nu


def _where_least(slope: Floats, square: Floats, lower: Floats, upper: Floats) -> Floats:
    """Where slope x + square x² is least in a range."""
    curved = square > 0.0
    inner = np.where(curved, -0.5 * slope / np.where(curved, square, 1.0), np.where(slope > 0.0, lower, upper))
    return np.clip(inner, lower, upper)


def search_model(question: DayQuestion) -> tuple[Model, Ints, Ints]:
    """The search model of the grid without loads and generators, its branches and its buses."""
    net, day = question.network, question.day
    nothing = np.zeros_like(net.s_power)
    bare = replace(without_generators(net), s_power=nothing, s_current=nothing, s_impedance=nothing)
    model, numbering = build_model(
        bare, must_close=question.must_close, must_open=question.must_open, max_changes=question.max_changes
    )
    low, high = day_voltage_bounds(net, day, question.devices, limits=True)
    held = net.source_terminal
    low, high = low * (1.0 - LIMIT_TOLERANCE) ** 2, high * (1.0 + LIMIT_TOLERANCE) ** 2
    low[held] = high[held] = np.abs(net.source_v) ** 2
    current = bool(day.load_current.any() or net.s_current.any())
    steady = bool(day.load_impedance.any() or net.s_impedance.any())
    cost = question.cost
    price = np.broadcast_to(cost.current, net.n_conductors)[numbering.branch]
    loss_price = cost.loss
    worth = model.worth * loss_price
    model = replace(
        model,
        w_min=low[numbering.bus],
        w_max=high[numbering.bus],
        loss_price=loss_price,
        worth=worth,
        current_price=np.ascontiguousarray(price),
        currents=model.currents or current,
        shunts=model.shunts or steady,
    )
    return model, numbering.branch, numbering.bus
