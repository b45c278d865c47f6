"""Uncertainty of a day: by how much groups of quantities deviate, and within which budget."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arguments import path_of
from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import InputError, OptionError
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.network.day import Renewables, Uncertain
from openpoint.scenarios.day.tables import Day
from openpoint.scenarios.tables import Columns, LongTable, Place, load_table

GROUPS = ("load", "reactive", "solar", "wind")
LOAD_AT = "load at "
"""How the column of the load at a bus begins."""
PLACES = {"load": LOAD_AT, "reactive": "reactive load at "}
"""How the name of the quantity of a bus begins."""
_BUDGET = re.compile(r"(?:(\d+)|(\d+(?:\.\d+)?)%)(?:/(\d+|all))?")
_OF_SHARES = "shares of the forecast, such as load=0.1,solar=0.3,wind=0.3"
_OF_BUDGET = (
    "hours, such as 2, or by group load=2,solar=1; with /5 each load or site deviates by itself, at most 5 in one "
    "period (/all: any number); 3% in place of hours: each by itself, in all periods, and their sum by 3 % at most"
)


@dataclass(frozen=True)
class Budget:
    """How much of a group deviates.

    Attributes:
        hours: most periods in which a quantity deviates; None = all.
        apart: every load or site deviates by itself; otherwise those of a group deviate together, as one quantity.
        at_once: most quantities that deviate in one period; None = any number.
        sum_share: in every period the sum over the group differs from its forecast by this share of it at most, as in
            equation 30 of Scientific Reports 14, 2024, article 23041; None = by any. Such a group is `apart`, and its
            quantities may deviate in all periods: with a limit of hours beside it the set has other vertices.
    """

    hours: int | None = None
    apart: bool = False
    at_once: int | None = None
    sum_share: float | None = None


@dataclass(frozen=True)
class Uncertainty:
    """The uncertain groups of a day.

    Attributes:
        shares: by group (`load`, `reactive`, `solar`, `wind`), by how much of the forecast it deviates, down and up.
            With `reactive` the reactive load deviates by itself, otherwise with the active load.
        budgets: by group.
    """

    shares: Mapping[str, float]
    budgets: Mapping[str, Budget]

    @staticmethod
    def of(
        uncertain: str | Mapping[str, float] | None, budget: str | int | Mapping[str, int | Budget] | None = None
    ) -> Uncertainty:
        """From options.

        Args:
            uncertain: shares by group, or a text `load=0.1,solar=0.3`; None = nothing.
            budget: the most periods in which a quantity deviates, for all groups, or by group; a text is `2`,
                `hours=2` or `load=2,solar=1/3`. With `/3` each load or site deviates by itself, at most 3 in one
                period (`/all`: any number); with `5%` or `5%/3` their sum by 5 % at most. None = all periods.

        Raises:
            OptionError: a group that is not known, a share that is no number from 0 to 1, a budget that is none.
        """
        shares = parse_uncertain(uncertain) if isinstance(uncertain, str) else dict(uncertain or {})
        for group, share in shares.items():
            _known(group, "uncertain")
            if not (isinstance(share, int | float) and math.isfinite(share) and 0.0 <= share <= 1.0):
                raise OptionError(f"uncertain has {share!r} for {group}; give a share from 0 to 1")
        budgets = _budgets(budget)
        if idle := sorted(budgets.keys() - shares.keys() - {"hours"}):
            raise OptionError(f"budget names {idle[0]}, which is not uncertain; name it in uncertain, too")
        rest = budgets.get("hours", Budget())
        return Uncertainty(shares, {group: budgets.get(group, rest) for group in shares})


def parse_uncertain(text: str) -> dict[str, float]:
    """The shares in a text such as `load=0.1,solar=0.3`.

    Raises:
        OptionError: something else.
    """
    shares = {}
    for group, value in _pairs(text, "uncertain", _OF_SHARES):
        try:
            shares[group] = float(value)
        except ValueError:
            raise OptionError(f"uncertain has {value!r} for {group}; give {_OF_SHARES}") from None
    return shares


def parse_budget(text: str) -> dict[str, Budget]:
    """The budgets in a text such as `2`, `hours=2` or `load=2/5,solar=5%`; that of all other groups is `hours`.

    Raises:
        OptionError: something else.
    """
    text = f"hours={text}" if "=" not in text else text
    budgets = {}
    for group, value in _pairs(text, "budget", _OF_BUDGET):
        if not (match := _BUDGET.fullmatch(value)):
            raise OptionError(f"budget has {value!r} for {group}; give {_OF_BUDGET}")
        hours, percent, at_once = match.groups()
        budgets[group] = Budget(
            None if hours is None else int(hours),
            at_once is not None or percent is not None,
            None if at_once in (None, "all") else int(at_once),
            None if percent is None else float(percent) / 100.0,
        )
    return budgets


def _budgets(given: str | int | Mapping[str, int | Budget] | None) -> dict[str, Budget]:
    if given is None:
        return {}
    if isinstance(given, str):
        given = parse_budget(given)
    elif not isinstance(given, Mapping):
        given = {"hours": given}
    found = {}
    for group, value in given.items():
        if group != "hours":
            _known(group, "budget")
        budget = value if isinstance(value, Budget) else Budget(value)
        for number in (budget.hours, budget.at_once):
            if number is not None and not (isinstance(number, int) and number >= 0):
                raise OptionError(f"budget has {number!r} for {group}; give {_OF_BUDGET}")
        share = budget.sum_share
        if share is not None and not (math.isfinite(share) and share >= 0.0 and budget.apart and budget.hours is None):
            raise OptionError(
                f"budget has the share {share:g} of the sum of {group}; give 0 or more, quantities that deviate each "
                "by itself (apart), and no hours"
            )
        found[group] = budget
    return found


def _pairs(text: str, option: str, wanted: str) -> list[tuple[str, str]]:
    """Names and values of a text `a=1,b=2`."""
    pairs: list[tuple[str, str]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not (sign and name and value):
            raise OptionError(f"{option} has {part!r}; give {wanted}")
        if name in dict(pairs):
            raise OptionError(f"{option} names {name} twice; keep one")
        pairs.append((name, value))
    if not pairs:
        raise OptionError(f"{option} is empty; give {wanted}")
    return pairs


def _known(group: str, option: str) -> None:
    if group not in GROUPS:
        raise OptionError(f"{option} names {group!r}; the groups are {', '.join(GROUPS)}")


class _Quantities:
    """The uncertain quantities while they are put together; T periods, N terminals, R renewable sources.

    `reactive` is that of the reactive load where it has quantities of its own, as it stands beside `load`.
    """

    def __init__(self, periods: int, terminals: int, sources: int) -> None:
        self.periods = periods
        self.load: Ints = np.full(terminals, -1, dtype=np.int64)
        self.reactive: Ints = np.full(terminals, -1, dtype=np.int64)
        self.renewable: Ints = np.full(sources, -1, dtype=np.int64)
        self.names: list[str] = []
        self.groups: list[str] = []
        self.down: list[Floats] = []
        self.up: list[Floats] = []
        self.hours: list[int] = []

    def add(
        self, name: str, group: str, budget: Budget, deviation: tuple[Floats, Floats], member: tuple[Ints, Ints]
    ) -> None:
        """A quantity with its (T) deviations down and up, and its members among `load`, `reactive` or `renewable`."""
        numbers, at = member
        numbers[at] = len(self.names)
        self.names.append(name)
        self.groups.append(group)
        self.down.append(deviation[0])
        self.up.append(deviation[1])
        self.hours.append(self.periods if budget.hours is None else min(budget.hours, self.periods))

    def done(self, at_once: tuple[tuple[str, int], ...], sums: tuple[tuple[str, float], ...], alone: bool) -> Uncertain:
        """All of them; `alone`: whether the reactive load deviates by itself."""
        blank = np.zeros((self.periods, 0))
        return Uncertain(
            names=tuple(self.names),
            group=tuple(self.groups),
            load=self.load,
            renewable=self.renewable,
            down=np.stack(self.down, axis=1) if self.down else blank,
            up=np.stack(self.up, axis=1) if self.up else blank,
            hours=np.array(self.hours, dtype=np.int64),
            groups=at_once,
            reactive=self.reactive if alone else None,
            sums=sums,
        )


def uncertain_of(
    uncertainty: Uncertainty | None,
    bus_names: Sequence[str],
    loaded: tuple[Bools, Bools],
    renewables: Renewables,
    ratings: Floats,
) -> Uncertain:
    """The uncertainty set of a day.

    A renewable source never has more than it is rated at: upward deviations end there. A quantity deviates only in
    periods in which there is any of it.

    Args:
        uncertainty: what is uncertain; None = nothing. bus_names: (N). loaded: (T, N) whether a bus has an active, and
            a reactive load. renewables: the sources. ratings: (R) the most active power of each.

    Raises:
        OptionError: a group of which the day has nothing.
    """
    active, reactive = loaded
    found = _Quantities(len(active), len(bus_names), renewables.count)
    alone, at_once, sums = uncertainty is not None and "reactive" in uncertainty.shares, [], []
    for group, share in uncertainty.shares.items() if uncertainty else ():
        budget = uncertainty.budgets[group] if uncertainty else Budget()
        if group in ("load", "reactive"):
            there = reactive if group == "reactive" else active if alone else active | reactive
            numbers = found.reactive if group == "reactive" else found.load
            room = np.full(there.shape, np.inf)
            names: Sequence[str] = [f"{PLACES[group]}{bus}" for bus in bus_names]
            members = np.flatnonzero(there.any(axis=0))
        else:
            there, numbers, names = renewables.available > 0, found.renewable, renewables.names
            room = np.divide(ratings, renewables.available, out=np.full(there.shape, np.inf), where=there) - 1.0
            members = np.flatnonzero([kind == group for kind in renewables.kind])
        if not len(members):
            raise OptionError(f"uncertain names {group}, but the day has no {group}; leave it out")
        if share == 0.0 or budget.hours == 0 or budget.at_once == 0:
            continue
        for at in [members[k : k + 1] for k in range(len(members))] if budget.apart else [members]:
            down = np.where(there[:, at].any(axis=1), share, 0.0)
            up = np.minimum(down, np.maximum(room[:, at].min(axis=1), 0.0))
            found.add(names[int(at[0])] if budget.apart else group, group, budget, (down, up), (numbers, at))
        if budget.at_once is not None:
            at_once.append((group, budget.at_once))
        if budget.sum_share is not None:
            sums.append((group, budget.sum_share))
    return found.done(tuple(at_once), tuple(sums), alone)


def deviation_notes(uncertain: Uncertain) -> tuple[str, ...]:
    """The warning of upward deviations that end at the rating of a source."""
    notes = []
    for u, name in enumerate(uncertain.names):
        if count := int((uncertain.up[:, u] < uncertain.down[:, u]).sum()):
            share = float(uncertain.down[:, u].max())
            notes.append(
                f"{name} is uncertain by {share:.0%}; in {count} periods it deviates upwards only as far as the rated "
                "power of its sources"
            )
    return tuple(notes)


WANTED = "DayFutures, a Polars frame, the path of a table, or a number of days to draw"


@dataclass(frozen=True, eq=False)
class DayFutures:
    """K futures of a day of T periods, as shares of the forecasts of Q quantities.

    Attributes:
        names: (K) of the futures. probabilities: (K) sum to one; None where they are unknown.
        quantities: (Q) `load`, `reactive`, `solar` and `wind` are all of their kind that have no column of their own;
            `load at 6` is the load at a bus, `reactive load at 6` its reactive part, which follows the active one
            where there is no column for it, and a renewable source goes by its name.
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
    groups = [group for group in GROUPS if group in PLACES or group in kinds]
    sources, buses = day.renewables["name"].to_list(), grid.loads["bus"].unique(maintain_order=True).to_list()
    names = [*groups, *sources, *(f"{place}{bus}" for place in PLACES.values() for bus in buses)]
    return Columns(
        key="period",
        key_meaning="a period of the day",
        rows="a row for each future and each period of the day",
        twice="a future has one row for every period",
        numbers=dict.fromkeys(names, share),
        listed=f"future, period, {', '.join(groups)}, a renewable source by its name, "
        f"{', '.join(f'{place}BUS' for place in PLACES.values())}, probability",
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
    futures: DayFutures,
    bus_names: tuple[str, ...],
    loaded: tuple[Bools, Bools],
    renewables: Renewables,
    ratings: Floats,
) -> Uncertain:
    """The quantities of futures, with deviations that hold all of them.

    A renewable source never has more than it is rated at, and a quantity deviates only in periods in which there is
    any of it, as in `uncertain_of`.

    Args:
        futures: of the day. bus_names: (N). loaded: (T, N) whether a bus has an active, and a reactive load.
        renewables: the sources. ratings: (R) the most active power of each.
    """
    load, reactive, source = _members(futures.quantities, bus_names, loaded, renewables)
    there = np.zeros((len(loaded[0]), len(futures.quantities)), dtype=np.bool_)
    room = np.full(there.shape, np.inf)
    for numbers, some in ((load, loaded[0]), (reactive, loaded[1])):
        for n, q in enumerate(numbers):
            if q >= 0:
                there[:, q] |= some[:, n]
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
        hours=np.full(len(futures.quantities), len(there), dtype=np.int64),
        reactive=None if (reactive == load).all() else reactive,
    )


def _members(
    quantities: tuple[str, ...], bus_names: tuple[str, ...], loaded: tuple[Bools, Bools], renewables: Renewables
) -> tuple[Ints, Ints, Ints]:
    """(N) the quantities of the active and of the reactive load of each bus and (R) of each source, −1 = none; its own
    comes before its group's, and the reactive load follows the active one where it has neither."""
    number, some = {name: q for q, name in enumerate(quantities)}, (loaded[0] | loaded[1]).any(axis=0)
    active, reactive = np.full((2, len(bus_names)), -1, dtype=np.int64)
    for n in np.flatnonzero(some):
        own, other = (place + bus_names[n] for place in PLACES.values())
        active[n] = number.get(own, number.get("load", -1))
        reactive[n] = number.get(other, number.get("reactive", active[n]))
    of_source = [number.get(name, number.get(kind, -1)) for name, kind in zip(renewables.names, renewables.kind)]
    return active, reactive, np.array(of_source, dtype=np.int64)


def _groups(quantities: tuple[str, ...], renewables: Renewables) -> Iterator[str]:
    kinds = dict(zip(renewables.names, renewables.kind, strict=True))
    for name in quantities:
        place = next((group for group, place in PLACES.items() if name.startswith(place)), None)
        yield place or kinds.get(name, name)


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
