"""One statement of an OpenDSS script: parsed here, and written anew for the engine from what was parsed.

The engine never sees the text of a file. Names on the left of `=` are plain words of `openpoint.io.opendss.words`,
written in full; a value is one word, or one pair of quotation marks or brackets with what stands between them. So the
engine has nothing to find in a statement but what was found here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openpoint.io.opendss.words import ACTIONS, CLASSES, CONTINUING, DATA_FILES, OPTIONS, PLAIN, RECORDERS, full

Parameters = Sequence[tuple[str, str]]
"""Name in lower case (empty where a value has none) and value as it is written, with quotation marks or brackets."""
DataName = Callable[[str], str]
"""The name that the engine gets for a file of numbers."""

_NAME = re.compile(r"([\w%.-]+)\s*=\s*")
_QUOTED = r'"[^"]*"|' + r"'[^']*'|\([^)]*\)|\[[^\]]*\]|\{[^}]*\}"
_VALUE = re.compile(rf"""({_QUOTED}|[^\s,="'(\[{{!][^\s,="!]*)(?=[\s,]|$)""")
_GAP = re.compile(r"\s*(?:,\s*)?")
_SAFE = re.compile(r"(?:[\w.+%\\:#*^|$&<>?;~-]|/(?!/))+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IN_FILE = re.compile(
    rf"""(?i)\s*file\s*=\s*({_QUOTED}|[^\s,="'(\[{{]+)((?:[\s,]+(?:col|column|header)\s*=\s*\w+)*)[\s,]*"""
)
_UNSET = re.compile(r"(?:^|(?<=[\s,|]))@\S*")
_ENDLESS = re.compile(r"[-+]?(nan|inf(inity)?)", re.IGNORECASE)
_PATTERN = re.compile(r"[\w.*+?^$|\[\]\\-]+")
_TAKE_OUT = "Take the line out; a circuit is described without it"


class Refused(ValueError):
    """Why a statement is not passed on, and what to do."""

    def __init__(self, message: str, remedy: str = _TAKE_OUT) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


@dataclass(frozen=True)
class Statement:
    """One statement with its place.

    Attributes:
        file, line, text: where it stands, and as it is written there.
        verb: the command in full, `property` for `class.name.property=value`.
        command: what the engine gets.
        element: `class.name` of the object that it makes or changes, or empty.
        given: properties in full with their values, quotation marks and brackets taken off.
    """

    file: Path
    line: int
    verb: str
    text: str
    command: str = ""
    element: str = ""
    given: tuple[tuple[str, str], ...] = ()


def parameters(text: str) -> tuple[list[tuple[str, str]], str]:
    """The parameters of a statement, and what the engine does not read: what follows an empty value.

    Raises:
        Refused: a name that is no plain word, an open quotation mark or bracket.
    """
    if _CONTROL.search(text):
        raise Refused("a control character stands in the statement", "Write it in plain text")
    found: list[tuple[str, str]] = []
    place = _gap(text, 0)
    while place < len(text):
        name = _NAME.match(text, place)
        start = name.end() if name else place
        value = _VALUE.match(text, start)
        if text[start : start + 1] in ("", ",") or (value and not content(value.group(1))):
            return found, text[place:]
        if value is None or text[value.end() :].lstrip().startswith("="):
            raise Refused(_what_is_wrong(text[start:]), "Write name=value, the name as a plain word")
        found.append((name.group(1).lower() if name else "", value.group(1)))
        place = _gap(text, value.end())
    return found, ""


def _gap(text: str, place: int) -> int:
    """The place after blanks and at most one comma."""
    return _GAP.match(text, place).end()  # type: ignore[union-attr]


def _what_is_wrong(rest: str) -> str:
    if quoted := re.match(rf"({_QUOTED})\s*=", rest):
        return f"the name {quoted.group(1)} before = is no plain word"
    shown = rest.split("=")[0][:40]
    if rest[0] in "\"'([{":
        return f"a quotation mark or bracket is not closed, or a word follows it without a blank: {shown}"
    return f"{shown.strip()} stands before = as a value does"


def content(value: str) -> str:
    """A value without its quotation marks or brackets."""
    return value[1:-1] if value[0] in "\"'([{" else value


def element_of(value: str) -> str:
    """`class.name` in lower case.

    Raises:
        Refused: no name, or a class that is not read.
    """
    element = content(value).strip().lower()
    kind, _, name = element.partition(".")
    if not name or re.search(r"[\"=@]", element):
        raise Refused(f"{element!r} names no object", "Name it as class.name")
    if kind not in (*CLASSES, *RECORDERS, "circuit"):
        message = f"there is no class {kind!r} among those that are read"
        raise Refused(message, "Correct the name of the class, or replace it by elements that openpoint reads")
    return element


def properties(element: str, given: Parameters, data_name: DataName) -> list[tuple[str, str]]:
    """(property in full, value for the engine) of an object; what only writes traces is left out.

    Raises:
        Refused: a property that is not read, or a value that cannot be one.
    """
    kind = element.partition(".")[0]
    kind = "vsource" if kind == "circuit" else kind
    found = []
    for word, name, value in _in_full(CLASSES[kind], given, f"a {kind} has no property"):
        if word.startswith("-"):
            raise Refused(f"{name!r} of a {kind} is not read: it would load program code, or open or write a file")
        if name == "action" and kind in ACTIONS and not ACTIONS[kind].startswith(content(value).lower() or "-"):
            raise Refused("an action of this object would write a file or change the circuit")
        if not name.startswith("bus") and any(
            _ENDLESS.fullmatch(part) for part in re.split(r"[\s,|]+", content(value))
        ):
            raise Refused(f"{content(value)!r} is not a finite number", "Give a finite number")
        if not word.startswith("~"):
            found.append((name, data_name(content(value)) if name in DATA_FILES else _value(value, data_name)))
    return found


def options(given: Parameters) -> list[tuple[str, str]]:
    """(option in full, value for the engine) of `Set` and `Solve`; what only reports or draws is left out.

    Raises:
        Refused: an option that does not describe a circuit.
    """
    if any(not name for name, _ in given):
        raise Refused("a value has no name", "Write name=value")
    found = []
    for word, name, value in _in_full(OPTIONS, given, "there is no option"):
        if word.startswith("-"):
            raise Refused(f"the option {name!r} is not set: it does not describe the circuit")
        if not word.startswith("~"):
            found.append((name, _value(value)))
    return found


def _in_full(words: tuple[str, ...], given: Parameters, unknown: str) -> Iterator[tuple[str, str, str]]:
    """(word of the list with its mark, name in full, value); a value without a name is that of the next property."""
    place = -1
    for short, value in given:
        found = full(words, short) if short else place + 1
        if found is None or found >= len(words):
            raise Refused(f"{unknown} {short!r}" if short else "there are more values than properties", "Correct it")
        place = found
        yield words[place], words[place].lstrip("-~"), value


def _value(value: str, data_name: DataName | None = None) -> str:
    """A value as the engine gets it.

    Raises:
        Refused: a file where none may be, `=` or a variable without a value inside.
    """
    inside = content(value)
    if unset := _UNSET.search(inside):
        raise Refused(f"the variable {unset.group()} has no value", "Give it one before, by var @name=value")
    if "=" in inside:
        file = _IN_FILE.fullmatch(inside)
        if file is None or data_name is None:
            raise Refused(f"= stands within a value: {inside[:40]}", "Write one value, or (file=name) alone")
        return f"(file={data_name(content(file.group(1)))}{' '.join(['', *file.group(2).replace(',', ' ').split()])})"
    if inside is not value:
        return value
    return value if _SAFE.fullmatch(value) else f'"{value}"'


def written(verb: str, element: str, pairs: Sequence[tuple[str, str]]) -> str:
    """A statement about an object, or `Set`, for the engine."""
    if verb == "edit" and element.startswith("circuit."):
        element = "vsource.source"
    target = [f'"{element}"'] if element else []
    return " ".join([verb, *target, *(f"{name}={value}" for name, value in pairs)])


def plain(verb: str, given: Parameters) -> str:
    """A command with few values, or none, for the engine.

    Raises:
        Refused: values that it does not take.
    """
    found = [(name, _value(value)) for _, name, value in _in_full(PLAIN[verb], given, f"{verb} takes no")]
    return " ".join([verb, *(value if name == "what" else f"{name}={value}" for name, value in found)])


def terminal(verb: str, element: str, given: Parameters) -> str:
    """`open`, `close`, `enable` or `disable` for the engine.

    Raises:
        Refused: more than an object and, of the first two, the numbers of a terminal and a conductor.
    """
    words = ("term", "cond") if verb in ("open", "close") else ()
    found = [content(value) for _, _, value in _in_full(words, given, f"{verb} takes no")]
    if not all(number.isascii() and number.isdecimal() for number in found):
        raise Refused(f"{verb} takes numbers of a terminal and a conductor", "Write numbers")
    return " ".join([verb, f'"{element}"', *found])


def pattern_of(value: str) -> str:
    """`class.pattern` of `BatchEdit`.

    Raises:
        Refused: a class that is not read, or signs that patterns do without.
    """
    element = element_of(value)
    if not _PATTERN.fullmatch(element.partition(".")[2]):
        raise Refused(f"{element!r} is no plain pattern", "Name the objects one by one")
    return element


def continued(verb: str) -> bool:
    """Whether a statement goes on with an object, so that nothing is left of it where that was refused."""
    return verb in CONTINUING or verb == "property"
