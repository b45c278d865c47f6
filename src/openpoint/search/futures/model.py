"""Groups of the steps of a year, so that few futures bound the energy lost in all steps.

**The bound.** Let θ_t(x) be the loss of a radial state x in step t with demand s_t, and h_t the hours of the step. At a
node of the search, and at multipliers held fixed, the bound of the loss of its completions is

    b(s) = Σ_j (P_j y_j + Q_j μ_j) − c(y, μ, ν, φ, σ)          (`openpoint.search.kernel.bound`)

where c contains the greatest voltages, the limits and the loads that are no constant power, but no P and no Q. So b is
affine in the demand, and b(s_t) <= θ_t(x) for every completion x that keeps the limits in step t, if the voltages in c
hold in step t. Let the steps be divided into groups g with H_g = Σ h_t and mean demand m_g = Σ h_t s_t / H_g. Then for
each group, at multipliers of its own,

    H_g b(m_g) = Σ_{t in g} h_t b(s_t) <= Σ_{t in g} h_t θ_t(x)

and the sum over the groups is a lower bound of the energy lost. It is the bound of futures with the demands m_g and the
probabilities H_g / Σ H, so that the search for many futures takes it as it is, with two conditions: its caps of the
voltages are those of the least demand of every bus and of the greatest loss in any *step*, and the states that it ends
at are evaluated in all steps. Limits of voltage and current add terms with φ and σ to c, which are affine likewise.

**What it loses.** The best multipliers are other ones in every step, so that the bound at the mean is less than the
mean of the bounds (Jensen). The loss is nearly quadratic in the demand. With G the loss of the flows that the demands
cause on a tree at nominal voltage, what is lost is about the scatter Σ_g Σ_t h_t (s_t − m_g)ᴴ G (s_t − m_g). So groups
are divided, that of the largest scatter first, across the direction in which it scatters most. Which tree G is taken
from changes the groups, and never the validity of the bound.

Theory: docs/methods.md M17.

The search model of a grid under many load vectors: one model, and the powers of each.

Every future by itself: what it loses at least in a state of its own, which no state for all futures can beat.

**The bound.** Let θ_k(x) be the loss of state x in future k, prices of changes included, and a_k <= θ_k(x) for every x
that keeps the limits in future k. The risk is ρ(θ) = max {pᵀθ : p ∈ P} with P a set of probability vectors, p >= 0, so
that ρ(θ(x)) >= ρ(a) for every x: the *wait-and-see* bound (Madansky 1960). For the regret, what the future loses at
best is subtracted from both, from above.

On large grids it is much higher than what the nodes of a search for all futures reach, since the search for one future
has the bound by paths (`openpoint.search.paths`), probes and regions. It leaves what the futures lose by having one
state instead of one each, so that it does not end a search by itself where they differ.

**Means of groups.** Where the demands are means m_g of the steps of groups (`openpoint.search.futures.model`), the
loss of a radial state at the mean must be at most the mean of its losses. It is where no bus feeds in at the mean. In
the cone program min {Σ r l : balances, voltage law, l w >= p² + q²} of a state the demand s is a right side, so that
its value L(s) is convex, and the exact flow is feasible in it: L(s_t) <= θ(s_t) in every step t. At demands P, Q >= 0,
with r, x >= 0, L(m) = θ(m): with currents l the flows p, q grow and the voltages w fall, so that F(l) = (p² + q²) / w
grows in l, and each feasible point has l >= F(l). So its l is at least the least fixed point of F, which the iteration
from 0 reaches: the exact flow. Together θ(m_g) = L(m_g) <= mean of L(s_t) <= mean of θ(s_t). What a state loses at the
mean is bounded without limits here, since a state that keeps them in all steps might break them at the mean.

**Turns.** A round bounds every future by a search of at most so many nodes, later rounds by sixteen times as many. It
is due when the search for all futures has had as many operations, or up to a quarter of these where its gap is more
than `FAR` times as large, by as much. There are no more as soon as that search has the higher bound. Operations are
counted, so that no clock decides. There are none on grids of few buses.

What a search for many futures is given: the grid, its demands, a risk, and the exact evaluation of states.

Theory: docs/methods.md M16.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import no_devices
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import losses, solve
from openpoint.search.kernel.arrays import Model
from openpoint.search.model.build import Numbering, build_model, voltage_range
from openpoint.search.model.voltage_bounds import loss_upper_bound
from openpoint.search.paths.arrays import obstacles
from openpoint.search.topology import search_topologies
from openpoint.twostage.ambiguity import ProbabilitySet
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination

KEPT = 1e-7
"""Share of the scatter of all steps in the directions that are left out where groups are formed."""
TINY = 1e-4
"""Demands are scaled to that share of their size to find the flows that they cause without losses."""


def loss_form(network: Network, closed: Bools, shares: Complexes) -> Floats:
    """(d, d) matrix G: demands uᵀ shares lose about uᵀ G u on a tree, at nominal voltage and without losses of losses.

    Args:
        network: of constant power only for what is asked here. closed: (E) a tree. shares: (d, N) demands.
    """
    size = max(float(np.abs(shares).sum(axis=1).max(initial=0.0)), 1e-12)
    none = np.zeros(network.n_terminals, dtype=np.complex128)
    idle = np.zeros(len(network.generator_terminal), dtype=np.complex128)
    rows = np.vstack([none[None, :], shares * (TINY / size)])
    flows = solve(network, closed, s_power=rows, s_current=none, s_impedance=none, generation=idle)
    caused = np.nan_to_num(flows.i_series[1:] - flows.i_series[0]) * (size / TINY)
    return np.asarray(((caused * network.r) @ caused.conj().T).real)


def coordinates(profile: Floats, form: Floats, hours: Floats) -> Floats:
    """(T, k) coordinates of the steps in which squared distances are losses; directions of no weight are left out."""
    value, vector = np.linalg.eigh(form)
    points = profile @ (vector * np.sqrt(np.maximum(value, 0.0)))
    points = points - np.average(points, axis=0, weights=hours)
    spread, axes = np.linalg.eigh((points * hours[:, None]).T @ points)
    beyond = np.cumsum(np.maximum(spread, 0.0))
    return np.asarray(points @ axes[:, beyond >= KEPT * beyond[-1]])


def group_steps(points: Floats, hours: Floats, count: int, single: Ints) -> Ints:
    """(T) number of the group of each step: each of `single` by itself, the others in at most `count` groups.

    Args:
        points: (T, k) coordinates of the steps. hours: (T) their lengths. single: steps that are groups of their own.
    """
    label = np.full(len(points), -1, dtype=np.int64)
    label[single] = np.arange(len(single))
    rest = np.flatnonzero(label < 0)
    made = itertools.count()
    heap = [_measured(points, hours, rest, next(made))] if len(rest) else []
    while len(heap) < count and heap and heap[0][0] < 0.0:
        _, number, members, axis = heapq.heappop(heap)
        along = points[members] @ axis
        upper = along > np.average(along, weights=hours[members])
        if not upper.any() or upper.all():
            heapq.heappush(heap, (0.0, number, members, axis))
            continue
        for part in (members[upper], members[~upper]):
            heapq.heappush(heap, _measured(points, hours, part, next(made)))
    for number, (_, _, members, _) in enumerate(heap):
        label[members] = len(single) + number
    return label


def _measured(points: Floats, hours: Floats, members: Ints, number: int) -> tuple[float, int, Ints, Floats]:
    """Less the scatter of a group, its number, its members, and the direction in which it scatters most."""
    weight = hours[members, None]
    away = points[members] - (weight * points[members]).sum(axis=0) / weight.sum()
    spread, axes = np.linalg.eigh((away * weight).T @ away)
    return -float(np.maximum(spread, 0.0).sum()), number, members, axes[:, -1]


def means(profile: Floats, hours: Floats, label: Ints) -> tuple[Floats, Floats]:
    """(K, d) mean profile of every group, and (K) its hours."""
    total = np.asarray(np.bincount(label, hours), dtype=np.float64)
    mean = np.stack([np.bincount(label, hours * column) for column in profile.T], axis=1)
    return np.asarray(mean / total[:, None]), total


@dataclass(frozen=True, eq=False)
class Span:
    """Ends of many demands of N buses.

    Attributes:
        least: (N) least active and least reactive power of any demand. greatest: (N) greatest apparent power, real.
    """

    least: Complexes
    greatest: Complexes

    @classmethod
    def of(cls, demands: Complexes) -> Span:
        """Of (K, N) demands."""
        least = demands.real.min(axis=0) + 1j * demands.imag.min(axis=0)
        return cls(least, np.abs(demands).max(axis=0).astype(np.complex128))

    def joined(self, other: Span) -> Span:
        """The ends of the demands of both."""
        least = np.minimum(self.least.real, other.least.real) + 1j * np.minimum(self.least.imag, other.least.imag)
        return Span(least, np.maximum(self.greatest.real, other.greatest.real).astype(np.complex128))


@dataclass(frozen=True)
class FuturesModel:
    """The search model of K load vectors.

    Attributes:
        model, numbering: of the least loads; caps of the voltages hold for all load vectors.
        p, q: (K, N) constant power in the numbers of the model.
        most: no state of interest loses more in any of them.
    """

    model: Model
    numbering: Numbering
    p: Floats
    q: Floats
    most: float

    def of(self, k: int) -> Model:
        """The model of one load vector."""
        return replace(self.model, p=self.p[k].copy(), q=self.q[k].copy(), w_max=self.model.w_max.copy())


def without_limits(network: Network) -> Network:
    """The network with any voltage and any current allowed."""
    free = np.full(network.n_terminals, np.inf)
    return replace(network, w_min=np.zeros(network.n_terminals), w_max=free, l_max=np.full_like(network.l_max, np.inf))


def futures_model(
    network: Network,
    demands: Complexes,
    rules: SwitchingRules,
    *,
    limits: bool,
    span: Span | None = None,
    by_loss: bool = True,
) -> FuturesModel:
    """The model of a grid under (K, N) demands of constant power.

    Upper bounds of the voltages grow with what is fed in and with the greatest loss (`model.voltage_bounds`), so those
    at the least demand of every bus and the greatest loss of any load vector hold for all.

    Args:
        network: balanced, with the limits. limits: whether they are kept under every demand; if not, none is used.
        by_loss: whether voltages are bounded by the greatest loss, too; a certificate cannot rely on it.
        rules: for its branches.
        span: of all demands that these ones stand for; default: of these.

    Raises:
        OptionError: generators to dispatch, or a grid that the bound is not valid for.
    """
    if len(network.generator_names):
        raise OptionError("the search for many futures does not dispatch generators; clear their limits to fix them")
    if not limits:
        network = without_limits(network)
    span = Span.of(demands) if span is None else span
    least, greatest = replace(network, s_power=span.least), replace(network, s_power=span.greatest)
    model, numbering = build_model(least, rules)
    most = loss_upper_bound(greatest) * (1.0 + 1e-9)
    w_max = voltage_range(network, numbering.voltage_bounds, most if by_loss else np.inf, no_devices())[1]
    more = demands - least.s_power
    more[:, network.source_terminal] = 0.0
    here = more[:, numbering.bus]
    p, q = model.p + here.real, model.q + here.imag
    model = replace(model, p=model.p.copy(), q=model.q.copy(), w_max=w_max[numbering.bus].copy())
    return FuturesModel(model, numbering, np.ascontiguousarray(p), np.ascontiguousarray(q), most)


FIRST, TIMES = 1, 16
"""Nodes of a future's search in the first round, and the factor from round to round."""
SETTING_UP, MORE, A_NODE = 300, 20_000, 2
"""Futures that the search for all futures bounds at its nodes in the time that the search for one takes to begin: so
many, and `MORE` by the number of buses; and that it takes for a node."""
SOONER, FAR = 4.0, 4.0
"""By how much sooner a round is due at most; from which ratio of the gaps on it is so."""
JUDGED = 16
"""States found in a round that are worth a power flow in every future, at most."""
LEAST = 100
"""Buses from which on there are rounds: on smaller grids the search for all futures ends within less time."""
SHARPER = 0.1
"""Gap to which one future is bounded, relative to that which is asked for."""


def means_count(built: FuturesModel) -> bool:
    """Whether the loss of any radial state at the means of demands is at most the mean of its losses (see above)."""
    return not obstacles(replace(built.model, p=built.p.min(axis=0), q=built.q.min(axis=0)))


class Alone:
    """Lower bounds of the least loss of every future by itself.

    Attributes:
        least: (K) bounds, 0 at the beginning, inf where no state keeps the limits; with the cost of changes; per unit.
        states: radial states of least loss found on the way, those of the last round.
    """

    def __init__(
        self,
        network: Network,
        demands: Complexes,
        rules: SwitchingRules,
        gap: float,
    ) -> None:
        """`network`: with the limits to keep in every future. demands: (K, N). gap: asked for."""
        self.network, self.demands, self.rules = network, demands, rules
        self.gap = SHARPER * gap
        self.least: Floats = np.zeros(len(demands))
        self.states: list[Bools] = []
        self.nodes, self.ended, self.sooner = FIRST, False, 1.0
        self._proven: Bools = np.zeros(len(demands), dtype=bool)

    @property
    def due(self) -> float:
        """Futures that the search for all has bounded, at nodes of its own, when the next round is due."""
        count, buses = self.demands.shape
        none = self.ended or buses < LEAST
        return math.inf if none else count * (SETTING_UP + MORE / buses + A_NODE * self.nodes) / self.sooner

    def round(self, starts: Bools, deadline: Deadline, tell: Callable[[], None]) -> None:
        """Bound the futures that are not proven yet, heavy ones first; those for which the deadline leaves time.

        Args:
            starts: (S, E) radial states to begin with. tell: called after each future.
        """
        self.states = []
        size = np.abs(self.demands).sum(axis=1)
        for k in np.argsort(-size, kind="stable"):
            if self._proven[k]:
                continue
            if deadline.over():
                return
            found = search_topologies(
                replace(self.network, s_power=self.demands[k]),
                self.rules,
                gap=self.gap,
                node_limit=self.nodes,
                starts=starts,
                deadline=deadline,
                perturbations=False,
            )
            self.least[k] = max(self.least[k], found.lower_bound)
            self._proven[k] = found.termination in (
                *(Termination.OPTIMAL, Termination.GAP, Termination.INFEASIBLE, Termination.RELAXATION),
            )
            if found.closed is not None:
                self.states.append(found.closed)
            tell()
            if math.isinf(self.least[k]):
                break
        self.nodes *= TIMES
        self.ended = bool(self._proven.all()) or math.isinf(self.least.max())

    def best(self) -> Bools:
        """(C, E) some of the states that the last round found: those that lose least at the mean of the demands."""
        states = np.unique(np.array(self.states), axis=0)
        loss, _ = losses(self.network, states, s_power=self.demands.mean(axis=0))
        return states[np.argsort(loss, kind="stable")[:JUDGED]]

    def judge(self, bound: float, together: float, value: float) -> None:
        """Whether there are more rounds, and how soon; `bound`: of the futures alone, `together`: of the search for
        all, `value`: of the best state, inf where there is none."""
        self.ended |= bound <= together
        left = value - bound
        self.sooner = min(max((value - together) / (FAR * left), 1.0), SOONER) if 0.0 < left < math.inf else 1.0

    def bound(self, risk: ProbabilitySet, wait_and_see: Floats) -> float:
        """The wait-and-see bound."""
        if math.isinf(self.least.max()):
            return math.inf
        return float(risk.worst(self.least - wait_and_see)[0])


@dataclass(frozen=True)
class Verdicts:
    """The values of C radial states, by exact AC power flow; per unit.

    Attributes:
        objective: (C) risk of the losses and cost of changes, inf where the limits are not kept.
        bound: (C) the same with the most that each future may lose alone, where that counts; finite without limits.
        losses: (C, K). violation: (C) of the limits in all futures.
        stopped: whether the time was up before all states were evaluated; of the others all is inf but the losses.
    """

    objective: Floats
    bound: Floats
    losses: Floats
    violation: Floats
    stopped: bool = False


class StateEvaluator(Protocol):
    """Exact evaluation of radial states in all futures."""

    def __call__(self, closed: Bools) -> Verdicts:
        """Of (C, E) states."""
        ...


@dataclass(frozen=True)
class FuturesTask:
    """The task of a search: the radial state of least risk; per unit.

    Attributes:
        network: with the limits. demands: (K, N) constant power.
        rules: for its branches.
        probabilities: the set over which the risk is the worst expectation.
        wait_and_see: (K) what each future loses at best, from above, where the risk is that of the regret; else 0.
        evaluate: exact evaluation of states.
        limits: whether the limits are kept in every future. span: of all demands that those given stand for, where
            they are means of groups (`openpoint.search.futures.model`); None = they are all.
    """

    network: Network
    demands: Complexes
    rules: SwitchingRules
    probabilities: ProbabilitySet
    wait_and_see: Floats
    evaluate: StateEvaluator
    limits: bool = True
    span: Span | None = None

    def alone(self, gap: float, built: FuturesModel) -> Alone | None:
        """The futures by themselves; None where these say nothing: for regret, and for some means of groups."""
        if self.wait_and_see.any() or (self.span is not None and not means_count(built)):
            return None
        net = self.network if self.limits and self.span is None else without_limits(self.network)
        return Alone(net, self.demands, self.rules, gap)

    def built(self, *, by_loss: bool = True) -> FuturesModel:
        """The search model; `by_loss` as of `futures_model`, False for a certificate.

        Raises:
            OptionError: the bound is not valid for the grid.
        """
        return futures_model(
            self.network,
            self.demands,
            self.rules,
            limits=self.limits,
            span=self.span,
            by_loss=by_loss,
        )
