"""The mathematical model of reconfiguration: which branches are closed, so that the grid is radial and loses least.

min  loss_kw(x) + c · changes(x)
s.t. x radial, locked branches kept, at most N changes;  DistFlow at x;  voltage and current limits
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import cvxpy as cp
import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.errors import OptionError
from openpoint.formulations.distflow import DistFlow, distflow, voltage_bounds
from openpoint.formulations.radiality import Choices, contract, heaviest_tree, radiality
from openpoint.network import Network
from openpoint.powerflow.balanced import losses, solve
from openpoint.powerflow.ensemble import LIMIT_TOLERANCE, Ensemble, ensemble, excesses, is_limited
from openpoint.search.exchange.pairs import descend, exchanges
from openpoint.search.topology import search_topologies
from openpoint.studies.reconfigure.most import flow_most, loss_most
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.objective import Objective, objective_of
from openpoint.twostage.program import ExactEvaluation, FirstStage, PlainRecourse
from openpoint.twostage.risk import Expectation, Risk
from openpoint.twostage.uncertainty import Box, Budget, Certain, Finite, Uncertainty
from openpoint.twostage.workers.pool import never

RIVAL_ROUNDS = 6
"""Trees around which exchanges are tried for rivals of the best start."""
TRIAL_MOST = 20_000
"""Power flows tried at once: what their voltages take in memory."""
FEW = 3
"""Futures up to which good states to start from take so little time that nothing stops the search for them."""
PIECE = 2_000
"""Power flows between two questions whether to stop."""
DETERMINISTIC_S = 20.0
"""Seconds for one future alone; its bounds hold whether they meet or not."""


@dataclass(frozen=True)
class RadialChoice(FirstStage):
    """The first stage, with the arcs of the free branches (F); None where nothing is free."""

    arc_fr: cp.Variable | None
    arc_to: cp.Variable | None


@dataclass(frozen=True)
class RadialProgram(PlainRecourse):
    """Reconfiguration as a two-stage program: x is the state of every branch, the recourse is the power flow.

    Attributes:
        network: the grid with the limits to keep.
        must_close, must_open: (E) branches whose state is given.
        max_changes: most branches whose state may differ from today's; None = any number.
        change_cost_kw: cost of a change, in kW of loss.
        futures: demands that may come to be, a realisation the (2N) active and reactive constant power per unit; None =
            today's alone.
        risk: of the losses in the futures.
        limits_share: share of the futures in which the limits are kept.
    """

    network: Network
    must_close: Bools
    must_open: Bools
    max_changes: int | None = None
    change_cost_kw: float = 0.0
    futures: Finite | None = None
    risk: Risk = field(default_factory=Expectation)
    limits_share: float = 1.0

    recourse_lower_bound = 0.0
    distance_min = 2

    @cached_property
    def uncertainty(self) -> Finite:
        """The demands that may come to be."""
        return self.futures or Certain(as_realisation(self.network.s_power))

    @cached_property
    def objective(self) -> Objective:
        """What counts of the losses in the futures; regret is left to the method."""
        return objective_of(self)

    @cached_property
    def demands(self) -> Complexes:
        """(K, N) demand of constant power in every future."""
        return as_demand(self.uncertainty.values)

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> RadialProgram:
        """The same grid before other futures."""
        assert not isinstance(uncertainty, Box | Budget)
        return replace(self, futures=uncertainty, risk=risk)

    @cached_property
    def _least(self) -> Network:
        """The network with the least demand of any future at every bus: what raises voltages most."""
        s = self.demands
        return replace(self.network, s_power=s.real.min(axis=0) + 1j * s.imag.min(axis=0))

    @cached_property
    def _most(self) -> Network:
        """The network with the largest power of any future at every bus, in whichever direction."""
        s = self.demands
        return replace(self.network, s_power=np.abs(s.real).max(axis=0) + 1j * np.abs(s.imag).max(axis=0))

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
        net = self._least
        loads = (net.s_power, net.s_current, net.s_impedance)
        return not len(net.generator_names) and all(bool(np.all(s.real >= 0)) for s in loads)

    @cached_property
    def consumes_q(self) -> bool:
        """The same for reactive power, charging included."""
        net = self._least
        loads = (net.s_power, net.s_current, net.s_impedance)
        idle = not len(net.generator_names) and bool(np.all(net.b_most <= 0))
        return idle and all(bool(np.all(s.imag >= 0)) for s in loads)

    def first_stage(self, *, with_recourse: bool) -> RadialChoice:
        """Radial choices, locked branches, number and cost of changes."""
        hungry = np.zeros(self.choices.n_blocks, dtype=bool)
        if with_recourse and self.consumes_p:
            load = np.zeros(self.choices.n_blocks)
            np.add.at(load, self.choices.block, self._least.s_power.real)
            hungry = load > 1e-4 * self._least.s_power.real.sum()
        block = radiality(self.choices, hungry=hungry)
        today = self.network.closed
        changes = cp.sum(block.closed[~today]) + cp.sum(1 - block.closed[today])
        constraints = list(block.constraints)
        if self.max_changes is not None:
            constraints.append(changes <= self.max_changes)
        cost = self.change_cost_kw * changes
        return RadialChoice(block.closed, block.integers, constraints, cost, block.arc_fr, block.arc_to)

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> DistFlow:
        """The power flow at a decision in a future."""
        return distflow(self._most, decision, voltage_bounds(self._least, limits=limits)[1], realisation)

    def valid_inequalities(
        self, first: RadialChoice, recourse: DistFlow, realisation: Floats, *, most: float, limits: bool
    ) -> Sequence[cp.Constraint]:
        """Bounds of flow and current by state, and where buses only consume, flow from parent to child."""
        net, closed, flow = replace(self.network, s_power=as_demand(realisation)), first.decision, recourse
        cap = min(loss_most(net), most / net.s_base_kva)
        w_lower = voltage_bounds(self._least, limits=limits)[0]
        lower_fr, lower_to = w_lower[net.terminal_fr] / net.tap**2, w_lower[net.terminal_to]
        l_most = cap / np.maximum(net.r, 1e-12)
        if limits:
            l_most = np.minimum(l_most, net.l_max * (1 + LIMIT_TOLERANCE))
        rated = np.flatnonzero(np.isfinite(l_most) & np.isfinite(net.l_max))
        p_most, q_most = flow_most(net, cap)
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

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """The tree nearest to today's state, and where branch exchange leads from it and from least impedance.

        The best comes last.
        """
        if not self._starts:
            self._starts.extend(self._started(never if len(self.demands) <= FEW else stop))
        return self._starts

    @cached_property
    def _starts(self) -> list[Floats]:
        """What `warm_starts` found."""
        return []

    def _started(self, stop: Callable[[], bool]) -> list[Floats]:
        net, piece = self.network, max(1, PIECE // len(self.demands))
        found = self._trees(net.closed.astype(float)) + self._trees(-np.abs(net.z.diagonal()))
        ends = []
        for start in found[:1] if stop() else found:
            closed = start > 0.5
            violation, closed = descend(self.choices, closed, self.violations, enough=0.0, stop=stop, piece=piece)
            if violation == 0.0:
                closed = descend(self.choices, closed, self.prices, stop=stop, piece=piece)[1]
            ends.append(closed.astype(float))
            if stop():
                break
        best = np.argsort([-self.prices(end[None, :] > 0.5)[0] for end in ends], kind="stable")
        return found[:1] + [ends[k] for k in best]

    def rounding_heuristic(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterable[Floats]:
        """Half of them heaviest trees under the fractional decision, shaken; half the best around the best start."""
        rng = np.random.default_rng(0)
        seen: set[bytes] = set()
        trees = [decision] + [decision + 0.3 * rng.random(len(decision)) for _ in range(count // 2)]
        for tree in [t for weight in trees for t in self._trees(weight)] + self._rivals(count // 2, stop):
            if (key := tree.tobytes()) not in seen:
                seen.add(key)
                yield tree

    def _rivals(self, count: int, stop: Callable[[], bool]) -> list[Floats]:
        """The best trees that exchanges lead to from the best start, and from the best of those."""
        if not self._starts:
            return []
        price: dict[bytes, float] = {}
        piece = max(1, PIECE // len(self.demands))
        known: list[Bools] = []
        asked: set[bytes] = set()
        around = self._starts[-1] > 0.5
        for _ in range(RIVAL_ROUNDS):
            asked.add(around.tobytes())
            found = exchanges(self.choices, around)
            found = found[self._few_changes(found)]
            found = found[[x.tobytes() not in price for x in found]]
            for begin in range(0, len(found), piece):
                if stop():
                    return []
                some = found[begin : begin + piece]
                price |= {x.tobytes(): float(value) for x, value in zip(some, self.prices(some))}
                known += list(some)
            known.sort(key=lambda x: price[x.tobytes()])
            fresh = [x for x in known if x.tobytes() not in asked and np.isfinite(price[x.tobytes()])]
            if not fresh:
                break
            around = fresh[0]
        return [x.astype(float) for x in known[:count]]

    def first_stage_cost(self, decision: Floats) -> float:
        """Cost of the changes, in kW."""
        return self.change_cost_kw * float(np.sum((decision > 0.5) != self.network.closed))

    def evaluate(self, decision: Floats, realisations: Floats, dispatch: Sequence[Floats] | None) -> ExactEvaluation:
        """Exact AC power flow in every future, at its dispatch."""
        net, closed, demand = self.network, decision > 0.5, as_demand(realisations)
        p, q = net.generator_s.real, net.generator_s.imag
        today = np.clip(p, net.p_min, net.p_max) + 1j * np.clip(q, net.q_min, net.q_max)
        chosen = [today] * len(demand) if dispatch is None else [each[0::2] + 1j * each[1::2] for each in dispatch]
        state: Ensemble | None = None
        nothing = np.full(len(demand), np.inf)
        if self._few_changes(closed[None, :])[0]:
            state = ensemble(net, closed, demand, np.array(chosen).reshape(len(demand), -1))
        final = not len(net.generator_names)
        if state is None or not np.isfinite(state.loss).any():
            return ExactEvaluation(nothing, nothing, None, final)
        return ExactEvaluation(state.loss * net.s_base_kva, state.excess, state, final)

    def prices(self, closed: Bools) -> Floats:
        """(C) objective of C states, (C, E); inf where limits are missed too often or no state exists."""
        value = np.full(len(closed), np.inf)
        few = np.flatnonzero(self._few_changes(closed))
        cost = self.change_cost_kw * np.sum(closed[few] != self.network.closed, axis=1)
        value[few] = self.objective.many(cost, *self._trial(closed[few]))
        return value

    def violations(self, closed: Bools) -> Floats:
        """(C) violation of C states, (C, E), over the futures; inf where no state exists or too much is changed."""
        value = np.full(len(closed), np.inf)
        few = np.flatnonzero(self._few_changes(closed))
        value[few] = self._trial(closed[few])[1].sum(axis=1)
        return value

    def _trial(self, closed: Bools) -> tuple[Floats, Floats]:
        """(C, K) loss in kW and violation of C states in the futures."""
        net, k = self.network, len(self.demands)
        loss = np.full((len(closed), k), np.inf)
        violation = np.full((len(closed), k), np.inf)
        step = max(1, TRIAL_MOST // k)
        for begin in range(0, len(closed), step):
            part = slice(begin, min(begin + step, len(closed)))
            states, demand = np.repeat(closed[part], k, axis=0), np.tile(self.demands, (len(closed[part]), 1))
            lost, _ = losses(net, states, s_power=demand)
            excess = np.where(np.isfinite(lost), 0.0, np.inf)
            good = np.flatnonzero(np.isfinite(lost))
            if is_limited(net) and len(good):
                excess[good] = excesses(net, solve(net, states[good], s_power=demand[good]))
            loss[part], violation[part] = lost.reshape(-1, k) * net.s_base_kva, excess.reshape(-1, k)
        return loss, violation

    def _few_changes(self, closed: Bools) -> Bools:
        """(K) whether K states, (K, E), keep to the number of changes."""
        if self.max_changes is None:
            return np.ones(len(closed), dtype=np.bool_)
        return np.asarray(np.sum(closed != self.network.closed, axis=1) <= self.max_changes)

    def dispatch(self, recourse: DistFlow) -> cp.Variable | None:
        """Injections of the dispatchable generators."""
        return recourse.s_gen

    def deterministic_bounds(self, gap: float, deadline: Deadline | None = None) -> tuple[float, float] | None:
        """Bounds by topology search, which is far quicker for one demand."""
        within = (deadline or Deadline()).within(DETERMINISTIC_S)
        net, s = replace(self.network, s_power=self.demands[0]), self.network.s_base_kva
        try:
            found = search_topologies(
                net,
                must_close=self.must_close,
                must_open=self.must_open,
                max_changes=self.max_changes,
                change_cost=self.change_cost_kw / s,
                gap=gap,
                deadline=within,
            )
        except OptionError:
            return None
        return None if found.closed is None else (found.lower_bound * s, found.value * s)

    def _trees(self, weight: Floats) -> list[Floats]:
        """The heaviest tree that keeps the locks and the number of changes, if it does."""
        tree = heaviest_tree(self.choices, weight)
        return [tree] if self._few_changes(tree[None, :] > 0.5)[0] else []


def as_realisation(demand: Complexes) -> Floats:
    """(…, 2N) real from (…, N) complex power."""
    return np.concatenate([demand.real, demand.imag], axis=-1)


def as_demand(realisation: Floats) -> Complexes:
    """(…, N) complex power from (…, 2N) real."""
    n = realisation.shape[-1] // 2
    return np.asarray(realisation[..., :n] + 1j * realisation[..., n:])
