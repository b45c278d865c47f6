"""Searches for the least cost: bounds, optima of trees and of searches, against enumeration and the cone program."""

import dataclasses

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.formulations.distflow import distflow, voltage_bounds
from openpoint.network import Network
from openpoint.network.devices import no_devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import OperatingCost, SupplyLimits, least_loss, no_supply_limits
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.operating_point import OperatingPointEvaluator
from openpoint.search.kernel import bound as bounds
from openpoint.search.kernel import forest, multipliers
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, work_for
from openpoint.search.kernel.bookkeeping import counts, pool_for, record_for
from openpoint.search.kernel.entries import explore, propagate
from openpoint.search.model.build import build_model
from openpoint.search.model.objective import Objective, objective_of
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.builders.grids import all_topologies
from tests.powerflow.small_networks import Branch, make_network, random_network
from tests.search.entered import entered
from tests.search.random_grids import FEATURES, random_grid

SEEDS = st.integers(0, 2**32 - 1)
bound, root = entered(bounds.bound), entered(forest.root)
estimate_voltages, solve_balances = entered(multipliers.estimate_voltages), entered(multipliers.solve_balances)
equalise_zero_impedance = entered(multipliers.equalise_zero_impedance)


def random_objective(rng: np.random.Generator, network: Network) -> Objective | None:
    """Prices of loss, currents, sources and generators, some of them 0, some negative, and limits of generators."""
    e, s, g = network.n_conductors, len(network.source_terminal), len(network.generator_names)
    loss = float(rng.choice([0.0, 0.1, 1.0, 30.0]))
    current, source = np.zeros(e), np.zeros(s)
    if rng.random() < 0.6:
        current = rng.uniform(0.001, 0.1, e) * (rng.random(e) < rng.choice([0.3, 1.0])) * max(loss, 0.1)
    if rng.random() < 0.6:
        source = max(loss, 1.0) * (rng.uniform(0.2, 2.0, s) if rng.random() < 0.7 else rng.uniform(-0.5, 0.1, s))
    if np.any(loss + source <= 0.0):
        loss = max(1.0, 1.0 - 1.1 * float(source.min()))
    generator = source.mean() + rng.uniform(-0.2, 0.3, g) * max(loss, 1.0) * (rng.random() < 0.7)
    square = rng.choice([0.0, 0.1, 2.0], g) * (rng.random() < 0.5)
    idle = rng.uniform(0.0, 0.1, g) * (rng.random() < 0.3)
    cost = OperatingCost(loss, source, generator, square, idle, current)
    supply = no_supply_limits(g, s)
    if rng.random() < 0.5:
        most = np.hypot(network.p_max, network.q_max) * rng.uniform(0.3, 1.1, g)
        supply = dataclasses.replace(supply, generator_s_max=np.where(rng.random(g) < 0.7, most, np.inf))
    for name, sign in (("p_min", -1.0), ("p_max", 1.0), ("q_min", -1.0), ("q_max", 1.0), ("s_max", 1.0)):
        if rng.random() < 0.1:
            supply = dataclasses.replace(supply, **{name: sign * rng.uniform(0.1, 1.0, s)})
    return objective_of(network, cost, supply)


def exact(network: Network, objective: Objective | None) -> OperatingPointEvaluator:
    """What evaluates states exactly."""
    sizes = len(network.generator_names), len(network.source_terminal)
    objective = objective or Objective(least_loss(*sizes, network.n_conductors), no_supply_limits(*sizes))
    return OperatingPointEvaluator(network, no_devices(), objective.cost, objective.supply)


def states_and_values(network: Network, objective: Objective | None) -> tuple[np.ndarray, np.ndarray]:
    """(K, E) radial states and (K) costs, inf where limits are missed; at the best of some outputs of generators."""
    states, none = all_topologies(network), np.zeros(0, dtype=np.int64)
    if not len(states):
        return states, np.zeros(0)
    if not len(network.generator_names):
        value, miss = exact(network, objective).evaluate(states, none)
        return states, np.where(miss == 0.0, value, np.inf)
    rng = np.random.default_rng(0)
    share = np.round(rng.random((2, 60, len(network.generator_names))) * 1.5 - 0.25, 1).clip(0.0, 1.0)
    p, q = (
        low + part * (high - low)
        for part, low, high in zip(share, (network.p_min, network.q_min), (network.p_max, network.q_max), strict=True)
    )
    outputs = p + 1j * q
    if objective is not None:
        outputs *= np.minimum(1.0, objective.supply.generator_s_max / np.maximum(np.abs(outputs), 1e-9))
    rows = np.repeat(states, len(outputs), axis=0)
    value, miss = exact(network, objective).evaluate(rows, none, np.tile(outputs, (len(states), 1)))
    return states, np.where(miss == 0.0, value, np.inf).reshape(len(states), -1).min(axis=1)


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_no_bound_of_a_cost_exceeds_the_best_completion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_grid(rng, [name for name in ("dispatch", *FEATURES) if rng.random() < 0.25])
    objective = random_objective(rng, network)
    fixed = ~network.switchable
    try:
        model, numbering = build_model(network, objective=objective)
    except OptionError:
        return  # voltages without limit
    states, value = states_and_values(network, objective)
    if not len(states):
        return
    work = work_for(model)
    work.status[(network.closed & fixed)[numbering.branch]] = CLOSED
    begin, states = work.status.copy(), states[:, numbering.branch]
    for known in (0.0, 0.4, 1.0):
        tree = states[rng.integers(len(states))]
        work.status[:] = np.where((begin == UNDECIDED) & (rng.random(len(begin)) < known), tree, begin)
        if not propagate(model, work):
            continue
        inside = ((work.status == UNDECIDED) | (states == work.status)).all(axis=1)
        best = (value[inside] - numbering.fixed_cost).min(initial=np.inf)
        assert best == np.inf or best <= numbering.greatest
        most = best + 1e-9 * abs(best) + 1e-12
        work.y[:], work.mu[:], work.phi[:] = model.y_first, 0.0, 0.0
        root(model, work)
        for _ in range(3):
            bound(model, work, work.y, work.mu)
            estimate_voltages(model, work)
            solve_balances(model, work)
            equalise_zero_impedance(model, work, work.y_next, work.mu_next)
            work.y[:], work.mu[:] = work.y_next, work.mu_next
            assert bound(model, work, work.y, work.mu) <= most
        size = np.abs(work.y).max()
        for scale in (0.01, 0.1, 1.0):
            y, mu = (v + scale * size * rng.normal(size=len(v)) for v in (work.y, work.mu))
            free = np.isin(np.arange(len(y)), model.generator_at[model.first_source :])
            given = (np.arange(len(y)) >= model.n) & ~free
            y[given], mu[given] = model.y_first[given], 0.0
            equalise_zero_impedance(model, work, y, mu)
            assert bound(model, work, y, mu) <= most


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_a_search_finds_the_least_cost_of_all_states(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_grid(rng, [name for name in ("dispatch", *FEATURES) if rng.random() < 0.25])
    objective = random_objective(rng, network)
    given = {} if objective is None else {"cost": objective.cost, "supply": objective.supply}
    try:
        found = search_topologies(network, gap=1e-6, **given)
    except OptionError:
        return  # voltages without limit
    best = states_and_values(network, objective)[1].min(initial=np.inf)
    if found.termination is Termination.INFEASIBLE:
        assert best == np.inf
        return
    assert found.lower_bound <= best + 1e-9 * abs(best) + 1e-12
    if len(network.generator_names):  # outputs are sampled, and a relaxation need not be exact
        assert found.closed is None or found.lower_bound <= found.value
    else:
        assert found.value == pytest.approx(best, rel=1e-6, abs=1e-12)
        assert found.gap <= 1.1e-6
    if found.closed is not None:
        value, miss = exact(network, objective).evaluate(found.closed, np.zeros(0, dtype=np.int64), found.generation)
        assert value[0] == pytest.approx(found.value, rel=1e-9)
        assert miss[0] == 0.0


@given(SEEDS, st.integers(2, 25), st.integers(1, 2))
def test_on_a_tree_the_fixed_point_reaches_the_exact_cost(seed: int, n_bus: int, n_source: int) -> None:
    network = random_network(seed, n_bus, n_source=min(n_source, n_bus - 1), rich=False)
    objective = random_objective(np.random.default_rng(seed), network)
    model, numbering = build_model(network, SwitchingRules(network.closed, ~network.closed), objective=objective)
    work = work_for(model)
    assert propagate(model, work)
    root(model, work)
    for _ in range(20):
        bound(model, work, work.y, work.mu)
        estimate_voltages(model, work)
        solve_balances(model, work)
        equalise_zero_impedance(model, work, work.y_next, work.mu_next)
        work.y[:], work.mu[:] = work.y_next, work.mu_next
    value = exact(network, objective).evaluate(network.closed, np.zeros(0, dtype=np.int64))[0][0]
    assert bound(model, work, work.y, work.mu) + numbering.fixed_cost == pytest.approx(value, rel=1e-8, abs=1e-15)


def plain(network: Network, **prices: object) -> OperatingCost:
    """The loss with other prices beside it."""
    sizes = len(network.generator_names), len(network.source_terminal), network.n_conductors
    return dataclasses.replace(least_loss(*sizes), **prices)  # type: ignore[arg-type]


def test_the_plain_loss_and_no_limits_are_no_objective() -> None:
    network = random_grid(np.random.default_rng(1), ())
    assert objective_of(network, plain(network, change=2.0), None) is None
    assert objective_of(network, None, no_supply_limits(0, len(network.source_terminal))) is None


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ({"deviation": 1.0}, "deviation of voltages .* Benders"),
        ({"loss": -1.0}, "0 or more"),
        ({"loss": 0.0}, "wasting power"),
        ({"loss": np.nan}, "finite"),
        ({"deviation": 1.0, "loss": 0.0}, "Benders.*; .*wasting"),
    ],
)
def test_what_has_no_bound_is_refused_with_the_reason(prices: dict[str, float], words: str) -> None:
    network = random_grid(np.random.default_rng(1), ())
    with pytest.raises(OptionError, match=words):
        search_topologies(network, cost=plain(network, **prices))


def test_the_cost_of_changes_is_added_to_that_of_the_search() -> None:
    network = random_grid(np.random.default_rng(4), ())
    one = search_topologies(network, cost=plain(network, change=0.003))
    assert one.value == search_topologies(network, SwitchingRules.of(network, None, 0.003)).value


@pytest.mark.parametrize("seed", range(10))
def test_limits_of_sources_are_kept_by_the_best_state(seed: int) -> None:
    """Limits lie midway between the powers that states ask of the first source; the bound knows them."""
    rng = np.random.default_rng(seed)
    network = random_grid(rng, [name for name in ("dispatch", "shunts", "ratios", "generation") if rng.random() < 0.3])
    states = all_topologies(network)
    s = solve(network, states).source_s[:, 0]
    s = s[np.isfinite(s)]
    limits = no_supply_limits(len(network.generator_names), len(network.source_terminal))
    name = ("p_min", "p_max", "q_min", "q_max", "s_max")[seed % 5]
    powers = np.abs(s) if name == "s_max" else s.real if name[0] == "p" else s.imag
    bar = np.array(getattr(limits, name))
    bar[0] = np.quantile(powers, rng.choice([0.1, 0.5, 0.9])) + 1e-3 * rng.normal()
    supply = dataclasses.replace(limits, **{name: bar})
    objective = objective_of(network, None, supply)
    found = search_topologies(network, supply=supply, gap=1e-6)
    best = states_and_values(network, objective)[1].min(initial=np.inf)
    assert found.lower_bound <= best * (1.0 + 1e-9)
    if found.closed is not None:
        none = np.zeros(0, dtype=np.int64)
        assert exact(network, objective).evaluate(found.closed, none, found.generation)[1][0] == 0.0
    if not len(network.generator_names):
        assert found.value == pytest.approx(best, rel=1e-6)
        assert found.termination in (Termination.OPTIMAL, Termination.INFEASIBLE)


def random_case(seed: int) -> tuple[Network, OperatingCost, SupplyLimits]:
    """A tree with one source, generators with linear and quadratic costs, some with a greatest apparent power."""
    rng = np.random.default_rng(seed)
    n, g = int(rng.integers(4, 14)), int(rng.integers(1, 4))
    branches = [
        Branch(int(rng.integers(max(0, bus - 4), bus)), bus, z=complex(*rng.uniform(0.002, 0.06, 2)))
        for bus in range(1, n)
    ]
    loads = rng.uniform(0.3, 2.0) * rng.uniform(0.0, 1.0, n) / n * np.exp(1j * rng.uniform(0.0, 0.8, n))
    units = [(int(rng.integers(1, n)), 0.0j) for _ in range(g)]
    network = make_network(n, branches, {0: 1.02 + 0.0j}, power=loads, generators=units, v_limits=(0.8, 1.2))
    p, q = rng.uniform(0.05, 0.6, g), rng.uniform(0.0, 0.4, g) * (rng.random(g) < 0.7)
    network = dataclasses.replace(network, p_min=0.1 * p * (rng.random(g) < 0.3), p_max=p, q_min=-q, q_max=q)
    source = float(rng.choice([0.0, 1.0, 30.0]))
    cost = OperatingCost(
        loss=float(rng.choice([0.2, 1.0])),
        source=np.array([source]),
        generator=source * rng.uniform(0.9, 1.2, g) + rng.uniform(-0.05, 0.1, g),
        square=rng.choice([0.0, 0.01, 0.1, 1.0], g) * max(source, 0.3),
        idle=np.full(g, 0.01),
        current=rng.uniform(0.0, 0.05, n - 1) * (rng.random() < 0.5),
    )
    most = np.where(rng.random(g) < 0.4, np.hypot(p, q) * rng.uniform(0.4, 1.1, g), np.inf)
    return network, cost, dataclasses.replace(no_supply_limits(g, 1), generator_s_max=most)


def by_cone(network: Network, cost: OperatingCost, supply: SupplyLimits) -> float:
    """The optimum of the cone program of the tree."""
    flow = distflow(network, cp.Constant(np.ones(network.n_conductors)), voltage_bounds(network, limits=True)[1])
    assert flow.s_gen is not None
    loss, output = flow.cost / network.s_base_kva, flow.s_gen
    delivered = loss + float(network.s_power.real.sum()) - cp.sum(output[0])
    value = cost.loss * loss + cost.source[0] * delivered + cost.current @ flow.l + float(cost.idle.sum())
    value += cost.generator @ output[0] + cp.sum(cp.multiply(cost.square, cp.square(output[0])))
    constraints = list(flow.constraints)
    for cone in flow.cones:
        p, q = cone.u
        constraints.append(cp.SOC(cone.s + cone.t, cp.vstack([2 * p, 2 * q, cone.s - cone.t]), axis=0))
    for unit in np.flatnonzero(np.isfinite(supply.generator_s_max)):
        constraints.append(cp.norm(output[:, unit]) <= supply.generator_s_max[unit])
    problem = cp.Problem(cp.Minimize(value), constraints)
    return float(problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9))


@pytest.mark.parametrize("seed", range(7))
def test_the_bound_of_a_tree_equals_the_cone_program(seed: int) -> None:
    network, cost, supply = random_case(seed)
    objective = objective_of(network, cost, supply)
    model, _ = build_model(network, SwitchingRules(network.closed, ~network.closed), objective=objective)
    expected = by_cone(network, cost, supply)
    work, count = work_for(model), counts()
    work.status[:] = CLOSED
    count.cutoff[0], count.active[0] = expected + 1e-9 * abs(expected), 1
    explore(model, work, pool_for(model, 4), count, record_for(model, 0), 1)
    assert count.bound[0] == pytest.approx(expected, rel=1e-6, abs=1e-8)
