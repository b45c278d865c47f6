"""The options of `dispatch --day`, and what the command does with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openpoint.cli.dispatch.options import MethodName, MethodOptions, QuestionOptions
from openpoint.cli.outputs import Outputs
from openpoint.errors import OptionError

if TYPE_CHECKING:
    from openpoint.cli.grid import Asked
    from openpoint.cli.options import LimitOptions
    from openpoint.studies.dispatch.day.options import DayOptions

GAP = 1e-3
"""Relative gap that is proven unless another is asked for."""
OVER_DAY = (MethodName.SEARCH, MethodName.COLUMNS, MethodName.SWITCHING, MethodName.SCENARIOS)
"""The methods for a day."""


@dataclass(frozen=True, kw_only=True)
class OverDay:
    """A day in place of one moment, what is uncertain in it, and what is decided when."""

    day: Annotated[
        str | None,
        typer.Option(
            metavar="DAY",
            help="Plan this day, for least cost: a folder of tables (periods, profiles, storages, vehicles, "
            "renewables, flexible loads, …), .xlsx, a file of periods, or a built-in one, as baran33-day.",
        ),
    ] = None
    uncertain: Annotated[
        str | None,
        typer.Option(
            metavar="SHARES",
            help="What of the day is uncertain, a share of its forecast, as load=0.1,solar=0.3,wind=0.3; the cost of "
            "the worst case is least.",
        ),
    ] = None
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="HOURS",
            help="In how many periods each of it deviates at worst, as 2 or load=2,solar=1; with /5 each load or site "
            "by itself, at most 5 at once (/all: any number).  [default: all periods]",
        ),
    ] = None
    futures: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE|N",
            help="Plan for days that may come in place of the worst case: a table with their probabilities (.csv, "
            ".parquet or .xlsx), or how many to draw from --uncertain.",
        ),
    ] = None
    risk: Annotated[
        str | None,
        typer.Option(
            metavar="RISK",
            help="What is minimised of the costs of --futures: expected, worst, cvar:0.9 (mean of the worst tenth).  "
            "[default: expected]",
        ),
    ] = None
    topology: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="When open points are decided: fixed (as today), once for the day, or hourly.  [default: once]",
        ),
    ] = None
    positions: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="The same of taps, capacitor steps and voltages of sources.  [default: fixed]",
        ),
    ] = None
    switching_price: Annotated[
        float | None, typer.Option(metavar="USD", min=0.0, help="Cost of a switch operation of the day.")
    ] = None
    moving_price: Annotated[
        float | None,
        typer.Option(
            metavar="USD", min=0.0, help="Cost of setting a tap changer, a capacitor bank or a source's voltage anew."
        ),
    ] = None
    loss_price: Annotated[
        float | None, typer.Option(metavar="USD", min=0.0, help="Price of a kWh lost, beside the energy itself.")
    ] = None
    shift_buses: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0.0,
            max=1.0,
            help="Share of every load that may move to other buses in the same period, in place of the day's.",
        ),
    ] = None
    shift_time: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0.0,
            max=1.0,
            help="Share by which every load of the day may differ in a period, its energy over the day kept.",
        ),
    ] = None

    source_max: Annotated[
        float | None,
        typer.Option(metavar="KW", min=0.0, help="Most active power of every source, as a contract may set it."),
    ] = None
    samples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Test the plan in so many days drawn at random, beside today's and the one that is best as forecast.",
        ),
    ] = None
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="Equal seeds draw equal days.")] = None

    now: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Plan the rest of the day from the period that begins then: its name, an hour (13) or a time (13:00). "
            "All figures are of the rest alone.",
        ),
    ] = None
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What was measured at --now: contents of stores, outputs, switches, …; .csv, .parquet or .xlsx. The "
            "table states.csv that --csv writes is of this form.  [default: as at the start of the day]",
        ),
    ] = None

    @property
    def futures_table(self) -> str | None:
        """The table of futures; None where they are drawn, or there are none."""
        return None if self.futures is None or self.futures.isdigit() else self.futures

    def refuse_without_day(self, method: MethodOptions) -> None:
        """Refuse options of a day where none is given.

        Raises:
            OptionError: naming the first.
        """
        for field in fields(self):
            if getattr(self, field.name) is not None:
                option = f"--{field.name.replace('_', '-')}"
                raise OptionError(f"{option} is an option of --day; name a day with --day, or leave {option} out")
        if method.method in (MethodName.COLUMNS, MethodName.SWITCHING, MethodName.SCENARIOS):
            raise OptionError(f"--method {method.method} plans a day; name one with --day, or another method")


def day_options(
    over: OverDay,
    question: QuestionOptions,
    asked: Asked,
    limits: LimitOptions,
    method: MethodOptions,
    others: Mapping[str, object],
) -> DayOptions:
    """The options of the study.

    Args:
        over: those of a day. question, asked, limits, method: those of the command. others: what a day does not have,
            by the name of the option, as given.

    Raises:
        OptionError: an option that a day does not have, or contradictions.
    """
    from openpoint.studies.dispatch.day.options import DayOptions

    plain = QuestionOptions()
    others = {
        "--free": question.free,
        "--minimize": None if question.minimize == plain.minimize else question.minimize,
        "--at-most": question.at_most,
        "--solver": method.solver,
        **others,
    }
    instead = {
        "--free": "--topology and --positions say what may move",
        "--minimize": "its cost is what is least",
        "--at-most": "--max-changes bounds switching",
        "--out": "its tables hold every period",
    }
    for option, value in others.items():
        if value is not None:
            why = f": {instead[option]}" if option in instead else ""
            raise OptionError(f"{option} is for one moment, not for --day{why}; leave one of both out")
    if method.method is not None and method.method not in OVER_DAY:
        raise OptionError(f"--method {method.method} is for one moment; for a day there are {', '.join(OVER_DAY)}")
    given: dict[str, Any] = {name: value for name, value in vars(over).items() if name != "day" and value is not None}
    if over.source_max is not None:
        given["source_max_kw"] = given.pop("source_max")
    if over.futures is not None and over.futures_table is None:
        given["futures"] = int(over.futures)
    return DayOptions(
        **given,
        max_changes=question.max_changes,
        limits=limits.limits(),
        locked_open=asked.locked_open,
        locked_closed=asked.locked_closed,
        method=None if method.method is None else method.method.value,  # type: ignore[arg-type]
        gap=GAP if method.gap is None else method.gap,
        time_limit_s=method.time_limit,
    )


def dispatch_day(source: str, day: str, asked: Asked, options: DayOptions, *, outputs: Outputs, quiet: bool) -> int:
    """Read grid and day, plan the day, show and write the result; the exit code."""
    from openpoint.cli.display import Progress, console, write_and_show
    from openpoint.cli.grid import read_sound, size
    from openpoint.report.terminal import words
    from openpoint.studies.dispatch.day.study import prepare_day

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source, asked)
    options = asked.locked(options, grid)
    prepared = prepare_day(grid, day, options)
    out.print(f"{words.safe(grid.name)}: {size(grid)}\n{words.safe(prepared.summary)}")
    out.print(f"method: {words.method(prepared.asked.method)}, because {prepared.asked.why}\n")
    with Progress(out, unit="$") as progress:
        result = prepared.solve(progress)
    return write_and_show(out, outputs, result, result.termination.exit_code)
