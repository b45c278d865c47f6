"""Primal heuristics of dispatch: states to start from, and near a fractional decision.

A tree is given the outputs and positions of its cone program, rounded; from there branches are exchanged and devices
moved, one at a time, while the exact power flow gains by it. Trees to start from are today's, and the one that the flow
with all branches closed favours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.formulations.radiality import Choices, heaviest_tree
from openpoint.search.exchange.pairs import exchanges
from openpoint.studies.dispatch.model.evaluation import StateEvaluator
from openpoint.studies.dispatch.model.layout import DecisionLayout
from openpoint.studies.dispatch.model.relaxed import ConeBound
from openpoint.twostage.workers.pool import never

ROUNDS = 3
"""How often a tree is given new outputs by its cone program."""
STEPS_MOST = 200
"""Steps of one descent, at most."""
NOISE = 0.3
"""Most that is added to an entry of a fractional decision before it is rounded again."""


@final
@dataclass
class StateHeuristics:
    """Operating states worth trying.

    Attributes:
        choices: which branches are left to decide. layout: of a decision. evaluator: of states.
        cone: the cone program of given branches.
    """

    choices: Choices
    layout: DecisionLayout
    evaluator: StateEvaluator
    cone: ConeBound
    _starts: list[Floats] = field(default_factory=list, init=False)
    _best: tuple[Bools, Ints, Complexes] | None = field(default=None, init=False)

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """Today's state, and the ends of descents; the best comes last. Found once, and kept."""
        if not self._starts:
            self._starts.extend(self._descents(stop))
        return self._starts

    def rounded(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterator[Floats]:
        """Half of them trees and positions drawn near the fractional decision, half the best around the best start."""
        rng, seen = np.random.default_rng(0), set[bytes]()
        for state in self._drawn(decision, max(1, count // 2), rng):
            if len(seen) < count and state.tobytes() not in seen:
                seen.add(state.tobytes())
                yield state
        for state in [] if stop() else self._around_best():
            if len(seen) >= count:
                return
            if state.tobytes() not in seen:
                seen.add(state.tobytes())
                yield state

    def _drawn(self, decision: Floats, count: int, rng: np.random.Generator) -> Iterator[Floats]:
        """Trees of the shaken decision; positions nearest to its mean, then drawn with its entries as chances."""
        e, layout = self.layout.branches, self.layout
        nearest = layout.nearest(decision)
        for k in range(count):
            noise = NOISE * rng.random(e) * (k > 0)
            positions = nearest if k % 2 == 0 else layout.drawn(decision, rng)
            for closed in self._trees(decision[:e] + noise):
                yield layout.decision(closed, positions)

    def _around_best(self) -> Iterator[Floats]:
        """Neighbours of the best start, by rising objective."""
        if self._best is None:
            return
        closed, positions = self._near(*self._best[:2])
        value = self.evaluator.objectives(closed, positions, self._best[2])
        for k in np.argsort(value, kind="stable"):
            if np.isfinite(value[k]):
                yield self.layout.decision(closed[k], positions[k])

    def _descents(self, stop: Callable[[], bool]) -> list[Floats]:
        net, devices = self.evaluator.decision_cost.network, self.layout.devices
        trees = self._trees(net.closed.astype(float))
        starts = [self.layout.decision(closed, devices.today) for closed in trees]
        meshed = None if stop() else self.cone.solve(np.nan_to_num(self.choices.state, nan=1.0) > 0.5)
        weight = -np.abs(net.z.diagonal()) if meshed is None else meshed.current
        ends: list[tuple[float, Bools, Ints, Complexes]] = []
        for tree in trees + self._trees(weight):
            if stop():
                break
            ends.append(self._end(tree, stop))
        ends.sort(key=lambda end: -end[0])
        if ends and np.isfinite(ends[-1][0]):
            self._best = ends[-1][1:]
        return starts + [self.layout.decision(closed, positions) for _, closed, positions, _ in ends]

    def _end(self, closed: Bools, stop: Callable[[], bool]) -> tuple[float, Bools, Ints, Complexes]:
        """Objective and state where a tree leads to."""
        today = self.evaluator.within(self.evaluator.decision_cost.network.generator_s)
        best: tuple[float, Bools, Ints, Complexes] | None = None
        for _ in range(ROUNDS):
            positions, output = self._proposed(closed, today)
            value, closed, positions = self.descend(closed, positions, output, stop)
            again = best is not None and np.array_equal(closed, best[1])
            if best is None or value < best[0]:
                best = value, closed, positions, output
            if again or stop():
                break
        assert best is not None
        return best

    def _proposed(self, closed: Bools, today: Complexes) -> tuple[Ints, Complexes]:
        """Positions and outputs that the cone program proposes for a tree; today's where it has none."""
        devices = self.layout.devices
        free = self.cone.solve(closed)
        if free is None:
            return devices.today, today
        positions = self.layout.nearest(free.fraction)
        if not len(today):
            return positions, today
        held = self.cone.solve(closed, positions, positions)
        return positions, self.evaluator.within((held or free).generation)

    def descend(
        self, closed: Bools, positions: Ints, output: Complexes, stop: Callable[[], bool]
    ) -> tuple[float, Bools, Ints]:
        """Take the best exchange or move while it gains: first of violation, then of the objective.

        Args:
            closed, positions: (E) and (D), the state to start from. output: (G), not changed.
            stop: called before every step.

        Returns:
            Objective and state.
        """
        for price, enough in ((self.evaluator.violations, 0.0), (self.evaluator.objectives, -np.inf)):
            value = float(price(closed[None, :], positions[None, :], output)[0])
            for _ in range(STEPS_MOST):
                if value <= enough or stop():
                    break
                near = self._near(closed, positions)
                prices = price(*near, output)
                if not len(prices) or not prices.min() < value * (1.0 - np.sign(value) * 1e-9):
                    break
                best = int(np.argmin(prices))
                value, closed, positions = float(prices[best]), near[0][best], near[1][best]
        return value, closed, positions

    def _near(self, closed: Bools, positions: Ints) -> tuple[Bools, Ints]:
        """(C, E) and (C, D) states that are one exchange of branches or one device apart."""
        trees = exchanges(self.choices, closed)
        trees = trees[self.evaluator.switching.allowed(trees)]
        sizes = self.layout.devices.sizes
        device = np.repeat(np.arange(len(sizes)), sizes)
        to = np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(size) for size in sizes)])
        device, to = device[to != positions[device]], to[to != positions[device]]
        moved = np.repeat(positions[None, :], len(device), axis=0)
        moved[np.arange(len(device)), device] = to
        same, held = (
            np.repeat(closed[None, :], len(device), axis=0),
            np.repeat(positions[None, :], len(trees), axis=0),
        )
        return np.concatenate([trees, same]), np.concatenate([held, moved])

    def _trees(self, weight: Floats) -> list[Bools]:
        """The heaviest tree that keeps the locks and the number of changes, if it does."""
        tree = heaviest_tree(self.choices, weight) > 0.5
        return [tree] if self.evaluator.switching.allowed(tree) else []
