"""Options of a comparison: a study, and cases, each a set of its options."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from openpoint.arguments import Names, names_of, of_kind
from openpoint.errors import OptionError, did_you_mean
from openpoint.inputs import MOST_OPTIONS, content_of, toml_of
from openpoint.options import FIRST, Option, argument, asked, declared, option, options_of
from openpoint.studies.shared import EXIT_CODES, Timed

_LISTED = re.compile(r"\{([^{}]+,[^{}]+)\}")
COMMON = "common"
"""Table of a file of cases whose options are those of every case that has no other."""
Cases = Mapping[str, Mapping[str, Any]] | str | os.PathLike[str]
"""Options by name by the name of the case, or a file of them."""


@dataclass(frozen=True)
class CompareOptions(Timed):
    """Cases of one study. A time limit is that of each case that has none of its own.

    Raises:
        OptionError: with all that is wrong.
    """

    of: str = argument(
        "The study that is asked in every case, such as reconfigure, dispatch-day or harden.", unit="STUDY"
    )
    cases: Cases | None = option(
        None,
        "A TOML file with a table of options a case; those of the table common hold in every case.",
        "path",
        unit="FILE",
        group=FIRST,
    )
    case: Names = option(
        (),
        "A case by its name and options: 'tight: --v-min 0.95'; '{}: --v-min {0.9,0.95}' is a case a value.",
        "names",
        unit="CASE",
        group=FIRST,
    )

    workers: int = option(1, "Processes that solve cases; 1: this process.", "whole", unit="N", least=1, group=FIRST)

    examples: ClassVar[str] = f"""\b
Examples:
  openpoint compare baran33 reconfigure --case "free:" --case "four: --max-changes 4" --case "0.92 pu: --v-min 0.92"
  openpoint compare ieee37-microgrids partition --case "{{}}: --uncertainty {{0,0.1,0.25}} --uncertain-loads 6"
  openpoint compare my_grid.m reconfigure --cases cases.toml --report cases.html

{EXIT_CODES}
The code is the greatest of the cases."""

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), self.questions]

    def questions(self) -> dict[str, Any]:
        """The question of each case, by its name.

        Raises:
            OptionError: no study of that name, no cases, and what each case has that its study refuses.
        """
        from openpoint.studies.catalog import STUDIES

        of_kind(self.of, str, "of", "the name of a study")
        known = {study.name: study.question for study in STUDIES if study.name != "compare"}
        asks = {name: question for name, question in known.items() if not question.several}
        if self.of not in asks:
            remedy = did_you_mean(self.of, asks, f"There are {', '.join(asks)}")
            raise OptionError(f"{self.of!r} is no study of one grid. {remedy}")
        question, faults, found = asks[self.of], list[str](), dict[str, Any]()
        for name, given in self._given(question, faults).items():
            try:
                limit = {} if "time_limit_s" not in options_of(question) else {"time_limit_s": self.time_limit_s}
                found[name] = asked(question, {**limit, **(given() if callable(given) else given)})
            except (OptionError, TypeError) as error:
                faults.append(f"case {name!r}: {error}")
        if faults:
            raise OptionError("; ".join(faults))
        if len(found) < 2:
            raise OptionError("give two cases or more, by `case` or `cases`")
        return found

    def _given(self, question: type[Any], faults: list[str]) -> dict[str, Any]:
        """The options of each case, or what reads them."""
        found: dict[str, Any] = {}
        if self.cases is not None:
            tables = dict(_read(self.cases))
            common = tables.pop(COMMON, {})
            named = {_flag(name, each).replace("-", "_"): name for name, each, _ in declared(question)}
            for name, table in tables.items():
                found[name] = {named.get(key, key): value for key, value in {**common, **table}.items()}
        for text in names_of(self.case, "case"):
            head, colon, options = text.partition(":")
            for name, rest in _values(head.strip(), options):
                if not colon or name in found:
                    why = "is there twice" if colon else "has no colon after its name"
                    faults.append(f"case {name!r} {why}; give it as 'tight: --v-min 0.95'")
                found[name] = lambda rest=rest: _parsed(rest, question)
        return found


def _values(name: str, options: str) -> Iterator[tuple[str, str]]:
    """A case for each value in braces, `--v-min {0.9,0.95}`, which stands for `{}` in its name, or behind it."""
    listed = _LISTED.search(options)
    if listed is None:
        yield name, options
        return
    for value in listed[1].split(","):
        called = name.replace("{}", value.strip(), 1) if "{}" in name else f"{name} {value.strip()}"
        yield from _values(called.strip(), options[: listed.start()] + value.strip() + options[listed.end() :])


def study_of(name: str) -> Any:
    """The study of that name."""
    from openpoint.studies.catalog import STUDIES

    return next(study for study in STUDIES if study.name == name)


def _read(given: Any) -> Mapping[str, Mapping[str, Any]]:
    """The tables of a file of cases, with names as Python has them; or the mapping itself.

    Raises:
        InputError: it cannot be read as TOML. OptionError: it has something else than tables.
    """
    if not isinstance(given, Mapping):
        of_kind(given, str | os.PathLike, "cases", "a TOML file, or options by the name of the case")
        given = toml_of(content_of(Path(given), MOST_OPTIONS), str(given), MOST_OPTIONS)[1]
    wrong = [str(name) for name, table in given.items() if not isinstance(table, Mapping)]
    if wrong:
        raise OptionError(f"cases: {', '.join(wrong)} is no table of options; begin a case by [its name]")
    return {str(name): {str(k).replace("-", "_"): v for k, v in table.items()} for name, table in given.items()}


def _parsed(text: str, question: type[Any]) -> dict[str, Any]:
    """The options in a text, written as for the command of the study.

    Raises:
        OptionError: with what is no option, and what is no number.
    """
    told = {_flag(name, each): (name, each) for name, each, _ in declared(question)}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise OptionError(f"{text.strip()}: {error}") from None
    found, faults = dict[str, Any](), list[str]()
    while words:
        flag, equals, value = words.pop(0).partition("=")
        plain = flag.removeprefix("--")
        denied = plain.removeprefix("no-")
        if not flag.startswith("--") or (plain not in told and denied not in told):
            faults.append(f"{flag} is no option. {did_you_mean(plain, told, 'Ask the command for --help')}")
            continue
        name, each = told.get(plain) or told[denied]
        if each.kind == "flag":
            found[name] = plain in told
        elif not equals and (not words or words[0].startswith("--")):
            faults.append(f"{flag} has no value")
        else:
            _put(found, name, each, value if equals else words.pop(0), faults)
    if faults:
        raise OptionError("; ".join(faults))
    return found


def _flag(name: str, told: Option) -> str:
    return told.flag or name.replace("_", "-")


def _put(found: dict[str, Any], name: str, told: Option, value: str, faults: list[str]) -> None:
    if told.kind == "names":
        found.setdefault(name, []).append(value)
        return
    try:
        found[name] = {"number": float, "whole": int}.get(told.kind, str)(value)
    except ValueError:
        faults.append(f"{name} is {value!r}; give a {'whole ' if told.kind == 'whole' else ''}number")
