"""The options of the commands `reconfigure` and `futures` in groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openpoint.cli.completion import complete_grids
from openpoint.cli.options import (
    TIME_LIMIT_S,
    MaxChangesOption,
    TimeLimitOption,
    executor_option,
    gap_option,
    iterations_option,
    solver_option,
)
from openpoint.cli.switching import SwitchingOptions
from openpoint.errors import OptionError

if TYPE_CHECKING:
    from openpoint.grid import Grid
    from openpoint.scenarios.futures import Futures
    from openpoint.scenarios.growth import Growth
    from openpoint.studies.reconfigure.study import Method

SEED = 1
GAP = 1e-4
"""Relative gap that is proven unless another is asked for; topology search has its own."""


class MethodName(StrEnum):
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


GridsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="GRID…",
        help="A file (MATPOWER .m, OpenDSS .dss, pandapower .json, REDS .pos, Excel .xlsx), a folder of tables, or a "
        "built-in name; with --out several of them, folders that hold such files, and patterns.",
        show_default=False,
        autocompletion=complete_grids,
    ),
]


@dataclass(frozen=True, kw_only=True)
class FleetOptions:
    """Many grids: where their results go, and how many processes solve them."""

    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Reconfigure many grids, each by itself: the folder of their results, of one table and one page of "
            "all. The same command again goes on from there.",
        ),
    ] = None
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes that solve grids (--out).  [default: 1]")
    ] = None
    no_reports: Annotated[
        bool, typer.Option("--no-reports", help="No report of each grid: quicker, and less room (--out).")
    ] = False

    def check(self, grids: list[str]) -> str | None:
        """The one grid where only one is asked about; None for a fleet.

        Raises:
            OptionError: options of a fleet without its folder, or several grids without one.
        """
        if self.out is not None:
            return None
        if self.workers is not None or self.no_reports:
            raise OptionError(
                "--workers and --no-reports are options of --out, the folder of many results; give it. One grid is "
                "shared by --executor processes:2"
            )
        if len(grids) > 1:
            raise OptionError(f"{len(grids)} grids were given; name by --out the folder for their results")
        return grids[0]


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """How the optimum is found and proven."""

    method: Annotated[
        MethodName | None,
        typer.Option(
            help="How the optimum is found and proven; exchange proves nothing and answers at once.  [default: search; "
            "benders for many futures with generators to dispatch; of several phases enumeration, or benders where "
            "topologies are many]"
        ),
    ] = None
    solver: Annotated[str | None, solver_option("scip")] = None
    gap: Annotated[float | None, gap_option("1e-6 by search for one demand, else and in the long run 1e-4")] = None
    time_limit: TimeLimitOption = TIME_LIMIT_S
    max_iterations: Annotated[int | None, iterations_option("benders")] = None
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Plain Benders, no relaxation of the physics in the master: slow, to compare."),
    ] = False
    executor: Annotated[str | None, executor_option("subproblems run (benders), or subtrees of a long search")] = None

    def of_many(self, name: MethodName | None) -> MethodOptions:
        """The same for a year or many futures: a search whose gap is not given has that of these, not of one demand."""
        return replace(self, gap=self._gap) if name is MethodName.SEARCH else self

    def named(self, name: MethodName | None) -> Method | None:
        """The method of that name with these options; None where the grid and the question choose it.

        Raises:
            OptionError: an option that this method does not have.
        """
        from openpoint.search.methods import Enumeration, TopologySearch
        from openpoint.studies.reconfigure.study import BranchExchange
        from openpoint.twostage.methods.extensive import ExtensiveForm
        from openpoint.twostage.workers.executors import executor_from

        workers = self.executor is not None and name is not MethodName.SEARCH
        for_benders = self.plain or self.max_iterations is not None or workers
        if self.solver is not None and name is not MethodName.EXTENSIVE:
            method = "the default method" if name is None else name.value
            raise OptionError(f"--solver is an option of --method extensive, not of {method}")
        if name is None and not for_benders:
            return None
        if name not in (None, MethodName.BENDERS) and for_benders:
            raise OptionError(
                "--plain and --max-iterations are options of --method benders, --executor is one of it and of search; "
                f"{name} has none of them"
            )
        if name is MethodName.SEARCH:
            executor = None if self.executor is None else executor_from(self.executor)
            search = TopologySearch(time_limit_s=self.time_limit, executor=executor)
            return search if self.gap is None else replace(search, gap=self.gap)
        if name is MethodName.EXCHANGE:
            if self.gap is not None:
                raise OptionError("--gap is no option of --method exchange, which proves nothing; leave one out")
            return BranchExchange(time_limit_s=self.time_limit)
        if name is MethodName.EXTENSIVE:
            return ExtensiveForm(solver=self.solver or "scip", gap=self._gap, time_limit_s=self.time_limit)
        if name is MethodName.ENUMERATION:
            if self.gap is not None:
                raise OptionError("--gap is no option of --method enumeration, which tries all; leave one out")
            return Enumeration(time_limit_s=self.time_limit)
        return self._benders()

    def _benders(self) -> Method:
        from openpoint.twostage.methods.decomposition import Benders
        from openpoint.twostage.workers.executors import executor_from

        benders = Benders(
            gap=self._gap,
            time_limit_s=self.time_limit,
            relaxation=not self.plain,
            executor=executor_from(self.executor),
        )
        return benders if self.max_iterations is None else replace(benders, max_iterations=self.max_iterations)

    @property
    def _gap(self) -> float:
        return GAP if self.gap is None else self.gap


@dataclass(frozen=True, kw_only=True)
class ChangeOptions:
    """How far the answer may be from today's state."""

    max_changes: MaxChangesOption = None
    change_cost: Annotated[
        float, typer.Option(metavar="KW", min=0.0, help="Loss that one switching must save to be worth it.")
    ] = 0.0


@dataclass(frozen=True, kw_only=True)
class PlanOptions(SwitchingOptions):
    """The order of switching from today's state to the answer."""

    plan: Annotated[
        bool, typer.Option("--plan", help="Show in which order to switch, with the state after each step.")
    ] = False

    @property
    def any(self) -> bool:
        """Whether a plan is asked for."""
        return self.plan or self.checklist is not None

    def check(self, *, others: bool) -> None:
        """Refuse options of a plan without one, and a plan of another question.

        Args:
            others: whether the question has futures, a year or many grids.

        Raises:
            OptionError: with what to do.
        """
        if self.any and others:
            raise OptionError(
                "--plan and --checklist are for one grid and the demand of today; leave them out, and give the answer "
                "to `openpoint plan`: openpoint plan GRID RESULT.json"
            )
        about = {
            "--parallel-sources": self.parallel_sources or None,
            "--remote-min": self.remote_min,
            "--manual-min": self.manual_min,
            "--customers": self.customers,
        }
        given = [option for option, value in about.items() if value is not None]
        if given and not self.any:
            goes = "goes" if len(given) == 1 else "go"
            raise OptionError(f"{' and '.join(given)} {goes} with --plan or --checklist; add one of them")


@dataclass(frozen=True, kw_only=True)
class FuturesOptions:
    """The futures to plan for, those to test the answer in, and how they count; or a year."""

    futures: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Plan for many futures, one topology for all: .csv, .parquet or .xlsx."),
    ] = None
    grow: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Plan for so many futures, drawn with growth.")
    ] = None
    seed: Annotated[int | None, typer.Option(metavar="S", min=0, help="Seed of --grow.  [default: 1]")] = None
    growth: Annotated[
        GrowthName | None, typer.Option(help="What --grow assumes.  [default: moderate]", show_default=False)
    ] = None
    assume: AssumeOption = None
    risk: Annotated[
        str | None,
        typer.Option(
            metavar="RISK",
            help="What is minimised of the losses of the futures: expected, worst, cvar:0.9 (mean of the worst tenth), "
            "regret (worst excess over the future's own best), regret:expected.  [default: expected]",
        ),
    ] = None
    ambiguity: Annotated[
        str | None,
        typer.Option(
            metavar="SET",
            help="How wrong the probabilities may be; the worst expectation is minimised: tv:0.2 (share that lies "
            "elsewhere), wasserstein:300 (kVA of demand moved on average), demand:0.1 (expected demand of each bus, ± "
            "that share of its largest), box:0.01 (each future ±).",
        ),
    ] = None
    limits_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", min=0.0, max=1.0, help="Share of the futures that must keep the limits.  [default: 1]"
        ),
    ] = None
    sample: Annotated[
        str | None,
        typer.Option(metavar="N|TABLE", help="Test the answer also in so many others (with --grow), or in a table's."),
    ] = None
    year: Annotated[
        str | None,
        typer.Option(
            metavar="YEAR",
            help="Lose least energy over the steps of a year: a folder, workbook or table of profiles, or "
            "synthetic-hours, synthetic-quarters.",
        ),
    ] = None

    @property
    def any(self) -> bool:
        """Whether there are futures to plan for."""
        return self.futures is not None or self.grow is not None

    @property
    def share(self) -> float:
        """Share of the futures that must keep the limits."""
        return 1.0 if self.limits_share is None else self.limits_share

    def check(self, *, others: bool = False) -> FuturesOptions:
        """These options, if they go together; `others`: whether there are options of one demand or of many grids.

        Raises:
            OptionError: two ways to name futures, or options of one that is not there.
        """
        if self.year is not None and (self.any or others):
            raise OptionError(
                "--year is a question of its own: leave out futures, --soft-limits, --checkpoint and --out"
            )
        if self.futures is not None and self.grow is not None:
            raise OptionError("--futures and --grow both say what the futures are; leave one out")
        drawn = {"--seed": self.seed, "--growth": self.growth, "--assume": self.assume or None}
        if self.grow is None and (named := [option for option, value in drawn.items() if value is not None]):
            raise OptionError(f"{named[0]} is an option of --grow, the number of futures to draw; give that too")
        if self.grow is None and self.sample is not None and self.sample.isdigit():
            raise OptionError("--sample N draws futures as --grow does; with --futures name a table of other futures")
        counted = {
            "--risk": self.risk,
            "--ambiguity": self.ambiguity,
            "--limits-share": self.limits_share,
            "--sample": self.sample,
        }
        if not self.any and (named := [option for option, value in counted.items() if value is not None]):
            raise OptionError(f"{named[0]} is for many futures; give them by --futures TABLE or --grow N")
        return self

    def of(self, grid: Grid) -> tuple[Futures, Futures | None]:
        """Those to plan for, and those to test the answer in."""
        from openpoint.scenarios.futures import read_futures
        from openpoint.scenarios.growth import grow

        if self.futures is not None:
            planned = read_futures(self.futures, grid)
        else:
            planned = grow(grid, count=self.grow or 1, seed=self._seed, growth=self._growth())
        if self.sample is None:
            return planned, None
        if self.sample.isdigit():
            # Another seed, or the sample would hold the very futures planned for.
            return planned, grow(grid, count=int(self.sample), seed=self._seed + 1, growth=self._growth())
        return planned, read_futures(self.sample, grid)

    @property
    def _seed(self) -> int:
        return SEED if self.seed is None else self.seed

    def _growth(self) -> Growth:
        from openpoint.studies.reconfigure.futures.words import read_growth

        return read_growth((self.growth or GrowthName.MODERATE).value, tuple(self.assume or ()))
