"""Pieces of a grid that hang on one bus and hold no choice, as what they add to the bound at that bus.

At multipliers h of the bus a piece adds a constant c and a matrix A. What is valid is a convex set of (h, c, A), since
K and M are affine in h and N, and A ⪰ Tᴴ N T + ¼ Kᴴ M⁻¹ K is a linear matrix inequality. So what samples around
multipliers h₀ give is valid, weighed, at the weighed multipliers (docs/methods.md M43).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.search.phases.bound import Squares, squares_for
from openpoint.search.phases.deviation import FORTESCUE, Sizes, remain, sizes_for
from openpoint.search.phases.flow import CHANGE, CLOSED, LOOP, OPEN, UNDECIDED, Trees, respond, sweep, trees_for
from openpoint.search.phases.model import BELOW, MODES, NEAR, RADII, SIZES, STEP_U, Blocks, Hung
from openpoint.search.phases.multipliers import Pattern, improve, pattern_for
from openpoint.search.phases.response import Linear, beyond, eliminate, linear_for
from openpoint.twostage.workers.pool import never

REACH = 0.5, 0.3, 0.2, 0.2, 0.2, 0.2
"""How far the samples are from h₀: real and imaginary part of what phases share, and of two differences (`MODES`)."""
FIRM, LEAST_REACH = 0.3, 0.02
"""Share of the R of a branch that is left at a sample, which comes nearer for it, down to this."""
_ROUNDING, _LOST = 1e-9, 1e-12
"""Relative asymmetry of an impedance, and power, pu, of what charges a branch, that are neglected."""
ROUNDS = 10
"""Of the fixed point for h₀ and for each sample."""


@dataclass(frozen=True)
class WholeBounds:
    """The whole grid with multipliers (n, 3), at which the bound has currents of sizes (m), and room for its bounds.

    Attributes:
        found: what pieces add to these, once that is known.
    """

    blocks: Blocks
    priority: Ints
    h: Complexes
    current: Floats
    tools: tuple[Trees, Squares, Pattern]
    found: list[Hung] = field(default_factory=list)

    def bound(self, status: States, rounds: int, enough: float) -> float:
        """That of a partial state (m); more than `enough` need not be known."""
        self.tools[0].v[:] = balanced(self.blocks)
        return float(improve(self.blocks, status, self.priority, self.h.copy(), rounds, enough, *self.tools))


@dataclass(frozen=True)
class Core:
    """A grid without its pieces.

    Attributes:
        blocks: of the core, with what its pieces add. h, v: (n, 3) multipliers and voltages around which that is known.
        bus, branch: (n), (m) numbers of its buses and branches in the whole grid.
        bound: of all radial states of the whole grid, per unit; 0 where there is none. pieces: what they are made of.
        unsampled: the whole grid, while it is not known what pieces add to the bound.
    """

    blocks: Blocks
    h: Complexes
    v: Complexes
    bus: Ints
    branch: Ints
    bound: float = 0.0
    pieces: Pieces | None = None
    unsampled: WholeBounds | None = None

    def sampled(self, over: Callable[[], bool] = never) -> Core:
        """The same with what pieces add to the bound; with that there is none where `over` says so."""
        if self.unsampled is None or self.pieces is None:
            return self
        found, blocks = self.unsampled.found, self.blocks
        try:
            if not found:
                found.append(self.pieces.sampled(self.unsampled.h, blocks.hung, over))
            blocks = blocks._replace(hung=found[0])
        except TimeoutError:
            pass
        return replace(self, blocks=blocks, unsampled=None)

    def reaches(self, v: Complexes) -> bool:
        """Whether what all pieces draw is known around voltages (n, 3) of the whole grid, of the sizes tabled."""
        hung = self.blocks.hung
        there = (hung.shape.conj() * v[self.bus[hung.bus]]).sum(axis=1) / (np.abs(hung.shape) ** 2).sum(axis=1)
        at = (np.abs(there) - hung.base) / STEP_U
        return bool(((at >= 0.0) & (at <= SIZES - 1)).all())

    def whole(self, status: States, closed: States) -> States:
        """The state of all branches from that of the core's, the others as in `closed`."""
        found = closed.copy()
        found[self.branch] = status
        return found


def balanced(blocks: Blocks) -> Complexes:
    """(n, 3) balanced voltages of 1 pu."""
    return np.where(blocks.has, np.exp(-2j * np.pi / 3.0 * np.arange(3)), 0.0)


def undecided(blocks: Blocks) -> States:
    """(m) states of branches of which nothing is decided."""
    return np.where(blocks.movable, UNDECIDED, np.where(blocks.closes, LOOP, CLOSED)).astype(np.int8)


def core_of(
    blocks: Blocks,
    status: States,
    kept: Bools | None = None,
    over: Callable[[], bool] = never,
    *,
    whole: bool = False,
    sampled: bool = True,
) -> Core:
    """The core around the flow of a state (m), at multipliers of the bound with all undecided, else of the state's.

    Args:
        kept: (n) buses that stay even if nothing is there and only two branches meet; default: none.
        whole: it is the whole grid, of which nothing is left out.
        sampled: with what pieces add to the bound, which takes as long as what they draw.

    Raises:
        TimeoutError: `over` said so.
    """
    at = np.full(len(blocks.has), -1, dtype=np.int64) if whole else attachments(blocks)
    trees, squares = trees_for(blocks), squares_for(blocks)
    priority: Ints = np.argsort(-blocks.has.sum(axis=1), kind="stable")
    tools = trees, squares, pattern_for(blocks)
    for bounds in (True, False):
        h = np.zeros((len(blocks.has), 3), dtype=np.complex128)
        trees.v[:] = balanced(blocks)
        found = improve(blocks, undecided(blocks) if bounds else status, priority, h, ROUNDS, math.inf, *tools)
        if found > 0.0:
            break
    current = np.asarray(np.linalg.norm(trees.i, axis=1))
    bound = float(found) if bounds and found > 0.0 else 0.0
    core, hung = at < 0, at >= 0
    if not hung.any():
        return Core(blocks, h, trees.v, np.arange(len(blocks.has)), np.arange(len(blocks.fr)), bound)
    inner = core[blocks.fr] & core[blocks.to]
    sweep(blocks, status, priority, trees, CHANGE, False)
    pieces, of_all = Pieces.of(blocks, at, trees.v), WholeBounds(blocks, priority, h, current, tools)
    buses, branches = np.flatnonzero(core), np.flatnonzero(inner)
    left = part_of(blocks, buses, branches, core)
    on = pieces.bus[pieces.root]
    h0, mode, a = (np.zeros((len(on), *each), dtype=np.complex128) for each in ((3,), (6, 3), (13, 3, 3)))
    reach, constant = np.ones((len(on), 6)), np.full((len(on), 13), -np.inf)
    flows = pieces.flows(over)
    left = left._replace(hung=Hung(np.searchsorted(buses, on), h0, mode, reach, constant, a, *flows))
    left, at_buses, at_branches = in_series(left, None if kept is None else kept[buses])
    buses = buses[at_buses]
    made = Core(left, h[buses], trees.v[buses], buses, branches[at_branches], bound, pieces, of_all)
    return made.sampled(over) if sampled else made


def loaded(blocks: Blocks) -> Bools:
    """(n) whether something is at a bus that draws power or feeds it in."""
    found = np.abs(blocks.s).sum(axis=1) + np.abs(blocks.y).sum(axis=(1, 2)) > 0.0
    found[blocks.bus] = found[blocks.hung.bus] = True
    return np.asarray(found)


def attachments(blocks: Blocks) -> Ints:
    """(n) the bus that a bus hangs on, −1 for those of the core: sources, ends of choices and what is between."""
    n = len(blocks.has)
    core: Bools = blocks.is_source.copy()
    for end in (blocks.fr, blocks.to):
        core[end[blocks.movable | blocks.closes]] = True
    degree = np.diff(blocks.start)
    above, order = np.full(n, -1, dtype=np.int64), list[int]()
    leaves = np.flatnonzero(~core & (degree == 1)).tolist()
    while leaves:
        b = leaves.pop()
        for e in blocks.around[blocks.start[b] : blocks.start[b + 1]]:
            a = int(blocks.to[e] if blocks.fr[e] == b else blocks.fr[e])
            if above[a] < 0:  # not a leaf of b, which came before
                above[b] = a
                order.append(b)
                degree[a] -= 1
                if degree[a] == 1 and not core[a]:
                    leaves.append(a)
    at = np.full(n, -1, dtype=np.int64)
    for b in reversed(order):
        at[b] = above[b] if at[above[b]] < 0 else at[above[b]]
    return at


def part_of(blocks: Blocks, buses: Ints, branches: Ints, filled: Bools) -> Blocks:
    """The grid of some buses and branches, numbered anew, with loads and pieces at the buses (n) that are filled."""
    loads, pieces = filled[blocks.bus], filled[blocks.hung.bus]
    number = np.full(len(blocks.has), -1, dtype=np.int64)
    number[buses] = np.arange(len(buses))
    fr, to = number[blocks.fr[branches]], number[blocks.to[branches]]
    ends = np.concatenate([fr, to])
    return blocks._replace(
        fr=fr,
        to=to,
        start=np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=len(buses)))]).astype(np.int64),
        around=(np.argsort(ends, kind="stable") % max(len(fr), 1)).astype(np.int64),
        z=blocks.z[:, branches].copy(),
        ratio=blocks.ratio[:, branches].copy(),
        ways=blocks.ways[:, branches].copy(),
        bus=number[blocks.bus[loads]],
        hung=Hung._make(each[pieces] for each in blocks.hung)._replace(bus=number[blocks.hung.bus[pieces]]),
        **{name: getattr(blocks, name)[branches] for name in _BRANCHES},
        **{name: getattr(blocks, name)[buses] for name in ("has", "is_source", "held", "s", "y", "box")},
        **{name: getattr(blocks, name)[loads] for name in _LOADS},
    )


def in_series(blocks: Blocks, kept: Bools | None = None) -> tuple[Blocks, Ints, Ints]:
    """The grid with one branch for two that stay closed and meet at a bus where nothing else is.

    Args:
        kept: (n) buses that stay even so.

    Returns:
        The grid, and the numbers of its buses and branches before.
    """
    gone = ~(blocks.is_source | loaded(blocks))
    if kept is not None:
        gone &= ~kept
    alike = blocks.plain & (blocks.z[0] == blocks.z[1]).all(axis=(1, 2))
    plain = alike & ~blocks.movable & ~blocks.closes
    fr, to, z, y_fr, y_to = (getattr(blocks, each).copy() for each in ("fr", "to", "z", "y_fr", "y_to"))
    beside = [blocks.around[blocks.start[b] : blocks.start[b + 1]].tolist() for b in range(len(gone))]
    left = np.ones(len(fr), dtype=np.bool_)
    for b in np.flatnonzero(gone).tolist():
        gone[b] = False
        if len(beside[b]) != 2:
            continue
        e, f = beside[b]
        a, c = (int(fr[k] + to[k]) - b for k in (e, f))
        if not (plain[e] and plain[f]) or a == c or (blocks.carries[e] != blocks.carries[f]).any():
            continue
        at = np.ix_(blocks.carries[e], blocks.carries[e])
        ends = [(y_to, y_fr) if fr[k] == b else (y_fr, y_to) for k in (e, f)]  # far from b, and at it
        middle = ends[0][1][e][at] + ends[1][1][f][at]
        one, two = z[0, e][at], z[0, f][at]
        more = two @ middle @ one
        if np.abs(more - more.T).max() > _ROUNDING * np.abs(one + two).max():
            continue
        # What is at the bus goes to both ends, of which the flow outside and the loss are the same (Kron 1939).
        far_a = ends[0][0][e][at] + np.linalg.solve(one + two + more, two @ middle)
        far_c = ends[1][0][f][at] + np.linalg.solve(one + two + more.T, one @ middle)
        z[0, e][at] = z[1, e][at] = one + two + (more + more.T) / 2.0
        fr[e], to[e], y_fr[e][at], y_to[e][at] = a, c, far_a, far_c
        beside[c][beside[c].index(f)] = e
        left[f], gone[b] = False, True
    buses, branches = np.flatnonzero(~gone), np.flatnonzero(left)
    # What charges a branch that stays closed takes no active power, and may as well be of its buses.
    y, shunted = blocks.y.copy(), blocks.shunted.copy()
    for e in np.flatnonzero(left & ~blocks.movable & ~blocks.closes & blocks.shunted):
        if np.abs(y_fr[e] + y_to[e] + (y_fr[e] + y_to[e]).conj().T).max() <= _LOST:
            y[fr[e]] += y_fr[e]
            y[to[e]] += y_to[e]
            y_fr[e], y_to[e], shunted[e] = 0.0, 0.0, False
    found = blocks._replace(fr=fr, to=to, z=z, y_fr=y_fr, y_to=y_to, y=y, shunted=shunted)
    return part_of(found, buses, branches, ~gone), buses, branches


_BRANCHES = ("plain", "shunted", "y_fr", "y_to", "carries", "movable", "closes", "loop")
_LOADS = ("phase", "back", "power", "degree", "low", "high", "rated", "outer")


@dataclass(frozen=True)
class Pieces:
    """The pieces, as a grid whose sources are the buses that they hang on, at the voltages of a flow.

    Attributes:
        bus: (n) numbers in the whole grid. v: (n, 3) voltages of the flow. root: (count) numbers here of the buses that
            they hang on. group: (n) number of the piece. trees, squares: room.
    """

    blocks: Blocks
    sizes: Sizes
    linear: Linear
    bus: Ints
    v: Complexes
    root: Ints
    group: Ints
    trees: Trees
    squares: Squares

    @staticmethod
    def of(blocks: Blocks, at: Ints, v: Complexes, also: Ints | None = None) -> Pieces:
        """Those of a grid with attachments (n) and voltages (n, 3); `also`: other buses that they may hang on."""
        hung = at >= 0
        buses = np.unique(np.concatenate([np.flatnonzero(hung), at[hung], *([] if also is None else [also])]))
        found = part_of(blocks, buses, np.flatnonzero(hung[blocks.fr] | hung[blocks.to]), hung)
        steep = steepness(found.hung.slope, np.tile(np.eye(3), (len(found.hung.bus), 1, 1)))
        found = found._replace(hung=found.hung._replace(steep=steep))
        roots = ~hung[buses]
        here = np.where(roots[:, None], v[buses], 0.0)
        s, y = np.where(roots[:, None], 0.0, found.s), np.where(roots[:, None, None], 0.0, found.y)
        found = found._replace(is_source=roots, held=here, s=s, y=y)
        trees = trees_for(found)
        trees.v[:] = v[buses]
        root = np.flatnonzero(roots)
        group = np.searchsorted(buses[root], np.where(roots, buses, at[buses]))
        sizes = sizes_for(found, sequences=False)
        return Pieces(found, sizes, linear_for(found), buses, v[buses], root, group, trees, squares_for(found))

    @property
    def status(self) -> States:
        """(m) states of the branches, all closed."""
        return np.where(self.blocks.closes, LOOP, CLOSED).astype(np.int8)

    def sampled(self, h: Complexes, hung: Hung, over: Callable[[], bool]) -> Hung:
        """With what the pieces add to the bound, around multipliers (n, 3) of the whole grid."""
        blocks, root, group, on = self.blocks, self.root, self.group, self.bus[self.root]
        status = self.status
        blocks.held[root], self.trees.v[:] = self.v[root], self.v
        priority, pattern = np.arange(len(self.bus)), pattern_for(blocks)
        modes = _modes(blocks.has[root])
        reach = np.tile(REACH, (len(on), 1))
        constant, a = np.zeros((len(on), 13)), np.zeros((len(on), 13, 3, 3), dtype=np.complex128)
        trial = h[self.bus].copy()

        def sample(k: int, shift: Complexes) -> bool:
            """Take those with multipliers on and behind `on` moved (count, 3); whether the bound is defined there."""
            if over():
                raise TimeoutError
            trial[:] = np.where(blocks.has, h[self.bus] + shift[group], 0.0)
            tools = self.trees, self.squares, pattern
            if not math.isfinite(improve(blocks, status, priority, trial, ROUNDS, math.inf, *tools)):
                return False
            improve(blocks, status, priority, trial, 0, math.inf, *tools)
            constant[:, k] = np.bincount(group, weights=self.squares.constant, minlength=len(on))
            a[:, k] = self.squares.a[root]
            return True

        if not sample(0, np.zeros((len(on), 3), dtype=np.complex128)):
            raise ArithmeticError("the bound is not defined at its best multipliers")
        below = np.flatnonzero(self.trees.edge >= 0)
        z = blocks.z[self.trees.way[below], self.trees.edge[below]]
        absent = ~blocks.carries[self.trees.edge[below], :, None] * np.eye(3)

        def weak(shift: Complexes) -> Bools:
            """(count) whether the multipliers leave too little of the R of a branch."""
            x = (1.0 + h[self.bus][below] + shift[group[below]])[:, :, None] * z
            least, r = (np.linalg.eigvalsh((y + y.conj().transpose(0, 2, 1)) / 2.0 + absent)[:, 0] for y in (x, z))
            return np.asarray(np.bincount(group[below], least < FIRM * r, len(on)) > 0.0)

        for i in range(6):  # both samples are as far
            for sign in (1.0, -1.0):
                while (near := weak(sign * reach[:, i, None] * modes[:, i]) & (reach[:, i] > LEAST_REACH)).any():
                    reach[near, i] *= 0.5
            while not all(sample(1 + 2 * i + k, (1.0 - 2.0 * k) * reach[:, i, None] * modes[:, i]) for k in (0, 1)):
                reach[:, i] *= 0.5
        return hung._replace(h=h[on], mode=modes, reach=reach, constant=constant, a=a)

    def drawn(self, v: Complexes, status: States | None = None) -> Complexes | None:
        """(count, 4) currents and losses at voltages (count, 3), of states (m) of branches; None without a flow."""
        blocks, trees = self.blocks, self.trees
        status = self.status if status is None else status
        priority = np.arange(len(self.bus))
        blocks.held[self.root] = v
        if not any(math.isfinite(sweep(blocks, status, priority, trees, CHANGE, warm)) for warm in (True, False)):
            return None
        lost = np.bincount(self.group[blocks.fr], np.where(status == OPEN, 0.0, _lost(blocks, trees)), len(self.root))
        lost += np.bincount(self.group[blocks.hung.bus], trees.taken[:, 3].real, len(self.root))
        return np.column_stack([trees.drawn[self.root], lost])

    def flows(
        self, over: Callable[[], bool] = never
    ) -> tuple[Complexes, Floats, Complexes, Complexes, Complexes, Floats, Floats]:
        """What pieces draw: shape, base, at, flow, slope, steep and off of `Hung`."""
        trees, count = self.trees, len(self.root)
        has = self.blocks.has[self.root]
        start = np.abs(self.blocks.held[self.root]).sum(axis=1) / has.sum(axis=1)
        shape, base = self.blocks.held[self.root] / start[:, None], start - STEP_U * BELOW
        at = (base[:, None] + STEP_U * np.arange(SIZES))[:, :, None] * shape[:, None]
        flow, slope = (np.zeros((count, SIZES, *more, 4), dtype=np.complex128) for more in ((), (6,)))
        off = np.full((count, SIZES, len(RADII), 4), np.inf)
        known = list[Complexes]()
        for k in reversed(range(SIZES)):
            if over():
                raise TimeoutError
            if len(known) == 2:  # where they are if they go on like that
                trees.v[:] = 2.0 * known[0] - known[1]
            here = self.known_at(at[:, k], NEAR)
            if here is None:
                if k < SIZES - 2:
                    flow[:, k], slope[:, k] = 2.0 * flow[:, k + 1] - flow[:, k + 2], slope[:, k + 1]
                known = []
                continue
            flow[:, k], slope[:, k], off[:, k] = here
            known = [trees.v.copy(), *known[:1]]
        return shape, base, at, flow, slope, steepness(slope, self.components), off

    @property
    def components(self) -> Complexes:
        """(count, 3, 3) symmetrical components of the buses that pieces hang on, or phases."""
        three: Bools = np.asarray(self.blocks.has[self.root].all(axis=1))
        return np.where(three[:, None, None], FORTESCUE, np.eye(3))

    def known_at(
        self, v: Complexes, radii: int = len(RADII), status: States | None = None
    ) -> tuple[Complexes, Complexes, Floats] | None:
        """(count, …) flow, slope and off of `Hung` at voltages (count, 3); None where one has no flow.

        Args:
            radii: within how many of `RADII`. status: (m) default: all closed.
        """
        blocks, root, group, trees, count = self.blocks, self.root, self.group, self.trees, len(self.root)
        status = self.status if status is None else status
        has, unknown = blocks.has[root], np.zeros(len(self.bus), dtype=np.bool_)
        if (flow := self.drawn(v, status)) is None:
            return None
        slope, off = self._slopes(status), np.full((count, len(RADII), 4), np.inf)
        none = np.zeros((0, len(RADII), 3))
        looped, trees.far[:], trees.near[:] = blocks.closes.any(), 0.0, 0.0
        for i in range(radii):
            trees.far[root] = np.where(has, RADII[i], 0.0)
            if looped:
                remain(blocks, self.sizes, status, trees, unknown)
            else:
                beyond(blocks, self.sizes, self.linear, status, trees, none, unknown)
            off[:, i, :3] = (trees.moved if looped else self.linear.below)[root]
            off[:, i, 3] = np.bincount(group, trees.less, count)
            off[np.bincount(group, unknown, count) > 0.0, i] = np.inf
            trees.far[unknown], trees.near[unknown] = 0.0, 0.0
        off[~np.isfinite(off[..., 3])] = np.inf  # where that of a piece within is not known
        return flow, slope, off

    def _slopes(self, status: States) -> Complexes:
        """(count, 6, 4) how what is drawn and lost in the flow changes by real and imaginary part of each phase."""
        blocks, trees, root, n = self.blocks, self.trees, self.root, len(self.bus)
        if not blocks.closes.any():
            eliminate(blocks, self.sizes, status, trees, self.linear)
            drawn, lost = self.linear.drawn, self.linear.lost
            each = np.append(drawn[root][:, :3] + 1j * drawn[root][:, 3:], lost[root][:, None], axis=1)
            return np.asarray(each[:, :, (0, 3, 1, 4, 2, 5)].transpose(0, 2, 1))
        found, changes = np.zeros((6, n, 4), dtype=np.complex128), np.zeros((6, n, 3), dtype=np.complex128)
        for way in range(6):
            changes[way, :, way // 2] = np.where(blocks.has[:, way // 2], 1j if way % 2 else 1.0, 0.0)
        linear = trees._replace(**{name: getattr(trees, name).copy() for name in ("v", "drawn", "i", "taken")})
        respond(blocks, status, trees, linear, changes, found)
        lost = np.array([np.bincount(self.group, each.real, len(root)) for each in found[:, :, 3]])
        return np.asarray(np.append(found[:, root, :3], lost[:, :, None], axis=2).transpose(1, 0, 2))


def steepness(slope: Complexes, u: Complexes) -> Floats:
    """`Hung.steep` of components U (C, 3, 3) of what changes by a slope."""
    one, other = slope[:, :, ::2], slope[:, :, 1::2]
    real, imaginary = (
        np.einsum("cmj,ckjo->ckmo", x, one) + np.einsum("cmj,ckjo->ckmo", y, other)
        for x, y in ((u.real, -u.imag), (u.imag, u.real))
    )
    for part in (real, imaginary):
        part[..., :3] = np.einsum("cpo,ckmo->ckmp", u, part[..., :3])
    steep = np.abs(real) ** 2 + np.abs(imaginary) ** 2 + np.abs(real**2 + imaginary**2)
    return np.asarray(np.sqrt(steep / 2.0))


def _lost(blocks: Blocks, trees: Trees) -> Floats:
    """(m) loss of each closed branch."""
    back = np.zeros(len(blocks.fr), dtype=np.int64)
    below = np.flatnonzero(trees.edge >= 0)
    back[trees.edge[below]] = trees.way[below]
    z = blocks.z[back, np.arange(len(back))]
    pairs = (trees.i, z), (trees.v[blocks.fr], blocks.y_fr), (trees.v[blocks.to], blocks.y_to)
    return np.asarray(sum(np.einsum("ej,ejk,ek->e", x.conj(), matrix, x).real for x, matrix in pairs))


def _modes(has: Bools) -> Complexes:
    """(count, 6, 3) directions of the multipliers of buses with phases (count, 3), of length 1 or none."""
    found = np.zeros((len(has), 6, 3), dtype=np.complex128)
    for each, present in zip(found, has, strict=True):
        at = np.flatnonzero(present)
        for k, way in enumerate(MODES[len(at)]):
            each[2 * k, at] = np.array(way) / np.linalg.norm(way)
            each[2 * k + 1, at] = 1j * each[2 * k, at]
    return found
