"""What is known of the faults of a grid, in the order of its network: which branches fail, how often, and who waits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats
from openpoint.errors import InputError, Problem
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.scenarios.reliability import Reliability


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
