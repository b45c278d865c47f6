"""The command `harden`; nothing heavy is imported before it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from openpoint.cli.config import configured
from openpoint.cli.groups import grouped
from openpoint.cli.guard import guarded
from openpoint.cli.harden.options import CostOptions, Means, MethodOptions, Threats
from openpoint.cli.options import EXIT_CODES, GridArgument, LimitOptions, QuietOption
from openpoint.cli.outputs import Outputs

HARDEN_EPILOG = f"""\b
What may break is a table with the columns disaster, probability, branch: a row a broken branch.

\b
Examples:
  openpoint harden zhang13 --disasters disasters.csv --max-lines 1 --max-generators 1
  openpoint harden zhang13 --disasters disasters.csv --budget 1000 --report report.html
  openpoint harden zhang13 --disasters disasters.csv --budget 1000 --ambiguity moments:0.1
  openpoint harden zhang13 --any-lines 2 --max-lines 2 --max-generators 1 --json -
  openpoint harden baran33 --storms 20 --seed 1 --max-lines 2 --max-generators 1

{EXIT_CODES}"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=HARDEN_EPILOG)(guarded(configured(grouped(harden))))


def harden(
    grid: GridArgument,
    *,
    threats: Threats,
    means: Means,
    costs: CostOptions,
    value_of_information: Annotated[
        bool | None,
        typer.Option(
            "--value-of-information/--no-value-of-information",
            help="Compare with other plans and with knowing the disaster.  [default: up to 50 distinct disasters]",
            show_default=False,
        ),
    ] = None,
    method: MethodOptions,
    limits: LimitOptions,
    outputs: Outputs,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the grid after the disasters, .png or .svg.")
    ] = None,
    quiet: QuietOption = False,
) -> int:
    """Choose lines to harden and places for backup generators before a disaster.

    After a disaster the grid is reconfigured, islands form around generators and least load is shed: the plan makes
    all of it cost least. The answer is proven by a lower bound and checked by an exact AC power flow.
    """
    from openpoint.twostage.interrupt import install

    install()  # before the solvers are imported: from here on Ctrl-C asks the method to stop
    from openpoint.cli.harden import run

    return run.harden(
        grid,
        outputs=replace(outputs, plot=plot),
        threats=threats.check(),
        means=means,
        costs=costs.costs(),
        method=method.chosen(),
        limits=limits.limits(),
        value_of_information=value_of_information,
        quiet=quiet,
    )
