"""The display of a run: size of the problem, bounds as they close, the states before and after."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.live import Live
from rich.text import Text

from openpoint.cli.guard import complain
from openpoint.cli.outputs import Outputs, Writing
from openpoint.cli.shell import NOT_WRITTEN
from openpoint.cli.verbose import is_verbose
from openpoint.report.terminal import words
from openpoint.report.terminal.view import show, show_rows

if TYPE_CHECKING:
    from openpoint.results.base import Result
    from openpoint.studies.reconfigure.fleet.result import FleetRow
    from openpoint.twostage.log import Iteration

FIRST_LINES = 30
"""Grids of a fleet that have a line each, before there is one in `LINE_EVERY_S`."""
LINE_EVERY_S = 1.0
PROGRESS_EVERY_S = 3.0
"""Seconds between two lines of a run; the first one, the last one and warnings are printed at once."""
SILENCE_S = 2.0
"""Seconds without a line after which a run whose output is a file or a pipe says that it goes on."""
COMPILING = (
    "First use on this machine: compiling takes about 20 s of processor time, and is kept; "
    "openpoint warmup does it beforehand."
)


def console(*, to_stderr: bool = False, quiet: bool = False) -> Console:
    """Where people read. Names are never taken for markup; a file or pipe gets lines of any length."""
    stream = sys.stderr if to_stderr else sys.stdout
    width = None if stream.isatty() else 500
    return Console(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=True, quiet=quiet, width=width)


class _Status:
    """What tells that a run goes on: a line of a terminal that is renewed; elsewhere lines after 2 s of silence, 4 s, …

    Use as a context manager.
    """

    def __init__(self, out: Console, status: Callable[[], Text]) -> None:
        """`status`: the line; an empty one is not printed."""
        self._out, self._status = out, status
        self._live = Live(get_renderable=status, console=out, transient=True, refresh_per_second=4)
        self._heard = time.perf_counter()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Status:
        if not self._out.quiet:
            (self._live if self._out.is_terminal else self._thread).start()
        return self

    def __exit__(self, *left: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._live.stop()

    def heard(self) -> None:
        """Something else was printed."""
        self._heard = time.perf_counter()

    def _run(self) -> None:
        silence = SILENCE_S
        while not self._ended.wait(max(silence - (time.perf_counter() - self._heard), 0.1)):
            if time.perf_counter() - self._heard < silence:
                continue
            if line := self._status():
                self._out.print(line)
            self.heard()
            silence *= 2.0


class Progress:
    """Prints a line an iteration; in a terminal also one that shows the time passing.

    Use as a context manager and hand it to the study as its `progress`.
    """

    def __init__(self, out: Console, unit: str = "kW") -> None:
        self._out = out
        self._within = ExitStack()
        self._compiling = ""
        self._compiled = 0
        self._unit = unit
        self._start = time.perf_counter()
        self._last: Iteration | None = None
        self._printed = 0
        self._printed_at = 0.0
        self._header = False
        self._shown = _Status(out, self._status)

    def __enter__(self) -> Progress:
        from openpoint.compiled.timer import while_compiling

        self._within.enter_context(self._shown)
        self._within.enter_context(while_compiling(self._compiles))
        return self

    def __exit__(self, *left: object) -> None:
        self._within.close()
        if self._last is not None and self._printed < self._last.number:
            self._line(self._last)

    def __call__(self, iteration: Iteration) -> None:
        first, self._last = self._last is None, iteration
        due = iteration.seconds - self._printed_at >= PROGRESS_EVERY_S
        if first or iteration.mark or due or is_verbose():
            self._line(iteration)

    def _compiles(self, name: str, finished: bool) -> None:
        """A function is being compiled, which is shown once, or has been."""
        if not finished and not self._compiled:
            self._out.print(COMPILING)
        self._compiling = "" if finished else name
        self._compiled += not finished

    def _line(self, iteration: Iteration) -> None:
        if not self._header:
            self._out.print(Text(words.iteration_titles(self._unit), style="bold"))
            self._header = True
        self._out.print(Text(words.iteration_line(iteration)))
        self._printed, self._printed_at = iteration.number, iteration.seconds
        self._shown.heard()

    def _status(self) -> Text:
        last, passed = self._last, time.perf_counter() - self._start
        if self._compiling:
            return Text(f"compiling {self._compiling} (function {self._compiled}) … {passed:.0f} s", "dim")
        state = "starting" if last is None else f"iteration {last.number}: {last.verdict}"
        if last is not None and math.isfinite(last.gap):
            state += f", gap {words.percent(last.gap)} %"
        return Text(f"{state} … {passed:.0f} s  (Ctrl-C keeps the best)", "dim")


class Counting:
    """Shows how many things are done, once that takes more than a second.

    Use as a context manager and hand it to the study as its `progress`.
    """

    def __init__(self, out: Console, unit: str) -> None:
        """`unit`: of what is counted, in the plural."""
        self._out, self._unit = out, unit
        self._start = time.perf_counter()
        self._done = self._all = 0
        self._shown = _Status(out, self._status)

    def __enter__(self) -> Counting:
        self._shown.__enter__()
        return self

    def __exit__(self, *left: object) -> None:
        self._shown.__exit__(*left)

    def __call__(self, done: int, of: int) -> None:
        self._done, self._all = done, of

    def _status(self) -> Text:
        passed = time.perf_counter() - self._start
        if passed < 1.0 or not self._all:
            return Text("")
        return Text(f"{self._done} of {self._all} {self._unit} … {passed:.0f} s  (Ctrl-C keeps what is decided)", "dim")


class GridLines:
    """Prints a line for a grid: for the first ones, then at most one a second; what failed has a line in any case."""

    def __init__(self, out: Console) -> None:
        self._out, self._start = out, time.perf_counter()
        self._printed, self._printed_at = 0, 0.0
        self._done = self._count = 0
        self._shown = _Status(out, self._status)

    def __enter__(self) -> GridLines:
        self._shown.__enter__()
        return self

    def __exit__(self, *left: object) -> None:
        self._shown.__exit__(*left)

    def __call__(self, row: FleetRow, done: int, count: int) -> None:
        self._done, self._count = done, count
        now = time.perf_counter()
        if row.error is None and self._printed >= FIRST_LINES and now - self._printed_at < LINE_EVERY_S:
            return
        self._printed, self._printed_at = self._printed + 1, now
        outcome = row.error.partition("\n")[0] if row.error is not None else _in_words(row)
        style = "red" if row.error is not None else ""
        self._out.print(Text(f"{done:>{len(str(count))}}/{count}  {words.safe(f'{row.name}: {outcome}')}", style))

    def _status(self) -> Text:
        if not self._out.is_terminal:
            return Text("")  # the lines of the grids tell
        passed = time.perf_counter() - self._start
        return Text(f"{self._done} of {self._count} grids … {passed:.0f} s  (Ctrl-C keeps what is finished)", "dim")


def _in_words(row: FleetRow) -> str:
    """The losses of a grid, why its run ended, and how long it took."""
    kept = ", kept of an earlier run" if row.status == "kept" else f", {row.seconds or 0.0:.2f} s"
    return f"{words.kw(row.loss_before_kw)} → {words.kw(row.loss_kw)} kW, {row.termination}{kept}"


def show_result(out: Console, result: Result) -> None:
    """Show a result as its page, in brief."""
    from openpoint.results.base import page_of

    show(out, page_of(result), show_notes)


def write_and_show(out: Console, outputs: Outputs, result: Result, code: int, *, more: Sequence[Writing] = ()) -> int:
    """Write a result and show it; `code`, or another exit code where something could not be written.

    Args:
        out: where people read. outputs: what is asked for. result: the result. code: that of the run.
        more: what is written beside the outputs.
    """
    written, good = outputs.write(result, more)
    show_result(out, result)
    if result.hint:
        out.print(Text(f"\n{result.hint}", "dim"))
    show_written(out, written)
    return code if good else NOT_WRITTEN


def show_written(out: Console, written: list[Path]) -> None:
    """The names of the files."""
    if written:
        out.print(f"\nwritten: {words.safe(', '.join(str(path) for path in written))}")


def show_notes(out: Console, notes: Iterable[str]) -> None:
    """Show the remarks on what changes the meaning of the figures that follow, above them.

    On standard error too where nobody sees these figures now, unless both go to the same place.
    """
    seen = not out.quiet and (out.is_terminal or out.file is sys.stderr or _goes_where_errors_go(out))
    for note in dict.fromkeys(notes):
        out.print(Text(f"Note: {words.safe(note)}", "yellow"))
        if not seen:
            complain("note", note)


def _goes_where_errors_go(out: Console) -> bool:
    """Whether this output and standard error are one file or pipe, as with `2>&1`."""
    try:
        return os.path.samestat(os.fstat(out.file.fileno()), os.fstat(sys.stderr.fileno()))
    except (OSError, ValueError):  # a stream without a file, or a closed one
        return False


def show_frame(out: Console, frame: pl.DataFrame) -> None:
    """A table of names and numbers, numbers to the right."""
    right = [i for i, dtype in enumerate(frame.dtypes) if dtype.is_numeric()]
    show_rows(out, [frame.columns, *([_cell(value) for value in row] for row in frame.iter_rows())], right, head=True)


def show_pairs(out: Console, title: str, pairs: Iterable[tuple[str, str]]) -> None:
    """A title and aligned lines of key and value."""
    out.print(Text(words.safe(title), style="bold"))
    show_rows(out, [(key, words.safe(value)) for key, value in pairs])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else words.safe(str(value))
