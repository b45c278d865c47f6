"""What the command `secure` does: read the grid, evaluate every fault, show and write the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openpoint.cli.display import Counting, console, write_and_show
from openpoint.cli.grid import Asked, read_sound, size
from openpoint.cli.outputs import Outputs
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from openpoint.studies.secure.options import SecureOptions


def secure(source: str, asked: Asked, options: SecureOptions, outputs: Outputs, *, quiet: bool) -> int:
    """Read the grid, evaluate its faults, show and write the result."""
    from openpoint.studies.secure import study

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source, asked)
    out.print(f"{words.safe(grid.name)}: {size(grid)}\n")
    with Counting(out, "faults") as progress:
        result = study.secured(grid, options, progress)
    hint = ""
    if result.counts["restored"] or result.counts["partly restored"]:
        more = "; --report FILE.html draws the grid" if outputs.report is None else ""
        hint = f"What to switch after each fault: --json or --csv, table faults{more}."
    return write_and_show(out, outputs, result, 0, hint=hint)
