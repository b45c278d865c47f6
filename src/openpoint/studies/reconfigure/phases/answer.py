"""The result of a reconfiguration of a grid of any phases: a row a bus and phase, a row a branch and phase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.powerflow.phase_state import PhaseState
from openpoint.results import ac_tables as states
from openpoint.results.columns import finite
from openpoint.results.iterations import iterations_table
from openpoint.results.phase_tables import branch_columns, violations
from openpoint.results.violation import Violation
from openpoint.studies.reconfigure.phases.exchange import AcJudge, Priced
from openpoint.studies.reconfigure.phases.model import is_radial_state
from openpoint.studies.reconfigure.result import ReconfigureResult, SoftLimits
from openpoint.studies.reconfigure.schema import ITERATIONS
from openpoint.studies.reconfigure.soft.limits import not_kept, ways_on
from openpoint.studies.reconfigure.today import why_no_loss
from openpoint.twostage.log import Outcome, Termination


@dataclass(frozen=True)
class PhasesAnswer:
    """What a search found.

    Attributes:
        outcome: of the search, with the bounds of the linear model unless `exact`.
        best: the best met; None where no state has a solution. Where it misses limits, it is an answer only if the
            linear model holds that it keeps them.
        exact: whether the bounds are those of the AC power flow.
        notes: for the user.
        soft: how limits were relaxed for the best, which then is an answer although it breaks them.
    """

    outcome: Outcome
    best: Priced | None
    exact: bool
    notes: tuple[str, ...]
    soft: SoftLimits | None = None


def phases_result(judge: AcJudge, method: str, answer: PhasesAnswer) -> ReconfigureResult:
    """The result of an answer, under the grid's own names."""
    grid, program, outcome, best = judge.grid, judge.program, answer.outcome, answer.best
    network = program.network
    closed = program.today if best is None else best.closed
    before = _known(judge, program.today) if is_radial_state(network, program.today) else None
    shown = None if best is None else judge.state(closed)
    kept = best is not None and best.missed == 0.0
    after, least = (shown, None) if kept or answer.soft is not None else (None, shown)
    broken = () if after is None else violations(network, after)
    missed = () if least is None else violations(network, least)
    low, low_bus, low_phase = _lowest(network, after)
    low_before, low_before_bus, low_before_phase = _lowest(network, before)
    buses = states.frame(
        {
            **states.bus_names(network),
            **states.bus_limits(network),
            **_bus_columns(network, before, "_before"),
            **_bus_columns(network, shown, "_after"),
        }
    )
    table = grid.branches()[network.conductor_branch]
    branches = states.frame(
        {
            "kind": table["kind"],
            "name": table["name"],
            "phase": list(network.conductor_phase),
            **{name: table[name] for name in ("from_bus", "to_bus", "switchable")},
            "closed_before": network.closed,
            "closed_after": closed[network.conductor_branch],
            "i_max_a": states.current_limits(network),
            **branch_columns(network, before, "_before"),
            **branch_columns(network, shown, "_after"),
        }
    )
    return ReconfigureResult(
        grid=grid,
        method=method,
        termination=outcome.termination,
        seconds=outcome.seconds,
        open_before=open_branches(network, program.today),
        open_branches=open_branches(network, closed) if after is not None else (),
        loss_before_kw=None if before is None else before.loss_kw,
        loss_kw=None if after is None else after.loss_kw,
        objective_kw=None if after is None or best is None else best.value_kw,
        lower_bound_kw=outcome.lower_bound,
        gap=outcome.gap,
        v_min_pu=low,
        v_min_bus=low_bus,
        v_min_before_pu=low_before,
        v_min_before_bus=low_before_bus,
        ac_max_mismatch_pu=None if after is None else after.max_mismatch,
        violations=broken,
        least_violation=missed,
        least_violation_open=open_branches(network, closed) if least is not None else (),
        buses=buses,
        branches=branches,
        generators=states.generators(grid, network, None),
        iterations=iterations_table(outcome.log, ITERATIONS),
        notes=(
            *grid.figure_notes,
            *_notes(grid, network, before, least, outcome),
            *answer.notes,
            *_of_limits(judge, answer, broken, missed),
        ),
        v_min_phase=low_phase,
        v_min_before_phase=low_before_phase,
        bound_of="AC power flow" if answer.exact else "linear model",
        linear_kw=None if answer.exact else finite(outcome.upper_bound),
        soft_limits=answer.soft,
    )


def _of_limits(
    judge: AcJudge, answer: PhasesAnswer, broken: tuple[Violation, ...], missed: tuple[Violation, ...]
) -> tuple[str, ...]:
    """What is to be said of limits that are not kept."""
    if answer.soft is not None:
        return (not_kept(broken, answer.soft),)
    proven = answer.exact and answer.outcome.termination is Termination.INFEASIBLE
    return ways_on(missed, len(judge.program.choices.free), proven=proven)


def _known(judge: AcJudge, closed: Bools) -> PhaseState | None:
    """The AC state of a topology; None where a terminal has no supply or no solution exists."""
    state = judge.state(closed)
    return state if state.has_solution and state.energised.all() else None


def _notes(
    grid: Grid, network: Network, before: PhaseState | None, least: PhaseState | None, outcome: Outcome
) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if before is None:
        notes += (why_no_loss(grid),)
    if len(network.generator_names):
        notes += ("generators keep the output that they have today; their limits are not used",)
    if outcome.termination is Termination.INFEASIBLE and least is None:
        notes += ("no radial state has a power flow solution: the grid cannot carry its load; check loads and units",)
    return notes


def open_branches(network: Network, closed: Bools) -> tuple[str, ...]:
    """Names of the open branches of a state (B), in the order of the grid."""
    return tuple(network.branch_names[b] for b in np.flatnonzero(~closed))


def _bus_columns(network: Network, state: PhaseState | None, suffix: str) -> dict[str, Floats]:
    v = np.full(network.n_terminals, np.nan + 0j) if state is None else state.v
    return {f"v{suffix}_pu": np.abs(v), f"angle{suffix}_degree": np.degrees(np.angle(v))}


def _lowest(network: Network, state: PhaseState | None) -> tuple[float | None, str | None, str | None]:
    """Lowest voltage to neutral, its bus and its phase."""
    if state is None:
        return None, None, None
    v = np.abs(state.v)
    n = int(np.argmin(v))
    return float(v[n]), network.bus_names[network.terminal_bus[n]], network.terminal_phase[n]
