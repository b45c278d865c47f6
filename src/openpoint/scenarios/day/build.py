"""From the tables of a day to the arrays of its study, in per unit of the network."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.grid.devices import kvar_today
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.day import DayArrays, Renewables, Stores, UnitLinks
from openpoint.scenarios.day.faults import day_loads, demand_of, load_shares, profiles_of, stay_of
from openpoint.scenarios.day.tables import Day
from openpoint.scenarios.day.uncertain import DayFutures, Uncertainty, spread_of, uncertain_of


def build_day(
    grid: Grid, network: Network, day: Day, uncertainty: Uncertainty | DayFutures | None = None
) -> tuple[Network, DayArrays]:
    """The network without its loads, and the arrays of its day.

    As in

        grid, notes = grid_of_day(grid, day)
        network = Limits(v_min_pu=0.95).applied(build_network(grid))
        bare, arrays = build_day(grid, network, day, Uncertainty.of("load=0.1", "hours=2"))
        devices, supply, cost = build_devices(grid, bare), build_supply(grid, bare), build_prices(grid, bare)

    Args:
        grid: balanced, with what the day brings and without faults (`grid_of_day`). network: of this grid, perhaps
            with other limits. day: the day. uncertainty: what is uncertain, or the futures of the day; None = nothing.

    Raises:
        OptionError: the uncertainty names a group of which the day has nothing.
    """
    loads = day_loads(grid, network, load_shares(day, grid))
    price, export = _prices(day, grid)
    renewables, ratings = _renewables(day, network)
    models = loads.power, loads.current, loads.impedance
    active, reactive = (
        np.any([part != 0.0 for part in parts], axis=0)
        for parts in ([each.real for each in models], [each.imag for each in models])
    )
    if isinstance(uncertainty, DayFutures):
        uncertain = spread_of(uncertainty, network.bus_names, (active, reactive), renewables, ratings)
    else:
        uncertain = uncertain_of(uncertainty, network.bus_names, (active, reactive), renewables, ratings)
    arrays = DayArrays(
        names=tuple(day.periods["period"]),
        hours=day.periods["hours"].to_numpy().copy(),
        load_power=loads.power,
        load_current=loads.current,
        load_impedance=loads.impedance,
        source_price=price,
        export_price=export,
        unit_available=_available(day, network),
        stores=_stores(day, network),
        renewables=renewables,
        units=_units(day, grid, network),
        demand=demand_of(day, grid, network),
        uncertain=uncertain,
        starts_at=tuple(day.periods["starts_at"]),
        flow_max=_flow_limits(day, network),
        reactive_price=day.periods["reactive_price_usd_per_kvarh"].to_numpy().copy(),
    )
    return _without_loads(grid, network), arrays


def _flow_limits(day: Day, network: Network) -> Floats | None:
    """(2, E) most active and reactive power of every branch; None where none has a limit."""
    if not day.branch_limits.height:
        return None
    number = {network.branch_names[k]: e for e, k in enumerate(network.conductor_branch.tolist())}
    most = np.full((2, network.n_conductors), math.inf)
    for name, *powers in day.branch_limits.iter_rows():
        most[:, number[name]] = [math.inf if power is None else power / network.s_base_kva for power in powers]
    return most


def _without_loads(grid: Grid, network: Network) -> Network:
    """The network whose buses have fixed generation and capacitors alone."""
    bus = {name: n for n, name in enumerate(network.bus_names)}
    power, impedance = (np.zeros(network.n_terminals, dtype=np.complex128) for _ in range(2))
    moving = set(network.generator_names)
    for row in grid.generators.iter_rows(named=True):
        if row["name"] not in moving:
            power[bus[row["bus"]]] += -complex(row["p_kw"], row["q_kvar"]) / network.s_base_kva
    for row in grid.capacitors.iter_rows(named=True):
        impedance[bus[row["bus"]]] += complex(0.0, -kvar_today(row)) / network.s_base_kva
    return replace(network, s_power=power, s_current=np.zeros_like(power), s_impedance=impedance)


def _prices(day: Day, grid: Grid) -> tuple[Floats, Floats]:
    """(T, S) price of the energy of the sources, and of what flows back."""
    own = grid.sources["price_usd_per_kwh"].to_list()
    price, export = [], []
    for p, e in day.periods.select("price_usd_per_kwh", "export_price_usd_per_kwh").iter_rows():
        price.append(own if p is None else [p] * len(own))
        export.append([min(0.0, cost) if e is None else e for cost in price[-1]])
    return np.array(price, dtype=np.float64), np.array(export, dtype=np.float64)


def _available(day: Day, network: Network) -> Floats:
    """(T, G)"""
    curves = profiles_of(day)
    follows = {name: profile for name, profile in day.units.select("generator", "profile").iter_rows() if profile}
    shares = np.ones((day.periods.height, len(network.generator_names)))
    for g, name in enumerate(network.generator_names):
        if name in follows:
            shares[:, g] = curves[follows[name]]
    return shares


def _renewables(day: Day, network: Network) -> tuple[Renewables, Floats]:
    """The renewable sources, and (R) the most active power of each."""
    curves = profiles_of(day)
    rows = list(day.renewables.iter_rows(named=True))
    base = network.s_base_kva
    ratings = np.array([row["p_kw"] if row["s_max_kva"] is None else row["s_max_kva"] for row in rows]) / base
    available = [np.minimum(row["p_kw"] / base * curves[row["profile"]], r) for row, r in zip(rows, ratings)]
    sources = Renewables(
        names=tuple(row["name"] for row in rows),
        kind=tuple(row["kind"] for row in rows),
        terminal=_terminals(rows, network),
        available=np.stack(available, axis=1) if rows else np.zeros((day.periods.height, 0)),
        s_max=np.array([row["s_max_kva"] or 0.0 for row in rows]) / base,
        curtailment=np.array([row["curtailment_price_usd_per_kwh"] for row in rows], dtype=np.float64),
    )
    return sources, ratings


def _stores(day: Day, network: Network) -> Stores:
    """Storages, then vehicles."""
    periods, base = day.periods["period"].to_list(), network.s_base_kva
    rows: list[dict[str, Any]] = []
    for row in day.storages.iter_rows(named=True):
        row |= {"count": 1, "stay": (0, len(periods)), "vehicle": False}
        row["end_kwh"] = row["start_kwh"] if row["end_kwh"] is None else row["end_kwh"]
        row["discharge_kw"] = row["charge_kw"] if row["discharge_kw"] is None else row["discharge_kw"]
        rows.append(row)
    for row in day.vehicles.iter_rows(named=True):
        rows.append(
            row
            | {"vehicle": True, "stay": stay_of(row, periods), "least_kwh": 0.0}
            | {"discharge_kw": row["back_feed_kw"]}
        )

    def numbers(column: str) -> Floats:
        return np.array([row["count"] * (row[column] or 0.0) for row in rows], dtype=np.float64) / base

    def plain(column: str) -> Floats:
        return np.array([row[column] for row in rows], dtype=np.float64)

    stays = np.array([row["stay"] for row in rows], dtype=np.int64).reshape(-1, 2)
    return Stores(
        names=tuple(row["name"] for row in rows),
        vehicle=np.array([row["vehicle"] for row in rows], dtype=np.bool_),
        terminal=_terminals(rows, network),
        first=stays[:, 0].copy(),
        last=stays[:, 1].copy(),
        energy_min=numbers("least_kwh"),
        energy_max=numbers("energy_kwh"),
        energy_start=numbers("start_kwh"),
        energy_end=numbers("end_kwh"),
        charge_max=numbers("charge_kw"),
        discharge_max=numbers("discharge_kw"),
        charge_efficiency=plain("charge_efficiency"),
        discharge_efficiency=plain("discharge_efficiency"),
        s_max=numbers("s_max_kva"),
        wear=plain("wear_usd_per_kwh"),
    )


def _terminals(rows: list[dict[str, Any]], network: Network) -> Ints:
    bus = {name: n for n, name in enumerate(network.bus_names)}
    return np.array([bus[row["bus"]] for row in rows], dtype=np.int64)


def _units(day: Day, grid: Grid, network: Network) -> UnitLinks:
    by_name = {row["generator"]: row for row in day.units.iter_rows(named=True)}
    rows = {row["name"]: row for row in grid.generators.iter_rows(named=True)}
    units = [by_name.get(name, {}) for name in network.generator_names]
    base = network.s_base_kva

    def numbers(column: str, instead: float) -> Floats:
        values = [unit.get(column) for unit in units]
        return np.array([instead if value is None else value for value in values], dtype=np.float64) / base

    on = []
    for name, unit in zip(network.generator_names, units):
        row, given, before = rows[name], unit.get("on_before"), unit.get("p_before_kw")
        feeds = row["p_kw"] != 0 or row["q_kvar"] != 0 if before is None else before != 0
        on.append(not row["may_stop"] or (feeds if given is None else given))
    return UnitLinks(
        ramp_up=numbers("ramp_up_kw_per_h", math.inf),
        ramp_down=numbers("ramp_down_kw_per_h", math.inf),
        start=numbers("start_cost_usd", 0.0),
        on_before=np.array(on, dtype=np.bool_),
        p_before=numbers("p_before_kw", math.nan),
    )
