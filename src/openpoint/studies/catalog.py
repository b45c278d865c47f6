"""Every study: the only list of them. What is derived from it: JSON Schemas, the reference page, files and pictures.

Nothing of a study is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from openpoint.errors import OptionError
from openpoint.options import request_schema

if TYPE_CHECKING:
    from openpoint.grid.grid import Grid
    from openpoint.results.schema import Schema
    from openpoint.results.shape import Shape
    from openpoint.studies.study import Prepared


@dataclass(frozen=True)
class Study:
    """A study and what it answers; where a study answers in several shapes, each has its row.

    Attributes:
        title: of its result in the reference.
        place: its folder. What follows is named as `module:name` in it.
        result: the class of its result.
        name: by which its JSON Schema is asked for, that of the shape.
        sentence: what its command does, in a sentence. options: the class of its options; of these the command is made,
            which is called `name`.
        prepares: the function that takes a grid and options.
    """

    title: str
    place: str
    result: str
    name: str
    sentence: str
    options: str
    prepares: str = "study:prepare"

    @property
    def question(self) -> type[Any]:
        """The class of its options."""
        question: type[Any] = self._named(self.options)
        return question

    def prepare(self, grid: Grid, question: Any) -> Prepared[Any]:
        """The question about a grid, ready to be solved.

        Raises:
            InputError, OptionError: as the study says.
        """
        prepared: Prepared[Any] = self._named(self.prepares)(grid, question)
        return prepared

    @property
    def shape(self) -> Shape:
        """The keys and tables that it writes."""
        shape: Shape = self.answer.shape
        return shape

    @property
    def answer(self) -> type[Any]:
        """The class of its result."""
        answer: type[Any] = self._named(self.result)
        return answer

    def _named(self, where: str) -> Any:
        module, _, name = where.partition(":")
        return getattr(import_module(f".{module}", self.place), name)


_HERE = "openpoint.studies"


def _study(
    name: str,
    of: str,
    sentence: str,
    *,
    folder: str = "",
    options: str = "options",
    result: str = "",
) -> Study:
    """A study of this package with its command.

    Args:
        name, sentence: of the command. of: how the classes of its options and of its result begin.
        folder: its own, where that is called otherwise. options: module of its options, in its folder or after a dot in
            that above it. result: its class, where that is called otherwise.
    """
    return Study(
        title=f"Result of `openpoint {name}`",
        place=f"{_HERE}.{folder or name}",
        result=f"result:{result or f'{of}Result'}",
        name=name,
        sentence=sentence,
        options=f"{options}:{of}Options",
    )


STUDIES = (
    _study("reconfigure", "Reconfigure", "Find the radial state of least loss that keeps the limits."),
    _study(
        "reconfigure-futures",
        "ReconfigureFutures",
        "Find one radial state for many futures.",
        folder="reconfigure.futures",
        options=".options",
        result="FuturesResult",
    ),
    _study(
        "reconfigure-year",
        "ReconfigureYear",
        "Find one radial state for a year, of least energy lost.",
        folder="reconfigure.year",
        options=".options",
        result="YearResult",
    ),
    _study(
        "reconfigure-seasons",
        "ReconfigureSeasons",
        "Find a radial state for each month or season of a year, with few switch operations between them.",
        folder="reconfigure.year.seasons",
        options="..options",
        result="SeasonsResult",
    ),
    _study(
        "reconfigure-secure",
        "ReconfigureSecure",
        "Find the radial state of least loss, or of least interruptions, with faults as a limit.",
        folder="reconfigure.faults",
        result="SecuredResult",
    ),
    _study(
        "reconfigure-front",
        "ReconfigureFront",
        "Find the radial states of which none has both less loss and less that faults do.",
        folder="reconfigure.faults.front",
        options=".options",
        result="ReconfigureFront",
    ),
    _study(
        "reconfigure-fleet",
        "ReconfigureFleet",
        "Reconfigure many grids, each by itself, with one table and one page of all.",
        folder="reconfigure.fleet",
        result="FleetResult",
    ),
    _study(
        "dispatch",
        "Dispatch",
        "Set switches, taps, capacitor steps and generators at once, so that losses or costs are least.",
    ),
    _study(
        "dispatch-front",
        "DispatchFront",
        "Draw the front of two criteria, each point proven.",
        folder="dispatch.front",
        options=".options",
        result="DispatchFront",
    ),
    _study(
        "dispatch-day",
        "DispatchDay",
        "Plan a day ahead: open points and resources of all periods, against the worst of what is uncertain.",
        folder="dispatch.day",
    ),
    _study("powerflow", "Powerflow", "Compute the exact AC power flow of today's state."),
    _study("enclose", "Enclose", "Bound voltages, currents and losses for every load of a set, proven in exact AC."),
    _study(
        "secure",
        "Secure",
        "Find which faults switching restores, and what a year of faults does to customers.",
    ),
    _study(
        "plan",
        "SwitchPlan",
        "Find an order of switching from one state to another, with the exact state after every step.",
    ),
    _study(
        "harden",
        "Harden",
        "Choose lines to harden and places for backup generators before a disaster.",
    ),
    _study("partition", "Partition", "Cut a grid that lost its substation into microgrids that serve most load."),
    _study(
        "partition-steps",
        "PartitionSteps",
        "Cut it in every step of a day, with events, profiles and storage.",
        folder="partition.steps",
        options=".options",
    ),
    _study("compare", "Compare", "Ask the same study in several cases, and put their figures side by side."),
)


def _horizon() -> Schema:
    from openpoint.results.columns import input_schema
    from openpoint.scenarios.horizon import HORIZON_SCHEMAS

    return input_schema("horizon", HORIZON_SCHEMAS, ["steps"])


def _grid() -> Schema:
    from openpoint.grid.schemas import SCHEMAS
    from openpoint.results.columns import input_schema

    return input_schema("grid", SCHEMAS, ["buses", "sources"])


def _claim() -> Schema:
    found: Schema = import_module(f"{_HERE}.verify.schema").claim_schema()
    return found


_OTHERS: dict[str, Callable[[], Schema]] = {"claim": _claim, "horizon": _horizon, "grid": _grid}


def names() -> tuple[str, ...]:
    """The names of all JSON Schemas."""
    return (*(study.name for study in STUDIES), *_OTHERS)


def requested(name: str) -> Schema:
    """The JSON Schema (draft 2020-12) of a request: a study, its grid and its options, each with its group and unit.

    A form is made of it.

    Raises:
        OptionError: no study is called so.
    """
    known = {study.name: study for study in STUDIES}
    if name not in known:
        raise OptionError(f"no study is called {name!r}; there are {', '.join(known)}")
    return request_schema(name, known[name].question)


def published(name: str) -> Schema:
    """The JSON Schema (draft 2020-12) of that name: of what a study or a check writes, or of tables that are read.

    What has no value is null: JSON knows neither infinity nor NaN.

    Raises:
        OptionError: there is none of that name.
    """
    for study in STUDIES:
        if study.name == name:
            return study.shape.json_schema()
    if name in _OTHERS:
        return _OTHERS[name]()
    raise OptionError(f"no schema is called {name!r}; there are {', '.join(names())}")
