"""Options about faults that more than one command has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True, kw_only=True)
class FaultRules:
    """Which faults there are, how they are isolated, and how much branches carry after them; None: the default."""

    max_loading: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", min=0.0, help="Most loading after a fault, % of the ratings.  [default: 100]"),
    ] = None
    isolate_lines: Annotated[
        bool,
        typer.Option(
            "--isolate-lines", help="After a fault isolate every line at both ends, whatever switches there are."
        ),
    ] = False
    lines_only: Annotated[bool, typer.Option("--lines-only", help="Transformers have no faults.")] = False

    @property
    def max_loading_percent(self) -> float:
        """Most loading after a fault."""
        return 100.0 if self.max_loading is None else self.max_loading


@dataclass(frozen=True, kw_only=True)
class YearOptions:
    """Customers, rates and times, from which the indices of a year follow; None: the default."""

    reliability: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Customers by bus and faults by branch: a folder of tables or a workbook."),
    ] = None
    failures_per_km: Annotated[
        float | None, typer.Option(metavar="RATE", min=0.0, help="Faults a year of a km of line.")
    ] = None
    failures_per_branch: Annotated[
        float | None, typer.Option(metavar="RATE", min=0.0, help="Faults a year of each branch without another rate.")
    ] = None
    switching_h: Annotated[
        float | None,
        typer.Option(
            metavar="HOURS", min=0.0, help="Time until a fault is isolated and ties are closed.  [default: 1]"
        ),
    ] = None
    remote_switching_h: Annotated[
        float | None,
        typer.Option(
            metavar="HOURS", min=0.0, help="The same where all that is operated is remote.  [default: the same]"
        ),
    ] = None
    repair_h: Annotated[
        float | None, typer.Option(metavar="HOURS", min=0.0, help="Time until a repair is done.  [default: 4]")
    ] = None

    @property
    def hours_to_switch(self) -> float:
        """Time until a fault is isolated and ties are closed."""
        return 1.0 if self.switching_h is None else self.switching_h

    @property
    def hours_to_repair(self) -> float:
        """Time until a repair is done."""
        return 4.0 if self.repair_h is None else self.repair_h
