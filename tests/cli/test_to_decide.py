"""What `info` says is to be decided: what varies over all radial states, and switches behind which nothing is."""

import pytest
from hypothesis import given, settings

from openpoint import Grid
from openpoint.grid.rules.wiring import to_decide, unsupplied
from openpoint.network import build_network
from tests.builders.grids import all_topologies, grids
from tests.cli.desk import Command


@given(grids())
@settings(max_examples=15, deadline=None)
def test_a_branch_is_to_be_decided_if_it_is_open_in_one_radial_state_and_closed_in_another(grid: Grid) -> None:
    network = build_network(grid)
    states = all_topologies(network)
    if not len(states):
        return
    varies = states.any(axis=0) & ~states.all(axis=0)
    assert set(to_decide(grid).branches) == {network.branch_names[e] for e in varies.nonzero()[0]}


@given(grids())
@settings(max_examples=15, deadline=None)
def test_behind_a_switch_that_leads_nowhere_no_load_is(grid: Grid) -> None:
    found = to_decide(grid)
    assert not set(found.idle) & set(found.branches)
    closed = {name: name not in found.idle for name in grid.branches()["name"]}
    dark = set(unsupplied(grid.with_closed(closed)))
    assert not dark & {bus for table in (grid.loads, grid.generators, grid.capacitors) for bus in table["bus"]}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("baran33", "36 branches, the others are the only way to what is behind them"),
        ("ieee123", "6 branches, the others are the only way to what is behind them"),
    ],
)
def test_info_says_what_is_to_be_decided(command: Command, source: str, said: str) -> None:
    done = command("info", source)
    assert said in done.out
    assert ("sw6: no load" in done.out) == (source == "ieee123")
