"""The master: first stage, θ for the recourse of every realisation, their risk, cuts, and copies of the recourse.

Cones are outer approximated by tangents: linear inequalities that every point of the cone keeps. At a point (û, t̂)
with t̂ > 0, a = û/t̂: for all Σ u_k² ≤ s t follows 2 aᵀu − |a|² t ≤ s, because 0 ≤ |u − a t|² / t. The tangent needs no
accuracy: any point gives a valid one.

Where t̂ is nearly 0 and û is not, as of a branch that a master opens and sends power over, û/t̂ is no slope. There a is
that of the cone ‖(2u, s − t)‖ ≤ s + t, whose tangent at the same point is 4 ûᵀu + d (s − t) ≤ N (s + t) with
d = ŝ − t̂ and N = ‖(2û, d)‖, which is the inequality above with a = 2 û / (N − d).

Choice of the recourses that are embedded in the master: few of them, such that the bound is still strong.

The recourse is convex in decision and realisation together, so a copy at the mean of some realisations bounds the mean
of their costs from below (Jensen), whatever the risk. The bound is weaker the more these realisations differ: so a copy
stands for realisations that are alike, and those without weight in the risk need no copy.

Theory: docs/methods.md M21.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.cluster.hierarchy import fcluster, ward

from openpoint.arrays import Bools, Floats, Ints
from openpoint.solvers.base import Answer, Status
from openpoint.solvers.highs import HighsModel
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import (
    SHARE_TOLERANCE,
    AnyProgram,
    FirstStage,
    Goal,
    Objective,
    SecondStage,
    no_good,
    parts,
)
from openpoint.twostage.recourse.compile import Template, compile_model
from openpoint.twostage.recourse.evaluation import Response


@dataclass(frozen=True)
class RecourseCopy:
    """The choice of an embedded recourse: one at the weighted mean of realisations, by Jensen's inequality.

    Attributes:
        weights: (K), 0 or more, sum 1. The mean of the recourse costs under them is at least the cost of the copy.
        realisation: (m) the mean.
        most: upper bound of the copy's cost at every decision of interest, where f ≥ 0; `inf` where none is known.
        share: factor such that share · weights, summed over all copies, is at most a probability vector of the risk.

    Theory: docs/methods.md M27.
    """

    weights: Floats
    realisation: Floats
    most: float
    share: float = 0.0


@dataclass(frozen=True)
class EmbeddedRecourse:
    """A recourse in a model: its stage, the choice it was made from, and all constraints but those of the cones."""

    stage: SecondStage
    recourse: SecondStage
    constraints: list[cp.Constraint]


def embed_recourse(
    program: AnyProgram, first: FirstStage, theta: cp.Expression, copy: RecourseCopy, goal: Goal
) -> EmbeddedRecourse:
    """Embed a copy of the recourse, with θ ≥ its cost; the caller adds its cones."""
    always = goal is Goal.COST
    recourse: SecondStage = program.recourse(first.decision, cp.Constant(copy.realisation), limits=always)
    match goal:
        case Goal.COST:
            stage = recourse.hard()
        case Goal.WITHOUT_LIMITS:
            stage = recourse.without_limits()
        case Goal.VIOLATION:
            stage = recourse.softened()
    constraints = list(stage.constraints)
    constraints += program.valid_inequalities(first, recourse, copy.realisation, most=copy.most, limits=always)
    # A rotated cone includes s, t ≥ 0, which must be constraints where the caller leaves the cone out.
    constraints += [part >= 0 for cone in stage.cones for part in (cone.s, cone.t)]
    constraints.append(theta >= stage.cost)
    return EmbeddedRecourse(stage, recourse, constraints)


ROUNDING = 1e-12
"""Relative difference of costs that is rounding."""
SPREAD = 0.06
"""Largest share of the mean square of the realisations within the clusters. Below it another copy slows the master down
more than the better bound saves."""


def choose_copies(objective: Objective, values: Floats | None, best: float, count: int) -> list[RecourseCopy]:
    """Choose at most `count` copies of the recourse.

    Args:
        objective: of the program.
        values: (K) recourse costs of the best decision known; None where none is.
        best: its verified objective; `inf` where none is.
        count: most copies; 0 = none.
    """
    k = objective.count
    if count == 0:
        return []
    guess = objective.probabilities.worst(np.ones(k))[1] if values is None else objective.worst_probabilities(values)
    heavy = np.flatnonzero(guess > 1e-9)
    if len(heavy) <= count:
        return [_copy(objective, np.eye(k)[i], guess, best) for i in heavy]
    label = _alike(objective.realisations[heavy], guess[heavy], count)
    copies = []
    for cluster in np.unique(label):
        weights = np.zeros(k)
        weights[heavy[label == cluster]] = guess[heavy[label == cluster]]
        copies.append(_copy(objective, weights / weights.sum(), guess, best))
    return copies


def _alike(points: Floats, weights: Floats, most: int) -> Ints:
    """Label of each point: the fewest clusters within which the points spread little, at most so many."""
    tree = ward(points)
    size = float(weights @ (points**2).sum(axis=1))
    label = np.ones(len(points), dtype=np.int64)
    for count in range(1, most + 1):
        label = fcluster(tree, count, criterion="maxclust").astype(np.int64)
        within = 0.0
        for cluster in np.unique(label):
            members = label == cluster
            mean = np.average(points[members], axis=0, weights=weights[members])
            within += float(weights[members] @ ((points[members] - mean) ** 2).sum(axis=1))
        if within <= SPREAD * size:
            break
    return label


def _copy(objective: Objective, weights: Floats, probabilities: Floats, best: float) -> RecourseCopy:
    """A copy of the recourse, with an upper bound of its cost.

    Where f + ρ ≤ best, every probability vector p of the set has pᵀ(θ − W) + f ≤ best, with W the wait-and-see values.
    If p ≥ share · weights, the copy's part of pᵀθ is share times its cost, and the rest is at least (1 − share) times
    the lower bound of all recourse costs.
    """
    used = weights > 0.0
    share = float(np.min(probabilities[used] / weights[used]))
    most = np.inf
    if share > 1e-9 and np.isfinite(best):
        most = (best + float(probabilities @ objective.wait_and_see_upper) - (1.0 - share) * objective.floor) / share
    return RecourseCopy(weights, weights @ objective.realisations, most, share)


STEEP = 1e-3
"""Share of |û| below which t̂ is nearly 0."""
STEEP_LEAST = 1e-6
"""Least violation there at which a tangent is added, above the accuracy of a linear program."""


class Tangents:
    """Tangents of one vector of cones, as rows over the columns of a model."""

    def __init__(self, columns: tuple[Ints, ...], n: int) -> None:
        """Start without tangents.

        Args:
            columns: columns (u…, s, t), each (C).
            n: columns of the model.
        """
        self._u, self._s, self._t = columns[:-2], columns[-2], columns[-1]
        self._n = n
        self.slopes: list[list[Floats]] = [[] for _ in self._s]

    def rows(self, point: tuple[Floats, ...], tolerance: float, *, settled: bool) -> sp.csr_array:
        """Rows (≤ 0) that cut off `point` where it violates its cone by more than a relative tolerance.

        Args:
            point: (u…, s, t), each (C).
            tolerance: relative to the s that the cone needs.
            settled: the point lies on the cone; then s is the value by the tangents so far, and tangents are added
                where that is too small.
        """
        u, s, t = np.array(point[:-2]), point[-2], np.asarray(point[-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.where(t > 1e-9, (u**2).sum(axis=0) / t, 0.0)
            slope = np.where(t > 1e-9, u / t, 0.0)
        least = np.full(len(t), 1e-10)
        if settled:
            known = np.array([self._known(e, u[:, e], t[e]) for e in range(len(t))])
        else:
            known = s
            steep = t <= STEEP * np.sqrt((u**2).sum(axis=0))
            slope[:, steep] = _steep_slopes(u[:, steep], s[steep], t[steep])
            needed[steep] = (2.0 * slope * u - slope**2 * t).sum(axis=0)[steep]
            least[steep] = STEEP_LEAST
        chosen = np.flatnonzero(needed - known > np.maximum(tolerance * needed, least))
        for e in chosen:
            self.slopes[e].append(slope[:, e])
        return self._matrix(chosen, slope[:, chosen])

    def _known(self, e: int, u: Floats, t: float) -> float:
        return max((float(2 * a @ u - a @ a * t) for a in self.slopes[e]), default=0.0)

    def _matrix(self, chosen: Ints, slope: Floats) -> sp.csr_array:
        k, count = len(self._u), len(chosen)
        rows = np.tile(np.arange(count), k + 2)
        columns = np.concatenate([*(u[chosen] for u in self._u), self._s[chosen], self._t[chosen]])
        values = np.concatenate([(2 * slope).ravel(), -np.ones(count), -(slope**2).sum(axis=0)])
        return sp.csr_array((values, (rows, columns)), shape=(count, self._n))


def _steep_slopes(u: Floats, s: Floats, t: Floats) -> Floats:
    """(K, C) the slopes a of the tangents where t is nearly 0; 0 where u is."""
    difference = s - t
    rest = np.sqrt(4.0 * (u**2).sum(axis=0) + difference**2) - difference
    slopes: Floats = np.divide(2.0 * u, rest, out=np.zeros_like(u), where=rest > 0.0)
    return slopes


ROOT_ROUNDS = 40
"""Rounds of tangents at the root; each is one warm-started linear program."""
ROOT_TOLERANCE = 1e-3
"""Relative error of the cones that remains at the root. A smaller one needs more tangents, which slow every node."""
SETTLED_ROUNDS = 40
"""Rounds of tangents for one choice of the integers; each is one warm-started linear program."""
SETTLED_TOLERANCE = 1e-5
"""Relative error of the cones that remains where the integers are given."""
SETTLED_GAIN = 1e-8
"""Relative rise of the bound below which a round is the last."""


@dataclass(frozen=True)
class Proposal:
    """The answer of a master: a decision (None if there is none) and a lower bound of the whole objective."""

    status: Status
    decision: Floats | None
    bound: float
    point: Floats | None


class Master:
    """The master: one mixed-integer model to which cuts and copies of the recourse are added.

    It contains the first stage, the linear part of the copies, and tangents in place of the cones of the copies. All
    other recourses are represented by cuts only.
    """

    def __init__(self, program: AnyProgram, objective: Objective, copies: Sequence[RecourseCopy]) -> None:
        """Compile the model, once.

        Args:
            program: the two-stage program.
            objective: what to minimise over its realisations.
            copies: recourses to embed.
        """
        first = program.first_stage(with_recourse=bool(copies))
        theta = cp.Variable(objective.count, name="theta")
        risk = cp.Variable(name="risk")
        rho, constraints = objective.probabilities.block(theta - objective.wait_and_see_upper)
        constraints += [*first.constraints, theta >= objective.floor, risk >= objective.risk_lower_bound, risk >= rho]
        embedded = [embed_recourse(program, first, copy.weights @ theta, copy, objective.goal) for copy in copies]
        constraints += [constraint for each in embedded for constraint in each.constraints]
        violation = objective.goal is Goal.VIOLATION
        waived: cp.Variable | None = None
        if objective.goal is Goal.WITHOUT_LIMITS:
            waived = cp.Variable(objective.count, name="waived")
            spare = 1.0 - objective.share + SHARE_TOLERANCE
            constraints += [waived >= 0, waived <= 1, objective.weights @ waived <= spare]
        integers = first.integers if waived is None else (*first.integers, waived)
        cost = risk if violation else first.cost + risk
        form = compile_model(cost, constraints, integers)
        self._model = HighsModel(form)
        self._floor, self._distance, self.binary = objective.risk_lower_bound, program.distance_min, first.binary
        self._columns, self._theta, self._n = form.of(first.decision), form.of(theta), len(form.c)
        self._risk = int(form.of(risk)[0])
        self._waived = None if waived is None else form.of(waived)
        self.copies = tuple(copies)
        self._cone_columns = [
            [tuple(form.of(part) for part in parts(cone)) for cone in h.stage.cones] for h in embedded
        ]
        self._tangents = [[Tangents(columns, self._n) for columns in cones] for cones in self._cone_columns]

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of rows and columns at present."""
        return self._model.n_rows, self._n

    def root(self, stop: Callable[[], bool]) -> Proposal:
        """Solve the linear relaxation, tangents added round by round; its decision is fractional."""
        answer = self._model.solve(integral=False, stop=stop)
        for _ in range(ROOT_ROUNDS):
            if answer.status is Status.LIMIT or answer.x is None or not self._refine(answer.x, ROOT_TOLERANCE):
                break
            answer = self._model.solve(integral=False, stop=stop)
        return self._proposal(answer, fractional=True)

    def propose(
        self,
        *,
        gap: float,
        seconds: float,
        stop: Callable[[], bool],
        watch: Callable[[float], None] | None = None,
        presolve: bool = True,
    ) -> Proposal:
        """The decision that is optimal in the master, and the lower bound that this proves."""
        answer = self._model.solve(integral=True, gap=gap, presolve=presolve, seconds=seconds, stop=stop, watch=watch)
        return self._proposal(answer, fractional=False)

    def settle(self, proposal: Proposal, stop: Callable[[], bool]) -> Proposal:
        """The best decision with the integers of a proposal, tangents added round by round; its bound is unchanged.

        What is continuous in a first stage converges here, by linear programs, and not by one mixed-integer master
        after another: the next master knows what these integers cost (outer approximation, Duran and Grossmann 1986).
        """
        if proposal.point is None:
            return proposal
        columns, point, value = self._model.integers, proposal.point, -np.inf
        lower, upper = self._model.bounds_of(columns)
        self._model.fix(columns, np.round(point[columns]))
        for _ in range(SETTLED_ROUNDS):
            answer = self._model.solve(integral=False, stop=stop)
            if answer.status is not Status.OPTIMAL or answer.x is None:
                break
            gained, point, value = answer.value - value, answer.x, answer.value
            if not self._refine(point, SETTLED_TOLERANCE) or gained <= SETTLED_GAIN * max(1.0, abs(value)):
                break
        self._model.set_bounds(columns, lower, upper)
        return Proposal(proposal.status, point[self._columns], proposal.bound, point)

    def fix_at_zero(self, entries: Bools) -> None:
        """Fix some entries of the decision, (n), none of which may be negative, at 0 until `release`."""
        self._fixed_row = self._model.n_rows
        row = np.zeros(self._n)
        row[self._columns[entries]] = 1.0
        self._add(sp.csr_array(row[None, :]))

    def release(self) -> None:
        """Undo `fix_at_zero`."""
        self._model.set_rows(np.array([self._fixed_row]), np.array([-np.inf]), np.array([np.inf]))

    def recourse_estimates(self, point: Floats) -> Floats:
        """(K) cost of each recourse by the master's model at a point; −inf where copies bound only means of them."""
        if any(copy.weights.max() < 1.0 for copy in self.copies):
            return np.full(len(self._theta), -np.inf)
        return np.asarray(point[self._theta])

    def add_tangents(self, copy: int, response: Response) -> None:
        """Add tangents at the optimum of the recourse that is embedded as a copy; they imply the cut found there."""
        for tangents, point in zip(self._tangents[copy], response.point):
            self._add(tangents.rows(point, 1e-6, settled=True))

    def add_cut(self, k: int, decision: Floats, response: Response) -> str:
        """Add an optimality or feasibility cut of one realisation."""
        constant = response.value - float(response.slope @ decision)
        row = np.zeros(self._n)
        row[self._columns] = response.slope
        if not response.feasible:
            scale = max(1.0, float(np.abs(response.slope).max(initial=0.0)), abs(constant))
            if self._waived is not None:  # the binary of a realisation that need not keep its limits lifts the cut
                row[self._waived[k]] = -(float(np.maximum(response.slope, 0.0).sum()) + constant)
            self._add(sp.csr_array(row[None, :] / scale), upper=-constant / scale)
            return "feasibility"
        row[self._theta[k]] = -1.0
        scale = max(1.0, float(np.abs(response.slope).max(initial=0.0)))
        self._add(sp.csr_array(row[None, :] / scale), upper=-constant / scale)
        return "optimality"

    def add_no_good_cut(self, decision: Floats, cost: float) -> str:
        """Add a no-good cut: the risk of this decision is `cost`; with inf it may not be chosen."""
        slope, on_risk, upper = no_good(decision, cost, floor=self._floor, distance_min=self._distance)
        row = np.zeros(self._n)
        row[self._columns], row[self._risk] = slope, on_risk
        self._add(sp.csr_array(row[None, :]), upper)
        return "no-good"

    def add_no_good_of_part(self, decision: Floats, free: Bools, costs: Floats) -> None:
        """Add no-good cuts of a part of the decision: where it is the same off some `free` binary entries (n), and n of
        these are one, the risk is at least costs[n]; elsewhere at least the floor."""
        away = np.where(free, 0.0, np.where(decision > 0.5, -1.0, 1.0))
        ones = float((decision[~free] > 0.5).sum())
        numbers = np.arange(len(costs))
        for i, j in itertools.combinations(numbers, 2):  # of the lower convex hull of the costs
            slope = (costs[j] - costs[i]) / (j - i)
            line = costs[i] + slope * (numbers - i)
            if np.any(line > costs + ROUNDING * np.maximum(1.0, np.abs(costs))):
                continue
            steep = float(line.max()) - self._floor
            row = np.zeros(self._n)
            row[self._columns], row[self._risk] = np.where(free, slope, -steep * away), -1.0
            self._add(sp.csr_array(row[None, :]), steep * ones - float(line[0]))

    def add_copy(self, template: Template, k: int, realisation: Floats) -> int:
        """Add a copy of the recourse with its integers: columns y, rows, and θ_k ≥ its cost. The number of the copy."""
        a_x, a_y, b, constant = template.at(realisation)
        form = template.form
        lower, upper = np.concatenate([b[: form.n_zero], np.full(form.n_nonneg, -np.inf)]), b
        single = (np.diff(a_x.indptr) == 0) & (np.diff(a_y.indptr) == 1)
        low, high = np.full(len(template.y), -np.inf), np.full(len(template.y), np.inf)
        for row in np.flatnonzero(single):  # bounds of one column are no rows
            column, factor = a_y.indices[a_y.indptr[row]], a_y.data[a_y.indptr[row]]
            ends = sorted((lower[row] / factor, upper[row] / factor))
            low[column], high[column] = max(low[column], ends[0]), min(high[column], ends[1])
        place = np.full(len(form.c), -1)
        place[template.y] = np.arange(len(template.y))
        own = self._model.add_columns(np.zeros(len(template.y)), low, high, integers=place[form.integers])
        self._n = self._model.n
        kept = np.flatnonzero(~single & (np.diff(a_x.indptr) + np.diff(a_y.indptr) > 0))
        self._model.add_rows(self._wide(a_x[kept], a_y[kept], own), lower[kept], upper[kept])
        cost_x, cost_y = form.c[template.x][None, :], form.c[template.y][None, :]
        cost = sp.lil_array(self._wide(sp.csr_array(cost_x), sp.csr_array(cost_y), own))
        cost[0, self._theta[k]] = -1.0
        self._add(sp.csr_array(cost), -constant)
        self._cone_columns.append([tuple(own[place[part]] for part in cone) for cone in template.cones])
        self._tangents.append([Tangents(columns, self._n) for columns in self._cone_columns[-1]])
        return len(self._tangents) - 1

    def _wide(self, a_x: sp.csr_array, a_y: sp.csr_array, own: Ints) -> sp.csr_array:
        """Rows over the decision and the columns of a copy as rows over the model."""
        x, y = sp.coo_array(a_x), sp.coo_array(a_y)
        rows = np.concatenate([x.coords[0], y.coords[0]])
        columns = np.concatenate([self._columns[x.coords[1]], own[y.coords[1]]])
        return sp.csr_array((np.concatenate([x.data, y.data]), (rows, columns)), shape=(a_x.shape[0], self._n))

    def refine(self, point: Floats) -> None:
        """Add tangents at a point of the master itself."""
        self._refine(point, ROOT_TOLERANCE)

    def _refine(self, x: Floats, tolerance: float) -> bool:
        added = False
        for copy, cones in zip(self._tangents, self._cone_columns):
            for tangents, columns in zip(copy, cones):
                rows = tangents.rows(tuple(x[c] for c in columns), tolerance, settled=False)
                self._add(rows)
                added |= rows.shape[0] > 0
        return added

    def _add(self, rows: sp.csr_array, upper: float = 0.0) -> None:
        self._model.add_rows(rows, np.full(rows.shape[0], -np.inf), np.full(rows.shape[0], upper))

    def _proposal(self, answer: Answer, *, fractional: bool) -> Proposal:
        decision = None
        if answer.x is not None:
            decision = answer.x[self._columns]
            decision = decision if fractional or not self.binary else np.round(decision)
        return Proposal(answer.status, decision, answer.bound, answer.x)
