"""On a tree the bound with the best multipliers equals the cone program with the same prices and limits of outputs."""

from __future__ import annotations

import dataclasses

import cvxpy as cp
import numpy as np
import pytest

from openpoint.formulations.distflow import distflow, voltage_bounds
from openpoint.network import Network
from openpoint.network.operating_cost import OperatingCost, SupplyLimits, no_supply_limits
from openpoint.search.kernel.arrays import CLOSED, work_for
from openpoint.search.kernel.bookkeeping import counts, pool_for, record_for
from openpoint.search.kernel.entries import explore
from openpoint.search.model.build import build_model
from openpoint.search.model.objective import objective_of
from tests.powerflow.small_networks import Branch, make_network


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


@pytest.mark.parametrize("seed", range(28))
def test_the_bound_of_a_tree_equals_the_cone_program(seed: int) -> None:
    network, cost, supply = random_case(seed)
    objective = objective_of(network, cost, supply)
    model, _ = build_model(network, must_close=network.closed, must_open=~network.closed, objective=objective)
    expected = by_cone(network, cost, supply)
    work, count = work_for(model), counts()
    work.status[:] = CLOSED
    count.cutoff[0], count.active[0] = expected + 1e-9 * abs(expected), 1
    explore(model, work, pool_for(model, 4), count, record_for(model, 0), 1)
    assert count.bound[0] == pytest.approx(expected, rel=1e-6, abs=1e-8)
