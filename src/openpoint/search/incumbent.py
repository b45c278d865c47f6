"""The best state that a search knows: what it starts from, what leaves add, what exchange and dispatch make of both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from openpoint.arrays import Bools
from openpoint.network import Network
from openpoint.search.dispatch import Dispatcher
from openpoint.search.exchange.ac_check import AcEvaluator, Candidate, Exchange
from openpoint.search.kernel.arrays import CLOSED, Counts, Model, Work
from openpoint.search.model.build import Numbering

START_EVALUATIONS = 2e6
"""States that are judged before the root is bounded, times buses; a large grid has a better start in the root."""


class Incumbent:
    """The best state so far, and the ways to a better one.

    Attributes:
        candidate: the state; None where there is none. by_cone: trees whose bound is that of a cone solver.
        exchange: of branches.
    """

    def __init__(
        self,
        network: Network,
        model: Model,
        numbering: Numbering,
        work: Work,
        counts: Counts,
        dispatcher: Dispatcher,
        change_cost: float,
        gap: float,
        over: Callable[[], bool],
        on_improvement: Callable[[], None],
    ) -> None:
        """`over`: asked regularly whether to stop. `on_improvement`: called after exchange has found a better state."""
        self.network, self.model, self.numbering = network, model, numbering
        self.work, self.counts, self.dispatcher, self.gap = work, counts, dispatcher, gap
        self.inner = np.arange(len(numbering.bus)) < model.n
        self.briefly = START_EVALUATIONS / len(numbering.bus)
        self.candidate: Candidate | None = None
        self.by_cone = 0

        def better(candidate: Candidate) -> None:
            if candidate.beats(self.candidate):
                self._keep(candidate)
                on_improvement()

        evaluator = AcEvaluator(replace(network, generator_s=dispatcher.today), change_cost)
        self.exchange = Exchange(model, numbering, evaluator, work.status, over, better)

    @property
    def value(self) -> float:
        """Its value if it keeps the limits, else inf."""
        return self.candidate.value if self.candidate is not None and self.candidate.violation == 0.0 else math.inf

    def evaluate_leaf(self, prove: Callable[[], None]) -> None:
        """Judge the state that is left of a node; where outputs may be chosen, its bound is all that is proven of it.

        `prove`: called to write what the bound rests on.
        """
        candidate = self.exchange.candidate(self.work.status == CLOSED)
        if self.model.dispatchable:
            if candidate is not None:
                candidate = self.exchange.at(candidate, self.dispatcher.outputs(self.work)) or candidate
            bound = self.dispatcher.raised(self.work, self.counts)
            prove()
            if candidate is not None and bound < self.counts.cutoff[0]:
                loose = candidate.value - self.numbering.fixed_cost - bound > self.gap * abs(candidate.value)
                if loose or candidate.violation > 0.0:
                    by_cone, candidate = self._by_cone(candidate)
                    self.by_cone += by_cone > bound
                    bound = max(bound, by_cone)
            self.counts.floor[0] = min(self.counts.floor[0], bound)
        if candidate is not None and candidate.beats(self.candidate):
            self.offer(candidate)

    def _by_cone(self, candidate: Candidate) -> tuple[float, Candidate]:
        """What a cone program says of a state: a bound, and the state at its outputs if that is better."""
        if self.dispatcher.cone is None:
            return -math.inf, candidate
        bound, found = self.dispatcher.cone(candidate.closed)
        generation = None if found is None else self.dispatcher.within(found)
        changes = float(self.model.price[candidate.closed[self.numbering.branch]].sum())
        other = None if generation is None else self.exchange.at(candidate, generation)
        return bound + changes, other if other is not None and other.beats(candidate) else candidate

    def _redispatched(self, candidate: Candidate) -> Candidate:
        """Outputs and exchanges in turn, until neither is better."""
        while not self.exchange.over():
            other = self.exchange.at(candidate, self.dispatcher.on(candidate.closed[self.numbering.branch]))
            if other is None or other.violation > 0.0:
                other = self._by_cone(candidate if other is None else other)[1]
            if not (other.violation, other.value) < (candidate.violation, candidate.value * (1.0 - self.gap)):
                break
            candidate = self.exchange.descend(other)
        self.exchange.at(candidate, candidate.generation)
        return candidate

    def start(self, starts: Bools | None) -> None:
        """Exchange from the states given, from today's, and from the tree of least impedance, for a while."""
        given = [] if starts is None else list(starts[:, self.numbering.branch])
        for state in given if self.candidate is not None else [*given, self.network.closed[self.numbering.branch]]:
            self.offer(self.exchange.tree(state.astype(float)), self.briefly)
        if self.candidate is None:
            self.offer(self.exchange.tree(-np.sqrt(self.model.z2)), self.briefly)

    def follow_multipliers(self) -> None:
        """Exchange from the tree that carries most in the relaxation of the root, and on from a start that was left."""
        work, left = self.work, self.candidate if self.exchange.evaluations >= self.briefly else None
        self.offer(self.exchange.tree(work.conductance * np.hypot(work.drop_y, work.drop_mu)))
        self.offer(left)

    def offer(self, candidate: Candidate | None, most: float = math.inf) -> None:
        """Improve a state, judging so many others, and keep it if it is the best."""
        if candidate is None:
            return
        if candidate.beats(self.candidate):
            self._keep(candidate)
        candidate = self.exchange.descend(candidate, most)
        if self.model.dispatchable:
            candidate = self._redispatched(candidate)
        if candidate.beats(self.candidate):
            self._keep(candidate)

    def _keep(self, candidate: Candidate) -> None:
        """A better state than any before."""
        self.candidate = candidate
        if candidate.violation == 0.0:
            value = candidate.value - self.numbering.fixed_cost
            self.counts.cutoff[0] = min(self.counts.cutoff[0], value - self.gap * abs(candidate.value))
            # Only states that lose less are still looked for, and their voltages are the lower for it.
            most = self.numbering.voltage_bounds.at(candidate.value)[self.numbering.bus]
            np.minimum(self.model.w_max, most, out=self.model.w_max, where=self.inner)
