"""The mathematical model of hardening: which lines to make safe from disasters and where to put backup generators.

min  Σ line_usd h + Σ generator_usd g + ρ_u [ Q(h, g, u) ]        Σ h ≤ lines, Σ g ≤ generators, cost ≤ budget; binary
Q  = min  Σ voll p shed                                           after the disaster u, 1 where a branch is broken
     s.t. closed ≤ 1 − u + h, closed ≤ 1;   radial energised islands, each with one root: a substation or a backup
          generator;   LinDistFlow with shedding, voltage limits and ratings;   generators run in energised islands only

A load is shed in part or whole, active and reactive power alike, and so is net infeed of a bus, at no cost. Generators
of the grid may run below their least output, but form no grid.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self, final

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import InputError, OptionError, Problem
from openpoint.formulations.islands import (
    Islands,
    islands,
    lindistflow,
    nominal_demand,
    voltage_limits,
    voltage_upper_bound,
)
from openpoint.graph import bridges
from openpoint.network import Network
from openpoint.network.stations import Stations
from openpoint.scenarios.disasters import Disasters
from openpoint.scenarios.futures import DisastersRecipe
from openpoint.solvers.modelling import cp
from openpoint.studies.harden import constraints as block
from openpoint.studies.harden.constraints import Supply, built
from openpoint.studies.harden.recourse_bounds import RestorationBounds
from openpoint.twostage.ambiguity import Ambiguity, TotalVariation
from openpoint.twostage.program import (
    AddedBounds,
    FirstStage,
    PlainProgram,
    RecourseBounds,
    ReducedProgram,
    SecondStage,
)
from openpoint.twostage.risk import Expectation, Risk, WorstCase, probability_set
from openpoint.twostage.uncertainty import AmbiguousScenarios, Budget, Scenarios, Uncertainty
from openpoint.twostage.workers.pool import never

NOISE = 0.3
"""Most that is added to an entry before it is rounded again."""
THRESHOLDS = 0.5, 0.25
"""Entries below are not bought, in turn."""


@final
@dataclass(frozen=True)
class BudgetRounding:
    """Rounding as in the greedy heuristic of the knapsack problem (Dantzig 1957): the largest entries first.

    Attributes:
        costs: (H + G) cost of each entry, lines before generators. n_lines: H.
        max_lines, max_generators, budget_usd: most to buy; None = any number.
    """

    costs: Floats
    n_lines: int
    max_lines: int | None
    max_generators: int | None
    budget_usd: float | None

    def plans(self, decision: Floats, count: int) -> Iterable[Floats]:
        """Up to `count` different plans, after the first with noise added."""
        rng = np.random.default_rng(0)
        seen: set[bytes] = set()
        for k in range(count):
            weight = decision + (NOISE * rng.random(len(decision)) if k else 0.0)
            rounded = self._rounded(weight, threshold=THRESHOLDS[k % 2])
            if (key := rounded.tobytes()) not in seen:
                seen.add(key)
                yield rounded

    def _rounded(self, weight: Floats, *, threshold: float) -> Floats:
        """What is at or above the threshold, the heaviest first, within numbers and money."""
        left = [len(weight) if most is None else most for most in (self.max_lines, self.max_generators)]
        money = np.inf if self.budget_usd is None else self.budget_usd
        rounded = np.zeros(len(weight))
        for k in np.argsort(-weight, kind="stable"):
            kind = int(k >= self.n_lines)
            if weight[k] >= threshold and left[kind] > 0 and self.costs[k] <= money:
                rounded[k] = 1.0
                left[kind] -= 1
                money -= float(self.costs[k])
        return rounded


SAVING_COUNTS = 4
"""Most backup generators for which it is worth knowing what they save at most: the more there are, the less is known of
one."""
SMALL_USD = 1e-6
"""$ by which a budget may be exceeded: rounding of sums."""
ROOT_W = 1.0
"""Squared voltage that a grid-forming backup generator holds, where the limits of its bus allow it."""


@final
@dataclass(frozen=True)
class Backup:
    """The kind of backup generator that may be bought: it runs from 0 to p_kw and from −q_kvar to q_kvar."""

    p_kw: float
    q_kvar: float

    def __post_init__(self) -> None:
        if not (self.p_kw > 0.0 and self.q_kvar >= 0.0):
            raise OptionError(
                f"a backup generator of {self.p_kw:g} kW, {self.q_kvar:g} kvar; give above 0 kW, 0 or more kvar"
            )


@final
@dataclass(frozen=True)
class Restoration(SecondStage):
    """The recourse: what is restored after one disaster.

    Attributes:
        islands: topology.
        shed: (N) share of the net demand of a bus that is not met.
        backup: (2, G) active and reactive output of the backup generators, per unit; None where none may be bought.
        s_gen: (2, D) of the grid's dispatchable generators; None where there are none.
        w, p, q: flow, see LinDistFlow.
    """

    islands: Islands
    shed: cp.Variable
    backup: cp.Variable | None
    s_gen: cp.Variable | None
    w: cp.Variable
    p: cp.Variable
    q: cp.Variable


@final
@dataclass(frozen=True, kw_only=True)
class HardenProgram(PlainProgram[FirstStage, Restoration]):
    """Hardening as a two-stage program: x = (h, g) is what is bought, u the broken branches, the recourse restores.

    Attributes:
        network: the grid with the limits to keep, its permanently closed loops opened.
        uncertainty: broken branches, realisations of (E) zeros and ones in the order of the network's branches.
        risk: how the costs of the disasters become one.
        lines: (H) branches that may be hardened. line_usd: (H) cost of each.
        buses: (G) buses, no sources, that may get a backup generator. generator_usd: (G) cost of each.
        backup: the kind of backup generator.
        voll_usd_per_kw: (N) value of lost load, for the whole outage.
        max_lines, max_generators, budget_usd: most to buy; None = any number.
        closed_line_usd: cost of a branch that is closed after the disaster.
        integral: whether the recourse has its integers; without them it is a relaxation, and convex in the disaster.
        stations: the permanently closed loops; None where there are none.
    """

    network: Network
    uncertainty: Uncertainty
    risk: Risk
    lines: Ints
    line_usd: Floats
    buses: Ints
    generator_usd: Floats
    backup: Backup
    voll_usd_per_kw: Floats
    max_lines: int | None = None
    max_generators: int | None = None
    budget_usd: float | None = None
    closed_line_usd: float = 0.0
    integral: bool = True
    stations: Stations | None = None

    recourse_lower_bound = 0.0

    @property
    def integer_recourse(self) -> bool:
        """Whether islands form by integers; their relaxation has none."""
        return self.integral

    def __post_init__(self) -> None:
        net = self.network
        fixed = np.flatnonzero(self.always_closed)
        if not net.in_forest(fixed).all():
            a, b = (ends[fixed] for ends in net.merged_ends)
            loop = ", ".join(net.branch_names[e] for e in fixed[~bridges(net.n_terminals, a, b)])
            remedy = "Make one of them switchable (`openpoint convert --switchable`), or open it"
            what = "closed and not switchable, they form a loop or join two sources"
            raise InputError([Problem("branches", loop, "", what, remedy)])
        if np.isin(self.buses, net.source_terminal).any():
            raise OptionError("a source needs no backup generator; leave its bus out")

    @cached_property
    def always_closed(self) -> Bools:
        """(E) branches that are closed wherever they are whole."""
        return np.asarray(self.network.closed & ~self.network.switchable)

    @cached_property
    def always_open(self) -> Bools:
        """(E) branches that cannot be closed."""
        return np.asarray(~self.network.closed & ~self.network.switchable)

    @cached_property
    def costs(self) -> Floats:
        """(H + G) cost of each entry of the decision."""
        return np.concatenate([self.line_usd, self.generator_usd])

    def hardened(self, decision: Floats) -> Bools:
        """(E) branches that a decision hardens."""
        mask = np.zeros(self.network.n_conductors, dtype=np.bool_)
        mask[self.lines[decision[: len(self.lines)] > 0.5]] = True
        return mask

    @cached_property
    def monotone(self) -> bool:
        """Whether buying more never costs more after any disaster: it only adds to what may be done, unless a hardened
        branch cannot be opened."""
        return not self.always_closed[self.lines].any()

    def recourse_bounds(
        self, decision: Floats, realisations: Floats, stop: Callable[[], bool] = never
    ) -> RecourseBounds | None:
        """What parts of the grid are cut off, and which trees serve the rest; not where branches have a cost of their
        own, a hardened one cannot be opened, or the recourse has no integers, with which alone it holds."""
        if not self.monotone or self.closed_line_usd or not self.integral:
            return None
        return self._restoration_bounds.recourse_bounds(decision, realisations, stop)

    def relaxed_cuts(
        self, decision: Floats, realisations: Floats, stop: Callable[[], bool] = never
    ) -> tuple[Floats, Floats] | None:
        """Cuts of capped flows, see `FlowBound`; not where the recourse has no integers: islands are trees there."""
        if not self.integral:
            return None
        return self._restoration_bounds.cuts(decision, realisations, stop)

    def better_bounds(
        self,
        decision: Floats,
        realisation: Floats,
        programs: float = 0,
        gap: float = 0.0,
        stop: Callable[[], bool] = never,
    ) -> tuple[float, float]:
        """By all spanning trees, the best that exchanges find, or a search over them where no generator is bought."""
        if (decision[len(self.lines) :] > 0.5).any():
            return self._restoration_bounds.improve_placed(decision, realisation, gap if programs else np.inf)
        if programs and not self._restoration_bounds.has_program:
            return 0.0, np.inf
        return self._restoration_bounds.improve(decision, realisation, programs, gap, stop)

    def tree(self, decision: Floats, broken: Floats) -> Bools:
        """(E) branches that suffice for a restoration after a disaster (E) at a decision, found without a solver."""
        return self._restoration_bounds.tree(decision, broken)

    @cached_property
    def _restoration_bounds(self) -> RestorationBounds:
        net = self.network
        voll = self.voll_usd_per_kw * net.s_base_kva
        backup = self.backup.p_kw / net.s_base_kva, self.backup.q_kvar / net.s_base_kva
        worst = isinstance(self.risk, WorstCase)
        return RestorationBounds(net, self.lines, self.buses, backup, self.root_w, voll, self.generators_most, worst)

    @property
    def nothing_served_usd(self) -> float:
        """A cost that no disaster exceeds, whatever is bought: all load is shed; inf where even that breaks limits."""
        return self._restoration_bounds.nothing_usd + self.closed_line_usd * int(self.always_closed.sum())

    def first_stage(self, *, with_recourse: bool) -> FirstStage:
        """What to buy, within numbers and money."""
        x = cp.Variable(len(self.costs), name="bought")
        return FirstStage(x, (x,), self._budget(x), self.costs @ x)

    def _budget(self, x: cp.Variable) -> list[cp.Constraint]:
        """0 ≤ x ≤ 1, Σ h ≤ lines, Σ g ≤ generators, cost ≤ budget."""
        count = len(self.lines)
        constraints: list[cp.Constraint] = [x >= 0, x <= 1]
        for part, most in ((x[:count], self.max_lines), (x[count:], self.max_generators)):
            if most is not None and part.size:
                constraints.append(cp.sum(part) <= most)
        if self.budget_usd is not None:
            constraints.append(self.costs @ x <= self.budget_usd)
        return constraints

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> Restoration:
        """Least shedding after a disaster; the limits are kept, shedding always can."""
        net, count = self.network, len(self.lines)
        topology = self._islands()
        supply = self._supply(decision[count:], topology)
        shed = cp.Variable(net.n_terminals, name="shed")
        s_gen = cp.Variable((2, len(net.generator_names)), name="s_gen") if len(net.generator_names) else None
        demand_p, demand_q = block.net_demand(net, shed, supply, s_gen)
        low, high = self._voltages
        flow = lindistflow(net, topology.closed, demand_p, demand_q, most=None, bounds=(low, high))
        hardened, at = self._selects_lines @ decision[:count], self.buses
        constraints = [
            *topology.constraints,
            *block.damage(topology.closed, realisation, hardened, self.always_closed, self.always_open),
            *block.load_shedding(shed, supply.served),
            *supply.constraints,
            *block.generator_limits(net, s_gen, supply.served),
            *flow.constraints,
            *block.flow_limits(topology, (flow.p, flow.q), self._reach),
            *block.root_voltage(flow.w[at], topology.root, self.root_w, low[at], high[at]),
        ]
        return Restoration(
            constraints,
            (),
            (),
            self._outage_cost(shed, topology.closed),
            integers=topology.integers if self.integral else (),
            islands=topology,
            shed=shed,
            backup=supply.output,
            s_gen=s_gen,
            w=flow.w,
            p=flow.p,
            q=flow.q,
        )

    def _islands(self) -> Islands:
        """Radial islands around the sources and around backup generators."""
        net = self.network
        ends = net.terminal_fr, net.terminal_to
        return islands(net.n_terminals, *ends, net.source_terminal, self.buses, ~self.always_closed)

    def _outage_cost(self, shed: cp.Variable, closed: cp.Expression) -> cp.Expression:
        """Σ voll p shed, and what closed branches cost."""
        net = self.network
        lost_kw = net.s_base_kva * np.maximum(nominal_demand(net).real, 0.0)
        cost = (self.voll_usd_per_kw * lost_kw) @ shed
        return cost + self.closed_line_usd * cp.sum(closed) if self.closed_line_usd else cost

    @cached_property
    def _selects_lines(self) -> sp.csr_array:
        """(E, H) takes the lines that may be hardened to the branches."""
        e, count = self.network.n_conductors, len(self.lines)
        return sp.csr_array((np.ones(count), (self.lines, np.arange(count))), shape=(e, count))

    def _supply(self, chosen: cp.Expression, topology: Islands) -> Supply:
        """What the backup generators give that are chosen, (G)."""
        size = self.backup.p_kw / self.network.s_base_kva, self.backup.q_kvar / self.network.s_base_kva
        return built(self.buses, size, chosen, topology, self.network.n_terminals)

    @cached_property
    def _reach(self) -> block.Reach:
        """For active and reactive power: (N) most that each bus takes, and most that it feeds in.

        Where only sums over all buses count, no more backup generators count than can be bought.
        """
        net = self.network
        share = self.generators_most / max(len(self.buses), 1)
        s = nominal_demand(net)
        found = []
        for demand, least, most, size in (
            (s.real, net.p_min, net.p_max, (0.0, self.backup.p_kw)),
            (s.imag, net.q_min, net.q_max, (self.backup.q_kvar, self.backup.q_kvar)),
        ):
            take, feed = np.maximum(demand, 0.0), np.maximum(-demand, 0.0)
            np.add.at(take, net.generator_terminal, np.maximum(-least, 0.0))
            np.add.at(feed, net.generator_terminal, np.maximum(most, 0.0))
            take[self.buses] += share * size[0] / net.s_base_kva
            feed[self.buses] += share * size[1] / net.s_base_kva
            found.append((take, feed))
        return found[0], found[1]

    @cached_property
    def root_w(self) -> Floats:
        """(G) squared voltage that a backup generator holds where it forms a grid."""
        low, high = voltage_limits(self.network)
        return np.asarray(np.clip(ROOT_W, low[self.buses], high[self.buses]))

    @cached_property
    def _voltages(self) -> tuple[Floats, Floats]:
        """(N) least and most squared voltage."""
        low, high = voltage_limits(self.network)
        (_, p_feed), (_, q_feed) = self._reach
        held = float(np.max(np.abs(self.network.source_v) ** 2, initial=0.0))
        held = max([held, *self.root_w]) if self.generators_most else held
        most = voltage_upper_bound(self.network, held, float(p_feed.sum()), float(q_feed.sum()))
        return low, np.clip(most, low, high)

    @cached_property
    def generators_most(self) -> int:
        """The most generators that numbers and money allow."""
        most = [len(self.buses)] + ([] if self.max_generators is None else [self.max_generators])
        if self.budget_usd is not None:
            most.append(int(np.sum(np.cumsum(np.sort(self.generator_usd)) <= self.budget_usd)))
        return min(most)

    def reduced_program(self, decision: Floats) -> ReducedProgram | None:
        """With the places of its generators alone."""
        count = len(self.lines)
        here = decision[count:] > 0.5
        if here.all():
            return None
        few = dataclasses.replace(
            self, buses=self.buses[here], generator_usd=self.generator_usd[here], max_generators=None, budget_usd=None
        )
        return ReducedProgram(here.tobytes(), few, np.concatenate([decision[:count], decision[count:][here]]))

    def deferred_entries(self) -> Bools | None:
        """Generators, where searching lines alone is quicker and its cuts bound them, too."""
        if not self.generators_most or not self.monotone or self.closed_line_usd or not self.integral:
            return None
        return np.arange(len(self.costs)) >= len(self.lines)

    def added_bounds(self, decision: Floats, realisations: Floats, least: Floats) -> AddedBounds | None:
        """What one or two generators save at every place, and more of them at any, where there is none yet."""
        entries, most = self.deferred_entries(), self.generators_most
        if entries is None or not 0 < most <= SAVING_COUNTS or (decision[entries] > 0.5).any():
            return None
        found = self._restoration_bounds.with_generators(decision, realisations, least)
        if found is None:
            return None
        cost, usd = self.first_stage_cost(decision), self.generator_usd
        pairs = cost + usd[:, None] + usd[None, :] - np.diag(usd)
        more = cost + np.concatenate([[0.0], np.cumsum(np.sort(usd))[:most]])
        dearest = np.inf if self.budget_usd is None else self.budget_usd + SMALL_USD
        pairs = np.where((pairs <= dearest) & ((most > 1) | np.eye(len(usd), dtype=np.bool_)), pairs, np.inf)
        return AddedBounds(np.flatnonzero(entries), pairs, found[0], np.where(more <= dearest, more, np.inf), found[1])

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """To buy nothing."""
        return [np.zeros(len(self.costs))]

    def rounding_heuristic(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterable[Floats]:
        """See `BudgetRounding`."""
        limits = self.max_lines, self.max_generators, self.budget_usd
        return BudgetRounding(self.costs, len(self.lines), *limits).plans(decision, count)

    def first_stage_cost(self, decision: Floats) -> float:
        """f at a decision, in $."""
        return float(self.costs @ decision)

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> Self:
        """The same program before other disasters."""
        return dataclasses.replace(self, uncertainty=uncertainty, risk=risk)


@dataclass(frozen=True)
class Threat:
    """The hazards: distinct disasters with their numbers of equal ones, or the number of lines that may break."""

    disasters: Disasters | None
    count: Ints
    any_lines: int | None
    uncertainty: Scenarios | AmbiguousScenarios | Budget
    words: str


def threat_of(
    network: Network,
    disasters: Disasters | None,
    any_lines: int | None = None,
    ambiguity: Ambiguity | DisastersRecipe | None = None,
) -> Threat:
    """The uncertainty of disasters; without any, that of the loss of any so many lines.

    Raises:
        OptionError: they do not fit the grid.
    """
    if disasters is None:
        assert any_lines is not None
        can_break = np.array([kind == "lines" for kind in network.branch_kinds])
        if not 1 <= any_lines <= can_break.sum():
            raise OptionError(f"any_lines is {any_lines}; give 1 to {can_break.sum()}, the number of lines")
        zero = np.zeros(network.n_conductors)
        budget = Budget(zero, zero, can_break.astype(np.float64), any_lines, whole=True)
        words = f"any {any_lines} of {can_break.sum()} lines may break, {budget.count():,} attacks"
        return Threat(None, np.zeros(0, dtype=np.int64), any_lines, budget, words)
    if disasters.broken.shape[1] != network.n_conductors:
        raise OptionError(
            f"the disasters are of a grid of {disasters.broken.shape[1]} branches, this one has "
            f"{network.n_conductors}; give the disasters of this grid"
        )
    given = len(disasters)
    count = np.ones(given, dtype=np.int64)
    # A finished set with numbers for each disaster belongs to the disasters as given.
    if ambiguity is None or isinstance(ambiguity, TotalVariation) or callable(ambiguity):
        disasters, number = disasters.merged()
        count = np.bincount(number)
    broken = disasters.broken.astype(np.float64)
    words = f"{given} disaster{'s' if given > 1 else ''}"
    words += f", {len(disasters)} distinct" if len(disasters) < given else ""
    if ambiguity is None:
        return Threat(disasters, count, None, Scenarios(broken, disasters.probabilities), words)
    made = ambiguity(disasters) if callable(ambiguity) else ambiguity
    uncertainty = AmbiguousScenarios(broken, disasters.probabilities, made)
    probability_set(uncertainty, Expectation()).worst(np.zeros(len(disasters)))  # refuses an empty set
    return Threat(disasters, count, None, uncertainty, f"{words}, ambiguous ({type(made).__name__})")
