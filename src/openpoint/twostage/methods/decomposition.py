"""Benders decomposition with exact conic duals (Geoffrion 1972), multi-cut, for any two-stage program.

Each iteration adds a cut for every realisation: optimality cuts from the recourse, feasibility cuts from the problem of
least violation, no-good cuts where the exact evaluation is above the recourse. With `relaxation` the master also
contains copies of the recourse, linear part and tangents of the cones, and needs few iterations; without, hundreds.

Column-and-constraint generation (Zeng and Zhao 2013): whole recourses are embedded in the master, one a realisation.

Over a polyhedral set, a copy is added for the worst realisation at every proposal. Over a finite set, for those whose
cost the master underestimates most, weighted by the probabilities of the risk; all others have cuts, so that
expectations over many realisations need few copies. A copy contains the recourse with its integers, which cuts of the
relaxation do not. Where a study has recourse bounds from which exact cuts follow, these take the place of copies.

Theory: docs/methods.md M19, M20, M26.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome, Progress
from openpoint.twostage.methods.master import Master, Proposal, choose_copies
from openpoint.twostage.methods.run import CopiesByNeed, Run, Settings
from openpoint.twostage.methods.solving import solve
from openpoint.twostage.program import EXACT, AnyProgram
from openpoint.twostage.recourse.evaluation import Evaluation, Response

ROUNDING_COUNT = 100
"""Decisions of the rounding heuristic at the root that are evaluated before the first mixed-integer master."""
START_SHARE, START_S = 0.25, 0.3
"""Share of the time for warm starts, and seconds that they have in any case."""
CUT_GAIN_MIN = 1e-9
"""Least relative amount by which a cut must exceed the master's estimate to be added."""


@dataclass(frozen=True, kw_only=True)
class Benders(Settings):
    """Benders decomposition of two-stage programs: HiGHS solves the master, Clarabel the subproblems; the incumbent is
    evaluated exactly.

    Use this for grids up to a few hundred branches with a proof; `relaxation=False` is for comparison only. For a
    recourse with integers use `ColumnAndConstraint`: here it is evaluated exactly, but cuts are of its relaxation.

    Attributes:
        relaxation: whether the master contains copies of the recourse.
        copies: most copies: at the means of realisations that are alike, or, where the risk is no expectation and the
            first stage not all binary, of the realisations that the master underestimates, one an iteration.
    """

    relaxation: bool = True
    copies: int = 4

    def __str__(self) -> str:
        plain = "" if self.relaxation else ", plain"
        return f"Benders(gap={self.gap:g}{plain})"

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
        return solve(program, self, _Cuts(self.copies if self.relaxation else 0), progress, deadline)


@dataclass
class _Cuts:
    """The rule of Benders decomposition: which cuts are added to the master."""

    copies: int
    _later: CopiesByNeed | None = None

    def master(self, run: Run) -> Master:
        """The first stage with copies of the recourse, chosen by the best warm start.

        Tangents are added at the warm starts, at the root of the relaxation and at decisions near it.
        """
        began, early = run.deadline.passed(), run.deadline.within(START_SHARE * run.deadline.left())
        starts = run.program.warm_starts(lambda: early.over() and run.deadline.passed() - began >= START_S)
        for start in starts:
            run.offer(run.evaluator.evaluate_exactly(start))
        objective = run.evaluator.objective
        self._later = None
        if self.copies and objective.count > 1 and objective.probabilities.only is None:
            master = Master(run.program, objective, [])
            if not master.binary:  # cuts close the gap slowly then, and what is worst is not known yet
                self._later = CopiesByNeed(1, self.copies)
                return master
        copies = choose_copies(objective, None if run.best is None else run.best.values, run.upper, self.copies)
        master = Master(run.program, objective, copies)
        if not copies or not len(starts):
            return master
        for start in starts:
            if run.out_of_time():
                return master
            _add_tangents_at(run, master, start)
        run.log_interim("start")
        root = master.root(run.out_of_time)
        run.raise_lower(root.bound)
        for rounded in (
            []
            if root.decision is None
            else run.program.rounding_heuristic(root.decision, ROUNDING_COUNT, run.out_of_time)
        ):
            _add_tangents_at(run, master, rounded)
            if run.out_of_time():
                break
        run.log_interim("root")
        return master

    def learn(self, run: Run, master: Master, proposal: Proposal, evaluation: Evaluation, *, again: bool) -> list[str]:
        """Add a cut for each realisation that the master underestimates, and a no-good cut where it is stronger."""
        words = add_cuts(master, proposal, evaluation) + run.no_good(master, evaluation, again=again)
        _add_tangents(run, master, evaluation)
        if proposal.point is not None:
            master.refine(proposal.point)
        if self._later is not None:
            words += self._later.add(run, master, proposal, evaluation)
        return words


def add_cuts(master: Master, proposal: Proposal, evaluation: Evaluation) -> list[str]:
    """Add a cut for each finding above the master's estimate; the names of the cuts."""
    words = []
    away = 0.0 if proposal.decision is None else proposal.decision - evaluation.decision
    for finding in evaluation.findings:
        response = finding.response
        if response.feasible and proposal.point is not None:
            estimate = master.recourse_estimates(proposal.point)[finding.k]
            by_cut = response.value + float(response.slope @ away)
            if by_cut <= estimate + CUT_GAIN_MIN * max(1.0, abs(response.value)):
                continue
        words.append(master.add_cut(finding.k, evaluation.decision, response))
    return list(dict.fromkeys(words))


def _add_tangents(run: Run, master: Master, evaluation: Evaluation) -> None:
    """Add tangents of every copy at a decision; for a copy of one realisation they are in the evaluation."""
    known = {finding.realisation.tobytes(): finding.response for finding in evaluation.findings}
    missing = [copy.realisation for copy in master.copies if copy.realisation.tobytes() not in known]
    goal = run.evaluator.objective.goal
    found = run.evaluator.recourse.solve(goal, evaluation.decision, missing, run.out_of_time)
    if found is None:
        return
    more = iter(found)
    for number, copy in enumerate(master.copies):
        response = known.get(copy.realisation.tobytes())
        master.add_tangents(number, next(more) if response is None else response)


def _add_tangents_at(run: Run, master: Master, decision: Floats) -> None:
    """Add tangents of every copy at a decision, and evaluate the decision exactly."""
    realisations = [copy.realisation for copy in master.copies]
    responses = run.evaluator.recourse.solve(run.evaluator.objective.goal, decision, realisations, run.out_of_time)
    if responses is None:
        return
    for number, response in enumerate(responses):
        master.add_tangents(number, response)
    evaluation = run.evaluator.evaluate_exactly(decision, responses[0].dispatch if len(responses) == 1 else None)
    run.offer(evaluation)
    if evaluation is not None and evaluation.verdict.final and not any(response.rough for response in responses):
        known = _lower_bound_by_copies(run, master, evaluation, responses)
        if known < run.upper and evaluation.lower_bound > known + EXACT * max(1.0, abs(known)):
            cost = run.evaluator.objective.first_stage_cost(run.program, decision)
            master.add_no_good_cut(decision, evaluation.lower_bound - cost)


def _lower_bound_by_copies(run: Run, master: Master, evaluation: Evaluation, responses: Sequence[Response]) -> float:
    """A lower bound of the objective of a decision by the copies, each at the mean of its realisations."""
    objective = run.evaluator.objective
    if not all(response.feasible for response in responses):
        return np.inf
    shares = np.array([copy.share for copy in master.copies])
    probabilities = np.sum([copy.share * copy.weights for copy in master.copies], axis=0)
    costs = np.array([response.value for response in responses])
    rest = (1.0 - shares.sum()) * objective.floor - float(probabilities @ objective.wait_and_see_upper)
    return float(objective.first_stage_cost(run.program, evaluation.decision) + shares @ costs + rest)


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
