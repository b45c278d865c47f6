"""Options of an order of switching."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar

from openpoint.arguments import Names
from openpoint.options import FIRST, Output, argument, option
from openpoint.studies.shared import GRID, Limited

if TYPE_CHECKING:
    from openpoint.scenarios.reliability import ReliabilityLike
    from openpoint.studies.plan.states import State


@dataclass(frozen=True)
class SwitchPlanOptions(Limited):
    """The question of an order of switching.

    Raises:
        OptionError: with all that is wrong.
    """

    after: State = argument(
        "The state to be reached: a grid of the same branches, the JSON file of a result, or the names of the open "
        "branches, as 7,9 (none: no branch is open).",
        unit="TO",
    )
    _: KW_ONLY
    before: State | None = option(
        None, "The state to begin with.  [default: that of the grid]", unit="STATE", flag="from", group=FIRST
    )
    switchable: Names = option(
        (),
        "Names or patterns (T1,CB*) of what may be operated though the grid does not say so.",
        "names",
        unit="NAMES",
        group=GRID,
    )
    keep: Names = option((), "Branches that are operated only if they differ.", "names", unit="BRANCH", group=GRID)
    parallel: bool = option(
        False, "The plan may join different sources for a moment.", "flag", flag="parallel-sources", group=FIRST
    )
    remote_minutes: float = option(
        5.0, "Minutes that an operation by remote control takes.", "number", unit="MIN", least=0.0, flag="remote-min"
    )
    manual_minutes: float = option(
        30.0, "Minutes that an operation on site takes.", "number", unit="MIN", least=0.0, flag="manual-min"
    )
    reliability: ReliabilityLike | None = option(
        None,
        "Customers by bus: a folder with the table customers, or a workbook.",
        "path",
        unit="PATH",
        flag="customers",
    )
    time_limit_s: float | None = option(
        30.0,
        "Show the best order that is known then.",
        "number",
        unit="SECONDS",
        least=0.0,
        endless=True,
        flag="time-limit",
    )

    stops: ClassVar[bool] = False
    outputs: ClassVar[tuple[Output, ...]] = (
        Output(
            name="checklist",
            sentence="Write the switch plan as a list to print and tick: .html, .md or .csv.",
            method="write_checklist",
            group=FIRST,
        ),
    )
    details: ClassVar[str] = "The demand is that of GRID throughout."
    examples: ClassVar[str] = """\b
Examples:
  openpoint plan baran33 7,9,14,32,37
  openpoint plan net.json result.json --checklist switching.html
  openpoint plan net.json tuesday.json --from monday.json --report plan.html

\b
Exit codes:
   0  an order that keeps the limits, proven to be the best
   2  bad input or usage; the message names the place and the remedy
   3  no order that keeps the limits was found; that which breaks them least is shown, where there is one
   4  an order that keeps the limits, not proven to be the best
  70  internal error: please report it
  74  planned, but a file asked for could not be written"""
