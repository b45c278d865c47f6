"""Radial states of several phases are those that brute force over all switches finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.formulations.radiality_phases import radial_states
from openpoint.formulations.topology_phases import by_branch
from openpoint.network import build_network
from tests.builders.meshed import choices_and_states, meshed, three_ties


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_all_radial_states_and_no_other_each_once(seed: int, lock: bool) -> None:
    network = build_network(meshed(seed))
    movable = np.flatnonzero(by_branch(network, network.switchable))
    locked = {int(movable[seed % len(movable)]): bool(seed % 2)} if lock and len(movable) else {}
    choices, expected = choices_and_states(network, locked)
    found = [by_branch(network, state).tobytes() for state in radial_states(choices, network.conductor_branch)]
    assert set(found) == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize("name", ["SA", "SB"])
def test_what_holds_for_one_phase_holds_for_the_others(name: str) -> None:
    """With one feeder open all three ties must close: nothing is left to decide."""
    network = build_network(three_ties())
    choices, everything = choices_and_states(network, {network.branch_names.index(name): False})
    assert not len(choices.free)
    assert len(everything) == 1
