"""All spanning trees of what hangs together with the sources: least shedding on the best one, with and without backup
generators.

Each tree has a bound that takes microseconds; linear programs price those of the lowest bounds. With backup generators,
a bus that no source reaches is served within an island of one, or not at all; it may hang anywhere in a tree of the
rest, so that a tree and what generators relieve of its limits bound all operations that fit it.

Theory: docs/methods.md M28, M30.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import final

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.highs import HighsModel
from openpoint.studies.harden.flow_bound import MARGIN
from openpoint.studies.harden.trees import (
    KEPT,
    Feeder,
    least_shed_on_each,
    missed_limits,
    shed_on,
    spanning_trees,
    violation,
)

TREES_MOST, TREES_PRICED = 20_000, 200
"""Spanning trees up to which all are looked at; and how many of them, those of the lowest bounds, are priced by a
linear program."""
PLACED_MOST = 3_000_000
"""Trees times sets of places for which the bounds are computed, some 0.1 µs each."""
SMALL = 1e-7
"""Share of a load, and of the value of all of it, that is the tolerance of a program."""
CLOSED = 1e-9
"""Relative difference of bounds that is rounding."""
NOWHERE, ANYWHERE = -1, -2


@final
@dataclass
class AllTrees:
    """The bounds of one grid, for many disasters and plans.

    Attributes:
        feeder: the grid. root: the bus of the sources.
        size: active and reactive power of a backup generator, and the most that what it serves is worth.
        generators_most: generators that may be bought.
    """

    feeder: Feeder
    root: int
    size: tuple[float, float, float]
    generators_most: int
    _best: dict[bytes, tuple[float, Bools, float]] = field(default_factory=dict, init=False)
    _relevant: dict[bytes, Ints] = field(default_factory=dict, init=False)
    _placed: dict[bytes, tuple[float, Bools, float]] = field(default_factory=dict, init=False)

    def number(self, live: Bools, inside: Bools) -> float:
        """Spanning trees of live branches among some buses (Kirchhoff 1847)."""
        feeder, at = self.feeder, np.flatnonzero(inside)
        place = np.full(len(inside), -1)
        place[at] = np.arange(len(at))
        a, b = place[feeder.fr[live]], place[feeder.to[live]]
        laplacian = np.zeros((len(at), len(at)))
        np.add.at(laplacian, (np.concatenate([a, b]), np.concatenate([a, b])), 1.0)
        np.add.at(laplacian, (np.concatenate([a, b]), np.concatenate([b, a])), -1.0)
        rest = np.delete(np.arange(len(at)), place[self.root])
        return float(np.exp(min(np.linalg.slogdet(laplacian[np.ix_(rest, rest)])[1], 100.0)))

    def knows(self, live: Bools) -> bool:
        """Whether all trees of live branches were looked at before."""
        return live.tobytes() in self._best

    def best(self, live: Bools) -> tuple[float, Bools, float]:
        """A lower bound of the shedding on every spanning tree, the tree on which least is shed, and that cost."""
        key, feeder = live.tobytes(), self.feeder
        if key not in self._best:
            bounds, opened, number = spanning_trees(feeder, live, self.root, feeder.p, feeder.q, TREES_MOST)
            none = np.empty(0, dtype=np.int64)
            good = 0 < number <= TREES_MOST
            found = self._cheapest(live, opened, bounds, bounds, none, np.inf) if good else (0.0, live, np.inf)
            self._best[key] = found
        return self._best[key]

    def placed(self, live: Bools, places: Ints) -> tuple[float, Bools, float]:
        """The same where generators stand at these buses."""
        key = live.tobytes() + places.tobytes()
        if key not in self._placed:
            opened, known = self._relevant_trees(live), self.best(live)[0]
            both = [self._bounds(live, opened, places[None, :], islands=each)[:, 0] for each in (True, False)]
            self._placed[key] = self._cheapest(live, opened, both[0], both[1], places, known)
        return self._placed[key]

    def with_places(self, live: Bools, places: Ints) -> tuple[Floats, Floats] | None:
        """Lower bounds of the shedding with a generator at one of some buses, or at two of them, (G, G) with those of
        one on the diagonal, and with any number of them anywhere, (M + 1); None where they are too many."""
        opened, count, most = self._relevant_trees(live), len(places), self.generators_most
        pairs = np.array([*itertools.combinations(range(count), 2)], dtype=np.int64).reshape(-1, 2)
        pairs = pairs if most > 1 else pairs[:0]
        if len(opened) * (count + len(pairs)) > PLACED_MOST:
            return None
        sets = np.full((most + 1 + count + len(pairs), max(most, 2)), NOWHERE)
        for number in range(most + 1):
            sets[number, :number] = ANYWHERE
        sets[most + 1 : most + 1 + count, 0] = places
        sets[most + 1 + count :, :2] = places[pairs]
        found = self._bounds(live, opened, sets, islands=True).min(axis=0, initial=np.inf)
        least = np.minimum(found, self.best(live)[0])
        two = np.diag(least[most + 1 : most + 1 + count])
        two[pairs[:, 0], pairs[:, 1]] = two[pairs[:, 1], pairs[:, 0]] = least[most + 1 + count :]
        return two, least[: most + 1]

    def priced(self, tree: Bools) -> float:
        """Cost of shedding on a tree, the least that is known."""
        feeder = self.feeder
        cost = shed_on(feeder, tree, self.root, feeder.p, feeder.q, np.inf)[0]
        none = np.empty(0, dtype=np.int64)
        return min(cost, self._shed_least(tree, none)[1]) if 0.0 < cost < np.inf else cost

    def _bounds(self, live: Bools, opened: Ints, sets: Ints, *, islands: bool) -> Floats:
        feeder = self.feeder
        return np.asarray(
            least_shed_on_each(feeder, live, opened, self.root, feeder.p, feeder.q, sets, np.array(self.size), islands)
        )

    def _relevant_trees(self, live: Bools) -> Ints:
        """(T, C) branches that are left open by the trees that may serve more, with generators anywhere, than the best
        without; the others are bounded by that one."""
        key = live.tobytes()
        if key not in self._relevant:
            feeder, most, known = self.feeder, self.generators_most, self.best(live)[0]
            _, opened, number = spanning_trees(feeder, live, self.root, feeder.p, feeder.q, TREES_MOST)
            opened = opened[: number if known > CLOSED and number <= TREES_MOST else 0]
            anywhere = np.full((1, max(most, 1)), ANYWHERE if most else NOWHERE)
            bounds = self._bounds(live, opened, anywhere, islands=True)[:, 0]
            self._relevant[key] = opened[bounds < known - CLOSED]
        return self._relevant[key]

    def _cheapest(
        self, live: Bools, opened: Ints, bounds: Floats, on_trees: Floats, places: Ints, known: float
    ) -> tuple[float, Bools, float]:
        """A lower bound of the shedding on trees, at most `known`, the tree on which least is shed, and that cost.

        Args:
            bounds: (T) of the shedding on each tree; on_trees: where no generator forms an island.
        """
        feeder, root = self.feeder, self.root
        least, best, chosen = known, np.inf, live
        for place, k in enumerate(np.argsort(bounds, kind="stable")):
            if bounds[k] >= min(best, least) - CLOSED or place == TREES_PRICED:
                least = min(least, bounds[k])
                break
            tree = live.copy()
            tree[opened[k][opened[k] >= 0]] = False
            cost = np.inf if len(places) else shed_on(feeder, tree, root, feeder.p, feeder.q, np.inf)[0]
            if cost > bounds[k] + CLOSED:
                bound, by_program = self._shed_least(tree, places)
                whole = max(float(bounds[k]), bound) if on_trees[k] <= bounds[k] + CLOSED else float(bounds[k])
                least, cost = min(least, whole), min(cost, by_program)
            else:
                least = min(least, bounds[k])
            if cost < best:
                best, chosen = cost, tree
        return float(min(least, best)), chosen, float(best)

    def _shed_least(self, tree: Bools, places: Ints) -> tuple[float, float]:
        """A lower bound of the cost of shedding on a tree with generators at some buses, by a linear program over all
        limits that it misses, and the cost of its solution where that keeps all limits, else inf."""
        feeder, (p_most, q_most, _) = self.feeder, self.size
        missed, active, reactive = missed_limits(feeder, tree, self.root, feeder.p, feeder.q)
        n, g = len(feeder.p), len(places)
        relief = np.maximum(active * feeder.p + reactive * feeder.q, 0.0)
        # Of what a generator gives: its active power, and its reactive power from the least on.
        by_q = reactive[:, places] * q_most
        by_places = np.hstack([active[:, places] * p_most, 2.0 * by_q])
        rows = np.vstack([-np.hstack([relief, by_places]), -np.eye(n + 2 * g), np.eye(n + 2 * g)])
        scale = np.maximum(np.abs(rows).max(axis=1, initial=0.0), 1e-12)
        right = np.concatenate([-missed - by_q.sum(axis=1), np.zeros(n + 2 * g), np.ones(n + 2 * g)]) / scale
        cost = np.concatenate([feeder.price * np.maximum(feeder.p, 0.0), np.zeros(2 * g)])
        none = np.empty(0, dtype=np.int64)
        form = StandardForm(cost, 0.0, sp.csc_array(rows / scale[:, None]), right, 0, len(right), (), none, {})
        answer = HighsModel(form).solve(integral=False)
        if answer.status is not Status.OPTIMAL or answer.x is None:
            return 0.0, np.inf
        served = 1.0 - np.clip(answer.x[:n] * (1.0 + MARGIN) + SMALL, 0.0, 1.0)
        p, q = feeder.p * served, feeder.q * served
        np.subtract.at(p, places, p_most * np.clip(answer.x[n : n + g], 0.0, 1.0))
        np.subtract.at(q, places, q_most * np.clip(2.0 * answer.x[n + g :] - 1.0, -1.0, 1.0))
        kept = violation(feeder, tree, self.root, p, q) <= KEPT
        return answer.value * (1.0 - MARGIN), float(cost[:n] @ (1.0 - served)) if kept else np.inf
