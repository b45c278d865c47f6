"""The best state that a search knows: what it starts from, what leaves add, what exchange and dispatch make of both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from openpoint.arrays import Bools
from openpoint.network import Network
from openpoint.search.dispatch import Dispatcher
from openpoint.search.exchange.ac_check import Exchange, Judge, Trial
from openpoint.search.kernel.arrays import CLOSED, Counts, Model, Work
from openpoint.search.model.build import Numbering

BRIEFLY = 2e6
"""States that are judged before the root is bounded, times buses; a large grid has a better start in the root."""


class Best:
    """The best state so far, and the ways to a better one.

    Attributes:
        trial: the state. by_cone: trees whose bound is that of a cone solver. exchange: of branches.
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
        told: Callable[[], None],
    ) -> None:
        """`over`: asked now and then whether to stop. `told`: called when exchange has found a better state."""
        self.network, self.model, self.numbering = network, model, numbering
        self.work, self.counts, self.dispatcher, self.gap = work, counts, dispatcher, gap
        self.inner = np.arange(len(numbering.bus)) < model.n
        self.briefly = BRIEFLY / len(numbering.bus)
        self.trial: Trial | None = None
        self.by_cone = 0

        def better(trial: Trial) -> None:
            if trial.beats(self.trial):
                self._keep(trial)
                told()

        judge = Judge(replace(network, generator_s=dispatcher.today), change_cost)
        self.exchange = Exchange(model, numbering, judge, work.status, over, better)

    @property
    def value(self) -> float:
        """Its value if it keeps the limits, else inf."""
        return self.trial.value if self.trial is not None and self.trial.miss == 0.0 else math.inf

    def judge_leaf(self, prove: Callable[[], None]) -> None:
        """Judge the state that is left of a node; where outputs may be chosen, its bound is all that is proven of it.

        `prove`: called to write what the bound rests on.
        """
        trial = self.exchange.trial(self.work.status == CLOSED)
        if self.model.boxed:
            if trial is not None:
                trial = self.exchange.at(trial, self.dispatcher.outputs(self.work)) or trial
            bound = self.dispatcher.raised(self.work, self.counts)
            prove()
            if trial is not None and bound < self.counts.cutoff[0]:
                loose = trial.value - self.numbering.fixed_cost - bound > self.gap * abs(trial.value)
                if loose or trial.miss > 0.0:
                    by_cone, trial = self._by_cone(trial)
                    self.by_cone += by_cone > bound
                    bound = max(bound, by_cone)
            self.counts.floor[0] = min(self.counts.floor[0], bound)
        if trial is not None and trial.beats(self.trial):
            self.offer(trial)

    def _by_cone(self, trial: Trial) -> tuple[float, Trial]:
        """What a cone program says of a state: a bound, and the state at its outputs if that is better."""
        if self.dispatcher.cone is None:
            return -math.inf, trial
        bound, found = self.dispatcher.cone(trial.closed)
        generation = None if found is None else self.dispatcher.within(found)
        changes = float(self.model.price[trial.closed[self.numbering.branch]].sum())
        other = None if generation is None else self.exchange.at(trial, generation)
        return bound + changes, other if other is not None and other.beats(trial) else trial

    def _redispatched(self, trial: Trial) -> Trial:
        """Outputs and exchanges in turn, until neither is better."""
        while not self.exchange.over():
            other = self.exchange.at(trial, self.dispatcher.on(trial.closed[self.numbering.branch]))
            if other is None or other.miss > 0.0:
                other = self._by_cone(trial if other is None else other)[1]
            if not (other.miss, other.value) < (trial.miss, trial.value * (1.0 - self.gap)):
                break
            trial = self.exchange.descend(other)
        self.exchange.at(trial, trial.generation)
        return trial

    def start(self, starts: Bools | None) -> None:
        """Exchange from the states given, from today's, and from the tree of least impedance, for a while."""
        given = [] if starts is None else list(starts[:, self.numbering.branch])
        for state in given if self.trial is not None else [*given, self.network.closed[self.numbering.branch]]:
            self.offer(self.exchange.tree(state.astype(float)), self.briefly)
        if self.trial is None:
            self.offer(self.exchange.tree(-np.sqrt(self.model.z2)), self.briefly)

    def follow_multipliers(self) -> None:
        """Exchange from the tree that carries most in the relaxation of the root, and on from a start that was left."""
        work, left = self.work, self.trial if self.exchange.judged >= self.briefly else None
        self.offer(self.exchange.tree(work.conductance * np.hypot(work.drop_y, work.drop_mu)))
        self.offer(left)

    def offer(self, trial: Trial | None, most: float = math.inf) -> None:
        """Improve a state, judging so many others, and keep it if it is the best."""
        if trial is None:
            return
        if trial.beats(self.trial):
            self._keep(trial)
        trial = self.exchange.descend(trial, most)
        if self.model.boxed:
            trial = self._redispatched(trial)
        if trial.beats(self.trial):
            self._keep(trial)

    def _keep(self, trial: Trial) -> None:
        """A better state than any before."""
        self.trial = trial
        if trial.miss == 0.0:
            value = trial.value - self.numbering.fixed_cost
            self.counts.cutoff[0] = min(self.counts.cutoff[0], value - self.gap * abs(trial.value))
            # Only states that lose less are still looked for, and their voltages are the lower for it.
            most = self.numbering.caps.at(trial.value)[self.numbering.bus]
            np.minimum(self.model.w_max, most, out=self.model.w_max, where=self.inner)
