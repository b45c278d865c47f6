"""The tables of a SimBench CSV folder: semicolons between cells, `NULL` or nothing where there is no value."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from pathlib import Path

from openpoint.errors import Faults, InputError, Problem
from openpoint.grid.csv_style import refuse_large_table
from openpoint.inputs import MOST_VALUES, content_of, decoding
from openpoint.io.text import decode

Cells = dict[str, str]
"""A row: its cells by column, without those that have no value."""

WANTED = ("Node", "ExternalNet", "Line", "LineType", "Transformer", "TransformerType", "Switch", "Load", "RES")
"""Tables that are read; the first two and one with branches must be there."""
MORE = ("PowerPlant", "Storage", "Shunt", "Coordinates")
REFUSED = ("Transformer3W", "DCLine")
"""Tables whose rows have no place in a grid."""
TABLES = (*WANTED, *MORE, *REFUSED)
_COLUMNS = {
    "Node": ("id", "type", "vmR"),
    "ExternalNet": ("id", "node", "calc_type"),
    "Line": ("id", "nodeA", "nodeB", "type", "length"),
    "LineType": ("id", "r", "x", "b"),
    "Transformer": ("id", "nodeHV", "nodeLV", "type"),
    "TransformerType": ("id", "sR", "vmHV", "vmLV", "vmImp", "pCu"),
    "Switch": ("id", "nodeA", "nodeB", "cond"),
    "Load": ("id", "node", "pLoad"),
    "RES": ("id", "node", "pRES"),
    "PowerPlant": ("id", "node", "calc_type", "pPP"),
    "Storage": ("id", "node", "pStor"),
    "Shunt": ("id", "node", "q0"),
    "Coordinates": ("id", "x", "y"),
}


def is_folder(folder: Path) -> bool:
    """Whether a folder holds SimBench tables."""
    return (folder / "Node.csv").is_file() and (folder / "ExternalNet.csv").is_file()


@dataclass
class Folder:
    """The rows of the tables, and what is wrong with them.

    Attributes:
        rows: by table. others: names of tables that are there and are not read. faults: in the order found.
    """

    rows: dict[str, list[Cells]]
    others: list[str]
    faults: list[Problem] = field(default_factory=Faults)

    def number(self, table: str, row: Cells, column: str, instead: float | None = None) -> float:
        """A cell as finite number; one without a value takes `instead`, or is a fault where that is None."""
        text = row.get(column)
        if text is None and instead is not None:
            return instead
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            message = "the value is missing" if text is None else f"{text!r} is no finite number"
            self.faults.append(Problem(f"{table}.csv", row["id"], column, message, "Give a number"))
        return value

    def optional(self, table: str, row: Cells, column: str) -> float | None:
        """A cell as number, None where it has no value."""
        return None if row.get(column) is None else self.number(table, row, column)

    def flag(self, table: str, row: Cells, column: str) -> bool:
        """A cell with 0 or 1, as number or as a word."""
        text = row.get(column, "").lower()
        if text not in ("1", "0", "1.0", "0.0", "true", "false"):
            self.faults.append(Problem(f"{table}.csv", row["id"], column, f"{text!r} is not 0 or 1", "Write 0 or 1"))
        return text in ("1", "1.0", "true")


def read_tables(folder: Path) -> Folder:
    """The tables of a folder.

    Raises:
        InputError: tables or columns that are missing, rows without an id or with the id of another row.
    """
    found = Folder({}, [])
    for path in sorted(folder.glob("*.csv")):
        name = path.stem
        if name not in TABLES:
            found.others.append(name)
            continue
        content = content_of(path)
        found.rows[name] = _rows(found, name, decode(content, path.name)) if content.strip() else []
    if not found.rows.get("Line") and not found.rows.get("Transformer"):
        found.faults.append(Problem(str(folder), "", "", "no table has a branch", "Give Line.csv or Transformer.csv"))
    if found.faults:
        raise InputError(found.faults)
    return found


def _rows(found: Folder, table: str, text: str) -> list[Cells]:
    refuse_large_table(text, ";", f"{table}.csv", MOST_VALUES)
    with decoding(f"{table}.csv", "no table", "Give the table as SimBench writes it"):
        lines = list(csv.reader(io.StringIO(text), delimiter=";"))
    heads = [head.strip() for head in lines[0]] if lines else []
    lacking = [column for column in _COLUMNS.get(table, ("id",)) if column not in heads]
    for column in lacking:
        message = f"column is missing; there are {', '.join(heads) or 'none'}"
        found.faults.append(Problem(f"{table}.csv", "", column, message, "Give the table as SimBench writes it"))
    if lacking:
        return []
    rows: list[Cells] = []
    seen: set[str] = set()
    for number, cells in enumerate(lines[1:], start=2):
        if not cells:
            continue
        row = {head: cell.strip() for head, cell in zip(heads, cells) if cell.strip() not in ("", "NULL", "nan")}
        if "id" not in row or len(cells) != len(heads):
            message = "it has no id" if len(cells) == len(heads) else f"{len(cells)} cells, {len(heads)} columns"
            found.faults.append(Problem(f"{table}.csv", f"line {number}", "", message, "Correct the line"))
        elif row["id"] in seen:
            found.faults.append(Problem(f"{table}.csv", row["id"], "id", "given twice", "Give every row its own id"))
        else:
            seen.add(row["id"])
            rows.append(row)
    return rows
