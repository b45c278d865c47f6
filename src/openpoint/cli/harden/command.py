"""The command `harden` and its options; nothing heavy is imported before it runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from openpoint.cli.options import (
    EXIT_CODES,
    CsvOption,
    ExcelOption,
    GapOption,
    GridArgument,
    JsonOption,
    NoCurrentOption,
    NoVoltageOption,
    ParquetOption,
    QuietOption,
    ReportOption,
    TimeLimitOption,
    VMaxOption,
    VMinOption,
)
from openpoint.cli.outputs import Outputs

HARDEN_EPILOG = f"""\b
What may break is a table with the columns disaster, probability, branch: a row a broken branch.

\b
Examples:
  openpoint harden zhang13 --disasters disasters.csv --max-lines 1 --max-generators 1
  openpoint harden zhang13 --disasters disasters.csv --budget 1000 --report report.html
  openpoint harden zhang13 --disasters disasters.csv --budget 1000 --ambiguity moments:0.1
  openpoint harden zhang13 --any-lines 2 --max-lines 2 --max-generators 1 --json -
  openpoint harden baran33 --storms 20 --seed 1 --max-lines 2 --max-generators 1

{EXIT_CODES}"""


class HardenMethod(StrEnum):
    """How the optimum is found and proven."""

    CCG = "ccg"
    EXTENSIVE = "extensive"


def harden(
    grid: GridArgument,
    disasters: Annotated[
        Path | None, typer.Option(metavar="TABLE", help="What may break, with probabilities: .csv, .parquet or .xlsx.")
    ] = None,
    storms: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Draw so many storms instead of reading disasters.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="S", min=0, help="Seed of the storms.  [default: 0]")] = None,
    mean_broken: Annotated[
        float | None, typer.Option(metavar="N", help="Lines that a storm breaks on average.  [default: 3]")
    ] = None,
    any_lines: Annotated[
        int | None, typer.Option(metavar="K", help="Plan for the worst: any K lines may break, no probabilities.")
    ] = None,
    ambiguity: Annotated[
        str | None,
        typer.Option(
            metavar="SET",
            help="How wrong the probabilities may be: tv:0.2 (share that lies elsewhere), moments:0.1 (outage "
            "probability of each line ±), wasserstein:1 (lines moved on average), box:0.1 (each disaster ±).",
        ),
    ] = None,
    max_lines: Annotated[int | None, typer.Option(metavar="N", min=0, help="Harden at most so many lines.")] = None,
    max_generators: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Buy at most so many backup generators.")
    ] = None,
    budget: Annotated[float | None, typer.Option(metavar="USD", min=0.0, help="Spend at most so much on both.")] = None,
    line_usd: Annotated[float, typer.Option(metavar="USD", min=0.0, help="Cost of hardening a line.")] = 400.0,
    generator_usd: Annotated[float, typer.Option(metavar="USD", min=0.0, help="Cost of a backup generator.")] = 150.0,
    generator_kw: Annotated[float, typer.Option(metavar="KW", help="Its active power.")] = 100.0,
    generator_kvar: Annotated[
        float | None,
        typer.Option(metavar="KVAR", min=0.0, help="Its reactive power.  [default: at a power factor of 0.8]"),
    ] = None,
    voll_usd_per_kw: Annotated[
        float, typer.Option(metavar="USD", min=0.0, help="Value of lost load, per kW for the whole outage.")
    ] = 14.0,
    closed_line_usd: Annotated[
        float, typer.Option(metavar="USD", min=0.0, help="Cost of each branch that is closed after a disaster.")
    ] = 0.0,
    value_of_information: Annotated[
        bool | None,
        typer.Option(
            "--value-of-information/--no-value-of-information",
            help="Compare with other plans and with knowing the disaster.  [default: up to 50 distinct disasters]",
            show_default=False,
        ),
    ] = None,
    method: Annotated[HardenMethod, typer.Option(help="How the optimum is found and proven.")] = HardenMethod.CCG,
    solver: Annotated[
        str | None, typer.Option(metavar="NAME", help="Solver of --method extensive.  [default: highs]")
    ] = None,
    gap: GapOption = 1e-4,
    time_limit: TimeLimitOption = None,
    executor: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Where subproblems run (ccg): serial, processes:4 or dask://host:port.  [default: serial]",
        ),
    ] = None,
    max_iterations: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop then and keep the best (ccg).")
    ] = None,
    v_min: VMinOption = None,
    v_max: VMaxOption = None,
    no_voltage_limits: NoVoltageOption = False,
    no_current_limits: NoCurrentOption = False,
    json: JsonOption = None,
    csv: CsvOption = None,
    parquet: ParquetOption = None,
    excel: ExcelOption = None,
    report: ReportOption = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the grid after the disasters, .png or .svg.")
    ] = None,
    quiet: QuietOption = False,
) -> int:
    """Choose lines to harden and places for backup generators before a disaster.

    After a disaster the grid is reconfigured, islands form around generators and least load is shed: the plan makes
    all of it cost least. The answer is proven by a lower bound and checked by an exact AC power flow.
    """
    from openpoint.twostage.interrupt import install

    install()  # before the solvers are imported: from here on Ctrl-C asks the method to stop
    from openpoint.cli.grid import choose_limits
    from openpoint.cli.harden import run
    from openpoint.studies.harden.options import HardenCosts

    outputs = Outputs(json=json, csv=csv, parquet=parquet, excel=excel, report=report, plot=plot).check(grid, disasters)
    return run.harden(
        grid,
        run.Threats(
            table=disasters,
            storms=storms,
            seed=seed,
            mean_broken=mean_broken,
            any_lines=any_lines,
            ambiguity=ambiguity,
        ).check(),
        run.Means(max_lines=max_lines, max_generators=max_generators, budget_usd=budget),
        HardenCosts(
            line_usd=line_usd,
            generator_usd=generator_usd,
            generator_kw=generator_kw,
            generator_kvar=generator_kvar,
            voll_usd_per_kw=voll_usd_per_kw,
            closed_line_usd=closed_line_usd,
        ),
        run.choose_method(
            method.value,
            solver=solver,
            gap=gap,
            time_limit_s=time_limit,
            max_iterations=max_iterations,
            executor=executor,
        ),
        choose_limits(voltage=not no_voltage_limits, current=not no_current_limits, v_min_pu=v_min, v_max_pu=v_max),
        value_of_information=value_of_information,
        outputs=outputs,
        quiet=quiet,
    )
