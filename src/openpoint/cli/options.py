"""Options and arguments that several commands share, and groups of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openpoint.cli.completion import complete_grids
from openpoint.errors import OptionError

if TYPE_CHECKING:
    from openpoint.grid.devices import Held
    from openpoint.network.limits import Limits

EXIT_CODES = """\b
Exit codes:
   0  solved: optimal, or within the gap asked for
   2  bad input or usage; the message names the place and the remedy
   3  proven infeasible: no topology keeps the limits; with --soft-limits the answer breaks them
   4  not proven: stopped by a limit of time or iterations, or a local optimum; the best solution is kept
  70  internal error: please report it
  71  the memory did not suffice
  74  solved, but a file asked for could not be written
 130  interrupted by Ctrl-C or SIGTERM, the best solution is kept"""

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
    """What becomes of generators that hold a voltage."""

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
PlotOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the result, .png, .svg or .pdf.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but warnings and errors (and --json -).")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
MaxChangesOption = Annotated[int | None, typer.Option(metavar="N", min=0, help="Switch at most so many branches.")]


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
    no_voltage_limits: Annotated[bool, typer.Option("--no-voltage-limits", help="Ignore all voltage limits.")] = False
    no_current_limits: Annotated[bool, typer.Option("--no-current-limits", help="Ignore all current limits.")] = False

    def given(self) -> Limits | None:
        """The limits, if any option names one.

        Raises:
            OptionError: limits that contradict each other.
        """
        return None if self == LimitOptions() else self.limits()

    def limits(self) -> Limits:
        """The limits.

        Raises:
            OptionError: limits that contradict each other.
        """
        from openpoint.network.limits import Limits

        if self.no_voltage_limits and (self.v_min is not None or self.v_max is not None):
            raise OptionError("--no-voltage-limits and --v-min or --v-max contradict each other; leave one out")
        return Limits(
            voltage=not self.no_voltage_limits,
            current=not self.no_current_limits,
            v_min_pu=self.v_min,
            v_max_pu=self.v_max,
        )


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
        """What becomes of generators that hold a voltage."""
        return "hold" if self.pv is None else self.pv.value


@dataclass(frozen=True, kw_only=True)
class LockOptions:
    """Branches whose state is given."""

    locked_open: Annotated[
        list[str] | None, typer.Option("--open", metavar="NAMES", help="These branches stay open, as 7,9; repeatable.")
    ] = None
    locked_closed: Annotated[
        list[str] | None,
        typer.Option("--close", metavar="NAMES", help="These branches stay closed, as 7,9; repeatable."),
    ] = None
