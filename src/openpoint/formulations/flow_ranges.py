"""Ranges of the power flow of a radial state, and bounds of its squared currents.

The cone P² + Q² ≤ l W of DistFlow lets the squared current l of a branch be larger than that of any power flow. It is
not wherever losses cost something, but where they pay (a negative price) or help (an upper limit of voltage), nothing
holds it down. In a radial state with given ranges of what every bus draws, everything else has a range by interval
arithmetic. With P + jQ the power that leaves a branch at its lower end, W the squared voltage there,

    l W = P² + Q²,    P² ≤ (P̲ + P̄) P − P̲ P̄,    Q² alike                        (secants of convex functions)
    l W ≥ W̲ l + l̲ W − l̲ W̲,    l W ≥ W̄ l + l̄ W − l̄ W̄                             (McCormick 1976)

so that both right-hand sides of the last line are at most the sum of the secants: two linear inequalities a branch,
which hold at every power flow in these ranges. They are equations where P, Q and W are at ends of their ranges, as they
are where everything is drawn that can be.

The ranges follow from the leaves to the sources: P is what the bus draws and what leaves it on closed branches below,

    l = (P² + Q²) / W,    at the upper end P + r l, Q + x l, and W + 2 (r P + x Q) + |z|² l,

each with half of the shunt of the branch beside it. Each pass over the tree makes the ranges of l and W narrower.

Bounds of a cone program by narrower ranges of the voltages, for loads of constant current.

Their power is c v with v = √w, of which a cone program knows a secant and tangents over the possible voltages. A wide
range leaves it free to choose v some percent beside √w. Of the states that cost no more than a known one, the program
itself finds the least and greatest w of every such bus, and is made anew with the narrower secants (bound tightening by
optimisation; Gleixner, Berthold, Müller and Weltge 2017). What a secant misses falls with the square of its width.

Theory: docs/methods.md M37.

Compiled: ranges of flows and voltages over a tree by interval arithmetic, see `flow_ranges`.

Branches are numbered from the sources to the leaves, and 0 and 1 are the lower and the upper end of a range. A range
that rounding leaves empty stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.compiled.jit import compiled, inlined
from openpoint.network import Network
from openpoint.solvers.base import Answer, StandardForm, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import SecondStage
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.recourse.evaluation import MARGIN, RAY


class Drawing(NamedTuple):
    """What N buses draw, (2, N) active and reactive part each.

    Attributes:
        low, high: range of constant power. current: load of constant current. impedance_low, impedance_high: range of
            the load of constant impedance. hanging: of lines that are open at one end, at nominal voltage.
        room: most power that may move between what lies below a bus and the rest.
    """

    low: Floats
    high: Floats
    current: Floats
    impedance_low: Floats
    impedance_high: Floats
    hanging: Floats
    room: Floats


class Tree(NamedTuple):
    """E branches.

    Attributes:
        below, above: (E) their buses. ratio, ratio_above: (2, E) squared ratios at the lower and at the upper end.
        r, x, g, b: (E) series impedance and shunt admittance.
    """

    below: Ints
    above: Ints
    ratio: Floats
    ratio_above: Floats
    r: Floats
    x: Floats
    g: Floats
    b: Floats


@inlined
def _within(known: Floats, low: float, high: float) -> None:
    """Narrow a range (2) to what it has in common with another one, if anything."""
    low, high = max(known[0], low), min(known[1], high)
    if low <= high:
        known[0], known[1] = low, high


@inlined
def _add(total: Floats, factor: float, low: float, high: float) -> None:
    """Add a number times a range to a range (2)."""
    a, b = factor * low, factor * high
    total[0] += min(a, b)
    total[1] += max(a, b)


@inlined
def _draw(total: Floats, drawing: Drawing, part: int, n: int, w: Floats) -> None:
    """Put what bus n draws, active (0) or reactive (1), into a range (2)."""
    low, high = w[0, n], w[1, n]
    total[0], total[1] = drawing.low[part, n], drawing.high[part, n]
    _add(total, drawing.current[part, n], np.sqrt(low), np.sqrt(high))
    least, most = drawing.impedance_low[part, n], drawing.impedance_high[part, n]
    total[0] += min(least * low, least * high, most * low, most * high)
    total[1] += max(least * low, least * high, most * low, most * high)
    _add(total, drawing.hanging[part, n], low, high)


@compiled
def narrowed(
    drawing: Drawing, tree: Tree, w_known: Floats, cut: Floats, passes: int, wider: float
) -> tuple[Floats, Floats, Floats, Floats, bool]:
    """Ranges of P, Q and l (2, E), of W (2, N), and whether one of W is empty.

    Args:
        drawing: of the buses. tree: of the branches. w_known: (2, N) of the squared voltages. cut: (2, 2, E) in which P
            and Q are. passes: over the tree. wider: share, and per unit, by which ranges are wider than computed.
    """
    below, above, ratio, ratio_above, r, x, g, b = tree
    room = drawing.room
    count, buses = len(below), w_known.shape[1]
    w, flow, l = w_known.copy(), np.empty((2, 2, count)), np.zeros((2, count))
    l[1] = np.inf
    total, narrow, square = np.empty((2, 2, buses)), np.empty(2), np.empty(2)
    empty = False
    for _ in range(passes):
        for part in range(2):
            for n in range(buses):
                _draw(total[part, :, n], drawing, part, n, w)
        for e in range(count - 1, -1, -1):
            here, up = below[e], above[e]
            own = w[0, here] / ratio[1, e], w[1, here] / ratio[0, e]
            parent = w[0, up] / ratio_above[1, e], w[1, up] / ratio_above[0, e]
            square[:] = 0.0
            for part in range(2):
                shunt, own_flow = 0.5 * g[e] if part == 0 else -0.5 * b[e], flow[part, :, e]
                own_flow[:] = total[part, :, here]
                _add(own_flow, shunt, own[0], own[1])
                total[part, :, here] = own_flow
                own_flow[0] -= room[part, here]
                own_flow[1] += room[part, here]
                _within(own_flow, cut[part, 0, e], cut[part, 1, e])
                first, last = own_flow[0] ** 2, own_flow[1] ** 2
                square[0] += 0.0 if own_flow[0] <= 0.0 <= own_flow[1] else min(first, last)
                square[1] += max(first, last)
            _within(l[:, e], square[0] / own[1], square[1] / own[0])
            for part in range(2):
                z, shunt = (r[e], 0.5 * g[e]) if part == 0 else (x[e], -0.5 * b[e])
                narrow[:] = total[part, :, here]
                _within(narrow, cut[part, 0, e], cut[part, 1, e])
                total[part, :, up] += narrow
                _add(total[part, :, up], z, l[0, e], l[1, e])
                _add(total[part, :, up], shunt, parent[0], parent[1])
        for part in range(2):
            flow[part, 0] -= wider * (1.0 + np.abs(flow[part, 0]))
            flow[part, 1] += wider * (1.0 + np.abs(flow[part, 1]))
        for e in range(count):
            here, up = below[e], above[e]
            drop = narrow
            drop[:] = (r[e] ** 2 + x[e] ** 2) * l[:, e]
            _add(drop, 2.0 * r[e], flow[0, 0, e], flow[0, 1, e])
            _add(drop, 2.0 * x[e], flow[1, 0, e], flow[1, 1, e])
            least = max(w[0, up] / ratio_above[1, e] - drop[1], 0.0) * ratio[0, e]
            most = max(w[1, up] / ratio_above[0, e] - drop[0], 0.0) * ratio[1, e]
            _within(w[:, here], (1.0 - wider) * least, (1.0 + wider) * most)
        empty = empty or bool((w[0] > w[1]).any())
    return flow[0], flow[1], w, l, empty


PASSES = 4
"""Times that the ranges are computed from those before."""
WIDER = 1e-6
"""Share, and per unit, by which ranges are wider than computed: for rounding, limits that are kept up to a tolerance,
and so that interior points are left to a solver."""


@dataclass(frozen=True)
class DrawnRanges:
    """The power that every bus draws beside branches: ranges, per unit.

    Attributes:
        low, high: (N) constant power, active and reactive part by itself. current: (N) load of constant current.
        impedance_low, impedance_high: (N) load of constant impedance, banks included.
        moved: (N) most active and reactive power that moves from or to a bus, in sum 0 over all buses.
    """

    low: Complexes
    high: Complexes
    current: Complexes
    impedance_low: Complexes
    impedance_high: Complexes
    moved: Complexes


@dataclass(frozen=True)
class FlowBox:
    """A part of a range: active, or reactive power at the lower end of a branch between `low` and `high`."""

    branch: int
    reactive: bool
    low: float
    high: float


@dataclass(frozen=True)
class FlowRanges:
    """Ranges of a radial state; E closed branches in the order `branch`.

    Attributes:
        branch: (E) numbers of the closed branches. at_to: (E) whether the lower end is the to end.
        p, q, w, l: (2, E) lowest and highest, of the lower end, see the module. boxes: to which they are cut.
    """

    branch: Ints
    at_to: Bools
    p: Floats
    q: Floats
    w: Floats
    l: Floats
    boxes: tuple[FlowBox, ...] = ()


def flow_ranges(
    network: Network,
    closed: Bools,
    drawn: DrawnRanges,
    w: tuple[Floats, Floats],
    tap: tuple[Floats, Floats],
    boxes: tuple[FlowBox, ...] = (),
) -> FlowRanges | None:
    """The ranges in a radial state; None where it is none, where nothing bounds a voltage from below or from above, or
    where no flow has such voltages.

    Args:
        network: balanced. closed: (E) the state. drawn: by the buses.
        w: (N) lowest and highest squared voltages at every power flow of interest. tap: (E) lowest and highest ratios.
        boxes: only flows in them are of interest.
    """
    bounded = (w[0] > 0.0).all() and np.isfinite(w[1]).all() and (w[0] <= w[1]).all()
    tree = _tree(network, closed) if bounded else None
    return None if tree is None else _Sweep(network, closed, drawn, w, tap, *tree).ranges(boxes)


def _tree(network: Network, closed: Bools) -> tuple[Ints, Ints] | None:
    """Closed branches from the sources to the leaves, and the lower bus of each; None where the state is not radial."""
    n = network.n_terminals
    by_bus: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for e in np.flatnonzero(closed).tolist():
        a, b = int(network.terminal_fr[e]), int(network.terminal_to[e])
        by_bus[a].append((e, b))
        by_bus[b].append((e, a))
    seen = np.zeros(n, dtype=np.bool_)
    seen[network.source_terminal] = True
    queue, branch, below = network.source_terminal.tolist(), list[int](), list[int]()
    for bus in queue:
        for e, other in by_bus[bus]:
            if not seen[other]:
                seen[other] = True
                queue.append(other)
                branch.append(e)
                below.append(other)
    radial = bool(seen.all()) and len(branch) == int(closed.sum())
    return (np.array(branch, dtype=np.int64), np.array(below, dtype=np.int64)) if radial else None


class _Sweep:
    """A tree and what its buses draw, made ready for the kernel: ranges as (2, ·) lowest and highest."""

    def __init__(
        self,
        network: Network,
        closed: Bools,
        drawn: DrawnRanges,
        w: tuple[Floats, Floats],
        tap: tuple[Floats, Floats],
        branch: Ints,
        below: Ints,
    ) -> None:
        self.network, self.drawn, self.branch, self.below = network, drawn, branch, below
        self.at_to = network.terminal_to[branch] == below
        self.above = np.where(self.at_to, network.terminal_fr[branch], network.terminal_to[branch])
        self.w = np.array([w[0] * (1.0 - WIDER), w[1] * (1.0 + WIDER)])
        ratio = np.array([tap[0], tap[1]])[:, branch] ** 2
        self.ratio = np.where(self.at_to, 1.0, ratio)  # of the lower end
        self.ratio_above = np.where(self.at_to, ratio, 1.0)
        self.hanging = _hanging(network, closed)
        moved = drawn.moved
        self.inside = moved.copy()
        for e in range(len(branch) - 1, -1, -1):
            self.inside[self.above[e]] += self.inside[below[e]]
        self.whole = moved.sum()

    def ranges(self, boxes: tuple[FlowBox, ...]) -> FlowRanges | None:
        """Pass over the tree a few times; None where a range is empty."""
        cut = np.tile(np.array([[-np.inf], [np.inf]]), (2, 1, len(self.branch)))
        for box in boxes:
            own = cut[int(box.reactive), :, np.flatnonzero(self.branch == box.branch)[0]]
            own[:] = max(own[0], box.low), min(own[1], box.high)
        net, drawn, e = self.network, self.drawn, self.branch
        drawing = Drawing(
            _both(drawn.low),
            _both(drawn.high),
            _both(drawn.current),
            _both(drawn.impedance_low),
            _both(drawn.impedance_high),
            _both(self.hanging),
            np.minimum(_both(self.inside), _both(self.whole - self.inside)),
        )
        tree = Tree(self.below, self.above, self.ratio, self.ratio_above, net.r[e], net.x[e], net.g[e], net.b[e])
        p, q, w, l, empty = narrowed(drawing, tree, self.w, cut, PASSES, WIDER)
        own = w[:, self.below] / self.ratio[::-1]
        return None if empty else FlowRanges(e, self.at_to, p, q, own, l, boxes)


@dataclass(frozen=True)
class CurrentBounds:
    """Linear inequalities a · (p, q, l, w_fr, w_to) ≤ b over (E) flows each, see `formulations.distflow`.

    Attributes:
        a: (R, 5 E) over p, q, l, w_fr, w_to one after another. b: (R).
    """

    a: sp.csr_array
    b: Floats


def current_bounds(network: Network, ranges: FlowRanges) -> CurrentBounds:
    """The bounds of the squared currents in these ranges."""
    e, at_to, p, q, w, l = ranges.branch, ranges.at_to, ranges.p, ranges.q, ranges.w, ranges.l
    slope_p, slope_q = p.sum(axis=0), q.sum(axis=0)
    secant = -(p.prod(axis=0) + q.prod(axis=0))
    # P = p − r l, Q = q − x l, W = w_to at a lower to end; P = −p, Q = −q, W = w_fr at a lower from end.
    sign = np.where(at_to, 1.0, -1.0)
    lost = np.where(at_to, slope_p * network.r[e] + slope_q * network.x[e], 0.0)
    m, rows, sides = network.n_conductors, list[sp.csr_array](), list[Floats]()
    row = np.arange(len(e))
    for w_end, l_end in zip(w, l, strict=True):
        columns = np.concatenate([e, m + e, 2 * m + e, np.where(at_to, 4 * m, 3 * m) + e])
        values = np.concatenate([-sign * slope_p, -sign * slope_q, w_end + lost, l_end])
        rows.append(sp.csr_array((values, (np.tile(row, 4), columns)), shape=(len(e), 5 * m)))
        sides.append(secant + l_end * w_end + WIDER * (1.0 + l[1] * w[1]))
    for box in ranges.boxes:
        own, side = _box_rows(network, ranges, box)
        rows.append(own)
        sides.append(side)
    return CurrentBounds(sp.csr_array(sp.vstack(rows)), np.concatenate(sides))


def _box_rows(network: Network, ranges: FlowRanges, box: FlowBox) -> tuple[sp.csr_array, Floats]:
    """The power of a branch at its lower end is in a box."""
    m, e = network.n_conductors, box.branch
    to = bool(ranges.at_to[ranges.branch == e][0])
    z = (network.x if box.reactive else network.r)[e]
    columns = np.array([m * box.reactive + e, 2 * m + e])
    values = np.array([1.0, -z]) if to else np.array([-1.0, 0.0])
    some = [(sign, side) for sign, side in ((1.0, box.high), (-1.0, -box.low)) if np.isfinite(side)]
    parts = [sp.csr_array((sign * values, ([0, 0], columns)), shape=(1, 5 * m)) for sign, _ in some]
    return sp.csr_array(sp.vstack(parts)), np.array([side for _, side in some])


def _hanging(network: Network, closed: Bools) -> Complexes:
    """(N) what lines that are open at one end draw at nominal voltage, as a load of constant impedance."""
    drawn = np.zeros(network.n_terminals, dtype=np.complex128)
    for terminal, y in ((network.terminal_fr, network.y_open_fr), (network.terminal_to, network.y_open_to)):
        np.add.at(drawn, terminal[~closed], np.conj(y[~closed]))
    return drawn


def _both(values: Complexes) -> Floats:
    """(2, N) active and reactive parts."""
    return np.array([values.real, values.imag])


ROUNDS = 8
"""How often ranges are narrowed, at most."""
MOST_BUSES = 60
"""Loads of constant current, at most; each takes two cone programs a round."""
SHRINKING = 0.7
"""Share of the widths of all ranges that has to be left, at most, for another round."""


class Ranged(NamedTuple):
    """A stage, and its (N) squared voltages."""

    stage: SecondStage
    w: cp.Variable


Model: TypeAlias = "Callable[[cp.Variable, tuple[Floats, Floats]], Ranged]"
"""From a decision and the (N) least and (N) greatest squared voltages to the stage."""


def bound_by_narrowing(
    model: Model,
    decision: Floats,
    ranges: tuple[Floats, Floats],
    buses: Ints,
    most: float,
    stop: Callable[[], bool],
) -> float:
    """A lower bound of the cost of a decision, or `most` where it is at least that; −inf where no more is known.

    Args:
        ranges: (N) least and (N) greatest squared voltages that keep the limits. buses: with loads of constant current.
        most: cost from which on a state is of no interest. stop: called regularly; True stops.
    """
    low, high = (part.copy() for part in ranges)
    bound = -math.inf
    for _ in range(ROUNDS if len(buses) <= MOST_BUSES else 0):
        chosen = cp.Variable(len(decision), name="decision")
        stage, w = model(chosen, (low, high))
        hard = stage.hard()
        constraints = [*hard.constraints, *(cone.constraint() for cone in hard.cones)]
        compiled = compile_model(hard.cost, constraints, also=(chosen, w))
        form = compiled.with_coupling(compiled.of(chosen))
        answer = ClarabelModel(form).solve(decision)
        if _excluded(form, decision, answer):
            return most
        bound = max(bound, _safe(answer))
        if bound >= most or stop():
            break
        cheap = form.with_inequalities(sp.csr_array(form.c[None, :]), np.array([most - form.offset]))
        width = float((high - low)[buses].sum())
        if not _narrow(cheap, decision, (low, high), buses, form.of(w), stop):
            return most
        if stop() or (high - low)[buses].sum() > SHRINKING * width:
            break
    return bound


def _narrow(
    form: StandardForm,
    decision: Floats,
    ranges: tuple[Floats, Floats],
    buses: Ints,
    columns: Ints,
    stop: Callable[[], bool],
) -> bool:
    """Narrow ranges in place to those of the points of a form; False where it has none."""
    solver = ClarabelModel(form)
    for bus in buses:
        for side, sign in enumerate((1.0, -1.0)):
            if stop():
                return True
            cost = np.zeros(len(form.c))
            cost[columns[bus]] = sign
            answer = solver.solve(decision, cost=cost)
            if _excluded(form, decision, answer):
                return False
            end = sign * _safe(answer)
            if np.isfinite(end) and side == 0:
                ranges[0][bus] = max(ranges[0][bus], min(end, ranges[1][bus]))
            elif np.isfinite(end):
                ranges[1][bus] = min(ranges[1][bus], max(end, ranges[0][bus]))
    return True


def _safe(answer: Answer) -> float:
    """The bound of an answer less the accuracy of the solver; −inf where there is none."""
    if answer.status is not Status.OPTIMAL:
        return -math.inf
    value = min(answer.bound, answer.value)
    return value - MARGIN * max(1.0, abs(value))


def _excluded(form: StandardForm, decision: Floats, answer: Answer) -> bool:
    """Whether an answer proves that a form has no point at a decision."""
    if answer.status is not Status.INFEASIBLE or answer.z is None:
        return False
    b = form.b.copy()
    b[: len(decision)] = decision
    depth = -float(b @ answer.z)
    return bool(depth > 0.0 and np.abs(form.a.T @ answer.z).max() <= RAY * depth)
