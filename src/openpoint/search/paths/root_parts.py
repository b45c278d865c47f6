"""The bound of the first node by parts of its paths, in the course of a search."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import numpy as np

from openpoint.arrays import Floats, States
from openpoint.search.kernel.arrays import Model, work_for
from openpoint.search.kernel.node import MARGIN
from openpoint.search.paths import entries
from openpoint.search.paths.arrays import Paths, path_work_for
from openpoint.search.paths.border import Border, Node, node_of
from openpoint.search.paths.bound import HUGE
from openpoint.search.paths.partition import parts_of

_LOG = logging.getLogger(__name__)

LEAST = 200
"""Paths from which on the first node is bounded by parts."""
ROUNDS = ((2, 24, 1000, 0.05), (64, 96, 3000, 0.01))
"""Nodes of the search after which this is done; paths of a part and nodes in its search, at most; how far ahead the
first level is for the prices at the border (`openpoint.search.paths.border`)."""
STEPS = 100
"""Evaluations of the path bound before the parts, at most."""


class RootParts:
    """The first node of a search, to be bounded by parts.

    Attributes:
        done: how many rounds were. border: the last parts, with the prices at their border.
    """

    def __init__(self, model: Model, paths: Paths, status: States, mask: States, gap: float) -> None:
        """`status`, `mask`: states of the branches and paths that are decided at all. gap: at which the search ends."""
        self.model, self.paths, self.gap = model, paths, gap
        self.status, self.mask = status.copy(), mask.copy()
        self.done = 0
        self.border: Border | None = None
        self._node: Node | None = None
        self._round: Iterator[float] | None = None

    @property
    def next(self) -> float:
        """Nodes after which the next round is due."""
        return ROUNDS[self.done][0] if self.done < len(ROUNDS) else np.inf

    def go_on(self, done: int) -> None:
        """Continue after so many rounds; from the first one if not all were, since prices are not kept."""
        self.done = done if done == len(ROUNDS) else 0

    def step(self, first: Mapping[str, Floats], y: Floats, mu: Floats, cutoff: float) -> float:
        """Search one part of the round that is due; a lower bound of all states below the cutoff.

        Args:
            first: what the first node left for all others. y, mu: multipliers to begin with.
        """
        if self._round is None:
            self._round = self._bounds(first, y, mu, cutoff)
        value = next(self._round, None)
        if value is None:
            self._round = None
            self.done += 1
            return -np.inf
        return value if value == np.inf else value - MARGIN * abs(value)

    def _bounds(self, first: Mapping[str, Floats], y: Floats, mu: Floats, cutoff: float) -> Iterator[float]:
        """The bounds of a round, one after the other."""
        _, most, nodes, ahead = ROUNDS[self.done]
        if self._node is None:
            self._node = self._bounded(first, y, mu, cutoff)
        node = self._node
        if node is None or not -np.inf < node.bound < cutoff:
            return
        lost = self.paths.r * np.maximum(node.of.flow_p[0::2], node.of.flow_p[1::2]) ** 2
        parts = parts_of(self.paths, lost + 1e-9 * max(float(lost.max()), 1e-12), most)
        self.border = Border(self.model, self.paths, node, parts, None if self.border is None else self.border.prices)
        yield from self.border.rounds(cutoff, ahead, nodes, way=cutoff / (1.0 - self.gap) - node.bound)
        closed = 100.0 * (self.border.best - node.bound) / (cutoff - node.bound)
        _LOG.info("%d parts of the paths close %.3g %% of the gap of the first node", len(parts), closed)

    def _bounded(self, first: Mapping[str, Floats], y: Floats, mu: Floats, cutoff: float) -> Node | None:
        """The first node after its path bound; None where it has no state."""
        of, work = path_work_for(self.paths, len(self.model.p)), work_for(self.model)
        for name, values in first.items():
            getattr(of, name)[:] = values
        of.known_p[:], of.known_q[:], of.known_w[:] = of.first_p, of.first_q, of.first_w
        of.about_p[:], of.about_q[:] = of.first_about_p, of.first_about_q
        of.mask[:], work.status[:] = self.mask, self.status
        of.y[:], of.mu[:] = y, mu
        if not entries.prepared(self.model, self.paths, of, work):
            return None
        bound = entries.raised(self.model, self.paths, of, work, HUGE * cutoff, cutoff, STEPS)
        return node_of(self.paths, of, work.status, bound)
