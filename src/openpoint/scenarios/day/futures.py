"""Futures of a day: days that may come, a table of future × period with shares of the forecast."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arguments import path_of
from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import InputError
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.network.day import Renewables, Uncertain
from openpoint.scenarios.day.tables import Day
from openpoint.scenarios.day.uncertain import GROUPS
from openpoint.scenarios.long_table import Columns, LongTable, Place, load_table

LOAD_AT = "load at "
"""How the column of the load at a bus begins."""
WANTED = "DayFutures, a Polars frame, the path of a table, or a number of days to draw"


@dataclass(frozen=True, eq=False)
class DayFutures:
    """K futures of a day of T periods, as shares of the forecasts of Q quantities.

    Attributes:
        names: (K) of the futures. probabilities: (K) sum to one; None where they are unknown.
        quantities: (Q) `load`, `solar` and `wind` are all of their kind that have no column of their own; `load at 6`
            is the load at a bus, and a renewable source goes by its name.
        factors: (K, T, Q), 1 = as forecast.
    """

    names: tuple[str, ...]
    probabilities: Floats | None
    quantities: tuple[str, ...]
    factors: Floats

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"DayFutures({len(self)} futures of {', '.join(self.quantities)})"


DayFuturesLike = DayFutures | str | os.PathLike[str] | pl.DataFrame
"""What stands for the futures of a day: `DayFutures`, or what `read_day_futures` takes, a table."""


def read_day_futures(path_or_frame: DayFuturesLike, grid: Grid, day: Day) -> DayFutures:
    """The futures of a day from a table: a file in CSV, Parquet or Excel, or a frame.

    Columns: future, period, what differs from the forecast (see `DayFutures`), and optional probability, the same in
    all rows of a future, with the sum one. Every future has a row for every period.

    Args:
        path_or_frame: the table; `DayFutures` are returned as they are. grid, day: without faults.

    Raises:
        InputError: with every fault of the table.
        OptionError: a path with another ending.
    """
    if isinstance(path_or_frame, DayFutures):
        return path_or_frame
    columns = _columns(grid, day)
    if isinstance(path_or_frame, pl.DataFrame):
        frame, place = path_or_frame, Place("futures", "number", 1)
    else:
        frame, place = load_table(path_of(path_or_frame, "futures", WANTED), columns)
    table = LongTable(frame.drop("price", strict=False), columns, place)
    periods = day.periods["period"].to_list()
    if "price" in frame.columns:
        remedy = "Remove the column; prices stand in the table `periods` of the day"
        table.fault("", "price", "the prices of a day are the same in all of its futures", remedy)
    quantities = tuple(name for name in columns.numbers if name in frame.columns)
    if table.read(periods, ("the day has no period {}", "Use the periods of the day, by their names")):
        _check(table, quantities, periods)
    if table.faults:
        raise InputError(table.faults)
    factors = np.ones((len(table.names), len(periods), len(quantities)))
    at = table.numbers_of("future", table.names), table.numbers_of("period", tuple(periods))
    factors[at] = table.rows.select(quantities).to_numpy()
    return DayFutures(tuple(table.names), table.probabilities(), quantities, factors)


def _columns(grid: Grid, day: Day) -> Columns:
    """The columns that a table of futures of this day may have."""
    share = "a share of its forecast, 1 = as forecast"
    kinds = set(day.renewables["kind"])
    groups = [group for group in GROUPS if group == "load" or group in kinds]
    sources, buses = day.renewables["name"].to_list(), grid.loads["bus"].unique(maintain_order=True).to_list()
    names = [*groups, *sources, *(f"{LOAD_AT}{bus}" for bus in buses)]
    return Columns(
        key="period",
        key_meaning="a period of the day",
        rows="a row for each future and each period of the day",
        twice="a future has one row for every period",
        numbers=dict.fromkeys(names, share),
        listed=f"future, period, {', '.join(groups)}, a renewable source by its name, {LOAD_AT}BUS, probability",
    )


def _check(table: LongTable, quantities: tuple[str, ...], periods: list[str]) -> None:
    """Faults of what was read: nothing that differs, numbers below 0, periods that are missing."""
    if not quantities:
        remedy = f"Add one; the columns are {table.columns.listed}"
        table.fault("", "", "no column says what differs from the forecast", remedy)
    for name in quantities:
        negative = (table.rows[name] < 0.0).fill_null(False)
        table.at(negative, name, "the share is negative", "Give 0 or more; 1 is as forecast")
    for name in table.names:
        given = set(table.rows.filter(future=name)["period"])
        if missing := [period for period in periods if period not in given]:
            message = f"no rows for {len(missing)} of {len(periods)} periods: {names_in_words(missing)}"
            table.fault(f"future {name!r}", "period", message, "Give a row for every period")


def spread_of(
    futures: DayFutures, bus_names: tuple[str, ...], loaded: Bools, renewables: Renewables, ratings: Floats
) -> Uncertain:
    """The quantities of futures, with deviations that hold all of them.

    A renewable source never has more than it is rated at, and a quantity deviates only in periods in which there is
    any of it, as in `uncertain_of`.

    Args:
        futures: of the day. bus_names: (N). loaded: (T, N) whether a bus has a load.
        renewables: the sources. ratings: (R) the most active power of each.
    """
    load, source = _members(futures.quantities, bus_names, loaded, renewables)
    there = np.zeros((len(loaded), len(futures.quantities)), dtype=np.bool_)
    room = np.full(there.shape, np.inf)
    for n, q in enumerate(load):
        if q >= 0:
            there[:, q] |= loaded[:, n]
    for r, q in enumerate(source):
        if q >= 0:
            some = renewables.available[:, r] > 0.0
            there[some, q] = True
            room[some, q] = np.minimum(room[some, q], ratings[r] / renewables.available[some, r] - 1.0)
    up = np.minimum(np.maximum(futures.factors - 1.0, 0.0).max(axis=0), np.maximum(room, 0.0))
    down = np.maximum(1.0 - futures.factors, 0.0).max(axis=0)
    return Uncertain(
        names=futures.quantities,
        group=tuple(_groups(futures.quantities, renewables)),
        load=load,
        renewable=source,
        down=np.where(there, down, 0.0),
        up=np.where(there, up, 0.0),
        hours=np.full(len(futures.quantities), len(loaded), dtype=np.int64),
    )


def _members(
    quantities: tuple[str, ...], bus_names: tuple[str, ...], loaded: Bools, renewables: Renewables
) -> tuple[Ints, Ints]:
    """(N) the quantity of each bus with a load and (R) of each source, −1 = none; its own comes before its group's."""
    number = {name: q for q, name in enumerate(quantities)}
    at_bus = [
        number.get(f"{LOAD_AT}{bus}", number.get("load", -1)) if loaded[:, n].any() else -1
        for n, bus in enumerate(bus_names)
    ]
    of_source = [number.get(name, number.get(kind, -1)) for name, kind in zip(renewables.names, renewables.kind)]
    return np.array(at_bus, dtype=np.int64), np.array(of_source, dtype=np.int64)


def _groups(quantities: tuple[str, ...], renewables: Renewables) -> Iterator[str]:
    kinds = dict(zip(renewables.names, renewables.kind, strict=True))
    for name in quantities:
        yield "load" if name.startswith(LOAD_AT) else kinds.get(name, name)


def realisations_of(futures: DayFutures, uncertain: Uncertain) -> Floats:
    """(K, T, Q) the futures within their deviations: 1 where there is nothing to scale, the rating at most."""
    return np.asarray(np.clip(futures.factors, 1.0 - uncertain.down, 1.0 + uncertain.up))


def futures_notes(futures: DayFutures, uncertain: Uncertain) -> tuple[str, ...]:
    """The warning of futures beyond the rating of a source."""
    beyond = (futures.factors > 1.0 + uncertain.up + 1e-9) & (uncertain.down + uncertain.up > 0.0)
    return tuple(
        f"{name} exceeds the rated power of its sources in {count} rows of the futures, and ends there"
        for q, name in enumerate(futures.quantities)
        if (count := int(beyond[:, :, q].sum()))
    )
