"""Copies of the recourse that a master gets on the way, for the realisations that it underestimates."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Floats
from openpoint.twostage.methods.master import Master, Proposal
from openpoint.twostage.methods.run import Run
from openpoint.twostage.program import EXACT
from openpoint.twostage.recourse.evaluation import Evaluation
from openpoint.twostage.uncertainty import Box, Budget


@dataclass
class CopiesByNeed:
    """Adds copies to one master.

    Attributes:
        at_once: most copies that an iteration adds. most: in all.
    """

    at_once: int
    most: float = math.inf
    _held: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def add(self, run: Run, master: Master, proposal: Proposal, evaluation: Evaluation) -> list[str]:
        """Add copies for the realisations that the master underestimates, and tangents of the cones of all copies."""
        objective, added = run.evaluator.objective, 0
        underrated = _underrated(run, master, proposal, evaluation) if evaluation.copies_pay else []
        for k, realisation in underrated:
            if len(self._held) >= self.most or added >= self.at_once:
                break
            if (k, realisation.tobytes()) not in self._held:
                template = run.evaluator.recourse.template(objective.goal, len(evaluation.decision))
                self._held[k, realisation.tobytes()] = master.add_copy(template, k, realisation)
                added += 1
        for finding in evaluation.findings:
            number = self._held.get((finding.k, finding.realisation.tobytes()))
            if number is not None and finding.response.point:
                master.add_tangents(number, finding.response)
        return ["copy"] if added else []


def _underrated(run: Run, master: Master, proposal: Proposal, evaluation: Evaluation) -> list[tuple[int, Floats]]:
    """Number of θ and realisation, sorted by the weighted cost beyond the master's estimate, the largest first."""
    assert proposal.point is not None
    if isinstance(run.program.uncertainty, Box | Budget):
        return [(finding.k, finding.realisation) for finding in evaluation.findings]
    objective, estimates = run.evaluator.objective, master.recourse_estimates(proposal.point)
    values = _modelled(evaluation)
    if not np.isfinite(values).all():
        lost = np.flatnonzero(~np.isfinite(values))
        return [(int(k), objective.realisations[k]) for k in lost]
    weight = objective.worst_probabilities(values) * (values - estimates)
    order = np.argsort(-weight, kind="stable")
    least = EXACT * max(1.0, abs(evaluation.value))
    return [(int(k), objective.realisations[k]) for k in order if weight[k] > least]


def _modelled(evaluation: Evaluation) -> Floats:
    """(K) cost by the recourse, to which a copy raises the master's estimate; inf where it keeps the limits nowhere.

    Not the exact costs, where these are others: the worst realisation by these may not be the worst of the model, whose
    copy would never be added.
    """
    values = evaluation.values.copy()
    if not evaluation.exact:
        for finding in evaluation.findings:
            values[finding.k] = finding.response.value if finding.response.feasible else np.inf
    return values
