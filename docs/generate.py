"""Write reference.md from the schemas, python.md from the docstrings, days.md from the tables of the built-in days,
tolerances.md from the source, grids.md from what studies declare.

With `--check` only see if they are current.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import days
import signatures
import tolerances

from openpoint.grid.schemas import SCHEMAS, TableSchema
from openpoint.results.schema import Schema
from openpoint.scenarios.day.schemas import DAY_SCHEMAS, MeasuredState
from openpoint.scenarios.horizon import HORIZON_SCHEMAS
from openpoint.scenarios.reliability import RELIABILITY_SCHEMAS
from openpoint.studies.accepted import NAMES, PARTS
from openpoint.studies.catalog import STUDIES

PAGES = Path(__file__).parent

HEAD = """# Reference

This page is made from the schemas that also check every file: `make docs` writes it anew.

## Tables of a grid

"""


GRIDS = """# What each study takes of a grid

Made from the declaration by which the studies refuse (`openpoint.studies.accepted`); a test tries every cell on a small
grid. A study that refuses a part says so before it computes anything, with the branches by name and the way on.

"""

HORIZON = """## Tables of a horizon

What `openpoint partition-steps` and `openpoint.read_horizon` read: the steps, and where there are any, the others.

"""

DAY = """## Tables of a day

What `openpoint dispatch-day` and `openpoint.read_day` read: the periods, and where there are any, the others.
The table `generators` has the columns of that of a grid.

"""


RELIABILITY = """## Tables of reliability

What `openpoint secure --reliability` and `openpoint.read_reliability` read; either may be left out.

"""


def tables_markdown(schemas: Mapping[str, type[TableSchema]] = SCHEMAS) -> str:
    """A Markdown section for every table: its columns with type, unit, default and meaning."""
    parts = []
    for kind, schema in schemas.items():
        dtypes = schema.empty().schema
        parts += [f"## {kind}", "", inspect.cleandoc(schema.__doc__ or ""), ""]
        parts += ["| column | type | unit | default | meaning |", "|---|---|---|---|---|"]
        for name, column in schema.columns().items():
            metadata = column.metadata
            cells = (f"`{name}`", _type_word(str(dtypes[name])), metadata.get("unit", ""), _default(metadata))
            parts.append(f"| {' | '.join(cells)} | {metadata.get('doc', '')} |")
        parts.append("")
    return "\n".join(parts)


def _type_word(dtype: str) -> str:
    words = {"String": "text", "Float64": "number", "Int64": "whole number", "Boolean": "true or false"}
    return words.get(dtype, "numbers")


def _default(metadata: Mapping[str, Any]) -> str:
    if "default" not in metadata:
        return "must be given"
    value = metadata["default"]
    if value is None or value == []:
        return "empty"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def table_markdown() -> str:
    """The table of parts and studies."""
    short = {name: name.removeprefix("reconfigure-").removeprefix("dispatch-") for name in NAMES}
    short |= {"reconfigure-front": "front (reconfigure)", "dispatch-front": "front (dispatch)"}
    lines = ["| | " + " | ".join(short.values()) + " |", "|---" * (len(NAMES) + 1) + "|"]
    for part in PARTS.values():
        lines.append(f"| {part.title} | " + " | ".join("no" if n in part.refused else "yes" for n in NAMES) + " |")
    lines += ["", "| | how studies take it | why others do not |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {part.title} | {part.kept} | {part.why} |" for part in PARTS.values())])


def below(markdown: str) -> str:
    """The same with its headings a level lower."""
    return re.sub("^## ", "### ", markdown.strip(), flags=re.MULTILINE)


def reference() -> str:
    """The page as Markdown."""
    day = {kind: schema for kind, schema in DAY_SCHEMAS.items() if kind != "generators"} | {"state": MeasuredState}
    parts = [
        HEAD + below(tables_markdown()),
        HORIZON + below(tables_markdown(HORIZON_SCHEMAS)),
        DAY + below(tables_markdown(day)),
        RELIABILITY + below(tables_markdown(RELIABILITY_SCHEMAS)),
    ]
    for study in STUDIES:
        schema = study.shape.json_schema()
        properties: Mapping[str, Schema] = schema["properties"]
        frames = {name: shape["items"] for name, shape in properties.items() if is_table(shape)}
        plain = {name: shape for name, shape in properties.items() if name not in frames}
        parts.append(f"## {study.title}\n\n{keys(plain)}")
        parts += [f"### `{name}` of this result\n\n{keys(rows['properties'])}" for name, rows in frames.items()]
    return "\n\n".join(parts) + "\n"


def is_table(shape: Schema) -> bool:
    """Whether a key holds rows of a table."""
    return shape.get("type") == "array" and "one object a row" in shape["description"]


def keys(properties: Mapping[str, Schema]) -> str:
    """A Markdown table of keys."""
    rows = [f"| `{name}` | {kind(shape)} | {shape['description']} |" for name, shape in properties.items()]
    return "\n".join(["| key | type | meaning |", "|---|---|---|", *rows])


def kind(shape: Schema) -> str:
    """The type of a key in words."""
    types = shape.get("type", "string")
    return types if isinstance(types, str) else " or ".join(types)


if __name__ == "__main__":
    for name, text in (
        ("reference.md", reference()),
        ("python.md", signatures.page()),
        ("days.md", days.page()),
        ("tolerances.md", tolerances.page()),
        ("grids.md", GRIDS + table_markdown() + "\n"),
    ):
        file = PAGES / name
        if "--check" not in sys.argv:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            sys.exit(f"docs/{name} is not current: run make docs")
