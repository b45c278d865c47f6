"""Options about faults that more than one command has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openpoint.studies.secure.model.indices import FaultArguments


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


def fault_arguments(rules: FaultRules, year: YearOptions) -> FaultArguments:
    """These options as arguments of a question about faults."""
    return {
        "max_loading_percent": 100.0 if rules.max_loading is None else rules.max_loading,
        "isolate_lines": rules.isolate_lines,
        "lines_only": rules.lines_only,
        "reliability": year.reliability,
        "failures_per_km_year": year.failures_per_km,
        "failures_per_branch_year": year.failures_per_branch,
        "switching_h": 1.0 if year.switching_h is None else year.switching_h,
        "remote_switching_h": year.remote_switching_h,
        "repair_h": 4.0 if year.repair_h is None else year.repair_h,
    }
