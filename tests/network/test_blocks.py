"""Blocks: components of the grid with every switch open, checked by another road; refusals."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import InputError
from openpoint.network import Network, build_network
from openpoint.network.blocks import blocks
from tests.powerflow.small_networks import Branch, make_network


def reach(network: Network, bus: int) -> set[int]:
    """Buses that fixed closed branches join to a bus."""
    found, ahead = {bus}, [bus]
    while ahead:
        here = ahead.pop()
        for e in range(network.n_conductors):
            ends = {
                int(network.terminal_bus[network.terminal_fr[e]]),
                int(network.terminal_bus[network.terminal_to[e]]),
            }
            if network.closed[e] and not network.switchable[e] and here in ends:
                ahead += sorted(ends - found)
                found |= ends
    return found


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 8), st.data())
def test_blocks_are_what_fixed_branches_join(n: int, data: st.DataObject) -> None:
    branches = []
    for i in range(1, n):  # a tree, so that no block has a loop
        switchable, closed = data.draw(st.booleans()), data.draw(st.booleans())
        branches.append(Branch(data.draw(st.integers(0, i - 1)), i, switchable=switchable, closed=closed))
    extra = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=3))
    branches += [Branch(a, b, closed=data.draw(st.booleans())) for a, b in extra if a != b]
    network = make_network(n, branches, {0: 1.0 + 0j})
    found = blocks(network)
    for bus in range(n):
        assert set(np.flatnonzero(found.of_bus == found.of_bus[bus])) == reach(network, bus)
    assert list(found.switches) == [k for k, branch in enumerate(branches) if branch.switchable]
    for s, a, b in zip(found.switches, found.fr, found.to):
        assert (a, b) == (found.of_bus[branches[s].fr], found.of_bus[branches[s].to])
    assert list(np.flatnonzero(found.lost)) == [found.of_bus[0]]
    assert [found.names[b] for b in sorted(set(found.of_bus))] == list(found.names)


def test_microgrids_have_seven_blocks_and_that_of_the_substation() -> None:
    network = build_network(openpoint.read("ieee37-microgrids"))
    found = blocks(network)
    assert (found.count, found.lost.sum(), len(found.switches)) == (8, 1, 10)
    assert sorted(np.bincount(found.of_bus).tolist()) == [1, 3, 3, 4, 4, 6, 7, 9]
    assert len(np.unique(found.islands(np.zeros(10, dtype=bool)))) == 8


def test_a_switch_feeds_only_blocks_whose_phases_it_has() -> None:
    network = build_network(openpoint.read("ieee13-microgrids"))
    cut = blocks(network)
    names = [network.branch_names[k] for k in cut.switches]
    only = {name: (bool(a), bool(b)) for name, a, b in zip(names, cut.ahead, cut.back) if not (a and b)}
    # The laterals of two phases cannot feed the feeder of three, nor each other along one.
    assert only == {"632645": (True, False), "671684": (True, False), "t646-611": (False, False)}


def test_three_phases_joined_by_lone_units_are_no_loop() -> None:
    assert blocks(build_network(openpoint.read("ieee13"))).count == 2  # three regulators side by side
    assert blocks(build_network(openpoint.read("ieee37"))).count == 1  # an open delta


def test_a_loop_that_nobody_can_open_is_refused() -> None:
    ring = [Branch(0, 1, switchable=False), Branch(1, 2, switchable=False), Branch(2, 0, switchable=False)]
    network = make_network(3, ring, {0: 1.0 + 0j})
    with pytest.raises(InputError, match="loop within a block"):
        blocks(network)
    opened = np.array([True, True, False])
    assert blocks(dataclasses.replace(network, closed=opened)).count == 1
