"""A grid of any phases as 3 × 3 matrices: what the flow of a tree and the bound of its losses are computed with.

Per unit as in `openpoint.network.arrays`. A branch from bus a to bus b carries i in its series element, with
u = T v_a, v_b = u − Z i; it draws Tᴴ i at a and delivers i at b. All that lies in parallel between two buses and cannot
be opened is one branch. With the rows P and R that take the voltages at the two ends to those of the windings,
P v_a − R v_b = z i', this is T = R⁻¹ P, Z = R⁻¹ z R⁻ᴴ, i = Rᴴ i'; from b to a P and R change places. Phases that a bus
or branch does not have are zero. Theory: docs/methods.md M43.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.formulations.radiality import loop_closers
from openpoint.graph import bridges, components, path
from openpoint.grid.devices import kvar_today
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.load_shares import load_shares, power_shares
from openpoint.powerflow.check_phases import internal_voltages

LEAST_R = 1e-7
"""Resistance that a branch without one has here: the square is completed in its current."""
DEGREE = {"power": 0, "current": 1, "impedance": 2}
SLOT = {"a": 0, "b": 1, "c": 2}
_SINGULAR = 1e-9
"""Size, relative to the largest, of singular values and of sums over phases that are rounding errors of 0."""


@dataclass(frozen=True)
class Box:
    """The states that a bound covers.

    Attributes:
        v_min, v_max: range of every voltage to neutral, per unit. turn: most degrees by which the angle between two
            phases of a bus differs from 120.
    """

    v_min: float = 0.85
    v_max: float = 1.15
    turn: float = 10.0

    @staticmethod
    def over(rows: Floats) -> Box:
        """The least one that holds those of some buses (n, 9)."""
        return Box(float(rows[:, :3].min()), float(rows[:, 3:6].max()), float(rows[:, 8].max()))

    @property
    def row(self) -> Floats:
        """(9) as `box_rows`."""
        low, high = (np.full((1, 3), each) for each in (self.v_min, self.v_max))
        return np.asarray(box_rows(low, high, np.array([self.turn]))[0])

    def holds(self, v: Complexes, present: Bools) -> bool:
        """Whether the (n, 3) voltages of the phases that are `present` lie in it."""
        size = np.abs(v)[present]
        inside = bool(((size >= self.v_min) & (size <= self.v_max)).all())
        for j, k in ((0, 1), (1, 2), (2, 0)):
            both = present[:, j] & present[:, k]
            turn = np.degrees(np.angle(v[both, j] * np.conj(v[both, k])))
            inside = inside and bool((np.abs(turn - 120.0) <= self.turn).all())
        return inside


def box_rows(v_min: Floats, v_max: Floats, turn: Floats) -> Floats:
    """(n, 9) v_min and v_max (n, 3), range of |v_j − v_k|, and turn."""
    low, high = (np.radians(120.0 + sign * turn) for sign in (-1.0, 1.0))
    sizes = v_min.min(axis=1) * 2.0 * np.sin(low / 2.0), v_max.max(axis=1) * 2.0 * np.sin(high / 2.0)
    return np.column_stack([v_min, v_max, *sizes, turn])


EVERYWHERE = Box(0.0, math.inf, 180.0)
"""The box of all states: loads have their bands."""

MODES = {1: ((1.0,),), 2: ((1.0, 1.0), (1.0, -1.0)), 3: ((1.0, 1.0, 1.0), (1.0, -1.0, 0.0), (1.0, 1.0, -2.0))}
"""By number of phases: directions of their multipliers, at right angles."""


STEP_U, SIZES, BELOW = 2e-3, 70, 45
"""Sizes of voltages at which the flow of a piece is known: their distance, pu, how many, how many below the start's."""
RADII = 1.5e-3, 2e-3, 3e-3, 4.5e-3, 7e-3, 0.012, 0.02, 0.03, 0.05, 0.09, 0.16
"""Distances of a voltage, pu, from one of these within which it is known how far that flow is from linear."""
NEAR = 6
"""How many of these are worked out at multiples of the start; at other voltages all are."""


class Hung(NamedTuple):
    """What C pieces that hang on buses add to the bound there, and draw; see `openpoint.search.phases.pieces`.

    Attributes:
        bus: (C). h: (C, 3) multipliers in the middle. mode: (C, 6, 3) directions of length 1, 0 where there is none.
        reach: (C, 6) how far the samples are. constant, a: (C, 13) and (C, 13, 3, 3) of the samples: in the middle,
            then ahead and back in each direction.
        shape: (C, 3) voltages of a flow, 1 pu on average. base: (C) least multiple of them at which more is known.
        at: (C, K, 3) the voltages at which more is known: SIZES multiples of those, then others.
        flow: (C, K, 4) currents and loss there. slope: (C, K, 6, 4) how they change by the real
            and the imaginary part of each phase. steep: (C, K, 3, 4) size of that by the size of each phase.
        off: (C, K, RADII, 4) by how much, at most, currents of phases differ from what this makes of them within
            some distances of the voltages, and by how much less is lost.
    """

    bus: Ints
    h: Complexes
    mode: Complexes
    reach: Floats
    constant: Floats
    a: Complexes
    shape: Complexes
    base: Floats
    at: Complexes
    flow: Complexes
    slope: Complexes
    steep: Floats
    off: Floats


def no_pieces() -> Hung:
    """None."""
    shapes = (3,), (6, 3), (13, 3, 3), (3,), (SIZES, 3), (SIZES, 4), (SIZES, 6, 4)
    h, mode, a, shape, at, flow, slope = (np.zeros((0, *each), dtype=np.complex128) for each in shapes)
    floats = (6,), (13,), (), (SIZES, 3, 4), (SIZES, len(RADII), 4)
    reach, constant, base, steep, off = (np.zeros((0, *each)) for each in floats)
    return Hung(np.zeros(0, dtype=np.int64), h, mode, reach, constant, a, shape, base, at, flow, slope, steep, off)


class Blocks(NamedTuple):
    """n buses, m branches, L loads whose power follows the voltage in parts.

    Attributes:
        fr, to: (m). start, around: branches at bus b are around[start[b]:start[b + 1]].
        z, ratio: (2, m, 3, 3) Z and T in either direction. ways: (2, m) whether it has no delta winding at its far end.
        plain: (m) whether T is 1. shunted: (m) whether it has admittances.
        y_fr, y_to: (m, 3, 3) admittances at both buses of a closed branch, whose active power counts as loss.
        carries, has: (m, 3) and (n, 3) phases. movable: (m). closes: (m) whether it closes a loop that stays closed;
            loop: (m, 3, 3) admittance of that loop, opened there. is_source: (n). held: (n, 3) voltages of sources.
        s: (n, 3) constant power. y: (n, 3, 3) admittance.
        bus, phase, back: (L) where a load is; back: phase of its other end, −1 the neutral.
        power, degree: (L) at nominal voltage. low, high, rated: (L) its band and rated voltage, per unit. outer: (L) 1
            where it is a load of constant current outside of its band, else 0.
        box: (n, 9) of every bus, see `box_rows`. hung: pieces that are left out, by what they add to the bound.
    """

    fr: Ints
    to: Ints
    start: Ints
    around: Ints
    z: Complexes
    ratio: Complexes
    ways: Bools
    plain: Bools
    shunted: Bools
    y_fr: Complexes
    y_to: Complexes
    carries: Bools
    has: Bools
    movable: Bools
    closes: Bools
    loop: Complexes
    is_source: Bools
    held: Complexes
    s: Complexes
    y: Complexes
    bus: Ints
    phase: Ints
    back: Ints
    power: Complexes
    degree: Ints
    low: Floats
    high: Floats
    rated: Floats
    outer: Ints
    box: Floats
    hung: Hung


@dataclass(frozen=True)
class PhaseModel:
    """The blocks of a network, and its branches: branch (B) → block, −1 where it is always open.

    Attributes:
        loads_kva: power of each row of the table of loads, in the place of the table.
    """

    grid: Grid
    network: Network
    blocks: Blocks
    block_of: Ints
    loads_kva: Complexes | None = None

    def within(self, box: Box | Floats) -> PhaseModel:
        """The same for the states in another box, or in one of each bus (n, 9)."""
        whole = box if isinstance(box, Box) else Box.over(box)
        made = _demand(self.grid, self.network, whole, self.loads_kva)
        rows = made["box"] if isinstance(box, Box) else box
        return replace(self, blocks=self.blocks._replace(**made | {"box": rows}))

    def under(self, loads_kva: Complexes) -> PhaseModel:
        """The same with other loads.

        Raises:
            OptionError: the bound is not valid for them.
        """
        found = replace(self, loads_kva=loads_kva).within(Box())
        _refuse_other_trees(found.blocks)
        return found


def phase_model(grid: Grid, network: Network, always: Bools, never: Bools, box: Box) -> PhaseModel:
    """The blocks of a grid.

    Args:
        always, never: (B) branches that are closed, or open, in every state.

    Raises:
        OptionError: what the bound is not valid for.
    """
    closers = _closing(network)
    groups = _groups(network, always, never, closers)
    parts = _Parts(network)
    made = [_branch(parts, members, pair) for pair, members in groups]
    block_of = np.full(len(network.branch_names), -1, dtype=np.int64)
    for k, (_, members) in enumerate(groups):
        block_of[members] = k
    fr, to = (np.array([pair[side] for pair, _ in groups], dtype=np.int64) for side in (0, 1))
    n = len(network.bus_names)
    at = np.argsort(np.concatenate([fr, to]), kind="stable") % max(len(fr), 1)
    start = np.concatenate([[0], np.cumsum(np.bincount(np.concatenate([fr, to]), minlength=n))])
    slot = np.array([SLOT[phase] for phase in network.terminal_phase], dtype=np.int64)
    has, held = np.zeros((n, 3), dtype=np.bool_), np.zeros((n, 3), dtype=np.complex128)
    has[network.terminal_bus, slot] = True
    held[network.terminal_bus[network.source_terminal], slot[network.source_terminal]] = network.source_v
    z, ratio, ways, y_fr, y_to, carries = (np.array(part) for part in zip(*made, strict=True))
    movable = np.array([not always[members[0]] for _, members in groups], dtype=np.bool_)
    closes = np.array([closers[members[0]] for _, members in groups], dtype=np.bool_)
    is_source = np.zeros(n, dtype=np.bool_)
    is_source[network.terminal_bus[network.source_terminal]] = True
    blocks = Blocks(
        fr=fr,
        to=to,
        start=start.astype(np.int64),
        around=at.astype(np.int64),
        z=np.moveaxis(z, 1, 0).copy(),
        ratio=np.moveaxis(ratio, 1, 0).copy(),
        ways=ways.T.copy(),
        plain=(ratio == np.eye(3) * carries[:, None, :, None]).all(axis=(1, 2, 3)),
        shunted=np.abs(y_fr).sum(axis=(1, 2)) + np.abs(y_to).sum(axis=(1, 2)) > 0.0,
        y_fr=y_fr,
        y_to=y_to,
        carries=carries,
        has=has,
        movable=movable,
        closes=closes,
        loop=_loops(fr, to, z[:, 0], carries, closes, movable),
        is_source=is_source,
        held=held,
        hung=no_pieces(),
        **_demand(grid, network, box),
    )
    _refuse_other_trees(blocks)
    return PhaseModel(grid, network, blocks, block_of)


def _closing(network: Network) -> Bools:
    """(B) branches that close a loop that stays closed, on each of their phases.

    Raises:
        OptionError: one that does so on some of its phases.
    """
    closing = loop_closers(network)
    whole = np.ones(len(network.branch_names), dtype=np.bool_)
    whole[network.conductor_branch[~closing]] = False
    if not whole[network.conductor_branch[closing]].all():
        raise OptionError("a loop of phases that stays closed has fewer phases than a branch of it")
    return whole


def _loops(fr: Ints, to: Ints, z: Complexes, carries: Bools, closes: Bools, movable: Bools) -> Complexes:
    """(m, 3, 3) inverse of the impedance around each loop that stays closed; 0 for other branches."""
    found = np.zeros(z.shape, dtype=np.complex128)
    fixed = np.flatnonzero(~closes & ~movable)
    for e in np.flatnonzero(closes).tolist():
        n = int(max(fr.max(), to.max())) + 1
        way = path(n, fr[fixed], to[fixed], int(fr[e]), int(to[e]))
        around = z[e] + z[fixed[way]].sum(axis=0)
        at = np.flatnonzero(carries[e])
        found[e][np.ix_(at, at)] = np.linalg.inv(around[np.ix_(at, at)])
    return found


def _groups(network: Network, always: Bools, never: Bools, closers: Bools) -> list[tuple[tuple[int, int], list[int]]]:
    """The pair of buses and the branches of every block: of those that are always closed all between two buses."""
    found: dict[tuple[int, int, int], list[int]] = {}
    first = np.searchsorted(network.conductor_branch, np.arange(len(network.branch_names)))
    ends = [network.terminal_bus[part[first]].tolist() for part in (network.terminal_fr, network.terminal_to)]
    for b, (fr, to) in enumerate(zip(*ends, strict=True)):
        if not never[b]:
            pair = (min(fr, to), max(fr, to), -1) if always[b] and not closers[b] else (fr, to, b)
            found.setdefault(pair, []).append(b)
    return [((key[0], key[1]), members) for key, members in found.items()]


_Branch = tuple[Complexes, Complexes, Bools, Complexes, Complexes, Bools]


class _Parts:
    """Dense blocks of the sparse matrices of a network, by conductor."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.first = np.searchsorted(network.conductor_branch, np.arange(len(network.branch_names) + 1))
        self.ends = [_rows(part) for part in internal_voltages(network)]
        self.z, self.shunts = _rows(network.z), [_rows(part) for part in network.y_ends]

    def conductors(self, members: list[int]) -> list[int]:
        """Those of some branches."""
        return [e for b in members for e in range(self.first[b], self.first[b + 1])]

    @staticmethod
    def dense(rows: list[list[tuple[int, complex]]], at: list[int]) -> Complexes:
        """The square block of some conductors."""
        number = {e: k for k, e in enumerate(at)}
        found = np.zeros((len(at), len(at)), dtype=np.complex128)
        for e in at:
            for column, value in rows[e]:
                if column in number:
                    found[number[e], number[column]] += value
        return found


def _rows(matrix: sp.csr_array) -> list[list[tuple[int, complex]]]:
    """Column and value of the entries of every row."""
    found: list[list[tuple[int, complex]]] = [[] for _ in range(matrix.shape[0])]
    entry = matrix.tocoo()
    for row, column, value in zip(entry.row.tolist(), entry.col.tolist(), entry.data.tolist(), strict=True):
        found[row].append((column, value))
    return found


def _branch(parts: _Parts, members: list[int], pair: tuple[int, int]) -> _Branch:
    """Z, T and whether there is one in both directions, admittances at both ends, phases."""
    network, at = parts.network, parts.conductors(members)
    rows = np.zeros((2, len(at), 3), dtype=np.complex128)
    is_back = np.zeros(len(at), dtype=np.bool_)  # from the second bus of the pair to the first: its current is negative
    for side, part in enumerate(parts.ends):
        for row, e in enumerate(at):
            for terminal, value in part[e]:
                end = pair.index(int(network.terminal_bus[terminal]))
                rows[end, row, SLOT[network.terminal_phase[terminal]]] += value
                is_back[row] = end != side
    z = parts.dense(parts.z, at)
    shunts = [parts.dense(part, at) for part in parts.shunts]
    turn = np.where(is_back, -1.0, 1.0)
    z = z * turn[:, None] * turn
    present = (np.abs(rows).sum(axis=1) > 0).all(axis=0)
    admittance = np.zeros((2, 3, 3), dtype=np.complex128)
    for side, shunt in enumerate(shunts):
        for end in (0, 1) if shunt.any() else ():
            here = np.where(is_back == (end != side), 1.0, 0.0)[:, None] * rows[end]
            admittance[end] += here.conj().T @ shunt @ here
    impedance, ratio = np.zeros((2, 2, 3, 3), dtype=np.complex128)
    ways, phases = np.ones(2, dtype=np.bool_), np.flatnonzero(present)
    place, one = (slice(None), phases[:, None], phases), np.eye(len(phases))
    if len(at) == len(phases) and (rows[:, :, phases] == one).all():  # a line
        impedance[place], ratio[place] = _firm(z), one
        return impedance, ratio, ways, admittance[0], admittance[1], present
    for way in (0, 1):
        near, far = rows[way][:, phases], rows[1 - way][:, phases]
        if far.shape[0] != far.shape[1]:
            names = ", ".join(network.branch_names[b] for b in members)
            raise OptionError(f"{names}: windings between two lines, beside which a branch may open")
        # Of a delta winding the voltages sum to zero, and so do the currents (`_refuse_other_trees`).
        straight = bool((far == one).all())
        ways[way] = straight or bool(np.linalg.cond(far) < 1.0 / _SINGULAR)
        back = far if straight else np.linalg.pinv(far, rcond=_SINGULAR)
        # No current passes that does not sum to zero there, so that any impedance is right for it: 1.
        impedance[way][place[1:]] = _firm(back @ z @ back.conj().T + (one - back @ far))
        ratio[way][place[1:]] = back @ near
    return impedance, ratio, ways, admittance[0], admittance[1], present


def _firm(z: Complexes) -> Complexes:
    """An impedance with as much more resistance as it needs to have `LEAST_R` for any currents."""
    least = z[0, 0].real if len(z) == 1 else np.linalg.eigvalsh((z + z.conj().T) / 2.0).min()
    return np.asarray(z + max(0.0, LEAST_R - least) * np.eye(len(z)))


@dataclass(frozen=True)
class _Powers:
    """Powers at nominal voltage of rows of tables, and their degrees, bands (v_min, v_max, v_rated) and what is beyond.

    Attributes:
        wye, delta: shares of terminals and of pairs of these. s, degree, outer: of each row. band: (rows, 3).
    """

    wye: sp.csr_array
    delta: sp.csr_array
    s: Complexes
    degree: Ints
    band: Floats
    outer: Ints


def _powers(grid: Grid, box: Box, loads_kva: Complexes | None) -> list[_Powers]:
    """Those of loads, capacitors, and generators of fixed output."""
    table, shares = grid.loads, load_shares(grid)
    loads = table["p_kw"].to_numpy() + 1j * table["q_kvar"].to_numpy() if loads_kva is None else loads_kva
    anywhere = np.array([0.0, math.inf, 1.0])
    parts = zip(("v_min_pu", "v_max_pu", "v_rated_pu"), anywhere, strict=True)
    band = np.column_stack([table[name].fill_null(value).to_numpy() for name, value in parts])
    inside = (band[:, 0] <= box.v_min) & (band[:, 1] >= box.v_max)
    band = np.where(inside[:, None], anywhere, band)
    outer = np.where(inside, 0, table["model"].to_numpy() == "current").astype(np.int64)
    each = np.asarray(loads.real, dtype=np.complex128), np.asarray(1j * loads.imag, dtype=np.complex128)
    made = [
        _Powers(shares.wye, shares.delta, s, np.array([DEGREE[model] for model in models], dtype=np.int64), band, outer)
        for s, models in zip(each, (shares.p_models, shares.q_models), strict=True)
    ]
    kvar = np.array([complex(0.0, -kvar_today(row)) for row in grid.capacitors.iter_rows(named=True)])
    moves = pl.any_horizontal(pl.col("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar").is_not_null())
    own = grid.generators.select(moves).to_series().to_numpy()
    output = -np.where(own, 0.0, grid.generators["p_kw"].to_numpy() + 1j * grid.generators["q_kvar"].to_numpy())
    for of, s, degree in ((grid.capacitors, kvar, 2), (grid.generators, output, 0)):
        rows = len(s)
        same = np.full(rows, degree), np.tile(anywhere, (rows, 1)), np.zeros(rows, dtype=np.int64)
        made.append(_Powers(*power_shares(grid, of), s.astype(np.complex128), *same))
    return made


def _demand(grid: Grid, network: Network, box: Box, loads_kva: Complexes | None = None) -> dict[str, Any]:
    """Those fields of `Blocks` that the box, loads, capacitors and generators make."""
    n = len(network.bus_names)
    slot = np.array([SLOT[phase] for phase in network.terminal_phase], dtype=np.int64)
    rows = list[tuple[Any, ...]]()  # terminal, the other one or −1, power, degree, band and what is beyond
    ends = (np.arange(network.n_terminals), np.full(network.n_terminals, -1)), (network.delta.fr, network.delta.to)
    for of in _powers(grid, box, loads_kva):
        for matrix, (fr, to) in zip((of.wye, of.delta), ends, strict=True):
            entry = matrix.tocoo()
            at = entry.col
            rows.append((fr[entry.row], to[entry.row], of.s[at] * entry.data, of.degree[at], of.band[at], of.outer[at]))
    moving, count = -np.asarray(network.generator_s, dtype=np.complex128), len(network.generator_s)
    idle = np.zeros(count, dtype=np.int64), np.tile([0.0, math.inf, 1.0], (count, 1)), np.zeros(count, dtype=np.int64)
    rows.append((network.generator_terminal, network.generator_return, moving, *idle))
    terminal, back, s, degree, band, outer = (np.concatenate(part) for part in zip(*rows, strict=True))
    terminal, back, s, degree, band, outer = (part[s != 0.0] for part in (terminal, back, s, degree, band, outer))
    b, j, k = network.terminal_bus[terminal], slot[terminal], np.where(back < 0, -1, slot[back])
    follows = (band[:, 0] != 0.0) | np.isfinite(band[:, 1]) | (degree == 1) | ((degree == 0) & (k >= 0))
    fixed, y, power = np.zeros((n, 3), dtype=np.complex128), np.zeros((n, 3, 3), dtype=np.complex128), ~follows
    np.add.at(fixed, (b[at := power & (degree == 0)], j[at]), s[at])
    np.add.at(y, (b[at := power & (degree == 2) & (k < 0)], j[at], j[at]), s[at].conj())
    at = power & (degree == 2) & (k >= 0)
    for one, other, sign in ((j, j, 1.0), (k, k, 1.0), (j, k, -1.0), (k, j, -1.0)):
        np.add.at(y, (b[at], one[at], other[at]), sign * s[at].conj() / 3.0)
    keys = np.column_stack([b, j, k, degree, band, outer])[follows]
    keys, first, number = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")  # in the order in which they come
    total = np.zeros(len(keys), dtype=np.complex128)
    np.add.at(total, number.reshape(-1), s[follows])
    whole = dict(zip(("bus", "phase", "back", "degree", "outer"), keys[order][:, (0, 1, 2, 3, 7)].T, strict=True))
    parted = dict(zip(("low", "high", "rated"), keys[order][:, 4:7].T, strict=True))
    found = {name: part.astype(np.int64) for name, part in whole.items()}
    found |= {name: part.copy() for name, part in parted.items()}
    return {"s": fixed, "y": y, "power": total[order], "box": np.tile(box.row, (n, 1)), **found}


def _refuse_other_trees(blocks: Blocks) -> None:
    """Refuse grids in which phases of a bus may hang on several branches, and deltas whose currents may not sum to 0.

    Raises:
        OptionError: the bound is that of trees of buses, and of three wires behind a delta winding.
    """
    n, fr, to = len(blocks.has), blocks.fr, blocks.to
    label = np.arange(n)
    sources = np.flatnonzero(blocks.is_source)
    label[sources] = sources[0]
    looped = ~blocks.closes
    looped[looped] = ~bridges(n, label[fr[looped]], label[to[looped]])
    for b in range(n):
        beside = [e for e in blocks.around[blocks.start[b] : blocks.start[b + 1]] if looped[e]]
        all_of_it = {e: (blocks.carries[e] | ~blocks.has[b]).all() for e in beside}
        # A phase that only branches of all phases of the bus can feed leads these to a source together.
        if not any(
            all(all_of_it[e] or not blocks.carries[e, j] for e in beside) for j in np.flatnonzero(blocks.has[b])
        ):
            raise OptionError("phases of one bus may hang on several branches, each by itself")
    to_ground = np.abs(blocks.s).sum(axis=1) > 0.0
    to_ground[blocks.bus[blocks.back < 0]] = True
    to_ground |= np.abs(blocks.y.sum(axis=2)).max(axis=1) > _SINGULAR
    for e in np.flatnonzero(~blocks.ways.all(axis=0)).tolist():
        if looped[e]:
            raise OptionError("a transformer with a delta lies in a loop, where it may be fed from either side")
        part = components(n, np.delete(label[fr], e), np.delete(label[to], e))[label]
        way = 0 if part[fr[e]] == part[sources[0]] else 1
        behind = part == part[(to, fr)[way][e]]
        if not blocks.ways[way, e] and to_ground[behind & _in_zone(blocks, e, behind)].any():
            raise OptionError("loads to neutral behind a delta winding, where nothing holds the neutral")


def _in_zone(blocks: Blocks, e: int, behind: Bools) -> Bools:
    """(n) buses that are joined to the far end of a branch by branches that let zero-sequence currents pass."""
    passes = np.abs(blocks.ratio.sum(axis=3)).max(axis=(0, 2)) > _SINGULAR
    inner = passes & behind[blocks.fr] & behind[blocks.to]
    part = components(len(behind), blocks.fr[inner], blocks.to[inner])
    far = blocks.to[e] if behind[blocks.to[e]] else blocks.fr[e]
    return np.asarray(part == part[far])
