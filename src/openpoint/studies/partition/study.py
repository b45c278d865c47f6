"""Partition: which microgrids to form when the substation is lost, so that as much load as possible is served."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

import numpy as np

from openpoint.grid.grid import Grid
from openpoint.io.opendss.engine import require_engine
from openpoint.report.terminal import words
from openpoint.studies.partition.answer import answer
from openpoint.studies.partition.certify import NO_FLOW, certificate_of
from openpoint.studies.partition.model.program import ExcludedIslands, PartitionProgram
from openpoint.studies.partition.options import PartitionOptions
from openpoint.studies.partition.result import PartitionResult
from openpoint.studies.partition.samples import knock, sampled
from openpoint.studies.partition.setup import Method, beside_the_source, cut_network, method_for, program_of
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import PROVEN_GAP, Outcome, Progress, Termination, relative_gap

_LOG = logging.getLogger(__name__)
MOST_PLANS = 12
"""Plans that are tried until one is proved in exact AC."""


def prepare(grid: Grid, options: PartitionOptions) -> Prepared[PartitionResult]:
    """The blocks to energise, the switches to close and the generators to form the grid, whatever the loads are.

        min  de-energised blocks + cost of set-points + max_u [ least cost of following the loads u ]

    The substation is lost. Every energised island is a tree of blocks with a generator that forms its grid; its
    generators follow the loads within their ramps, so that a linear three-phase power flow keeps all limits in every
    realisation of the uncertainty set. See `openpoint.studies.partition.model.program` (Moring et al. 2024). The
    switchable branches are the switches, and generators with limits may be dispatched.

    Raises:
        InputError: the grid has faults, a name is no load or generator, or no generator can be dispatched.
        OptionError: options that make no sense, a grid without switches, or figures that do not fit it.
    """
    grid = grid if options.bounds is None else options.bounds.split(grid)
    stations, blocks = cut_network(grid, options)
    _LOG.info("built the network and cut it into blocks")
    if options.samples:
        require_engine()
        knock(options.executor)
    program = program_of(grid, stations.opened, blocks, options, whole=stations.whole)
    deviation = float(np.abs(program.deviations).max(initial=0.0)) if program.loads.names else 0.0
    return PreparedPartition(grid, program, method_for(options), deviation, options)


@dataclass(frozen=True)
class PreparedPartition:
    """A question about a grid, ready to be solved.

    Attributes:
        program: the mathematical model, with the limits to keep. method: named, or chosen.
        uncertainty: largest deviation of an uncertain load, a share; 0 where there is none.
    """

    grid: Grid
    program: PartitionProgram
    method: Method
    uncertainty: float
    options: PartitionOptions
    unit: str = "$"

    @property
    def heading(self) -> str:
        """The method."""
        return f"method: {words.method(self.method)}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> PartitionResult:
        """The result, with what samples say where they are asked for."""
        with deadline_of(self.method.time_limit_s, deadline) as until:
            return sampled(self.planned(progress, until), self.options, until, progress)

    def planned(self, progress: Progress | None, deadline: Deadline) -> PartitionResult:
        """The result without samples: the best plan, or, where it is to be certified, the best one that is proved.

        Islands that are disproved with any set-points are excluded, and a plan that stays open; then the method is
        asked again. The lower bound is that of all plans but those that are disproved.
        """
        tried: list[PartitionResult] = []
        program, lower = self.program, math.inf
        while True:
            found = self._certified(program, progress, deadline)
            tried.append(found)
            said = found.certificate
            proved = said is None or said.verdict == "proved"
            if said is not None and said.verdict == "open":
                lower = min(lower, found.lower_bound_usd)
            if said is None or proved or said.note not in ("", NO_FLOW) or len(tried) == MOST_PLANS or deadline.over():
                break
            _LOG.info("plan %d does not hold in exact AC, as far as is known: another one is looked for", len(tried))
            program = replace(program, excluded=(*program.excluded, _islands_to_exclude(program, found)))
        return found if len(tried) == 1 else _after(tried, lower, proved=proved)

    def _certified(self, program: PartitionProgram, progress: Progress | None, deadline: Deadline) -> PartitionResult:
        """The best plan of a program, and its certificate where that is asked for and something is energised."""
        method = self.method
        _LOG.info("stated the problem; the method begins")
        outcome = _or_dark(program, method.solve(program, progress, deadline))
        _LOG.info("the method ended")
        notes = beside_the_source(self.grid, program.network, program.blocks)
        if (bounds := self.options.bounds) is not None:
            notes += (f"each uncertain load has bounds of its own ({bounds.name}); the share shown is the largest",)
        found = answer(self.grid, program, outcome, str(method), self.uncertainty, notes, self.options, deadline)
        if not self.options.certify or found.decision is None or not found.energised_blocks:
            return found
        _LOG.info("the plan is certified")
        return replace(found, certificate=certificate_of(self.grid, program, found.decision, self.options.limits))


def _islands_to_exclude(program: PartitionProgram, found: PartitionResult) -> ExcludedIslands:
    """The islands of a plan that are disproved with any set-points; where none is known to be, all of them."""
    assert found.decision is not None
    assert found.certificate is not None
    closed, energised, forming = (part > 0.5 for part in program.parted(found.decision)[:3])
    units, blocks = program.generators, program.blocks
    on = energised
    if failing := found.certificate.failing:
        island = blocks.islands(closed)
        on = energised & np.isin(island, [island[units.block[units.names.index(name)]] for name in failing])
    near = on[blocks.fr] | on[blocks.to]
    home = on[units.block[units.may_form]]
    return ExcludedIslands(
        closed=np.where(near, np.where(closed, 1.0, -1.0), 0.0),
        energised=np.where(on, 1.0, 0.0 if failing else -1.0),
        forming=np.where(home, np.where(forming, 1.0, -1.0), 0.0),
    )


def _after(tried: list[PartitionResult], lower: float, *, proved: bool) -> PartitionResult:
    """The last of some plans, if it is proved; else the first."""
    first, found, seconds = tried[0], tried[-1], sum(each.seconds for each in tried)
    failed = [each.ac for each in tried if each.ac not in (None, "proved")]
    counts = ", ".join(f"{failed.count(word)} {word}" for word in ("disproved", "open"))
    if not proved:
        return replace(first, seconds=seconds, notes=(*first.notes, f"no plan was proved in exact AC; tried: {counts}"))
    words = f"plans of less cost in the linear model that do not hold in exact AC, as far as is known: {counts}"
    if not found.energised_blocks:
        words += "; no plan that energises a block is left"
    lower = min(lower, found.lower_bound_usd)
    gap = relative_gap(lower, found.cost_usd or 0.0)
    why = found.termination if gap <= PROVEN_GAP else Termination.GAP
    found = replace(found, seconds=seconds, notes=(*found.notes, words))
    return replace(found, lower_bound_usd=lower, gap=max(gap, found.gap), termination=why)


def _or_dark(program: PartitionProgram, outcome: Outcome) -> Outcome:
    """Everything de-energised is a plan, too, whose cost is known: what a method has that was stopped early."""
    dark = np.zeros(program.decision_size)
    cost = program.first_stage_cost(dark)
    if outcome.upper_bound <= cost:
        return outcome
    lower = min(outcome.lower_bound, cost)
    why = Termination.OPTIMAL if relative_gap(lower, cost) <= PROVEN_GAP else outcome.termination
    return replace(outcome, termination=why, decision=dark, upper_bound=cost, lower_bound=lower)


partition = function("partition", PartitionOptions, prepare)
