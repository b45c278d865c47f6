"""Exact AC power flow of radial balanced grids: many loads and many topologies in one call.

Exact AC power flows of a radial state in which one more branch is closed: compensation, many branches in one call.

The branch is left open, and the current J that it would carry is drawn at one end and fed in at the other, so that the
state stays radial (Shirmohammadi et al. 1988). J is right where Ohm's law holds for the branch, v_fr - v_to = z J; its
shunt is an admittance at either end. A step of J changes v_fr - v_to by about the impedances from the ends to where
their paths to the source meet, times the step. Where that does not converge, or the branch has a ratio, Newton's method
solves the state (`openpoint.powerflow.meshed`).
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.powerflow import kernel
from openpoint.powerflow.arrays import Loads, Output, Wires, Work, work_for


class FlowStatus(IntEnum):
    """How a flow ended."""

    CONVERGED = kernel.CONVERGED
    NOT_CONVERGED = kernel.NOT_CONVERGED
    """No solution was found: the grid cannot carry the load (voltage collapse), or the iteration limit came first."""
    NOT_RADIAL = kernel.NOT_RADIAL
    """An energised part has a closed loop or joins two sources; a loop that no source feeds carries nothing."""


@dataclass(frozen=True)
class Flows:
    """K power flows over N buses, E branches and S sources, in per unit.

    Of a flow that did not converge the loss is inf and every complex number is nan; `energised` is always right.

    Attributes:
        v: (K, N) voltage, 0 at buses without a source.
        i_series: (K, E) current through the series impedance from the from to the to end, on the to side of the
            ratio; 0 where open or not energised.
        i_rated: (K, E) rated current (`openpoint.network.limits`), what `l_max` limits; 0 where not energised.
        s_fr, s_to: (K, E) power that enters the branch at its from and at its to end, so that s_fr + s_to is what
            the branch takes, also one that is open at one end only.
        loss: (K) active power that all branches take (series and shunt conductance), added up branch by branch.
        source_s: (K, S) power that each source delivers, the load at its own bus included.
        status: (K) FlowStatus.
        energised: (K, N) whether a source reaches the bus over closed branches.
    """

    v: Complexes
    i_series: Complexes
    i_rated: Floats
    s_fr: Complexes
    s_to: Complexes
    loss: Floats
    source_s: Complexes
    status: States
    energised: Bools

    @property
    def converged(self) -> Bools:
        """(K) whether each flow converged."""
        return np.equal(self.status, FlowStatus.CONVERGED)


def solve(
    network: Network,
    closed: Bools,
    *,
    s_power: Complexes | None = None,
    s_current: Complexes | None = None,
    s_impedance: Complexes | None = None,
    generation: Complexes | None = None,
    tolerance: float = 1e-12,
    iterations: int = 10_000,
) -> Flows:
    """Power flow for K pairs of topology and load, everything in per unit.

    Every argument with one row is used for all K flows. Loads at buses without a source are not served.

    Args:
        network: a balanced network.
        closed: (E) or (K, E) state of the branches.
        s_power, s_current, s_impedance: (N) or (K, N) load of constant power, current, impedance at nominal voltage;
            default: those of the network.
        generation: (G) or (K, G) injection of the dispatchable generators; default: that of the network.
        tolerance: largest change of any voltage in the last sweep, pu.
        iterations: most sweeps of one flow. Convergence is linear and slows down towards the collapse of the voltage.

    Raises:
        OptionError: shapes do not fit, or the network has several phases.

    The method is the backward/forward sweep (Shirmohammadi et al. 1988); see `openpoint.powerflow.kernel`.
    """
    call = _Call(network, closed, s_power, s_current, s_impedance, generation)
    size, n_bus, n_branch = call.size, network.n_terminals, network.n_conductors
    flows = Flows(
        v=np.zeros((size, n_bus), dtype=np.complex128),
        i_series=np.zeros((size, n_branch), dtype=np.complex128),
        i_rated=np.zeros((size, n_branch)),
        s_fr=np.zeros((size, n_branch), dtype=np.complex128),
        s_to=np.zeros((size, n_branch), dtype=np.complex128),
        loss=np.empty(size),
        source_s=np.zeros((size, len(network.source_terminal)), dtype=np.complex128),
        status=np.empty(size, dtype=np.int8),
        energised=np.zeros((size, n_bus), dtype=np.bool_),
    )
    output = Output(flows.energised, flows.v, flows.i_series, flows.i_rated, flows.s_fr, flows.s_to, flows.source_s)
    call.run(tolerance, iterations, flows.loss, flows.status, output)
    return flows


def losses(
    network: Network,
    closed: Bools,
    *,
    s_power: Complexes | None = None,
    s_current: Complexes | None = None,
    s_impedance: Complexes | None = None,
    generation: Complexes | None = None,
    tolerance: float = 1e-12,
    iterations: int = 10_000,
) -> tuple[Floats, States]:
    """Loss and status of K flows, and nothing else: arguments, errors and figures as in `solve`.

    Returns:
        (K) active loss in per unit, inf where the flow did not converge, and (K) FlowStatus.
    """
    call = _Call(network, closed, s_power, s_current, s_impedance, generation)
    loss, status = np.empty(call.size), np.empty(call.size, dtype=np.int8)
    nothing = np.empty((0, 0), dtype=np.complex128)
    output = Output(np.empty((0, 0), dtype=np.bool_), nothing, nothing, np.empty((0, 0)), nothing, nothing, nothing)
    call.run(tolerance, iterations, loss, status, output)
    return loss, status


def kernel_input(network: Network) -> tuple[Wires, Loads]:
    """The grid and its own loads, less what its generators inject, as compiled functions take them.

    Raises:
        OptionError: the network has several phases.
    """
    call = _Call(network, network.closed, None, None, None, None)
    return call.wires, call.loads


class _Call:
    """Arguments of one call in the shapes of the kernel: two-dimensional, one row or K."""

    def __init__(
        self,
        network: Network,
        closed: Bools,
        s_power: Complexes | None,
        s_current: Complexes | None,
        s_impedance: Complexes | None,
        generation: Complexes | None,
    ) -> None:
        wires = wires_of(network)
        n_bus, n_generators = network.n_terminals, len(network.generator_terminal)
        state = np.atleast_2d(np.asarray(closed))
        if state.dtype != np.bool_ or state.ndim != 2 or state.shape[1] != network.n_conductors:
            raise OptionError(
                f"closed is an array of bool with one column a branch ({network.n_conductors}), "
                f"not {state.dtype} of shape {np.shape(closed)}"
            )
        power = _rows("s_power", s_power, network.s_power, n_bus)
        current = _rows("s_current", s_current, network.s_current, n_bus)
        impedance = _rows("s_impedance", s_impedance, network.s_impedance, n_bus)
        injection = _rows("generation", generation, network.generator_s, n_generators)
        if injection.any():
            net = np.repeat(power, len(injection), axis=0) if len(power) < len(injection) else power.copy()
            for g, bus in enumerate(network.generator_terminal):
                net[:, bus] -= injection[:, g]
            power = net
        sizes = {"closed": len(state), "s_power": len(power), "s_current": len(current), "s_impedance": len(impedance)}
        sizes["generation"] = len(injection)
        self.size = max(sizes.values()) if min(sizes.values()) else 0
        if odd := {name: rows for name, rows in sizes.items() if rows not in (1, self.size)}:
            raise OptionError(
                f"all arguments have one row or the same number of rows, not {sizes}; see {', '.join(odd)}"
            )
        self.wires = wires
        self.closed = np.require(state, requirements=("C", "W"))  # as in `_rows`
        linear = wires.has_shunt or bool(impedance.any())
        self.loads = Loads(power, current, impedance, linear, bool(current.any()))

    def run(self, tolerance: float, iterations: int, loss: Floats, status: States, output: Output) -> None:
        work = memory_for(len(self.wires.start) - 1)
        kernel.many(self.wires, self.closed, self.loads, float(tolerance), iterations, work, loss, status, output)


def memory_for(n_bus: int) -> Work:
    """The memory of the last flow of this thread if it has the size, else fresh memory."""
    if memory.work is None or len(memory.work.order) != n_bus:
        memory.work = work_for(n_bus)
    return memory.work


def _rows(name: str, given: Complexes | None, default: Complexes, width: int) -> Complexes:
    """An argument as a complex matrix of the given width."""
    if given is None and default.flags.carray and default.dtype == np.complex128:
        return default[None, :]
    array = np.asarray(default if given is None else given, dtype=np.complex128)
    # numba compiles again for read-only arrays and for other layouts, which takes seconds: copy these instead.
    matrix = np.require(np.atleast_2d(array), requirements=("C", "W"))
    if matrix.ndim != 2 or matrix.shape[1] != width:
        raise OptionError(f"{name} has shape {array.shape}; it needs {width} columns")
    return matrix


class _Memory(threading.local):
    """Attributes: work: the memory of the last flow of a thread."""

    work: Work | None = None


memory = _Memory()
_known: dict[int, tuple[weakref.ref[Network], Wires]] = {}


def wires_of(network: Network) -> Wires:
    """The arrays of a network for the kernel; cached as long as the network exists.

    Raises:
        OptionError: the network has several phases.
    """
    key = id(network)
    if key in _known and _known[key][0]() is network:
        return _known[key][1]
    if not network.is_balanced:
        phases = "".join(sorted(set(network.terminal_phase)))
        raise OptionError(
            f"this grid has phases {phases}; balanced studies need a balanced equivalent (one phase, named 1)"
        )
    n_branch, n_bus = network.n_conductors, network.n_terminals
    ends = np.concatenate([network.terminal_fr, network.terminal_to])
    others = np.concatenate([network.terminal_to, network.terminal_fr])
    by_bus = np.argsort(ends, kind="stable")
    y = np.array(network.y_shunt.diagonal(), dtype=np.complex128)
    at_fr, at_to = np.flatnonzero(network.y_open_fr), np.flatnonzero(network.y_open_to)
    wires = Wires(
        start=np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=n_bus))]).astype(np.int32),
        neighbour=others[by_bus].astype(np.int32),
        via=np.tile(np.arange(n_branch, dtype=np.int32), 2)[by_bus],
        fr=network.terminal_fr.astype(np.int32),
        z=np.array(network.z.diagonal(), dtype=np.complex128),
        y=y,
        tap=np.array(network.tap, dtype=np.float64),
        shift=np.array(network.shift, dtype=np.float64),
        rated_fr=np.array(network.rated_fr, dtype=np.float64),
        rated_to=np.array(network.rated_to, dtype=np.float64),
        source=network.source_terminal.astype(np.int32),
        source_v=np.array(network.source_v, dtype=np.complex128),
        hung=np.concatenate([at_fr, at_to]).astype(np.int32),
        hung_at=np.concatenate([network.terminal_fr[at_fr], network.terminal_to[at_to]]).astype(np.int32),
        hung_y=np.concatenate([network.y_open_fr[at_fr], network.y_open_to[at_to]]).astype(np.complex128),
        has_ratio=bool((network.tap != 1.0).any() or network.shift.any()),
        has_shunt=bool(y.any() or network.hangs.any()),
    )
    _known[key] = (weakref.ref(network, lambda _: _known.pop(key, None)), wires)
    return wires


TOLERANCE = 1e-10
"""Largest misfit of Ohm's law at the branch that closes, pu."""
LOOKS = 12
"""Power flows of a branch before Newton's method has its turn; five are usual."""


@dataclass(frozen=True)
class ClosedLoops:
    """K states with one more branch closed: (K, N) voltages, (K, E) rated currents, and (K) whether each was found."""

    v: Complexes
    i: Floats
    found: Bools


def close_loops(network: Network, closed: Bools, branches: Ints) -> ClosedLoops:
    """The states in which each of K open branches alone is closed beside those of a radial state.

    Args:
        network: balanced. closed: (E) a radial state that supplies all buses. branches: (K) with ratio 1.
    """
    fr, to = network.terminal_fr[branches], network.terminal_to[branches]
    z, half = np.asarray(network.z.diagonal())[branches], 0.5 * np.asarray(network.y_shunt.diagonal())[branches]
    k = np.arange(len(branches))
    shunt = np.repeat(network.s_impedance[None, :], len(branches), axis=0)
    np.add.at(shunt, (k, fr), np.conj(half - network.y_open_fr[branches]))
    np.add.at(shunt, (k, to), np.conj(half - network.y_open_to[branches]))
    z_fr, z_to = _impedances_to_meeting(network, closed, branches)
    loop = z_fr + z_to + z
    v = np.repeat(solve(network, closed).v, len(branches), axis=0)
    i = np.zeros((len(branches), network.n_conductors))
    drawn = np.zeros(len(branches), dtype=np.complex128)
    done, todo = np.zeros(len(branches), dtype=np.bool_), np.flatnonzero(loop != 0)
    for _ in range(LOOKS):
        rows, a, b = np.arange(len(todo)), fr[todo], to[todo]
        step = (v[todo, a] - v[todo, b] - z[todo] * drawn[todo]) / loop[todo]
        through = drawn[todo] + step
        # As power at the voltages that are expected, so that the current is that of the step.
        power = np.repeat(network.s_power[None, :], len(todo), axis=0)
        np.add.at(power, (rows, a), (v[todo, a] - z_fr[todo] * step) * np.conj(through))
        np.subtract.at(power, (rows, b), (v[todo, b] + z_to[todo] * step) * np.conj(through))
        flows = solve(network, closed, s_power=power, s_impedance=shunt[todo])
        good = flows.converged
        todo, rows, a, b = todo[good], rows[good], a[good], b[good]
        v[todo], i[todo] = flows.v[good], flows.i_rated[good]
        drawn[todo] = np.conj((power[rows, a] - network.s_power[a]) / v[todo, a])
        fed = np.conj((network.s_power[b] - power[rows, b]) / v[todo, b])
        misfit = np.abs(v[todo, a] - v[todo, b] - z[todo] * drawn[todo]) + np.abs(fed - drawn[todo])
        ends = np.abs(drawn[todo] + half[todo] * v[todo, a]), np.abs(drawn[todo] - half[todo] * v[todo, b])
        which = branches[todo]
        i[todo, which] = np.maximum(network.rated_fr[which] * ends[0], network.rated_to[which] * ends[1])
        done[todo] = misfit <= TOLERANCE
        todo = todo[misfit > TOLERANCE]
        if not len(todo):
            break
    return ClosedLoops(v, i, done)


def _impedances_to_meeting(network: Network, closed: Bools, branches: Ints) -> tuple[Complexes, Complexes]:
    """(K) impedances from either end of each branch to where their paths meet, ratios left aside; sources are one."""
    from scipy.sparse import csgraph  # a tenth of a second that grids without such branches spare

    n, now = network.n_terminals, np.flatnonzero(closed)
    (fr, to), z = network.merged_ends, np.asarray(network.z.diagonal())
    graph = sp.csr_array((np.ones(len(now)), (fr[now], to[now])), shape=(n, n))
    order, before = csgraph.breadth_first_order(graph, int(network.source_terminal[0]), directed=False)
    above = np.maximum(before, 0)
    by_pair = {(int(a), int(b)): int(e) for e, a, b in zip(now, fr[now], to[now])}
    edge = [by_pair.get((p, q), by_pair.get((q, p), -1)) for q, p in enumerate(above.tolist())]
    depth, sums = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.complex128)
    for at in order[1:].tolist():
        depth[at], sums[at] = depth[above[at]] + 1, sums[above[at]] + z[edge[at]]
    at_fr, at_to = np.empty(len(branches), dtype=np.complex128), np.empty(len(branches), dtype=np.complex128)
    for j, e in enumerate(branches.tolist()):
        a, b = int(fr[e]), int(to[e])
        at_fr[j], at_to[j] = sums[a], sums[b]
        while a != b:
            a, b = (int(above[a]), b) if depth[a] >= depth[b] else (a, int(above[b]))
        at_fr[j], at_to[j] = at_fr[j] - sums[a], at_to[j] - sums[a]
    return at_fr, at_to
