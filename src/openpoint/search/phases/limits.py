"""Limits that the flow of a sweep breaks, so that a state which breaks them needs no other power flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Floats, States
from openpoint.network import Network
from openpoint.network.limits import at_kept_limits
from openpoint.search.phases.flow import CLOSED, Trees
from openpoint.search.phases.model import SLOT, Blocks, PhaseModel

SURE = 1e-4
"""Relative excess of a squared limit from which it is broken for sure: sweeps and OpenDSS differ by some 1e-6."""


@dataclass(frozen=True)
class BlockLimits:
    """Squared limits by bus and by block; none of blocks of parallel branches or with windings between lines.

    Attributes:
        w_min, w_max: (n, 3). l_max: (m, 3). rated: (2, m, 3) rated current over the current at either bus.
    """

    w_min: Floats
    w_max: Floats
    l_max: Floats
    rated: Floats

    @classmethod
    def of(cls, model: PhaseModel, network: Network) -> BlockLimits:
        """Those of a network, that of the model with any limits, as far out as they count as kept."""
        blocks, network = model.blocks, at_kept_limits(network)
        slot = np.array([SLOT[phase] for phase in network.terminal_phase], dtype=np.int64)
        w_min, w_max = np.zeros(blocks.has.shape), np.full(blocks.has.shape, np.inf)
        w_min[network.terminal_bus, slot], w_max[network.terminal_bus, slot] = network.w_min, network.w_max
        l_max, rated = np.full(blocks.carries.shape, np.inf), np.zeros((2, *blocks.carries.shape))
        straight = (blocks.ratio * (1.0 - np.eye(3)) == 0.0).all(axis=(0, 2, 3))
        single = np.bincount(model.block_of[model.block_of >= 0], minlength=len(straight)) == 1
        block = model.block_of[network.conductor_branch]
        known = np.flatnonzero((block >= 0) & (straight & single)[block] & np.isfinite(network.l_max))
        at, phase = block[known], slot[network.terminal_to[known]]
        back = (network.terminal_bus[network.terminal_fr[known]] != blocks.fr[at]).astype(np.int64)
        l_max[at, phase] = network.l_max[known]
        rated[back, at, phase], rated[1 - back, at, phase] = network.rated_fr[known], network.rated_to[known]
        return cls(w_min, w_max, l_max, rated)

    def excess(self, blocks: Blocks, status: States, trees: Trees) -> tuple[float, float]:
        """The largest relative excess of a squared limit in the flow of a state (m), and the sum of all."""
        w = np.abs(trees.v) ** 2
        low = np.where(blocks.has & (self.w_min > 0.0), 1.0 - w / np.where(self.w_min > 0.0, self.w_min, 1.0), 0.0)
        high = np.where(blocks.has, w / self.w_max - 1.0, 0.0)
        bus = np.flatnonzero(trees.edge >= 0)
        e, way = trees.edge[bus], trees.way[bus]
        i = trees.i[e]
        above = np.einsum("bkj,bk->bj", blocks.ratio[way, e].conj(), i)
        ends = np.where(way[:, None] == 0, above, -i), np.where(way[:, None] == 0, -i, above)
        fr = ends[0] + np.einsum("bjk,bk->bj", blocks.y_fr[e], trees.v[blocks.fr[e]])
        to = ends[1] + np.einsum("bjk,bk->bj", blocks.y_to[e], trees.v[blocks.to[e]])
        size = np.maximum(self.rated[0, e] * np.abs(fr), self.rated[1, e] * np.abs(to)) ** 2
        over = np.where((status[e] == CLOSED)[:, None], size / self.l_max[e] - 1.0, 0.0)
        parts = [np.maximum(part, 0.0) for part in (low, high, over)]
        return float(max(part.max(initial=0.0) for part in parts)), float(sum(part.sum() for part in parts))
