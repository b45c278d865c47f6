"""A recourse with its equations eliminated says the same as the whole of it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

import openpoint
from openpoint.arrays import Floats
from openpoint.network import build_network
from openpoint.network.blocks import blocks
from openpoint.solvers.base import Status
from openpoint.solvers.form import StandardForm
from openpoint.solvers.highs import HighsModel
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.options import PartitionCosts, PartitionOptions
from openpoint.studies.partition.setup import program_of
from openpoint.twostage.goal import Goal
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from openpoint.twostage.recourse.condensed import Condensed, condensed
from openpoint.twostage.recourse.template import template_of
from openpoint.twostage.worst_case.climbing import LinearRecourse


def question(level: float) -> PartitionProgram:
    grid = openpoint.read("ieee37-microgrids")
    network = build_network(grid)
    prices = {name: 0.2 + 0.05 * k for k, name in enumerate(grid.generators["name"])}
    return program_of(
        grid,
        network,
        blocks(network),
        PartitionOptions(
            costs=PartitionCosts(generation_usd_per_kwh=prices),
            uncertainty=level,
            uncertain_loads=6,
            most_deviating=None,
            ramp=0.3,
            max_grid_forming=1,
        ),
    )


def best(small: Condensed, u: Floats) -> Floats | None:
    """z at the optimum for a realisation."""
    rows = np.vstack([small.by_z, -small.by_z])
    sides = np.concatenate([small.upper - small.by_u @ u, small.by_u @ u - small.lower])
    eye = np.eye(len(small.cost))
    rows, sides = np.vstack([rows, eye, -eye]), np.concatenate([sides, small.z_upper, -small.z_lower])
    known = np.isfinite(sides)
    form = StandardForm(
        small.cost, 0.0, sp.csc_array(rows[known]), sides[known], 0, int(known.sum()), (), np.empty(0, dtype=int), {}
    )
    answer = HighsModel(form).solve(integral=False)
    return answer.x if answer.status is Status.OPTIMAL else None


@pytest.mark.parametrize("made_for", [0.0, 0.15])
def test_the_small_program_has_the_optima_of_the_whole(made_for: float) -> None:
    """Plans for certain and for uncertain loads, before loads that deviate by 15 %; prices differ."""
    program = question(0.15)
    nominal = question(0.0)
    decision = ColumnAndConstraint().solve(program if made_for else nominal).decision
    assert decision is not None
    template = template_of(program, len(decision))
    assert template.dispatch is not None
    small = condensed(template, decision, *program.deviations, template.dispatch)
    assert len(small.cost) < 60
    assert len(small.lower) < 300
    whole = LinearRecourse(template, Goal.COST)
    rng = np.random.default_rng(0)
    agreed = 0
    for u in np.vstack([rng.uniform(*program.deviations, (20, 6)), rng.choice([-0.15, 0.15], (20, 6))]):
        expected, found = whole.at(decision, u), best(small, u)
        assert (expected is None) == (found is None)
        if expected is None or found is None:
            continue
        ramps = small.wanted + small.wanted_by_u @ u + small.wanted_by_z @ found
        most = np.concatenate(program.ramps)
        assert np.all(np.abs(ramps) <= most + 1e-6)
        assert program.steps[0].generation_usd @ ramps[: len(ramps) // 2] == pytest.approx(expected.value, abs=1e-5)
        agreed += 1
    assert agreed == 40 if made_for else 5 < agreed < 40
