"""The options of the command `reconfigure` about faults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from openpoint.cli.faults import FaultRules, YearOptions, fault_arguments
from openpoint.errors import OptionError

if TYPE_CHECKING:
    from openpoint.studies.reconfigure.faults.options import FaultQuestion


class Minimize(StrEnum):
    """The figure that is least."""

    LOSS = "loss"
    SAIFI = "saifi"
    SAIDI = "saidi"
    ENS = "ens"


class Kept(StrEnum):
    """The figure that a front draws the loss over."""

    UNRESTORABLE = "unrestorable"
    SAIFI = "saifi"
    SAIDI = "saidi"
    ENS = "ens"


@dataclass(frozen=True, kw_only=True)
class FaultOptions(FaultRules, YearOptions):
    """Faults as a limit or an objective: what ties restore after them, and interruptions a year."""

    restorable: Annotated[
        str | None,
        typer.Option(
            metavar="today|N",
            help="No fault less restorable by one tie than today, or at most N faults that are not restorable.",
        ),
    ] = None
    at_most: Annotated[
        str | None,
        typer.Option(
            metavar="LIMITS",
            help="The most of saifi (1/a), saidi (h/a), ens (kWh/a), unrestorable, as saidi=0.5,unrestorable=40.",
        ),
    ] = None
    minimize: Annotated[Minimize | None, typer.Option(help="What is least.  [default: loss]", show_default=False)] = (
        None
    )
    front: Annotated[
        Kept | None,
        typer.Option(
            help="The states of which none has both less loss and less of this, each proven.", show_default=False
        ),
    ] = None
    points: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Most points of --front with an index.  [default: 9]")
    ] = None

    @property
    def any(self) -> bool:
        """Whether faults are asked about."""
        asked = (self.restorable, self.at_most, self.minimize, self.front)
        return any(each is not None for each in asked)

    def check(self, *, alone: bool) -> None:
        """Refuse options that do not go together; `alone`: one grid, today's demand, no files of a search, no plan.

        Raises:
            OptionError: options of faults without a question about them, or with what they cannot go with.
        """
        if self.any and not alone:
            raise OptionError(
                "--restorable, --at-most, --minimize and --front are for one grid and today's demand, without "
                "--certificate, --checkpoint, --plan and --checklist; leave one out"
            )
        if self.points is not None and self.front is None:
            raise OptionError(
                "--points is the number of points of --front; name a figure with --front, or leave it out"
            )
        about = {
            "--max-loading": self.max_loading is not None,
            "--isolate-lines": self.isolate_lines,
            "--lines-only": self.lines_only,
            "--reliability": self.reliability is not None,
            "--failures-per-km": self.failures_per_km is not None,
            "--failures-per-branch": self.failures_per_branch is not None,
            "--switching-h": self.switching_h is not None,
            "--remote-switching-h": self.remote_switching_h is not None,
            "--repair-h": self.repair_h is not None,
        }
        if not self.any and (named := [option for option, given in about.items() if given]):
            raise OptionError(
                f"{named[0]} is about faults; ask about them by --restorable, --at-most, --minimize or --front"
            )

    def question(self) -> FaultQuestion:
        """The question about faults.

        Raises:
            OptionError: options that make no sense.
        """
        from openpoint.studies.reconfigure.faults.options import FaultQuestion

        wanted = self.restorable
        return FaultQuestion(
            minimize=(self.minimize or Minimize.LOSS).value,
            restorable=int(wanted) if wanted is not None and wanted.isdigit() else wanted,
            at_most=self.at_most or {},
            **fault_arguments(self, self),
        )
