"""Topology search: branch and bound on which branches are closed, with a bound in closed form.

Every branch is closed, open or undecided; a bound of the loss of all completions costs microseconds and is rigorous
for any multipliers (`openpoint.search.kernel.bound`). `openpoint.search.kernel.node` is the tree search, and
`openpoint.search.exchange.ac_check` finds good radial states. Where every branch is decided the AC power flow judges.

Theory: docs/methods.md M9, M10.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from openpoint.arrays import Bools, States
from openpoint.network import Network
from openpoint.network.devices import Devices, no_devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.search.checkpoint import Checkpoint, key_of
from openpoint.search.dispatch import Cone, Dispatcher
from openpoint.search.incumbent import Incumbent, Judge, SearchTask, check_options
from openpoint.search.infeasibility import infeasibility_search
from openpoint.search.kernel.arrays import CLOSED, Model, work_for
from openpoint.search.kernel.bookkeeping import begin_anew
from openpoint.search.kernel.entries import LEAF, propagate
from openpoint.search.model.build import Numbering, build_model
from openpoint.search.model.objective import free_devices, objective_of
from openpoint.search.no_flow import is_infeasible
from openpoint.search.paths.arrays import obstacles
from openpoint.search.paths.drawn import drawing
from openpoint.search.paths.explorer import PathExplorer, PathTree, pool_within
from openpoint.search.region_decomposition import RegionDecomposition
from openpoint.search.result import ENDED, MEMORY, OPTIMAL, SearchProgress, SearchResult, reason_of
from openpoint.search.sharing import SearchCheckpoint, SearchState, Sharing, shared
from openpoint.search.tree import Turn, grow
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination, relative_gap
from openpoint.twostage.workers.executors import Choice, InProcess, Lasting
from openpoint.twostage.workers.pool import Workers

if TYPE_CHECKING:  # of a search that writes a certificate
    from openpoint.search.certificate import Certificate
    from openpoint.search.paths.proven_parts import ProvenParts
    from openpoint.verify.asked import Asked

_LOG = logging.getLogger(__name__)

LOOK_UP = 0.05
"""Seconds after which the compiled search returns to Python."""
SMALL, ALONE = 90, 128
"""Grids of fewer buses, and those of which the bound by paths is that of another grid (`openpoint.search.paths.drawn`),
begin with so many nodes without paths: most are proven then, and paths need not be compiled."""


def search_topologies(
    network: Network,
    rules: SwitchingRules | None = None,
    *,
    gap: float | None = OPTIMAL,
    time_limit: float = math.inf,
    node_limit: int | None = None,
    starts: Bools | None = None,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[SearchProgress], None] | None = None,
    certificate: Path | None = None,
    certifiable: bool = False,
    cone: Cone | None = None,
    checkpoint: Path | None = None,
    deadline: Deadline | None = None,
    built: tuple[Model, Numbering] | None = None,
    devices: Devices | None = None,
    cost: OperatingCost | None = None,
    supply: SupplyLimits | None = None,
    memory: float = MEMORY,
    executor: Choice | None = None,
    perturbations: bool = True,
    asked: Asked | None = None,
    judge: Judge | None = None,
) -> SearchResult:
    """The radial state with the least loss, or the least `cost`, that keeps the limits of the network, proven to a gap.

    Args:
        network: a balanced network with the limits to keep. Limits count as kept within a relative 1e-6.
        rules: for its branches; default: what is not switchable keeps its state.
        gap: at which to stop; None as of `TopologySearch`. time_limit: seconds. node_limit: of its tree.
        starts: (K, E) radial states to start from, in addition to today's and those that the search finds itself.
        stop: called regularly; True stops. progress: called regularly with the progress of the search.
        certificate: file for the proof, if any, with `asked` in it, the question. certifiable: only bounds of a file.
        cone: a cone program for the outputs of generators on a tree where limits bind, at positions of all `devices`.
        checkpoint: file from which the search is continued if it exists. It is written regularly and when a limit
            stops the search; it is deleted when the search is complete.
        deadline: used in place of the time limit; the time to compile functions at their first use does not count.
        built: the result of `build_model` for these arguments, not changed. perturbations: whether they are tried.
        devices: those that may be set; the network has them at today's positions.
        cost: what is minimised, the loss by default; its price of a change is added to that of `rules`.
        supply: limits of sources and generators beside those of the network.
        memory: bytes of waiting nodes, above which the search is depth-first. executor: for subtrees of a long search.
        judge: what else decides whether a radial state is an answer; with it neither certificate nor executor.

    Raises:
        OptionError: options that make no sense, a grid, devices or a cost that the bound is not valid for, or a
            checkpoint of another search or a damaged one.
        OSError: the checkpoint cannot be written at the start.
    """
    rules, objective = rules or SwitchingRules.of(network), objective_of(network, cost, supply)
    rules = replace(rules, change_cost=rules.change_cost + (cost.change if cost else 0.0))
    check_options(gap, rules)
    devices = devices or no_devices()
    free = free_devices(network, devices, rules.must_open, supply)
    set_here = devices.only(free)
    built = built or build_model(network, rules, devices=set_here, objective=objective)
    given = set_here, objective, gap, memory
    task = SearchTask(network, rules, *given, certifiable or certificate is not None, perturbations, judge)
    at_free = None if cone is None else lambda closed, at, most: cone(closed, devices.with_some(free, at), most)
    run = _Run(task, built, (certificate, asked), at_free, checkpoint, deadline or Deadline(time_limit), progress)
    try:
        found = run.solve(node_limit, starts, stop, executor)
    finally:
        if run.certificate is not None:
            run.certificate.drop(keep=checkpoint is not None and checkpoint.exists())
    return found if found.positions is None else replace(found, positions=devices.with_some(free, found.positions))


class _Run:
    """One topology search and its state."""

    def __init__(
        self,
        task: SearchTask,
        built: tuple[Model, Numbering],
        proof: tuple[Path | None, Asked | None],
        cone: Cone | None,
        checkpoint: Path | None,
        deadline: Deadline,
        progress: Callable[[SearchProgress], None] | None,
    ) -> None:
        self.deadline, self.began, (certificate, asked) = deadline, deadline.passed(), proof
        (model, numbering), network, devices = built, task.network, task.devices
        self.network, self.devices, self.objective = network, devices, task.objective
        self.task = task
        self.paths_left = not task.certifiable  # whether the bound by paths is still to begin
        # Nodes after which the bound by paths begins, once a state keeps the limits.
        self.paths_due = ALONE if model.n < SMALL or obstacles(model) else 0
        self.follow = True  # whether better states are due from the multipliers of the first node
        self.sharing: Sharing | None = None
        self.proven: ProvenParts | None = None
        self.reason, self.tell = Termination.OPTIMAL, progress
        self.highest = -math.inf
        self.model = replace(model, w_min=model.w_min.copy(), w_max=model.w_max.copy())  # tightened in place
        self.numbering = numbering
        most = None if task.objective is None else task.objective.supply.generator_s_max
        self.dispatcher = Dispatcher(self.model, self.numbering, network, cone, most)
        self.by_regions = task.divisible(self.model, written=certificate is not None)
        self.tree = PathTree(self.model, rows=1)
        self.tree.work.status[task.rules.must_close[self.numbering.branch]] = CLOSED
        file: Checkpoint | None = None
        if checkpoint is not None:
            key = key_of(network, self.model, task.rules, task.gap, certificate is not None, self.objective)
            file = Checkpoint(checkpoint, key)
        self.checkpoint = SearchCheckpoint(file, lambda: self.seconds)
        self.certificate: Certificate | None = None
        if certificate is not None:
            from openpoint.search.certificate import Certificate

            parts = network, devices, self.model, self.numbering, self.objective, asked
            self.certificate = Certificate(certificate, *parts, anew=not self.checkpoint.saved)
            self.tree.record, self.tree.take = self.certificate.record, self.certificate.take
        self.contradictory = task.rules.contradict(network)

    def solve(
        self, node_limit: int | None, starts: Bools | None, stop: Callable[[], bool] | None, executor: Choice | None
    ) -> SearchResult:
        """Run the search."""
        with (executor or InProcess()).open() as workers:
            lasting = None if executor is None else Lasting(workers, self.deadline)
            return self._solve(node_limit, starts, stop, lasting)

    def _solve(
        self, node_limit: int | None, starts: Bools | None, stop: Callable[[], bool] | None, workers: Workers | None
    ) -> SearchResult:
        tree = self.tree
        joined = not self.contradictory and propagate(self.model, tree.work)
        if joined:
            if "path_mask" in self.checkpoint.saved:
                tree.explorer = self._path_explorer(self.numbering.greatest)
            self.proven = self._proven_parts()
            tree.pool = pool_within(self.task.memory, self.model, tree.explorer, tree.counts)

        def over() -> bool:
            return self.deadline.over() or (stop is not None and stop())

        parts_of = self.task, self.model, self.numbering, tree.work, tree.counts, self.dispatcher
        self.incumbent = Incumbent(*parts_of, self.certificate, over, self.report)
        shared_parts = self.model, self.numbering, tree.work, tree.counts, self.incumbent
        self.decomposition = RegionDecomposition(*shared_parts, over, self.certificate)
        self.state = SearchState(tree, self.incumbent, self.decomposition, self.certificate)
        if not joined:
            self.checkpoint.forget()
            return self._result()
        tree.begin(self.numbering.greatest + float(self.model.price.sum()))
        self.state.go_on(self.checkpoint.saved)
        self.follow = self.nodes == 0
        self.sharing = None if workers is None else shared(self.model, self.incumbent.exchange.status, workers, over)
        self._start(starts)
        self.begin_paths()
        pace = _Pace(self, node_limit)

        def ended() -> bool:
            if not tree.left:
                return False  # known at the next look
            if node_limit is not None and self.nodes >= node_limit:
                self.reason = Termination.ITERATIONS
            elif over():
                self.reason = self.deadline.why if self.deadline.over() else Termination.INTERRUPTED
            return self.reason is not Termination.OPTIMAL

        if not grow(tree, self.evaluate_leaf, ended, piece=pace, turns=[turn(self) for turn in TURNS]):
            self.checkpoint.try_to_write(self.state)
        self.report()
        result = self._result()
        self.checkpoint.end(self.state, done=self.reason is Termination.OPTIMAL)
        return result

    def _start(self, starts: Bools | None) -> None:
        """Find first states, and make ready for limits that these do not keep."""
        tree, saved = self.tree, self.checkpoint.saved
        _LOG.info("made the search ready")
        self.incumbent.start(starts)
        _LOG.info("found the first states by branch exchange")
        self.incumbent.raise_voltages(self.certificate)
        if math.isinf(self.incumbent.value) and is_infeasible(self.model):
            tree.drop()
        if math.isinf(self.incumbent.value) or "limits_status" in saved:
            self.state.limits = infeasibility_search(self.model, self.incumbent.exchange.status)
        if self.state.limits is not None and "limits_status" in saved:
            self.state.limits.go_on(saved)
        self.checkpoint.begin(self.state)

    def begin_paths(self) -> None:
        """Begin with both bounds, anew if there were nodes.

        Until a state is known that keeps the limits, a bound of the loss is of little use.
        """
        tree = self.tree
        if not self.paths_left or tree.nodes < self.paths_due or math.isinf(self.incumbent.value):
            return
        self.paths_left = False
        if tree.explorer is not None or not tree.left or self.decomposition.going:
            return
        drawn = drawing(self.model)
        if why := obstacles(drawn):
            _LOG.info("no bound by paths: the grid has %s", "; ".join(why))
            return
        if tree.nodes:
            _LOG.info("the search begins anew with the bound by paths")
            begin_anew(tree.counts, tree.lowest)
            first = work_for(self.model)
            first.status[:] = self.incumbent.exchange.status
            for field in fields(first):
                getattr(tree.work, field.name)[:] = getattr(first, field.name)
        tree.explorer, self.follow = self._path_explorer(self.incumbent.value, drawn), True
        tree.pool = pool_within(self.task.memory, self.model, tree.explorer, tree.counts)

    def _path_explorer(self, loss: float, drawn: Model | None = None) -> PathExplorer:
        """`loss`: what states of interest do not exceed. drawn: as for `PathExplorer`."""
        return PathExplorer(self.model, self.tree.work, self.task.least_gap, loss, drawn)

    def _proven_parts(self) -> ProvenParts | None:
        """The first node by parts of its paths, for a certificate of a grid that they cover."""
        if not self.task.certifiable or obstacles(self.model):
            return None
        from openpoint.search.paths.proven_parts import ProvenParts, checked_paths

        locks = self.task.rules.must_close, self.task.rules.must_open
        checked = checked_paths(self.network, self.model, self.numbering, locks)
        return None if checked is None else ProvenParts(self.model, checked, self.tree.work.status, self.certificate)

    def evaluate_leaf(self, status: States) -> None:
        """Evaluate a radial state, which may become the best."""
        self.state.leaves += 1
        self.tree.work.status[:] = status
        self.incumbent.evaluate_leaf(self._prove_leaf)
        if self.certificate is None:
            self.tree.forget_done()

    def _prove_leaf(self) -> None:
        if self.certificate is not None and self.sharing is not None and not self.model.dispatchable:
            self.certificate.give_up("a radial state has no power flow, and another process has written its line")
        elif self.certificate is not None:
            self.certificate.prove_leaf(self.tree)

    def _bound(self) -> float:
        """Lower bound of the whole search: the highest that was proven so far, also before the search began anew."""
        proven = -math.inf if self.proven is None else self.proven.bound
        now = max(self.tree.lowest, proven) + self.numbering.fixed_cost
        self.highest = max(self.highest, min(now, self.incumbent.value))
        return min(self.highest, self.incumbent.value)

    def report(self) -> None:
        """Tell how far the search has come."""
        if self.tell is None:
            return
        counts = self.tree.counts
        self.tell(
            SearchProgress(
                seconds=self.seconds,
                nodes=self.nodes,
                open_nodes=int(counts.size[0] + counts.stack[0] + counts.active[0]),
                depth=int(counts.depth[0]),
                lower_bound=self._bound(),
                value=self.incumbent.value,
                explored=self.state.explored,
                mark=self.checkpoint.mark,
            )
        )

    @property
    def nodes(self) -> int:
        """Nodes so far, of all that has a part in the search."""
        return self.decomposition.nodes + (0 if self.state.limits is None else self.state.limits.nodes)

    @property
    def seconds(self) -> float:
        """Seconds of the search, including the time before it was continued from a checkpoint."""
        return self.state.earlier + self.deadline.passed() - self.began

    def _result(self) -> SearchResult:
        value, best = self.incumbent.value, self.incumbent.candidate
        holds = math.isfinite(value)
        counts = self.tree.counts
        unknown = bool(counts.floor[0] < counts.cutoff[0])  # a tree whose best dispatch is not proven
        base = self.network.s_base_kva  # the gap is that in kW, as it is told
        reason = reason_of(
            self.reason, holds, unknown, relative_gap(base * self._bound(), base * value), self.incumbent.gap
        )
        ended, cutoff = reason in ENDED, self.tree.cutoff
        if self.proven is not None and (self.proven.ended or not (ended or self.checkpoint.kept)):
            ended, cutoff = self.proven.write(), self.proven.bound  # open nodes prove nothing
        if self.certificate is not None and best is not None and holds and ended:
            self.certificate.finish(best, cutoff)
        return SearchResult(
            termination=reason,
            closed=best.closed if best is not None and holds else None,
            generation=None if best is None else best.generation,
            value=value,
            lower_bound=math.inf if reason is Termination.INFEASIBLE else self._bound(),
            least_violation=best.closed if best is not None and not holds else None,
            nodes=self.nodes,
            probes=int(counts.probes[0]),
            leaves=self.state.leaves,
            by_cone=self.incumbent.by_cone,
            seconds=self.seconds,
            positions=None if best is None else best.positions,
            notes=self.checkpoint.notes,
        )


class _Pace:
    """As many nodes as fit between two looks at the clock, growing from one."""

    def __init__(self, run: _Run, node_limit: int | None) -> None:
        self.run, self.node_limit, self.chunk, self.begun = run, node_limit, 0, run.tree.nodes

    def __call__(self) -> int:
        run = self.run
        rate = (run.nodes - self.begun) / max(run.seconds - run.state.earlier, 1e-6)
        self.chunk = max(1, min(2 * self.chunk, int(rate * LOOK_UP)))
        if self.node_limit is not None:
            self.chunk = min(self.chunk, self.node_limit - run.nodes)
        return self.chunk


class _OfRun(Turn):
    """A turn that alternates with the nodes of a search."""

    def __init__(self, run: _Run) -> None:
        self.run, self.tree = run, run.tree


class _Regions(_OfRun):
    """Nodes bounded by their regions, once that is better than paths."""

    def before(self) -> int | None:
        if self.run.by_regions and self.run.decomposition.step(self.tree):
            self.tree.explorer = None
        return None

    def wait(self) -> float:
        return self.run.decomposition.pace


class _Shared(_OfRun):
    """Nodes explored by workers, once the search is long."""

    def before(self) -> int | None:
        sharing = self.run.sharing
        if sharing is None or not sharing.due(self.run.state) or self._is_within_a_line:
            return None
        return sharing.round(self.run.state, self.run.evaluate_leaf)

    def wait(self) -> float:
        sharing = self.run.sharing
        if sharing is None:
            return math.inf
        return 1 if sharing.due(self.run.state) else sharing.pace(self.run.state)

    @property
    def _is_within_a_line(self) -> bool:
        """In a certificate the closed side follows its parent."""
        return self.run.certificate is not None and bool(self.tree.counts.active[0])


class _Parts(_OfRun):
    """The first node by parts of its paths, in a search for a certificate."""

    def before(self) -> int | None:
        proven = self.run.proven if self.tree.left else None
        return None if proven is None else proven.step(self.tree.work, self.tree.counts)

    def wait(self) -> float:
        return math.inf if self.run.proven is None else self.run.proven.pace - self.tree.nodes


class _Limits(_OfRun):
    """The infeasibility search, which takes turns with this one until a state is known that keeps the limits."""

    def wait(self) -> float:
        limits = self.run.state.limits_open
        return math.inf if limits is None else limits.due - self.tree.nodes

    def after(self, event: int) -> None:
        limits, incumbent = self.run.state.limits_open, self.run.incumbent
        if limits is None:
            return
        proven, candidate = limits.take_turn(incumbent, self.tree.nodes)
        incumbent.offer(candidate)
        if proven:
            self.tree.drop()


class _BetterStates(_OfRun):
    """The heuristics: at the first node from its multipliers, then perturbations at numbers of nodes four times as
    large."""

    def wait(self) -> float:
        return self.run.incumbent.next_perturbations - self.tree.nodes - self._searched

    @property
    def _searched(self) -> int:
        proven = 0 if self.run.proven is None else self.run.proven.nodes
        return proven if self.tree.explorer is None else self.tree.explorer.searched

    def after(self, event: int) -> None:
        by_paths, incumbent = self.tree.explorer, self.run.incumbent
        if event != LEAF and self.run.follow:
            self.run.follow = False
            incumbent.follow_multipliers(None if by_paths is None else by_paths.tree_weight())
        incumbent.now_and_then(self.tree.nodes, self._searched)


class _Paths(_OfRun):
    """The bound by paths begins where the first one alone does not do, and is given up where it does not pay."""

    def wait(self) -> float:
        due = self.run.paths_due - self.tree.nodes
        return due if self.run.paths_left and due > 0 else math.inf

    def after(self, event: int) -> None:
        self.run.begin_paths()
        if self.tree.explorer is not None and not self.tree.explorer.pays:
            self.tree.explorer = None


class _Told(_OfRun):
    """Progress, and the checkpoint every half minute."""

    def after(self, event: int) -> None:
        self.run.report()
        self.run.checkpoint.now_and_then(self.run.state)


TURNS: tuple[type[_OfRun], ...] = (_Regions, _Parts, _Shared, _Limits, _BetterStates, _Paths, _Told)
"""What acts between nodes, in this order."""
