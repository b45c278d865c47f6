"""The command `partition` and its options; nothing heavy is imported before it runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from openpoint.cli.options import (
    EXIT_CODES,
    CsvOption,
    ExcelOption,
    GridArgument,
    JsonOption,
    ParquetOption,
    QuietOption,
    ReportOption,
    TimeLimitOption,
)
from openpoint.cli.outputs import Outputs
from openpoint.errors import OptionError

PARTITION_EPILOG = f"""\b
Examples:
  openpoint partition ieee37-microgrids
  openpoint partition ieee37-microgrids --uncertainty 0.15 --json plan.json
  openpoint partition ieee37-microgrids --uncertainty 0.25 --uncertain-loads 6 --report plan.html
  openpoint partition ieee37-microgrids --uncertainty 0,0.1,0.15,0.25 --uncertain-loads 6 --plot levels.png
  openpoint partition ieee37-microgrids --steps day --max-actions 4 --uncertainty 0.1 --uncertain-loads 6
  openpoint partition ieee37-microgrids --uncertainty 0.1 --samples 10000 --executor processes:4
  openpoint partition my_tables --uncertainty 0.1 --uncertain-loads s728,s738a --max-grid-forming 2

{EXIT_CODES}"""


class PartitionMethod(StrEnum):
    """How the optimum is found and proven."""

    CCG = "ccg"
    BENDERS = "benders"
    EXTENSIVE = "extensive"


def partition(
    grid: GridArgument,
    uncertainty: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Loads may lie this far above or below, 0.15 is 15 %; several joined by commas are compared.",
        ),
    ] = "0",
    uncertain_loads: Annotated[
        str, typer.Option(metavar="WHICH", help="all, the N largest, or names joined by commas.")
    ] = "all",
    most_deviating: Annotated[
        int | None, typer.Option(metavar="N", help="At most so many loads deviate at once.  [default: all]")
    ] = None,
    max_grid_forming: Annotated[
        int, typer.Option(metavar="K", help="Most generators that form the grid of one island.")
    ] = 1,
    ramp: Annotated[
        float, typer.Option(metavar="SHARE", help="Most change of a generator when the loads are known, of its size.")
    ] = 0.3,
    steps: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Several steps: steps.csv, or a folder or .xlsx of steps, events, profiles and storage.",
        ),
    ] = None,
    max_actions: Annotated[
        int | None, typer.Option(metavar="N", help="With --steps: most switches that move in a step.  [default: all]")
    ] = None,
    keep_energised: Annotated[
        bool, typer.Option("--keep-energised", help="With --steps: what is energised stays so, but for faults.")
    ] = False,
    priorities: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Factors on the cost of loads: columns load, priority.")
    ] = None,
    block_weight: Annotated[
        float, typer.Option(metavar="USD", help="Cost of a kW that is not served; 0.01 is added for each load.")
    ] = 10.0,
    generation_usd: Annotated[float, typer.Option(metavar="USD", help="Cost of a kWh of generation.")] = 0.3,
    method: Annotated[PartitionMethod, typer.Option(help="How it is solved.")] = PartitionMethod.CCG,
    gap: Annotated[float, typer.Option(metavar="FRACTION", min=0.0, help="Relative gap to prove.")] = 1e-4,
    time_limit: TimeLimitOption = None,
    samples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Verify the plan by AC power flow in so many samples of the loads; 0 is none.  [default: 1000]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the samples.")] = 0,
    executor: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Where samples are judged: serial, processes:4 or dask://host:port.  [default: serial]",
        ),
    ] = None,
    json: JsonOption = None,
    csv: CsvOption = None,
    parquet: ParquetOption = None,
    excel: ExcelOption = None,
    report: ReportOption = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the islands as a picture, .png, .svg or .pdf; of levels side by side."
        ),
    ] = None,
    quiet: QuietOption = False,
) -> int:
    """Cut a grid that lost its substation into microgrids that serve most load.

    Decides which switches open and close, which blocks are energised and which generators form the grid, so that
    generators can follow the loads wherever these lie within their uncertainty, proven by a lower bound.
    """
    from openpoint.twostage.interrupt import install

    install()  # before the solvers are imported: from here on Ctrl-C asks the method to stop
    from openpoint.cli.partition import run as partition_run
    from openpoint.studies.partition.options import PartitionCosts, read_priorities
    from openpoint.twostage.workers.executors import executor_from

    factors = read_priorities(priorities) if priorities is not None else {}
    return partition_run.partition(
        grid,
        partition_run.Question(
            levels=shares(uncertainty),
            uncertain_loads=which(uncertain_loads),
            most_deviating=most_deviating,
            max_grid_forming=max_grid_forming,
            ramp=ramp,
            over=partition_run.over_time(steps, max_actions=max_actions, keep_energised=keep_energised),
        ),
        PartitionCosts(block_weight=block_weight, generation_usd_per_kwh=generation_usd, priorities=factors),
        partition_run.choose_method(method.value, gap=gap, time_limit_s=time_limit),
        sampling=partition_run.Sampling(samples, seed, executor_from(executor)),
        outputs=Outputs(json=json, csv=csv, parquet=parquet, excel=excel, report=report, plot=plot).check(
            grid, steps, priorities
        ),
        quiet=quiet,
    )


def shares(text: str) -> tuple[float, ...]:
    """The levels of uncertainty that the option names.

    Raises:
        OptionError: one is no number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"--uncertainty {text}: give a share such as 0.15, or several as 0,0.1,0.15") from None


def which(text: str) -> Literal["all"] | int | tuple[str, ...]:
    """The uncertain loads that the option names."""
    if text == "all":
        return "all"
    if text.isdigit():
        return int(text)
    return tuple(name.strip() for name in text.split(","))
