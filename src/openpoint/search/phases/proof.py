"""Lower bounds of grids of any phases, checked: the same theorem as `bound`, in code of its own.

Many bounds are worked out at once, level by level of their forests, in floating point. Every matrix comes with a bound
of what rounding may have changed in it, and N is A plus as much, which the theorem allows (docs/methods.md M43): so
errors do not add up along a feeder. Of Kᴴ M⁻¹ K nothing is inverted: with any X, here ½ M⁻¹ K as computed, and
E = K − 2 M X, it is ¼ Kᴴ M⁻¹ K ≤ herm(Xᴴ K) − Xᴴ M X + |E|² / 4λ, λ ≤ all eigenvalues of M.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.graph import bridges, components
from openpoint.search.phases.model import Blocks
from openpoint.search.phases.proof_states import RadialFlows
from openpoint.search.phases.proof_sweeps import V_LOW

OPEN, CLOSED, UNDECIDED, LOOP = 2, 1, 0, 3
UNIT = 2.0**-53
SAME = 1e-9
"""Relative distance from an end of a band of voltages, where the share of a load jumps: both sides count."""
ROUNDED = 1e-9
"""By how much the line in the place of the share of a load lies beyond it: for rounding."""


class Ball(NamedTuple):
    """Matrices, and how far the exact ones may be from them in the Frobenius norm.

    Attributes:
        x: (…, 3, 3). e: (…).
    """

    x: Complexes
    e: Floats


def _norm(x: Complexes) -> Floats:
    return np.asarray(np.sqrt((np.abs(x) ** 2).sum(axis=(-2, -1))) * (1.0 + 64 * UNIT))


def _exact(x: Complexes) -> Ball:
    return Ball(x, np.zeros(x.shape[:-2]))


def _times(a: Ball, b: Ball) -> Ball:
    na, nb = _norm(a.x), _norm(b.x)
    return Ball(a.x @ b.x, (na * b.e + a.e * (nb + b.e) + (32 * UNIT) * na * nb) * (1.0 + 64 * UNIT))


def _plus(a: Ball, b: Ball, factor: float = 1.0) -> Ball:
    x = a.x + factor * b.x
    return Ball(x, (a.e + abs(factor) * b.e + (8 * UNIT) * (_norm(a.x) + abs(factor) * _norm(b.x))) * (1.0 + 64 * UNIT))


def _adjoint(a: Ball) -> Ball:
    return Ball(np.conj(np.swapaxes(a.x, -1, -2)), a.e)


def _hermitian(a: Ball) -> Ball:
    x = 0.5 * (a.x + np.conj(np.swapaxes(a.x, -1, -2)))
    return Ball(x, a.e + (4 * UNIT) * _norm(a.x))


def _is_positive(m: Ball) -> Bools:
    """Whether Hermitian matrices are positive definite (Sylvester), for certain."""
    a, b, c = (m.x[..., k, k].real for k in range(3))
    d, e, f = m.x[..., 1, 0], m.x[..., 2, 0], m.x[..., 2, 1]
    size = _norm(m.x) + m.e
    minor = a * b - np.abs(d) ** 2
    det = c * minor + 2.0 * (np.conj(d) * np.conj(f) * e).real - a * np.abs(f) ** 2 - b * np.abs(e) ** 2
    off = m.e + (8 * UNIT) * size
    return np.asarray((a > off) & (minor > 4.0 * size * off) & (det > 6.0 * size**2 * off))


@dataclass(frozen=True)
class Nodes:
    """B nodes of a proof, each with multipliers.

    Attributes:
        status: (B, m). h: (B, n, 3) multipliers, 0 at sources and where there is no phase. slope: (B, L) of the lines
            in the place of the shares of loads.
    """

    status: States
    h: Complexes
    slope: Floats


class _Forests(NamedTuple):
    """The forests of closed branches of B nodes.

    Attributes:
        level: by distance from the top the pairs of node and bus there, with branch and direction to them; all (P).
        top: pairs of node and bus that a part begins at. fed: (B) whether all phases can be fed.
    """

    level: list[tuple[Ints, Ints, Ints, Ints]]
    top: tuple[Ints, Ints]
    fed: Bools


class Checker:
    """Bounds and flows of the radial states of a grid of any phases, checked.

    Attributes:
        blocks: the grid. wanted: (n) buses with multipliers. flows: of radial states.
    """

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.wanted: Bools = blocks.has & ~blocks.is_source[:, None]
        self._rank = np.argsort(-blocks.has.sum(axis=1), kind="stable").tolist()
        lists = zip(blocks.start[:-1].tolist(), blocks.start[1:].tolist(), strict=True)
        around, fr, to = blocks.around.tolist(), blocks.fr.tolist(), blocks.to.tolist()
        self._beside = [
            [(e, int(fr[e] != b), to[e] if fr[e] == b else fr[e]) for e in around[first:last]]
            for b, (first, last) in enumerate(lists)
        ]
        forward = (blocks.back - blocks.phase) % 3 == 1
        turn = np.exp(np.where(forward, -2j, 2j) * np.pi / 3.0)
        self._centre = (1.0 + turn) / (1.0 - turn)
        self._radius = _radii(blocks)
        sources, fixed = np.flatnonzero(blocks.is_source), np.flatnonzero(self.first() == CLOSED)
        ends = [np.append(end[fixed], x) for end, x in ((blocks.fr, sources[:-1]), (blocks.to, sources[1:]))]
        part, self._free = components(len(blocks.has), *ends), np.flatnonzero(blocks.movable)
        self._parts = int(part.max()) + 1
        self._looped = len(ends[0]) != len(blocks.has) - self._parts
        self._ends = [part[end[self._free]].tolist() for end in (blocks.fr, blocks.to)]
        undecided = self.first()
        self.follow(undecided)
        self.flows = RadialFlows(blocks, undecided)

    def first(self) -> States:
        """(m) states of which nothing is decided."""
        blocks = self.blocks
        return np.where(blocks.movable, UNDECIDED, np.where(blocks.closes, LOOP, CLOSED)).astype(np.int8)

    def follow(self, status: States) -> bool:
        """Open what would close a loop and close bridges, in place; whether a radial state is left."""
        if self._looped:
            return False
        while True:
            leader, left = list(range(self._parts)), list[tuple[int, int, int]]()

            def find(part: int, leader: list[int] = leader) -> int:
                while leader[part] != part:
                    part = leader[part]
                return part

            states = status[self._free].tolist()
            for state, a, b in zip(states, *self._ends, strict=True):
                if state == CLOSED:
                    if (x := find(a)) == (y := find(b)):
                        return False
                    leader[x] = y
            for e, state, a, b in zip(self._free.tolist(), states, *self._ends, strict=True):
                if state == UNDECIDED:
                    if (x := find(a)) == (y := find(b)):
                        status[e] = OPEN
                    else:
                        left.append((e, x, y))
            number = {part: k for k, part in enumerate(dict.fromkeys(find(a) for a in range(self._parts)))}
            fr, to = (np.array([number[row[k]] for row in left], dtype=np.int64) for k in (1, 2))
            for _, x, y in left:
                leader[find(x)] = find(y)
            if len({find(a) for a in range(self._parts)}) > 1:
                return False
            needed = np.flatnonzero(bridges(len(number), fr, to)).tolist()
            for k in needed:
                status[left[k][0]] = CLOSED
            if not needed:
                return True

    def fed(self, status: States) -> bool:
        """Whether closed branches feed all phases of the buses that they join, in a state (m)."""
        return bool(self._forests(status[None]).fed[0])

    def bounds(self, nodes: Nodes) -> Floats:
        """(B) lower bounds of the loss, per unit, of all radial states of each node whose voltages lie in the box.

        inf where no state feeds all phases, −inf where these multipliers give no bound.
        """
        blocks, h = self.blocks, nodes.h
        count, n = h.shape[:2]
        forests = self._forests(nodes.status)
        a, e = np.zeros((count, n, 3, 3), dtype=np.complex128), np.zeros((count, n))
        total, valid = self._loads(nodes, a, e), np.ones(count, dtype=np.bool_)
        self._shunts(nodes, a, e)
        self._aside(nodes, a, e, valid)
        for node, bus, branch, way in reversed(forests.level):
            above = np.where(way == 0, blocks.fr[branch], blocks.to[branch])
            far = self._allowed(a[node, bus], e[node, bus])
            made, good = self._square(branch, way, h[node, above], h[node, bus], far)
            valid[node[~good]] = False
            np.add.at(a, (node, above), made.x)
            np.add.at(e, (node, above), made.e + (64 * UNIT) * (_norm(made.x) + _norm(a[node, above])))
        node, bus = forests.top
        of = self._allowed(a[node, bus], e[node, bus])
        at = blocks.is_source[bus]
        most = np.zeros(len(node))
        v = blocks.held[bus[at]]
        square = (np.conj(v)[:, None, :] @ of[at] @ v[:, :, None])[:, 0, 0].real
        most[at] = square + (64 * UNIT) * _norm(of[at]) * (np.abs(v) ** 2).sum(axis=1)
        most[~at] = self._greatest(of[~at], bus[~at])
        np.subtract.at(total, node, most)
        np.subtract.at(total, node, (4 * n * UNIT) * np.abs(most))
        return np.where(forests.fed, np.where(valid & np.isfinite(total), total, -np.inf), np.inf)

    def _forests(self, status: States) -> _Forests:
        """The forests of closed branches, from the sources and from a bus with most phases of every other part."""
        levels: list[list[tuple[int, int, int, int]]] = []
        tops, fed = list[tuple[int, int]](), np.ones(len(status), dtype=np.bool_)
        has, carries = self.blocks.has.tolist(), self.blocks.carries.tolist()
        sources = np.flatnonzero(self.blocks.is_source).tolist()
        for node, states in enumerate((status == CLOSED).tolist()):
            seen = [False] * len(has)
            here = [(bus, 0) for bus in sources]
            for start in [None, *self._rank]:
                if start is not None:
                    if seen[start]:
                        continue
                    here = [(start, 0)]
                for bus, _ in here:
                    seen[bus] = True
                    tops.append((node, bus))
                for bus, depth in here:
                    for e, way, other in self._beside[bus]:
                        if not states[e] or seen[other]:
                            continue
                        seen[other] = True
                        if any(there and not over for there, over in zip(has[other], carries[e], strict=True)):
                            fed[node] = False
                        here.append((other, depth + 1))
                        if depth == len(levels):
                            levels.append([])
                        levels[depth].append((node, other, e, way))
        pairs = [tuple(np.array(level, dtype=np.int64).T) for level in levels]
        top = np.array(tops, dtype=np.int64).reshape(-1, 2).T
        return _Forests(pairs, (top[0], top[1]), fed)

    def _allowed(self, a: Complexes, e: Floats) -> Complexes:
        """(P, 3, 3) N ≥ A, Hermitian, as exact numbers."""
        a = 0.5 * (a + np.conj(np.swapaxes(a, 1, 2)))
        more = (e + (16 * UNIT) * _norm(a)) * (1.0 + 64 * UNIT)
        return np.asarray(a + more[:, None, None] * np.eye(3))

    def _square(self, branch: Ints, way: Ints, ha: Complexes, hb: Complexes, n: Complexes | None) -> tuple[Ball, Bools]:
        """(P) what completing the square adds at the near bus, with N at the far bus of a closed branch, and whether M
        is positive definite."""
        z, t = _exact(self.blocks.z[way, branch]), _exact(self.blocks.ratio[way, branch])
        carries = self.blocks.carries[branch]
        scaled = (1.0 + hb)[:, :, None] * z.x
        m = _hermitian(Ball(scaled, (16 * UNIT) * _norm(scaled)))
        k0, k1 = t.x * ha[:, None, :], hb[:, :, None] * t.x
        k = Ball(k0 - k1, (16 * UNIT) * (_norm(k0) + _norm(k1)))
        made = Ball(np.zeros_like(z.x), np.zeros(len(branch)))
        if n is not None:
            far = _exact(n)
            back = _times(_adjoint(z), far)
            m = _plus(m, _hermitian(_times(back, z)), -1.0)
            k = _plus(k, _times(back, t), 2.0)
            made = _hermitian(_times(_adjoint(t), _times(far, t)))
        both = carries[:, :, None] & carries[:, None, :]
        fill = np.maximum(np.abs(np.where(both, m.x, 0.0)).max(axis=(1, 2)), 1e-300)
        idle = np.where(carries, 0.0, fill[:, None])[:, :, None] * np.eye(3)
        m = Ball(np.where(both, m.x, 0.0).astype(np.complex128) + idle, m.e)
        k = Ball(np.where(carries[:, :, None], k.x, 0.0), k.e)
        good = _is_positive(m)
        inverse: Complexes = np.linalg.inv(np.where(good[:, None, None], m.x, np.eye(3))).astype(np.complex128)
        x = _exact(0.5 * inverse @ k.x)
        defect = _plus(_exact(np.broadcast_to(np.eye(3) + 0j, m.x.shape)), _times(m, _exact(inverse)), -1.0)
        off = _norm(defect.x) + defect.e
        good &= off < 0.5
        least = (1.0 - np.minimum(off, 0.5)) / _norm(inverse) * (1.0 - 64 * UNIT)
        missed = _plus(k, _times(m, x), -2.0)
        rest = (_norm(missed.x) + missed.e) ** 2 / (4.0 * least) * (1.0 + 64 * UNIT)
        back = _adjoint(x)
        square = _plus(_hermitian(_times(back, k)), _hermitian(_times(back, _times(m, x))), -1.0)
        found = _plus(made, square)
        return Ball(found.x, found.e + rest), good

    def _aside(self, nodes: Nodes, a: Complexes, e: Floats, valid: Bools) -> None:
        """Add what branches add whose voltage law is not used: undecided ones, and those that close loops."""
        blocks = self.blocks
        node, branch = np.nonzero((nodes.status == UNDECIDED) | (nodes.status == LOOP))
        fr, to = blocks.fr[branch], blocks.to[branch]
        rise = ((nodes.h[node, to] - nodes.h[node, fr]).real * blocks.carries[branch]).sum(axis=1)
        way = (rise < 0.0).astype(np.int64)
        near, far = np.where(way == 0, fr, to), np.where(way == 0, to, fr)
        made, good = self._square(branch, way, nodes.h[node, near], nodes.h[node, far], None)
        valid[node[~good]] = False
        self._put(a, e, (node, near), made)

    def _put(self, a: Complexes, e: Floats, at: tuple[Ints, Ints], made: Ball) -> None:
        """Add at pairs of node and bus."""
        np.add.at(a, at, made.x)
        np.add.at(e, at, made.e + (64 * UNIT) * _norm(made.x))

    def _shunts(self, nodes: Nodes, a: Complexes, e: Floats) -> None:
        """Take away herm(Yᴴ (H + 1)) of branches, or the least that it may be of undecided ones, and herm(Yᴴ H)."""
        blocks = self.blocks
        count, n = nodes.h.shape[:2]
        own = self._shunt(np.broadcast_to(blocks.y, (count, n, 3, 3)), nodes.h)
        a += own.x
        e += own.e + (64 * UNIT) * _norm(own.x)
        for end, y in ((blocks.fr, blocks.y_fr), (blocks.to, blocks.y_to)):
            there = np.abs(y).sum(axis=(1, 2)) > 0.0
            node, branch = np.nonzero((nodes.status != OPEN) & there)
            made = self._shunt(y[branch], nodes.h[node, end[branch]] + 1.0)
            diagonal = np.diagonal(made.x, axis1=1, axis2=2).real
            row = diagonal + np.abs(made.x).sum(axis=2) - np.abs(diagonal) + made.e[:, None]
            row = np.maximum(row, 0.0) * (1.0 + 64 * UNIT) + (64 * UNIT) * np.abs(made.x).sum(axis=2)
            least = row[:, :, None] * (np.eye(3) + 0j)
            undecided = nodes.status[node, branch] == UNDECIDED
            both = np.where(undecided[:, None, None], least, made.x)
            self._put(a, e, (node, end[branch]), Ball(both, np.where(undecided, 0.0, made.e)))

    @staticmethod
    def _shunt(y: Complexes, h: Complexes) -> Ball:
        """−herm(Yᴴ H)."""
        part = np.conj(np.swapaxes(y, -1, -2)) * h[..., None, :]
        return _hermitian(Ball(-part, (16 * UNIT) * _norm(part)))

    def _loads(self, nodes: Nodes, a: Complexes, e: Floats) -> Floats:
        """(B) constants of loads; adds their parts of A."""
        blocks, h = self.blocks, nodes.h
        count, n = h.shape[:2]
        fixed = (h * blocks.s).real
        size = np.abs(h * blocks.s).sum(axis=(1, 2))
        total = fixed.sum(axis=(1, 2))
        if len(blocks.bus):
            pair, bus, phase = blocks.back >= 0, blocks.bus, blocks.phase
            back = np.where(pair, blocks.back, phase)
            own, other = h[:, bus, phase], np.where(pair, h[:, bus, back], 0.0)
            half = 0.5 * (own - other)
            c = np.where(
                pair, ((0.5 * (own + other) + half * self._centre) * blocks.power).real, (own * blocks.power).real
            )
            c = c - np.where(pair, np.abs(half) * np.abs(blocks.power) * self._radius, 0.0)
            reach = np.abs(own) * np.abs(blocks.power) + np.abs(other) * np.abs(blocks.power)
            line = self._lines(np.where(c >= 0.0, 1.0, -1.0), nodes.slope)
            # What rounding changes in c is multiplied by a share, which is below 4 in any box that is allowed.
            size = size + (np.abs(c * line) + 8.0 * reach).sum(axis=1)
            total = total + (c * line).sum(axis=1)
            part = c * nodes.slope / np.where(pair, 3.0, 1.0)
            node = np.broadcast_to(np.arange(count)[:, None], c.shape)
            for row, column, sign, which in (
                (phase, phase, -1.0, slice(None)),
                (back, back, -1.0, pair),
                (phase, back, 1.0, pair),
                (back, phase, 1.0, pair),
            ):
                np.add.at(a, (node[:, which], bus[which], row[which], column[which]), sign * part[:, which])
            np.add.at(
                e, (node, np.broadcast_to(bus, c.shape)), (256 * UNIT) * (np.abs(part) + reach * np.abs(nodes.slope))
            )
        return np.asarray(total - (8 * (3 * n + 4 * len(blocks.bus) + 64) * UNIT) * size)

    def _lines(self, sign: Floats, slope: Floats) -> Floats:
        """(B, L) a so that sign · share(u) ≥ sign · (a + slope u²) in the whole box."""
        blocks = self.blocks
        pair, box = blocks.back >= 0, blocks.box[blocks.bus]
        root = np.sqrt(3.0)
        row = np.arange(len(pair))
        low = np.where(pair, box[:, 6] / root, box[row, blocks.phase])
        high = np.where(pair, box[:, 7] / root, box[row, 3 + blocks.phase])
        inner, outer, rated = blocks.low, blocks.high, blocks.rated
        with np.errstate(all="ignore"):
            least = inner / rated
            scale = rated ** blocks.degree.astype(np.float64)
            at_low = np.where(blocks.outer == 1, 1.0, 1.0 / least)
            bend = (at_low - V_LOW) / (least - V_LOW)
            below = -0.5 * scale * (V_LOW - bend * V_LOW) / rated / (scale * bend / rated**2 - slope)
            tries = [low, high, 0.5 / slope, below]
        for edge in (inner, outer, V_LOW * rated):
            tries += [edge * (1.0 - SAME), edge * (1.0 + SAME)]
        found = np.full(slope.shape, np.inf)
        for u in tries:
            inside = np.isfinite(u) & (u >= low) & (u <= high)
            at = np.where(inside, u, low)
            found = np.minimum(found, sign * (self._share(at) - slope * at**2))
        return np.asarray((found - ROUNDED * (1.0 + np.abs(slope))) * sign)

    def _share(self, u: Floats) -> Floats:
        """(…, L) power of loads at voltages over that at the nominal one, as OpenDSS has it."""
        blocks = self.blocks
        low, high, rated, outer = blocks.low, blocks.high, blocks.rated, blocks.outer == 1
        w = u / rated
        with np.errstate(all="ignore"):
            least, most = low / rated, high / rated
            at_low = np.where(outer, 1.0, 1.0 / least)
            bent = w * (V_LOW + (at_low - V_LOW) * (w - V_LOW) / (least - V_LOW))
            under = np.where((least <= V_LOW) | (w <= V_LOW), w * w, bent)
            beyond = np.where(u > high, w * w / np.where(outer, most, most * most), under)
        degree = blocks.degree.astype(np.float64)
        return np.where((u >= low) & (u <= high), u**degree, rated**degree * beyond)

    def _greatest(self, a: Complexes, bus: Ints) -> Floats:
        """(P) at least vᴴ A v over the box at buses, see `bound`."""
        has, box = self.blocks.has[bus], self.blocks.box[bus]
        v, n = np.exp(-2j * np.pi / 3.0 * np.arange(3)), has.sum(axis=1)
        both: Bools = has[:, :, None] & has[:, None, :]
        w = np.where(both, np.conj(v)[:, None] * (a + np.conj(np.swapaxes(a, 1, 2))) / 2.0 * v, 0.0)
        size, sums = _norm(w), w.sum(axis=2)
        t, s = sums.real, sums.imag
        rest = w - t[:, :, None] * np.eye(3)
        rest += np.where(both, 1j * (s[:, None, :] - s[:, :, None]) / n[:, None, None], 0.0)
        trace = np.einsum("pjj->p", rest).real  # of two eigenvalues at most, whose squares sum to that of the norm
        apart = np.maximum(_norm(rest) ** 2 / 2.0 - trace**2 / 4.0, 0.0) + (64 * UNIT) * size**2
        most = np.maximum(trace / 2.0 + np.sqrt(apart), 0.0)
        spread = np.where(has, s, -np.inf).max(axis=1) - np.where(has, s, np.inf).min(axis=1)
        sine = np.sin(np.radians(box[:, 8] / 2.0))
        angles = 4.0 * (n - 1) / n * sine * (most * sine + spread)
        clipped = np.where(has, np.maximum(t, (-most * (n - 1) / n)[:, None]), 0.0)
        best, low, high = np.full(len(bus), -np.inf), box[:, :3], box[:, 3:6]
        for corner in itertools.product((False, True), repeat=3):
            x = np.where(np.array(corner), high, low)
            apart = np.where(both, x[:, :, None] - x[:, None, :], 0.0)
            value = (clipped * x**2).sum(axis=1) + most / n * (apart**2).sum(axis=(1, 2)) / 2.0
            best = np.maximum(best, value + angles * np.where(has, x, 0.0).max(axis=1) ** 2)
        total = best + ((t - clipped) * low**2).sum(axis=1)
        total = total + (1024 * UNIT) * (size + most) * (high**2).max(axis=1)
        return np.where(box[:, 8] <= 90.0, total, np.inf)


def _radii(blocks: Blocks) -> Floats:
    """(L) of a disc around its value at balanced voltages that holds (1 + z) / (1 − z), z = v_k / v_j.

    It is holomorphic, so that it is farthest on the border of the range of z; between points of the border it moves by
    at most its slope 2 / |1 − z|² times half of their distance.
    """
    found, middle, points = dict[tuple[float, ...], float](), np.exp(2j * np.pi / 3.0), 8000
    box = blocks.box[blocks.bus]
    sides = box[:, :3].min(axis=1), box[:, 3:6].max(axis=1), box[:, 8]
    rows = [tuple(row) for row in np.column_stack(sides).tolist()]
    for low, high, turn in set(rows):
        ratio, span, t = high / low, np.radians(turn), np.linspace(0.0, 1.0, points)
        sizes = 1.0 / ratio + t * (ratio - 1.0 / ratio)
        arc = np.exp(1j * (2.0 * np.pi / 3.0 + span * (2.0 * t - 1.0)))
        z = np.concatenate([sizes * arc[0], sizes * arc[-1], arc / ratio, arc * ratio])
        far = np.abs((1.0 + z) / (1.0 - z) - (1.0 + middle) / (1.0 - middle)).max()
        step = max(ratio - 1.0 / ratio, 2.0 * span * ratio) / (points - 1)
        found[low, high, turn] = float(far + step / (np.abs(1.0 - z).min() - step) ** 2) * (1.0 + 1e-12)
    return np.array([found[row] for row in rows])
