"""Tables of AC states under the grid's own names and units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.limits import LIMIT_TOLERANCE, loading_limits, loadings
from openpoint.network.stations import Stations
from openpoint.powerflow.state import AcState
from openpoint.results.violation import Violation

if TYPE_CHECKING:
    from openpoint.powerflow.opendss import PhaseState


def bus_names(network: Network) -> dict[str, object]:
    """Name, phase and nominal voltage of every terminal."""
    names = [network.bus_names[bus] for bus in network.terminal_bus]
    return {"name": names, "phase": list(network.terminal_phase), "vn_kv": network.v_base_kv}


@dataclass(frozen=True)
class OperatingPoint:
    """An exact AC state of N terminals and E conductors in the units of the grid.

    Attributes:
        v: (N) voltage to neutral, per unit of the nominal one.
        i_a, loading_percent, p_from_kw, q_from_kvar, losses_kw: (E) current, share of the rating, power into each
            conductor at its from end, and loss, the sum of the power into both ends.
        loss_kw: of all conductors.
        max_mismatch: largest power mismatch at any terminal, per unit.
    """

    v: Complexes
    i_a: Floats
    loading_percent: Floats
    p_from_kw: Floats
    q_from_kvar: Floats
    losses_kw: Floats
    loss_kw: float
    max_mismatch: float


def of_balanced(network: Network, state: AcState) -> OperatingPoint:
    """The operating point of a balanced grid."""
    s, i = network.s_base_kva, state.i
    return OperatingPoint(
        v=state.v,
        i_a=i * network.i_base_a,
        loading_percent=loadings(network, i),
        p_from_kw=state.s_fr.real * s,
        q_from_kvar=state.s_fr.imag * s,
        losses_kw=(state.s_fr + state.s_to).real * s,
        loss_kw=state.loss * s,
        max_mismatch=state.check.max_mismatch,
    )


def of_phases(network: Network, state: PhaseState) -> OperatingPoint:
    """The operating point of a grid of several phases."""
    return OperatingPoint(
        v=state.v,
        i_a=state.i_a,
        loading_percent=loadings(network, state.i_a / network.i_base_a),
        p_from_kw=state.s_fr_kva.real,
        q_from_kvar=state.s_fr_kva.imag,
        losses_kw=(state.s_fr_kva + state.s_to_kva).real,
        loss_kw=state.loss_kw,
        max_mismatch=state.max_mismatch,
    )


Points = Mapping[str, OperatingPoint | None]
"""Operating points by the ending of their columns, None where there is none."""


def bus_table(network: Network, points: Points) -> pl.DataFrame:
    """One row for each bus and phase: limits, and voltage and angle in each of the points."""
    blank = np.full(network.n_terminals, np.nan + 0j)
    columns: dict[str, object] = {**bus_names(network), **bus_limits(network)}
    for suffix, point in points.items():
        v = blank if point is None else point.v
        columns |= {f"v{suffix}_pu": np.abs(v), f"angle{suffix}_degree": np.degrees(np.angle(v))}
    return frame(columns)


def branch_table(grid: Grid, network: Network, closed: Mapping[str, object], points: Points) -> pl.DataFrame:
    """One row for each branch and phase: kind, state, limit, and flow in each of the points.

    Args:
        grid: the grid. network: its network.
        closed: the columns of states, of all conductors. points: operating points.
    """
    blank = np.full(network.n_conductors, np.nan)
    table = grid.branches()[network.conductor_branch]
    columns: dict[str, object] = {
        "kind": table["kind"],
        "name": table["name"],
        "phase": list(network.conductor_phase),
        **{name: table[name] for name in ("from_bus", "to_bus", "switchable")},
        **closed,
        **limits_of_current(network),
    }
    for suffix, point in points.items():
        columns |= {
            f"i{suffix}_a": blank if point is None else point.i_a,
            f"loading{suffix}_percent": blank if point is None else point.loading_percent,
            f"p_from{suffix}_kw": blank if point is None else point.p_from_kw,
            f"q_from{suffix}_kvar": blank if point is None else point.q_from_kvar,
            f"loss{suffix}_kw": blank if point is None else point.losses_kw,
        }
    return frame(columns)


def bus_limits(network: Network) -> dict[str, Floats]:
    """Limits in force, nan where there is none."""
    low = np.where(network.w_min > 0, np.sqrt(network.w_min), np.nan)
    return {"v_min_pu": low, "v_max_pu": np.where(np.isfinite(network.w_max), np.sqrt(network.w_max), np.nan)}


def limits_left_out(grid: Grid, network: Network, point: OperatingPoint | None) -> tuple[str, ...]:
    """Notes on limits that the grid has and that are not in force, with what an answer exceeds them by.

    Args:
        grid: with its own limits. network: with those in force. point: of the answer, if there is one.
    """
    notes = list[str]()
    if np.isinf(network.l_max).all() and np.isfinite(network.rating).any():
        over = np.full(network.n_conductors, np.nan) if point is None else point.loading_percent - 100.0
        notes.append(_left_out("ratings", over, network.conductor_branch, network.branch_names, "% of the rating"))
    low, high = (
        grid.buses[name].cast(pl.Float64).fill_null(np.nan).to_numpy()[network.terminal_bus]
        for name in ("v_min_pu", "v_max_pu")
    )
    if (network.w_min <= 0.0).all() and np.isinf(network.w_max).all() and np.isfinite(np.fmax(low, high)).any():
        v = np.full(network.n_terminals, np.nan) if point is None else np.abs(point.v)
        off = np.fmax(low - v, v - high)
        off[network.source_terminal] = np.nan
        notes.append(_left_out("voltage limits", off, network.terminal_bus, network.bus_names, "pu"))
    return tuple(notes)


def _left_out(what: str, excess: Floats, of: Ints, names: Sequence[str], unit: str) -> str:
    """The note on limits of a kind, with their excess at branches or buses `of`; nan where there is no limit."""
    beyond = excess > LIMIT_TOLERANCE
    count, note = len(np.unique(of[beyond])), f"{what} of the grid were not asked for as limits"
    if not count:
        return note
    worst = int(np.nanargmax(excess))
    return f"{note}; exceeded: {count:,}, most that of {names[of[worst]]}, by {excess[worst]:.4g} {unit}"


def current_limits(network: Network) -> Floats:
    """Limits in force in A, nan where there is none."""
    return np.where(np.isfinite(network.l_max), np.sqrt(network.l_max) * network.i_base_a, np.nan)


def limits_of_current(network: Network) -> dict[str, Floats]:
    """Limits in force, in A and in percent of the ratings, nan where there is none."""
    return {"i_max_a": current_limits(network), "loading_limit_percent": loading_limits(network)}


def frame(columns: dict[str, object]) -> pl.DataFrame:
    """A table with nan read as missing."""
    return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))


def lowest(network: Network, point: OperatingPoint | None) -> tuple[float | None, str | None, str | None]:
    """Lowest voltage to neutral in pu, its bus and phase."""
    if point is None:
        return None, None, None
    v = np.abs(point.v)
    n = int(np.argmin(v))
    return float(v[n]), network.bus_names[network.terminal_bus[n]], network.terminal_phase[n]


def violations(network: Network, state: AcState | None) -> tuple[Violation, ...]:
    """Limits that a state breaks, the worst of each kind first."""
    if state is None:
        return ()
    v, i_a = np.abs(state.v), state.i * network.i_base_a
    return broken_limits(network, v, i_a, state.check.v_low, state.check.v_high, state.check.overloaded)


def broken_limits(network: Network, v: Floats, i_a: Floats, low: Ints, high: Ints, over: Ints) -> tuple[Violation, ...]:
    """The limits broken by voltages at terminals `low` and `high` and by currents of the conductors `over`.

    The worst of each kind comes first.
    """
    found: list[Violation] = []
    for kind, numbers, limit in (("voltage low", low, network.w_min), ("voltage high", high, network.w_max)):
        allowed = np.sqrt(limit)
        for n in numbers[np.argsort(-np.abs(v[numbers] - allowed[numbers]), kind="stable")]:
            bus, phase = network.bus_names[network.terminal_bus[n]], network.terminal_phase[n]
            found.append(Violation(kind, bus, float(v[n]), float(allowed[n]), phase))
    rating = current_limits(network)
    for e in over[np.argsort(-i_a[over] / rating[over], kind="stable")]:
        branch, phase = network.branch_names[network.conductor_branch[e]], network.conductor_phase[e]
        found.append(Violation("current", branch, float(i_a[e]), float(rating[e]), phase))
    return tuple(found)


def open_names(network: Network, closed: Bools) -> tuple[str, ...]:
    """Names of the open branches, in the order of the grid."""
    return tuple(network.branch_names[network.conductor_branch[e]] for e in np.flatnonzero(~closed))


def of_couplers(
    stations: Stations, what: str = "in permanently closed loops are checked after the search only"
) -> tuple[str, ...]:
    """Notes of branches in permanently closed loops whose limits of current the opened network does not have, or wider
    ones.

    `what`: what is done with those of couplers.
    """

    def shown(some: Bools) -> str:
        names = open_names(stations.whole, ~some)
        return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")

    notes: tuple[str, ...] = ()
    if stations.unlimited.any():
        notes += (f"limits of current of couplers {what}: {shown(stations.unlimited)}",)
    if stations.wider.any():
        reason = "share their magnetising currents otherwise than their load"
        notes += (
            f"limits of branches in parallel that {reason} are exact after the search only: {shown(stations.wider)}",
        )
    return notes


def generators(grid: Grid, network: Network, state: AcState | None) -> pl.DataFrame:
    """Output of every generator: the dispatched one, else the given one."""
    output = {row["name"]: (row["p_kw"], row["q_kvar"]) for row in grid.generators.iter_rows(named=True)}
    if state is not None:
        for name, s in zip(network.generator_names, state.generation * network.s_base_kva):
            output[name] = (float(s.real), float(s.imag))
    return pl.DataFrame(
        {
            "name": list(output),
            "bus": grid.generators["bus"].to_list(),
            "p_kw": [p for p, _ in output.values()],
            "q_kvar": [q for _, q in output.values()],
        },
        schema={"name": pl.String, "bus": pl.String, "p_kw": pl.Float64, "q_kvar": pl.Float64},
    )


def phase_violations(network: Network, state: PhaseState) -> tuple[Violation, ...]:
    """Limits that a state breaks in any phase, the worst of each kind first."""
    v = np.abs(state.v)
    low = np.flatnonzero(v < np.sqrt(network.w_min) * (1.0 - LIMIT_TOLERANCE))
    high = np.flatnonzero(v > np.sqrt(network.w_max) * (1.0 + LIMIT_TOLERANCE))
    over = np.flatnonzero(state.i_a > current_limits(network) * (1.0 + LIMIT_TOLERANCE))
    return broken_limits(network, v, state.i_a, low, high, over)
