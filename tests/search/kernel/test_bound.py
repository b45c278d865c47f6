"""No bound of a node exceeds the exact value of its best completion, whatever the multipliers."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import losses, solve
from openpoint.search.enumeration import topologies
from openpoint.search.kernel import bound as bounds
from openpoint.search.kernel import forest, multipliers
from openpoint.search.kernel import node as nodes
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, Work, work_for
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import Numbering, build_model
from openpoint.search.model.voltage_bounds import bounds_of_voltages, demand
from openpoint.search.topology import search_topologies
from openpoint.verify.graph import Graph
from tests.powerflow.small_networks import Branch, make_network, random_network
from tests.search.entered import entered
from tests.search.random_grids import KINDS, judged, random_grid

SEEDS = st.integers(0, 2**32 - 1)


bound, root, probe = entered(bounds.bound), entered(forest.root), entered(nodes.probe)
equalise_zero_impedance, estimate_voltages, solve_balances = (
    entered(multipliers.equalise_zero_impedance),
    entered(multipliers.estimate_voltages),
    entered(multipliers.solve_balances),
)
assemble_balances, factorise = entered(multipliers.assemble_balances), entered(multipliers.factorise)
solve_laplacian, multipliers_without = entered(multipliers.solve), entered(multipliers.multipliers_without)


def modelled(network: Network, rules: SwitchingRules | None = None) -> tuple[Model, Numbering, Work]:
    """The model of a network whose branches are locked where they are not switchable."""
    rules = rules or SwitchingRules.of(network)
    model, numbering = build_model(network, rules)
    work = work_for(model)
    work.status[rules.must_close[numbering.branch]] = CLOSED
    return model, numbering, work


def iterate(model: Model, work: Work) -> None:
    """One step of the fixed point."""
    bound(model, work, work.y, work.mu)
    estimate_voltages(model, work)
    solve_balances(model, work)
    equalise_zero_impedance(model, work, work.y_next, work.mu_next)
    work.y[:] = work.y_next
    work.mu[:] = work.mu_next


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "+".join(kind) or "plain")
@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_no_bound_exceeds_the_best_completion(kind: tuple[str, ...], seed: int) -> None:
    """docs/methods.md M9."""
    rng = np.random.default_rng(seed)
    network = random_grid(rng, kind)
    max_changes = int(rng.integers(0, 5)) if rng.random() < 0.3 else None
    cost = float(rng.uniform(0.0, 0.01)) if rng.random() < 0.3 else 0.0
    try:
        model, numbering, work = modelled(network, SwitchingRules.of(network, max_changes, cost))
    except OptionError:
        return  # voltages without limit
    states, value = judged(network, max_changes, cost)
    if not len(states):
        return
    states = states[:, numbering.branch]
    begin = work.status.copy()
    for known in (0.0, 0.3, 0.6, 1.0):
        tree = states[rng.integers(len(states))]
        work.status[:] = np.where((begin == UNDECIDED) & (rng.random(len(begin)) < known), tree, begin)
        node = work.status.copy()
        inside = ((node == UNDECIDED) | (states == node)).all(axis=1)
        best = (value[inside] - numbering.fixed_cost).min(initial=np.inf)
        if not propagate(model, work):
            assert np.isinf(best)
            continue
        inside = ((work.status == UNDECIDED) | (states == work.status)).all(axis=1)
        assert (value[inside] - numbering.fixed_cost).min(initial=np.inf) == best  # no good tree is lost
        most = best + 1e-9 * abs(best) + 1e-12
        for array in (work.y, work.mu, work.phi):
            array[:] = 0.0
        root(model, work)
        for _ in range(3):
            iterate(model, work)
            assert bound(model, work, work.y, work.mu) <= most
        size = np.abs(work.y).max()
        for scale in (0.01, 0.1, 1.0):
            y, mu = (v + scale * size * rng.normal(size=len(v)) for v in (work.y, work.mu))
            y[model.n :] = mu[model.n :] = 0.0
            work.phi[: model.n] = scale * rng.normal(size=model.n) if model.bounded else 0.0
            equalise_zero_impedance(model, work, y, mu)
            assert bound(model, work, y, mu) <= most


@given(SEEDS, st.integers(2, 25), st.integers(1, 2))
@settings(max_examples=8, deadline=None)
def test_on_a_tree_the_fixed_point_reaches_the_exact_loss(seed: int, n_bus: int, n_source: int) -> None:
    network = random_network(seed, n_bus, n_source=min(n_source, n_bus - 1), rich=False)
    model, _, work = modelled(network)
    assert propagate(model, work)
    root(model, work)
    for _ in range(12):
        iterate(model, work)
    loss = losses(network, network.closed)[0][0]
    assert bound(model, work, work.y, work.mu) == pytest.approx(loss, rel=1e-9, abs=1e-15)


def test_a_probe_of_a_branch_that_is_a_bridge_by_rounding_tells_nothing() -> None:
    # The way around the first branch has 1e11 times its impedance.
    branches = [Branch(0, 1, 4e-10 + 0j, closed=False), Branch(0, 2, 20.0 + 0j), Branch(2, 1, 20.0 + 0j)]
    network = make_network(3, branches, {0: 1.0}, power=[0.0, 1e-3, 0.0])
    model, _, work = modelled(network)
    assert propagate(model, work)
    root(model, work)
    iterate(model, work)
    work.drop_y[:], work.drop_mu[:] = work.y[model.fr] - work.y[model.to], work.mu[model.fr] - work.mu[model.to]
    assert not multipliers_without(model, work, 0)
    assert probe(model, work, record_for(model, 0), 0, np.inf) <= losses(network, network.closed)[0][0]


@given(SEEDS)
@settings(max_examples=8, deadline=None)
def test_opening_a_branch_is_a_change_of_rank_one(seed: int) -> None:
    """docs/methods.md M10."""
    rng = np.random.default_rng(seed)
    model, _, work = modelled(random_grid(rng, ()))
    if not propagate(model, work):
        return
    root(model, work)
    bound(model, work, work.y, work.mu)
    estimate_voltages(model, work)
    assemble_balances(model, work)
    demand = work.y_next.copy(), work.mu_next.copy()
    factorise(model, work, work.factor, work.diagonal, work.choice_p, work.tie_p)
    solve_laplacian(model, work.factor, work.diagonal, work.y_next, work.mu_next)
    work.y[:] = work.y_next
    work.mu[:] = work.mu_next
    work.drop_y[:] = work.y[model.fr] - work.y[model.to]
    work.drop_mu[:] = work.mu[model.fr] - work.mu[model.to]
    for e in np.flatnonzero(work.status == UNDECIDED):
        assert multipliers_without(model, work, e)
        found = work.y_next.copy(), work.mu_next.copy()
        kept, work.conductance[e] = work.conductance[e], 0.0
        factorise(model, work, work.factor, work.diagonal, work.choice_p, work.tie_p)
        work.conductance[e] = kept
        expected = demand[0].copy(), demand[1].copy()
        solve_laplacian(model, work.factor, work.diagonal, *expected)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-10 * np.abs(expected).max())
        factorise(model, work, work.factor, work.diagonal, work.choice_p, work.tie_p)


@pytest.mark.parametrize("kind", KINDS[:12], ids=lambda kind: "+".join(kind) or "plain")
@given(SEEDS)
@settings(max_examples=8, deadline=None)
def test_no_voltage_exceeds_its_cap(kind: tuple[str, ...], seed: int) -> None:
    """docs/methods.md M8."""
    network = random_grid(np.random.default_rng(seed), kind)
    voltage_bounds = bounds_of_voltages(network, np.ones(network.n_conductors, dtype=bool), demand(network))
    everywhere = voltage_bounds.at(np.inf)
    for states in topologies(network):
        flows = solve(network, states)
        for loss, v in zip(flows.loss[flows.converged], flows.v[flows.converged], strict=True):
            w = np.abs(v) ** 2
            assert (w <= everywhere * (1.0 + 1e-9)).all()
            assert (w <= voltage_bounds.at(loss) * (1.0 + 1e-9)).all()
            assert (w >= voltage_bounds.least_at(loss) * (1.0 - 1e-9)).all()


def test_the_least_voltage_at_a_loss_is_that_at_the_end_of_a_line() -> None:
    """Of a load of ten times the line's impedance the whole drop is one of magnitude: the bound is the voltage."""
    z = 0.02 + 0.01j
    network = make_network(2, [Branch(0, 1, z)], {0: 1.02 + 0.0j}, impedance=[0.0, 0.1 * z / abs(z) ** 2])
    flows = solve(network, network.closed[None, :])
    bounds = bounds_of_voltages(network, np.ones(1, dtype=bool), demand(network))
    assert bounds.least_at(float(flows.loss[0]))[1] == pytest.approx(float(np.abs(flows.v[0, 1]) ** 2), rel=1e-9)
    assert bounds.least_at(100.0)[1] == 0.0


def test_the_cap_of_a_grid_that_only_consumes_is_the_source() -> None:
    network = make_network(3, [Branch(0, 1), Branch(1, 2)], {0: 1.02 + 0.0j}, power=[0.0, 0.1 + 0.1j, 0.1])
    voltage_bounds = bounds_of_voltages(network, np.ones(2, dtype=bool), demand(network))
    np.testing.assert_allclose(voltage_bounds.at(np.inf), 1.02**2)


def test_what_could_raise_voltages_without_end_needs_a_limit() -> None:
    """A cable alone is bounded by what it loses; without resistance it needs a limit."""
    lossy, bare = ([Branch(0, 1, z=z, y=1.2j)] for z in (0.1 + 1.0j, 1.0j))
    assert np.isfinite(modelled(make_network(2, lossy, {0: 1.0 + 0.0j}))[0].w_max).all()
    with pytest.raises(OptionError, match="no resistance"):
        modelled(make_network(2, bare, {0: 1.0 + 0.0j}))
    limited = modelled(make_network(2, bare, {0: 1.0 + 0.0j}, v_limits=(0.0, 1.1)))[0]
    assert limited.w_max[0] == pytest.approx(1.21, rel=3e-6)


def test_propagation_closes_bridges_and_opens_loops() -> None:
    ring = [Branch(0, 1), Branch(1, 2), Branch(2, 0), Branch(2, 3)]
    model, _, work = modelled(make_network(4, ring, {0: 1.0 + 0.0j}))
    assert propagate(model, work)
    assert work.status.tolist() == [UNDECIDED, UNDECIDED, UNDECIDED, CLOSED]
    work.status[:2] = CLOSED
    assert propagate(model, work)
    assert work.status.tolist() == [CLOSED, CLOSED, OPEN, CLOSED]
    work.status[2] = CLOSED
    assert not propagate(model, work)
    work.status[:] = [OPEN, UNDECIDED, UNDECIDED, CLOSED]
    assert propagate(model, work)
    assert work.status.tolist() == [OPEN, CLOSED, CLOSED, CLOSED]
    work.status[:] = [OPEN, UNDECIDED, OPEN, CLOSED]
    assert not propagate(model, work)


def test_where_no_more_changes_are_left_all_else_stays_closed() -> None:
    """One branch may take the place of another: if one is opened, no other may be, whichever tie closes for it."""
    feeder, other = [Branch(0, 1), Branch(1, 2)], [Branch(0, 3), Branch(3, 4)]
    ties = [Branch(2, 0, closed=False), Branch(1, 0, closed=False), Branch(4, 0, closed=False)]
    none = np.zeros(7, dtype=bool)
    network = make_network(5, [*feeder, *other, *ties], {0: 1.0 + 0.0j})
    model, _ = build_model(network, SwitchingRules(none, none, 2))
    work = work_for(model)
    assert propagate(model, work)
    assert (work.status == UNDECIDED).all()
    work.status[0] = OPEN
    assert propagate(model, work)
    assert work.status.tolist() == [OPEN, CLOSED, CLOSED, CLOSED, UNDECIDED, UNDECIDED, OPEN]
    graph = Graph(5, network.terminal_fr.tolist(), network.terminal_to.tolist(), {0}, {4, 5, 6}, 1.0)
    status = np.array([OPEN, *[UNDECIDED] * 6], dtype=np.int8)
    assert graph.consequences(status)
    assert status.tolist() == work.status.tolist()
    work.status[:] = [OPEN, UNDECIDED, OPEN, *[UNDECIDED] * 4]
    assert not propagate(model, work)


UNCOMPILED = """
import json
import sys

import numpy as np
from openpoint.compiled.table import Table


class Checked(np.ndarray):
    def __getitem__(self, index):
        if type(index) is not int or index < 0:
            refuse_negative(index)
        return get(self, index)

    def __setitem__(self, index, value):
        if type(index) is not int or index < 0:
            refuse_negative(index)
        put(self, index, value)


def refuse_negative(index):
    for part in index if type(index) is tuple else (index,):
        if isinstance(part, NUMBERS) and part < 0:
            raise IndexError(f"index {index} is negative")


def check(table):
    for name, value in vars(table).items():
        if isinstance(value, np.ndarray):
            object.__setattr__(table, name, value.view(Checked))


NUMBERS, get, put = (int, np.integer), np.ndarray.__getitem__, np.ndarray.__setitem__
Table.__post_init__ = check  # before the tables are defined, so that these call it

from openpoint.search.topology import search_topologies
from tests.search.random_grids import KINDS, random_grid

for seed, kind in json.loads(sys.argv[1]):
    f = search_topologies(random_grid(np.random.default_rng(seed), KINDS[kind]), gap=0.0)
    print(repr(float(f.value)), repr(float(f.lower_bound)), f.nodes, f.probes)
"""
FEW = [
    *((seed, kind) for seed in range(3) for kind in range(len(KINDS))),
    *((seed, KINDS.index(("locks",))) for seed in (3, 8)),
    *((seed, KINDS.index(("stiff", "locks"))) for seed in (4, 5, 7)),
    *((seed, 12) for seed in (3, 5)),  # outputs to choose, and all else
]
"""Seeds and kinds of grids that together reach every branch of the search that ten grids of each kind reach."""


def test_uncompiled_code_keeps_all_indices_in_their_arrays_and_gives_the_same_numbers() -> None:
    """Python refuses an index beyond the end by itself; a negative one is an address outside of a compiled table."""
    plain = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", UNCOMPILED, json.dumps(FEW)],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert plain.returncode == 0, plain.stderr
    lines = plain.stdout.splitlines()
    grids = [random_grid(np.random.default_rng(seed), KINDS[kind]) for seed, kind in FEW]
    assert len(lines) == len(grids)
    for grid, line in zip(grids, lines):
        found = search_topologies(grid, gap=0.0)
        numbers = [found.value, found.lower_bound, found.nodes, found.probes]
        np.testing.assert_allclose(numbers, [float(word) for word in line.split()], rtol=1e-9, atol=1e-15)
