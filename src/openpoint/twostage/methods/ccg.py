"""Column-and-constraint generation (Zeng and Zhao 2013): whole recourses are embedded in the master, one a realisation.

Over a polyhedral set, a copy is added for the worst realisation at every proposal. Over a finite set, for those whose
cost the master underestimates most, weighted by the probabilities of the risk; all others have cuts, so that
expectations over many realisations need few copies. A copy contains the recourse with its integers, which cuts of the
relaxation do not. Where a study has recourse bounds from which exact cuts follow, these take the place of copies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome, Progress
from openpoint.twostage.methods.benders import add_cuts
from openpoint.twostage.methods.master import Master, Proposal
from openpoint.twostage.methods.run import Run, Settings
from openpoint.twostage.methods.solving import solve
from openpoint.twostage.program import EXACT, AnyProgram
from openpoint.twostage.recourse.evaluation import Evaluation
from openpoint.twostage.recourse.template import Template, template_of
from openpoint.twostage.uncertainty import Box, Budget


@dataclass(frozen=True, kw_only=True)
class ColumnAndConstraint(Settings):
    """Column-and-constraint generation: for worst cases, and for a recourse with integers over a finite set.

    Attributes:
        columns: most copies of the recourse that an iteration adds.
    """

    columns: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.columns < 1:
            raise OptionError(f"columns is {self.columns}; give at least one copy an iteration")

    def __str__(self) -> str:
        return f"ColumnAndConstraint(gap={self.gap:g})"

    def solve(
        self,
        program: AnyProgram,
        progress: Progress | None = None,
        deadline: Deadline | None = None,
    ) -> Outcome:
        """Solve a program to the gap, or until a limit or Ctrl-C; the best verified answer is kept.

        Where no decision keeps the limits, the outcome names the decision of least violation. A deadline takes the
        place of the time limit.
        """
        if program.limits_share < 1.0:
            raise OptionError("copies keep the limits in every realisation; use Benders() for a share")
        return solve(program, self, _Columns(self.columns), progress, deadline)


@dataclass
class _Columns:
    """The rule of column-and-constraint generation: which copies and cuts are added to the master."""

    columns: int
    _template: Template | None = None
    _held: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def master(self, run: Run) -> Master:
        """The first stage only."""
        for start in run.program.warm_starts(run.out_of_time):
            run.offer(run.evaluator.evaluate_exactly(start))
        self._template, self._held = None, {}
        return Master(run.program, run.evaluator.objective, [])

    def learn(self, run: Run, master: Master, proposal: Proposal, evaluation: Evaluation, *, again: bool) -> list[str]:
        """Add copies for the realisations that the master underestimates, cuts for all, and tangents of cones."""
        words = add_cuts(master, proposal, evaluation)
        objective = run.evaluator.objective
        assert proposal.point is not None
        added = 0
        underrated = self._underrated(run, master, proposal, evaluation) if evaluation.copies_pay else []
        for k, realisation in underrated:
            if (k, realisation.tobytes()) not in self._held and added < self.columns:
                if self._template is None:
                    self._template = template_of(run.program, len(evaluation.decision), objective.goal)
                self._held[k, realisation.tobytes()] = master.add_copy(self._template, k, realisation)
                added += 1
        if added:
            words.append("copy")
        for finding in evaluation.findings:
            number = self._held.get((finding.k, finding.realisation.tobytes()))
            if number is not None and finding.response.point:
                master.add_tangents(number, finding.response)
        if again or not added:
            words += run.no_good(master, evaluation, again=again)
        return words

    def _underrated(
        self, run: Run, master: Master, proposal: Proposal, evaluation: Evaluation
    ) -> list[tuple[int, np.ndarray[Any, np.dtype[np.float64]]]]:
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
