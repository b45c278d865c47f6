"""Futures of a day in groups: a bound of the risk from few copies of the recourse, however many futures there are.

For any probabilities π that the risk allows, the risk is at least Σ_k π_k cost_k. At every plan x the cost q_t of the
best recourse of a period in the cone relaxation is convex in the realisation u, which stands on the right-hand side
only. So for a group g of futures in period t with Π_g = Σ_(k in g) π_k

    Σ_(k in g) π_k q_t(x, u_k)  ≥  Π_g q_t(x, ū_g),    ū_g = Σ_(k in g) π_k u_k / Π_g                  (Jensen 1906)

A row of the master has one copy a group. A group is divided where the two sides differ most. Bounds of squared
currents depend on the realisation in another way, so the copy of a mean has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.studies.dispatch.day.model.day_master import DayMaster, MasterAnswer, MasterDay

FIRST = 4
"""Groups of a period at the start."""
PARTS = 3
"""Parts into which a group is divided."""
SHARE = 0.9
"""Share of what groups leave open that is in those that are divided."""


@dataclass
class FutureGroups:
    """Groups of K futures in every period, and the vectors of probabilities of the rows of the master.

    Attributes:
        realisations: (K, T, U). groups: of every period, each the numbers of its futures. vectors: (K) each.
    """

    realisations: Floats
    groups: list[list[Ints]]
    vectors: list[Floats]

    @staticmethod
    def of(realisations: Floats, vectors: list[Floats], first: int = FIRST) -> FutureGroups:
        """Groups of realisations that are near each other along the direction in which they differ most.

        Args:
            realisations: (K, T, U). vectors: (K) each, the first probabilities. first: number of groups of a period.
        """
        groups = list[list[Ints]]()
        for t in range(realisations.shape[1]):
            away = realisations[:, t] - realisations[:, t].mean(axis=0)
            along = away @ np.linalg.svd(away, full_matrices=False)[2][0] if away.any() else np.zeros(len(away))
            groups.append(_cut(np.arange(len(away)), along, first if away.any() else 1))
        return FutureGroups(realisations, groups, vectors)

    def fill(self, master: DayMaster, alone: Sequence[tuple[int, int]]) -> None:
        """Give a master the copies and a row for every vector.

        Args:
            master: to fill. alone: (t, k) of realisations in which the limits are to be kept besides.
        """
        master.clear()
        vectors, self.vectors = self.vectors, []
        for vector in vectors:
            copies, shares = list[int](), list[float]()
            for t, parts in enumerate(self.groups):
                for part in parts:
                    if (share := float(vector[part].sum())) > 0.0:
                        some = self.realisations[part, t]
                        same = bool((some == some[0]).all())
                        at = some[0] if same else vector[part] @ some / share
                        copies.append(master.copy(t, at, mean=not same))
                        shares.append(share)
            if master.add(MasterDay(tuple(copies), tuple(shares))):
                self.vectors.append(vector)
        for t, k in alone:
            master.copy(t, self.realisations[k, t])

    def left_open(self, master: DayMaster, answer: MasterAnswer, weights: Floats, costs: Floats) -> list[Floats]:
        """$ that each group of every period leaves open in a solution.

        Args:
            master: filled. answer: of it. weights: of its rows, their sum 1.
            costs: (K, T) of the plan of the solution in every future, by exact flow.
        """
        found = [np.zeros(len(parts)) for parts in self.groups]
        for vector, row, weight in zip(self.vectors, master.days, weights, strict=True):
            terms = iter(zip(row.copies, row.shares, strict=True))
            for t, parts in enumerate(self.groups):
                for g, part in enumerate(parts):
                    if vector[part].sum() > 0.0:
                        copy, share = next(terms)
                        found[t][g] += weight * (vector[part] @ costs[part, t] - share * answer.costs[copy])
        return found

    def divide(self, left: Sequence[Floats], costs: Floats) -> bool:
        """Divide the groups that leave most open, each by the costs in its futures; whether there is any."""
        several = [np.array([len(part) > 1 for part in parts]) for parts in self.groups]
        flat = np.maximum(np.concatenate(list(left)), 0.0) * np.concatenate(several)
        order = np.argsort(-flat, kind="stable")
        reached = np.cumsum(flat[order])
        count = int(np.searchsorted(reached, SHARE * reached[-1])) + 1
        chosen, place, changed = set(order[:count].tolist()), 0, False
        for t, parts in enumerate(self.groups):
            every = list[Ints]()
            for part in parts:
                pieces = [part]
                if place in chosen and flat[place] > 0.0:
                    pieces = _cut(part, costs[part, t], PARTS)
                changed, place = changed or len(pieces) > 1, place + 1
                every += pieces
            self.groups[t] = every
        return changed


def _cut(some: Ints, values: Floats, parts: int) -> list[Ints]:
    """Numbers in groups of about the same size, in the order of their values."""
    return np.array_split(some[np.argsort(values, kind="stable")], min(parts, len(some)))
