"""The command `secure`; nothing heavy is imported before it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openpoint.cli.config import configured
from openpoint.cli.faults import FaultRules, YearOptions, fault_arguments
from openpoint.cli.groups import grouped
from openpoint.cli.guard import guarded
from openpoint.cli.options import GeojsonOption, GridArgument, GridOptions, LimitOptions, QuietOption
from openpoint.cli.outputs import Outputs

if TYPE_CHECKING:
    from openpoint.network.limits import Limits
    from openpoint.studies.secure.options import SecureOptions

SECURE_EPILOG = """\b
A fault takes down all that no switch can part from it. Each part fed through it is then fed by one tie, if the exact
AC power flow keeps the limits. Where no tie does, --switchings 3 closes up to three branches and opens others, so that
the grid stays radial; --any-switching finds or rules out that any switching at all restores the supply. Customers and
rates are tables in a folder or workbook: customers (bus, customers), rates (branch, failures_per_year, repair_h) and
breakers (branch, end), where one trips in a feeder.

\b
Examples:
  openpoint secure baran33
  openpoint secure baran33 --open 7,9,14,32,37 --max-loading 120
  openpoint secure baran33 --switchings 3 --any-switching
  openpoint secure my_grid.m --reliability data/ --failures-per-km 0.05 --report report.html

\b
Exit codes:
   0  every fault was evaluated; those not decided by the time limit or Ctrl-C are listed as unknown
   2  bad input or usage; the message names the place and the remedy
  70  internal error: please report it
  74  evaluated, but a file asked for could not be written"""


@dataclass(frozen=True, kw_only=True)
class FaultOptions(FaultRules):
    """Which faults are asked about, and in which state of the grid."""

    open: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES", help="Evaluate the state with these branches open, as 7,9; repeatable.  [default: today's]"
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class RestorationOptions:
    """What may be switched to restore the supply."""

    switchings: Annotated[
        int,
        typer.Option(
            metavar="K",
            min=1,
            help="Most branches closed after a fault; as many are opened as keep the grid radial. Always one for each "
            "part cut off.",
        ),
    ] = 1
    any_switching: Annotated[
        bool,
        typer.Option(
            "--any-switching",
            help="Find, or prove that there is not, any radial state that restores the supply: by how many closings "
            "soever.",
        ),
    ] = False
    time_limit: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.0, help="Stop then; what is not decided is listed as unknown."),
    ] = None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=SECURE_EPILOG)(guarded(configured(grouped(secure))))


def secure(
    grid: GridArgument,
    *,
    faults: FaultOptions,
    restoration: RestorationOptions,
    year: YearOptions,
    limits: LimitOptions,
    outputs: Outputs,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw what switching does after each fault, .png or .svg.")
    ] = None,
    geojson: GeojsonOption = None,
    quiet: QuietOption = False,
) -> int:
    """Find which faults switching restores, and what a year of faults does to customers."""
    from openpoint.twostage.interrupt import install

    install()  # before the kernels are loaded, in which an exception would be lost
    from openpoint.cli.grid import Asked
    from openpoint.cli.secure import run

    asked = Asked(GridOptions(geojson=geojson))
    options = _options(faults, restoration, year, limits.limits())
    return run.secure(grid, asked, options, replace(outputs, plot=plot), quiet=quiet)


def _options(faults: FaultOptions, restoration: RestorationOptions, year: YearOptions, limits: Limits) -> SecureOptions:
    """The options of the study.

    Raises:
        OptionError: options that make no sense.
    """
    from openpoint.studies.secure.options import SecureOptions

    named = None if faults.open is None else [name.strip() for each in faults.open for name in each.split(",")]
    return SecureOptions(
        open_branches=named,
        limits=limits,
        switchings=restoration.switchings,
        any_switching=restoration.any_switching,
        time_limit_s=restoration.time_limit,
        **fault_arguments(faults, year),
    )
