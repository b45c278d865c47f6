"""The loop of tree searches: what the sizes of pieces and the limit of memory leave as it is."""

import math

import numpy as np
import pytest

from openpoint.arrays import States
from openpoint.search.kernel.entries import EXHAUSTED, LEAF, PAUSED
from openpoint.search.tree import Queue, Turn, grow


class Binary:
    """All vectors of some digits by their sum of weights, which falls short by what is not decided."""

    def __init__(self, weights: list[float], room: float = math.inf) -> None:
        self.weights, self.queue, self.cutoff, self.nodes = weights, Queue[tuple[int, ...]](room), math.inf, 0
        self.status: States = np.zeros(0, dtype=np.int8)
        self.queue.push(0.0, ())

    def explore(self, most: int) -> int:
        for _ in range(most):
            if not self.queue.has(self.cutoff):
                return EXHAUSTED
            _, digits = self.queue.pop()
            self.nodes += 1
            if len(digits) == len(self.weights):
                self.status = np.array(digits, dtype=np.int8)
                return LEAF
            for digit in (0, 1):
                child = (*digits, digit)
                self.queue.push(self.value(child), child)
        return PAUSED

    def value(self, digits: tuple[int, ...]) -> float:
        return float(sum(abs(digit - weight) for digit, weight in zip(digits, self.weights)))


class Marks(Turn):
    """Acts after every third node."""

    def __init__(self, tree: Binary) -> None:
        self.tree, self.due, self.seen = tree, 3, list[int]()

    def wait(self) -> float:
        return self.due - self.tree.nodes

    def after(self, event: int) -> None:
        if self.tree.nodes >= self.due:
            self.seen.append(self.tree.nodes)
            self.due = self.tree.nodes + 3


@pytest.mark.parametrize("room", [math.inf, 4, 0])
@pytest.mark.parametrize("piece", [1, 2, 50])
def test_the_best_leaf_whatever_the_pieces_and_the_memory(piece: int, room: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        tree = Binary(rng.random(6).tolist(), room)
        turn, best = Marks(tree), list[float]()

        def leaf(status: States, tree: Binary = tree, best: list[float] = best) -> None:
            best.append(tree.value(tuple(status.tolist())))
            tree.cutoff = min(tree.cutoff, best[-1])

        assert grow(tree, leaf, lambda: False, piece=lambda: piece, turns=[turn])
        assert min(best) == pytest.approx(sum(min(each, 1.0 - each) for each in tree.weights))
        assert tree.queue.lowest >= tree.cutoff  # what is left proves the best
        assert turn.seen == list(range(3, tree.nodes + 1, 3))[: len(turn.seen)]
        assert len(turn.seen) >= tree.nodes // 3 - 1


def test_a_stop_keeps_the_bound_and_a_turn_may_end_the_search() -> None:
    tree = Binary([0.4, 0.3, 0.2])
    assert not grow(tree, lambda status: None, lambda: True)
    assert tree.nodes == 1
    assert tree.queue.lowest == pytest.approx(0.4)

    class Proven(Turn):
        def before(self) -> int | None:
            return EXHAUSTED

    assert grow(tree, lambda status: None, lambda: False, turns=[Proven()])
    assert tree.nodes == 1
