"""Topology decided once for a day, with proof: branch and bound over topologies, plans by a method for given ones.

1. One plan with today's topology, good or not, is there early, so that a limit does not leave nothing.
2. Exchanges of branches find a good radial state for the forecast, or the mean of the futures; the worst days of this
   state, or the futures, give the weights of the bound, and its best plan is found by the method for a given topology.
3. Branch and bound proves that no topology costs less by more than the gap (`tree`). The method for a given topology
   solves each radial state that is left, with a lower bound of its own.

The lower bound holds for every plan with every topology and AC operation that keep the limits; the upper bound is that
of the method for a given topology.
"""

from __future__ import annotations

import math
from dataclasses import InitVar, dataclass, field, replace

import numpy as np

from openpoint.arrays import Ints, States
from openpoint.errors import OptionError
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.search.tree import grow
from openpoint.studies.dispatch.day.model.period_columns import Experience
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.topology.exchange import exchanged, heaviest_state
from openpoint.studies.dispatch.day.topology.faced import Faced, faced
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation, NodeBound
from openpoint.studies.dispatch.day.topology.tree import TopologyTree
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination, check_stops, relative_gap

EVERY = 20
"""Nodes between two lines of the log."""
SHARE = 0.2
"""Gap to which the plan of a topology is found, as a share of the gap asked for."""


@dataclass(frozen=True)
class DayTopologySearch:
    """The search for the topology of a day.

    Attributes:
        gap: relative gap of the cost that is enough. time_limit_s: seconds after which to stop with what is verified.
    """

    gap: float = 1e-3
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        check_stops(self.gap, self.time_limit_s)

    def __str__(self) -> str:
        return f"DayTopologySearch(gap={self.gap:g})"

    def solve(
        self,
        question: DayQuestion,
        progress: Progress | None = None,
        deadline: Deadline | None = None,
        *,
        experience: Experience | None = None,
    ) -> DayOutcome:
        """The best plan with the best topology, to the gap, or until a limit or Ctrl-C; the best plan is kept.

        Args:
            question: of the day. progress: called with every line of the log.
            deadline: takes the place of the time limit.
            experience: of an earlier solve of the same budgeted day, to which this one adds.

        Raises:
            OptionError: a question for which the bound is not made.
        """
        if question.topology is not Cadence.ONCE:
            raise OptionError("the search for the topology of a day decides it once; ask for topology='once'")
        with deadline_of(self.time_limit_s, deadline) as limit:
            return _Run(question, self.gap, progress, limit, experience).run()


@dataclass
class _Run:
    """One run: what is known so far.

    Attributes:
        best: outcome of the best topology. lowers: bounds of the topologies that were solved, by their states.
        faced: the days, and what their solutions leave to the next. root: bound of the whole, by the first days.
    """

    question: DayQuestion
    gap: float
    progress: Progress | None
    deadline: Deadline
    experience: InitVar[Experience | None] = None
    best: DayOutcome | None = None
    lowers: dict[bytes, float] = field(default_factory=dict)
    log: list[Iteration] = field(default_factory=list)
    tree: TopologyTree | None = None
    faced: Faced = field(init=False)
    began: float = field(init=False)
    root: float = -math.inf

    def __post_init__(self, experience: Experience | None) -> None:
        self.faced, self.began = faced(self.question, experience), self.deadline.passed()

    def run(self) -> DayOutcome:
        """Start, and prove."""
        expected = self.faced.first()
        relaxation = DayRelaxation(self.question, expected.copies, expected.weights)
        decided = first_status(self.question, relaxation)
        root = relaxation.bound(decided, None, 3)
        if root is None:
            return self._outcome(Termination.INFEASIBLE, math.inf)
        self.root = root.value
        self._report("root", math.inf, interim=True)
        self._early(relaxation, decided)
        if self.deadline.over():  # nothing dear is begun any more
            return self._outcome(self.deadline.why, self._lower())
        state = self._start(relaxation, decided, root)
        if state is not None:
            self._solve_state(relaxation.branch, state, -math.inf)
            relaxation = self._weighed(relaxation, state, decided)
        self.tree = TopologyTree(relaxation, self.cutoff)
        self.tree.start(decided, self.root)
        return self._search()

    def _early(self, relaxation: DayRelaxation, decided: States) -> None:
        """A plan with today's topology, if that is allowed: radial, and with the locked branches as they must be."""
        closed = self.question.network.closed
        state = np.where(closed[relaxation.branch], CLOSED, OPEN).astype(np.int8)
        known = np.zeros_like(closed)
        known[relaxation.branch[state == CLOSED]] = True
        kept = (decided == UNDECIDED) | (decided == state)
        if self.deadline.over() or not (kept.all() and np.array_equal(known, closed) and relaxation.propagate(state)):
            return
        found = self.faced.early(closed, self.deadline)
        if found is not None and found.plan is not None and math.isfinite(found.upper_bound):
            self.best = found
            self._report("today", found.upper_bound, interim=True)

    def _keep(self, outcome: DayOutcome) -> None:
        """Make an outcome the best if it is."""
        if outcome.plan is not None and (self.best is None or _rank(outcome) < _rank(self.best)):
            self.best = outcome

    def _weighed(self, relaxation: DayRelaxation, state: States, decided: States) -> DayRelaxation:
        """The program with the weights of the days by this state, and a better state by them, if there is time.

        Nothing of it looks at the clock but between programs, so that it is not begun when the time is up.
        """
        mixed = None if self.deadline.over() else self.faced.weighed(state, self.deadline)
        if mixed is None or self.deadline.over():
            return relaxation
        relaxation = DayRelaxation(self.question, mixed.copies, mixed.weights)
        better = exchanged(relaxation, state, decided, self.deadline.over)
        if better is not None and not np.array_equal(better[0], state):
            self._solve_state(relaxation.branch, better[0], better[1].value)
        return relaxation

    def _start(self, relaxation: DayRelaxation, decided: States, root: NodeBound) -> States | None:
        """A good radial state for the first days."""
        today = np.where(self.question.network.closed[relaxation.branch], CLOSED, OPEN).astype(np.int8)
        starts = [heaviest_state(relaxation, decided, root), np.where(decided == UNDECIDED, today, decided)]
        found = [
            each
            for each in (exchanged(relaxation, start, decided, self.deadline.over) for start in starts)
            if each is not None
        ]
        return min(found, key=lambda each: each[1].value)[0] if found else None

    def _search(self) -> DayOutcome:
        tree = self.tree
        assert tree is not None

        def leaf(status: States) -> None:
            self._solve_state(tree.relaxation.branch, status, tree.leaves[-1].value)
            tree.cutoff = self.cutoff

        def over() -> bool:
            if tree.nodes and tree.nodes % EVERY == 0:
                self._report("bound", math.inf, interim=True)
            return self.deadline.over() and tree.queue.has(tree.cutoff)

        if over() or not grow(tree, leaf, over):
            return self._outcome(self.deadline.why, self._lower())
        lower, upper = self._lower(), self._upper()
        if math.isinf(upper):
            return self._outcome(Termination.INFEASIBLE if math.isinf(lower) else Termination.LIMITS, lower)
        proven = relative_gap(lower, upper) <= self.gap
        return self._outcome(Termination.GAP if proven else Termination.RELAXATION, lower)

    def _solve_state(self, branch: Ints, state: States, value: float) -> None:
        """Find the best plan of a radial state, unless it is known; keep it if it is the best of all."""
        key = state.tobytes()
        if key in self.lowers:
            self.lowers[key] = max(self.lowers[key], value)
            return
        closed = np.zeros(self.question.network.n_conductors, dtype=np.bool_)
        closed[branch[state == CLOSED]] = True
        value = max(value, self.faced.bound(state, self.deadline))
        if value >= self.cutoff:
            self.lowers[key] = value
            return
        outcome = self.faced.solve(closed, SHARE * self.gap, self.deadline, self.cutoff)
        self.lowers[key] = max(value, outcome.lower_bound)
        self._keep(outcome)
        self._report("topology", outcome.upper_bound)

    @property
    def cutoff(self) -> float:
        """Nodes of at least this bound are done."""
        return self._upper() * (1.0 - self.gap) if math.isfinite(self._upper()) else math.inf

    def _upper(self) -> float:
        return math.inf if self.best is None else self.best.upper_bound

    def _lower(self) -> float:
        """No plan costs less: the least bound of open nodes and of topologies that were solved."""
        if self.tree is None:
            return self.root
        return max(self.root, min(self.tree.lowest, min(self.lowers.values(), default=math.inf)))

    def _report(self, verdict: str, value: float, *, interim: bool = False) -> None:
        number = sum(not line.interim for line in self.log) + (not interim)
        seconds, upper = self.deadline.passed() - self.began, self._upper()
        line = Iteration(number, seconds, min(self._lower(), upper), upper, value, verdict, interim=interim)
        self.log.append(line)
        if self.progress is not None:
            self.progress(line)

    def _outcome(self, why: Termination, lower: float) -> DayOutcome:
        seconds, notes = self.deadline.passed() - self.began, self._notes()
        if self.best is None:
            return DayOutcome(why, None, None, None, lower, math.inf, tuple(self.log), seconds, notes)
        lower = min(lower, self.best.upper_bound)
        return replace(self.best, termination=why, lower_bound=lower, log=tuple(self.log), seconds=seconds, notes=notes)

    def _notes(self) -> tuple[str, ...]:
        nodes = 0 if self.tree is None else self.tree.nodes
        own = () if self.best is None else self.best.notes
        return (*own, f"{nodes} partial topologies bounded, {len(self.lowers)} topologies solved")


def _rank(outcome: DayOutcome) -> tuple[float, float]:
    """Plans that keep the limits first, then those of least violation."""
    worst = outcome.worst
    violation = float(np.sum(worst.violations)) if worst is not None else math.inf
    return outcome.upper_bound, violation


def first_status(question: DayQuestion, relaxation: DayRelaxation) -> States:
    """(m) states of the branches that may be closed: undecided unless they are given."""
    fixed = question.must_close | (~question.network.switchable & question.network.closed)
    return np.where(fixed[relaxation.branch], CLOSED, UNDECIDED).astype(np.int8)
