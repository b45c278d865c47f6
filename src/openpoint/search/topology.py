"""Topology search: branch and bound on which branches are closed, with a bound in closed form.

Every branch is closed, open or undecided; a bound of the loss of all completions costs microseconds and is rigorous
for any multipliers (`openpoint.search.kernel.bound`). `openpoint.search.kernel.node` is the tree search, and
`openpoint.search.exchange.ac_check` finds good radial states. Where every branch is decided the AC power flow judges.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from openpoint.arrays import Bools, States
from openpoint.network import Network
from openpoint.network.devices import Devices, no_devices
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.search import duel
from openpoint.search.certificate import Certificate
from openpoint.search.checkpoint import Checkpoint, key_of
from openpoint.search.dispatch import Cone, Dispatcher
from openpoint.search.incumbent import Incumbent
from openpoint.search.infeasibility import infeasibility_search
from openpoint.search.kernel.arrays import CLOSED, Model, work_for
from openpoint.search.kernel.bookkeeping import (
    Counts,
    Pool,
    counts,
    enlarged,
    lowest,
    pool_for,
    record_for,
    without_done,
)
from openpoint.search.kernel.entries import EXHAUSTED, FULL, LEAF, PAUSED, WRITTEN, explore, propagate
from openpoint.search.loadability import is_hopeless
from openpoint.search.memory import MEMORY, pool_within
from openpoint.search.model.build import Numbering, build_model
from openpoint.search.model.devices import free_devices
from openpoint.search.model.objective import objective_of
from openpoint.search.paths.build import obstacles
from openpoint.search.paths.checked import checked_paths
from openpoint.search.paths.explorer import PathExplorer
from openpoint.search.paths.proven_parts import ProvenParts
from openpoint.search.region_decomposition import RegionDecomposition
from openpoint.search.result import ENDED, OPTIMAL, SearchProgress, SearchResult, reason_of
from openpoint.search.saving import SearchCheckpoint, SearchState
from openpoint.search.sharing import Sharing, shared
from openpoint.search.task import SearchTask, check_options
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination, relative_gap
from openpoint.twostage.workers.executors import Choice, InProcess, Lasting
from openpoint.twostage.workers.pool import Workers
from openpoint.verify.asked import Asked

_LOG = logging.getLogger(__name__)

LOOK_UP = 0.05
"""Seconds after which the compiled search returns to Python."""


def search_topologies(
    network: Network,
    *,
    must_close: Bools | None = None,
    must_open: Bools | None = None,
    max_changes: int | None = None,
    change_cost: float = 0.0,
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
    kicks: bool = True,
    asked: Asked | None = None,
) -> SearchResult:
    """The radial state with the least loss, or the least `cost`, that keeps the limits of the network, proven to a gap.

    Args:
        network: a balanced network with the limits to keep. Limits count as kept within a relative 1e-6.
        must_close, must_open: (E) branches whose state is given; default: those that are not switchable.
        max_changes: most branches whose state may differ from today's. change_cost: cost of each, per unit.
        gap: at which to stop; None as of `TopologySearch`. time_limit: seconds. node_limit: but a duel is ended.
        starts: (K, E) radial states to start from, in addition to today's and those that the search finds itself.
        stop: called regularly; True stops. progress: called regularly with the progress of the search.
        certificate: file for the proof, if any, with `asked` in it, the question. certifiable: only bounds of a file.
        cone: a cone program for the outputs of generators on a tree where limits bind, at positions of all `devices`.
        checkpoint: file from which the search is continued if it exists. It is written regularly and when a limit
            stops the search; it is deleted when the search is complete.
        deadline: used in place of the time limit; the time to compile functions at their first use does not count.
        built: the result of `build_model` for these arguments, not changed. kicks: whether they look for better states.
        devices: those that may be set; the network has them at today's positions.
        cost: what is minimised, the loss by default; its price of a change is added to `change_cost`.
        supply: limits of sources and generators beside those of the network.
        memory: bytes of waiting nodes, above which the search is depth-first. executor: for subtrees of a long search.

    Raises:
        OptionError: options that make no sense, a grid, devices or a cost that the bound is not valid for, or a
            checkpoint of another search or a damaged one.
        OSError: the checkpoint cannot be written at the start.
    """
    change_cost += 0.0 if cost is None else cost.change
    objective = objective_of(network, cost, supply)
    check_options(gap, max_changes, change_cost)
    fixed = ~network.switchable
    must_close = network.closed & fixed if must_close is None else must_close
    must_open = ~network.closed & fixed if must_open is None else must_open
    devices = no_devices() if devices is None else devices
    free = free_devices(network, devices, must_open, supply)
    set_here = devices.only(free)
    model, numbering = built or build_model(
        network,
        must_close=must_close,
        must_open=must_open,
        max_changes=max_changes,
        change_cost=change_cost,
        devices=set_here,
        objective=objective,
    )
    given = (must_close, must_open), (max_changes, change_cost), set_here, objective, gap, memory
    task = SearchTask(network, *given, certifiable or certificate is not None, kicks)
    at_free = None if cone is None else lambda closed, at, most: cone(closed, devices.with_some(free, at), most)
    run = _Run(task, model, numbering, (certificate, asked), at_free, checkpoint, deadline or Deadline(time_limit))
    try:
        found = run.solve(node_limit, starts, stop, progress, executor)
    finally:
        if run.certificate is not None:
            run.certificate.drop(keep=checkpoint is not None and checkpoint.exists())
    return found if found.positions is None else replace(found, positions=devices.with_some(free, found.positions))


class _Run:
    """One topology search and its state."""

    def __init__(
        self,
        task: SearchTask,
        model: Model,
        numbering: Numbering,
        proof: tuple[Path | None, Asked | None],
        cone: Cone | None,
        checkpoint: Path | None,
        deadline: Deadline,
    ) -> None:
        self.deadline, self.began, (certificate, asked) = deadline, deadline.passed(), proof
        network, devices = task.network, task.devices
        self.locks, self.changes = locks, changes = task.locks, task.changes
        self.network, self.devices, self.objective = network, devices, task.objective
        self.task = task
        self.sharing: Sharing | None = None
        self.proven: ProvenParts | None = None
        self.highest = -math.inf
        self.model = replace(model, w_min=model.w_min.copy(), w_max=model.w_max.copy())  # tightened in place
        self.numbering = numbering
        most = None if task.objective is None else task.objective.supply.generator_s_max
        self.dispatcher = Dispatcher(self.model, self.numbering, network, cone, most)
        self.by_regions = task.divisible(self.model, written=certificate is not None)
        self.work = work_for(self.model)
        self.work.status[locks[0][self.numbering.branch]] = CLOSED
        self.counts: Counts = counts()
        file: Checkpoint | None = None
        if checkpoint is not None:
            key = key_of(network, self.model, locks, *changes, task.gap, certificate is not None, self.objective)
            file = Checkpoint(checkpoint, key)
        self.checkpoint = SearchCheckpoint(file, self._seconds)
        self.certificate: Certificate | None = None
        if certificate is not None:
            parts = network, devices, self.model, self.numbering, self.objective, asked
            self.certificate = Certificate(certificate, *parts, anew=not self.checkpoint.saved)
        self.record = record_for(self.model, 0) if self.certificate is None else self.certificate.record
        self.contradictory = bool(np.any(locks[0] & (locks[1] | (network.terminal_fr == network.terminal_to))))

    def solve(
        self,
        node_limit: int | None,
        starts: Bools | None,
        stop: Callable[[], bool] | None,
        progress: Callable[[SearchProgress], None] | None,
        executor: Choice | None,
    ) -> SearchResult:
        """Run the search."""
        with (executor or InProcess()).open() as workers:
            lasting = None if executor is None else Lasting(workers, self.deadline)
            return self._solve(node_limit, starts, stop, progress, lasting)

    def _solve(
        self,
        node_limit: int | None,
        starts: Bools | None,
        stop: Callable[[], bool] | None,
        progress: Callable[[SearchProgress], None] | None,
        workers: Workers | None,
    ) -> SearchResult:
        joined = not self.contradictory and propagate(self.model, self.work)
        by_paths = self._path_explorer() if joined else None
        shared_memory = self.task.memory, self.model, by_paths, self.counts
        pool = pool_within(*shared_memory) if joined else pool_for(self.model, 1)

        def over() -> bool:
            return self.deadline.over() or (stop is not None and stop())

        def report_progress() -> None:
            if progress is not None:
                progress(self._progress())

        parts_of = self.task, self.model, self.numbering, self.work, self.counts, self.dispatcher
        self.incumbent = Incumbent(*parts_of, self.certificate, over, report_progress)
        shared_parts = self.model, self.numbering, self.work, self.counts, self.incumbent
        self.decomposition = RegionDecomposition(*shared_parts, over, self.certificate)
        parts = (self.model, self.work, pool, self.counts, self.incumbent, self.decomposition, self.certificate)
        self.state = SearchState(*parts, by_paths=by_paths)
        if not joined:
            self.checkpoint.forget()
            return self._result(Termination.INFEASIBLE)
        self.counts.cutoff[0], self.counts.active[0] = self.numbering.greatest + float(self.model.price.sum()), 1
        saved = self.checkpoint.saved
        self.state.go_on(saved)
        self.sharing = None if workers is None else shared(self.model, self.incumbent.exchange.status, workers, over)
        _LOG.info("made the search ready")
        self.incumbent.start(starts)
        _LOG.info("found the first states by branch exchange")
        self.incumbent.raise_voltages(self.certificate)
        if math.isinf(self.incumbent.value) and is_hopeless(self.model):
            self.counts.size[0] = self.counts.stack[0] = self.counts.active[0] = 0
        if math.isinf(self.incumbent.value) or "limits_status" in saved:
            self.state.limits = infeasibility_search(self.model, self.incumbent.exchange.status)
        if self.state.limits is not None and "limits_status" in saved:
            self.state.limits.go_on(saved)
        self.checkpoint.begin(self.state)
        chunk, begun, reason = 1, int(self.counts.nodes[0]), Termination.OPTIMAL
        while (event := self._explore(chunk)) != EXHAUSTED:
            if event != LEAF and self.counts.nodes[0] == 1:
                by_paths = self.state.by_paths
                self.incumbent.follow_multipliers(None if by_paths is None else by_paths.tree_weight())
            self.incumbent.now_and_then(int(self.counts.nodes[0]))
            now = self._progress()
            if progress is not None:
                progress(now)
            self.checkpoint.now_and_then(self.state)
            if node_limit is not None and now.nodes >= node_limit:
                reason = Termination.ITERATIONS
                break
            if over():
                reason = self.deadline.why if self.deadline.over() else Termination.INTERRUPTED
                break
            # As many nodes as fit between two returns to Python, growing from one.
            rate = (now.nodes - begun) / max(now.seconds - self.state.earlier, 1e-6)
            chunk = max(1, min(2 * chunk, int(rate * LOOK_UP)))
            if node_limit is not None:
                chunk = min(chunk, node_limit - now.nodes)
        if reason is not Termination.OPTIMAL:
            self.checkpoint.try_to_write(self.state)
        report_progress()
        result = self._result(reason)
        self.checkpoint.end(self.state, done=reason is Termination.OPTIMAL)
        return result

    def _path_explorer(self) -> PathExplorer | None:
        """The search with both bounds where that by paths holds."""
        if why := obstacles(self.model):
            _LOG.info("no bound by paths: the grid has %s", "; ".join(why))
            return None
        if not self.task.certifiable:
            return PathExplorer(self.model, self.work, gap=self.task.least_gap)
        checked = checked_paths(self.network, self.model, self.numbering, self.locks)
        return None if checked is None else PathExplorer(self.model, self.work, checked, self.record, self.certificate)

    def _explore_nodes(self, by_paths: PathExplorer | None, pool: Pool, most: int) -> int:
        if by_paths is None:
            return explore(self.model, self.work, pool, self.counts, self.record, most)
        self.proven = by_paths.proven  # which stays where the bound by paths is given up
        event = by_paths.explore(pool, self.counts, most)
        if not by_paths.pays:
            self.state.by_paths = None
        return event

    def _explore(self, chunk: int) -> int:
        """Process some nodes; evaluate a leaf if one was reached, and enlarge the pool if it is full."""
        if self.by_regions and self.decomposition.step(self.state.pool, lambda: duel.spent(self.state)):
            self.state.by_paths = None
        shared = self.sharing is not None and self.sharing.due(self.state)
        duels = math.inf if shared or self.task.certifiable else duel.pace(self.state)
        kicks = max(1, self.incumbent.next_kicks - self.counts.nodes[0])
        most = int(min(chunk, self.decomposition.pace, kicks, duels))
        if duels <= 0:
            duel.hold(self.state, self.task.memory, self._evaluate_leaf, self.deadline)
            return PAUSED
        if self.sharing is not None and shared:
            if self.certificate is None or not self.counts.active[0]:
                event = self.sharing.round(self.state, self._evaluate_leaf)
                return EXHAUSTED if event == EXHAUSTED or self._hopeless() else event
            most = 1  # in a certificate the closed side follows its parent
        if self.sharing is not None:
            most = min(most, self.sharing.pace(self.state))
        if (limits := self.state.limits_open) is not None:
            most = min(most, max(1, limits.due - int(self.counts.nodes[0])))
        event = self._explore_nodes(self.state.by_paths, self.state.pool, most)
        if event == LEAF:
            self.counts.active[0] = 0
            self._evaluate_leaf(self.work.status)
        elif event == FULL:
            self.state.pool = enlarged(self.state.pool)
        elif event == WRITTEN and self.certificate is not None:
            self.certificate.take()
        return EXHAUSTED if event == EXHAUSTED or self._hopeless() else event

    def _evaluate_leaf(self, status: States) -> None:
        """Evaluate a radial state, which may become the best."""
        self.state.leaves += 1
        self.work.status[:] = status
        self.incumbent.evaluate_leaf(self._prove_leaf)
        if self.certificate is None and 2 * self.counts.size[0] > self.counts.room[0]:
            without_done(self.state.pool, self.counts)

    def _hopeless(self) -> bool:
        """Whether the infeasibility search, which takes turns with this one, has proven that no state keeps limits."""
        if (limits := self.state.limits_open) is None:
            return False
        nodes = int(self.counts.nodes[0])
        proven, candidate = limits.take_turn(self.incumbent, nodes)
        self.incumbent.offer(candidate)
        if proven:
            self.counts.size[0] = self.counts.stack[0] = self.counts.active[0] = 0
        return proven

    def _prove_leaf(self) -> None:
        if self.certificate is not None and self.sharing is not None and not self.model.dispatchable:
            self.certificate.give_up("a radial state has no power flow, and another process has written its line")
        elif self.certificate is not None:
            self.certificate.prove_leaf(self.model, self.work, self.state.pool, self.counts)

    def _bound(self) -> float:
        """Lower bound of the whole search: the highest that was proven so far, also before the search began anew."""
        proven = -math.inf if self.proven is None else self.proven.proof.bound
        now = max(lowest(self.counts, self.state.pool), proven) + self.numbering.fixed_cost
        self.highest = max(self.highest, min(now, self.incumbent.value))
        return min(self.highest, self.incumbent.value)

    def _progress(self) -> SearchProgress:
        counts = self.counts
        return SearchProgress(
            seconds=self._seconds(),
            nodes=self._nodes(),
            open_nodes=int(counts.size[0] + counts.stack[0] + counts.active[0]),
            depth=int(counts.depth[0]),
            lower_bound=self._bound(),
            value=self.incumbent.value,
            explored=self.state.explored,
            mark=self.checkpoint.mark,
        )

    def _nodes(self) -> int:
        return self.decomposition.nodes + (0 if self.state.limits is None else self.state.limits.nodes)

    def _seconds(self) -> float:
        """Seconds of the search, including the time before it was continued from a checkpoint."""
        return self.state.earlier + self.deadline.passed() - self.began

    def _result(self, reason: Termination) -> SearchResult:
        value, best = self.incumbent.value, self.incumbent.candidate
        holds = math.isfinite(value)
        unknown = bool(self.counts.floor[0] < self.counts.cutoff[0])  # a tree whose best dispatch is not proven
        base = self.network.s_base_kva  # the gap is that in kW, as it is told
        reason = reason_of(reason, holds, unknown, relative_gap(base * self._bound(), base * value), self.incumbent.gap)
        ended, cutoff = reason in ENDED, float(self.counts.cutoff[0])
        if self.proven is not None and (self.proven.ended or not (ended or self.checkpoint.kept)):
            ended, cutoff = self.proven.write(), self.proven.proof.bound  # open nodes prove nothing
        if self.certificate is not None and best is not None and holds and ended:
            self.certificate.finish(best, cutoff)
        return SearchResult(
            termination=reason,
            closed=best.closed if best is not None and holds else None,
            generation=None if best is None else best.generation,
            value=value,
            lower_bound=math.inf if reason is Termination.INFEASIBLE else self._bound(),
            least_violation=best.closed if best is not None and not holds else None,
            nodes=self._nodes(),
            probes=int(self.counts.probes[0]),
            leaves=self.state.leaves,
            by_cone=self.incumbent.by_cone,
            seconds=self._seconds(),
            positions=None if best is None else best.positions,
            notes=self.checkpoint.notes,
        )
