"""From the outcome of a method to the result of partitioning: names, units, tables, and a last look at the worst."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.results.columns import frame
from openpoint.results.common import iterations_table
from openpoint.studies.partition.model.links import today
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.model.step import block_loads_kw
from openpoint.studies.partition.options import PartitionOptions
from openpoint.studies.partition.result import PartitionResult
from openpoint.studies.partition.schema import ISLANDS, ITERATIONS
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome
from openpoint.twostage.program import Goal
from openpoint.twostage.recourse.compile import template_of
from openpoint.twostage.recourse.evaluation import VIOLATION_MIN
from openpoint.twostage.uncertainty import Box, Budget
from openpoint.twostage.worst_case.separation import LinearRecourse, climb, starting_points


@dataclass(frozen=True)
class StepTables:
    """A step of a decision as tables; columns as in `openpoint.studies.partition.result.PartitionResult`."""

    blocks: pl.DataFrame
    islands: pl.DataFrame
    generators: pl.DataFrame
    switches: pl.DataFrame

    @property
    def load_kw(self) -> float:
        """Nominal load of all blocks."""
        return float(self.blocks["load_kw"].sum())

    @property
    def served_kw(self) -> float:
        """Nominal load of the energised blocks."""
        return float(self.blocks.filter(energised=True)["load_kw"].sum())


def step_tables(
    grid: Grid, program: PartitionProgram, decision: Floats | None, step: int, share: Floats | float = 1.0
) -> StepTables:
    """The tables of a step; without a decision everything is de-energised.

    Args:
        grid: the grid. program: its partition. decision: (n). step: its number.
        share: (L) what each load is, a share of the grid's.
    """
    block_graph, units = program.blocks, program.generators
    x = np.zeros(program.decision_size) if decision is None else decision
    closed, energised, forming, p, q = program.parted(x, step)
    shut, on, leads = closed > 0.5, energised > 0.5, units.may_form[forming > 0.5]
    part = block_graph.islands(shut)
    order = {int(k): i + 1 for i, k in enumerate(dict.fromkeys(part[on].tolist()))}
    island = np.array([order[int(k)] if alive else 0 for k, alive in zip(part, on)], dtype=np.int64)
    load_kw = block_loads_kw(grid, program.network, block_graph, share)
    base_kw = program.network.terminal_base_kw
    generators = _generators(grid, program, island, leads, p * base_kw, q * base_kw)
    return StepTables(
        blocks=_blocks(grid, program, island, load_kw),
        islands=_islands(program, island, load_kw, generators),
        generators=generators,
        switches=switch_table(program, shut | program.steps[step].locks.closed, today(program.network, block_graph)),
    )


def _blocks(grid: Grid, program: PartitionProgram, island: Ints, load_kw: Floats) -> pl.DataFrame:
    net, block_graph = program.network, program.blocks
    home = dict(zip(net.bus_names, block_graph.of_bus.tolist()))
    count = np.bincount([home[bus] for bus in grid.loads["bus"]], minlength=block_graph.count)
    return pl.DataFrame(
        {
            "name": block_graph.names,
            "energised": island > 0,
            "island": island,
            "load_kw": load_kw,
            "loads": count,
            "buses": [
                join_names(net.bus_names[k] for k in block_graph.buses(block)) for block in range(block_graph.count)
            ],
        }
    )


def _generators(
    grid: Grid, program: PartitionProgram, island: Ints, leads: Ints, p_kw: Floats, q_kvar: Floats
) -> pl.DataFrame:
    units, block_graph = program.generators, program.blocks
    count = len(units.names)
    bus = dict(grid.generators.select("name", "bus").iter_rows())
    base_kw = program.network.terminal_base_kw

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(units.of_part, weights=values, minlength=count), dtype=np.float64)

    return pl.DataFrame(
        {
            "name": units.names,
            "bus": [bus[name] for name in units.names],
            "block": [block_graph.names[k] for k in units.block],
            "island": island[units.block],
            "forms_grid": np.isin(np.arange(count), leads),
            "p_kw": total(p_kw),
            "q_kvar": total(q_kvar),
            "p_max_kw": total(program.network.p_max * base_kw),
        }
    )


def _islands(program: PartitionProgram, island: Ints, load_kw: Floats, generators: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for number in range(1, int(island.max(initial=0)) + 1):
        members = np.flatnonzero(island == number)
        own = generators.filter(island=number)
        rows.append(
            {
                "island": number,
                "blocks": [program.blocks.names[k] for k in members],
                "grid_forming": own.filter(forms_grid=True)["name"].to_list(),
                "load_kw": float(load_kw[members].sum()),
                "capacity_kw": float(own["p_max_kw"].sum()),
                "generation_kw": float(own["p_kw"].sum()),
            }
        )
    return frame(ISLANDS, rows)


def switch_table(program: PartitionProgram, shut: Bools, before: Bools) -> pl.DataFrame:
    """The switches (S) with what to do about those that differ from before."""
    net, block_graph = program.network, program.blocks
    words = ["" if now == then else "close" if now else "open" for now, then in zip(shut, before)]
    return pl.DataFrame(
        {
            "name": [net.branch_names[k] for k in block_graph.switches],
            "kind": [net.branch_kinds[k] for k in block_graph.switches],
            "from_block": [block_graph.names[k] for k in block_graph.fr],
            "to_block": [block_graph.names[k] for k in block_graph.to],
            "closed": shut,
            "switching": words,
        }
    )


STARTS = 8
"""Climbs of the last look at the worst realisation, beside all loads up and all down."""
VERIFIED_S = 0.5
"""Seconds for it in any case, also where the method has used up the time."""


def answer(
    grid: Grid,
    program: PartitionProgram,
    outcome: Outcome,
    method: str,
    uncertainty: float,
    notes: tuple[str, ...],
    asked: PartitionOptions,
    deadline: Deadline,
) -> PartitionResult:
    """The result in the grid's own names and units."""
    x = outcome.decision
    here = step_tables(grid, program, x, 0)
    names, shut = here.switches["name"], here.switches["closed"]
    lost, generation = (None, None) if x is None else program.costs(x, 0)
    return PartitionResult(
        grid=grid,
        method=method,
        termination=outcome.termination,
        seconds=outcome.seconds,
        uncertainty=uncertainty,
        uncertain_loads=program.loads.names,
        cost_usd=None if x is None else outcome.upper_bound,
        lost_usd=lost,
        generation_usd=generation,
        worst_recourse_usd=None if x is None else outcome.upper_bound - program.first_stage_cost(x),
        lower_bound_usd=outcome.lower_bound,
        gap=outcome.gap,
        served_kw=here.served_kw,
        total_kw=here.load_kw,
        worst_slack_kw=0.0 if x is None else worst_slack(program, x, deadline) * program.network.terminal_base_kw,
        energised_blocks=tuple(here.blocks.filter(energised=True)["name"]),
        closed_switches=tuple(names.filter(shut)),
        open_switches=tuple(names.filter(~shut)),
        grid_forming=tuple(here.generators.filter(forms_grid=True)["name"]),
        blocks=here.blocks,
        islands=here.islands,
        generators=here.generators,
        switches=here.switches,
        iterations=iterations_table(outcome.log, ITERATIONS),
        notes=(*grid.figure_notes, *notes),
        asked=asked,
        decision=x,
    )


def worst_slack(program: PartitionProgram, decision: Floats, deadline: Deadline) -> float:
    """The largest of the least violations that climbs meet, per unit of a phase; rounding counts as none.

    Where the time is up, some climbs are made all the same.
    """
    recourse = LinearRecourse(template_of(program, len(decision), Goal.VIOLATION), Goal.VIOLATION)
    if isinstance(program.uncertainty, Box | Budget):
        polyhedral = program.uncertainty.polyhedral()
        stop = deadline.after(VERIFIED_S).over
        worst = climb(lambda u: recourse.at(decision, u), polyhedral, starting_points(polyhedral, STARTS), stop)
    else:
        worst = recourse.at(decision, program.uncertainty.values[0])
    return 0.0 if worst is None or worst.value <= 2.0 * VIOLATION_MIN else worst.value
