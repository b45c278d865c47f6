"""Options of a study: each declared once, with its sentence, unit, group and default.

From the declaration follow the Python function, the command and its help, the file of options and the JSON Schema of a
request. Nothing heavy is imported here nor where options are declared, so that the help answers at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import partial
from numbers import Real
from typing import Any, ClassVar, Literal

from openpoint.arguments import all_checked, names_of, of_kind
from openpoint.errors import OptionError

Kind = Literal["number", "whole", "flag", "text", "path", "names"]
"""What an option takes; `names` is a list of texts."""
KEY = "option"
FIRST = "Used most"
"""The group of the options that people use first."""
PARTS = "parts"
EXIT_CODES = """\b
Exit codes:
   0  solved: optimal, or within the gap asked for
   2  bad input or usage; the message names the place and the remedy
   3  proven infeasible: no topology keeps the limits; with --soft-limits the answer breaks them
   4  not proven: stopped by a limit of time or iterations, or a local optimum; the best solution is kept
  70  internal error: please report it
  71  the memory did not suffice
  74  solved, but a file asked for could not be written
 130  interrupted by Ctrl-C or SIGTERM, the best solution is kept"""


VERIFY_CODES = """\b
Exit codes:
   0  the certificate proves what is printed: what was asked, or the plain question of the grid
   2  bad input or usage
   5  refused: the certificate is damaged, of another grid or question, or does not prove what it claims
   6  it proves what is printed, and nothing was asked: another question than the plain one of the grid
  74  it proves what is printed, and --json could not be written"""


@dataclass(frozen=True, kw_only=True)
class Option:
    """The description of an option beside its name, its type and its default.

    Attributes:
        sentence: what it means. kind: what it takes. unit: of its value, as the help shows it.
        group: in the help and in a form. choices: the words that it takes; none: any.
        least, most: the smallest and the greatest value of a number. endless: whether it may be inf.
        flag: name on the command line, where it is not that of the field. short: a letter for it.
        command_default: on the command line, in place of the default in Python.
        positional: whether it is an argument.
    """

    sentence: str
    kind: Kind = "text"
    unit: str = ""
    group: str = "Question"
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    endless: bool = False
    flag: str = ""
    short: str = ""
    command_default: object = None
    positional: bool = False


@dataclass(frozen=True, kw_only=True)
class Output:
    """A file of a result that only some studies write.

    Attributes:
        name: of the option. sentence: what it means. unit: what it takes. method: of the result, that writes it.
        group: in the help. flag: name on the command line, where it is not that of the option.
    """

    name: str
    sentence: str
    unit: str = "FILE"
    method: str = ""
    group: str = "Output"
    flag: str = ""


@dataclass(frozen=True, kw_only=True)
class Question:
    """Base of the options of a study, a frozen dataclass of fields that `option`, `argument` and `parts` make.

    What is wrong with its values is told all at once, as an `OptionError`. A class that adds checks gives them by
    `_checks` after those of its bases.

    Attributes:
        progress: for Python alone: called with every `Iteration`, or with how many things are done and of how many.

    Class attributes:
        details: more about the command, below its sentence. examples: lines for the end of its help.
        outputs: files of the result beside those that every study writes.
        reads: options of the reader of the grid that the command has.
        stops: whether Ctrl-C stops the study with the best that is known.
        several: whether it is asked about several grids at once.
    """

    progress: Callable[..., object] | None = field(default=None, repr=False, compare=False)

    details: ClassVar[str] = ""
    examples: ClassVar[str] = ""
    outputs: ClassVar[tuple[Output, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ("geojson", "pv")
    stops: ClassVar[bool] = True
    several: ClassVar[bool] = False

    def __post_init__(self) -> None:
        all_checked(*self._checks())

    def _checks(self) -> list[Callable[[], object]]:
        """Checks of its values, each of which raises `OptionError` where one makes no sense."""
        return declared_checks(self)


def declared_checks(of: Any) -> list[Callable[[], object]]:
    """Checks that the fields of a dataclass hold what their options declare: names, a choice, a number in its range."""
    return [partial(_check, of, each) for each in fields(of) if KEY in each.metadata]


def _check(of: Any, each: Field[Any]) -> None:
    told, value = each.metadata[KEY], getattr(of, each.name)
    if value is None and each.default is None:
        return
    if told.kind == "names":
        object.__setattr__(of, each.name, names_of(value, each.name))  # an iterator is read once
    elif told.choices and value not in told.choices:
        raise OptionError(f"{each.name} is {value!r}; give one of {', '.join(told.choices)}")
    elif told.kind in ("number", "whole"):
        for number in value.values() if isinstance(value, Mapping) else (value,):
            check_number(each.name, told, number)
        if told.kind == "whole":
            object.__setattr__(of, each.name, int(value))


def check_number(name: str, told: Option, value: Any) -> None:
    """Refuse what is no number, or out of the range that an option declares.

    Raises:
        OptionError: saying what to give.
    """
    low, high = -math.inf if told.least is None else told.least, math.inf if told.most is None else told.most
    ends = f"{low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more" if math.isfinite(low) else "a number"
    of_kind(value, Real, name, ends)
    whole = told.kind == "number" or value == math.inf or value % 1 == 0
    if not (low <= value <= high and whole) or (math.isinf(value) and not told.endless):
        raise OptionError(f"{name} is {value:g}; give {ends}{'' if whole else ', a whole number'}")


def option(default: object, sentence: str, kind: Kind = "text", **more: Any) -> Any:
    """A field of options with its default; `more`: attributes of `Option`."""
    return field(default=default, metadata={KEY: Option(sentence=sentence, kind=kind, **more)})


def argument(sentence: str, kind: Kind = "text", default: object = MISSING, **more: Any) -> Any:
    """A field that must be given, unless it has a default."""
    return field(default=default, metadata={KEY: Option(sentence=sentence, kind=kind, positional=True, **more)})


def parts(of: type[Any]) -> Any:
    """A field whose value is made of a dataclass of options, by its method `made` where it has one; None by default."""
    return field(default=None, metadata={PARTS: of})


def options_of(question: type[Any]) -> dict[str, Option]:
    """The options by the names of the fields, those of parts by the names of theirs."""
    return {name: told for name, told, _ in declared(question)}


def declared(question: type[Any]) -> Iterator[tuple[str, Option, Field[Any]]]:
    """Name, declaration and field of each option, those of parts among them; those of the class itself first."""
    own = vars(question).get("__annotations__", {})
    for each in sorted(fields(question), key=lambda each: each.name not in own):
        if KEY in each.metadata:
            yield each.name, each.metadata[KEY], each
        elif PARTS in each.metadata:
            yield from declared(each.metadata[PARTS])


def default_of(each: Field[Any], told: Option) -> object:
    """What an option is on the command line where it is not given; None where nothing is said."""
    if told.command_default is not None:
        return told.command_default
    default = None if each.default is MISSING else each.default
    return None if default == () else default


def asked(question: type[Any], given: Mapping[str, Any]) -> Any:
    """The options of a study from values by the names of its options, of which None is none; a part may be whole.

    Raises:
        OptionError: a name that is no option, or what the study refuses.
    """
    left = {name: value for name, value in given.items() if value is not None}
    made: dict[str, Any] = {}
    for each in fields(question):
        if PARTS in each.metadata:
            if each.name in left:
                made[each.name] = left.pop(each.name)
                continue
            of = each.metadata[PARTS]
            values = {name: left.pop(name) for name in options_of(of) if name in left}
            if values:
                part = of(**values)
                made[each.name] = part.made() if callable(getattr(of, "made", None)) else part
        elif KEY in each.metadata and each.name in left:
            value = left.pop(each.name)
            made[each.name] = tuple(value) if isinstance(value, list) else value
    if left:
        raise OptionError(f"{', '.join(left)}: no such option; there are {', '.join(options_of(question))}")
    return question(**made)


_TYPES = {"number": "number", "whole": "integer", "flag": "boolean", "text": "string", "path": "string"}


def request_schema(name: str, question: type[Any]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a request: the study, the grid, and the options, each with its group and unit."""
    told = list(declared(question))
    properties: dict[str, Any] = {
        "study": {"const": name, "description": "what is asked"},
        "grid": {"type": "string", "description": "a file, a folder of tables, or the name of a built-in grid"},
    }
    for each, of, of_field in told:
        properties[each] = _property(of, default_of(of_field, of))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"openpoint request: {name}",
        "type": "object",
        "properties": properties,
        "required": [
            "study",
            "grid",
            *(each for each, of, of_field in told if of.positional and default_of(of_field, of) is None),
        ],
        "additionalProperties": False,
    }


def _property(told: Option, default: object) -> dict[str, Any]:
    """The schema of one option."""
    if told.kind == "names":
        found: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
    else:
        found = {"type": _TYPES[told.kind]}
    found["description"] = told.sentence
    if told.choices:
        found["enum"] = list(told.choices)
    for key, value in (("minimum", told.least), ("maximum", told.most), ("default", default)):
        if value is not None:
            found[key] = value
    found["x-group"] = told.group
    if told.unit:
        found["x-unit"] = told.unit
    return found
