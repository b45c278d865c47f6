"""A request as a command: a study, a grid that is open, and options by their names, checked before anything is started.

A run is the command that a person would type, so that its answer is the same to the last digit.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from openpoint.arguments import all_checked
from openpoint.errors import OptionError, did_you_mean
from openpoint.options import PARTS, Option, check_number, declared, default_of, options_of
from openpoint.studies.catalog import STUDIES, Study
from openpoint.studies.shared import LimitOptions
from openpoint.web.grids import OpenGrid

OUT = Path("out")
"""The folder of files of the result, in that of the run."""
RESULT, REPORT, TABLES, CHECKLIST = "result.json", "report.html", "result.xlsx", "checklist.html"
VERIFY, CLAIM = "verify", "claim.json"
"""The command that checks a certificate, and what it writes."""
NOT_HERE = ("executor",)
"""Options that are told with the command line: a run of the server is one process, whose memory is limited."""
_WORDS: dict[str, type | tuple[type, ...]] = {
    "number": (int, float),
    "whole": int,
    "flag": bool,
    "text": str,
    "path": str,
    "names": list,
}
_SAID = {"number": "a number", "whole": "a whole number", "flag": "true or false", "names": "a list of names"}
_LONGEST = 10_000
_TABLE = Option(sentence="", kind="text")


def studies() -> list[Study]:
    """The studies that can be asked of one open grid; others are told with their command line.

    A comparison has whole command lines in its options, and many grids in one run have a folder of their own.
    """
    return [study for study in STUDIES if not study.question.several and study.name != "compare"]


def elsewhere() -> list[tuple[str, str]]:
    """The studies that are asked on the command line alone: how they are asked about there, and their sentences."""
    here = studies()
    return [(f"openpoint {study.name} --help", study.sentence) for study in STUDIES if study not in here]


def study_of(name: object) -> Study:
    """The study of that name.

    Raises:
        OptionError: there is none, or it is asked on the command line alone.
    """
    found = {study.name: study for study in studies()}
    if not isinstance(name, str) or name not in found:
        elsewhere = any(study.name == name for study in STUDIES)
        told = f"openpoint {name} --help tells how it is asked on the command line"
        raise OptionError(told if elsewhere else did_you_mean(str(name), found, f"The studies are {', '.join(found)}"))
    return found[name]


def options(study: Study) -> Iterator[tuple[str, Option, Field[Any]]]:
    """Name, declaration and field of each option that a request may have."""
    return ((name, told, each) for name, told, each in declared(study.question) if name not in NOT_HERE)


def is_output(told: Option) -> bool:
    """Whether the option names a file that the run writes."""
    return told.kind == "path" and told.group == "Output"


@dataclass(frozen=True)
class Command:
    """The command of a run.

    Attributes:
        arguments: after `openpoint`. shown: the same as a person types it, with the names of files alone.
        python: the call in Python that asks the same.
    """

    arguments: tuple[str, ...]
    shown: str
    python: str


def command(study: Study, grid: OpenGrid, given: Mapping[str, Any], *, copies: bool) -> Command:
    """The command that asks a question.

    Args:
        study, grid: what is asked about what. given: values by the names of options, None = not given.
        copies: whether the file of the grid can be copied with the states of the answer.

    Raises:
        OptionError: with all that is wrong.
    """
    values = {name: value for name, value in given.items() if value is not None and value != []}
    known = {name: (told, each) for name, told, each in options(study)}
    missing = [name for name, (told, _) in known.items() if told.positional and name not in values]
    all_checked(
        *(lambda name=name: _refuse(name, known) for name in values if name not in known),
        *(lambda name=name: _check(name, known[name][0], values[name]) for name in values if name in known),
        *(lambda name=name: _require(name, known[name][0]) for name in missing),
    )
    flags, shown, places = _typed(study, grid, values)
    outputs = {"json": RESULT, "report": REPORT, "tables": TABLES}
    if copies and any(output.name == "write" for output in study.question.outputs):
        outputs["write"] = Path(grid.source).name
    if any(output.name == "checklist" for output in study.question.outputs):
        outputs["checklist"] = CHECKLIST
    if clash := sorted(set(outputs.values()) & {str(values[name]) for name in values if is_output(known[name][0])}):
        raise OptionError(f"{', '.join(clash)}: the run writes a file of this name itself; give another")
    ends = [f"--{flag}={OUT / name}" for flag, name in outputs.items()]
    typed = [grid.name, *(str(values[name]) for name, (told, _) in known.items() if told.positional)]
    return Command(
        (study.name, *flags, *ends, "--", grid.source, *places),
        shlex.join(["openpoint", study.name, *shown, f"--report={REPORT}", "--", *typed]),
        _python(study, grid, {**_of_commands(known), **values}),
    )


def verification(study: Study, grid: OpenGrid, given: Mapping[str, Any], certificate: Path) -> Command:
    """The command that checks the certificate of a run against the question that it was asked.

    What the check does not take of the question is told as another question, never left out in silence.
    """
    from openpoint.verify import asked_of

    taken = {*inspect.signature(asked_of).parameters, *options_of(LimitOptions), "switchable"}
    asked = {name: value for name, value in given.items() if name in taken and value is not None}
    tables = [f"--{name}={_path(grid, _TABLE, given[name])}" for name in ("futures", "year") if name in given]
    flags, shown, _ = _typed(study, grid, asked)
    shown += [f"--{name}={given[name]}" for name in ("futures", "year") if name in given]
    return Command(
        (VERIFY, *flags, *tables, f"--json={OUT / CLAIM}", "--", grid.source, str(certificate)),
        shlex.join(["openpoint", VERIFY, *shown, "--", grid.name, certificate.name]),
        "",
    )


def _typed(study: Study, grid: OpenGrid, values: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Values as options, the same as a person types them, and arguments."""
    known = {name: (told, each) for name, told, each in options(study)}
    flags: list[str] = []
    shown: list[str] = []
    places: list[str] = []
    for name, value in values.items():
        told, each = known[name]
        if told.positional:
            places.append(_path(grid, told, value))
        elif told.kind == "flag":
            said = _said(name, told, default_of(each, told), value=value)
            flags, shown = flags + said, shown + said
        else:
            flag = told.flag or name.replace("_", "-")
            for text in value if told.kind == "names" else [value]:
                shown.append(f"--{flag}={_number(text)}")
                flags.append(f"--{flag}={OUT / text if is_output(told) else _path(grid, told, text)}")
    return flags, shown, places


def _python(study: Study, grid: OpenGrid, values: Mapping[str, Any]) -> str:
    """The call in Python that asks the same; empty where an argument is an object that has no name of its own."""
    import openpoint

    public = dir(openpoint)
    function = study.name.replace("-", "_")
    function = next(name for name in (function, f"run_{function}", f"switch_{function}") if name in public)
    given = [repr(grid.name)]
    for each in fields(study.question):
        if each.name in values:
            given.append(f"{each.name}={values[each.name]!r}")
        of: Any = each.metadata.get(PARTS)
        inside = {name: values[name] for name in options_of(of) if name in values} if of is not None else {}
        if inside:
            text = repr(of(**inside).made()) if of is LimitOptions else _call(of.__name__, inside)
            if text.partition("(")[0] not in public:
                return ""
            given.append(f"{each.name}=openpoint.{text}")
    return f"import openpoint\n\nresult = openpoint.{function}({', '.join(given)})"


def _of_commands(known: Mapping[str, tuple[Option, Field[Any]]]) -> dict[str, object]:
    """What a command asks for where nothing is said, and Python does not."""
    return {name: told.command_default for name, (told, _) in known.items() if told.command_default is not None}


def _call(name: str, values: Mapping[str, Any]) -> str:
    return f"{name}({', '.join(f'{each}={value!r}' for each, value in values.items())})"


def _said(name: str, told: Option, default: object, *, value: bool) -> list[str]:
    """A flag as it is said; one that is off by default is not denied."""
    flag = told.flag or name.replace("_", "-")
    return [f"--{flag}"] if value else [] if default is False else [f"--no-{flag}"]


def _refuse(name: str, known: Mapping[str, Any]) -> None:
    if name in NOT_HERE:
        raise OptionError(f"{name} is an option of the command line alone")
    remedy = did_you_mean(name, known, f"There are {', '.join(known)}")
    raise OptionError(f"{name[:60]!r} is no option here. {remedy}")


def _require(name: str, told: Option) -> None:
    raise OptionError(f"{name} is missing: {told.sentence}")


def _check(name: str, told: Option, value: object) -> None:
    """Refuse a value of another kind, out of range, or none of the choices."""
    wanted = _WORDS[told.kind]
    if not isinstance(value, wanted) or (isinstance(value, bool) and told.kind != "flag"):
        raise OptionError(f"{name} is {str(value)[:40]!r}; give {_SAID.get(told.kind, 'a text')}")
    texts = value if isinstance(value, list) else [value]
    if any(not isinstance(each, str) for each in texts) and isinstance(value, list):
        raise OptionError(f"{name} has what is no name; give texts")
    if any(isinstance(each, str) and (len(each) > _LONGEST or not each.isprintable()) for each in texts):
        raise OptionError(f"{name} is too long, or has characters that cannot be printed")
    if told.choices and value not in told.choices:
        raise OptionError(f"{name} is {value!r}; give one of {', '.join(told.choices)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        check_number(name, told, value)
    if is_output(told) and (set(str(value)) & set("/\\:") or str(value).startswith((".", "-"))):
        raise OptionError(f"{name} is {value!r}; give the name of a file, without folders")


def _path(grid: OpenGrid, told: Option, value: Any) -> str:
    """A value as an argument. A text that is the name of an uploaded file is its path; no other may lead anywhere.

    Raises:
        OptionError: a path.
    """
    if told.kind not in ("text", "path") or not isinstance(value, str):
        return _number(value)
    if value in grid.files:
        return str(grid.files[value])
    if told.kind == "path" or set(value) & set("/\\") or value.startswith((".", "~")):
        there = ", ".join(name for name, path in grid.files.items() if path.is_file()) or "none yet"
        raise OptionError(f"{value[:60]!r} is no file of this grid; upload it. There are: {there}")
    return value


def _number(value: Any) -> str:
    """A number with all its digits; a text as it is."""
    return repr(value) if isinstance(value, float) else str(value)
