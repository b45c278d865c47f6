"""Options and arguments that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from openpoint.cli.completion import complete_grids
from openpoint.options import EXIT_CODES as EXIT_CODES

GRIDS = (
    "A file (MATPOWER .m, OpenDSS .dss, pandapower .json, REDS .pos, Excel or Vision .xlsx, CGMES .zip), a folder of "
    "tables, or a built-in name."
)
GridArgument = Annotated[
    str, typer.Argument(metavar="GRID", help=GRIDS, show_default=False, autocompletion=complete_grids)
]
READING = "Reading the grid"
GeojsonOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Coordinates of buses (Points) and routes of branches (LineStrings), joined by name.",
        rich_help_panel=READING,
    ),
]


class Pv(StrEnum):
    """The treatment of generators that hold a voltage."""

    HOLD = "hold"
    PQ = "pq"
    FREE = "free"


PvOption = Annotated[
    Pv | None,
    typer.Option(
        help="Generators that hold a voltage do so (hold), run at today's output instead (pq), or have their reactive "
        "power chosen within its limits (free).  [default: hold]",
        show_default=False,
        rich_help_panel=READING,
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but warnings and errors (and --json -).")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
SwitchableOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        help="Names or patterns (T1,CB*) of what may be switched though the grid does not say so; repeatable.",
    ),
]
