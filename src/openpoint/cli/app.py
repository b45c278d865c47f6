"""The commands and their options. Each ends with an exit code, which `guarded` hands to the shell."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from openpoint.cli.completion import wanted
from openpoint.cli.config import configured
from openpoint.cli.guard import guarded
from openpoint.cli.harden.command import HARDEN_EPILOG, harden
from openpoint.cli.options import (
    EXIT_CODES,
    CsvOption,
    ExcelOption,
    FreeQOption,
    GridArgument,
    JsonOption,
    ParquetOption,
    PvAsPqOption,
    QuietOption,
    ReportOption,
    SwitchableOption,
)
from openpoint.cli.outputs import Outputs
from openpoint.cli.partition.command import PARTITION_EPILOG, partition
from openpoint.cli.reconfigure.command import FUTURES_EPILOG, RECONFIGURE_EPILOG, futures, reconfigure

HELP = ["-h", "--help"]

MAIN_EPILOG = f"""\b
Also:
  openpoint --version          print the version
  openpoint --debug COMMAND …  show the traceback of an error
  openpoint --install-completion
                               let this shell complete commands, options and grids; --show-completion prints how

\b
A first run:
  openpoint cases
  openpoint reconfigure baran33 --report report.html
  openpoint reconfigure my_grid.m --gap 1e-3 --json result.json

{EXIT_CODES}"""

VERIFY_EPILOG = """\b
A certificate is written by reconfigure --certificate. It holds a lower bound for every part of all radial states; each
is evaluated in integers, and the best state by an AC power flow.

\b
Examples:
  openpoint reconfigure baran33 --certificate proof.gz
  openpoint verify baran33 proof.gz

\b
Exit codes:
   0  the certificate proves what is printed
   2  bad input or usage
   5  refused: the certificate is damaged, of another grid, or does not prove what it claims"""


class Tables(StrEnum):
    """File format of the tables of a grid."""

    CSV = "csv"
    PARQUET = "parquet"


class Shape(StrEnum):
    """What a published JSON Schema describes."""

    RESULT = "result"
    FUTURES = "futures"
    POWERFLOW = "powerflow"
    HARDEN = "harden"
    PARTITION = "partition"
    PARTITION_LEVELS = "partition-levels"
    PARTITION_STEPS = "partition-steps"
    HORIZON = "horizon"
    GRID = "grid"


app = typer.Typer(
    add_completion=wanted(),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": HELP, "max_content_width": 110},
    epilog=MAIN_EPILOG,
)


@app.callback()
def _common() -> None:
    """Decide where the open points of a distribution grid lie, and prove how good the answer is."""


app.command(epilog=RECONFIGURE_EPILOG)(guarded(configured(reconfigure)))
app.command(epilog=FUTURES_EPILOG)(guarded(configured(futures)))
app.command(epilog=PARTITION_EPILOG)(guarded(configured(partition)))
app.command(epilog=HARDEN_EPILOG)(guarded(configured(harden)))


@app.command(epilog=VERIFY_EPILOG)
@guarded
def verify(
    grid: GridArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The certificate.", show_default=False)],
    switchable: SwitchableOption = None,
    pv_as_pq: PvAsPqOption = False,
    free_q: FreeQOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check the certificate of a reconfiguration, without the code that wrote it."""
    from openpoint.cli import verify as command
    from openpoint.cli.grid import choose_held

    held = choose_held(pv_as_pq=pv_as_pq, free_q=free_q)
    return command.verify(grid, file, switchable=tuple(switchable or ()), held=held, quiet=quiet)


@app.command()
@guarded
@configured
def powerflow(
    grid: GridArgument,
    json: JsonOption = None,
    csv: CsvOption = None,
    parquet: ParquetOption = None,
    excel: ExcelOption = None,
    report: ReportOption = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the grid, .png, .svg or .pdf.")] = None,
    quiet: QuietOption = False,
) -> int:
    """Compute the exact AC power flow of today's state."""
    from openpoint.cli import grid as run

    outputs = Outputs(json=json, csv=csv, parquet=parquet, excel=excel, report=report, plot=plot).check(grid)
    return run.powerflow(grid, outputs, quiet=quiet)


@app.command()
@guarded
def info(
    grid: GridArgument,
    branches: Annotated[
        bool, typer.Option("--branches", help="List the branches, with names and today's state.")
    ] = False,
) -> int:
    """Show the size of a grid, its loads and today's state."""
    from openpoint.cli import grid as run

    return run.info(grid, branches=branches)


@app.command()
@guarded
def check(
    grid: GridArgument,
    every: Annotated[bool, typer.Option("--all", help="A line for every row, also where many say the same.")] = False,
) -> int:
    """List every fault and doubt of a grid, those that say the same of many rows together.

    The exit code is 2 if there is a fault, 0 if there are only doubts (warnings) or none.
    """
    from openpoint.cli import grid as run

    return run.check(grid, every=every)


@app.command()
@guarded
def convert(
    grid: GridArgument,
    path: Annotated[
        str,
        typer.Argument(metavar="FOLDER", help="Where the tables go, or a file .xlsx or .dss.", show_default=False),
    ],
    tables: Annotated[Tables | None, typer.Option(help="Format of the tables in a folder.  [default: csv]")] = None,
    switchable: SwitchableOption = None,
    pv_as_pq: PvAsPqOption = False,
    free_q: FreeQOption = False,
) -> int:
    """Write a grid as a folder of tables, an Excel workbook (.xlsx) or an OpenDSS circuit (.dss)."""
    from openpoint.cli import grid as run

    held = run.choose_held(pv_as_pq=pv_as_pq, free_q=free_q)
    asked = run.Asked(tuple(switchable or ()), held=held)
    return run.convert(grid, path, None if tables is None else tables.value, asked)


@app.command()
@guarded
def warmup(quiet: QuietOption = False) -> int:
    """Compile beforehand what is otherwise compiled at its first use on a machine.

    The machine code is kept beside the package, or in your cache folder where the package is read-only.
    """
    from openpoint.cli import warmup as command

    return command.warmup(quiet=quiet)


@app.command()
@guarded
def cases() -> int:
    """List the built-in grids."""
    from openpoint.cli import grid as run

    return run.cases()


@app.command()
@guarded
def schema(shape: Annotated[Shape, typer.Argument(metavar="SHAPE", help="What it describes.")] = Shape.RESULT) -> int:
    """Print the JSON Schema of a result or of a grid."""
    from openpoint.cli import grid as run

    return run.schema(shape.value)


def run_app(arguments: list[str]) -> None:
    """Run the command that the arguments name; leaves by `SystemExit`."""
    group = typer.main.get_command(app)
    known = group.commands if isinstance(group, TyperGroup) else {}
    if len(arguments) == 2 and arguments[0] in known and arguments[1] in HELP:
        # Straight to its help: on the way through the group Typer would load pydantic, slower than all the rest.
        known[arguments[0]].main(arguments[1:], prog_name=f"openpoint {arguments[0]}")
    group.main(arguments, prog_name="openpoint")
