"""Assumptions of every question about faults: which there are, how they are isolated, how often they come."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING

from openpoint.arguments import not_negative, of_kind
from openpoint.errors import OptionError
from openpoint.options import FIRST, Question, option

if TYPE_CHECKING:
    from openpoint.arrays import Bools
    from openpoint.grid.grid import Grid
    from openpoint.network import Network
    from openpoint.scenarios.reliability import Reliability, ReliabilityLike
    from openpoint.studies.secure.model.faults import Sections
    from openpoint.studies.secure.model.indices import SwitchingTimes

MULTIPLE_MOST = 2.0
"""Up to this a loading in percent is taken for a multiple of the ratings that was meant, and is refused."""
FAULTS, YEAR = "Faults", "Interruptions of a year"


@dataclass(frozen=True, kw_only=True)
class FaultAssumptions(Question):
    """The options that every question about faults has."""

    max_loading_percent: float = option(
        100.0,
        "Most loading after a fault, percent of the ratings.",
        "number",
        unit="PERCENT",
        least=0.0,
        flag="max-loading",
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
    failures_per_km_year: float | None = option(
        None,
        "Faults a year of a km of line.",
        "number",
        unit="RATE",
        least=0.0,
        flag="failures-per-km",
        group=YEAR,
    )
    failures_per_branch_year: float | None = option(
        None,
        "Faults a year of each branch without another rate; without any rate there are no indices.",
        "number",
        unit="RATE",
        least=0.0,
        flag="failures-per-branch",
        group=YEAR,
    )
    switching_h: float = option(
        1.0, "Time until a fault is isolated and ties are closed.", "number", unit="HOURS", least=0.0, group=YEAR
    )
    remote_switching_h: float | None = option(
        None,
        "The same where all that is operated is remote.  [default: the same]",
        "number",
        unit="HOURS",
        least=0.0,
        group=YEAR,
    )
    repair_h: float = option(4.0, "Time until a repair is done.", "number", unit="HOURS", least=0.0, group=YEAR)

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

    def sections(self, grid: Grid, network: Network, data: Reliability) -> Sections:
        """What is isolated together with the fault of a branch."""
        from openpoint.studies.secure.model.faults import every_line_alone, sections_of

        found = sections_of(grid, network, dict(data.breakers.iter_rows()))
        return every_line_alone(found) if self.isolate_lines else found

    def checks(self) -> list[Callable[[], object]]:
        """Checks of these arguments, each of which raises `OptionError` where one makes no sense."""
        from openpoint.studies.secure.model.indices import check_times

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
