"""The pool of a search within a limit of memory."""

from __future__ import annotations

import math

from openpoint.search.kernel.arrays import Model
from openpoint.search.kernel.bookkeeping import Counts, Pool, pool_for, row_bytes
from openpoint.search.paths.anchors import anchors_of
from openpoint.search.paths.build import paths_of
from openpoint.search.paths.explorer import PathExplorer

MEMORY = 1e9
"""Bytes of waiting nodes unless another limit is given."""
LARGE = 300
"""Buses from which on waiting nodes keep the multipliers of junctions only."""
FIRST = 256
"""Rows of a new pool, at least, and about as many."""


def pool_within(memory: float, model: Model, by_paths: PathExplorer | None, counts: Counts) -> Pool:
    """An empty pool that doubles to just what fits; sets the rows of the heap above which nodes go to its stack.

    The model's grid is connected.
    """
    anchors = None
    if len(model.p) >= LARGE:
        anchors = anchors_of(model, paths_of(model) if by_paths is None else by_paths.paths)
    a_row = row_bytes(pool_for(model, 1, anchors)) + (0 if by_paths is None else by_paths.row_bytes)
    room = max(1, int(memory / a_row))
    counts.room[0] = room
    # A stack takes at most two rows for each branch and each position of a device that is undecided.
    rows = room + 2 * (len(model.fr) + len(model.value)) + 4
    return pool_for(model, -(-rows // 2 ** max(0, int(math.log2(rows / FIRST)))), anchors)
