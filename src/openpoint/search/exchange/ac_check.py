"""Branch exchange with AC evaluation: exchanges are ranked by an estimate and evaluated by the exact power flow.

Branch exchange alone (Civanlar et al. 1988), with perturbations: a local optimum in milliseconds, and no bound.

Theory: docs/methods.md M42.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import with_positions
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import losses, solve
from openpoint.powerflow.operating_point import OperatingPointEvaluator
from openpoint.search.exchange.descent import IncrementalExchange, accepted, rules_for
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, Work, work_for
from openpoint.search.kernel.entries import propagate, rank, span
from openpoint.search.kernel.forest import loops_for
from openpoint.search.model.build import Numbering, build_model
from openpoint.search.result import SearchProgress, SearchResult
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination

FIRST = 12
"""Exchanges evaluated at first, those with the best estimate; the number grows by TIMES while none is better."""
TIMES = 5
AT_ONCE = 1e6
"""States evaluated in one call, times buses: at most a second of work, so that time limits are met."""
HOPELESS = 0.2
"""Estimated increase of the loss, relative to it, above which an exchange is not evaluated for its loss."""


@dataclass(frozen=True)
class AcEvaluator:
    """Exact objective value and violation of radial states.

    Attributes:
        network: with the limits to keep. change_cost: per change, per unit.
        states: where the loss is not all that counts, or devices may be set: the costs and limits that all count;
            `network` and `change_cost` follow from it. positions: (D) of the devices in `network`.
    """

    network: Network
    change_cost: float = 0.0
    states: OperatingPointEvaluator | None = None
    positions: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def at(self, positions: Ints) -> AcEvaluator:
        """The evaluator with its devices at other positions."""
        assert self.states is not None
        network = with_positions(self.states.network, self.states.devices, positions)
        return replace(self, network=network, positions=positions).with_outputs(self.outputs)

    @property
    def outputs(self) -> Complexes:
        """(G) outputs within the ranges of the generators, also of those that are off."""
        net, s = self.network if self.states is None else self.states.network, self.network.generator_s
        return np.asarray(np.clip(s.real, net.p_min, net.p_max) + 1j * np.clip(s.imag, net.q_min, net.q_max))

    def with_outputs(self, generation: Complexes) -> AcEvaluator:
        """The evaluator with other (G) outputs of generators, 0 of those that are off."""
        running = generation if self.states is None else self.running(generation, self.positions)
        if np.array_equal(running, self.network.generator_s):
            return self  # what power flows keep of a network is kept with it
        return replace(self, network=replace(self.network, generator_s=running))

    def running(self, generation: Complexes, positions: Ints) -> Complexes:
        """(G) outputs at these positions, 0 of generators that are off."""
        assert self.states is not None
        return np.where(self.states.on(positions[None, :])[0], generation, 0.0)

    def evaluate_at(self, closed: Bools, positions: Ints) -> tuple[Floats, Floats]:
        """As `evaluate`, with a row of (K, D) positions for each of K states."""
        assert self.states is not None
        return self.states.evaluate(closed, positions, self.outputs)

    def evaluate(self, closed: Bools) -> tuple[Floats, Floats]:
        """Objective values and violations of (K, E) radial states; both are inf where the power flow has no solution.

        The violation is the sum of the excesses of squared voltages and currents relative to their limits; it is 0
        where all limits count as kept.
        """
        if self.states is not None:
            return self.evaluate_at(closed, self.positions)
        net = self.network
        low, high, most = self._accepted
        if not (np.any(low > 0.0) or np.any(high < np.inf) or np.any(most < np.inf)):
            loss = losses(net, closed)[0]
            violation = np.where(np.isfinite(loss), 0.0, np.inf)
        else:
            flows = solve(net, closed)
            loss = flows.loss
            w, l = flows.v.real**2 + flows.v.imag**2, flows.i_rated**2
            violation = np.where(flows.converged, 0.0, np.inf)
            if (under := w < low).any():
                violation += np.where(under, 1.0 - w / np.where(low > 0.0, net.w_min, 1.0), 0.0).sum(axis=1)
            if (over := w > high).any():
                violation += np.where(over, w / net.w_max - 1.0, 0.0).sum(axis=1)
            if (hot := l > most).any():
                violation += np.where(hot, l / np.maximum(net.l_max, 1e-12) - 1.0, 0.0).sum(axis=1)
        changes = np.sum(closed != net.closed, axis=1) if self.change_cost else 0.0
        return np.asarray(loss + self.change_cost * changes), np.asarray(violation)

    def ranked_by(self, model: Model) -> Model:
        """The model whose resistances are those by which exchanges are ranked: with the prices of loss and current."""
        by_loss = 1.0 if self.states is None else self.states.cost.loss + float(self.states.cost.source.mean())
        if by_loss == 1.0 and not model.current_price.any():
            return model
        return replace(model, r=by_loss * model.r + model.current_price)

    @cached_property
    def _accepted(self) -> tuple[Floats, Floats, Floats]:
        return accepted(self.network)


@dataclass(frozen=True)
class Candidate:
    """A radial state, its exact objective value and violation, (G) outputs of generators, (D) positions of devices."""

    closed: Bools
    value: float
    violation: float
    generation: Complexes
    positions: Ints

    def beats(self, other: Candidate | None) -> bool:
        """Whether its violation is less, or equal with a lower objective value."""
        return other is None or (self.violation, self.value) < (other.violation, other.value)


class Exchange:
    """Exchanges of branches on one grid."""

    def __init__(
        self,
        model: Model,
        numbering: Numbering,
        evaluator: AcEvaluator,
        status: States,
        over: Callable[[], bool] = lambda: False,
        better: Callable[[Candidate], None] = lambda candidate: None,
    ) -> None:
        """`status`: what is decided in every state, as `propagate` leaves it.

        `over`: called regularly; True stops. `better`: called with the new state after every exchange.
        """
        self.model, self.numbering, self.evaluator = model, numbering, evaluator
        self.status = status.copy()
        self.free = status == UNDECIDED
        self.over, self.better = over, better
        self.evaluations = 0.0
        self.work: Work = work_for(model)
        self.ranked_by = evaluator.ranked_by(model)
        self.loops = loops_for(self.free, 1024)
        self.incremental: IncrementalExchange | None = None
        if evaluator.states is None:
            rules = rules_for(evaluator.network, model, numbering, status, evaluator.change_cost)
            self.incremental = IncrementalExchange(rules)

    def tree(self, weight: Floats) -> Candidate | None:
        """The spanning tree of greatest weight (Kruskal 1956), evaluated; None as in `candidate`. weight: (m)."""
        self.work.status[:] = self.status
        if not span(self.model, self.work, np.argsort(-weight, kind="stable").astype(np.int32)):
            return None
        return self.candidate(self.work.status == CLOSED)

    def candidate(self, closed: Bools) -> Candidate | None:
        """A radial state of the model, (m), evaluated; None where it has too many changes or no power flow solution."""
        if int(np.sum(closed & self.model.swap)) > self.model.most_closings:
            return None
        state = self.full(closed[None, :])
        value, violation = self.evaluator.evaluate(state)
        if not np.isfinite(value[0]):
            return None
        generation, positions = self.evaluator.network.generator_s, self.evaluator.positions
        return Candidate(state[0], float(value[0]), float(violation[0]), generation, positions)

    def at(self, candidate: Candidate, generation: Complexes) -> Candidate | None:
        """The candidate with other generator outputs; later states are evaluated with these and its positions too."""
        self.set_devices(candidate.positions)
        self.set_outputs(generation)
        return self.candidate(candidate.closed[self.numbering.branch])

    def set_devices(self, positions: Ints) -> None:
        """Evaluate later states with the devices at these positions."""
        if not np.array_equal(positions, self.evaluator.positions):
            self.evaluator = self.evaluator.at(positions)

    def set_outputs(self, generation: Complexes) -> None:
        """Evaluate later states with these (G) outputs of the generators."""
        self.evaluator = self.evaluator.with_outputs(generation)

    def full(self, closed: Bools) -> Bools:
        """(K, E) states from (K, m)."""
        state = np.zeros((len(closed), self.evaluator.network.n_conductors), dtype=np.bool_)
        state[:, self.numbering.branch] = closed
        return state

    def descend(self, candidate: Candidate, most: float = np.inf) -> Candidate:
        """Repeat exchanges until none of the promising ones is better, or `most` states have been evaluated."""
        if self.incremental is not None:
            return self.perturbed(candidate, 0.0, most)
        most += self.evaluations
        while not self.over() and self.evaluations < most and (better := self._step(candidate)) is not None:
            candidate = better
            self.better(candidate)
        return candidate

    def perturbed(self, candidate: Candidate, effort_limit: float, most: float = np.inf, seed: int = 0) -> Candidate:
        """Repeat exchanges as in `descend`, and go on by perturbations until `effort_limit` states in a row are no
        better.

        Flows are incremental; the states found are evaluated by the flow of the whole grid. Where the loss is not all
        that counts there are no perturbations. `seed`: of the random numbers.
        """
        if self.incremental is None:
            return candidate
        net, before, best = self.evaluator.network, self.evaluations, candidate
        states = self.incremental.states(net, candidate.closed, candidate.value, effort_limit * net.n_terminals, seed)
        begun = self.incremental.buses
        while not self.over() and self.evaluations < before + most and (closed := next(states, None)) is not None:
            self.evaluations = before + (self.incremental.buses - begun) / net.n_terminals
            if not np.array_equal(closed, best.closed):
                found = self.candidate(closed[self.numbering.branch])
                if found is not None and found.beats(best):
                    best = found
                    self.better(best)
        return best

    def _step(self, candidate: Candidate) -> Candidate | None:
        closed = candidate.closed[self.numbering.branch]
        pairs, change = self._ranked(candidate)
        if np.sum(closed & self.model.swap) + 1 > self.model.most_closings:
            growth = self.model.swap[pairs[:, 0]].astype(int) - self.model.swap[pairs[:, 1]]
            few = np.sum(closed & self.model.swap) + growth <= self.model.most_closings
            pairs, change = pairs[few], change[few]
        if candidate.violation == 0.0 and not self.evaluator.change_cost and self.ranked_by is self.model:
            pairs = pairs[change < HOPELESS * candidate.value]
        begin, count = 0, FIRST
        most = max(FIRST, int(AT_ONCE / self.evaluator.network.n_terminals))
        while begin < len(pairs) and not self.over():
            some = pairs[begin : begin + count]
            near = np.repeat(closed[None, :], len(some), axis=0)
            near[np.arange(len(some)), some[:, 0]] = True
            near[np.arange(len(some)), some[:, 1]] = False
            near = self.full(near)
            value, violation = self.evaluator.evaluate(near)
            self.evaluations += len(near)
            best = int(np.lexsort((value, violation))[0])
            found = replace(candidate, closed=near[best], value=float(value[best]), violation=float(violation[best]))
            if found.violation < candidate.violation or (
                found.violation == candidate.violation and found.value < candidate.value - 1e-9 * abs(candidate.value)
            ):
                return found
            begin, count = begin + count, min(count * TIMES, most)
        return None

    def _ranked(self, candidate: Candidate) -> tuple[Floats, Floats]:
        """(K, 2) branches to close and to open, best estimate first, and the estimated change of loss."""
        work = self.work
        work.status[:] = candidate.closed[self.numbering.branch]
        current = solve(self.evaluator.network, candidate.closed).i_series[0, self.numbering.branch]
        while True:
            loops = self.loops
            loops.i_re[:], loops.i_im[:] = current.real, current.imag
            count = rank(self.ranked_by, work, loops)
            if count <= len(loops.change):
                break
            self.loops = loops_for(self.free, 2 * count)
        order = np.argsort(loops.change[:count], kind="stable")
        return np.stack([loops.close[order], loops.away[order]], axis=1), loops.change[order]


def exchange_branches(
    network: Network,
    rules: SwitchingRules,
    *,
    time_limit: float = math.inf,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[SearchProgress], None] | None = None,
    deadline: Deadline | None = None,
) -> SearchResult:
    """The best local optimum of branch exchange: from today's state and the tree of least impedance, then perturbed.

    Exchanges are ranked by an estimate from the currents of an exact flow, and accepted by exact flows. A perturbation
    is some of them at random, kept where exchange leads to a better state from there. Violations of limits come first.

    Args:
        network: a balanced network with the limits to keep. Limits count as kept within a relative 1e-6.
        rules: for its branches.
        time_limit: seconds. stop: called regularly; True stops. progress: called after every exchange.
        deadline: used in place of the time limit.

    Raises:
        OptionError: several phases, generators to dispatch, or a voltage without limit.
    """
    model, numbering = build_model(network, rules)
    if model.dispatchable:
        raise OptionError(
            "branch exchange does not dispatch generators; use topology search, or clear their limits to fix them"
        )
    work = work_for(model)
    work.status[rules.must_close[numbering.branch]] = CLOSED
    possible = propagate(model, work)
    best: Candidate | None = None
    until = deadline or Deadline(time_limit)
    began = until.passed()

    def seconds() -> float:
        return until.passed() - began

    def over() -> bool:
        return until.over() or (stop is not None and stop())

    if possible:

        def better(candidate: Candidate) -> None:
            value = min(_value(candidate), _value(best))
            if progress is not None:
                progress(SearchProgress(seconds(), 0, 0, 0, -math.inf, value, 0.0))

        exchange = Exchange(model, numbering, AcEvaluator(network, rules.change_cost), work.status, over, better)
        for weight in (network.closed[numbering.branch].astype(float), -np.sqrt(model.z2)):
            start = exchange.tree(weight)
            candidate = None if start is None else exchange.perturbed(start, float(exchange.free.sum()))
            if candidate is not None and candidate.beats(best):
                best = candidate
            if best is not None and over():
                break
    reason = Termination.LOCAL if possible else Termination.INFEASIBLE
    if possible and over():
        reason = until.why if until.over() else Termination.INTERRUPTED
    holds = best is not None and best.violation == 0.0
    closed = None if best is None else best.closed
    return SearchResult(
        termination=reason,
        closed=closed if holds else None,
        generation=None if best is None else best.generation,
        value=_value(best),
        lower_bound=-math.inf if possible else math.inf,
        least_violation=None if holds else closed,
        nodes=0,
        probes=0,
        leaves=0,
        by_cone=0,
        seconds=seconds(),
    )


def _value(best: Candidate | None) -> float:
    return best.value if best is not None and best.violation == 0.0 else math.inf
