"""Power flow: the exact AC state of a grid as it stands, of one phase or of several."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.errors import InputError, Problem
from openpoint.grid.grid import Grid
from openpoint.grid.rules.wiring import meshes
from openpoint.grid.today import loops_today
from openpoint.grid.unfed import without_idle
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.powerflow.balanced import FlowStatus, solve
from openpoint.powerflow.holding import hold_voltages, shared, with_reactive
from openpoint.powerflow.opendss import phase_state
from openpoint.powerflow.state import AcState, ac_state
from openpoint.results import ac_tables as states
from openpoint.results.ac_tables import phase_violations
from openpoint.results.columns import filled
from openpoint.results.violation import Violation
from openpoint.studies.powerflow.options import PowerflowOptions
from openpoint.studies.powerflow.result import BRANCHES, PowerflowResult
from openpoint.studies.study import Prepared, Ready, function

SAME_PU = 1e-6
"""Difference of voltages up to which two states are one."""


def prepare(grid: Grid, options: PowerflowOptions) -> Prepared[PowerflowResult]:
    """Exact AC power flow of the grid in today's state.

    Balanced grids are solved by the radial sweep, those with loops or joined sources by Newton's method
    (`powerflow.meshed`), and checked by the admittances of the grid. Generators with `v_pu` hold the voltage of their
    bus while their reactive power stays within its limits (`powerflow.holding`). Grids of several phases are solved by
    OpenDSS, loops included, and checked by the equations of the network; taps, capacitor steps and switches stay as
    they are.

    Raises:
        InputError: the grid has faults, leaves buses without supply, or has no solution, also none that holds the
            voltages of generators; a grid of several phases has something that OpenDSS does not have.
    """
    network = Limits().applied(build_network(grid, for_powerflow=True))
    return Ready(lambda: _balanced(grid, network) if network.is_balanced else _phases(grid))


run_powerflow = function("run_powerflow", PowerflowOptions, prepare)


def _balanced(grid: Grid, network: Network) -> PowerflowResult:
    flows = solve(network, network.closed)
    is_meshed = flows.status[0] == FlowStatus.NOT_RADIAL
    _refuse_dark(network, flows.energised[0], "Close a branch to them, or let `openpoint reconfigure` choose it")
    held = _held(grid, network)
    network = held.network
    state = ac_state(network, network.closed, start=held.v)
    if state is None:
        raise _no_solution(joined=is_meshed and any(mesh.sources for mesh in meshes(grid)))
    if held.v is not None and np.abs(state.v - held.v).max() > SAME_PU:
        raise _not_held(grid)  # at this reactive power the grid runs in another state
    return _result(
        grid,
        network,
        states.of_balanced(network, state),
        generators=held.generators,
        delivered_kva=state.source_s * network.s_base_kva,
        violations=states.violations(network, state),
        ends_a=_ends_a(network, state),
        notes=_of_loops(grid),
    )


def _ends_a(network: Network, state: AcState) -> tuple[Floats, Floats]:
    """(E), (E) currents in A at the from and at the to end of each branch, shunts included; 0 at a dead end."""
    kv = math.sqrt(3.0) * np.abs(state.v) * network.v_base_kv
    both = ((state.s_fr, kv[network.terminal_fr]), (state.s_to, kv[network.terminal_to]))
    fr, to = (np.divide(np.abs(s) * network.s_base_kva, v, out=np.zeros(len(v)), where=v > 0.0) for s, v in both)
    return fr, to


@dataclass(frozen=True)
class _Held:
    """A network whose generators hold their voltages, the table of generators, and all voltages, where any do."""

    network: Network
    generators: pl.DataFrame
    v: Complexes | None = None


def _given(grid: Grid) -> pl.DataFrame:
    """Generators at the output that is given, which hold no voltage."""
    return grid.generators.select("name", "bus", "p_kw", "q_kvar", "v_pu", pl.lit(None, pl.Boolean).alias("holds"))


def _held(grid: Grid, network: Network) -> _Held:
    """The reactive power of generators that hold a voltage; those of a bus share it by their ranges.

    Raises:
        InputError: there is none at which the voltages are held.
    """
    rows = grid.generators.with_row_index("row").filter(pl.col("v_pu").is_not_null())
    if rows.is_empty():
        return _Held(network, _given(grid))
    s = network.s_base_kva
    low, high = rows["q_min_kvar"].fill_null(-math.inf).to_numpy(), rows["q_max_kvar"].fill_null(math.inf).to_numpy()
    buses, at = np.unique([network.bus_names.index(bus) for bus in rows["bus"]], return_inverse=True)
    today, least, most = (
        np.bincount(at, weights=part, minlength=len(buses)) / s for part in (rows["q_kvar"].to_numpy(), low, high)
    )
    v = np.zeros(len(buses))
    v[at] = rows["v_pu"].to_numpy()
    # Today's reactive power is in the loads of the network already.
    found = hold_voltages(network, network.closed, buses, v, least - today, most - today)
    if found is None:
        raise _not_held(grid)
    shares = np.zeros(rows.height)
    for bus, q in enumerate((found.q + today) * s):
        shares[at == bus] = shared(q, low[at == bus], high[at == bus])
    table = _given(grid)
    table[rows["row"].to_list(), "q_kvar"] = pl.Series(shares)
    table[rows["row"].to_list(), "holds"] = pl.Series(found.holds[at])
    return _Held(with_reactive(network, buses, found.q), table, found.v)


def _not_held(grid: Grid) -> InputError:
    remedy = "Check v_pu against the voltage of the source and the loads, or leave it empty"
    names = ", ".join(grid.generators.filter(pl.col("v_pu").is_not_null())["name"].to_list()[:10])
    message = "no power flow was found in which they hold their voltage, or are at a limit of reactive power"
    return InputError([Problem("generators", names, "v_pu", message, remedy)])


def _phases(grid: Grid) -> PowerflowResult:
    grid = without_idle(grid)
    network = Limits().applied(build_network(grid, for_powerflow=True))
    state = phase_state(grid, network)
    _refuse_dark(network, state.energised, "Close a branch that has these phases to them, or take them out")
    if not state.has_solution:
        raise _no_solution()
    return _result(
        grid,
        network,
        states.of_phases(network, state),
        generators=_given(grid),
        delivered_kva=state.source_kva,
        violations=phase_violations(network, state),
    )


def _refuse_dark(network: Network, energised: Bools, remedy: str) -> None:
    """Buses that no source reaches, with the phases where it is not all of them."""
    dark: dict[str, list[str]] = {}
    for n in np.flatnonzero(~energised):
        dark.setdefault(network.bus_names[network.terminal_bus[n]], []).append(network.terminal_phase[n])
    if not dark:
        return
    alive = {network.bus_names[network.terminal_bus[n]] for n in np.flatnonzero(energised)}
    places = [f"{bus} (phase {', '.join(phases)})" if bus in alive else bus for bus, phases in dark.items()]
    raise InputError([Problem("buses", ", ".join(places[:10]), "", "no source reaches them in today's state", remedy)])


def _no_solution(*, joined: bool = False) -> InputError:
    remedy = "The grid cannot carry its load (voltage collapse): check loads and impedances, and their units"
    if joined:
        remedy += "; or branches without impedance join sources, and nothing says what each delivers"
    return InputError([Problem("buses", "", "", "the power flow has no solution", remedy)])


def _result(
    grid: Grid,
    network: Network,
    point: states.OperatingPoint,
    *,
    generators: pl.DataFrame,
    delivered_kva: Complexes,
    violations: tuple[Violation, ...],
    ends_a: tuple[Floats | None, Floats | None] = (None, None),
    notes: tuple[str, ...] = (),
) -> PowerflowResult:
    """The tables, a row a terminal and a row a conductor."""
    v = np.abs(point.v)
    low, high = int(np.argmin(v)), int(np.argmax(v))
    closed = {"closed": grid.branches()["closed"][network.conductor_branch]}
    ends = {f"i_{end}_a": pl.Series(i, dtype=pl.Float64) for end, i in zip(("from", "to"), ends_a) if i is not None}
    branches = states.branch_table(grid, network, closed, {"": point}).with_columns(**ends)
    return PowerflowResult(
        grid=grid,
        loss_kw=point.loss_kw,
        v_min_pu=float(v[low]),
        v_min_bus=network.bus_names[network.terminal_bus[low]],
        v_min_phase=network.terminal_phase[low],
        v_max_pu=float(v[high]),
        v_max_bus=network.bus_names[network.terminal_bus[high]],
        v_max_phase=network.terminal_phase[high],
        ac_max_mismatch_pu=point.max_mismatch,
        violations=violations,
        buses=states.bus_table(network, {"": point}),
        branches=filled(BRANCHES, branches.to_dict()),
        sources=pl.DataFrame(
            {
                "name": grid.sources["name"],
                "bus": grid.sources["bus"],
                "p_kw": np.asarray(delivered_kva.real),
                "q_kvar": np.asarray(delivered_kva.imag),
            }
        ),
        generators=generators,
        notes=(*grid.figure_notes, *notes),
    )


def _of_loops(grid: Grid) -> tuple[str, ...]:
    """That today's state is not radial, with its loops."""
    loops = loops_today(grid)
    return (f"today's state is not radial: {loops}",) if loops else ()
