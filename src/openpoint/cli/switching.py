"""Options of an order of switching, which `plan` and `reconfigure` have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openpoint.grid import Grid
    from openpoint.scenarios.reliability import Reliability


@dataclass(frozen=True, kw_only=True)
class SwitchingOptions:
    """How switches are operated, and who is off in between."""

    checklist: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the switch plan as a list to print and tick: .html, .md or .csv."),
    ] = None
    parallel_sources: Annotated[
        bool, typer.Option("--parallel-sources", help="The plan may join different sources for a moment.")
    ] = False
    remote_min: Annotated[
        float | None,
        typer.Option(metavar="MIN", min=0.0, help="Minutes that an operation by remote control takes.  [default: 5]"),
    ] = None
    manual_min: Annotated[
        float | None,
        typer.Option(metavar="MIN", min=0.0, help="Minutes that an operation on site takes.  [default: 30]"),
    ] = None
    customers: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Customers by bus: a folder with the table customers, or a workbook."),
    ] = None

    @property
    def remote_minutes(self) -> float:
        return 5.0 if self.remote_min is None else self.remote_min

    @property
    def manual_minutes(self) -> float:
        return 30.0 if self.manual_min is None else self.manual_min

    def reliability(self, grid: Grid) -> Reliability | None:
        """The customers, of buses of the grid; None where none are given.

        Raises:
            InputError: with every fault.
        """
        from openpoint.scenarios.reliability import read_reliability

        return None if self.customers is None else read_reliability(self.customers, grid)
