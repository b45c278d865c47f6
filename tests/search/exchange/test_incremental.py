"""Branch exchange with incremental flows against the flow of the whole grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.formulations.radiality import contract
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import kernel_input
from openpoint.search.exchange.ac_check import AcEvaluator, Candidate, Exchange
from openpoint.search.exchange.descent import IncrementalExchange, begin, improve
from openpoint.search.exchange.pairs import exchanges
from openpoint.search.kernel.arrays import work_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from tests.powerflow.small_networks import random_network
from tests.search.random_grids import KINDS, random_grid
from tests.search.test_topology import OPTIMA, loaded


def exchange_on(network: Network, cost: float = 0.0, most: int | None = None) -> Exchange | None:
    """Exchanges on a network with the locks of its switches; None where it has no radial state."""
    fixed = ~network.switchable
    model, numbering = build_model(network, SwitchingRules.of(network, most))
    work = work_for(model)
    work.status[(network.closed & fixed)[numbering.branch]] = 1
    if not propagate(model, work):
        return None
    return Exchange(model, numbering, AcEvaluator(network, cost), work.status)


def start(exchange: Exchange, rng: np.random.Generator) -> Candidate | None:
    return exchange.tree(rng.random(len(exchange.status)))


def check_walk(exchange: Exchange, first: Candidate, steps: int) -> int:
    """Make exchanges that need not be better; the sum of their changes is that of flows of the whole grid."""
    incremental = exchange.incremental
    tree, fixed = incremental.tree, kernel_input(exchange.evaluator.network)
    tree.closed[:] = first.closed
    assert begin(fixed[0], incremental.rules, tree, incremental.work)
    made, before = 0, first.closed
    if tree.waiting[0] == 0:
        return made
    for _ in range(steps):
        improve(*fixed, incremental.rules, tree, incremental.work, 3.0, -1e9, 1, 2**62)
        assert (incremental.work.position == -1).all()
        if np.array_equal(tree.closed, before):
            continue
        made, before = made + 1, tree.closed.copy()
        now = exchange.candidate(before[exchange.numbering.branch])
        np.testing.assert_array_equal(now.closed, before)
        assert first.value + tree.loss[0] == pytest.approx(now.value, rel=1e-9, abs=1e-12)
        assert first.violation + tree.violation[0] == pytest.approx(now.violation, rel=1e-9, abs=1e-9)
    return made


@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS))
@settings(max_examples=15, deadline=None)
def test_incremental_flows_are_those_of_the_whole_grid(seed: int, kind: tuple[str, ...]) -> None:
    rng = np.random.default_rng(seed)
    cost = float(rng.choice([0.0, 0.003]))
    exchange = exchange_on(random_grid(rng, kind), cost, int(rng.integers(2, 8)) if rng.random() < 0.3 else None)
    first = None if exchange is None else start(exchange, rng)
    if exchange is not None and first is not None:
        check_walk(exchange, first, 12)


@pytest.mark.parametrize("seed", range(3))
def test_on_larger_grids_with_all_features(seed: int) -> None:
    network = random_network(seed, 60, n_source=1 + seed % 4, n_tie=15, rich=True, load=0.3)
    exchange = exchange_on(network)
    first = exchange.candidate(network.closed[exchange.numbering.branch])
    assert first is not None
    assert check_walk(exchange, first, 60) > 20


@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS))
@settings(max_examples=15, deadline=None)
def test_no_exchange_of_a_local_optimum_is_better(seed: int, kind: tuple[str, ...]) -> None:
    """All exchanges by the flow of the whole grid, also those that no estimate calls promising."""
    rng = np.random.default_rng(seed)
    network = random_grid(rng, kind)
    exchange = exchange_on(network)
    first = None if exchange is None else start(exchange, rng)
    if exchange is None or first is None:
        return
    last = exchange.descend(first)
    assert not first.beats(last)
    fixed = ~network.switchable
    choices = contract(
        *(network.n_terminals, network.terminal_fr, network.terminal_to, network.source_terminal),
        *(network.closed & fixed, ~network.closed & fixed),
    )
    value, miss = exchange.evaluator.evaluate(exchanges(choices, last.closed))
    assert miss.min(initial=np.inf) >= last.violation - 1e-8 * abs(last.violation)
    same = miss <= last.violation
    assert value[same].min(initial=np.inf) >= last.value - 1e-8 * abs(last.value)


def test_kicks_lead_from_a_local_optimum_to_the_best_known_state_each_time() -> None:
    network = loaded("zhang118")
    for _ in range(2):
        exchange = exchange_on(network)
        tree = exchange.tree(-np.sqrt(exchange.model.z2))
        assert tree is not None
        first = exchange.descend(tree)
        last = exchange.perturbed(first, 3000.0)
        assert last.beats(first)
        assert last.value == pytest.approx(OPTIMA["zhang118"] / network.s_base_kva, rel=1e-5)


def test_without_a_choice_there_is_nothing_to_kick() -> None:
    network = random_network(1, 10, n_tie=0, rich=False)
    exchange = exchange_on(network)
    only = start(exchange, np.random.default_rng(0))
    assert exchange.perturbed(only, np.inf).closed.tolist() == only.closed.tolist()
    assert isinstance(exchange.incremental, IncrementalExchange)
