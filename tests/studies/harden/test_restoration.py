"""Restoration: plans stand up to checks that know nothing of the model, and their AC state is exact."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import InputError, OpenpointError
from openpoint.formulations.lindistflow import nominal_demand
from openpoint.studies.harden.restoration import Plan, ac_check, check_plan, restore
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


@given(st.randoms(use_true_random=False))
@settings(max_examples=40)
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


FAULTS = {
    "a broken or locked branch is closed": lambda plan: plan.closed.__setitem__(5, True),
    "an island has a loop or two roots": lambda plan: plan.closed.__setitem__(8, not plan.closed[8]),
    "a root was never bought": lambda plan: plan.roots.__setitem__(1, 12),
    "a generator runs that was never bought": lambda plan: plan.backup.__setitem__(0, 1.0),
    "a dead island is served": lambda plan: plan.shed.__setitem__(10, 0.0),
    "power is missing at a bus": lambda plan: plan.shed.__setitem__(1, 0.5),
    "an open branch carries power": lambda plan: plan.s.__setitem__(5, 1.0),
    "a branch misses the voltage law": lambda plan: plan.v.__setitem__(3, 0.95),
    "a voltage breaks its limit": lambda plan: plan.v.__setitem__(3, 0.85),
    "a branch is overloaded": lambda plan: plan.s.__setitem__(0, 20_000.0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_plan_is_found_out(fault: str) -> None:
    program, plan = attacked()
    assert check_plan(program, plan) == ()
    FAULTS[fault](plan)
    if fault.startswith("an island"):
        plan.closed[:] |= ~plan.broken
    assert fault in check_plan(program, plan)


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
