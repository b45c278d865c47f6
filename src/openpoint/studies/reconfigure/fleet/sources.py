"""The grids of a fleet: found in what the user names, each with a name of its own and a digest of what is in it."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from openpoint.arguments import path_of
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid import builtin
from openpoint.grid.files import HEAD, files_from_grid
from openpoint.inputs import content_of
from openpoint.io import read

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
    elif path.is_file() or text in builtin.names():
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
