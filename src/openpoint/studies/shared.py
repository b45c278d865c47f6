"""Options that several studies have: limits, branches given to the choice, the method and its limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from openpoint.arguments import Names, Solves, names_of, of_kind
from openpoint.errors import OptionError
from openpoint.options import EXIT_CODES as EXIT_CODES
from openpoint.options import FIRST, Output, Question, option, parts

if TYPE_CHECKING:
    import os

    from openpoint.grid.grid import Grid
    from openpoint.network.limits import Limits
    from openpoint.twostage.workers.executors import Choice

LIMITS, GRID, METHOD = "Limits", "Branches to choose from", "Method"
TIME_LIMIT_S = 600.0
"""Seconds after which a command stops unless another limit is given."""
EXECUTOR = (
    "Where work is shared: serial, processes:4 or dask://host:port; a Dask scheduler and its workers are trusted, "
    "since they can run any code here."
)


COPY = Output(
    name="write",
    sentence="Copy the grid's own file with the switch states of the answer; .geojson: the answer as a map.",
)
PLAIN = "plain"
_OWN = ("time_limit_s", "gap", "executor", "certificate", "checkpoint")
"""Options that not every method has."""


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """The limits to keep, where they are not those of the grid."""

    meaning: ClassVar[str] = "the limits to keep; default: those of the grid."

    v_min: float | None = option(
        None, "Lower voltage limit of all buses, instead of the grid's.", "number", unit="PU", least=0.0, group=LIMITS
    )
    v_max: float | None = option(
        None, "Upper voltage limit of all buses, instead of the grid's.", "number", unit="PU", least=0.0, group=LIMITS
    )
    ignore_limits: str | None = option(
        None, "Ignore all limits of voltage, of current, or both.", choices=("voltage", "current", "all"), group=LIMITS
    )

    def made(self) -> Limits:
        """The limits.

        Raises:
            OptionError: limits that contradict each other.
        """
        from openpoint.network.limits import Limits

        given = self.v_min is not None or self.v_max is not None
        if self.ignore_limits in ("voltage", "all") and given:
            raise OptionError("--ignore-limits and --v-min or --v-max contradict each other; leave one out")
        return Limits(
            voltage=self.ignore_limits not in ("voltage", "all"),
            current=self.ignore_limits not in ("current", "all"),
            v_min_pu=self.v_min,
            v_max_pu=self.v_max,
        )


@dataclass(frozen=True, kw_only=True)
class Limited(Question):
    """A question about a grid whose limits may be others."""

    limits: Limits | None = parts(LimitOptions)

    def _checks(self) -> list[Callable[[], object]]:
        from openpoint.network.limits import Limits

        return [*super()._checks(), lambda: Limits.given(self.limits)]


@dataclass(frozen=True, kw_only=True)
class Chosen(Question):
    """A question whose answer says what is open: branches that are given to the choice, and those whose state is given.

    Each name is that of a branch or a pattern such as `CB*`, or holds several with commas between them.
    """

    locked_open: Names = option(
        (), "Names or patterns (7,CB*) of branches that stay open.", "names", unit="NAMES", flag="open", group=GRID
    )
    locked_closed: Names = option(
        (), "Names or patterns of branches that stay closed.", "names", unit="NAMES", flag="close", group=GRID
    )
    switchable: Names = option(
        (),
        "Names or patterns (T1,CB*) of what may be switched though the grid does not say so.",
        "names",
        unit="NAMES",
        group=GRID,
    )

    def on(self, grid: Grid) -> tuple[Grid, Self]:
        """The grid with what is asked for given to the choice, and the question with one name each.

        Raises:
            InputError: a name that is no branch, or a branch that keeps its state.
            OptionError: something that is no name.
        """
        from openpoint.grid.today import as_asked

        names: dict[str, Any]
        names = {
            each: split(grid, getattr(self, each), each) for each in ("switchable", "locked_open", "locked_closed")
        }
        return as_asked(grid, *names.values()), replace(self, **names)


def split(grid: Grid, given: Any, what: str) -> tuple[str, ...]:
    """The branches in an argument, as `openpoint.grid.today.named`.

    Raises:
        OptionError: something that is no name.
    """
    from openpoint.grid.today import named

    return tuple(named(grid, names_of(given, what)))


@dataclass(frozen=True, kw_only=True)
class Timed(Question):
    """A question whose answer may be cut short."""

    time_limit_s: float | None = option(
        None,
        "Stop then and keep the best; inf: only when done.",
        "number",
        unit="SECONDS",
        least=0.0,
        endless=True,
        flag="time-limit",
        command_default=TIME_LIMIT_S,
        group=FIRST,
    )


@dataclass(frozen=True, kw_only=True)
class ByMethod(Timed):
    """A question that a method answers, which may be named.

    Class attributes:
        methods: the names that the study knows, the first where none is named and a file of the search is.
        extensive: solver of the extensive form where none is named.
        gap_of_named: gap of a method that is named without one; None = its own.
    """

    methods: ClassVar[tuple[str, ...]] = ()
    extensive: ClassVar[str] = "scip"
    gap_of_named: ClassVar[float | None] = None

    gap: float | None = option(
        None, "Relative gap to prove; 1e-4 is 0.01 %.", "number", unit="FRACTION", least=0.0, group=FIRST
    )
    executor: Choice | str | None = option(None, EXECUTOR, unit="WHERE", group=METHOD)

    @property
    def unnamed(self) -> str:
        """The method where none is named, and an option of one is given."""
        return self.methods[0]

    def own_method(self, name: str) -> Any:
        """A method that only this study has, by its name; None where it has none of that name."""
        return None

    @property
    def chosen(self) -> Any:
        """The method; None where the study chooses it.

        Raises:
            OptionError: a name that it does not know, or an option that the method does not have.
        """
        return _method_of(self)

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), lambda: self.chosen]


@dataclass(frozen=True, kw_only=True)
class Certified(ByMethod):
    """A question whose search can write its proof."""

    certificate: str | os.PathLike[str] | None = option(
        None,
        "Write the proof as well (search); openpoint verify checks it by itself.",
        "path",
        unit="FILE",
        group="Output",
    )
    checkpoint: str | os.PathLike[str] | None = option(
        None,
        "Keep the open search here, now and then and when it stops (search); if it is there, go on from it.",
        "path",
        unit="FILE",
        group="Output",
    )


def _method_of(question: ByMethod) -> Any:
    """The method that a question names, or one given whole; None where neither is.

    A text is a name, or a name and what it is solved with: `extensive:highs`, `benders:plain`. Options of the question
    stand in the place of those of the method.

    Raises:
        OptionError: a name that the study does not know, or an option that the method does not have.
    """
    from openpoint.twostage.workers.executors import executor_from

    given = question.method  # type: ignore[attr-defined]
    files = [name for name in ("certificate", "checkpoint") if getattr(question, name, None) is not None]
    if given is None and not files and question.executor is None:
        return None
    options: dict[str, Any] = {}
    if given is not None and not isinstance(given, str):
        of_kind(given, Solves, "method", f"one of {', '.join(question.methods)}, or a method such as Benders()")
        made, name = given, type(given).__name__
    else:
        name, _, how = (given or question.unnamed).partition(":")
        if name not in question.methods:
            raise OptionError(f"method is {given!r}; give one of {', '.join(question.methods)}")
        made = question.own_method(name) or _made(name, how or (question.extensive if name == "extensive" else ""))
        if question.gap_of_named is not None and any(each.name == "gap" for each in fields(made)):
            options["gap"] = question.gap_of_named
    has = {each.name for each in fields(made)} if is_dataclass(made) else set[str]()
    for own in _OWN:
        value = getattr(question, own, None)
        if value is None:
            continue
        if own not in has:
            words = f"{own} is no option of {name}" if made is given else f"--{own} is no option of --method {name}"
            raise OptionError(f"{words}; leave one of both out")
        options[own] = executor_from(value) if own == "executor" and isinstance(value, str) else value
    return replace(made, **options) if options else made


def _made(name: str, how: str) -> Any:
    """The method of that name with its own defaults.

    Raises:
        OptionError: it is solved in no such way.
    """
    from openpoint.search.methods import Enumeration, TopologySearch
    from openpoint.twostage.methods.decomposition import Benders, ColumnAndConstraint
    from openpoint.twostage.methods.solving import ExtensiveForm

    if name == "extensive":
        return ExtensiveForm(solver=how)
    if name == "benders" and how in ("", PLAIN):
        return Benders(relaxation=not how)
    if how:
        raise OptionError(f"method is {name}:{how}; {name} has no such way, give {name} alone")
    return {"search": TopologySearch, "enumeration": Enumeration, "ccg": ColumnAndConstraint}[name]()


DEVIATING = ("load", "generation", "resistance", "reactance")
_ADVICE = "load=10%, or load=0.1,generation=0.3,resistance=0.05: shares of their power or ohms, down and up"
FOR_EVERY = (
    "What deviates, each load, generator and branch by itself: shares of their power or ohms, down and up, as "
    "load=10%,generation=30%,resistance=5%."
)


@dataclass(frozen=True, kw_only=True)
class ForEvery(Question):
    """A question about every load and generation of a set."""

    for_every: str | Mapping[str, float | str] | None = option(
        None, FOR_EVERY + "  [default: nothing]", unit="SHARES", flag="for-every", group=FIRST
    )

    @property
    def shares(self) -> dict[str, float]:
        """The shares by group."""
        if self.for_every is None:
            return {}
        of_kind(self.for_every, str | Mapping, "for_every", _ADVICE)
        given = _pairs(self.for_every) if isinstance(self.for_every, str) else dict(self.for_every)
        for group in given:
            if group not in DEVIATING:
                raise OptionError(f"for_every names {group!r}; the groups are {', '.join(DEVIATING)}")
        return {group: _share(group, value) for group, value in given.items()}

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), lambda: self.shares]

    @property
    def set_words(self) -> str:
        """What deviates, in words."""
        return ", ".join(f"{group} ±{100 * share:g} %" for group, share in self.shares.items())


@dataclass(frozen=True, kw_only=True)
class ForEverySome(ForEvery):
    """The same, of which only some deviate at once."""

    budget: float | None = option(
        None,
        "At most so many of them deviate fully at once, or more by less.  [default: any number]",
        "number",
        unit="K",
        least=0.0,
        group=FIRST,
    )

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), self._check_budget]

    def _check_budget(self) -> None:
        if self.budget is not None and self.for_every is None:
            raise OptionError("budget bounds what deviates, and nothing does; give for_every, too")


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(","):
        group, equals, value = (each.strip() for each in part.partition("="))
        if not equals or group in found:
            raise OptionError(f"for_every is {text!r}; give {_ADVICE}")
        found[group] = value
    return found


def _share(group: str, given: float | str) -> float:
    """A share of a number, or of a text such as `10%` or `±10 %`."""
    text = str(given).strip().removeprefix("±").strip()
    percent = text.endswith("%")
    try:
        value = float(text.removesuffix("%")) / (100.0 if percent else 1.0)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise OptionError(f"for_every has {given!r} for {group}; give {_ADVICE}")
    return value
