"""Small three-phase feeders for tests of partitioning over time, and the linear program of an island over all vertices,
written apart from the model."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import scipy.optimize

from openpoint.grid import Grid

VN_KV, RAMP, PRICE = 4.16, 0.3, 0.3
TURN = {"a": 0.0, "b": -2.0 * math.pi / 3.0, "c": 2.0 * math.pi / 3.0}


@dataclass
class Feeder:
    """A feeder as plain rows. lines: (from, to, length, switchable). loads: (bus, phases, delta, kW, kvar).
    generators: (bus, kW). Bus 0 is the lost substation."""

    n: int
    lines: list[tuple[int, int, float, bool]]
    loads: list[tuple[int, str, bool, float, float]]
    generators: list[tuple[int, float]]
    ratings: dict[int, float] = field(default_factory=dict)

    def grid(self) -> Grid:
        """The same as tables."""
        r, x = _impedance()
        lines = [
            {
                "name": f"l{k}",
                "from_bus": f"b{a}",
                "to_bus": f"b{b}",
                "phases": "abc",
                "r_ohm": [length * r[i][j] for i in range(3) for j in range(i + 1)],
                "x_ohm": [length * x[i][j] for i in range(3) for j in range(i + 1)],
                "i_max_a": self.ratings.get(k),
                "switchable": moving,
            }
            for k, (a, b, length, moving) in enumerate(self.lines)
        ]
        loads = [
            {
                "name": f"d{k}",
                "bus": f"b{b}",
                "phases": ph,
                "connection": "delta" if d else "wye",
                "p_kw": p,
                "q_kvar": q,
            }
            for k, (b, ph, d, p, q) in enumerate(self.loads)
        ]
        units = [
            {"name": f"g{k}", "bus": f"b{b}", "phases": "abc", "p_kw": 0.0, "p_min_kw": 0.0, "p_max_kw": p}
            | {"q_min_kvar": -0.75 * p, "q_max_kvar": 0.75 * p}
            for k, (b, p) in enumerate(self.generators)
        ]
        buses = [
            {"name": f"b{k}", "vn_kv": VN_KV, "phases": "abc", "v_min_pu": 0.97, "v_max_pu": 1.03}
            for k in range(self.n)
        ]
        tables = {"buses": buses, "lines": lines, "loads": loads, "generators": units}
        return Grid.from_tables("feeder", tables | {"sources": [{"name": "s", "bus": "b0"}]})


def _impedance() -> tuple[list[list[float]], list[list[float]]]:
    """Ohm per unit of length: unequal, coupled."""
    r = [[0.35, 0.10, 0.09], [0.10, 0.36, 0.11], [0.09, 0.11, 0.34]]
    x = [[0.80, 0.35, 0.30], [0.35, 0.78, 0.33], [0.30, 0.33, 0.81]]
    return r, x


def five() -> Feeder:
    """Substation b0 and four blocks, b2 and b3 being one: two islands of b1 and b2 with b3 pay, b4 has to stay dead."""
    lines = [(0, 1, 1.0, True), (1, 2, 1.0, True), (2, 3, 1.0, False), (3, 4, 1.0, True), (4, 1, 1.0, True)]
    loads = [(1, "abc", False, 120.0, 40.0), (3, "ab", True, 90.0, 30.0), (4, "abc", False, 600.0, 200.0)]
    return Feeder(5, lines, loads, [(1, 200.0), (2, 200.0), (3, 100.0)])


def renamed(grid: Grid, names: dict[str, str]) -> Grid:
    """The grid under other names."""
    keys = ("name", "bus", "from_bus", "to_bus")
    tables = {
        kind: frame.with_columns(pl.col(key).replace(names) for key in keys if key in frame.columns)
        for kind, frame in grid.tables().items()
        if frame.height
    }
    return Grid.from_tables(grid.name, tables)


def random_feeder(rng: random.Random) -> Feeder:
    """Up to six buses: a tree with switches, a tie or two, loads of all kinds, two or three generators."""
    n = rng.randint(4, 6)
    lines = [
        (rng.randrange(max(1, k - 2), k) if k > 1 else 0, k, rng.uniform(0.3, 2.5), k == 1 or rng.random() < 0.6)
        for k in range(1, n)
    ]
    for _ in range(rng.randint(1, 2)):
        a, b = sorted(rng.sample(range(1, n), 2))
        lines.append((a, b, rng.uniform(0.3, 2.5), True))
    loads = []
    for bus in range(1, n):
        for _ in range(rng.randint(0, 2)):
            delta = rng.random() < 0.5
            phases = rng.choice(("ab", "bc", "ac", "abc") if delta else ("a", "b", "c", "abc"))
            p = rng.uniform(40.0, 200.0)
            loads.append((bus, phases, delta, p, rng.uniform(0.2, 0.6) * p))
    loads = loads or [(1, "abc", False, 100.0, 40.0)]
    count = rng.randint(2, 3)
    generators = [(bus, rng.uniform(100.0, 500.0)) for bus in rng.sample(range(1, n), count)]
    ratings = {k: rng.uniform(10.0, 60.0) for k in range(len(lines)) if rng.random() < 0.2}
    return Feeder(n, lines, loads, generators, ratings)


def reached(feeder: Feeder, shut: list[int]) -> list[set[int]]:
    """Sets of buses that the lines `shut` join."""
    parts = [{k} for k in range(feeder.n)]
    for k in shut:
        a, b, _, _ = feeder.lines[k]
        one, other = (next(p for p in parts if end in p) for end in (a, b))
        if one is not other:
            parts.remove(other)
            one |= other
    return parts


@dataclass
class Store:
    """A generator with an energy: kWh, kW, efficiencies."""

    generator: int
    energy: float
    start: float
    least: float
    end: float
    charge: float
    into: float
    out: float


@dataclass
class IslandProgram:
    """The linear program of an island: worst recourse, set-points, and a copy of the recourse a vertex.

    set_points: columns of the active set-points of each generator. follows: of what it ramps, a row a vertex.
    """

    cost: np.ndarray
    ub: np.ndarray
    ub_b: np.ndarray
    eq: np.ndarray
    eq_b: np.ndarray
    low: np.ndarray
    high: np.ndarray
    set_points: dict[int, list[int]]
    follows: dict[int, list[list[int]]]

    def value(self) -> float:
        """Its optimum; inf where there is none."""
        answer = scipy.optimize.linprog(
            self.cost,
            A_ub=self.ub,
            b_ub=self.ub_b,
            A_eq=self.eq,
            b_eq=self.eq_b,
            bounds=np.column_stack([self.low, self.high]),
            method="highs",
        )
        return float(answer.fun) if answer.status == 0 else math.inf


def island_program(
    feeder: Feeder,
    part: set[int],
    lines: list[int],
    source: int,
    chosen: list[int],
    deviation: float,
    store: Store | None = None,
) -> IslandProgram:
    """Set-points and worst cost of following the loads in an island; the generator of the store costs nothing."""
    buses = sorted(part)
    units = [g for g, (bus, _) in enumerate(feeder.generators) if bus in part]
    mine = [d for d in chosen if feeder.loads[d][0] in part]
    cases = [dict.fromkeys(mine, 0.0)]
    cases += [dict(zip(mine, signs)) for signs in itertools.product((-deviation, deviation), repeat=len(mine)) if mine]
    g3, l3, b3 = 3 * len(units), 3 * len(lines), 3 * len(buses)
    per = 2 * g3 + 2 * l3 + b3
    total = 1 + 2 * g3 + per * len(cases)
    eq, eq_b, ub, ub_b = [], [], [], []
    low, high = np.full(total, -np.inf), np.full(total, np.inf)
    cost = np.zeros(total)
    price = np.repeat([0.0 if store and g == store.generator else PRICE for g in units], 3)
    charge = np.repeat([store.charge / 3.0 if store and g == store.generator else 0.0 for g in units], 3)
    cost[0], cost[1 : 1 + g3] = 1.0, price
    cap = np.repeat([feeder.generators[g][1] / 3.0 for g in units], 3)
    low[1 : 1 + g3], high[1 : 1 + g3] = -charge, cap
    low[1 + g3 : 1 + 2 * g3], high[1 + g3 : 1 + 2 * g3] = -0.75 * cap, 0.75 * cap
    ohm = VN_KV**2 * 1000.0 / 3.0  # kW of a phase times ohm over the squared phase voltage in V², per unit
    r, x = (np.array(m) for m in _impedance())
    turn = np.exp(1j * np.array([TURN[p] for p in "abc"]))
    for number, case in enumerate(cases):
        at = 1 + 2 * g3 + per * number
        o_p, o_q, f_p, f_q, w = at, at + g3, at + 2 * g3, at + 2 * g3 + l3, at + 2 * g3 + 2 * l3
        swing = 0.0 if number == 0 else RAMP
        low[o_p : o_p + g3], high[o_p : o_p + g3] = -swing * cap, swing * cap
        low[o_q : o_q + g3], high[o_q : o_q + g3] = -swing * 0.75 * cap, swing * 0.75 * cap
        low[w : w + b3], high[w : w + b3] = 0.97**2, 1.03**2
        home = 3 * buses.index(feeder.generators[source][0])
        low[w + home : w + home + 3] = high[w + home : w + home + 3] = 1.0
        for k in range(g3):  # output within limits
            for one, two, least, most in (
                (1 + k, o_p + k, -charge[k], cap[k]),
                (1 + g3 + k, o_q + k, -0.75 * cap[k], 0.75 * cap[k]),
            ):
                row = np.zeros(total)
                row[one] = row[two] = 1.0
                ub += [row, -row]
                ub_b += [most, -least]
        row = np.zeros(total)
        row[0], row[o_p : o_p + g3] = -1.0, price
        ub.append(row)
        ub_b.append(0.0)
        drawn = _drawn(feeder, buses, case)
        for i in range(b3):
            for flow, ramp, setting, value in ((f_p, o_p, 1, drawn[i].real), (f_q, o_q, 1 + g3, drawn[i].imag)):
                row = np.zeros(total)
                for k, line in enumerate(lines):
                    if buses[i // 3] == feeder.lines[line][1]:
                        row[flow + 3 * k + i % 3] += 1.0
                    if buses[i // 3] == feeder.lines[line][0]:
                        row[flow + 3 * k + i % 3] -= 1.0
                for k, g in enumerate(units):
                    if feeder.generators[g][0] == buses[i // 3]:
                        row[ramp + 3 * k + i % 3] = row[setting + 3 * k + i % 3] = 1.0
                eq.append(row)
                eq_b.append(value)
        for k, line in enumerate(lines):
            a, b, length, _ = feeder.lines[line]
            z = length * (r + 1j * x) / (ohm * 1000.0 / 1000.0)
            for i in range(3):
                row = np.zeros(total)
                row[w + 3 * buses.index(a) + i], row[w + 3 * buses.index(b) + i] = 1.0, -1.0
                for j in range(3):
                    turned = z[i, j] * np.conj(turn[i] / turn[j])  # 2 Re(conj(v_i) z i_j), i_j = conj(s_j / v_j)
                    row[f_p + 3 * k + j] -= 2.0 * turned.real
                    row[f_q + 3 * k + j] -= 2.0 * turned.imag
                eq.append(row)
                eq_b.append(0.0)
                if line in feeder.ratings:
                    circle = feeder.ratings[line] * VN_KV / math.sqrt(3.0)
                    corners = circle * np.exp(2j * np.pi * np.arange(17) / 16)
                    for one, two in itertools.pairwise(corners):
                        side = np.zeros(total)
                        side[f_p + 3 * k + i], side[f_q + 3 * k + i] = (two - one).imag, -(two - one).real
                        ub.append(side)
                        ub_b.append(one.real * (two - one).imag - one.imag * (two - one).real)
    starts = [1 + 2 * g3 + per * number for number in range(len(cases))]
    return IslandProgram(
        cost,
        np.array(ub),
        np.array(ub_b),
        np.array(eq),
        np.array(eq_b),
        low,
        high,
        {g: [1 + 3 * k + i for i in range(3)] for k, g in enumerate(units)},
        {g: [[at + 3 * k + i for i in range(3)] for at in starts] for k, g in enumerate(units)},
    )


def _drawn(feeder: Feeder, buses: list[int], case: dict[int, float]) -> np.ndarray:
    """(3 buses) complex kW of every phase."""
    drawn = np.zeros(3 * len(buses), dtype=complex)
    for d, (bus, phases, delta, p, q) in enumerate(feeder.loads):
        if bus not in buses:
            continue
        s, at = complex(p, q) * (1.0 + case.get(d, 0.0)), 3 * buses.index(bus)
        if not delta:
            for phase in phases:
                drawn[at + "abc".index(phase)] += s / len(phases)
            continue
        pairs = {"ab": ("ab",), "bc": ("bc",), "ac": ("ca",), "abc": ("ab", "bc", "ca")}[phases]
        for one, two in pairs:
            v_one, v_two = np.exp(1j * TURN[one]), np.exp(1j * TURN[two])
            drawn[at + "abc".index(one)] += s / len(pairs) * v_one / (v_one - v_two)
            drawn[at + "abc".index(two)] -= s / len(pairs) * v_two / (v_one - v_two)
    return drawn
