"""Branch exchange by losses and by what faults do: good states for a search with faults to begin with.

A step closes one branch and opens another of its loop. All steps are ranked by the exact power flow without a fault;
faults are evaluated in this order until a state is better. From a local optimum it goes on by perturbations of some
steps at random (iterated local search; Lourenço, Martin and Stützle 2003).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.studies.reconfigure.faults.task import EvaluatedState, FaultTask, Sought
from openpoint.studies.secure.model.faults import tree_of

PERTURBATION_STEPS = 3
"""Steps of a perturbation, at most."""
HOPELESS = 0.25
"""Share by which a step may lose more and still be evaluated, where the loss is not what is sought."""


class FaultExchange:
    """Branch exchange for one task.

    Attributes:
        best: the best state so far. evaluations: number of states whose faults were evaluated. effort_limit: how many
            are worth evaluating at a time.
    """

    def __init__(self, task: FaultTask, over: Callable[[], bool], better: Callable[[EvaluatedState], None]) -> None:
        """`over`: called regularly; True stops. `better`: called with every state that is better than all before."""
        self.task, self.over, self.better = task, over, better
        self.best: EvaluatedState | None = None
        self.evaluations = 0
        self.random = np.random.default_rng(1)
        self.effort_limit = 2 * int(np.sum(~task.must_open & ~task.must_close))

    def offer(self, closed: Bools, most: int) -> None:
        """Descend from a state, evaluating at most so many others."""
        state = self._evaluate(closed)
        if state is not None:
            self._descend(state, self.evaluations + most)

    def perturbations(self, most: int) -> None:
        """Perturbations from the best state, evaluating at most so many."""
        until = self.evaluations + most
        while self.best is not None and self.evaluations < until and not self.over():
            closed = self._kicked(self.best.closed)
            state = None if closed is None else self._evaluate(closed)
            if state is None:
                self.evaluations += 1
                continue
            self._descend(state, until)

    def _evaluate(self, closed: Bools) -> EvaluatedState | None:
        self.evaluations += 1
        state = self.task.state(closed)
        self.keep(state)
        return state

    def keep(self, state: EvaluatedState | None) -> None:
        """Take a state as the best, if it is better than all before."""
        if state is not None and (self.best is None or state.merit < self.best.merit):
            self.best = state
            self.better(state)

    def _descend(self, state: EvaluatedState, until: int) -> None:
        while not self.over() and self.evaluations < until:
            found = self._step(state, until)
            if found is None:
                return
            state = found

    def _step(self, state: EvaluatedState, until: int) -> EvaluatedState | None:
        """The first better neighbour, in the order of violations and losses."""
        near = self._near(state.closed)
        if not len(near):
            return None
        loss, violation = self.task.ac.evaluate(near)
        by_loss = self.task.sought is Sought.LOSS
        for k in np.lexsort((loss, violation)).tolist():
            if violation[k] > state.merit[0] or not np.isfinite(loss[k]):
                return None
            same = violation[k] == state.merit[0] and state.merit[1] == 0.0
            if same and loss[k] >= state.loss * (1.0 - 1e-9 if by_loss else 1.0 + HOPELESS):
                return None
            if self.evaluations >= until or self.over():
                return None
            self.evaluations += 1
            found = self.task.evaluated(near[k], float(loss[k]), float(violation[k]))
            if found is not None and found.merit < state.merit:
                self.keep(found)
                return found
        return None

    def _near(self, closed: Bools) -> Bools:
        """(K, E) radial states that one step leads to."""
        pairs = list(self._pairs(closed))
        near = np.repeat(closed[None, :], len(pairs), axis=0)
        for row, (close, away) in zip(near, pairs, strict=True):
            row[close], row[away] = True, False
        if self.task.max_changes is not None:
            near = near[np.sum(near != self.task.network.closed, axis=1) <= self.task.max_changes]
        return near

    def _pairs(self, closed: Bools) -> Iterator[tuple[int, int]]:
        task, network = self.task, self.task.network
        tree = tree_of(network, closed)
        if tree is None:
            return
        for close in np.flatnonzero(~closed & ~task.must_open & (network.terminal_fr != network.terminal_to)).tolist():
            for away in self._loop(tree.place, tree.above, int(close)):
                if not task.must_close[away]:
                    yield close, away

    def _loop(self, place: Ints, above: Ints, close: int) -> list[int]:
        """The closed branches of the loop that a branch closes."""
        network, found = self.task.network, []
        ends = [int(network.terminal_fr[close]), int(network.terminal_to[close])]
        while ends[0] != ends[1]:
            side = 0 if place[ends[0]] > place[ends[1]] else 1  # the later one is no ancestor of the other
            e = int(above[ends[side]])
            if e < 0:
                side = 1 - side
                e = int(above[ends[side]])
                if e < 0:
                    break  # two sources
            found.append(e)
            ends[side] = int(network.terminal_fr[e] + network.terminal_to[e]) - ends[side]
        return found

    def _kicked(self, closed: Bools) -> Bools | None:
        """The state after some steps at random."""
        for _ in range(int(self.random.integers(1, PERTURBATION_STEPS + 1))):
            near = self._near(closed)
            if not len(near):
                return None
            closed = near[int(self.random.integers(len(near)))]
        return closed
