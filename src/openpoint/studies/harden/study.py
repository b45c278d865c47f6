"""Harden: which lines to make safe, and where to put backup generators, before a disaster, so that all costs least."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np

from openpoint.errors import OptionError
from openpoint.grid.arguments import Solves, of_kind
from openpoint.io import GridLike, read
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.scenarios.ambiguity import DisastersRecipe
from openpoint.scenarios.disasters import DisastersLike, read_disasters
from openpoint.studies.harden.answer import Run, answer
from openpoint.studies.harden.model import HardenProgram
from openpoint.studies.harden.options import HardenCosts, not_negative
from openpoint.studies.harden.result import HardenResult
from openpoint.studies.harden.threat import Threat, threat_of
from openpoint.twostage.ambiguity import Ambiguity
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Outcome, Progress, Termination
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.methods.wait_and_see import as_finite
from openpoint.twostage.risk import Expectation, WorstCase, probability_set
from openpoint.twostage.uncertainty import Box, Budget

_LOG = logging.getLogger(__name__)

Method = ColumnAndConstraint | ExtensiveForm | Benders

TELL_EVERY_S = 1.0
"""Seconds between words on what is done after the plan is found."""


def harden(
    grid: GridLike,
    *,
    disasters: DisastersLike | None = None,
    any_lines: int | None = None,
    max_lines: int | None = None,
    max_generators: int | None = None,
    budget_usd: float | None = None,
    costs: HardenCosts | None = None,
    ambiguity: Ambiguity | DisastersRecipe | None = None,
    limits: Limits | None = None,
    method: Method | None = None,
    value_of_information: bool | None = None,
    progress: Progress | None = None,
) -> HardenResult:
    """The lines to harden and the places of backup generators for which investment and outages cost least.

        min  investment + ρ[ least cost of lost load after the disaster ]

    After a disaster the grid is reconfigured, islands form around backup generators, and as little load as possible is
    shed; all of it keeps a linear power flow (LinDistFlow) and is checked by an exact AC power flow. See
    `openpoint.studies.harden.model`. ρ is the expectation over the disasters; over ambiguous probabilities the worst
    expectation (Zhang et al., IJEPES 122, 2020, 106161); with `any_lines` the worst attack.

    Args:
        grid: the grid, a path or a name that `read` takes; its closed branches are today's state.
        disasters: what may break, and how likely (`storms`, `Disasters.from_branches`, or what `read_disasters` takes).
        any_lines: in place of disasters: any so many lines may break.
        max_lines, max_generators, budget_usd: most to buy; None = any number, any sum.
        costs: prices, and the size of a backup generator.
        ambiguity: the probabilities of the disasters are not known better than this set, or than the set that a recipe
            of `scenarios.ambiguity` makes of the distinct disasters.
        limits: limits to keep; default: those of the grid.
        method: `ColumnAndConstraint()` (default), `ExtensiveForm(solver="highs")` or `Benders()`.
        value_of_information: whether to compute what the plan is worth (see `studies.plan_value`); default: if there
            are at most 50 distinct disasters and it takes no longer than half a minute, or than the plan itself.
        progress: told of every iteration.

    Raises:
        InputError: the grid has faults.
        OptionError: options that make no sense or contradict each other.
    """
    for name, most in (("max_lines", max_lines), ("max_generators", max_generators), ("budget_usd", budget_usd)):
        if most is not None:
            not_negative(name, most)
    grid = read(grid)
    if method is not None:
        of_kind(method, Solves, "method", "ColumnAndConstraint(), ExtensiveForm(solver='highs') or Benders()")
    if costs is not None:
        of_kind(costs, HardenCosts, "costs", "HardenCosts()")
    method = method or ColumnAndConstraint()
    with deadline_of(method.time_limit_s) as deadline:
        network = build_network(grid).dead_when_open()
        if not network.is_balanced:
            raise OptionError("harden works on balanced grids (phases '1'); this grid has phases a, b, c")
        _LOG.info("built the network")
        disasters = None if disasters is None else read_disasters(disasters, grid)
        threat = threat_of(network, disasters, any_lines, ambiguity)
        kept = Limits.given(limits).applied(network)
        program = _program(kept, threat, costs or HardenCosts(), max_lines, max_generators)
        program = replace(program, budget_usd=budget_usd)
        _LOG.info("stated the problem; the method begins")
        outcome = _or_nothing(program, method.solve(program, progress, deadline), deadline)
        _LOG.info("the method ended")
        ended, told_at = deadline.passed(), -math.inf

        def tell(word: str) -> None:
            nonlocal told_at
            now = deadline.passed()
            if progress is not None and outcome.log and now - told_at >= TELL_EVERY_S:
                told_at, last = now, outcome.log[-1]
                spent = outcome.seconds + now - ended
                progress(replace(last, seconds=spent, verdict=word, value=math.inf, mark="", interim=True))

        run = Run(str(method), method.gap, outcome.seconds, wanted=value_of_information, deadline=deadline, tell=tell)
        return answer(grid, program, threat, outcome, run)


def _or_nothing(program: HardenProgram, outcome: Outcome, deadline: Deadline) -> Outcome:
    """To buy nothing is a plan, too, whose cost is known in part: what a method has that was stopped early."""
    if outcome.decision is not None or outcome.termination not in (Termination.TIME, Termination.INTERRUPTED):
        return outcome
    finite, nothing = as_finite(program), np.zeros(len(program.costs))
    assert not isinstance(finite.uncertainty, Box | Budget)
    known = program.recourse_bounds(nothing, finite.uncertainty.values, deadline.over)
    if known is None or not np.isfinite(known.upper).all():
        return outcome
    cost = probability_set(finite.uncertainty, finite.risk).worst(known.upper)[0]
    lower = min(outcome.lower_bound, cost)
    return replace(outcome, decision=nothing, upper_bound=cost, lower_bound=lower, values=known.upper)


def _program(
    network: Network, threat: Threat, costs: HardenCosts, max_lines: int | None, max_generators: int | None
) -> HardenProgram:
    """The mathematical model. Lines that never break are not worth hardening, so they are left out."""
    uncertainty = threat.uncertainty
    breaks = uncertainty.up > 0.0 if isinstance(uncertainty, Budget) else uncertainty.values.any(axis=0)
    lines = np.flatnonzero(breaks & np.array([kind == "lines" for kind in network.branch_kinds]))
    buses = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    lines = lines[:0] if max_lines == 0 else lines
    buses = buses[:0] if max_generators == 0 else buses
    return HardenProgram(
        network=network,
        uncertainty=uncertainty,
        risk=WorstCase() if isinstance(uncertainty, Budget) else Expectation(),
        lines=lines,
        line_usd=np.full(len(lines), float(costs.line_usd)),
        buses=buses,
        generator_usd=np.full(len(buses), float(costs.generator_usd)),
        backup=costs.backup,
        voll_usd_per_kw=np.full(network.n_terminals, float(costs.voll_usd_per_kw)),
        max_lines=max_lines,
        max_generators=max_generators,
        closed_line_usd=float(costs.closed_line_usd),
    )
