"""The options of the command `partition` in groups: what is uncertain, steps, costs, method, samples."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from openpoint.cli.options import TIME_LIMIT_S, GapOption, TimeLimitOption, executor_option
from openpoint.errors import OptionError

if TYPE_CHECKING:
    from openpoint.studies.partition.options import Method, PartitionCosts
    from openpoint.twostage.workers.executors import Choice

SAMPLES = 1000
"""Samples where the user names no number: a second or two."""


class PartitionMethod(StrEnum):
    """How the optimum is found and proven."""

    CCG = "ccg"
    BENDERS = "benders"
    EXTENSIVE = "extensive"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is uncertain, and what generators may do; see `openpoint.studies.partition.study.partition`."""

    uncertainty: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Loads may lie this far above or below, 0.15 is 15 %; several joined by commas are compared.",
        ),
    ] = "0"
    uncertain_loads: Annotated[
        str, typer.Option(metavar="WHICH", help="all, the N largest, or names joined by commas.")
    ] = "all"
    most_deviating: Annotated[
        int | None, typer.Option(metavar="N", help="At most so many loads deviate at once.  [default: all]")
    ] = None
    max_grid_forming: Annotated[
        int, typer.Option(metavar="K", help="Most generators that form the grid of one island.")
    ] = 1
    ramp: Annotated[
        float, typer.Option(metavar="SHARE", help="Most change of a generator when the loads are known, of its size.")
    ] = 0.3

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels of uncertainty.

        Raises:
            OptionError: one is no number.
        """
        try:
            return tuple(float(part) for part in self.uncertainty.split(","))
        except ValueError:
            message = f"--uncertainty {self.uncertainty}: give a share such as 0.15, or several as 0,0.1,0.15"
            raise OptionError(message) from None

    @property
    def loads(self) -> Literal["all"] | int | tuple[str, ...]:
        """The uncertain loads."""
        if self.uncertain_loads == "all":
            return "all"
        if self.uncertain_loads.isdigit():
            return int(self.uncertain_loads)
        return tuple(name.strip() for name in self.uncertain_loads.split(","))


@dataclass(frozen=True, kw_only=True)
class OverTime:
    """Steps, and what links them; see `openpoint.studies.partition.steps.study.partition_steps`."""

    steps: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Several steps: steps.csv, or a folder or .xlsx of steps, events, profiles and storage.",
        ),
    ] = None
    max_actions: Annotated[
        int | None, typer.Option(metavar="N", help="With --steps: most switches that move in a step.  [default: all]")
    ] = None
    keep_energised: Annotated[
        bool, typer.Option("--keep-energised", help="With --steps: what is energised stays so, but for faults.")
    ] = False

    def check(self) -> OverTime:
        """These options, if they go together.

        Raises:
            OptionError: options that need steps, without any.
        """
        if self.steps is None and (self.max_actions is not None or self.keep_energised):
            raise OptionError("--max-actions and --keep-energised are about several steps; give them by --steps")
        return self


@dataclass(frozen=True, kw_only=True)
class CostOptions:
    """What load that is not served costs, and what is generated."""

    priorities: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Factors on the cost of loads: columns load, priority.")
    ] = None
    block_weight: Annotated[
        float, typer.Option(metavar="USD", help="Cost of a kW that is not served; 0.01 is added for each load.")
    ] = 10.0
    generation_usd: Annotated[float, typer.Option(metavar="USD", help="Cost of a kWh of generation.")] = 0.3

    def costs(self) -> PartitionCosts:
        """The costs, with the priorities of the file."""
        from openpoint.studies.partition.options import PartitionCosts, read_priorities

        return PartitionCosts(
            block_weight=self.block_weight,
            generation_usd_per_kwh=self.generation_usd,
            priorities={} if self.priorities is None else read_priorities(self.priorities),
        )


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """How the plan is found and proven."""

    method: Annotated[PartitionMethod, typer.Option(help="How it is solved.")] = PartitionMethod.CCG
    gap: GapOption = 1e-4
    time_limit: TimeLimitOption = TIME_LIMIT_S

    def chosen(self) -> Method:
        """The method of that name."""
        from openpoint.twostage.methods.benders import Benders
        from openpoint.twostage.methods.ccg import ColumnAndConstraint
        from openpoint.twostage.methods.extensive import ExtensiveForm

        if self.method is PartitionMethod.EXTENSIVE:
            return ExtensiveForm(solver="highs", gap=self.gap, time_limit_s=self.time_limit)
        if self.method is PartitionMethod.BENDERS:
            return Benders(relaxation=False, gap=self.gap, time_limit_s=self.time_limit)
        return ColumnAndConstraint(gap=self.gap, time_limit_s=self.time_limit)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Loads to be drawn at random, 0 or more, and where they are evaluated."""

    samples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Verify the plan by AC power flow in so many samples of the loads; 0 is none.  [default: 1000]",
        ),
    ] = None
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the samples.")] = 0
    executor: Annotated[str | None, executor_option("samples are evaluated", "  [default: serial]")] = None

    @property
    def wanted(self) -> int:
        """The number, which has a default."""
        return SAMPLES if self.samples is None else self.samples

    def where(self) -> Choice:
        """Where they are evaluated.

        Raises:
            OptionError: no such place, or nobody is there.
        """
        from openpoint.twostage.workers.executors import executor_from

        return executor_from(self.executor)

    def knock(self) -> None:
        """Find out before a plan is made whether those who are to evaluate it are there.

        Raises:
            OptionError: they are not.
        """
        if self.wanted:
            with self.where().open():
                pass
