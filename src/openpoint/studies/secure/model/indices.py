"""Interruptions a year by bus and by fault, from which the indices of a system follow (IEEE Std 1366).

After a fault its breaker trips all that it feeds. Once the section is isolated, after the switching time, all have
supply again but the section itself and the parts fed through it. These have it once the ties are closed, too; the
section and the parts that no tie restores wait for the repair. Switching is quicker where all that is operated for it
is remote. A repair that is quicker than switching ends the interruption of all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.scenarios.reliability import Reliability
from openpoint.studies.secure.model.faults import Fault
from openpoint.studies.secure.model.states import closed_ties
from openpoint.studies.secure.model.switchings import Restoration


@dataclass(frozen=True)
class Interruptions:
    """The interruptions of a year of N buses with E branches.

    Attributes:
        times, hours: (N) interruptions, and hours without supply.
        customer_hours, kwh: (E) customer hours and energy not supplied by the faults of each branch.
    """

    times: Floats
    hours: Floats
    customer_hours: Floats
    kwh: Floats


def dark_buses(fault: Fault, restoration: Restoration) -> Ints:
    """The buses without supply until the repair."""
    served = restoration.served or (False,) * len(fault.parts)
    lost = [part.buses for part, has in zip(fault.parts, served) if not has]
    return np.concatenate([fault.isolated, *lost])


@dataclass(frozen=True)
class SwitchingTimes:
    """Time until a fault is isolated and ties are closed.

    Attributes:
        manual_h: where a person on site operates a switch. remote_h: where all that is operated is remote.
        remote: (E) branches whose switch is.
    """

    manual_h: float
    remote_h: float
    remote: Bools

    @classmethod
    def of_options(cls, manual_h: float, remote_h: float | None, remote: Bools) -> SwitchingTimes:
        """The times where `remote_h` is None if it is the same."""
        return cls(manual_h, manual_h if remote_h is None else remote_h, remote)

    def of(self, branches: Ints) -> float:
        """The time to operate these branches."""
        return self.remote_h if self.remote[branches].all() else self.manual_h


def check_times(switching_h: float, remote_switching_h: float | None) -> None:
    """Refuse that switching by remote control takes longer.

    Raises:
        OptionError: it does.
    """
    if remote_switching_h is not None and remote_switching_h > switching_h:
        raise OptionError(
            f"hours say remote={remote_switching_h:g}, above switching={switching_h:g}; give at most that"
        )


def interruptions(
    faults: Sequence[Fault],
    restorations: Sequence[Restoration],
    *,
    rates: Floats,
    repair_h: Floats,
    switching_h: float | SwitchingTimes,
    customers: Floats,
    load_kw: Floats,
) -> Interruptions:
    """What the faults of a year do.

    Args:
        faults, restorations: of one state. rates, repair_h: (E) faults a year of each branch, and time of its repair.
        switching_h: time until a fault is isolated and ties are closed. customers, load_kw: (N) of each bus.
    """
    n, e = len(customers), len(rates)
    if isinstance(switching_h, float):
        switching_h = SwitchingTimes(switching_h, switching_h, np.zeros(e, dtype=np.bool_))
    times, hours, customer_hours, kwh = np.zeros(n), np.zeros(n), np.zeros(e), np.zeros(e)
    for fault, restoration in zip(faults, restorations, strict=True):
        own = fault.branches
        first = np.minimum(switching_h.of(fault.opened), repair_h[own])
        times[fault.tripped] += rates[own].sum()
        for buses, waits in _waits(fault, restoration, switching_h):
            longer = rates[own] * (np.minimum(waits, repair_h[own]) - (0.0 if buses is fault.tripped else first))
            hours[buses] += longer.sum()
            customer_hours[own] += longer * customers[buses].sum()
            kwh[own] += longer * load_kw[buses].sum()
    return Interruptions(times, hours, customer_hours, kwh)


def _waits(fault: Fault, restoration: Restoration, time: SwitchingTimes) -> Iterator[tuple[Ints, float]]:
    """All that trips and the time to isolate the section; then what waits longer, and its time in all."""
    yield fault.tripped, time.of(fault.opened)
    best = restoration.best
    if best is not None:
        operated = np.concatenate([fault.opened, closed_ties(best.ties), best.opened]).astype(np.int64)
        for part, has in zip(fault.parts, best.served, strict=True):
            if has:
                yield part.buses, time.of(operated)
    yield dark_buses(fault, restoration), math.inf


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
        remedy = "Give `length_km`, or --failures branch=0.1"
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
