"""Restoration: plans stand up to checks that know nothing of the model, and their AC state is exact."""

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpoint import graph as topology
from openpoint.errors import InputError, OpenpointError
from openpoint.formulations.islands import nominal_demand, voltage_limits
from openpoint.network.limits import series_limits
from openpoint.studies.harden.model import HardenProgram
from openpoint.studies.harden.restoration import TOLERANCE, Plan, ac_check, restore
from tests.builders.disasters import C, brute_force, random_decision, random_program, zhang
from tests.powerflow.small_networks import Branch, make_network


def attacked() -> tuple[object, Plan]:
    """13 buses after the attack on lines 2, 6, 11, 15 with line 2 hardened and a generator at bus 12."""
    program = zhang((2, 6, 11, 15))
    decision = np.zeros(27)
    decision[1] = decision[15 + 10] = 1.0
    return program, restore(program, decision, program.uncertainty.values[0])


def test_a_plan_in_the_terms_of_the_grid() -> None:
    program, plan = attacked()
    net = program.network
    assert [net.bus_names[r] for r in plan.roots] == ["1", "12"]
    assert np.flatnonzero(plan.broken).tolist() == [5, 10, 14]  # line 2 was hardened
    assert plan.shed_kw.sum() == pytest.approx(371.0, abs=1e-3)
    assert plan.cost_usd == pytest.approx(14 * 371.0 + 0.01 * plan.closed.sum(), abs=0.01)
    assert plan.bound_usd == pytest.approx(plan.cost_usd, abs=1e-3)
    assert plan.backup.sum() == pytest.approx(100.0, abs=1e-3)
    island = {name: plan.island[k] for k, name in enumerate(net.bus_names)}
    assert island["12"] == 1
    assert {island[name] for name in "123456789"} == {0}


def test_its_exact_state_adds_only_the_losses() -> None:
    program, plan = attacked()
    check = ac_check(program, plan)
    assert check.converged
    assert check.max_mismatch < 1e-9
    served = nominal_demand(program.network).real.sum() * program.network.s_base_kva - plan.shed_kw.sum()
    assert check.root_s.real.sum() == pytest.approx(served + check.loss_kw, abs=1e-6)
    assert 0.0 < check.loss_kw < 0.01 * served
    assert 0.98 < check.v_min < plan.v[plan.v > 0].min()  # losses only lower it
    assert check.v_low.size == check.v_high.size == check.overloaded.size == 0


def test_a_generator_that_feeds_an_island_to_its_limit_is_strained_by_the_losses() -> None:
    program = zhang(C)
    decision = np.zeros(27)
    decision[15 + 11] = 1.0  # bus 13, cut off by lines 14 and 15
    plan = restore(program, decision, program.uncertainty.values[0])
    assert not len(ac_check(program, plan).strained)  # 56.67 kW of 100 at its own bus
    alone = zhang((11, 15))
    decision = np.zeros(27)
    decision[15 + 10] = 1.0  # bus 12 feeds itself to the last kW and sheds the rest
    plan = restore(alone, decision, alone.uncertainty.values[0])
    spread = dataclasses.replace(plan, shed=plan.shed.copy())
    assert plan.backup.sum() == pytest.approx(100.0)
    spread.shed[11], spread.shed[12] = 1.0 - 43.33 / 281.0, 0.0  # the same power, some of it a line away
    spread.closed[13] = True
    spread.island[12] = spread.island[11]
    assert ac_check(alone, spread).strained.tolist() == [10]


def test_idle_generators_form_no_island() -> None:
    program = zhang((1, 11, 12))  # bus 10, without load, is cut off
    decision = np.zeros(27)
    decision[15 + 8] = 1.0
    plan = restore(program, decision, program.uncertainty.values[0])
    assert plan.roots.tolist() == [0]
    assert plan.island[9] == -1
    assert not plan.backup.any()


def check_plan(program: HardenProgram, plan: Plan) -> tuple[str, ...]:
    """What is wrong with a plan, found without the model: topology, what may be used, balances, limits."""
    net = program.network
    n, fr, to = net.n_terminals, net.terminal_fr, net.terminal_to
    low, high = voltage_limits(net)
    count = len(program.lines)
    backup, bought = plan.backup / net.s_base_kva, plan.decision[count:] > 0.5
    demand = nominal_demand(net) * (1.0 - plan.shed)
    np.subtract.at(demand, program.buses, backup)
    np.subtract.at(demand, net.generator_terminal, plan.generation / net.s_base_kva)
    live = plan.island >= 0
    s = plan.s / net.s_base_kva
    missing = -demand
    np.add.at(missing, to, s)
    np.subtract.at(missing, fr, s)
    missing[net.source_terminal] = 0.0
    drop = np.where(plan.closed & live[fr], (plan.v[fr] / net.tap) ** 2 - plan.v[to] ** 2, 0.0)
    law = drop - 2.0 * (net.r * s.real + net.x * s.imag)
    made = np.isin(plan.roots, np.concatenate([net.source_terminal, program.buses[bought]]))
    checked = live.copy()
    checked[net.source_terminal] = False
    w = plan.v**2
    faults = {
        "a broken or locked branch is closed": bool(np.any(plan.closed & (plan.broken | program.always_open))),
        "a branch that nobody can open is open": bool(np.any(~plan.closed & program.always_closed & ~plan.broken)),
        "an island has a loop or two roots": not topology.is_radial(n, fr, to, plan.closed, plan.roots),
        "a root was never bought": not made.all(),
        "a generator runs that was never bought": bool(np.any(np.abs(backup[~bought]) > TOLERANCE)),
        "a de-energised island is served": bool(np.any(np.abs(demand[~live]) > TOLERANCE)),
        "power is missing at a bus": bool(np.any(np.abs(missing) > TOLERANCE)),
        "an open branch carries power": bool(np.any(np.abs(s[~plan.closed]) > TOLERANCE)),
        "a branch misses the voltage law": bool(np.any(np.abs(law) > TOLERANCE)),
        "a voltage breaks its limit": bool(np.any((w < low - TOLERANCE)[checked] | (w > high + TOLERANCE)[checked])),
        "a branch is overloaded": bool(np.any(np.abs(s) > np.sqrt(series_limits(net)) + TOLERANCE)),
    }
    return tuple(what for what, wrong in faults.items() if wrong)


@given(st.randoms(use_true_random=False))
def test_every_plan_passes_every_check(rng: random.Random) -> None:
    try:
        program = random_program(rng)
    except InputError:
        return
    decision, broken = random_decision(rng, program, 0.4), program.uncertainty.values[0]
    try:
        plan = restore(program, decision, broken)
    except OpenpointError:
        assert brute_force(program, decision, broken) == np.inf
        return
    assert check_plan(program, plan) == ()
    shed_usd = program.voll_usd_per_kw @ plan.shed_kw
    assert shed_usd + program.closed_line_usd * plan.closed.sum() <= plan.cost_usd + 0.01
    check = ac_check(program, plan)
    if check.converged:
        assert check.max_mismatch < 1e-8
        assert np.all((np.abs(check.v) > 0) == (plan.island >= 0))


def test_voltages_that_nothing_can_keep_are_named() -> None:
    branches = [Branch(0, 1, switchable=False), Branch(0, 1)]
    network = make_network(2, branches, {0: 1.08}, power=[0.0, 0.1])
    network = dataclasses.replace(network, w_max=np.full(2, 1.05**2))
    few = np.full(2, 14.0)
    program = zhang(
        (1,), network=network, lines=np.array([1]), line_usd=few[:1], buses=np.array([1]), generator_usd=few[:1]
    )
    program = dataclasses.replace(program, voll_usd_per_kw=few)
    with pytest.raises(OpenpointError, match="make the branch switchable"):
        restore(program, np.zeros(2), np.zeros(2))
    assert restore(program, np.zeros(2), np.array([1.0, 0.0])).shed_kw.sum() == pytest.approx(100.0)
