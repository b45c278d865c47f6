"""Options of dispatch over a day, beside its grid and its day, checked in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from openpoint.arguments import numbers_by_name, of_kind
from openpoint.errors import OptionError
from openpoint.options import FIRST, argument, option
from openpoint.studies.shared import EXIT_CODES, Chosen, Limited, Timed

if TYPE_CHECKING:
    from openpoint.scenarios.day.clock import NowLike, StateLike
    from openpoint.scenarios.day.tables import DayLike
    from openpoint.scenarios.day.uncertain import Budget, DayFuturesLike, Uncertainty
    from openpoint.studies.dispatch.day.methods import MethodName
    from openpoint.studies.dispatch.day.model.question import Cadence
    from openpoint.twostage.risk import Risk

    SharesLike = str | Mapping[str, float]
    """Shares of the forecast by group, as a mapping or as text: `load=0.1,solar=0.3`."""
    BudgetLike = str | int | Mapping[str, int | Budget]
    """How much deviates: a number of periods for all, or by group; as text `2` or `load=2,solar=1/3`."""
    RiskLike = Risk | str
    """How the costs of futures become one number: a risk, or as text `expected`, `cvar:0.9` or `worst`."""

Often = Literal["fixed", "once", "hourly"]
"""How often something is decided: as today, once for the day, or in every period."""
METHODS = ("columns", "search", "switching", "scenarios")


@dataclass(frozen=True, kw_only=True)
class DayOptions(Limited, Chosen, Timed):
    """The common options of questions about a day.

    Raises:
        OptionError: with all that is wrong.
    """

    uncertain: SharesLike | None = option(
        None,
        "What of the day is uncertain, a share of its forecast, as load=0.1,solar=0.3,wind=0.3 (reactive=0.2: reactive "
        "load by itself); the cost of the worst case is least.",
        unit="SHARES",
        group=FIRST,
    )
    budget: BudgetLike | None = option(
        None,
        "In how many periods each of it deviates at worst, as 2 or load=2,solar=1; with /5 each load or site by "
        "itself, at most 5 at once (/all: any number); 3%: their sum by 3 % at most.  [default: all periods]",
        unit="HOURS",
        group=FIRST,
    )
    futures: DayFuturesLike | int | None = option(
        None,
        "Plan for days that may come in place of the worst case: a table with their probabilities (.csv, .parquet or "
        ".xlsx), or how many to draw from what is uncertain.",
        unit="TABLE|N",
        group=FIRST,
    )
    risk: RiskLike | None = option(
        None,
        "What is minimised of the costs of the futures: expected, worst, cvar:0.9 (mean of the worst tenth).  "
        "[default: expected]",
        unit="RISK",
        group=FIRST,
    )
    topology: Often = option(
        "once",
        "When open points are decided: fixed (as today), once for the day, or hourly.",
        choices=("fixed", "once", "hourly"),
        group=FIRST,
    )
    positions: Often = option(
        "fixed",
        "The same of taps, capacitor steps and voltages of sources.",
        choices=("fixed", "once", "hourly"),
        group=FIRST,
    )
    max_changes: int | None = option(
        None,
        "Most switches that may be operated; with hourly over the day, the first period against today.",
        "whole",
        unit="N",
        least=0,
        group=FIRST,
    )
    prices: SharesLike = option(
        "",
        "Costs in $ of a switch operation of the day, of setting a tap changer, a capacitor bank or a source's voltage "
        "anew, and of a kWh lost, beside the energy itself: switching=5,moving=1,loss=0.02.",
        unit="PRICES",
    )
    shift: SharesLike = option(
        "",
        "Share of every load that may move to other buses in the same period, and share by which it may differ in a "
        "period with its energy over the day kept, in place of the day's: buses=0.15,time=0.1.",
        unit="SHARES",
    )
    source_max_kw: float | None = option(
        None,
        "Most active power of every source, as a contract may set it.",
        "number",
        unit="KW",
        least=0.0,
        flag="source-max",
    )
    method: MethodName | None = option(
        None,
        "How the optimum is found and proven.  [default: what suits the question]",
        choices=("columns", "search", "switching", "scenarios"),
        group="Method",
    )
    samples: int = option(
        0,
        "Test the plan in so many days drawn at random, beside today's and the one that is best as forecast.",
        "whole",
        unit="N",
        least=0,
        group=FIRST,
    )
    seed: int = option(0, "Equal seeds draw equal days.", "whole", unit="N", least=0)
    gap: float = option(1e-3, "Relative gap to prove; 1e-4 is 0.01 %.", "number", unit="FRACTION", least=0.0)
    now: NowLike | None = option(
        None,
        "Plan the rest of the day from the period that begins then: its name, an hour (13) or a time (13:00). All "
        "figures are of the rest alone.",
        unit="TIME",
    )
    state: StateLike | None = option(
        None,
        "What was measured then: contents of stores, outputs, switches, …; .csv, .parquet or .xlsx. The table "
        "states.csv that --tables writes is of this form.  [default: as at the start of the day]",
        "path",
        unit="FILE",
    )

    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if isinstance(self.futures, str) and self.futures.isdigit():
            object.__setattr__(self, "futures", int(self.futures))
        super().__post_init__()
        from openpoint.twostage.log import check_stops

        check_stops(self.gap, self.time_limit_s)

    def _checks(self) -> list[Callable[[], object]]:
        return [
            *super()._checks(),
            self._check_budget,
            self._check_futures,
            self._check_risk,
            self._check_max_changes,
            lambda: self.price,
            lambda: self.shifted,
            self._check_samples,
            self._check_state,
        ]

    @property
    def uncertainty(self) -> Uncertainty | None:
        """What is uncertain; None = nothing."""
        from openpoint.scenarios.day.uncertain import Uncertainty

        return None if self.uncertain is None else Uncertainty.of(self.uncertain, self.budget)

    @property
    def price(self) -> Mapping[str, float]:
        """Costs in $ by name: of an operation, of a move, of a kWh lost; those that are not given are 0.

        Raises:
            OptionError: one that there is not, or one below 0.
        """
        names = ("switching", "moving", "loss")
        return dict.fromkeys(names, 0.0) | numbers_by_name(self.prices, "prices", names, "prices", None)

    @property
    def shifted(self) -> Mapping[str, float]:
        """Shares of the loads that may move, between buses or in time, by name; those of the day are not there.

        Raises:
            OptionError: a name that there is not, or no share.
        """
        shares = numbers_by_name(self.shift, "shift", ("buses", "time"), "ways to move load", None)
        if beyond := [name for name, share in shares.items() if share > 1.0]:
            told = f"shift of {beyond[0]} is {shares[beyond[0]]:g}"
            raise OptionError(f"{told}; it is a share of the load of a bus, give 0 to 1, such as 0.1")
        return shares

    @property
    def measure(self) -> Risk:
        """How the costs of futures become one number."""
        from openpoint.twostage.risk import Expectation, read_risk

        return read_risk(self.risk) if isinstance(self.risk, str) else self.risk or Expectation()

    @property
    def cadence(self) -> Cadence:
        """How often the topology is decided."""
        from openpoint.studies.dispatch.day.model.question import Cadence

        return Cadence(self.topology)

    def _check_budget(self) -> None:
        if self.uncertain is None and self.budget is not None:
            raise OptionError("budget bounds what deviates, and nothing is uncertain; give uncertain, too")
        _ = self.uncertainty

    def _check_futures(self) -> None:
        from openpoint.scenarios.day.uncertain import WANTED

        if self.futures is None:
            return
        drawn = isinstance(self.futures, int)
        if isinstance(self.futures, int) and self.futures < 1:
            raise OptionError(f"futures is {self.futures}; give {WANTED}")
        if self.budget is not None:
            raise OptionError(
                "budget bounds the worst case of a set, and futures are days with probabilities; leave one of both out"
            )
        if drawn and self.uncertain is None:
            raise OptionError(
                "futures draws days from what is uncertain, and nothing is; give uncertain, too, or a table of futures"
            )
        if not drawn and self.uncertain is not None:
            raise OptionError("a table of futures says itself what differs; leave uncertain out, or draw futures")
        if self.topology == "hourly":
            raise OptionError("futures need a topology that is fixed or decided once; open points by hour need none")

    def _check_risk(self) -> None:
        from openpoint.twostage.risk import Regret, Risk

        if self.risk is None:
            return
        if self.futures is None:
            raise OptionError("risk is of the costs of futures; give futures, or leave it out")
        of_kind(self.risk, Risk | str, "risk", "expected, cvar:0.9 or worst")
        if isinstance(self.measure, Regret):
            raise OptionError("the regret of the futures of a day is not counted; give expected, cvar:0.9 or worst")

    def _check_max_changes(self) -> None:
        if self.topology == "fixed" and self.max_changes:
            raise OptionError("max_changes bounds switching, and topology='fixed' has none; leave one of both out")

    def _check_samples(self) -> None:
        if self.samples and self.futures is not None and self.uncertain is None:
            raise OptionError("samples draws days, and a table of futures does not say how; draw futures, or leave out")
        if self.samples and self.uncertain is None:
            raise OptionError("samples draws days from what is uncertain, and nothing is; give uncertain, too")

    def _check_state(self) -> None:
        if self.state is not None and self.now is None:
            raise OptionError("state is what was measured at a time of the day; give now, the time, too")


@dataclass(frozen=True)
class DispatchDayOptions(DayOptions):
    """The question of the plan of a day.

    Raises:
        OptionError: with all that is wrong.
    """

    day: DayLike = argument(
        "The day: a folder of tables (periods, profiles, storages, vehicles, renewables, flexible loads, …), .xlsx, a "
        "file of periods, a built-in one, as baran33-day, or a date of the profiles in the file of the grid.",
        unit="DAY",
    )

    details: ClassVar[str] = (
        "Open points and resources of all periods are decided at once, against the worst of what is uncertain, proven "
        "and checked by an exact AC power flow in every period."
    )
    examples: ClassVar[str] = f"""\b
Examples:
  openpoint dispatch-day baran33 baran33-day --report day.html
  openpoint dispatch-day baran33 baran33-day --uncertain load=0.1,solar=0.3,wind=0.3 --budget 2
  openpoint dispatch-day baran33 baran33-day --futures futures.csv --risk cvar:0.9
  openpoint dispatch-day baran33 baran33-day --uncertain load=0.1 --budget 2 --samples 1000
  openpoint dispatch-day my_simbench_folder 2016-06-21    (of its own profiles)
  openpoint dispatch-day baran33 my_day/ --topology hourly --max-changes 4 --prices switching=5
  openpoint dispatch-day baran33 my_day/ --now 13:00 --state measured.csv    (the rest of the day)

{EXIT_CODES}"""
