"""What reconfiguration is asked beside its grid, checked in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from openpoint.arguments import Names, Solves, all_checked, names_of, of_kind
from openpoint.errors import OptionError
from openpoint.network.limits import Limits
from openpoint.scenarios.ambiguity import FuturesRecipe
from openpoint.scenarios.futures import FuturesLike
from openpoint.search.methods import TopologySearch
from openpoint.studies.reconfigure.methods import Method
from openpoint.twostage.ambiguity import Ambiguity
from openpoint.twostage.risk import Risk


@dataclass(frozen=True, kw_only=True)
class ReconfigureOptions:
    """The arguments of `openpoint.reconfigure` about the answer and the way to it; see there.

    Attributes:
        method: by which it is found; None = the first that can take the question.
        gap, time_limit_s: of the method where none is named; None = its own gap, no limit of time.

    Raises:
        OptionError: with all that is wrong.
    """

    method: Method | None = None
    gap: float | None = None
    time_limit_s: float | None = None
    limits: Limits | None = None
    locked_open: Names = ()
    locked_closed: Names = ()
    switchable: Names = ()
    max_changes: int | None = None
    change_cost_kw: float = 0.0
    soft_limits: bool = False

    def __post_init__(self) -> None:
        all_checked(
            self._check_method,
            *(lambda name=name: self._as_names(name) for name in ("locked_open", "locked_closed", "switchable")),
            self._check_max_changes,
            self._check_change_cost,
            self._check_soft_limits,
            lambda: Limits.given(self.limits),
        )

    def _check_method(self) -> None:
        if self.method is not None:
            of_kind(self.method, Solves, "method", "a method such as TopologySearch() or Benders()")

    def _as_names(self, name: str) -> None:
        object.__setattr__(self, name, names_of(getattr(self, name), name))  # an iterator is read once

    def _check_max_changes(self) -> None:
        if self.max_changes is not None:
            of_kind(self.max_changes, Real, "max_changes", "0 or more branches")
            if self.max_changes < 0:
                raise OptionError(f"max_changes is {self.max_changes}; give 0 or more")

    def _check_change_cost(self) -> None:
        of_kind(self.change_cost_kw, Real, "change_cost_kw", "kW per change, 0 or more")
        if not (math.isfinite(self.change_cost_kw) and self.change_cost_kw >= 0.0):
            raise OptionError(f"change_cost_kw is {self.change_cost_kw:g}; give kW per change, 0 or more")

    def _check_soft_limits(self) -> None:
        # Soft limits take many searches, of which one file cannot keep all.
        if self.soft_limits and isinstance(self.method, TopologySearch) and self.method.checkpoint is not None:
            raise OptionError("soft limits take several searches, and a checkpoint keeps one; leave one of both out")


@dataclass(frozen=True)
class FuturesQuestion:
    """The arguments of `openpoint.reconfigure` about futures; see there.

    Raises:
        OptionError: something that is no risk.
    """

    futures: FuturesLike | None
    risk: Risk | None
    ambiguity: Ambiguity | FuturesRecipe | None
    limits_share: float
    sample: FuturesLike | None

    def __post_init__(self) -> None:
        if self.futures is not None and self.risk is not None:
            of_kind(self.risk, Risk, "risk", "Expectation(), CVaR(0.9), WorstCase() or Regret()")

    @property
    def counted(self) -> bool:
        """Whether an option of how futures count is given."""
        default = self.risk is None and self.ambiguity is None and self.limits_share == 1.0 and self.sample is None
        return not default
