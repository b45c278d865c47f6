"""Hardening programs for tests, and the least shedding after a disaster by enumeration: every state, every root, one
linear program each, written apart from the model."""

import dataclasses
import itertools
import math
import random

import numpy as np

from openpoint import graph as topology
from openpoint.grid import files
from openpoint.network import build_network
from openpoint.network.limits import Limits
from openpoint.studies.harden.model import Backup, HardenProgram
from openpoint.twostage.risk import Expectation
from openpoint.twostage.uncertainty import Scenarios
from tests.builders.linear_program import least
from tests.powerflow.small_networks import Branch, make_network

A, B, C = (2, 11), (4, 6, 11), (2, 5, 8, 14, 15)
"""Disasters of the 13-bus grid: numbers of the broken lines."""


def zhang(*disasters: tuple[int, ...], odds: tuple[float, ...] = (1.0,), **options: object) -> HardenProgram:
    """The program of the published figures on 13 buses: $400 a line, $150 a generator of 100 kW, $14 per kW."""
    network = Limits().applied(build_network(files.load("zhang13")))
    n, e = network.n_terminals, network.n_conductors
    broken = np.zeros((len(disasters), e))
    for k, lines in enumerate(disasters):
        broken[k, np.array(lines) - 1] = 1.0
    buses = np.setdiff1d(np.arange(n), network.source_terminal)
    program = HardenProgram(
        network=network,
        uncertainty=Scenarios(broken, np.array(odds)),
        risk=Expectation(),
        lines=np.arange(e),
        line_usd=np.full(e, 400.0),
        buses=buses,
        generator_usd=np.full(len(buses), 150.0),
        backup=Backup(100.0, 0.0),
        voll_usd_per_kw=np.full(n, 14.0),
        closed_line_usd=0.01,
    )
    return dataclasses.replace(program, **options)


def random_program(rng: random.Random) -> HardenProgram:
    """A grid of a few buses where everything may bind: limits, ratings, fixed branches, infeed, generators, taps."""
    n = rng.randint(3, 5)
    edges = [(rng.randrange(i), i) for i in range(1, n)] + [tuple(rng.sample(range(n), 2)) for _ in range(3)]
    fixed = set(rng.sample(range(n - 1), 1)) if rng.random() < 0.4 else set()
    dead = rng.randrange(n - 1, len(edges)) if rng.random() < 0.2 else -1
    branches = [
        Branch(
            *(pair if rng.random() < 0.5 else pair[::-1]),
            z=complex(rng.uniform(0.0, 0.1), rng.uniform(0.0, 0.1)),
            tap=rng.choice((1.0, 1.0, 0.98)),
            switchable=k not in fixed and k != dead,
            closed=k != dead,
            i_max=rng.choice((np.inf, np.inf, rng.uniform(0.2, 1.0))),
        )
        for k, pair in enumerate(edges)
    ]
    loads = [complex(rng.uniform(-0.1, 0.6), rng.uniform(-0.1, 0.3)) for _ in range(n)]
    sources = {0: 1.0 + 0j} | ({1: 1.02 + 0j} if rng.random() < 0.2 and 0 not in fixed else {})
    generators = [(rng.randrange(1, n), 0.1 + 0j)] if rng.random() < 0.4 else []
    network = make_network(n, branches, sources, power=loads, generators=generators)
    count = len(generators)
    network = dataclasses.replace(
        network,
        w_min=np.full(n, rng.choice((0.81, 0.94))),
        p_min=np.full(count, 0.05),
        p_max=np.full(count, 0.3),
        q_min=np.full(count, -0.1),
        q_max=np.full(count, 0.1),
    )
    buses = np.setdiff1d(np.arange(n), network.source_terminal)
    e = len(branches)
    return HardenProgram(
        network=Limits().applied(network),
        uncertainty=Scenarios(np.array([[float(rng.random() < 0.4) for _ in range(e)]]), np.ones(1)),
        risk=Expectation(),
        lines=np.arange(e),
        line_usd=np.array([rng.uniform(100, 500) for _ in range(e)]),
        buses=buses,
        generator_usd=np.array([rng.uniform(50, 200) for _ in buses]),
        backup=Backup(200.0, 100.0),
        voll_usd_per_kw=np.array([rng.uniform(5.0, 20.0) for _ in range(n)]),
        closed_line_usd=rng.choice((0.0, 3.0)),
    )


def random_decision(rng: random.Random, program: HardenProgram, share: float = 0.25) -> np.ndarray:
    return np.array([float(rng.random() < share) for _ in program.costs])


def brute_force(program: HardenProgram, decision: np.ndarray, broken: np.ndarray) -> float:
    """Least cost of the recourse; inf where there is none."""
    net = program.network
    n, fr, to = net.n_terminals, net.terminal_fr, net.terminal_to
    h, g = decision[: len(program.lines)], decision[len(program.lines) :]
    whole = (broken < 0.5) | np.isin(np.arange(len(broken)), program.lines[h > 0.5])
    must = whole & net.closed & ~net.switchable
    may = whole & (net.switchable | net.closed)
    choice = np.flatnonzero(may & ~must)
    built = program.buses[g > 0.5]
    best = math.inf
    for bits in itertools.product((False, True), repeat=len(choice)):
        closed = must.copy()
        closed[choice] = bits
        island = topology.islands(n, fr, to, closed)
        dead_loops = False
        for number in range(island.max() + 1):
            members = island == number
            dead_loops |= bool(np.sum(closed & members[fr]) >= members.sum())
        if dead_loops:  # opening a branch of a dead loop changes nothing but saves its cost
            continue
        options = []
        for number in range(island.max() + 1):
            members = np.flatnonzero(island == number)
            fed = np.intersect1d(members, net.source_terminal)
            if len(fed) > 1:
                break
            options.append([int(fed[0])] if len(fed) else [-1, *np.intersect1d(members, built).tolist()])
        else:
            for roots in itertools.product(*options):
                best = min(best, _dispatched(program, closed, island, np.array(roots), built))
    return best


def _dispatched(
    program: HardenProgram, closed: np.ndarray, island: np.ndarray, roots: np.ndarray, built: np.ndarray
) -> float:
    """One linear program over shares served, generators, flows and voltages, all else given."""
    net = program.network
    n, wires = net.n_terminals, np.flatnonzero(closed)
    alive = roots[island] >= 0
    size = {"served": n, "gp": len(built), "gq": len(built), "dp": len(net.p_max), "dq": len(net.p_max)}
    size |= {"p": len(wires), "q": len(wires), "w": n, "sp": n, "sq": n}
    start = dict(zip(size, np.cumsum([0, *size.values()])))
    total = sum(size.values())
    low, high = np.zeros(total), np.zeros(total)

    def put(name: str, least: object, most: object) -> None:
        low[start[name] : start[name] + size[name]] = least
        high[start[name] : start[name] + size[name]] = most

    base = net.s_base_kva
    on = alive[built].astype(float)
    put("served", 0.0, alive * 1.0)
    put("gp", 0.0, on * program.backup.p_kw / base)
    put("gq", -on * program.backup.q_kvar / base, on * program.backup.q_kvar / base)
    fed = alive[net.generator_terminal]
    put("dp", np.minimum(net.p_min, 0) * fed, np.maximum(net.p_max, 0) * fed)
    put("dq", np.minimum(net.q_min, 0) * fed, np.maximum(net.q_max, 0) * fed)
    put("p", -np.inf, np.inf)
    put("q", -np.inf, np.inf)
    w_low = np.where(net.w_min > 0, net.w_min, 0.81)
    w_high = np.where(np.isfinite(net.w_max), net.w_max, 1.21)
    for root in roots[roots >= 0]:
        held = np.clip(1.0, w_low[root], w_high[root])
        for source, v in zip(net.source_terminal, net.source_v):
            held = abs(v) ** 2 if source == root else held
        w_low[root] = w_high[root] = held
    put("w", w_low, w_high)
    is_source = np.isin(np.arange(n), net.source_terminal)
    put("sp", np.where(is_source, -np.inf, 0.0), np.where(is_source, np.inf, 0.0))
    put("sq", np.where(is_source, -np.inf, 0.0), np.where(is_source, np.inf, 0.0))

    rows, right = [], []
    demand = net.s_power + net.s_current + net.s_impedance
    for flow, gen, disp, slack, d in (("p", "gp", "dp", "sp", demand.real), ("q", "gq", "dq", "sq", demand.imag)):
        balance = np.zeros((n, total))
        for k, e in enumerate(wires):
            balance[net.terminal_to[e], start[flow] + k] += 1.0
            balance[net.terminal_fr[e], start[flow] + k] -= 1.0
        for k, bus in enumerate(built):
            balance[bus, start[gen] + k] += 1.0
        for k, bus in enumerate(net.generator_terminal):
            balance[bus, start[disp] + k] += 1.0
        balance[np.arange(n), start[slack] + np.arange(n)] += 1.0
        balance[np.arange(n), start["served"] + np.arange(n)] -= d
        rows.append(balance)
        right.append(np.zeros(n))
    law = np.zeros((len(wires), total))
    below, most = [], []
    for k, e in enumerate(wires):
        law[k, start["w"] + net.terminal_fr[e]] += 1.0 / net.tap[e] ** 2
        law[k, start["w"] + net.terminal_to[e]] -= 1.0
        law[k, start["p"] + k], law[k, start["q"] + k] = -2 * net.r[e], -2 * net.x[e]
        if np.isfinite(net.l_max[e]):
            # At the from end the current is 1 / tap of that in series.
            corners = min(net.tap[e], 1.0) * np.sqrt(net.l_max[e]) * np.exp(2j * np.pi * np.arange(17) / 16)
            for a, b in itertools.pairwise(corners):  # inside of the side from corner a to corner b
                side = np.zeros(total)
                side[start["p"] + k], side[start["q"] + k] = (b - a).imag, -(b - a).real
                below.append(side)
                most.append(a.real * (b - a).imag - a.imag * (b - a).real)
    price = program.voll_usd_per_kw * base * np.maximum(demand.real, 0.0)
    cost = np.zeros(total)
    cost[start["served"] : start["served"] + n] = -price
    ub = np.array(below).reshape(-1, total)
    eq_b = np.concatenate([*right, np.zeros(len(wires))])
    found = least(cost, ub, np.array(most), np.vstack([*rows, law]), eq_b, low, high)
    return float(found + price.sum() + program.closed_line_usd * closed.sum())
