"""Topology search on a grid of any phases: bounds of exact AC power flow, OpenDSS as the judge of every answer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from openpoint.arrays import Bools, Floats, States
from openpoint.errors import OptionError
from openpoint.formulations.phases import PhasesQuestion, phases_question
from openpoint.grid.grid import Grid
from openpoint.search.certificate import put_aside
from openpoint.search.exchange.phases import EvaluatedState, EvaluationLog, PhasesEvaluator
from openpoint.search.methods import TopologySearch
from openpoint.search.phases.certificate import write_proof
from openpoint.search.phases.futures import FuturesFlows, FuturesTree, cores_of
from openpoint.search.phases.limits import BlockLimits
from openpoint.search.phases.model import EVERYWHERE, Box, PhaseModel, phase_model
from openpoint.search.phases.pieces import Core, undecided
from openpoint.search.phases.states import SURE, states_left
from openpoint.search.phases.tree import (
    BEYOND,
    GRAIN,
    PhaseTree,
    Price,
    bounds_pay,
    box_around,
    closed_of,
    jumping,
    kicked,
    price_of,
    status_of,
)
from openpoint.search.result import OPTIMAL
from openpoint.search.tree import grow
from openpoint.studies.reconfigure.options import Changing
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome, Progress, Termination
from openpoint.verify.schema import CertificateError

GAP = 1e-4
"""Relative gap at which a search stops that is given none."""
CLOSE = 1e-6
"""Relative difference of bounds that is not worth a word: a certificate has the best state's loss as one."""
BEYOND_CHECKER = (
    "the states are so many that they were proved near flows of some, which the checker of certificates does not do. "
    "Fewer switchable branches (close, open) may leave few enough"
)
"""Why what a search proves is no certificate."""
STOPPED = "no certificate: the run was stopped before its proof was whole; give it more time"
MORE = "loads leave their bands where voltages have no limits; with some (--v-min, --v-max) the bound proves more"
PIECE = 16
"""Nodes between two looks at the clock."""
FEW = 100
"""Radial states up to which all flows are computed in the whole grid: that is quicker than what hangs on a core."""


def question_of(grid: Grid, options: Changing) -> PhasesQuestion:
    """The question of open points of a grid of any phases.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
    """
    return phases_question(
        grid,
        free=("topology",),
        limits=options.limits,
        locked_open=options.locked_open,
        locked_closed=options.locked_closed,
        max_changes=options.max_changes,
        change_cost_kw=options.change_cost_kw,
    )


def bounded_model(asked: PhasesQuestion, remedy: str = "Use Enumeration, or BranchExchange") -> PhaseModel:
    """The grid as the bound takes it.

    Args:
        remedy: what to do where it is not valid.

    Raises:
        OptionError: what the bound is not valid for.
    """
    try:
        return phase_model(asked.grid, asked.network, asked.always, asked.never, Box())
    except OptionError as error:
        raise OptionError(f"topology search is not valid here: {error}. {remedy}") from None


def for_phases(method: TopologySearch) -> TopologySearch:
    """The method with its gap for grids of phases.

    Raises:
        OptionError: a checkpoint or an executor.
    """
    given = {"checkpoint": method.checkpoint, "executor": method.executor}
    if unknown := [name for name, value in given.items() if value is not None]:
        raise OptionError(f"topology search of grids of phases has no {' and no '.join(unknown)}; leave it out")
    return method if method.gap is not None else replace(method, gap=GAP)


Begun = tuple[Floats, list[Core], States]
"""The boxes of buses (n, 9), the cores under each demand, and the state (m) around which they are made."""


@dataclass
class PhaseSearch:
    """One search.

    Attributes:
        evaluator: the exact power flow of OpenDSS. method, log, deadline: of the run. locks: names of branches that are
            locked open and closed. begun: where limits change from search to search, by the state that one begins with
            what it made of it; the bound then knows no limits.
        nearest: of the states that break limits by the sweep the one that does least, with its violation.
        best: the best state by OpenDSS. loss: of the best that keeps the limits, by the sweep, per unit, with the price
            of what is switched.
    """

    evaluator: PhasesEvaluator
    method: TopologySearch
    log: EvaluationLog
    deadline: Deadline
    locks: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    begun: dict[bytes, Begun] | None = None
    best: EvaluatedState | None = None
    loss: float = math.inf
    nearest: tuple[float, Bools] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def asked(self) -> PhasesQuestion:
        return self.evaluator.question

    @property
    def base_kw(self) -> float:
        """kW of one per unit."""
        return self.asked.network.s_base_kva / 3.0

    def run(self, model: PhaseModel, starts: Iterable[Bools]) -> Outcome:
        """Local search from the best of radial states (B), then branch and bound until the gap is closed."""
        demands, price = self.asked.demands, price_of(model, self.asked.switching, self.base_kw)
        many = [model] if demands.loads_kva is None else [model.under(each) for each in demands.loads_kva]
        flows = FuturesFlows([each.within(EVERYWHERE).blocks for each in many], demands.risk, price)
        limits = BlockLimits.of(model, self.asked.network)
        try:
            boxes, cores, known = self._begin(many, flows, limits, starts)
        except TimeoutError:
            return self._outcome(-math.inf, stopped=True)
        core, of_core = cores[0], _of_core(price, cores[0], known)
        tree: PhaseTree | FuturesTree
        if len(many) == 1:
            jumps = jumping(model.blocks).any()  # of two flows it is not known which is near
            ranges = None if jumps or not limits.any else limits.of_core(model.blocks, core)
            pays = bounds_pay(core, known, self._cutoff)
            tree = PhaseTree(core, self._cutoff, of_core, ranges, self.deadline.over, bounded=pays)
        else:
            sampled = [each.sampled(self.deadline.over) for each in cores]
            tree = FuturesTree(sampled, demands.risk, self._cutoff, of_core)

        def leaf(at: States) -> None:
            self._try(model, flows, limits, core.whole(at, known))
            tree.cutoff = min(tree.cutoff, self._cutoff)

        def over() -> bool:
            self.log.lower = min(tree.lowest, self.loss) * self.base_kw
            self.log.on_evaluation(self.best)
            return self.deadline.over()

        done = self.deadline.over() or not grow(tree, leaf, over, piece=lambda: PIECE)
        if isinstance(tree, PhaseTree) and math.isfinite(tree.mildest[0]):
            self._note_limits(model, flows, limits, tree.mildest[0], core.whole(tree.mildest[1], known))
        outcome = self._outcome(min(tree.lowest, self.loss), stopped=done)
        bounded = [each.within(boxes) for each in many]
        kept = self._knows_limits(many) and bool((limits.narrowed(boxes) != boxes).any())
        self.notes.append(self._claim(boxes, outcome.upper_bound, tree, bounded, kept=kept))
        if done and self._knows_limits(many) and not kept and (model.blocks.low > 0.0).any():
            self.notes.append(MORE)
        if self.method.certificate is not None and math.isfinite(self.loss):
            if done:
                self.notes.append(STOPPED)
            elif isinstance(tree, PhaseTree) and tree.learned:
                self.notes.append(f"no certificate: {BEYOND_CHECKER}")
            else:
                self._certify(self.method.certificate, model, Box.over(boxes), outcome.lower_bound)
        return outcome

    def _knows_limits(self, many: list[PhaseModel]) -> bool:
        """Whether the bound is that of states that keep limits of voltages, which some of several demands may miss."""
        return self.begun is None and len(many) == 1

    @property
    def _cutoff(self) -> float:
        """The bound at which the gap is closed to what the best state loses by OpenDSS, where that is more."""
        best = self.best
        judged = best.value_kw / self.base_kw if best is not None and best.violation == 0.0 else 0.0
        return min(self.loss, max(self.loss, judged) * (1.0 - self.method.least_gap))

    def _begin(
        self, many: list[PhaseModel], flows: FuturesFlows, limits: BlockLimits, starts: Iterable[Bools]
    ) -> Begun:
        """The boxes and the cores, made around the best state that local search finds.

        Raises:
            TimeoutError: before there is a core.
        """
        model, over = many[0], self.deadline.over
        loss, status, made = math.inf, undecided(model.blocks), None
        for start in starts:
            if math.isfinite(found := self._try(model, flows, limits, at := status_of(model, start))):
                loss, status = min((loss, status), (found, at), key=lambda each: each[0])
            else:  # OpenDSS may have a flow of it
                self._judge(start)
        first, narrow = status.tobytes(), self._knows_limits(many)
        if self.begun is not None and first in self.begun:
            return self.begun[first]
        few = _few(many)
        if math.isfinite(loss):
            flows.loss(status)
        while True:
            boxes = model.blocks.box
            for each in flows.each if math.isfinite(loss) else ():
                boxes = box_around(each.trees.v, model.blocks.has, boxes)
            blocks = [each.within(boxes).blocks for each in many]
            blocks = [each._replace(box=limits.narrowed(boxes)) for each in blocks] if narrow else blocks
            try:
                cores = cores_of(blocks, status, over, whole=few, sampled=False)
            except TimeoutError:
                if made is None:
                    raise
                return made
            made = boxes, cores, status
            if self.begun is not None:
                self.begun[first] = made
            if few or not math.isfinite(loss):
                return made
            of_core = _of_core(flows.price, cores[0], status)
            near = FuturesFlows([each.blocks for each in cores], flows.risk, of_core)
            status = cores[0].whole(kicked(near, status[cores[0].branch], over), status)
            before, loss = loss, self._try(model, flows, limits, status)
            reached = (core.reaches(each.trees.v) for core, each in zip(cores, flows.each, strict=True))
            if not loss < before or all(reached):
                return made

    def _try(self, model: PhaseModel, flows: FuturesFlows, limits: BlockLimits, status: States) -> float:
        """The loss of a state (m) by the sweep; OpenDSS judges one that loses less than the best."""
        loss = flows.loss(status)
        if loss < self.loss and not self._breaks(model, status, flows, limits):
            found = self._judge(closed_of(model, status))
            if found is not None and found.violation == 0.0:
                self.loss, self.log.upper = loss, loss * self.base_kw
        return loss

    def _note_limits(
        self, model: PhaseModel, flows: FuturesFlows, limits: BlockLimits, excess: float, status: States
    ) -> None:
        """Keep and name the state that exceeds limits least, of those that do so in each flow near that of the core."""
        flows.loss(status)
        self._breaks(model, status, flows, limits)
        self.notes.append(
            "states that break limits in each flow near that of the core were left out; each of them has a limit that "
            f"is exceeded by {100.0 * (math.sqrt(1.0 + excess) - 1.0):.3g} % or more"
        )

    def _certify(self, path: Path, model: PhaseModel, box: Box, lower_kw: float) -> None:
        """Write the proof of what the search found."""
        assert self.best is not None
        gap = self.method.least_gap
        try:
            put_aside(path)
            bounded, best = model.within(box), self.best.closed
            proved = write_proof(path, self.asked, bounded, self.locks, box, best, gap, self.deadline.over)
        except (CertificateError, OSError) as error:  # the answer stands without
            self.notes.append(f"no certificate: {error}")
            return
        if proved is None:
            self.notes.append(STOPPED)
        else:
            less = proved < lower_kw * (1.0 - CLOSE)
            more = (
                "; states that lose less break limits, which it does not know, or lie in its larger box" if less else ""
            )
            self.notes.append(f"the certificate proves {proved:.6g} kW{more}")

    def _breaks(self, model: PhaseModel, status: States, flows: FuturesFlows, limits: BlockLimits) -> bool:
        """Whether a state breaks limits for sure in the flows that were computed last, in more demands than may be."""
        if any(each.jumps for each in flows.each):  # of two flows it is not known which was computed last
            return False
        found = np.array([limits.excess(each.blocks, status, each.trees) for each in flows.each])
        sure = np.where(found[:, 0] > SURE, found[:, 1], 0.0)
        broken = self.asked.demands.broken(sure)
        if broken > 0.0 and (self.nearest is None or broken < self.nearest[0]):
            self.nearest = broken, closed_of(model, status)
        return broken > 0.0

    def _judge(self, closed: Bools) -> EvaluatedState | None:
        """A state (B) by OpenDSS, which is kept where it is the best."""
        found = self.evaluator.evaluate(closed, self.asked.devices.today)
        if found is not None and found.better(self.best):
            self.best = found
        return found

    def _outcome(self, lower: float, *, stopped: bool) -> Outcome:
        if self.nearest is not None and (self.best is None or self.best.violation > 0.0):
            self._judge(self.nearest[1])
        best = self.best if self.best is not None and self.best.violation == 0.0 else None
        decision = None if best is None else best.closed.astype(float)
        upper = math.inf if best is None else best.value_kw
        # Where OpenDSS has a little less loss than the sweep, the bound is as much lower.
        off = max(self.loss * self.base_kw - upper, 0.0) if best is not None and math.isfinite(self.loss) else 0.0
        bound = max(lower * self.base_kw - off, 0.0) if math.isfinite(lower) else -math.inf
        why = Termination.GAP
        if stopped:
            why = self.deadline.why
        elif best is None:
            why, bound = Termination.INFEASIBLE, -math.inf
        elif not math.isfinite(self.loss):  # no sweep ends in a flow
            why, bound = Termination.ACCURACY, 0.0
        elif bound >= upper * (1.0 - OPTIMAL):
            why = Termination.OPTIMAL
        self.log.lower, self.log.upper = bound, upper
        self.log.write(self.best)
        return Outcome(why, decision, None, bound, upper, tuple(self.log.lines), self.deadline.passed())

    def _claim(
        self, boxes: Floats, upper: float, tree: PhaseTree | FuturesTree, many: list[PhaseModel], *, kept: bool
    ) -> str:
        box, whole, far = Box(), Box.over(boxes), BEYOND + GRAIN
        wider = int((boxes != box.row).any(axis=1).sum())
        more = (
            f" (at {wider:,} buses up to {far:.3g} pu and {100.0 * far:.3g} degrees beyond those of the best state of "
            "local search, in all "
            f"{whole.v_min:.3g} to {whole.v_max:.3g} pu and {whole.turn:.3g} degrees)"
        )
        claim = (
            f"the bound holds for all radial states {'that keep the limits of voltages, ' if kept else ''}whose "
            f"voltages to neutral lie between {box.v_min:.3g} and {box.v_max:.3g} pu, with angles of "
            f"120 ± {box.turn:.3g} degrees between phases"
            f"{more if wider else ''}, in the power flow of the search"
        )
        limited = isinstance(tree, PhaseTree) and math.isfinite(tree.mildest[0])
        if tree.swept:
            place, near = ("whole grid", "") if _few(many) else ("core of the grid", " of the whole grid")
            claim = (
                f"{claim}; {tree.swept:,} flows of radial states were computed in the {place}, which prove "
                f"for all but {tree.left:,} what they lose at least in the flow{near} near it"
                f"{', or that they break limits there' if limited else ''}; those were evaluated"
            )
        if len(places := np.unique(np.concatenate([each.blocks.bus[jumping(each.blocks)] for each in many]))):
            claim = (
                f"{claim}; at {len(places):,} buses a load draws another power at once where its voltage leaves its "
                "band, so that a state may have several flows, of which the bound knows those that the search found"
            )
        if not math.isfinite(upper):
            return claim
        if not math.isfinite(self.loss):
            return f"{claim}; it finds no flow of the answer, of which OpenDSS has one"
        differs = abs(self.loss * self.base_kw / upper - 1.0)
        return f"{claim}; OpenDSS, which judges the answer, differs from it by {differs:.0e} of the loss there"


def _few(many: list[PhaseModel]) -> bool:
    """Whether the flows of all radial states are computed in the whole grid."""
    return len(many) == 1 and states_left(many[0].blocks, undecided(many[0].blocks)) <= FEW


def _of_core(price: Price, core: Core, known: States) -> Price:
    """The price of states of the core, the others as in `known` (m)."""
    return lambda status: price(core.whole(status, known))


def search_phases(
    evaluator: PhasesEvaluator,
    method: TopologySearch,
    model: PhaseModel,
    starts: Iterable[Bools],
    progress: Progress | None,
    deadline: Deadline,
    locks: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
    begun: dict[bytes, Begun] | None = None,
) -> tuple[Outcome, EvaluatedState | None, tuple[str, ...]]:
    """The outcome, the best state and what the bound covers; `begun`: what searches with other limits began with."""
    log = EvaluationLog(evaluator, progress, deadline, "topology search")
    search = PhaseSearch(evaluator, method, log, deadline, locks, begun)
    outcome = search.run(model, starts)
    return outcome, search.best, tuple(search.notes)
