"""Assumptions of every question about faults: which there are, how they are isolated, how often they come."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import TypedDict

import numpy as np
import polars as pl

from openpoint.arguments import not_negative, of_kind
from openpoint.arrays import Bools, Floats
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.scenarios.reliability import Reliability, ReliabilityLike, read_reliability
from openpoint.studies.secure.model.faults import Sections, every_line_alone, sections_of
from openpoint.studies.secure.model.indices import SwitchingTimes, check_times

MULTIPLE_MOST = 2.0
"""Up to this a loading in percent is taken for a multiple of the ratings that was meant, and is refused."""


class FaultArguments(TypedDict, total=False):
    """The fields of `FaultAssumptions`, as arguments."""

    max_loading_percent: float
    isolate_lines: bool
    transformers: bool
    reliability: ReliabilityLike | None
    failures_per_km_year: float | None
    failures_per_branch_year: float | None
    switching_h: float
    remote_switching_h: float | None
    repair_h: float


@dataclass(frozen=True, kw_only=True)
class FaultAssumptions:
    """The arguments of `openpoint.secure` that every question about faults has; see there."""

    max_loading_percent: float = 100.0
    isolate_lines: bool = False
    transformers: bool = True
    reliability: ReliabilityLike | None = None
    failures_per_km_year: float | None = None
    failures_per_branch_year: float | None = None
    switching_h: float = 1.0
    remote_switching_h: float | None = None
    repair_h: float = 4.0

    def data(self, grid: Grid) -> Reliability:
        """Customers and rates, empty where none were given.

        Raises:
            InputError: with every fault, names that the grid does not have among them.
        """
        return Reliability.of() if self.reliability is None else read_reliability(self.reliability, grid)

    def switching(self, remote: Bools) -> SwitchingTimes:
        """The times of switching; `remote`: (E) branches operated by remote control."""
        return SwitchingTimes.of_options(self.switching_h, self.remote_switching_h, remote)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What makes these arguments look like a slip, as notes beside the figures."""
        if self.switching_h <= self.repair_h:
            return ()
        times = f"switching takes {self.switching_h:g} h and a repair {self.repair_h:g} h"
        return (f"{times}: where a repair ends first, ties shorten no interruption; both are hours, not minutes",)

    def sections(self, grid: Grid, network: Network, data: Reliability) -> Sections:
        """What is isolated together with the fault of a branch."""
        found = sections_of(grid, network, dict(data.breakers.iter_rows()))
        return every_line_alone(found) if self.isolate_lines else found

    def checks(self) -> list[Callable[[], object]]:
        """Checks of these arguments, each of which raises `OptionError` where one makes no sense."""
        maybe = ("failures_per_km_year", "failures_per_branch_year", "remote_switching_h")
        numbers = (*(name for name in maybe if getattr(self, name) is not None), "switching_h", "repair_h")
        return [
            self._check_loading,
            lambda: check_times(self.switching_h, self.remote_switching_h),
            *(partial(not_negative, name, getattr(self, name)) for name in numbers),
        ]

    def _check_loading(self) -> None:
        of_kind(self.max_loading_percent, Real, "max_loading_percent", "percent of the ratings, such as 120")
        if not (math.isfinite(self.max_loading_percent) and self.max_loading_percent > 0.0):
            raise OptionError(f"max_loading_percent is {self.max_loading_percent:g}; give percent above 0, such as 120")
        if self.max_loading_percent <= MULTIPLE_MOST:
            meant = f"for {self.max_loading_percent:g} times the ratings give {100.0 * self.max_loading_percent:g}"
            raise OptionError(f"max_loading_percent is {self.max_loading_percent:g}, and is in percent; {meant}")


def may_fail(network: Network, transformers: bool) -> Bools:
    """(E) branches that may have a fault: lines, and `transformers` if they count."""
    kinds = {"lines", "transformers"} if transformers else {"lines"}
    return np.array([kind in kinds for kind in network.branch_kinds], dtype=np.bool_)


def load_of_buses(grid: Grid, network: Network) -> Floats:
    """(N) load of each bus at nominal voltage; what generators feed in is not subtracted."""
    number = {name: n for n, name in enumerate(network.bus_names)}
    result = np.zeros(network.n_terminals)
    for bus, p in grid.loads.select("bus", "p_kw").iter_rows():
        result[number[bus]] += p
    return result


def customers_of(network: Network, data: Reliability) -> Floats:
    """(N) customers at each bus."""
    return by_name(data.customers, "bus", "customers", network.bus_names, 0.0)


def by_name(table: pl.DataFrame, key: str, column: str, names: Sequence[str], default: float) -> Floats:
    """The values of a column in the order of names; the default where there is none."""
    found = {name: value for name, value in table.select(key, column).iter_rows() if value is not None}
    return np.array([found.get(name, default) for name in names], dtype=np.float64)


def failure_rates(
    grid: Grid, network: Network, data: Reliability, per_km: float | None, per_branch: float | None
) -> tuple[Floats | None, Bools]:
    """(E) faults a year, None where no rate was given; and whether a branch has none, and counts as never failing.

    `per_km`, `per_branch`: faults a year of a km of line, and of every branch without another rate.

    Raises:
        InputError: a rate by km, and no line has a length.
    """
    km = by_name(grid.lines, "name", "length_km", network.branch_names, math.nan)
    lines = np.array([kind == "lines" for kind in network.branch_kinds], dtype=np.bool_)
    if per_km is not None and not (lines & (km > 0)).any():
        message = "no line has a length, so that no fault a km of line counts"
        remedy = "Give `length_km`, or failures_per_branch_year (--failures-per-branch)"
        raise InputError([Problem("lines", "", "length_km", message, remedy)])
    found = np.full(network.n_conductors, math.nan)
    if per_branch is not None:
        found[:] = per_branch
    if per_km is not None:
        found = np.where(lines & np.isfinite(km), per_km * km, found)
    own = by_name(data.rates, "branch", "failures_per_year", network.branch_names, math.nan)
    found = np.where(np.isfinite(own), own, found)
    none = np.isnan(found)
    return (None if none.all() else np.where(none, 0.0, found)), none
