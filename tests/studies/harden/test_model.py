"""Hardening: recourse, trees and linear flow against enumeration and equations; figures of 13 buses to the cent;
stations.
"""

import dataclasses
import random
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

import openpoint
from openpoint.errors import InputError, OptionError
from openpoint.formulations.islands import lindistflow, nominal_demand
from openpoint.grid import files
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.scenarios.disasters import Disasters
from openpoint.solvers.base import Status
from openpoint.solvers.highs import HighsModel
from openpoint.studies.harden.model import Backup, HardenProgram
from openpoint.studies.harden.trees import Feeder, feeder_of, flow, lifted, shed_on, spanned, violation, walk
from openpoint.twostage.methods.solving import ExtensiveForm
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.risk import Expectation
from openpoint.twostage.uncertainty import Scenarios
from tests.builders.disasters import A, B, C, brute_force, random_decision, random_program, zhang
from tests.powerflow.small_networks import Branch, make_network

RANDOMS = st.randoms(use_true_random=False)


def least(program: HardenProgram, decision: np.ndarray, broken: np.ndarray, *, integral: bool = True) -> float:
    """Value of the recourse, or of its relaxation."""
    stage = program.recourse(cp.Constant(decision), cp.Constant(broken), limits=True)
    answer = HighsModel(compile_model(stage.cost, stage.constraints, stage.integers)).solve(integral=integral)
    return np.inf if answer.status is Status.INFEASIBLE else answer.value


def optimum(program: HardenProgram) -> tuple[float, np.ndarray]:
    """Least expected cost and a decision that has it, in one piece."""
    outcome = ExtensiveForm(solver="highs", gap=1e-9).solve(program)
    assert outcome.decision is not None
    assert outcome.lower_bound == pytest.approx(outcome.upper_bound, abs=1e-4)
    return outcome.upper_bound, outcome.decision


@given(RANDOMS)
@settings(max_examples=10)
def test_the_recourse_is_the_best_of_all_states_and_roots(rng: random.Random) -> None:
    try:
        program = random_program(rng)
    except InputError:
        return
    decision, broken = random_decision(rng, program), program.uncertainty.values[0]
    expected = brute_force(program, decision, broken)
    found = least(program, decision, broken)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-3)
    assert found >= program.recourse_lower_bound
    assert least(program, decision, broken, integral=False) <= found + 1e-3


@given(RANDOMS)
@settings(max_examples=10)
def test_buying_more_never_costs_more_afterwards(rng: random.Random) -> None:
    try:
        program = random_program(rng)
    except InputError:
        return
    if not program.monotone:
        return
    broken = program.uncertainty.values[0]
    few = random_decision(rng, program)
    more = np.maximum(few, random_decision(rng, program))
    assert least(program, more, broken) <= least(program, few, broken) + 1e-3


@given(RANDOMS)
@settings(max_examples=10)
def test_what_is_alike_costs_the_same(rng: random.Random) -> None:
    """Hardening a line that is whole, or breaking one that is hardened, changes nothing."""
    try:
        program = random_program(rng)
    except InputError:
        return
    program = dataclasses.replace(program, closed_line_usd=0.0)
    broken, decision = program.uncertainty.values[0], random_decision(rng, program)
    other = decision.copy()
    other[: len(program.lines)] = np.where(
        broken[program.lines] > 0.5, decision[: len(program.lines)], rng.random() < 0.5
    )
    more = np.where(decision[: len(program.lines)] > 0.5, 1.0, broken)
    outlooks = [
        program.recourse_bounds(x, u[None, :]) for x, u in ((decision, broken), (other, broken), (decision, more))
    ]
    if outlooks[0] is None:
        return
    assert len({bounds.cost_keys[0] for bounds in outlooks if bounds is not None}) == 1
    first = least(program, decision, broken)
    assert least(program, other, broken) == pytest.approx(first, abs=1e-3)
    assert least(program, decision, more) == pytest.approx(first, abs=1e-3)


@given(RANDOMS)
@settings(max_examples=10)
def test_the_relaxed_recourse_is_convex_in_decision_and_disaster_together(rng: random.Random) -> None:
    """docs/methods.md M26."""
    try:
        program = random_program(rng)
    except InputError:
        return
    e = program.network.n_conductors
    ends = [(np.array([rng.random() for _ in program.costs]), np.array([rng.random() for _ in range(e)])) for _ in "ab"]
    values = [least(program, x, u, integral=False) for x, u in ends]
    share = rng.random()
    x, u = (share * a + (1 - share) * b for a, b in zip(*ends))
    assert least(program, x, u, integral=False) <= share * values[0] + (1 - share) * values[1] + 1e-3


@given(RANDOMS)
@settings(max_examples=5)
def test_the_relaxation_is_exact_on_13_buses(rng: random.Random) -> None:
    """For any decision that is bought whole: no voltage limit binds there."""
    program = zhang((1,))
    broken = np.zeros(15)
    broken[rng.sample(range(15), rng.randint(1, 5))] = 1.0
    decision = random_decision(rng, program, 0.1)
    assert least(program, decision, broken, integral=False) == pytest.approx(least(program, decision, broken), abs=0.2)


@pytest.mark.parametrize(("lines", "shed_kw"), [((2, 11, 15), 471.0), ((1,), 1155.35), ((2, 7), 0.0), (C, 617.68)])
def test_what_the_13_buses_shed_without_investment(lines: tuple[int, ...], shed_kw: float) -> None:
    program = zhang(lines, closed_line_usd=0.0)
    assert least(program, np.zeros(27), program.uncertainty.values[0]) / 14.0 == pytest.approx(shed_kw, abs=0.005)


@pytest.mark.parametrize(("lines", "printed_kw"), [((2, 11, 15), 551.0), ((2, 7), 120.0), ((11,), 110.0)])
def test_the_printed_objectives_count_10_kw_for_each_closed_line(lines: tuple[int, ...], printed_kw: float) -> None:
    program = zhang(lines, closed_line_usd=140.0)
    printed = least(program, np.zeros(27), program.uncertainty.values[0]) / 14.0
    assert printed == pytest.approx(printed_kw, abs=0.005)


@pytest.mark.parametrize(("max_lines", "max_generators", "usd"), [(2, 0, 800.0), (1, 1, 5744.0)])
def test_one_attack_on_13_buses(max_lines: int, max_generators: int, usd: float) -> None:
    program = zhang((2, 6, 11, 15), max_lines=max_lines, max_generators=max_generators, closed_line_usd=0.0)
    cost, decision = optimum(program)
    assert cost == pytest.approx(usd, abs=0.005)
    assert program.first_stage_cost(decision) == pytest.approx(800.0 if max_lines == 2 else 550.0)


CASES = [
    (A, C, 0.9, 479.45, 479.45, 55.11, 864.86),
    (B, C, 0.9, 1049.52, 879.45, 415.11, 1264.86),
    (B, C, 0.5, 1180.17, 950.11, 475.11, 4723.84),
    (B, C, 0.1, 736.78, 736.78, 535.11, 736.78),
]


@pytest.mark.parametrize(("one", "two", "odds", "here", "two_lines", "wait", "likely"), CASES)
def test_two_disasters_on_13_buses(
    one: tuple[int, ...], two: tuple[int, ...], odds: float, here: float, two_lines: float, wait: float, likely: float
) -> None:
    """Here and now with one line and with two, wait and see, and the plan for the likelier disaster."""
    program = zhang(one, two, odds=(odds, 1.0 - odds), max_lines=1, max_generators=1)
    assert optimum(program)[0] == pytest.approx(here, abs=0.006)
    assert optimum(dataclasses.replace(program, max_lines=2))[0] == pytest.approx(two_lines, abs=0.006)
    alone = [
        optimum(program.with_uncertainty(Scenarios(u[None, :], np.ones(1)), Expectation()))
        for u in program.uncertainty.values
    ]
    p = program.uncertainty.probabilities
    assert p @ [cost for cost, _ in alone] == pytest.approx(wait, abs=0.006)
    plan = alone[int(np.argmax(p))][1]
    after = [least(program, plan, u) for u in program.uncertainty.values]
    assert program.first_stage_cost(plan) + p @ after == pytest.approx(likely, abs=0.006)


@pytest.mark.parametrize(("p_c", "bought"), [(0.0505, 0), (0.0513, 400), (0.188, 400), (0.190, 550)])
def test_investment_starts_where_its_price_is_earned(p_c: float, bought: float) -> None:
    program = zhang(A, C, odds=(1.0 - p_c, p_c), max_lines=1, max_generators=1)
    assert program.first_stage_cost(optimum(program)[1]) == pytest.approx(bought)


def test_budgets_of_number_and_money_hold() -> None:
    program = zhang(C, budget_usd=500.0)
    _, decision = optimum(program)
    assert program.first_stage_cost(decision) <= 500.0
    assert program.generators_most == 3
    for x in program.rounding_heuristic(np.linspace(0.0, 1.0, 27), 20):
        assert program.first_stage_cost(x) <= 500.0
        assert set(x) <= {0.0, 1.0}
    limited = zhang(C, max_lines=1, max_generators=2)
    for x in limited.rounding_heuristic(np.full(27, 0.6), 20):
        assert x[:15].sum() <= 1
        assert x[15:].sum() <= 2


def test_fixed_branches_that_form_a_loop_are_refused_by_name() -> None:
    branches = [Branch(0, 1, switchable=False), Branch(1, 2, switchable=False), Branch(0, 2, switchable=False)]
    network = make_network(3, branches, {0: 1.0})
    with pytest.raises(InputError, match="e0, e1, e2: closed and not switchable"):
        dataclasses.replace(zhang(C), network=network, lines=np.arange(3), buses=np.array([1]))


def test_a_source_gets_no_generator() -> None:
    with pytest.raises(OptionError, match="source"):
        zhang(C, buses=np.arange(13))
    with pytest.raises(OptionError, match="backup generator"):
        Backup(0.0, 0.0)


NETWORK = build_network(files.load("baran33"))
NONE = np.empty(0, dtype=np.int64)


def feeder(network: Network, price: np.ndarray | None = None) -> Feeder:
    return feeder_of(network, np.ones(network.n_terminals) if price is None else price, NONE, np.empty(0))


def connected(broken: list[int]) -> np.ndarray:
    """(E) branches that are left in the part of the source."""
    whole = np.ones(NETWORK.n_conductors, dtype=np.bool_)
    whole[broken] = False
    ends = NETWORK.terminal_fr[whole], NETWORK.terminal_to[whole]
    graph = sp.csr_array((np.ones(int(whole.sum())), ends), shape=(33, 33))
    part = connected_components(graph, directed=False)[1]
    return whole & (part[NETWORK.terminal_fr] == part[0])


@given(st.lists(st.integers(0, 36), max_size=5))
def test_trees_are_spanning_and_the_lightest(broken: list[int]) -> None:
    live = connected(broken)
    tree = spanned(feeder(NETWORK), live)
    weight = np.where(NETWORK.closed, 1.0, 2.0) * (1e-6 + np.abs(NETWORK.z.diagonal()))
    ends = NETWORK.terminal_fr[live], NETWORK.terminal_to[live]
    least = minimum_spanning_tree(sp.csr_array((weight[live], ends), shape=(33, 33))).sum()
    assert not np.any(tree & ~live)
    assert weight[tree].sum() == pytest.approx(least)
    order, parent, _ = walk(feeder(NETWORK), tree, 0)
    assert len(order) == int(tree.sum()) + 1
    assert all(parent[bus] in order[:k] for k, bus in enumerate(order) if k)


def test_the_flow_on_a_tree_is_that_of_the_model() -> None:
    """Today's state of the 33-bus grid, with ratios put into two branches, one of them against the flow."""
    tap = NETWORK.tap.copy()
    tap[[2, 20]] = 0.98, 1.03
    fr, to = NETWORK.terminal_fr.copy(), NETWORK.terminal_to.copy()
    fr[20], to[20] = to[20], fr[20]
    network = dataclasses.replace(NETWORK, tap=tap, terminal_fr=fr, terminal_to=to)
    demand = nominal_demand(network)
    closed = cp.Constant(network.closed.astype(float))
    wide = np.where(np.arange(33) == 0, 1.0, 0.5), np.where(np.arange(33) == 0, 1.0, 1.5)
    model = lindistflow(
        network, closed, cp.Constant(demand.real), cp.Constant(demand.imag), most=(10.0, 10.0), bounds=wide
    )
    problem = cp.Problem(cp.Minimize(0), model.constraints)
    problem.solve(solver="HIGHS")
    grid = feeder(network)
    w, carried, _ = flow(grid, *walk(grid, network.closed, 0), grid.p, grid.q)
    np.testing.assert_allclose(w, model.w.value, atol=1e-7)
    edge = walk(grid, network.closed, 0)[2]
    np.testing.assert_allclose(carried[1:], np.abs(model.p.value[edge[1:]]), atol=1e-7)


def least_on(network: Network, tree: np.ndarray, price: np.ndarray) -> float:
    """The least price of shedding on a tree, by a linear program of the model."""
    demand, shed = nominal_demand(network), cp.Variable(33)
    model = lindistflow(
        network,
        cp.Constant(tree.astype(float)),
        cp.multiply(demand.real, 1 - shed),
        cp.multiply(demand.imag, 1 - shed),
        most=(10.0, 10.0),
    )
    cost = (price * np.maximum(demand.real, 0.0)) @ shed
    problem = cp.Problem(cp.Minimize(cost), [*model.constraints, shed >= 0, shed <= 1])
    problem.solve(solver="HIGHS")
    return float(cost.value)


@given(st.lists(st.integers(2, 36), max_size=3), st.integers(0, 3), st.floats(0.9, 0.96))
@settings(max_examples=13)
def test_shedding_keeps_the_limits_and_costs_little_more_than_the_least(
    broken: list[int], seed: int, v_min: float
) -> None:
    rng = np.random.default_rng(seed)
    price = rng.uniform(1.0, 3.0, 33)
    network = Limits(v_min_pu=v_min).applied(NETWORK)
    if seed % 2:
        network = dataclasses.replace(network, l_max=np.full(37, 0.6))
    grid, live = feeder(network, price), connected(broken)
    first = spanned(grid, live)
    served = np.isin(np.arange(33), walk(grid, first, 0)[0])
    network = dataclasses.replace(network, s_power=np.where(served, network.s_power, 0.0))
    tree, cost, shed = lifted(grid, live, first, 0, grid.p, grid.q)
    assert not np.any(tree & ~live)
    assert tree.sum() == first.sum()
    assert violation(grid, tree, 0, grid.p * (1 - shed), grid.q * (1 - shed)) <= 1e-7
    assert cost == pytest.approx(float(price @ (np.maximum(grid.p, 0.0) * shed)))
    assert cost <= shed_on(grid, first, 0, grid.p, grid.q, np.inf)[0] + 1e-9
    least = least_on(network, tree, price)
    assert least - 1e-6 <= cost <= 1.25 * least + 0.02


ONE = {"vn_from_kv": 110.0, "vn_to_kv": 20.0}
UNITS = [
    {"name": "T1", "from_bus": "H", "to_bus": "A", "r_ohm": 0.3, "x_ohm": 6.0, "s_max_kva": 3000.0, **ONE},
    {"name": "T2", "from_bus": "H", "to_bus": "B", "r_ohm": 0.1, "x_ohm": 2.0, "s_max_kva": 9000.0, **ONE},
]
"""The second carries three quarters of the current, and is as full as the first."""


NOTHING_BOUGHT: dict[str, Any] = {"max_lines": 0, "max_generators": 0, "value_of_information": False}
STORMS = {"both": (1.0, ["A-F1", "B-F2"])}


def station(*, meshed: bool, i_max_a: float = 100.0) -> Grid:
    """Two transformers on a double busbar with two couplers, or their one equivalent; three feeders with ties."""
    units = UNITS if meshed else [{**UNITS[1], "name": "T", "r_ohm": 0.075, "x_ohm": 1.5, "s_max_kva": 12000.0}]
    couplers = ("C1", "C2") if meshed else ("C1",)
    lines: list[dict[str, Any]] = []
    for k, bus in enumerate("AAB"):
        ends = [(bus, f"F{k}"), (f"F{k}", f"G{k}"), (f"G{k}", f"G{(k + 1) % 3}")]
        lines += [
            {"name": f"{a}-{b}", "from_bus": a, "to_bus": b, "r_ohm": 1.0 + 0.1 * k, "x_ohm": 0.5, "closed": tie < 2}
            for tie, (a, b) in enumerate(ends)
        ]
    return Grid.from_tables(
        "station",
        {
            "buses": [{"name": n, "vn_kv": 110.0 if n == "H" else 20.0} for n in ("H", "A", "B", *_feeders())],
            "lines": [{"i_max_a": i_max_a, **line} for line in lines],
            "switches": [{"name": n, "from_bus": "A", "to_bus": "B", "switchable": False} for n in couplers],
            "transformers": units,
            "sources": [{"name": "S", "bus": "H", "v_pu": 1.02}],
            "loads": [{"name": n, "bus": n, "p_kw": 1500.0 + 100.0 * k} for k, n in enumerate(_feeders())],
        },
    )


def _feeders() -> list[str]:
    return [f"{level}{k}" for k in range(3) for level in "FG"]


def test_costs_are_those_of_the_grid_with_one_transformer() -> None:
    meshed, single = (
        openpoint.harden(grid, disasters=Disasters.from_branches(grid, STORMS), **NOTHING_BOUGHT)
        for grid in (station(meshed=True), station(meshed=False))
    )
    assert meshed.cost_usd > 0.0
    assert meshed.cost_usd == pytest.approx(single.cost_usd, rel=1e-6)
    assert meshed.lower_bound_usd == pytest.approx(single.lower_bound_usd, rel=1e-4)


def test_the_state_after_a_disaster_is_that_of_the_power_flow_with_loops() -> None:
    grid = station(meshed=True, i_max_a=400.0)  # so that nothing is shed
    storm = Disasters.from_branches(grid, {"one": (1.0, ["A-F0"])})
    found = openpoint.harden(grid, disasters=storm, **NOTHING_BOUGHT)
    assert found.cost_usd == pytest.approx(0.0, abs=1e-6)
    after = {row["name"]: row for row in found.branches.iter_rows(named=True)}
    closed = {name: row["state"] == "closed" for name, row in after.items()}
    assert all(closed[name] for name in ("T1", "T2", "C1", "C2"))
    assert not any(after[name]["switching"] for name in ("T1", "T2", "C1", "C2"))
    for row in openpoint.run_powerflow(grid.with_closed(closed)).branches.iter_rows(named=True):
        name, shown = row["name"], after[row["name"]]
        if name.startswith("C"):
            assert shown["i_a"] is None
            continue
        assert shown["i_a"] == pytest.approx(row["i_a"], rel=1e-6, abs=1e-6), name
        assert shown["loss_kw"] == pytest.approx(row["loss_kw"], rel=1e-6, abs=1e-6), name
    assert after["T2"]["i_a"] == pytest.approx(3.0 * after["T1"]["i_a"], rel=1e-6)
    assert after["T2"]["loading_percent"] == pytest.approx(after["T1"]["loading_percent"], rel=1e-6)


def test_what_stands_in_a_loop_may_not_break() -> None:
    tables = {name: table.to_dicts() for name, table in station(meshed=True).tables().items()}
    beside = {"name": "beside", "from_bus": "A", "to_bus": "B", "r_ohm": 0.1, "x_ohm": 0.1, "switchable": False}
    grid = Grid.from_tables("station", {**tables, "lines": [*tables["lines"], beside]})
    with pytest.raises(InputError, match="beside: it may break, and is part of a loop that stays closed") as caught:
        openpoint.harden(grid, any_lines=1, max_lines=1)
    assert "openpoint convert --switchable" in str(caught.value)


def test_other_loops_are_refused_by_name() -> None:
    tables = {name: table.to_dicts() for name, table in station(meshed=True).tables().items()}
    units = [UNITS[0], {**UNITS[1], "vn_to_kv": 20.5}]
    with pytest.raises(InputError, match=r"T1.*they form a loop"):
        openpoint.harden(Grid.from_tables("station", {**tables, "transformers": units}), any_lines=1)
