"""What a method found, in the units of the criteria."""

from __future__ import annotations

from dataclasses import dataclass

from openpoint.search.operating_states import OperatingState
from openpoint.twostage.log import Iteration, Termination, relative_gap


@dataclass(frozen=True)
class Found:
    """The end of a run.

    Attributes:
        termination: why it stopped.
        best: best state that keeps the limits; None if there is none. least: state of the least violation found, where
            none keeps them.
        lower_bound, upper_bound: of the weighted sum of the criteria, proven and verified by exact AC power flow.
        log: the iterations. seconds: of the method alone. notes: what the bound rests on beside the method.
    """

    termination: Termination
    best: OperatingState | None
    least: OperatingState | None
    lower_bound: float
    upper_bound: float
    log: tuple[Iteration, ...]
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        return relative_gap(self.lower_bound, self.upper_bound)

    @property
    def shown(self) -> OperatingState | None:
        """The state that is shown: the answer, or that of least violation."""
        return self.best or self.least
