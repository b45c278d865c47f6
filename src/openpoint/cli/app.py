"""The commands and their options. Each ends with an exit code, which `guarded` hands to the shell."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from openpoint.cli.completion import wanted
from openpoint.cli.guard import guarded
from openpoint.cli.options import (
    EXIT_CODES,
    ForceOption,
    GeojsonOption,
    GridArgument,
    PvOption,
    QuietOption,
    SwitchableOption,
)
from openpoint.errors import did_you_mean

HELP = ["-h", "--help"]
FIRST = ("reconfigure", "dispatch", "harden", "partition", "secure", "verify")
"""The order in which the help lists commands; the others follow."""
OTHERS = {
    "futures": "Draw futures of a grid and write them as a table.",
    "schema": "Print the JSON Schema of a result or of a grid.",
    "verify": "Check the certificate of a reconfiguration or dispatch, without the code that wrote it.",
    "serve": "Open grids, ask studies and keep answers in the browser, or by REST. Ends with Ctrl-C.",
}
"""Commands that are no studies and have a module of their own, each with the first sentence of its help."""

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


class Tables(StrEnum):
    """File format of the tables of a grid."""

    CSV = "csv"
    PARQUET = "parquet"


class Commands(TyperGroup):
    """The commands of this module, and those that the catalogue of studies brings.

    A study is opened when its command is asked for; the list of the help takes the sentences of the catalogue.
    """

    def load(self, name: str) -> Any:
        """The command of that name, if there is one."""
        if name in self.commands:
            return self.commands[name]
        from openpoint.studies.catalog import STUDIES

        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        for study in STUDIES:
            if name == study.name:
                import_module("openpoint.cli.study").register(alone, study)
        if name in OTHERS:
            import_module(f"openpoint.cli.{name}").register(alone)
        return typer.main.get_group(alone).commands[name] if alone.registered_commands else None

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self.load(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and self.load(args[0]) is None:
            remedy = did_you_mean(args[0], self.sentences(), "`openpoint --help` lists the commands")
            ctx.fail(f"No such command {args[0]!r}. {remedy}")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.sentences())

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        listed: dict[str, Any] = {
            name: TyperCommand(name, help=sentence) for name, sentence in self.sentences().items()
        }
        TyperGroup(commands=listed).format_commands(ctx, formatter)

    def sentences(self) -> dict[str, str]:
        """What each command does, in a sentence, in the order in which they are listed."""
        from openpoint.studies.catalog import STUDIES

        found: dict[str, str] = {}
        found |= {study.name: study.sentence for study in STUDIES}
        found |= {name: command.help or "" for name, command in self.commands.items()}
        found |= OTHERS
        return {name: found[name] for name in sorted(found, key=_rank)}


def _rank(name: str) -> int:
    family = name.partition("-")[0]
    return FIRST.index(family) if family in FIRST else len(FIRST)


app = typer.Typer(
    cls=Commands,
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
    """List every fault and doubt of a grid, those that are alike in many rows together.

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
    tables: Annotated[
        Tables | None, typer.Option("--format", help="Format of the tables in a folder.  [default: csv]")
    ] = None,
    balanced: Annotated[
        bool,
        typer.Option(
            "--balanced",
            help="Write the balanced equivalent of a grid with phases a, b, c, for the studies that need one; today's "
            "loss of both is shown.",
        ),
    ] = False,
    *,
    force: ForceOption = False,
    switchable: SwitchableOption = None,
    pv: PvOption = None,
    geojson: GeojsonOption = None,
) -> int:
    """Write a grid as a folder of tables, an Excel workbook (.xlsx) or an OpenDSS circuit (.dss)."""
    from openpoint.cli import grid as run

    read = {"geojson": geojson, "pv": pv.value if pv else "hold"}
    form = None if tables is None else tables.value
    return run.convert(grid, path, form, switchable or (), read, balanced=balanced, force=force)


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
def days(
    day: Annotated[
        str | None,
        typer.Argument(metavar="DAY", help="A built-in day, one of your own, or a date.", show_default=False),
    ] = None,
    folder: Annotated[
        str | None, typer.Argument(metavar="FOLDER", help="Where its tables go.", show_default=False)
    ] = None,
    *,
    grid: Annotated[str | None, typer.Option(metavar="GRID", help="The grid of a date.")] = None,
    profiles: Annotated[
        str, typer.Option(metavar="YEAR", help="The profiles of a date; own: those in the file of the grid.")
    ] = "own",
    force: ForceOption = False,
) -> int:
    """List the built-in days, or write a day as a folder of tables, to be changed there."""
    from openpoint.cli import days as run

    return run.days(day, folder, grid=grid, profiles=profiles, force=force)


def run_app(arguments: list[str]) -> None:
    """Run the command that the arguments name; leaves by `SystemExit`."""
    group = typer.main.get_command(app)
    if isinstance(group, Commands) and len(arguments) == 2 and arguments[1] in HELP:
        # Straight to its help: on the way through the group Typer would load pydantic, slower than all the rest.
        command = group.load(arguments[0])
        if command is not None:
            command.main(arguments[1:], prog_name=f"openpoint {arguments[0]}")
    group.main(arguments, prog_name="openpoint")
