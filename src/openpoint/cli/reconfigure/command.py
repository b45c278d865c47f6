"""The commands `reconfigure` and `futures`; nothing heavy is imported before one of them runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from openpoint.cli.config import configured
from openpoint.cli.groups import grouped
from openpoint.cli.guard import guarded
from openpoint.cli.options import (
    EXIT_CODES,
    ForceOption,
    GridArgument,
    GridOptions,
    LimitOptions,
    LockOptions,
    ProofOptions,
    QuietOption,
)
from openpoint.cli.outputs import Outputs
from openpoint.cli.reconfigure.blocks import BlockOptions
from openpoint.cli.reconfigure.fault_options import FaultOptions
from openpoint.cli.reconfigure.options import (
    AssumeOption,
    ChangeOptions,
    FleetOptions,
    FuturesOptions,
    GridsArgument,
    GrowthName,
    MethodName,
    MethodOptions,
    PlanOptions,
)
from openpoint.errors import OptionError

RECONFIGURE_EPILOG = f"""\b
Examples:
  openpoint reconfigure baran33
  openpoint reconfigure case33bw.m --json result.json --report report.html
  openpoint reconfigure net.json --open "tie 7" --close feeder1 --max-changes 4
  openpoint reconfigure station.m --switchable T1,T2
  openpoint reconfigure my_grid/ --v-min 0.95 --time-limit 60 --plot answer.svg
  openpoint reconfigure das70 --method extensive --solver scip
  openpoint reconfigure baran33 --certificate proof.gz
  openpoint reconfigure big_grid.pos --checkpoint open.search --time-limit 3600
  openpoint reconfigure big_grid.pos --method exchange
  openpoint reconfigure net.json --soft-limits
  openpoint reconfigure net.json --write net_new.json
  openpoint reconfigure net.json --plan --checklist switching.html
  openpoint reconfigure baran33 --json - --quiet | jq .open_branches

\b
One topology for many futures, a table with the columns future, bus, p_kw, q_kvar and probability:
  openpoint reconfigure my_grid.m --futures futures.csv --report report.html
  openpoint reconfigure my_grid.m --futures futures.csv --risk cvar:0.9 --limits-share 0.95
  openpoint reconfigure civanlar16 --grow 50 --growth solar --sample 500 --gap 1e-3
  openpoint reconfigure civanlar16 --grow 50 --ambiguity tv:0.2 --executor processes:4

\b
One topology for a year, least energy lost, limits kept in every step:
  openpoint reconfigure my_grid.m --year profiles.csv --report year.html
  openpoint reconfigure baran33 --year synthetic-quarters
  openpoint reconfigure baran33 --year synthetic-hours --certificate proof.gz

\b
A topology for each month or season of a year, with few switch operations between them:
  openpoint reconfigure baran33 --year synthetic-hours --blocks monthly --switchings-a-year 4
  openpoint reconfigure my_grid.m --year profiles.csv --blocks seasons.csv --switching-kwh 200 --report seasons.html

\b
Faults as a limit or an objective, as openpoint secure evaluates them:
  openpoint reconfigure my_grid.json --restorable today --time-limit 60
  openpoint reconfigure my_grid.json --at-most saidi=0.5,unrestorable=40 --reliability data/ --failures-per-km 0.05
  openpoint reconfigure my_grid.json --front unrestorable --time-limit 300 --report front.html
  openpoint reconfigure my_grid.json --minimize saidi --reliability data/ --failures-per-km 0.05

\b
Many grids, each by itself, with one table and one page of all:
  openpoint reconfigure feeders/*.m --out results
  openpoint reconfigure feeders/ baran33 --out results --workers 4 --time-limit 60

{EXIT_CODES}
With --out: 130 after Ctrl-C, 2 where a grid failed, else the greatest of the grids."""

FUTURES_EPILOG = f"""\b
A future is what every bus may demand one day. Each is drawn with the spread of solar panels, vehicles, heat pumps and
loads over the grid; the same seed gives the same futures. The table can be edited, and read by reconfigure --futures.

\b
Examples:
  openpoint futures civanlar16 --count 200 --seed 1 -o futures.csv
  openpoint futures my_grid.m --count 200 --growth solar --assume ev_adoption=0.4 -o futures.parquet

{EXIT_CODES}"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=RECONFIGURE_EPILOG)(guarded(configured(grouped(reconfigure))))
    app.command(epilog=FUTURES_EPILOG)(guarded(configured(futures)))


def reconfigure(
    grids: GridsArgument,
    *,
    method: MethodOptions,
    locks: LockOptions,
    changed: GridOptions,
    changes: ChangeOptions,
    limits: LimitOptions,
    plan: PlanOptions,
    soft_limits: Annotated[
        bool,
        typer.Option("--soft-limits", help="Where nothing keeps all limits: break them least, and of that lose least."),
    ] = False,
    many: FuturesOptions,
    blocks: BlockOptions,
    faults: FaultOptions,
    fleet: FleetOptions,
    outputs: Outputs,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the grid before and after, .png or .svg.")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Copy the grid's own file with the switch states of the answer; .geojson: the answer as a map.",
        ),
    ] = None,
    proof: ProofOptions,
    quiet: QuietOption = False,
) -> int:
    """Find the radial state of least loss that keeps the limits, today, over a year or in many futures.

    The answer is proven by a lower bound and checked by an exact AC power flow. A run stopped by a limit or by Ctrl-C
    keeps the best solution found.
    """
    grid = fleet.check(grids)
    from openpoint.twostage.interrupt import install

    install()  # before the solvers are imported: from here on Ctrl-C asks the method to stop
    from openpoint.cli.copy import check_copy
    from openpoint.cli.grid import Asked
    from openpoint.cli.reconfigure import faults as faults_run
    from openpoint.cli.reconfigure import fleet as fleet_run
    from openpoint.cli.reconfigure import futures as futures_run
    from openpoint.cli.reconfigure import run
    from openpoint.cli.reconfigure import year as year_run
    from openpoint.studies.reconfigure.options import ReconfigureOptions

    outputs = replace(outputs, plot=plot, certificate=proof.certificate, checkpoint=proof.checkpoint)
    cut = blocks.question(many.year, changes.max_changes, changes.change_cost, write)
    check_copy(grid, write)
    many.check(others=soft_limits or proof.checkpoint is not None or grid is None)
    plan.check(others=many.any or many.year is not None or grid is None)
    faults.check(alone=grid is not None and not (many.any or many.year is not None or proof.any or plan.any))
    _check_together(grid, many, proof, soft_limits)
    named = method.method or (MethodName.SEARCH if proof.any else None)
    method = method.of_many(named) if many.any or many.year is not None else method
    asked = Asked(changed, tuple(locks.locked_open or ()), tuple(locks.locked_closed or ()))
    options = ReconfigureOptions(
        method=proof.of(method.named(named)),
        gap=method.gap,
        time_limit_s=method.time_limit,
        limits=limits.limits(),
        locked_open=asked.locked_open,
        locked_closed=asked.locked_closed,
        max_changes=changes.max_changes,
        change_cost_kw=changes.change_cost,
        soft_limits=soft_limits,
    )
    if grid is None:
        return fleet_run.reconfigure(grids, asked, options, fleet, outputs=outputs, quiet=quiet)
    if many.year is not None:
        return year_run.reconfigure(grid, asked, options, many.year, cut, outputs=outputs, copy=write, quiet=quiet)
    if faults.any:
        return faults_run.reconfigure(grid, asked, options, faults, outputs=outputs, copy=write, quiet=quiet)
    if many.any:
        return futures_run.reconfigure(grid, asked, options, many, outputs=outputs, copy=write, quiet=quiet)
    return run.reconfigure(grid, asked, options, plan, outputs=outputs, copy=write, quiet=quiet)


def _check_together(grid: str | None, many: FuturesOptions, proof: ProofOptions, soft_limits: bool) -> None:
    """Refuse options that do not go together; `grid`: None for a fleet.

    Raises:
        OptionError: naming them.
    """
    if many.any and proof.checkpoint is not None:
        raise OptionError("--checkpoint is an option of --method search for one demand; leave it out, or the futures")
    if many.any and soft_limits:
        raise OptionError("--soft-limits is for the demand of today; leave it out, or the futures")
    if grid is None and (many.any or proof.any):
        raise OptionError("--out is for the demand of today, without --certificate and --checkpoint; leave one out")


def futures(
    grid: GridArgument,
    table: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The table to write, .csv or .parquet")],
    count: Annotated[int, typer.Option(metavar="N", min=1, help="Number of futures.")] = 200,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Another seed gives other futures.")] = 1,
    growth: Annotated[GrowthName, typer.Option(help="What is assumed about growth.")] = GrowthName.MODERATE,
    assume: AssumeOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> int:
    """Draw futures of a grid and write them as a table."""
    from openpoint.cli.reconfigure import futures as futures_run

    return futures_run.draw(
        grid, table, count=count, seed=seed, growth=growth.value, assume=tuple(assume or ()), quiet=quiet
    )
