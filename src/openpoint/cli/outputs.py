"""The files that a command is asked to write: checked before the work begins, written after it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from openpoint.cli.guard import complain
from openpoint.errors import OpenpointError, OptionError

if TYPE_CHECKING:
    from openpoint.studies.export import Result
    from openpoint.studies.futures_result import FuturesResult
    from openpoint.studies.harden_result import HardenResult
    from openpoint.studies.partition_result import PartitionLevels, PartitionResult
    from openpoint.studies.partition_steps_result import PartitionStepsResult
    from openpoint.studies.result import ReconfigureResult

    Pictured = (
        ReconfigureResult | HardenResult | FuturesResult | PartitionResult | PartitionLevels | PartitionStepsResult
    )

STDOUT = Path("-")


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the result goes; None = not asked for. `json` may be `-`, the standard output.

    `certificate` and `checkpoint` are written by the search itself.
    """

    json: Path | None = None
    csv: Path | None = None
    parquet: Path | None = None
    excel: Path | None = None
    report: Path | None = None
    plot: Path | None = None
    certificate: Path | None = None
    checkpoint: Path | None = None

    @property
    def json_to_stdout(self) -> bool:
        return self.json == STDOUT

    def check(self, grid: str) -> Outputs:
        """These outputs, if all of them can be written.

        Args:
            grid: the grid that is asked about, which may be a file.

        Raises:
            OptionError: a place that cannot be written to, a file name of the wrong kind, two outputs in one place, or
                one in the place of the grid.
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
                _check_file(option, path, endings)
            elif path is not None and option != "--json":
                raise OptionError(f"{option} - : only --json can write to the standard output; give a file name")
        for option, folder in (("--csv", self.csv), ("--parquet", self.parquet)):
            if folder is not None:
                _check_folder(option, folder)
        taken = [path.resolve() for _, path, _ in files if path is not None and path != STDOUT]
        if Path(grid).resolve() in taken:
            raise OptionError(f"an output would take the place of the grid {grid}; give it another name")
        if len(set(taken)) < len(taken):
            raise OptionError("two outputs would go to the same file; give each its own name")
        return self

    def write(self, result: Result) -> tuple[list[Path], bool]:
        """Write everything asked for, each on its own: one that fails does not stop the others.

        Returns:
            The files and folders written, and whether all went well; what failed is said on standard error.
        """
        written, good = [], True
        for option, path, write in self._writers(result):
            try:
                write(path)
            except (OSError, OpenpointError) as error:
                complain("error", f"{option} {path} was not written: {error}")
                good = False
            except Exception as error:
                complain("error", f"{option} {path} was not written: internal error, {type(error).__name__}: {error}")
                good = False
            else:
                if path != STDOUT:
                    written.append(path)
        return written, good

    def _writers(self, result: Result) -> Iterator[tuple[str, Path, Callable[[Path], object]]]:
        from openpoint.studies import export
        from openpoint.studies.powerflow import PowerflowResult

        if self.json is not None:
            yield "--json", self.json, lambda path: _write_text(path, export.to_json(result))
        if self.csv is not None:
            yield "--csv", self.csv, lambda path: export.to_csv(result, path)
        if self.parquet is not None:
            yield "--parquet", self.parquet, lambda path: export.to_parquet(result, path)
        if self.excel is not None:
            yield "--excel", self.excel, lambda path: export.to_excel(result, path)
        if not isinstance(result, PowerflowResult):
            yield from self._pictures(result)

    def _pictures(self, result: Pictured) -> Iterator[tuple[str, Path, Callable[[Path], object]]]:
        if self.report is not None:
            yield "--report", self.report, lambda path: _write_report(result, path)
        if self.plot is not None:
            yield "--plot", self.plot, lambda path: _write_plot(result, path)


def _check_file(option: str, path: Path, endings: tuple[str, ...]) -> None:
    if path.is_dir():
        raise OptionError(f"{option} {path}: this is a folder; give a file name")
    if endings and path.suffix.lower() not in endings:
        raise OptionError(f"{option} {path}: the name must end in {' or '.join(endings)}")
    _check_folder(option, path.parent)
    if path.exists():
        try:
            with path.open("ab"):
                pass
        except OSError as error:
            raise OptionError(f"{option} {path}: cannot be written ({error.strerror}); choose another name") from None


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
    else:
        path.write_text(text, encoding="utf-8")


def _write_report(result: Pictured, path: Path) -> None:
    from openpoint.report.html import write_report

    write_report(result, path)


def _write_plot(result: Pictured, path: Path) -> None:
    from openpoint.report.figures import save
    from openpoint.report.futures_figures import save_futures
    from openpoint.report.harden_figures import save_harden
    from openpoint.report.partition_figures import save_partition
    from openpoint.report.partition_timeline import save_timeline
    from openpoint.studies.futures_result import FuturesResult
    from openpoint.studies.harden_result import HardenResult
    from openpoint.studies.partition_steps_result import PartitionStepsResult
    from openpoint.studies.result import ReconfigureResult

    if isinstance(result, ReconfigureResult):
        save(result, path)
    elif isinstance(result, FuturesResult):
        save_futures(result, path)
    elif isinstance(result, HardenResult):
        save_harden(result, path)
    elif isinstance(result, PartitionStepsResult):
        save_timeline(result, path)
    else:
        save_partition(result, path)
