"""The optimum on IEEE 37 by enumeration of islands: they do not meet, so each is priced alone, by a linear program with
its binaries fixed, and the cheapest set of them that share no block is put together."""

from __future__ import annotations

import functools
import itertools
import math

import networkx as nx
import numpy as np
import pytest

import openpoint
from openpoint.network import build_network
from openpoint.network.blocks import Blocks, blocks
from openpoint.solvers.highs import HighsModel
from openpoint.studies.partition.options import PartitionOptions
from openpoint.studies.partition.setup import program_of
from openpoint.studies.partition.study import partition
from openpoint.twostage.recourse.compile import compile_model

Island = tuple[frozenset[int], tuple[int, ...]]


def islands(cut: Blocks) -> list[Island]:
    """Blocks and closed switches of every tree of blocks without the substation."""
    found: list[Island] = [(frozenset({b}), ()) for b in range(cut.count) if not cut.lost[b]]
    usable = [k for k in range(len(cut.switches)) if not (cut.lost[cut.fr[k]] or cut.lost[cut.to[k]])]
    for size in range(1, cut.count):
        for shut in itertools.combinations(usable, size):
            graph = nx.MultiGraph((int(cut.fr[k]), int(cut.to[k])) for k in shut)
            if nx.is_tree(graph):
                found.append((frozenset(graph), shut))
    return found


def test_the_optimum_is_that_of_the_best_islands() -> None:
    """For loads that are certain: then nothing has to follow, and the set-points are all there is."""
    grid = openpoint.read("ieee37-microgrids")
    network = build_network(grid)
    cut = blocks(network)
    program = program_of(
        grid,
        network,
        cut,
        PartitionOptions(
            uncertainty=0.0,
            uncertain_loads=0,
            most_deviating=None,
            ramp=0.3,
            max_grid_forming=1,
        ),
    )
    first = program.first_stage(with_recourse=False)
    form = compile_model(first.cost, first.constraints, first.integers, also=(first.decision,))
    model = HighsModel(form)
    s, b, f, _ = program.sizes
    binaries = form.of(first.decision)[: s + b + f]
    home = program.generators.block[program.generators.may_form]
    dark = program.first_stage_cost(np.zeros(program.decision_size))
    every = islands(cut)

    def saved(island: Island) -> float:
        """What an island alone is cheaper than darkness, with its best source."""
        members, shut = island
        best = 0.0
        for g in (g for g in range(f) if home[g] in members):
            chosen = np.zeros(s + b + f)
            chosen[[*shut, *(s + k for k in members), s + b + g]] = 1.0
            model.fix(binaries, chosen)
            answer = model.solve(integral=False, presolve=False)
            if answer.x is not None:
                best = max(best, dark - answer.value)
        return best

    worth: dict[frozenset[int], float] = {}
    for island in every:
        worth[island[0]] = max(worth.get(island[0], 0.0), saved(island))

    @functools.cache
    def most(left: frozenset[int]) -> float:
        """The most that islands of these blocks save."""
        if not left:
            return 0.0
        first = min(left)
        alone = most(left - {first})
        return max([alone, *(value + most(left - own) for own, value in worth.items() if first in own and own <= left)])

    result = partition(grid)
    expected = dark - most(frozenset(range(b)))
    assert math.isfinite(expected)
    assert result.cost_usd == pytest.approx(expected, rel=1e-6)
    assert result.lower_bound_usd == pytest.approx(expected, rel=1e-4)
