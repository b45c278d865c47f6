"""Small feeders over two or three steps, their best plan by enumeration, and partitions at the published levels."""

import dataclasses
import itertools
import math
import random
from dataclasses import dataclass, field
from functools import cache

import networkx as nx
import numpy as np
import scipy.sparse as sp

import openpoint
from openpoint.grid import Grid
from openpoint.scenarios.horizon import Horizon
from openpoint.studies.partition.result import PartitionResult
from tests.builders.linear_program import least
from tests.builders.microgrids import (
    Feeder,
    IslandProgram,
    Store,
    island_program,
    joined,
    sources,
    three_phase_feeder,
)


@dataclass
class Day:
    """Steps. events: (step, line, event). open_today: lines."""

    hours: list[float]
    share: list[float]
    events: list[tuple[int, int, str]] = field(default_factory=list)
    store: Store | None = None
    max_actions: int | None = None
    keep_energised: bool = False
    open_today: set[int] = field(default_factory=set)

    def horizon(self) -> Horizon:
        """The same as tables."""
        stored = None
        if (s := self.store) is not None:
            stored = [
                {"generator": f"g{s.generator}", "energy_kwh": s.energy, "start_kwh": s.start, "least_kwh": s.least}
                | {"end_kwh": s.end, "charge_kw": s.charge, "charge_efficiency": s.into, "discharge_efficiency": s.out}
            ]
        return Horizon.from_tables(
            [
                {"step": f"t{k}", "hours": h, "load_share": share}
                for k, (h, share) in enumerate(zip(self.hours, self.share))
            ],
            events=[{"step": f"t{t}", "branch": f"l{k}", "event": event} for t, k, event in self.events] or None,
            storage=stored,
        )

    def grid(self, feeder: Feeder) -> Grid:
        """The feeder as it is today."""
        return feeder.grid().with_closed({f"l{k}": False for k in self.open_today})


def moving(feeder: Feeder) -> list[int]:
    """Lines that are switches."""
    return [k for k, edge in enumerate(feeder.edges) if edge.switchable]


def parted(feeder: Feeder, shut: list[int]) -> list[set[int]]:
    """Sets of buses that the lines `shut` join."""
    return list(nx.connected_components(joined(feeder, shut)))


def fixed(feeder: Feeder) -> list[int]:
    """Lines that are no switches, which make the blocks."""
    return [k for k, edge in enumerate(feeder.edges) if not edge.switchable]


def random_day(rng: random.Random, steps: int, *, stored: bool) -> tuple[Feeder, Day]:
    """A feeder with at most five switches and a day on it."""
    while True:
        feeder = three_phase_feeder(rng)
        switches = moving(feeder)
        if len(switches) <= (4 if stored else 5) and nx.is_forest(joined(feeder, fixed(feeder))):
            break
    events = []
    for k in rng.sample(range(len(feeder.edges)), rng.randint(0, 2)):
        t = rng.randrange(steps)
        event = rng.choice(("fault", "open", "close")) if k in switches else "fault"
        events.append((t, k, event))
        if t + 1 < steps and rng.random() < 0.5:
            events.append((t + 1, k, "release"))
    faults = any(event == "fault" and k not in switches for _, k, event in events)
    if faults:  # a switch at the block of a fault cannot be held closed
        events = [each for each in events if each[2] != "close"]
        held = {k for _, k, event in events if event != "release"}
        events = [each for each in events if each[1] in held]
    store = None
    if stored:
        g = rng.randrange(len(feeder.generators))
        size = feeder.generators[g].kw
        energy = rng.uniform(0.2, 1.5) * size
        start = rng.uniform(0.2, 0.9) * energy
        store = Store(
            g,
            energy,
            start,
            least=0.1 * energy,
            end=rng.choice((0.1 * energy, 0.5 * start + 0.05 * energy)),
            charge=rng.uniform(0.2, 1.0) * size,
            into=rng.choice((1.0, 0.9)),
            out=rng.choice((1.0, 0.95)),
        )
    day = Day(
        hours=[rng.choice((0.5, 1.0, 2.0)) for _ in range(steps)],
        share=[rng.uniform(0.5, 1.4) for _ in range(steps)],
        events=events,
        store=store,
        max_actions=rng.choice((None, None, 0, 1, 2)),
        keep_energised=rng.random() < 0.4,
        open_today={k for k in switches if rng.random() < 0.5},
    )
    return feeder, day


@dataclass
class Choice:
    """What is done in a step: states of the switches, energised blocks, programs of its islands, the cost of what is
    dead, and what it costs at least."""

    states: tuple[bool, ...]
    energised: frozenset[int]
    islands: list[IslandProgram]
    dead: float
    least: float


def best_day(feeder: Feeder, day: Day, chosen: list[int], deviation: float) -> float:
    """Least cost of all plans with one source an island."""
    switches, held, options = moving(feeder), _held(feeder, day), []
    for t in range(len(day.hours)):
        found = _choices(feeder, day, t, held[t], chosen, deviation)
        options.append(sorted(found, key=lambda c: c.least))
    rest = [0.0]
    for each in reversed(options):
        rest.insert(0, rest[0] + each[0].least)
    best = math.inf

    def go_on(t: int, before: tuple[bool, ...], energised: frozenset[int], plan: list[Choice], spent: float) -> None:
        nonlocal best
        if t == len(options):
            best = min(best, spent if day.store is None else _with_store(day, plan, deviation))
            return
        opened, shut, dead = held[t]
        for choice in options[t]:
            if spent + choice.least + rest[t + 1] >= best - 1e-9:
                break
            free = [k not in opened | shut for k in switches]
            actions = sum(a != b for a, b, counts in zip(before, choice.states, free) if counts)
            if day.max_actions is not None and actions > day.max_actions:
                continue
            if t and day.keep_energised and not energised - dead <= choice.energised:
                continue
            go_on(t + 1, choice.states, choice.energised, [*plan, choice], spent + choice.least)

    today = tuple(k not in day.open_today for k in switches)
    go_on(0, today, frozenset(), [], 0.0)
    return best


def _held(feeder: Feeder, day: Day) -> list[tuple[set[int], set[int], frozenset[int]]]:
    """Lines held open, lines held closed and blocks (by number) that are dead, for each step."""
    switches, blocks = moving(feeder), parted(feeder, fixed(feeder))
    ends = [{edge.a, edge.b} for edge in feeder.edges]
    now: dict[int, str] = {}
    found = []
    for t in range(len(day.hours)):
        for at, k, event in day.events:
            if at == t and event == "release":
                del now[k]
            elif at == t:
                now[k] = event
        dead = frozenset(b for b, part in enumerate(blocks) for k in now if k not in switches and ends[k] <= part)
        around = {k for k in switches if any(ends[k] & blocks[b] for b in dead)}
        opened = around | {k for k, event in now.items() if event in ("fault", "open") and k in switches}
        found.append((opened, {k for k, event in now.items() if event == "close"}, dead))
    return found


def _choices(
    feeder: Feeder,
    day: Day,
    t: int,
    held: tuple[set[int], set[int], frozenset[int]],
    chosen: list[int],
    deviation: float,
) -> list[Choice]:
    share = day.share[t]
    scaled = dataclasses.replace(
        feeder, loads=[dataclasses.replace(load, kw=load.kw * share, kvar=load.kvar * share) for load in feeder.loads]
    )
    ends = {(d, ""): (-deviation, deviation) for d in chosen}
    switches, still, (opened, shut_by_event, dead) = moving(feeder), fixed(feeder), held
    blocks = parted(feeder, still)
    weight = []
    for part in blocks:
        own = [d for d in scaled.loads if d.bus in part]
        weight.append(day.hours[t] * (10.0 + 0.01 * len(own)) * sum(d.kw for d in own))
    known: dict[tuple[frozenset[int], frozenset[int], int], tuple[float, IslandProgram]] = {}

    def cheapest(part: set[int], inner: list[int]) -> list[tuple[float, IslandProgram]]:
        """The island with each of its sources, where it can run."""
        found = []
        for g in sources(scaled, part, inner):
            key = frozenset(part), frozenset(inner), g
            if key not in known:
                program = island_program(scaled, part, inner, g, ends, day.store)
                program.cost = day.hours[t] * program.cost
                known[key] = program.value(), program
            if math.isfinite(known[key][0]):
                found.append(known[key])
        # Without energy in store nothing links the islands of different steps: the cheapest source will do.
        return found if day.store is not None else sorted(found, key=lambda each: each[0])[:1]

    found = []
    for bits in itertools.product((False, True), repeat=len(switches)):
        state = dict(zip(switches, bits))
        if any(state[k] for k in opened) or not all(state[k] for k in shut_by_event):
            continue
        shut = still + [k for k in switches if state[k]]
        ways: list[list[tuple[set[int], tuple[float, IslandProgram] | None]]] = []
        for part in parted(feeder, shut):
            inner = [k for k in shut if feeder.edges[k].a in part]
            able = 0 not in part and len(inner) == len(part) - 1 and not any(blocks[b] <= part for b in dead)
            ways.append([(part, None), *((part, each) for each in (cheapest(part, inner) if able else []))])
        for way in itertools.product(*ways):
            energised = frozenset(b for b, block in enumerate(blocks) for part, run in way if run and block <= part)
            off = sum(w for b, w in enumerate(weight) if b not in energised)
            runs = [run for _, run in way if run]
            found.append(Choice(bits, energised, [run[1] for run in runs], off, off + sum(run[0] for run in runs)))
    return found


def _with_store(day: Day, plan: list[Choice], deviation: float) -> float:
    """The linear program over all steps, tried with charging and with discharging in every step."""
    store, steps = day.store, len(plan)
    pieces = [(t, island) for t, choice in enumerate(plan) for island in choice.islands]
    at = np.cumsum([0, *(len(island.cost) for _, island in pieces)])
    n, own = int(at[-1]), 5  # out, into, energy, more, less a step
    total = n + own * steps

    def values(name: str) -> list[float]:
        return [value for _, island in pieces for value in getattr(island, name)]

    eq, ub = list[np.ndarray](), list[np.ndarray]()
    eq_b, ub_b = values("eq_b"), values("ub_b")
    low = np.array(values("low") + [0.0, 0.0, store.least, 0.0, 0.0] * steps)
    high = np.array(
        values("high") + [math.inf, math.inf, store.energy, *(2 * [math.inf if deviation else 0.0])] * steps
    )
    for t in range(steps):
        out, into, energy, more, less = range(n + own * t, n + own * (t + 1))
        power = np.zeros(total)
        power[out], power[into] = -1.0, 1.0
        for (step, island), start in zip(pieces, at):
            if step == t and store.generator in island.set_points:
                power[[start + c for c in island.set_points[store.generator]]] = 1.0
                for follow in island.follows[store.generator]:
                    row = np.zeros(total)
                    row[[start + c for c in follow]] = 1.0
                    upper, lower = row.copy(), -row
                    upper[more], lower[less] = -1.0, -1.0
                    ub += [upper, lower]
                    ub_b += [0.0, 0.0]
        eq.append(power)
        eq_b.append(0.0)
        balance = np.zeros(total)
        balance[energy], balance[out], balance[into] = 1.0, day.hours[t] / store.out, -day.hours[t] * store.into
        if t:
            balance[energy - own] = -1.0
        eq.append(balance)
        eq_b.append(0.0 if t else store.start)
        empty, full = np.zeros(total), np.zeros(total)
        empty[energy], full[energy] = -1.0, 1.0
        for s in range(t + 1):
            empty[n + own * s + 3] = day.hours[s] / store.out
            full[n + own * s + 4] = day.hours[s] / store.out
        ub += [empty, full]
        ub_b += [-(store.end if t == steps - 1 else store.least), store.energy]
    cost = np.array(values("cost") + [0.0] * (own * steps))
    dead, best = sum(choice.dead for choice in plan), math.inf

    def rows(name: str, more: list[np.ndarray]) -> sp.csr_array:
        own_rows = [getattr(island, name) for _, island in pieces]
        wide = (
            sp.csr_array((0, total))
            if not own_rows
            else sp.hstack(
                [sp.block_diag(own_rows), sp.csr_array((sum(each.shape[0] for each in own_rows), own * steps))]
            )
        )
        return sp.csr_array(sp.vstack([wide, np.array(more)]))

    for charging in itertools.product((False, True), repeat=steps):
        top = high.copy()
        for t, takes in enumerate(charging):
            top[n + own * t + (0 if takes else 1)] = 0.0
        best = min(best, dead + least(cost, rows("ub", ub), ub_b, rows("eq", eq), eq_b, low, top))
    return best


SIX = ("s712c", "s720c", "s722b", "s728", "s731b", "s738a")
"""The loads that are uncertain."""


def planned(level: float, loads: int | str | tuple[str, ...] = SIX) -> PartitionResult:
    """The plan where these loads deviate by up to a share."""
    return _planned(level, loads)


@cache
def _planned(level: float, loads: int | str | tuple[str, ...]) -> PartitionResult:
    return openpoint.partition(openpoint.read("ieee37-microgrids"), uncertainty=level, uncertain_loads=loads)
