"""Where a command writes: checked for every command by one function, before the work begins.

A result takes the place of an earlier result of openpoint. Everything else that is there, such as a grid, a table, a
file of options or of another program, is replaced only with `--force`; what the run reads never is, but for the grid
whose states `--write` changes.
"""

from __future__ import annotations

import gzip
import os
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from openpoint.cli.streams import failure_of_output
from openpoint.errors import OptionError, require_extra

STDOUT = Path("-")
PAGES, PICTURES = (".html", ".htm"), (".png", ".svg", ".pdf")
# Endings that say what a file holds, and the option that writes such a file.
_OTHERS = {
    ".csv": "--tables FOLDER",
    **dict.fromkeys((".parquet", ".xlsx"), "--tables"),
    **dict.fromkeys((*PAGES, *PICTURES), "--report"),
    **dict.fromkeys((".m", ".dss", ".pos", ".toml", ".xls", ".ods"), ""),
}
_HEAD = 4096


@dataclass(frozen=True)
class Place:
    """Where an option writes.

    Attributes:
        option: by its name. path: the file or folder. endings: of its name, one of which it must have; none = any that
            is not that of another kind of file. folder: whether tables go into it, or a grid may.
        form: of these tables, `csv` or `parquet`.
        replaces: whether a new result takes the place of an earlier one; else only with `--force`.
        beside: other files that are written on the way.
    """

    option: str
    path: Path
    endings: tuple[str, ...] | None = ()
    folder: bool = False
    form: str = ""
    replaces: bool = True
    beside: tuple[Path, ...] = ()

    def __str__(self) -> str:
        return f"{self.option} {self.path}".strip()


def _of_tables(path: Path) -> Place:
    ending = path.suffix.lower()
    if ending in (".xlsx", ".xls", ".ods"):
        return Place("--tables", path, endings=(".xlsx",))
    return Place("--tables", path, folder=True, form="parquet" if ending == ".parquet" else "csv")


_KINDS: dict[str, Callable[[Path], Place]] = {
    "json": partial(Place, "--json"),
    "tables": _of_tables,
    "report": partial(Place, "--report", endings=(*PAGES, *PICTURES)),
    "certificate": partial(Place, "--certificate"),
    "checkpoint": partial(Place, "--checkpoint"),
    "checklist": partial(Place, "--checklist", endings=(".html", ".htm", ".md", ".csv")),
    "write": partial(Place, "--write", endings=None, replaces=False),
    "out": partial(Place, "--out", folder=True),
    "new_state": partial(Place, "--out", endings=None, replaces=False),
    "table": partial(Place, "--output", endings=(".csv", ".parquet"), replaces=False),
}
"""The options that write, by their names in Python."""


def check_options(given: Mapping[str, Any], *, force: bool) -> None:
    """Refuse, before the work begins, what cannot be written or would replace what it must not.

    Args:
        given: all options and arguments of a command, by their names in Python. Those that are no outputs are what is
            read, where they name a file or folder.

    Raises:
        OptionError: the first fault, with the options and what to do.
        MissingExtraError: a report or picture is asked for without the package that draws it.
    """
    if given.get("report"):
        require_extra("matplotlib", "report", "A report or picture")
    places = [_KINDS[name](value if isinstance(value, Path) else Path(value)) for name, value in _written(given)]
    others = [value for name, value in given.items() if name not in _KINDS]
    read = [path for value in others for path in _paths(value) if isinstance(value, Path) or _is_there(path)]
    check_places(places, read, force=force)


def check_places(places: Iterable[Place], read: Iterable[Path], *, force: bool) -> None:
    """The same of places, and the files and folders that are read.

    Raises:
        OptionError: as `check_options`.
    """
    written = [_with_its_files(place) for place in places if _is_a_file_system(place)]
    read = list(read)
    _check_apart(written)
    for place in written:
        for path in read:
            _check_not_read(place, path, force=force)
    for place in written:
        _check_name(place)
        if not force and (there := _what_is_there(place)):
            raise OptionError(f"{place} {there}; give another name, or --force to replace it")
    for place in written:
        _check_writable(place)


def _written(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in _KINDS:
        if (value := given.get(name)) is not None:
            yield from ((name, each) for each in (value if isinstance(value, list) else [value]))


def _paths(value: object) -> Iterator[Path]:
    """Texts and paths in an option, as paths."""
    values = value if isinstance(value, list | tuple) else [value]
    return (Path(each) for each in values if isinstance(each, str | Path) and str(each))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_a_file_system(place: Place) -> bool:
    """False for the standard output, which only JSON goes to."""
    if place.path != STDOUT:
        return True
    if place.option != "--json":
        what = "a folder" if place.folder else "a file name"
        raise OptionError(f"{place.option} - : only --json can write to the standard output; give {what}")
    if failure_of_output() is not None:
        raise OptionError("--json - : the standard output is closed; give a file name")
    return False


def _with_its_files(place: Place) -> Place:
    if place.option != "--certificate":
        return place
    beside = tuple(Path(f"{place.path}{ending}") for ending in (".part", ".earlier"))
    return Place(place.option, place.path, beside=beside)


def _check_name(place: Place) -> None:
    """Refuse the name of another kind of file, a folder in the place of a file, and a file in that of a folder."""
    from openpoint.io.text import file_ending

    path, ending = place.path, place.path.suffix.lower()
    if place.endings is None:
        # What reads the grid says which formats can be written; a new state is written as few of them.
        if place.option == "--out" and (named := file_ending(path)) and named not in (".xlsx", ".dss"):
            raise OptionError(f"{place}: a grid is written as a folder of tables, .xlsx or .dss")
        return
    if place.folder:
        if (named := file_ending(path)) and (place.form, ending) != ("parquet", ".parquet"):
            instead = {"--out": "; one result is written by --json, --report, --tables, a grid by --write"}
            remedy = f"give a folder such as {path.with_suffix('')}, or make one of that name before"
            what = f"it writes a folder, not one {named} file{instead.get(place.option, '')}; {remedy}"
            raise OptionError(f"{place}: {what}")
        return
    if path.is_dir():
        raise OptionError(f"{place}: this is a folder; give a file name")
    if Path(os.path.realpath(path)).is_symlink():
        raise OptionError(f"{place}: links lead in a circle; give another name")
    if place.endings and ending not in place.endings:
        raise OptionError(f"{place}: the name must end in {' or '.join(place.endings)}")
    # A device or pipe may have any name.
    if not place.endings and ending in _OTHERS and not (path.exists() and not path.is_file()):
        text = f"; {_OTHERS[ending]} writes {ending}" if _OTHERS[ending] else ""
        raise OptionError(f"{place}: what it writes is no {ending} file; give another ending{text}")


def _identity(path: Path) -> object:
    """Equal for names of one file: through links, and where a file system does not tell small letters from capitals."""
    real = os.path.realpath(path)
    try:
        found = os.stat(real)
    except OSError:
        return unicodedata.normalize("NFC", real).casefold()
    return found.st_dev, found.st_ino


def _check_apart(places: list[Place]) -> None:
    """Refuse two outputs in one file, and a file where another output writes its tables."""
    taken: dict[object, Place] = {}
    for place in places:
        for path in (place.path, *place.beside):
            other = taken.setdefault(_identity(path), place)
            if other is not place and path != Path(os.devnull):
                raise OptionError(f"{other} and {place} would write to the same file, {path}; give each its own name")
    for folder in (place for place in places if place.folder or place.path.suffix == ""):
        for place in places:
            within = _identity(place.path.parent) == _identity(folder.path)
            if place is not folder and within and place.path.name.lower() in _names_in(folder):
                raise OptionError(f"{place} lies in the folder of {folder}, whose files may replace it; name another")


def _check_not_read(place: Place, read: Path, *, force: bool) -> None:
    """Refuse an output in the place of what is read, or among the tables of a folder that is read."""
    from openpoint.grid.files import HEAD, TABLE_FILES

    if place.folder and place.replaces and (place.path / HEAD).exists():
        raise OptionError(f"{place}: this folder holds a grid, whose tables would be replaced; name another")
    same = any(_identity(path) == _identity(read) for path in (place.path, *place.beside))
    if same and place.option == "--write":
        if not force:
            raise OptionError(f"{place}: the grid is read from there; give another name, or --force to change it there")
        return
    among = place.form and read.suffix == f".{place.form}" and _identity(place.path) == _identity(read.parent)
    within = read.is_dir() and _identity(place.path.parent) == _identity(read)
    known = place.path.name.lower() in TABLE_FILES | {HEAD} or (place.path.is_file() and not _is_result(place))
    if same or among or (within and known):
        raise OptionError(f"{place} would take the place of {read}, which is read; give another name")


def _what_is_there(place: Place) -> str:
    """What would be replaced, in words; empty where there is nothing, or an earlier result."""
    path = place.path
    if path.is_file() and path.stat().st_size:
        return "" if place.replaces and _is_result(place) else "is a file already"
    if not path.is_dir():
        return ""
    inside = {each.name for each in path.iterdir() if not each.name.startswith(".")}
    if not place.replaces:
        return "holds files already" if inside else ""
    earlier = {"summary.csv", "summary.parquet", "fleet.json", "grids"} & inside
    others = sorted(_names_in(place) & inside)
    return f"holds {others[0]}, which is no result" if others and not earlier else ""


def _names_in(folder: Place) -> set[str]:
    """Names of files that may be written into a folder: tables of a result or a grid, or what many grids leave."""
    from openpoint.grid.files import HEAD, TABLE_FILES
    from openpoint.studies.catalog import STUDIES

    if folder.option == "--out" and folder.folder:
        return {"fleet.csv", "fleet.parquet", "fleet.json", "index.html", "grids"}
    if not folder.replaces:
        return {HEAD, *TABLE_FILES}
    return {
        f"{name}.{folder.form}" for name in ("summary", *(name for study in STUDIES for name in study.shape.tables))
    }


def _is_result(place: Place) -> bool:
    """Whether the file is an earlier result of openpoint; a checkpoint is told from others where it is read."""
    path, ending = place.path, place.path.suffix.lower()
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            file.seek(max(0, file.seek(0, os.SEEK_END) - _HEAD))
            ends = head + file.read()
        if place.option == "--json":
            return b'"study": "' in head and b'"version": "' in head
        if place.option == "--tables":
            return b'<sheet name="summary"' in zipfile.ZipFile(path).read("xl/workbook.xml")
        if place.option == "--certificate":
            with gzip.open(path) as packed:
                return b'"openpoint certificate' in packed.read(_HEAD)
        if place.option == "--checklist" and ending in (".md", ".csv"):
            return head.startswith((b"# Switch plan: ", b"step,action,"))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zipfile.zlib.error):  # type: ignore[attr-defined]
        return False
    return place.option == "--checkpoint" or b"openpoint" in ends


def _check_writable(place: Place) -> None:
    """Refuse a place that cannot be written to; missing folders are made."""
    folder = place.path if place.folder else place.path.parent
    if place.path.is_file() and not os.access(place.path, os.W_OK):
        raise OptionError(f"{place}: the rights of this file forbid writing; choose another name")
    if place.path.exists() and not place.path.is_file() and not place.path.is_dir():
        return  # a device or a pipe
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise OptionError(
            f"{place.option or place}: cannot write into {folder} ({why}); choose another place"
        ) from None
