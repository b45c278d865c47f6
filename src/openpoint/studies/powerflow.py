"""Power flow: the exact AC state of a grid as it stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.grid import Grid
from openpoint.network import build_network
from openpoint.powerflow.balanced import FlowStatus, solve
from openpoint.studies import states
from openpoint.studies.limits import Limits
from openpoint.studies.radial import ac_state
from openpoint.studies.result import Violation


@dataclass(frozen=True)
class PowerflowResult:
    """What `powerflow` answers.

    Attributes:
        grid: the grid asked about.
        loss_kw: active power lost in all branches.
        v_min_pu, v_min_bus, v_max_pu, v_max_bus: extreme voltages and their buses.
        ac_max_mismatch_pu: largest power mismatch at any bus, per unit.
        violations: limits that the state breaks.
        buses: name, vn_kv, v_min_pu, v_max_pu, v_pu, angle_degree.
        branches: kind, name, from_bus, to_bus, switchable, closed, i_max_a, i_a, loading_percent, p_from_kw,
            q_from_kvar, loss_kw.
        sources: name, bus, p_kw, q_kvar delivered.
    """

    grid: Grid
    loss_kw: float
    v_min_pu: float
    v_min_bus: str
    v_max_pu: float
    v_max_bus: str
    ac_max_mismatch_pu: float
    violations: tuple[Violation, ...]
    buses: pl.DataFrame
    branches: pl.DataFrame
    sources: pl.DataFrame


def powerflow(grid: Grid) -> PowerflowResult:
    """Exact AC power flow of the grid in today's state, which must be radial.

    Raises:
        InputError: the grid has faults, is not radial today, leaves buses without supply, or has no solution.
        OptionError: the grid has several phases.
    """
    network = build_network(grid)
    if not network.is_balanced:
        raise OptionError("powerflow works on balanced grids (phases '1'); this grid has phases a, b, c")
    network = Limits().applied(network)
    flows = solve(network, network.closed)
    status = FlowStatus(flows.status[0])
    if status is FlowStatus.NOT_RADIAL:
        remedy = "Open a branch of each loop, or let `openpoint reconfigure` choose them"
        raise InputError([Problem("branches", "", "closed", "today's state has a loop or joins two sources", remedy)])
    if dark := [network.bus_names[network.terminal_bus[n]] for n in np.flatnonzero(~flows.energised[0])]:
        some = ", ".join(dark[:10])
        remedy = "Close a branch to them, or let `openpoint reconfigure` choose it"
        raise InputError([Problem("buses", some, "", "no source reaches them in today's state", remedy)])
    state = ac_state(network, network.closed)
    if state is None:
        remedy = "The grid cannot carry its load (voltage collapse): check loads and impedances, and their units"
        raise InputError([Problem("buses", "", "", "the power flow has no solution", remedy)])
    v = np.abs(state.v)
    table = grid.branches()
    columns = {name: table[name] for name in ("kind", "name", "from_bus", "to_bus", "switchable", "closed")}
    names = [network.bus_names[b] for b in network.terminal_bus]
    low, high = int(np.argmin(v)), int(np.argmax(v))
    delivered = flows.source_s[0] * network.s_base_kva
    return PowerflowResult(
        grid=grid,
        loss_kw=state.loss * network.s_base_kva,
        v_min_pu=float(v[low]),
        v_min_bus=names[low],
        v_max_pu=float(v[high]),
        v_max_bus=names[high],
        ac_max_mismatch_pu=state.check.max_mismatch,
        violations=states.violations(network, state),
        buses=states.frame(
            {
                "name": names,
                "vn_kv": network.v_base_kv,
                **states.bus_limits(network),
                **states.bus_columns(network, state, ""),
            }
        ),
        branches=states.frame(
            {**columns, "i_max_a": states.current_limits(network), **states.branch_columns(network, state, "")}
        ),
        sources=pl.DataFrame(
            {
                "name": grid.sources["name"],
                "bus": grid.sources["bus"],
                "p_kw": np.asarray(delivered.real),
                "q_kvar": np.asarray(delivered.imag),
            }
        ),
    )
