"""What `secure` is asked beside its grid, checked in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import final

from openpoint.errors import OptionError
from openpoint.grid.arguments import Names, all_checked, names_of, not_negative, of_kind
from openpoint.network.limits import Limits
from openpoint.scenarios.reliability import Reliability, ReliabilityLike, read_reliability
from openpoint.studies.secure.model.indices import check_times

MULTIPLE_MOST = 2.0
"""Up to this a loading in percent is taken for a multiple of the ratings that was meant, and is refused."""


@final
@dataclass(frozen=True, kw_only=True)
class SecureOptions:
    """The arguments of `openpoint.secure` about faults and what may be done after them; see there.

    Raises:
        OptionError: with all that is wrong.
    """

    open_branches: Names | None = None
    limits: Limits | None = None
    max_loading_percent: float = 100.0
    isolate_lines: bool = False
    transformers: bool = True
    switchings: int = 1
    any_switching: bool = False
    time_limit_s: float | None = None
    reliability: ReliabilityLike | None = None
    failures_per_km_year: float | None = None
    failures_per_branch_year: float | None = None
    switching_h: float = 1.0
    remote_switching_h: float | None = None
    repair_h: float = 4.0

    def __post_init__(self) -> None:
        maybe = ("failures_per_km_year", "failures_per_branch_year", "time_limit_s", "remote_switching_h")
        numbers = (*(name for name in maybe if getattr(self, name) is not None), "switching_h", "repair_h")
        all_checked(
            lambda: self.state,
            lambda: Limits.given(self.limits),
            self._check_loading,
            self._check_switchings,
            lambda: check_times(self.switching_h, self.remote_switching_h),
            *(lambda name=name: not_negative(name, getattr(self, name)) for name in numbers),
        )

    def _check_loading(self) -> None:
        of_kind(self.max_loading_percent, Real, "max_loading_percent", "percent of the ratings, such as 120")
        if not (math.isfinite(self.max_loading_percent) and self.max_loading_percent > 0.0):
            raise OptionError(f"max_loading_percent is {self.max_loading_percent:g}; give percent above 0, such as 120")
        if self.max_loading_percent <= MULTIPLE_MOST:
            meant = f"for {self.max_loading_percent:g} times the ratings give {100.0 * self.max_loading_percent:g}"
            raise OptionError(f"max_loading_percent is {self.max_loading_percent:g}, and is in percent; {meant}")

    def _check_switchings(self) -> None:
        what = "a whole number from 1 on, such as 3"
        of_kind(self.switchings, int, "switchings", what)
        if self.switchings < 1:
            raise OptionError(f"switchings is {self.switchings}; give {what}")

    @property
    def beyond_ties(self) -> bool:
        """Whether more than one tie a part is asked for."""
        return self.any_switching or self.switchings > 1

    @property
    def state(self) -> tuple[str, ...] | None:
        """Names of the branches that are open; None for today's state."""
        return None if self.open_branches is None else names_of(self.open_branches, "open_branches")

    @property
    def data(self) -> Reliability:
        """Customers and rates, empty where none were given."""
        return Reliability.of() if self.reliability is None else read_reliability(self.reliability)
