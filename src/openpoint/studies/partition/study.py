"""Partition: which microgrids to form when the substation is lost, so that as much load as possible is served."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

import numpy as np

from openpoint.errors import OptionError
from openpoint.grid.arguments import Names, Solves, of_kind
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.io import GridLike, read
from openpoint.network import Network, build_network
from openpoint.network.blocks import Blocks, blocks
from openpoint.network.limits import Limits
from openpoint.studies.partition.answer import answer
from openpoint.studies.partition.model.loads import block_loads_kw
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.options import PartitionCosts
from openpoint.studies.partition.result import PartitionResult
from openpoint.studies.partition.setup import program_of
from openpoint.twostage.deadline import deadline_of
from openpoint.twostage.log import Outcome, Progress, Termination, relative_gap
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.stopping import PROVEN_GAP

_LOG = logging.getLogger(__name__)

Method = ColumnAndConstraint | ExtensiveForm | Benders


def partition(
    grid: GridLike,
    *,
    uncertainty: float = 0.0,
    uncertain_loads: Literal["all"] | int | Names = "all",
    most_deviating: int | None = None,
    ramp: float = 0.3,
    max_grid_forming: int = 1,
    costs: PartitionCosts | None = None,
    limits: Limits | None = None,
    method: Method | None = None,
    progress: Progress | None = None,
) -> PartitionResult:
    """The blocks to energise, the switches to close and the generators to form the grid, whatever the loads are.

        min  dead blocks + cost of set-points + max_u [ least cost of following the loads u ]

    The substation is lost. Every energised island is a tree of blocks with a generator that forms its grid; its
    generators follow the loads within their ramps, so that a linear three-phase power flow keeps all limits in every
    realisation of the uncertainty set. See `openpoint.studies.partition.model.program` (Moring et al. 2024).

    Args:
        grid: the grid, a path or a name that `read` takes; its switchable branches are the switches, its generators
            with limits may be dispatched.
        uncertainty: largest deviation of an uncertain load to either side, a share of its power; its phases and its
            reactive power go with it.
        uncertain_loads: `all`, the N largest, a name, or several.
        most_deviating: only so many of them deviate at once (Bertsimas and Sim 2004); default: all may.
        ramp: most change of a generator in each phase once the loads are known, a share of its capacity.
        max_grid_forming: most generators that form the grid of one island.
        costs: what dead blocks and generation cost.
        limits: limits to keep; default: those of the grid.
        method: `ColumnAndConstraint()` (default), `Benders(relaxation=False)`, which is the cutting plane of the
            publication, or `ExtensiveForm(solver="highs")` for few uncertain loads.
        progress: told of every iteration.

    Raises:
        InputError: the grid has faults, a name is no load or generator, or no generator can be dispatched.
        OptionError: options that make no sense.
    """
    grid = read(grid)
    refuse_others(method, costs)
    method = method or ColumnAndConstraint()
    with deadline_of(method.time_limit_s) as deadline:
        network, block_graph = blocks_and_network(grid, limits)
        _LOG.info("built the network and cut it into blocks")
        program = program_of(
            grid,
            network,
            block_graph,
            costs or PartitionCosts(),
            uncertainty=uncertainty,
            uncertain_loads=uncertain_loads,
            most_deviating=most_deviating,
            ramp=ramp,
            max_grid_forming=max_grid_forming,
        )
        _LOG.info("stated the problem; the method begins")
        outcome = _or_dark(program, method.solve(program, progress, deadline))
        _LOG.info("the method ended")
        notes = beside_the_source(grid, network, block_graph)
        deviation = uncertainty if program.loads.names else 0.0
        return answer(grid, program, outcome, str(method), deviation, notes, deadline)


def refuse_others(method: object, costs: object) -> None:
    """Refuse a method or costs of another kind.

    Raises:
        OptionError: saying which.
    """
    if method is not None:
        of_kind(method, Solves, "method", "ColumnAndConstraint(), Benders(relaxation=False) or ExtensiveForm()")
    if costs is not None:
        of_kind(costs, PartitionCosts, "costs", "PartitionCosts()")


def _or_dark(program: PartitionProgram, outcome: Outcome) -> Outcome:
    """Everything dead is a plan, too, whose cost is known: what a method has that was stopped early."""
    dark = np.zeros(program.decision_size)
    cost = program.first_stage_cost(dark)
    if outcome.upper_bound <= cost:
        return outcome
    lower = min(outcome.lower_bound, cost)
    why = Termination.OPTIMAL if relative_gap(lower, cost) <= PROVEN_GAP else outcome.termination
    return replace(outcome, termination=why, decision=dark, upper_bound=cost, lower_bound=lower)


def blocks_and_network(grid: Grid, limits: Limits | None) -> tuple[Network, Blocks]:
    """The network with the limits to keep, and its blocks.

    Raises:
        InputError: the grid has faults.
        OptionError: it has no switches.
    """
    network = Limits.given(limits).applied(build_network(grid).dead_when_open())
    block_graph = blocks(network)
    if not len(block_graph.switches):
        raise OptionError("the grid has no switchable branch, so there is nothing to cut; mark its switches switchable")
    return network, block_graph


def beside_the_source(grid: Grid, network: Network, block_graph: Blocks) -> tuple[str, ...]:
    """Notes on load that no plan can serve, and on generators that no plan can use."""
    notes = []
    if beside := float(block_loads_kw(grid, network, block_graph)[block_graph.lost].sum()):
        notes.append(f"{beside:.6g} kW of load share a block with the lost substation and cannot be served")
    at_rest = block_graph.lost[block_graph.of_terminal[network.generator_terminal]]
    if idle := dict.fromkeys(name for name, rests in zip(network.generator_names, at_rest) if rests):
        notes.append(f"generators that share a block with the lost substation cannot run: {names_in_words([*idle])}")
    return tuple(f"{note}; put a switch between" for note in notes)
