"""What the command `reconfigure` does where faults are a limit or an objective: ask the study, show and write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from openpoint.cli.copy import Copy
from openpoint.cli.display import Progress, console, write_and_show
from openpoint.cli.grid import Asked, read_sound, size
from openpoint.cli.outputs import Outputs
from openpoint.errors import OptionError
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from rich.console import Console

    from openpoint.cli.reconfigure.fault_options import FaultOptions
    from openpoint.grid.grid import Grid
    from openpoint.studies.reconfigure.faults.options import FaultQuestion
    from openpoint.studies.reconfigure.options import ReconfigureOptions


def reconfigure(
    source: str,
    asked: Asked,
    options: ReconfigureOptions,
    faults: FaultOptions,
    *,
    outputs: Outputs,
    copy: Path | None,
    quiet: bool,
) -> int:
    """Read the grid, find the state with these limits of faults, show and write it; the exit code."""
    if faults.front is not None and copy is not None:
        raise OptionError(
            "--write writes one state, and --front finds many; leave one of both out. With a point's branches, "
            "reconfigure --open … --write writes that point"
        )
    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    question = faults.question()
    grid = read_sound(source, asked)
    options = asked.locked(options, grid)
    out.print(f"{words.safe(grid.name)}: {size(grid)}\n")
    if faults.front is not None:
        return _front(grid, options, question, faults, outputs, out)
    from openpoint.studies.reconfigure.faults.study import secured

    with Progress(out) as progress:
        result = secured(grid, options, question, progress)
    copied = Copy(source, copy)
    more = copied.writings(result)
    code = write_and_show(out, outputs, result, result.termination.exit_code, more=more)
    copied.show(out)
    return code


def _front(
    grid: Grid,
    options: ReconfigureOptions,
    question: FaultQuestion,
    faults: FaultOptions,
    outputs: Outputs,
    out: Console,
) -> int:
    """Find the front, show and write it; the exit code."""
    from openpoint.studies.reconfigure.faults.front.study import front_of

    assert faults.front is not None
    with Progress(out) as progress:
        result = front_of(grid, faults.front.value, faults.points, options, question, progress)
    return write_and_show(out, outputs, result, result.termination.exit_code)
