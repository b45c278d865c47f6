"""Assumptions of every question about faults: which there are, how they are isolated, how often they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from openpoint.arguments import numbers_by_name
from openpoint.errors import OptionError
from openpoint.options import FIRST, Question, option

if TYPE_CHECKING:
    from openpoint.arrays import Bools, Floats
    from openpoint.grid.grid import Grid
    from openpoint.network import Network
    from openpoint.scenarios.reliability import Reliability, ReliabilityLike
    from openpoint.studies.secure.model.faults import Sections
    from openpoint.studies.secure.model.indices import SwitchingTimes

MULTIPLE_MOST = 2.0
"""Up to this a loading in percent is taken for a multiple of the ratings that was meant, and is refused."""
EMERGENCY = ("loading", "v_min", "v_max")
"""The limits of an emergency that may be given."""
FAULTS, YEAR = "Faults", "Interruptions of a year"


@dataclass(frozen=True, kw_only=True)
class FaultAssumptions(Question):
    """The options that every question about faults has."""

    emergency: Mapping[str, float] | str | None = option(
        None,
        "Limits after a fault: loading=120,v_min=0.9,v_max=1.1 (percent of the ratings, pu).  [default: what the grid "
        "says of emergencies, else the ratings; voltages as without a fault]",
        unit="LIMITS",
        group=FIRST,
    )
    isolate_lines: bool = option(
        False, "After a fault isolate every line at both ends, whatever switches there are.", "flag", group=FAULTS
    )
    lines_only: bool = option(False, "Transformers have no faults.", "flag", group=FAULTS)
    reliability: ReliabilityLike | None = option(
        None,
        "Customers by bus and faults by branch: a folder of tables or a workbook.",
        "path",
        unit="PATH",
        group=FIRST,
    )
    failures: str | Mapping[str, float] = option(
        "",
        "Faults a year, of a km of line and of each branch without another rate: km=0.05,branch=0.1; without any rate "
        "there are no indices.",
        unit="RATES",
        group=YEAR,
    )
    hours: str | Mapping[str, float] = option(
        "",
        "Times until a fault is isolated and ties are closed, the same where all is remote, and until "
        "a repair is done: switching=1,remote=0.1,repair=4.  [default: switching=1,repair=4; remote as switching]",
        unit="HOURS",
        group=YEAR,
    )

    @property
    def rates(self) -> tuple[float | None, float | None]:
        """Faults a year of a km of line, and of each branch without another rate; None where none is given.

        Raises:
            OptionError: what is no rate.
        """
        found = numbers_by_name(self.failures, "failures", ("km", "branch"), "rates", None)
        return found.get("km"), found.get("branch")

    @property
    def switching_h(self) -> float:
        """Time until a fault is isolated and ties are closed."""
        return self._hours.get("switching", 1.0)

    @property
    def remote_switching_h(self) -> float | None:
        """The same where all that is operated is remote; None: the same."""
        return self._hours.get("remote")

    @property
    def repair_h(self) -> float:
        """Time until a repair is done."""
        return self._hours.get("repair", 4.0)

    @property
    def _hours(self) -> dict[str, float]:
        """What is given of the times.

        Raises:
            OptionError: something else.
        """
        return numbers_by_name(self.hours, "hours", ("switching", "remote", "repair"), "times", None)

    def data(self, grid: Grid) -> Reliability:
        """Customers and rates, empty where none were given.

        Raises:
            InputError: with every fault, names that the grid does not have among them.
        """
        from openpoint.scenarios.reliability import Reliability, read_reliability

        return Reliability.of() if self.reliability is None else read_reliability(self.reliability, grid)

    def switching(self, remote: Bools) -> SwitchingTimes:
        """The times of switching; `remote`: (E) branches operated by remote control."""
        from openpoint.studies.secure.model.indices import SwitchingTimes

        return SwitchingTimes.of_options(self.switching_h, self.remote_switching_h, remote)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What makes these arguments look like a slip, as notes beside the figures."""
        if self.switching_h <= self.repair_h:
            return ()
        times = f"switching takes {self.switching_h:g} h and a repair {self.repair_h:g} h"
        return (f"{times}: where a repair ends first, ties shorten no interruption; both are hours, not minutes",)

    def after_faults(self, grid: Grid, network: Network) -> Network:
        """The network with the limits of an emergency.

        Args:
            network: of the grid, with the limits of planning; what has none there has none in an emergency.
        """
        given, kept = self._emergency, np.isfinite(network.l_max)
        percent = np.broadcast_to(given.get("loading", emergency_loadings(grid)), len(network.branch_names))
        share = percent[network.conductor_branch] / 100.0
        low, high = (
            np.where((limit > 0.0) & np.isfinite(limit), given[name] ** 2, limit) if name in given else limit
            for name, limit in (("v_min", network.w_min), ("v_max", network.w_max))
        )
        l_max = np.where(kept, (np.where(kept, network.rating, 1.0) * share) ** 2, np.inf)
        return network.with_limits(w_min=low, w_max=high, l_max=l_max)

    @property
    def _emergency(self) -> dict[str, float]:
        """What is given of the limits of an emergency.

        Raises:
            OptionError: something else.
        """
        return {} if self.emergency is None else numbers_by_name(self.emergency, "emergency", EMERGENCY, "limits", None)

    @property
    def emergency_words(self) -> str:
        """The limits of an emergency in words."""
        given = self._emergency
        loading = f"ratings at {given['loading']:g} %" if "loading" in given else "ratings of emergencies"
        volts = [f"{name} {given[name]:g} pu" for name in ("v_min", "v_max") if name in given]
        return " and ".join([loading, *volts])

    def sections(self, grid: Grid, network: Network, data: Reliability) -> Sections:
        """What is isolated together with the fault of a branch."""
        from openpoint.studies.secure.model.faults import every_line_alone, sections_of

        found = sections_of(grid, network, dict(data.breakers.iter_rows()))
        return every_line_alone(found) if self.isolate_lines else found

    def _checks(self) -> list[Callable[[], object]]:
        from openpoint.studies.secure.model.indices import check_times

        return [
            *super()._checks(),
            self._check_emergency,
            lambda: self.rates,
            lambda: check_times(self.switching_h, self.remote_switching_h),
        ]

    def _check_emergency(self) -> None:
        from openpoint.network.limits import Limits

        given = self._emergency
        Limits(v_min_pu=given.get("v_min"), v_max_pu=given.get("v_max"))
        percent = given.get("loading", 100.0)
        if percent <= 0.0:
            raise OptionError(f"loading of emergency is {percent:g}; give percent above 0, such as 120")
        if percent <= MULTIPLE_MOST:
            meant = f"for {percent:g} times the ratings give {100.0 * percent:g}"
            raise OptionError(f"loading of emergency is {percent:g}, and is in percent; {meant}")


def emergency_loadings(grid: Grid) -> Floats:
    """(E) most loading of each branch after a fault, percent of its rating."""
    from openpoint.grid.schemas import BRANCH_TABLES

    planned, own = pl.col("max_loading_percent"), pl.col("emergency_loading_percent")
    loading = own.fill_null(pl.max_horizontal(planned, 100.0))
    return np.concatenate([grid.tables()[kind].select(loading).to_series().to_numpy() for kind in BRANCH_TABLES])
