"""The command `verify`, and a line about the files that topology search writes by itself."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.status import Status

from openpoint.cli.display import console, show_notes
from openpoint.cli.grid import Asked, read_sound
from openpoint.cli.guard import complain
from openpoint.cli.outputs import Outputs
from openpoint.cli.shell import NOT_WRITTEN
from openpoint.report.terminal.words import safe
from openpoint.scenarios.futures import read_futures
from openpoint.scenarios.year.read import read_year
from openpoint.verify import CertificateError
from openpoint.verify import verify as checked

REFUSED = 5


def verify(
    source: str,
    file: Path,
    asked: Asked,
    *,
    futures: Path | None = None,
    year: str | None = None,
    workers: int = 1,
    quiet: bool,
) -> int:
    """Read the grid and its futures or its year, check the certificate, show what it proves."""
    grid = read_sound(source, asked)
    known = None
    if futures is not None:
        table = read_futures(futures, grid)
        known = np.asarray(table.p_kw + 1j * table.q_kvar, dtype=np.complex128), table.weights
    steps = None if year is None else read_year(year, grid)
    out = console(quiet=quiet)
    try:
        with out.status("checking …") as status:
            progress = partial(_show_progress, status)
            found = checked(grid, file, progress, futures=known, year=steps, workers=workers)
    except CertificateError as error:
        complain("refused", str(error))
        return REFUSED
    out.print(safe(str(found)))
    show_notes(out, grid.figure_notes)
    return 0


def _show_progress(status: Status, done: int, whole: int) -> None:
    status.update(f"checking … line {done:,} of {whole:,}")


def show_proof_files(outputs: Outputs, out: Console, code: int) -> int:
    """Say whether the search wrote its certificate, and whether it left a checkpoint.

    Returns:
        The exit code: `code`, or that of a file not written where the search came to its end without the certificate.
    """
    from openpoint.search.certificate import earlier  # `verify` itself needs nothing of the search

    if outputs.certificate is not None:
        if outputs.certificate.exists():
            out.print(f"certificate: {safe(str(outputs.certificate))}")
        else:
            words = "it is written where the search ends with an answer that multipliers prove"
            full = "" if code else ", and where the disk takes it; a warning above tells if it did not"
            kept = earlier(outputs.certificate)
            old = f". The one that was there before is kept as {kept}" if kept.exists() else ""
            complain("warning", f"no certificate: {words}{full}{old}")
            code = code or NOT_WRITTEN
    if outputs.checkpoint is not None and outputs.checkpoint.exists():
        out.print(f"checkpoint: {safe(str(outputs.checkpoint))}; the same command goes on from it")
    return code
