"""Futures: possible demands of the buses of a grid, a table of future × bus.

A future replaces the demand of constant power at every bus, loads less generation that is not dispatchable. All else
stays as in the grid: loads of constant current and impedance, capacitors, dispatchable generators.

Ambiguity sets of the probabilities of futures or disasters, made from the scenarios.

Each function returns a recipe: a function from the scenarios to the set. `reconfigure` and `harden` take recipes and
sets.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import polars as pl

from openpoint.arguments import names_of, of_kind, path_of
from openpoint.arrays import Complexes, Floats, Ints
from openpoint.atomic import refusing, write_bytes
from openpoint.errors import InputError, OptionError
from openpoint.grid.files import HEAD, TABLE_FILES
from openpoint.grid.grid import Grid
from openpoint.grid.table_files import table_bytes
from openpoint.io import GridLike, read
from openpoint.scenarios.disasters import Disasters
from openpoint.scenarios.profiles import OWN, ProfilesLike, read_profiles
from openpoint.scenarios.tables import SUM_TOLERANCE, Columns, LongTable, Place, is_csv, load_table
from openpoint.scenarios.year.read import year_of
from openpoint.twostage.ambiguity import Ambiguity, Moments, ProbabilityBox, TotalVariation, Wasserstein

COLUMNS = Columns(
    key="bus",
    key_meaning="the name of the bus",
    rows="a row for each future and bus that changes",
    twice="a row is the whole net demand of the bus",
    numbers={
        "p_kw": "net active power, positive consumption",
        "q_kvar": "net reactive power, positive consumption",
    },
    needed=("p_kw", "q_kvar"),
)


DISPATCHABLE = pl.any_horizontal(pl.col("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar").is_not_null())
"""Whether a decision sets the output of a generator."""


@dataclass(frozen=True)
class Rows:
    """A table without faults: M rows of K futures.

    Attributes:
        names: (K) futures in the order of their first rows.
        probabilities: (K) sum to one; None where the table gives none.
        future, bus: (M) numbers of future and bus of a row.
        p_kw, q_kvar: (M) net demand.
    """

    names: tuple[str, ...]
    probabilities: Floats | None
    future: Ints
    bus: Ints
    p_kw: Floats
    q_kvar: Floats


def read_rows(frame: pl.DataFrame, bus_names: tuple[str, ...], place: Place) -> Rows:
    """The rows of a long table.

    Args:
        frame: columns future, bus, p_kw, q_kvar and optional probability, of any types that can be read.
        bus_names: the buses of the grid. place: how messages name the table.

    Raises:
        InputError: with every fault.
    """
    table = LongTable(frame, COLUMNS, place)
    table.read(bus_names, ("there is no bus {} in the grid", "Use names of the table `buses`"))
    if table.faults:
        raise InputError(table.faults)
    return Rows(
        names=tuple(table.names),
        probabilities=table.probabilities(),
        future=table.numbers_of("future", table.names),
        bus=table.numbers_of("bus", bus_names),
        p_kw=table.rows["p_kw"].to_numpy(),
        q_kvar=table.rows["q_kvar"].to_numpy(),
    )


@dataclass(frozen=True, eq=False)
class Futures:
    """K futures of a grid of N buses, over all of its phases: net demand of constant power, positive consumption.

    Attributes:
        names: (K) a name for each future, all different.
        probabilities: (K) sum to one; None where they are unknown.
        bus_names: (N) as in `grid.buses`, in the same order.
        p_kw, q_kvar: (K, N) loads of constant power less generation that is not dispatchable.

    Raises:
        OptionError: shapes that do not agree, names given twice, numbers that are not finite or not probabilities.
    """

    names: tuple[str, ...]
    probabilities: Floats | None
    bus_names: tuple[str, ...]
    p_kw: Floats
    q_kvar: Floats

    def __post_init__(self) -> None:
        for name in ("names", "bus_names"):
            object.__setattr__(self, name, names_of(getattr(self, name), name))
        shape = (len(self.names), len(self.bus_names))
        for name in ("p_kw", "q_kvar", "probabilities"):
            given = getattr(self, name)
            if given is None and name == "probabilities":
                continue
            array = np.array(given, dtype=np.float64)
            wanted = shape[:1] if name == "probabilities" else shape
            if array.shape != wanted:
                raise OptionError(f"{name} has shape {array.shape}; names and bus_names make it {wanted}")
            if not np.isfinite(array).all():
                raise OptionError(f"{name} holds numbers that are not finite; give finite numbers")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if 0 in shape or len(set(self.names)) < shape[0]:
            raise OptionError("give at least one future and one bus, and every future a name of its own")
        if self.probabilities is not None and (
            self.probabilities.min() < 0.0 or abs(self.probabilities.sum() - 1.0) > SUM_TOLERANCE
        ):
            raise OptionError("probabilities must not be negative and must sum to one; give None if nobody knows them")

    @classmethod
    def today(cls, grid: GridLike) -> Futures:
        """The future with today's demand; its name is "today".

        Raises:
            InputError: the grid has faults.
        """
        grid = read(grid)
        load, generation = constant_power_kva(grid)
        net = (load - generation)[np.newaxis]
        return cls(("today",), None, tuple(grid.buses["name"]), net.real, net.imag)

    @classmethod
    def of_steps(cls, grid: GridLike, profiles: ProfilesLike = OWN, *, count: int, seed: int) -> Futures:
        """Futures of equal probability that are steps of profiles, drawn in proportion to their hours, without return.

        Args:
            grid: the grid. profiles: as `read_year` takes them, of whatever length.
            count: of the futures; at most the number of the steps. seed: another one gives other steps.

        Raises:
            InputError: the grid or the profiles have faults.
            OptionError: more futures than steps, a negative seed.
        """
        grid = read(grid)
        found = read_profiles(profiles, grid, whole_year=False)
        if not 1 <= count <= len(found.hours) or seed < 0:
            raise OptionError(f"count is {count}; give 1 to {len(found.hours)}, the steps, and a seed of 0 or more")
        rng = np.random.Generator(np.random.PCG64(seed))
        steps = np.sort(rng.choice(len(found.hours), count, replace=False, p=found.hours / found.hours.sum()))
        fixed = grid.with_tables(generators=grid.generators.filter(~DISPATCHABLE))
        net = year_of(found, fixed).demand(1.0).rows(steps)
        names = tuple(found.names[n] for n in steps)
        return cls(names, np.full(count, 1.0 / count), tuple(grid.buses["name"]), net.real, net.imag)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def weights(self) -> Floats:
        """(K) the probabilities, or equal weights where they are unknown."""
        return np.full(len(self), 1.0 / len(self)) if self.probabilities is None else self.probabilities

    def mean(self) -> Futures:
        """The future in which every bus demands its mean over the futures, by `weights`; its name is "mean"."""
        p, q = (self.weights @ part for part in (self.p_kw, self.q_kvar))
        return Futures(("mean",), None, self.bus_names, p[np.newaxis], q[np.newaxis])

    def take(self, indices: Sequence[int] | Ints) -> Futures:
        """The futures of these numbers (0 = first), in this order; their probabilities are scaled to sum to one.

        Raises:
            OptionError: a number without a future or given twice, no number at all, only futures of probability zero.
        """
        chosen = np.asarray(indices)
        if chosen.ndim != 1 or chosen.size == 0 or chosen.dtype.kind not in "iu":
            raise OptionError("take needs the numbers of some futures, counted from 0")
        if chosen.min() < 0 or chosen.max() >= len(self) or len(np.unique(chosen)) < len(chosen):
            raise OptionError(f"take needs different numbers of futures from 0 to {len(self) - 1}")
        weights = None if self.probabilities is None else self.probabilities[chosen]
        if weights is not None:
            if weights.sum() <= 0.0:
                raise OptionError("all of these futures have probability zero; take others")
            weights = weights / weights.sum()
        names = tuple(self.names[k] for k in chosen)
        return Futures(names, weights, self.bus_names, self.p_kw[chosen], self.q_kvar[chosen])

    def split(self, seed: int, share: float) -> tuple[Futures, Futures]:
        """A set for planning, `share` of the futures drawn by `seed`, and the others for a test of the plan.

        Both have at least one future and keep the order.

        Raises:
            OptionError: a share that is not between 0 and 1, a negative seed, fewer than two futures.
        """
        if not 0.0 < share < 1.0 or seed < 0 or len(self) < 2:
            raise OptionError("split needs two futures or more, a seed of at least 0, and a share between 0 and 1")
        count = min(max(round(share * len(self)), 1), len(self) - 1)
        order = np.random.Generator(np.random.PCG64(seed)).permutation(len(self))
        return self.take(np.sort(order[:count])), self.take(np.sort(order[count:]))

    def table(self) -> pl.DataFrame:
        """A row for each future and bus: future, bus, p_kw, q_kvar, and probability where known."""
        columns: dict[str, Any] = {
            "future": np.repeat(np.array(self.names, dtype=object), len(self.bus_names)),
            "bus": self.bus_names * len(self),
            "p_kw": self.p_kw.ravel(),
            "q_kvar": self.q_kvar.ravel(),
        }
        if self.probabilities is not None:
            columns["probability"] = np.repeat(self.probabilities, len(self.bus_names))
        return pl.DataFrame(columns, schema_overrides={"future": pl.String, "bus": pl.String})

    def equals(self, other: Futures) -> bool:
        """Whether names, buses, probabilities and all figures are equal."""
        mine, theirs = self.probabilities, other.probabilities
        return (
            (self.names, self.bus_names) == (other.names, other.bus_names)
            and (mine is theirs or (mine is not None and theirs is not None and np.array_equal(mine, theirs)))
            and np.array_equal(self.p_kw, other.p_kw)
            and np.array_equal(self.q_kvar, other.q_kvar)
        )

    def __repr__(self) -> str:
        known = "unknown" if self.probabilities is None else "known"
        return f"Futures({len(self)} futures of {len(self.bus_names)} buses, probabilities {known})"


FuturesLike = Futures | str | os.PathLike[str] | pl.DataFrame
"""What stands for futures: `Futures`, or what `read_futures` takes, the path of a table or a frame."""
WANTED = "Futures, a Polars frame, or the path of a table, as `read_futures` takes it"


def constant_power_kva(grid: Grid) -> tuple[Complexes, Complexes]:
    """(N) loads of constant power and (N) generation that is not dispatchable at each bus today, p + jq.

    Raises:
        InputError: the grid has faults.
    """
    load = at_buses(grid.check(), grid.loads.filter(pl.col("model") == "power"))
    return load, at_buses(grid, grid.generators.filter(~DISPATCHABLE))


def at_buses(grid: Grid, rows: pl.DataFrame) -> Complexes:
    """(N) sum of p_kw + j q_kvar of the rows at each bus."""
    number = {name: n for n, name in enumerate(grid.buses["name"])}
    total = np.zeros(grid.buses.height, dtype=np.complex128)
    np.add.at(total, [number[bus] for bus in rows["bus"]], rows["p_kw"].to_numpy() + 1j * rows["q_kvar"].to_numpy())
    return total


def statistics(futures: Futures) -> pl.DataFrame:
    """A row for each future.

    Columns: future; p_kw, q_kvar (sums over the buses); p_min_kw and p_min_bus (the least demand of a bus, negative
    where it feeds back); generation_share (what buses feed back over what buses consume, 0 = none; empty where none
    consumes).
    """
    least = futures.p_kw.argmin(axis=1)
    consumed, fed_back = futures.p_kw.clip(min=0.0).sum(axis=1), (-futures.p_kw).clip(min=0.0).sum(axis=1)
    return pl.DataFrame(
        {
            "future": futures.names,
            "p_kw": futures.p_kw.sum(axis=1),
            "q_kvar": futures.q_kvar.sum(axis=1),
            "p_min_kw": futures.p_kw.min(axis=1),
            "p_min_bus": [futures.bus_names[n] for n in least],
            "generation_share": [f / c if c > 0.0 else None for f, c in zip(fed_back.tolist(), consumed.tolist())],
        },
        schema_overrides={"generation_share": pl.Float64},
    )


def write_futures(futures: Futures, path: str | os.PathLike[str]) -> None:
    """Write the futures as CSV or Parquet, by the ending of the path; `read_futures` reads them back without loss.

    Raises:
        OptionError: another ending, a table of a grid, or a path that cannot be written.
    """
    of_kind(futures, Futures, "futures", "Futures, as `read_futures` and `grow` make them")
    file = path_of(path, "path")
    if file.name.lower() in TABLE_FILES and (file.parent / HEAD).exists():
        raise OptionError(f"{file} is a table of the grid in {file.parent}, and would be replaced; give another name")
    content = table_bytes(futures.table(), csv=is_csv(file, "futures"))
    with refusing():
        write_bytes(file, content)


def read_futures(path_or_frame: FuturesLike, grid: GridLike) -> Futures:
    """The futures of a grid from a long table: a file in CSV, Parquet or Excel, or a frame. `Futures` are returned as
    they are.

    A row gives the net demand of constant power of one bus in one future: it replaces the loads of constant power and
    the generation that is not dispatchable at that bus. A bus that is not in the rows of a future has today's demand.
    A bus with a source may have demand.

    Columns: future, bus, p_kw, q_kvar; optional probability, the same in all rows of a future, not negative, summing
    to one over the futures within 1e-6. Without it, or where it is empty throughout, the probabilities are unknown.
    Futures are in the order of their first rows.

    Args:
        path_or_frame: the table. grid: the grid, a path or a name that `read` takes.

    Raises:
        InputError: the grid or the table has faults, with all of them.
        OptionError: the path has another ending.
    """
    if isinstance(path_or_frame, Futures):
        return path_or_frame
    today = Futures.today(grid)
    if isinstance(path_or_frame, pl.DataFrame):
        frame, place = path_or_frame, Place("futures", "number", 1)
    else:
        frame, place = load_table(path_of(path_or_frame, "futures", WANTED), COLUMNS)
    rows = read_rows(frame, today.bus_names, place)
    p, q = (np.repeat(part, len(rows.names), axis=0) for part in (today.p_kw, today.q_kvar))
    p[rows.future, rows.bus] = rows.p_kw
    q[rows.future, rows.bus] = rows.q_kvar
    return Futures(rows.names, rows.probabilities, today.bus_names, p, q)


FuturesRecipe = Callable[[Futures], Ambiguity]
DisastersRecipe = Callable[[Disasters], Ambiguity]
Scenarios = TypeVar("Scenarios", Futures, Disasters)
AnyScenarios = TypeVar("AnyScenarios", contravariant=True)


@dataclass(frozen=True)
class Recipe(Generic[AnyScenarios]):
    """A recipe with the text by which a command names it, such as `tv:0.2`."""

    text: str
    make: Callable[[AnyScenarios], Ambiguity]

    def __call__(self, scenarios: AnyScenarios) -> Ambiguity:
        """The set of the scenarios."""
        return self.make(scenarios)


def moved(share: float) -> Callable[[Futures | Disasters], Ambiguity]:
    """At most this share of the probability is moved to other scenarios: total variation."""
    _inside("the share of total variation", share, 1.0)
    return Recipe[Futures | Disasters](f"tv:{float(share)!r}", lambda _: TotalVariation(share))


def probabilities_within(deviation: float) -> Callable[[Futures | Disasters], Ambiguity]:
    """Every future, or distinct disaster, has its nominal probability ± `deviation`: a box of probabilities."""
    _inside("the deviation of probabilities", deviation, 1.0)

    def recipe(scenarios: Futures | Disasters) -> Ambiguity:
        nominal = scenarios.weights if isinstance(scenarios, Futures) else scenarios.probabilities
        return ProbabilityBox(np.maximum(nominal - deviation, 0.0), np.minimum(nominal + deviation, 1.0))

    return Recipe(f"box:{float(deviation)!r}", recipe)


def demand_moved(kva: float) -> FuturesRecipe:
    """Wasserstein set of futures: distance is the summed difference of demand in kVA, `kva` on average at most."""
    _inside("the Wasserstein radius", kva, math.inf)

    def recipe(futures: Futures) -> Ambiguity:
        s = futures.p_kw + 1j * futures.q_kvar
        return Wasserstein(kva, np.array([np.abs(s - each).sum(axis=1) for each in s]))

    return Recipe(f"wasserstein:{float(kva)!r}", recipe)


def demand_within(share: float) -> FuturesRecipe:
    """The expected active demand of every bus is its nominal one ± `share` of the bus's largest: bounds on moments."""
    _inside("the deviation of expected demand", share, 1.0)

    def recipe(futures: Futures) -> Ambiguity:
        p = futures.p_kw[:, np.ptp(futures.p_kw, axis=0) > 0.0]
        nominal, within = futures.weights @ p, share * np.abs(p).max(axis=0, initial=0.0)
        return Moments(p, nominal - within, nominal + within)

    return Recipe(f"demand:{float(share)!r}", recipe)


def outages_moved(branches: float) -> DisastersRecipe:
    """Wasserstein set of disasters: distance is the number of branches that differ, `branches` on average at most."""
    _inside("the Wasserstein radius", branches, math.inf)

    def recipe(disasters: Disasters) -> Ambiguity:
        broken = disasters.broken.astype(np.float64)
        common, size = broken @ broken.T, broken.sum(axis=1)
        return Wasserstein(branches, size[:, None] + size[None, :] - 2.0 * common)

    return recipe


def outages_within(deviation: float) -> DisastersRecipe:
    """Every branch breaks with its nominal probability ± `deviation`: bounds on the first moments of the outages."""
    _inside("the deviation of outage probabilities", deviation, 1.0)

    def recipe(disasters: Disasters) -> Ambiguity:
        outages = disasters.broken.astype(np.float64)
        outages = outages[:, outages.any(axis=0)]
        nominal = disasters.probabilities @ outages
        lower, upper = np.maximum(nominal - deviation, 0.0), np.minimum(nominal + deviation, 1.0)
        return Moments(outages, lower, upper)

    return recipe


_OF_FUTURES: dict[str, Callable[[float], FuturesRecipe]] = {
    "tv": moved,
    "wasserstein": demand_moved,
    "demand": demand_within,
    "box": probabilities_within,
}
_OF_DISASTERS: dict[str, Callable[[float], DisastersRecipe]] = {
    "tv": moved,
    "moments": outages_within,
    "wasserstein": outages_moved,
    "box": probabilities_within,
}


def read_futures_ambiguity(text: str) -> FuturesRecipe:
    """The recipe for futures that a word and a number name, such as `tv:0.2`.

    Raises:
        OptionError: another word, no number, or one out of its range.
    """
    return _read(text, _OF_FUTURES, "tv:0.2, wasserstein:300, demand:0.1 or box:0.01")


def read_disasters_ambiguity(text: str) -> DisastersRecipe:
    """The recipe for disasters that a word and a number name, such as `tv:0.2`.

    Raises:
        OptionError: another word, no number, or one out of its range.
    """
    return _read(text, _OF_DISASTERS, "tv:0.2, moments:0.1, wasserstein:1 or box:0.1")


def _read(
    text: str, kinds: Mapping[str, Callable[[float], Callable[[Scenarios], Ambiguity]]], known: str
) -> Callable[[Scenarios], Ambiguity]:
    kind, _, size = text.partition(":")
    try:
        return kinds[kind.strip().lower()](float(size))
    except (KeyError, ValueError):
        raise OptionError(f"the ambiguity {text!r} is not known; give {known}") from None


def text_of(ambiguity: Ambiguity | FuturesRecipe | None) -> str | None:
    """The text by which a command names a set for futures, None for none; empty where it has no such text."""
    if isinstance(ambiguity, TotalVariation):
        return f"tv:{float(ambiguity.radius)!r}"
    if isinstance(ambiguity, Recipe):
        return str(ambiguity.text)
    return None if ambiguity is None else ""


def name_of(ambiguity: Ambiguity) -> str:
    """A set of probabilities in a few words."""
    match ambiguity:
        case TotalVariation(radius):
            return f"total variation up to {radius:g}"
        case Wasserstein(radius):
            return f"Wasserstein distance up to {radius:g}"
        case ProbabilityBox():
            return "bounds on each probability"
        case Moments():
            return "bounds on expectations"
    return type(ambiguity).__name__


def _inside(what: str, value: float, most: float) -> None:
    if not 0.0 <= value <= most:
        wanted = "0 or more" if math.isinf(most) else f"a number from 0 to {most:g}"
        raise OptionError(f"{what} is {value:g}; give {wanted}")
