"""Input data of power-grid-model in JSON, as its `json_serialize` writes it: one symmetric scenario.

- Names are the ids. A line is switchable; a link is a switch without impedance that couples busbars, and keeps its
  state unless it is asked for by name, as does a transformer.
- `from_status` and `to_status` are the switches at the ends: a line with one of them at 0 is under voltage from its
  other end (`open_end`); a closed line opens at its to end.
- The impedance of a source (`sk`, `rx_ratio`) is a line from a bus of its own, `source 7`.
- The file does not tell the frequency: 50 Hz, as power-grid-model assumes.

Unbalanced loads and lines, transformers of three windings and batch data are refused; sensors and faults are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from openpoint.errors import Faults, InputError, Problem
from openpoint.grid.grid import Grid
from openpoint.inputs import finite, json_of, shown
from openpoint.io.switch_states import Change, Edit, cannot_write, span

Row = dict[str, Any]
FREQUENCY = 50.0
SOURCE_SK, SOURCE_RX = 1e10, 0.1
"""Short-circuit power in VA and ratio of resistance to reactance of a source that does not tell them."""
_HELP = "Write the file with power_grid_model.utils.json_serialize_to_file"
_REFUSED = ("asym_line", "three_winding_transformer", "asym_load", "asym_gen")
_MODELS = ("power", "impedance", "current")
_BRANCHES = ("line", "link", "generic_branch", "transformer")
_MOST_WHOLE = 1_000_000
_ENDS = ("node", "from_node", "to_node")

_REGULATOR, _SET = "transformer_tap_regulator", ("u_set", "u_band")


def is_input(text: str) -> bool:
    """Whether a text is input data of power-grid-model."""
    return '"is_batch"' in text and '"data"' in text and "pandapowerNet" not in text


def rows_of(content: Any, component: str) -> list[Row]:
    """The rows of a component, whether they name their attributes or leave that to the head of the file."""
    names = content.get("attributes", {}).get(component, [])
    rows = content["data"].get(component, [])
    return [row if isinstance(row, dict) else dict(zip(names, row, strict=True)) for row in rows]


def grid_from_text(text: str, file: str, *, source: str | None = None) -> Grid:
    """The grid in the text of a file; `source` says where it comes from, by default from this file.

    Raises:
        InputError: with every fault, by component, id and attribute.
    """
    reading = _Reading(_content(text, file), file)
    reading.read()
    if reading.faults:
        raise InputError(reading.faults)
    name = file.rpartition(".")[0] or file
    source = source or f"power-grid-model file {file}"
    return Grid.from_tables(name, reading.tables, source=source, notes=reading.notes, origin=text)


def _content(text: str, file: str) -> Any:
    """The data, in which components are lists of rows whose ids and nodes are whole numbers.

    Raises:
        InputError: something is of another type, with every fault.
    """
    content = json_of(text, file, _HELP)
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, dict) or content.get("type") != "input" or content.get("is_batch") is not False:
        raise InputError([Problem(file, "", "", "this is no input data of one scenario", _HELP)])
    names = content.setdefault("attributes", {})
    faults = Faults()
    if not isinstance(names, dict) or not all(map(_are_texts, names.values())):
        raise InputError([Problem(file, "", "attributes", "these are no lists of names", _HELP)])
    for component, rows in data.items():
        if not isinstance(rows, list):
            faults.append(Problem(component, "", "", "this is no list of rows", _HELP))
            continue
        for number, row in enumerate(rows, start=1):
            cells = row if isinstance(row, dict) else _cells(names.get(component, []), row)
            if cells is None:
                message = "this is no row with a value for each of its attributes"
                faults.append(Problem(component, f"number {number}", "", message, _HELP))
                continue
            wanted = ("id", *(key for key in _ENDS if key in cells))
            for key in (key for key in wanted if not _is_whole(cells.get(key))):
                message = f"{shown(cells.get(key))} is no whole number"
                faults.append(Problem(component, f"number {number}", key, message, "Give an id"))
    if faults:
        raise InputError(faults)
    return content


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _cells(names: list[str], row: Any) -> Row | None:
    return dict(zip(names, row)) if isinstance(row, list) and len(row) == len(names) else None


@dataclass
class _Reading:
    """The tables of the grid while a file is read."""

    content: Any
    file: str
    tables: dict[str, list[Row]] = field(default_factory=dict)
    faults: list[Problem] = field(default_factory=Faults)
    notes: list[Problem] = field(default_factory=list)
    kv: dict[Any, float] = field(default_factory=dict)

    def read(self) -> None:
        for component in _REFUSED:
            if ids := [str(row.get("id")) for row in self.rows(component)]:
                message = "components of this kind are not read"
                self.faults.append(
                    Problem(component, ", ".join(ids[:10]), "", message, "Replace them by balanced ones")
                )
        if self.rows(_REGULATOR):
            message = "taps stay where they are but after faults (secure), where those at the from side follow"
            remedy = "Give today's tap_pos"
            self.notes.append(Problem(_REGULATOR, "", "", message, remedy, "warning", True))
        for row in self.rows("node"):
            self.kv[row["id"]] = self.positive("node", row, "u_rated") / 1e3
            self.add("buses", name=str(row["id"]), vn_kv=self.kv[row["id"]])
        for component, read in (
            *(("line", self._line), ("link", self._link), ("generic_branch", self._generic)),
            *(("transformer", self._transformer), ("source", self._source), ("shunt", self._shunt)),
            *(("sym_load", self._load), ("sym_gen", self._generator)),
        ):
            for row in self.rows(component):
                ends = ("from_node", "to_node") if component in _BRANCHES else ("node",)
                missing = [end for end in ends if row.get(end) not in self.kv]
                for end in missing:
                    message = f"there is no node {row.get(end)}"
                    self.faults.append(
                        Problem(component, str(row.get("id")), end, message, "Correct it, or add the node")
                    )
                if not missing and (component in _BRANCHES or self.flag(component, row, "status")):
                    read(row)

    def rows(self, component: str) -> list[Row]:
        return rows_of(self.content, component)

    def add(self, kind: str, **row: Any) -> None:
        self.tables.setdefault(kind, []).append(row)

    def number(self, component: str, row: Row, column: str, instead: float | None = None) -> float:
        """An attribute as finite number; one that is not given takes `instead`, or is a fault where that is None."""
        value = row.get(column)
        if value is None and instead is not None:
            return instead
        if (number := finite(value)) is not None:
            return number
        message = "the value is missing" if value is None else f"{shown(value)} is no finite number"
        self.faults.append(Problem(component, str(row.get("id")), column, message, "Give a number"))
        return math.nan

    def optional(self, component: str, row: Row, column: str) -> float | None:
        """An attribute as finite number, None where it is not given."""
        return None if row.get(column) is None else self.number(component, row, column)

    def positive(self, component: str, row: Row, column: str, instead: float | None = None) -> float:
        """An attribute as a number above 0; others are faults."""
        value = self.number(component, row, column, instead)
        if value <= 0.0:
            message = f"{value:g} is not above 0"
            self.faults.append(Problem(component, str(row["id"]), column, message, "Give a positive number"))
            return math.nan
        return value

    def whole(self, component: str, row: Row, column: str, instead: int = 0) -> int:
        """An attribute as whole number."""
        value = self.number(component, row, column, float(instead))
        if not value.is_integer() or abs(value) > _MOST_WHOLE:
            if not math.isnan(value):
                message = f"{value:g} is no whole number up to {_MOST_WHOLE:,}"
                self.faults.append(Problem(component, str(row["id"]), column, message, "Give a whole number"))
            return instead
        return int(value)

    def flag(self, component: str, row: Row, column: str) -> bool:
        """An attribute that is 0 or 1, and 0 where it is not given."""
        value = row.get(column)
        if value not in (None, 0, 1):
            message = f"{shown(value)} is neither 0 nor 1"
            self.faults.append(Problem(component, str(row["id"]), column, message, "Give 0 or 1"))
        return value == 1

    def _states(self, row: Row) -> tuple[bool, bool]:
        return self.flag("branch", row, "from_status"), self.flag("branch", row, "to_status")

    def _ends(self, row: Row) -> Row:
        names = {"name": str(row["id"]), "from_bus": str(row["from_node"]), "to_bus": str(row["to_node"])}
        return {**names, "closed": all(self._states(row))}

    def _line_state(self, row: Row) -> Row:
        end = {(True, True): "to", (True, False): "to", (False, True): "from"}.get(self._states(row), "both")
        return {**self._ends(row), "switchable": True, "switch_ends": "both", "open_end": end}

    def _line(self, row: Row) -> None:
        r, x = self.number("line", row, "r1"), self.number("line", row, "x1")
        charging = 2.0 * math.pi * FREQUENCY * self.number("line", row, "c1", 0.0) * 1e6
        loss = charging * self.number("line", row, "tan1", 0.0)
        self._add_line(row, r, x, loss, charging, self.optional("line", row, "i_n"))

    def _add_line(self, row: Row, r: float, x: float, g_us: float, b_us: float, i_n: float | None) -> None:
        shunt = {"g_us": [g_us] if g_us else [], "b_us": [b_us] if b_us else []}
        self.add("lines", **self._line_state(row), r_ohm=[r], x_ohm=[x], **shunt, i_max_a=i_n)

    def _link(self, row: Row) -> None:
        self.add("switches", **self._ends(row), switchable=False)

    def _generic(self, row: Row) -> None:
        r, x, g, b = (self.number("generic_branch", row, key, 0.0) for key in ("r1", "x1", "g1", "b1"))
        k, theta = self.number("generic_branch", row, "k", 1.0), self.number("generic_branch", row, "theta", 0.0)
        fr, to = self.kv[row["from_node"]], self.kv[row["to_node"]]
        if k == 1.0 and theta == 0.0 and fr == to:
            sn = self.optional("generic_branch", row, "sn")
            self._add_line(row, r, x, g * 1e6, b * 1e6, None if sn is None else sn / (math.sqrt(3.0) * to * 1e3))
            return
        self._add_unit(row, k * fr, to, (r, x, g, b), theta * 180.0 / math.pi, {})

    def _add_unit(
        self, row: Row, fr: float, to: float, pi: tuple[float, float, float, float], shift: float, tap: Row
    ) -> None:
        sn = self.optional("transformer", row, "sn")
        self.add(
            "transformers",
            **self._ends(row),
            vn_from_kv=fr,
            vn_to_kv=to,
            s_max_kva=None if sn is None else sn / 1e3,
            **dict(zip(("r_ohm", "x_ohm"), pi)),
            g_us=pi[2] * 1e6,
            b_us=pi[3] * 1e6,
            shift_degree=shift,
            **tap,
        )

    def _transformer(self, row: Row) -> None:
        u1, u2, sn = (self.positive("transformer", row, key) for key in ("u1", "u2", "sn"))
        uk, pk = (self.number("transformer", row, key) for key in ("uk", "pk"))
        i0, p0 = self.number("transformer", row, "i0", 0.0), self.number("transformer", row, "p0", 0.0)
        tap, at_to = self._tap(row, u1, u2), row.get("tap_side") == 1
        u = u2 * (
            1.0 + (tap["tap_pos"] - tap["tap_neutral"]) * tap["tap_step_percent"] / 100.0 if at_to and tap else 1.0
        )
        square = u * u or math.nan
        z, r = uk * square / sn, pk * square / sn / sn
        x = math.copysign(math.sqrt(max(z * z - r * r, 0.0)), uk)
        idle, g = i0 * sn / square, p0 / square
        b = -math.sqrt(max(idle * idle - g * g, 0.0))
        shift = 30.0 * self.number("transformer", row, "clock", 0.0)
        self._add_unit(row, u1 / 1e3, u2 / 1e3, (r, x, g, b), shift, tap)

    def _tap(self, row: Row, u1: float, u2: float) -> Row:
        """The columns of the tap changer; none where it has none. Impedances that follow the tap are a fault."""
        size = self.number("transformer", row, "tap_size", 0.0)
        position, low, high = (self.whole("transformer", row, f"tap_{key}") for key in ("pos", "min", "max"))
        neutral = self.whole("transformer", row, "tap_nom")
        for key in ("uk", "pk"):
            if any(row.get(f"{key}_{end}") not in (None, row.get(key)) for end in ("min", "max")):
                message = "impedances that follow the tap are not read"
                remedy = f"Give {key} at today's tap alone"
                self.faults.append(Problem("transformer", str(row["id"]), f"{key}_min", message, remedy))
        if size == 0.0:
            return {}
        step = 100.0 * size / (u2 if row.get("tap_side") == 1 else u1)
        return {
            "tap_side": "to" if row.get("tap_side") == 1 else "from",
            "tap_pos": position,
            "tap_neutral": neutral,
            "tap_min": min(low, high),
            "tap_max": max(low, high),
            "tap_step_percent": step if high >= low else -step,
            **({} if row.get("tap_side") == 1 else self._band(row)),
        }

    def _band(self, row: Row) -> Row:
        """The columns of the voltage that a regulator holds by the taps of a transformer; none where there is none."""
        for each in self.rows(_REGULATOR):
            if each.get("regulated_object") != row["id"] or not self.flag(_REGULATOR, each, "status"):
                continue
            if any(each.get(f"line_drop_compensation_{part}") for part in "rx"):
                continue
            side = "to" if each.get("control_side") == 1 else "from"
            v, band = (self.number(_REGULATOR, each, key) / 1e3 / self.kv[row[f"{side}_node"]] for key in _SET)
            return {"hold_side": side, "v_hold_min_pu": v - 0.5 * band, "v_hold_max_pu": v + 0.5 * band}
        return {}

    def _source(self, row: Row) -> None:
        name, kv = f"source {row['id']}", self.kv[row["node"]]
        z = kv * kv * 1e6 / self.positive("source", row, "sk", SOURCE_SK)
        ratio = self.number("source", row, "rx_ratio", SOURCE_RX)
        x = z / math.hypot(1.0, ratio)
        angle = math.degrees(self.number("source", row, "u_ref_angle", 0.0))
        self.add("buses", name=name, vn_kv=kv)
        self.add("sources", name=name, bus=name, v_pu=self.number("source", row, "u_ref"), angle_degree=angle)
        ends = {"name": name, "from_bus": name, "to_bus": str(row["node"])}
        self.add("lines", **ends, r_ohm=[ratio * x], x_ohm=[x], switchable=False)

    def _shunt(self, row: Row) -> None:
        square = self.kv[row["node"]] * self.kv[row["node"]] * 1e3
        p, q = square * self.number("shunt", row, "g1", 0.0), -square * self.number("shunt", row, "b1", 0.0)
        name, bus = str(row["id"]), str(row["node"])
        if q < 0.0:
            self.add("capacitors", name=name, bus=bus, q_kvar=-q, controllable=False)
        if p or q > 0.0:
            self.add("loads", name=name, bus=bus, model="impedance", p_kw=p, q_kvar=max(q, 0.0))

    def _power(self, component: str, row: Row) -> tuple[float, float]:
        p, q = (self.number(component, row, f"{key}_specified") / 1e3 for key in "pq")
        return p, q

    def _load(self, row: Row) -> None:
        p, q = self._power("sym_load", row)
        name, bus, kind = str(row["id"]), str(row["node"]), self.whole("sym_load", row, "type")
        if not 0 <= kind < len(_MODELS):
            self.faults.append(Problem("sym_load", name, "type", f"{kind} is no model of a load", "Give 0, 1 or 2"))
            return
        model = _MODELS[kind]
        if p < 0.0 and model == "power":
            self.add("generators", name=name, bus=bus, p_kw=-p, q_kvar=-q)
        else:
            self.add("loads", name=name, bus=bus, model=model, p_kw=p, q_kvar=q)

    def _generator(self, row: Row) -> None:
        p, q = self._power("sym_gen", row)
        if row.get("type", 0) != 0:
            message = "generators of constant current or impedance are not read"
            self.faults.append(Problem("sym_gen", str(row["id"]), "type", message, "Give it type 0, constant power"))
        self.add("generators", name=str(row["id"]), bus=str(row["node"]), p_kw=p, q_kvar=q)


class Cell(NamedTuple):
    """An attribute of a component that changes: its name, its number in the table, and what is changed in words."""

    component: str
    number: int
    attribute: str
    change: Change


def edits_of(text: str, file: str, grid: Grid, states: Mapping[str, bool]) -> tuple[list[Edit], list[Change]]:
    """The edits that give branches their states; arguments and errors as of `pandapower.states.edits_of`."""
    content = json_of(text, file, "")
    edits, changes = [], []
    for component, number, key, change in cells_of(content, file, grid, states):
        written = content["data"][component][number]
        step = key if isinstance(written, dict) else content["attributes"][component].index(key)
        try:
            start, end = span(text, ("data", component, number, step))
        except LookupError:
            raise cannot_write(file, change.branch, f"it has no {key}", "Write the file with all attributes") from None
        edits.append(Edit(start, end, change.value))
        changes.append(change)
    return edits, changes


def cells_of(content: Any, file: str, grid: Grid, states: Mapping[str, bool]) -> Iterator[Cell]:
    """The attributes that give branches their states; `content`: of the file, other arguments as of `edits_of`.

    Raises:
        InputError: a branch that is no component.
    """
    found = {
        str(row["id"]): (component, k, row)
        for component in _BRANCHES
        for k, row in enumerate(rows_of(content, component))
    }
    ends = dict(grid.lines.select("name", "open_end").iter_rows())
    for branch, closed in states.items():
        if branch not in found:
            raise cannot_write(file, branch, "the file has no component for this branch", "Leave its state as it is")
        component, number, row = found[branch]
        at = ends.get(branch, "both")
        for key in ("from_status", "to_status") if closed or at == "both" else (f"{at}_status",):
            if bool(row.get(key)) != closed:
                node = row["from_node" if key == "from_status" else "to_node"]
                words = f"{component} {branch} at node {node}, {key}"
                yield Cell(component, number, key, Change(branch, closed, words, str(int(closed))))
