"""What a fleet keeps on the disk: every file is there as a whole or not at all.

A file is written under another name in its folder and then renamed, which no file system does by halves. Of a grid its
record, with the digest of what was asked, is written last and removed first: where it stands, the files beside it are
those of the same run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openpoint.errors import NotWrittenError
from openpoint.studies.reconfigure.fleet.result import FleetRow

GRIDS = "grids"
"""The folder of the folders of the grids."""
RESULT, REPORT, RECORD = "result.json", "report.html", "record.json"
_FORMAT = 1
_PART = ".part"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file as a whole; what was there stays until then.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    part = path.with_name(path.name + _PART)
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


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
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD).unlink(missing_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content.encode())
        record = {"format": _FORMAT, "digest": digest, "row": asdict(row)}
        write_whole(folder / RECORD, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())


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
