"""The command `powerflow`; nothing heavy is imported before it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from openpoint.cli.config import configured
from openpoint.cli.groups import grouped
from openpoint.cli.guard import guarded
from openpoint.cli.options import GridArgument, QuietOption
from openpoint.cli.outputs import Outputs


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(guarded(configured(grouped(powerflow))))


def powerflow(
    grid: GridArgument,
    *,
    outputs: Outputs,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the grid, .png, .svg or .pdf.")] = None,
    quiet: QuietOption = False,
) -> int:
    """Compute the exact AC power flow of today's state."""
    from openpoint.cli.powerflow import run

    return run.powerflow(grid, replace(outputs, plot=plot), quiet=quiet)
