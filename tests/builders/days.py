"""Days as arrays for tests: a network with its own load by period; one on the ring, one small, one as tables."""

from dataclasses import replace
from typing import Any

import numpy as np

from openpoint import Day, Grid
from openpoint.network import Network, build_network
from openpoint.network.day import DayArrays, DayPlan, Demand, Renewables, Stores, Uncertain, UnitLinks
from openpoint.network.devices import DeviceKind, Devices, no_devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import least_loss, no_supply_limits
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.options import DayOptions
from openpoint.studies.dispatch.day.study import PreparedDay, prepare_arrays
from tests.builders.dispatch_grids import ring
from tests.grid.small import grid, tables
from tests.powerflow.small_networks import Branch, make_network


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
        "rules": SwitchingRules(free, free),
        "topology": Cadence.FIXED,
        "positions": Cadence.FIXED,
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


PROFILE = np.array([0.6, 0.9, 1.0, 0.8])
HOURS = np.array([6.0, 6.0, 6.0, 5.0])  # a day of 23 h


def prepared(grid: Grid | None = None, *, parts: dict[str, Any] | None = None, **options: Any) -> PreparedDay:
    """The day of the ring, ready to be solved; `parts` replace what the day has, `options` what is asked."""
    grid = grid or ring()
    network = build_network(grid)
    base, n = network.s_base_kva, network.n_terminals
    sun = np.array([[0.0, 60.0], [250.0, 80.0], [120.0, 100.0], [0.0, 90.0]]) / base
    held = stores(
        [1, 3],
        vehicle=[False, True],
        first=[0, 1],
        last=[4, 3],
        energy_max=np.array([800.0, 100.0]) / base,
        energy_start=np.array([400.0, 20.0]) / base,
        energy_end=np.array([400.0, 80.0]) / base,
        charge_max=np.array([100.0, 11.0]) / base,
        discharge_max=np.array([100.0, 0.0]) / base,
        wear=[0.01, 0.0],
    )
    held = replace(held, names=("battery", "car"))
    plain: dict[str, Any] = {
        "hours": HOURS,
        "source_price": np.array([[0.05], [0.12], [0.2], [0.1]]),
        "renewables": renewables([2, 3], sun, curtailment=0.03),
        "stores": held,
        "units": links(1, start=np.array([20.0]) / base, on_before=np.array([False])),
        "demand": demand(n, shift_buses=0.2, shift_time=0.1, shift_price=0.02, shed_share=0.3, shed_price=3.0),
    }
    bare, day = day_of(network, PROFILE, **{**plain, **(parts or {})})
    return prepare_arrays(grid, bare, day, "ring-day", DayOptions(**{"method": "columns", **options}))


PERIODS = 4


def small_day(hours: int = 1, *, v_min: float = 0.9, v_max: float = 1.1, **parts: Any) -> DayQuestion:
    """The question; `hours` is the budget of load and sun, parts replace those of its day."""
    branches = [
        *(Branch(a, b, z) for a, b, z in ((0, 1, 0.01 + 0.01j), (1, 2, 0.03 + 0.02j), (2, 3, 0.04 + 0.03j))),
        *(Branch(a, b, z) for a, b, z in ((1, 4, 0.03 + 0.03j), (4, 5, 0.05 + 0.03j))),
        Branch(3, 5, 0.04 + 0.04j, closed=False),
    ]
    load = np.array([0.0, 0.1, 0.2, 0.25, 0.15, 0.2]) * (1.0 + 0.4j)
    limits = (v_min, v_max)
    net = make_network(6, branches, {0: 1.0 + 0.0j}, power=list(load), generators=[(3, 0.0j)], v_limits=limits)
    net = replace(net, p_min=np.array([0.0]), p_max=np.array([0.2]), q_min=np.array([-0.1]), q_max=np.array([0.1]))
    sun = np.array([[0.0], [0.3], [0.25], [0.0]])
    spread = np.tile([0.15, 0.4], (PERIODS, 1))
    plain = {
        "hours": np.array([1.0, 1.0, 2.0, 1.0]),
        "source_price": np.array([[0.05], [0.1], [0.08], [0.2]]),
        "export_price": np.full((PERIODS, 1), 0.02),
        "stores": stores([4, 5], s_max=[0.12, 0.0], last=[PERIODS, 2], energy_end=[0.2, 0.25], wear=0.001),
        "renewables": renewables([5], sun, s_max=0.35, curtailment=0.01),
        "units": links(1, ramp_up=np.array([0.08]), ramp_down=np.array([0.1])),
        "demand": demand(6, shift_buses=0.05, shift_time=0.1, shift_price=0.01, shed_share=1.0, shed_price=2.0),
        "uncertain": Uncertain(
            ("load", "solar"),
            ("load", "solar"),
            np.zeros(6, dtype=np.int64),
            np.array([1]),
            spread,
            spread,
            np.array([hours, hours]),
        ),
    }
    bare, day = day_of(net, np.array([0.6, 0.8, 0.7, 1.2]), **{**plain, **parts})
    cost = replace(least_loss(1, 1, 6), loss=0.02, generator=np.array([0.11]), square=np.array([0.1]))
    free = np.zeros(6, dtype=np.bool_)
    return DayQuestion(
        bare,
        no_devices(),
        no_supply_limits(1, 1),
        cost,
        SwitchingRules(free, free),
        Cadence.ONCE,
        Cadence.FIXED,
        day,
    )


def with_stopping_unit(question: DayQuestion) -> DayQuestion:
    """The question with a generator that may stop, costs by the hour and by the start, and has a least output."""
    unit = Devices(
        ("unit",),
        np.array([int(DeviceKind.UNIT)]),
        np.array([0]),
        (np.array([0.0, 1.0]),),
        np.array([0]),
        np.array([1]),
    )
    return replace(
        question,
        network=replace(question.network, p_min=np.array([0.12])),
        devices=unit,
        cost=replace(question.cost, idle=np.array([0.002])),
        day=replace(question.day, units=links(1, start=np.array([0.004]), on_before=np.array([False]))),
    )


NAMES = ["0", "6", "12", "18"]
CLOCK = ["00:00", "06:00", "12:00", "18:00"]


def small() -> Grid:
    """Five buses; the generator may stop, transformer, bank and source can be set."""
    changed = tables()
    changed["transformers"][0] |= {"controllable": True, "tap_pos": 1}
    changed["capacitors"][0] |= {"controllable": True}
    changed["generators"][0] |= {"may_stop": True, "p_min_kw": 10.0, "p_kw": 0.0, "cost_usd_per_kwh": 0.1}
    changed["generators"] += [{"name": "gas", "bus": "C", "p_kw": 5.0, "p_min_kw": 0.0, "p_max_kw": 60.0,
                               "cost_usd_per_kwh": 0.12}]  # fmt: skip
    return grid(changed)


def day(**more: Any) -> Day:
    given: dict[str, Any] = {
        "periods": {
            "period": NAMES,
            "hours": [6.0] * 4,
            "starts_at": CLOCK,
            "price_usd_per_kwh": [0.05, 0.13, 0.09, 0.2],
            "load_share": [0.5, 0.9, 1.0, 0.8],
        },
        "storages": [{"name": "battery", "bus": "D", "energy_kwh": 150.0, "start_kwh": 40.0, "charge_kw": 12.0,
                      "charge_efficiency": 0.95, "discharge_efficiency": 0.9}],
        "vehicles": [{"name": "early", "bus": "B", "departure": "12", "count": 2, "energy_kwh": 40.0,
                      "start_kwh": 5.0, "end_kwh": 20.0, "charge_kw": 3.0},
                     {"name": "late", "bus": "C", "arrival": "18", "energy_kwh": 40.0, "start_kwh": 5.0,
                      "end_kwh": 20.0, "charge_kw": 3.0}],
        "units": [{"generator": "gas", "ramp_up_kw_per_h": 3.0, "ramp_down_kw_per_h": 3.0, "p_before_kw": 0.0}],
        "flexible_loads": [{"shift_time_share": 0.15, "shift_price_usd_per_kwh": 0.01}],
    }  # fmt: skip
    return Day.from_tables(**{**given, **more})
