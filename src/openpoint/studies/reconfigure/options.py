"""Options of reconfiguration, checked in one place: for today, futures, a year, and its seasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from openpoint.arguments import of_kind
from openpoint.errors import OptionError
from openpoint.options import FIRST, Output, argument, option
from openpoint.results.worth import Worth, read_worth
from openpoint.studies.shared import COPY, EXIT_CODES, ByMethod, Certified, Chosen, ForEverySome, Limited

if TYPE_CHECKING:
    import os

    from openpoint.scenarios.futures import FuturesLike, FuturesRecipe
    from openpoint.scenarios.year.read import BlocksLike, YearLike
    from openpoint.search.methods import TopologySearch
    from openpoint.studies.reconfigure.methods import Method
    from openpoint.twostage.ambiguity import Ambiguity
    from openpoint.twostage.risk import Risk

CERTIFICATE = "Write the proof as well; openpoint verify checks it by itself."


@dataclass(frozen=True, kw_only=True)
class OpenPoints(Limited, Chosen, ByMethod):
    """The common options of questions about open points, but for how far they may be from today's."""

    method: Method | str | None = None

    @property
    def max_changes(self) -> int | None:
        """Most branches whose state may differ from today's; None = any number."""
        return None

    @property
    def change_cost_kw(self) -> float:
        """Cost of each change, in kW of loss."""
        return 0.0

    def own_method(self, name: str) -> Any:
        if name != "exchange":
            return None
        from openpoint.studies.reconfigure.methods import BranchExchange

        return BranchExchange()


@dataclass(frozen=True, kw_only=True)
class Changing(OpenPoints):
    """A question whose answer may be kept near today's state."""

    max_changes: int | None = option(None, "Switch at most so many branches.", "whole", unit="N", least=0, group=FIRST)
    change_cost_kw: float = option(
        0.0, "Loss that one switching must save to be worth it.", "number", unit="KW", least=0.0, flag="change-cost"
    )


_SOFT_LIMITS = "Where nothing keeps all limits: break them least, and of that lose least."


@dataclass(frozen=True, kw_only=True)
class ReconfigureOptions(Changing, Certified, ForEverySome):
    """The question of open points for the demand of today.

    Raises:
        OptionError: with all that is wrong.
    """

    method: Method | str | None = option(
        None,
        "How the optimum is found and proven: search, benders (or benders:plain, no relaxation of the physics in the "
        "master: slow, to compare), extensive (with another solver as extensive:highs), enumeration; exchange proves "
        "nothing and answers at once.  [default: search; of several phases enumeration where "
        "topologies are few, and exchange where the bound of search is not valid]",
        unit="METHOD",
        group=FIRST,
    )
    soft_limits: bool = option(False, _SOFT_LIMITS, "flag", group=FIRST)
    greatest_loss: bool = option(
        False, "With for_every: the greatest loss over the set is minimised, not that of the loads as they are.", "flag"
    )
    worth: Worth | str | None = option(
        None,
        "What losses are worth, so that savings are also told in MWh and money a year: price=80,hours=3000 (money per "
        "MWh, hours of equal losses a year), with interest=5%,years=20 also at present value.",
        unit="WORTH",
    )

    methods: ClassVar[tuple[str, ...]] = ("search", "exchange", "benders", "extensive", "enumeration")
    outputs: ClassVar[tuple[Output, ...]] = (COPY,)
    details: ClassVar[str] = (
        "The answer is proven by a lower bound and checked by an exact AC power flow. A run stopped by a limit or by "
        "Ctrl-C keeps the best solution found."
    )
    examples: ClassVar[str] = f"""\b
Examples:
  openpoint reconfigure baran33
  openpoint reconfigure case33bw.m --json result.json --report report.html
  openpoint reconfigure net.json --open "tie 7" --close feeder1 --max-changes 4
  openpoint reconfigure station.m --switchable T1,T2
  openpoint reconfigure my_grid/ --v-min 0.95 --time-limit 60 --report answer.svg
  openpoint reconfigure das70 --method extensive:scip
  openpoint reconfigure baran33 --certificate proof.gz
  openpoint reconfigure big_grid.pos --checkpoint open.search --time-limit 3600
  openpoint reconfigure big_grid.pos --method exchange
  openpoint reconfigure net.json --soft-limits
  openpoint reconfigure baran33 --v-min 0.935 --for-every load=5%
  openpoint reconfigure net.json --worth price=80,hours=3000,interest=5%,years=20
  openpoint reconfigure net.json --write net_new.json
  openpoint reconfigure baran33 --json - --quiet | jq .open_branches

\b
Other questions about open points:
  openpoint plan GRID RESULT.json          the order of switching to the answer
  openpoint reconfigure-futures            one topology for many futures
  openpoint reconfigure-year               one topology for a year
  openpoint reconfigure-seasons            a topology for each month or season
  openpoint reconfigure-secure             faults as a limit or an objective
  openpoint reconfigure-front              loss over what faults do
  openpoint reconfigure-fleet              many grids, each by itself

{EXIT_CODES}"""

    def _checks(self) -> list[Callable[[], object]]:
        own = self._check_soft_limits, self._check_for_every, lambda: read_worth(self.worth)
        return [*super()._checks(), *own]

    def _check_for_every(self) -> None:
        other = [name for name in ("method", "soft_limits", "certificate", "checkpoint") if getattr(self, name)]
        if self.for_every is not None and other:
            raise OptionError(f"for_every has a search of its own; leave {' and '.join(other)} out")
        if self.greatest_loss and self.for_every is None:
            raise OptionError("greatest_loss is that over a set of loads; give for_every, too")

    def _check_soft_limits(self) -> None:
        # Soft limits take many searches, of which one file cannot keep all.
        if self.soft_limits and getattr(self.chosen, "checkpoint", None) is not None:
            raise OptionError("soft limits take several searches, and a checkpoint keeps one; leave one of both out")


@dataclass(frozen=True)
class ReconfigureFuturesOptions(Changing):
    """The question of one topology for many futures.

    Raises:
        OptionError: with all that is wrong.
    """

    futures: FuturesLike = argument(
        "The futures, one topology for all: a table .csv, .parquet or .xlsx with the columns future, bus, p_kw, q_kvar "
        "and probability.",
        unit="TABLE",
    )
    _: KW_ONLY
    risk: Risk | str | None = option(
        None,
        "What is minimised of the losses of the futures: expected, worst, cvar:0.9 (mean of the worst tenth), regret "
        "(worst excess over the future's own best), regret:expected.  [default: expected]",
        unit="RISK",
        group=FIRST,
    )
    ambiguity: Ambiguity | FuturesRecipe | str | None = option(
        None,
        "How wrong the probabilities may be; the worst expectation is minimised: tv:0.2 (share that lies elsewhere), "
        "wasserstein:300 (kVA of demand moved on average), demand:0.1 (expected demand of each bus, ± that share of "
        "its largest), box:0.01 (each future ±).",
        unit="SET",
        group=FIRST,
    )
    limits_share: float = option(
        1.0,
        "Share of the futures, by probability, that must keep the limits.",
        "number",
        unit="SHARE",
        least=0.0,
        most=1.0,
        group=FIRST,
    )
    sample: FuturesLike | None = option(
        None, "Test the answer also in the futures of this table.", "path", unit="TABLE", group=FIRST
    )
    method: Method | str | None = option(
        None,
        "How the optimum is found and proven: search, benders (or benders:plain), extensive (with another solver as "
        "extensive:highs), enumeration.  [default: search; benders where generators are dispatched]",
        unit="METHOD",
        group=FIRST,
    )
    certificate: str | os.PathLike[str] | None = option(None, CERTIFICATE, "path", unit="FILE", group="Output")

    methods: ClassVar[tuple[str, ...]] = ("search", "benders", "extensive", "enumeration")
    gap_of_named: ClassVar[float | None] = 1e-4
    outputs: ClassVar[tuple[Output, ...]] = (COPY,)
    examples: ClassVar[str] = f"""\b
Futures are drawn by openpoint futures, or made by yourself.

\b
Examples:
  openpoint reconfigure-futures my_grid.m futures.csv --report report.html
  openpoint reconfigure-futures my_grid.m futures.csv --risk cvar:0.9 --limits-share 0.95
  openpoint reconfigure-futures my_grid.m futures.csv --ambiguity tv:0.2 --executor processes:4 --method benders
  openpoint reconfigure-futures my_grid.m futures.csv --sample others.csv --certificate proof.gz

{EXIT_CODES}"""

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), lambda: self.measure, lambda: self.probabilities, self._check_executor]

    @property
    def unnamed(self) -> str:
        return "search" if self.executor is None else "benders"

    @property
    def measure(self) -> Risk:
        """How the losses of the futures become one number.

        Raises:
            OptionError: something that is no risk.
        """
        from openpoint.twostage.risk import Expectation, Risk, read_risk

        if self.risk is None:
            return Expectation()
        of_kind(self.risk, Risk | str, "risk", "Expectation(), CVaR(0.9), WorstCase() or Regret()")
        return read_risk(self.risk) if isinstance(self.risk, str) else self.risk

    @property
    def probabilities(self) -> Ambiguity | FuturesRecipe | None:
        """How wrong the probabilities may be, a text as the recipe that it names.

        Raises:
            OptionError: it names none.
        """
        from openpoint.scenarios.futures import read_futures_ambiguity

        return read_futures_ambiguity(self.ambiguity) if isinstance(self.ambiguity, str) else self.ambiguity

    def _check_executor(self) -> None:
        from openpoint.studies.reconfigure.methods import refuse_executor

        refuse_executor(self.chosen)


@dataclass(frozen=True, kw_only=True)
class OfYear(OpenPoints):
    """The common options of questions about a year."""

    method: TopologySearch | None = None

    methods: ClassVar[tuple[str, ...]] = ("search",)
    gap_of_named: ClassVar[float | None] = 1e-4

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), self._check_method]

    def _check_method(self) -> None:
        from openpoint.search.methods import TopologySearch
        from openpoint.studies.reconfigure.methods import refuse_executor

        method = self.chosen
        if method is not None and not isinstance(method, TopologySearch):
            raise OptionError(f"a year is searched by TopologySearch only, not by {method}; leave the method out")
        refuse_executor(method)
        if method is not None and method.checkpoint is not None:
            raise OptionError("checkpoints are for one demand; leave them out, or the year")


_YEAR: dict[str, Any] = {"unit": "YEAR"}
YEAR = (
    "The steps of the year: a folder, workbook or table of profiles; own, those in the file of the grid; or "
    "synthetic-hours, synthetic-quarters."
)


@dataclass(frozen=True)
class ReconfigureYearOptions(OfYear, Changing):
    """The question of one topology for a year.

    Raises:
        OptionError: with all that is wrong.
    """

    year: YearLike = argument(f"{YEAR}  [default: own]", default="own", **_YEAR)
    _: KW_ONLY
    soft_limits: bool = option(False, _SOFT_LIMITS, "flag", group=FIRST)
    certificate: str | os.PathLike[str] | None = option(None, CERTIFICATE, "path", unit="FILE", group="Output")

    outputs: ClassVar[tuple[Output, ...]] = (COPY,)
    examples: ClassVar[str] = f"""\b
Examples:
  openpoint reconfigure-year my_simbench_folder --soft-limits
  openpoint reconfigure-year my_grid.m profiles.csv --report year.html
  openpoint reconfigure-year baran33 synthetic-quarters
  openpoint reconfigure-year baran33 synthetic-hours --certificate proof.gz

{EXIT_CODES}"""


@dataclass(frozen=True)
class ReconfigureSeasonsOptions(OfYear):
    """The question of a topology for each part of a year, with few switch operations between them.

    Raises:
        OptionError: with all that is wrong.
    """

    year: YearLike = argument(YEAR, **_YEAR)
    blocks: BlocksLike = argument(
        "The parts, each with open points of its own: monthly, quarterly, N equal parts, or a table block,start,end.",
        unit="BLOCKS",
    )
    _: KW_ONLY
    switchings_a_year: int | None = option(
        None,
        "At most N switch operations between the blocks, all together; an opening and a closing are one each, an "
        "exchange of two branches is two.  [default: any number]",
        "whole",
        unit="N",
        least=0,
        group=FIRST,
    )
    switching_kwh: float = option(
        0.0, "Energy that a switch operation must save to be worth it.", "number", unit="KWH", least=0.0, group=FIRST
    )
    from_today: bool = option(
        False, "Operations from today's state to that of the first block count, too.", "flag", group=FIRST
    )

    examples: ClassVar[str] = f"""\b
Examples:
  openpoint reconfigure-seasons baran33 synthetic-hours monthly --switchings-a-year 4
  openpoint reconfigure-seasons my_grid.m profiles.csv seasons.csv --switching-kwh 200 --report seasons.html

{EXIT_CODES}"""

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), self._check_certificate]

    def _check_certificate(self) -> None:
        if getattr(self.chosen, "certificate", None) is not None:
            raise OptionError(
                "certificates are for one topology of a year: the bound of a year in blocks is that of multipliers "
                "between them, for which a certificate has no lines; leave it out, or the blocks"
            )
