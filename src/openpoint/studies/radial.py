"""The mathematical model of reconfiguration: which branches are closed, so that the grid is radial and loses least.

min  loss_kw(x) + c · changes(x)
s.t. x radial, locked branches kept, at most N changes;  DistFlow at x;  voltage and current limits
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cvxpy as cp
import numpy as np
import numpy.typing as npt

from openpoint.formulations.distflow import DistFlow, distflow, voltage_bounds
from openpoint.formulations.radiality import Choices, contract, heaviest_tree, radiality
from openpoint.network import Bools, Complexes, Network
from openpoint.powerflow.balanced import losses, solve
from openpoint.powerflow.check import AcCheck, check_flow
from openpoint.search.exchange import descend, exchanges
from openpoint.twostage.program import FirstStage, Verdict

Floats = npt.NDArray[np.float64]

LIMIT_TOLERANCE = 1e-6
"""Relative excess of a limit that counts as kept: the accuracy of the cone program, far below any meter's."""


@dataclass(frozen=True)
class RadialState:
    """Exact AC state of a topology.

    Attributes:
        closed: (E) state of the branches. generation: (G) complex injection of dispatchable generators.
        v: (N) complex voltage. i: (E) series current. s_fr, s_to: (E) power into the branch at its ends.
        loss: per unit. check: the independent check of the state.
    """

    closed: Bools
    generation: Complexes
    v: Complexes
    i: Complexes
    s_fr: Complexes
    s_to: Complexes
    loss: float
    check: AcCheck


def ac_state(network: Network, closed: Bools, generation: Complexes | None = None) -> RadialState | None:
    """Exact AC state of a topology, verified; None where it is not radial or no solution exists."""
    generation = network.generator_s if generation is None else generation
    flows = solve(network, closed, generation=generation)
    if not flows.converged[0] or not flows.energised[0].all():
        return None
    v = flows.v[0]
    check = check_flow(network, closed, v, generation=generation, tolerance=LIMIT_TOLERANCE)
    return RadialState(
        closed=closed,
        generation=generation,
        v=v,
        i=flows.i_series[0],
        s_fr=flows.s_fr[0],
        s_to=flows.s_to[0],
        loss=float(flows.loss[0]),
        check=check,
    )


@dataclass(frozen=True)
class RadialChoice(FirstStage):
    """The first stage, with the arcs of the free branches (F); None where nothing is free."""

    arc_fr: cp.Variable | None
    arc_to: cp.Variable | None


@dataclass(frozen=True)
class RadialProgram:
    """Reconfiguration as a two-stage program: x is the state of every branch, the recourse is the power flow.

    Attributes:
        network: the grid with the limits to keep.
        must_close, must_open: (E) branches whose state is given.
        max_changes: most branches whose state may differ from today's; None = any number.
        change_cost_kw: cost of a change, in kW of loss.
    """

    network: Network
    must_close: Bools
    must_open: Bools
    max_changes: int | None = None
    change_cost_kw: float = 0.0

    recourse_floor = 0.0
    distance_min = 2

    @cached_property
    def choices(self) -> Choices:
        """What is left to decide."""
        net = self.network
        return contract(
            net.n_terminals, net.terminal_fr, net.terminal_to, net.source_terminal, self.must_close, self.must_open
        )

    @cached_property
    def consumes_p(self) -> bool:
        """Whether every bus consumes active power, so that it runs from parent to child."""
        net = self.network
        loads = (net.s_power, net.s_current, net.s_impedance)
        return not len(net.generator_names) and all(bool(np.all(s.real >= 0)) for s in loads)

    @cached_property
    def consumes_q(self) -> bool:
        """The same for reactive power, charging included."""
        net = self.network
        loads = (net.s_power, net.s_current, net.s_impedance)
        idle = not len(net.generator_names) and bool(np.all(net.b <= 0))
        return idle and all(bool(np.all(s.imag >= 0)) for s in loads)

    def first_stage(self, *, physics: bool) -> RadialChoice:
        """Radial choices, locked branches, number and cost of changes."""
        hungry = np.zeros(self.choices.n_blocks, dtype=bool)
        if physics and self.consumes_p:
            load = np.zeros(self.choices.n_blocks)
            np.add.at(load, self.choices.block, self.network.s_power.real)
            hungry = load > 1e-4 * self.network.s_power.real.sum()
        block = radiality(self.choices, hungry=hungry)
        today = self.network.closed
        changes = cp.sum(block.closed[~today]) + cp.sum(1 - block.closed[today])
        constraints = list(block.constraints)
        if self.max_changes is not None:
            constraints.append(changes <= self.max_changes)
        cost = self.change_cost_kw * changes
        return RadialChoice(block.closed, block.integers, constraints, cost, block.arc_fr, block.arc_to)

    def recourse(self, decision: cp.Expression, *, limits: bool) -> DistFlow:
        """The power flow at a decision."""
        return distflow(self.network, decision, voltage_bounds(self.network, limits=limits)[1])

    def tighten(self, first: RadialChoice, recourse: DistFlow, *, limits: bool) -> Sequence[cp.Constraint]:
        """Bounds of flow and current by state, and where buses only consume, flow from parent to child."""
        net, closed, flow = self.network, first.decision, recourse
        cap = self._loss_cap(incumbents=limits)
        w_lower = voltage_bounds(net, limits=limits)[0]
        lower_fr, lower_to = w_lower[net.terminal_fr] / net.tap**2, w_lower[net.terminal_to]
        l_most = cap / np.maximum(net.r, 1e-12)
        if limits:
            l_most = np.minimum(l_most, net.l_max * (1 + LIMIT_TOLERANCE))
        rated = np.flatnonzero(np.isfinite(l_most) & np.isfinite(net.l_max))
        p_most, q_most = self._flow_most(cap)
        constraints = [
            flow.w_fr >= cp.multiply(lower_fr, closed),
            flow.w_to >= cp.multiply(lower_to, closed),
            flow.l[rated] <= cp.multiply(l_most[rated], closed[rated]),
        ]
        for one_way, carried, most in ((self.consumes_p, flow.p, p_most), (self.consumes_q, flow.q, q_most)):
            if not one_way:
                constraints += [carried <= most * closed, carried >= -most * closed]
        if first.arc_fr is None or first.arc_to is None:
            return constraints
        free = self.choices.free
        for one_way, carried, z, load, most in (
            (self.consumes_p, flow.p, net.r, net.s_power.real, p_most),
            (self.consumes_q, flow.q, net.x, net.s_power.imag, q_most),
        ):
            if one_way:
                arrives = (carried - cp.multiply(z, flow.l))[free]
                to, fr = load[net.terminal_to[free]], load[net.terminal_fr[free]]
                constraints += [
                    carried[free] >= cp.multiply(to, first.arc_fr) - most * first.arc_to,
                    carried[free] <= most * first.arc_fr,
                    arrives <= most * first.arc_fr - cp.multiply(fr, first.arc_to),
                ]
        return constraints

    def starts(self) -> Sequence[Floats]:
        """The tree nearest to today's state, and where branch exchange leads from it and from least impedance.

        The best comes last.
        """
        return self._starts

    @cached_property
    def _starts(self) -> Sequence[Floats]:
        net = self.network
        found = self._trees(net.closed.astype(float)) + self._trees(-np.abs(net.z.diagonal()))
        ends = []
        for start in found:
            violation, closed = descend(self.choices, start > 0.5, self.violations, enough=0.0)
            if violation == 0.0:
                closed = descend(self.choices, closed, self.prices)[1]
            ends.append(closed.astype(float))
        best = np.argsort([-self.prices(end[None, :] > 0.5)[0] for end in ends], kind="stable")
        return found[:1] + [ends[k] for k in best]

    def near(self, decision: Floats, count: int) -> Iterable[Floats]:
        """Half of them heaviest trees under the fractional decision, shaken; half the best start's best exchanges."""
        rng = np.random.default_rng(0)
        seen: set[bytes] = set()
        trees = [decision] + [decision + 0.3 * rng.random(len(decision)) for _ in range(count // 2)]
        rivals = exchanges(self.choices, self._starts[-1] > 0.5) if self._starts else np.empty((0, len(decision)), bool)
        rivals = rivals[self._few_changes(rivals)]
        order = np.argsort(self.prices(rivals), kind="stable")[: count // 2] if len(rivals) else np.empty(0, np.int64)
        for tree in [t for weight in trees for t in self._trees(weight)] + list(rivals[order].astype(float)):
            if (key := tree.tobytes()) not in seen:
                seen.add(key)
                yield tree

    def cost(self, decision: Floats) -> float:
        """Cost of the changes, in kW."""
        return self.change_cost_kw * float(np.sum((decision > 0.5) != self.network.closed))

    def judge(self, decision: Floats, dispatch: Floats | None) -> Verdict:
        """Exact AC power flow at the dispatch."""
        net = self.network
        if dispatch is None:
            p, q = net.generator_s.real, net.generator_s.imag
            generation = np.clip(p, net.p_min, net.p_max) + 1j * np.clip(q, net.q_min, net.q_max)
        else:
            generation = dispatch[0::2] + 1j * dispatch[1::2]
        closed = decision > 0.5
        state = ac_state(net, closed, generation) if self._few_changes(closed[None, :])[0] else None
        final = not len(net.generator_names)
        if state is None:
            return Verdict(math.inf, math.inf, None, final)
        violation = excess(net, state)
        value = math.inf if violation > 0.0 else state.loss * net.s_base_kva
        return Verdict(value, violation, state, final)

    def prices(self, closed: Bools) -> Floats:
        """(K) objective of K states, (K, E); inf where limits are missed or no state exists."""
        net = self.network
        loss, _ = losses(net, closed)
        limited = np.any(net.w_min > 0) or np.any(np.isfinite(net.w_max)) or np.any(np.isfinite(net.l_max))
        if limited and np.isfinite(loss).any():
            good = np.flatnonzero(np.isfinite(loss))
            loss[good[self._excess_of(closed[good]) > 0.0]] = math.inf
        loss[~self._few_changes(closed)] = math.inf
        return np.asarray(loss * net.s_base_kva + self.change_cost_kw * np.sum(closed != net.closed, axis=1))

    def violations(self, closed: Bools) -> Floats:
        """(K) violation of K states, (K, E); inf where no state exists or too much is changed."""
        violation = np.full(len(closed), math.inf)
        loss, _ = losses(self.network, closed)
        good = np.flatnonzero(np.isfinite(loss))
        violation[good] = self._excess_of(closed[good])
        violation[~self._few_changes(closed)] = math.inf
        return violation

    def _few_changes(self, closed: Bools) -> Bools:
        """(K) whether K states, (K, E), keep to the number of changes."""
        if self.max_changes is None:
            return np.ones(len(closed), dtype=np.bool_)
        return np.asarray(np.sum(closed != self.network.closed, axis=1) <= self.max_changes)

    def _excess_of(self, closed: Bools) -> Floats:
        """(K) sum of excesses, with the tolerance of the check."""
        net = self.network
        flows = solve(net, closed)
        w, l = np.abs(flows.v) ** 2, np.abs(flows.i_series) ** 2
        most = (1.0 + LIMIT_TOLERANCE) ** 2
        inner = np.setdiff1d(np.arange(net.n_terminals), net.source_terminal)
        w_min = np.where(net.w_min > 0, net.w_min, np.nan)
        low = np.where(w < w_min * (1.0 - LIMIT_TOLERANCE) ** 2, 1.0 - w / w_min, 0.0)
        high = np.where(w > net.w_max * most, w / net.w_max - 1.0, 0.0)
        over = np.where(l > net.l_max * most, l / net.l_max - 1.0, 0.0)
        return np.asarray(low[:, inner].sum(axis=1) + high[:, inner].sum(axis=1) + over.sum(axis=1))

    def dispatch(self, recourse: DistFlow) -> cp.Variable | None:
        """Injections of the dispatchable generators."""
        return recourse.s_gen

    def _trees(self, weight: Floats) -> list[Floats]:
        """The heaviest tree that keeps the locks and the number of changes, if it does."""
        tree = heaviest_tree(self.choices, weight)
        return [tree] if self._few_changes(tree[None, :] > 0.5)[0] else []

    def _loss_cap(self, *, incumbents: bool) -> float:
        """A loss (pu) that no answer of interest exceeds: that of a start that keeps the limits, else the whole load.

        More than the load is lost only beyond the nose of the power-voltage curve, where nobody runs a grid.
        """
        net = self.network
        load = np.abs(net.s_power) + np.abs(net.s_current) * 2 + np.abs(net.s_impedance) * 4
        most = float(load.sum() + np.abs(net.b).sum() * 4 + np.abs(net.g).sum() * 4)
        most += float(np.maximum(np.hypot(net.p_max, net.q_max), np.hypot(net.p_min, net.q_min)).sum())
        if not incumbents:
            return most
        known = [self.judge(x, None).value + self.cost(x) for x in self.starts()]
        return min([most, *(value / net.s_base_kva for value in known)])

    def _flow_most(self, cap: float) -> tuple[float, float]:
        """Bounds of active and reactive flow on any branch: what all buses take or feed, and what is lost."""
        net = self.network
        p = np.abs(net.s_power.real) + 2 * np.abs(net.s_current.real) + 4 * np.abs(net.s_impedance.real)
        q = np.abs(net.s_power.imag) + 2 * np.abs(net.s_current.imag) + 4 * np.abs(net.s_impedance.imag)
        p_gen = float(np.maximum(np.abs(net.p_max), np.abs(net.p_min)).sum())
        q_gen = float(np.maximum(np.abs(net.q_max), np.abs(net.q_min)).sum())
        ratio = float(np.max(np.where(net.r > 0, net.x / np.maximum(net.r, 1e-12), 0.0), initial=1.0))
        no_r = net.x[net.r <= 0].sum()
        q_lost = cap * ratio + float(no_r) * float(np.abs(net.s_power).sum() + cap) ** 2 * 4
        q_most = float(q.sum()) + q_gen + q_lost + 4 * float(np.abs(net.b).sum())
        return float(p.sum()) + p_gen + cap, q_most


def excess(network: Network, state: RadialState) -> float:
    """Sum of the excesses of the squared limits of an AC state, each relative to its limit; 0 where all are kept."""
    w, l = np.abs(state.v) ** 2, np.abs(state.i) ** 2
    check = state.check
    low = 1.0 - w[check.v_low] / network.w_min[check.v_low]
    high = w[check.v_high] / network.w_max[check.v_high] - 1.0
    over = l[check.overloaded] / network.l_max[check.overloaded] - 1.0
    return float(low.sum() + high.sum() + over.sum())
