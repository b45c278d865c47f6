"""What the command `powerflow` does: read the grid, compute its power flow, show and write it."""

from __future__ import annotations

from openpoint.cli.display import console, show_result
from openpoint.cli.grid import read_sound, show_written, size
from openpoint.cli.guard import NOT_WRITTEN
from openpoint.cli.outputs import Outputs
from openpoint.report.terminal import words


def powerflow(source: str, outputs: Outputs, *, quiet: bool) -> int:
    """Read the grid, compute its power flow, show and write the result."""
    from openpoint.studies.powerflow import study

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source)
    out.print(f"{words.safe(grid.name)}: {size(grid)}\n")
    result = study.run_powerflow(grid)
    written, good = outputs.write(result)
    show_result(out, result)
    show_written(out, written)
    return 0 if good else NOT_WRITTEN
