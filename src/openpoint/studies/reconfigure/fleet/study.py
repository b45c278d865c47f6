"""One grid of a fleet: solved and written, or kept from an earlier run, or a row with the reason why not.

What a fleet keeps on the disk: every file is there as a whole or not at all.

Of a grid its record, with the digest of what was asked, is written last and removed first: where it stands, the files
beside it are those of the same run.

Reconfigure a fleet: many grids, in processes, resumable, with one table and one page of all.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from openpoint.arguments import path_of
from openpoint.atomic import Content, write_files, write_text
from openpoint.errors import InputError, NotWrittenError, OpenpointError, OptionError, Problem, grouped
from openpoint.grid import files
from openpoint.grid.devices import Held
from openpoint.grid.files import HEAD, files_from_grid
from openpoint.grid.table_files import table_bytes
from openpoint.inputs import content_of, real_path
from openpoint.io import read
from openpoint.io.write_back import write_back
from openpoint.report.page.html import render
from openpoint.report.terminal import words
from openpoint.results.base import report_html
from openpoint.results.columns import finite
from openpoint.results.worth import Worth, read_worth
from openpoint.search.methods import TopologySearch
from openpoint.studies.reconfigure.fleet.options import ReconfigureFleetOptions
from openpoint.studies.reconfigure.fleet.result import FAILED, KEPT, NOT_RUN, SOLVED, FleetResult, FleetRow, ranked
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.report import page
from openpoint.studies.reconfigure.result import ReconfigureResult, SwitchGroup
from openpoint.studies.reconfigure.study import prepare as prepare_one
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.interrupt import Interrupt, listening
from openpoint.twostage.log import Termination
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.workers.executors import InProcess, Lost, run_apart
from openpoint.version import __version__

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A file, a folder, a pattern such as `nets/*.m` or the name of a built-in grid, or several of them."""

_GRID_FILES = (".m", ".json", ".pos", ".xlsx")
_UNFIT = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, slots=True)
class Source:
    """A grid of a fleet.

    Attributes:
        name: unique in the fleet, and fit for a folder. place: file, folder or name of a built-in grid.
    """

    name: str
    place: str


def find_sources(given: Paths) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """The grids in what is named, each once, in the order named; and notes on what was left out.

    A folder with `grid.toml` is a grid. Of any other folder the files `.m`, `.json`, `.pos` and `.xlsx` in it are, and
    the folders in it that are grids; OpenDSS circuits are not, because a folder does not tell which of its `.dss` files
    is the circuit.

    Raises:
        InputError: with everything named that is not there, or has no grid in it.
        OptionError: something that is no path.
    """
    named = [given] if isinstance(given, str | os.PathLike) else list(given)
    places: dict[str, None] = {}
    faults, notes = list[Problem](), list[str]()
    for each in named:
        path_of(each, "a grid of the fleet", "a path, a pattern or the name of a built-in grid")
        found = list(_places(os.fspath(each), notes))
        if not found:
            remedy = "Give files, folders with grids, patterns such as 'nets/*.m', or names of built-in grids"
            faults.append(Problem(os.fspath(each), "", "", "there is no grid of this name", remedy))
        places |= dict.fromkeys(found)
    if not named:
        raise OptionError("no grid was named; give files, folders with grids, or a pattern such as 'nets/*.m'")
    if faults:
        raise InputError(faults)
    return tuple(map(Source, _names(list(places)), places)), tuple(notes)


def _places(text: str, notes: list[str]) -> Iterator[str]:
    """Where the grids are that one text names."""
    path = Path(text)
    if text and path.is_dir():
        if _is_grid(path):
            yield text
            return
        inside = sorted(path.iterdir(), key=lambda each: _natural(each.name))
        for each in inside:
            if _is_grid(each) or (each.suffix.lower() in _GRID_FILES and each.is_file()):
                yield str(each)
        if circuits := sum(each.suffix.lower() == ".dss" for each in inside):
            notes.append(
                f"{text}: its {circuits} .dss files are left out, as a folder does not tell which of them is the "
                "circuit; name that file itself"
            )
    elif path.is_file() or text in files.names():
        yield text
    elif glob.has_magic(text):
        yield from sorted(glob.glob(text, recursive=True), key=_natural)


def _is_grid(path: Path) -> bool:
    """Whether it is a folder of tables; also one that may not be looked into, so that its row says so."""
    try:
        return path.is_dir() and any(each.name == HEAD for each in path.iterdir())
    except PermissionError:
        return True


def _natural(text: str) -> list[tuple[int, str]]:
    """A key that puts feeder2 before feeder10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def _names(places: list[str]) -> list[str]:
    """A name for each place, after its file; where two would be alike, with the folders by which they differ."""
    shown = [
        [_UNFIT.sub("_", part) for part in Path(place).parts if part not in (os.sep, "..", ".")] for place in places
    ]
    for parts in shown:
        parts[-1] = parts[-1] if Path(parts[-1]).suffix.lower() not in (*_GRID_FILES, ".dss") else Path(parts[-1]).stem
    length = [1] * len(places)
    while True:
        names = ["-".join(parts[-k:]).lstrip(".") or "grid" for parts, k in zip(shown, length, strict=True)]
        folded = [name.casefold() for name in names]  # some file systems do not tell large letters from small ones
        longer = [i for i, name in enumerate(folded) if folded.count(name) > 1 and length[i] < len(shown[i])]
        if not longer:
            break
        for i in longer:
            length[i] += 1
    seen: dict[str, int] = {}
    for i, name in enumerate(folded):
        seen[name] = seen.get(name, 0) + 1
        names[i] += f"-{seen[name]}" * (seen[name] > 1)
    return names


def digest_of(place: str, question: str) -> str:
    """SHA-256 of what a grid is read from, and of the question that is asked of it.

    An OpenDSS script is read from other files, too; so the digest is that of the grid that was read.

    Raises:
        InputError: it cannot be read.
    """
    digest = hashlib.sha256(question.encode())
    path = Path(place)
    if path.suffix.lower() == ".dss":
        contents = files_from_grid(read(path))
    elif path.is_dir():
        contents = {each.name: content_of(each) for each in sorted(path.iterdir()) if each.is_file()}
    else:
        contents = {path.name: content_of(path)} if path.is_file() else {place: b""}
    for name, content in contents.items():
        digest.update(f"\n{name}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


GRIDS = "grids"
"""The folder of the folders of the grids."""
RESULT, REPORT, RECORD = "result.json", "report.html", "record.json"
_FORMAT = 1


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Within it an error of the disk says which file it concerns and what to do.

    Raises:
        NotWrittenError: in its place.
    """
    try:
        yield
    except OSError as error:
        named = error.filename or path
        raise NotWrittenError(f"{named} cannot be written: {error.strerror or error}") from error


def save(folder: Path, digest: str, row: FleetRow, files: Mapping[str, str]) -> None:
    """Write the files of a grid, and last its record.

    Raises:
        NotWrittenError: one cannot be written.
    """
    with naming_file(folder):
        (folder / RECORD).unlink(missing_ok=True)
        write_files({folder / name: content.encode() for name, content in files.items()})
        record = {"format": _FORMAT, "digest": digest, "row": asdict(row)}
        write_text(folder / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def saved(folder: Path, digest: str, files: tuple[str, ...]) -> FleetRow | None:
    """What an earlier run found of a grid with this digest; None where there is none, or a file is missing."""
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT or record["digest"] != digest:
            return None
        row = FleetRow(**record["row"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return row if all((folder / name).is_file() for name in files) else None


def groups_of(folder: Path) -> tuple[SwitchGroup, ...]:
    """The switch groups in the result of a grid that is finished; none where it has no result that can be read."""
    try:
        document: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        return tuple(
            SwitchGroup(
                tuple(each["to_close"]), tuple(each["to_open"]), each["loss_kw"] + each["saving_kw"], each["loss_kw"]
            )
            for each in document["switch_groups"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def copy_of(folder: Path, source: str, switched: Mapping[str, bool]) -> str | None:
    """Copy the grid's own file into its folder with these states; why not, where that is impossible.

    Raises:
        NotWrittenError: the copy cannot be written.
    """
    place = Path(source)
    if not place.exists():
        return "a built-in grid has no file to be copied"
    if place.suffix.lower() == ".dss":
        return "a circuit is copied beside the files that it reads: openpoint reconfigure --write"
    try:
        with naming_file(folder):
            write_back(source, folder / place.name, switched)
    except (InputError, OptionError) as error:
        return f"no copy of its file was written: {error}"
    return None


@dataclass(frozen=True, kw_only=True)
class FleetTask:
    """The question put to every grid of a fleet; picklable, for processes of their own.

    Attributes:
        out: folder of the fleet. options: as of `reconfigure`. pv: as of `read`.
        reports: whether each grid has a report.
    """

    out: Path
    options: ReconfigureOptions
    pv: Held
    reports: bool

    @property
    def question(self) -> str:
        """Everything on which a result depends beside the grid, as text."""
        return f"openpoint {__version__}\n{self.pv}\n{self.options!r}"

    def __call__(self, source: Source) -> FleetRow:
        """What is known of a grid in the end; only a disk that takes no more is an error.

        Raises:
            NotWrittenError: a file cannot be written.
        """
        try:
            return self._run(source)
        except NotWrittenError:
            raise
        except InputError as error:
            text = "\n".join(str(alike) for alike in grouped(error.problems))
        except OpenpointError as error:
            text = str(error)
        except OSError as error:
            text = f"{error.filename or source.place} cannot be read: {error.strerror or error}"
        except Exception as error:  # a fault of this package at one grid must not stop the others
            text = f"internal error, {type(error).__name__}: {error}. Please report it with the grid"
        return FleetRow(name=source.name, source=source.place, status=FAILED, error=text)

    def _run(self, source: Source) -> FleetRow:
        began = time.perf_counter()
        folder = self.out / GRIDS / source.name
        digest = digest_of(source.place, self.question)
        if (kept := saved(folder, digest, (RESULT, REPORT) if self.reports else (RESULT,))) is not None:
            return replace(kept, name=source.name, source=source.place, status=KEPT)
        result = prepare_one(read(source.place, pv=self.pv), self.options).solve()
        if result.termination is Termination.INTERRUPTED:
            return FleetRow(name=source.name, source=source.place, status=NOT_RUN)
        files = {RESULT: result.to_json()}
        if self.reports:
            files[REPORT] = render(page(result, picture=False))
        row = row_of(source, result, seconds=time.perf_counter() - began, reports=self.reports)
        save(folder, digest, row, files)
        return row


def row_of(source: Source, result: ReconfigureResult, *, seconds: float, reports: bool) -> FleetRow:
    """The row of a grid that was solved."""
    before, after = result.loss_before_kw, result.loss_kw
    saving = before - after if before is not None and after is not None else None
    gap, bound = finite(result.gap), finite(result.lower_bound_kw)
    return FleetRow(
        name=source.name,
        source=source.place,
        status=SOLVED,
        buses=result.grid.buses.height,
        branches=result.grid.branches().height,
        loss_before_kw=before,
        loss_kw=after,
        saving_kw=saving,
        saving_percent=100.0 * saving / before if saving is not None and before else None,
        lower_bound_kw=bound,
        gap_percent=None if gap is None else 100.0 * gap,
        termination=result.termination.value,
        changes=len(result.changes) if result.has_answer else None,
        v_min_pu=result.v_min_pu,
        violations=len(result.violations or result.least_violation),
        seconds=seconds,
        report=f"{GRIDS}/{source.name}/{REPORT}" if reports else None,
        notes="\n".join(result.notes) or None,
    )


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
        result.out / "switchings.csv": table_bytes(result.tables()["switchings"], csv=True),
        result.out / DOCUMENT: result.to_json().encode(),
        result.out / PAGE: report_html(result).encode(),
    }
    with naming_file(result.out):
        write_files(contents)
    return list(contents)


reconfigure_fleet = function("reconfigure_fleet", ReconfigureFleetOptions, prepare, several=True)
