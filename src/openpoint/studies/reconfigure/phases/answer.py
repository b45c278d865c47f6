"""The result of a reconfiguration of a grid of any phases: a row a bus and phase, a row a branch and phase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools
from openpoint.formulations.radiality import is_radial_state
from openpoint.network import Network
from openpoint.powerflow.opendss import PhaseState
from openpoint.results import ac_tables as states
from openpoint.results.phase_violations import violations
from openpoint.studies.reconfigure.answer import Findings, reconfigure_result
from openpoint.studies.reconfigure.phases.exchange import EvaluatedTopology, PhasesAcEvaluator
from openpoint.studies.reconfigure.result import ReconfigureResult, SoftLimits
from openpoint.twostage.log import Outcome


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
    best: EvaluatedTopology | None
    exact: bool
    notes: tuple[str, ...]
    soft: SoftLimits | None = None


def phases_result(evaluator: PhasesAcEvaluator, method: str, answer: PhasesAnswer) -> ReconfigureResult:
    """The result of an answer, under the grid's own names."""
    grid, program, best = evaluator.grid, evaluator.program, answer.best
    network = program.network
    closed = program.today if best is None else best.closed
    before = _known(evaluator, program.today) if is_radial_state(network, program.today) else None
    shown = None if best is None else evaluator.state(closed)
    kept = (best is not None and best.violation == 0.0) or answer.soft is not None
    broken = () if shown is None else violations(network, shown)
    found = Findings(
        outcome=answer.outcome,
        before=None if before is None else states.of_phases(network, before),
        shown=None if shown is None else states.of_phases(network, shown),
        closed=closed[network.conductor_branch],
        kept=kept,
        open_before=open_branches(network, program.today),
        open_after=open_branches(network, closed),
        broken=broken if kept else (),
        least_violation=() if kept else broken,
        generators=states.generators(grid, network, None),
        fixed=len(network.generator_names) > 0,
        choices=len(program.choices.free),
        notes=answer.notes,
        proven=answer.exact,
        objective_kw=None if best is None else best.value_kw,
        soft=answer.soft,
    )
    return reconfigure_result(grid, network, method, found)


def _known(evaluator: PhasesAcEvaluator, closed: Bools) -> PhaseState | None:
    """The AC state of a topology; None where a terminal has no supply or no solution exists."""
    state = evaluator.state(closed)
    return state if state.has_solution and state.energised.all() else None


def open_branches(network: Network, closed: Bools) -> tuple[str, ...]:
    """Names of the open branches of a state (B), in the order of the grid."""
    return tuple(network.branch_names[b] for b in np.flatnonzero(~closed))
