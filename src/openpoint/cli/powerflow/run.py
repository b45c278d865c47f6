"""What the command `powerflow` does: read the grid, compute its power flow, show and write it."""

from __future__ import annotations

from openpoint.cli.display import console, write_and_show
from openpoint.cli.grid import read_sound, size
from openpoint.cli.outputs import Outputs
from openpoint.report.terminal import words


def powerflow(source: str, outputs: Outputs, *, quiet: bool) -> int:
    """Read the grid, compute its power flow, show and write the result."""
    from openpoint.studies.powerflow import study

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source)
    out.print(f"{words.safe(grid.name)}: {size(grid)}\n")
    result = study.run_powerflow(grid)
    return write_and_show(out, outputs, result, 0)
