"""The incumbent: the best radial state found so far, improved by branch exchange and dispatch.

What a topology search is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import Devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import least_loss, no_supply_limits
from openpoint.powerflow.operating_point import OperatingPointEvaluator
from openpoint.search.dispatch import Dispatcher, Threshold, improved, improved_positions
from openpoint.search.exchange.ac_check import AcEvaluator, Candidate, Exchange
from openpoint.search.kernel.arrays import CLOSED, Model, Work
from openpoint.search.kernel.bookkeeping import Counts
from openpoint.search.kernel.entries import relaxed_positions
from openpoint.search.model.build import Numbering
from openpoint.search.model.objective import Objective
from openpoint.search.no_flow import has_no_flow, is_swept
from openpoint.search.result import ENOUGH, LONG, OPTIMAL

if TYPE_CHECKING:
    from openpoint.search.certificate import Certificate


class Judge(Protocol):
    """A judge: what no bound knows says of a radial state that keeps the limits of the network.

    Called with the (E) state and its objective value; returns the value that it has as an answer, inf where it is none,
    and the least that it may be worth, inf where it is proven to be none.
    """

    def __call__(self, closed: Bools, value: float) -> tuple[float, float]: ...


@dataclass(frozen=True)
class SearchTask:
    """The task of a search: see the arguments of `openpoint.search.topology.search_topologies`."""

    network: Network
    rules: SwitchingRules
    devices: Devices
    objective: Objective | None
    gap: float | None
    memory: float
    certifiable: bool
    perturbations: bool = True
    judge: Judge | None = None

    @property
    def least_gap(self) -> float:
        """The gap at which to stop, the one at the beginning where none was asked for."""
        return OPTIMAL if self.gap is None else self.gap

    @property
    def evaluator(self) -> OperatingPointEvaluator:
        """What evaluates states with devices, or of another cost than the loss."""
        net = self.network
        g, s = len(net.generator_terminal), len(net.source_terminal)
        objective = self.objective or Objective(least_loss(g, s, net.n_conductors), no_supply_limits(g, s))
        cost = replace(objective.cost, change=self.rules.change_cost)
        return OperatingPointEvaluator(net, self.devices, cost, objective.supply)

    def divisible(self, model: Model, *, written: bool) -> bool:
        """Whether its nodes may be divided into regions; `written`: whether a certificate is, which covers less."""
        if model.costly or bool(model.y_first.any()):
            return False
        plain = self.objective is None and model.passive and not model.spans and not model.shunts and not model.currents
        plain = plain and bool(np.all(self.network.tap == 1.0))
        return not self.certifiable or (written and plain)


def check_options(gap: float | None, rules: SwitchingRules) -> None:
    """Refuse numbers that make no sense.

    Raises:
        OptionError: they do.
    """
    if gap is not None and not 0.0 <= gap < 1.0:
        raise OptionError(f"gap is {gap:g}; give a share from 0 to below 1")
    if rules.max_changes is not None and rules.max_changes < 0:
        raise OptionError(f"max_changes is {rules.max_changes}; give 0 or more")
    if not 0.0 <= rules.change_cost < math.inf:
        raise OptionError(f"change_cost is {rules.change_cost:g}; give 0 or more")


START_EVALUATIONS = 2e6
"""States evaluated before the root is bounded, times buses; on a large grid the root gives a better starting state."""
PERTURBATIONS_AFTER, PERTURBATIONS_PER_NODE = 16, 0.25
"""Nodes after which there are perturbations again, and whenever these have become four times as many; flows in vain a
node."""


def next_perturbations(nodes: int) -> int:
    """The next number of nodes after which there are perturbations."""
    number = 1
    while number <= nodes:
        number = max(PERTURBATIONS_AFTER, 4 * number)
    return number


class Incumbent:
    """The best radial state so far, and the heuristics that improve it.

    Attributes:
        candidate: the state; None while there is none. by_cone: trees whose bound comes from a cone solver.
        exchange: the branch exchange on this grid. points: evaluates states while outputs are chosen, if any are.
    """

    def __init__(
        self,
        task: SearchTask,
        model: Model,
        numbering: Numbering,
        work: Work,
        counts: Counts,
        dispatcher: Dispatcher,
        certificate: Certificate | None,
        over: Callable[[], bool],
        on_improvement: Callable[[], None],
    ) -> None:
        """`certificate`: that is written. `over`: called regularly; True stops.

        `on_improvement`: called after exchange has found a better state.
        """
        # Every better state raises the lower bounds of voltages; with outputs to choose, these may leave the bound of a
        # state lower than it is without them.
        self.raises = not task.certifiable and not model.dispatchable
        self.network, self.model, self.numbering = task.network, model, numbering
        self.work, self.counts, self.dispatcher = work, counts, dispatcher
        self.gap, self.any_gap = task.least_gap, task.gap is None
        self.inner = np.arange(len(numbering.bus)) < model.n
        self.candidate: Candidate | None = None
        self.by_cone, self.certificate, self.judge = 0, certificate, task.judge
        states = task.evaluator if task.devices.count or task.objective is not None else None
        self.points = (states or task.evaluator) if model.dispatchable else None

        def better(candidate: Candidate) -> None:
            if candidate.beats(self.candidate):
                self._keep(candidate)
                on_improvement()

        today = np.empty(0, dtype=np.int64) if states is None else states.devices.today
        self.sizes = today if states is None else states.devices.sizes
        evaluator = AcEvaluator(task.network, task.rules.change_cost, states, today).with_outputs(dispatcher.today)
        self.exchange = Exchange(model, numbering, evaluator, work.status, over, better)
        self.briefly = START_EVALUATIONS / len(numbering.bus)
        self.next_perturbations = 1 if task.perturbations else math.inf

    @property
    def value(self) -> float:
        """Objective value of the incumbent if it keeps the limits; inf otherwise."""
        return self.candidate.value if self.candidate is not None and self.candidate.violation == 0.0 else math.inf

    def evaluate_leaf(self, prove: Callable[[], None]) -> None:
        """Evaluate a leaf: the one radial state of a node. With dispatchable generators only its bound is proven.

        `prove`: called to write the proof of this bound.
        """
        if self.model.devices:
            self.exchange.set_devices(self.work.low.astype(np.int64))
        closed, outputs = self.work.status == CLOSED, self.exchange.evaluator.outputs
        candidate = None
        if self.model.dispatchable:
            self.exchange.set_outputs(self.dispatcher.outputs(self.work))
            candidate = self.exchange.candidate(closed)
        if candidate is None:
            self.exchange.set_outputs(outputs)
            candidate = self.exchange.candidate(closed)
        if self.model.dispatchable:
            candidate = self._dispatched(candidate, prove)
        elif candidate is None or not self._is_checked(candidate):
            bound = self.dispatcher.raised(self.work, self.counts)
            if bound >= self.counts.cutoff[0]:
                prove()
            elif candidate is not None or self.excludes(closed):
                if self.certificate is not None:
                    self.certificate.give_up("a radial state has hardly a power flow, or none, which no line can prove")
            else:  # no power flow was found, which proves nothing
                prove()
                self.counts.floor[0] = min(self.counts.floor[0], bound)
        if candidate is not None and candidate.beats(self.candidate) and self._judged(candidate):
            self.offer(candidate)

    def _judged(self, candidate: Candidate) -> Candidate | None:
        """A state with its value as an answer; None where it is no better one. The bound counts what it may be."""
        if self.judge is None or candidate.violation > 0.0:
            return candidate
        value, least = self.judge(candidate.closed, candidate.value)
        self.counts.floor[0] = min(self.counts.floor[0], least - self.numbering.fixed_cost)
        return replace(candidate, value=value) if value < self.value else None

    def _is_checked(self, candidate: Candidate) -> bool:
        """Whether a state need not be in a certificate, or its checker will find the power flow."""
        return self.certificate is None or is_swept(self.exchange.evaluator.network, candidate.closed)

    def excludes(self, closed: Bools) -> bool:
        """Whether a radial state (m), its devices and outputs as in the exchange, is proven to be of no interest: it
        has too many changes, or no power flow that keeps the limits and is better than the best state."""
        if int(np.sum(closed & self.model.swap)) > self.model.most_closings:
            return True
        low, high = np.empty((2, self.network.n_terminals))
        low[self.numbering.bus], high[self.numbering.bus] = self.model.w_min, self.model.w_max
        loss = self.numbering.loss_at(self.value if math.isfinite(self.value) else self.numbering.greatest)
        state = self.exchange.full(closed[None, :])[0]
        return has_no_flow(self.exchange.evaluator.network, state, (low, high), loss)

    def _dispatched(self, candidate: Candidate | None, prove: Callable[[], None]) -> Candidate | None:
        """A leaf with outputs to choose: raise its bound while it is open, and improve its outputs."""
        bound = self.dispatcher.raised(self.work, self.counts)
        if candidate is not None and self._open(candidate, bound):
            bound, output = self.dispatcher.newton(self.work, self.counts)
            other = self.exchange.at(candidate, output) if np.isfinite(output).all() else None
            candidate = other if other is not None and other.beats(candidate) else candidate
        prove()
        if candidate is not None and candidate.violation == 0.0 and self._open(candidate, bound):
            candidate = self._polished(candidate)
        if candidate is not None and self._open(candidate, bound):
            by_cone, candidate = self._by_cone(candidate)
            if self._open(candidate, max(bound, by_cone)):
                by_cone = max(by_cone, self._narrowed(candidate))
            self.by_cone += by_cone > bound
            bound = max(bound, by_cone)
        self.counts.floor[0] = min(self.counts.floor[0], bound)
        return candidate

    def _open(self, candidate: Candidate, bound: float) -> bool:
        """Whether a state may have better outputs of interest than those of the candidate."""
        if bound >= self.counts.cutoff[0]:
            return False
        loose = candidate.value - self.numbering.fixed_cost - bound > self.gap * abs(candidate.value)
        return loose or candidate.violation > 0.0

    def _by_cone(self, candidate: Candidate) -> tuple[float, Candidate]:
        """Lower bound of a state by the cone program, and the state with the program's outputs if it is better."""
        if self.dispatcher.cone is None:
            return -math.inf, candidate
        bound, found = self.dispatcher.cone(candidate.closed, candidate.positions, None)
        generation = None if found is None else self.dispatcher.within(found)
        changes = self._price(candidate)
        other = None if generation is None else self.exchange.at(candidate, generation)
        other = None if other is None else self._polished(other)
        return bound + changes, other if other is not None and other.beats(candidate) else candidate

    def _narrowed(self, candidate: Candidate) -> float:
        """Lower bound of a state by narrower cone programs, up to the least cost that is known of it and of all."""
        if self.dispatcher.cone is None:
            return -math.inf
        most, changes, state = (
            float(self.counts.cutoff[0]),
            self._price(candidate),
            (candidate.closed, candidate.positions),
        )
        if candidate.violation == 0.0:
            most = min(most, candidate.value - self.numbering.fixed_cost - 0.5 * self.gap * abs(candidate.value))
        return self.dispatcher.cone(*state, Threshold(most - changes, self.exchange.over))[0] + changes

    def _price(self, candidate: Candidate) -> float:
        return float(self.model.price[candidate.closed[self.numbering.branch]].sum())

    def _redispatched(self, candidate: Candidate) -> Candidate:
        """Improve a state by dispatch and by exchange in turns, until neither finds a better one."""
        while not self.exchange.over():
            other = self._at_best_outputs(candidate)
            better = candidate.value - self.gap * abs(candidate.value)
            if not (other.violation, other.value) < (candidate.violation, better):
                break
            candidate = self._descend(other, math.inf)
        self.exchange.at(candidate, candidate.generation)
        return candidate

    def _restarted(self, candidate: Candidate) -> Candidate | None:
        """The best of the state and those with one generator more or less running, each with its own best outputs."""
        best = candidate
        for d in self.model.stopper[self.model.stopper >= 0]:
            positions = candidate.positions.copy()
            positions[d] = self.sizes[d] - 1 - positions[d]
            there = replace(candidate, positions=positions, value=math.inf, violation=math.inf)
            other = self._at_best_outputs(there)
            best = other if other.beats(best) else best
        return self.exchange.at(best, best.generation)

    def _at_best_outputs(self, candidate: Candidate) -> Candidate:
        """The state with the outputs of least cost at its branches and positions, by the cone where limits bind."""
        outputs = self.dispatcher.on(candidate.closed[self.numbering.branch], candidate.positions)
        other = self.exchange.at(candidate, outputs)
        if other is None or other.violation > 0.0:
            other = self._by_cone(candidate if other is None else other)[1]
        return other

    def _descend(self, candidate: Candidate, most: float) -> Candidate:
        """Improve a state by branch exchange, and by moves of devices in turns with it."""
        if not self.model.devices:
            return self.exchange.descend(candidate, most)
        before = None
        while before is None or (candidate.violation, candidate.value) < (before.violation, before.value):
            before = candidate
            candidate = improved_positions(self.exchange.evaluator, self.sizes, candidate, self.exchange.over)
            self.exchange.set_devices(candidate.positions)
            candidate = self.exchange.descend(candidate, most)
        return candidate

    def start(self, starts: Bools | None) -> None:
        """Improve the given states, today's state and the tree of least impedance by exchange, with limited effort."""
        given = [] if starts is None else list(starts[:, self.numbering.branch])
        for state in given if self.candidate is not None else [*given, self.network.closed[self.numbering.branch]]:
            self.offer(self.exchange.tree(state.astype(float)), self.briefly)
        if self.candidate is None:
            self.offer(self.exchange.tree(-np.sqrt(self.model.z2)), self.briefly)

    def follow_multipliers(self, weight: Floats | None = None) -> None:
        """Exchange from the tree with the largest flows in the root relaxation, and continue a start cut short.

        `weight`: (m) of another tree to start from. The best end counts, so that their order is of no importance.
        """
        work, left = self.work, self.candidate if self.exchange.evaluations >= self.briefly else None
        if self.model.devices:
            relaxed_positions(self.model, work)
            self.exchange.set_devices(np.rint(work.wanted).astype(np.int64))
        if self.model.dispatchable:
            self.exchange.set_outputs(self.dispatcher.outputs(work))
        if weight is not None:
            self.offer(self.exchange.tree(weight))
        self.offer(self.exchange.tree(work.conductance * np.hypot(work.drop_y, work.drop_mu)))
        self.offer(left)
        if self.candidate is not None and self.model.units:
            self.offer(self._restarted(self.candidate))

    def perturb(self, nodes: int) -> None:
        """Perturbations from the incumbent if it is time, with effort that grows with the number of nodes.

        What they find depends on the state and the number of nodes only.
        """
        if nodes < self.next_perturbations:
            return
        self.next_perturbations = next_perturbations(nodes)
        before = self.candidate
        if before is None:
            return
        if self.model.dispatchable:
            self.exchange.at(before, before.generation)
        effort_limit = max(float(self.exchange.free.sum()), PERTURBATIONS_PER_NODE * nodes)
        found = self.exchange.perturbed(before, effort_limit, seed=nodes)
        if found.beats(before):
            self.offer(found)

    def now_and_then(self, nodes: int, more: int = 0) -> None:
        """Between nodes: look for better states, and content oneself with less in a long search.

        `more`: nodes that parts stand for (`openpoint.search.paths.explorer`), in which better states are due, too.
        """
        self.perturb(nodes + more)
        self._settle(nodes)

    def _settle(self, nodes: int) -> None:
        """Accept a larger gap once the search is long, if none was asked for."""
        if self.any_gap and self.gap < ENOUGH and nodes * self.model.n > LONG:
            self.gap = ENOUGH
            if self.candidate is not None and self.candidate.violation == 0.0:
                self._lower_cutoff(self.candidate.value)

    def _lower_cutoff(self, value: float) -> None:
        cutoff = value - self.numbering.fixed_cost - self.gap * abs(value)
        self.counts.cutoff[0] = min(self.counts.cutoff[0], cutoff)

    def offer(self, candidate: Candidate | None, most: float = math.inf) -> None:
        """Improve a state by at most `most` evaluations, and keep it if it is the best."""
        if candidate is None:
            return
        if candidate.beats(self.candidate):
            self._keep(candidate)
        candidate = self._descend(candidate, most)
        if self.model.dispatchable:
            candidate = self._polished(self._redispatched(candidate))
        if candidate.beats(self.candidate):
            self._keep(candidate)

    def _polished(self, candidate: Candidate) -> Candidate:
        """The state with better outputs, where the exact power flow finds some near those of the relaxation."""
        if self.points is None:
            return candidate
        within, state = self.dispatcher.within, (candidate.closed, candidate.positions)
        other = self.exchange.at(candidate, improved(self.points, *state, candidate.generation, within))
        return other if other is not None and other.beats(candidate) else candidate

    def _keep(self, candidate: Candidate) -> None:
        """Store a new best state and lower the cutoff; one that its judge does not accept is not stored."""
        judged = self._judged(candidate)
        if judged is None:
            return
        self.candidate = candidate = judged
        if candidate.violation == 0.0:
            self._lower_cutoff(candidate.value)
            # From here on only states with a lower value matter, whose voltages have narrower bounds.
            loss, bus = self.numbering.loss_at(candidate.value), self.numbering.bus
            highest = self.numbering.voltage_bounds.at(loss)[bus]
            np.minimum(self.model.w_max, highest, out=self.model.w_max, where=self.inner)
            if self.raises:
                self._raise_least(loss)

    def _raise_least(self, loss: float) -> None:
        lowest = self.numbering.voltage_bounds.least_at(loss)[self.numbering.bus]
        np.maximum(self.model.w_min, lowest, out=self.model.w_min, where=self.inner)

    def raise_voltages(self, certificate: Certificate | None) -> None:
        """Raise the lower bounds of voltages once, to those of the best loss known, which the certificate names.

        A higher lower bound may lessen the bound of a node with loads of constant current, whose multipliers were
        written before. So the bounds stay as they are at the first node. Where every better state raises them, and with
        prices or devices, this does nothing.
        """
        if self.raises or self.model.dispatchable or self.model.devices or self.numbering.costs is not None:
            return
        loss = self.value if certificate is None else certificate.first_loss(self.value)
        if math.isfinite(loss):
            self._raise_least(loss)
