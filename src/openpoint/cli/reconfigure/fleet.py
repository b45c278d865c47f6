"""What the command `reconfigure` does with many grids: ask the study, name what is finished, show the table."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from openpoint.cli.display import FIRST_LINES, LINE_EVERY_S, console, show_result, show_written
from openpoint.cli.grid import Asked
from openpoint.cli.guard import complain
from openpoint.cli.outputs import Outputs
from openpoint.cli.shell import NOT_WRITTEN
from openpoint.errors import NotWrittenError, OptionError
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from openpoint.cli.reconfigure.options import FleetOptions
    from openpoint.studies.reconfigure.fleet.result import FleetRow
    from openpoint.studies.reconfigure.options import ReconfigureOptions


def reconfigure(
    grids: list[str], asked: Asked, options: ReconfigureOptions, fleet: FleetOptions, *, outputs: Outputs, quiet: bool
) -> int:
    """Reconfigure many grids, show and write the result; the exit code.

    Raises:
        OptionError: coordinates, which a file has for one grid.
    """
    from openpoint.studies.reconfigure.fleet.study import PAGE, prepare_fleet

    if asked.options.geojson is not None:
        raise OptionError("--geojson is for one grid; leave it out, or --out")
    assert fleet.out is not None
    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    prepared = prepare_fleet(
        grids,
        fleet.out,
        replace(
            options,
            switchable=_names(asked.options.switchable or ()),
            locked_open=_names(asked.locked_open),
            locked_closed=_names(asked.locked_closed),
        ),
        workers=fleet.workers or 1,
        reports=not fleet.no_reports,
        pv=asked.held,
    )
    counted = words.count(len(prepared.sources), "grid")
    out.print(f"{counted}, workers: {prepared.workers}\nmethod: {words.method(prepared.method)}\n")
    try:
        with _Lines(out, len(prepared.sources)) as progress:
            result = prepared.solve(progress)
    except NotWrittenError as error:
        complain("error", str(error))
        return NOT_WRITTEN
    written, good = outputs.write(result)
    show_result(out, result)
    show_written(out, [fleet.out / PAGE, *written])
    return result.exit_code if good else NOT_WRITTEN


def _names(texts: Iterable[str]) -> tuple[str, ...]:
    """The names in texts, with commas between them."""
    return tuple(part.strip() for text in texts for part in text.split(","))


class _Lines:
    """Prints a line for a grid: for the first ones, then at most one a second; what failed has a line in any case."""

    def __init__(self, out: Console, count: int) -> None:
        self._out, self._start = out, time.perf_counter()
        self._printed, self._printed_at = 0, 0.0
        self._done, self._count = 0, count
        self._live = Live(console=out, get_renderable=self._status, transient=True, refresh_per_second=4)

    def __enter__(self) -> _Lines:
        if self._out.is_terminal and not self._out.quiet:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, row: FleetRow, done: int, count: int) -> None:
        self._done = done
        now = time.perf_counter()
        if row.error is None and self._printed >= FIRST_LINES and now - self._printed_at < LINE_EVERY_S:
            return
        self._printed, self._printed_at = self._printed + 1, now
        outcome = row.error.partition("\n")[0] if row.error is not None else _in_words(row)
        style = "red" if row.error is not None else ""
        self._out.print(Text(f"{done:>{len(str(count))}}/{count}  {words.safe(f'{row.name}: {outcome}')}", style))

    def _status(self) -> Text:
        passed = time.perf_counter() - self._start
        return Text(f"{self._done} of {self._count} grids … {passed:.0f} s  (Ctrl-C keeps what is finished)", "dim")


def _in_words(row: FleetRow) -> str:
    """The losses of a grid, why its run ended, and how long it took."""
    kept = ", kept of an earlier run" if row.status == "kept" else f", {row.seconds or 0.0:.2f} s"
    return f"{words.kw(row.loss_before_kw)} → {words.kw(row.loss_kw)} kW, {row.termination}{kept}"
