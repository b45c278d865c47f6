"""The linear model of a grid of any phases with its devices: LinDist3Flow around a known exact state.

min  loss, or power of the sources        s.t.  LinDist3Flow, devices at whole positions, x radial, limits

Around the exact voltages and losses of a state, usually today's: loads are affine in squared voltages
(`lindist3flow_devices`), the losses of that state are constant loads where the power comes from, and the loss is

    Σ_k |j_k|² / t,      t = mean of |u|² / |u0|² over the conductors of the branch

with the currents j of `lindist3flow` at the voltages of that state, so that it falls as voltages rise. It is
convex in flows and voltages. The power of the sources is the demand plus that loss.

What this proves, it proves of the linear model; the exact power flow has other optima.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.formulations.lindist3flow import Demand, LinDist3Flow, lindist3flow, rating_excess
from openpoint.formulations.lindist3flow_devices import (
    FreeBank,
    FreeTap,
    LinearDemand,
    demand_around,
    device_block,
    free_tap,
    squared_fr,
)
from openpoint.formulations.lindist3flow_equations import (
    Coefficients,
    LossTerms,
    coefficients,
    floating_terminals,
    idle_loss,
    loss_terms,
    tied_windings,
)
from openpoint.formulations.lindist3flow_solve import evaluate, no_load
from openpoint.formulations.phases import PhasesQuestion, Sought
from openpoint.formulations.radiality import radiality
from openpoint.network import Network, build_network
from openpoint.network.devices import DeviceKind
from openpoint.network.limits import at_kept_limits
from openpoint.network.load_shares import phase_bases
from openpoint.powerflow.opendss import PhaseFlows
from openpoint.solvers.base import Answer, Status
from openpoint.solvers.highs import HighsModel
from openpoint.solvers.modelling import cp
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.recourse.compile import compile_model

V_LEAST_PU, V_MOST_PU = 0.5, 1.5
"""Voltages beyond which a linear flow says nothing."""


@final
@dataclass(frozen=True)
class LinearModel:
    """The linear model around an exact state.

    Attributes:
        question: the grid with the limits to keep, and what is free.
        around: exact power flow of the state around which all is linear, that of the grid as it is today.
        follows: whether loads and losses follow the voltages. Else loads draw what they draw at the reference voltages,
            t is 1, and what the reference state loses is no load.
    """

    question: PhasesQuestion
    around: PhaseFlows
    follows: bool = True

    @property
    def network(self) -> Network:
        """Its arrays."""
        return self.question.network

    @property
    def v(self) -> Complexes:
        """(N) reference voltages."""
        return np.asarray(self.around.v[0])

    @cached_property
    def limited(self) -> Network:
        """The network with limits as far out as they count as kept."""
        return at_kept_limits(self.network)

    @cached_property
    def base_kw(self) -> float:
        """kW of one per unit of power of a phase."""
        return self.network.s_base_kva / phase_bases(self.network.terminal_phase[0])

    @cached_property
    def reference(self) -> Complexes:
        """(N) voltages without load of a radial state, around which the voltage law is linear."""
        asked = self.question
        if asked.is_radial(asked.today):
            return no_load(self.network, asked.today)
        tree = next(asked.states(asked.today.astype(np.float64)), None)
        return self.v if tree is None else no_load(self.network, tree)

    @cached_property
    def coefficients(self) -> Coefficients:
        """Matrices of LinDist3Flow with today's ratios."""
        return coefficients(self.network, self.reference)

    @cached_property
    def terms(self) -> LossTerms:
        """The currents whose squares are the loss."""
        return loss_terms(self.network, self.v)

    @cached_property
    def nearness(self) -> sp.csr_array:
        """(L, N) t of the module for every term, per w."""
        net, squares = self.network, self.coefficients.square_to
        mean = sp.csr_array(
            (np.ones(net.n_conductors), (net.conductor_branch, np.arange(net.n_conductors))),
            shape=(len(net.branch_names), net.n_conductors),
        )
        count = np.maximum(np.asarray(mean.sum(axis=1)).ravel(), 1.0)
        w = np.abs(self.v) ** 2
        known = np.maximum(squares @ w, V_LEAST_PU**2)
        by_number = sp.diags_array(1.0 / count) @ mean @ sp.diags_array(1.0 / known) @ squares
        return sp.csr_array(sp.csr_array(by_number)[self.terms.branch])

    @cached_property
    def lost(self) -> Complexes:
        """(N) losses of the reference state, as loads where the power enters each branch, per unit.

        Where the neutral floats they are spread over the phases, as it carries no current; where windings between two
        lines tie the phases they are left out.
        """
        net, flows = self.network, self.around
        loss = (flows.s_fr_kva[0] + flows.s_to_kva[0]) / self.base_kw
        into = np.where(flows.s_fr_kva[0].real >= 0.0, net.terminal_fr, net.terminal_to)
        found = np.zeros(net.n_terminals, dtype=np.complex128)
        if len(net.windings.conductor):
            return found
        np.add.at(found, into, np.where(net.closed, loss, 0.0))
        floats = floating_terminals(net, self.coefficients.deltas, np.ones(net.n_conductors, dtype=np.bool_))
        total, count = (np.bincount(net.terminal_bus, part) for part in (found.real, np.ones(net.n_terminals)))
        reactive = np.bincount(net.terminal_bus, found.imag)
        return np.where(floats, ((total + 1j * reactive) / count)[net.terminal_bus], found)

    @cached_property
    def demand(self) -> LinearDemand:
        """Net demand with the free capacitors off, losses of the reference state included."""
        asked = self.question
        network = build_network(asked.devices.without_banks(asked.grid))
        if not self.follows:
            return demand_around(network, self.v, np.zeros_like(asked.always)).held(self.v, network)
        without = demand_around(network, self.v, asked.always)
        return LinearDemand(without.s + self.lost, without.per_w, without.pairs, without.pairs_per_w)

    @cached_property
    def idle(self) -> Floats:
        """(B) loss of magnetising branches at the reference voltages, per unit."""
        return idle_loss(self.network, self.v)

    @cached_property
    def taps(self) -> tuple[FreeTap, ...]:
        """The free tap changers."""
        grid, devices, found = self.question.grid, self.question.devices, list[FreeTap]()
        first = len(self.network.branch_names) - grid.transformers.height
        for d in devices.taps:
            conductors = np.flatnonzero(self.network.conductor_branch == first + devices.row[d])
            ratios = devices.ratios(grid, int(d))
            found.append(free_tap(self.network, self.coefficients, conductors, ratios, self.bounds))
        return tuple(found)

    @cached_property
    def banks(self) -> tuple[FreeBank, ...]:
        """The free capacitors."""
        grid, devices, found = self.question.grid, self.question.devices, list[FreeBank]()
        off = build_network(devices.without_banks(grid))
        for d in devices.banks:
            on = build_network(devices.with_one_bank(grid, int(d)))
            wye = (off.s_impedance - on.s_impedance).imag
            delta = (off.delta.s_impedance - on.delta.s_impedance).imag
            terminal, pair = np.flatnonzero(wye), np.flatnonzero(delta)
            share = devices.shares(grid, int(d))
            found.append(FreeBank(terminal, wye[terminal], pair, delta[pair], share))
        return tuple(found)

    @cached_property
    def bounds(self) -> tuple[Floats, Floats]:
        """(N) bounds of the squared voltages: the limits to keep, and the voltages that sources hold."""
        return self.voltage_bounds(limits=True)

    def voltage_bounds(self, *, limits: bool) -> tuple[Floats, Floats]:
        """(N) `bounds` with the limits, or without."""
        net, least, most = self.limited, V_LEAST_PU**2, V_MOST_PU**2
        low, high = (np.clip(side, least, most) for side in (net.w_min, net.w_max))
        if not limits:
            low, high = np.full(len(low), least), np.full(len(high), most)
        low[net.source_terminal] = high[net.source_terminal] = np.abs(net.source_v) ** 2
        return low, high

    @cached_property
    def carried(self) -> tuple[Floats, Floats]:
        """(E) active and reactive power that no conductor exceeds: what its phase draws in all, either way.

        A delta mixes active and reactive power of the phases, at most doubling what goes through.
        """
        net, demand, law, (_, high) = self.network, self.demand, self.coefficients, self.bounds
        drawn, per_w = demand.s + law.s_delta @ demand.pairs, demand.matrix(law)
        p, q = (abs(part) + abs(grows) @ high for part, grows in ((drawn.real, per_w.real), (drawn.imag, per_w.imag)))
        for bank in self.banks:
            q[bank.terminal] += bank.b * high[bank.terminal]
            pairs = abs(law.s_delta[:, bank.pair]) @ bank.b_pair * high.max()
            p, q = p + pairs, q + pairs
        deltas = sum("delta" in connection for connection in net.branch_connections)
        if deltas or len(net.windings.conductor):
            total = 2.0 ** min(deltas, 10) * float((p + q).sum())
            return np.full(net.n_conductors, total), np.full(net.n_conductors, total)
        own = np.array(net.terminal_phase)[:, None] == np.array(net.conductor_phase)[None, :]
        return p @ own, q @ own

    def value(self, w: Floats, s: Complexes, source_kw: float) -> float:
        """What is minimised, in kW, of squared voltages (N), flows (E) and the power of the sources."""
        current = np.abs(np.asarray(self.terms.matrix @ s))
        loss = float((current**2 / (self.nearness @ w if self.follows else 1.0)).sum()) * self.base_kw
        if self.question.sought is Sought.LOSS:
            return loss
        return source_kw - float(self.lost.real.sum()) * self.base_kw + loss

    def evaluate(self, closed: Bools, positions: Ints) -> tuple[float, float]:
        """Value in kW and sum of the excesses of the limits of a radial state (B), (D) in the linear model.

        The excess is inf where voltages leave what the model can say anything about, or too much is switched.
        """
        if not self.question.switching.allowed(closed):
            return math.inf, math.inf
        net, demand = self.at(positions), self.demand
        for bank, d in zip(self.banks, self.question.devices.banks):
            demand = demand.with_bank(bank, int(positions[d]))
        per_w = demand.matrix(self.coefficients)
        flow = evaluate(net, closed, demand.s, demand.pairs, reference=self.reference, per_w=per_w)
        w, s = flow.w[0], flow.s[0]
        if w.min() < V_LEAST_PU**2 or w.max() > V_MOST_PU**2:
            return math.inf, math.inf
        value = self.value(w, s, float(flow.source_s[0].real.sum()) * self.base_kw)
        if self.question.sought is Sought.LOSS:
            value += float(self.idle[closed].sum()) * self.base_kw
        rated = rating_excess(net, cp.Constant(closed * 1.0), cp.Constant(s.real), cp.Constant(s.imag)).value
        low = net.w_min > 0.0
        parts = [1.0 - w[low] / net.w_min[low], w / net.w_max - 1.0, np.asarray(rated)]
        return value, sum(float(np.maximum(part, 0.0).sum()) for part in parts)

    def at(self, positions: Ints) -> Network:
        """The network with the tap changers at positions (D)."""
        tap = self.limited.tap.copy()
        devices = self.question.devices
        for free, d in zip(self.taps, devices.taps):
            tap[free.conductor] = free.tap[positions[d] - devices.low[d]]
        return replace(self.limited, tap=tap)


def modelled(question: PhasesQuestion) -> Bools:
    """(D) devices that the linear model has: all but regulators in an open delta, whose law has tap in two terms."""
    network, devices = question.network, question.devices
    every = np.ones(network.n_conductors, dtype=np.bool_)
    tied = network.windings.conductor[tied_windings(network, network.source_terminal, every) != 0]
    first = len(network.branch_names) - question.grid.transformers.height
    theirs = network.conductor_branch[tied] - first
    return np.asarray(~((devices.kind == DeviceKind.TAP) & np.isin(devices.row, theirs)))


def voltage_limited(network: Network) -> tuple[Bools, Bools]:
    """(N) terminals with a lower, and with an upper limit of voltage."""
    return network.w_min > 0.0, np.isfinite(network.w_max)


# The mixed-integer program of the linear model, by HiGHS: the convex loss by tangents (Kelley 1960).
#
# Every solve bounds the optimum of the linear model from below, since tangents of a convex function lie below it; the
# positions that it finds, evaluated without a solver, bound it from above. Tangents are added where the solve was
# until both bounds meet.
#
# Before that, the ranges of the squared voltages at every free tap changer are narrowed: the least and the greatest
# that the relaxation allows to a state no worse than the best one known (Gleixner, Berthold, Müller and Weltge 2017).
# With wide ranges the phases of one regulator may have different ratios in the relaxation, which is worth several kW.


NARROWINGS = 2
"""Times that ranges are narrowed: the second is worth a few tenths of a per cent, a third nothing."""
RELAXED_ROUNDS = 30
"""Solves of the relaxation at most; the mixed-integer solves add what tangents are left."""
CUT_OFF = 1e-6
"""Relative size of the sum of losses by which a term lies below its square where a tangent is added."""
SLACK = 1e-6
"""What is added to the ends of a range, pu², and to the value of the best state known, relative: the solver's error."""


@dataclass(frozen=True)
class LinearState:
    """A state and its evaluation in the linear model.

    Attributes:
        closed: (B) state of the branches. positions: (D) of the devices. value_kw: inf where it breaks a limit there.
    """

    closed: Bools
    positions: Ints
    value_kw: float


@dataclass(frozen=True)
class LinearAnswer:
    """Bound and value in the linear model.

    Attributes:
        bound_kw: lower bound of its optimum; inf where nothing keeps the limits in it.
        best: the best state known in it; None where none is.
        complete: whether the bounds met within the gap.
    """

    bound_kw: float
    best: LinearState | None
    complete: bool

    @property
    def value_kw(self) -> float:
        """Of the best state."""
        return math.inf if self.best is None else self.best.value_kw


def evaluated(model: LinearModel, closed: Bools, positions: Ints) -> LinearState:
    """A radial state (B), (D) in the linear model."""
    value, excess = model.evaluate(closed, positions)
    return LinearState(closed, positions, value if excess == 0.0 else math.inf)


def solve_linear(
    model: LinearModel,
    gap: float,
    known: LinearState | None,
    deadline: Deadline,
    on_bound: Callable[[float, float], None],
) -> LinearAnswer:
    """Solve the linear model to a relative gap.

    Args:
        known: a good state, which narrows what is left to search.
        on_bound: called with the lower bound and the value of the best state after every step.
    """
    best = known if known is not None and math.isfinite(known.value_kw) else None
    answer = LinearAnswer(-math.inf, best, False)
    taps: Sequence[FreeTap] = model.taps
    for _ in range(NARROWINGS):
        program = DevicesProgram(model, taps)
        answer = replace(answer, bound_kw=max(answer.bound_kw, min(program.relax(deadline), answer.value_kw)))
        on_bound(answer.bound_kw, answer.value_kw)
        if math.isinf(answer.bound_kw) and answer.bound_kw > 0.0:
            return replace(answer, complete=True)
        taps = program.narrowed(answer.value_kw, deadline)
    program = DevicesProgram(model, taps)
    program.relax(deadline)
    return program.solve(answer, gap, deadline, on_bound)


@final
class DevicesProgram:
    """The compiled mixed-integer program of a linear model, with the ranges of its taps."""

    def __init__(self, model: LinearModel, taps: Sequence[FreeTap]) -> None:
        self.model, self.taps, net = model, taps, model.limited
        w = cp.Variable(net.n_terminals, name="w")
        block = device_block(net, model.coefficients, w, model.bounds, taps, model.banks)
        asked = model.question
        tree = radiality(asked.choices, consuming=np.zeros(asked.choices.n_blocks, dtype=np.bool_))
        closed = cp.Variable(len(net.branch_names), name="state")
        drawn = model.demand.at(w, model.coefficients.w_delta)
        source_p, source_q = (cp.Variable(len(net.source_terminal), name=f"source_{part}") for part in "pq")
        flow = lindist3flow(
            net,
            closed,
            Demand(drawn.p, drawn.q - block.q, drawn.delta_p, drawn.delta_q - block.pair_q),
            source_p=source_p,
            source_q=source_q,
            bounds=model.bounds,
            most=None if asked.always.all() else model.carried,
            always=asked.always,
            reference=model.reference,
            w=w,
            regulated=block.regulated,
        )
        loss, cost, tied = self._loss(flow, source_p, closed)
        together = [
            tree.closed == closed[net.conductor_branch],  # conductors open and close together
            *asked.switching.limit(closed),
        ]
        constraints = [*block.constraints, *tree.constraints, *together, *flow.constraints, *tied]
        form = compile_model(cost, constraints, (*block.choices, *tree.integers), (*block.choices, closed, *loss))
        self._highs, self._form = HighsModel(form), form
        self._choices = [form.of(z) for z in block.choices]
        self._closed, self._loss_columns = form.of(closed), tuple(form.of(part) for part in loss)
        self._flow_columns = tuple(form.of(part) for part in (flow.w, flow.p, flow.q))

    def relax(self, deadline: Deadline) -> float:
        """Lower bound from the relaxation, to which tangents are added; inf where it is infeasible."""
        bound = -math.inf
        for _ in range(RELAXED_ROUNDS):
            answer = self._highs.solve(integral=False, seconds=deadline.left(), stop=deadline.over)
            bound = max(bound, answer.bound)
            if answer.status is not Status.OPTIMAL or answer.x is None or not self._add_tangents(answer.x):
                break
        return bound

    def narrowed(self, value_kw: float, deadline: Deadline) -> list[FreeTap]:
        """The taps with the ranges that states of a value of at most `value_kw` have in the relaxation.

        It leaves the program without its cost.
        """
        if math.isfinite(value_kw):
            row, most = sp.csr_array(self._form.c[None, :]), value_kw + SLACK * abs(value_kw) - self._form.offset
            self._highs.add_rows(row, np.array([-math.inf]), np.array([most]))
        found: list[FreeTap] = []
        law, net = self.model.coefficients, self.model.network
        for tap in self.taps:
            nothing = sp.csr_array((len(tap.conductor), net.n_conductors))
            fr = squared_fr(net, law, tap.conductor), nothing, nothing
            # By the voltage law |u_fr|² / tap² is that of the to end and the drop.
            over = tuple(sp.csr_array(part[tap.conductor]) for part in (law.w_to, law.drop_p, law.drop_q))
            ranges = [self._range(rows, known, deadline) for rows, known in ((fr, tap.fr), (over, tap.over))]
            found.append(replace(tap, fr=ranges[0], over=ranges[1]))
        return found

    def solve(
        self, answer: LinearAnswer, gap: float, deadline: Deadline, on_bound: Callable[[float, float], None]
    ) -> LinearAnswer:
        """Solve with integers; what no state within the ranges reaches is bounded by the best state known.

        Args:
            answer: what is known. gap, deadline, on_bound: as for `solve_linear`.
        """
        seen: set[bytes] = set()
        while not deadline.over():
            found = self._highs.solve(integral=True, gap=gap / 4.0, seconds=deadline.left(), stop=deadline.over)
            if found.status is Status.INFEASIBLE:
                return replace(answer, bound_kw=answer.value_kw, complete=True)
            answer = replace(answer, bound_kw=max(answer.bound_kw, min(found.bound, answer.value_kw)))
            is_new = False
            if found.x is not None:
                state = self._state(found)
                is_new = (key := state.closed.tobytes() + state.positions.tobytes()) not in seen
                seen.add(key)
                answer = replace(answer, best=state) if state.value_kw < answer.value_kw else answer
            on_bound(answer.bound_kw, answer.value_kw)
            met = answer.value_kw - answer.bound_kw <= gap * abs(answer.value_kw)
            if met or found.status is not Status.OPTIMAL or found.x is None:
                return replace(answer, complete=met)
            if not self._add_tangents(found.x) and not is_new:
                break
        return answer

    def _range(self, rows: tuple[sp.csr_array, ...], known: Floats, deadline: Deadline) -> Floats:
        """(2, J) least and greatest value of rows over (w, p, q), within the range known."""
        ends = known.copy()
        for j in range(known.shape[1]):
            cost = np.zeros(self._highs.n)
            for part, columns in zip(rows, self._flow_columns):
                cost[columns] += part[[j]].toarray()[0]
            for side, sign in ((0, 1.0), (1, -1.0)):
                self._highs.set_cost(sign * cost)
                answer = self._highs.solve(integral=False, seconds=deadline.left(), stop=deadline.over)
                if answer.status is Status.OPTIMAL:
                    end = sign * (answer.value - SLACK)
                    ends[side, j] = max(ends[0, j], end) if side == 0 else min(ends[1, j], end)
        return ends

    def _loss(
        self, flow: LinDist3Flow, source_p: cp.Variable, closed: cp.Variable
    ) -> tuple[tuple[cp.Variable, ...], cp.Expression, list[cp.Constraint]]:
        """Variables (re j, im j, t, loss in kW) of the terms, what is minimised in kW, and what ties them."""
        model, terms = self.model, self.model.terms
        count = len(terms.branch)
        along, across, near, loss = (cp.Variable(count, name=f"loss_{part}") for part in ("re", "im", "t", "l"))
        real, imaginary = sp.csr_array(terms.matrix.real), sp.csr_array(terms.matrix.imag)
        tied = [
            along == real @ flow.p - imaginary @ flow.q,
            across == imaginary @ flow.p + real @ flow.q,
            near == model.nearness @ flow.w,
            loss >= 0,
        ]
        drawn = cp.sum(source_p) - float(model.lost.real.sum())
        rest = model.idle @ closed if model.question.sought is Sought.LOSS else drawn
        return (along, across, near, loss), cp.sum(loss) + model.base_kw * rest, tied

    def _add_tangents(self, x: Floats) -> bool:
        """Add the tangent of every term whose square lies above its variable; whether there was any."""
        along, across, near, loss = (x[columns] for columns in self._loss_columns)
        scale = self.model.base_kw
        square = scale * (along**2 + across**2) / near
        cut = np.flatnonzero(square - loss > CUT_OFF * square.sum())
        # l >= 2 (j0 · j) / t0 - |j0|² t / t0², the tangent of |j|² / t, which is homogeneous of degree one.
        slopes = (-2.0 * scale * along / near, -2.0 * scale * across / near, square / near, np.ones(len(square)))
        row = np.tile(np.arange(len(cut)), 4)
        column = np.concatenate([columns[cut] for columns in self._loss_columns])
        value = np.concatenate([slope[cut] for slope in slopes])
        rows = sp.csr_array((value, (row, column)), shape=(len(cut), self._highs.n))
        self._highs.add_rows(rows, np.zeros(len(cut)), np.full(len(cut), np.inf))
        return len(cut) > 0

    def _state(self, answer: Answer) -> LinearState:
        """State of the point of an answer, evaluated without the solver."""
        assert answer.x is not None
        x = answer.x
        chosen = np.array([int(np.argmax(x[columns])) for columns in self._choices], dtype=np.int64)
        return evaluated(self.model, x[self._closed] > 0.5, self.model.question.devices.low + chosen)
