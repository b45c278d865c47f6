"""MATPOWER case files (version 2), among them distribution cases that convert ohms and kW in their last lines.

The file is read as text and never run; see `openpoint.io.matpower.case` for the statements that are understood.

- Every line is switchable and no transformer is; status 0 is an open branch. Branches are named by their row (`"1"` =
  first), buses, loads and sources by the bus number, generators by their row.
- A branch with a ratio or shift, or between buses of different base kV, is a transformer, any other a line.
- Buses of type 3 are sources. Generators at buses of type 2 hold the voltage Vg by their reactive power and keep Pg;
  at buses of type 1 they are dispatchable where Pmin < Pmax, else fixed.
- The generators at a source bus are the source: its limits are the sums of theirs, its price their linear cost.
- Costs (mpc.gencost) are read of sources and of dispatchable generators; a shunt (Bs) is a bank that no decision sets.
- Voltage limits of source buses do not bind anything and are left out; so are limits of 0.

Source: R. D. Zimmerman, C. E. Murillo-Sánchez, MATPOWER User's Manual, appendix B (format), section 3 (branches).

Costs of generators in `mpc.gencost`: polynomials in MW become prices in kW.

Source: R. D. Zimmerman, C. E. Murillo-Sánchez, MATPOWER User's Manual, appendix B, table B-4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openpoint.errors import Faults, InputError, Problem
from openpoint.grid.grid import Grid
from openpoint.io.matpower.case import COLUMNS, Case, Matrix, cells_of, read_case, rows_of
from openpoint.io.matpower.text import statements
from openpoint.io.switch_states import Change, Edit, cannot_write
from openpoint.io.text import doubt, fault

_PIECEWISE, _POLYNOMIAL = 1, 2
_NCOST, _FIRST = 3, 4


@dataclass(frozen=True)
class Cost:
    """The cost of a generator while it is on: on + linear p + square p² in $/h, p in kW."""

    square: float
    linear: float
    on: float


def read_costs(matrix: Matrix | None) -> tuple[dict[int, Cost], list[tuple[int, str]]]:
    """Costs by the row of the generator, from 1, and line and reason of those that are not read.

    Rows after those of the generators are costs of reactive power; who reads the costs leaves them.
    """
    costs: dict[int, Cost] = {}
    not_read: list[tuple[int, str]] = []
    if matrix is not None:
        for row, (line, cells) in enumerate(zip(matrix.lines, matrix.values.tolist()), start=1):
            cost = _cost(cells)
            if isinstance(cost, Cost):
                costs[row] = cost
            else:
                not_read.append((line, cost))
    return costs, not_read


def _cost(cells: list[float]) -> Cost | str:
    """The cost in a row, or why it is not read."""
    if cells[0] == _PIECEWISE:
        return "costs that are piecewise linear are not read"
    count = cells[_NCOST] if len(cells) > _NCOST else math.nan
    if cells[0] != _POLYNOMIAL or not 0 <= count <= len(cells) - _FIRST or count != int(count):
        return "this is no cost of model 1 or 2 with its coefficients"
    by_power = cells[_FIRST : _FIRST + int(count)][::-1]
    if not all(map(math.isfinite, by_power)):
        return "a coefficient is no finite number"
    if any(by_power[3:]):
        return "costs of a higher power than the square are not read"
    on, linear, square = (*by_power, 0.0, 0.0, 0.0)[:3]
    if square < 0 or on < 0:
        return "costs with a negative square or constant are not read"
    return Cost(square / 1e6, linear / 1e3, on)


Row = dict[str, Any]
Cells = dict[str, float]

# Columns (from 0) that are used, by matrix.
_BUS = {"BUS_I": 0, "BUS_TYPE": 1, "PD": 2, "QD": 3, "GS": 4, "BS": 5, "VM": 7, "BASE_KV": 9, "VMAX": 11, "VMIN": 12}
_GEN = {"GEN_BUS": 0, "PG": 1, "QG": 2, "QMAX": 3, "QMIN": 4, "VG": 5, "GEN_STATUS": 7, "PMAX": 8, "PMIN": 9}
_BRANCH = {
    "F_BUS": 0,
    "T_BUS": 1,
    "BR_R": 2,
    "BR_X": 3,
    "BR_B": 4,
    "RATE_A": 5,
    "RATE_B": 6,
    "RATE_C": 7,
    "TAP": 8,
    "SHIFT": 9,
    "BR_STATUS": 10,
}
_WIDTH = {"bus": 13, "gen": 10, "branch": 11}
_P_COLUMNS, _Q_COLUMNS = ("p_min_kw", "p_max_kw"), ("q_min_kvar", "q_max_kvar")
_MAY_BE_INFINITE = ("VMAX", "VMIN", "RATE_A", "RATE_B", "RATE_C", "QMAX", "QMIN", "PMAX", "PMIN")
# Columns in which a negative number would be taken for none or a default.
_NOT_NEGATIVE = ("VMAX", "VMIN", "VM", "RATE_A", "RATE_B", "RATE_C", "TAP", "VG")
# Fields that affect neither the topology nor the physics.
_NO_MATTER = ("bus", "gen", "branch", "gencost", "areas", "bus_name")
_PQ, _PV, _REF, _ISOLATED = 1, 2, 3, 4


def grid_from_text(text: str, file: str) -> Grid:
    """The grid in the text of a case file.

    Raises:
        InputError: with every fault and its line.
    """
    case = read_case(text, file)
    if not case.matrices and not case.scalars and not case.name:
        what = "the file holds no MATPOWER case"
        raise InputError([fault(file, None, "", what, "A case file begins with: function mpc = name"), *case.faults])
    faults = [*case.faults, *_missing(case, file)]
    if faults:
        raise InputError(faults)
    return _Reading(case, file).grid(_title(text))


def _title(text: str) -> str:
    """The line of a case file that describes it: `%CASE33BW  Power flow data for …`."""
    match = re.search(r"^function[^\n]*\n%[ \t]*[A-Z][A-Z0-9_]*[ \t]+(\S.*)$", text, re.MULTILINE | re.ASCII)
    return match.group(1).strip() if match else ""


def _missing(case: Case, file: str) -> list[Problem]:
    faults = []
    version = case.texts.get("version", f"{case.scalars.get('version', 2):g}")
    if version != "2":
        message, remedy = f"case format version {version!r} is not read", "Save it as version 2 (savecase)"
        faults.append(fault(file, case.field_lines["version"], "mpc.version", message, remedy))
    base = case.scalars.get("baseMVA")
    if base is None and "mpc.baseMVA" not in case.broken:
        faults.append(fault(file, None, "mpc.baseMVA", "the base power is missing", "Add: mpc.baseMVA = 10;"))
    elif base is not None and not (math.isfinite(base) and base > 0):
        message = f"{base:g} is no base power"
        faults.append(fault(file, case.field_lines["baseMVA"], "mpc.baseMVA", message, "Give a positive number"))
    for name, width in _WIDTH.items():
        matrix = case.matrices.get(name)
        if f"mpc.{name}" in case.broken:
            continue
        if matrix is None or not matrix.lines:
            message = "the matrix is missing or empty"
            faults.append(fault(file, case.field_lines.get(name), f"mpc.{name}", message, "Get the whole file"))
        elif matrix.values.shape[1] < width:
            message = f"{matrix.values.shape[1]} columns, but the format has at least {width}"
            faults.append(fault(file, matrix.lines[0], f"mpc.{name}", message, "Complete the rows"))
    links = case.matrices.get("dcline")
    if links is not None and links.lines:
        remedy = "Replace them by loads and generators"
        faults.append(fault(file, links.lines[0], "mpc.dcline", "direct-current lines are not read", remedy))
    return faults


@dataclass
class _Reading:
    """The tables of the grid while the matrices are gone through."""

    case: Case
    file: str
    faults: list[Problem] = field(default_factory=Faults)
    notes: list[Problem] = field(default_factory=list)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    buses: dict[int, Cells] = field(default_factory=dict)
    isolated: set[int] = field(default_factory=set)
    costs: dict[int, Cost] = field(default_factory=dict)

    def grid(self, title: str) -> Grid:
        """The grid.

        Raises:
            InputError: with all faults.
        """
        self._read_buses()
        self._read_generators()
        self._read_branches()
        for name, matrix in self.case.matrices.items():
            if name not in _NO_MATTER and name != "dcline" and matrix.lines:
                remedy = "Check that it does not matter"
                self._note(matrix.lines[0], f"mpc.{name}", "this matrix is not read", remedy, changes_figures=True)
        if self.faults:
            raise InputError(self.faults)
        return Grid.from_tables(
            self.case.name or self.file.rpartition(".")[0],
            self.tables,
            title=title,
            source=f"MATPOWER case file {self.file}",
            notes=self.notes,
        )

    def _note(self, line: int | None, column: str, message: str, remedy: str, *, changes_figures: bool = False) -> None:
        self.notes.append(doubt(self.file, line, column, message, remedy, changes_figures=changes_figures))

    def _fault(self, line: int | None, column: str, message: str, remedy: str) -> None:
        self.faults.append(fault(self.file, line, column, message, remedy))

    def _add(self, kind: str, **row: Any) -> None:
        self.tables.setdefault(kind, []).append(row)

    def _cells(self, name: str, columns: dict[str, int]) -> list[tuple[int, Cells]]:
        """Line and used cells of every row whose cells are numbers; the others become faults."""
        matrix = self.case.matrices[name]
        sound = []
        for line, values in zip(matrix.lines, matrix.values.tolist()):
            cells = {key: values[k] for key, k in columns.items()}
            bad = [k for k, v in cells.items() if math.isnan(v) or (math.isinf(v) and k not in _MAY_BE_INFINITE)]
            for key in bad:
                message = f"{cells[key]!r} is not a finite number"
                self._fault(line, f"mpc.{name} {key}", message, "Give a number")
            for key in (k for k in _NOT_NEGATIVE if k in cells and cells[k] < 0):
                message = f"{cells[key]:g} is negative"
                self._fault(line, f"mpc.{name} {key}", message, "Give a positive number, or 0 for none")
            if not bad:
                sound.append((line, cells))
        return sound

    def _bus_number(self, line: int, column: str, value: float, *, known: bool) -> int | None:
        """The bus number in a cell, or None and a fault."""
        if value != math.floor(value) or value < 1:
            self._fault(line, column, f"{value:g} is no bus number", "Give a whole number from 1")
            return None
        if known and int(value) not in self.buses:
            self._fault(line, column, f"there is no bus {value:g}", "Correct it, or add the bus to mpc.bus")
            return None
        return int(value)

    def _read_buses(self) -> None:
        for line, cells in self._cells("bus", _BUS):
            number = self._bus_number(line, "mpc.bus BUS_I", cells["BUS_I"], known=False)
            if number is None:
                continue
            if number in self.buses:
                self._fault(line, "mpc.bus BUS_I", f"bus {number} is given twice", "Give every bus a number of its own")
                continue
            self.buses[number] = cells
            if cells["BUS_TYPE"] not in (_PQ, _PV, _REF, _ISOLATED):
                message = f"{cells['BUS_TYPE']:g} is no bus type"
                self._fault(line, "mpc.bus BUS_TYPE", message, "Write 1 (load), 2 (voltage), 3 (source), 4 (isolated)")
            elif cells["BASE_KV"] <= 0:
                remedy = "Give the nominal voltage; without it per unit cannot be turned into ohm"
                self._fault(line, "mpc.bus BASE_KV", f"{cells['BASE_KV']:g} kV is no nominal voltage", remedy)
            elif cells["BUS_TYPE"] == _ISOLATED:
                self.isolated.add(number)
                self._note(line, "mpc.bus BUS_TYPE", f"bus {number} is isolated and left out", "Write 1 to keep it")
            else:
                self._add_bus(number, line, cells)
        self._note_per_phase()

    def _note_per_phase(self) -> None:
        matrix: Matrix = self.case.matrices["bus"]
        rooted = [row for (row, column), text in matrix.written.items() if column == 9 and "sqrt" in text]
        if rooted:
            message = "the base voltages are line to neutral (… / sqrt(3)): the figures are those of one phase of three"
            remedy = "Multiply powers and losses by three for the whole grid; currents in A are too low by sqrt(3)"
            self._note(matrix.lines[min(rooted)], "mpc.bus BASE_KV", message, remedy, changes_figures=True)

    def _add_bus(self, number: int, line: int, cells: Cells) -> None:
        bus = str(number)
        limits = {}
        if cells["BUS_TYPE"] != _REF:
            limits = {"v_min_pu": _limit(cells["VMIN"]), "v_max_pu": _limit(cells["VMAX"])}
        self._add("buses", name=bus, vn_kv=cells["BASE_KV"], **limits)
        p, q = cells["PD"] * 1000.0, cells["QD"] * 1000.0
        if p < 0:
            self._add("generators", name=f"infeed {bus}", bus=bus, p_kw=-p, q_kvar=-q)
            message = f"the load of bus {bus} is negative; it is read as a fixed generator of {-p:g} kW"
            self._note(line, "mpc.bus PD", message, "If the sign slipped, correct it")
        elif p or q:
            self._add("loads", name=bus, bus=bus, p_kw=p, q_kvar=q)
        g, b = cells["GS"] * 1000.0, cells["BS"] * 1000.0
        if g < 0:
            self._fault(line, "mpc.bus GS", f"the shunt conductance {cells['GS']:g} is negative", "Use a generator")
        if b > 0:
            self._add("capacitors", name=bus, bus=bus, q_kvar=b, controllable=False)
        if g > 0 or b < 0:
            self._add("loads", name=f"shunt {bus}", bus=bus, model="impedance", p_kw=g, q_kvar=max(-b, 0.0))

    def _read_generators(self) -> None:
        held: dict[int, float] = {}
        at_source: dict[int, list[tuple[int, Cells]]] = {}
        self.costs, not_read = read_costs(self.case.matrices.get("gencost"))
        for line, message in not_read:
            self._note(line, "mpc.gencost", message, "Write it as a polynomial of degree 2", changes_figures=True)
        for row, (line, cells) in enumerate(self._cells("gen", _GEN), start=1):
            number = self._bus_number(line, "mpc.gen GEN_BUS", cells["GEN_BUS"], known=True)
            if number is None or cells["GEN_STATUS"] <= 0 or number in self.isolated:
                continue
            kind = self.buses[number]["BUS_TYPE"]
            for low, high in (("PMIN", "PMAX"), ("QMIN", "QMAX")):
                if cells[low] > cells[high]:
                    message = f"{low} {cells[low]:g} lies above {high} {cells[high]:g}"
                    self._fault(line, f"mpc.gen {low}", message, "Exchange or correct them")
            if kind in (_REF, _PV):
                held.setdefault(number, cells["VG"] if cells["VG"] > 0 else self.buses[number]["VM"])
            if kind == _REF:
                at_source.setdefault(number, []).append((row, cells))
            elif kind == _PV:
                self._add_holder(str(row), line, number, held[number], cells)
            elif kind == _PQ:
                self._add_generator(row, line, str(number), cells)
        for number, cells in self.buses.items():
            if cells["BUS_TYPE"] == _REF:
                more = self._supply(number, at_source.get(number, []))
                self._add("sources", name=str(number), bus=str(number), v_pu=held.get(number, cells["VM"]), **more)

    def _supply(self, number: int, generators: list[tuple[int, Cells]]) -> Row:
        """Limits and price of a source from the generators at its bus."""
        supply: Row = {}
        for low, high, columns in (("PMIN", "PMAX", _P_COLUMNS), ("QMIN", "QMAX", _Q_COLUMNS)):
            ends = [sum(cells[key] for _, cells in generators) for key in (low, high)]
            if ends[0] < ends[1]:
                supply |= dict(zip(columns, map(_power_limit, ends), strict=True))
        costs = {self.costs[row] for row, _ in generators if row in self.costs}
        if len({cost.linear for cost in costs}) > 1 or any(cost.square for cost in costs):
            message = f"the energy of the source at bus {number} has no single price; none is read"
            self._note(None, "mpc.gencost", message, "Give it one linear cost", changes_figures=True)
        elif (price := next((cost.linear for cost in costs), 0.0)) < 0 and supply.get("p_max_kw") is None:
            message = f"{price:g} $/kWh at bus {number} is below 0, and nothing limits the power; it is not read"
            self._note(None, "mpc.gencost", message, "Give Pmax, or correct the cost", changes_figures=True)
        elif costs:
            supply["price_usd_per_kwh"] = price
        return supply

    def _add_holder(self, name: str, line: int, number: int, v_pu: float, cells: Cells) -> None:
        """A generator that holds the voltage of its bus."""
        if cells["VG"] > 0 and cells["VG"] != v_pu:
            message = f"{cells['VG']:g} pu, but another generator holds bus {number} at {v_pu:g} pu, which is taken"
            self._note(line, "mpc.gen VG", message, "Give both the same")
        low, high = (_power_limit(cells[key]) for key in ("QMIN", "QMAX"))
        output = {"p_kw": cells["PG"] * 1000.0, "q_kvar": cells["QG"] * 1000.0}
        self._add("generators", name=name, bus=str(number), **output, q_min_kvar=low, q_max_kvar=high, v_pu=v_pu)

    def _add_generator(self, number: int, line: int, bus: str, cells: Cells) -> None:
        row: Row = {"name": str(number), "bus": bus, "p_kw": cells["PG"] * 1000.0, "q_kvar": cells["QG"] * 1000.0}
        if cells["PMIN"] < cells["PMAX"]:
            limits = {"p_min_kw": "PMIN", "p_max_kw": "PMAX"}
            if cells["QMIN"] < cells["QMAX"]:
                limits |= {"q_min_kvar": "QMIN", "q_max_kvar": "QMAX"}
            for column, key in limits.items():
                if math.isinf(cells[key]):
                    message = f"the limit of the generator at bus {bus} is infinite"
                    self._fault(line, f"mpc.gen {key}", message, "Give a finite limit")
                row[column] = cells[key] * 1000.0
            if cost := self.costs.get(number):
                row |= {"cost_usd_per_kwh": cost.linear, "cost_usd_per_kw2h": cost.square, "cost_on_usd_per_h": cost.on}
        self._add("generators", **row)

    def _read_branches(self) -> None:
        dropped: list[str] = []
        for row, (line, cells) in enumerate(self._cells("branch", _BRANCH), start=1):
            fr = self._bus_number(line, "mpc.branch F_BUS", cells["F_BUS"], known=True)
            to = self._bus_number(line, "mpc.branch T_BUS", cells["T_BUS"], known=True)
            if fr is None or to is None:
                continue
            if fr in self.isolated or to in self.isolated:
                dropped.append(str(row))
                continue
            self._add_branch(str(row), str(fr), str(to), self.buses[fr]["BASE_KV"], self.buses[to]["BASE_KV"], cells)
        if dropped:
            message = f"branches at isolated buses are left out: {', '.join(dropped)}"
            self._note(None, "mpc.branch", message, "Give their buses type 1 to keep them")

    def _add_branch(self, name: str, fr: str, to: str, kv_fr: float, kv_to: float, cells: Cells) -> None:
        base_mva = self.case.scalars["baseMVA"]
        is_transformer = cells["TAP"] != 0 or cells["SHIFT"] != 0 or kv_fr != kv_to
        kv = kv_to if is_transformer else kv_fr
        z_base = kv * kv / base_mva or math.nan
        rating = cells["RATE_A"] * 1000.0 if 0 < cells["RATE_A"] < math.inf else None
        row: Row = {"name": name, "from_bus": fr, "to_bus": to, "closed": cells["BR_STATUS"] > 0}
        beyond = cells["RATE_C"] or cells["RATE_B"]
        if rating is not None and 0.0 < beyond < math.inf:
            row["emergency_loading_percent"] = 1e5 * beyond / rating
        r, x, b = cells["BR_R"] * z_base, cells["BR_X"] * z_base, cells["BR_B"] / z_base * 1e6
        if is_transformer:
            row |= {"vn_from_kv": kv_fr * (cells["TAP"] or 1.0), "vn_to_kv": kv_to}
            if rating is not None:  # as a current at the nominal voltages of the buses
                kvs = {"from": kv_fr, "to": kv_to}
                row |= {f"i_max_{end}_a": rating / (math.sqrt(3.0) * level or math.nan) for end, level in kvs.items()}
            self._add("transformers", **row, r_ohm=r, x_ohm=x, b_us=b, shift_degree=cells["SHIFT"])
        else:
            i_max = None if rating is None else rating / (math.sqrt(3.0) * kv)
            row |= {"r_ohm": [r], "x_ohm": [x], "b_us": [b] if b else [], "i_max_a": i_max}
            self._add("lines", **row)


def _power_limit(mega: float) -> float | None:
    return mega * 1000.0 if math.isfinite(mega) else None


def _limit(value: float) -> float | None:
    return value if 0 < value < math.inf else None


_STATUS = COLUMNS["idx_brch"]["BR_STATUS"] - 1


def edits_of(text: str, file: str, grid: Grid, states: Mapping[str, bool]) -> tuple[list[Edit], list[Change]]:
    """The edits that give branches their states; arguments and errors as of `pandapower.states.edits_of`."""
    del grid
    matrix = None
    for statement in statements(text, file)[0]:
        if [token.text for token in statement.tokens[:3]] == ["mpc.branch", "=", "["]:
            matrix = rows_of(statement.tokens[3:-1])
    edits, changes = [], []
    for branch, closed in states.items():
        row = int(branch) if branch.isdecimal() else 0
        cells = cells_of(matrix[row - 1]) if matrix is not None and 0 < row <= len(matrix) else []
        cell = cells[_STATUS] if len(cells) > _STATUS else []
        if len(cell) != 1 or cell[0].kind != "number":
            message = "its BR_STATUS is not written as a number in a matrix mpc.branch = [...]"
            raise cannot_write(file, branch, message, "Write the case anew with MATPOWER's savecase")
        token = cell[0]
        edits.append(Edit(token.start, token.start + len(token.text), str(int(closed))))
        ends = "".join(part.text for part in cells[0]), "".join(part.text for part in cells[1])
        place = f"line {token.line}, mpc.branch({branch}, BR_STATUS), {ends[0]} to {ends[1]}"
        changes.append(Change(branch, closed, place, str(int(closed))))
    return edits, changes
