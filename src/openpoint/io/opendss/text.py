"""The statements of an OpenDSS script, read as text and parsed before the engine runs any of them.

A `.dss` file is a program, but here it is treated as input. Redirects are followed here, and variables (`var @x=3`)
substituted. Only statements that describe a circuit or solve it are passed on, written anew from what was parsed
(`openpoint.io.opendss.statement`); reports are left out, anything else is refused with file and line. Files of numbers
are read here as well: the engine gets copies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from openpoint.errors import InputError, Problem
from openpoint.inputs import MOST_BYTES, content_of, real_path, refuse_more
from openpoint.io.opendss import statement as words
from openpoint.io.opendss.statement import (
    Refused,
    Statement,
    content,
    element_of,
    options,
    parameters,
    pattern_of,
    plain,
    properties,
    terminal,
    written,
)
from openpoint.io.text import decode, doubt, fault

MOST_FILES = 1000
_LONGEST_VARIABLE = 10_000

_VARIABLE = re.compile(r"""(?<![^\s=,(\[{|"'])@\w+""")
_PROPERTY = re.compile(r"([\w-]+)\.([^\s=\"']+)\.([\w%-]+)\s*=\s*(.*)$", re.DOTALL)
_NO_NUMBERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# Bytes of zero that a text may hold by mistake.
_MOST_STRAYS = 10

_TAKE_OUT = "Take the line out; a circuit is described without it"


@dataclass
class Script:
    """All statements of a script and the files it draws in.

    Attributes:
        statements: in the order in which they run. places: files of bus coordinates with line and kind.
        data: text of the files of numbers, by the name that statements have for them.
        cut: lines, by file, of which nothing counts after a value that is left empty.
        faults: refused statements. left_out: reports and recorders, which do not affect the circuit. notes: doubts.
        roots: folders from which files are drawn in, the circuit's own first. copies: names of the files of numbers.
        element: the object that the next `~` continues. is_broken: whether that was refused.
    """

    statements: list[Statement] = field(default_factory=list)
    places: list[Statement] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)
    faults: list[Problem] = field(default_factory=list)
    left_out: list[Statement] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    roots: tuple[Path, ...] = ()
    cut: dict[str, list[int]] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    element: str = ""
    is_broken: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    copies: dict[Path, str] = field(default_factory=dict)


def read_script(path: Path) -> Script:
    """The statements of a file and of all files it redirects to; faults are collected, none is raised."""
    home = real_path(path).parent
    # Circuits of one utility often share files in a folder beside theirs.
    script = Script(roots=(home,) if home.parent == home.parent.parent else (home, home.parent))
    _read_file(script, path, ())
    return script


def _read_file(script: Script, path: Path, above: tuple[Path, ...]) -> None:
    script.files += 1
    try:
        text = decode(_without_nul(script, _bytes_of(script, path), path.name), path.name)
    except InputError as error:
        script.faults += error.problems
        return
    for number, statement in _lines(text):
        try:
            _read_line(script, path, number, statement, (*above, path))
        except Refused as refused:
            script.faults.append(fault(path.name, number, "", refused.message, refused.remedy))


def cut_notes(script: Script) -> list[Problem]:
    """A doubt for each file with statements of which nothing counts after an empty value."""
    message = "OpenDSS reads nothing of a statement after a value that is left empty, as in kw=, so neither is it here"
    return [
        doubt(
            *(file, lines[0], "", f"{message} ({len(lines)} line{'s' * (len(lines) > 1)})", "Give the value"),
            changes_figures=True,
        )
        for file, lines in script.cut.items()
    ]


def _bytes_of(script: Script, path: Path) -> bytes:
    """The content of a file.

    Raises:
        InputError: it cannot be read, or the circuit is too large.
    """
    content = content_of(path)
    script.bytes += len(content)
    refuse_more(script.bytes, MOST_BYTES, "bytes with the files before it, each as often as it is drawn in", path.name)
    return content


def _without_nul(script: Script, content: bytes, shown: str) -> bytes:
    """The text with blanks in place of a few zero bytes; a file with many is no text, which `decode` reports."""
    strays = content.count(b"\0")
    if not strays or strays > _MOST_STRAYS:
        return content
    line = content[: content.index(b"\0")].count(b"\n") + 1
    message = f"{strays} byte{'s' * (strays > 1)} of zero in the text {'are' if strays > 1 else 'is'} read as blank"
    script.notes.append(doubt(shown, line, "", message, "Check that nothing is missing there"))
    return content.replace(b"\0", b" ")


def _read_line(script: Script, path: Path, number: int, line: str, above: tuple[Path, ...]) -> None:
    verb, rest = _verb(line)
    if verb == words.VARIABLES:
        _set_variables(script, rest)
        return
    line = _put_in(script, line)
    verb, rest = _verb(line)
    here = Statement(path, number, verb, line)
    if verb in words.FOLLOWED:
        _follow(script, here, rest, above)
    elif verb in words.PLACES:
        name = _first(script, here, rest)
        script.places.append(Statement(path, number, verb, name))
    elif verb in words.REPORTS:
        script.left_out.append(here)
        if verb in ("?", "select"):  # the engine would go on with the object that these name
            script.element = ""
    elif verb == "property" or verb in words.COMMANDS:
        _pass_on(script, here, rest)
    else:
        raise Refused(f"the command {verb!r} is not carried out: a circuit file is input, not a program", _TAKE_OUT)


def _put_in(script: Script, text: str) -> str:
    """The text with the values of variables in place of their names."""
    return _VARIABLE.sub(lambda found: script.variables.get(found.group().lower(), found.group()), text)


def _set_variables(script: Script, rest: str) -> None:
    """`var @x=3 @y=(2 @x *)`: values may use variables set before."""
    for match in re.finditer(r"(@\w+)\s*=\s*(\"[^\"]*\"|'[^']*'|\([^)]*\)|\[[^\]]*\]|\{[^}]*\}|[^\s,=]+)", rest):
        value = _put_in(script, match.group(2))
        if len(value) > _LONGEST_VARIABLE:
            raise Refused(f"the variable {match.group(1)} has more than {_LONGEST_VARIABLE:,} signs", "Shorten it")
        script.variables[match.group(1).lower()] = value


def _pass_on(script: Script, here: Statement, rest: str) -> None:
    """Parse a statement, and keep it with what the engine gets; what only records is left out."""
    if here.verb in words.OPTIONED:
        pairs = options(_parsed(script, here, rest))
        _keep(script, here, written(here.verb, "", pairs) if pairs or here.verb == "solve" else "")
    elif here.verb in words.PLAIN:
        _keep(script, here, plain(here.verb, _parsed(script, here, rest)))
    else:
        try:
            _about_an_object(script, here, rest)
        except Refused:
            script.is_broken = script.is_broken or here.verb == "new"
            raise


def _parsed(script: Script, here: Statement, text: str) -> list[tuple[str, str]]:
    given, unread = parameters(text)
    if unread:
        script.cut.setdefault(here.file.name, []).append(here.line)
    return given


def _first(script: Script, here: Statement, rest: str) -> str:
    """The first value, or nothing."""
    return content(next((value for _, value in _parsed(script, here, rest)), '""'))


def _about_an_object(script: Script, here: Statement, rest: str) -> None:
    if here.verb == "property":
        match = _PROPERTY.match(here.text)
        if match is None:
            raise Refused(f"{here.text[:40]} sets no property of an object", "Write class.name.property=value")
        given = _parsed(script, here, f"{match.group(3)}={match.group(4)}")
        script.element, script.is_broken = element_of(f"{match.group(1)}.{match.group(2)}"), False
    elif here.verb in words.CONTINUING:
        given = _parsed(script, here, rest)
        if not script.element:
            if script.is_broken:
                return
            raise Refused("no object is there to go on with", "Name the object, by Edit class.name")
    else:
        given = _parsed(script, here, rest)
        if not given or given[0][0] not in ("", "object"):
            raise Refused(f"{here.verb} names no object", "Name it first, as class.name")
        (_, first), *given = given
        script.element, script.is_broken = "", False
        script.element = pattern_of(first) if here.verb == "batchedit" else element_of(first)
    element = script.element
    if element.partition(".")[0] in words.RECORDERS:
        script.left_out.append(here)
    elif here.verb in words.SETTING:
        _keep(script, here, terminal(here.verb, element, given), element)
    else:
        pairs = properties(element, given, lambda name: _data(script, here, name))
        verb = here.verb if here.verb in words.MAKING else "edit"
        _keep(script, here, written(verb, element, pairs), element, pairs)
        if element.startswith("circuit."):  # its source is what the statements after it go on with
            script.element = "vsource.source"
        elif verb == "batchedit":
            script.element = ""


def _keep(
    script: Script, here: Statement, command: str, element: str = "", pairs: list[tuple[str, str]] | None = None
) -> None:
    if not command:
        script.left_out.append(here)
    elif not (script.is_broken and element):
        given = tuple((name, content(value)) for name, value in pairs or ())
        script.statements.append(Statement(here.file, here.line, here.verb, here.text, command, element, given))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that hold a statement, without comments."""
    in_comment = False
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if in_comment or line.startswith("/*"):
            in_comment = "*/" not in line
            continue
        line = _without_comment(line).strip()
        if line:
            yield number, line


def _without_comment(line: str) -> str:
    if "!" not in line and "//" not in line:
        return line
    quote = ""
    for i, c in enumerate(line):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c == "!" or line.startswith("//", i):
            return line[:i]
    return line


def _verb(line: str) -> tuple[str, str]:
    """The command in full and the rest of the line. OpenDSS takes abbreviations."""
    match = re.match(r"(~|\?|[^\s=,]+)\s*(=?)\s*(.*)$", line, re.DOTALL)
    if match is None:
        return line, ""
    word, equals, rest = match.group(1).lower(), match.group(2), match.group(3)
    if equals:
        return ("property", rest) if "." in word else (f"{word}=", rest)
    if word in words.COMMANDS:
        return word, rest
    # Two letters or more: a single one may be short for another command.
    near = [k for k in words.COMMANDS if len(word) > 1 and k.startswith(word)]
    return (near[0] if len(near) == 1 else word), rest


def _follow(script: Script, here: Statement, rest: str, above: tuple[Path, ...]) -> None:
    name = _first(script, here, rest)
    target = find_file(here.file.parent, name, script.roots)
    if target is None and (target := find_file(script.roots[0], name.replace("\\", "/").split("/")[-1], script.roots)):
        # Files of several folders that were copied, or uploaded, into one.
        message = f"there is no file {name!r}; {target.name!r} in the folder of the circuit is read in its place"
        script.notes.append(doubt(here.file.name, here.line, "", message, "Put it where the line says"))
    if target is None:
        message = f"there is no file {name!r} in the folder of the circuit or one beside it"
        raise Refused(message, "Put the file there, or take the line out")
    if real_path(target) in map(real_path, above):
        raise Refused(f"{name!r} leads back to itself", "Take the line out")
    if script.files >= MOST_FILES:
        raise Refused(f"more than {MOST_FILES} files", "Give fewer files")
    _read_file(script, target, above)


def find_file(folder: Path, name: str, roots: tuple[Path, ...]) -> Path | None:
    """The file of this name relative to a folder, if it lies below one of the roots.

    Upper and lower case are not distinguished, as on Windows.
    """
    if not name:
        return None
    path = folder
    for part in Path(name.replace("\\", "/")).parts:
        step = path / part
        if not step.exists() and path.is_dir() and _below(path, roots):
            step = next((p for p in path.iterdir() if p.name.lower() == part.lower()), step)
        path = step
    return path if _below(path, roots) and path.is_file() else None


def _below(path: Path, roots: tuple[Path, ...]) -> bool:
    found = real_path(path)
    return any(found.is_relative_to(root) for root in roots)


def _data(script: Script, here: Statement, name: str) -> str:
    """The name that the engine gets for a file of numbers, which is read here.

    Raises:
        Refused: it is missing, or no text.
    """
    target = find_file(here.file.parent, name, (script.roots[0], real_path(here.file.parent)))
    if target is None:
        message = f"there is no file {name!r} in the folder of the circuit"
        raise Refused(message, "Put the file there, or take the line out")
    if target not in script.copies:
        try:
            text = decode(_bytes_of(script, target), target.name)
        except InputError as error:
            raise Refused(f"{name!r}: {error.problems[0].message}", error.problems[0].remedy) from None
        if _NO_NUMBERS.search(text):
            raise Refused(f"{name!r} holds binary data, no numbers as text", "Give the numbers as text")
        script.copies[target] = f"numbers-{len(script.copies) + 1}.csv"
        script.data[script.copies[target]] = text
    return script.copies[target]
