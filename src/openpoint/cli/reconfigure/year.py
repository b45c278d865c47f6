"""What the command does where a year is given: read it, ask the study, show and write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from openpoint.cli.copy import Copy
from openpoint.cli.display import Progress, console, write_and_show
from openpoint.cli.grid import Asked, read_sound, size
from openpoint.cli.outputs import Outputs
from openpoint.cli.verify import show_proof_files
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from openpoint.studies.reconfigure.options import ReconfigureOptions
    from openpoint.studies.reconfigure.year.seasons.options import BlocksQuestion


def reconfigure(
    source: str,
    asked: Asked,
    options: ReconfigureOptions,
    year: str,
    cut: BlocksQuestion | None,
    *,
    outputs: Outputs,
    copy: Path | None,
    quiet: bool,
) -> int:
    """Read the grid and its year, find one topology for all steps, show and write the result; the exit code.

    cut: blocks of the year, with a topology for each.
    """
    if cut is not None:
        return _of_blocks(source, asked, options, year, cut, outputs=outputs, quiet=quiet)
    from openpoint.studies.reconfigure.year.study import prepare_year

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source, asked)
    options = asked.locked(options, grid)
    out.print(f"{words.safe(grid.name)}: {size(grid)}")
    prepared = prepare_year(grid, options, year)
    steps = words.count(len(prepared.year), "step")
    out.print(f"year: {steps}, {prepared.year.hours.sum():,.0f} h\nmethod: {words.method(prepared.method)}\n")
    with Progress(out) as progress:
        result = prepared.solve(progress)
    copied = Copy(source, copy)
    more = copied.writings(result)
    code = write_and_show(out, outputs, result, result.termination.exit_code, more=more)
    copied.show(out)
    return show_proof_files(outputs, out, code)


def _of_blocks(
    source: str,
    asked: Asked,
    options: ReconfigureOptions,
    year: str,
    cut: BlocksQuestion,
    *,
    outputs: Outputs,
    quiet: bool,
) -> int:
    """Read the grid, its year and the blocks, find their topologies, show and write the result; the exit code."""
    from openpoint.studies.reconfigure.year.seasons.study import prepare_seasons

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source, asked)
    options = asked.locked(options, grid)
    out.print(f"{words.safe(grid.name)}: {size(grid)}")
    prepared = prepare_seasons(grid, options, year, cut)
    steps, method = words.count(len(prepared.of_year.year), "step"), prepared.of_year.method
    hours = f"{prepared.of_year.year.hours.sum():,.0f} h"
    out.print(f"year: {steps}, {hours}, {words.count(len(prepared.blocks), 'block')}\nmethod: {words.method(method)}\n")
    with Progress(out) as progress:
        result = prepared.solve(progress)
    return write_and_show(out, outputs, result, result.termination.exit_code)
