"""The tables in a pandapower JSON file. No class named in the file is made: only tables of plain values are decoded.

pandapower writes a net as `{"_class": "pandapowerNet", "_object": {"bus": {"_class": "DataFrame", "_object": …}}}`,
where the inner object is JSON again (often as text) in one of pandas' orientations.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openpoint.errors import InputError, Problem
from openpoint.inputs import json_of
from openpoint.io.text import fault

Row = dict[str, Any]
_RESULTS = ("res_gen", "res_xward")  # what generators and extended wards that hold a voltage gave
_HELP = "Write the file with pandapower.to_json(net, path), without encryption"


@dataclass
class Net:
    """A pandapower net as plain tables.

    Attributes:
        tables: rows by table; each row also holds its `index`. Only tables asked for or not empty.
        values: the plain values beside the tables (`f_hz`, `name`, …).
    """

    tables: dict[str, list[Row]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def rows(self, table: str) -> list[Row]:
        """The rows of a table, none where there is no such table."""
        return self.tables.get(table, [])

    def live(self, table: str) -> list[Row]:
        """The rows of a table that are in service."""
        return [row for row in self.rows(table) if truth(row.get("in_service"), instead=True)]


def net_from_text(text: str, file: str) -> Net:
    """The tables in the text of a file.

    Raises:
        InputError: it is no JSON, no pandapower net, or has tables that cannot be decoded.
    """
    outer = json_of(text, file, _HELP)
    if isinstance(outer, dict) and {"study", "version", "grid"} <= outer.keys():
        remedy = f"Give the grid that it was made of: {outer['grid']}"
        raise InputError([fault(file, None, "", f"the file holds an answer ({outer['study']}) and no grid", remedy)])
    if not isinstance(outer, dict) or outer.get("_class") != "pandapowerNet":
        raise InputError([fault(file, None, "", "the file holds no pandapower net", _HELP)])
    content = outer.get("_object")
    if isinstance(content, str):
        content = json_of(content, file, _HELP)
    if not isinstance(content, dict):
        raise InputError([fault(file, None, "_object", "the net is not readable", _HELP)])
    net, faults = Net(), []
    for name, value in content.items():
        if isinstance(value, dict) and value.get("_class") == "DataFrame":
            if name.startswith(("res_", "_")) and name not in _RESULTS:
                continue
            try:
                net.tables[name] = _rows(value)
            except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
                faults.append(Problem(name, "", "", f"the table cannot be decoded ({error})", _HELP))
        elif isinstance(value, (str, int, float)):
            net.values[name] = value
    if faults:
        raise InputError(faults)
    return net


def _rows(value: dict[str, Any]) -> list[Row]:
    """The rows of an encoded DataFrame."""
    inner = value["_object"]
    if isinstance(inner, str):
        inner = json.loads(inner)
    orient = value.get("orient", "split")
    if not isinstance(inner, dict) or orient not in _ORIENTATIONS:
        raise ValueError(f"orientation {orient!r}")
    return _ORIENTATIONS[orient](inner)


def _split(inner: dict[str, Any]) -> list[Row]:
    columns = [str(c) for c in inner["columns"]]
    rows = []
    for index, cells in zip(inner["index"], inner["data"], strict=True):
        if not isinstance(cells, list) or len(cells) != len(columns):
            raise ValueError(f"row {index!r} does not have {len(columns)} cells")
        rows.append({**dict(zip(columns, cells)), "index": _index(index)})
    return rows


def _by_column(inner: dict[str, Any]) -> list[Row]:
    rows: dict[str, Row] = {}
    for column, cells in inner.items():
        for index, cell in cells.items():
            rows.setdefault(index, {"index": _index(index)})[column] = cell
    return list(rows.values())


def _by_index(inner: dict[str, Any]) -> list[Row]:
    return [{**cells, "index": _index(index)} for index, cells in inner.items()]


_ORIENTATIONS: dict[str, Callable[[dict[str, Any]], list[Row]]] = {
    "split": _split,
    "columns": _by_column,
    "index": _by_index,
}


def _index(value: Any) -> int | str:
    """Elements are numbered; tables beside them, such as the load cases of a simbench net, may have labels."""
    if isinstance(value, str):
        return int(value) if value.strip().removeprefix("-").isdecimal() else value
    if isinstance(value, (int, float)) and float(value).is_integer():
        return int(value)
    raise ValueError(f"index {value!r} is no whole number")


def is_missing(value: Any) -> bool:
    """Whether a cell is empty (null or NaN)."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def truth(value: Any, *, instead: bool) -> bool:
    """The truth of a cell, or `instead` where it is empty."""
    return instead if is_missing(value) else bool(value)
