"""Profiles of a pandapower net: the tables of `net.profiles`, and those by which its controllers set powers.

- `net.profiles` has the form of SimBench: tables `load`, `renewables`, `powerplants` and `storage`, of which the column
  `profile` of an element names columns: `NAME_pload` and `NAME_qload` of a load, `NAME` of what feeds in. These are
  shares of its power; the reactive power of what feeds in stays. Tables named `load.p_mw` hold powers, and their
  columns are the indices of elements.
- A `ConstControl` with a `DFData` gives elements the power in a column of its table. No class in the file is made.
- Times are those of a column `time`, or of the index. Where they have no offset from UTC and the clock changes, the
  first offset is taken to be that of central Europe, as in SimBench: 1 h in winter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from openpoint.arrays import Ints
from openpoint.errors import InputError, Problem
from openpoint.grid.profiles import Curve, Follower
from openpoint.inputs import MOST_CELLS, content_of, decoding, refuse_more
from openpoint.io.pandapower.reading import Net, Reading, Row, rows_of, text_of, truth

TABLES = {
    "load": ("load",),
    "sgen": ("renewables", "powerplants"),
    "gen": ("powerplants", "renewables"),
    "storage": ("storage",),
}
"""Tables in which the profile of an element is looked for."""
_POWERS = {"p_mw": "p", "q_mvar": "q"}
_FORMS = ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")
"""Forms of times without an offset, beside that of ISO 8601."""
_EARLIEST_MS = 10**11
"""A greater whole number in an index counts milliseconds since 1970, as pandas writes times into JSON."""
WINTER_H = 1


@dataclass(frozen=True)
class Control:
    """What sets a power.

    Attributes:
        element, index, variable: the cell that is set, such as load 3, p_mw. table, column: where its values stand.
        factor: of them.
    """

    element: str
    index: int
    variable: str
    table: str
    column: str
    factor: float


def controls_of(net: Net) -> None:
    """Take the controllers and tables of a net by which powers are set into its `controls` and `series`."""
    for key, table in [*net.series.items()]:
        element, _, variable = key.partition(".")
        if element in TABLES and variable in _POWERS and not isinstance(table, Path):
            net.controls += [Control(element, int(c), variable, key, c, 1.0) for c in _columns(table) if c.isdecimal()]
    known: dict[str, str] = {}
    for row in net.rows("controller"):
        given = row.get("object")
        if not truth(row.get("in_service"), instead=True):
            continue
        found = _control(given, row, known, net) if isinstance(given, Mapping) else []
        net.controls += found
        net.uncontrolled += not (found or (isinstance(given, Mapping) and take_band(net, given)))


def _columns(table: Any) -> list[str]:
    return [name for name in frame_of(table).columns if name != "starts_at"]


def _control(given: Mapping[str, Any], row: Row, known: dict[str, str], net: Net) -> list[Control]:
    """What a controller sets; nothing where it is no ConstControl of powers with a table."""
    inner = _attributes(given) if given.get("_class") == "ConstControl" else {}
    source = inner.get("data_source")
    if not isinstance(source, dict) or source.get("_class") != "DFData":
        return []
    data = source.get("_object")
    data = json.loads(data) if isinstance(data, str) else data
    frame = data.get("df") if isinstance(data, dict) else None
    if not isinstance(frame, dict):
        return []
    # Every controller holds a copy of the table of all.
    name = known.setdefault(json.dumps(frame), f"controller {row['index']}")
    net.series.setdefault(name, frame)
    return made_controls(name, inner)


def _attributes(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes of a controller."""
    inner = given.get("_object")
    inner = json.loads(inner) if isinstance(inner, str) else inner
    return inner if isinstance(inner, Mapping) else {}


def take_band(net: Net, given: Mapping[str, Any]) -> bool:
    """Take the voltages that a DiscreteTapControl of transformers holds; whether it is one."""
    of = _attributes(given) if given.get("_class") == "DiscreteTapControl" else {}
    low, high, indices = of.get("vm_lower_pu"), of.get("vm_upper_pu"), of.get("element_index")
    if isinstance(indices, Mapping):  # an array of numpy, as pandapower writes it
        indices = indices.get("_object")
    indices = list(indices) if isinstance(indices, (list, tuple)) else [indices]
    numbers = all(isinstance(value, (int, float)) for value in (low, high))
    if of.get("element") != "trafo" or not numbers or not all(isinstance(i, int) for i in indices):
        return False
    net.bands |= dict.fromkeys(indices, (str(of.get("side")), low, high))
    return True


def made_controls(table: str, of: Mapping[str, Any]) -> list[Control]:
    """What a ConstControl sets whose values are in a table, by its attributes."""
    element, variable, factor = of.get("element"), of.get("variable"), of.get("scale_factor", 1.0)
    indices, columns = of.get("element_index"), of.get("profile_name")
    indices = list(indices) if isinstance(indices, (list, tuple)) else [indices]
    columns = list(columns) if isinstance(columns, (list, tuple)) else [columns] * len(indices)
    sets = element in TABLES and variable in (*_POWERS, "scaling") and len(columns) == len(indices)
    if not sets or any(column is None for column in columns) or not all(isinstance(i, int) for i in indices):
        return []
    return [Control(str(element), i, str(variable), table, str(c), float(factor)) for i, c in zip(indices, columns)]


def follow(reading: Reading, element: str, row: Row, kind: str, name: str, per: tuple[float, float]) -> None:
    """Note that a load or generator follows what its row, or a controller, tells.

    Args:
        element, row: of the net. kind, name: in the grid.
        per: kW there for 1 MW in the net, and kvar for 1 Mvar, at a scaling of 1.
    """
    scaling = reading.number(element, row, "scaling", 1.0)
    curves: dict[str, Curve] = {}
    for control in reading.controls.get((element, row["index"]), ()):
        for letter, each, column in (("p", per[0], "p_mw"), ("q", per[1], "q_mvar")):
            if control.variable not in (column, "scaling"):
                continue
            if letter in curves:
                message = f"two controllers or tables set {column} of this {element}, or one sets its scaling, too"
                reading.fault(element, row, column, message, "Keep one of them")
            size = scaling if control.variable == column else reading.number(element, row, column, 0.0)
            curves[letter] = Curve(control.table, control.column, each * size * control.factor)
    if curves:
        reading.followers.append(Follower(kind, name, p=curves.get("p"), q=curves.get("q")))
    elif profile := text_of(row.get("profile")):
        reading.followers.append(Follower(kind, name, profile, TABLES[element], reactive=element == "load"))


def frames_of(series: Mapping[str, Any], profiles: frozenset[str]) -> dict[str, pl.DataFrame]:
    """The tables of profiles by name, read.

    Args:
        series: as of `frame_of`, or paths of CSV files of SimBench. profiles: the names of which files are read.
    """
    return {
        name: _of_file(table, profiles) if isinstance(table, Path) else frame_of(table)
        for name, table in series.items()
    }


def frame_of(table: Any) -> pl.DataFrame:
    """A table with the times in `starts_at`, where it tells any.

    Args:
        table: as it is encoded in a file, or what gives its frame.
    """
    if callable(table):
        made: pl.DataFrame = table()
        return made
    with decoding("profiles", "no table", "Write the file with pandapower.to_json(net, path), without encryption"):
        rows = rows_of(table)
        heads = [name for name in dict.fromkeys(name for row in rows[:1] for name in row) if name != "index"]
        frame = pl.DataFrame({name: [row.get(name) for row in rows] for name in heads}, strict=False)
        return with_times(frame, [row["index"] for row in rows])


def with_times(frame: pl.DataFrame, index: list[Any]) -> pl.DataFrame:
    """The table with `starts_at` from its column `time`, or from its index."""
    if "time" in frame.columns:
        return frame.drop("time").insert_column(0, _with_offsets(frame["time"].cast(pl.String)).alias("starts_at"))
    if index and all(isinstance(each, str) for each in index):
        return frame.insert_column(0, _with_offsets(pl.Series("starts_at", index, dtype=pl.String)))
    if index and all(isinstance(each, int) and each > _EARLIEST_MS for each in index):
        times = pl.Series("starts_at", index).cast(pl.Datetime("ms"))
        return frame.insert_column(0, _with_offsets(times.dt.strftime("%Y-%m-%dT%H:%M:%S")))
    return frame


def _of_file(path: Path, profiles: frozenset[str]) -> pl.DataFrame:
    """The columns of a SimBench CSV file that belong to some profiles."""
    content = content_of(path)
    with decoding(path.name, "no table", "Give the table as SimBench writes it"):
        header = content.partition(b"\n")[0].decode("utf-8-sig").strip().split(";")
        wanted = [
            n for n in header if n == "time" or {n, n.removesuffix("_pload"), n.removesuffix("_qload")} & profiles
        ]
        refuse_more(content.count(b"\n") * len(wanted), MOST_CELLS, "cells", path.name)
        if twice := [name for name in wanted if header.count(name) > 1]:
            raise InputError([Problem(path.name, "", twice[0], "the column is given more than once", "Keep one")])
        frame = pl.read_csv(content, separator=";", columns=wanted, infer_schema=False) if wanted else pl.DataFrame()
    return with_times(frame, [])


def _with_offsets(times: pl.Series) -> pl.Series:
    """Times as in ISO 8601, with offsets from UTC where they have none and the clock changes; others as they are."""
    for form in _FORMS:
        read = times.str.to_datetime(form, strict=False)
        if not read.has_nulls():
            break
    else:
        read = times.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False)
        if read.has_nulls():
            return times
    texts = read.dt.strftime("%Y-%m-%dT%H:%M")
    offsets = _offsets(read.cast(pl.Datetime("ms")).cast(pl.Int64).to_numpy() // 60_000)
    return texts if offsets is None else texts + pl.Series([f"{h:+03d}:00" for h in offsets.tolist()])


def _offsets(minutes: Ints) -> Ints | None:
    """(T) hours from UTC at times of a clock that changes and is steady otherwise; None where none of it is seen."""
    passed = np.diff(minutes)
    if not len(passed):
        return None
    beyond = passed - int(np.median(passed))
    turns = np.where(beyond == 60, 1, 0) - np.where(beyond == -60, 1, 0)
    if not turns.any():
        return None
    first = WINTER_H + int(turns[np.flatnonzero(turns)[0]] < 0)
    return first + np.concatenate([[0], np.cumsum(turns)])
