"""Branch and bound over the flows of periods in which lost energy is worth something.

The ceilings of squared currents leave open what the chords of P² and Q² lie above them, in proportion to the square of
the ranges of P and Q (`formulations.flow_ranges`). So the range of one of them is divided where the solution of the
master lies: there both chords touch the square. A node is a master whose copies are cut to such boxes; every plan is
in one of its parts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from openpoint.formulations.flow_ranges import FlowBox
from openpoint.search.tree import Queue
from openpoint.studies.dispatch.day.model.day_master import Copy, DayMaster, MasterAnswer

NEAR_END = 0.1
"""Least share of a range in either part."""
BINDING = 1e-6
"""Relative distance from the dearest day at which a day counts."""

Boxes = Mapping[int, tuple[FlowBox, ...]]
"""By the number of a copy."""


@dataclass
class Division:
    """The nodes that are left, the least bound first.

    Attributes:
        queue: these nodes; its floor is the least bound of those that cannot be divided.
    """

    queue: Queue[Boxes] = field(default_factory=Queue)

    @property
    def lower(self) -> float:
        """No plan costs less."""
        return self.queue.lowest

    @property
    def left(self) -> bool:
        """Whether a node is left that could raise the bound."""
        return self.queue.has(self.queue.floor)

    def next(self) -> tuple[float, Boxes]:
        """The node of the least bound, and this bound."""
        return self.queue.pop()

    def divide(self, master: DayMaster, answer: MasterAnswer, bound: float, boxes: Boxes, least: float) -> None:
        """Divide a node by its solution where more than `least` $ is open in a period; else it stays as it is."""
        found = _widest(master, answer)
        if found is None or found[0] <= least:
            self.queue.done(bound)
            return
        _, number, parts = found
        for part in parts:
            self.queue.push(bound, {**boxes, number: (*boxes.get(number, ()), part)})


def _widest(master: DayMaster, answer: MasterAnswer) -> tuple[float, int, tuple[FlowBox, FlowBox]] | None:
    """Where most $ are open between a chord and its square: how much, the copy, and the two parts of the range."""
    totals = [day.cost(answer.costs) for day in master.days]
    reached = max(totals) - BINDING * max(1.0, abs(max(totals)))
    binding = {
        number for day, total in zip(master.days, totals, strict=True) if total >= reached for number in day.copies
    }
    found = [
        (worth, number, parts)
        for number in sorted(binding)
        if (copy := master.copies[number]).ranges is not None
        for worth, parts in [_open(master, copy, answer.own[number])]
    ]
    return max(found, default=None)


def _open(master: DayMaster, copy: Copy, own: np.ndarray) -> tuple[float, tuple[FlowBox, FlowBox]]:
    """The same of a copy with its own columns."""
    question, ranges = master.question, copy.ranges
    assert ranges is not None
    day, net = question.day, question.network
    p, q, l, w_fr, w_to = (copy.block.values(own)[columns] for columns in copy.template.flows)
    e, to = ranges.branch, ranges.at_to
    at = np.array([np.where(to, p[e] - net.r[e] * l[e], -p[e]), np.where(to, q[e] - net.x[e] * l[e], -q[e])])
    low, high = np.array([ranges.p, ranges.q]).transpose(1, 0, 2)
    at = np.clip(at, low, high)
    price = float(-min(day.source_price[copy.t].min(), day.export_price[copy.t].min()) - question.cost.loss)
    lost = net.r[e] / np.where(to, w_to[e], w_fr[e])
    worth = day.hours[copy.t] * net.s_base_kva * price * lost * (high - at) * (at - low)
    part, k = np.unravel_index(int(np.argmax(worth)), worth.shape)
    width = high[part, k] - low[part, k]
    middle = float(np.clip(at[part, k], low[part, k] + NEAR_END * width, high[part, k] - NEAR_END * width))
    branch, reactive = int(e[k]), bool(part)
    parts = FlowBox(branch, reactive, -math.inf, middle), FlowBox(branch, reactive, middle, math.inf)
    return float(worth[part, k]), parts
