"""The files that a command is asked to write: checked before the work begins, written after it."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openpoint.atomic import write_text
from openpoint.cli.guard import not_written
from openpoint.cli.streams import failure_of_output
from openpoint.errors import OptionError
from openpoint.inputs import real_path, same_place
from openpoint.twostage.interrupt import finishing

if TYPE_CHECKING:
    from openpoint.results.base import Result

_LOG = logging.getLogger(__name__)

STDOUT = Path("-")
Writing = tuple[str, Path, Callable[[Path], object]]
"""An option, where it writes, and how."""
# Endings that say what a file holds, and the option that writes such a file.
_OTHERS = {
    ".csv": "--csv FOLDER",
    ".parquet": "--parquet FOLDER",
    ".xlsx": "--excel",
    ".html": "--report",
    ".htm": "--report",
    **dict.fromkeys((".png", ".svg", ".pdf"), "--plot"),
    **dict.fromkeys((".m", ".dss", ".pos", ".toml", ".xls", ".ods"), ""),
}


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Where the result goes; None = not asked for. `json` may be `-`, the standard output.

    `certificate` and `checkpoint` are written by the search itself.
    """

    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON; - is the standard output.")
    ] = None
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FOLDER", help="Write its tables as CSV files.")] = None
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="FOLDER", help="Write its tables as Parquet files.")
    ] = None
    excel: Annotated[Path | None, typer.Option("--excel", metavar="FILE", help="Write it as a workbook, .xlsx.")] = None
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a self-contained page with pictures, .html.")
    ] = None
    plot: Path | None = None
    certificate: Path | None = None
    checkpoint: Path | None = None

    @property
    def json_to_stdout(self) -> bool:
        return self.json == STDOUT

    def check(self, grid: str, *tables: str | Path | None) -> Outputs:
        """These outputs, if all of them can be written.

        Args:
            grid: the grid that is asked about, which may be a file or folder.
            tables: files and folders that are read beside it.

        Raises:
            OptionError: a place that cannot be written to, a file name of the wrong kind, two outputs in one place, or
                one in the place of what is read.
        """
        files = [
            ("--json", self.json, ()),
            ("--excel", self.excel, (".xlsx",)),
            ("--report", self.report, (".html", ".htm")),
            ("--plot", self.plot, (".png", ".svg", ".pdf")),
            ("--certificate", self.certificate, ()),
            ("--checkpoint", self.checkpoint, ()),
        ]
        for option, path, endings in files:
            if path is not None and path != STDOUT:
                check_file(option, path, endings)
            elif path is not None and option != "--json":
                raise OptionError(f"{option} - : only --json can write to the standard output; give a file name")
        folders = [("--csv", self.csv), ("--parquet", self.parquet)]
        for option, folder in folders:
            if folder is not None:
                _check_tables(option, folder, [Path(given) for given in (grid, *tables) if given is not None])
        taken = [real_path(path) for _, path, _ in files if path is not None and path != STDOUT]
        for what, given in (("grid", grid), *(("table", table) for table in tables if table is not None)):
            if real_path(given) in taken:
                raise OptionError(f"an output would take the place of the {what} {given}; give it another name")
        if len(set(taken)) < len(taken) or {real_path(path) for _, path in folders if path is not None} & set(taken):
            raise OptionError("two outputs would go to the same file; give each its own name")
        for option, path, endings in files:
            if path is not None and not endings:
                _refuse_ending(option, path)
        return self

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
            yield "--json", self.json, lambda path: _write_text(path, result.to_json())
        if self.csv is not None:
            yield "--csv", self.csv, lambda path: export.to_csv(result, path)
        if self.parquet is not None:
            yield "--parquet", self.parquet, lambda path: export.to_parquet(result, path)
        if self.excel is not None:
            yield "--excel", self.excel, lambda path: export.to_excel(result, path)
        if self.report is not None:
            yield "--report", self.report, lambda path: _write_report(result, path)
        if self.plot is not None:
            yield "--plot", self.plot, lambda path: _write_plot(result, path)


def check_file(option: str, path: Path, endings: tuple[str, ...]) -> None:
    """Refuse a place that no file can be written to, and a name that ends otherwise; none = any ending.

    Raises:
        OptionError: it cannot be written there.
    """
    if path.is_dir():
        raise OptionError(f"{option} {path}: this is a folder; give a file name")
    if real_path(path).is_symlink():
        raise OptionError(f"{option} {path}: links lead in a circle; give another name")
    if endings and path.suffix.lower() not in endings:
        raise OptionError(f"{option} {path}: the name must end in {' or '.join(endings)}")
    _check_folder(option, path.parent)
    if path.exists() and not os.access(path, os.W_OK):
        raise OptionError(f"{option} {path}: the rights of this file forbid writing; choose another name")


def _check_tables(option: str, folder: Path, given: list[Path]) -> None:
    """Refuse what is no name of a folder, and a folder that holds what is read: tables there would be replaced."""
    from openpoint.grid.files import HEAD
    from openpoint.io.places import file_ending

    if folder == STDOUT:
        raise OptionError(f"{option} - : only --json can write to the standard output; give a folder")
    if ending := file_ending(folder):
        remedy = f"give a folder such as {folder.with_suffix('')}, or make one of that name before"
        raise OptionError(f"{option} {folder}: it writes a file a table into a folder, not one {ending} file; {remedy}")
    if (folder / HEAD).exists():
        raise OptionError(f"{option} {folder}: this folder holds a grid, whose tables would be replaced; name another")
    own = "." + option.removeprefix("--")
    for path in given:
        if same_place(folder, path) or (path.suffix == own and real_path(folder) == real_path(path).parent):
            raise OptionError(f"{option} {folder}: {path} is read from there and may be replaced; name another")
    _check_folder(option, folder)


def _refuse_ending(option: str, path: Path) -> None:
    """Refuse a file name with the ending of another kind of file."""
    ending = path.suffix.lower()
    if ending in _OTHERS and not (path.exists() and not path.is_file()):  # a device or pipe may have any name
        text = f"; {_OTHERS[ending]} writes {ending}" if _OTHERS[ending] else ""
        raise OptionError(f"{option} {path}: what it writes is no {ending} file; give another ending{text}")


def _check_folder(option: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise OptionError(f"{option}: cannot write into {folder} ({why}); choose another place") from None


def _write_text(path: Path, text: str) -> None:
    if path == STDOUT:
        # Bytes, so that names survive where the standard output has another encoding.
        typer.echo(text.encode("utf-8"), nl=False)
        if (lost := failure_of_output()) is not None:
            raise lost
    else:
        write_text(path, text)


def _write_report(result: Result, path: Path) -> None:
    from openpoint.results.base import report_html

    write_text(path, report_html(result))


def _write_plot(result: Result, path: Path) -> None:
    import_module(f"{result.place}.pictures").save(result, path)
