"""Exchanges: which there are, what they are estimated to change, and where they lead."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.network import Network
from openpoint.powerflow.balanced import losses
from openpoint.search.enumeration import topologies
from openpoint.search.exchange.ac_check import AcEvaluator, Exchange
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, work_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from tests.powerflow.small_networks import random_network
from tests.search.random_grids import judged, random_grid


def exchange_on(network: Network) -> Exchange:
    """Exchanges on a network without locks."""
    none = np.zeros(network.n_conductors, dtype=bool)
    model, numbering = build_model(network, must_close=none, must_open=none)
    work = work_for(model)
    assert propagate(model, work)
    return Exchange(model, numbering, AcEvaluator(network), work.status)


@given(st.integers(0, 2**32 - 1), st.integers(3, 20), st.integers(1, 6), st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_the_estimate_is_exact_for_small_loads(seed: int, n_bus: int, n_tie: int, n_source: int) -> None:
    """Loads of constant power are loads of constant current where voltages are flat and sources agree."""
    network = random_network(seed, n_bus, n_source=n_source, n_tie=n_tie, rich=False, load=1e-4)
    held = np.ones_like(network.source_v)
    network = Network(**{**{name: getattr(network, name) for name in network.__dataclass_fields__}, "source_v": held})
    exchange = exchange_on(network)
    candidate = exchange.candidate(network.closed[exchange.numbering.branch])
    assert candidate is not None
    pairs, change = exchange._ranked(candidate)
    assert (np.diff(change) >= 0).all()
    near = np.repeat(candidate.closed[None, :], len(pairs), axis=0)
    near[np.arange(len(pairs)), exchange.numbering.branch[pairs[:, 0]]] = True
    near[np.arange(len(pairs)), exchange.numbering.branch[pairs[:, 1]]] = False
    assert len(np.unique(near, axis=0)) == len(near)
    found = losses(network, near)[0] - candidate.value if len(near) else np.zeros(0)
    np.testing.assert_allclose(change, found, rtol=1e-2, atol=1e-3 * candidate.value)
    # All radial states that differ by one branch closed and one opened, and no others.
    every = np.concatenate(list(topologies(network, locked_open=np.zeros(network.n_conductors, dtype=bool))))
    one_away = every[(every != candidate.closed).sum(axis=1) == 2]
    assert {row.tobytes() for row in one_away} == {row.tobytes() for row in near}


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_exchanges_lead_down_to_a_radial_state_judged_exactly(seed: int) -> None:
    network = random_grid(np.random.default_rng(seed), ("low", "ratings"))
    exchange = exchange_on(network)
    first = exchange.tree(np.random.default_rng(seed).random(len(exchange.status)))
    if first is None:
        return
    last = exchange.descend(first)
    assert not first.beats(last)
    states, value = judged(network, None, 0.0)
    assert last.closed.tolist() in states.tolist()
    if last.violation == 0.0:
        assert last.value == pytest.approx(value[(states == last.closed).all(axis=1)][0], rel=1e-12)


def test_a_tree_of_greatest_weight_keeps_what_is_decided() -> None:
    network = random_network(3, 12, n_tie=5, rich=False)
    exchange = exchange_on(network)
    closed = network.closed[exchange.numbering.branch]
    tree = exchange.tree(closed.astype(float))
    assert tree is not None
    np.testing.assert_array_equal(tree.closed, network.closed)
    exchange.status[np.flatnonzero(~closed)[0]] = CLOSED
    other = exchange.tree(closed.astype(float))
    assert other is not None
    assert other.closed[exchange.numbering.branch[np.flatnonzero(~closed)[0]]]
    assert (exchange.status == UNDECIDED).any()


def test_outputs_that_stay_keep_the_network() -> None:
    """What power flows derive from a network is kept with it: every leaf of a search sets outputs."""
    network = random_network(7, 9, n_source=1, n_tie=2, rich=False, load=1e-2)
    evaluator = AcEvaluator(network)
    assert evaluator.with_outputs(evaluator.outputs) is evaluator
