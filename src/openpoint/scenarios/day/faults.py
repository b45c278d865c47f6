"""Loads of a day by bus and period, and what of them may be moved or shed.

Every fault and doubt of a day on a grid, at once: numbers, names, periods, profiles, loads and limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from openpoint.arrays import Complexes, Floats
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.io import GridLike, read
from openpoint.network import Network
from openpoint.network.day import Demand
from openpoint.network.load_shares import PARTS
from openpoint.scenarios.day.clock import clock_problems
from openpoint.scenarios.day.schemas import DAY_SCHEMAS, at, duplicates, unknown
from openpoint.scenarios.day.tables import Day


class DayLoads(NamedTuple):
    """(T, N) loads of constant power, current and impedance."""

    power: Complexes
    current: Complexes
    impedance: Complexes


def load_shares(day: Day, grid: Grid) -> Complexes:
    """(T, L) what each load of the grid is in a period: a share of its active power and, times j, of its reactive."""
    profiles = {load: (p, q or p) for load, p, q in day.load_profiles.iter_rows()}
    followed = [profiles.get(name, profiles.get(None)) for name in grid.loads["name"]]
    plain = day.periods["load_share"].to_numpy()
    curves = profiles_of(day)
    columns = [(1.0 + 1.0j) * plain if each is None else curves[each[0]] + 1j * curves[each[1]] for each in followed]
    return np.stack(columns, axis=1) if columns else np.zeros((day.periods.height, 0), dtype=np.complex128)


def profiles_of(day: Day) -> dict[str, Floats]:
    """Each profile over the periods, in their order."""
    frame = day.profiles
    row = {name: n for n, name in enumerate(frame["period"])}
    order = [row[name] for name in day.periods["period"]] if frame.width > 1 else []
    return {name: frame[name].to_numpy()[order] for name in frame.columns[1:]}


def day_loads(grid: Grid, network: Network, shares: Complexes) -> DayLoads:
    """The loads by bus; `shares` are those of `load_shares`."""
    bus = {name: n for n, name in enumerate(network.bus_names)}
    size = len(shares), network.n_terminals
    found = {model: np.zeros(size, dtype=np.complex128) for model in ("power", "current", "impedance")}
    for k, row in enumerate(grid.loads.iter_rows(named=True)):
        s = complex(row["p_kw"], row["q_kvar"]) / network.s_base_kva
        p_model, q_model = PARTS[row["model"]]
        n = bus[row["bus"]]
        found[p_model][:, n] += shares[:, k].real * s.real
        found[q_model][:, n] += shares[:, k].imag * complex(0.0, s.imag)
    return DayLoads(**found)


def demand_of(day: Day, grid: Grid, network: Network) -> Demand:
    """What may be moved or shed, by bus; loads of a bus that differ in it are taken together, weighted by size."""
    bus = {name: n for n, name in enumerate(network.bus_names)}
    at = np.array([bus[name] for name in grid.loads["bus"]], dtype=np.int64)
    size = np.array([math.hypot(p, q) for p, q in grid.loads.select("p_kw", "q_kvar").iter_rows()])

    def mean(values: Floats, weight: Floats) -> Floats:
        total, whole = np.zeros(network.n_terminals), np.zeros(network.n_terminals)
        least, most = np.full(network.n_terminals, np.inf), np.full(network.n_terminals, -np.inf)
        has_weight = weight > 0
        np.add.at(total, at, values * weight)
        np.add.at(whole, at, weight)
        np.minimum.at(least, at[has_weight], values[has_weight])
        np.maximum.at(most, at[has_weight], values[has_weight])
        means = np.divide(total, whole, out=np.zeros_like(total), where=whole > 0)
        return np.where(whole > 0, np.clip(means, least, most), 0.0)  # exactly the number where all have the same

    shift, in_time, moving, shed, shedding, apart = flexibility(day, grid).T
    moved = size * np.maximum(shift, in_time)
    alone = (apart >= 0.0) & (shed > 0.0)
    return Demand(
        shift_buses=mean(shift, size),
        shift_time=mean(in_time, size),
        shift_price=mean(moving, moved),
        shed_share=mean(shed, size),
        shed_price=mean(shedding, size * shed),
        shed_reactive_price=np.where(
            np.isin(np.arange(network.n_terminals), at[alone]), mean(apart, size * shed), np.nan
        ),
    )


def flexibility(day: Day, grid: Grid) -> Floats:
    """(L, 6) shares that may move between buses and in time, their price, the share that may be shed, its price, and
    that of reactive power, −1 = none of its own."""
    given = {
        (load, bus): (*numbers, price or 0.0, -1.0 if reactive is None else reactive)
        for load, bus, *numbers, price, reactive in day.flexible_loads.iter_rows()
    }
    others = given.get((None, None), (*(0.0,) * 5, -1.0))
    rows = [
        given.get((name, None), given.get((None, bus), others))
        for name, bus in grid.loads.select("name", "bus").iter_rows()
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 6)


def equipped(grid: GridLike, day: Day) -> Grid:
    """The grid with what the day brings, of which `build_network`, `build_devices` and `build_prices` make arrays.

    - Its table `generators` is added. A generator of the grid with the name of one of them, or of a renewable, storage
      or vehicle, is replaced.
    - Its voltage limits stand in place of the grid's.
    - A source without a price gets the mean price of the day, which only costs outside the day read.

    Args:
        grid: a grid, or a path or name that `read` accepts. day: its day, which may have faults.
    """
    grid = read(grid)
    kept = grid.generators.filter(~pl.col("name").is_in(sorted(resource_names(day))))
    tables = {"generators": pl.concat([kept, day.generators])}
    if day.limits.height:
        tables["buses"] = _limited(grid, day)
    if (mean := _mean_price(day)) is not None:
        tables["sources"] = grid.sources.with_columns(pl.col("price_usd_per_kwh").fill_null(mean))
    return grid.with_tables(**tables)


def resource_names(day: Day) -> set[str]:
    """Names in the day that stand for a generator of the grid of the same name."""
    return {name for frame in (day.generators, day.renewables, day.storages, day.vehicles) for name in frame["name"]}


def _limited(grid: Grid, day: Day) -> pl.DataFrame:
    """The buses with the voltage limits of the day."""
    given = {bus: (low, high) for bus, low, high in day.limits.iter_rows()}
    others = given.get(None, (None, None))
    sources = set(grid.sources["bus"])
    limits = [given.get(bus, (None, None) if bus in sources else others) for bus in grid.buses["name"]]
    own = grid.buses.select("v_min_pu", "v_max_pu").iter_rows()
    rows = [tuple(b if a is None else a for a, b in zip(new, old)) for new, old in zip(limits, own)]
    return grid.buses.with_columns(
        pl.Series("v_min_pu", [row[0] for row in rows], dtype=pl.Float64),
        pl.Series("v_max_pu", [row[1] for row in rows], dtype=pl.Float64),
    )


def _mean_price(day: Day) -> float | None:
    """The mean price of the periods that have one, by their length; None where none has one."""
    rows = [(p, h) for p, h in day.periods.select("price_usd_per_kwh", "hours").iter_rows() if p is not None]
    total = sum(h for _, h in rows)
    mean = sum(p * h for p, h in rows) / total if total else math.nan
    return mean if math.isfinite(mean) else None


KINDS = ("solar", "wind")
# Energies are reached where this share of them is missing.
_TOLERANCE = 1e-9


def resource_faults(day: Day, grid: Grid) -> Iterator[Problem]:
    """Faults of the resources of a day on a grid with what the day brings."""
    buses = grid.buses["name"].to_list()
    seen: dict[str, str] = dict.fromkeys(day.generators["name"], "generators")
    for kind in ("renewables", "storages", "vehicles"):
        frame = day.tables()[kind]
        yield from unknown(kind, frame, "bus", buses, "Use a bus of the grid")
        for n, name in enumerate(frame["name"]):
            if name in seen:
                message = f"this name is used in {seen[name]}, too"
                yield at(kind, frame, n, "name", message, "Give every resource a name of its own")
            seen.setdefault(name, kind)
            if name == "":
                yield at(kind, frame, n, "name", "the name is empty", "Give every row a name")
    for n, kind in enumerate(day.renewables["kind"]):
        if kind not in KINDS:
            yield at("renewables", day.renewables, n, "kind", f"{kind!r} is not known", f"Write {' or '.join(KINDS)}")
    yield from _storage_faults(day)
    yield from _vehicle_faults(day)
    yield from _unit_faults(day, grid)


def _storage_faults(day: Day) -> Iterator[Problem]:
    frame = day.storages
    for n, row in enumerate(frame.iter_rows(named=True)):
        row["end_kwh"] = row["start_kwh"] if row["end_kwh"] is None else row["end_kwh"]
        row["discharge_kw"] = row["charge_kw"] if row["discharge_kw"] is None else row["discharge_kw"]
        yield from _energy_faults("storages", frame, n, row, float(day.periods["hours"].sum()))


def _vehicle_faults(day: Day) -> Iterator[Problem]:
    frame, periods = day.vehicles, day.periods["period"].to_list()
    for column in ("arrival", "departure"):
        yield from unknown("vehicles", frame, column, periods, "Use a period of the table `periods`")
    for n, row in enumerate(frame.iter_rows(named=True)):
        if (stay := stay_of(row, periods)) is None:
            continue
        first, last = stay
        if first >= last:
            message = f"it leaves at the start of period {row['departure']!r}, and comes at that of {periods[first]!r}"
            remedy = (
                "Let it leave later; one that stays over midnight is two rows: from the start of the day until it "
                "leaves, and from its return to the end"
            )
            yield at("vehicles", frame, n, "departure", message, remedy)
            continue
        row |= {"least_kwh": 0.0, "discharge_kw": row["back_feed_kw"]}
        yield from _energy_faults("vehicles", frame, n, row, float(day.periods["hours"][first:last].sum()))


def stay_of(row: dict[str, Any], periods: list[str]) -> tuple[int, int] | None:
    """First and last + 1 number of the periods of a vehicle's stay; None where they are not known."""
    ends = (row["arrival"], row["departure"])
    if not periods or any(name is not None and name not in periods for name in ends):
        return None
    return 0 if ends[0] is None else periods.index(ends[0]), len(periods) if ends[1] is None else periods.index(ends[1])


def _energy_faults(kind: str, frame: pl.DataFrame, n: int, row: dict[str, Any], hours: float) -> Iterator[Problem]:
    """Contents that cannot be held or reached in so many hours, and powers above that of the inverter."""
    least, most, start, end = (row[f"{name}_kwh"] for name in ("least", "energy", "start", "end"))
    for column, value, low in (("least_kwh", least, 0.0), ("start_kwh", start, least), ("end_kwh", end, least)):
        if value > most:
            yield at(
                kind, frame, n, column, f"{value:g} kWh are more than it holds, {most:g}", f"Give at most {most:g}"
            )
        elif value < low:
            message = f"{value:g} kWh are less than it may hold, {low:g}"
            yield at(kind, frame, n, column, message, f"Give {low:g} or more")
    gained = hours * max(row["charge_kw"], 0.0) * row["charge_efficiency"]
    if most >= end > (start + gained) * (1.0 + _TOLERANCE):
        message = f"{end:g} kWh are out of reach: {start:g} at first, {gained:g} to gain in {hours:g} h"
        yield at(kind, frame, n, "end_kwh", message, "Ask for less, raise charge_kw, or let it stay longer")
    fed = "discharge_kw" if kind == "storages" else "back_feed_kw"
    for column in ("charge_kw", fed):
        if row["s_max_kva"] is not None and (row[column] or 0.0) > row["s_max_kva"]:
            message = f"{row[column]:g} kW are more than the inverter can, {row['s_max_kva']:g} kVA"
            yield at(kind, frame, n, column, message, "Correct the power or s_max_kva")


def _unit_faults(day: Day, grid: Grid) -> Iterator[Problem]:
    frame = day.units
    rows = {row["name"]: row for row in grid.generators.iter_rows(named=True)}
    yield from unknown("units", frame, "generator", rows, "Use a generator of the grid or of the table `generators`")
    yield from duplicates("units", frame, "generator")
    for n, unit in enumerate(frame.iter_rows(named=True)):
        if (row := rows.get(unit["generator"])) is not None:
            yield from _unit_row_faults(frame, n, unit, row)


def _unit_row_faults(frame: pl.DataFrame, n: int, unit: dict[str, Any], row: dict[str, Any]) -> Iterator[Problem]:
    if all(row[limit] is None for limit in ("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")):
        message = "it is not dispatchable: it has no limits, so that its output is fixed"
        yield at("units", frame, n, "generator", message, "Give it p_min_kw and p_max_kw")
        return
    if unit["on_before"] is False and not row["may_stop"]:
        message = "it is off before the day, but may_stop is false"
        yield at(
            "units", frame, n, "on_before", message, "Write may_stop true in the table `generators`, or on_before true"
        )
    if unit["start_cost_usd"] and not row["may_stop"]:
        message, remedy = "it never starts, since may_stop is false", "Write may_stop true in the table `generators`"
        yield at("units", frame, n, "start_cost_usd", message, remedy, "warning")
    p = unit["p_before_kw"]
    if p is None:
        return
    low, high = (row["p_kw"] if row[limit] is None else row[limit] for limit in ("p_min_kw", "p_max_kw"))
    if unit["on_before"] is False and p != 0.0:
        yield at("units", frame, n, "p_before_kw", f"{p:g} kW while it is off", "Write 0, or on_before true")
    elif unit["on_before"] is not False and not (low <= p <= high) and not (row["may_stop"] and p == 0.0):
        message = f"{p:g} kW lie outside its limits, {low:g} to {high:g}"
        yield at("units", frame, n, "p_before_kw", message, "Correct it, or leave it empty")


def grid_of_day(grid: GridLike, day: Day) -> tuple[Grid, tuple[Problem, ...]]:
    """The grid with what the day brings (`equipped`), without faults, and the warnings of the day.

    Raises:
        InputError: with every fault of the day, and of the grid with what the day brings, and the reader's notes.
        OptionError: the grid has several phases.
    """
    grid = read(grid)
    with_day = equipped(grid, day)
    found = day_problems(day, grid, with_day)
    if any(problem.table == "limits" for problem in found):  # listed once, not for every bus
        with_day = with_day.with_tables(buses=grid.buses)
    of_grid = [problem for problem in with_day.problems() if problem.severity == "error"]
    if faults := [*of_grid, *(problem for problem in found if problem.severity == "error")]:
        raise InputError([*faults, *day.notes])  # a table of another file name may be why a name is not known
    if not set(grid.buses["phases"]) <= {"1"}:
        raise OptionError(f"a day is planned in balanced grids (phases '1'); {HAS_PHASES}")
    return with_day, tuple(found)


def day_problems(day: Day, grid: Grid, with_day: Grid) -> list[Problem]:
    """Every fault and doubt of a day on a grid, errors first, then what changes the meaning of figures.

    Faults of the grid itself are not among them. with_day: the grid as `equipped` with the day.
    """
    found = [
        *_number_faults(day),
        *_period_problems(day, grid),
        *_profile_problems(day, grid),
        *_load_faults(day, grid),
        *_limit_faults(day, grid),
        *resource_faults(day, with_day),
        *_replaced(day, grid),
        *_constant(with_day),
        *day.notes,
    ]
    return sorted(found, key=lambda problem: (problem.severity != "error", not problem.changes_figures))


def _number_faults(day: Day) -> Iterator[Problem]:
    """Numbers that are not finite, or outside the range of their column."""
    active = {name for kind in ("load_profiles", "renewables", "units") for name in day.tables()[kind]["profile"]}
    reactive = set(day.load_profiles["q_profile"]) - active
    for kind, schema in DAY_SCHEMAS.items():
        if kind == "generators":  # a table of the grid, which has its own rules
            continue
        frame = day.tables()[kind]
        ranges = {name: column.metadata for name, column in schema.columns().items()}
        for name in (name for name, dtype in frame.schema.items() if dtype.is_numeric()):
            bounds = ranges.get(name, {} if name in reactive else {"least": 0.0})  # a profile
            for n, value in enumerate(frame[name]):
                if value is not None and (fault := _out_of_range(value, bounds)):
                    yield at(kind, frame, n, name, *fault)


def _out_of_range(value: float, bounds: Mapping[str, Any]) -> tuple[str, str] | None:
    """Message and remedy."""
    if not math.isfinite(value):
        return "the value is not finite", "Give a number"
    least, above, most = bounds.get("least"), bounds.get("above"), bounds.get("most")
    too_low = (least is not None and value < least) or (above is not None and value <= above)
    if not too_low and (most is None or value <= most):
        return None
    low = f"{least:g}" if least is not None else f"more than {above:g}"
    return f"{value:g} is out of range", f"Give {low} {'or more' if most is None else f'to {most:g}'}"


def _period_problems(day: Day, grid: Grid) -> Iterator[Problem]:
    frame = day.periods
    if frame.is_empty():
        yield Problem("periods", "", "", "the table has no rows", "Give a row for each period")
    yield from duplicates("periods", frame, "period")
    yield from clock_problems(frame)
    of_sources = grid.sources["price_usd_per_kwh"].to_list()
    missing = grid.sources.filter(pl.col("price_usd_per_kwh").is_null())["name"].to_list()
    negative = []
    for n, row in enumerate(frame.iter_rows(named=True)):
        price, export = row["price_usd_per_kwh"], row["export_price_usd_per_kwh"]
        prices = [price] if price is not None else [p for p in of_sources if p is not None]
        if price is None and missing:
            message = f"the value is missing, and source {missing[0]!r} of the grid has no price either"
            yield at("periods", frame, n, "price_usd_per_kwh", message, "Give it here or in the table `sources`")
        if export is not None and prices and export > min(prices):
            message = f"{export:g} $/kWh is above the price, {min(prices):g}: to buy and sell at once would earn"
            yield at("periods", frame, n, "export_price_usd_per_kwh", message, "Give at most the price")
        if prices and min(prices) < 0:
            negative.append(row["period"])
    if negative:
        message = (
            f"the price is below 0 in {len(negative)} periods ({names_in_words(negative)}): to take more then pays"
        )
        remedy = "Correct the prices if this is not meant"
        yield Problem("periods", "", "price_usd_per_kwh", message, remedy, "warning")


def _profile_problems(day: Day, grid: Grid) -> Iterator[Problem]:
    frame, periods = day.profiles, day.periods["period"].to_list()
    names = frame.columns[1:]
    yield from unknown("profiles", frame, "period", periods, "Use a period of the table `periods`")
    yield from duplicates("profiles", frame, "period")
    given = set(frame["period"])
    if names and (missing := [name for name in periods if name not in given]):
        had = len([name for name in periods if name in given])
        message = f"rows for {had} of {len(periods)} periods; none for {names_in_words(missing)}"
        yield Problem("profiles", "", "period", message, "Give a row for every period")
    users: dict[str, list[str]] = {}
    shares: dict[str, str] = {}
    for kind, what in (("load_profiles", "load"), ("renewables", "name"), ("units", "generator")):
        table = day.tables()[kind]
        yield from unknown(kind, table, "profile", names, "Use a column of the table `profiles`")
        for user, profile in table.select(what, "profile").iter_rows():
            if profile is not None:
                users.setdefault(profile, []).append(user)
            if kind != "load_profiles":
                shares.setdefault(profile, user)
    yield from unknown("load_profiles", day.load_profiles, "q_profile", names, "Use a column of the table `profiles`")
    for load, profile in day.load_profiles.select("load", "q_profile").iter_rows():
        users.setdefault(profile, []).append(load)
    for name in names:
        if name not in users:
            message, remedy = "nothing follows this profile", "Name it where it is used, or remove the column"
            yield Problem("profiles", "", name, message, remedy, "warning")
        for n, share in enumerate(frame[name]):
            if name in shares and share is not None and share > 1.0:
                message = f"a share of {share:g}, which {shares[name]!r} follows"
                yield at("profiles", frame, n, name, message, "Give 0 to 1; 1 is its rated power")


def _load_faults(day: Day, grid: Grid) -> Iterator[Problem]:
    loads, buses = grid.loads["name"].to_list(), grid.buses["name"].to_list()
    frame = day.load_profiles
    yield from unknown("load_profiles", frame, "load", loads, "Use a load of the grid")
    yield from duplicates("load_profiles", frame, "load")
    frame = day.flexible_loads
    yield from unknown("flexible_loads", frame, "load", loads, "Use a load of the grid")
    yield from unknown("flexible_loads", frame, "bus", buses, "Use a bus of the grid")
    yield from duplicates("flexible_loads", frame, "load", "bus")
    for n, row in enumerate(frame.iter_rows(named=True)):
        if row["load"] is not None and row["bus"] is not None:
            yield at("flexible_loads", frame, n, "bus", "the row names a load and a bus", "Keep one of the two")
        if row["shed_share"] == 0 and row["shed_price_usd_per_kvarh"] is not None:
            message, remedy = "a price of reactive load shed, and none may be shed", "Give shed_share, or leave it out"
            yield at("flexible_loads", frame, n, "shed_price_usd_per_kvarh", message, remedy)
        if row["shed_share"] > 0 and row["shed_price_usd_per_kwh"] is None:
            message, remedy = "the value is missing, but the load may be shed", "Give what energy not served costs"
            yield at("flexible_loads", frame, n, "shed_price_usd_per_kwh", message, remedy)
    yield from _flexible_together(day, grid)


def _flexible_together(day: Day, grid: Grid) -> Iterator[Problem]:
    """Loads of the same bus that differ in what may be moved or shed."""
    at_bus: dict[str, set[tuple[float, ...]]] = {}
    for bus, row in zip(grid.loads["bus"], flexibility(day, grid).tolist()):
        at_bus.setdefault(bus, set()).add(tuple(row))
    ways = {bus: {price >= 0.0 for *_, share, _, price in rows if share > 0.0} for bus, rows in at_bus.items()}
    for bus in (bus for bus, some in ways.items() if len(some) > 1):
        message, remedy = "one load sheds reactive power by itself, another one does not", "Give the price for both"
        yield Problem("flexible_loads", bus, "shed_price_usd_per_kvarh", message, remedy)
    if buses := [bus for bus, rows in at_bus.items() if len(rows) > 1]:
        message = f"at {names_in_words(buses)} loads differ in what may be moved or shed; they are taken together"
        remedy = (
            "Shares and prices of such a bus are means, weighted by the size of the loads; check that this is meant"
        )
        yield Problem("flexible_loads", "", "", message, remedy, "warning", changes_figures=True)


def _limit_faults(day: Day, grid: Grid) -> Iterator[Problem]:
    frame = day.limits
    yield from unknown("limits", frame, "bus", grid.buses["name"].to_list(), "Use a bus of the grid")
    yield from duplicates("limits", frame, "bus")
    for n, (_, low, high) in enumerate(frame.iter_rows()):
        if low is not None and high is not None and low > high:
            yield at("limits", frame, n, "v_min_pu", f"{low:g} lies above v_max_pu, {high:g}", "Exchange them")
    frame = day.branch_limits
    yield from unknown("branch_limits", frame, "branch", grid.branches()["name"].to_list(), "Use a branch of the grid")
    yield from duplicates("branch_limits", frame, "branch")


def _replaced(day: Day, grid: Grid) -> Iterator[Problem]:
    """The rows of the day that replace generators of the grid."""
    bus = dict(grid.generators.select("name", "bus").iter_rows())
    for kind in ("generators", "renewables", "storages", "vehicles"):
        frame = day.tables()[kind]
        for n, (name, place) in enumerate(frame.select("name", "bus").iter_rows()):
            if name in bus and bus[name] != place:
                message = f"the grid has a generator of this name at bus {bus[name]!r}, not at {place!r}"
                yield at(kind, frame, n, "bus", message, "Correct the bus, or choose another name")
            elif name in bus:
                message = "it stands in place of the generator of this name in the grid"
                remedy = "Choose another name to have both"
                yield at(kind, frame, n, "name", message, remedy, "warning", changes_figures=True)


def _constant(grid: Grid) -> Iterator[Problem]:
    """Generators whose output is fixed, the same in every period."""
    limits = pl.any_horizontal(pl.col("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar").is_not_null())
    names = grid.generators.filter(~limits)["name"].to_list()
    if names:
        message = f"{names_in_words(names)}: without limits, the output is the same in every period"
        remedy = "Make it a renewable of the day, or give p_min_kw and p_max_kw"
        yield Problem("generators", "", "", message, remedy, "warning", changes_figures=True)
