"""The arrays of a Network, their units and conventions.

Base: `s_base_kva` for power, the nominal line-to-line voltage of each bus for voltage, so that impedance is based on
`vn_kv² · 1000 / s_base_kva` ohm and current on `s_base_kva / (√3 vn_kv)` A. The power of one of three phases is based
on a third of `s_base_kva`, its voltage on `vn_kv / √3`, so that v conj(i) is power in each phase. `s_base_kva` follows
the total load (or generation, if larger), so that flows are of order one for grids of any size: cone solvers become
inaccurate on badly scaled problems.

The arrays run over terminals (bus, phase) and conductors (branch, phase), in the order of the tables. A balanced grid
has one phase, "1", and its terminals and conductors are its buses and branches. Neutrals are no terminals: every wye
is grounded, and lines have the matrices that are left when their neutral is eliminated (Kron 1939).

Branch model, with v and i the vectors over the conductors of a branch: at the from side an ideal ratio `tap`, then a
pi section: half of the shunt Y at the internal node u, the series impedance Z, half of Y at the to bus. A transformer
of a grid with letters has all of Y at the to bus, as in OpenDSS. An open branch is disconnected at both ends, unless
it is a line that is open at one end only: such a line of a balanced grid stays under voltage from its other end, at
which it is the admittance Y/2 + 1 / (Z + 2/Y) (`y_open`), and nothing else.

| connection | voltages | current at the from and to end |
|---|---|---|
| wye-wye | v_fr = tap e^(j shift) u, u - v_to = Z i | i / (tap e^(-j shift)), i |
| delta-wye | W v_fr = tap u, u - v_to = Z i | Wᵀ i / tap, i |
| wye-delta | v_fr = tap u, u - W v_to = Z i | i / tap, Wᵀ i |
| delta-delta | W v_fr = tap u, u - W v_to = Z i | Wᵀ i / tap, Wᵀ i |

W takes the voltages of the windings of a delta, per unit line to line: (v_a - v_b, v_b - v_c, v_c - v_a) / √3, or
(v_a - v_c, v_b - v_a, v_c - v_b) / √3 in a delta-wye of shift +30° and a wye-delta of shift -30° (`winding_matrix`).
`shift` is the shift of the positive sequence: from leads to. Lines and switches are wye-wye with tap 1 and shift 0.
A winding between two lines (a delta-delta of two phases) is a single conductor, see `LineWindings`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import refuse_unknown
from openpoint.graph import forest


@dataclass(frozen=True)
class DeltaLoads:
    """Loads, capacitors and fixed generators between two phases: D pairs of terminals, each pair once.

    With u = v[fr] - v[to] a pair draws s_power + s_current |u| / √3 + s_impedance |u|² / 3, and the current
    conj(s / u) flows from `fr` through the load to `to`. Powers are per unit of the base of one phase, at nominal
    line-to-line voltage, |u| = √3. A three-phase delta has the pairs ab, bc, ca.

    Attributes:
        fr, to: (D) terminals. s_power, s_current, s_impedance: (D) complex load.
    """

    fr: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    to: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    s_power: Complexes = field(default_factory=lambda: np.empty(0, dtype=np.complex128))
    s_current: Complexes = field(default_factory=lambda: np.empty(0, dtype=np.complex128))
    s_impedance: Complexes = field(default_factory=lambda: np.empty(0, dtype=np.complex128))


@dataclass(frozen=True)
class LineWindings:
    """Conductors that are one winding between two lines, as in open-delta regulators: U of the E conductors.

    With (f, t) the terminals of the conductor and (g, h) = (return_fr, return_to):
    v_f - v_g = tap (v_t - v_h + z i); i / tap flows in at f and out at g, i out at t and in at h. A branch beside it
    joins g and h (`openpoint.grid.rules.windings`).

    Attributes:
        conductor: (U) numbers of the conductors. return_fr, return_to: (U) terminals of the other phase.
    """

    conductor: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    return_fr: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    return_to: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))


@dataclass(frozen=True)
class Network:
    """Arrays over N terminals, E conductors, G generators, in per unit unless the name says otherwise.

    Attributes:
        s_base_kva: base of power.
        bus_names, branch_names: names by bus and branch number.
        branch_kinds: table of each branch (`lines`, `switches`, `transformers`). branch_connections: its connection,
            `wye-wye` for lines and switches.
        terminal_bus, terminal_phase: (N) bus number and phase letter of a terminal.
        conductor_branch, conductor_phase: (E) branch number and phase letter of a conductor.
        terminal_fr, terminal_to: (E) terminals that a conductor joins.
        v_base_kv: (N) nominal voltage, line to line.
        z: (E, E) sparse block-diagonal series impedance matrix, a block a branch.
        y_shunt: (E, E) sparse block-diagonal shunt admittance, both ends together.
        tap: (E) ratio of the from side, in per unit of the nominal voltages. shift: (E) rad, from leads.
        l_max: (E) limit of the squared rated current (`openpoint.network.limits`), inf = none. rating: (E) what the
            nameplate allows of the rated current, of which the limit is a share; inf = unknown.
        rated_fr, rated_to: (E) rated current over the current at the from and at the to end, each per unit of its own
            base; 0 where the rating does not count at that end. i_base_a: (E) base of current at the to end.
        switchable, closed: (E) today's state.
        y_open_fr, y_open_to: (E) admittance that stays at the from or to terminal while the conductor is open; 0 where
            it is disconnected, at one end at least.
        w_min, w_max: (N) squared voltage limits, 0 and inf = none.
        source_terminal: terminals that sources hold; source_v: their complex voltages.
        s_power, s_current, s_impedance: (N) complex load of constant power, current and impedance at nominal voltage,
            fixed generation (negative) included in `s_power` and capacitors in `s_impedance`.
        delta: the same between two phases.
        windings: conductors that are one winding between two lines.
        generator_names, generator_terminal: dispatchable generators (G); one of several phases is there once a phase.
            generator_return: (G) terminal at the other end of a generator between two phases, else -1.
        generator_s: (G) complex injection today. p_min, p_max, q_min, q_max: (G) limits of the dispatchable
            generators' injection.
    """

    s_base_kva: float
    bus_names: tuple[str, ...]
    branch_names: tuple[str, ...]
    branch_kinds: tuple[str, ...]
    branch_connections: tuple[str, ...]
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
    rating: Floats
    rated_fr: Floats
    rated_to: Floats
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
    generator_return: Ints
    generator_s: Complexes
    p_min: Floats
    p_max: Floats
    q_min: Floats
    q_max: Floats
    y_open_fr: Complexes
    y_open_to: Complexes
    delta: DeltaLoads = field(default_factory=DeltaLoads)
    windings: LineWindings = field(default_factory=LineWindings)

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
    def y_open(self) -> Complexes:
        """(E) admittance of an open conductor at the end that stays energised, whichever it is."""
        return self.y_open_fr + self.y_open_to

    @property
    def hangs(self) -> Bools:
        """(E) whether the conductor stays energised from one end while it is open."""
        return np.asarray(self.y_open != 0)

    @property
    def b_most(self) -> Floats:
        """(E) the larger shunt susceptance of a conductor, closed or open."""
        return np.maximum(self.b, self.y_open.imag)

    @property
    def y_most(self) -> Complexes:
        """(E) the larger size of the shunt conductance and of the susceptance of a conductor, closed or open."""
        g, b = (
            np.maximum(np.abs(self.g), np.abs(self.y_open.real)),
            np.maximum(np.abs(self.b), np.abs(self.y_open.imag)),
        )
        return np.asarray(g + 1j * b)

    @property
    def y_ends(self) -> tuple[sp.csr_array, sp.csr_array]:
        """(E, E) shunt admittance at the internal node of the from side, and at the to bus."""
        one_sided = np.array([kind == "transformers" for kind in self.branch_kinds], dtype=np.bool_)
        at_fr = np.where(one_sided[self.conductor_branch] & (not self.is_balanced), 0.0, 0.5)
        fr, to = (sp.csr_array(sp.diags_array(share) @ self.y_shunt) for share in (at_fr, 1.0 - at_fr))
        return fr, to

    @cached_property
    def is_balanced(self) -> bool:
        """Whether the grid is a balanced single-phase equivalent."""
        return all(p == "1" for p in self.terminal_phase)

    @cached_property
    def inner(self) -> Ints:
        """Numbers of the terminals that no source holds, rising."""
        return np.setdiff1d(np.arange(self.n_terminals), self.source_terminal)

    @cached_property
    def merged(self) -> Ints:
        """(N) number of each terminal, where all sources have that of the first."""
        number = np.arange(self.n_terminals)
        number[self.source_terminal] = self.source_terminal[:1]
        return number

    @property
    def merged_ends(self) -> tuple[Ints, Ints]:
        """(E) terminals at the ends of the conductors, where all sources are the first."""
        return self.merged[self.terminal_fr], self.merged[self.terminal_to]

    def in_forest(self, conductors: Ints) -> Bools:
        """Whether each of some conductors joins what those before it do not; all sources are one terminal."""
        fr, to = self.merged_ends
        return forest(self.n_terminals, fr[conductors], to[conductors])

    def branch_numbers(self, names: list[str]) -> Ints:
        """Numbers of the named branches.

        Raises:
            InputError: a name that is no branch.
        """
        number = {name: i for i, name in enumerate(self.branch_names)}
        refuse_unknown("branches", names, number)
        return np.array([number[n] for n in names], dtype=np.int64)

    @property
    def terminal_base_kw(self) -> float:
        """What one per unit of power is at a terminal, in kW."""
        return self.s_base_kva / (1.0 if self.is_balanced else 3.0)

    def dead_when_open(self) -> Network:
        """A copy in which every open conductor is disconnected at both ends."""
        nothing = np.zeros(self.n_conductors, dtype=np.complex128)
        return replace(self, y_open_fr=nothing, y_open_to=nothing)

    def with_limits(self, *, w_min: Floats, w_max: Floats, l_max: Floats) -> Network:
        """A copy with other limits."""
        return replace(self, w_min=w_min, w_max=w_max, l_max=l_max)


def winding_matrix(connection: str, shift: float) -> Floats:
    """(3, 3) matrix W of the delta in a three-phase transformer, per unit of the line-to-line voltage.

    Args:
        connection: delta-wye, wye-delta or delta-delta. shift: rad, from leads to.
    """
    forward = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [-1.0, 0.0, 1.0]]) / math.sqrt(3.0)
    backward = (connection == "delta-wye" and shift > 0) or (connection == "wye-delta" and shift < 0)
    return forward.T if backward else forward
