"""The arrays of a node that is bounded under many load vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints
from openpoint.compiled.table import Table
from openpoint.search.kernel.arrays import Model

ROWS = 24
"""Probability vectors that count at the same time, at most."""
UNKNOWN = -1e12
"""Bound of a future that has none yet."""


@dataclass(frozen=True, eq=False)
class Loads(Table):
    """K load vectors, called futures, of a grid with N buses and m branches in the numbers of the search model.

    Attributes:
        p, q: (K, N) as in the model. y, mu: (K, N) multipliers. phi: (K, N), of no width without limits.
        value: (K) bounds of the current node in every future.
        weight: (V, K) probability vectors. offset: (V) what is subtracted from their expectations. rows: number in use.
        order: (K) the futures that have a weight in any row, first; used: their number. turn: position of the sample.
        total: (V) expectations of the bounds, less the offset. gained: (V, m) what the bounds with a branch open add.
        alive: (m) whether the branch is still probed. closing: (m) whether it must close. guess: (m) estimated gain
            with the branch open.
        opened: (K) bounds with the branch to decide next open.
        reached: bound of the current node. opening: with that branch open. floor: least bound at which something was
            excluded. refreshed: futures bounded. trials, gains: as in `kernel.bookkeeping.Counts`. All of length 1.
    """

    p: Floats
    q: Floats
    y: Floats
    mu: Floats
    phi: Floats
    value: Floats
    weight: Floats
    offset: Floats
    rows: Ints
    order: Indices
    used: Ints
    turn: Ints
    total: Floats
    gained: Floats
    alive: Bools
    closing: Bools
    guess: Floats
    opened: Floats
    reached: Floats
    opening: Floats
    floor: Floats
    refreshed: Ints
    trials: Ints
    gains: Ints


def loads_for(model: Model, p: Floats, q: Floats) -> Loads:
    """Arrays for these load vectors, without probability vectors."""
    k, m = len(p), len(model.fr)
    whole = {name: np.zeros(1, dtype=np.int64) for name in ("rows", "used", "turn", "refreshed", "trials", "gains")}
    return Loads(
        p=p,
        q=q,
        y=np.zeros_like(p),
        mu=np.zeros_like(p),
        phi=np.zeros((k, p.shape[1] if model.bounded else 0)),
        value=np.full(k, UNKNOWN),
        weight=np.zeros((ROWS, k)),
        offset=np.zeros(ROWS),
        order=np.arange(k, dtype=np.int32),
        total=np.zeros(ROWS),
        gained=np.zeros((ROWS, m)),
        alive=np.zeros(m, dtype=np.bool_),
        closing=np.zeros(m, dtype=np.bool_),
        guess=np.zeros(m),
        opened=np.full(k, UNKNOWN),
        reached=np.full(1, -np.inf),
        opening=np.full(1, -np.inf),
        floor=np.full(1, np.inf),
        **whole,
    )
