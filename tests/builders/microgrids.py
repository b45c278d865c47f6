"""Small feeders with laterals, transformers, regulators and deltas for tests of partitioning, the linear program of an
island over all vertices, written apart from the model, and their best partition: every state of the switches, every
choice of sources. What is an island, and what a source reaches phase by phase, is asked of networkx."""

import itertools
import math
import random
from dataclasses import dataclass

import networkx as nx
import numpy as np
import polars as pl
import scipy.sparse as sp

from openpoint.grid import Grid
from tests.builders.linear_program import least

MEDIUM_KV, LOW_KV, RAMP, PRICE, STEP = 4.16, 0.48, 0.3, 0.3, 0.00625
PHASOR = dict(zip("abc", np.exp(1j * np.array([0.0, -2.0, 2.0]) * math.pi / 3.0)))
# Ohm per unit of length on medium voltage: unequal, coupled.
OHM = np.array([[0.35, 0.10, 0.09], [0.10, 0.36, 0.11], [0.09, 0.11, 0.34]]) + 1j * np.array(
    [[0.80, 0.35, 0.30], [0.35, 0.78, 0.33], [0.30, 0.33, 0.81]]
)


@dataclass(frozen=True)
class Edge:
    """A line, or with taps (one a phase) a transformer; if a regulator, one of lone units."""

    a: int
    b: int
    length: float = 1.0
    switchable: bool = False
    phases: str = "abc"
    i_max_a: float | None = None
    taps: tuple[int, ...] = ()
    regulator: bool = False

    @property
    def ohm(self) -> np.ndarray:
        """Impedance of its phases, of a transformer without coupling."""
        at = ["abc".index(p) for p in self.phases]
        return self.length * (np.diag(np.diag(OHM)[at]) if self.taps else OHM[np.ix_(at, at)])


@dataclass(frozen=True)
class Unit:
    """A load (kW, kvar) or a generator (largest kW)."""

    bus: int
    phases: str
    delta: bool
    kw: float
    kvar: float = 0.0

    @property
    def parts(self) -> tuple[str, ...]:
        """Phases, or pairs of phases, that share its power equally."""
        if not self.delta:
            return tuple(self.phases)
        return {"ab": ("ab",), "bc": ("bc",), "ac": ("ca",), "abc": ("ab", "bc", "ca")}[self.phases]


@dataclass(frozen=True)
class Feeder:
    """A feeder as plain rows. Buses: phases and kV; bus 0 is the lost substation."""

    buses: list[tuple[str, float]]
    edges: list[Edge]
    loads: list[Unit]
    generators: list[Unit]

    def grid(self) -> Grid:
        """The same as tables."""
        lines, transformers = [], []
        for k, edge in enumerate(self.edges):
            ends = {"from_bus": f"b{edge.a}", "to_bus": f"b{edge.b}"}
            z = edge.ohm * (self.buses[edge.b][1] / MEDIUM_KV) ** 2
            if not edge.taps:
                lower = [z[i, j] for i in range(len(z)) for j in range(i + 1)]
                row = {"name": f"l{k}", "phases": edge.phases, "i_max_a": edge.i_max_a, "switchable": edge.switchable}
                lines.append(ends | row | {"r_ohm": [x.real for x in lower], "x_ohm": [x.imag for x in lower]})
                continue
            rated = {"vn_from_kv": self.buses[edge.a][1], "vn_to_kv": self.buses[edge.b][1], "switchable": False}
            rated |= {"tap_min": -16, "tap_max": 16, "tap_step_percent": 100.0 * STEP}
            for phases in edge.phases if edge.regulator else [edge.phases]:
                i = edge.phases.index(phases[0])
                own = {"name": f"l{k}{phases}", "phases": phases, "tap_pos": edge.taps[i]}
                transformers.append(ends | rated | own | {"r_ohm": z[i, i].real, "x_ohm": z[i, i].imag})
        loads = [_row("d", k, d) | {"p_kw": d.kw, "q_kvar": d.kvar} for k, d in enumerate(self.loads)]
        units = [
            _row("g", k, g)
            | {"p_kw": 0.0, "p_min_kw": 0.0, "p_max_kw": g.kw}
            | {"q_min_kvar": -0.75 * g.kw, "q_max_kvar": 0.75 * g.kw}
            for k, g in enumerate(self.generators)
        ]
        buses = [
            {"name": f"b{k}", "vn_kv": kv, "phases": phases, "v_min_pu": 0.97, "v_max_pu": 1.03}
            for k, (phases, kv) in enumerate(self.buses)
        ]
        tables = {"buses": buses, "lines": lines, "transformers": transformers, "loads": loads, "generators": units}
        return Grid.from_tables("feeder", tables | {"sources": [{"name": "s", "bus": "b0"}]})


def _row(letter: str, k: int, unit: Unit) -> dict[str, object]:
    connection = "delta" if unit.delta else "wye"
    return {"name": f"{letter}{k}", "bus": f"b{unit.bus}", "phases": unit.phases, "connection": connection}


def five() -> Feeder:
    """Substation b0 and four blocks, b2 and b3 being one: two islands of b1 and b2 with b3 pay, b4 has to stay dead."""
    edges = [Edge(a, b, switchable=a != 2) for a, b in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 1))]
    loads = [Unit(1, "abc", False, 120.0, 40.0), Unit(3, "ab", True, 90.0, 30.0), Unit(4, "abc", False, 600.0, 200.0)]
    units = [Unit(bus, "abc", False, kw) for bus, kw in ((1, 200.0), (2, 200.0), (3, 100.0))]
    return Feeder([("abc", MEDIUM_KV)] * 5, edges, loads, units)


def one_block(*kw: float) -> Feeder:
    """The substation and a block of one load, with generators of these sizes."""
    units = [Unit(1, "abc", False, each) for each in kw]
    edges, loads = [Edge(0, 1, switchable=True)], [Unit(1, "abc", False, 100.0, 30.0)]
    return Feeder([("abc", MEDIUM_KV)] * 2, edges, loads, units)


def renamed(grid: Grid, names: dict[str, str]) -> Grid:
    """The grid under other names."""
    keys = ("name", "bus", "from_bus", "to_bus")
    tables = {
        kind: frame.with_columns(pl.col(key).replace(names) for key in keys if key in frame.columns)
        for kind, frame in grid.tables().items()
        if frame.height
    }
    return Grid.from_tables(grid.name, tables)


def three_phase_feeder(rng: random.Random) -> Feeder:
    """Up to six buses of three phases: a tree with switches, a tie or two, loads of all kinds, two or three generators
    that can all form a grid."""
    n = rng.randint(4, 6)
    ends = [
        (rng.randrange(max(1, k - 2), k) if k > 1 else 0, k, rng.uniform(0.3, 2.5), k == 1 or rng.random() < 0.6)
        for k in range(1, n)
    ]
    for _ in range(rng.randint(1, 2)):
        a, b = sorted(rng.sample(range(1, n), 2))
        ends.append((a, b, rng.uniform(0.3, 2.5), True))
    loads = []
    for bus in range(1, n):
        for _ in range(rng.randint(0, 2)):
            delta = rng.random() < 0.5
            phases = rng.choice(("ab", "bc", "ac", "abc") if delta else ("a", "b", "c", "abc"))
            kw = rng.uniform(40.0, 200.0)
            loads.append(Unit(bus, phases, delta, kw, rng.uniform(0.2, 0.6) * kw))
    loads = loads or [Unit(1, "abc", False, 100.0, 40.0)]
    count = rng.randint(2, 3)
    units = [Unit(bus, "abc", False, rng.uniform(100.0, 500.0)) for bus in rng.sample(range(1, n), count)]
    edges = [Edge(*each, i_max_a=rng.uniform(10.0, 60.0) if rng.random() < 0.2 else None) for each in ends]
    return Feeder([("abc", MEDIUM_KV)] * n, edges, loads, units)


def random_feeder(rng: random.Random) -> Feeder:
    """Up to six buses: a tree with switches, laterals, a transformer or regulator here and there; a tie or two; loads
    and generators of all kinds."""
    buses, edges = [("abc", MEDIUM_KV)], list[Edge]()
    for k in range(1, rng.randint(4, 6)):
        parent = rng.randrange(max(1, k - 2), k) if k > 1 else 0
        phases, kv = buses[parent]
        if k > 2 and rng.random() < 0.4:
            phases = "".join(sorted(rng.sample(phases, rng.randint(1, len(phases)))))
        taps: tuple[int, ...] = ()
        regulator = rng.random() < 0.5
        if k > 1 and rng.random() < 0.3:
            taps = tuple(rng.randint(-3, 3) for _ in phases) if regulator else (rng.randint(-3, 3),) * len(phases)
            kv = kv if regulator else rng.choice((MEDIUM_KV, LOW_KV))
        rating = rng.uniform(10.0, 60.0) * MEDIUM_KV / kv if rng.random() < 0.2 and not taps else None
        moving = not taps and (k == 1 or rng.random() < 0.6)
        edges.append(Edge(parent, k, rng.uniform(0.3, 2.5), moving, phases, rating, taps, regulator))
        buses.append((phases, kv))
    n = len(buses)
    for _ in range(rng.randint(1, 2)):
        a, b = sorted(rng.sample(range(1, n), 2))
        if (common := "".join(sorted(set(buses[a][0]) & set(buses[b][0])))) and buses[a][1] == buses[b][1]:
            edges.append(Edge(a, b, rng.uniform(0.3, 2.5), True, common))

    def unit(bus: int, kw: float, kvar: float = 0.0) -> Unit:
        has = buses[bus][0]
        delta = len(has) > 1 and rng.random() < 0.5
        sets = [s for size in (1, 2, 3) for s in map("".join, itertools.combinations(has, size)) if size > delta]
        phases = rng.choice(sets)
        return Unit(bus, phases, delta, kw * len(phases) / 3.0, kvar * len(phases) / 3.0)

    loads = []
    for bus in range(1, n):
        for _ in range(rng.randint(0, 2)):
            kw = rng.uniform(60.0, 200.0)
            loads.append(unit(bus, kw, rng.uniform(0.2, 0.6) * kw))
    loads = loads or [Unit(1, "abc", False, 100.0, 40.0)]
    whole = [bus for bus in range(1, n) if buses[bus][0] == "abc"]
    generators = [
        Unit(rng.choice(whole), "abc", rng.random() < 0.3, rng.uniform(150.0, 500.0)) for _ in range(rng.randint(1, 2))
    ]
    generators += [unit(rng.randrange(1, n), rng.uniform(100.0, 400.0)) for _ in range(rng.randint(0, 2))]
    return Feeder(buses, edges, loads, generators)


def joined(feeder: Feeder, shut: list[int]) -> nx.MultiGraph:
    """The buses and the edges `shut`."""
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(len(feeder.buses)))
    graph.add_edges_from((feeder.edges[k].a, feeder.edges[k].b, k) for k in shut)
    return graph


def sources(feeder: Feeder, part: set[int], inner: list[int]) -> list[int]:
    """Generators of three phases that reach every phase of every bus of a part along its edges."""
    terminals = nx.Graph()
    terminals.add_nodes_from((bus, phase) for bus in part for phase in feeder.buses[bus][0])
    for edge in (feeder.edges[k] for k in inner):
        terminals.add_edges_from(((edge.a, phase), (edge.b, phase)) for phase in edge.phases)
    found = []
    for g, unit in enumerate(feeder.generators):
        if unit.bus in part and len(unit.parts) == 3:
            own = {(unit.bus, phase) for phase in "abc"}
            if all(own & members for members in nx.connected_components(terminals)):
                found.append(g)
    return found


Ends = dict[tuple[int, str], tuple[float, float]]
"""Least and greatest deviation by load and phase; the phase is empty where the load moves as one."""


def brute_force(
    feeder: Feeder,
    chosen: list[int],
    deviation: float,
    ends: Ends | None = None,
    running: list[float] | None = None,
    whole: float | None = None,
) -> float:
    """Least cost of all partitions with one source an island.

    Args:
        chosen, deviation: loads that deviate, up and down by this; `ends` in their place. running: of each generator,
            what it costs while its block is energised. whole: kW that each block with loads counts, its own if None.
    """
    ends = {(d, ""): (-deviation, deviation) for d in chosen} if ends is None else ends
    moving = [k for k, edge in enumerate(feeder.edges) if edge.switchable]
    fixed = [k for k, edge in enumerate(feeder.edges) if not edge.switchable]
    blocks = list(nx.connected_components(joined(feeder, fixed)))
    weight = []
    for part in blocks:
        own = [d for d in feeder.loads if d.bus in part]
        size = sum(d.kw for d in own) if whole is None else whole * bool(own)
        weight.append((10.0 + 0.01 * len(own)) * size)
    paid = [
        sum(cost for g, cost in zip(feeder.generators, running or [0.0] * len(feeder.generators)) if g.bus in part)
        for part in blocks
    ]
    known: dict[tuple[frozenset[int], tuple[int, ...]], float] = {}

    def robust(part: set[int], inner: list[int]) -> float:
        key = frozenset(part), tuple(inner)
        if key not in known:
            able = sources(feeder, part, inner)
            known[key] = min((island_program(feeder, part, inner, g, ends).value() for g in able), default=math.inf)
        return known[key]

    best = sum(weight)
    for bits in itertools.product((False, True), repeat=len(moving)):
        shut = fixed + [k for k, bit in zip(moving, bits) if bit]
        graph = joined(feeder, shut)
        cost = sum(weight)
        for part in nx.connected_components(graph):
            inner = sorted(k for _, _, k in graph.subgraph(part).edges(keys=True))
            held = any(k in moving for k in inner)
            value = math.inf
            if 0 not in part and nx.is_tree(graph.subgraph(part)):
                value = robust(part, inner) - sum(w - c for w, c, block in zip(weight, paid, blocks) if block <= part)
            # Islands do not meet, so each is dead or has its best source, whatever the others do; a dead one has no
            # closed switch.
            cost += value if held else min(value, 0.0)
        best = min(best, cost)
    return best


@dataclass(frozen=True)
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
    ub: sp.csr_array
    ub_b: np.ndarray
    eq: sp.csr_array
    eq_b: np.ndarray
    low: np.ndarray
    high: np.ndarray
    set_points: dict[int, list[int]]
    follows: dict[int, list[list[int]]]

    def value(self) -> float:
        """Its optimum; inf where there is none."""
        return least(self.cost, self.ub, self.ub_b, self.eq, self.eq_b, self.low, self.high)


def island_program(
    feeder: Feeder, part: set[int], inner: list[int], source: int, ends: Ends, store: Store | None = None
) -> IslandProgram:
    """Set-points and worst cost of following the loads in one island; islands are separate, so the worst of all is the
    sum of the worst of each. The generator of the store costs nothing."""
    places = [(bus, phase) for bus in sorted(part) for phase in feeder.buses[bus][0]]
    at = {place: i for i, place in enumerate(places)}
    wires = [(k, i) for k in inner for i in range(len(feeder.edges[k].phases))]
    units = [g for g in feeder.generators if g.bus in part]
    parts = [(g, which) for g in units for which in g.parts]
    cap = np.array([g.kw / len(g.parts) for g, _ in parts])
    stores = [store if store and g is feeder.generators[store.generator] else None for g, _ in parts]
    price = np.array([0.0 if each else PRICE for each in stores])
    charge = np.array([each.charge / len(g.parts) if each else 0.0 for each, (g, _) in zip(stores, parts)])
    gives = np.zeros((len(places), len(parts)), dtype=complex)
    for j, (g, which) in enumerate(parts):
        for phase, share in _shares(which).items():
            gives[at[g.bus, phase], j] += share
    into = np.zeros((len(places), len(wires)))
    law_w, law_s = np.zeros((len(wires), len(places))), np.zeros((len(wires), len(wires)), dtype=complex)
    for row, (k, i) in enumerate(wires):
        edge, phase = feeder.edges[k], feeder.edges[k].phases[i]
        into[at[edge.b, phase], row] += 1.0
        into[at[edge.a, phase], row] -= 1.0
        law_w[row, at[edge.a, phase]] = (1.0 + STEP * edge.taps[i]) ** -2 if edge.taps else 1.0
        law_w[row, at[edge.b, phase]] = -1.0
        for j, other in enumerate(edge.phases):  # 2 Re(conj(v_i) z i_j), i_j = conj(s_j / v_j)
            turned = edge.ohm[i, j] * np.conj(PHASOR[phase] / PHASOR[other])
            law_s[row, wires.index((k, j))] = 2.0 * turned * 3.0 / (MEDIUM_KV**2 * 1000.0)
    mine = [key for key in ends if feeder.loads[key[0]].bus in part]
    cases = [dict.fromkeys(mine, 0.0)]
    cases += [dict(zip(mine, at_ends)) for at_ends in itertools.product(*(ends[key] for key in mine)) if mine]
    n, e, u = len(places), len(wires), len(parts)
    rated = _rated(feeder, wires)
    circles = np.hstack([np.zeros((len(rated[1]), 2 * u)), rated[0], np.zeros((len(rated[1]), n))])
    balance = np.block([[gives.real, -gives.imag, into, 0 * into], [gives.imag, gives.real, 0 * into, into]])
    own_eq = np.block([[balance, np.zeros((2 * n, n))], [np.zeros((e, 2 * u)), -law_s.real, -law_s.imag, law_w]])
    set_eq = np.vstack([balance[:, : 2 * u], np.zeros((e, 2 * u))])
    both = np.hstack([np.eye(2 * u), np.zeros((2 * u, 2 * e + n))])
    cost_row = np.concatenate([price, np.zeros(u + 2 * e + n)])[None, :]
    side = np.vstack([both, -both, cost_row, circles])
    set_side = np.vstack([np.eye(2 * u), -np.eye(2 * u), np.zeros((1 + len(rated[0]), 2 * u))])
    most = np.concatenate([cap, 0.75 * cap, charge, 0.75 * cap, [0.0], rated[1]])
    worst = np.zeros((len(most), 1))
    worst[4 * u] = -1.0
    count = len(cases)
    eq = sp.hstack(
        [sp.csr_array((count * len(own_eq), 1)), np.tile(set_eq, (count, 1)), sp.kron(sp.eye_array(count), own_eq)]
    )
    ub = sp.hstack([np.tile(worst, (count, 1)), np.tile(set_side, (count, 1)), sp.kron(sp.eye_array(count), side)])
    drawn = [_drawn(feeder, at, case) for case in cases]
    eq_b = np.concatenate([np.concatenate([s.real, s.imag, np.zeros(e)]) for s in drawn])
    low, high = [np.array([-np.inf])], [np.array([np.inf])]
    low += [np.full(2 * u, -np.inf)]
    high += [np.full(2 * u, np.inf)]
    w = np.full((2, n), [[0.97**2], [1.03**2]])
    w[:, [at[feeder.generators[source].bus, phase] for phase in "abc"]] = 1.0
    for number in range(count):
        swing = (RAMP if number else 0.0) * np.concatenate([cap, 0.75 * cap])
        free = np.full(2 * e, np.inf)
        low.append(np.concatenate([-swing, -free, w[0]]))
        high.append(np.concatenate([swing, free, w[1]]))
    per = 2 * u + 2 * e + n
    cost = np.zeros(1 + 2 * u + count * per)
    cost[0], cost[1 : 1 + u] = 1.0, price
    columns = {
        k: [j for j, (g, _) in enumerate(parts) if g is unit]
        for k, unit in enumerate(feeder.generators)
        if unit.bus in part
    }
    return IslandProgram(
        cost,
        sp.csr_array(ub),
        np.tile(most, count),
        sp.csr_array(eq),
        eq_b,
        np.concatenate(low),
        np.concatenate(high),
        {k: [1 + j for j in own] for k, own in columns.items()},
        {k: [[1 + 2 * u + number * per + j for j in own] for number in range(count)] for k, own in columns.items()},
    )


def _shares(which: str) -> dict[str, complex]:
    """What a terminal carries of the power of a part: all of it, or what the current between two phases makes."""
    if len(which) == 1:
        return {which: 1.0}
    one, two = which
    span = PHASOR[one] - PHASOR[two]
    return {one: PHASOR[one] / span, two: -PHASOR[two] / span}


def _rated(feeder: Feeder, wires: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Sides of the polygon of 16 corners in the circle of every rating: rows over p and q of the wires."""
    rows, most = [], []
    for row, (k, _) in enumerate(wires):
        edge = feeder.edges[k]
        if edge.i_max_a is None:
            continue
        corners = edge.i_max_a * feeder.buses[edge.b][1] / math.sqrt(3.0) * np.exp(2j * np.pi * np.arange(17) / 16)
        for one, two in itertools.pairwise(corners):
            side = np.zeros(2 * len(wires))
            side[row], side[len(wires) + row] = (two - one).imag, -(two - one).real
            rows.append(side)
            most.append(one.real * (two - one).imag - one.imag * (two - one).real)
    return np.array(rows).reshape(len(rows), 2 * len(wires)), np.array(most)


def _drawn(feeder: Feeder, at: dict[tuple[int, str], int], case: dict[tuple[int, str], float]) -> np.ndarray:
    """Complex kW of every phase of every bus."""
    drawn = np.zeros(len(at), dtype=complex)
    for d, load in enumerate(feeder.loads):
        if (load.bus, load.phases[0]) in at:
            for which in load.parts:
                s = complex(load.kw, load.kvar) / len(load.parts) * (1.0 + case.get((d, ""), case.get((d, which), 0.0)))
                for phase, share in _shares(which).items():
                    drawn[at[load.bus, phase]] += s * share
    return drawn
