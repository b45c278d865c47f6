"""What the command `reconfigure` does: choose the method, read the grid, ask the study, show and write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from openpoint.cli.display import Progress, console, show_result
from openpoint.cli.grid import Asked, read_sound, show_written, size
from openpoint.cli.guard import NOT_WRITTEN
from openpoint.cli.outputs import Outputs
from openpoint.cli.reconfigure.copy import write_copy
from openpoint.cli.verify import tell_of_search
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from openpoint.studies.reconfigure.options import ReconfigureOptions


def reconfigure(
    source: str, asked: Asked, options: ReconfigureOptions, *, outputs: Outputs, copy: Path | None, quiet: bool
) -> int:
    """Read the grid, reconfigure it, show and write the result; `copy`: of the grid's file, with its states."""
    from openpoint.studies.reconfigure.study import prepare

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    prepared = prepare(read_sound(source, asked), options)
    out.print(f"{words.safe(prepared.grid.name)}: {size(prepared.grid)}\nmethod: {prepared.method}\n")
    with Progress(out) as progress:
        result = prepared.solve(progress)
    written, good = outputs.write(result)
    show_result(out, result)
    show_written(out, written)
    tell_of_search(outputs, out)
    good &= write_copy(out, source, copy, result, found=result.loss_kw is not None)
    return result.termination.exit_code if good else NOT_WRITTEN
