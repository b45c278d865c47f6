"""Options of a reconfiguration with faults, checked in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from openpoint.arguments import numbers_by_name
from openpoint.errors import OptionError
from openpoint.options import FIRST, Output, argument, option
from openpoint.studies.reconfigure.options import Changing, OpenPoints
from openpoint.studies.secure.model.assumptions import FAULTS, FaultAssumptions
from openpoint.studies.shared import COPY, EXIT_CODES

if TYPE_CHECKING:
    from openpoint.studies.reconfigure.faults.task import Sought

TODAY = "today"
"""No fault is less restorable than today."""
LOSS, UNRESTORABLE, INDICES = "loss", "unrestorable", ("saifi", "saidi", "ens")
AtMost = str | Mapping[str, float]
"""Limits by name, as a mapping or as text: `saidi=0.5,unrestorable=40`."""


@dataclass(frozen=True, kw_only=True)
class FaultQuestion(OpenPoints, FaultAssumptions):
    """The common options of questions about open points with limits of faults; it is answered by its own search."""

    restorable: str | int | None = option(
        None,
        "No fault less restorable by one tie than today, or at most N faults that are not restorable.",
        unit="today|N",
        group=FIRST,
    )
    at_most: AtMost = option(
        "",
        "The most of saifi (1/a), saidi (h/a), ens (kWh/a), unrestorable faults, as saidi=0.5,unrestorable=40.",
        unit="LIMITS",
        group=FIRST,
    )

    reads: ClassVar[tuple[str, ...]] = ()

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), self._check_restorable, self._check_at_most]

    @property
    def sought(self) -> Sought:
        """The figure of faults about which data are needed, or the loss."""
        raise NotImplementedError

    @property
    def most(self) -> Mapping[str, float]:
        """What is at most so much, by its name, in the unit in which it is shown."""
        from openpoint.studies.reconfigure.faults.task import FIGURES

        return numbers_by_name(self.at_most, "at_most", FIGURES, "figures of faults", None)

    @property
    def indices(self) -> Mapping[Sought, float]:
        """The indices among them."""
        from openpoint.studies.reconfigure.faults.task import Sought

        return {Sought(name): most for name, most in self.most.items() if name != UNRESTORABLE}

    def _check_restorable(self) -> None:
        advice = f"{TODAY!r}, or the number of faults that may be unrestorable"
        if isinstance(self.restorable, str) and self.restorable.isdigit():
            object.__setattr__(self, "restorable", int(self.restorable))
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


@dataclass(frozen=True, kw_only=True)
class ReconfigureSecureOptions(FaultQuestion, Changing):
    """The question of open points with limits of faults, or of least interruptions.

    Raises:
        OptionError: with all that is wrong.
    """

    minimize: str = option(LOSS, "What is least.", choices=(LOSS, *INDICES), group=FIRST)

    outputs: ClassVar[tuple[Output, ...]] = (COPY,)
    details: ClassVar[str] = "Faults are evaluated as openpoint secure does; one tie for each part restores its supply."
    examples: ClassVar[str] = f"""\b
Examples:
  openpoint reconfigure-secure my_grid.json --restorable today --time-limit 60
  openpoint reconfigure-secure my_grid.json --at-most saidi=0.5,unrestorable=40 --reliability data/ \\
    --failures km=0.05
  openpoint reconfigure-secure my_grid.json --minimize saidi --reliability data/ --failures km=0.05

{EXIT_CODES}"""

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), self._check_minimize]

    @property
    def sought(self) -> Sought:
        from openpoint.studies.reconfigure.faults.task import Sought

        return Sought(self.minimize)

    def _check_minimize(self) -> None:
        if self.minimize in self.most:
            raise OptionError(f"{self.minimize} is what is least and bounded by at_most; leave one of both out")
        if self.change_cost_kw and self.minimize != LOSS:
            raise OptionError(f"change_cost_kw is in kW of loss; with minimize={self.minimize!r} give max_changes")


@dataclass(frozen=True)
class ReconfigureFrontOptions(FaultQuestion):
    """The question of the states of which none has both less loss and less of another figure.

    Raises:
        OptionError: with all that is wrong.
    """

    kept: str = argument("The figure over which the loss is drawn.", unit="FIGURE", choices=(UNRESTORABLE, *INDICES))
    points: int | None = option(
        None, "Most points of an index; of unrestorable faults all are tried.  [default: 9]", "whole", unit="N", least=2
    )
    max_changes: int | None = option(None, "Switch at most so many branches.", "whole", unit="N", least=0, group=FAULTS)

    details: ClassVar[str] = "Each point is proven, or has its gap; a time limit is that of all points together."
    examples: ClassVar[str] = f"""\b
Examples:
  openpoint reconfigure-front my_grid.json unrestorable --time-limit 300 --report front.html
  openpoint reconfigure-front my_grid.json saidi --points 5 --reliability data/ --failures km=0.05

{EXIT_CODES}"""

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), self._check_points]

    @property
    def sought(self) -> Sought:
        from openpoint.studies.reconfigure.faults.task import Sought

        return Sought.LOSS if self.kept == UNRESTORABLE else Sought(self.kept)

    def _check_points(self) -> None:
        if self.kept == UNRESTORABLE and self.points is not None:
            raise OptionError("a front of unrestorable faults has all of its points; leave points out")
