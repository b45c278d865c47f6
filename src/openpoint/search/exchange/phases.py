"""Branch exchange where branches have conductors of several phases, which open and close together.

Closing a branch of phases abc makes a loop in each phase. The loops are opened by one branch of phases abc, or by one
of each phase, or by one of ab and one of c. The reverse holds for opening a branch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.formulations.radiality import Choices
from openpoint.search.exchange.pairs import rooted


def exchanges_coupled(choices: Choices, branch: Ints, closed: Bools) -> Bools:
    """All radial states (K, E) in which one branch closes and others open, or one opens and others close.

    Args:
        choices: of `contract_coupled`. branch: (E) branch of each conductor. closed: (E) a radial state.
    """
    own = branch[choices.free]
    size = dict(zip(*(part.tolist() for part in np.unique(own, return_counts=True))))
    # For each branch, the branches that can replace some of its conductors, and which conductors.
    instead: dict[int, dict[int, set[int]]] = {b: {} for b in size}
    for k, j in _loops(choices, closed[choices.free]):
        instead[int(own[k])].setdefault(int(own[j]), set()).add(k)
        instead[int(own[j])].setdefault(int(own[k]), set()).add(j)
    found: set[tuple[int, ...]] = set()
    for b, others in instead.items():
        whole = {o: frozenset(ks) for o, ks in others.items() if len(ks) == size[o]}
        conductors = frozenset(np.flatnonzero(own == b).tolist())
        found |= {tuple(sorted((b, *cover))) for cover in _covers(conductors, whole)}
    near = np.repeat(closed[None, :], len(found), axis=0)
    for row, flipped in zip(near, sorted(found)):
        row[choices.free] ^= np.isin(own, flipped)
    return near


def _loops(choices: Choices, state: Bools) -> Iterator[tuple[int, int]]:
    """Pairs of an open conductor and a closed one on the loop that closing the first would make."""
    parent, via, depth = rooted(choices, state)
    for k in np.flatnonzero(~state).tolist():
        a, b = int(choices.fr[k]), int(choices.to[k])
        while a != b:
            if depth[a] < depth[b]:
                a, b = b, a
            yield k, via[a]
            a = parent[a]


def _covers(conductors: frozenset[int], pieces: dict[int, frozenset[int]]) -> Iterator[tuple[int, ...]]:
    """Every choice of pieces that covers each of the conductors exactly once."""
    if not conductors:
        yield ()
        return
    first = min(conductors)
    for piece, part in pieces.items():
        if first in part and part <= conductors:
            for rest in _covers(conductors - part, pieces):
                yield (piece, *rest)
