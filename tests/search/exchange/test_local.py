"""Branch exchange: which exchanges there are, what they change, where they end, alone and of several phases."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.formulations.radiality import by_branch, contract, radial_states
from openpoint.network import Network, build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import losses
from openpoint.search.enumeration import topologies
from openpoint.search.exchange.ac_check import AcEvaluator, Exchange, exchange_branches
from openpoint.search.exchange.pairs import exchanges, exchanges_coupled
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, work_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from openpoint.search.result import SearchProgress, SearchResult
from openpoint.twostage.log import Termination
from tests.builders.meshed import choices_and_states, meshed, three_ties
from tests.powerflow.small_networks import random_network
from tests.search.random_grids import judged, random_grid
from tests.search.test_topology import OPTIMA, loaded


def exchanged(network: Network, rules: SwitchingRules | None = None, **options: object) -> SearchResult:
    """Branch exchange without locks but those of the switches."""
    return exchange_branches(network, rules or SwitchingRules.of(network), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OPTIMA)
def test_no_exchange_of_the_end_is_better(name: str) -> None:
    """All exchanges by exact power flow, whatever their estimate."""
    network = loaded(name)
    found = exchanged(network)
    assert found.termination is Termination.LOCAL
    assert found.lower_bound == -math.inf
    assert found.gap == math.inf
    assert found.closed is not None
    assert losses(network, found.closed)[0][0] == found.value
    optimum = OPTIMA[name] / network.s_base_kva
    assert optimum * (1.0 - 1e-5) <= found.value < 1.03 * optimum
    none = np.zeros(network.n_conductors, dtype=np.bool_)
    choices = contract(
        network.n_terminals, network.terminal_fr, network.terminal_to, network.source_terminal, none, none
    )
    near = exchanges(choices, found.closed)
    assert len(near) > 10
    assert losses(network, near)[0].min() >= found.value * (1.0 - 1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_its_answers_are_radial_states_that_keep_limits_and_changes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_grid(rng, ("low", "ratings"))
    most = int(rng.integers(0, 5)) if rng.random() < 0.5 else None
    cost = float(rng.uniform(0.0, 0.01)) if rng.random() < 0.5 else 0.0
    told: list[SearchProgress] = []
    try:
        found = exchanged(network, SwitchingRules.of(network, most, cost), progress=told.append)
    except OptionError:
        return  # voltages without limit
    states, value = judged(network, most, cost)
    best = value.min(initial=np.inf)
    if found.closed is None:
        assert found.value == math.inf
    else:
        row = (states == found.closed).all(axis=1)
        assert row.any()
        assert found.value == pytest.approx(value[row][0], rel=1e-9)
        assert found.value >= best * (1.0 - 1e-9)
    values = [now.value for now in told]
    assert values == sorted(values, reverse=True)
    assert all(now.lower_bound == -math.inf for now in told)


def test_it_stops_when_told() -> None:
    network = loaded("mantovani136")
    by_time = exchanged(network, time_limit=0.0)
    by_wish = exchanged(network, stop=lambda: True)
    assert by_time.termination is Termination.TIME
    assert by_wish.termination is Termination.INTERRUPTED
    for found in (by_time, by_wish):
        assert found.closed is not None
        assert found.value == pytest.approx(losses(network, network.closed)[0][0], rel=1e-12)


FR, TO = np.array([0, 1, 2, 0]), np.array([1, 2, 3, 3])
FREE = np.zeros(4, dtype=np.bool_)


def test_every_state_one_exchange_away_is_found() -> None:
    near = exchanges(contract(4, FR, TO, np.array([0]), FREE, FREE), np.array([True, True, True, False]))
    assert sorted(np.flatnonzero(~state).tolist() for state in near) == [[0], [1], [2]]


@pytest.mark.parametrize("closed", [[True, False, False, False], [True, True, True, True], [False, True, True, False]])
def test_a_state_that_is_not_radial_has_none(closed: list[bool]) -> None:
    choices = contract(4, FR, TO, np.array([0]), FREE, FREE)
    assert exchanges(choices, np.array(closed)).shape == (0, 4)


@settings(max_examples=8, deadline=None)
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


def exchange_on(network: Network) -> Exchange:
    """Exchanges on a network without locks."""
    none = np.zeros(network.n_conductors, dtype=bool)
    model, numbering = build_model(network, SwitchingRules(none, none))
    work = work_for(model)
    assert propagate(model, work)
    return Exchange(model, numbering, AcEvaluator(network), work.status)


@given(st.integers(0, 2**32 - 1), st.integers(3, 20), st.integers(1, 6), st.integers(1, 2))
def test_the_estimate_is_exact_for_small_loads(seed: int, n_bus: int, n_tie: int, n_source: int) -> None:
    """Loads of constant power are loads of constant current where voltages are flat and sources agree.

    Theory: docs/methods.md M42.
    """
    network = random_network(seed, n_bus, n_source=n_source, n_tie=n_tie, rich=False, load=1e-4)
    held = np.ones_like(network.source_v)
    network = Network(**{**{name: getattr(network, name) for name in network.__dataclass_fields__}, "source_v": held})
    exchange = exchange_on(network)
    candidate = exchange.candidate(network.closed[exchange.numbering.branch])
    pairs, change = exchange._ranked(candidate)
    assert (np.diff(change) >= 0).all()
    near = np.repeat(candidate.closed[None, :], len(pairs), axis=0)
    near[np.arange(len(pairs)), exchange.numbering.branch[pairs[:, 0]]] = True
    near[np.arange(len(pairs)), exchange.numbering.branch[pairs[:, 1]]] = False
    assert len(np.unique(near, axis=0)) == len(near)
    found = losses(network, near)[0] - candidate.value if len(near) else np.zeros(0)
    np.testing.assert_allclose(change, found, rtol=1e-2, atol=1e-3 * candidate.value)
    # All radial states that differ by one branch closed and one opened, and no others.
    none = np.zeros(network.n_conductors, dtype=bool)
    rules = SwitchingRules(SwitchingRules.of(network).must_close, none)
    every = np.concatenate(list(topologies(network, rules)))
    one_away = every[(every != candidate.closed).sum(axis=1) == 2]
    assert {row.tobytes() for row in one_away} == {row.tobytes() for row in near}


@given(st.integers(0, 2**32 - 1))
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
    np.testing.assert_array_equal(tree.closed, network.closed)
    exchange.status[np.flatnonzero(~closed)[0]] = CLOSED
    other = exchange.tree(closed.astype(float))
    assert other.closed[exchange.numbering.branch[np.flatnonzero(~closed)[0]]]
    assert (exchange.status == UNDECIDED).any()


def test_outputs_that_stay_keep_the_network() -> None:
    """What power flows derive from a network is kept with it: every leaf of a search sets outputs."""
    network = random_network(7, 9, n_source=1, n_tie=2, rich=False, load=1e-2)
    evaluator = AcEvaluator(network)
    assert evaluator.with_outputs(evaluator.outputs) is evaluator
