"""Plans in samples of the loads: the linear verdict is that of the whole model, AC balances, and failures are told."""

import random
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.stats

import openpoint
from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.grid import Grid
from openpoint.studies.partition import samples as partition_samples
from openpoint.studies.partition.ac import (
    ROOM_USD,
    TOLERANCE_PU,
    Follower,
    PlanCircuit,
    PlanFlows,
    PlanSamples,
    Share,
    failures_table,
    leading,
    samples_table,
)
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.options import PartitionCosts
from openpoint.studies.partition.result import PartitionResult
from openpoint.studies.partition.samples import model_of, sample_partition
from openpoint.studies.partition.study import partition
from openpoint.twostage.log import Termination
from openpoint.twostage.program import Goal
from openpoint.twostage.recourse.compile import template_of
from openpoint.twostage.uncertainty import draw
from openpoint.twostage.workers.executors import GivenExecutor, Processes
from openpoint.twostage.worst_case.separation import LinearRecourse
from tests.builders.clock import FAILURES, FailingExecutor
from tests.builders.microgrids import five, three_phase_feeder
from tests.builders.partition_days import SIX, planned


@pytest.fixture(scope="module")
def microgrids() -> PartitionResult:
    return planned(0.25)


@pytest.fixture(scope="module")
def small() -> PartitionResult:
    return partition(five().grid(), uncertainty=0.2)


def of(result: PartitionResult) -> tuple[PartitionProgram, Floats]:
    plan = model_of(result)
    return plan.program, plan.program.whole(plan.decision)


def told(result: PartitionResult) -> tuple[PlanSamples, PlanSamples]:
    assert result.samples.nominal is not None
    return result.samples.planned, result.samples.nominal


def test_what_robustness_buys_on_the_microgrids(microgrids: PartitionResult) -> None:
    planned, nominal = told(sample_partition(microgrids, count=150))
    assert planned.linear.share == 1.0
    assert planned.ac.share >= 0.99
    assert planned.ac_alone.share <= planned.ac.share
    assert nominal.linear.share < 0.8
    assert nominal.ac.share <= nominal.linear.share
    assert (planned.served_kw, nominal.served_kw) == (microgrids.served_kw, 1742.0)
    for each in (planned, nominal):
        assert each.max_mismatch_pu < 5e-6
        # What fails is the output of grid-forming generators, which make up for the losses: no voltage, no rating.
        assert set(each.failures["unit"]) <= {"kW", "kvar"}


@pytest.mark.parametrize("seed", range(3))
def test_robust_plans_hold_in_every_sample_of_the_linear_model(seed: int) -> None:
    rng = random.Random(seed)
    feeder = three_phase_feeder(rng)
    try:
        result = partition(feeder.grid(), uncertainty=rng.choice((0.1, 0.3)), most_deviating=rng.choice((None, 1, 2)))
    except openpoint.InputError:  # a block with a loop
        pytest.skip("no such grid can be cut")
    sampled = sample_partition(result, count=60, nominal=False).samples
    assert sampled.planned.linear == Share(60, 60)
    assert sampled.planned.max_mismatch_pu < 5e-6


def test_the_linear_verdict_is_that_of_the_whole_model_and_the_dispatch_is_the_cheapest() -> None:
    """A plan for certain loads before uncertain ones, at different prices: some samples cannot be followed."""
    grid = openpoint.read("ieee37-microgrids")
    costs = PartitionCosts(
        generation_usd_per_kwh={name: 0.2 + 0.04 * k for k, name in enumerate(grid.generators["name"])}
    )
    question = partition(grid, uncertainty=0.25, uncertain_loads=SIX, costs=costs)
    nominal = partition(grid, costs=costs)
    program, decision = of(replace(question, decision=nominal.decision))
    violated, priced = (LinearRecourse(template_of(program, len(decision), p), p) for p in (Goal.VIOLATION, Goal.COST))
    follower = Follower(program, decision)
    beside = np.zeros(2 * len(follower.led))
    verdicts = []
    for u in draw(program.uncertainty, 40, 1):
        least, change = violated.at(decision, u), follower.changes(u, beside)
        assert (change is not None) == (least.value <= TOLERANCE_PU)
        verdicts.append(change is not None)
        if change is None:
            continue
        best = priced.at(decision, u)
        cost = float(program.steps[0].generation_usd @ change[: len(change) // 2])
        assert best.value - 1e-2 <= cost <= best.value + ROOM_USD + 1e-6
        assert np.all(np.abs(change) <= np.concatenate(program.ramps) + 2 * TOLERANCE_PU)
    assert 5 < sum(verdicts) < 40


def test_grid_forming_generators_make_up_for_the_losses(microgrids: PartitionResult) -> None:
    program, decision = of(microgrids)
    follower, circuit = Follower(program, decision), PlanCircuit(microgrids.grid, program, decision)
    (flows,) = flows_of(program, follower, circuit)
    assert flows.mismatch.max() < 5e-6
    half = flows.beside.shape[1] // 2
    lost_kw = flows.beside[:, :half].sum(axis=1) * program.network.s_base_kva / 3.0
    assert np.all((lost_kw > 0.0005 * microgrids.served_kw) & (lost_kw < 0.02 * microgrids.served_kw))


def flows_of(program: PartitionProgram, follower: Follower, *circuits: PlanCircuit) -> list[PlanFlows]:
    u = draw(program.uncertainty, 5, 0)
    changes = [follower.changes(each, np.zeros(2 * len(follower.led))) for each in u]
    told_to = np.array([change for change in changes if change is not None])
    return [circuit.flows(u, told_to) for circuit in circuits]


def test_generators_between_phases_and_of_few_phases_feed_in_where_they_are() -> None:
    """If a phase went astray, the grid-forming generator would make up for it: a third of 60 kW, and more."""
    grid = five().grid()
    rows = grid.generators.to_dicts()
    for row in rows[:2]:  # those that may form the grid
        row["connection"] = "delta"
    rows[2] |= {"phases": "ac", "connection": "delta"}
    rows.append(rows[2] | {"name": "g3", "phases": "bc", "connection": "wye", "p_max_kw": 60.0})
    grid = Grid.from_tables("mixed", {**grid.tables(), "generators": pl.DataFrame(rows, schema=grid.generators.schema)})
    result = partition(grid, uncertainty=0.2)
    program, decision = of(result)
    assert result.grid_forming
    follower, circuit = Follower(program, decision), PlanCircuit(grid, program, decision)
    (flows,) = flows_of(program, follower, circuit)
    assert flows.mismatch.max() < 5e-6
    assert np.abs(flows.beside).max() * program.network.s_base_kva / 3.0 < 5.0


def test_a_generator_behind_a_delta_feeds_in_between_phases() -> None:
    """No neutral is there: three loads to ground of unequal constant power would have no solution."""
    grid = openpoint.read("ieee37-microgrids")
    row = grid.generators.row(0, named=True)
    small = {"p_max_kw": 30.0, "q_min_kvar": -20.0, "q_max_kvar": 20.0}
    table = pl.DataFrame(
        [*grid.generators.to_dicts(), row | small | {"name": "g775", "bus": "775"}], schema=grid.generators.schema
    )
    result = partition(grid.with_tables(generators=table), uncertainty=0.1, uncertain_loads=["s731b"])
    program, decision = of(result)
    assert "709" in result.energised_blocks
    units = program.generators
    closed, energised, forming, p, q = (each.copy() for each in program.parted(decision))
    own = np.flatnonzero(units.of_part == units.names.index("g775"))
    base_kw = program.network.s_base_kva / 3.0
    # Line currents of power between a and b only; in all 20 kW, at none of the others as many.
    s = 20.0 / base_kw * np.array([0.5 - 0.5j / 3**0.5, 0.5 + 0.5j / 3**0.5, 0.0])
    p[own], q[own] = s.real, s.imag
    circuit = PlanCircuit(result.grid, program, np.concatenate([closed, energised, forming, p, q]))
    still = np.zeros((1, len(result.uncertain_loads))), np.zeros((1, 2 * len(p)))
    flows = circuit.flows(*still)
    assert flows.converged.all()
    assert flows.mismatch.max() < 5e-6
    p[own], q[own] = 0.0, 0.0
    without = PlanCircuit(result.grid, program, np.concatenate([closed, energised, forming, p, q])).flows(*still)
    led = flows.beside.shape[1] // 2
    saved = (without.beside - flows.beside)[0] * base_kw
    assert saved[:led].sum() == pytest.approx(20.0, abs=0.5)
    at = {limit[:3]: k for k, limit in enumerate(circuit.limits) if limit.element == "775"}
    sides = np.array([circuit.limits[k].sign * circuit.limits[k].side for k in at.values()])
    v = np.abs(flows.excess[0, list(at.values())] + sides)
    assert np.all(np.abs(v - 1.0) < 0.05)


def test_a_difference_is_a_load_on_the_grid_forming_generator(small: PartitionResult) -> None:
    """So the others follow it: what it delivers in all stays within its limits and ramp."""
    program, decision = of(small)
    follower = Follower(program, decision)
    parts = len(program.generators.of_part)
    p = program.parted(decision)[3]
    u = np.zeros(len(small.uncertain_loads))
    still = follower.changes(u, np.zeros(2 * len(follower.led)))
    beside = np.zeros(2 * len(follower.led))
    beside[0] = 0.01
    moved = follower.changes(u, beside)
    assert moved[:parts].sum() == pytest.approx(still[:parts].sum(), abs=1e-6)  # the loads are the same
    first = follower.led[0]
    assert moved[first] + beside[0] <= min(program.ramps[0][first], program.network.p_max[first] - p[first]) + 1e-5
    assert follower.changes(u, beside * 1e3) is None


def test_the_same_samples_give_the_same_answer_wherever_they_are_judged(small: PartitionResult) -> None:
    here = sample_partition(small, count=150, seed=3)
    there = sample_partition(small, count=150, seed=3, executor=Processes(1))
    assert there.samples is not None
    assert samples_table(here.samples).equals(samples_table(there.samples))
    assert failures_table(here.samples).equals(failures_table(there.samples))
    assert here.samples.judged == here.samples.asked == 150
    again = sample_partition(here, count=150, seed=4, nominal=False).samples
    assert again.nominal is None


def test_what_was_judged_before_ctrl_c_is_kept(small: PartitionResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_samples, "BATCH", 10)
    monkeypatch.setattr(partition_samples, "WAVE", 2)
    met: list[tuple[int, int]] = []

    def progress(done: int, of: int) -> None:
        met.append((done, of))
        if len(met) == 2:
            signal.raise_signal(signal.SIGINT)

    samples = sample_partition(small, count=75, progress=progress).samples
    assert met == [(20, 75), (40, 75)]
    assert (samples.judged, samples.asked, samples.interrupted) == (40, 75, True)
    assert samples.planned.linear.of == 40
    assert samples.nominal.ac.of == 40


def test_limits_that_break_are_told(small: PartitionResult) -> None:
    """Voltage limits and ratings that only AC breaks, as the model is told of wider ones; by how much is recomputed."""
    program, decision = of(small)
    step = program.steps[0]
    net = step.network
    tight = net.with_limits(
        w_min=np.full(net.n_terminals, 0.9995**2),
        w_max=np.full(net.n_terminals, 1.0001**2),
        l_max=np.full(net.n_conductors, 1e-6),
    )
    strict = replace(program, steps=(replace(step, network=tight),))
    follower = Follower(program, decision)
    free, held = PlanCircuit(small.grid, program, decision), PlanCircuit(small.grid, strict, decision)
    expected, found = flows_of(program, follower, free, held)
    wide = {limit[:3]: k for k, limit in enumerate(free.limits) if "voltage" in limit.kind}
    broken = set()
    for k, limit in enumerate(held.limits):
        if "voltage" in limit.kind:
            side = free.limits[wide[limit[:3]]].side
            shift = limit.sign * (side - limit.side)
            assert found.excess[:, k] == pytest.approx(expected.excess[:, wide[limit[:3]]] + shift, abs=1e-9)
        if (found.excess[:, k] > limit.tolerance).any():
            broken.add(limit.kind)
    assert broken >= {"voltage low", "current"}


def test_a_plan_that_serves_nothing_breaks_nothing_and_certain_loads_are_one_sample() -> None:
    feeder = five()
    grid = feeder.grid()
    dark = grid.with_tables(generators=grid.generators.with_columns(p_max_kw=pl.lit(1.0)))
    samples = sample_partition(partition(dark, uncertainty=0.1), count=30).samples
    assert (samples.planned.served_kw, samples.planned.ac) == (0.0, Share(30, 30))
    certain = sample_partition(partition(grid), count=30).samples
    assert (certain.judged, certain.nominal) == (1, None)
    assert certain.planned.linear.share == 1.0


def test_one_generator_of_an_island_holds_its_voltage(small: PartitionResult) -> None:
    result = partition(small.grid, uncertainty=0.2, max_grid_forming=2)
    program, decision = of(result)
    units, forming = program.generators, program.parted(decision)[2].copy()
    island = dict(result.generators.select("name", "island").iter_rows())
    forming[:] = [island[units.names[g]] > 0 for g in units.may_form]
    s, b, f, _ = program.sizes
    decision[s + b : s + b + f] = forming
    chosen = [units.names[units.may_form[k]] for k in leading(program, decision)]
    assert len(chosen) == len({island[name] for name in chosen}) == len({k for k in island.values() if k})
    sampled = sample_partition(result, count=20, nominal=False).samples
    assert sampled.planned.unsolved == 0


def test_shares_have_exact_intervals() -> None:
    """The ends of Clopper and Pearson are quantiles of beta distributions."""
    low, high = Share(98, 100).interval
    assert low == pytest.approx(scipy.stats.beta.ppf(0.025, 98, 3))
    assert high == pytest.approx(scipy.stats.beta.ppf(0.975, 99, 2))
    assert Share(100, 100).interval[0] == pytest.approx(0.025**0.01)
    assert Share(100, 100).interval[1] == 1.0
    assert Share(0, 0).interval == (0.0, 1.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"count": 0}, "0 samples"), ({"count": -5}, "-5 samples"), ({"seed": -1}, "seed is -1")],
)
def test_what_makes_no_sense_is_refused(small: PartitionResult, options: dict[str, int], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        sample_partition(small, **options)  # type: ignore[arg-type]


def test_without_a_plan_there_is_nothing_to_judge(small: PartitionResult) -> None:
    with pytest.raises(OptionError, match="no plan"):
        sample_partition(replace(small, decision=None))


def test_a_plan_is_kept_where_workers_are_lost(small: PartitionResult) -> None:
    executor = GivenExecutor(FailingExecutor(0, FAILURES["connection"], at_once=False), 1)
    found = sample_partition(small, count=150, seed=3, executor=executor)
    assert found.decision is small.decision
    assert found.samples.stopped is Termination.WORKERS
    assert 0 < found.samples.judged < found.samples.asked


def test_a_plan_keeps_branches_in_parallel_and_rings_of_couplers() -> None:
    """The same as with one branch and one bus in their place, in the model and in AC power flows."""
    buses = ["S", "A", "B", "C"]
    lines = [
        {"name": "SA", "from_bus": "S", "to_bus": "A", "r_ohm": 0.5, "x_ohm": 0.4},
        {"name": "AB", "from_bus": "A", "to_bus": "B", "r_ohm": 2.1, "x_ohm": 1.4, "i_max_a": 60.0},
        {"name": "BC", "from_bus": "B", "to_bus": "C", "r_ohm": 0.5, "x_ohm": 0.4, "switchable": True},
    ]
    loads = [{"name": name, "bus": name, "p_kw": 400.0, "q_kvar": 100.0} for name in "ABC"]
    unit = {"p_kw": 0.0, "p_min_kw": 0.0, "p_max_kw": 1500.0, "q_min_kvar": -900.0, "q_max_kvar": 900.0}
    tables: dict[str, Any] = {
        "buses": [{"name": name, "vn_kv": 10.0} for name in buses],
        "lines": [{"switchable": row["name"] == "SA", **row} for row in lines],
        "sources": [{"name": "S", "bus": "S"}],
        "loads": loads,
        "generators": [{"name": "G", "bus": "A", **unit}],
    }
    one = Grid.from_tables("one", tables)
    twins = [lines[1] | {"name": f"AB{k}", "r_ohm": 2.1 / s, "x_ohm": 1.4 / s, "i_max_a": 60.0 * s, "switchable": False}
             for k, s in enumerate((0.3, 0.7))]  # fmt: skip
    ring = [{"name": f"K{a}{b}", "from_bus": a, "to_bus": b, "switchable": False} for a, b in ("CD", "DE", "EC")]
    more = {
        "buses": [*tables["buses"], *({"name": name, "vn_kv": 10.0} for name in "DE")],
        "lines": [tables["lines"][0], *twins, tables["lines"][2]],
        "switches": ring,
        "loads": [*loads[:2], loads[2] | {"bus": "E"}],
    }
    held = Grid.from_tables("held", tables | more)
    single, double = (
        partition(each, uncertainty=0.2, limits=openpoint.Limits(v_min_pu=0.9), samples=20) for each in (one, held)
    )
    assert single.served_kw == pytest.approx(double.served_kw, rel=1e-9)
    assert single.served_kw >= 800.0
    assert single.cost_usd == pytest.approx(double.cost_usd, rel=1e-6)
    assert told(double)[0].ac.count == told(single)[0].ac.count
    assert told(double)[0].max_mismatch_pu < 1e-6
