"""Network: what a solver needs. Frozen arrays in per unit, built from a Grid in this one place.

Base: `s_base_kva` for power, the nominal line-to-line voltage of each bus for voltage, so that impedance is based on
`vn_kv² · 1000 / s_base_kva` ohm and current on `s_base_kva / (√3 vn_kv)` A. The power of one of three phases is based
on a third of `s_base_kva`. `s_base_kva` follows the total load (or generation, if larger), so that flows are of order
one whatever the size of the grid: cone programs solved in ill-chosen units go wrong.

The arrays run over terminals (bus, phase) and conductors (branch, phase), in the order of the tables. A balanced grid
has one phase, "1", and its terminals and conductors are its buses and branches.

Branch model (balanced): at the from side an ideal ratio `tap` (from voltage = tap × internal voltage), then a pi
section: half of the shunt `g + jb` at the internal node, the series impedance `r + jx`, half of the shunt at the to
bus. An open branch is disconnected at both ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from openpoint.errors import InputError, Problem
from openpoint.grid.grid import Grid

Floats = npt.NDArray[np.float64]
Complexes = npt.NDArray[np.complex128]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Network:
    """Arrays over N terminals, E conductors, G generators, in per unit unless the name says otherwise.

    Attributes:
        s_base_kva: base of power.
        bus_names, branch_names: names by bus and branch number.
        branch_kinds: table of each branch (`lines`, `switches`, `transformers`).
        terminal_bus, terminal_phase: (N) bus number and phase letter of a terminal.
        conductor_branch, conductor_phase: (E) branch number and phase letter of a conductor.
        terminal_fr, terminal_to: (E) terminals that a conductor joins.
        v_base_kv: (N) nominal voltage, line to line.
        z: (E, E) sparse block-diagonal series impedance matrix, a block a branch.
        y_shunt: (E, E) sparse block-diagonal shunt admittance, both ends together.
        tap: (E) ratio of the from side, in per unit of the nominal voltages. shift: (E) phase shift in rad.
        l_max: (E) squared current limit of the series element, inf = none. i_base_a: (E) base of current.
        switchable, closed: (E) today's state.
        w_min, w_max: (N) squared voltage limits, 0 and inf = none.
        source_terminal: terminals that sources hold; source_v: their complex voltages.
        s_power, s_current, s_impedance: (N) complex load of constant power, current and impedance at nominal voltage,
            fixed generation (negative) included in `s_power` and capacitors in `s_impedance`.
        generator_names, generator_terminal: dispatchable generators (G).
        generator_s: (G) complex injection today. p_min, p_max, q_min, q_max: (G) limits of the dispatchable
            generators' injection.
    """

    s_base_kva: float
    bus_names: tuple[str, ...]
    branch_names: tuple[str, ...]
    branch_kinds: tuple[str, ...]
    terminal_bus: Ints
    terminal_phase: tuple[str, ...]
    conductor_branch: Ints
    conductor_phase: tuple[str, ...]
    terminal_fr: Ints
    terminal_to: Ints
    v_base_kv: Floats
    z: sp.csr_array
    y_shunt: sp.csr_array
    tap: Floats
    shift: Floats
    l_max: Floats
    i_base_a: Floats
    switchable: Bools
    closed: Bools
    w_min: Floats
    w_max: Floats
    source_terminal: Ints
    source_v: Complexes
    s_power: Complexes
    s_current: Complexes
    s_impedance: Complexes
    generator_names: tuple[str, ...]
    generator_terminal: Ints
    generator_s: Complexes
    p_min: Floats
    p_max: Floats
    q_min: Floats
    q_max: Floats

    @property
    def n_terminals(self) -> int:
        return len(self.terminal_bus)

    @property
    def n_conductors(self) -> int:
        return len(self.conductor_branch)

    @property
    def r(self) -> Floats:
        """(E) series resistance of each conductor alone."""
        return np.asarray(self.z.diagonal().real, dtype=np.float64)

    @property
    def x(self) -> Floats:
        """(E) series reactance of each conductor alone."""
        return np.asarray(self.z.diagonal().imag, dtype=np.float64)

    @property
    def g(self) -> Floats:
        """(E) shunt conductance of each conductor alone, both ends together."""
        return np.asarray(self.y_shunt.diagonal().real, dtype=np.float64)

    @property
    def b(self) -> Floats:
        """(E) shunt susceptance of each conductor alone, both ends together."""
        return np.asarray(self.y_shunt.diagonal().imag, dtype=np.float64)

    @property
    def is_balanced(self) -> bool:
        """Whether the grid is a balanced single-phase equivalent."""
        return all(p == "1" for p in self.terminal_phase)

    def branch_numbers(self, names: list[str]) -> Ints:
        """Numbers of the named branches.

        Raises:
            InputError: a name that is no branch.
        """
        number = {name: i for i, name in enumerate(self.branch_names)}
        if unknown := [n for n in names if n not in number]:
            raise InputError(
                [
                    Problem(
                        "branches", n, "", "no such branch in this grid", "`openpoint info GRID` lists the branches"
                    )
                    for n in unknown
                ]
            )
        return np.array([number[n] for n in names], dtype=np.int64)

    def with_limits(self, *, w_min: Floats, w_max: Floats, l_max: Floats) -> Network:
        """A copy with other limits."""
        return replace(self, w_min=w_min, w_max=w_max, l_max=l_max)


def build_network(grid: Grid) -> Network:
    """The arrays of a grid.

    Raises:
        InputError: the grid has faults (`Grid.check`).
    """
    return _Builder(grid.check()).build()


class _Builder:
    """Numbers of terminals and conductors while a Network is being put together."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.bus_names = tuple(grid.buses["name"])
        self.bus_number = {name: i for i, name in enumerate(self.bus_names)}
        self.bus_vn = grid.buses["vn_kv"].to_numpy()
        self.terminal: dict[tuple[str, str], int] = {}
        for name, phases in grid.buses.select("name", "phases").iter_rows():
            for phase in phases:
                self.terminal[name, phase] = len(self.terminal)
        total = max(
            math.hypot(table["p_kw"].abs().sum(), table["q_kvar"].abs().sum())
            for table in (grid.loads, grid.generators)
        )
        # A power of ten keeps per-unit figures readable and conversions exact to the last bit but a few.
        self.s_base = 10.0 ** round(math.log10(total)) if total > 0 else 1000.0

    def build(self) -> Network:
        grid, s_base = self.grid, self.s_base
        names = [key[0] for key in self.terminal]
        terminal_bus = np.array([self.bus_number[n] for n in names], dtype=np.int64)
        v_base = self.bus_vn[terminal_bus]
        branches = self._branches()
        sources = self._sources()
        power, current, impedance = self._loads()
        dispatchable = pl.any_horizontal(pl.col("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar").is_not_null())
        moving, fixed = grid.generators.filter(dispatchable), grid.generators.filter(~dispatchable)
        for row in fixed.iter_rows(named=True):
            self._spread(power, row["bus"], row["phases"], -complex(row["p_kw"], row["q_kvar"]) / s_base)
        for row in grid.capacitors.iter_rows(named=True):
            on = row["q_kvar"] * row["steps_on"] / row["steps"]
            self._spread(impedance, row["bus"], row["phases"], complex(0.0, -on) / s_base)
        gens = [(row, phase) for row in moving.iter_rows(named=True) for phase in row["phases"]]

        def per_phase(column: str, instead: str) -> Floats:
            values = [
                (row[instead] if row[column] is None else row[column]) * _bases(phase) / len(row["phases"])
                for row, phase in gens
            ]
            return np.array(values, dtype=np.float64) / s_base

        w_min = grid.buses["v_min_pu"].fill_null(0.0).to_numpy() ** 2
        w_max = grid.buses["v_max_pu"].fill_null(math.inf).to_numpy() ** 2
        return Network(
            s_base_kva=s_base,
            bus_names=self.bus_names,
            terminal_bus=terminal_bus,
            terminal_phase=tuple(key[1] for key in self.terminal),
            v_base_kv=v_base,
            w_min=w_min[terminal_bus],
            w_max=w_max[terminal_bus],
            source_terminal=sources[0],
            source_v=sources[1],
            s_power=power,
            s_current=current,
            s_impedance=impedance,
            generator_names=tuple(row["name"] for row, _ in gens),
            generator_terminal=np.array([self.terminal[row["bus"], phase] for row, phase in gens], dtype=np.int64),
            generator_s=per_phase("p_kw", "p_kw") + 1j * per_phase("q_kvar", "q_kvar"),
            p_min=per_phase("p_min_kw", "p_kw"),
            p_max=per_phase("p_max_kw", "p_kw"),
            q_min=per_phase("q_min_kvar", "q_kvar"),
            q_max=per_phase("q_max_kvar", "q_kvar"),
            **branches,
        )

    def _spread(self, target: Complexes, bus: str, phases: str, s: complex) -> None:
        for phase in phases:
            target[self.terminal[bus, phase]] += s * _bases(phase) / len(phases)

    def _loads(self) -> tuple[Complexes, Complexes, Complexes]:
        target = {
            model: np.zeros(len(self.terminal), dtype=np.complex128) for model in ("power", "current", "impedance")
        }
        for row in self.grid.loads.iter_rows(named=True):
            s = complex(row["p_kw"], row["q_kvar"]) / self.s_base
            self._spread(target[row["model"]], row["bus"], row["phases"], s)
        return target["power"], target["current"], target["impedance"]

    def _sources(self) -> tuple[Ints, Complexes]:
        terminals, voltages = [], []
        turn = {"1": 0.0, "a": 0.0, "b": -120.0, "c": 120.0}
        for row in self.grid.sources.iter_rows(named=True):
            for phase in self.grid.buses["phases"][self.bus_number[row["bus"]]]:
                terminals.append(self.terminal[row["bus"], phase])
                angle = math.radians(row["angle_degree"] + turn[phase])
                voltages.append(row["v_pu"] * complex(math.cos(angle), math.sin(angle)))
        return np.array(terminals, dtype=np.int64), np.array(voltages, dtype=np.complex128)

    def _branches(self) -> dict[str, Any]:
        """All fields of the Network that run over branches or conductors."""
        z: list[Complexes] = []
        y: list[Complexes] = []
        names: list[str] = []
        kinds: list[str] = []
        phases_of: list[str] = []
        fr, to, branch, tap, shift, i_max, i_base, switchable, closed = [], [], [], [], [], [], [], [], []
        for kind in ("lines", "switches", "transformers"):
            for row in self.grid.tables()[kind].iter_rows(named=True):
                vn_fr = float(self.bus_vn[self.bus_number[row["from_bus"]]])
                vn_to = float(self.bus_vn[self.bus_number[row["to_bus"]]])
                z_base = vn_to**2 * 1000.0 / self.s_base
                base_a = self.s_base / (math.sqrt(3.0) * vn_to)
                z_row, y_row, limit = _admittances(kind, row, z_base, base_a)
                z.append(z_row)
                y.append(y_row)
                ratio = _ratio(row, vn_fr, vn_to) if kind == "transformers" else 1.0
                for phase in row["phases"]:
                    fr.append(self.terminal[row["from_bus"], phase])
                    to.append(self.terminal[row["to_bus"], phase])
                    branch.append(len(names))
                    phases_of.append(phase)
                    tap.append(ratio)
                    shift.append(math.radians(row.get("shift_degree", 0.0)))
                    i_max.append(limit)
                    i_base.append(base_a)
                    switchable.append(row["switchable"])
                    closed.append(row["closed"])
                names.append(row["name"])
                kinds.append(kind)
        empty = sp.csr_array((0, 0), dtype=np.complex128)
        return {
            "branch_names": tuple(names),
            "branch_kinds": tuple(kinds),
            "conductor_branch": np.array(branch, dtype=np.int64),
            "conductor_phase": tuple(phases_of),
            "terminal_fr": np.array(fr, dtype=np.int64),
            "terminal_to": np.array(to, dtype=np.int64),
            "z": sp.csr_array(sp.block_diag(z)) if z else empty,
            "y_shunt": sp.csr_array(sp.block_diag(y)) if y else empty,
            "tap": np.array(tap, dtype=np.float64),
            "shift": np.array(shift, dtype=np.float64),
            "l_max": np.array(i_max, dtype=np.float64) ** 2,
            "i_base_a": np.array(i_base, dtype=np.float64),
            "switchable": np.array(switchable, dtype=np.bool_),
            "closed": np.array(closed, dtype=np.bool_),
        }


def _bases(phase: str) -> int:
    """How many times the base of one phase goes into the base of the grid."""
    return 1 if phase == "1" else 3


def _ratio(row: dict[str, Any], vn_fr: float, vn_to: float) -> float:
    """Per-unit ratio of the from side with today's tap."""
    step = 1.0 + (row["tap_pos"] - row["tap_neutral"]) * row["tap_step_percent"] / 100.0
    rated_fr, rated_to = float(row["vn_from_kv"]), float(row["vn_to_kv"])
    if row["tap_side"] == "from":
        rated_fr *= step
    else:
        rated_to *= step
    return (rated_fr / vn_fr) / (rated_to / vn_to)


def _admittances(kind: str, row: dict[str, Any], z_base: float, base_a: float) -> tuple[Complexes, Complexes, float]:
    """Series impedance and shunt admittance blocks in per unit, and the current limit in per unit of the to side."""
    n = len(row["phases"])
    limit = math.inf
    z: Complexes = np.zeros((n, n), dtype=np.complex128)  # a switch has none
    y = z
    if kind == "lines":
        z = _matrix(row["r_ohm"], row["x_ohm"], n) / z_base
        y = _matrix(row["g_us"], row["b_us"], n) * (1e-6 * z_base)
    elif kind == "transformers":
        z = np.diag(np.full(n, complex(row["r_ohm"], row["x_ohm"]) / z_base))
        y = np.diag(np.full(n, complex(row["g_us"], row["b_us"]) * (1e-6 * z_base)))
        if row["s_max_kva"] is not None:
            limit = float(row["s_max_kva"]) / (math.sqrt(3.0) * float(row["vn_to_kv"])) / base_a
    if row.get("i_max_a") is not None:
        limit = float(row["i_max_a"]) / base_a
    return z, y, limit


def _matrix(real: list[float], imaginary: list[float], n: int) -> Complexes:
    """Symmetric n × n matrix from its lower triangles row by row; an empty list is zero."""
    full = np.zeros((n, n), dtype=np.complex128)
    rows, columns = np.tril_indices(n)
    for part, unit in ((real, 1.0), (imaginary, 1j)):
        if part:
            full[rows, columns] += np.multiply(unit, part)
    full[columns, rows] = full[rows, columns]
    return full
