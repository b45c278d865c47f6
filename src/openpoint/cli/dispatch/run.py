"""What the command `dispatch` does: read the grid, ask the study, show and write."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openpoint import io
from openpoint.cli.display import Progress, console, write_and_show
from openpoint.cli.grid import Asked, read_sound, size
from openpoint.cli.outputs import Outputs, Writing
from openpoint.cli.verify import show_proof_files
from openpoint.errors import OptionError
from openpoint.io.text import file_ending
from openpoint.report.terminal import words
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    from openpoint.studies.dispatch.options import DispatchOptions

WRITABLE = (".xlsx", ".dss")


def dispatch(
    source: str, asked: Asked, options: DispatchOptions, *, outputs: Outputs, new_state: str | None, quiet: bool
) -> int:
    """Read the grid, find its best state, show and write the result."""
    from openpoint.studies.dispatch.study import prepare

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source, asked)
    prepared = prepare(grid, asked.locked(options, grid))
    out.print(f"{words.safe(prepared.grid.name)}: {size(prepared.grid)}")
    out.print(f"free: {', '.join(prepared.free)}\nmethod: {words.method(prepared.method)}, because {prepared.why}\n")
    with Progress(out, unit=prepared.unit) as progress:
        result = prepared.solve(progress)
    state: list[Writing] = []
    if new_state is not None and (after := result.grid_after) is not None:
        state = [("--out", Path(new_state), partial(io.write, after))]
    code = write_and_show(out, outputs, result, result.termination.exit_code, more=state)
    return show_proof_files(outputs, out, code)


def front(
    source: str,
    asked: Asked,
    options: DispatchOptions,
    criteria: str,
    points: int,
    *,
    outputs: Outputs,
    quiet: bool,
) -> int:
    """Read the grid, find the front of two criteria, show and write it."""
    from openpoint.network.criteria import CRITERIA
    from openpoint.studies.dispatch.front.study import prepare_front

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source, asked)
    prepared = prepare_front(grid, criteria, asked.locked(options, grid), points)
    out.print(f"{words.safe(prepared.grid.name)}: {size(prepared.grid)}\n")
    with Progress(out, unit=CRITERIA[prepared.sought].unit) as progress:
        result = prepared.solve(lambda _, iteration: progress(iteration))
    # Bounds that nothing keeps end the front, and are no failure of it.
    ends = [each.termination.exit_code for each in result.results[:1]]
    ends += [each.termination.exit_code for each in result.results[1:] if each.has_answer]
    ends += [Termination.TIME.exit_code] * result.cut
    return write_and_show(out, outputs, result, max(ends))


def check_new_state(place: str | None) -> None:
    """Refuse a name for the grid in its new state that is of another kind of file, before the work begins.

    Raises:
        OptionError: with what can be written.
    """
    if place is not None and (ending := file_ending(place)) and ending not in WRITABLE:
        raise OptionError(f"--out {place}: a grid is written as a folder of tables, {' or '.join(WRITABLE)}")
