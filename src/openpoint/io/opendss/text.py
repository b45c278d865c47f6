"""The statements of an OpenDSS script, read as text and checked before the engine runs any of them.

A `.dss` file is a program, but here it is treated as input. Redirects are followed here. Only statements that describe
a circuit or solve it are passed on; reports are left out. Statements that could run a program, open an editor, write a
file or load a library are refused, with file and line. Traces are switched off. Variables (`var @x=3`) are substituted
here, so that the checked statements are exactly those that the engine runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from openpoint.errors import InputError, Problem
from openpoint.io.text import decode, doubt, fault

MOST_FILES = 1000

# Commands that are passed on, by what they describe.
_PASSED = (
    *("new", "edit", "more", "m", "~", "set", "open", "close", "enable", "disable", "batchedit", "reset", "init"),
    *("calcvoltagebases", "setkvbase", "makebuslist", "solve", "clear", "clearall", "allocateloads", "setbusxy"),
)
_FOLLOWED = ("redirect", "compile")
_VARIABLES = "var"
_PLACES = ("buscoords", "latlongcoords")
# Commands that only report; they do not affect the circuit.
_REPORTS = (
    *("?", "show", "export", "plot", "visualize", "dump", "summary", "help", "about", "losses", "voltages", "currents"),
    *("powers", "seqvoltages", "seqcurrents", "seqpowers", "phaselosses", "cktlosses", "totals", "capacity", "select"),
    *("get", "sample", "save", "closedi", "formedit", "panel", "nodediff", "buildy", "varvalues", "varnames", "uuids"),
    *("addbusmarker", "clearbusmarkers", "nodelist", "vdiff", "guids", "topology", "interpolate", "currency"),
)
_FORBIDDEN_OPTIONS = ("datapath", "editor", "recorder", "defaulteditor", "logfile", "tracecontrol", "allowforms")
# These make another object the active one, which this check could not follow.
_CHOOSING_OPTIONS = ("type", "class", "object", "element")
_FORBIDDEN_PROPERTIES = ("usermodel", "userdata", "shaftmodel", "shaftdata", "dynadll", "dynadata", "dll", "dllname")
# Only these classes take libraries; elsewhere the first letters of such a property are those of another one.
_WITH_LIBRARIES = (
    "generator",
    "pvsystem",
    "storage",
    "capcontrol",
    "windgen",
    "indmach012",
    "vsconverter",
    "dynamicexp",
)
# Actions that these classes may take, by their first letters; any other would write a file or reduce the circuit.
_ACTIONS = dict.fromkeys(("tshape", "priceshape", "growthshape", "xycurve", "spectrum"), "") | {
    "loadshape": "normalize",
    "energymeter": "clear",
}
# Classes that only record. Statements that create or edit one are left out.
_RECORDERS = ("monitor",)
_TOKEN = re.compile(
    r"""\s*,?\s*(?:([^\s=,"'({\[]+)\s*=\s*)?("[^"]*"|'[^']*'|\([^)]*\)|\[[^\]]*\]|\{[^}]*\}|[^\s,=]+)""", re.VERBOSE
)
_IN_FILE = re.compile(r"""(?i)\b(csvfile|sngfile|dblfile|pqcsvfile|file)\s*=\s*("[^"]*"|'[^']*'|[^\s,)\]}"']+)""")
_TRACE = re.compile(r"(?i)(?<![^\s,])(deb[a-z]*)\s*=\s*(yes|true|y|t|1)\b")
_TRACE_OF_CLASS = re.compile(r"(?i)(\.deb[a-z]*\s*=\s*)(yes|true|y|t|1)\b")
_VARIABLE = re.compile(r"""(?<![^\s=,(\[{|"'])@\w+""")
_ENDLESS = re.compile(r"[-+]?(nan|inf(inity)?)", re.IGNORECASE)

# Verbs that create, change or continue the object that they name.
OF_AN_OBJECT = ("new", "edit", "more", "m", "~", "batchedit", "enable", "disable", "property")
# Bytes of zero that a text may hold by mistake.
_MOST_STRAYS = 10

_REMEDY_PROGRAM = "Take the line out; a circuit is described without it"


@dataclass(frozen=True)
class Statement:
    """One statement with its place; `verb` is the command in full, `edit` for `class.name.property=value`."""

    file: Path
    line: int
    verb: str
    text: str


@dataclass
class Script:
    """All statements of a script and the files it draws in.

    Attributes:
        statements: in the order in which they run. places: files of bus coordinates with line and kind.
        faults: refused statements. left_out: reports and recorders, which do not affect the circuit. notes: doubts.
    """

    statements: list[Statement] = field(default_factory=list)
    places: list[Statement] = field(default_factory=list)
    faults: list[Problem] = field(default_factory=list)
    left_out: list[Statement] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    files: int = 0
    active: str = ""  # class of the object that the next `~` continues
    variables: dict[str, str] = field(default_factory=dict)


def read_script(path: Path) -> Script:
    """The statements of a file and of all files it redirects to; faults are collected, none is raised."""
    script = Script()
    _read_file(script, path, path.name, ())
    return script


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """(name or empty, value) of the parameters of a statement, quotation marks and brackets taken off."""
    for match in _TOKEN.finditer(text):
        value = match.group(2)
        yield (match.group(1) or "").lower(), value[1:-1] if value[0] in "\"'([{" and len(value) > 1 else value


def _read_file(script: Script, path: Path, shown: str, above: tuple[Path, ...]) -> None:
    script.files += 1
    try:
        text = decode(_without_nul(script, path.read_bytes(), shown), shown)
    except InputError as error:
        script.faults += error.problems
        return
    except OSError as error:
        script.faults.append(fault(shown, None, "", f"the file cannot be read: {error.strerror}", "Check its rights"))
        return
    for number, line in _lines(text):
        _read_line(script, path, number, line, above)


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
    if verb == _VARIABLES:
        _set_variables(script, rest)
        return
    line = _VARIABLE.sub(lambda found: script.variables.get(found.group().lower(), found.group()), line)
    line = _TRACE_OF_CLASS.sub(r"\1no", line) if verb == "property" else _TRACE.sub(r"\1=no", line)
    verb, rest = _verb(line)
    here = Statement(path, number, verb, line)
    if verb in _FOLLOWED:
        _follow(script, here, rest, (*above, path))
    elif verb in _PLACES:
        script.places.append(Statement(path, number, verb, next((v for _, v in tokens(rest)), "")))
    elif verb in _REPORTS:
        script.left_out.append(here)
    elif verb in _PASSED or verb == "property":
        if verb in ("new", "edit", "batchedit", "open", "close", "enable", "disable"):
            script.active = class_of(rest)
        elif verb == "property":
            script.active = line.split(".")[0].strip().lower()
        problem = _refusal(here, rest if verb != "property" else line.partition("=")[2], script.active)
        if problem:
            script.faults.append(problem)
        elif script.active in _RECORDERS and verb in OF_AN_OBJECT:
            script.left_out.append(here)
        else:
            script.statements.append(Statement(path, number, verb, _with_paths(line, path.parent)))
    else:
        message = f"the command {verb!r} is not carried out: a circuit file is input, not a program"
        script.faults.append(fault(shown_name(path), number, "", message, _REMEDY_PROGRAM))


def _set_variables(script: Script, rest: str) -> None:
    """`var @x=3 @y=(2 @x *)`: values may use variables set before."""
    for match in _TOKEN.finditer(rest):
        name, value = (match.group(1) or "").lower(), match.group(2)
        if name.startswith("@"):
            script.variables[name] = _VARIABLE.sub(
                lambda found: script.variables.get(found.group().lower(), found.group()), value
            )


def shown_name(path: Path) -> str:
    """The name of a file in messages."""
    return path.name


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
    known = (*_FOLLOWED, *_PLACES, *_PASSED, *_REPORTS, _VARIABLES)
    if word in known:
        return word, rest
    # Two letters or more: a single one may be short for another command.
    near = [k for k in known if len(word) > 1 and k.startswith(word)]
    return (near[0] if len(near) == 1 else word), rest


def class_of(rest: str) -> str:
    """Class of `class.name …`, `object=class.name …` or `class=… `."""
    first = next(tokens(rest), ("", ""))
    return first[1].split(".")[0].lower()


def _refusal(here: Statement, rest: str, active: str) -> Problem | None:
    """The fault of a statement that would be passed on; None if there is none."""
    message, remedy = "", _REMEDY_PROGRAM
    if here.verb == "set":
        names = [name for name, _ in tokens(rest) if name]
        if bad := _short_for(names, _FORBIDDEN_OPTIONS):
            message = f"the option {bad!r} is not set: it changes folders or opens programs and files"
        elif bad := _short_for(names, _CHOOSING_OPTIONS):
            message, remedy = f"the option {bad!r} is not set", "Name the object in the statement itself"
    elif here.verb == "property":
        name = here.text.partition("=")[0].split(".")[-1].strip().lower()
        message = _of_properties([(name, rest.strip())], active)
    elif here.verb in ("new", "edit", "more", "m", "~", "batchedit"):
        given = list(tokens(rest))[1 if here.verb in ("new", "edit", "batchedit") else 0 :]
        message = _of_properties(given, active)
        if not message and active in _WITH_LIBRARIES and any(not name for name, _ in given):
            message = f"a {active} is read only where every value has its name"
            remedy = "Write name=value for every value"
    if message.endswith("finite number"):
        remedy = "Give a finite number"
    return fault(shown_name(here.file), here.line, "", message, remedy) if message else None


def _of_properties(given: list[tuple[str, str]], active: str) -> str:
    """The fault in (name, value) pairs of an object of class `active`; empty if there is none."""
    names = [name for name, _ in given if name]
    endless = [v for n, v in given if not n.startswith("bus") and any(_ENDLESS.fullmatch(w) for w in v.split())]
    if endless:
        return f"{endless[0]!r} is not a finite number"
    if active in _WITH_LIBRARIES and (bad := _short_for(names, _FORBIDDEN_PROPERTIES)):
        return f"{bad!r} would load a library of program code"
    if active in _ACTIONS:
        actions = [value.lower() for name, value in given if name and "action".startswith(name)]
        if any(not a or not _ACTIONS[active].startswith(a) for a in actions):
            return "an action of this object would write a file or change the circuit"
    if any(len(n) > 2 and "debugtrace".startswith(n) and v[:1].lower() in ("y", "t", "1") for n, v in given):
        return "a trace of this object would write a file"
    return ""


def _short_for(names: list[str], forbidden: tuple[str, ...]) -> str:
    """The first name that may stand for one of the forbidden; OpenDSS takes abbreviations."""
    return next((name for name in names if any(word.startswith(name) for word in forbidden)), "")


def _follow(script: Script, here: Statement, rest: str, above: tuple[Path, ...]) -> None:
    name = next((value for _, value in tokens(rest)), "")
    shown = shown_name(here.file)
    target = find_file(here.file.parent, name)
    if target is None:
        remedy = "Put the file there, or take the line out"
        script.faults.append(fault(shown, here.line, "", f"there is no file {name!r} beside this one", remedy))
    elif target.resolve() in [p.resolve() for p in above]:
        script.faults.append(fault(shown, here.line, "", f"{name!r} leads back to itself", "Take the line out"))
    elif script.files >= MOST_FILES:
        script.faults.append(fault(shown, here.line, "", f"more than {MOST_FILES} files", "Give fewer files"))
    else:
        _read_file(script, target, target.name, above)


def find_file(folder: Path, name: str) -> Path | None:
    """The file of this name relative to a folder; upper and lower case are not distinguished, as on Windows."""
    if not name:
        return None
    path = folder
    for part in Path(name.replace("\\", "/")).parts:
        step = path / part
        if not step.exists() and path.is_dir():
            step = next((p for p in path.iterdir() if p.name.lower() == part.lower()), step)
        path = step
    return path if path.is_file() else None


def _with_paths(line: str, folder: Path) -> str:
    """The statement with the files it names (of load shapes and curves) as absolute paths."""

    def absolute(match: re.Match[str]) -> str:
        name = match.group(2).strip("\"'")
        found = find_file(folder, name)
        return f'{match.group(1)}="{found.resolve() if found else folder / name}"'

    return _IN_FILE.sub(absolute, line)
