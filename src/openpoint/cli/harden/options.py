"""The options of the command `harden` in groups: what may break, what may be bought, at what cost, by which method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openpoint.cli.options import (
    TIME_LIMIT_S,
    GapOption,
    TimeLimitOption,
    executor_option,
    iterations_option,
    solver_option,
)
from openpoint.errors import OptionError

if TYPE_CHECKING:
    from openpoint.grid import Grid
    from openpoint.scenarios.disasters import Disasters
    from openpoint.studies.harden.options import HardenCosts, Method


class HardenMethod(StrEnum):
    """How the optimum is found and proven."""

    CCG = "ccg"
    EXTENSIVE = "extensive"


@dataclass(frozen=True, kw_only=True)
class Threats:
    """What may break: a table of disasters, storms to be drawn, or any so many lines; and how sure that is."""

    disasters: Annotated[
        Path | None, typer.Option(metavar="TABLE", help="What may break, with probabilities: .csv, .parquet or .xlsx.")
    ] = None
    storms: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Draw so many storms instead of reading disasters.")
    ] = None
    seed: Annotated[int | None, typer.Option(metavar="S", min=0, help="Seed of the storms.  [default: 0]")] = None
    mean_broken: Annotated[
        float | None, typer.Option(metavar="N", help="Lines that a storm breaks on average.  [default: 3]")
    ] = None
    any_lines: Annotated[
        int | None, typer.Option(metavar="K", help="Plan for the worst: any K lines may break, no probabilities.")
    ] = None
    ambiguity: Annotated[
        str | None,
        typer.Option(
            metavar="SET",
            help="How wrong the probabilities may be: tv:0.2 (share that lies elsewhere), moments:0.1 (outage "
            "probability of each line ±), wasserstein:1 (lines moved on average), box:0.1 (each disaster ±).",
        ),
    ] = None

    def check(self) -> Threats:
        """These threats, if they go together.

        Raises:
            OptionError: none of them, several, or options of one that is not there.
        """
        given = {"--disasters": self.disasters, "--storms": self.storms, "--any-lines": self.any_lines}
        named = [option for option, value in given.items() if value is not None]
        if len(named) != 1:
            here = " and ".join(named) or "none of them"
            raise OptionError(f"say what may break by one of --disasters, --storms and --any-lines; here is {here}")
        if self.storms is None and (self.seed is not None or self.mean_broken is not None):
            raise OptionError(f"--seed and --mean-broken are options of --storms, not of {named[0]}")
        if self.any_lines is not None and self.ambiguity is not None:
            raise OptionError("--any-lines has no probabilities that could be ambiguous; leave --ambiguity out")
        return self

    def of(self, grid: Grid) -> Disasters | None:
        """The disasters of the grid; None where any lines may break."""
        if self.disasters is not None:
            from openpoint.scenarios.disasters import read_disasters

            return read_disasters(self.disasters, grid)
        if self.storms is not None:
            from openpoint.scenarios.storms import storms

            mean = 3.0 if self.mean_broken is None else self.mean_broken
            return storms(grid, count=self.storms, seed=self.seed or 0, mean_broken=mean)
        return None


@dataclass(frozen=True, kw_only=True)
class Means:
    """What may be bought."""

    max_lines: Annotated[int | None, typer.Option(metavar="N", min=0, help="Harden at most so many lines.")] = None
    max_generators: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Buy at most so many backup generators.")
    ] = None
    budget: Annotated[float | None, typer.Option(metavar="USD", min=0.0, help="Spend at most so much on both.")] = None


@dataclass(frozen=True, kw_only=True)
class CostOptions:
    """What a plan costs, and what load that is shed."""

    line_usd: Annotated[float, typer.Option(metavar="USD", min=0.0, help="Cost of hardening a line.")] = 400.0
    generator_usd: Annotated[float, typer.Option(metavar="USD", min=0.0, help="Cost of a backup generator.")] = 150.0
    generator_kw: Annotated[float, typer.Option(metavar="KW", help="Its active power.")] = 100.0
    generator_kvar: Annotated[
        float | None,
        typer.Option(metavar="KVAR", min=0.0, help="Its reactive power.  [default: at a power factor of 0.8]"),
    ] = None
    voll_usd_per_kw: Annotated[
        float, typer.Option(metavar="USD", min=0.0, help="Value of lost load, per kW for the whole outage.")
    ] = 14.0
    closed_line_usd: Annotated[
        float, typer.Option(metavar="USD", min=0.0, help="Cost of each branch that is closed after a disaster.")
    ] = 0.0

    def costs(self) -> HardenCosts:
        """The costs.

        Raises:
            OptionError: one that makes no sense.
        """
        from openpoint.studies.harden.options import HardenCosts

        return HardenCosts(
            line_usd=self.line_usd,
            generator_usd=self.generator_usd,
            generator_kw=self.generator_kw,
            generator_kvar=self.generator_kvar,
            voll_usd_per_kw=self.voll_usd_per_kw,
            closed_line_usd=self.closed_line_usd,
        )


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """How the plan is found and proven."""

    method: Annotated[HardenMethod, typer.Option(help="How the optimum is found and proven.")] = HardenMethod.CCG
    solver: Annotated[str | None, solver_option("highs")] = None
    gap: GapOption = 1e-4
    time_limit: TimeLimitOption = TIME_LIMIT_S
    executor: Annotated[str | None, executor_option("subproblems run (ccg)", "  [default: serial]")] = None
    max_iterations: Annotated[int | None, iterations_option("ccg")] = None

    def chosen(self) -> Method:
        """The method of that name with its options.

        Raises:
            OptionError: an option that this method does not have.
        """
        from openpoint.twostage.methods.ccg import ColumnAndConstraint
        from openpoint.twostage.methods.extensive import ExtensiveForm
        from openpoint.twostage.workers.executors import executor_from

        if self.method is HardenMethod.EXTENSIVE:
            if self.max_iterations is not None or self.executor is not None:
                raise OptionError("--max-iterations and --executor are options of --method ccg, not of extensive")
            return ExtensiveForm(solver=self.solver or "highs", gap=self.gap, time_limit_s=self.time_limit)
        if self.solver is not None:
            raise OptionError(f"--solver is an option of --method extensive, not of {self.method.value}")
        ccg = ColumnAndConstraint(gap=self.gap, time_limit_s=self.time_limit, executor=executor_from(self.executor))
        return ccg if self.max_iterations is None else replace(ccg, max_iterations=self.max_iterations)
