"""The command `verify`, and the option of `reconfigure` that makes it possible."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from openpoint.cli.display import console, show_notes
from openpoint.cli.grid import Asked, read_sound
from openpoint.cli.guard import complain
from openpoint.errors import OptionError
from openpoint.report.terminal.words import safe
from openpoint.verify import CertificateError
from openpoint.verify import verify as checked

if TYPE_CHECKING:
    from openpoint.grid.pv_generators import Held
    from openpoint.studies.reconfigure.study import Method

REFUSED = 5


def verify(source: str, file: Path, *, switchable: tuple[str, ...], held: Held = "hold", quiet: bool) -> int:
    """Read the grid, check the certificate, say what it proves."""
    grid = read_sound(source, Asked(switchable, held=held))
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


def certified(method: Method | None, file: Path | None) -> Method | None:
    """The method with a certificate to write.

    Raises:
        OptionError: this method writes none.
    """
    from openpoint.studies.reconfigure.study import TopologySearch

    if file is None:
        return method
    if not isinstance(method, TopologySearch):
        raise OptionError("--certificate is an option of --method search for the demand of today; leave one out")
    return replace(method, certificate=file)


def tell(file: Path | None, *, to_stderr: bool, quiet: bool) -> None:
    """Say whether the certificate was written."""
    if file is None:
        return
    if file.exists():
        console(to_stderr=to_stderr, quiet=quiet).print(f"certificate: {safe(str(file))}")
    else:
        complain("warning", "no certificate: it is written where the search ends with an answer that multipliers prove")
