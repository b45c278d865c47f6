"""The command of a study, made of the declarations of its options, and the one function that runs it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from openpoint.cli.completion import complete_grids
from openpoint.cli.config import configured
from openpoint.cli.groups import parameters_of, with_parameters
from openpoint.cli.guard import guarded
from openpoint.cli.options import GRIDS, GeojsonOption, PvOption, QuietOption
from openpoint.cli.outputs import Outputs, show_proof_files
from openpoint.errors import OptionError
from openpoint.options import FIRST, Option, Output, Question, asked, declared, default_of

if TYPE_CHECKING:
    import os

    from rich.console import Console

    from openpoint.cli.outputs import Writing
    from openpoint.results.base import Result
    from openpoint.studies.catalog import Study
    from openpoint.studies.study import Prepared

_TYPES: dict[str, Any] = {"number": float, "whole": int, "flag": bool, "text": str, "path": Path, "names": list[str]}
_READS: dict[str, tuple[Any, object]] = {"geojson": (GeojsonOption, None), "pv": (PvOption, None)}
_RANGE = r"(?:x>=0(?:\.0)?|[01]<=x<=1000000000)"
_GROUPS = ("", FIRST, "Question")
_UNBOUNDED = re.compile(rf"  \[{_RANGE}\]|; {_RANGE}(?=\])")
"""Ranges of numbers that nobody needs to be told."""
_COMMA = re.compile(r"[-+]?\d+,\d+")
"""A number with a decimal comma."""
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


class GroupedCommand(TyperCommand):
    """A command whose help lists the options in groups, those that people use first above the others."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        flags = [part for each in args for part in each.split("=", 1)]
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            own = error.param.opts if error.param is not None else []
            given = next((value for flag, value in pairwise(flags) if flag in own), "")
            if "valid number" in error.message and _COMMA.fullmatch(given):
                error.message = f"{given} has a comma; numbers are written with a point: {given.replace(',', '.')}"
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[Any]] = {}
        for each in self.get_params(ctx):
            if (record := each.get_help_record(ctx)) is not None:
                groups.setdefault(_group(each), []).append((record[0], _UNBOUNDED.sub("", record[1])))
        for name in sorted(groups, key=lambda name: _GROUPS.index(name) if name in _GROUPS else len(_GROUPS)):
            with formatter.section(name or "Arguments"):
                formatter.write_dl(groups[name])


def _group(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return ""
    return getattr(parameter, "rich_help_panel", None) or "Output and run"


def register(app: typer.Typer, study: Study) -> None:
    """Add the command of a study."""
    question, general = study.question, list(parameters_of(Outputs))

    def command(grid: Any, *, geojson: Path | None = None, pv: str | None = None, quiet: bool, **values: Any) -> int:
        outputs = Outputs(**{each.name: values.pop(each.name) for each in general})
        files = [(each, values.pop(each.name)) for each in question.outputs]
        wanted = _Wanted(outputs, [(each, Path(path)) for each, path in files if path is not None], quiet)
        reads = {"geojson": geojson, "pv": plain(pv) or "hold"}
        return in_flags(question, lambda: run(study, grid, asked_by(question, values), reads, wanted))

    command.__name__ = study.name
    command.__doc__ = "\n\n".join(part for part in (study.sentence, question.details) if part)
    made = with_parameters(command, [*parameters(question), *general])
    app.command(study.name, cls=GroupedCommand, epilog=question.examples or None)(guarded(configured(made)))


class _Wanted:
    """The files that a command is asked to write, and whether it shows anything."""

    def __init__(self, outputs: Outputs, files: Sequence[tuple[Output, Path]], quiet: bool) -> None:
        self.outputs, self.files, self.quiet = outputs, files, quiet


def run(study: Study, source: str, question: Any, reads: Mapping[str, Any], wanted: _Wanted) -> int:
    """Read the grid, prepare the question, solve it, show and write the result; the exit code."""
    if question.stops:
        from openpoint.twostage.interrupt import install

        install()  # before the solvers are imported: from here on Ctrl-C asks the method to stop
    from openpoint.cli.display import console, write_and_show
    from openpoint.cli.grid import read_sound
    from openpoint.report.terminal import words
    from openpoint.report.terminal.facts import size

    proof = {name: _path(getattr(question, name, None)) for name in ("certificate", "checkpoint")}
    outputs = replace(wanted.outputs, certificate=proof["certificate"], checkpoint=proof["checkpoint"])
    out = console(to_stderr=outputs.json_to_stdout, quiet=wanted.quiet)
    copies = _copies(source, wanted)
    grid: Any = source if question.several else read_sound(source, **reads)
    prepared: Prepared[Result] = study.prepare(grid, question)
    heading = "" if question.several else f"{words.safe(grid.name)}: {size(grid)}"
    out.print("\n".join(line for line in (heading, prepared.heading) if line) + "\n")
    with _shown(out, prepared.unit) as progress:
        result = prepared.solve(progress)
    more = [_writing(each, path, result) for each, path in wanted.files if each.method]
    more += [writing for copy in copies for writing in copy.writings(result)]
    code = write_and_show(out, outputs, result, result.exit_code, more=more)
    for copy in copies:
        copy.show(out)
    if outputs.certificate is None and outputs.checkpoint is None:
        return code
    return show_proof_files(outputs, out, code)


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)


def _shown(out: Console, unit: str) -> AbstractContextManager[Any]:
    """What shows the progress: a line an iteration, a line a grid, or how many things are done."""
    from openpoint.cli.display import Counting, GridLines, Progress

    if unit == "grids":
        return GridLines(out)
    return Counting(out, unit) if unit == "faults" else Progress(out, unit=unit)


def _copies(source: str, wanted: _Wanted) -> list[Any]:
    """Copies of the grid's own file with the states of the answer: outputs that no method of the result writes.

    Raises:
        OptionError: a name of another format.
    """
    paths = [path for each, path in wanted.files if not each.method]
    if not paths:
        return []
    from openpoint.cli.copy import Copy, check_copy

    for path in paths:
        check_copy(source, path)
    return [Copy(source, path) for path in paths]


def _writing(output: Output, path: Path, result: Result) -> Writing:
    return f"--{output.flag or output.name}", path, partial(getattr(type(result), output.method), result)


def parameters(question: type[Question]) -> Iterator[inspect.Parameter]:
    """The parameters of a command that asks a question, of which Typer makes its options."""
    help, several = GRIDS, question.several
    metavar = "GRID…" if several else "GRID"
    grid = typer.Argument(metavar=metavar, help=help, show_default=False, autocompletion=complete_grids)
    yield parameter("grid", Annotated[list[str] if several else str, grid])
    told = list(declared(question))
    for name, option, each in sorted(told, key=lambda one: not one[1].positional):
        if option.positional:
            default = default_of(each, option)
            made = typer.Argument(metavar=option.unit or name.upper(), help=option.sentence, show_default=False)
            default = inspect.Parameter.empty if default is None else default
            yield parameter(name, Annotated[_type(name, option, optional=False), made], default)
        else:
            default = default_of(each, option)
            yield parameter(name, _annotated(name, option, default), default)
    for output in question.outputs:
        flag = f"--{output.flag or output.name}"
        made = typer.Option(flag, metavar=output.unit, help=output.sentence, rich_help_panel=output.group)
        yield parameter(output.name, Annotated[Path | None, made], None)
    for name in question.reads:
        yield parameter(name, *_READS[name])
    yield parameter("quiet", QuietOption, False)


def parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, _KEYWORD, annotation=annotation, default=default)


def _annotated(name: str, option: Option, default: object) -> Any:
    """The option for Typer; a flag without a default may be said or denied."""
    flag = option.flag or name.replace("_", "-")
    flags = [f"--{flag}/--no-{flag}" if option.kind == "flag" and default is not False else f"--{flag}"]
    sentence = option.sentence
    if option.kind == "names":
        sentence = re.sub(r"\.(?=  \[|$)", "; repeatable.", sentence, count=1)
    how: dict[str, Any] = {"help": sentence, "rich_help_panel": option.group}
    if option.unit:
        how["metavar"] = option.unit
    if option.kind in ("number", "whole"):
        how |= {"min": option.least, "max": option.most}
    return Annotated[_type(name, option, optional=True), typer.Option(*flags, **how)]


def _type(name: str, option: Option, *, optional: bool) -> Any:
    kind = _TYPES[option.kind]
    if option.choices:
        made: Any = StrEnum
        kind = made(name, [(choice, choice) for choice in option.choices])
    return kind | None if optional else kind


def asked_by(question: type[Question], values: Mapping[str, Any]) -> Any:
    """The question that options ask."""
    return asked(question, {name: plain(value) for name, value in values.items()})


def plain(value: Any) -> Any:
    """A value of Typer as a study takes it; None for an empty list."""
    if isinstance(value, StrEnum):
        return value.value
    return value if value != [] else None


def in_flags(question: type[Question], command: Callable[[], int]) -> int:
    """Run a command; an error names the options that it names in Python as the command has them."""
    try:
        return command()
    except OptionError as error:
        message = str(error)
        for name, option, _ in declared(question):
            if "_" in name or option.flag:
                flag = f"--{option.flag or name.replace('_', '-')}"
                message = re.sub(rf"(?<![\w.-]){name}(?![\w(=])", flag, message)
        raise OptionError(message) from error
