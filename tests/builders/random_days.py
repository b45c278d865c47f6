"""Random small days by seed: a grid of a few buses with everything that a day may hold, and what is asked of it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.random import Generator

from openpoint.arrays import Floats
from openpoint.network import Network
from openpoint.network.day import DayArrays, Demand, Renewables, Stores, Uncertain, UnitLinks
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import OperatingCost, least_loss, no_supply_limits
from openpoint.search.enumeration import count_topologies
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from tests.builders.days import demand, links, stores
from tests.powerflow.small_networks import Branch, make_network

FEATURES = (
    *("batteries", "vehicles", "renewables", "units", "commitment", "ramps", "shift buses", "shift time", "shed"),
    *("uncertain load", "uncertain sun", "at once", "limits", "squares", "inverters", "locks", "banks", "changes"),
    *("negative", "export", "lengths"),
)
"""What a day may hold. `at once`: budgets over quantities in a period; `negative`: a negative price in some period;
`export`: energy that flows back earns something; `lengths`: periods of different lengths."""
LIMITED = "flow limits"
"""Limits of the active and reactive power of every branch, some of which bind."""
REACTIVE = ("reactive load", "reactive prices", "losses by branch")
"""What it may hold beside: an uncertain reactive load; prices of reactive power, of what is shed of it, of losses by
branch."""
MOST_TOPOLOGIES = 12


@dataclass(frozen=True)
class RandomDay:
    """A question, and the features it has."""

    question: DayQuestion
    held: frozenset[str]


@cache
def random_day(
    seed: int,
    features: Collection[str] = FEATURES,
    buses: tuple[int, int] = (5, 8),
    most: int = MOST_TOPOLOGIES,
    chance: float = 0.5,
) -> RandomDay:
    """The day of a seed: 3 to 6 periods, 5 to 8 buses, at most so many topologies, each feature with the same chance.

    Loads are small enough that most days have a plan.
    """
    rng = np.random.default_rng([seed, 15])
    held = frozenset(name for name in features if rng.random() < chance)
    network = _network(rng, held, buses, most)
    network, devices = _units(rng, network, held)
    periods = int(rng.integers(3, 7))
    day = _day(rng, network, held, periods)
    sources = len(network.source_terminal)
    supply = no_supply_limits(len(network.generator_names), sources)
    if "negative" in held:  # what the grid may take then is limited
        supply = replace(supply, p_max=np.full(sources, 3.0))
    if "inverters" in held:
        supply = replace(supply, generator_s_max=np.hypot(network.p_max, 0.5 * network.q_max) + 1e-3)
    question = DayQuestion(
        network=replace(network, s_power=np.zeros_like(network.s_power)),
        devices=devices,
        supply=supply,
        cost=_cost(rng, network, held),
        rules=SwitchingRules.of(network, int(rng.integers(1, 5)) if "changes" in held else None),
        topology=Cadence.ONCE,
        positions=Cadence.ONCE if "banks" in held else Cadence.FIXED,
        day=day,
    )
    return RandomDay(question, held)


def _network(rng: Generator, held: Collection[str], buses: tuple[int, int], most: int) -> Network:
    """A radial grid with a few ties, its loads in `s_power`."""
    while True:
        n = int(rng.integers(buses[0], buses[1] + 1))
        ends = [(int(rng.integers(max(0, bus - 3), bus)), bus) for bus in range(1, n)]
        ties = int(rng.integers(1, 3 if n > 3 else 2))
        while len(ends) < n - 1 + ties:
            a, b = sorted(int(k) for k in rng.choice(n, 2, replace=False))
            if (a, b) not in ends:
                ends.append((a, b))
        z = rng.uniform(0.005, 0.03, len(ends)) + 1j * rng.uniform(0.003, 0.02, len(ends))
        free = rng.random(len(ends)) < (0.7 if "locks" in held else 1.0)
        branches = [
            Branch(a, b, complex(z[k]), closed=k < n - 1, switchable=bool(free[k]) or k >= n - 1)
            for k, (a, b) in enumerate(ends)
        ]
        load = rng.uniform(0.05, 0.25, n) * np.exp(1j * rng.uniform(0.2, 0.5, n))
        load[0] = 0.0
        limits = (0.94, 1.05) if "limits" in held else (0.8, 1.2)
        network = make_network(n, branches, {0: 1.0 + 0.0j}, power=load, v_limits=limits)
        if count_topologies(network) <= most:
            return network


def _units(rng: Generator, network: Network, held: Collection[str]) -> tuple[Network, Devices]:
    """One or two generators, the first of which may stop with `commitment`, and a bank with `banks`."""
    count = int(rng.integers(1, 3)) if "units" in held else 0
    at = rng.integers(1, network.n_terminals, count)
    p_max = rng.uniform(0.1, 0.4, count)
    network = replace(
        network,
        generator_names=tuple(f"unit {k}" for k in range(count)),
        generator_terminal=at,
        generator_return=np.full(count, -1),
        generator_s=np.zeros(count, dtype=np.complex128),
        p_min=p_max * rng.choice([0.0, 0.3], count),
        p_max=p_max,
        q_min=-0.3 * p_max,
        q_max=0.5 * p_max,
    )
    rows: list[tuple[DeviceKind, int, Floats]] = []
    if "banks" in held:
        bus = int(rng.integers(1, network.n_terminals))
        rows.append((DeviceKind.BANK, bus, np.linspace(0.0, float(rng.uniform(0.1, 0.3)), 3)))
    if count and "commitment" in held:
        rows.append((DeviceKind.UNIT, 0, np.array([0.0, 1.0])))
    devices = Devices(
        tuple(f"{kind.name.lower()} {place}" for kind, place, _ in rows),
        np.array([kind for kind, _, _ in rows], dtype=np.int64),
        np.array([place for _, place, _ in rows], dtype=np.int64),
        tuple(values for _, _, values in rows),
        np.zeros(len(rows), dtype=np.int64),
        np.array([int(kind == DeviceKind.UNIT) for kind, _, _ in rows], dtype=np.int64),
    )
    return network, devices


def _day(rng: Generator, network: Network, held: Collection[str], periods: int) -> DayArrays:
    n, sources = network.n_terminals, len(network.source_terminal)
    hours = rng.choice([0.5, 1.0, 2.0], periods) if "lengths" in held else np.ones(periods)
    profile = rng.uniform(0.5, 1.1, periods)
    price = rng.uniform(0.05, 0.25, (periods, 1))
    if "negative" in held:
        price[int(rng.integers(periods))] = -0.03
    export = np.minimum(rng.uniform(0.3, 0.8) * price if "export" in held else 0.0 * price, price)
    suns = _renewables(rng, n, held, periods)
    count = len(network.generator_names)
    return DayArrays(
        names=tuple(f"{t:02}:00" for t in range(periods)),
        hours=hours,
        load_power=np.outer(profile, network.s_power),
        load_current=np.zeros((periods, n), dtype=np.complex128),
        load_impedance=np.zeros((periods, n), dtype=np.complex128),
        source_price=np.repeat(price, sources, axis=1),
        export_price=np.repeat(export, sources, axis=1),
        unit_available=np.ones((periods, count)) if rng.random() < 0.5 else rng.uniform(0.7, 1.0, (periods, count)),
        stores=_stores(rng, n, held, periods, hours),
        renewables=suns,
        units=_links(rng, network, held),
        demand=_demand(rng, n, held),
        uncertain=_uncertain(rng, n, suns.count, held, periods),
        reactive_price=rng.uniform(0.01, 0.04, periods) if "reactive prices" in held else None,
        flow_max=_flow_limits(rng, network) if LIMITED in held else None,
    )


def _flow_limits(rng: Generator, network: Network) -> Floats:
    """(2, E) around the largest flows of the whole load, which the first branches carry."""
    whole = network.s_power.sum()
    return np.outer([whole.real, whole.imag], rng.uniform(0.25, 0.7, network.n_conductors))


def _stores(rng: Generator, n: int, held: Collection[str], periods: int, hours: Floats) -> Stores:
    """A battery, and a vehicle that comes and leaves, whose energy at departure can be reached."""
    kinds = [kind for kind in ("batteries", "vehicles") if kind in held]
    count = len(kinds)
    if not count:
        return stores([])
    vehicle = np.array([kind == "vehicles" for kind in kinds])
    first = np.where(vehicle, rng.integers(0, periods - 1, count), 0)
    last = np.where(vehicle, np.minimum(first + rng.integers(1, 4, count), periods), periods)
    most = rng.uniform(0.2, 0.5, count)
    power = rng.uniform(0.05, 0.2, count)
    start = most * rng.uniform(0.2, 0.6, count)
    there = np.array([hours[a:b].sum() for a, b in zip(first, last, strict=True)])
    efficiency = rng.uniform(0.85, 1.0, (2, count))
    reached = np.minimum(most, start + 0.8 * efficiency[0] * power * there)
    return stores(
        [int(k) for k in rng.integers(1, n, count)],
        vehicle=vehicle,
        first=first,
        last=last,
        energy_max=most,
        energy_start=start,
        energy_end=np.where(vehicle, reached, start),
        charge_max=power,
        discharge_max=np.where(vehicle & (rng.random(count) < 0.5), 0.0, power),
        charge_efficiency=efficiency[0],
        discharge_efficiency=efficiency[1],
        s_max=1.1 * power if "inverters" in held else 0.0,
        wear=rng.choice([0.0, 0.01], count),
    )


def _renewables(rng: Generator, n: int, held: Collection[str], periods: int) -> Renewables:
    count = int(rng.integers(1, 3)) if "renewables" in held else 0
    available = rng.uniform(0.0, 0.3, (periods, count))
    return Renewables(
        tuple(f"plant {k}" for k in range(count)),
        tuple("solar" if k == 0 else "wind" for k in range(count)),
        rng.integers(1, n, count),
        available,
        np.full(count, 0.35 if "inverters" in held else 0.0),
        np.full(count, float(rng.choice([0.0, 0.02]))),
    )


def _links(rng: Generator, network: Network, held: Collection[str]) -> UnitLinks:
    count = len(network.generator_names)
    if "ramps" not in held:
        return links(count, start=rng.uniform(0.0, 0.01, count))
    return links(
        count,
        ramp_up=rng.uniform(0.3, 0.8, count) * network.p_max,
        ramp_down=rng.uniform(0.3, 0.8, count) * network.p_max,
        start=rng.uniform(0.0, 0.01, count),
        on_before=rng.random(count) < 0.5 if "commitment" in held else np.ones(count, dtype=np.bool_),
    )


def _demand(rng: Generator, n: int, held: Collection[str]) -> Demand:
    """With `reactive prices` half of the loads shed reactive power by themselves."""
    own = np.where(np.arange(n) % 2, 0.5, np.nan)
    shares = demand(
        n,
        shift_buses=float(rng.uniform(0.05, 0.2)) if "shift buses" in held else 0.0,
        shift_time=float(rng.uniform(0.05, 0.2)) if "shift time" in held else 0.0,
        shift_price=float(rng.choice([0.0, 0.01])),
        shed_share=1.0 if "shed" in held else 0.0,
        shed_price=float(rng.uniform(1.0, 3.0)),
    )
    return replace(shares, shed_reactive_price=own) if "reactive prices" in held else shares


def _uncertain(rng: Generator, n: int, plants: int, held: Collection[str], periods: int) -> Uncertain:
    """All loads as one quantity or as two, the renewable sources as one."""
    names, groups = list[str](), list[str]()
    load, renewable = np.full(n, -1), np.full(plants, -1)
    if "uncertain load" in held:
        parts = 2 if "at once" in held else 1
        load = rng.integers(0, parts, n)
        names += [f"load {k}" for k in range(parts)]
        groups += ["load"] * parts
    reactive = None
    if "reactive load" in held:
        reactive = np.full(n, len(names))
        names.append("reactive")
        groups.append("reactive")
    if "uncertain sun" in held and plants:
        renewable = np.full(plants, len(names))
        names.append("solar")
        groups.append("solar")
    count = len(names)
    size = np.array([{"load": 0.1, "reactive": 0.25}.get(group, 0.4) for group in groups])
    down, up = (rng.uniform(0.5, 1.0, (periods, count)) * size for _ in range(2))
    hours = rng.integers(1, 3, count) if rng.random() < 0.5 else np.full(count, 1)
    limits = (("load", 1),) if "at once" in held and "load 1" in names else ()
    return Uncertain(tuple(names), tuple(groups), load, renewable, down, up, hours.astype(np.int64), limits, reactive)


def _cost(rng: Generator, network: Network, held: Collection[str]) -> OperatingCost:
    count = len(network.generator_names)
    return replace(
        least_loss(count, len(network.source_terminal), network.n_conductors),
        loss=float(rng.choice([0.0, 0.05])),
        generator=rng.uniform(0.04, 0.2, count),
        square=rng.uniform(0.05, 0.2, count) if "squares" in held else np.zeros(count),
        idle=rng.uniform(0.0, 0.005, count) if "commitment" in held else np.zeros(count),
        change=float(rng.choice([0.0, 1e-4])),
        current=rng.uniform(0.0, 0.2, network.n_conductors) * network.r
        if "losses by branch" in held
        else 0.0 * network.r,
    )
