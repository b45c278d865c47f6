"""Primal heuristics of reconfiguration: radial states to start from, and near a fractional decision.

Warm starts are local optima of branch exchange (Civanlar et al. 1988; Baran and Wu 1989) from the tree nearest to
today's state and from the tree of least impedance. A fractional decision is rounded to the heaviest spanning tree under
it (Kruskal 1956), again with noise added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.formulations.radiality import Choices, heaviest_tree
from openpoint.search.exchange.pairs import descend, exchanges
from openpoint.studies.reconfigure.ac_evaluation import AcEvaluator
from openpoint.twostage.workers.pool import never

RIVAL_ROUNDS = 6
"""Trees around which exchanges are tried for rivals of the best start."""
FEW = 3
"""Futures up to which good states to start from take so little time that nothing stops the search for them."""
PIECE = 2_000
"""Power flows between two questions whether to stop."""
NOISE = 0.3
"""Most that is added to an entry of a fractional decision before it is rounded again."""


@final
@dataclass
class TreeHeuristics:
    """Radial states worth trying, by spanning trees and branch exchange.

    Attributes:
        choices: what is left to decide. evaluator: of radial states.
    """

    choices: Choices
    evaluator: AcEvaluator
    _starts: list[Floats] = field(default_factory=list, init=False)

    @property
    def piece(self) -> int:
        """States between two questions whether to stop."""
        return max(1, PIECE // len(self.evaluator.demands))

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """The tree nearest to today's state, and where branch exchange leads from it and from least impedance.

        The best comes last. Found once, and kept.
        """
        if not self._starts:
            self._starts.extend(self._exchanged(never if len(self.evaluator.demands) <= FEW else stop))
        return self._starts

    def least_of_trees(self) -> float:
        """The least objective value of the trees that exchange starts from; inf where none keeps the limits."""
        trees = self._starting_trees()
        return float(self.evaluator.objectives(np.array(trees) > 0.5).min()) if trees else np.inf

    def _exchanged(self, stop: Callable[[], bool]) -> list[Floats]:
        violations, objectives, found = self.evaluator.violations, self.evaluator.objectives, self._starting_trees()
        ends = []
        for start in found[:1] if stop() else found:
            closed = start > 0.5
            violation, closed = descend(self.choices, closed, violations, enough=0.0, stop=stop, piece=self.piece)
            if violation == 0.0:
                closed = descend(self.choices, closed, objectives, stop=stop, piece=self.piece)[1]
            ends.append(closed.astype(float))
            if stop():
                break
        best = np.argsort([-objectives(end[None, :] > 0.5)[0] for end in ends], kind="stable")
        return found[:1] + [ends[k] for k in best]

    def rounded(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterable[Floats]:
        """Half of them heaviest trees under the fractional decision, shaken; half the best around the best start."""
        rng = np.random.default_rng(0)
        seen: set[bytes] = set()
        trees = [decision] + [decision + NOISE * rng.random(len(decision)) for _ in range(count // 2)]
        for tree in [t for weight in trees for t in self._trees(weight)] + self._rivals(count // 2, stop):
            if (key := tree.tobytes()) not in seen:
                seen.add(key)
                yield tree

    def _rivals(self, count: int, stop: Callable[[], bool]) -> list[Floats]:
        """The best trees that exchanges lead to from the best start, and from the best of those."""
        if not self._starts:
            return []
        value: dict[bytes, float] = {}
        known: list[Bools] = []
        asked: set[bytes] = set()
        around = self._starts[-1] > 0.5
        for _ in range(RIVAL_ROUNDS):
            asked.add(around.tobytes())
            found = exchanges(self.choices, around)
            found = found[self.evaluator.switching.allowed(found)]
            found = found[[x.tobytes() not in value for x in found]]
            for begin in range(0, len(found), self.piece):
                if stop():
                    return []
                some = found[begin : begin + self.piece]
                value |= {x.tobytes(): float(each) for x, each in zip(some, self.evaluator.objectives(some))}
                known += list(some)
            known.sort(key=lambda x: value[x.tobytes()])
            fresh = [x for x in known if x.tobytes() not in asked and np.isfinite(value[x.tobytes()])]
            if not fresh:
                break
            around = fresh[0]
        return [x.astype(float) for x in known[:count]]

    def _starting_trees(self) -> list[Floats]:
        net = self.evaluator.network
        return self._trees(net.closed.astype(float)) + self._trees(-np.abs(net.z.diagonal()))

    def _trees(self, weight: Floats) -> list[Floats]:
        """The heaviest tree that keeps the locks and the number of changes, if it does."""
        tree = heaviest_tree(self.choices, weight)
        return [tree] if self.evaluator.switching.allowed(tree > 0.5) else []
