"""Days as arrays for tests: a network with its own load by period, and nothing else until it is added."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from openpoint.network import Network
from openpoint.network.day import DayArrays, DayPlan, Demand, Renewables, Stores, Uncertain, UnitLinks
from openpoint.network.devices import no_devices
from openpoint.network.operating_cost import least_loss, no_supply_limits
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion


def stores(terminals: list[int], **columns: Any) -> Stores:
    """Stores at terminals; columns replace the defaults, one number for all or one each."""
    count = len(terminals)
    given = {
        "first": 0,
        "last": 10_000,
        "energy_min": 0.0,
        "energy_max": 0.5,
        "energy_start": 0.2,
        "energy_end": 0.2,
        "charge_max": 0.1,
        "discharge_max": 0.1,
        "charge_efficiency": 0.95,
        "discharge_efficiency": 0.9,
        "s_max": 0.0,
        "wear": 0.0,
    } | columns
    arrays = {
        name: np.broadcast_to(np.asarray(value), (count,)).astype(np.int64 if name in ("first", "last") else np.float64)
        for name, value in given.items()
        if name not in ("names", "vehicle")
    }
    vehicle = np.broadcast_to(np.asarray(given.get("vehicle", False)), (count,)).astype(np.bool_)
    return Stores(tuple(f"store {k}" for k in range(count)), vehicle, np.array(terminals, dtype=np.int64), **arrays)


def renewables(
    terminals: list[int], available: np.ndarray, *, s_max: float = 0.0, curtailment: float = 0.0
) -> Renewables:
    """Solar sources at terminals, (T, R) available."""
    count = len(terminals)
    return Renewables(
        tuple(f"sun {k}" for k in range(count)),
        ("solar",) * count,
        np.array(terminals, dtype=np.int64),
        np.asarray(available, dtype=np.float64),
        np.full(count, s_max),
        np.full(count, curtailment),
    )


def links(count: int, **columns: Any) -> UnitLinks:
    """No ramps and no cost of starts; columns replace the defaults."""
    nothing = UnitLinks(
        ramp_up=np.full(count, np.inf),
        ramp_down=np.full(count, np.inf),
        start=np.zeros(count),
        on_before=np.ones(count, dtype=np.bool_),
        p_before=np.full(count, np.nan),
    )
    return replace(nothing, **columns)


def demand(count: int, **shares: float) -> Demand:
    """Shares and prices, the same at all terminals; 0 where they are not given."""
    names = ("shift_buses", "shift_time", "shift_price", "shed_share", "shed_price")
    return Demand(**{name: np.full(count, shares.get(name, 0.0)) for name in names})


def certain(terminals: int, sources: int, periods: int) -> Uncertain:
    """Nothing is uncertain."""
    nothing = np.zeros((periods, 0))
    none = np.full(terminals, -1, dtype=np.int64), np.full(sources, -1, dtype=np.int64)
    return Uncertain((), (), *none, nothing, nothing, np.empty(0, dtype=np.int64))


def by_group(
    terminals: int, kinds: tuple[str, ...], periods: int, *, load: float, solar: float, hours: int
) -> Uncertain:
    """All loads as one quantity, all renewable sources as another."""
    spread = np.tile([load, solar], (periods, 1))
    return Uncertain(
        ("load", "solar"),
        ("load", "solar"),
        np.zeros(terminals, dtype=np.int64),
        np.ones(len(kinds), dtype=np.int64),
        spread,
        spread,
        np.array([hours, hours]),
    )


def day_of(network: Network, profile: np.ndarray, **parts: Any) -> tuple[Network, DayArrays]:
    """A network without its loads, and a day on which they follow a profile (T); parts replace the defaults."""
    periods, n, s = len(profile), network.n_terminals, len(network.source_terminal)
    spread = np.asarray(profile, dtype=np.float64)[:, None]
    plain = {
        "names": tuple(f"{t:02}:00" for t in range(periods)),
        "hours": np.ones(periods),
        "load_power": spread * network.s_power,
        "load_current": spread * network.s_current,
        "load_impedance": spread * network.s_impedance,
        "source_price": np.full((periods, s), 0.1),
        "export_price": np.zeros((periods, s)),
        "unit_available": np.ones((periods, len(network.generator_names))),
        "stores": stores([]),
        "renewables": renewables([], np.zeros((periods, 0))),
        "units": links(len(network.generator_names)),
        "demand": demand(n),
        "uncertain": certain(n, len(parts["renewables"].names) if "renewables" in parts else 0, periods),
    }
    none = np.zeros(n, dtype=np.complex128)
    bare = replace(network, s_power=none, s_current=none, s_impedance=none)
    return bare, DayArrays(**{**plain, **parts})


def question_of(network: Network, day: DayArrays, **parts: Any) -> DayQuestion:
    """A question with a fixed topology, no devices, no limits of sources, and no prices but those of the day."""
    g, e = len(network.generator_names), network.n_conductors
    free = np.zeros(e, dtype=np.bool_)
    cost = replace(least_loss(g, len(network.source_terminal), e), loss=0.0)
    supply = no_supply_limits(g, len(network.source_terminal))
    plain = {
        "network": network,
        "devices": no_devices(),
        "supply": supply,
        "cost": cost,
        "must_close": free,
        "must_open": free,
        "topology": Cadence.FIXED,
        "positions": Cadence.FIXED,
        "max_changes": None,
        "day": day,
    }
    return DayQuestion(**{**plain, **parts})


def idle_plan(question: DayQuestion) -> DayPlan:
    """Today's topology, positions and outputs in every period; stores rest, nothing is moved in time."""
    network, day = question.network, question.day
    t, rest = day.periods, np.zeros((day.periods, day.stores.count))
    return DayPlan(
        closed=np.tile(network.closed, (t, 1)),
        positions=np.tile(question.devices.today, (t, 1)),
        generation=np.tile(network.generator_s, (t, 1)),
        charge=rest,
        discharge=rest,
        store_q=rest,
        shift=np.zeros((t, network.n_terminals)),
    )
