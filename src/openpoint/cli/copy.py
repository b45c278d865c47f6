"""The copy of the grid's own file with the switch states of the answer (`--write`), and the list of what is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openpoint.errors import OptionError
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from rich.console import Console

    from openpoint.cli.outputs import Writing
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
        from openpoint.io.write_back import refuse_other_format

        if path.suffix.lower() != MAP:
            refuse_other_format(Path(source), path)


@dataclass
class Copy:
    """The copy of a grid's file, or the map, of which the changes are shown once it is written.

    Attributes:
        source: the grid. path: where it goes; None where none was asked for. changes: of the file, once written.
    """

    source: str
    path: Path | None
    changes: Sequence[object] = ()

    def writings(self, result: SwitchedResult) -> list[Writing]:
        """What is to be written."""
        return [] if self.path is None else [("--write", self.path, lambda path: self._write(result, path))]

    def _write(self, result: SwitchedResult, path: Path) -> None:
        """Write it.

        Raises:
            OpenpointError: there is no answer, or it cannot be written.
        """
        from openpoint.io.write_back import write_back
        from openpoint.studies.reconfigure.result import ReconfigureResult

        if not result.has_answer:
            raise OptionError("there is no answer")
        if path.suffix.lower() != MAP:
            opened = set(result.open_branches)
            states = {name: name not in opened for name in result.branches["name"]}
            self.changes = write_back(self.source, path, states)
        elif isinstance(result, ReconfigureResult):
            result.write_geojson(path)
        else:
            raise OptionError("GeoJSON is for the demand of today")

    def show(self, out: Console) -> None:
        """Show the changes."""
        if self.changes:
            out.print(f"\nchanged in {words.safe(str(self.path))}: {words.count(len(self.changes), 'state')}")
        for change in self.changes:
            out.print(f"  {words.safe(str(change))}")
