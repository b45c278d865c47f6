"""From the outcome of a method to the result of partitioning: names, units, tables, and a last look at the worst."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from openpoint.grid.grid import Grid
from openpoint.studies.export import join_names
from openpoint.studies.harden_tables import iterations
from openpoint.studies.partition_model import PartitionProgram
from openpoint.studies.partition_result import PartitionResult
from openpoint.studies.partition_setup import block_loads_kw
from openpoint.twostage.appraisal import MISSED
from openpoint.twostage.climbing import LinearRecourse, climb, starts_of
from openpoint.twostage.log import Outcome
from openpoint.twostage.subproblem import Price
from openpoint.twostage.template import template_of
from openpoint.twostage.uncertainty import Box, Budget

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STARTS = 8
"""Climbs of the last look at the worst realisation, beside all loads up and all down."""


def answer(
    grid: Grid, program: PartitionProgram, outcome: Outcome, method: str, uncertainty: float, notes: tuple[str, ...]
) -> PartitionResult:
    """The result in the grid's own names and units."""
    net, cut, units = program.network, program.blocks, program.generators
    x = outcome.decision
    closed, live, forming, p, q = program.parted(np.zeros(program.decision_size) if x is None else x)
    shut, on, leads = closed > 0.5, live > 0.5, units.may_form[forming > 0.5]
    part = cut.islands(shut)
    order = {int(k): i + 1 for i, k in enumerate(dict.fromkeys(part[on].tolist()))}
    island = np.array([order[int(k)] if alive else 0 for k, alive in zip(part, on)], dtype=np.int64)
    load_kw = block_loads_kw(grid, net, cut)
    base_kw = net.s_base_kva / (1.0 if net.is_balanced else 3.0)
    generators = _generators(grid, program, island, leads, p * base_kw, q * base_kw)
    names = [net.branch_names[k] for k in cut.switches]
    lost, generation = (None, None) if x is None else program.costs(x, 0)
    served = float(load_kw[on].sum())
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
        worst_recourse_usd=None if x is None else outcome.upper_bound - program.cost(x),
        lower_bound_usd=outcome.lower_bound,
        gap=outcome.gap,
        served_kw=served,
        total_kw=float(load_kw.sum()),
        worst_slack_kw=0.0 if x is None else worst_slack(program, x) * base_kw,
        energised_blocks=tuple(cut.names[k] for k in np.flatnonzero(on)),
        closed_switches=tuple(name for name, is_shut in zip(names, shut) if is_shut),
        open_switches=tuple(name for name, is_shut in zip(names, shut) if not is_shut),
        grid_forming=tuple(units.names[g] for g in leads),
        blocks=_blocks(grid, program, island, load_kw),
        islands=_islands(program, island, load_kw, generators),
        generators=generators,
        switches=_switches(program, shut),
        iterations=iterations(outcome),
        notes=notes,
    )


def worst_slack(program: PartitionProgram, decision: Floats) -> float:
    """The largest of the least violations that climbs meet, per unit of a phase; rounding counts as none."""
    recourse = LinearRecourse(template_of(program, len(decision), Price.VIOLATION), Price.VIOLATION)
    if isinstance(program.uncertainty, Box | Budget):
        polyhedral = program.uncertainty.polyhedral()
        worst = climb(lambda u: recourse.at(decision, u), polyhedral, starts_of(polyhedral, STARTS))
    else:
        worst = recourse.at(decision, program.uncertainty.values[0])
    return 0.0 if worst is None or worst.value <= 2.0 * MISSED else worst.value


def _blocks(grid: Grid, program: PartitionProgram, island: Ints, load_kw: Floats) -> pl.DataFrame:
    net, cut = program.network, program.blocks
    home = dict(zip(net.bus_names, cut.of_bus.tolist()))
    count = np.bincount([home[bus] for bus in grid.loads["bus"]], minlength=cut.count)
    return pl.DataFrame(
        {
            "name": cut.names,
            "energised": island > 0,
            "island": island,
            "load_kw": load_kw,
            "loads": count,
            "buses": [join_names(net.bus_names[k] for k in cut.buses(block)) for block in range(cut.count)],
        }
    )


def _generators(
    grid: Grid, program: PartitionProgram, island: Ints, leads: Ints, p_kw: Floats, q_kvar: Floats
) -> pl.DataFrame:
    units, cut = program.generators, program.blocks
    count = len(units.names)
    bus = dict(grid.generators.select("name", "bus").iter_rows())
    base_kw = program.network.s_base_kva / (1.0 if program.network.is_balanced else 3.0)

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(units.of_part, weights=values, minlength=count), dtype=np.float64)

    return pl.DataFrame(
        {
            "name": units.names,
            "bus": [bus[name] for name in units.names],
            "block": [cut.names[k] for k in units.block],
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
                "blocks": join_names(program.blocks.names[k] for k in members),
                "grid_forming": join_names(own.filter(forms_grid=True)["name"]),
                "load_kw": float(load_kw[members].sum()),
                "capacity_kw": float(own["p_max_kw"].sum()),
                "generation_kw": float(own["p_kw"].sum()),
            }
        )
    columns = {"island": pl.Int64, "blocks": pl.String, "grid_forming": pl.String}
    figures = dict.fromkeys(("load_kw", "capacity_kw", "generation_kw"), pl.Float64)
    return pl.DataFrame(rows, schema={**columns, **figures})


def _switches(program: PartitionProgram, shut: Bools) -> pl.DataFrame:
    net, cut = program.network, program.blocks
    first = np.unique(net.conductor_branch, return_index=True)[1]
    today = net.closed[first][cut.switches]
    words = ["" if now == then else "close" if now else "open" for now, then in zip(shut, today)]
    return pl.DataFrame(
        {
            "name": [net.branch_names[k] for k in cut.switches],
            "kind": [net.branch_kinds[k] for k in cut.switches],
            "from_block": [cut.names[k] for k in cut.fr],
            "to_block": [cut.names[k] for k in cut.to],
            "closed": shut,
            "switching": words,
        }
    )
