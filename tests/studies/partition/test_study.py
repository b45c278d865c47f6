"""Partitions against brute force over switches, sources and vertices; methods agree; limits keep the best plan."""

import functools
import itertools
import math
import random
import re
from collections.abc import Callable
from pathlib import Path

import cvxpy as cp
import networkx as nx
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.errors import InputError, OptionError
from openpoint.grid import Grid
from openpoint.network import build_network
from openpoint.network.blocks import Blocks, blocks
from openpoint.solvers.highs import HighsModel
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.model.step import Topology, compact, load_blocks
from openpoint.studies.partition.options import PartitionCosts, PartitionOptions
from openpoint.studies.partition.result import PartitionResult
from openpoint.studies.partition.samples import model_of
from openpoint.studies.partition.setup import program_of
from openpoint.studies.partition.steps.study import partition_steps
from openpoint.studies.partition.study import partition
from openpoint.twostage.log import Iteration, Termination
from openpoint.twostage.methods.decomposition import Benders, ColumnAndConstraint
from openpoint.twostage.methods.solving import ExtensiveForm
from openpoint.twostage.program import Goal
from openpoint.twostage.recourse.compile import compile_model, template_of
from openpoint.twostage.uncertainty import Box, Budget
from openpoint.twostage.worst_case.separation import LinearRecourse
from tests.builders.clock import Wish, held
from tests.builders.microgrids import Edge, Feeder, Unit, brute_force, joined, random_feeder, sources
from tests.builders.partition_days import SIX, planned

GAP = 1e-6
STARTS = ("| none | 0%", "| six | 15%", "| six | 25%", "| all thirty | 15%")
"""Rows of the table of measurements that are computed again."""


def program(feeder: Feeder, chosen: list[int], deviation: float, **options: object) -> PartitionProgram:
    grid = feeder.grid()
    network = build_network(grid)
    given = {"most_deviating": None, "ramp": 0.3, "max_grid_forming": 1} | options
    return program_of(
        grid,
        network,
        blocks(network),
        PartitionOptions(
            uncertainty=deviation,
            uncertain_loads=[f"d{k}" for k in chosen],
            **given,  # type: ignore[arg-type]
        ),
    )


def problems(count: int, seed: int) -> list[tuple[Feeder, list[int], float]]:
    rng, found = random.Random(seed), []
    for _ in range(count):
        feeder = random_feeder(rng)
        chosen = sorted(rng.sample(range(len(feeder.loads)), min(len(feeder.loads), rng.randint(1, 3))))
        found.append((feeder, chosen, rng.choice((0.1, 0.25, 0.5))))
    return found


def test_the_optimum_is_that_of_brute_force_by_every_method() -> None:
    served = turned = delta = 0
    for number, (feeder, chosen, deviation) in enumerate(problems(10, seed=1)):
        expected = brute_force(feeder, chosen, deviation)
        question = program(feeder, chosen, deviation)
        methods = [
            ColumnAndConstraint(gap=GAP),
            Benders(gap=GAP, relaxation=False),
            ExtensiveForm(gap=GAP, solver="highs"),
        ]
        for method in methods[: 3 if number < 4 else 1]:
            outcome = method.solve(question)
            assert outcome.upper_bound == pytest.approx(expected, rel=1e-5, abs=1e-2), (number, method)
            assert outcome.lower_bound == pytest.approx(expected, rel=1e-5, abs=1e-2), (number, method)
        if outcome.decision is not None and question.parted(outcome.decision)[1].any():
            served += 1
            turned += any(any(edge.taps) for edge in feeder.edges)
            delta += any(unit.delta for unit in feeder.generators)
    assert min(served // 2, turned, delta) >= 2


def test_bounds_by_load_and_phase_and_constant_costs_are_those_of_brute_force(tmp_path: Path) -> None:
    """Asymmetric bounds, some by phase, of random loads; generators that cost something while their block is on."""
    rng, apart, served = random.Random(34), 0, 0
    for _ in range(6):
        feeder = random_feeder(rng)
        ends: dict[tuple[int, str], tuple[float, float]] = {}
        for d in sorted(rng.sample(range(len(feeder.loads)), min(len(feeder.loads), 2))):
            by_phase = not feeder.loads[d].delta and len(feeder.loads[d].phases) > 1
            for phase in feeder.loads[d].phases[:2] if by_phase else [""]:
                ends[d, phase] = (-rng.uniform(0.0, 0.5), rng.uniform(0.0, 0.4))
            apart += by_phase
        rows = [f"d{d},{phase},{1.0 + low!r},{1.0 + high!r}" for (d, phase), (low, high) in ends.items()]
        (tmp_path / "bounds.csv").write_text("\n".join(["load,phase,low,high", *rows]))
        running = [rng.choice((0.0, 50.0, 400.0)) for _ in feeder.generators]
        grid = feeder.grid()
        priced = grid.generators.with_columns(cost_on_usd_per_h=pl.Series(running))
        method = ColumnAndConstraint(gap=GAP)
        found = partition(
            grid.with_tables(generators=priced), load_bounds=tmp_path / "bounds.csv", samples=0, method=method
        )
        expected = brute_force(feeder, [], 0.0, ends, running)
        assert found.cost_usd == pytest.approx(expected, rel=1e-5, abs=1e-2)
        assert found.lower_bound_usd == pytest.approx(expected, rel=1e-5, abs=1e-2)
        assert "each uncertain load has bounds of its own (bounds.csv); the share shown is the largest" in found.notes
        assert found.uncertainty == pytest.approx(max(abs(end) for pair in ends.values() for end in pair))
        served += bool(found.energised_blocks)
    assert min(apart, served) >= 2


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("x,,0.9,1.1", "there is no load 'x'"),
        ("s701a,a,0.9,1.1", "s701a is connected between phases, and moves as one"),
        ("s701a,c,0.9,1.1", "s701a has no phase 'c'"),
        ("s701a,,0.9,1.1\ns701a,,0.8,1.1", "s701a stands in row number 1, too"),
        ("s701a,,0.9,1.1\ns701a,a,0.8,1.1", "bounds as a whole and by phase"),
        ("s701a,,1.1,1.2", "a least share of 1.1"),
        ("s701a,,0.9,0.95", "a greatest share of 0.95"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(rows: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "bounds.csv").write_text(f"load,phase,low,high\n{rows}\n")
    with pytest.raises(InputError, match=told):
        partition("ieee37-microgrids", load_bounds=tmp_path / "bounds.csv")


def test_with_weights_of_whole_blocks_the_optimum_is_that_of_brute_force() -> None:
    rng, served = random.Random(71), 0
    for _ in range(4):
        feeder = random_feeder(rng)
        chosen = sorted(rng.sample(range(len(feeder.loads)), 2))
        asked = {"uncertainty": 0.3, "uncertain_loads": [f"d{k}" for k in chosen], "samples": 0}
        costs, method = PartitionCosts(weigh="block"), ColumnAndConstraint(gap=GAP)
        found = partition(feeder.grid(), costs=costs, method=method, **asked)  # type: ignore[arg-type]
        expected = brute_force(feeder, chosen, 0.3, whole=1000.0)
        assert found.cost_usd == pytest.approx(expected, rel=1e-5, abs=1e-2)
        assert found.lower_bound_usd == pytest.approx(expected, rel=1e-5, abs=1e-2)
        served += bool(found.energised_blocks)
    assert served >= 2


def test_blocks_may_have_weights_of_their_own() -> None:
    """Of blocks weighed as wholes the greatest priority of a load is that of its block."""
    feeder = random_feeder(random.Random(5))
    grid = feeder.grid()
    name = grid.loads["name"][0]
    costs = PartitionCosts(weigh="block", priorities={name: 3.0})
    asked = PartitionOptions(costs=costs)
    network = build_network(grid)
    cut = blocks(network)
    lost = program_of(grid, network, cut, asked).steps[0].lost_usd
    home = load_blocks(grid, network, cut)
    count = np.bincount(home, minlength=cut.count)
    expected = np.where(count > 0, 1000.0 * (10.0 + 0.01 * count), 0.0)
    expected[home[0]] *= 3.0
    assert lost == pytest.approx(expected)


@pytest.mark.parametrize("phases", ["abc", "a"])
def test_islands_are_what_graphs_say(phases: str) -> None:
    """States of three switches and three generators on a ring of blocks, for one and for two sources an island; in one
    ring the third block and its switches have one phase."""
    ends = [(0, 1, "abc"), (1, 2, "abc"), (2, 3, phases), (3, 1, phases)]
    edges = [Edge(a, b, switchable=True, phases=has) for a, b, has in ends]
    units = [Unit(bus, "abc", False, 9.0) for bus in (1, 2, 2)]
    feeder = Feeder([("abc", 4.16)] * 3 + [(phases, 4.16)], edges, [Unit(1, "abc", False, 1.0)], units)
    cut, home = blocks(build_network(feeder.grid())), np.array([1, 2, 2])
    for most in (1, 2):
        exists = _existence(compact(cut, home, most))
        everything = list(itertools.product((0.0, 1.0), repeat=3 + 3 + 3))
        for bits in random.Random(most).sample(everything, 90):
            closed, energised, forming = np.array([0.0, *bits[:3]]), np.array([0.0, *bits[3:6]]), np.array(bits[6:])
            if any(c and not energised[edges[k].a] for k, c in enumerate(closed)):
                continue
            expected = not any(f and not energised[home[k]] for k, f in enumerate(forming))
            graph = joined(feeder, [k for k in range(4) if closed[k]])
            for part in nx.connected_components(graph):
                inner = [k for _, _, k in graph.subgraph(part).edges(keys=True)]
                chosen = {k for k, f in enumerate(forming) if f and home[k] in part}
                if not any(energised[bus] for bus in part):
                    continue
                reaching = chosen & set(sources(feeder, part, inner))
                expected &= all(energised[bus] for bus in part) and nx.is_tree(graph.subgraph(part))
                expected &= bool(reaching) and len(chosen) <= most
            assert exists(closed, energised, forming) == expected, (most, closed, energised, forming)


def _existence(topology: Topology) -> Callable[[np.ndarray, np.ndarray, np.ndarray], bool]:
    """Whether a topology has a point with a given state of branches, blocks and generators; compiled once."""
    states = [topology.closed, topology.energised, topology.forming]
    given = [cp.Parameter(state.shape) for state in states]
    binary = [(v, cp.Variable(v.shape, boolean=True)) for v in topology.integers if v.size]
    whole = [*(state == value for state, value in zip(states, given)), *(v == b for v, b in binary)]
    problem = cp.Problem(cp.Minimize(0), [*topology.constraints, *whole])

    def exists(*values: np.ndarray) -> bool:
        for parameter, value in zip(given, values, strict=True):
            parameter.value = value
        problem.solve(solver="HIGHS")
        return str(problem.status) == "optimal"

    return exists


def test_the_table_of_the_documentation_holds() -> None:
    """Served load, cost, blocks and switches of every level; what is more uncertain serves less and costs more.

    Plans are checked by graphs, and by the bounds of their proof.
    """
    text = (Path(__file__).parents[3] / "docs" / "measurements.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:7]] for line in text.splitlines() if line.startswith(STARTS)]
    assert len(rows) == len(STARTS)
    found: dict[str, list[PartitionResult]] = {"six": [], "all thirty": []}
    for which, level, *_ in rows:
        result = planned(float(level[:-1]) / 100.0, {"none": 0, "six": SIX, "all thirty": "all"}[which])  # type: ignore[arg-type]
        for key in found if which == "none" else (which,):
            found[key].append(result)
    expected = [found["six"][0], *found["six"][1:], *found["all thirty"][1:]]
    for row, result in zip(rows, expected, strict=True):
        assert result.gap == 0.0
        assert result.termination is Termination.OPTIMAL
        assert result.worst_slack_kw == 0.0
        check_by_graphs(result)
        figures = [len(result.energised_blocks), len(result.closed_switches), result.served_kw]
        assert [float(cell.replace(",", "")) for cell in row[2:5]] == figures
        assert float(row[5].replace(",", "")) == pytest.approx(result.cost_usd, abs=0.006)
    for results in found.values():
        costs, served = ([getattr(each, name) for each in results] for name in ("cost_usd", "served_kw"))
        blocks = [len(each.energised_blocks) for each in results]
        assert costs == sorted(costs)
        assert served == sorted(served, reverse=True)
        assert blocks == sorted(blocks, reverse=True)
    for some, every in zip(found["six"], found["all thirty"]):
        assert every.cost_usd >= some.cost_usd - 1e-6


def check_by_graphs(result: PartitionResult) -> None:
    """Every island a tree of blocks with one source, which reaches every phase of every bus; nothing closed is dead."""
    grid = result.grid
    island = dict(result.blocks.select("name", "island").iter_rows())
    shut = result.switches.filter(closed=True)
    assert set(result.closed_switches) == set(shut["name"])
    blocks_joined = nx.MultiGraph()
    blocks_joined.add_nodes_from(name for name, number in island.items() if number)
    blocks_joined.add_edges_from(shut.select("from_block", "to_block").iter_rows())
    assert set(blocks_joined) == set(result.energised_blocks)
    assert not len(blocks_joined) or nx.is_forest(blocks_joined)
    parts = [{island[name] for name in part} for part in nx.connected_components(blocks_joined)]
    assert sorted(parts) == [{k + 1} for k in range(len(parts))]
    home = {
        bus: island[name] for name, buses in result.blocks.select("name", "buses").iter_rows() for bus in buses.split()
    }
    assert not any(home[bus] for bus in grid.sources["bus"])
    terminals = nx.Graph()
    phases = dict(grid.buses.select("name", "phases").iter_rows())
    terminals.add_nodes_from((bus, phase) for bus, number in home.items() if number for phase in phases[bus])
    moving = dict(result.switches.select("name", "closed").iter_rows())
    for name, a, b, has, closed in grid.branches().select("name", "from_bus", "to_bus", "phases", "closed").iter_rows():
        if moving.get(name, closed) and home[a]:
            terminals.add_edges_from(((a, phase), (b, phase)) for phase in has)
    leaders = result.generators.filter(forms_grid=True)
    assert sorted(leaders["island"]) == sorted(range(1, len(parts) + 1))
    fed = {
        each
        for bus in leaders["bus"]
        for phase in "abc"
        for each in nx.node_connected_component(terminals, (bus, phase))
    }
    assert fed == set(terminals)
    assert set(leaders["name"]) == set(result.grid_forming)


def test_the_microgrids_of_another_feeder() -> None:
    """Transformers, regulators, laterals and generators of one phase within islands."""
    for level, served_kw in {0.0: 3466.316, 0.15: 3168.0, 0.25: 600.0}.items():
        result = partition("ieee13-microgrids", uncertainty=level, uncertain_loads=15)
        assert result.termination is Termination.OPTIMAL
        assert result.worst_slack_kw == 0.0
        assert result.served_kw == pytest.approx(served_kw, abs=0.001)
        check_by_graphs(result)


def test_a_robust_plan_holds_in_every_sample_and_a_nominal_one_does_not() -> None:
    """By the whole model of the recourse, where every load is uncertain."""
    level, plan = 0.15, model_of(planned(0.15, "all"))
    question, robust = plan.program, plan.program.whole(plan.decision)
    nominal = question.whole(model_of(planned(0.0, 0)).decision)
    recourse = LinearRecourse(template_of(question, len(robust), Goal.VIOLATION), Goal.VIOLATION)
    rng = np.random.default_rng(0)
    samples = level * rng.uniform(-1.0, 1.0, (100, len(question.loads.names)))

    def kept(decision: np.ndarray) -> float:
        found = [recourse.at(decision, u) for u in samples]
        return float(np.mean([p is not None and p.value <= 2e-6 for p in found]))

    assert kept(robust) == 1.0
    assert kept(nominal) < 0.95


def test_fewer_loads_that_deviate_cost_less() -> None:
    grid = openpoint.read("ieee37-microgrids")
    one = partition(grid, uncertainty=0.15, uncertain_loads=SIX, most_deviating=1)
    costs = [each.cost_usd for each in (planned(0.0, 0), one, planned(0.15))]
    assert costs == sorted(costs)  # type: ignore[type-var]
    question = program(*problems(1, seed=3)[0], most_deviating=1)
    assert isinstance(question.uncertainty, Budget | Box)


def test_no_recourse_is_below_the_floor() -> None:
    for feeder, chosen, deviation in problems(3, seed=7):
        question = program(feeder, chosen, deviation)
        decision = ColumnAndConstraint(gap=GAP).solve(question).decision
        recourse = LinearRecourse(template_of(question, len(decision), Goal.COST), Goal.COST)
        for u in (question.deviations[0], 0.0 * question.deviations[0]):
            if (there := recourse.at(decision, u)) is not None:
                assert there.value >= question.recourse_lower_bound - 1e-9


def test_priorities_move_the_choice() -> None:
    grid = openpoint.read("ieee37-microgrids")
    plain = planned(0.15)
    wanted = PartitionCosts(priorities={"s742b": 50.0, "s712c": 50.0})
    assert "705" not in plain.energised_blocks
    assert "705" in partition(grid, uncertainty=0.15, uncertain_loads=SIX, costs=wanted).energised_blocks


def test_no_grid_is_formed_through_a_delta_from_loads_to_ground() -> None:
    grid = openpoint.read("ieee123-microgrids")  # g610 stands behind a delta-delta, all loads of its block before it
    assert "delta" in grid.transformers.filter(to_bus="610")["connection"].item()
    network = build_network(grid)
    units = program_of(grid, network, blocks(network), PartitionOptions(uncertain_loads=0)).generators
    whole = set(grid.generators.filter(phases="abc")["name"])
    assert {units.names[g] for g in units.may_form} == whole - {"g610"}


def test_what_the_substation_takes_along_is_told() -> None:
    grid = openpoint.read("ieee13-microgrids")
    beside = pl.col("name") == "g634"
    moved = grid.with_tables(
        generators=grid.generators.with_columns(bus=pl.when(beside).then(pl.lit("650")).otherwise("bus")),
        loads=grid.loads.with_columns(bus=pl.when(pl.col("name") == "671").then(pl.lit("650")).otherwise("bus")),
    )
    loads, generators = partition(moved).notes
    assert "1155 kW of load" in loads
    assert "generators" in generators
    assert "'g634'" in generators
    assert partition(grid).notes == ()


def test_all_wrong_options_are_said_at_once() -> None:
    wrong = {
        "uncertain_loads": None,
        "most_deviating": -1,
        "ramp": 2.0,
        "max_grid_forming": 0,
        "costs": 3.0,
        "method": "magic",
    }
    told = (
        "uncertain_loads has None",
        "most_deviating is -1",
        "ramp is 2",
        "max_grid_forming is 0",
        "costs is 3.0",
        "method is",
    )
    asked = (
        ("uncertainty is 1.5", lambda: partition("ieee13-microgrids", uncertainty=1.5, **wrong)),
        ("max_actions is -2", lambda: partition_steps("ieee13-microgrids", "nowhere", max_actions=-2, **wrong)),
    )
    for more, ask in asked:
        with pytest.raises(OptionError) as raised:
            ask()
        assert all(each in str(raised.value) for each in told)
        assert re.search(more, str(raised.value))
    with pytest.raises(
        OptionError, match=r"block_weight is -1; give 0 or more. Also: weigh is 'load'; give one of kw, block"
    ):
        PartitionCosts(block_weight=-1.0, weigh="load")  # type: ignore[arg-type]


def test_what_makes_no_sense_is_refused() -> None:
    grid = openpoint.read("ieee37-microgrids")
    for options, words in (
        ({"uncertainty": 1.5}, "uncertainty is 1.5; give 0 to 1"),
        ({"ramp": -0.1}, "ramp"),
        ({"max_grid_forming": 0}, "max_grid_forming is 0; give 1 or more"),
        ({"uncertainty": 0.1, "uncertain_loads": 31}, "31 uncertain loads"),
        ({"uncertainty": 0.1, "most_deviating": -1}, "most_deviating"),
    ):
        with pytest.raises(OptionError, match=words):
            partition(grid, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="s728"):
        partition(grid, uncertainty=0.1, uncertain_loads=["s729", "s72x"])
    with pytest.raises(InputError, match="no such load"):
        partition(grid, costs=PartitionCosts(priorities={"nobody": 2.0}))
    with pytest.raises(InputError, match="dispatchable"):
        partition(openpoint.read("ieee123"))
    with pytest.raises(OptionError, match="no switchable branch"):
        partition(openpoint.read("ieee37"))
    lost = grid.with_tables(generators=grid.generators.with_columns(bus=pl.lit("nowhere")))
    with pytest.raises(InputError, match="nowhere"):
        partition(lost)
    beside = grid.with_tables(generators=grid.generators.with_columns(bus=pl.lit("799")))
    with pytest.raises(InputError, match="none can form a grid"):
        partition(beside)
    apart = grid.buses.filter(name="713").with_columns(name=pl.lit("apart"))
    moved = grid.generators.with_columns(bus=pl.when(pl.col("name") == "g713").then(pl.lit("apart")).otherwise("bus"))
    with pytest.raises(InputError, match="apart: it cannot be reached"):
        partition(grid.with_tables(buses=pl.concat([grid.buses, apart]), generators=moved))
    bare = grid.loads.with_columns(phases=pl.when(pl.col("name") == "s728").then(pl.lit("")).otherwise("phases"))
    with pytest.raises(InputError, match="s728, phases: '' is no set of phases"):
        partition(grid.with_tables(loads=bare))


LATE = 30.0
"""Most of a held clock beyond a limit, half a second a look."""
WAYS = {
    "climb": (30, lambda limit: ColumnAndConstraint(gap=0.0, time_limit_s=limit)),
    "dual": (30, lambda limit: ColumnAndConstraint(gap=0.0, time_limit_s=limit, separation="dual")),
    "vertices": (14, lambda limit: ColumnAndConstraint(gap=0.0, time_limit_s=limit, separation="vertices")),
    "benders": (30, lambda limit: Benders(gap=0.0, time_limit_s=limit, relaxation=False)),
    "extensive": (3, lambda limit: ExtensiveForm(solver="highs", gap=0.0, time_limit_s=limit)),
}


def grid() -> Grid:
    """Generators large enough that searches for the worst loads take long: nothing is soon found to be violated."""
    whole = openpoint.read("ieee37-microgrids")
    larger = [pl.col(name) * 1.5 for name in ("p_max_kw", "q_min_kvar", "q_max_kvar")]
    return whole.with_tables(generators=whole.generators.with_columns(larger))


@pytest.mark.parametrize("way", WAYS)
def test_a_short_time_limit_keeps_a_verified_plan(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (loads, make), limit = WAYS[way], 3.5 if way == "extensive" else 10.5
    lines: list[Iteration] = []
    clock = held(monkeypatch, 0.5)
    result = partition(grid(), uncertainty=0.25, uncertain_loads=loads, method=make(limit), progress=lines.append)
    assert result.termination is Termination.TIME
    assert clock.now <= limit + LATE
    assert result.lower_bound_usd <= result.cost_usd
    assert result.worst_slack_kw == 0.0


@pytest.mark.parametrize("way", ["climb", "dual", "vertices", "benders"])
def test_ctrl_c_keeps_a_verified_plan(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loads, make = WAYS[way]
    wish = Wish(monkeypatch, 25)
    result = partition(grid(), uncertainty=0.25, uncertain_loads=loads, method=make(None))
    assert result.termination is Termination.INTERRUPTED
    assert wish.asked <= wish.at + 2 * LATE
    assert result.lower_bound_usd <= result.cost_usd


Island = tuple[frozenset[int], tuple[int, ...]]


def islands(cut: Blocks) -> list[Island]:
    """Blocks and closed switches of every tree of blocks without the substation."""
    found: list[Island] = [(frozenset({b}), ()) for b in range(cut.count) if not cut.lost[b]]
    usable = [k for k in range(len(cut.switches)) if not (cut.lost[cut.fr[k]] or cut.lost[cut.to[k]])]
    for size in range(1, cut.count):
        for shut in itertools.combinations(usable, size):
            graph = nx.MultiGraph((int(cut.fr[k]), int(cut.to[k])) for k in shut)
            if nx.is_tree(graph):
                found.append((frozenset(graph), shut))
    return found


def test_the_optimum_is_that_of_the_best_islands() -> None:
    """For loads that are certain: then nothing has to follow, and the set-points are all there is."""
    grid = openpoint.read("ieee13-microgrids")
    network = build_network(grid)
    cut = blocks(network)
    program = program_of(
        grid,
        network,
        cut,
        PartitionOptions(
            uncertainty=0.0,
            uncertain_loads=0,
            most_deviating=None,
            ramp=0.3,
            max_grid_forming=1,
        ),
    )
    first = program.first_stage(with_recourse=False)
    form = compile_model(first.cost, first.constraints, first.integers, also=(first.decision,))
    model = HighsModel(form)
    s, b, f, _ = program.sizes
    binaries = form.of(first.decision)[: s + b + f]
    home = program.generators.block[program.generators.may_form]
    dark = program.first_stage_cost(np.zeros(program.decision_size))
    every = islands(cut)

    def saved(island: Island) -> float:
        """What an island alone is cheaper than darkness, with its best source."""
        members, shut = island
        best = 0.0
        for g in (g for g in range(f) if home[g] in members):
            chosen = np.zeros(s + b + f)
            chosen[[*shut, *(s + k for k in members), s + b + g]] = 1.0
            model.fix(binaries, chosen)
            answer = model.solve(integral=False, presolve=False)
            if answer.x is not None:
                best = max(best, dark - answer.value)
        return best

    worth: dict[frozenset[int], float] = {}
    for island in every:
        worth[island[0]] = max(worth.get(island[0], 0.0), saved(island))

    @functools.cache
    def most(left: frozenset[int]) -> float:
        """The most that islands of these blocks save."""
        if not left:
            return 0.0
        first = min(left)
        alone = most(left - {first})
        return max([alone, *(value + most(left - own) for own, value in worth.items() if first in own and own <= left)])

    result = partition(grid)
    expected = dark - most(frozenset(range(b)))
    assert math.isfinite(expected)
    assert result.cost_usd == pytest.approx(expected, rel=1e-6)
    assert result.lower_bound_usd == pytest.approx(expected, rel=1e-4)
