"""The command `verify`, and the option of `reconfigure` that makes it possible."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from openpoint.cli.display import console, show_notes
from openpoint.cli.grid import Asked, read_sound
from openpoint.cli.guard import complain
from openpoint.report.terminal.words import safe
from openpoint.verify import CertificateError
from openpoint.verify import verify as checked

REFUSED = 5


def verify(source: str, file: Path, asked: Asked, *, quiet: bool) -> int:
    """Read the grid, check the certificate, say what it proves."""
    grid = read_sound(source, asked)
    out = console(quiet=quiet)
    try:
        with out.status("checking …") as status:
            found = checked(grid, file, lambda done, whole: status.update(f"checking … line {done:,} of {whole:,}"))
    except CertificateError as error:
        complain("refused", str(error))
        return REFUSED
    out.print(safe(str(found)))
    show_notes(out, grid.figure_notes)
    return 0


def tell(file: Path, out: Console) -> None:
    """Say whether the certificate was written."""
    if file.exists():
        out.print(f"certificate: {safe(str(file))}")
    else:
        complain("warning", "no certificate: it is written where the search ends with an answer that multipliers prove")
