"""The command of a study that brings none of its own: a grid, the options of the study, and the usual outputs."""

from __future__ import annotations

import inspect
from dataclasses import field as member
from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer

from openpoint.cli.config import configured
from openpoint.cli.groups import grouped, with_parameters
from openpoint.cli.guard import guarded
from openpoint.cli.options import GridArgument, QuietOption
from openpoint.cli.outputs import Outputs

if TYPE_CHECKING:
    from openpoint.studies.catalog import Study


def register_plain(app: typer.Typer, study: Study) -> None:
    """Add the command of a study by its function.

    The function takes a grid and a dataclass of options. Each of its fields is an option: `Annotated` with the sentence
    for the help, and with a default.
    """
    function = study.function
    takes = inspect.signature(function, eval_str=True).parameters
    options = next(each.annotation for name, each in takes.items() if name == "options")
    shown = _shown(options)

    def command(grid: GridArgument, *, options: Any, outputs: Outputs, quiet: QuietOption = False) -> int:
        return _run(study, grid, options, outputs, quiet=quiet)

    parameters = [
        each.replace(annotation=shown) if each.name == "options" else each
        for each in inspect.signature(command, eval_str=True).parameters.values()
    ]
    command.__doc__ = function.__doc__
    command.__name__ = study.name
    app.command(study.name)(guarded(configured(grouped(with_parameters(command, parameters)))))


def _shown(options: type[Any]) -> type[Any]:
    """The options with the annotations of Typer."""
    hints = get_type_hints(options, include_extras=True)
    members = []
    for each in fields(options):
        hint = hints[each.name]
        if get_origin(hint) is not Annotated:
            raise TypeError(f"{options.__name__}.{each.name}: annotate it with the sentence for the help")
        kind, sentence = get_args(hint)
        members.append((each.name, Annotated[kind, typer.Option(help=sentence)], member(default=each.default)))
    return make_dataclass(options.__name__, members, bases=(options,), frozen=True)


def _run(study: Study, source: str, options: Any, outputs: Outputs, *, quiet: bool) -> int:
    """Read the grid, run the study, show and write the result."""
    from openpoint.cli.display import console, write_and_show
    from openpoint.cli.grid import read_sound, size
    from openpoint.report.terminal import words
    from openpoint.results.base import Answer

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source)
    out.print(f"{words.safe(grid.name)}: {size(grid)}\n")
    result = study.function(grid, options)
    return write_and_show(out, outputs, result, result.termination.exit_code if isinstance(result, Answer) else 0)
