"""The command `verify`, and what is said of the files that topology search writes by itself."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from openpoint.cli.display import console, show_notes
from openpoint.cli.grid import Asked, read_sound
from openpoint.cli.guard import complain
from openpoint.cli.outputs import Outputs
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


def tell_of_search(outputs: Outputs, out: Console) -> None:
    """Say whether the search wrote its certificate, and whether it left a checkpoint."""
    if outputs.certificate is not None:
        if outputs.certificate.exists():
            out.print(f"certificate: {safe(str(outputs.certificate))}")
        else:
            words = "it is written where the search ends with an answer that multipliers prove"
            complain("warning", f"no certificate: {words}")
    if outputs.checkpoint is not None and outputs.checkpoint.exists():
        out.print(f"checkpoint: {safe(str(outputs.checkpoint))}; the same command goes on from it")
