"""Every study: the only list of them. What is derived from it: JSON Schemas, the reference page, files and pictures.

Nothing of a study is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
        commands: its commands, each with the first sentence of its help; none where another row has them.
        command: module of the command line that adds these by `register(app)`.
        sentence: what its command does, in a sentence. options: the class of its options; of these the command is made,
            which is called `name`.
        prepares: the function that takes a grid and options.
    """

    title: str
    place: str
    result: str
    name: str
    commands: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    sentence: str = ""
    options: str = ""
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


def _study(folder: str, result: str, name: str, title: str, **commands: str) -> Study:
    """A study of this package; its commands are in the folder of the same name of the command line."""
    module = f"openpoint.cli.{folder}.command" if commands else ""
    return Study(title, f"{_HERE}.{folder}", f"result:{result}", name, commands, module)


def _asked(
    name: str,
    of: str,
    sentence: str,
    *,
    folder: str = "",
    options: str = "options",
    result: str = "",
    prepares: str = "study:prepare",
) -> Study:
    """A study of this package with its command.

    Args:
        name, sentence: of the command. of: how the classes of its options and of its result begin.
        folder: its own, where that is called otherwise. options: module of its options, in its folder or after a dot in
            that above it. result: its class, where that is called otherwise. prepares: the function.
    """
    return Study(
        title=f"Result of `openpoint {name}`",
        place=f"{_HERE}.{folder or name}",
        result=f"result:{result or f'{of}Result'}",
        name=name,
        sentence=sentence,
        options=f"{options}:{of}Options",
        prepares=prepares,
    )


STUDIES = (
    _asked("reconfigure", "Reconfigure", "Find the radial state of least loss that keeps the limits."),
    _asked(
        "reconfigure-futures",
        "ReconfigureFutures",
        "Find one radial state for many futures.",
        folder="reconfigure.futures",
        options=".options",
        result="FuturesResult",
    ),
    _asked(
        "reconfigure-year",
        "ReconfigureYear",
        "Find one radial state for a year, of least energy lost.",
        folder="reconfigure.year",
        options=".options",
        result="YearResult",
    ),
    _asked(
        "reconfigure-seasons",
        "ReconfigureSeasons",
        "Find a radial state for each month or season of a year, with few switch operations between them.",
        folder="reconfigure.year.seasons",
        options="..options",
        result="SeasonsResult",
    ),
    _asked(
        "reconfigure-secure",
        "ReconfigureSecure",
        "Find the radial state of least loss, or of least interruptions, with faults as a limit.",
        folder="reconfigure.faults",
        result="SecuredResult",
    ),
    _asked(
        "reconfigure-front",
        "ReconfigureFront",
        "Find the radial states of which none has both less loss and less that faults do.",
        folder="reconfigure.faults.front",
        options=".options",
        result="ReconfigureFront",
    ),
    _asked(
        "reconfigure-fleet",
        "ReconfigureFleet",
        "Reconfigure many grids, each by itself, with one table and one page of all.",
        folder="reconfigure.fleet",
        result="FleetResult",
    ),
    _study(
        "dispatch",
        "DispatchResult",
        "dispatch",
        "Result of `openpoint dispatch`",
        dispatch="Set switches, taps, capacitor steps and generators at once, so that losses or costs are least.",
    ),
    _study("dispatch.front", "DispatchFront", "dispatch-front", "Result of `openpoint dispatch --pareto`"),
    _study("dispatch.day", "DispatchDayResult", "dispatch-day", "Result of `openpoint dispatch --day`"),
    _asked("powerflow", "Powerflow", "Compute the exact AC power flow of today's state."),
    _asked(
        "secure",
        "Secure",
        "Find which faults switching restores, and what a year of faults does to customers.",
    ),
    _asked(
        "plan",
        "SwitchPlan",
        "Find an order of switching from one state to another, with the exact state after every step.",
    ),
    _asked(
        "harden",
        "Harden",
        "Choose lines to harden and places for backup generators before a disaster.",
    ),
    _asked("partition", "Partition", "Cut a grid that lost its substation into microgrids that serve most load."),
    _asked(
        "partition-levels",
        "PartitionLevels",
        "Cut it at several levels of uncertainty, to see what robustness costs.",
        folder="partition",
        prepares="levels:prepare",
    ),
    _asked(
        "partition-steps",
        "PartitionSteps",
        "Cut it in every step of a day, with events, profiles and storage.",
        folder="partition.steps",
        options=".options",
    ),
)


def _horizon() -> Schema:
    from openpoint.results.input_schema import input_schema
    from openpoint.scenarios.horizon import HORIZON_SCHEMAS

    return input_schema("horizon", HORIZON_SCHEMAS, ["steps"])


def _grid() -> Schema:
    from openpoint.grid.schemas import SCHEMAS
    from openpoint.results.input_schema import input_schema

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
    known = {study.name: study for study in STUDIES if study.options}
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
