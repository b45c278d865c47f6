"""The public names of the package as Markdown: signatures and docstrings."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import itertools
import re
from types import UnionType

import openpoint
from openpoint.results.base import Answer, Result
from openpoint.results.switched import SwitchedResult
from openpoint.studies.catalog import STUDIES
from openpoint.studies.partition.result import PlanResult

HEAD = """# Python

This page is made from the docstrings: `make docs` writes it anew. The names are those of `openpoint`; results are what
its functions answer.
"""

RESULTS = tuple(study.answer for study in STUDIES)
# What results share: all of them, every optimisation, those that are one topology, and partitions.
BASES = (Result, Answer, SwitchedResult, PlanResult)
# What methods do with a mathematical program, where work is done, and of what outputs are made, is not for callers.
INNER = ("solve", "open", "row", "row_frame", "document", "to_do", "to_switch", "answer_facts")
WIDTH = 100
LONGEST_DEFAULT = 60
_SECTION = re.compile(r"(Args|Attributes|Returns|Raises):")


def page() -> str:
    """The page as Markdown."""
    public = {name: getattr(openpoint, name) for name in openpoint.__all__ if name != "__version__"}
    errors = {name: value for name, value in public.items() if inspect.isclass(value) and issubclass(value, Exception)}
    functions = {name: value for name, value in public.items() if inspect.isfunction(value)}
    others = {name: value for name, value in public.items() if name not in functions and name not in errors}
    results = {each.__name__: each for each in RESULTS}
    parts = [HEAD]
    groups = {"Functions": functions, "Results": results, "Grids, data and options": others, "Errors": errors}
    for title, names in groups.items():
        parts.append(f"## {title}")
        if names is results:
            parts += [shared(base) for base in BASES]
        parts += [entry(name, value) for name, value in names.items()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def entry(name: str, value: object) -> str:
    """A heading, the signature, the docstring, and for a class its public methods."""
    if isinstance(value, UnionType):
        return f"### {name}\n\n```text\n{name} = {plain(str(value))}\n```\n\n{alias_doc(name)}"
    parts = [f"### {name}", f"```text\n{signature(name, value)}\n```", markdown(inspect.getdoc(value) or "")]
    if inspect.isclass(value):
        parts += [columns(value)] if issubclass(value, Result) else []
        parts += members(value)
    return "\n\n".join(part for part in parts if part)


def shared(base: type) -> str:
    """What the results of a base class have in common."""
    heading = f"### {base.__name__}\n\n{markdown(inspect.getdoc(base) or '')}"
    return "\n\n".join([heading, *members(base, "result")])


def columns(result: type[Result]) -> str:
    """The tables of a result with their columns, which the reference explains."""
    rows = [f"- `{name}`: {', '.join(table)}" for name, table in result.shape.tables.items()]
    return "**Tables and their columns**\n\n" + "\n".join(rows)


def members(of: type, called: str = "") -> list[str]:
    """The public methods and properties of a class, and what the members of an enumeration mean.

    Those that all results share are left out, but where their class itself is asked about.
    """
    called = called or of.__name__
    if issubclass(of, enum.Enum):
        return ["\n".join(f"- `{member.name}`: {getattr(member, 'remedy', '')}" for member in of)]
    told = []
    fields = {field.name for field in dataclasses.fields(of)} if dataclasses.is_dataclass(of) else set[str]()
    for name, value in inspect.getmembers_static(of):
        where = next(base for base in of.__mro__ if name in vars(base))
        if name.startswith("_") or name in fields or name in INNER or not where.__module__.startswith("openpoint."):
            continue
        bases = [base for base in BASES if base is not of and issubclass(of, base)]
        told_there = any(where in base.__mro__ or (name in dir(base) and not value.__doc__) for base in bases)
        if told_there:
            continue
        doc = markdown(inspect.getdoc(value) or "")
        if isinstance(value, property):
            told.append(f"#### {called}.{name}\n\n{doc}")
        elif inspect.isfunction(value) or isinstance(value, classmethod | staticmethod):
            told.append(f"#### {called}.{name}\n\n```text\n{signature(name, getattr(of, name))}\n```\n\n{doc}")
    return told


def signature(name: str, called: object) -> str:
    """The signature; over several lines where one would be too long."""
    assert callable(called)
    try:
        given = inspect.signature(called)
    except ValueError:  # an exception without arguments of its own
        return name
    if inspect.isclass(called) and issubclass(called, enum.Enum):
        return name
    shown: list[str] = []
    star = False
    for parameter in given.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            star = True
            shown.append("*")
        star = star or parameter.kind is parameter.VAR_POSITIONAL
        shown.append(_parameter(parameter))
    returned = given.return_annotation
    arrow = "" if returned in (given.empty, None, "None") or inspect.isclass(called) else f" -> {plain(returned)}"
    line = f"{name}({', '.join(shown)}){arrow}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {each},\n" for each in shown) + f"){arrow}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind = "" if parameter.annotation is parameter.empty else f": {plain(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}{kind}"
    default, word = parameter.default, repr(parameter.default)
    if dataclasses.is_dataclass(default):
        word = f"{type(default).__name__}()" if default == type(default)() else word
    elif "factory" in word or len(word) > LONGEST_DEFAULT:
        word = "..."
    return f"{stars}{parameter.name}{kind} = {word}"


def plain(annotation: object) -> str:
    """An annotation without the modules of its names."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:openpoint|collections|os|pl|polars)(?:\.\w+)*\.(\w+)", r"\1", text)


def markdown(doc: str) -> str:
    """A docstring as Markdown: the sections of arguments and the like become lists."""
    lines: list[str] = []
    section = ""
    for line in doc.splitlines():
        if match := _SECTION.fullmatch(line):
            section = match.group(1)
            lines += [f"**{section}**", ""]
        elif section and line.startswith("    "):
            lines.append(_item(line, section))
        else:
            section = section if not line else ""
            lines.append(line)
    return "\n".join(lines).strip()


def _item(line: str, section: str) -> str:
    """A line of a section: an item begins at its own indent and names what it is about."""
    text = line[4:]
    if section == "Returns":
        return text
    names = re.match(r"([\w*][\w, …*]*): ", text)
    return f"- `{names.group(1)}`: {text[names.end() :]}" if names else f"  {text.strip()}"


def alias_doc(name: str) -> str:
    """What stands below the definition of a type alias."""
    module = inspect.getmodule(openpoint.read)
    assert module is not None
    body = ast.parse(inspect.getsource(module)).body
    for given, below in itertools.pairwise(body):
        if isinstance(given, ast.Assign) and [t.id for t in given.targets if isinstance(t, ast.Name)] == [name]:
            assert isinstance(below, ast.Expr)
            return str(ast.literal_eval(below.value))
    raise KeyError(name)
