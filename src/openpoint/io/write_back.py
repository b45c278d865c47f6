"""Switch states written back into the user's own file: a copy of it with these states, in which nothing else changes.

| format | what changes |
|---|---|
| pandapower net in JSON | cells `closed` of switches; `in_service` of lines and transformers without one |
| power-grid-model input in JSON | `from_status` and `to_status` |
| MATPOWER case | the column BR_STATUS of `mpc.branch` |
| OpenDSS circuit | statements are added at the end of the main file |
| SimBench CSV folder | the column `cond` of Switch.csv; the other files are copied |
| own folder, Excel workbook | the column `closed` |

Of text files every other byte is kept. What is written is read again: it must be the same grid in the states asked for.
Of an OpenDSS circuit these are the branches alone: its own controls may set taps and capacitors otherwise then.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from openpoint.arguments import path_of
from openpoint.atomic import Content, chunks, refusing, write_bytes, write_files
from openpoint.errors import OptionError
from openpoint.grid.files import HEAD
from openpoint.grid.grid import Grid, refuse_locked
from openpoint.io import pgm as pgm
from openpoint.io import read, vision, write
from openpoint.io import simbench as simbench
from openpoint.io.matpower import read as matpower
from openpoint.io.opendss import read as opendss
from openpoint.io.opendss.text import read_script
from openpoint.io.pandapower import states as pandapower
from openpoint.io.pgm import is_input
from openpoint.io.simbench import TABLES, is_folder
from openpoint.io.switch_states import Change, edited, refuse_difference

_FILE = re.compile(r"(?i)\b(csv|sng|dbl|pqcsv)?file\s*=")
_EDITS = {".json": pandapower.edits_of, ".m": matpower.edits_of}
WRITTEN = (
    "pandapower and power-grid-model nets (.json), MATPOWER cases (.m), OpenDSS circuits (.dss), workbooks (.xlsx), "
    "SimBench CSV folders and folders of tables"
)


def write_back(
    source: str | os.PathLike[str], path: str | os.PathLike[str], closed: Mapping[str, bool]
) -> tuple[Change, ...]:
    """Write a copy of a grid's file in which branches have other states, and return what was changed.

    Args:
        source: the file or folder of the grid, as `read` takes it. path: the copy, of the same format; an OpenDSS
            circuit that redirects to files goes beside them. It may be the source itself.
        closed: states by name; branches that are not named, or that have this state, stay as they are.

    Raises:
        InputError: the file cannot be read, has no branch of this name, a locked one, or cannot hold a state.
        OptionError: a format that is not written back, or a path of another format.
    """
    origin, target = path_of(source, "source"), path_of(path, "path")
    grid = read(source)
    wanted = grid.with_closed(closed)
    today = dict(grid.branches().select("name", "closed").iter_rows())
    states = {name: bool(state) for name, state in closed.items() if today[name] != state}
    refuse_locked(grid, states)
    refuse_other_format(origin, target)
    if _is_simbench(origin):
        return _simbench(origin, target, wanted, states)
    if origin.is_dir() or origin.name == HEAD or origin.suffix.lower() == ".xlsx":
        return _tables(origin, target, wanted, states)
    content = origin.read_bytes()
    text = content.decode("latin-1")  # a character a byte, so that all others stay as they are
    if origin.suffix.lower() == ".dss":
        edits, changes = opendss.edits_of(text, origin, grid, states)
    else:
        edits_of = pgm.edits_of if is_input(text) else _EDITS[origin.suffix.lower()]
        edits, changes = edits_of(text, origin.name, grid, states)
    made = edited(text, edits).encode("latin-1") if states else content
    with refusing():
        refuse_difference(origin.name, wanted, _read_again(made, target))
        write_bytes(target, made)
    return tuple(changes)


def _read_again(made: bytes, target: Path) -> Grid:
    """The grid in a file before it takes its place: from a temporary one, of a circuit beside those it redirects to."""
    with TemporaryDirectory() as place:
        beside = target.with_name(f".{Path(place).name}.dss")
        copy = beside if target.suffix.lower() == ".dss" else Path(place) / target.name
        try:
            write_bytes(copy, made)
            return read(copy)
        finally:
            copy.unlink(missing_ok=True)


def refuse_other_format(source: Path, target: Path) -> None:
    """Refuse a format that cannot be written back, and a name with the ending of another one.

    Raises:
        OptionError: with what can be written.
    """
    ending = "" if source.is_dir() or source.name == HEAD else source.suffix.lower()
    if not source.exists():
        raise OptionError(f"{source} is no file or folder, whose switch states could be changed; `convert` writes it")
    if source.is_dir() and not (source / HEAD).is_file() and not _is_simbench(source):
        raise OptionError(f"{source}: switch states are written back into {WRITTEN}; `convert` writes the grid anew")
    foreign = ending == ".xlsx" and vision.is_workbook(source.read_bytes())
    if foreign or (ending and ending not in (*_EDITS, ".dss", ".xlsx")):
        raise OptionError(f"{source}: switch states are written back into {WRITTEN}; `convert` writes the grid anew")
    if target.suffix.lower() != ending and not (not ending and target.is_dir()):
        raise OptionError(f"{target}: the copy has the format of {source}; give a name that ends in {ending or '/'}")
    if ending == ".dss" and target.resolve().parent != source.resolve().parent and _has_parts(source):
        raise OptionError(
            f"{target}: {source.name} reads other files of its folder, which are not copied; give a name in the folder "
            f"{source.parent}"
        )
    if _is_simbench(source):
        there = {path.name for path in target.iterdir() if path.name[0] != "."} if target.is_dir() else set()
        if others := sorted(there - {path.name for path in source.iterdir()}):
            raise OptionError(f"{target} holds other files, such as {others[0]}; name a new folder")


def _has_parts(circuit: Path) -> bool:
    """Whether an OpenDSS circuit reads other files: redirects, or curves."""
    script = read_script(circuit)
    return script.files > 1 or any(_FILE.search(statement.text) for statement in script.statements)


def _is_simbench(source: Path) -> bool:
    return source.is_dir() and not (source / HEAD).is_file() and is_folder(source)


def _simbench(origin: Path, target: Path, wanted: Grid, states: Mapping[str, bool]) -> tuple[Change, ...]:
    """Copy a folder with another Switch.csv. Checked first in a temporary folder, without its profiles."""
    table, changes = simbench.changed_table(origin, wanted, states)
    files = {path.name: path for path in sorted(origin.iterdir()) if path.is_file()}
    changed: dict[str, Content] = {simbench.TABLE: table} if states else {}
    with refusing():
        with TemporaryDirectory() as place:
            tables = {
                name: chunks(path) for name, path in files.items() if path.suffix == ".csv" and path.stem in TABLES
            }
            write_files({Path(place) / name: content for name, content in (tables | changed).items()})
            refuse_difference(origin.name, wanted, read(place))
        there = target.exists() and target.samefile(origin)
        copied = {} if there else {name: chunks(path) for name, path in files.items()}
        write_files({target / name: content for name, content in (copied | changed).items()})
    return tuple(changes)


def _tables(origin: Path, target: Path, wanted: Grid, states: Mapping[str, bool]) -> tuple[Change, ...]:
    folder = origin.parent if origin.name == HEAD else origin
    parquet = folder.is_dir() and any(folder.glob("*.parquet"))
    write(wanted, target, tables="parquet" if parquet else None)
    kinds = dict(wanted.branches().select("name", "kind").iter_rows())
    return tuple(Change(name, state, f"{kinds[name]}, closed", str(state).lower()) for name, state in states.items())
