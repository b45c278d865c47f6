"""SimBench CSV folders (Meinecke et al. 2020, https://simbench.de): Node.csv, Line.csv, Switch.csv and so on.

The tables hold what a pandapower net holds, under other names, so that they become one here and are read as such
(`openpoint.io.pandapower`): that is where it is said what is switchable.

- A switch joins two nodes. An auxiliary node with one switch and one branch is no bus: the switch stands at the end of
  the branch, as in simbench's own converter. Any other switch joins buses.
- `vmSetp` and `vaSetp` of a node are what a source there holds. External nets and power plants with `calc_type`
  `vavm` are sources, power plants with `pvm` hold the voltage of their node, those with `pq` feed in.
- Powers are the rated ones. The tables of profiles are read when a study asks for them; study cases and measurements
  are not read.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openpoint.errors import Faults, InputError, Problem, did_you_mean
from openpoint.grid.grid import Grid
from openpoint.grid.table_files import refuse_large_table
from openpoint.inputs import MOST_VALUES, content_of, decoding
from openpoint.io.pandapower.branches import branch_names
from openpoint.io.pandapower.read import grid_from_net
from openpoint.io.pandapower.reading import Net, Row
from openpoint.io.pandapower.states import cells_of
from openpoint.io.switch_states import Change, Edit, cannot_write, edited
from openpoint.io.text import decode

Cells = dict[str, str]
"""A row: its cells by column, without those that have no value."""

WANTED = ("Node", "ExternalNet", "Line", "LineType", "Transformer", "TransformerType", "Switch", "Load", "RES")
"""Tables that are read; the first two and one with branches must be there."""
MORE = ("PowerPlant", "Storage", "Shunt", "Coordinates")
PROFILES = {
    "LoadProfile": "load",
    "RESProfile": "renewables",
    "PowerPlantProfile": "powerplants",
    "StorageProfile": "storage",
}
"""Tables of profiles, by their names in a pandapower net."""
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
        profiles: files of profiles by their names in a pandapower net.
    """

    rows: dict[str, list[Cells]]
    others: list[str]
    faults: list[Problem] = field(default_factory=Faults)
    profiles: dict[str, Path] = field(default_factory=dict)

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
        if name in PROFILES:
            found.profiles[PROFILES[name]] = path.resolve()
            continue
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


def grid_from_folder(folder: Path) -> Grid:
    """The grid in a SimBench CSV folder.

    Raises:
        InputError: with every fault, by table, id and column.
    """
    net, notes = _made(folder)
    name = folder.resolve().name
    grid = grid_from_net(net, f"{name}.csv", source=f"SimBench folder {name}")
    return replace(grid, notes=(*grid.notes, *notes))


def net_from_folder(folder: Path) -> Net:
    """The pandapower net that the folder stands for; the names of its switches are the ids of Switch.csv.

    Raises:
        InputError: as of `grid_from_folder`.
    """
    return _made(folder)[0]


def _made(folder: Path) -> tuple[Net, list[Problem]]:
    found = read_tables(folder)
    making = _Making(found)
    notes = making.read()
    if found.faults:
        raise InputError(found.faults)
    return making.net, notes


class _Making:
    """A pandapower net of the tables."""

    def __init__(self, found: Folder) -> None:
        self.found, self.net = found, Net({"switch": []}, {"f_hz": 50.0}, {**found.profiles})
        self.node = {row["id"]: row for row in found.rows.get("Node", [])}
        self.ends = self._switched_ends()
        self.bus = {name: number for number, name in enumerate(name for name in self.node if name not in self.ends)}

    def read(self) -> list[Problem]:
        """Fill the net; the notes."""
        for table in REFUSED:
            if rows := self.rows(table):
                names = ", ".join(row["id"] for row in rows[:10]) + (" …" if len(rows) > 10 else "")
                remedy = "Replace them by two-winding transformers, or by loads and generators"
                self._fault(table, names, "", f"{len(rows)} rows cannot be read", remedy)
        self._nodes()
        self._lines()
        self._transformers()
        self._switches()
        self._sources()
        self._injections()
        return self._notes()

    def rows(self, table: str) -> list[Cells]:
        return self.found.rows.get(table, [])

    def add(self, table: str, row: Cells | None = None, **cells: Any) -> Row:
        """Add a row; its index is its number."""
        rows = self.net.tables.setdefault(table, [])
        own = {"name": row["id"], "profile": row.get("profile")} if row else {"name": ""}
        made = {"index": len(rows), "in_service": True, **own, **cells}
        rows.append(made)
        return made

    def _fault(self, table: str, row: str, column: str, message: str, remedy: str) -> None:
        self.found.faults.append(Problem(f"{table}.csv", row, column, message, remedy))

    def _bus(self, table: str, row: Cells, column: str = "node") -> int:
        """The number of a node; 0 and a fault where there is none of this name."""
        name = row.get(column, "")
        if name not in self.bus:
            remedy = did_you_mean(name, self.bus, "Add it to Node.csv, or correct the name")
            self._fault(table, row["id"], column, f"there is no node {name!r}", remedy)
        return self.bus.get(name, 0)

    def _type(self, table: str, row: Cells) -> Cells | None:
        """The type of a line or transformer."""
        kind = f"{table}Type"
        types = {each["id"]: each for each in self.rows(kind)}
        found = types.get(row.get("type", ""))
        if found is None:
            remedy = did_you_mean(row.get("type", ""), types, f"Add it to {kind}.csv, or correct the name")
            self._fault(table, row["id"], "type", f"there is no type {row.get('type', '')!r} in {kind}.csv", remedy)
        return found

    def _switched_ends(self) -> dict[str, Cells]:
        """The switch of each auxiliary node that has one switch and one branch, which is then no bus."""
        ends = Counter(self._ends(("Line", ("nodeA", "nodeB")), ("Transformer", ("nodeHV", "nodeLV"))))
        at = Counter(self._ends(("Switch", ("nodeA", "nodeB"))))
        more = set(self._ends(*((table, ("node",)) for table in ("ExternalNet", "Load", "RES", "PowerPlant"))))
        alone = {
            name
            for name, row in self.node.items()
            if row.get("type") == "auxiliary" and ends[name] == at[name] == 1 and name not in more
        }
        switches = {}
        for row in self.rows("Switch"):
            both = [row.get(end, "") for end in ("nodeA", "nodeB")]
            for name, other in (both, both[::-1]):
                if name in alone and other not in alone and other in self.node:
                    switches[name] = {**row, "at": other}
        return switches

    def _ends(self, *tables: tuple[str, tuple[str, ...]]) -> Iterator[str]:
        for table, columns in tables:
            yield from (row.get(column, "") for row in self.rows(table) for column in columns)

    def _nodes(self) -> None:
        places = {row["id"]: row for row in self.rows("Coordinates")}
        for name in self.bus:
            row = self.node[name]
            place = places.get(row.get("coordID", ""))
            geo = None
            if place is not None:
                point = [self.found.number("Coordinates", place, axis) for axis in ("x", "y")]
                geo = json.dumps({"type": "Point", "coordinates": point})
            self.add(
                "bus",
                row,
                vn_kv=self.found.number("Node", row, "vmR"),
                min_vm_pu=self.found.optional("Node", row, "vmMin"),
                max_vm_pu=self.found.optional("Node", row, "vmMax"),
                geo=geo,
            )

    def _end(self, table: str, row: Cells, column: str, kind: str, element: int) -> int:
        """The bus at the end of a branch: that behind its switch, which is added, or the node itself."""
        switch = self.ends.get(row.get(column, ""))
        if switch is None:
            return self._bus(table, row, column)
        bus = self.bus[switch["at"]]
        closed = self.found.flag("Switch", switch, "cond")
        self.add("switch", switch, bus=bus, element=element, et=kind, closed=closed)
        return bus

    def _lines(self) -> None:
        number = self.found.number
        for row in self.rows("Line"):
            kind = self._type("Line", row)
            element = len(self.net.rows("line"))
            ends = [self._end("Line", row, column, "l", element) for column in ("nodeA", "nodeB")]
            if kind is None:
                continue
            i_max = self.found.optional("LineType", kind, "iMax")
            self.add(
                "line",
                row,
                from_bus=ends[0],
                to_bus=ends[1],
                length_km=number("Line", row, "length"),
                r_ohm_per_km=number("LineType", kind, "r"),
                x_ohm_per_km=number("LineType", kind, "x"),
                # The susceptance is given in µS/km at 50 Hz, that of pandapower as capacitance.
                c_nf_per_km=number("LineType", kind, "b") * 1e3 / OMEGA,
                max_i_ka=None if i_max is None else i_max / 1e3,
                max_loading_percent=self.found.optional("Line", row, "loadingMax"),
            )

    def _transformers(self) -> None:
        number = self.found.number
        for row in self.rows("Transformer"):
            kind = self._type("Transformer", row)
            element = len(self.net.rows("trafo"))
            ends = [self._end("Transformer", row, column, "t", element) for column in ("nodeHV", "nodeLV")]
            if kind is None:
                continue
            given = {
                column: number("TransformerType", kind, column) for column in ("sR", "vmHV", "vmLV", "vmImp", "pCu")
            }
            side = kind.get("tapside", "").lower()
            taps: Row = {"tap_side": None}
            if kind.get("tapable", "0") in ("1", "1.0", "True") and side in ("hv", "lv"):
                neutral = number("TransformerType", kind, "tapNeutr", 0.0)
                taps = {
                    "tap_side": side,
                    "tap_changer_type": "Ratio",
                    "tap_neutral": neutral,
                    "tap_pos": number("Transformer", row, "tappos", neutral),
                    "tap_min": number("TransformerType", kind, "tapMin", neutral),
                    "tap_max": number("TransformerType", kind, "tapMax", neutral),
                    "tap_step_percent": number("TransformerType", kind, "dVm", 0.0),
                    "tap_step_degree": number("TransformerType", kind, "dVa", 0.0),
                }
            self.add(
                "trafo",
                row,
                hv_bus=ends[0],
                lv_bus=ends[1],
                sn_mva=given["sR"],
                vn_hv_kv=given["vmHV"],
                vn_lv_kv=given["vmLV"],
                vk_percent=given["vmImp"],
                vkr_percent=given["pCu"] / (10.0 * given["sR"]) if given["sR"] else 0.0,
                pfe_kw=number("TransformerType", kind, "pFe", 0.0),
                i0_percent=number("TransformerType", kind, "iNoLoad", 0.0),
                shift_degree=number("TransformerType", kind, "va0", 0.0),
                max_loading_percent=self.found.optional("Transformer", row, "loadingMax"),
                **taps,
            )

    def _switches(self) -> None:
        used = {row["id"] for row in self.ends.values()}
        for row in self.rows("Switch"):
            if row["id"] not in used:
                ends = [self._bus("Switch", row, column) for column in ("nodeA", "nodeB")]
                closed = self.found.flag("Switch", row, "cond")
                self.add("switch", row, bus=ends[0], element=ends[1], et="b", closed=closed)

    def _held(self, table: str, row: Cells) -> dict[str, float]:
        """Voltage and angle that are held at the node of a row."""
        node = self.node.get(row.get("node", ""), {"id": ""})
        v = self.found.number("Node", node, "vmSetp", 1.0)
        return {"vm_pu": v, "va_degree": self.found.number("Node", node, "vaSetp", 0.0)}

    def _sources(self) -> None:
        for row in self.rows("ExternalNet"):
            bus, kind = self._bus("ExternalNet", row), row.get("calc_type", "").lower()
            if kind in ("vavm", "vamv"):
                self.add("ext_grid", row, bus=bus, **self._held("ExternalNet", row))
            elif kind == "pq":
                power = [self.found.number("ExternalNet", row, column, 0.0) for column in ("pExtNet", "qExtNet")]
                self.add("sgen", row, bus=bus, p_mw=power[0], q_mvar=power[1])
            else:
                message = f"calc_type {row.get('calc_type', '')!r} cannot be read"
                self._fault("ExternalNet", row["id"], "calc_type", message, "Write vavm or pq")

    def _injections(self) -> None:
        number = self.found.number
        for row in self.rows("Load"):
            power = {"p_mw": number("Load", row, "pLoad"), "q_mvar": number("Load", row, "qLoad", 0.0)}
            self.add("load", row, bus=self._bus("Load", row), **power)
        for table, p, q in (("RES", "pRES", "qRES"), ("PowerPlant", "pPP", "qPP")):
            for row in self.rows(table):
                bus, kind = self._bus(table, row), row.get("calc_type", "pq").lower()
                power = {"p_mw": number(table, row, p), "q_mvar": number(table, row, q, 0.0)}
                limits = {
                    f"{side}_q_mvar": self.found.optional(table, row, f"q{side.title()}") for side in ("min", "max")
                }
                if kind == "pq":
                    self.add("sgen", row, bus=bus, **power)
                elif kind in ("vavm", "vamv"):
                    self.add("ext_grid", row, bus=bus, **self._held(table, row))
                elif kind == "pvm":
                    held = self._held(table, row)["vm_pu"]
                    self.add("gen", row, bus=bus, p_mw=power["p_mw"], vm_pu=held, slack=False, **limits)
                else:
                    message = f"calc_type {row['calc_type']!r} cannot be read"
                    self._fault(table, row["id"], "calc_type", message, "Write pq, pvm or vavm")
        for row in self.rows("Storage"):
            power = {"p_mw": number("Storage", row, "pStor"), "q_mvar": number("Storage", row, "qStor", 0.0)}
            self.add("storage", row, bus=self._bus("Storage", row), **power)
        for row in self.rows("Shunt"):
            step = number("Shunt", row, "step", 1.0)
            shunt = {"p_mw": number("Shunt", row, "p0", 0.0), "q_mvar": number("Shunt", row, "q0", 0.0)}
            shunt |= {"step": step, "max_step": step}
            self.add("shunt", row, bus=self._bus("Shunt", row), vn_kv=number("Shunt", row, "vmR"), **shunt)

    def _notes(self) -> list[Problem]:
        """What is not read."""
        notes = []
        if self.found.others:
            files = ", ".join(f"{name}.csv" for name in self.found.others)
            message, remedy = f"not read: {files}", "Leave them out, if they do not matter"
            notes.append(Problem("folder", "", "", message, remedy, "warning"))
        if any(row.get("autoTap", "0") in ("1", "1.0", "True") for row in self.rows("Transformer")):
            message = "automatic tap changers (autoTap) are not modelled; taps stay at tappos"
            notes.append(Problem("Transformer.csv", "", "autoTap", message, "Give today's tappos", "warning", True))
        return notes


OMEGA = 314.1592653589793
"""2 π 50 Hz: capacitances stand for susceptances at 50 Hz, the frequency of the net that is made."""


TABLE = "Switch.csv"
_CELL = re.compile(r'("(?:[^"]|"")*"|[^;\r\n]*)(;|\r\n|\n|\r|\Z)')
_OPPOSITE = {"1": "0", "0": "1", "1.0": "0.0", "0.0": "1.0"}
_OPPOSITE |= {"True": "False", "False": "True", "true": "false", "false": "true", "TRUE": "FALSE", "FALSE": "TRUE"}


def changed_table(folder: Path, grid: Grid, states: Mapping[str, bool]) -> tuple[bytes, list[Change]]:
    """Switch.csv with branches in other states, and what was changed; an absent one is empty.

    Args:
        folder: of the grid. grid: that is read from it. states: whether closed, by name, of branches that change.

    Raises:
        InputError: a state that no switch sets.
    """
    net = net_from_folder(folder)
    elements = {name: key for key, name in branch_names(net).items()}
    ends = dict(grid.lines.select("name", "open_end").iter_rows())
    path = folder / TABLE
    content = content_of(path) if path.is_file() else b""
    text, codec = _decoded(content)
    places = _places(text)
    edits, changes = [], []
    for branch, closed in states.items():
        for cell in cells_of(net, TABLE, branch, *elements[branch], closed, ends.get(branch, "both")):
            switch = str(cell.row["name"])
            if cell.table != "switch":
                raise cannot_write(TABLE, branch, "no switch stands at this branch", "Add one to Switch.csv")
            start, end = places[switch]
            value = _OPPOSITE.get(text[start:end], str(int(cell.value)))
            edits.append(Edit(start, end, value))
            changes.append(Change(branch, closed, f"switch {switch}, cond", value))
    return edited(text, edits).encode(codec), changes


def _decoded(content: bytes) -> tuple[str, str]:
    """The text with every sign as it is, and its encoding."""
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "latin-1"


def _places(text: str) -> dict[str, tuple[int, int]]:
    """Where the value of `cond` stands, by id."""
    rows = _rows_of_text(text)
    heads = [_bare(text, *span) for span in next(rows, [])]
    at, by = heads.index("cond") if "cond" in heads else -1, heads.index("id") if "id" in heads else -1
    return {
        _bare(text, *spans[by]): _inner(text, *spans[at])
        for spans in rows
        if min(at, by) >= 0 and len(spans) == len(heads)
    }


def _rows_of_text(text: str) -> Iterator[list[tuple[int, int]]]:
    """The cells of each row as places in the text, quotation marks included."""
    spans: list[tuple[int, int]] = []
    position = len(text) - len(text.removeprefix("\ufeff"))
    while position < len(text):
        match = _CELL.match(text, position)
        if match is None:
            return
        spans.append(match.span(1))
        position = match.end()
        if match.group(2) != ";":
            yield spans
            spans = []


def _bare(text: str, start: int, end: int) -> str:
    first, last = _inner(text, start, end)
    return text[first:last].replace('""', '"')


def _inner(text: str, start: int, end: int) -> tuple[int, int]:
    """A cell without its quotation marks and the blanks around its value."""
    start, end = _stripped(text, start, end)
    if text[start:end].startswith('"'):
        start, end = _stripped(text, start + 1, end - 1)
    return start, end


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    value = text[start:end]
    return start + len(value) - len(value.lstrip()), end - len(value) + len(value.rstrip())
