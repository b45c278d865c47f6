"""What a fleet keeps on the disk: every file is there as a whole or not at all.

Of a grid its record, with the digest of what was asked, is written last and removed first: where it stands, the files
beside it are those of the same run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openpoint.atomic import write_files, write_text
from openpoint.errors import NotWrittenError
from openpoint.studies.reconfigure.fleet.result import FleetRow

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
