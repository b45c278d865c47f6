"""Exact AC power flow of grids with any phases, by OpenDSS: one topology, many loads.

The circuit is compiled once with what is energised; loads, generators, taps and capacitor steps are then edited in
place. Sources hold three balanced voltages. No control acts: taps, steps and switches stay where they are set.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.graph import energised
from openpoint.grid.devices import at_positions, positions_of
from openpoint.grid.grid import Grid
from openpoint.io.opendss import write
from openpoint.io.opendss.engine import TOLERANCE_PU, borrow_engine, hand_back, solve_as_it_is
from openpoint.network import Network, build_network
from openpoint.network.limits import rated_amperes
from openpoint.powerflow.check_phases import max_mismatch

_NODE = {"1": 1, "a": 1, "b": 2, "c": 3}
_ITERATIONS = 200

_Entry = tuple[int, int, complex]
"""Conductor, terminal, and admittance from the voltage of the one to the current of the other."""


@dataclass(frozen=True)
class PhaseFlows:
    """K power flows over the N terminals and E conductors of `build_network(grid)`.

    Of a flow that did not converge every number is nan. Of a balanced grid, powers are those of the three phases.

    Attributes:
        v: (K, N) voltage to neutral, per unit of the nominal one; 0 where not energised.
        i_fr_a, i_to_a: (K, E) current that enters the branch at its from and at its to end, in A. A winding between
            two lines has the current of its own.
        s_fr_kva, s_to_kva: (K, E) power that enters at each end, so that s_fr + s_to is what the conductor takes.
        loss_kw: (K) active power that all branches take.
        source_kva: (K, S) power that each source delivers: those of the grid, then the grid-forming generators.
        converged: (K).
        energised: (N) whether a source reaches the terminal.
    """

    v: Complexes
    i_fr_a: Complexes
    i_to_a: Complexes
    s_fr_kva: Complexes
    s_to_kva: Complexes
    loss_kw: Floats
    source_kva: Complexes
    converged: Bools
    energised: Bools


class OpenDssCircuit:
    """One topology of a grid as a compiled OpenDSS circuit.

    Args:
        grid: the grid; sound.
        closed: (branches) state of each, in the order of `Grid.branches`; default: today's.
        forming: grid-forming generators by name, with the voltage they hold in pu (angle 0). They deliver what their
            island needs, whatever output the table has.
        tolerance: largest relative change of a voltage in the last iteration.
        network: that of the grid, whatever is closed in it, if it is built already.

    Raises:
        InputError: the grid has faults, or something that OpenDSS does not have.
        OptionError: a generator that does not exist, a shape that does not fit, two voltages held at one terminal.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        closed: Bools | None = None,
        forming: Mapping[str, float] | None = None,
        tolerance: float = TOLERANCE_PU,
        network: Network | None = None,
    ) -> None:
        self.grid, self.network = grid, build_network(grid) if network is None else network
        self._names, self._tolerance = write.safe_names(grid), tolerance
        self._stale: set[int] = set()  # branches whose admittances were changed since they were read
        self._live: dict[int, str] = {}  # elements of the branches that are in the circuit, by number
        self._off: dict[int, str] = {}  # those that are disabled
        self._parts: dict[int, tuple[list[_Entry], list[_Entry]]] = {}  # their admittances
        self.forming: dict[str, float] = {}
        self.energised: Bools = np.zeros(0, dtype=np.bool_)
        self._load_rows = self._generator_rows = self._capacitor_rows = np.zeros(0, dtype=np.int64)
        self._engine = borrow_engine()
        weakref.finalize(self, hand_back, self._engine)
        self.rewire(closed, forming=forming)

    def rewire(self, closed: Bools | None = None, *, forming: Mapping[str, float] | None = None) -> None:
        """Switch to another topology; faster than a new circuit.

        Args:
            closed, forming: as for a new circuit.

        Raises:
            OptionError: as for a new circuit.
        """
        before = None if not self._live else (self.forming, self.energised.tobytes())
        self.forming = dict(forming or {})
        self.state = _state(self.grid, closed)
        self.energised = _energised(self.network, self.state, _held(self.grid, self.network, self.forming))
        if before == (self.forming, self.energised.tobytes()):
            self._switch()
        else:
            self._compile()
        self._place(self._names)
        self._wire()

    def _compile(self) -> None:
        """Put the state into the engine as a circuit of its own."""
        engine = self._engine
        statements, self._live = self._statements(self._names)
        self._off.clear()
        self._parts.clear()
        for text in ("clear", *statements, "set controlmode=off", "set mode=snapshot"):
            engine.Text.Command(text)
        engine.Solution.Convergence(self._tolerance)
        engine.Solution.MaxIterations(_ITERATIONS)
        solve_as_it_is(engine)
        # Power of every load and generator in the engine; unknown at first.
        self._drawn: Complexes = np.full(len(self._load_rows) + len(self._generator_rows), np.nan, dtype=np.complex128)

    def _switch(self) -> None:
        """Open and close branches in the circuit, where it feeds what it fed before."""
        engine, names, grid = self._engine, self._names, self.grid
        for branch in np.flatnonzero(~self.state).tolist():
            if branch in self._live:
                self._off[branch] = self._live.pop(branch)
                engine.Text.Command(f"disable {self._off[branch]}")
        first = len(self.state) - grid.transformers.height
        missing = [branch for branch in self._closed() if branch not in self._live]
        new = any(branch not in self._off for branch in missing)
        made = list(write.branch_statements(grid, names)) if new else []
        for branch in missing:
            if branch in self._off:
                self._live[branch] = self._off.pop(branch)
                engine.Text.Command(f"enable {self._live[branch]}")
                if branch >= first:
                    engine.Text.Command(write.tap_statement(grid.transformers.row(branch - first, named=True), names))
                    self._parts.pop(branch, None)
            else:
                self._live[branch] = made[branch][0]
                engine.Text.Command(made[branch][2])
        self._live = dict(sorted(self._live.items()))
        self.restart()
        solve_as_it_is(engine)

    def _closed(self) -> list[int]:
        """Numbers of the closed branches of which an end is energised."""
        alive, ends = self._alive(), self.grid.branches().select("from_bus", "to_bus", "phases").rows()
        return [k for k, (fr, to, at) in enumerate(ends) if self.state[k] and (alive(fr, at) or alive(to, at))]

    def _statements(self, names: write.Names) -> tuple[list[str], dict[int, str]]:
        """OpenDSS statements of the energised part, and the elements of its branches by number."""
        grid = self.grid
        sources = write.source_statements(grid, names)
        for name, v_pu in self.forming.items():
            row = grid.generators.row(by_predicate=pl.col("name") == name, named=True)
            made = f"f_{names.generator[name]}"
            sources.append(write.source_elements(grid, names, made, row["bus"], row["phases"], v_pu, 0.0))
        self._sources = [[element for element, _ in elements] for elements in sources]
        alive = self._alive()
        branches = list(write.branch_statements(grid, names))
        live = self._closed()
        self._load_rows, loads = _consumers(grid.loads, write.load_statements(grid, names), alive)
        made_by = write.generator_statements(grid, names)
        self._generator_rows, generators = _consumers(grid.generators, made_by, alive, leave_out=set(self.forming))
        self._capacitor_rows, capacitors = _consumers(grid.capacitors, write.capacitor_statements(grid, names), alive)
        statements = [
            *write.circuit_statements(grid),
            *(text for elements in sources for _, text in elements),
            *(branches[k][2] for k in live),
            *loads,
            *generators,
            *capacitors,
        ]
        return statements, {k: branches[k][0] for k in live}

    def set_positions(self, tap_pos: Ints, steps_on: Ints) -> None:
        """Move tap changers and capacitor steps in place; far faster than a new circuit.

        Args:
            tap_pos: (transformers) tap position of each row of the table. steps_on: (capacitors) steps switched on.
        """
        was = positions_of(self.grid)
        taps, steps = np.flatnonzero(tap_pos != was[0]), np.flatnonzero(steps_on != was[1])
        if not (len(taps) or len(steps)):
            return
        grid = self.grid = at_positions(self.grid, tap_pos, steps_on)
        first = len(self.state) - grid.transformers.height
        for row in taps.tolist():
            if first + row in self._live:
                self._engine.Text.Command(write.tap_statement(grid.transformers.row(row, named=True), self._names))
                self._stale.add(first + row)
        for row in steps.tolist():
            if row in self._capacitor_rows:
                self._engine.Text.Command(write.steps_statement(grid.capacitors.row(row, named=True), self._names))

    def solve(self, *, loads_kva: Complexes | None = None, generators_kva: Complexes | None = None) -> PhaseFlows:
        """Power flow for K sets of loads and generators; an argument of one row is used for all.

        Args:
            loads_kva: (L) or (K, L) complex power of each row of the table, at nominal voltage; default: the table.
            generators_kva: (G) or (K, G) complex injection of each row; default: the table. Those of grid-forming
                generators are not used.

        Raises:
            OptionError: shapes do not fit.
        """
        grid, network = self.grid, self.network
        loads = _rows("loads_kva", loads_kva, grid.loads)
        generators = _rows("generators_kva", generators_kva, grid.generators)
        rated = write.rated_share(grid)
        loads = loads.real * rated.real + 1j * loads.imag * rated.imag
        size = max(len(loads), len(generators)) if len(loads) and len(generators) else 0
        if {len(loads), len(generators)} - {1, size}:
            raise OptionError(
                f"loads_kva has {len(loads)} rows and generators_kva {len(generators)}; give as many or one"
            )
        drawn = np.concatenate(
            [
                np.broadcast_to(loads[:, self._load_rows], (size, len(self._load_rows))),
                np.broadcast_to(-generators[:, self._generator_rows], (size, len(self._generator_rows))),
            ],
            axis=1,
        )
        v = np.zeros((size, network.n_terminals), dtype=np.complex128)
        source_kva = np.zeros((size, len(self._sources)), dtype=np.complex128)
        converged = np.zeros(size, dtype=np.bool_)
        for k in range(size):
            converged[k] = self._solve_one(drawn[k], v[k], source_kva[k])
        if self._stale:  # the engine computes the admittances of a moved tap changer when it solves
            self._update()
        v[~converged], source_kva[~converged] = np.nan, np.nan
        return self._flows(v, source_kva, converged)

    def restart(self) -> None:
        """Discard the last flow, so that the next one does not start from its voltages."""
        self._engine.Solution.InitSnap()

    def _solve_one(self, drawn: Complexes, v: Complexes, source_kva: Complexes) -> bool:
        """Edit the loads that change, solve, and fill in voltages and the power of the sources."""
        engine = self._engine
        loads = engine.Loads
        for i in np.flatnonzero(drawn != self._drawn):
            loads.Idx(int(i) + 1)
            loads.kW(drawn[i].real)
            loads.kvar(drawn[i].imag)
        self._drawn = drawn.copy()
        if not solve_as_it_is(engine):
            self.restart()
            return False
        volts = np.asarray(engine.Circuit.YNodeVArray(), dtype=np.float64).view(np.complex128)
        v[self._terminal] = volts[self._node] / self._base_v[self._terminal]
        for s, elements in enumerate(self._sources):
            for element in elements:
                engine.Circuit.SetActiveElement(element)
                source_kva[s] -= complex(*engine.CktElement.TotalPowers()[:2])
        return True

    def _flows(self, v: Complexes, source_kva: Complexes, converged: Bools) -> PhaseFlows:
        network = self.network
        back_fr, back_to = _way_back(network)
        volts = np.concatenate([v * self._base_v, np.zeros((len(v), 1))], axis=1)
        i_fr, i_to = (np.asarray(matrix @ (v * self._base_v).T).T for matrix in (self._y_fr, self._y_to))
        scale = 3e-3 if network.is_balanced else 1e-3
        s_fr = (volts[:, network.terminal_fr] - volts[:, back_fr]) * np.conj(i_fr) * scale
        s_to = (volts[:, network.terminal_to] - volts[:, back_to]) * np.conj(i_to) * scale
        loss = (s_fr + s_to).real.sum(axis=1)
        return PhaseFlows(v, i_fr, i_to, s_fr, s_to, loss, source_kva, converged, self.energised)

    def _alive(self) -> Callable[[str, str], bool]:
        """Whether any of these phases of a bus is energised."""
        names = [self.network.bus_names[b] for b in self.network.terminal_bus]
        live = {(n, p) for n, p, on in zip(names, self.network.terminal_phase, self.energised) if on}
        return lambda bus, phases: any((bus, phase) in live for phase in phases)

    def _place(self, names: write.Names) -> None:
        """Map the nodes of the engine to terminals."""
        network = self.network
        bus_of = {safe: name for name, safe in names.bus.items()}
        number = {
            (network.bus_names[b], _NODE[p]): t
            for t, (b, p) in enumerate(zip(network.terminal_bus, network.terminal_phase))
        }
        self._number = {(names.bus[bus], node): t for (bus, node), t in number.items()}
        nodes = [text.lower().rpartition(".") for text in self._engine.Circuit.YNodeOrder()]
        found = [(i, self._number.get((bus, int(node)))) for i, (bus, _, node) in enumerate(nodes) if bus in bus_of]
        placed = [(i, t) for i, t in found if t is not None]
        self._node = np.array([i for i, _ in placed], dtype=np.int64)
        self._terminal = np.array([t for _, t in placed], dtype=np.int64)
        self._base_v = network.v_base_kv * 1000.0 / math.sqrt(3.0)

    def _wire(self) -> None:
        """Read the admittance matrices of all branches that are in the circuit."""
        for branch in self._live:
            if branch not in self._parts or branch in self._stale:
                self._parts[branch] = self._admittances(branch)
        parts = {branch: self._parts[branch] for branch in self._live}
        sizes = [(len(fr), len(to)) for fr, to in parts.values()]
        ends = np.cumsum(np.array([(0, 0), *sizes], dtype=np.int64), axis=0)
        self._slices = {branch: (ends[k], ends[k + 1]) for k, branch in enumerate(parts)}
        self._entries = tuple(_columns([entry for part in parts.values() for entry in part[side]]) for side in (0, 1))
        self._stale.clear()
        self._assemble()

    def _update(self) -> None:
        """Read the admittances of the branches that were changed."""
        for branch in self._stale:
            first, last = self._slices[branch]
            self._parts[branch] = self._admittances(branch)
            for side, part in enumerate(self._parts[branch]):
                self._entries[side][2][first[side] : last[side]] = [value for _, _, value in part]
        self._stale.clear()
        self._assemble()

    def _assemble(self) -> None:
        """Put together the matrices from voltages in V to currents in A at both ends of conductors."""
        shape = (self.network.n_conductors, self.network.n_terminals)
        self._y_fr, self._y_to = (
            sp.csr_array(sp.coo_array((value, (row, column)), shape=shape)) for row, column, value in self._entries
        )

    def _admittances(self, branch: int) -> tuple[list[_Entry], list[_Entry]]:
        """The entries of a branch, at its from and at its to end."""
        engine = self._engine
        engine.Circuit.SetActiveElement(self._live[branch])
        nodes = [int(n) for n in engine.CktElement.NodeOrder()]
        buses = [text.split(".")[0].lower() for text in engine.CktElement.BusNames()]
        y = np.asarray(engine.CktElement.YPrim(), dtype=np.float64).view(np.complex128).reshape(len(nodes), -1)
        each = len(nodes) // 2
        # A node of a balanced grid other than the first is not coupled with it.
        columns = [(j, self._number.get((buses[j // each], node), -1)) for j, node in enumerate(nodes)]
        entries: tuple[list[_Entry], list[_Entry]] = ([], [])
        first, last = np.searchsorted(self.network.conductor_branch, [branch, branch + 1]).tolist()
        for e in range(first, last):
            node = _NODE[self.network.conductor_phase[e]]
            for side in (0, 1):
                row = side * each + nodes[side * each : (side + 1) * each].index(node)
                entries[side].extend((e, t, y[row, j]) for j, t in columns if t >= 0)
        return entries


def _consumers(
    table: pl.DataFrame,
    statements: Iterable[tuple[str, str]],
    alive: Callable[[str, str], bool],
    leave_out: Collection[str] = (),
) -> tuple[Ints, list[str]]:
    """Rows of a table that are energised, and their statements."""
    rows: list[int] = []
    texts: list[str] = []
    for k, ((_, text), (name, bus, phases)) in enumerate(
        zip(statements, table.select("name", "bus", "phases").iter_rows(), strict=True)
    ):
        if alive(bus, phases) and name not in leave_out:
            rows.append(k)
            texts.append(text)
    return np.array(rows, dtype=np.int64), texts


def _rows(name: str, given: Complexes | None, table: pl.DataFrame) -> Complexes:
    """The argument as a complex matrix with a column a row of the table."""
    if given is None:
        given = table["p_kw"].to_numpy() + 1j * table["q_kvar"].to_numpy()
    matrix = np.atleast_2d(np.asarray(given, dtype=np.complex128))
    if matrix.ndim != 2 or matrix.shape[1] != table.height:
        raise OptionError(
            f"{name} has shape {np.shape(given)}; it needs {table.height} columns, one a row of the table"
        )
    return matrix


def _state(grid: Grid, closed: Bools | None) -> Bools:
    """(branches) whether each is closed."""
    branches = grid.branches()
    state = branches["closed"].to_numpy() if closed is None else np.asarray(closed)
    if state.shape != (branches.height,) or state.dtype != np.bool_:
        raise OptionError(
            f"closed is an array of bool, one a branch ({branches.height}), not {state.dtype} {state.shape}"
        )
    return np.asarray(state, dtype=np.bool_)


def _held(grid: Grid, network: Network, forming: Mapping[str, float]) -> Ints:
    """Terminals that sources and grid-forming generators hold."""
    if unknown := [name for name in forming if name not in set(grid.generators["name"])]:
        raise OptionError(f"there is no generator {unknown[0]!r} to form the grid")
    number = {
        (network.bus_names[b], p): t for t, (b, p) in enumerate(zip(network.terminal_bus, network.terminal_phase))
    }
    held = network.source_terminal.tolist()
    rows = grid.generators.filter(pl.col("name").is_in(list(forming))).select("bus", "phases").iter_rows()
    held += [number[bus, phase] for bus, phases in rows for phase in phases]
    if len(set(held)) < len(held):
        raise OptionError("two sources hold the voltage of one bus; let one generator form the grid there")
    return np.array(held, dtype=np.int64)


def _energised(network: Network, state: Bools, held: Ints) -> Bools:
    closed = state[network.conductor_branch]
    return energised(network.n_terminals, network.terminal_fr, network.terminal_to, closed, held)


def _way_back(network: Network) -> tuple[Ints, Ints]:
    """Terminals to which the voltage of a conductor refers; N is the neutral."""
    fr = np.full(network.n_conductors, network.n_terminals)
    to = fr.copy()
    fr[network.windings.conductor], to[network.windings.conductor] = (
        network.windings.return_fr,
        network.windings.return_to,
    )
    return fr, to


def _columns(entries: list[_Entry]) -> tuple[Ints, Ints, Complexes]:
    row, column, value = zip(*entries) if entries else ((), (), ())
    return np.array(row, dtype=np.int64), np.array(column, dtype=np.int64), np.array(value, dtype=np.complex128)


@dataclass(frozen=True)
class PhaseState:
    """Exact AC state of a topology over N terminals, E conductors and S sources.

    Attributes:
        energised: (N) whether a source reaches the terminal.
        v: (N) voltage to neutral, per unit of the nominal one; nan where the flow has no solution.
        i_a: (E) rated current (`openpoint.network.limits`).
        s_fr_kva, s_to_kva: (E) power that enters at each end. source_kva: (S) power delivered.
        max_mismatch: by the equations of the network, independent of OpenDSS, per unit of the base of a phase. It is
            about 1e-6 at best: OpenDSS adds a susceptance of a millionth of its rating to a transformer.
    """

    energised: Bools
    v: Complexes
    i_a: Floats
    s_fr_kva: Complexes
    s_to_kva: Complexes
    source_kva: Complexes
    max_mismatch: float

    @property
    def has_solution(self) -> bool:
        return bool(np.isfinite(self.v).all())

    @property
    def loss_kw(self) -> float:
        """Active power that all branches take."""
        return float((self.s_fr_kva + self.s_to_kva).real.sum())


def phase_state(grid: Grid, network: Network) -> PhaseState:
    """Today's state of the grid, without control actions. Loops and several sources in one part are allowed.

    Raises:
        InputError: something that OpenDSS does not have.
    """
    return state_of(grid, network, OpenDssCircuit(grid).solve())


def state_of(grid: Grid, network: Network, flows: PhaseFlows) -> PhaseState:
    """The state of the one power flow in `flows`, of the branches that are closed in the network."""
    known = bool(flows.converged[0] and flows.energised.all())
    return PhaseState(
        energised=flows.energised,
        v=flows.v[0],
        i_a=rated_amperes(network, flows.i_fr_a[0], flows.i_to_a[0]),
        s_fr_kva=flows.s_fr_kva[0],
        s_to_kva=flows.s_to_kva[0],
        source_kva=flows.source_kva[0],
        max_mismatch=max_mismatch(grid, network, flows.v[0]) if known else np.nan,
    )
