"""The baseline without partition: that of a grid without other switches, and never better than partitioning."""

import random

import networkx as nx
import polars as pl
import pytest

import openpoint
from openpoint import Grid, PartitionCosts, partition
from tests.builders.microgrids import five, three_phase_feeder

COSTS = PartitionCosts(load_weight=0.0)  # a block of two costs as much as both of them


def today(grid: Grid, rng: random.Random) -> Grid:
    """The grid with some of its switches open, so that what is closed has no loop."""
    tree = nx.Graph()
    states: dict[str, bool] = {}
    lines = list(grid.lines.select("name", "from_bus", "to_bus", "switchable").iter_rows())
    for name, a, b, switchable in sorted(lines, key=lambda line: (line[3], rng.random())):
        tree.add_nodes_from((a, b))
        states[name] = not nx.has_path(tree, a, b) and (not switchable or a == "b0" or rng.random() < 0.7)
        if states[name]:
            tree.add_edge(a, b)
    return grid.with_closed(states)


def merged(grid: Grid) -> Grid:
    """The same grid where only the switches at the substation are switches, and open ones, which bear no current."""
    open_ = pl.col("closed").not_()
    lines = grid.lines.with_columns(
        switchable=(pl.col("from_bus") == "b0") | open_, i_max_a=pl.when(open_).then(1e-3).otherwise("i_max_a")
    )
    return grid.with_tables(lines=lines)


@pytest.mark.parametrize("seed", range(2))
def test_it_is_the_partition_of_a_grid_without_other_switches(seed: int) -> None:
    rng = random.Random(seed)
    grid = today((five() if seed == 0 else three_phase_feeder(rng)).grid(), rng)
    asked = {"uncertainty": 0.2, "uncertain_loads": 1, "costs": COSTS}
    fixed = partition(grid, fixed_switches=True, **asked)  # type: ignore[arg-type]
    alone = partition(merged(grid), **asked)  # type: ignore[arg-type]
    assert fixed.cost_usd == pytest.approx(alone.cost_usd, rel=2e-6, abs=0.01)  # of a thousandth of an ampere
    assert fixed.served_kw == pytest.approx(alone.served_kw)
    free = partition(grid, **asked)  # type: ignore[arg-type]
    assert fixed.cost_usd >= (1.0 - 1e-6) * free.lower_bound_usd  # type: ignore[operator]
    moved = fixed.switches.filter(pl.col("switching") != "")
    assert set(moved["name"]) <= {"l0"}
    assert fixed.closed_count + moved.height == grid.lines.filter("switchable", "closed").height


def test_without_partition_all_of_the_published_feeder_is_dark() -> None:
    fixed = openpoint.partition("ieee37-microgrids", fixed_switches=True)
    assert (fixed.served_kw, fixed.energised_count, fixed.to_do()) == (0.0, 0, "1 switching (1 to open)")
    assert fixed.cost_usd == pytest.approx(fixed.lost_usd)
    assert 0.0 <= fixed.seconds_to_best <= fixed.seconds
