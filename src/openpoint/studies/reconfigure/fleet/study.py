"""Reconfigure a fleet: many grids, in processes, resumable, with one table and one page of all."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from openpoint.arguments import path_of
from openpoint.atomic import Content, write_files
from openpoint.errors import NotWrittenError, OptionError
from openpoint.grid.files import HEAD
from openpoint.grid.table_files import table_bytes
from openpoint.inputs import real_path
from openpoint.report.terminal import words
from openpoint.results.base import report_html
from openpoint.results.worth import Worth, read_worth
from openpoint.search.methods import TopologySearch
from openpoint.studies.reconfigure.fleet.options import ReconfigureFleetOptions
from openpoint.studies.reconfigure.fleet.result import FAILED, NOT_RUN, FleetResult, FleetRow, ranked
from openpoint.studies.reconfigure.fleet.task import (
    GRIDS,
    FleetTask,
    Paths,
    Source,
    copy_of,
    find_sources,
    groups_of,
    naming_file,
)
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.interrupt import Interrupt, listening
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.workers.executors import InProcess, Lost, run_apart

FleetProgress = Callable[[FleetRow, int, int], None]
"""Called with every grid that is finished: its row, how many are, and how many there are."""

PAGE, TABLE, DOCUMENT = "index.html", "fleet", "fleet.json"


def prepare(grids: Paths, options: ReconfigureFleetOptions) -> Prepared[FleetResult]:
    """Reconfigure many grids, each by itself, and leave one table and one page of all.

    The grids are files, folders with grids, patterns, or names of built-in grids: one of them, or several. Below `out`
    each has a folder `grids/NAME` with its `result.json` and `report.html`; `fleet.csv`, `fleet.parquet` and
    `fleet.json` have a row a grid, and `index.html` shows it, with links to the reports. What is finished is on the
    disk. The same call again solves only what is not: what failed, was not come to, or whose file, options or version
    of openpoint are others than those of which the digest stands beside the result.

    A grid with faults does not stop the others: its row says all of them. Where a process ends, as without memory, its
    grid is tried once more and then listed as failed. Ctrl-C keeps all that is finished. Processes are spawned, so a
    script with workers must start its work below `if __name__ == "__main__":`. `progress` is called with the row of
    every grid that is finished, how many are, and how many there are.

    Raises:
        InputError: something named is not there.
        OptionError: options that contradict each other, or a folder of results that holds grids that are read.
        NotWrittenError: a file cannot be written, as where the disk is full; what was finished before is kept.
    """
    folder, method = path_of(options.out, "out"), options.chosen
    if isinstance(method, TopologySearch) and (method.certificate is not None or method.checkpoint is not None):
        raise OptionError("a certificate and a checkpoint are of one grid; leave them out for many")
    shared = isinstance(method, TopologySearch | Benders) and not isinstance(method.executor, InProcess | None)
    if options.workers > 1 and shared:
        raise OptionError("an executor shares one grid among processes, workers share the grids; leave one of both out")
    sources, notes = find_sources(grids)
    read_from = {real_path(source.place) for source in sources}
    if (folder / HEAD).exists() or real_path(folder) in read_from | {place.parent for place in read_from}:
        raise OptionError(f"{folder} holds grids that are read; give another folder for the results")
    task = FleetTask(out=folder, options=options.of_each, pv=options.pv, reports=options.reports)
    return PreparedFleet(
        sources, notes, task, options.workers, options.operations, options.copies, read_worth(options.worth)
    )


@dataclass(frozen=True)
class PreparedFleet:
    """A fleet, ready to be solved.

    Attributes:
        sources: the grids. notes: on them. task: what is asked of each. workers: processes.
        operations: most switch operations in all grids. copies: whether the grids' own files are copied with them.
        worth: what losses are worth.
    """

    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    task: FleetTask
    workers: int
    operations: int | None = None
    copies: bool = False
    worth: Worth | None = None
    unit: str = "grids"

    @property
    def heading(self) -> str:
        """How many grids there are, and the method."""
        counted = words.count(len(self.sources), "grid")
        return f"{counted}, workers: {self.workers}\nmethod: {words.method(self.method)}"

    @property
    def method(self) -> str:
        """The method in words."""
        named = self.task.options.chosen
        return "of each grid its own" if named is None else str(named)

    def solve(self, progress: FleetProgress | None = None, deadline: Deadline | None = None) -> FleetResult:
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
        folders = {row.name: self.task.out / GRIDS / row.name for row in rows.values() if row.loss_kw is not None}
        groups = {name: groups_of(folder) for name, folder in folders.items()}
        result = FleetResult(
            out=self.task.out,
            rows=tuple((blank | rows).values()),
            ranked=ranked(groups, self.operations),
            method=self.method,
            workers=self.workers,
            seconds=time.perf_counter() - began,
            worth=self.worth,
            interrupted=interrupted,
            notes=self.notes,
        )
        try:
            if self.copies:
                result = with_copies(result)
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


def with_copies(result: FleetResult) -> FleetResult:
    """Copy the own files of all grids with what is chosen to be switched in them; the result with what could not be.

    Raises:
        NotWrittenError: a copy cannot be written.
    """
    switched: dict[str, dict[str, bool]] = {}
    for each in result.ranked:
        if each.chosen:
            states = switched.setdefault(each.grid, {})
            states |= dict.fromkeys(each.group.to_close, True) | dict.fromkeys(each.group.to_open, False)
    rows = []
    for row in result.rows:
        folder = result.out / GRIDS / row.name
        why = copy_of(folder, row.source, switched[row.name]) if row.name in switched else None
        rows.append(row if why is None else replace(row, notes="\n".join(filter(None, [row.notes, why]))))
    return replace(result, rows=tuple(rows))


def write_fleet(result: FleetResult) -> Sequence[Path]:
    """Write the tables and the page of a fleet into its folder; the paths written.

    Raises:
        NotWrittenError: one cannot be written.
    """
    contents: dict[Path, Content] = {
        result.out / f"{TABLE}.csv": table_bytes(result.grids, csv=True),
        result.out / f"{TABLE}.parquet": table_bytes(result.grids, csv=False),
        result.out / "switchings.csv": table_bytes(result.switchings, csv=True),
        result.out / DOCUMENT: result.to_json().encode(),
        result.out / PAGE: report_html(result).encode(),
    }
    with naming_file(result.out):
        write_files(contents)
    return list(contents)


reconfigure_fleet = function("reconfigure_fleet", ReconfigureFleetOptions, prepare, several=True)
