"""Errors and interruptions of a command become a message and an exit code, never a traceback."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ParamSpec

import typer

from openpoint.cli.groups import bounded
from openpoint.cli.shell import DEBUG, INTERRUPTED, NOT_WRITTEN
from openpoint.errors import MOST_LINES, InputError, NotWrittenError, OpenpointError, Problem, grouped
from openpoint.report.terminal.words import safe

BAD_INPUT = 2
INTERNAL = 70
NO_MEMORY = 71
ROOM = "end other programs, or take a machine with more"

P = ParamSpec("P")
_CHECK_SHOWS = "openpoint check GRID shows them"


class FaultyGridError(InputError):
    """A grid that cannot be used; `openpoint check` shows all its faults."""


def guarded(command: Callable[P, int]) -> Callable[P, None]:
    """The command, leaving with the exit code it returns or with that of the error it raises."""

    command = bounded(command)

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        raise typer.Exit(_run(lambda: command(*args, **kwargs)))

    return run


def _run(command: Callable[[], int]) -> int:
    debug = os.environ.get(DEBUG, "") not in ("", "0")
    try:
        return command()
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        complain("interrupted", "before there was anything to keep")
        return INTERRUPTED
    except Exception as error:
        if debug:
            raise
        return _explain(error)


def _explain(error: Exception) -> int:
    if isinstance(error, InputError):
        of_grid = isinstance(error, FaultyGridError)
        show_problems(error.problems, MOST_LINES, _CHECK_SHOWS if of_grid else "mend these first, and run it again")
        return BAD_INPUT
    if isinstance(error, OpenpointError):
        complain("error", str(error))
        return NOT_WRITTEN if isinstance(error, NotWrittenError) else BAD_INPUT
    if isinstance(error, OSError) and error.filename is not None:
        complain("error", f"{error.filename}: {error.strerror}. Check the path and your rights to it")
        return BAD_INPUT
    if isinstance(error, MemoryError):
        complain("error", f"the memory does not suffice; {ROOM}, or run it with a limit of time that ends before")
        return NO_MEMORY
    complain(
        "internal error",
        f"{type(error).__name__}: {error}. This is a fault of openpoint: please report it with the command, the grid "
        f"and what {DEBUG}=1 shows",
    )
    return INTERNAL


def complain(kind: str, message: str) -> None:
    """A line on standard error."""
    typer.echo(f"{kind}: {safe(message)}", err=True)


def not_written(option: str, path: Path, error: Exception) -> None:
    """Say that an output was not written, and why, a line for each fault."""
    whys: Iterable[object] = grouped(error.problems) if isinstance(error, InputError) else [error]
    if isinstance(error, OSError) and error.strerror:
        whys = [error.strerror]
    elif isinstance(error, MemoryError):
        whys = [f"the memory does not suffice; {ROOM}"]
    elif not isinstance(error, OSError | OpenpointError):
        whys = [f"internal error, {type(error).__name__}: {error}"]
    for why in whys:
        complain("error", f"{option} {path} was not written: {why}")


def show_problems(problems: Iterable[Problem], most: int, rest: str = _CHECK_SHOWS) -> None:
    """Faults and doubts of the input on standard error, alike ones together, in so many lines at most.

    `rest`: what to do about those that are not shown.
    """
    lines = grouped(problems)
    for alike in lines[:most]:
        complain(alike.severity, str(alike))
    if len(lines) > most:
        complain(lines[most].severity, f"{len(lines) - most} more; {rest}")
