"""The command `plan`; nothing heavy is imported before it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from openpoint.cli.config import configured
from openpoint.cli.groups import grouped
from openpoint.cli.guard import guarded
from openpoint.cli.options import GridArgument, GridOptions, LimitOptions, QuietOption
from openpoint.cli.outputs import Outputs
from openpoint.cli.plan.options import SwitchingOptions
from openpoint.errors import OptionError

PLAN_EPILOG = """\b
A state is the grid in another file or folder, the JSON file of a result, or the names of the open branches, as 7,9
(none: no branch is open). Without FROM the plan begins with the grid as it is. The demand is that of GRID throughout.

\b
Examples:
  openpoint plan baran33 7,9,14,32,37
  openpoint plan net.json result.json --checklist switching.html
  openpoint plan net.json monday.json tuesday.json --report plan.html

\b
Exit codes:
   0  an order that keeps the limits, proven to be the best
   2  bad input or usage; the message names the place and the remedy
   3  no order that keeps the limits was found; that which breaks them least is shown, where there is one
   4  an order that keeps the limits, not proven to be the best
  70  internal error: please report it
  74  planned, but a file asked for could not be written"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=PLAN_EPILOG)(guarded(configured(grouped(plan))))


def plan(
    grid: GridArgument,
    states: Annotated[
        list[str], typer.Argument(metavar="[FROM] TO", help="One or two states of the grid.", show_default=False)
    ],
    *,
    changed: GridOptions,
    limits: LimitOptions,
    how: SwitchingOptions,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="BRANCH", help="Operate it only if it differs; repeatable.")
    ] = None,
    time_limit: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.0, help="Show the best order that is known then.")
    ] = 30.0,
    outputs: Outputs,
    quiet: QuietOption = False,
) -> int:
    """Find an order of switching from one state to another, with the exact state after every step."""
    if len(states) > 2:
        raise OptionError(f"{len(states)} states were given: name that to be reached, or two as FROM TO")
    from openpoint.cli.plan import run

    before = states[0] if len(states) == 2 else None
    keeps = tuple(keep or ())
    return run.plan(
        grid, before, states[-1], changed, limits.limits(), how, keeps, time_limit, outputs=outputs, quiet=quiet
    )
