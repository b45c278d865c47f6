"""Every study: the only list of them. What is derived from it: JSON Schemas, the reference page, files and pictures.

Nothing of a study is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
        command: module of the command line that adds its commands by `register(app)`; empty where another row does.
        run: name of the function that takes a grid and options, in the module `study` of the folder, for a study
            without a command of its own: the command line makes one of the options, called `name`.
    """

    title: str
    place: str
    result: str
    schema: str
    name: str
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


def _study(folder: str, result: str, schema: str, name: str, title: str, *, command: bool = True) -> Study:
    """A study of this package; its command is in the folder of the same name of the command line."""
    module = f"openpoint.cli.{folder}.command" if command else ""
    return Study(title, f"{_HERE}.{folder}", result, schema, name, module)


STUDIES = (
    _study("reconfigure", "ReconfigureResult", "RECONFIGURE", "result", "Result of `openpoint reconfigure`"),
    _study(
        "reconfigure.futures",
        "FuturesResult",
        "FUTURES",
        "futures",
        "Result of `openpoint reconfigure` for many futures",
        command=False,
    ),
    _study(
        "reconfigure.year",
        "YearResult",
        "YEAR",
        "year",
        "Result of `openpoint reconfigure` for a year",
        command=False,
    ),
    _study(
        "reconfigure.year.seasons",
        "SeasonsResult",
        "SEASONS",
        "year-blocks",
        "Result of `openpoint reconfigure` for a year in blocks",
        command=False,
    ),
    _study(
        "reconfigure.fleet",
        "FleetResult",
        "FLEET",
        "fleet",
        "Result of `openpoint reconfigure` for many grids",
        command=False,
    ),
    _study(
        "reconfigure.faults",
        "SecuredResult",
        "SECURED",
        "reconfigure-secure",
        "Result of `openpoint reconfigure --restorable`, `--at-most` and `--minimize`",
        command=False,
    ),
    _study(
        "reconfigure.faults.front",
        "ReconfigureFront",
        "FRONT",
        "reconfigure-front",
        "Result of `openpoint reconfigure --front`",
        command=False,
    ),
    _study("dispatch", "DispatchResult", "DISPATCH", "dispatch", "Result of `openpoint dispatch`"),
    _study(
        "dispatch.front",
        "DispatchFront",
        "FRONT",
        "dispatch-front",
        "Result of `openpoint dispatch --pareto`",
        command=False,
    ),
    _study(
        "dispatch.day",
        "DispatchDayResult",
        "DAY",
        "dispatch-day",
        "Result of `openpoint dispatch --day`",
        command=False,
    ),
    _study("powerflow", "PowerflowResult", "POWERFLOW", "powerflow", "Result of `openpoint powerflow`"),
    _study("secure", "SecureResult", "SECURE", "secure", "Result of `openpoint secure`"),
    _study("plan", "SwitchPlanResult", "PLAN", "plan", "Result of `openpoint plan`"),
    _study("harden", "HardenResult", "HARDEN", "harden", "Result of `openpoint harden`"),
    _study("partition", "PartitionResult", "PARTITION", "partition", "Result of `openpoint partition`"),
    _study(
        "partition",
        "PartitionLevels",
        "LEVELS",
        "partition-levels",
        "Results of `openpoint partition` at several levels",
        command=False,
    ),
    _study(
        "partition.steps",
        "PartitionStepsResult",
        f"{_HERE}.partition.schema:STEPS",
        "partition-steps",
        "Result of `openpoint partition --steps`",
        command=False,
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


_INPUTS: dict[str, Callable[[], Schema]] = {"horizon": _horizon, "grid": _grid}


def names() -> tuple[str, ...]:
    """The names of all JSON Schemas."""
    return (*(study.name for study in STUDIES), *_INPUTS)


def published(name: str) -> Schema:
    """The JSON Schema (draft 2020-12) of that name: of what a study writes, or of tables that are read.

    What has no value is null: JSON knows neither infinity nor NaN.

    Raises:
        OptionError: there is none of that name.
    """
    for study in STUDIES:
        if study.name == name:
            return study.shape.json_schema()
    if name in _INPUTS:
        return _INPUTS[name]()
    raise OptionError(f"no schema is called {name!r}; there are {', '.join(names())}")
