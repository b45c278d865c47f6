"""The program of the linear model: its bound lies below every state, and its optimum is that of enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest

from openpoint.formulations.lindist3flow_devices import squared_fr
from openpoint.formulations.lindist3flow_model import DevicesProgram, LinearModel, LinearState, evaluated, solve_linear
from openpoint.formulations.lindist3flow_solve import evaluate
from openpoint.formulations.phases import Sought, phase_devices
from openpoint.twostage.deadline import Deadline
from tests.builders.phase_devices import SmallCase

GAP = 1e-4


def linear_model(case: SmallCase, sought: Sought) -> LinearModel:
    around = case.evaluator(sought).flows(case.today, case.devices.today)
    return LinearModel(case.question(sought), around)


def enumerated(case: SmallCase, model: LinearModel) -> list[LinearState]:
    return [evaluated(model, *state) for state in case.states()]


@pytest.mark.parametrize(("seed", "sought"), [(3, Sought.LOSS), (4, Sought.SOURCE), (6, Sought.LOSS)])
def test_its_optimum_is_that_of_all_positions(seed: int, sought: Sought) -> None:
    case = SmallCase(seed, topology=False)
    model = linear_model(case, sought)
    states = enumerated(case, model)
    least = min(state.value_kw for state in states)
    assert math.isfinite(least)
    bounds: list[float] = []
    found = solve_linear(model, GAP, None, Deadline(), lambda lower, _: bounds.append(lower))
    assert found.complete
    assert bounds == sorted(bounds)
    assert found.bound_kw <= least * (1.0 + 1e-7)
    assert found.value_kw == pytest.approx(least, rel=GAP)
    assert found.value_kw >= least * (1.0 - 1e-9)
    worst = max((state for state in states if math.isfinite(state.value_kw)), key=lambda state: state.value_kw)
    again = solve_linear(model, GAP, worst, Deadline(), lambda *_: None)
    assert again.value_kw == pytest.approx(least, rel=GAP)


def test_with_switches_its_optimum_is_that_of_all_trees_and_steps() -> None:
    case = SmallCase(1)
    case.devices = phase_devices(case.grid, taps=False)
    model = linear_model(case, Sought.LOSS)
    states = enumerated(case, model)
    assert len(states) > 20
    least = min(state.value_kw for state in states)
    found = solve_linear(model, GAP, None, Deadline(), lambda *_: None)
    assert found.bound_kw <= least * (1.0 + 1e-7)
    assert found.value_kw == pytest.approx(least, rel=GAP)


def test_narrowed_ranges_hold_every_state_that_is_good_enough() -> None:
    case = SmallCase(3, topology=False)
    model = linear_model(case, Sought.LOSS)
    states = [state for state in enumerated(case, model) if math.isfinite(state.value_kw)]
    good = float(np.quantile([state.value_kw for state in states], 0.3))
    program = DevicesProgram(model, model.taps)
    assert program.relax(Deadline()) <= min(state.value_kw for state in states) * (1.0 + 1e-7)
    narrowed = program.narrowed(good, Deadline())
    assert sum(float(np.ptp(tap.fr, axis=0).sum()) for tap in narrowed) < 0.9 * sum(
        float(np.ptp(tap.fr, axis=0).sum()) for tap in model.taps
    )
    for state in states:
        if state.value_kw > good:
            continue
        demand = model.demand
        for bank, d in zip(model.banks, case.devices.banks):
            demand = demand.with_bank(bank, int(state.positions[d]))
        per_w = demand.matrix(model.coefficients)
        at = model.at(state.positions)
        w = evaluate(at, state.closed, demand.s, demand.pairs, reference=model.reference, per_w=per_w).w[0]
        for tap in narrowed:
            squared = squared_fr(case.network, model.coefficients, tap.conductor) @ w
            assert (squared >= tap.fr[0] - 1e-9).all()
            assert (squared <= tap.fr[1] + 1e-9).all()
            over = squared / at.tap[tap.conductor] ** 2
            assert (over >= tap.over[0] - 1e-9).all()
            assert (over <= tap.over[1] + 1e-9).all()


def test_where_nothing_keeps_the_limits_its_bound_is_infinite() -> None:
    case = SmallCase(4, topology=False)
    net = case.network
    low = np.where(net.w_min > 0.0, 1.2, 0.0)
    case.network = net.with_limits(w_min=low, w_max=np.where(low > 0.0, 1.3, np.inf), l_max=net.l_max)
    found = solve_linear(linear_model(case, Sought.LOSS), GAP, None, Deadline(), lambda *_: None)
    assert found.bound_kw == math.inf
    assert found.best is None


def test_the_linear_model_is_near_the_exact_flow_around_its_state() -> None:
    for seed in (1, 2):
        case = SmallCase(seed)
        for sought in Sought:
            exact = case.evaluator(sought).evaluate(case.today, case.devices.today)
            assert exact is not None
            value, _ = linear_model(case, sought).evaluate(case.today, case.devices.today)
            assert value == pytest.approx(exact.value_kw, rel=0.01 if sought is Sought.LOSS else 0.001)
