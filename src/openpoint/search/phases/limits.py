"""Limits that the flow of a sweep breaks, so that a state which breaks them needs no other power flow.

In the core of a grid they are broken for certain where every flow near that of the core does so (docs/methods.md M46).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Floats, Ints, States
from openpoint.network import Network
from openpoint.network.limits import at_kept_limits
from openpoint.search.phases.deviation import Ranges, deviate, exceed, no_ranges, sizes_for
from openpoint.search.phases.flow import CLOSED, Trees
from openpoint.search.phases.model import RADII, SIZES, SLOT, STEP_U, Blocks, PhaseModel, box_rows
from openpoint.search.phases.pieces import Core, Pieces, attachments, balanced
from openpoint.search.phases.states import SURE

WITHIN = 2, 4
"""Which of `RADII` limits are judged within."""


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

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return bool((self.w_min > 0.0).any() or np.isfinite(self.w_max).any() or np.isfinite(self.l_max).any())

    def narrowed(self, boxes: Floats) -> Floats:
        """Boxes of buses (n, 9) without voltages that break a limit for certain; as they are where none is left."""
        low = np.maximum(boxes[:, :3], np.sqrt(self.w_min * (1.0 - SURE)))
        high = np.minimum(boxes[:, 3:6], np.sqrt(self.w_max * (1.0 + SURE)))
        tighter = (low != boxes[:, :3]) | (high != boxes[:, 3:6])
        changed = np.asarray((low < high).all(axis=1) & tighter.any(axis=1))  # others stay to the last digit
        return np.where(changed[:, None], box_rows(low, high, boxes[:, 8]), boxes)

    def of_core(self, whole: Blocks, core: Core) -> Ranges:
        """Those of the core and of what hangs on it, of a grid whose branches may be in series in the core."""
        b = core.blocks
        same = (whole.fr[core.branch] == core.bus[b.fr]) & (whole.to[core.branch] == core.bus[b.to])
        found = self._ranges(whole, core.bus, core.branch)
        found = found._replace(rated=found.rated * same[:, None])
        return found._replace(over=self._over(whole, core))

    def _ranges(self, blocks: Blocks, bus: Ints, branch: Ints) -> Ranges:
        """Those of some buses and branches, without pieces."""
        parts = self.w_min[bus], self.w_max[bus], self.l_max[branch], self.rated[:, branch]
        y = np.stack([blocks.y_fr[branch], blocks.y_to[branch]])
        return Ranges(*parts, y, no_ranges(blocks).over)

    def _over(self, whole: Blocks, core: Core) -> Floats:
        """(C, SIZES, RADII) by how much each piece exceeds a limit for certain."""
        hung, count = core.blocks.hung, len(core.blocks.hung.bus)
        found = np.zeros((count, SIZES, len(RADII)))
        if not count or core.blocks is whole:
            return found
        v = balanced(whole)
        v[core.bus] = core.v
        made = Pieces.of(whole, at := attachments(whole), v)
        trees, blocks, has = made.trees, made.blocks, made.blocks.has[made.root]
        inside = np.flatnonzero((at[whole.fr] >= 0) | (at[whole.to] >= 0))
        ranges, sizes = self._ranges(whole, made.bus, inside), sizes_for(blocks, sequences=False)
        at_bus = np.zeros(len(made.bus))
        for k in reversed(range(SIZES)):
            if made.drawn((hung.base + STEP_U * k)[:, None] * hung.shape) is None:
                continue
            for i in WITHIN:
                trees.far[made.root] = np.where(has, RADII[i], 0.0)
                deviate(blocks, sizes, made.status, trees, False)
                known = (trees.wide <= trees.far).all(axis=1)
                exceed(blocks, sizes, made.status, trees, ranges, at_bus)
                most = np.zeros(count)
                np.maximum.at(most, made.group, np.where(known, at_bus, 0.0))
                unknown = np.bincount(made.group, ~known, count) > 0.0
                found[:, k, : i + 1] = np.maximum(found[:, k, : i + 1], np.where(unknown, 0.0, most)[:, None])
        return found

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
