"""The copy of the grid's own file with the switch states of the answer (`--write`), and the list of what is changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from openpoint.cli.guard import complain
from openpoint.errors import OpenpointError, OptionError
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from rich.console import Console

    from openpoint.results.switched import SwitchedResult

MAP = ".geojson"
"""Ending of a file that holds the answer as a map, and no copy of the grid."""


def check_copy(source: str | None, path: Path | None) -> None:
    """Refuse, before the work begins, many grids, one that is not written back, and a name of another format.

    Raises:
        OptionError: with what can be written.
    """
    if path is not None and source is None:
        raise OptionError("--write is for one grid; leave it out, or --out")
    if path is not None and source is not None:
        from openpoint.cli.outputs import check_file
        from openpoint.io.write_back import refuse_other_format

        if path.suffix.lower() == MAP:
            check_file("--write", path, (MAP,))
        else:
            refuse_other_format(Path(source), path)


def write_copy(out: Console, source: str, path: Path | None, result: SwitchedResult, *, found: bool) -> bool:
    """Write the copy and show its changes; whether that went well, or nothing was asked for.

    Args:
        found: whether the result has an answer.
    """
    if path is None:
        return True
    if not found:
        complain("error", f"--write {path} was not written: there is no answer")
        return False
    from openpoint.io.write_back import write_back

    if path.suffix.lower() == MAP:
        return _write_map(out, path, result)
    opened = set(result.open_branches)
    try:
        changes = write_back(source, path, {name: name not in opened for name in result.branches["name"]})
    except (OSError, OpenpointError) as error:
        complain("error", f"--write {path} was not written: {error}")
        return False
    out.print(f"\nwritten: {words.safe(str(path))}, {words.count(len(changes), 'change')}")
    for change in changes:
        out.print(f"  {words.safe(str(change))}")
    return True


def _write_map(out: Console, path: Path, result: SwitchedResult) -> bool:
    """Write the answer as GeoJSON; whether that went well."""
    from openpoint.studies.reconfigure.result import ReconfigureResult

    if not isinstance(result, ReconfigureResult):
        complain("error", f"--write {path} was not written: GeoJSON is for the demand of today")
        return False
    try:
        result.write_geojson(path)
    except OpenpointError as error:
        complain("error", f"--write {path} was not written: {error}")
        return False
    out.print(f"\nwritten: {words.safe(str(path))}")
    return True
