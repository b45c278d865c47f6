"""Column-and-constraint generation (Zeng and Zhao 2013): whole recourses are embedded in the master, one a realisation.

Over a polyhedral set, a copy is added for the worst realisation at every proposal. Over a finite set, for those whose
cost the master underestimates most, weighted by the probabilities of the risk; all others have cuts, so that
expectations over many realisations need few copies. A copy contains the recourse with its integers, which cuts of the
relaxation do not. Where a study has recourse bounds from which exact cuts follow, these take the place of copies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from openpoint.errors import OptionError
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome, Progress
from openpoint.twostage.methods.benders import add_cuts
from openpoint.twostage.methods.master import Master, Proposal
from openpoint.twostage.methods.run import CopiesByNeed, Run, Settings
from openpoint.twostage.methods.solving import solve
from openpoint.twostage.program import AnyProgram
from openpoint.twostage.recourse.evaluation import Evaluation


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
    _copies: CopiesByNeed = field(init=False)

    def master(self, run: Run) -> Master:
        """The first stage only."""
        for start in run.program.warm_starts(run.out_of_time):
            run.offer(run.evaluator.evaluate_exactly(start))
        self._copies = CopiesByNeed(self.columns)
        return Master(run.program, run.evaluator.objective, [])

    def learn(self, run: Run, master: Master, proposal: Proposal, evaluation: Evaluation, *, again: bool) -> list[str]:
        """Add copies for the realisations that the master underestimates, cuts for all, and tangents of cones."""
        words = add_cuts(master, proposal, evaluation)
        added = self._copies.add(run, master, proposal, evaluation)
        words += added
        if again or not added:
            words += run.no_good(master, evaluation, again=again)
        return words
