"""Partition over time against brute force over every step, and its tables against their own equations."""

import random

import networkx as nx
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.scenarios.horizon import Horizon
from openpoint.studies.partition.options import PartitionCosts
from openpoint.studies.partition.steps.result import PartitionStepsResult
from openpoint.studies.partition.steps.study import partition_steps
from openpoint.twostage.log import Termination
from openpoint.twostage.methods.decomposition import Benders, ColumnAndConstraint
from openpoint.twostage.methods.solving import ExtensiveForm
from tests.builders.clock import held
from tests.builders.microgrids import Feeder, Store, five, one_block
from tests.builders.partition_days import Day, best_day, moving, random_day

GAP = 1e-6


def ask(feeder: Feeder, day: Day, chosen: list[int], deviation: float, **options: object) -> PartitionStepsResult:
    loads = [f"d{k}" for k in chosen]
    given = {"method": ColumnAndConstraint(gap=GAP)} | options
    return partition_steps(
        day.grid(feeder),
        day.horizon(),
        uncertainty=deviation,
        uncertain_loads=loads,
        max_actions=day.max_actions,
        keep_energised=day.keep_energised,
        **given,  # type: ignore[arg-type]
    )


def days(count: int, seed: int, *, stored: bool) -> list[tuple[Feeder, Day, list[int], float]]:
    rng, found = random.Random(seed), []
    for _ in range(count):
        feeder, day = random_day(rng, rng.choice((2, 2, 3)), stored=stored)
        chosen = sorted(rng.sample(range(len(feeder.loads)), min(len(feeder.loads), rng.randint(1, 2))))
        found.append((feeder, day, chosen, rng.choice((0.0, 0.1, 0.25, 0.4))))
    return found


@pytest.mark.parametrize("stored", [False, True])
def test_the_optimum_is_that_of_brute_force(stored: bool) -> None:
    served = 0
    for number, (feeder, day, chosen, deviation) in enumerate(days(2, seed=3, stored=stored)):
        expected = best_day(feeder, day, chosen, deviation)
        result = ask(feeder, day, chosen, deviation)
        assert result.cost_usd == pytest.approx(expected, rel=1e-5, abs=1e-2), (number, day, deviation)
        assert result.lower_bound_usd == pytest.approx(expected, rel=1e-5, abs=1e-2), (number, day, deviation)
        served += result.served_kwh > 0.0
    assert served >= 1


def test_methods_agree() -> None:
    feeder, day, chosen, _ = days(1, seed=13, stored=True)[0]
    ours = ask(feeder, day, chosen[:1], 0.2)
    for method in (Benders(gap=GAP, relaxation=False), ExtensiveForm(gap=GAP, solver="highs")):
        theirs = ask(feeder, day, chosen[:1], 0.2, method=method)
        assert theirs.cost_usd == pytest.approx(ours.cost_usd, rel=1e-5, abs=1e-2)


def test_one_step_is_the_study_of_one_step() -> None:
    grid = five().grid()
    one = openpoint.partition(grid, uncertainty=0.25)
    same = openpoint.partition_steps(grid, Horizon.from_tables({"step": ["now"]}), uncertainty=0.25)
    assert same.cost_usd == one.cost_usd
    assert (same.lower_bound_usd, same.gap, same.served_kwh) == (one.lower_bound_usd, one.gap, one.served_kw)
    assert same.generators.select(one.generators.columns).equals(one.generators)
    assert same.islands.drop("step").equals(one.islands)
    assert same.blocks.drop("step", "fault").equals(one.blocks)


def test_equal_steps_that_nothing_links_cost_as_often_as_one() -> None:
    for feeder, _, chosen, deviation in days(1, seed=11, stored=False):
        loads = [f"d{k}" for k in chosen]
        one = openpoint.partition(
            feeder.grid(), uncertainty=deviation, uncertain_loads=loads, method=ColumnAndConstraint(gap=GAP)
        )
        thrice = ask(feeder, Day([1.0, 0.5, 2.0], [1.0, 1.0, 1.0]), chosen, deviation)
        assert thrice.cost_usd == pytest.approx(3.5 * (one.cost_usd or 0.0), rel=1e-6)


@pytest.fixture(scope="module")
def a_day() -> PartitionStepsResult:
    """The feeder over a day with a fault, a battery, a held switch, and two actions a step."""
    grid = openpoint.read("ieee37-microgrids")
    horizon = Horizon.from_tables(
        {"step": ["night", "noon"], "hours": [8.0, 8.0], "load_share": [0.5, 1.0]},
        events=[
            {"step": "night", "branch": "l35", "event": "open"},
            {"step": "noon", "branch": "l10", "event": "fault"},
            {"step": "noon", "branch": "tie3", "event": "close"},
        ],
        profiles=[{"step": "night", "load": "s728", "share": 0.0}],
        storage=[
            {"generator": "g738", "energy_kwh": 2000.0, "start_kwh": 700.0, "least_kwh": 200.0, "charge_kw": 300.0}
            | {"charge_efficiency": 0.9, "discharge_efficiency": 0.95}
        ],
    )
    costs = PartitionCosts(priorities={"s742b": 20.0})
    return openpoint.partition_steps(
        grid,
        horizon,
        uncertainty=0.1,
        uncertain_loads=1,
        max_actions=2,
        costs=costs,
        method=ColumnAndConstraint(gap=0.02),
    )


def test_the_energy_in_store_is_what_the_tables_say(a_day: PartitionStepsResult) -> None:
    held, more, less = 700.0, 0.0, 0.0
    for row in a_day.storage.iter_rows(named=True):
        power = a_day.generators.filter(step=row["step"], name="g738")["p_kw"].item()
        assert row["p_kw"] == pytest.approx(power, abs=1e-6)
        assert row["start_kwh"] == pytest.approx(held, abs=1e-6)
        held -= 8.0 * (power / 0.95 if power > 0.0 else 0.9 * power)
        assert row["end_kwh"] == pytest.approx(held, abs=1e-6)
        more, less = more + 8.0 * row["reserve_more_kw"] / 0.95, less + 8.0 * row["reserve_less_kw"] / 0.95
        assert held - more >= 200.0 - 1e-6
        assert held + less <= 2000.0 + 1e-6
    assert a_day.storage["p_kw"].abs().max() > 1.0  # type: ignore[operator]


def test_reserves_hold_the_energy_whatever_is_called() -> None:
    """The bound by reserves against power drawn at random within them, by the true efficiencies.

    Theory: docs/methods.md M34.
    """
    rng = np.random.default_rng(0)
    for _ in range(2000):
        into, out, hours = rng.uniform(0.5, 1.0), rng.uniform(0.5, 1.0), rng.uniform(0.5, 3.0, 4)
        plan, more, less = rng.uniform(-100.0, 100.0, 4), rng.uniform(0.0, 50.0, 4), rng.uniform(0.0, 50.0, 4)

        def spent(power: np.ndarray, into: float = into, out: float = out, hours: np.ndarray = hours) -> np.ndarray:
            return np.cumsum(hours * np.where(power > 0.0, power / out, power * into))

        called = spent(plan + rng.uniform(-less, more)) - spent(plan)
        assert (called <= np.cumsum(hours * more / out) + 1e-9).all()
        assert (called >= -np.cumsum(hours * less / out) - 1e-9).all()


def test_every_step_is_radial_and_keeps_what_events_hold(a_day: PartitionStepsResult) -> None:
    before = {name: name not in ("tie1", "tie2", "tie3") for name in a_day.switches["name"]}
    for step in a_day.steps["step"]:
        blocks, switches = (frame.filter(step=step) for frame in (a_day.blocks, a_day.switches))
        island = dict(blocks.select("name", "island").iter_rows())
        graph = nx.MultiGraph()
        graph.add_nodes_from(name for name, k in island.items() if k)
        state = dict(switches.select("name", "closed").iter_rows())
        for a, b, closed in switches.select("from_block", "to_block", "closed").iter_rows():
            if closed and island[a]:
                assert island[a] == island[b]
                graph.add_edge(a, b)
            elif closed:
                assert not island[b]  # what is shut among dead blocks feeds nobody
        assert nx.number_of_selfloops(graph) == 0
        parts = list(nx.connected_components(graph))
        assert graph.number_of_edges() == graph.number_of_nodes() - len(parts)
        for part in parts:
            assert len({island[name] for name in part}) == 1
            forming = a_day.generators.filter(pl.col("block").is_in(list(part)), step=step, forms_grid=True)
            assert forming.height == 1
        moved = {name for name, closed in state.items() if closed != before[name]}
        assert moved == set(switches.filter(pl.col("switching") != "")["name"])
        free = set(switches.filter(held="")["name"])
        assert len(moved & free) == a_day.steps.filter(step=step)["actions"].item() <= 2
        assert not state["l35"]
        before = state
        faulty = blocks.filter(pl.col("fault"))
        assert faulty.height == (step != "night")
        assert not faulty["energised"].any()
        assert state["tie3"] or step == "night"


def test_profiles_and_priorities_are_in_the_tables(a_day: PartitionStepsResult) -> None:
    load = dict(a_day.steps.select("step", "load_kw").iter_rows())
    own = a_day.grid.loads.filter(name="s728")["p_kw"].item()
    assert load["night"] == pytest.approx(0.5 * (2457.0 - own))
    assert load["noon"] == pytest.approx(2457.0)
    first = a_day.priorities.filter(priority=20.0)
    served = a_day.blocks.filter(pl.col("name") == "705")["energised"]
    kw = a_day.grid.loads.filter(name="s742b")["p_kw"].item()
    for row, share, on in zip(first.iter_rows(named=True), (0.5, 1.0), served):
        assert row["load_kw"] == pytest.approx(share * kw)
        assert row["served_kw"] == pytest.approx(share * kw * on)
    assert a_day.priorities.group_by("step").agg(pl.col("served_kw").sum()).sort("step")["served_kw"].to_list() == (
        pytest.approx(a_day.steps.sort("step")["served_kw"].to_list())
    )


def test_the_exact_power_flow_is_near_the_plan(a_day: PartitionStepsResult) -> None:
    assert a_day.steps["v_excess_pu"].max() == 0.0
    for row in a_day.steps.iter_rows(named=True):
        made = a_day.generators.filter(step=row["step"])
        assert made["ac_p_kw"].sum() == pytest.approx(row["served_kw"] + row["loss_kw"], abs=0.01)
        assert made["p_kw"].sum() == pytest.approx(row["served_kw"], abs=0.01)


def test_without_actions_the_switches_stay_as_they_are() -> None:
    for feeder, _, chosen, _ in days(1, seed=21, stored=False):
        switches = moving(feeder)
        day = Day([1.0, 1.0], [1.0, 0.8], max_actions=0, open_today={*switches[:1], *switches[2:]})
        result = ask(feeder, day, chosen, 0.1)
        for step in ("t0", "t1"):
            state = dict(result.switches.filter(step=step).select("name", "closed").iter_rows())
            assert state == {f"l{k}": k not in day.open_today for k in switches}
        assert result.steps["actions"].to_list() == [0, 0]
        assert result.cost_usd == pytest.approx(best_day(feeder, day, chosen, 0.1), rel=1e-5, abs=1e-2)


def test_a_plan_made_step_by_step_and_the_steps_alone_bound_the_best() -> None:
    """Who does not look ahead drains the store while a generator could do, and sheds the load when it cannot."""
    feeder = one_block(60.0, 60.0)
    store = Store(1, energy=60.0, start=50.0, least=0.0, end=0.0, charge=10.0, into=1.0, out=1.0)
    result = ask(feeder, Day([1.0, 1.0], [0.5, 1.0], store=store), [], 0.0)
    (told,) = result.iterations.filter(verdict="step by step").iter_rows(named=True)
    assert told["upper_bound_usd"] == pytest.approx(10.01 * 100.0)  # the store serves the first step, nobody the second
    assert result.cost_usd == pytest.approx(0.3 * (50.0 + 100.0 - 50.0))
    assert told["lower_bound_usd"] == pytest.approx(0.3 * (100.0 - 60.0))  # each step as if the store were full
    assert result.iterations["lower_bound_usd"].is_sorted()


def test_a_time_limit_leaves_a_plan_and_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    feeder, day, chosen, deviation = days(1, seed=13, stored=True)[-1]
    whole = ask(feeder, day, chosen, deviation)
    for limit in (1.5, 50.5, 150.5):
        clock = held(monkeypatch, 0.5)
        result = ask(feeder, day, chosen, deviation, method=ColumnAndConstraint(gap=GAP, time_limit_s=limit))
        assert clock.now <= limit + 30.0
        assert result.lower_bound_usd <= (whole.cost_usd or 0.0) + 1e-2
        assert result.cost_usd is None or result.cost_usd >= (whole.lower_bound_usd or 0.0) - 1e-2


def test_a_store_that_cannot_be_filled_is_proven_infeasible() -> None:
    feeder = one_block(50.0)
    store = Store(0, energy=40.0, start=10.0, least=0.0, end=30.0, charge=30.0, into=1.0, out=1.0)
    result = ask(feeder, Day([1.0], [1.0], store=store), [], 0.0)  # nothing else generates
    assert result.termination is Termination.INFEASIBLE
    assert result.cost_usd is None
    assert result.served_kwh == 0.0


def test_a_generator_behind_a_delta_has_its_place_in_the_power_flow() -> None:
    horizon = Horizon.from_tables({"step": ["now"], "hours": [1.0]})
    result = partition_steps(openpoint.read("ieee123-microgrids"), horizon, method=ColumnAndConstraint(gap=0.1))
    behind = result.generators.filter(name="g610")  # set-points tie, so only that it delivers its own is certain
    assert behind["ac_p_kw"].item() == pytest.approx(behind["p_kw"].item())
    assert 0.9 < result.steps["v_min_pu"].item() < result.steps["v_max_pu"].item() < 1.1
    forming = result.generators.filter("forms_grid")
    taken = (forming["ac_p_kw"] - forming["p_kw"]).sum()
    assert taken == pytest.approx(result.steps["loss_kw"].item(), rel=0.05)  # loads stay as nominal, losses come on top
