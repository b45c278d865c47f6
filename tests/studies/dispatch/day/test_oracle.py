"""A handful of small days against the oracle, which tries every topology and every vertex."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from openpoint.network.day import Uncertain, nominal_load
from openpoint.network.devices import no_devices
from openpoint.network.freedom import SwitchingRules
from openpoint.studies.dispatch.day.flow import day_flow
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.question import Cadence
from openpoint.studies.dispatch.day.model.vertices import vertices_of
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch
from openpoint.studies.dispatch.model.program import DispatchProgram
from openpoint.twostage.methods.decomposition import Benders
from tests.builders.day_oracle import days, deviations, exact_worst, oracle, realised, schedule_faults
from tests.builders.days import day_of, links
from tests.builders.random_days import FEATURES, LIMITED, REACTIVE, random_day
from tests.powerflow.small_networks import Branch, make_network

PLAIN = (
    "batteries",
    "vehicles",
    "renewables",
    "units",
    "uncertain load",
    "shift buses",
    "shift time",
    "shed",
    "inverters",
)
"""Without negative prices, the cone is tight in these days."""
SMALL = 3, 5


@pytest.mark.parametrize("seed", [0, 1])
def test_copies_by_period_agree_with_all_vertices(seed: int) -> None:
    question = replace(random_day(seed, PLAIN, SMALL).question, topology=Cadence.FIXED)
    known, found = oracle(question), PeriodColumns(gap=1e-5).solve(question)
    assert found.plan is not None
    assert found.worst is not None
    assert found.lower_bound <= known.exact * (1.0 + 1e-5)
    assert found.upper_bound == pytest.approx(known.value, rel=1e-4)
    worst = exact_worst(question, found.plan)
    assert worst.value == pytest.approx(found.upper_bound, rel=1e-5)
    assert worst.imbalance <= 1e-9
    assert schedule_faults(question, found.plan) == []


@pytest.mark.parametrize("seed", [81, 98])
def test_where_a_price_is_negative_no_store_works_both_ways_and_the_worst_case_is_that_of_all_vertices(
    seed: int,
) -> None:
    day = random_day(seed)
    question = replace(day.question, topology=Cadence.FIXED)
    assert {"negative", "batteries", "vehicles"} & day.held > {"negative"}
    found = PeriodColumns(gap=1e-4).solve(question)
    assert found.plan is not None
    worst = exact_worst(question, found.plan)
    assert found.gap <= 1e-4
    assert worst.value == pytest.approx(found.upper_bound, rel=2e-4)
    assert worst.imbalance <= 1e-9
    assert schedule_faults(question, found.plan) == []


def test_each_fault_of_a_schedule_is_named() -> None:
    question = replace(random_day(98).question, topology=Cadence.FIXED)
    plan = PeriodColumns(gap=1e-2).solve(question).plan
    assert schedule_faults(question, plan) == []
    stores = question.day.stores
    both = replace(plan, charge=plan.charge + 1e-6, discharge=plan.discharge + 1e-6)
    assert "a store charges and discharges at once" in schedule_faults(question, both)
    full = replace(plan, charge=plan.charge + stores.energy_max)
    assert any("above its capacity" in fault for fault in schedule_faults(question, full))
    empty = replace(plan, discharge=plan.discharge + stores.energy_max)
    assert any("below its least content" in fault for fault in schedule_faults(question, empty))
    assert any("below what is asked" in fault for fault in schedule_faults(question, empty))
    moved = plan.shift.copy()
    moved[0, 1] += 1e-7
    assert any("energy moved in time" in fault for fault in schedule_faults(question, replace(plan, shift=moved)))


def test_a_day_of_one_period_is_the_dispatch_of_today_and_equal_periods_cost_as_often() -> None:
    wanted = ("units", "squares", "locks")
    drawn = next(found for k in range(4, 200) if (found := random_day(k, wanted, (3, 4), chance=1.0).question))
    network = replace(drawn.network, s_power=drawn.day.load_power[0])
    rules, price = SwitchingRules.of(network), 0.12
    cost = replace(drawn.cost, source=np.full(1, price), change=0.0)
    today = DispatchProgram(network, no_devices(), cost, drawn.supply, rules)
    one, costs = Benders(gap=1e-7).solve(today).lower_bound, []
    for periods in (1, 3):
        same = np.full((periods, 1), price)
        units = links(len(network.generator_names))
        bare, day = day_of(network, np.ones(periods), source_price=same, export_price=same, units=units)
        question = replace(drawn, network=bare, cost=cost, rules=rules, day=day)
        costs.append(oracle(replace(question, devices=no_devices())).value)
    assert costs == pytest.approx([one, 3.0 * one], rel=1e-5)


def test_every_feature_is_drawn() -> None:
    held = frozenset[str]().union(*(random_day(seed).held for seed in range(40)))
    assert held == frozenset(FEATURES)


@pytest.mark.parametrize("seed", range(3))
def test_the_vertices_listed_are_those_of_the_budgets(seed: int) -> None:
    """Those of the oracle, which lists whole days, and those of every period by themselves."""
    wanted = ("uncertain load", "uncertain sun", "renewables", "at once")
    day = random_day(seed, wanted, chance=1.0).question.day
    uncertain, vertices = day.uncertain, vertices_of(day)
    listed = list(days(uncertain))
    points = [realised(uncertain, t, deviations(uncertain, t)) for t in range(day.periods)]
    moved = np.array([[points[t][v] for t, v in enumerate(choice)] for choice in listed]) != 1.0
    assert (moved.sum(axis=1) <= uncertain.hours).all()
    members = [u for u, group in enumerate(uncertain.group) if group == "load"]
    assert (moved[:, :, members].sum(axis=2) <= 1).all()
    assert len(set(listed)) == len(listed)
    for mine, theirs in zip(vertices.realisations, points, strict=True):
        assert {tuple(row) for row in mine.tolist()} <= {tuple(row) for row in theirs.tolist()}


@pytest.mark.parametrize("seed", [1])
def test_with_reactive_load_uncertain_and_priced_it_agrees_with_all_vertices(seed: int) -> None:
    """Uncertain reactive load, prices of reactive power bought and shed and of losses by branch, short sources."""
    wanted = (*REACTIVE, "renewables", "batteries", "uncertain load", "shift buses", "shed")
    question = replace(random_day(seed, wanted, SMALL, chance=1.0).question, topology=Cadence.FIXED)
    load = nominal_load(question.day, 0).sum()
    supply = replace(question.supply, p_max=np.array([0.9 * load.real]), q_max=np.array([0.7 * load.imag]))
    question = replace(question, supply=supply)
    known, found = oracle(question), PeriodColumns(gap=1e-5).solve(question)
    assert found.plan is not None
    assert found.lower_bound <= known.exact * (1.0 + 1e-5)
    assert found.upper_bound == pytest.approx(known.value, rel=1e-4)
    worst = exact_worst(question, found.plan)
    assert worst.value == pytest.approx(found.upper_bound, rel=1e-5)
    assert worst.imbalance <= 1e-9
    day = day_flow(question, found.plan, found.worst.realisation, found.worst.recourse)
    assert day.costs.sum() == pytest.approx(found.worst.costs.sum(), rel=1e-9)
    assert min(day.parts["reactive purchase"].sum(), day.parts["losses"].sum()) > 0.0


@pytest.mark.parametrize("seed", [1])
def test_limits_of_the_power_of_branches_are_kept_at_least_cost(seed: int) -> None:
    """Of a given topology by columns, and of all topologies by the search."""
    wanted = (LIMITED, "renewables", "units", "uncertain load", "shed")
    question = random_day(seed, wanted, SMALL, most=6, chance=1.0).question
    most = question.day.flow_max
    assert most is not None
    for each, method in (
        (replace(question, topology=Cadence.FIXED), PeriodColumns(gap=1e-4)),
        (question, DayTopologySearch(gap=1e-4)),
    ):
        known, found = oracle(each), method.solve(each)
        assert found.plan is not None
        assert found.lower_bound <= known.exact * (1.0 + 1e-5)
        assert found.upper_bound == pytest.approx(known.value, rel=3e-4)
        flow = day_flow(each, found.plan, found.worst.realisation, found.worst.recourse)
        for power in (flow.s_fr, flow.s_to):
            assert (np.abs(power.real) <= most[0] * (1.0 + 2e-6) + 1e-9).all()
            assert (np.abs(power.imag) <= most[1] * (1.0 + 2e-6) + 1e-9).all()
        if each.topology is Cadence.FIXED:
            without = PeriodColumns(gap=1e-4).solve(replace(each, day=replace(question.day, flow_max=None)))
            assert without.upper_bound < known.value * (1.0 - 1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_the_topology_of_a_day_with_reactive_prices_is_that_of_all_topologies(seed: int) -> None:
    wanted = (*REACTIVE, "renewables", "units", "shed")
    question = random_day(seed, wanted, SMALL, most=6, chance=1.0).question
    known, found = oracle(question), DayTopologySearch(gap=1e-4).solve(question)
    assert found.lower_bound <= known.exact * (1.0 + 1e-5)
    assert found.upper_bound == pytest.approx(known.value, rel=3e-4)


@pytest.mark.parametrize("seed", range(3))
def test_the_vertices_of_a_budget_of_sums_are_the_corners_of_the_set(seed: int) -> None:
    """For any direction the best vertex is as good as the best point of the set, by a linear program."""
    rng = np.random.default_rng(seed)
    n, most, share = 5, int(rng.integers(1, 6)), float(rng.uniform(0.0, 0.25))
    network = make_network(
        n + 1, [Branch(k, k + 1, 0.01) for k in range(n)], {0: 1.0 + 0j}, power=rng.uniform(0.1, 1.0, n + 1)
    )
    down, up = rng.uniform(0.1, 0.5, (2, 1, n))
    numbers = np.array([-1, *range(n)])
    names = tuple(f"load {k}" for k in range(n))
    none = np.empty(0, dtype=np.int64)
    uncertain = Uncertain(names, ("load",) * n, numbers, none, down, up, np.ones(n, dtype=np.int64), (("load", most),))
    _, day = day_of(network, np.ones(1), uncertain=replace(uncertain, sums=(("load", share),)))
    points, size = vertices_of(day).realisations[0] - 1.0, network.s_power.real[1:]
    spent = np.maximum(points, 0.0) / up[0] + np.maximum(-points, 0.0) / down[0]
    assert spent.max() <= 1.0 + 1e-9
    assert spent.sum(axis=1).max() <= most + 1e-9
    assert np.abs(points @ size).max() <= share * size.sum() + 1e-9
    rows = np.vstack([np.hstack([np.eye(n) / up[0], np.eye(n) / down[0]]), np.hstack([1 / up[0], 1 / down[0]]),
                      np.hstack([size, -size]), np.hstack([-size, size])])  # fmt: skip
    side = np.array([*np.ones(n), most, share * size.sum(), share * size.sum()])
    for _ in range(20):
        direction = rng.standard_normal(n)
        best = linprog(-np.hstack([direction, -direction]), rows, side, bounds=(0.0, None), method="highs")
        assert (points @ direction).max() == pytest.approx(-best.fun, abs=1e-9)
