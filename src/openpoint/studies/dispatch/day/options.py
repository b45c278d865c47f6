"""What dispatch over a day is asked beside its grid and its day, checked in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

from openpoint.arguments import Names, all_checked, names_of, not_negative, of_kind
from openpoint.errors import OptionError
from openpoint.network.limits import Limits
from openpoint.scenarios.day.clock import NowLike, StateLike
from openpoint.scenarios.day.uncertain import WANTED, Budget, DayFuturesLike, Uncertainty
from openpoint.studies.dispatch.day.methods import MethodName
from openpoint.studies.dispatch.day.model.question import Cadence
from openpoint.twostage.risk import Expectation, Regret, Risk, read_risk

SharesLike = str | Mapping[str, float]
"""Shares of the forecast by group, as a mapping or as text: `load=0.1,solar=0.3`."""
BudgetLike = str | int | Mapping[str, int | Budget]
"""How much deviates: a number of periods for all, or by group; as text `2` or `load=2,solar=1/3`."""
RiskLike = Risk | str
"""How the costs of futures become one number: a risk, or as text `expected`, `cvar:0.9` or `worst`."""
Often = Literal["fixed", "once", "hourly"]
"""How often something is decided: as today, once for the day, or in every period."""


@dataclass(frozen=True, kw_only=True)
class DayOptions:
    """The arguments of `openpoint.dispatch_day`; see there.

    Raises:
        OptionError: with all that is wrong.
    """

    uncertain: SharesLike | None = None
    budget: BudgetLike | None = None
    futures: DayFuturesLike | int | None = None
    risk: RiskLike | None = None
    topology: Often = "once"
    positions: Often = "fixed"
    max_changes: int | None = None
    switching_price: float = 0.0
    moving_price: float = 0.0
    loss_price: float = 0.0
    shift_buses: float | None = None
    shift_time: float | None = None
    source_max_kw: float | None = None
    limits: Limits | None = None
    locked_open: Names = ()
    locked_closed: Names = ()
    switchable: Names = ()
    method: MethodName | None = None
    samples: int = 0
    seed: int = 0
    gap: float = 1e-3
    time_limit_s: float | None = None
    now: NowLike | None = None
    state: StateLike | None = None

    def __post_init__(self) -> None:
        all_checked(
            self._check_budget,
            self._check_futures,
            self._check_risk,
            lambda: _one_of(self.topology, get_args(Often), "topology"),
            lambda: _one_of(self.positions, get_args(Often), "positions"),
            self._check_max_changes,
            lambda: not_negative("switching_price", self.switching_price),
            lambda: not_negative("moving_price", self.moving_price),
            lambda: not_negative("loss_price", self.loss_price),
            *(lambda name=name: self._check_share(name) for name in ("shift_buses", "shift_time")),
            *(lambda name=name: self._as_names(name) for name in ("locked_open", "locked_closed", "switchable")),
            lambda: Limits.given(self.limits),
            lambda: _one_of(self.method, (*get_args(MethodName), None), "method"),
            *(lambda name=name: not_negative(name, getattr(self, name)) for name in ("samples", "seed", "gap")),
            self._check_samples,
            self._check_state,
            lambda: not_negative("source_max_kw", 0.0 if self.source_max_kw is None else self.source_max_kw),
            lambda: not_negative("time_limit_s", 0.0 if self.time_limit_s is None else self.time_limit_s),
        )

    @property
    def uncertainty(self) -> Uncertainty | None:
        """What is uncertain; None = nothing."""
        return None if self.uncertain is None else Uncertainty.of(self.uncertain, self.budget)

    @property
    def measure(self) -> Risk:
        """How the costs of futures become one number."""
        return read_risk(self.risk) if isinstance(self.risk, str) else self.risk or Expectation()

    @property
    def cadence(self) -> Cadence:
        """How often the topology is decided."""
        return Cadence(self.topology)

    def _check_budget(self) -> None:
        if self.uncertain is None and self.budget is not None:
            raise OptionError("budget bounds what deviates, and nothing is uncertain; give uncertain, too")
        _ = self.uncertainty

    def _check_futures(self) -> None:
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
        if self.risk is None:
            return
        if self.futures is None:
            raise OptionError("risk is of the costs of futures; give futures, or leave it out")
        of_kind(self.risk, Risk | str, "risk", "expected, cvar:0.9 or worst")
        if isinstance(self.measure, Regret):
            raise OptionError("the regret of the futures of a day is not counted; give expected, cvar:0.9 or worst")

    def _check_max_changes(self) -> None:
        if self.max_changes is None:
            return
        of_kind(self.max_changes, Real, "max_changes", "0 or more switches")
        if self.max_changes < 0:
            raise OptionError(f"max_changes is {self.max_changes}; give 0 or more")
        if self.topology == "fixed" and self.max_changes > 0:
            raise OptionError("max_changes bounds switching, and topology='fixed' has none; leave one of both out")

    def _check_samples(self) -> None:
        if self.samples and self.futures is not None and self.uncertain is None:
            raise OptionError("samples draws days, and a table of futures does not say how; draw futures, or leave out")
        if self.samples and self.uncertain is None:
            raise OptionError("samples draws days from what is uncertain, and nothing is; give uncertain, too")

    def _check_state(self) -> None:
        if self.state is not None and self.now is None:
            raise OptionError("state is what was measured at a time of the day; give now, the time, too")

    def _check_share(self, name: str) -> None:
        value = getattr(self, name)
        if value is None:
            return
        not_negative(name, value)
        if value > 1.0:
            raise OptionError(f"{name} is {value:g}; it is a share of the load of a bus, give 0 to 1, such as 0.1")

    def _as_names(self, name: str) -> None:
        object.__setattr__(self, name, names_of(getattr(self, name), name))  # an iterator is read once


def _one_of(given: Any, known: tuple[str | None, ...], what: str) -> None:
    """Refuse a word that is none of those known.

    Raises:
        OptionError: naming them.
    """
    if given not in known:
        raise OptionError(f"{what} is {given!r}; give {', '.join(map(repr, known[:-1]))} or {known[-1]!r}")
