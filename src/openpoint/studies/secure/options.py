"""What `secure` is asked beside its grid, checked in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from openpoint.arguments import Names, all_checked, names_of, not_negative, of_kind
from openpoint.errors import OptionError
from openpoint.network.limits import Limits
from openpoint.studies.secure.model.assumptions import FaultAssumptions


@final
@dataclass(frozen=True, kw_only=True)
class SecureOptions(FaultAssumptions):
    """The arguments of `openpoint.secure` about faults and what may be done after them; see there.

    Raises:
        OptionError: with all that is wrong.
    """

    open_branches: Names | None = None
    limits: Limits | None = None
    switchings: int = 1
    any_switching: bool = False
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        all_checked(
            lambda: self.state,
            lambda: Limits.given(self.limits),
            self._check_switchings,
            lambda: None if self.time_limit_s is None else not_negative("time_limit_s", self.time_limit_s),
            *self.checks(),
        )

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
