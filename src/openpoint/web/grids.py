"""Grids that were opened: each a folder of its own, with the files that were uploaded and nothing else."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from openpoint.atomic import write_files, write_text
from openpoint.errors import OptionError, did_you_mean

IDENTITY = re.compile(r"[0-9a-f]{12}")
"""Identities of grids and runs, which are names of folders."""
MOST_FILES = 500
_GRID_ENDINGS = (".m", ".json", ".dss", ".pos", ".xlsx", ".xlsm", ".zip")
_FOLDER = "folder of tables"
"""What the grid is called whose files were sent without the name of their folder."""
_HEADS = ("grid.toml", "Node.csv")
"""Files that make their folder a grid."""
_MASTERS = ("master", "main")
_PART = re.compile(r"[^\x00-\x1f\x7f<>:\"|?*\\/]{1,120}")
_LONGEST, _DEEPEST = 400, 6


@dataclass(frozen=True)
class OpenGrid:
    """A grid that was opened.

    Attributes:
        identity: name of its folder. name: what people call it.
        source: the path, or the name of a built-in grid. folder: where its files and what is made of it lie.
    """

    identity: str
    name: str
    source: str
    folder: Path

    @property
    def is_own(self) -> bool:
        """Whether it is a file or folder, and no built-in grid."""
        return Path(self.source).is_absolute()

    @cached_property
    def files(self) -> dict[str, Path]:
        """What was uploaded, and the folders of that, by their names."""
        root = self.folder / "files"
        found = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if not path.is_symlink()}
        return dict(found)


def new_identity() -> str:
    """An identity that nobody guesses."""
    return secrets.token_hex(6)


class Grids:
    """The grids in a folder, each readable after a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[OpenGrid]:
        """All grids, the one opened last first."""
        found = sorted(self.folder.glob("*/grid.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        return [self._read(path) for path in found]

    def get(self, identity: str) -> OpenGrid:
        """The grid of that identity.

        Raises:
            OptionError: there is none.
        """
        path = self.folder / identity / "grid.json"
        if not IDENTITY.fullmatch(identity) or not path.is_file():
            raise OptionError(f"no grid is open as {identity[:40]!r}; open it first")
        return self._read(path)

    def built_in(self, name: str) -> OpenGrid:
        """Open a built-in grid.

        Raises:
            OptionError: there is none of that name.
        """
        from openpoint.grid import files

        if name not in files.names():
            remedy = did_you_mean(name, files.names(), f"The built-in grids are {', '.join(files.names())}")
            raise OptionError(f"no grid is open or built in as {name[:40]!r}. {remedy}")
        if (same := next((grid for grid in self.all() if grid.source == name and not grid.files), None)) is not None:
            return same
        return self._kept(new_identity(), name, name)

    def named(self, name: str) -> OpenGrid:
        """Open what who started the server named: a path here, of which nothing is copied, or a built-in grid.

        Raises:
            OptionError: there is neither.
        """
        path = Path(name)
        if not path.exists():
            return self.built_in(name)
        source = str(path.absolute())
        same = next((grid for grid in self.all() if grid.source == source), None)
        return same or self._kept(new_identity(), path.name, source)

    def upload(self, files: Mapping[str, bytes], main: str = "") -> OpenGrid:
        """Keep uploaded files, and open the grid in them.

        Args:
            files: contents by name; a name may have folders before it. main: the file of the grid, where the files do
                not say it themselves.

        Raises:
            OptionError: names that lead out of the folder, no files, too many, or none that is a grid.
        """
        if not files or len(files) > MOST_FILES:
            raise OptionError(f"{len(files)} files were sent; send 1 to {MOST_FILES}")
        contents = {_safe(name): content for name, content in files.items()}
        if len({str(path).casefold() for path in contents}) < len(contents):
            raise OptionError("two of the files have one name; give each its own")
        source = _source(list(contents), _safe(main) if main else None)
        identity = new_identity()
        root = self.folder / identity / "files"
        write_files({root / path: content for path, content in contents.items()})
        return self._kept(identity, source.name or _FOLDER, str((root / source).absolute()))

    def add(self, grid: OpenGrid, files: Mapping[str, bytes]) -> None:
        """Keep more files beside a grid: tables of futures, profiles, disasters.

        Raises:
            OptionError: names that lead out of the folder, or too many.
        """
        root = grid.folder / "files"
        if len(files) + len(grid.files) > MOST_FILES:
            raise OptionError(f"a grid has at most {MOST_FILES} files")
        contents = {root / _safe(name): content for name, content in files.items()}
        if taken := [path.name for path in contents if path.exists()]:
            raise OptionError(f"{', '.join(taken)}: there is such a file already; give another name")
        write_files(contents)

    def _kept(self, identity: str, name: str, source: str) -> OpenGrid:
        folder = self.folder / identity
        grid = OpenGrid(identity, name, source, folder)
        (folder / "files").mkdir(parents=True, exist_ok=True)
        known: dict[str, Any] = asdict(grid)
        del known["folder"]
        write_text(folder / "grid.json", json.dumps(known, ensure_ascii=False))
        return grid

    def _read(self, path: Path) -> OpenGrid:
        return OpenGrid(**json.loads(path.read_text(encoding="utf-8")), folder=path.parent)


def _safe(name: str) -> PurePosixPath:
    """The name of an uploaded file as a path below its folder.

    Raises:
        OptionError: it would lead elsewhere, or no system could keep it.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    parts = path.parts
    good = all(_PART.fullmatch(part) and part.strip(". ") and not part.startswith(".") for part in parts)
    if not parts or path.is_absolute() or not good or len(parts) > _DEEPEST or len(name) > _LONGEST:
        raise OptionError(f"{name[:60]!r} is no name of a file that is taken; rename it, with letters and digits")
    return path


def _source(paths: list[PurePosixPath], main: PurePosixPath | None) -> PurePosixPath:
    """The file or folder among these that is the grid.

    Raises:
        OptionError: there is none, or it may be several.
    """
    if main is not None:
        if main not in paths:
            raise OptionError(f"{str(main)!r} is none of the files that were sent")
        return main
    heads = [path for path in paths if path.name in _HEADS]
    if len(paths) == 1 and not heads:
        return paths[0]
    grids = heads or [path for path in paths if path.suffix.lower() in _GRID_ENDINGS]
    if len(grids) > 1:
        grids = [path for path in grids if any(word in path.stem.lower() for word in _MASTERS)] or grids
    if not grids and all(path.suffix.lower() == ".xml" for path in paths):
        return paths[0].parent
    if len(grids) != 1:
        several = ", ".join(map(str, grids[:8])) or "none of them looks like one"
        raise OptionError(f"which file is the grid ({several})? Name it as the main file")
    return grids[0].parent if heads else grids[0]
