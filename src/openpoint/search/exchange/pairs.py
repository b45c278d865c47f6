"""Branch exchange (Civanlar et al. 1988): close an open branch, open another on the loop that this makes.

Every exchange is evaluated by the exact power flow, all in one batch; the best is accepted, until none is better. The
result is a local optimum, without a bound.

Branch exchange where branches have conductors of several phases, which open and close together.

Closing a branch of phases abc makes a loop in each phase. The loops are opened by one branch of phases abc, or by one
of each phase, or by one of ab and one of c. The reverse holds for opening a branch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.radiality import Choices


def exchanges(choices: Choices, closed: Bools) -> Bools:
    """All radial states one exchange away from a radial state: (K, E); none where the state is not radial."""
    state = closed[choices.free]
    tree = rooted(choices, state)
    if -1 in tree[0][1:] or int(state.sum()) != choices.n_blocks - 1:
        return np.repeat(closed[None, :], 0, axis=0)
    found = list(_loops(choices, state, *tree))
    near = np.repeat(closed[None, :], len(found), axis=0)
    for row, (close, opened) in enumerate(found):
        near[row, choices.free[close]] = True
        near[row, choices.free[opened]] = False
    return near


def descend(
    choices: Choices,
    closed: Bools,
    price: Callable[[Bools], Floats],
    most: int = 1000,
    enough: float = -np.inf,
    stop: Callable[[], bool] | None = None,
    piece: int = 1000,
) -> tuple[float, Bools]:
    """Repeat the best exchange from a radial state until none is better, or the objective value is at most `enough`.

    Args:
        choices: what may be exchanged.
        closed: (E) radial state to start from.
        price: from (K, E) states to (K) objective values.
        most: exchanges after which to stop.
        enough: objective value at which to stop.
        stop: called before every `piece` of states; True ends with the best of those that were evaluated.

    Returns:
        The objective value and the state reached.
    """
    value = float(price(closed[None, :])[0])
    for _ in range(most):
        near = exchanges(choices, closed)
        if not len(near) or value <= enough:
            break
        prices = _priced(near, price, stop, piece)
        best = int(np.argmin(prices))
        if not prices[best] < value - 1e-9 * abs(value):
            break
        value, closed = float(prices[best]), near[best]
    return value, closed


def _priced(near: Bools, price: Callable[[Bools], Floats], stop: Callable[[], bool] | None, piece: int) -> Floats:
    """(K) objective values of K states; inf for those not evaluated because of `stop`."""
    if stop is None:
        return price(near)
    prices = np.full(len(near), np.inf)
    for begin in range(0, len(near), piece):
        if stop():
            break
        prices[begin : begin + piece] = price(near[begin : begin + piece])
    return prices


def rooted(choices: Choices, state: Bools) -> tuple[list[int], list[int], list[int]]:
    """Parent block, branch to it and depth of every block, from the block of the sources."""
    n = choices.n_blocks
    adjacency: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for k in np.flatnonzero(state).tolist():
        a, b = int(choices.fr[k]), int(choices.to[k])
        adjacency[a].append((b, k))
        adjacency[b].append((a, k))
    parent, via, depth = [-1] * n, [-1] * n, [0] * n
    stack = [0]
    while stack:
        block = stack.pop()
        for other, k in adjacency[block]:
            if k != via[block] and parent[other] < 0 and other != 0:
                parent[other], via[other], depth[other] = block, k, depth[block] + 1
                stack.append(other)
    return parent, via, depth


def exchanges_coupled(choices: Choices, branch: Ints, closed: Bools) -> Bools:
    """All radial states (K, E) in which one branch closes and others open, or one opens and others close.

    Args:
        choices: of `contract_coupled`. branch: (E) branch of each conductor. closed: (E) a radial state.
    """
    own = branch[choices.free]
    size = dict(zip(*(part.tolist() for part in np.unique(own, return_counts=True))))
    # For each branch, the branches that can replace some of its conductors, and which conductors.
    instead: dict[int, dict[int, set[int]]] = {b: {} for b in size}
    state = closed[choices.free]
    for k, j in _loops(choices, state, *rooted(choices, state)):
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


def _loops(
    choices: Choices, state: Bools, parent: list[int], via: list[int], depth: list[int]
) -> Iterator[tuple[int, int]]:
    """Pairs of an open conductor and a closed one on the loop that closing the first would make, by `rooted`."""
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
