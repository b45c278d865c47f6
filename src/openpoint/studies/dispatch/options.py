"""Options of dispatch, checked in one place: for one state, and for a front of two criteria."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, ClassVar

from openpoint.arguments import Names, names_of, numbers_by_name
from openpoint.errors import OptionError
from openpoint.options import FIRST, Output, argument, option
from openpoint.studies.shared import EXIT_CODES, ByMethod, Certified, Chosen, Limited

if TYPE_CHECKING:
    from openpoint.studies.dispatch.methods import Method

Weights = str | Mapping[str, float]
"""Numbers by criterion, as a mapping or as text: `losses=1,balance=0.2`."""
DETAILS = (
    "The answer is proven by a lower bound and checked by an exact AC power flow; steps and taps in it are whole "
    "numbers. A run stopped by a limit or by Ctrl-C keeps the best solution found."
)
MAY_MOVE = """\b
What may move is said by the grid: switchable branches; transformers with taps and sources with a range of voltages;
capacitors with steps; generators with limits, and with may_stop. Prices stand in sources and generators."""


@dataclass(frozen=True, kw_only=True)
class StateQuestion(Limited, Chosen, ByMethod):
    """The common options of questions about an operating state."""

    free: Names | None = option(
        None,
        "What may move: topology (switches), taps (tap changers, voltages that sources hold), capacitors (steps), "
        "generators (outputs), commitment (whether generators run); as topology,taps.  [default: all that the grid "
        "says may move]",
        unit="KINDS",
        group=FIRST,
    )
    at_most: Weights = option(
        "",
        "What is kept beside the limits: the most of a criterion, as balance=0.8,changes=4.",
        unit="BOUNDS",
        group=FIRST,
    )
    max_changes: int | None = option(None, "Switch at most so many branches.", "whole", unit="N", least=0, group=FIRST)
    method: Method | str | None = option(
        None,
        "How the optimum is found and proven: search, benders, extensive (with another solver as extensive:highs), "
        "enumeration.  [default: search where what is sought has a bound in closed form; else enumeration where states "
        "are few, else benders]",
        unit="METHOD",
        group=FIRST,
    )

    methods: ClassVar[tuple[str, ...]] = ("search", "benders", "extensive", "enumeration")

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), self._check_free, self._check_at_most]

    @property
    def most(self) -> Mapping[str, float]:
        """The most that a criterion may be."""
        return by_criterion(self.at_most, "at_most", None)

    @property
    def most_changes(self) -> int | None:
        """The most switches whose state may change: the less of `max_changes` and what `at_most` says."""
        bounds = [self.max_changes, self.most.get("changes")]
        return min((int(most) for most in bounds if most is not None), default=None)

    def _check_free(self) -> None:
        from openpoint.network.freedom import FREE

        if self.free is None:
            return
        given = self.free.split(",") if isinstance(self.free, str) else names_of(self.free, "free")
        kinds = tuple(dict.fromkeys(kind.strip() for kind in given))
        if unknown := [kind for kind in kinds if kind not in FREE]:
            raise OptionError(f"free names {', '.join(map(repr, unknown))}; what may be free is {', '.join(FREE)}")
        object.__setattr__(self, "free", kinds)

    def _check_at_most(self) -> None:
        object.__setattr__(self, "at_most", by_criterion(self.at_most, "at_most", None))


@dataclass(frozen=True, kw_only=True)
class DispatchOptions(StateQuestion, Certified):
    """The question of an operating state.

    Raises:
        OptionError: with all that is wrong.
    """

    minimize: Weights = option(
        "losses",
        "What is least: losses (kW), cost ($/h), balance (sum over feeder heads of squared loading), deviation (mean "
        "of |v² − 1| / 2, pu), changes (switches moved), moves (devices moved); several with weights, as "
        "losses=1,balance=0.2: a weight says what a unit counts.",
        unit="WEIGHTS",
        group=FIRST,
    )

    outputs: ClassVar[tuple[Output, ...]] = (
        Output(
            name="new_state",
            flag="out",
            sentence="Write the grid in its new state: a folder of tables, or .xlsx.",
            unit="PLACE",
            method="write_state",
        ),
    )
    details: ClassVar[str] = DETAILS
    examples: ClassVar[str] = f"""{MAY_MOVE}

\b
Examples:
  openpoint dispatch my_grid/
  openpoint dispatch my_grid/ --free topology,capacitors --v-min 0.95 --report report.html
  openpoint dispatch my_grid/ --minimize losses=1,balance=0.2
  openpoint dispatch my_grid/ --minimize cost --at-most changes=4 --out new_state/
  openpoint dispatch my_grid/ --certificate proof.gz    (openpoint verify my_grid/ proof.gz)
  openpoint dispatch my_grid/ --tables tables/    (actions.csv is the list for the control room)

\b
Other questions about states:
  openpoint dispatch-front     the front of two criteria
  openpoint dispatch-day       a day ahead, against the worst of what is uncertain

{EXIT_CODES}"""

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), self._check_minimize]

    @property
    def weights(self) -> Mapping[str, float]:
        """What is minimised, above 0 by criterion."""
        return by_criterion(self.minimize, "minimize", 1.0)

    def _check_minimize(self) -> None:
        weights = by_criterion(self.minimize, "minimize", 1.0)
        if not any(weights.values()):
            raise OptionError("minimize gives every criterion the weight 0; give one at least a weight above 0")
        object.__setattr__(self, "minimize", {name: weight for name, weight in weights.items() if weight})


@dataclass(frozen=True)
class DispatchFrontOptions(StateQuestion):
    """The question of the front of two criteria, each point proven. A time limit is that of all points together.

    Raises:
        OptionError: with all that is wrong.
    """

    criteria: Names = argument(
        "Two criteria, as losses,changes: the first is least at several bounds of the second, which may be v_min, the "
        "lowest voltage.",
        unit="A,B",
    )
    _: KW_ONLY
    points: int = option(9, "Most points.", "whole", unit="N", least=2, group=FIRST)

    details: ClassVar[str] = DETAILS
    examples: ClassVar[str] = f"""{MAY_MOVE}

\b
Examples:
  openpoint dispatch-front my_grid/ losses,changes --report front.html

{EXIT_CODES}"""

    @property
    def of_each(self) -> DispatchOptions:
        """The question of a point."""
        shared = {each.name: getattr(self, each.name) for each in fields(StateQuestion)}
        return DispatchOptions(**{**shared, "progress": None})


def by_criterion(given: Weights, what: str, default: float | None) -> dict[str, float]:
    """The numbers in an argument, by criterion.

    Raises:
        OptionError: with all that is wrong.
    """
    from openpoint.network.criteria import CRITERIA

    return numbers_by_name(given, what, tuple(CRITERIA), "criteria", default)
