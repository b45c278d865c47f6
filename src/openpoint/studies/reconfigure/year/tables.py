"""The tables of a result for a year."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.limits import greatest_square, least_square, loadings
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.meshed import flows_at, less_generation
from openpoint.powerflow.series import SeriesFlows
from openpoint.results import ac_tables as states
from openpoint.results.columns import empty, filled, frame
from openpoint.scenarios.year.read import Year
from openpoint.studies.reconfigure.year.schema import YEAR
from openpoint.studies.reconfigure.year.search import YearTask

_TABLES = YEAR.tables
PIECE = 1024
"""Steps whose currents of all branches are in memory at once."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A topology and its power flows in all steps."""

    closed: Bools
    flows: SeriesFlows

    @property
    def broken(self) -> Bools:
        """(T) steps in which limits are broken, or that have no flow."""
        return np.asarray(self.flows.excess > 0.0)

    def energy_mwh(self, network: Network, hours: Floats) -> float | None:
        """Energy lost; None where a step has no flow."""
        lost = float(self.flows.loss @ hours) * network.s_base_kva / 1000.0
        return lost if np.isfinite(lost) else None


def closed_again(task: YearTask, shown: Shown) -> Shown:
    """A topology in the grid itself, with its permanently closed loops closed.

    The voltages are those of the opened network (`openpoint.network.stations`), and so is all that is not of branches
    in loops, whose currents and losses are worked out in every step.
    """
    stations, flows = task.stations, shown.flows
    if not stations.dropped.any():
        return shown
    closed = shown.closed | stations.dropped
    some = stations.joined | stations.couplers
    excess, energy = flows.excess.copy(), np.where(some, 0.0, flows.energy)
    i_of, i_at = np.where(some, 0.0, flows.i_of), np.where(some, -1, flows.i_at)
    most = np.where(stations.wider | stations.unlimited, stations.whole.l_max, np.inf)
    for begin in range(0, len(task.hours), PIECE):
        part = slice(begin, min(begin + PIECE, len(task.hours)))
        demand = task.demand.rows(part)
        power = less_generation(stations.whole, demand, stations.whole.generator_s[None])
        exact = flows_at(stations.whole, closed, solve(stations.opened, shown.closed, s_power=demand).v, power)
        i, loss = exact.i_rated[:, some], (exact.s_fr + exact.s_to).real[:, some]
        solved = np.isfinite(loss).all(axis=1)
        i[~solved] = -np.inf
        step = i.argmax(axis=0)
        more = i[step, np.arange(i.shape[1])] > i_of[some]
        i_at[some] = np.where(more, begin + step, i_at[some])
        i_of[some] = np.maximum(i_of[some], i.max(axis=0))
        energy[some] += task.hours[part][solved] @ loss[solved]
        over = exact.i_rated**2 / most - 1.0
        excess[part] += np.where(solved, np.where(exact.i_rated**2 > greatest_square(most), over, 0.0).sum(axis=1), 0.0)
    return Shown(closed, replace(flows, excess=excess, i_of=i_of, i_at=i_at, energy=energy))


Two = dict[str, Shown | None]
"""Today's topology, `before`, and the answer, `after`; None where there is none, or no flow in any step."""


def steps(year: Year, network: Network, both: Two) -> pl.DataFrame:
    """A row a step."""
    columns: dict[str, object] = {"step": list(year.names), "hours": year.hours, "demand_kw": year.total_kw()}
    for key, shown in both.items():
        if shown is not None:
            loss = shown.flows.loss * network.s_base_kva
            columns[f"loss_{key}_kw"] = np.where(np.isfinite(loss), loss, np.nan)
            columns |= {f"v_min_{key}_pu": shown.flows.v_low, f"v_max_{key}_pu": shown.flows.v_high}
            columns[f"broken_{key}"] = shown.broken
    return filled(_TABLES["steps"], columns)


def buses(year: Year, network: Network, both: Two) -> pl.DataFrame:
    """Lowest and highest voltage of every bus in any step."""
    columns: dict[str, object] = {
        "name": list(network.bus_names),
        "vn_kv": network.v_base_kv,
        **states.bus_limits(network),
    }
    held = dict(zip(network.source_terminal.tolist(), np.abs(network.source_v).tolist()))
    at_sources = np.array([held.get(n, np.nan) for n in range(network.n_terminals)])
    for key, shown in both.items():
        if shown is not None:
            flows = shown.flows
            columns[f"v_lowest_{key}_pu"] = np.where(np.isfinite(at_sources), at_sources, flows.v_low_of)
            columns[f"v_highest_{key}_pu"] = np.where(np.isfinite(at_sources), at_sources, flows.v_high_of)
            columns[f"v_lowest_{key}_step"] = _names(year, flows.v_low_at)
            columns[f"v_highest_{key}_step"] = _names(year, flows.v_high_at)
    return filled(_TABLES["buses"], columns)


def branches(grid: Grid, year: Year, network: Network, both: Two, today: Bools) -> pl.DataFrame:
    """State of every branch, its highest current in any step, and the energy lost in it."""
    table = grid.branches()
    columns: dict[str, object] = {
        **{name: table[name] for name in ("kind", "name", "from_bus", "to_bus", "switchable")},
        "closed_before": today,
        **states.limits_of_current(network),
    }
    for key, shown in both.items():
        if shown is not None:
            columns[f"closed_{key}"] = shown.closed
            columns[f"i_highest_{key}_a"] = shown.flows.i_of * network.i_base_a
            columns[f"i_highest_{key}_step"] = _names(year, shown.flows.i_at)
            columns[f"loading_highest_{key}_percent"] = loadings(network, shown.flows.i_of)
            columns[f"energy_lost_{key}_kwh"] = shown.flows.energy * network.s_base_kva
    return filled(_TABLES["branches"], columns)


def violations(year: Year, network: Network, shown: Shown | None) -> pl.DataFrame:
    """Limits that are broken, each in the step in which it is broken most."""
    if shown is None:
        return empty(_TABLES["violations"])
    flows = shown.flows
    low = np.flatnonzero(flows.v_low_of**2 < least_square(network.w_min))
    high = np.flatnonzero(flows.v_high_of**2 > greatest_square(network.w_max))
    over = np.flatnonzero(flows.i_of**2 > greatest_square(network.l_max))
    none = np.empty(0, dtype=np.int64)
    i_a = flows.i_of * network.i_base_a
    rows = []
    for kind, v, at, numbers in (
        ("voltage low", flows.v_low_of, flows.v_low_at, (low, none, none)),
        ("voltage high", flows.v_high_of, flows.v_high_at, (none, high, none)),
        ("current", flows.v_low_of, flows.i_at, (none, none, over)),
    ):
        place = network.branch_names if kind == "current" else network.bus_names
        step = {place[int(n)]: year.names[int(at[n])] for n in np.concatenate(numbers)}
        rows += [{**each.row, "step": step[each.name]} for each in states.broken_limits(network, v, i_a, *numbers)]
    return frame(_TABLES["violations"], rows)


def _names(year: Year, at: Ints) -> list[str | None]:
    return [year.names[n] if n >= 0 else None for n in at.tolist()]
