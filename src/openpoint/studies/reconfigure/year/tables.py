"""The tables of a result for a year, of two topologies with their power flows in all steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.grid.today import why_no_loss
from openpoint.network import Network
from openpoint.network.limits import greatest_square, least_square, loadings
from openpoint.powerflow.series import SeriesFlows
from openpoint.report.terminal import words
from openpoint.results import ac_tables as states
from openpoint.results.columns import filled, finite, frame
from openpoint.results.common import iterations_table
from openpoint.results.violation import Violation
from openpoint.scenarios.year.read import Year
from openpoint.search.methods import TopologySearch
from openpoint.studies.reconfigure.result import ITERATIONS, SoftLimits
from openpoint.studies.reconfigure.soft import SOFTLY, not_kept
from openpoint.studies.reconfigure.year.result import BRANCHES, BROKEN, BUSES, STEPS, YearResult
from openpoint.twostage.log import Outcome, Termination


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


Two = dict[str, Shown | None]
"""Today's topology, `before`, and the answer, `after`; None where there is none, or no flow in any step."""


def heading_of(year: Year, method: TopologySearch) -> str:
    """The steps of a year, and the method."""
    steps = words.count(len(year), "step")
    return f"year: {steps}, {year.hours.sum():,.0f} h\nmethod: {words.method(method)}"


def steps(year: Year, network: Network, both: Two) -> pl.DataFrame:
    """A row a step."""
    columns: dict[str, object] = {"step": list(year.names), "hours": year.hours, "demand_kw": year.total_kw()}
    for key, shown in both.items():
        if shown is not None:
            loss = shown.flows.loss * network.s_base_kva
            columns[f"loss_{key}_kw"] = np.where(np.isfinite(loss), loss, np.nan)
            columns |= {f"v_min_{key}_pu": shown.flows.v_low, f"v_max_{key}_pu": shown.flows.v_high}
            columns[f"broken_{key}"] = shown.broken
    return filled(STEPS, columns)


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
    return filled(BUSES, columns)


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
    return filled(BRANCHES, columns)


def broken_limits(year: Year, network: Network, shown: Shown | None) -> list[tuple[Violation, str]]:
    """Limits that are broken, each with the step in which it is broken most."""
    if shown is None:
        return []
    flows = shown.flows
    low = np.flatnonzero(flows.v_low_of**2 < least_square(network.w_min))
    high = np.flatnonzero(flows.v_high_of**2 > greatest_square(network.w_max))
    over = np.flatnonzero(flows.i_of**2 > greatest_square(network.l_max))
    none = np.empty(0, dtype=np.int64)
    i_a = flows.i_of * network.i_base_a
    found = []
    for kind, v, at, numbers in (
        ("voltage low", flows.v_low_of, flows.v_low_at, (low, none, none)),
        ("voltage high", flows.v_high_of, flows.v_high_at, (none, high, none)),
        ("current", flows.v_low_of, flows.i_at, (none, none, over)),
    ):
        place = network.branch_names if kind == "current" else network.bus_names
        step = {place[int(n)]: year.names[int(at[n])] for n in np.concatenate(numbers)}
        found += [(each, step[each.name]) for each in states.broken_limits(network, v, i_a, *numbers)]
    return found


def as_table(broken: list[tuple[Violation, str]]) -> pl.DataFrame:
    """A row a broken limit."""
    return frame(BROKEN, [{**each.row, "step": step} for each, step in broken])


def _names(year: Year, at: Ints) -> list[str | None]:
    return [year.names[n] if n >= 0 else None for n in at.tolist()]


@dataclass(frozen=True, eq=False)
class Answered:
    """The outcome of a search for a year.

    Attributes:
        outcome: of the mean loss over the steps, kW. both: today's topology and the answer, which is that of least
            violation where there is no decision. soft: how limits were relaxed.
        may_soften: whether they could be relaxed, which is said where nothing keeps them.
        groups: of steps, by which the bound is computed. checked, mismatch: steps that were checked, and the largest
            mismatch, per unit, None where nothing is.
        notes: for the user.
    """

    outcome: Outcome
    both: Two
    groups: int
    checked: int
    mismatch: float | None
    notes: tuple[str, ...]
    soft: SoftLimits | None = None
    may_soften: bool = False


def year_result(grid: Grid, year: Year, network: Network, method: TopologySearch, found: Answered) -> YearResult:
    """The result; `network`: a terminal for each bus and a conductor for each branch, with the limits."""
    outcome, before, after = found.outcome, found.both["before"], found.both["after"]
    answered = outcome.decision is not None and after is not None
    notes = [*grid.figure_notes, *year.notes, *found.notes]
    if before is None:
        notes.append(why_no_loss(grid, " in any step"))
    if outcome.termination is Termination.INFEASIBLE and after is None:
        notes.append("no radial state has a power flow solution in every step: check loads and profiles")
    broken = broken_limits(year, network, after)
    if found.soft is not None:
        notes.append(not_kept(tuple(each for each, _ in broken), found.soft))
    elif after is not None and not answered and found.may_soften:
        notes.append(SOFTLY)
    hours = float(year.hours.sum())
    bound_mwh = outcome.lower_bound * hours / 1000.0
    return YearResult(
        grid=grid,
        method=str(method),
        termination=outcome.termination,
        seconds=outcome.seconds,
        open_before=states.open_names(network, network.closed),
        open_branches=states.open_names(network, after.closed) if answered and after is not None else (),
        least_violation_open=() if answered or after is None else states.open_names(network, after.closed),
        objective_kw=finite(outcome.upper_bound) if answered else None,
        lower_bound_kw=outcome.lower_bound,
        gap=outcome.gap,
        hours=hours,
        groups_count=found.groups,
        energy_before_mwh=None if before is None else before.energy_mwh(network, year.hours),
        energy_mwh=after.energy_mwh(network, year.hours) if answered and after is not None else None,
        energy_bound_mwh=bound_mwh if math.isfinite(bound_mwh) else math.inf,
        steps_broken_before=None if before is None else int(before.broken.sum()),
        steps_broken=None if after is None else int(after.broken.sum()),
        ac_max_mismatch_pu=found.mismatch,
        checked_steps=found.checked,
        steps=steps(year, network, found.both),
        buses=buses(year, network, found.both),
        branches=branches(grid, year, network, found.both, network.closed),
        soft_limits=found.soft,
        violations=as_table(broken),
        iterations=iterations_table(outcome.log, ITERATIONS),
        notes=tuple(notes),
    )
