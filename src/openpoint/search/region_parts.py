"""The supplied part and the regions of a node (`openpoint.search.regions`), and the voltages that states have at hubs.

**Ranges.** Down the supplied part w falls by 2 (r p + x q) − |z|² l. What arrives at the far end of a branch is at
least the least demand that may lie beyond it, what leaves at the near end at most the greatest and the losses, which
the value of the best state known limits. A region counts whole where all its hubs lie beyond the branch, else for any
part of its buses. Hubs whose range is too wide are left to the regions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.graph import components
from openpoint.search.kernel.arrays import CLOSED, OPEN, Model, Work


@dataclass(frozen=True)
class Parts:
    """The supplied part and the regions of a node.

    Attributes:
        supplied: (N) buses of the supplied part. region: (N) number of the region, -1 in the supplied part.
        count: number of regions.
    """

    supplied: Bools
    region: Ints
    count: int

    def branches(self, model: Model, status: States) -> list[Bools]:
        """(m) branches of each region that are not open, including those to its hubs."""
        one = np.maximum(self.region[model.fr], self.region[model.to])
        return [(status != OPEN) & (one == k) for k in range(self.count)]

    def hubs(self, model: Model, branches: Ints) -> Ints:
        """Buses of the supplied part at these branches."""
        ends = np.unique(np.concatenate([model.fr[branches], model.to[branches]]))
        return np.asarray(ends[self.supplied[ends]], dtype=np.int64)


def parts_of(model: Model, status: States, usable: Bools) -> Parts:
    """The parts of a node; the supplied part contains only buses that are `usable`, (N), or reached from such."""
    n, size = model.n, len(model.p)
    fr, to = np.minimum(model.fr, n), np.minimum(model.to, n)
    through = (status == CLOSED) & usable[model.fr] & usable[model.to]
    label = components(size, fr[through], to[through])
    supplied = label == label[n]
    supplied[n:] = True
    apart = (status != OPEN) & ~supplied[model.fr] & ~supplied[model.to]
    label = components(size, model.fr[apart], model.to[apart])
    region = np.full(size, -1)
    names, number = np.unique(label[~supplied], return_inverse=True)
    region[~supplied] = number
    return Parts(supplied, region, len(names))


def voltages(model: Model, parts: Parts, branches: list[Ints], tree: Work, loss: float) -> tuple[Floats, Floats]:
    """(N) least and greatest squared voltages in the supplied part, in any completion with a loss of at most `loss`.

    Args:
        branches: of each region. tree: a completion of the node, with its forest.
    """
    ends = np.concatenate([model.fr, model.to])
    low, high = np.zeros((2, len(model.p))), np.zeros((2, len(model.p)))
    v = np.sqrt(model.w_max)
    by_bus = ((model.p, model.p_span, model.p_v, model.p_w), (model.q, model.q_span, model.q_v, model.q_w))
    for k, (power, more, current, steady) in enumerate(by_bus):
        low[k] = power + np.minimum(0.0, current) * v + np.minimum(0.0, steady) * model.w_max
        high[k] = power + more + np.maximum(0.0, current) * v + np.maximum(0.0, steady) * model.w_max
        at_fr, at_to = ((model.g_fr, model.g_to), (-model.b_fr, -model.b_to))[k]
        taken = np.concatenate([at_fr * model.k_fr, at_to * model.k_to]) * model.w_max[ends]
        np.add.at(low[k], ends, np.minimum(0.0, taken))
        np.add.at(high[k], ends, np.maximum(0.0, taken))
    lossy = np.divide(model.x, model.r, out=np.where(model.x > 0.0, np.inf, 0.0), where=model.r > 0.0)
    lost = np.array([loss, loss * float(lossy.max(initial=0.0))]) if loss > 0.0 else np.zeros(2)
    least, most = model.w_min.copy(), model.w_max.copy()
    if not model.passive:
        return least, most
    hubs = [parts.hubs(model, some) for some in branches]
    # Beyond a bus: least and greatest demand of the supplied part, and the number of hubs of each region.
    beyond_low, beyond_high = low.T * parts.supplied[:, None], high.T * parts.supplied[:, None]
    met: list[dict[int, int]] = [{} for _ in model.p]
    for k, some in enumerate(hubs):
        for hub in some.tolist():
            met[hub][k] = 1
    inside = [parts.region == k for k in range(parts.count)]
    whole = [(low[:, some].sum(axis=1), high[:, some].sum(axis=1)) for some in inside]
    any_part = [
        (np.minimum(low[:, some], 0.0).sum(axis=1), np.maximum(high[:, some], 0.0).sum(axis=1)) for some in inside
    ]
    order = [bus for bus in tree.order.tolist() if parts.supplied[bus]]
    for bus in reversed(order):
        if (above := int(tree.parent[bus])) >= 0:
            beyond_low[above] += beyond_low[bus]
            beyond_high[above] += beyond_high[bus]
            for k, number in met[bus].items():
                met[above][k] = met[above].get(k, 0) + number
    for bus in order:
        if (above := int(tree.parent[bus])) < 0:
            continue
        e = int(tree.edge[bus])
        down = model.fr[e] == above
        k_above, k_bus = (model.k_fr[e], model.k_to[e]) if down else (model.k_to[e], model.k_fr[e])
        some, all_of = beyond_low[bus].copy(), beyond_high[bus] + lost
        for k, number in met[bus].items():
            few, many = whole[k] if number == len(hubs[k]) else any_part[k]
            some += few
            all_of += many
        z = model.r[e], model.x[e]
        greatest = sum(2.0 * a * float(b) for a, b in zip(z, all_of) if a > 0.0)  # the losses may be unbounded
        smallest = sum(2.0 * a * float(b) for a, b in zip(z, some))
        least[bus] = max(least[bus], (k_above * least[above] - greatest) / k_bus)
        most[bus] = min(most[bus], (k_above * most[above] - smallest) / k_bus)
    return least, most
