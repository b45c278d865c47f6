"""The commands `reconfigure` and `futures` and their options; nothing heavy is imported before one of them runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from openpoint.cli.options import (
    EXIT_CODES,
    CsvOption,
    ExcelOption,
    FreeQOption,
    GridArgument,
    JsonOption,
    NoCurrentOption,
    NoVoltageOption,
    ParquetOption,
    PvAsPqOption,
    QuietOption,
    ReportOption,
    SoftLimitsOption,
    SwitchableOption,
    TimeLimitOption,
    VMaxOption,
    VMinOption,
)
from openpoint.cli.outputs import Outputs
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
  openpoint reconfigure baran33 --json - --quiet | jq .open_branches

\b
One topology for many futures, a table with the columns future, bus, p_kw, q_kvar and probability:
  openpoint reconfigure my_grid.m --futures futures.csv --report report.html
  openpoint reconfigure my_grid.m --futures futures.csv --risk cvar:0.9 --limits-share 0.95
  openpoint reconfigure civanlar16 --grow 50 --growth solar --sample 500 --gap 1e-3
  openpoint reconfigure civanlar16 --grow 50 --ambiguity tv:0.2 --executor processes:4

{EXIT_CODES}"""

FUTURES_EPILOG = f"""\b
A future is what every bus may demand one day. Each is drawn with the spread of solar panels, vehicles, heat pumps and
loads over the grid; the same seed gives the same futures. The table can be edited, and read by reconfigure --futures.

\b
Examples:
  openpoint futures civanlar16 --count 200 --seed 1 -o futures.csv
  openpoint futures my_grid.m --count 200 --growth solar --assume ev_adoption=0.4 -o futures.parquet

{EXIT_CODES}"""


class Method(StrEnum):
    """How the optimum is found and proven."""

    SEARCH = "search"
    EXCHANGE = "exchange"
    BENDERS = "benders"
    EXTENSIVE = "extensive"
    ENUMERATION = "enumeration"


class GrowthName(StrEnum):
    """Assumptions on growth."""

    MODERATE = "moderate"
    SOLAR = "solar"


AssumeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Another figure for growth, such as pv_adoption=0.8; repeatable."),
]


def reconfigure(
    grid: GridArgument,
    method: Annotated[
        Method | None,
        typer.Option(
            help="How the optimum is found and proven; exchange proves nothing and answers at once.  [default: search; "
            "benders for many futures; of several phases enumeration, or benders where topologies are many]"
        ),
    ] = None,
    solver: Annotated[
        str | None, typer.Option(metavar="NAME", help="Solver of --method extensive.  [default: scip]")
    ] = None,
    gap: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION",
            min=0.0,
            help="Relative gap to prove; 1e-4 is 0.01 %.  [default: 1e-6 by search, 1e-4 by the others]",
        ),
    ] = None,
    time_limit: TimeLimitOption = None,
    max_iterations: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop then and keep the best (benders).")
    ] = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Plain Benders, no relaxation of the physics in the master: slow, to compare."),
    ] = False,
    executor: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Where subproblems run (benders): serial, processes:4 or dask://host:port.  [default: serial]",
        ),
    ] = None,
    locked_open: Annotated[
        list[str] | None, typer.Option("--open", metavar="BRANCH", help="This branch stays open; repeatable.")
    ] = None,
    locked_closed: Annotated[
        list[str] | None, typer.Option("--close", metavar="BRANCH", help="This branch stays closed; repeatable.")
    ] = None,
    switchable: SwitchableOption = None,
    pv_as_pq: PvAsPqOption = False,
    free_q: FreeQOption = False,
    max_changes: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Switch at most so many branches.")
    ] = None,
    change_cost: Annotated[
        float, typer.Option(metavar="KW", min=0.0, help="Loss that one switching must save to be worth it.")
    ] = 0.0,
    v_min: VMinOption = None,
    v_max: VMaxOption = None,
    no_voltage_limits: NoVoltageOption = False,
    no_current_limits: NoCurrentOption = False,
    soft_limits: SoftLimitsOption = False,
    futures: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Plan for many futures, one topology for all: .csv, .parquet or .xlsx."),
    ] = None,
    grow: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Plan for so many futures, drawn with growth.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="S", min=0, help="Seed of --grow.  [default: 1]")] = None,
    growth: Annotated[
        GrowthName | None, typer.Option(help="What --grow assumes.  [default: moderate]", show_default=False)
    ] = None,
    assume: AssumeOption = None,
    risk: Annotated[
        str | None,
        typer.Option(
            metavar="RISK",
            help="What is minimised of the losses of the futures: expected, worst, cvar:0.9 (mean of the worst tenth), "
            "regret (worst excess over the future's own best), regret:expected.  [default: expected]",
        ),
    ] = None,
    ambiguity: Annotated[
        str | None,
        typer.Option(
            metavar="SET",
            help="How wrong the probabilities may be; the worst expectation is minimised: tv:0.2 (share that lies "
            "elsewhere), wasserstein:300 (kVA of demand moved on average), demand:0.1 (expected demand of each bus, ± "
            "that share of its largest), box:0.01 (each future ±).",
        ),
    ] = None,
    limits_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", min=0.0, max=1.0, help="Share of the futures that must keep the limits.  [default: 1]"
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(metavar="N|TABLE", help="Judge the answer also by so many others (with --grow), or by a table."),
    ] = None,
    json: JsonOption = None,
    csv: CsvOption = None,
    parquet: ParquetOption = None,
    excel: ExcelOption = None,
    report: ReportOption = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the grid before and after, .png or .svg.")
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the proof as well (search); openpoint verify checks it by itself."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keep the open search here, now and then and when it stops (search); if it is there, go on from it.",
        ),
    ] = None,
    quiet: QuietOption = False,
) -> int:
    """Find the radial state of least loss that keeps the limits, today or in many futures.

    The answer is proven by a lower bound and checked by an exact AC power flow. A run stopped by a limit or by Ctrl-C
    keeps the best solution found.
    """
    from openpoint.twostage.interrupt import install

    install()  # before the solvers are imported: from here on Ctrl-C asks the method to stop
    from openpoint.cli import verify
    from openpoint.cli.grid import choose_held, choose_limits
    from openpoint.cli.reconfigure import futures as many
    from openpoint.cli.reconfigure import run

    outputs = Outputs(
        json=json,
        csv=csv,
        parquet=parquet,
        excel=excel,
        report=report,
        plot=plot,
        certificate=certificate,
        checkpoint=checkpoint,
    ).check(grid, futures, sample)
    wanted = many.Wanted(
        table=futures,
        grow=grow,
        seed=seed,
        growth=None if growth is None else growth.value,
        assume=tuple(assume or ()),
        risk=risk,
        ambiguity=ambiguity,
        limits_share=limits_share,
        sample=sample,
    ).check()
    named = Method.BENDERS if method is None and wanted.any else method
    if named is None and (certificate is not None or checkpoint is not None):
        named = Method.SEARCH
    chosen = run.choose_method(
        None if named is None else named.value,
        solver=solver,
        gap=gap,
        time_limit_s=time_limit,
        max_iterations=max_iterations,
        plain=plain,
        executor=executor,
    )
    chosen = verify.certified(chosen, certificate)
    chosen = run.kept(chosen, checkpoint)
    limits = choose_limits(voltage=not no_voltage_limits, current=not no_current_limits, v_min_pu=v_min, v_max_pu=v_max)
    locks = {
        "locked_open": tuple(locked_open or ()),
        "locked_closed": tuple(locked_closed or ()),
        "switchable": tuple(switchable or ()),
    }
    held = choose_held(pv_as_pq=pv_as_pq, free_q=free_q)
    if wanted.any:
        if soft_limits:
            raise OptionError("--soft-limits is for the demand of today; leave it out, or the futures")
        return many.reconfigure(
            grid,
            wanted,
            chosen,
            limits,
            **locks,
            held=held,
            max_changes=max_changes,
            change_cost_kw=change_cost,
            outputs=outputs,
            quiet=quiet,
        )
    code = run.reconfigure(
        grid,
        chosen,
        limits,
        gap=gap,
        time_limit_s=time_limit,
        **locks,
        held=held,
        max_changes=max_changes,
        change_cost_kw=change_cost,
        soft_limits=soft_limits,
        outputs=outputs,
        quiet=quiet,
    )
    verify.tell(certificate, to_stderr=outputs.json_to_stdout, quiet=quiet)
    if checkpoint is not None and checkpoint.exists():
        run.tell_checkpoint(checkpoint, to_stderr=outputs.json_to_stdout, quiet=quiet)
    return code


def futures(
    grid: GridArgument,
    file: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The table to write: .csv or .parquet.")],
    count: Annotated[int, typer.Option(metavar="N", min=1, help="Number of futures.")] = 200,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Another seed gives other futures.")] = 1,
    growth: Annotated[GrowthName, typer.Option(help="What is assumed about growth.")] = GrowthName.MODERATE,
    assume: AssumeOption = None,
    quiet: QuietOption = False,
) -> int:
    """Draw futures of a grid and write them as a table."""
    from openpoint.cli.reconfigure import futures as many

    return many.draw(grid, file, count=count, seed=seed, growth=growth.value, assume=tuple(assume or ()), quiet=quiet)
