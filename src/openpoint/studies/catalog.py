"""Every study: the only list of them. What is derived from it: JSON Schemas, the reference page, files and pictures.

Nothing of a study is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from openpoint.errors import OptionError

if TYPE_CHECKING:
    from openpoint.results.schema import Schema
    from openpoint.results.shape import Shape


@dataclass(frozen=True)
class Study:
    """A study and what it answers; where a study answers in several shapes, each has its row.

    Attributes:
        title: of its result in the reference.
        place: its folder.
        result: name of the class of its result, in the module `result` of the folder.
        schema: name of the shape of the result in the module `schema` of the folder, or as `module:name`.
        name: by which its JSON Schema is asked for, that of the shape.
        commands: its commands, each with the first sentence of its help; none where another row has them.
        command: module of the command line that adds these by `register(app)`.
        run: name of the function that takes a grid and options, in the module `study` of the folder, for a study
            without a command of its own: the command line makes one of the options, called `name`.
    """

    title: str
    place: str
    result: str
    schema: str
    name: str
    commands: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    run: str = ""

    @property
    def function(self) -> Callable[..., Any]:
        """What `run` names."""
        function: Callable[..., Any] = getattr(import_module(f"{self.place}.study"), self.run)
        return function

    @property
    def shape(self) -> Shape:
        """The keys and tables that it writes."""
        module, _, name = self.schema.rpartition(":")
        shape: Shape = getattr(import_module(module or f"{self.place}.schema"), name)
        return shape

    @property
    def answer(self) -> type[Any]:
        """The class of its result."""
        answer: type[Any] = getattr(import_module(f"{self.place}.result"), self.result)
        return answer


_HERE = "openpoint.studies"


def _study(folder: str, result: str, schema: str, name: str, title: str, **commands: str) -> Study:
    """A study of this package; its commands are in the folder of the same name of the command line."""
    module = f"openpoint.cli.{folder}.command" if commands else ""
    return Study(title, f"{_HERE}.{folder}", result, schema, name, commands, module)


STUDIES = (
    _study(
        "reconfigure",
        "ReconfigureResult",
        "RECONFIGURE",
        "result",
        "Result of `openpoint reconfigure`",
        reconfigure="Find the radial state of least loss that keeps the limits, today, over a year or in many futures.",
        futures="Draw futures of a grid and write them as a table.",
    ),
    _study(
        "reconfigure.futures",
        "FuturesResult",
        "FUTURES",
        "futures",
        "Result of `openpoint reconfigure` for many futures",
    ),
    _study("reconfigure.year", "YearResult", "YEAR", "year", "Result of `openpoint reconfigure` for a year"),
    _study(
        "reconfigure.year.seasons",
        "SeasonsResult",
        "SEASONS",
        "year-blocks",
        "Result of `openpoint reconfigure` for a year in blocks",
    ),
    _study("reconfigure.fleet", "FleetResult", "FLEET", "fleet", "Result of `openpoint reconfigure` for many grids"),
    _study(
        "reconfigure.faults",
        "SecuredResult",
        "SECURED",
        "reconfigure-secure",
        "Result of `openpoint reconfigure --restorable`, `--at-most` and `--minimize`",
    ),
    _study(
        "reconfigure.faults.front",
        "ReconfigureFront",
        "FRONT",
        "reconfigure-front",
        "Result of `openpoint reconfigure --front`",
    ),
    _study(
        "dispatch",
        "DispatchResult",
        "DISPATCH",
        "dispatch",
        "Result of `openpoint dispatch`",
        dispatch="Set switches, taps, capacitor steps and generators at once, so that losses or costs are least.",
    ),
    _study("dispatch.front", "DispatchFront", "FRONT", "dispatch-front", "Result of `openpoint dispatch --pareto`"),
    _study("dispatch.day", "DispatchDayResult", "DAY", "dispatch-day", "Result of `openpoint dispatch --day`"),
    _study(
        "powerflow",
        "PowerflowResult",
        "POWERFLOW",
        "powerflow",
        "Result of `openpoint powerflow`",
        powerflow="Compute the exact AC power flow of today's state.",
    ),
    _study(
        "secure",
        "SecureResult",
        "SECURE",
        "secure",
        "Result of `openpoint secure`",
        secure="Find which faults switching restores, and what a year of faults does to customers.",
    ),
    _study(
        "plan",
        "SwitchPlanResult",
        "PLAN",
        "plan",
        "Result of `openpoint plan`",
        plan="Find an order of switching from one state to another, with the exact state after every step.",
    ),
    _study(
        "harden",
        "HardenResult",
        "HARDEN",
        "harden",
        "Result of `openpoint harden`",
        harden="Choose lines to harden and places for backup generators before a disaster.",
    ),
    _study(
        "partition",
        "PartitionResult",
        "PARTITION",
        "partition",
        "Result of `openpoint partition`",
        partition="Cut a grid that lost its substation into microgrids that serve most load.",
    ),
    _study(
        "partition",
        "PartitionLevels",
        "LEVELS",
        "partition-levels",
        "Results of `openpoint partition` at several levels",
    ),
    _study(
        "partition.steps",
        "PartitionStepsResult",
        f"{_HERE}.partition.schema:STEPS",
        "partition-steps",
        "Result of `openpoint partition --steps`",
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
