"""From the tables of a Grid to the arrays of a Network: the only place where units are converted to per unit."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.grid.devices import kvar_today
from openpoint.grid.grid import Grid
from openpoint.grid.rules.device_rules import refuse_held
from openpoint.grid.rules.windings import line_windings, refuse_negative
from openpoint.network.arrays import DeltaLoads, LineWindings, Network
from openpoint.network.load_shares import (
    DELTA_PAIRS,
    PARTS,
    delta_pairs,
    is_delta,
    pairs_at,
    phase_bases,
    power_base_kva,
    terminals,
)

_MODELS = ("power", "current", "impedance")


def build_network(grid: Grid, *, for_powerflow: bool = False) -> Network:
    """The arrays of a grid.

    They do not contain the voltage band of a load (`v_min_pu`, `v_max_pu`): its model is assumed to hold at every
    voltage. Nor do they contain the voltages that generators hold.

    Args:
        grid: the grid.
        for_powerflow: the caller computes the reactive power of generators with `v_pu` itself, and no bound that
            transformers of negative impedance would break.

    Raises:
        InputError: the grid has faults (`Grid.check`), or what only a power flow takes, and another caller.
    """
    grid.check()
    if not for_powerflow:
        refuse_held(grid)
        refuse_negative(grid)
    return _Builder(grid).build()


class _Builder:
    """Numbers of terminals and conductors while a Network is being put together."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.bus_names = tuple(grid.buses["name"])
        self.bus_number = {name: i for i, name in enumerate(self.bus_names)}
        self.bus_vn = grid.buses["vn_kv"].to_numpy()
        self.terminal = terminals(grid)
        self.pair = delta_pairs(grid)
        self.s_base = power_base_kva(grid)
        self.wye = {model: np.zeros(len(self.terminal), dtype=np.complex128) for model in _MODELS}
        self.delta = {model: np.zeros(len(self.pair), dtype=np.complex128) for model in _MODELS}

    def build(self) -> Network:
        grid, s_base = self.grid, self.s_base
        names = [key[0] for key in self.terminal]
        terminal_bus = np.array([self.bus_number[n] for n in names], dtype=np.int64)
        w_min = grid.buses["v_min_pu"].fill_null(0.0).to_numpy() ** 2
        w_max = grid.buses["v_max_pu"].fill_null(math.inf).to_numpy() ** 2
        sources = self._sources()
        dispatchable = pl.any_horizontal(pl.col("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar").is_not_null())
        for row in grid.loads.iter_rows(named=True):
            s = complex(row["p_kw"], row["q_kvar"]) / s_base
            p_model, q_model = PARTS[row["model"]]
            if p_model == q_model:
                self._spread(p_model, row, s)
            else:
                self._spread(p_model, row, complex(s.real, 0.0))
                self._spread(q_model, row, complex(0.0, s.imag))
        for row in grid.generators.filter(~dispatchable).iter_rows(named=True):
            self._spread("power", row, -complex(row["p_kw"], row["q_kvar"]) / s_base)
        for row in grid.capacitors.iter_rows(named=True):
            self._spread("impedance", row, complex(0.0, -kvar_today(row)) / s_base)
        pairs = np.array(list(self.pair), dtype=np.int64).reshape(-1, 2)
        delta = DeltaLoads(pairs[:, 0], pairs[:, 1], *(self.delta[model] for model in _MODELS))
        return Network(
            s_base_kva=s_base,
            bus_names=self.bus_names,
            terminal_bus=terminal_bus,
            terminal_phase=tuple(key[1] for key in self.terminal),
            v_base_kv=self.bus_vn[terminal_bus],
            w_min=w_min[terminal_bus],
            w_max=w_max[terminal_bus],
            source_terminal=sources[0],
            source_v=sources[1],
            s_power=self.wye["power"],
            s_current=self.wye["current"],
            s_impedance=self.wye["impedance"],
            delta=delta,
            **self._generators(grid.generators.filter(dispatchable)),
            **self._branches(),
        )

    def _spread(self, model: str, row: dict[str, Any], s: complex) -> None:
        """Add a power to the terminals or pairs of a row, equally over its phases."""
        bus, phases = row["bus"], row["phases"]
        if is_delta(row["connection"], phases):
            for ends in pairs_at(self.terminal, bus, phases):
                self.delta[model][self.pair[ends]] += s * 3 / len(DELTA_PAIRS[phases])
            return
        for phase in phases:
            self.wye[model][self.terminal[bus, phase]] += s * phase_bases(phase) / len(phases)

    def _generators(self, moving: pl.DataFrame) -> dict[str, Any]:
        """All fields of the Network that run over dispatchable generators."""
        parts: list[tuple[dict[str, Any], int, int, float]] = []  # row, terminal, way back, bases over parts
        for row in moving.iter_rows(named=True):
            bus, phases = row["bus"], row["phases"]
            if is_delta(row["connection"], phases):
                ends = list(pairs_at(self.terminal, bus, phases))
                parts += [(row, fr, to, 3.0 / len(ends)) for fr, to in ends]
            else:
                parts += [(row, self.terminal[bus, p], -1, phase_bases(p) / len(phases)) for p in phases]

        def per_phase(column: str, instead: str) -> Floats:
            values = [(row[instead] if row[column] is None else row[column]) * part for row, _, _, part in parts]
            return np.array(values, dtype=np.float64) / self.s_base

        return {
            "generator_names": tuple(part[0]["name"] for part in parts),
            "generator_terminal": np.array([part[1] for part in parts], dtype=np.int64),
            "generator_return": np.array([part[2] for part in parts], dtype=np.int64),
            "generator_s": per_phase("p_kw", "p_kw") + 1j * per_phase("q_kvar", "q_kvar"),
            "p_min": per_phase("p_min_kw", "p_kw"),
            "p_max": per_phase("p_max_kw", "p_kw"),
            "q_min": per_phase("q_min_kvar", "q_kvar"),
            "q_max": per_phase("q_max_kvar", "q_kvar"),
        }

    def _sources(self) -> tuple[Ints, Complexes]:
        found, voltages = [], []
        turn = {"1": 0.0, "a": 0.0, "b": -120.0, "c": 120.0}
        for row in self.grid.sources.iter_rows(named=True):
            for phase in self.grid.buses["phases"][self.bus_number[row["bus"]]]:
                found.append(self.terminal[row["bus"], phase])
                angle = math.radians(row["angle_degree"] + turn[phase])
                voltages.append(row["v_pu"] * complex(math.cos(angle), math.sin(angle)))
        return np.array(found, dtype=np.int64), np.array(voltages, dtype=np.complex128)

    def _branches(self) -> dict[str, Any]:
        """All fields of the Network that run over branches or conductors."""
        z: list[Complexes] = []
        y: list[Complexes] = []
        names: list[str] = []
        kinds: list[str] = []
        connections: list[str] = []
        phases_of: list[str] = []
        fr: list[int] = []
        to, branch, tap, shift, ratings, loading, i_base, switchable, closed = [], [], [], [], [], [], [], [], []
        y_open: list[tuple[complex, complex]] = []
        pairs = line_windings(self.grid)
        lone: list[tuple[int, int, int]] = []
        for kind in ("lines", "switches", "transformers"):
            for row in self.grid.tables()[kind].iter_rows(named=True):
                vn_fr = float(self.bus_vn[self.bus_number[row["from_bus"]]])
                vn_to = float(self.bus_vn[self.bus_number[row["to_bus"]]])
                z_base = vn_to**2 * 1000.0 / self.s_base
                base_a = self.s_base / (math.sqrt(3.0) * vn_to)
                phases = row["phases"]
                if kind == "transformers" and row["name"] in pairs:
                    phases, back = tuple(pairs[row["name"]])
                    lone.append((len(fr), self.terminal[row["from_bus"], back], self.terminal[row["to_bus"], back]))
                z_row, y_row = _admittances(kind, row, len(phases), z_base)
                rating = _rating(row, vn_fr, vn_to, base_a) if kind == "transformers" else _ampacity(row, base_a)
                z.append(z_row)
                y.append(y_row)
                ratio = tap_ratio(row, row["tap_pos"], vn_fr, vn_to) if kind == "transformers" else 1.0
                for phase in phases:
                    fr.append(self.terminal[row["from_bus"], phase])
                    to.append(self.terminal[row["to_bus"], phase])
                    branch.append(len(names))
                    phases_of.append(phase)
                    tap.append(ratio)
                    shift.append(math.radians(row.get("shift_degree", 0.0)))
                    ratings.append(rating)
                    loading.append(0.01 * row["max_loading_percent"])
                    i_base.append(base_a)
                    switchable.append(row["switchable"] and not row["locked_reason"])
                    closed.append(row["closed"])
                    y_open.append(_open_ended(row.get("open_end", "both"), complex(z_row[0, 0]), complex(y_row[0, 0])))
                names.append(row["name"])
                kinds.append(kind)
                connections.append(row.get("connection", "wye-wye"))
        empty = sp.csr_array((0, 0), dtype=np.complex128)
        windings = np.array(lone, dtype=np.int64).reshape(-1, 3)
        stays = np.array(y_open, dtype=np.complex128).reshape(-1, 2)
        limits = np.array(ratings, dtype=np.float64).reshape(-1, 3)
        return {
            "branch_names": tuple(names),
            "branch_kinds": tuple(kinds),
            "branch_connections": tuple(connections),
            "conductor_branch": np.array(branch, dtype=np.int64),
            "conductor_phase": tuple(phases_of),
            "terminal_fr": np.array(fr, dtype=np.int64),
            "terminal_to": np.array(to, dtype=np.int64),
            # the first block is sparse: what comes out of dense ones alone is about to change, says SciPy 1.18
            "z": sp.csr_array(sp.block_diag([sp.coo_array(z[0]), *z[1:]])) if z else empty,
            "y_shunt": sp.csr_array(sp.block_diag([sp.coo_array(y[0]), *y[1:]])) if y else empty,
            "tap": np.array(tap, dtype=np.float64),
            "shift": np.array(shift, dtype=np.float64),
            "l_max": (limits[:, 0] * np.array(loading, dtype=np.float64)) ** 2,
            "rating": limits[:, 0].copy(),
            "rated_fr": limits[:, 1].copy(),
            "rated_to": limits[:, 2].copy(),
            "i_base_a": np.array(i_base, dtype=np.float64),
            "switchable": np.array(switchable, dtype=np.bool_),
            "closed": np.array(closed, dtype=np.bool_),
            "y_open_fr": stays[:, 0].copy(),
            "y_open_to": stays[:, 1].copy(),
            "windings": LineWindings(windings[:, 0], windings[:, 1], windings[:, 2]),
        }


def _open_ended(open_end: str, z: complex, y: complex) -> tuple[complex, complex]:
    """Admittances at the from and to bus of a line open at one end: half of its shunt, and the other half behind z.

    Theory: docs/methods.md M4.
    """
    half = 0.5 * y
    stays = half + half / (1.0 + z * half)
    return stays if open_end == "to" else 0j, stays if open_end == "from" else 0j


def tap_ratio(row: dict[str, Any], position: int, vn_fr: float, vn_to: float) -> float:
    """Per-unit ratio of the from side of a transformer with its tap at a position; vn_…: of its buses, in kV."""
    step = 1.0 + (position - row["tap_neutral"]) * row["tap_step_percent"] / 100.0
    rated_fr, rated_to = float(row["vn_from_kv"]), float(row["vn_to_kv"])
    if row["tap_side"] == "from":
        rated_fr *= step
    else:
        rated_to *= step
    return (rated_fr / vn_fr) / (rated_to / vn_to)


def _ampacity(row: dict[str, Any], base_a: float) -> tuple[float, float, float]:
    """Rated current of a line or switch, per unit, which counts at both ends."""
    return math.inf if row["i_max_a"] is None else float(row["i_max_a"]) / base_a, 1.0, 1.0


def _rating(row: dict[str, Any], vn_fr: float, vn_to: float, base_a: float) -> tuple[float, float, float]:
    """Rating of the rated current of a transformer, per unit at the to side, and `Network.rated_fr`, `rated_to`.

    Args:
        vn_fr, vn_to: of its buses, in kV. base_a: of current at the to bus.
    """
    connection, phases = row["connection"], row["phases"]
    rated = [rated_kv(connection, phases, row[f"vn_{end}_kv"]) for end in ("from", "to")]
    s_max = math.inf if row["s_max_kva"] is None else float(row["s_max_kva"])
    given = [row[f"i_max_{end}_a"] for end in ("from", "to")]
    amps = [s_max / kv if i is None else float(i) for i, kv in zip(given, rated, strict=True)]
    fr, to = amps[0] * vn_fr / (base_a * vn_to), amps[1] / base_a
    if math.isfinite(to):
        return to, to / fr, 1.0
    ratio = rated[0] / vn_fr / (rated[1] / vn_to)  # both windings have their rated current together
    return fr * ratio, ratio, 0.0 if math.isfinite(fr) else 1.0


def _admittances(kind: str, row: dict[str, Any], n: int, z_base: float) -> tuple[Complexes, Complexes]:
    """Series impedance and shunt admittance blocks (n, n) in per unit."""
    z: Complexes = np.zeros((n, n), dtype=np.complex128)  # a switch has none
    y = z
    if kind == "lines":
        z = _matrix(row["r_ohm"], row["x_ohm"], n) / z_base
        y = _matrix(row["g_us"], row["b_us"], n) * (1e-6 * z_base)
    elif kind == "transformers":
        z = np.diag(np.full(n, complex(row["r_ohm"], row["x_ohm"]) / z_base))
        y = np.diag(np.full(n, complex(row["g_us"], row["b_us"]) * (1e-6 * z_base)))
    return z, y


def rated_kv(connection: str, phases: str, vn_kv: float) -> float:
    """Rating in kVA over rated current in A: √3 vn for three phases, vn / √3 for one, vn for a winding between two."""
    if connection == "delta-delta" and len(phases) == 2:
        return float(vn_kv)
    return math.sqrt(3.0) * float(vn_kv) * (1.0 if phases == "1" else len(phases) / 3.0)


@cache
def _lower(n: int) -> tuple[Ints, Ints]:
    """Rows and columns of the lower triangle of an n × n matrix, row by row."""
    return np.tril_indices(n)


def _matrix(real: list[float], imaginary: list[float], n: int) -> Complexes:
    """Symmetric n × n matrix from its lower triangles row by row; an empty list is zero."""
    if n == 1:  # each branch of a balanced grid
        return np.array([[complex(sum(real), sum(imaginary))]])
    full = np.zeros((n, n), dtype=np.complex128)
    rows, columns = _lower(n)
    for part, unit in ((real, 1.0), (imaginary, 1j)):
        if part:
            full[rows, columns] += np.multiply(unit, part)
    full[columns, rows] = full[rows, columns]
    return full
