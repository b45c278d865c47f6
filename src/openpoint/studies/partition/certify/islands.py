"""The islands of a plan as an enclosure takes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openpoint.arrays import Floats
from openpoint.enclosure import islands
from openpoint.enclosure.islands import Refused, Topology
from openpoint.enclosure.recourse import Operated, Units
from openpoint.grid.grid import Grid
from openpoint.network.limits import Limits
from openpoint.studies.partition.ac import leading
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.twostage.uncertainty import Budget


def islands_of(grid: Grid, program: PartitionProgram, decision: Floats, limits: Limits | None) -> Operated:
    """The islands of a plan, with its set-points and prices.

    Args:
        grid: the grid. program: of one step. decision: of it, its integers whole. limits: to keep.

    Raises:
        Refused: what an enclosure does not take.
    """
    found = islands.islands_of(grid, topology_of(grid, program, decision), limits)
    p, q = program.parted(decision)[3:]
    base = program.network.terminal_base_kw
    price = program.steps[0].generation_usd / (base * program.steps[0].hours)

    def priced(units: Units) -> Units:
        k = units.part
        return replace(units, price=np.concatenate([price[k], 0.0 * k]), planned=np.concatenate([p[k], q[k]]) * base)

    return replace(found, units=priced(found.units), leads=priced(found.leads))


def topology_of(grid: Grid, program: PartitionProgram, decision: Floats) -> Topology:
    """What a plan decides before the loads are known.

    Raises:
        Refused: loads that an enclosure does not take.
    """
    closed, net, units = program.parted(decision)[0], program.network, program.generators
    lead = leading(program, decision)
    low, high = (each[: len(program.loads.names)] for each in program.deviations)
    if not set(program.loads.names) <= set(grid.loads["name"]):
        raise Refused("what is uncertain are parts of loads")
    if not np.array_equal(-low, high):
        raise Refused("loads deviate by more to one side")
    held = np.sqrt(program.steps[0].held_w)
    return Topology(
        closed={net.branch_names[e]: bool(shut > 0.5) for e, shut in zip(program.blocks.switches, closed, strict=True)},
        forming={units.names[units.may_form[f]]: float(held[f]) for f in lead},
        shares=dict(zip(program.loads.names, high.tolist(), strict=True)),
        budget=float(program.uncertainty.most) if isinstance(program.uncertainty, Budget) else None,
        ramp=program.ramp,
    )
