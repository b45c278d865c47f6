"""The files that a command is asked to write, written after its work; `openpoint.cli.places` checks them before it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openpoint.atomic import write_text
from openpoint.cli.guard import complain, not_written
from openpoint.cli.options import ForceOption
from openpoint.cli.places import PAGES, STDOUT
from openpoint.cli.shell import NOT_WRITTEN
from openpoint.cli.streams import failure_of_output
from openpoint.report.terminal.words import safe
from openpoint.twostage.interrupt import finishing

if TYPE_CHECKING:
    from rich.console import Console

    from openpoint.results.base import Result

_LOG = logging.getLogger(__name__)

Writing = tuple[str, Path, Callable[[Path], object]]
"""An option, where it writes, and how."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Where the result goes; None = not asked for. `json` may be `-`, the standard output.

    `certificate` and `checkpoint` are written by the search itself.
    """

    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON; - is the standard output.")
    ] = None
    tables: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Write its tables: .xlsx as a workbook, else a folder of CSV files, or of Parquet files where its "
            "name ends in .parquet; repeatable.",
        ),
    ] = None
    report: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Write a self-contained page with pictures, .html, or a picture alone, .png, .svg or .pdf, KIND.png "
            "of that kind; repeatable.",
        ),
    ] = None
    force: ForceOption = False
    certificate: Path | None = None
    checkpoint: Path | None = None

    @property
    def json_to_stdout(self) -> bool:
        return self.json == STDOUT

    def write(self, result: Result, more: Iterable[Writing] = ()) -> tuple[list[Path], bool]:
        """Write everything asked for, and `more`, each on its own: one that fails does not stop the others.

        Returns:
            The files and folders written, and whether all went well; what failed is named on standard error.
        """
        written, good = [], True
        with finishing():
            for option, path, write in (*self._writers(result), *more):
                try:
                    write(path)
                except Exception as error:  # an internal one, too, takes no other file along
                    not_written(option, path, error)
                    good = False
                else:
                    _LOG.info("wrote %s %s", option, path)
                    if path != STDOUT:
                        written.append(path)
        return written, good

    def _writers(self, result: Result) -> Iterator[Writing]:
        from openpoint.results import export

        if self.json is not None:
            yield "--json", self.json, lambda path: write_document(path, result.to_json())
        writers = {".xlsx": export.to_excel, ".parquet": export.to_parquet}
        for path in self.tables or ():
            yield "--tables", path, partial(writers.get(path.suffix.lower(), export.to_csv), result)
        for path in self.report or ():
            yield "--report", path, partial(_write_report, result)


def write_document(path: Path, text: str) -> None:
    """Write JSON into a file, or to the standard output.

    Raises:
        OSError: it was not written whole.
    """
    if path == STDOUT:
        # Bytes, so that names survive where the standard output has another encoding.
        typer.echo(text.encode("utf-8"), nl=False)
        if (lost := failure_of_output()) is not None:
            raise lost
    else:
        write_text(path, text)


def _write_report(result: Result, path: Path) -> None:
    if path.suffix.lower() in PAGES:
        from openpoint.results.base import report_html

        write_text(path, report_html(result))
    else:
        from openpoint.report.figure import save

        save(result, path, path.stem if path.stem in result.kinds else "")


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
