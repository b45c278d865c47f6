"""The options of all long commands from a file, `--config`, and `--verbose`.

The file is TOML: values by the names of options, in a table of the name of a command, or above all tables for every
command that has such an option.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from openpoint.cli.groups import with_parameters
from openpoint.cli.places import STDOUT, check_options
from openpoint.errors import InputError, OptionError
from openpoint.inputs import MOST_OPTIONS, content_of, toml_of

_OWN = ("config", "help", "force")


@dataclass(frozen=True, slots=True)
class _File:
    """A file of options: the values above all tables, those of the tables, and the text."""

    path: Path
    text: str
    common: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, Any]]

    def place(self, table: str, key: str) -> str:
        """Where a key, or with an empty key a table, stands."""
        now = ""
        for number, line in enumerate(self.text.splitlines(), start=1):
            if head := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
                now = head[1].strip("\"'")
                if now == table and not key:
                    return f"{self.path} line {number}"
            elif now == table and key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
                return f"{self.path} line {number}"
        return str(self.path)


def configured(command: Callable[..., int]) -> Callable[..., int]:
    """The command with the options `--config` and `--verbose`."""

    @functools.wraps(command)
    def run(*, config: Path | None, verbose: bool, **options: Any) -> int:
        check_options({**options, "config": config}, force=options["force"])
        return _run(command, options, verbose=verbose)

    signature = inspect.signature(command, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [
        *(value.replace(kind=keyword) for value in signature.parameters.values()),
        inspect.Parameter("config", keyword, default=None, annotation=_ConfigOption),
        inspect.Parameter("verbose", keyword, default=False, annotation=_VerboseOption),
    ]
    return with_parameters(run, own)


def _run(command: Callable[..., int], options: Mapping[str, Any], *, verbose: bool) -> int:
    if not verbose:
        return command(**options)
    if options["quiet"]:
        raise OptionError("--verbose and --quiet contradict each other; leave one out")
    from openpoint.cli.verbose import telling

    with telling(to_stderr=options.get("json") == STDOUT):
        return command(**options)


def _apply(ctx: typer.Context, file: Path | None) -> Path | None:
    """The values of the file as defaults of this command, so that the command line wins."""
    if file is None or ctx.resilient_parsing:
        return file
    read = _read(file)
    commands = _commands(ctx)
    name = str(ctx.command.name)
    faults = [*_strangers(read, commands)]
    values: dict[str, Any] = {}
    for table, given in (("", read.common), (name, read.tables.get(name, {}))):
        for key, value in given.items():
            option = commands[name].get(_plain(key))
            if option is None:
                continue
            try:
                values[option.name] = _converted(ctx, option, value)
            except typer.BadParameter as error:
                faults.append(f"{read.place(table, key)}: {key}: {error.message}")
    if faults:
        raise typer.BadParameter("\n  ".join(["", *faults]) if len(faults) > 1 else faults[0])
    ctx.default_map = {**(ctx.default_map or {}), **values}
    return file


def _read(file: Path) -> _File:
    try:
        text, data = toml_of(content_of(file, MOST_OPTIONS), str(file), MOST_OPTIONS)
    except InputError as error:
        raise typer.BadParameter(str(error)) from None
    tables = {key: value for key, value in data.items() if isinstance(value, dict)}
    return _File(file, text, {key: value for key, value in data.items() if key not in tables}, tables)


def _strangers(read: _File, commands: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Tables that no command has, and keys that are no option, each with what is nearest."""
    anywhere = {name: option for options in commands.values() for name, option in options.items()}
    for key in read.common:
        if _plain(key) not in anywhere:
            yield f"{read.place('', key)}: there is no option {key}{_nearest(_plain(key), anywhere)}"
    for table, given in read.tables.items():
        if table not in commands:
            yield f"{read.place(table, '')}: there is no command {table} with options{_nearest(table, commands)}"
            continue
        for key in given:
            if _plain(key) not in commands[table]:
                nearest = _nearest(_plain(key), commands[table])
                yield f"{read.place(table, key)}: {table} has no option {key}{nearest}"


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    import difflib

    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _plain(key: str) -> str:
    return key.replace("_", "-")


def _commands(ctx: typer.Context) -> dict[str, dict[str, Any]]:
    """The options by their names, by the names of the commands that take a file of options."""
    root = ctx.find_root()
    group: Any = root.command
    if ctx.parent is None:
        commands = {ctx.command.name: ctx.command}
    else:
        commands = {name: group.get_command(root, name) for name in group.list_commands(root)}
    options = {str(name): _options(command) for name, command in commands.items()}
    return {name: found for name, found in options.items() if found}


def _options(command: Any) -> dict[str, Any]:
    """The options of a command by their long names; none where it takes no file of options."""
    found = {
        name.removeprefix("--"): option
        for option in command.params
        if option.param_type_name == "option"
        for name in option.opts
        if name.startswith("--")
    }
    return {name: option for name, option in found.items() if name not in _OWN} if "config" in found else {}


def _converted(ctx: typer.Context, option: Any, value: Any) -> Any:
    """The value as the command line would have it, which never takes 2.5 for 2, nor true for 1.

    Raises:
        typer.BadParameter: it does not fit the option.
    """
    if option.is_flag:
        if not isinstance(value, bool):
            raise typer.BadParameter("give true or false")
        return value
    values = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not option.multiple:
        raise typer.BadParameter("give one value, not a list")
    if any(isinstance(each, bool) or not isinstance(each, str | int | float) for each in values):
        raise typer.BadParameter("give a number or a text")
    given = [str(each) for each in values]
    option.process_value(ctx, given if option.multiple else given[0])
    return given if option.multiple else given[0]


_ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        is_eager=True,
        callback=_apply,
        help="Take options from this TOML file; those of the command line win.",
    ),
]
_VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell every step with its time, and every line of the progress.")
]
