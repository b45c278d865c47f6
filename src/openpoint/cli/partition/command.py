"""The command `partition`; nothing heavy is imported before it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from openpoint.cli.config import configured
from openpoint.cli.groups import grouped
from openpoint.cli.guard import guarded
from openpoint.cli.options import EXIT_CODES, GridArgument, QuietOption
from openpoint.cli.outputs import Outputs
from openpoint.cli.partition.options import CostOptions, MethodOptions, OverTime, Question, Sampling

PARTITION_EPILOG = f"""\b
Examples:
  openpoint partition ieee37-microgrids
  openpoint partition ieee37-microgrids --uncertainty 0.15 --json plan.json
  openpoint partition ieee37-microgrids --uncertainty 0.25 --uncertain-loads 6 --report plan.html
  openpoint partition ieee37-microgrids --uncertainty 0,0.1,0.15,0.25 --uncertain-loads 6 --plot levels.png
  openpoint partition ieee37-microgrids --steps day --max-actions 4 --uncertainty 0.1 --uncertain-loads 6
  openpoint partition ieee37-microgrids --uncertainty 0.1 --samples 10000 --executor processes:4
  openpoint partition my_tables --uncertainty 0.1 --uncertain-loads s728,s738a --max-grid-forming 2

{EXIT_CODES}"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=PARTITION_EPILOG)(guarded(configured(grouped(partition))))


def partition(
    grid: GridArgument,
    *,
    question: Question,
    over: OverTime,
    costs: CostOptions,
    method: MethodOptions,
    sampling: Sampling,
    outputs: Outputs,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the islands as a picture, .png, .svg or .pdf; of levels side by side."
        ),
    ] = None,
    quiet: QuietOption = False,
) -> int:
    """Cut a grid that lost its substation into microgrids that serve most load.

    Decides which switches open and close, which blocks are energised and which generators form the grid, so that
    generators can follow the loads wherever these lie within their uncertainty, proven by a lower bound.
    """
    from openpoint.twostage.interrupt import install

    install()  # before the solvers are imported: from here on Ctrl-C asks the method to stop
    from openpoint.cli.partition import run

    return run.partition(
        grid,
        question,
        over.check(),
        costs.costs(),
        method.chosen(),
        sampling=sampling,
        outputs=replace(outputs, plot=plot),
        quiet=quiet,
    )
