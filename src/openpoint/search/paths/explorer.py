"""The nodes of a search, one by one: with both bounds where that by paths holds, else with the first alone."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats
from openpoint.search.kernel.arrays import CLOSED, Model, Work
from openpoint.search.kernel.bookkeeping import Counts, Pool, record_for
from openpoint.search.paths import entries
from openpoint.search.paths.arrays import OPEN, enlarged, path_pool_for, path_work_for
from openpoint.search.paths.build import paths_of


class PathExplorer:
    """Branch and bound with both bounds on one model, for which there are no `openpoint.search.paths.build.obstacles`.

    A checkpoint does not keep the states of paths: those of the branches imply most of them, and a node with fewer
    states decided contains all the radial states that it stands for.
    """

    def __init__(self, model: Model, work: Work) -> None:
        """`work`: with the branches that are decided in every state, as `propagate` leaves it."""
        self.model, self.work, self.record = model, work, record_for(model, 0)
        self.paths = paths_of(model)
        self.of_paths = path_work_for(self.paths, len(model.p))
        self.pool = path_pool_for(self.of_paths, 1)
        entries.begin(model, self.paths, self.of_paths, work)
        self.of_paths.y[:] = np.nan

    def explore(self, pool: Pool, counts: Counts, most: int) -> int:
        """As `openpoint.search.kernel.entries.explore`."""
        while len(self.pool.mask) < len(pool.heap):
            self.pool = enlarged(self.pool, self.of_paths)
        shared = self.model, self.paths, self.of_paths, self.work
        return entries.explore(*shared, pool, self.pool, counts, self.record, most)

    @property
    def pays(self) -> bool:
        """Whether the bound by paths of the last node was the higher one."""
        return bool(self.of_paths.both[0] > self.of_paths.both[1])

    def tree_weight(self) -> Floats:
        """(m) weights whose spanning tree has the states that the last bound chose for the paths."""
        paths, chosen = self.paths, self.of_paths
        weight = np.ones(len(self.model.fr))
        opened = chosen.place[(chosen.state == OPEN) & (chosen.place >= 0)]
        weight[paths.branch[opened]] = -1.0
        weight[self.work.status == CLOSED] = 2.0
        return weight
