"""Options and arguments that several commands share, and groups of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openpoint.cli.completion import complete_grids
from openpoint.options import EXIT_CODES as EXIT_CODES

if TYPE_CHECKING:
    from openpoint.grid.devices import Held
    from openpoint.network.limits import Limits

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
MaxChangesOption = Annotated[int | None, typer.Option(metavar="N", min=0, help="Switch at most so many branches.")]


class Ignored(StrEnum):
    """Limits that are ignored."""

    VOLTAGE = "voltage"
    CURRENT = "current"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """The limits to keep, where they are not those of the grid."""

    v_min: Annotated[
        float | None,
        typer.Option(metavar="PU", min=0.0, help="Lower voltage limit of all buses, instead of the grid's."),
    ] = None
    v_max: Annotated[
        float | None,
        typer.Option(metavar="PU", min=0.0, help="Upper voltage limit of all buses, instead of the grid's."),
    ] = None
    ignore_limits: Annotated[
        Ignored | None, typer.Option(help="Ignore all limits of voltage, of current, or both.")
    ] = None

    def given(self) -> Limits | None:
        """The limits, if any option names one.

        Raises:
            OptionError: limits that contradict each other.
        """
        if self == LimitOptions():
            return None
        from openpoint.studies import shared

        return shared.LimitOptions(v_min=self.v_min, v_max=self.v_max, ignore_limits=self.ignore_limits).made()


@dataclass(frozen=True, kw_only=True)
class AskedOptions:
    """The question of which a certificate must be, beside limits and locks."""

    max_changes: MaxChangesOption = None
    change_cost: Annotated[
        float | None, typer.Option(metavar="KW", min=0.0, help="Loss that one switching must save to be worth it.")
    ] = None
    free: Annotated[
        str | None, typer.Option(metavar="KINDS", help="What may move, as of dispatch: topology,taps,…")
    ] = None
    minimize: Annotated[
        str | None, typer.Option(metavar="WEIGHTS", help="What is least, as of dispatch: losses=1,balance=0.2.")
    ] = None
    risk: Annotated[
        str | None, typer.Option(metavar="RISK", help="What is minimised of the losses of the futures, as cvar:0.9.")
    ] = None
    ambiguity: Annotated[
        str | None, typer.Option(metavar="SET", help="How wrong their probabilities may be, as tv:0.2.")
    ] = None
    limits_share: Annotated[
        float | None,
        typer.Option(metavar="SHARE", min=0.0, max=1.0, help="Share of the futures that must keep the limits."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class GridOptions:
    """What is changed of a grid before anything is asked: branches given to the choice, generators, coordinates."""

    switchable: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Names or patterns (T1,CB*) of what may be switched though the grid does not say so; repeatable.",
        ),
    ] = None
    pv: PvOption = None
    geojson: GeojsonOption = None

    @property
    def held(self) -> Held:
        """The treatment of generators that hold a voltage."""
        return "hold" if self.pv is None else self.pv.value


@dataclass(frozen=True, kw_only=True)
class LockOptions:
    """Branches whose state is given."""

    locked_open: Annotated[
        list[str] | None, typer.Option("--open", metavar="NAMES", help="These stay open, as 7,CB*; repeatable.")
    ] = None
    locked_closed: Annotated[
        list[str] | None,
        typer.Option("--close", metavar="NAMES", help="These stay closed, as 7,CB*; repeatable."),
    ] = None
