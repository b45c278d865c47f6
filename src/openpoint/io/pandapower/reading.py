"""Shared state and helpers of the pandapower reader: cells as numbers, names, and the tables of the grid."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from openpoint.errors import Faults, Problem
from openpoint.grid.coordinates import Point
from openpoint.inputs import finite, shown
from openpoint.io.pandapower.json import Net, Row, is_missing, truth

# pandapower writes this for "no limit".
NO_LIMIT_KA = 99999.0


@dataclass
class Reading:
    """The tables of the grid while a net is read. `bus_names` holds the buses in service, `places` those by name."""

    net: Net
    file: str
    tables: dict[str, list[Row]] = field(default_factory=dict)
    faults: list[Problem] = field(default_factory=Faults)
    notes: list[Problem] = field(default_factory=list)
    bus_names: dict[int, str] = field(default_factory=dict)
    bus_kv: dict[int, float] = field(default_factory=dict)
    places: dict[str, Point | None] = field(default_factory=dict)
    all_buses: set[int] = field(default_factory=set)

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

    def loading(self, table: str, row: Row) -> float:
        """How much of the rating may be used: derating, parallel systems, permitted loading."""
        percent = self.optional(table, row, "max_loading_percent")
        share = 1.0 if percent is None else percent / 100.0
        return share * self.number(table, row, "df", 1.0) * self.number(table, row, "parallel", 1.0)

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
