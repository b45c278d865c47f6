"""A proof that a radial state has no AC power flow of interest, by intervals of voltages.

That an iteration fails proves nothing. Of a branch of impedance r + jx with squared current l, between internal squared
voltages u before it and w behind it, where P + jQ arrive, any power flow has

    w + |z|² (P² + Q²) / w = u − 2 (r P + x Q),       l w = P² + Q²,

equations that relaxations do not have: these may waste power in currents. From ranges of the voltages follow, from the
leaves to the source, ranges of P and Q, and from these narrower ones of the voltages and currents (interval
propagation; Moore 1966). The sum of all losses is at most that of the best state known. So along the path to a bus
Σ |z| √l <= √(Σ r l) √(Σ |z|² / r) (Cauchy and Schwarz), by which its voltage differs from that of the source at most.
Ranges are divided at the widest one (branch and prune). Where no part is left, there is no power flow. All ranges are
widened outwards by far more than rounding.

Loads that no state can carry, whatever its reactive power: proven by one maximum flow, before anything is searched.

At the end of a series impedance z = r + jx that is fed at the squared voltage w arrives active power p, with reactive
power q and squared voltage u. By the branch flow equations

    w = u + 2 (r p + x q) + |z|² (p² + q²) / u

which is least over q at q = −x u / |z|², where it is (r √u / |z| + |z| p / √u)² >= 4 r p. So p <= w / 4r: no more can
be transmitted, however the power factor is corrected. Of the power of a state, take what is delivered to loads, without
what is lost on the way: it is a flow from sources and generators to the loads within these capacities. Where there is
none, the state does not exist. Where no bus generates, all that a bus and those behind it take arrives over one branch.

Theory: docs/methods.md M24.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.search.kernel.arrays import Model

SWEEPS = 8
"""Propagations through the tree between two divisions, at most."""
SHRINKING = 0.9
"""Share of its width to which some range has to shrink in a propagation for another one to follow."""
BOXES, CELLS = 256, 50_000
"""Parts of the ranges at once, at most; and these times buses."""
DIVISIONS = 24
"""How often parts are divided, at most."""
WIDER = 1e-12
"""By how much ranges are wider than computed, relative to the sizes of all terms: for rounding."""

Range = tuple[Floats, Floats]
"""Least and greatest values in K parts."""


def is_swept(network: Network, closed: Bools) -> bool:
    """Whether the checker of certificates finds the power flow of a radial state, (E); it sweeps less near the nose."""
    from openpoint.verify.caps import flow

    order = [(int(source), -1, -1) for source in network.source_terminal]
    order += [(branch.bus, branch.before, branch.number) for branch in _tree(network, closed).branches]
    return bool(np.isfinite(flow(network, order, network.generator_s)[0]))


class _Branch(NamedTuple):
    """A closed branch: its number, the buses behind and before it, its admittances; `ratios`: squared voltages of these
    buses per internal ones."""

    number: int
    bus: int
    before: int
    r: float
    x: float
    g: float
    b: float
    ratios: tuple[float, float]


class _Tree(NamedTuple):
    """Branches, those nearest to the sources first, and (N) power that buses draw, in proportion to 1, √w and w."""

    branches: list[_Branch]
    power: Floats
    current: Floats
    steady: Floats


def has_no_flow(network: Network, closed: Bools, ranges: tuple[Floats, Floats], loss: float) -> bool:
    """Whether it is proven that a radial state has no power flow within ranges that loses no more than a loss.

    Args:
        network: balanced, with the outputs of its generators. closed: (E), every bus has a path to one source.
        ranges: (N) least and (N) greatest squared voltages. loss: per unit; inf = any.
    """
    tree = _tree(network, closed)
    if np.any(network.r < 0.0) or np.any(network.g < 0.0) or np.any(network.y_open.real < 0.0):
        loss = np.inf
    low, high = (np.array(part, dtype=np.float64)[:, None] for part in ranges)
    if not np.isfinite(high).all():
        return False
    if np.isfinite(loss):
        _near_sources(network, tree, low, high, loss)
    held = np.abs(network.source_v) ** 2
    low[network.source_terminal, 0], high[network.source_terminal, 0] = held * (1 - WIDER), held * (1 + WIDER)
    inner = network.inner
    for _ in range(DIVISIONS):
        left = _propagated(tree, low, high, loss)
        low, high = low[:, left], high[:, left]
        if not left.any():
            return True
        if 2 * low.shape[1] > min(BOXES, CELLS // len(low)):
            return False
        widest = inner[np.argmax((high - low)[inner], axis=0)]
        part = np.arange(low.shape[1])
        middle = 0.5 * (low[widest, part] + high[widest, part])
        low, high = np.concatenate([low, low], axis=1), np.concatenate([high, high], axis=1)
        high[widest, part] = middle
        low[widest, part + len(part)] = middle
    return False


def _tree(network: Network, closed: Bools) -> _Tree:
    """The closed branches from the sources on, and what buses draw with what is open at one end."""
    ends: dict[int, list[int]] = {}
    for e in np.flatnonzero(closed).tolist():
        for bus in (int(network.terminal_fr[e]), int(network.terminal_to[e])):
            ends.setdefault(bus, []).append(e)
    z, half = network.z.diagonal(), 0.5 * network.y_shunt.diagonal()
    branches, reached = list[_Branch](), dict.fromkeys(network.source_terminal.tolist())
    for before in (queue := list(reached)):
        for e in ends.get(before, ()):
            forth = int(network.terminal_fr[e]) == before
            bus = int((network.terminal_to if forth else network.terminal_fr)[e])
            if bus in reached:
                continue
            reached[bus] = None
            queue.append(bus)
            tap = float(network.tap[e]) ** 2
            ratios = (1.0, tap) if forth else (tap, 1.0)
            r, x, g, b = (float(part) for part in (z[e].real, z[e].imag, half[e].real, half[e].imag))
            branches.append(_Branch(e, bus, before, r, x, g, b, ratios))
    power = network.s_power.copy()
    np.subtract.at(power, network.generator_terminal, network.generator_s)
    steady = network.s_impedance.copy()
    for at, y in ((network.terminal_fr, network.y_open_fr), (network.terminal_to, network.y_open_to)):
        np.add.at(steady, at, np.where(closed, 0.0, y.conj()))
    return _Tree(branches, *(np.stack([part.real, part.imag]) for part in (power, network.s_current, steady)))


def _near_sources(network: Network, tree: _Tree, low: Floats, high: Floats, loss: float) -> None:
    """Narrow the ranges (N, 1) to what a loss lets voltages differ from those of their sources, times the ratios."""
    v = dict(zip(network.source_terminal.tolist(), np.abs(network.source_v).tolist(), strict=True))
    gain, along = dict.fromkeys(v, 1.0), dict.fromkeys(v, 0.0)
    for branch in tree.branches:
        j, i, z2 = branch.bus, branch.before, branch.r**2 + branch.x**2
        v[j], inner = v[i], gain[i] / np.sqrt(branch.ratios[1])
        gain[j] = inner * np.sqrt(branch.ratios[0])
        part = z2 / (inner**2 * branch.r) if branch.r > 0.0 else (np.inf if z2 > 0.0 else 0.0)
        along[j] = along[i] + part
        apart = np.sqrt(loss * along[j]) * (1 + 1e-9) if along[j] > 0.0 else 0.0
        low[j] = np.fmax(low[j], (gain[j] * max(v[j] - apart, 0.0)) ** 2 * (1 - 1e-9))
        high[j] = np.fmin(high[j], (gain[j] * (v[j] + apart)) ** 2 * (1 + 1e-9))


def _propagated(tree: _Tree, low: Floats, high: Floats, loss: float) -> Bools:
    """(K) which parts may hold a power flow; narrows their ranges (N, K) in place."""
    left = np.ones(low.shape[1], dtype=np.bool_)
    most = np.full((len(tree.branches), low.shape[1]), np.inf)  # squared currents
    for _ in range(SWEEPS):
        width = high - low
        with np.errstate(all="ignore"):
            left &= _sweep(tree, low, high, most, loss) & ~(low > high).any(axis=0)
        shrunk = (high - low < SHRINKING * width).any(axis=0)
        if not (left & shrunk).any():
            break
    return left


def _sweep(tree: _Tree, low: Floats, high: Floats, most: Floats, loss: float) -> Bools:
    """Propagate once from the leaves to the sources and back."""
    drawn = [
        _sum((of_power, of_power), _times(of_root, (np.sqrt(low), np.sqrt(high))), _times(of_square, (low, high)))
        for of_power, of_root, of_square in zip(
            *(part[:, :, None] for part in (tree.power, tree.current, tree.steady)), strict=True
        )
    ]
    left, least = np.ones(low.shape[1], dtype=np.bool_), np.zeros_like(most)
    drops = list[Range]()
    squares = list[Range]()
    for k, branch in reversed(list(enumerate(tree.branches))):
        j, i, z2 = branch.bus, branch.before, branch.r**2 + branch.x**2
        behind = low[j] / branch.ratios[0], high[j] / branch.ratios[0]
        ahead = low[i] / branch.ratios[1], high[i] / branch.ratios[1]
        p = _sum((drawn[0][0][j], drawn[0][1][j]), _times(branch.g, behind))
        q = _sum((drawn[1][0][j], drawn[1][1][j]), _times(-branch.b, behind))
        square = _sum(_squared(p), _squared(q))
        l_low, l_high = square[0] / behind[1], np.minimum(square[1] / behind[0], most[k])
        left &= ~(l_low * (1 - WIDER) > l_high * (1 + WIDER))
        current = l_low * (1 - WIDER), l_high * (1 + WIDER)
        least[k], most[k] = current
        drop = _sum(_times(2.0 * branch.r, p), _times(2.0 * branch.x, q))
        drops.append(drop)
        squares.append(_times(z2, square))
        above = _sum(drop, behind, _times(z2, current))
        lowest = _sum(drop, (2.0 * np.sqrt(squares[-1][0]), np.full_like(behind[1], np.inf)))
        low[i] = np.fmax(low[i], np.fmax(above[0], lowest[0]) * branch.ratios[1] * (1 - WIDER))
        high[i] = np.fmin(high[i], above[1] * branch.ratios[1] * (1 + WIDER))
        for part, at, own, other in ((0, branch.r, branch.g, p), (1, branch.x, -branch.b, q)):
            through = _sum(other, _times(at, current), _times(own, ahead))
            into = _sum((drawn[part][0][i], drawn[part][1][i]), through)
            drawn[part][0][i], drawn[part][1][i] = into
    for k, (branch, drop, square) in enumerate(zip(tree.branches, reversed(drops), reversed(squares), strict=True)):
        j, i = branch.bus, branch.before
        # w + c / w = d with c and d in ranges: w lies between the roots for the least c and the greatest d.
        before = high[i] / branch.ratios[1]
        d = before - drop[0] + WIDER * (before + np.abs(drop[0]))
        inside = d**2 * (1 + WIDER) - 4.0 * square[0] * (1 - WIDER)
        left &= ~((inside < 0.0) | (d <= 0.0))
        root = np.sqrt(np.maximum(inside, 0.0))
        small = 2.0 * square[0] / (d + root)
        low[j] = np.fmax(low[j], small * branch.ratios[0] * (1 - 8 * WIDER))
        high[j] = np.fmin(high[j], 0.5 * (d + root) * branch.ratios[0] * (1 + 8 * WIDER))
        apart = np.sqrt((branch.r**2 + branch.x**2) * most[k])
        near = np.fmax(np.sqrt(low[i] / branch.ratios[1]) - apart, 0.0), np.sqrt(before) + apart
        low[j] = np.fmax(low[j], near[0] ** 2 * branch.ratios[0] * (1 - 8 * WIDER))
        high[j] = np.fmin(high[j], near[1] ** 2 * branch.ratios[0] * (1 + 8 * WIDER))
    r = np.array([branch.r for branch in tree.branches])[:, None]
    lost = (r * least).sum(axis=0) * (1 - WIDER) if np.isfinite(loss) else np.zeros(low.shape[1])
    if np.isfinite(loss):
        left &= ~(lost > loss * (1 + WIDER))
        spare = np.where(r > 0.0, (loss * (1 + WIDER) - lost + r * least) / np.where(r > 0.0, r, 1.0), np.inf)
        np.fmin(most, spare * (1 + WIDER), out=most)
    return left


def _sum(*parts: Range) -> Range:
    """The range of a sum, outwards."""
    low, high = sum(part[0] for part in parts), sum(part[1] for part in parts)
    size = sum(np.maximum(np.abs(part[0]), np.abs(part[1])) for part in parts)
    size = np.where(np.isfinite(size), size, sum(np.abs(part[0]) for part in parts))
    return low - WIDER * size, high + WIDER * size


def _times(factor: Floats | float, part: Range) -> Range:
    """The range of a product with a number."""
    ends = [np.where(factor == 0.0, 0.0, factor * end) for end in part]  # also of an infinite end
    return np.minimum(*ends), np.maximum(*ends)


def _squared(part: Range) -> Range:
    """The range of a square."""
    ends = part[0] ** 2, part[1] ** 2
    inside = (part[0] <= 0.0) & (part[1] >= 0.0)
    return np.where(inside, 0.0, np.minimum(*ends)), np.maximum(*ends)


W_MOST = 4.0
"""Squared voltage above which no grid is run, where there is no limit."""
WHOLE = 1e8
"""The sum of all loads in whole numbers of the flow; rounding is to the side of carrying the load."""


def is_infeasible(model: Model) -> bool:
    """Whether no state within the limits can carry the loads, see `cannot_carry`.

    Raises:
        OptionError: that is so at voltages below 2 pu only, and higher ones are not excluded.
    """
    if cannot_carry(model):
        return True
    if cannot_carry(replace(model, w_max=np.minimum(model.w_max, W_MOST))):
        raise OptionError(
            f"no radial state carries the loads at voltages up to {np.sqrt(W_MOST):g} pu: check lengths, impedances "
            "and loads (`openpoint check GRID`); with upper limits of voltage, --v-max 1.1 or Limits(v_max_pu=1.1), "
            "that is a proof"
        )
    return False


def cannot_carry(model: Model) -> bool:
    """Whether no state of a search model can deliver its active loads of constant power; False where that is not known.

    Nothing is said where an impedance, a conductance or another load is negative, or where a tap changer may be set.
    """
    total = float(np.maximum(model.p[: model.n], 0.0).sum())
    others = np.any(model.p_v < 0.0) or np.any(model.p_w < 0.0)
    if not model.passive or others or np.any(model.changer >= 0) or not total > 0.0:
        return False
    with np.errstate(divide="ignore"):
        least = np.where(model.r > 0.0, 0.25 / model.r, np.inf)
        forth, back = (least * k * model.w_max[at] for k, at in ((model.k_fr, model.fr), (model.k_to, model.to)))
    demands = np.floor(np.maximum(model.p[: model.n], 0.0) / total * WHOLE)
    size = len(model.w_max)
    through = np.full(size, np.inf)
    if not np.any(model.p < 0.0):
        through = np.zeros(size)
        np.maximum.at(through, model.to, forth)
        np.maximum.at(through, model.fr, back)
        through[model.n :] = np.inf
    from scipy.sparse.csgraph import maximum_flow

    # Bus j is the pair of nodes 2j, where power arrives, and 2j + 1, where it is taken and passed on.
    arrives, leaves, (begin, end) = 2 * np.arange(size), 2 * np.arange(size) + 1, (2 * size, 2 * size + 1)
    fed = np.maximum(-model.p, 0.0)
    fed[model.n :] = np.inf
    arcs = (
        (arrives, leaves, through),
        (leaves[model.fr], arrives[model.to], forth),
        (leaves[model.to], arrives[model.fr], back),
        (np.full(size, begin), leaves, fed),
    )
    rows, columns, capacity = (np.concatenate(each) for each in zip(*arcs, strict=True))
    whole = np.minimum(np.ceil(np.minimum(capacity / total, 2.0) * WHOLE) + 1.0, 2.0 * WHOLE)
    some = capacity > 0.0
    taking = leaves[: model.n]
    entries = np.concatenate([whole[some], demands])
    places = np.concatenate([rows[some], taking]), np.concatenate([columns[some], np.full(model.n, end)])
    graph = sp.csr_array(sp.coo_array((entries, places), shape=(end + 1, end + 1)))
    graph.data = np.minimum(graph.data, 2.0 * WHOLE)
    found = maximum_flow(graph.astype(np.int32), begin, end)
    return bool(found.flow_value < demands.sum() * (1.0 - 1e-6))
