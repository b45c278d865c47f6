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
from openpoint.search.paths.bound import HUGE
from openpoint.search.paths.partition import parts_of
from openpoint.search.paths.parts import Part, tolls

_LOG = logging.getLogger(__name__)

LEAST = 200
"""Paths from which on the first node is bounded by parts."""
ROUNDS = ((1, 48, 1000), (16, 96, 3000))
"""Nodes of the search after which this is done, paths of a part and nodes in its search, at most."""
TARGET = 0.08
"""Share of the distance to the cutoff that a part may add before its search ends. It sets the length of steps, too:
with 0.03 or 0.3, parts of 96 paths add less on 10,476 buses."""
STEPS = 100
"""Evaluations of the path bound before the parts, at most."""


class RootParts:
    """The first node of a search, to be bounded by parts.

    Attributes:
        done: how many rounds were.
    """

    def __init__(self, model: Model, paths: Paths, status: States, mask: States) -> None:
        """`status`, `mask`: states of the branches and paths that are decided at all."""
        self.model, self.paths = model, paths
        self.status, self.mask = status.copy(), mask.copy()
        self.done = 0
        self._round: Iterator[float] | None = None

    @property
    def next(self) -> float:
        """Nodes after which the next round is due."""
        return ROUNDS[self.done][0] if self.done < len(ROUNDS) else np.inf

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
        """The path bound, and with what one part after the other adds."""
        _, most, nodes = ROUNDS[self.done]
        of, work = path_work_for(self.paths, len(self.model.p)), work_for(self.model)
        for name, values in first.items():
            getattr(of, name)[:] = values
        of.known_p[:], of.known_q[:], of.known_w[:] = of.first_p, of.first_q, of.first_w
        of.about_p[:], of.about_q[:] = of.first_about_p, of.first_about_q
        of.mask[:], work.status[:] = self.mask, self.status
        of.y[:], of.mu[:] = y, mu
        if not entries.prepared(self.model, self.paths, of, work):
            return
        begun = value = entries.raised(self.model, self.paths, of, work, HUGE * cutoff, cutoff, STEPS)
        if not -np.inf < value < cutoff:
            return
        toll = tolls(self.paths, of)
        lost = self.paths.r * np.maximum(of.flow_p[0::2], of.flow_p[1::2]) ** 2
        parts = parts_of(self.paths, lost + 1e-9 * max(float(lost.max()), 1e-12), most)
        for some in parts:
            part = Part(self.model, self.paths, of, work.status, some)
            value += part.adds(of, toll, HUGE * cutoff, TARGET * (cutoff - begun), nodes)
            yield value
            if value >= cutoff:
                return
        closed = 100.0 * (value - begun) / (cutoff - begun)
        _LOG.info("%d parts of the paths close %.3g %% of the gap of the first node", len(parts), closed)
