"""The command `dispatch`; nothing heavy is imported before it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from openpoint.cli.config import configured
from openpoint.cli.dispatch.day import OverDay, day_options, dispatch_day
from openpoint.cli.dispatch.options import MethodName, MethodOptions, QuestionOptions
from openpoint.cli.groups import grouped
from openpoint.cli.guard import guarded
from openpoint.cli.options import (
    EXIT_CODES,
    GridArgument,
    GridOptions,
    LimitOptions,
    LockOptions,
    ProofOptions,
    QuietOption,
)
from openpoint.cli.outputs import Outputs
from openpoint.errors import OptionError

POINTS = 9
"""Most points of a front unless another number is asked for."""
DISPATCH_EPILOG = f"""\b
What may move is said by the grid: switchable branches; transformers with taps and sources with a range of voltages;
capacitors with steps; generators with limits, and with may_stop. Prices stand in sources and generators.

\b
Examples:
  openpoint dispatch my_grid/
  openpoint dispatch my_grid/ --free topology,capacitors --v-min 0.95 --report report.html
  openpoint dispatch my_grid/ --minimize losses=1,balance=0.2
  openpoint dispatch my_grid/ --minimize cost --at-most changes=4 --out new_state/
  openpoint dispatch my_grid/ --pareto losses,changes --report front.html
  openpoint dispatch my_grid/ --certificate proof.gz    (openpoint verify my_grid/ proof.gz)
  openpoint dispatch my_grid/ --csv tables/    (actions.csv is the list for the control room)

\b
A day ahead: open points and resources of all periods, against the worst of what is uncertain:
  openpoint dispatch baran33 --day baran33-day --report day.html
  openpoint dispatch baran33 --day baran33-day --uncertain load=0.1,solar=0.3,wind=0.3 --budget 2
  openpoint dispatch baran33 --day baran33-day --futures futures.csv --risk cvar:0.9
  openpoint dispatch baran33 --day baran33-day --uncertain load=0.1 --budget 2 --samples 1000
  openpoint dispatch baran33 --day my_day/ --topology hourly --max-changes 4 --switching-price 5
  openpoint dispatch baran33 --day my_day/ --now 13:00 --state measured.csv    (the rest of the day)

{EXIT_CODES}"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=DISPATCH_EPILOG)(guarded(configured(grouped(dispatch))))


def dispatch(
    grid: GridArgument,
    *,
    question: QuestionOptions,
    over: OverDay,
    locks: LockOptions,
    changed: GridOptions,
    limits: LimitOptions,
    pareto: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Draw the front of two criteria, each point proven: the least of A at several bounds of B, as "
            "losses,changes; B may be v_min, the lowest voltage. In place of --minimize; a --time-limit is that of "
            "all points together.",
        ),
    ] = None,
    points: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Most points of --pareto.  [default: 9]")
    ] = None,
    method: MethodOptions,
    outputs: Outputs,
    new_state: Annotated[
        str | None,
        typer.Option("--out", metavar="PLACE", help="Write the grid in its new state: a folder of tables, or .xlsx."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the grid before and after, .png or .svg.")
    ] = None,
    proof: ProofOptions,
    quiet: QuietOption = False,
) -> int:
    """Set switches, taps, capacitor steps and generators at once, so that losses or costs are least.

    The answer is proven by a lower bound and checked by an exact AC power flow; steps and taps in it are whole
    numbers. A run stopped by a limit or by Ctrl-C keeps the best solution found.
    """
    from openpoint.twostage.interrupt import install

    install()  # before the solvers are imported: from here on Ctrl-C asks the method to stop
    from openpoint.cli.dispatch import run
    from openpoint.cli.grid import Asked
    from openpoint.studies.dispatch.options import DispatchOptions

    outputs = replace(outputs, plot=plot, certificate=proof.certificate, checkpoint=proof.checkpoint)
    asked = Asked(changed, tuple(locks.locked_open or ()), tuple(locks.locked_closed or ()))
    if over.day is not None:
        others = {
            "--pareto": pareto,
            "--points": points,
            "--out": new_state,
            "--certificate": proof.certificate,
            "--checkpoint": proof.checkpoint,
        }
        planned = day_options(over, question, asked, limits, method, others)
        return dispatch_day(grid, over.day, asked, planned, outputs=outputs, quiet=quiet)
    over.refuse_without_day(method)
    _check_front(pareto, points, question, proof, new_state)
    if method.method is None and proof.any:
        method = replace(method, method=MethodName.SEARCH)
    run.check_new_state(new_state)
    options = DispatchOptions(
        free=question.free,
        minimize=question.minimize,
        at_most=question.at_most or {},
        limits=limits.limits(),
        locked_open=asked.locked_open,
        locked_closed=asked.locked_closed,
        max_changes=question.max_changes,
        method=proof.of(method.chosen()),
        gap=method.gap,
        time_limit_s=method.time_limit,
    )
    if pareto is not None:
        return run.front(grid, asked, options, pareto, points or POINTS, outputs=outputs, quiet=quiet)
    return run.dispatch(grid, asked, options, outputs=outputs, new_state=new_state, quiet=quiet)


def _check_front(
    pareto: str | None, points: int | None, question: QuestionOptions, proof: ProofOptions, new_state: str | None
) -> None:
    """Refuse options that do not go with a front, and its own without one.

    Raises:
        OptionError: naming them.
    """
    if pareto is None:
        if points is not None:
            raise OptionError(
                "--points is the number of points of --pareto; name two criteria with it, or leave it out"
            )
        return
    if question.minimize != QuestionOptions().minimize:
        raise OptionError("--pareto A,B says what is least, in place of --minimize; leave one of both out")
    if proof.any:
        raise OptionError(
            "a certificate or checkpoint is of one search, and --pareto makes several; leave one of both out"
        )
    if new_state is not None:
        raise OptionError("--out writes one state, and --pareto finds many; leave one of both out")
