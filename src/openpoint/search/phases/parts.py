"""Parts of a core that hang on one bus and hold few radial states, as pieces of which it is left open which state.

Such a piece draws and loses what one of its states does: around the flow of the first one, within the most by which any
of them differs (docs/methods.md M45). So one flow of what is left covers all of their states.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Ints
from openpoint.graph import components
from openpoint.search.phases.flow import CLOSED, OPEN
from openpoint.search.phases.model import RADII, Blocks, Hung
from openpoint.search.phases.pieces import Core, Pieces, part_of, steepness, undecided
from openpoint.search.phases.states import AllStates, states_left

MOST = 20
"""Radial states of a part, of each of which the flow is computed at all voltages of a piece."""
SOME = 1.5
"""Of a count of states that is more than one, and not exact."""


class Rest(NamedTuple):
    """What is left of a core: `blocks` with such parts as pieces, `branch` (m) numbers of its branches in the core."""

    blocks: Blocks
    branch: Ints


def rest_of(core: Core) -> Rest:
    """Without the parts of few states, the innermost first, which may be pieces of others then."""
    blocks, v, branch = core.blocks, core.v, np.arange(len(core.blocks.fr))
    passed = np.zeros(len(blocks.has), dtype=np.bool_)
    while (found := _smallest(blocks, passed)) is not None:
        at, inside = found
        if (piece := _as_piece(blocks, v, at, inside)) is None:
            passed |= inside
            continue
        buses, branches = np.flatnonzero(~inside), np.flatnonzero(~_beside(blocks, inside))
        blocks = part_of(blocks, buses, branches, ~inside)
        piece = piece._replace(bus=np.searchsorted(buses, piece.bus))
        blocks = blocks._replace(hung=Hung._make(map(np.concatenate, zip(blocks.hung, piece, strict=True))))
        v, branch, passed = v[buses], branch[branches], passed[buses]
    return Rest(blocks, branch)


def _beside(blocks: Blocks, inside: Bools) -> Bools:
    """(m) branches with an end among some buses (n)."""
    return np.asarray(inside[blocks.fr] | inside[blocks.to])


def _smallest(blocks: Blocks, passed: Bools) -> tuple[int, Bools] | None:
    """The bus that a part hangs on, and (n) whether a bus is in it: of the part with the fewest states and buses."""
    n, status = len(blocks.has), undecided(blocks)
    whole, found = states_left(blocks, status), list[tuple[int, int, int, Bools]]()
    for b in range(n):
        left = (blocks.fr != b) & (blocks.to != b)
        part = components(n, blocks.fr[left], blocks.to[left])
        for each in np.setdiff1d(part, part[np.append(np.flatnonzero(blocks.is_source), b)]).tolist():
            inside: Bools = np.asarray(part == each)
            branches = _beside(blocks, inside)
            if passed[inside].any() or not blocks.movable[branches].any():
                continue
            count = whole / (rest := states_left(blocks, np.where(branches, CLOSED, status)))
            if count < MOST + 0.5 and count > SOME < rest:
                found.append((round(count), int(inside.sum()), b, inside))
    return min(found, key=lambda each: each[:3])[2:] if found else None


def _as_piece(blocks: Blocks, v: Complexes, at: int, inside: Bools) -> Hung | None:
    """What a part adds as a piece, but for a bound; None where one of its states has no flow."""
    hung = np.where(inside, at, -1)
    alone = Pieces.of(blocks, hung, v).blocks
    states = AllStates(alone, MOST + 1, sequences=False).of(undecided(alone), np.inf)
    if not np.isfinite([state.loss for state in states]).all():
        return None
    flows = []
    for state in sorted(states, key=lambda each: each.loss):
        closed = np.ones(len(blocks.fr), dtype=np.bool_)
        closed[_beside(blocks, inside)] = state.status != OPEN
        tree = part_of(blocks, np.arange(len(inside)), np.flatnonzero(closed), inside)
        flows.append(Pieces.of(tree, hung, v).flows())
    shape, base, at_bus, flow, slope, steep, off = flows[0]
    for _, _, _, other, its_slope, _, its_off in flows[1:]:
        apart = np.append(np.abs(other - flow)[..., :3], (flow - other)[..., 3:].real, axis=-1)
        turn = steepness(its_slope - slope, np.eye(3, dtype=np.complex128)[None]).sum(axis=2)
        off = np.maximum(off, its_off + apart[:, :, None] + np.array(RADII)[:, None] * turn[:, :, None])
    h, mode, a = (np.zeros((1, *each), dtype=np.complex128) for each in ((3,), (6, 3), (13, 3, 3)))
    reach, constant = np.ones((1, 6)), np.full((1, 13), -np.inf)
    return Hung(np.array([at]), h, mode, reach, constant, a, shape, base, at_bus, flow, slope, steep, off)
