"""Every named small number of the source with its reason, as Markdown: the comment or docstring beside it."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "openpoint"
SMALL = 1e-2
HEAD = """# Tolerances one by one

This page is made from the source: `make docs` writes it anew. It has every named number of at most 0.01, with the
reason that stands beside it; [Numerics](numerics.md) says which of them can move a figure that is shown, and by how
much. Small numbers without a name keep a division from zero, take rounding from a comparison or end an iteration.
"""


@dataclass(frozen=True)
class Constant:
    """A named number of a module, or several in one statement."""

    file: Path
    line: int
    name: str
    value: str
    reason: str


def constants(file: Path) -> Iterator[Constant]:
    """The small numbers that have a name at the top level of a module."""
    text = file.read_text(encoding="utf-8")
    lines, body = text.splitlines(), ast.parse(text).body
    for node, after in itertools.zip_longest(body, body[1:]):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Constant | ast.Tuple):
            continue
        numbers = [each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
        if not any(isinstance(number, float) and 0.0 < abs(number) <= SMALL for number in numbers):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        value = (ast.get_source_segment(text, node.value) or "").strip("()")
        reason = docstring(after) or comment(lines, node.lineno - 1)
        yield Constant(file, node.lineno, ast.unparse(target).strip("()"), value, reason)


def docstring(node: ast.stmt | None) -> str:
    """The text of a statement that is only a string."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""


def comment(lines: list[str], line: int) -> str:
    """The comment at the end of a line, or the one above it."""
    if "  # " in lines[line]:
        return lines[line].partition("  # ")[2]
    above: list[str] = []
    while line > 0 and lines[line - 1].startswith("# "):
        line -= 1
        above.insert(0, lines[line].removeprefix("# "))
    return " ".join(above)


@cache
def found() -> list[Constant]:
    """All of the package."""
    return [constant for file in sorted(SOURCE.rglob("*.py")) for constant in constants(file)]


def page() -> str:
    """The page as Markdown."""
    rooms: dict[str, list[Constant]] = {}
    for constant in found():
        rooms.setdefault(constant.file.relative_to(SOURCE).parts[0], []).append(constant)
    parts = [HEAD]
    for room, names in rooms.items():
        rows = [
            f"| `{each.file.relative_to(SOURCE).as_posix()}` | `{each.name}` | {each.value} | {cell(each.reason)} |"
            for each in names
        ]
        parts.append(
            "\n".join([f"## {room}\n", "| file | name | value | what it is for |", "|---|---|---|---|", *rows])
        )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def cell(text: str) -> str:
    """A text that a cell of a table can hold."""
    return text.replace("|", "\\|").replace("<", "&lt;")
