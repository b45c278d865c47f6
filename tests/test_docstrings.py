"""Docstrings and pages name only what exists: modules, attributes of classes, arguments of functions."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "openpoint"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}


@cache
def classes() -> dict[str, list[ast.ClassDef]]:
    """By name; two modules may use the same one."""
    found: dict[str, list[ast.ClassDef]] = {}
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(node)
    return found


def attributes(cls: ast.ClassDef) -> set[str]:
    """The fields, properties and methods of a class and of its bases."""
    found = {node.attr for node in ast.walk(cls) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    for node in cls.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    for base in (node.id for part in cls.bases for node in ast.walk(part) if isinstance(node, ast.Name)):
        found.update(*(attributes(other) for other in classes().get(base, []) if other is not cls))
    return found


def described(section: str, node: ast.ClassDef | ast.FunctionDef) -> set[str]:
    """The names in a section of a docstring: before a colon, at the start of an entry or after a full stop."""
    text = re.search(rf"^{section}:\n(.*?)(\n\n|\Z)", ast.get_docstring(node) or "", re.DOTALL | re.MULTILINE)
    entries = re.findall(r"(?:^ {4}|\. )((?:[a-z]\w*, )*[a-z]\w*): ", text[1] if text else "", re.MULTILINE)
    return {name for names in entries for name in names.split(", ")}


def test_docstrings_describe_attributes_and_arguments_that_exist() -> None:
    wrong = []
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                unknown = described("Attributes", node) - attributes(node)
            elif isinstance(node, ast.FunctionDef):
                unknown = described("Args", node) - {arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
            else:
                continue
            wrong += [f"{path.relative_to(ROOT)}:{node.lineno} {name}" for name in sorted(unknown - {"default"})]
    assert not wrong, "\n".join(wrong)


def exists(name: str) -> bool:
    """Whether a dotted name leads to a module, or to something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place = SOURCE.parent.joinpath(*parts[:length])
        if place.is_dir() or place.with_suffix(".py").is_file():
            found = importlib.import_module(".".join(parts[:length]))
            for part in parts[length:]:
                if isinstance(found, type) and any(part in attributes(cls) for cls in classes()[found.__name__]):
                    return True
                if part not in dir(found):
                    return False
                found = getattr(found, part)
            return True
    return False


def test_dotted_names_of_the_package_exist() -> None:
    wrong = []
    for page in [*PAGES, *trees()]:
        names = re.findall(r"`(openpoint\.[\w.]*\w)(?:\(\))?`", page.read_text(encoding="utf-8"))
        wrong += [f"{page.relative_to(ROOT)}: {name}" for name in names if not exists(name)]
    assert not wrong, "\n".join(wrong)
