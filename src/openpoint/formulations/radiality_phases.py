"""Radial choices where a branch has conductors of several phases, which open and close together.

The graph is that of terminals and conductors: every terminal is connected to one source by one path. The constraints of
`radiality` apply to conductors in place of branches, and all conductors of a branch have the same state.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.radiality import Choices, contract


def contract_coupled(
    n: int, fr: Ints, to: Ints, branch: Ints, sources: Ints, must_close: Bools, must_open: Bools
) -> Choices:
    """Contract the conductors that must be closed, including all conductors of the same branches; see `contract`.

    Args:
        n: number of terminals. fr, to: (E) ends of the conductors. branch: (E) branch of each, 0 … B - 1.
        sources: terminals that are sources. must_close, must_open: (E) fixed states.
    """
    closed, opened = must_close, must_open
    while True:
        choices = contract(n, fr, to, sources, closed, opened)
        closed = _together(branch, choices.state == 1.0)
        opened = _together(branch, choices.state == 0.0) & ~closed  # both ways: closed, it makes a loop
        settled = np.array_equal(closed, choices.state == 1.0) and np.array_equal(opened, choices.state == 0.0)
        if settled or choices.loop or choices.cut_off:
            return choices


def radial_states(choices: Choices, branch: Ints, weight: Floats | None = None) -> Iterator[Bools]:
    """All radial states (E) of the conductors, each once; those that keep branches of great weight come first.

    Args:
        choices: of `contract_coupled`, with the branches (E) of all its conductors.
        weight: (B) by branch.
    """
    if choices.loop or choices.cut_off:
        return
    free, fr, to = choices.free, choices.fr, choices.to
    own = branch[free]
    rank = np.zeros(len(own)) if weight is None else weight[own]
    base = choices.state == 1.0
    source = np.zeros(1, dtype=np.int64)
    waiting = [(np.zeros(len(free), dtype=np.bool_), np.zeros(len(free), dtype=np.bool_))]
    while waiting:
        shut, opened = waiting.pop()
        left = contract_coupled(choices.n_blocks, fr, to, own, source, shut, opened)
        settled = left.state == 1.0, left.state == 0.0
        if left.loop or left.cut_off:
            continue
        if not len(left.free):
            state = base.copy()
            state[free] = settled[0]
            yield state
            continue
        chosen = own == own[left.free[np.argmax(rank[left.free])]]
        waiting += [(settled[0], settled[1] | chosen), (settled[0] | chosen, settled[1])]


def _together(branch: Ints, some: Bools) -> Bools:
    """(E) whether any conductor of the same branch is among `some`."""
    hit = np.zeros(int(branch.max(initial=-1)) + 1, dtype=np.bool_)
    hit[branch[some]] = True
    return hit[branch]
