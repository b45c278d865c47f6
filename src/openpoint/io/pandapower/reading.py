"""Shared state and helpers of the pandapower reader: cells as numbers, names, and the tables of the grid.

The tables in a pandapower JSON file. No class named in the file is made: only tables of plain values are decoded.

pandapower writes a net as `{"_class": "pandapowerNet", "_object": {"bus": {"_class": "DataFrame", "_object": …}}}`,
where the inner object is JSON again (often as text) in one of pandas' orientations.

Coordinates in pandapower nets: GeoJSON in `geo`, or rows of the older tables `bus_geodata` and `line_geodata`.

Pictures do not need all of them, so what cannot be read is none.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from openpoint.errors import Faults, InputError, Problem
from openpoint.grid.coordinates import Point, between
from openpoint.grid.profiles import Follower
from openpoint.inputs import finite, json_of, shown
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
        series: tables of profiles by name, as `openpoint.io.pandapower.profiles` reads them.
        controls: what sets powers by them. bands: side and voltages, pu, that tap changers hold, by index of their
            transformer. uncontrolled: number of controllers that set something else.
    """

    tables: dict[str, list[Row]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    series: dict[str, Any] = field(default_factory=dict)
    controls: list[Any] = field(default_factory=list)
    bands: dict[int, tuple[str, Any, Any]] = field(default_factory=dict)
    uncontrolled: int = 0

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
                net.tables[name] = rows_of(value)
            except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
                faults.append(Problem(name, "", "", f"the table cannot be decoded ({error})", _HELP))
        elif isinstance(value, (str, int, float)):
            net.values[name] = value
        elif name == "profiles" and isinstance(value, dict):
            net.series = {str(key): each for key, each in value.items() if isinstance(each, dict)}
    if faults:
        raise InputError(faults)
    return net


def rows_of(value: dict[str, Any]) -> list[Row]:
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


# pandapower writes this for "no limit".
NO_LIMIT_KA = 99999.0


@dataclass
class Reading:
    """The tables of the grid while a net is read.

    `bus_names` holds the buses in service, `places` those by name, `controls` what sets the power of an element.
    """

    net: Net
    file: str
    tables: dict[str, list[Row]] = field(default_factory=dict)
    faults: list[Problem] = field(default_factory=Faults)
    notes: list[Problem] = field(default_factory=list)
    bus_names: dict[int, str] = field(default_factory=dict)
    bus_kv: dict[int, float] = field(default_factory=dict)
    places: dict[str, Point | None] = field(default_factory=dict)
    all_buses: set[int] = field(default_factory=set)
    controls: dict[tuple[str, int], list[Any]] = field(default_factory=dict)
    followers: list[Follower] = field(default_factory=list)

    def add(self, kind: str, **row: Any) -> None:
        """Add a row to a table of the grid."""
        self.tables.setdefault(kind, []).append(row)

    def fault(self, table: str, row: Row | None, column: str, message: str, remedy: str) -> None:
        """Note an error."""
        self.faults.append(Problem(table, _label(row), column, message, remedy))

    def note(
        self, table: str, row: Row | None, column: str, message: str, remedy: str, *, changes_figures: bool = False
    ) -> None:
        """Note a warning; `changes_figures` as of `Problem`."""
        self.notes.append(Problem(table, _label(row), column, message, remedy, "warning", changes_figures))

    def number(self, table: str, row: Row, column: str, instead: float | None = None) -> float:
        """A cell as finite number; empty cells take `instead`, or are faults where that is None."""
        value = row.get(column)
        if is_missing(value) and instead is not None:
            return instead
        if is_missing(value):
            self.fault(table, row, column, "the value is missing", "Give a number")
        elif (number := finite(value)) is None:
            self.fault(table, row, column, f"{shown(value)} is no finite number", "Give a number")
        else:
            return number
        return math.nan

    def optional(self, table: str, row: Row, column: str) -> float | None:
        """A cell as number; empty and infinite cells are None."""
        value = row.get(column)
        if is_missing(value) or (isinstance(value, float) and math.isinf(value)):
            return None
        return self.number(table, row, column)

    def whole(self, table: str, row: Row, column: str, instead: int) -> int:
        """A cell as whole number."""
        value = self.number(table, row, column, float(instead))
        if not value.is_integer():
            if not math.isnan(value):
                self.fault(table, row, column, f"{value:g} is no whole number", "Give a whole number")
            return instead
        return int(value)

    def bus(self, table: str, row: Row, column: str = "bus") -> int | None:
        """The bus in a cell; None where it is out of service, and a fault where there is none."""
        value = row.get(column)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value not in self.all_buses:
            message = f"there is no bus {shown(value)}"
            self.fault(table, row, column, message, "Correct it, or add the bus to the table `bus`")
            return None
        return int(value) if int(value) in self.bus_names else None

    def ends(self, table: str, row: Row, fr: str, to: str) -> tuple[int, int] | None:
        """Both end buses, None where one is out of service or unknown."""
        ends = self.bus(table, row, fr), self.bus(table, row, to)
        return None if ends[0] is None or ends[1] is None else (ends[0], ends[1])

    def systems(self, table: str, row: Row) -> float:
        """What the rating of one system is to be multiplied by: derating, parallel systems."""
        return self.number(table, row, "df", 1.0) * self.number(table, row, "parallel", 1.0)

    def planned(self, table: str, row: Row) -> Row:
        """The column of the loading that is planned for."""
        percent = self.optional(table, row, "max_loading_percent")
        return {} if percent is None else {"max_loading_percent": percent}

    def left_out(self, table: str, remedy: str = "Set in_service to keep them") -> None:
        """Note which rows of a table are out of service."""
        rows = [row for row in self.net.rows(table) if not truth(row.get("in_service"), instead=True)]
        if rows:
            numbers = ", ".join(str(row["index"]) for row in rows[:10]) + (" …" if len(rows) > 10 else "")
            message = f"{len(rows)} rows out of service are left out: {numbers}"
            self.note(table, None, "in_service", message, remedy)


def names(groups: Iterable[tuple[str, list[Row]]]) -> dict[tuple[str, int], str]:
    """A name for every row by (word, index), unique over all groups.

    The element's own name where it is not empty and given once; else the word and index: `line 12`.
    """
    rows = [(word, row["index"], text_of(row.get("name"))) for word, members in groups for row in members]
    uses = Counter(name for _, _, name in rows)
    result = {}
    for word, index, name in rows:
        if not name or uses[name] > 1:
            name = f"{word} {index}"
            while name in uses:
                name += "'"
        result[word, index] = name
    return result


def text_of(value: Any) -> str:
    """A cell as text, empty where it is missing."""
    if is_missing(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # Half of a surrogate pair may stand in JSON, but in no UTF-8 text.
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _label(row: Row | None) -> str:
    if row is None:
        return ""
    name = text_of(row.get("name"))
    return f"{row['index']} ({name})" if name else str(row["index"])


def switches_of(net: Net, et: str) -> dict[Any, list[Row]]:
    """The switches of a branch, by its index; `et`: l for lines, t and t3 for transformers."""
    found: dict[Any, list[Row]] = {}
    for row in net.rows("switch"):
        if row.get("et") == et and isinstance(row.get("element"), (int, float)):
            found.setdefault(row["element"], []).append(row)
    return found


def is_closed(row: Row) -> bool:
    """Whether a switch is closed."""
    return truth(row.get("closed"), instead=True) and truth(row.get("in_service"), instead=True)


def state_of(switches: list[Row]) -> Row:
    """Columns of a branch: switchable if it has a switch, closed if all are."""
    return {"switchable": bool(switches), "closed": all(is_closed(row) for row in switches)}


FARTHEST = 1e300


def place_of(geo: object, old: Row | None) -> Point | None:
    """Where a bus lies. `geo`: its cell; `old`: its row of `bus_geodata`."""
    point = _coordinates(geo, "Point")
    place = _points([point if point is not None or old is None else [old.get("x"), old.get("y")]])
    return place[0] if place else None


def route_of(geo: object, old: Row | None, ends: tuple[Point | None, Point | None]) -> list[float]:
    """The points of a line between its buses, x and y in turn. `old`: its row of `line_geodata`; `ends`: the buses."""
    line = _coordinates(geo, "LineString")
    points = _points(line if line is not None or old is None else old.get("coords"))
    return between(points, ends) if None not in ends else []


def _coordinates(geo: object, kind: str) -> Any:
    try:
        shape = json.loads(geo) if isinstance(geo, str) else geo
    except (ValueError, RecursionError):
        return None
    return shape.get("coordinates") if isinstance(shape, dict) and shape.get("type") == kind else None


def _points(given: object) -> list[Point]:
    """Points of at least two finite numbers each; none at all where one of them is something else."""
    found = []
    for values in given if isinstance(given, (list, tuple)) else ():
        if not isinstance(values, (list, tuple)) or len(values) < 2 or not all(map(_is_sound, values[:2])):
            return []
        found.append((float(values[0]), float(values[1])))
    return found


def _is_sound(value: object) -> bool:
    return isinstance(value, (int, float)) and not is_missing(value) and abs(value) < FARTHEST
