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

Theory: docs/methods.md M38.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import clarabel
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.formulations.hour import without_generators
from openpoint.formulations.schedule import day_voltage_bounds
from openpoint.network.day import load_factors, scaled
from openpoint.search.kernel.arrays import CLOSED, OPEN, Model, work_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.kernel.periods import Periods, bounds_of_periods, sum_of_periods
from openpoint.search.model.build import build_model
from openpoint.search.model.objective import source_voltages, without_banks
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.topology.columns import Columns, Copy, Moves, columns, movable_devices

# The quadratic program of a node: schedule and recourse with a conductance for every branch that is not open.
#
#     min Σ_i c_i x_i + s_i x_i² + Σ_k π_k s_k Σ_e [ρ (p² + q²) / w + slope (r p + x q)]
#
# with the balances of every copy and the rows of the columns. Its multipliers are those of the bound of a node;
# columns of which it is clear where they are best may be left out.


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


LEAST_PRICE = 1e-4
"""Least price of energy that multipliers begin with, $/kWh."""
CLEAR = 0.5
"""Reduced cost of a column, as a share of the price of energy, from which on it stays at its limit."""
MISSED = 1e-6
"""Share of the bound that columns which are left out may miss before they are taken back."""


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

    def __init__(
        self,
        question: DayQuestion,
        copies: tuple[Copy, ...],
        weights: Floats,
        *,
        narrows: bool = True,
        accuracy: float = ACCURACY,
    ) -> None:
        """`weights`: (K) of the copies, those of a period sum to 1; `narrows`: whether programs leave out columns."""
        self.accuracy = accuracy
        net, day = question.network, question.day
        self.question = question
        self._t = np.array([c.period for c in copies])
        self._estimated = columns(question, copies)
        none = np.where(self._estimated.banks, 0.0, 1.0)
        self.columns: Columns = replace(
            self._estimated, lower=none * self._estimated.lower, upper=none * self._estimated.upper
        )
        self.model, self.branch, self.bus = search_model(question)
        self.work = work_for(self.model)
        self.scale = np.empty(len(copies))
        self.weigh(weights)
        self.first = self._first()
        k, m, n = len(copies), len(self.branch), net.n_terminals
        factor = [load_factors(day, c.realisation) for c in copies]
        current = np.array([net.s_current + scaled(day.load_current[c.period], f) for c, f in zip(copies, factor)])
        fixed = without_banks(net, movable_devices(question)).s_impedance
        steady = np.array([fixed + scaled(day.load_impedance[c.period], f) for c, f in zip(copies, factor)])
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
        self._grid = Grid(self.model, self.bus, current + steady)
        self._program = self._whole_program()
        self._narrows = narrows

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
            found = self._solved(status, terms)
            if self._narrows:
                self._narrow(found)
            elif self._misses(found):
                self._program = self._whole_program()
                found = self._solved(status, terms)
            terms = found.conductances
            if best is None or found.value > best.value:
                best = found
        return best

    def _whole_program(self) -> NodeProgram:
        """The program with all columns."""
        none = np.zeros(len(self.columns.cost), dtype=np.bool_)
        return NodeProgram(self._estimated, self._grid, none, self._estimated.lower, self.accuracy)

    def _solved(self, status: States, terms: Conductances) -> NodeBound:
        """The bound at the multipliers of the program."""
        answer = self._program.solve(status, terms, (self.cost, self.square), self.scale)
        return self._evaluate(*answer, self._changes(status))

    def _narrow(self, found: NodeBound) -> None:
        """Leave out of the program the columns of copies that stay at a limit whatever is open, such as shedding."""
        self._narrows, copy = False, self.columns.owner
        clear = CLEAR * np.append(self.scale * np.maximum(self.price(), LEAST_PRICE), np.inf)[copy]
        slope = self.reduced(found) + 2.0 * self.square * found.x
        at = np.where(slope > 0.0, self._estimated.lower, self._estimated.upper)
        self._program = NodeProgram(self._estimated, self._grid, np.abs(slope) > clear, at, self.accuracy)

    def _misses(self, found: NodeBound) -> bool:
        """Whether a column that is left out would be better elsewhere."""
        reduced, program = self.reduced(found), self._program
        best = _where_least(reduced, self.square, self.columns.lower, self.columns.upper)
        gain = (reduced * (found.x - best) + self.square * (found.x**2 - best**2))[program.held & ~self.columns.banks]
        return bool(gain.sum() > MISSED * abs(found.value))

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
        least = np.maximum(self.price(), LEAST_PRICE)[:, None]
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
        flows = np.array([self.scale @ periods.value])
        total = changes + float(self._total(flows, y[None], mu[None], nu[None])[0])
        terms = Conductances(periods.square.copy(), periods.slope.copy(), periods.current.copy(), periods.down.copy())
        return NodeBound(total, terms, x, p, q, y, mu, nu)

    def values_opened(self, status: States, found: NodeBound, opened: Ints, y_more: Floats, mu_more: Floats) -> Floats:
        """(B) bounds of states (m) with one more branch open, for B branches, each at the multipliers of another node's
        bound and (B, K, N) more of them."""
        y, mu = self._at_sources(found.y + y_more, found.mu + mu_more)
        flows, changes = np.empty(len(opened)), np.empty(len(opened))
        for k, e in enumerate(opened.tolist()):
            trial = status.copy()
            trial[e] = OPEN
            flows[k] = math.inf
            if self.propagate(trial):
                self.periods.y[:], self.periods.mu[:] = y[k][:, self.bus], mu[k][:, self.bus]
                flows[k] = sum_of_periods(self.model, self.work, self.periods)
                flows[k] = flows[k] if math.isfinite(flows[k]) else -math.inf
                y[k][:, self.bus], mu[k][:, self.bus] = self.periods.y, self.periods.mu
                changes[k] = self._changes(trial)
        at, values = np.flatnonzero(np.isfinite(flows)), flows.copy()
        if not len(at):
            return values
        nu = np.repeat(found.nu[None, :], len(at), axis=0)
        values[at] = changes[at] + self._total(flows[at], y[at], mu[at], nu)
        return values

    def _total(self, flows: Floats, y: Floats, mu: Floats, nu: Floats) -> Floats:
        """(B) bounds with those of the flows (B), see the module, at multipliers (B, K, N) and (B, rows)."""
        program = self.columns
        prices = (np.concatenate([y, mu], axis=2) * self.scale[:, None]).reshape(len(flows), -1)
        reduced = self.cost + (self._from_prices @ prices.T + self._from_rows @ nu.T).T
        for moves in program.moves:
            self._even(moves, reduced, nu)
        at = _where_least(reduced, self.square, program.lower, program.upper)
        total = self.constant + flows + prices @ program.fixed.ravel()
        total += np.einsum("bn,bn->b", reduced, at) + at**2 @ self.square - nu @ program.b
        return np.asarray(total - 1e-9 * np.abs(total))

    def _even(self, moves: Moves, reduced: Floats, nu: Floats) -> None:
        """Give the rows of load that moves their best multipliers: with ν, columns are worth Σ min (r + sign ν) x.

        This is concave in ν, and its slope Σ sign x falls by the range of a column where r + sign ν = 0.
        """
        program, sign = self.columns, moves.sign
        at = moves.columns
        own = reduced[:, at] - sign * nu[:, moves.rows, None]
        breaks = -own * sign
        order = np.argsort(breaks, axis=2)
        most = np.where(sign > 0.0, program.upper[at], -program.lower[at]).sum(axis=1)
        span = np.broadcast_to(program.upper[at] - program.lower[at], order.shape)
        width = np.take_along_axis(span, order, axis=2)
        first = np.argmax(np.cumsum(width, axis=2) >= most[:, None], axis=2)
        best = np.take_along_axis(np.take_along_axis(breaks, order, axis=2), first[..., None], axis=2)
        nu[:, moves.rows] = best[..., 0]
        reduced[:, at] = own + sign * best

    def reduced(self, found: NodeBound) -> Floats:
        """(n) what a unit of each column adds to the bound, squares aside."""
        prices = np.concatenate([found.y, found.mu], axis=1) * self.scale[:, None]
        return np.asarray(self.cost + self._from_prices @ prices.ravel() + self._from_rows @ found.nu)

    def costs_of_copies(self, found: NodeBound) -> tuple[float, Floats]:
        """Cost of the first stage and (K) of the copies at a solution of the program."""
        program, x = self.columns, found.x
        each = program.cost * x + program.square * x**2
        costs = np.bincount(program.owner + 1, each, minlength=len(program.copies) + 1)
        return float(costs[0]) + program.constant, costs[1:] + program.constants

    def _at_sources(self, y: Floats, mu: Floats) -> tuple[Floats, Floats]:
        """Multipliers at which the power of sources without limits costs nothing more or less."""
        day, supply, at = self.question.day, self.question.supply, self.question.network.source_terminal
        for s, bus in enumerate(at):
            if np.isinf(supply.s_max[s]) and np.isinf(supply.p_max[s]) and np.isinf(supply.p_min[s]):
                low, high = day.export_price[self._t, s], day.source_price[self._t, s]
                y[..., bus] = np.clip(y[..., bus], low, high)
            if np.isinf(supply.s_max[s]) and np.isinf(supply.q_max[s]) and np.isinf(supply.q_min[s]):
                mu[..., bus] = np.clip(mu[..., bus], 0.0, day.price_reactive[self._t])
        return y, mu

    def price(self) -> Floats:
        """(K) mean price of the sources."""
        return np.asarray(self.question.day.source_price[self._t].mean(axis=1))

    def _first(self) -> Conductances:
        """Terms before anything is known: loss at the price of the sources, nominal voltage."""
        price = np.maximum(self.price() + self.model.loss_price, LEAST_PRICE)
        square = np.outer(price, self.model.r) + self.model.current_price
        zero = np.zeros_like(square)
        return Conductances(square, zero, zero, zero.astype(np.bool_))


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
    devices, held = movable_devices(question), net.source_terminal
    rules = question.rules
    model, numbering = build_model(bare, rules, devices=devices)
    low, high = day_voltage_bounds(net, day, question.devices, limits=True)
    low[held], high[held] = source_voltages(net, devices)
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
