"""Branch exchange of several phases against brute force over all switches."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.formulations.radiality_phases import radial_states
from openpoint.formulations.topology_phases import by_branch
from openpoint.network import build_network
from openpoint.search.exchange.phases import exchanges_coupled
from tests.builders.meshed import choices_and_states, meshed, three_ties


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_exchanges_are_the_states_where_one_branch_closes_or_one_opens(seed: int) -> None:
    network = build_network(meshed(seed))
    branch = network.conductor_branch
    choices, everything = choices_and_states(network)
    for state in itertools.islice(radial_states(choices, branch), 4):
        here = by_branch(network, state)
        near = [by_branch(network, other).tobytes() for other in exchanges_coupled(choices, branch, state)]
        others = [np.frombuffer(key, dtype=np.bool_) for key in everything]
        changed = [((other & ~here).sum(), (here & ~other).sum(), other.tobytes()) for other in others]
        assert len(near) == len(set(near))
        assert set(near) == {key for closes, opens, key in changed if 1 in (closes, opens)}


def test_one_branch_of_three_phases_gives_way_to_one_a_phase() -> None:
    network = build_network(three_ties())
    choices, everything = choices_and_states(network)
    here = network.closed
    near = {by_branch(network, other).tobytes() for other in exchanges_coupled(choices, network.conductor_branch, here)}
    assert len(everything) == 3
    assert near == everything - {by_branch(network, here).tobytes()}
    assert all(np.frombuffer(state, dtype=np.bool_)[2:].all() for state in near)
