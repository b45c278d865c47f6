"""Tables of AC states under the grid's own names and units."""

from __future__ import annotations

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.powerflow.state import RadialState
from openpoint.results.violation import Violation


def bus_names(network: Network) -> dict[str, object]:
    """Name, phase and nominal voltage of every terminal."""
    names = [network.bus_names[bus] for bus in network.terminal_bus]
    return {"name": names, "phase": list(network.terminal_phase), "vn_kv": network.v_base_kv}


def bus_columns(network: Network, state: RadialState | None, suffix: str) -> dict[str, Floats]:
    """Voltage and angle of every bus; nan where there is no state."""
    v = np.full(network.n_terminals, np.nan + 0j) if state is None else state.v
    return {f"v{suffix}_pu": np.abs(v), f"angle{suffix}_degree": np.degrees(np.angle(v))}


def branch_columns(network: Network, state: RadialState | None, suffix: str) -> dict[str, Floats]:
    """State, current, loading, power and loss of every branch; nan where there is no state."""
    blank = np.full(network.n_conductors, np.nan)
    s = network.s_base_kva
    i = blank if state is None else np.abs(state.i)
    s_fr = blank + 0j if state is None else state.s_fr
    loss = blank if state is None else (state.s_fr + state.s_to).real
    rated = np.isfinite(network.l_max)
    loading = np.where(rated, 100.0 * i / np.sqrt(np.where(rated, network.l_max, 1.0)), np.nan)
    return {
        f"i{suffix}_a": i * network.i_base_a,
        f"loading{suffix}_percent": loading,
        f"p_from{suffix}_kw": s_fr.real * s,
        f"q_from{suffix}_kvar": s_fr.imag * s,
        f"loss{suffix}_kw": loss * s,
    }


def bus_limits(network: Network) -> dict[str, Floats]:
    """Limits in force, nan where there is none."""
    low = np.where(network.w_min > 0, np.sqrt(network.w_min), np.nan)
    return {"v_min_pu": low, "v_max_pu": np.where(np.isfinite(network.w_max), np.sqrt(network.w_max), np.nan)}


def current_limits(network: Network) -> Floats:
    """Ratings in force in A, nan where there is none."""
    return np.where(np.isfinite(network.l_max), np.sqrt(network.l_max) * network.i_base_a, np.nan)


def frame(columns: dict[str, object]) -> pl.DataFrame:
    """A table with nan read as missing."""
    return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))


def lowest(network: Network, state: RadialState | None) -> tuple[float | None, str | None]:
    """Lowest voltage in pu and its bus, sources excepted where there is another bus."""
    if state is None:
        return None, None
    v = np.abs(state.v)
    number = int(np.argmin(v))
    return float(v[number]), network.bus_names[network.terminal_bus[number]]


def violations(network: Network, state: RadialState | None) -> tuple[Violation, ...]:
    """Limits that a state breaks, the worst of each kind first."""
    if state is None:
        return ()
    v, i = np.abs(state.v), np.abs(state.i)
    found: list[Violation] = []
    for kind, numbers, limit in (
        ("voltage low", state.check.v_low, np.sqrt(network.w_min)),
        ("voltage high", state.check.v_high, np.sqrt(network.w_max)),
    ):
        worst = numbers[np.argsort(-np.abs(v[numbers] - limit[numbers]), kind="stable")]
        names = [network.bus_names[network.terminal_bus[n]] for n in worst]
        found += [Violation(kind, name, float(v[n]), float(limit[n])) for name, n in zip(names, worst)]
    over = state.check.overloaded
    rating = np.sqrt(network.l_max)
    for e in over[np.argsort(-i[over] / rating[over], kind="stable")]:
        base = float(network.i_base_a[e])
        name = network.branch_names[network.conductor_branch[e]]
        found.append(Violation("current", name, float(i[e]) * base, float(rating[e]) * base))
    return tuple(found)


def open_names(network: Network, closed: Bools) -> tuple[str, ...]:
    """Names of the open branches, in the order of the grid."""
    return tuple(network.branch_names[network.conductor_branch[e]] for e in np.flatnonzero(~closed))


def generators(grid: Grid, network: Network, state: RadialState | None) -> pl.DataFrame:
    """Output of every generator: what is dispatched, else what is given."""
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
