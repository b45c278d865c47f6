"""Reconfigure a fleet: many grids, in processes, resumable, with one table and one page of all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from openpoint.arguments import Names, of_kind, path_of
from openpoint.atomic import Content, write_files
from openpoint.errors import NotWrittenError, OptionError
from openpoint.grid.devices import HELD, Held
from openpoint.grid.files import HEAD
from openpoint.grid.table_files import table_bytes
from openpoint.inputs import real_path
from openpoint.network.limits import Limits
from openpoint.results.base import report_html
from openpoint.search.methods import TopologySearch
from openpoint.studies.reconfigure.fleet.result import FleetResult, FleetRow
from openpoint.studies.reconfigure.fleet.schema import FAILED, NOT_RUN
from openpoint.studies.reconfigure.fleet.task import (
    GRIDS,
    FleetTask,
    Lost,
    Paths,
    Source,
    find_sources,
    naming_file,
    run_apart,
)
from openpoint.studies.reconfigure.methods import Method
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.twostage.interrupt import Interrupt, listening
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.workers.executors import InProcess

FleetProgress = Callable[[FleetRow, int, int], None]
"""Called with every grid that is finished: its row, how many are, and how many there are."""

PAGE, TABLE, DOCUMENT = "index.html", "fleet", "fleet.json"


class FleetOptions(TypedDict, total=False):
    """The options of `openpoint.reconfigure` that all grids share, and those of the method where none is named."""

    method: Method | None
    gap: float | None
    time_limit_s: float | None
    limits: Limits | None
    locked_open: Names
    locked_closed: Names
    switchable: Names
    max_changes: int | None
    change_cost_kw: float
    soft_limits: bool


def reconfigure_fleet(
    grids: Paths,
    out: str | os.PathLike[str],
    *,
    workers: int = 1,
    reports: bool = True,
    pv: Held = "hold",
    progress: FleetProgress | None = None,
    **options: Unpack[FleetOptions],
) -> FleetResult:
    """Reconfigure many grids, each by itself, and leave one table and one page of all.

    Below `out` each grid has a folder `grids/NAME` with its `result.json` and `report.html`; `fleet.csv`,
    `fleet.parquet` and `fleet.json` have a row a grid, and `index.html` shows it, with links to the reports. What is
    finished is on the disk. The same call again solves only what is not: what failed, was not come to, or whose file,
    options or version of openpoint are others than those of which the digest stands beside the result.

    A grid with faults does not stop the others: its row says all of them. Where a process ends, as without memory, its
    grid is tried once more and then listed as failed. Ctrl-C keeps all that is finished.

    Args:
        grids: files, folders with grids, patterns, or names of built-in grids: one of them, or several.
        out: folder for the results, which is made.
        workers: processes; 1: this process. Processes are spawned, so a script must start its work below
            `if __name__ == "__main__":`.
        reports: whether each grid has a report; without them a run is quicker and takes less room.
        pv: generators that hold a voltage, as of `read`.
        progress: called with every grid that is finished.
        options: those of `openpoint.reconfigure`, for every grid; `gap` and `time_limit_s` are those of the method
            where none is named. A time limit is that of each grid.

    Raises:
        InputError: something named is not there.
        OptionError: options that contradict each other, or a folder of results that holds grids that are read.
        NotWrittenError: a file cannot be written, as where the disk is full; what was finished before is kept.
    """
    return prepare_fleet(grids, out, ReconfigureOptions(**options), workers=workers, reports=reports, pv=pv).solve(
        progress
    )


def prepare_fleet(
    grids: Paths,
    out: str | os.PathLike[str],
    options: ReconfigureOptions,
    *,
    workers: int,
    reports: bool,
    pv: Held,
) -> PreparedFleet:
    """The grids found and the options checked.

    Raises:
        InputError, OptionError: as `reconfigure_fleet`.
    """
    folder = path_of(out, "out", "the path of a folder")
    of_kind(workers, int, "workers", "a number of processes, at least 1")
    if workers < 1:
        raise OptionError(f"workers is {workers}; give a number of processes, at least 1")
    if pv not in HELD:
        raise OptionError(f"pv is {pv!r}; give one of {', '.join(map(repr, HELD))}")
    method = options.method
    if isinstance(method, TopologySearch) and (method.certificate is not None or method.checkpoint is not None):
        raise OptionError("a certificate and a checkpoint are of one grid; leave them out for many")
    shared = isinstance(method, TopologySearch | Benders) and not isinstance(method.executor, InProcess | None)
    if workers > 1 and shared:
        raise OptionError("an executor shares one grid among processes, workers share the grids; leave one of both out")
    sources, notes = find_sources(grids)
    read_from = {real_path(source.place) for source in sources}
    if (folder / HEAD).exists() or real_path(folder) in read_from | {place.parent for place in read_from}:
        raise OptionError(f"{folder} holds grids that are read; give another folder for the results")
    task = FleetTask(out=folder, options=options, pv=pv, reports=reports)
    return PreparedFleet(sources, notes, task, workers)


@dataclass(frozen=True)
class PreparedFleet:
    """A fleet, ready to be solved.

    Attributes:
        sources: the grids. notes: on them. task: what is asked of each. workers: processes.
    """

    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    task: FleetTask
    workers: int

    @property
    def method(self) -> str:
        """The method in words."""
        named = self.task.options.method
        return "of each grid its own" if named is None else str(named)

    def solve(self, progress: FleetProgress | None = None) -> FleetResult:
        """The result, with its tables and its page written.

        Raises:
            NotWrittenError: a file cannot be written; the text says how many grids are finished.
        """
        began = time.perf_counter()
        rows: dict[int, FleetRow] = {}
        interrupted = False
        with listening() as interrupt:
            try:
                with naming_file(self.task.out):
                    (self.task.out / GRIDS).mkdir(parents=True, exist_ok=True)
                with closing(self._answers(interrupt)) as answers:
                    for number, row in answers:
                        if row.status == NOT_RUN:
                            interrupted = True
                            break
                        rows[number] = row
                        if progress is not None:
                            progress(row, len(rows), len(self.sources))
            except NotWrittenError as error:
                raise self._stopped(error, rows) from error
            interrupted |= interrupt.requested and len(rows) < len(self.sources)
        blank = {
            number: FleetRow(name=source.name, source=source.place, status=NOT_RUN)
            for number, source in enumerate(self.sources)
        }
        result = FleetResult(
            out=self.task.out,
            rows=tuple((blank | rows).values()),
            method=self.method,
            workers=self.workers,
            seconds=time.perf_counter() - began,
            interrupted=interrupted,
            notes=self.notes,
        )
        try:
            write_fleet(result)
        except NotWrittenError as error:
            raise self._stopped(error, rows) from error
        return result

    def _answers(self, interrupt: Interrupt) -> Generator[tuple[int, FleetRow]]:
        """The number and the row of each grid, as they come."""
        if self.workers == 1:
            for number, source in enumerate(self.sources):
                if interrupt.requested:
                    return
                yield number, self.task(source)
            return
        answers = run_apart(self.task, self.sources, self.workers, lambda: interrupt.requested)
        with closing(answers):
            for number, answer in answers:
                yield number, _lost(self.sources[number], answer) if isinstance(answer, Lost) else answer

    def _stopped(self, error: NotWrittenError, rows: dict[int, FleetRow]) -> NotWrittenError:
        done = sum(row.status != FAILED for row in rows.values())
        return NotWrittenError(
            f"{error}. {done} of {len(self.sources)} grids are finished and kept; "
            "make room, or correct the rights of the folder, and run the same again: it goes on from there"
        )


def _lost(source: Source, lost: Lost) -> FleetRow:
    """The row of a grid whose process ended."""
    how = f"by signal {-lost.exit_code}" if lost.exit_code < 0 else f"with code {lost.exit_code}"
    text = f"its process ended {how}, twice. Most likely it ran out of memory: take fewer workers, or a time limit"
    return FleetRow(name=source.name, source=source.place, status=FAILED, error=text)


def write_fleet(result: FleetResult) -> Sequence[Path]:
    """Write the tables and the page of a fleet into its folder; the paths written.

    Raises:
        NotWrittenError: one cannot be written.
    """
    contents: dict[Path, Content] = {
        result.out / f"{TABLE}.csv": table_bytes(result.grids, csv=True),
        result.out / f"{TABLE}.parquet": table_bytes(result.grids, csv=False),
        result.out / DOCUMENT: result.to_json().encode(),
        result.out / PAGE: report_html(result).encode(),
    }
    with naming_file(result.out):
        write_files(contents)
    return list(contents)
