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
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field, replace

import numpy as np
import scipy.optimize

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.errors import OptionError
from openpoint.network.day import DayArrays
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.search.tree import grow
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns, ScenarioPool, allowed
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios, scenarios_of
from openpoint.studies.dispatch.day.model.question import Cadence, DayOutcome, DayQuestion
from openpoint.studies.dispatch.day.model.vertices import vertices_of
from openpoint.studies.dispatch.day.topology.columns import Copy
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation, NodeBound
from openpoint.studies.dispatch.day.topology.tree import TopologyTree, exchanged, heaviest_state
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination, relative_gap

# Weights of days with which the bound of a radial state is near the worst case of its best plan.
#
# The least cost g(λ) of the mixture of days with weights λ is concave in λ, and its greatest value is the robust
# optimum over these days. At a solution x, which costs V_j(x) on day j, g(λ') ≤ λ'·V(x); the least of these cuts is
# raised by a linear program (Kelley 1960). Any weights give a valid bound; these only make it strong.


CUTS_MOST = 20
"""Mixtures that are tried, at most."""
LEAST = 2e-3
"""Least weight of a day that is tried, so that its copies are in the program and have a cost."""
CLOSE = 5e-5
"""Relative distance of the bound from the cuts at which no more are made."""


@dataclass(frozen=True)
class Mixture:
    """Copies of the days that have a weight, and (K) the weights of the copies.

    Attributes:
        of_day: (J, T) copies of each day, -1 where it has no weight.
    """

    copies: tuple[Copy, ...]
    weights: Floats
    of_day: Ints


def mixture(days: list[Floats], weights: Floats) -> Mixture:
    """Days (T, U) in these shares."""
    found: dict[tuple[int, bytes], int] = {}
    copies, by_copy = list[Copy](), list[float]()
    of_day = np.full((len(days), len(days[0])), -1, dtype=np.int64)
    for j, (day, weight) in enumerate(zip(days, weights, strict=True)):
        for t, row in enumerate(day if weight > 0.0 else []):
            k = found.setdefault((t, row.tobytes()), len(copies))
            if k == len(copies):
                copies.append(Copy(t, row))
                by_copy.append(0.0)
            by_copy[k] += float(weight)
            of_day[j, t] = k
    return Mixture(tuple(copies), np.array(by_copy), of_day)


def grouped(days: Floats, weights: Floats, costs: Floats | None = None, groups: int = 1) -> Mixture:
    """Days (K, T, U) with weights (K), those of a period in groups of like costs (K, T), each replaced by its mean."""
    copies, shares = list[Copy](), list[float]()
    for t in range(days.shape[1]):
        order = np.arange(len(days)) if costs is None else np.argsort(costs[:, t], kind="stable")
        for some in np.array_split(order, min(groups, len(days))):
            share = float(weights[some].sum())
            if share > 0.0:
                copies.append(Copy(t, weights[some] @ days[some, t] / share))
                shares.append(share)
    return Mixture(tuple(copies), np.array(shares), np.empty((0, days.shape[1]), dtype=np.int64))


def forecast(day: DayArrays) -> Mixture:
    """The forecast alone."""
    return mixture([np.ones((day.periods, day.uncertain.count))], np.ones(1))


def worst_mixture(
    question: DayQuestion, status: States, days: list[Floats], stop: Callable[[], bool] = lambda: False
) -> Mixture:
    """The days (T, U) with about the weights for which the bound of a radial state (m) is greatest, of those tried
    before the stop."""
    weights = np.full(len(days), 1.0 / len(days))
    whole = mixture(days, weights)
    # Columns that stay at a limit with some weights do not with others.
    relaxation = DayRelaxation(question, whole.copies, whole.weights, narrows=False)
    best, value, cuts, terms = weights, -np.inf, list[Floats](), None
    for _ in range(CUTS_MOST if len(days) > 1 else 0):
        found = relaxation.bound(status.copy(), terms, 3 if terms is None else 2)
        assert found is not None
        terms = found.conductances
        if found.value > value:
            best, value = weights, found.value
        first, by_copy = relaxation.costs_of_copies(found)
        cuts.append(first + by_copy[whole.of_day].sum(axis=1))
        weights, top = _highest(np.array(cuts))
        if top - value <= CLOSE * abs(top) or stop():
            break
        weights = np.maximum(weights, LEAST) / np.maximum(weights, LEAST).sum()
        relaxation.weigh(mixture(days, weights).weights)
    share = np.where(best > 2.0 * LEAST, best, 0.0)
    return mixture(days, share / share.sum())


def _highest(cuts: Floats) -> tuple[Floats, float]:
    """Weights for which the least of the cuts is greatest, and this value."""
    rows, count = cuts.shape
    middle = cuts.mean()
    answer = scipy.optimize.linprog(
        np.append(np.zeros(count), -1.0),
        A_ub=np.column_stack([middle - cuts, np.ones(rows)]),
        b_ub=np.zeros(rows),
        A_eq=np.append(np.ones(count), 0.0)[None, :],
        b_eq=np.ones(1),
        bounds=[(0.0, 1.0)] * count + [(None, None)],
    )
    assert answer.x is not None, answer.message
    return answer.x[:count], float(answer.x[count] + middle)


# What a topology of a day has to face: the worst of a budgeted set, or futures at the least risk.
#
# Both give weights of days for the bound of partial topologies, and the best plan of a topology that is left.


GROUPS = 4
"""Groups into which the futures of a period are put in the bound of partial topologies."""
GROUPS_MOST = 40
"""Groups of a radial state that is left; fewer futures are there each by itself."""
ITERATIONS = 3
"""Programs for the bound of such a state."""
AS_LONG = 5.0
"""Time of these programs before any is solved, relative to that in which they are set up."""


@dataclass
class BudgetUncertainty:
    """The worst of a budgeted set; worst days that were found for one topology count for the others."""

    question: DayQuestion
    pool: ScenarioPool
    last: DayOutcome | None = None

    def first(self) -> Mixture:
        """Weights of days before any plan is known: the forecast, which is in the set."""
        return forecast(self.question.day)

    def weighed(self, state: States, deadline: Deadline) -> Mixture | None:
        """Weights for which the bound of the radial state (m) that was solved last is high, by the multipliers of its
        master; None = those at hand."""
        if self.last is not None and self.last.binding:
            binding = self.last.binding
            return mixture([day for day, _ in binding], np.array([weight for _, weight in binding]))
        vertices = vertices_of(self.question.day)
        days = [day for day in self.pool.days if allowed(vertices, day)]
        return worst_mixture(self.question, state, days, deadline.over) if days else None

    def bound(self, state: States, deadline: Deadline) -> float:
        """A bound of a radial state (m) beside that of the tree, before it is solved; -inf: there is none."""
        return -np.inf

    def early(self, closed: Bools, deadline: Deadline) -> DayOutcome | None:
        """A plan of a topology (E), soon and not the best: that for the days known so far, at first the forecast."""
        return PeriodColumns(soon=True).solve(self.question, None, deadline, closed=closed, pool=self.pool)

    def solve(self, closed: Bools, gap: float, deadline: Deadline, cutoff: float) -> DayOutcome:
        """The best plan of a topology (E)."""
        method, known = PeriodColumns(gap=gap), self.pool
        self.last = method.solve(self.question, None, deadline, closed=closed, pool=known, cutoff=cutoff)
        return self.last


@dataclass
class FutureUncertainty:
    """The risk of futures.

    For any vector of probabilities that the risk allows, the mean cost is at most the risk. And futures of a period may
    be replaced by their mean: with the same multipliers for all of them, the bound of a period is linear in what comes
    but for the least value of each column, which is convex in the ends of its range. So the bound at the mean is at
    most the mean of their bounds.
    """

    question: DayQuestion
    templates: HourTemplates = field(init=False)
    last: DayOutcome | None = None
    whole: DayRelaxation | None = None
    takes_s: float = 0.0  # seconds that a bound of `whole` takes

    def __post_init__(self) -> None:
        self.templates = HourTemplates(self.question)

    def first(self) -> Mixture:
        """The mean of the futures in every period."""
        days = scenarios_of(self.question)
        return grouped(days.realisations, days.nominal)

    def weighed(self, state: States, deadline: Deadline) -> Mixture | None:
        days = scenarios_of(self.question)
        if self.last is None or self.last.weights is None or not self.last.scenarios:
            return None
        began = deadline.passed()
        costs, weights = np.array([each.costs for each in self.last.scenarios]), days.allowed(self.last.weights)
        every = grouped(days.realisations, weights, costs, min(len(weights), GROUPS_MOST))
        self.whole = DayRelaxation(self.question, every.copies, every.weights)
        self.takes_s = AS_LONG * (deadline.passed() - began)
        return grouped(days.realisations, weights, costs, GROUPS)

    def bound(self, state: States, deadline: Deadline) -> float:
        if self.whole is None or deadline.left() < self.takes_s:
            return -np.inf
        began = deadline.passed()
        found = self.whole.bound(state.copy(), None, ITERATIONS)
        self.takes_s = deadline.passed() - began
        return -np.inf if found is None else found.value

    def early(self, closed: Bools, deadline: Deadline) -> DayOutcome | None:
        return None

    def solve(self, closed: Bools, gap: float, deadline: Deadline, cutoff: float) -> DayOutcome:
        method, known = PeriodScenarios(gap=gap), self.templates
        self.last = method.solve(self.question, None, deadline, closed=closed, templates=known)
        return self.last


DayUncertainty = BudgetUncertainty | FutureUncertainty


def uncertainty(question: DayQuestion, pool: ScenarioPool | None = None) -> DayUncertainty:
    """The uncertainty of a question: its futures, or its budgeted set with what an earlier search of the day left."""
    if question.scenarios is not None:
        return FutureUncertainty(question)
    return BudgetUncertainty(question, pool or ScenarioPool(HourTemplates(question)))


EVERY = 20
"""Nodes between two lines of the log."""
SHARE = 0.2
"""Gap to which the plan of a topology is found, as a share of the gap asked for."""


@dataclass(frozen=True)
class DayTopologySearch:
    """The search for the topology of a day.

    Attributes:
        gap: relative gap of the cost that is enough.
    """

    gap: float = 1e-3

    def __str__(self) -> str:
        return f"DayTopologySearch(gap={self.gap:g})"

    def solve(
        self,
        question: DayQuestion,
        progress: Progress | None = None,
        deadline: Deadline | None = None,
        *,
        pool: ScenarioPool | None = None,
    ) -> DayOutcome:
        """The best plan with the best topology, to the gap, or until a limit or Ctrl-C; the best plan is kept.

        Args:
            question: of the day. progress: called with every line of the log.
            deadline: when to stop with what is verified.
            pool: of an earlier solve of the same budgeted day, to which this one adds.

        Raises:
            OptionError: a question for which the bound is not made.
        """
        if question.topology is not Cadence.ONCE:
            raise OptionError("the search for the topology of a day decides it once; ask for topology='once'")
        with deadline_of(None, deadline) as limit:
            return _Run(question, self.gap, progress, limit, pool).run()


@dataclass
class _Run:
    """One run: what is known so far.

    Attributes:
        best: outcome of the best topology. lowers: bounds of the topologies that were solved, by their states.
        uncertainty: the days, and what their solutions leave to the next. root: bound of the whole, by the first days.
    """

    question: DayQuestion
    gap: float
    progress: Progress | None
    deadline: Deadline
    pool: InitVar[ScenarioPool | None] = None
    best: DayOutcome | None = None
    lowers: dict[bytes, float] = field(default_factory=dict)
    log: list[Iteration] = field(default_factory=list)
    tree: TopologyTree | None = None
    uncertainty: DayUncertainty = field(init=False)
    began: float = field(init=False)
    root: float = -math.inf

    def __post_init__(self, pool: ScenarioPool | None) -> None:
        self.uncertainty, self.began = uncertainty(self.question, pool), self.deadline.passed()

    def run(self) -> DayOutcome:
        """Start, and prove."""
        expected = self.uncertainty.first()
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
        found = self.uncertainty.early(closed, self.deadline)
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
        mixed = None if self.deadline.over() else self.uncertainty.weighed(state, self.deadline)
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
        value = max(value, self.uncertainty.bound(state, self.deadline))
        if value >= self.cutoff:
            self.lowers[key] = value
            return
        outcome = self.uncertainty.solve(closed, SHARE * self.gap, self.deadline, self.cutoff)
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
        return (*own, f"partial topologies bounded: {nodes}; topologies solved: {len(self.lowers)}")


def _rank(outcome: DayOutcome) -> tuple[float, float]:
    """Plans that keep the limits first, then those of least violation."""
    worst = outcome.worst
    violation = float(np.sum(worst.violations)) if worst is not None else math.inf
    return outcome.upper_bound, violation


def first_status(question: DayQuestion, relaxation: DayRelaxation) -> States:
    """(m) states of the branches that may be closed: undecided unless they are given."""
    fixed = question.rules.must_close | (~question.network.switchable & question.network.closed)
    return np.where(fixed[relaxation.branch], CLOSED, UNDECIDED).astype(np.int8)
