"""What a reconfiguration with faults is asked beside its grid, checked in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from openpoint.arguments import all_checked, numbers_by_name
from openpoint.errors import OptionError
from openpoint.studies.reconfigure.faults.task import FIGURES, UNRESTORABLE, Sought
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.secure.model.indices import FaultAssumptions

TODAY = "today"
"""No fault is less restorable than today."""
AtMost = str | Mapping[str, float]
"""Limits by name, as a mapping or as text: `saidi=0.5,unrestorable=40`."""


@final
@dataclass(frozen=True, kw_only=True)
class FaultQuestion(FaultAssumptions):
    """The arguments of `openpoint.reconfigure_secure` about faults; see there.

    Raises:
        OptionError: with all that is wrong.
    """

    minimize: str = "loss"
    restorable: str | int | None = None
    at_most: AtMost = field(default_factory=dict)

    def __post_init__(self) -> None:
        all_checked(lambda: self.sought, self._check_restorable, self._check_at_most, *self.checks())

    @property
    def sought(self) -> Sought:
        """The figure that is least.

        Raises:
            OptionError: there is none of that name.
        """
        try:
            return Sought(self.minimize)
        except ValueError:
            known = ", ".join(Sought)
            raise OptionError(f"minimize is {self.minimize!r}; give one of {known}") from None

    @property
    def most(self) -> Mapping[str, float]:
        """What is at most so much, by its name, in the unit in which it is shown."""
        return numbers_by_name(self.at_most, "at_most", FIGURES, "figures of faults", None)

    @property
    def indices(self) -> Mapping[Sought, float]:
        """The indices among them."""
        return {Sought(name): most for name, most in self.most.items() if name != UNRESTORABLE}

    def check_with(self, options: ReconfigureOptions) -> None:
        """Refuse options of a reconfiguration that do not go with faults.

        Raises:
            OptionError: naming them.
        """
        if options.method is not None:
            raise OptionError("a topology with limits of faults is found by its own search; leave out method")
        if options.soft_limits:
            raise OptionError("soft_limits are for a reconfiguration without limits of faults; leave one of both out")
        if options.change_cost_kw and self.sought is not Sought.LOSS:
            raise OptionError(f"change_cost_kw is in kW of loss; with minimize={self.minimize!r} give max_changes")

    def _check_restorable(self) -> None:
        advice = f"{TODAY!r}, or the number of faults that may be unrestorable"
        if self.restorable is None or self.restorable == TODAY:
            return
        if isinstance(self.restorable, bool) or not isinstance(self.restorable, int) or self.restorable < 0:
            raise OptionError(f"restorable is {self.restorable!r}; give {advice}")

    def _check_at_most(self) -> None:
        faults = self.most.get(UNRESTORABLE)
        if faults is not None and faults != int(faults):
            raise OptionError(f"at_most of {UNRESTORABLE} is {faults:g}; give a whole number of faults")
        if faults is not None and isinstance(self.restorable, int):
            raise OptionError(f"restorable and at_most both give a number of {UNRESTORABLE} faults; leave one out")
        if self.minimize in self.most:
            raise OptionError(f"{self.minimize} is what is least and bounded by at_most; leave one of both out")
