"""One grid of a fleet: solved and written, or kept from an earlier run, or a row with the reason why not.

What a fleet keeps on the disk: every file is there as a whole or not at all.

Of a grid its record, with the digest of what was asked, is written last and removed first: where it stands, the files
beside it are those of the same run.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from openpoint.arguments import path_of
from openpoint.atomic import write_files, write_text
from openpoint.errors import InputError, NotWrittenError, OpenpointError, OptionError, Problem, grouped
from openpoint.grid import files
from openpoint.grid.devices import Held
from openpoint.grid.files import HEAD, files_from_grid
from openpoint.inputs import content_of
from openpoint.io import read
from openpoint.io.write_back import write_back
from openpoint.report.page.html import render
from openpoint.results.columns import finite
from openpoint.studies.reconfigure.fleet.result import FAILED, KEPT, NOT_RUN, SOLVED, FleetRow
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.report import page
from openpoint.studies.reconfigure.result import ReconfigureResult, SwitchGroup
from openpoint.studies.reconfigure.study import prepare
from openpoint.twostage.log import Termination
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
        result = prepare(read(source.place, pv=self.pv), self.options).solve()
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
