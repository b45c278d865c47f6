"""Reconfiguration of the built-in grids: the published figures, the options of a planner, and honest endings."""

import math
import re

import polars as pl
import pytest

import openpoint
from openpoint import (
    Benders,
    BranchExchange,
    Enumeration,
    ExtensiveForm,
    InputError,
    Limits,
    OptionError,
    Termination,
    TopologySearch,
)
from openpoint.grid import Grid
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.studies.reconfigure.study import Method
from openpoint.twostage.log import Iteration
from tests.builders.clock import held
from tests.builders.grids import DISPATCH, LIMITED, PLAIN, random_grid

GAP = 1e-4


def same_answer(ours: ReconfigureResult, best: ReconfigureResult) -> None:
    assert ours.termination is best.termination
    assert best.objective_kw - 1e-6 <= ours.objective_kw <= best.objective_kw * (1.0 + GAP) + 1e-6
    assert ours.lower_bound_kw <= best.objective_kw + 1e-6


def test_baran33_as_published() -> None:
    seen: list[Iteration] = []
    result = openpoint.reconfigure(openpoint.read("baran33"), method=Benders(gap=GAP), progress=seen.append)
    assert result.loss_before_kw == pytest.approx(202.677, abs=1e-3)
    assert result.loss_kw == pytest.approx(139.551, abs=1e-3)
    assert result.open_branches == ("7", "9", "14", "32", "37")
    assert result.termination is Termination.OPTIMAL
    assert result.gap <= GAP
    assert result.ac_max_mismatch_pu <= 1e-6
    assert result.lower_bound_kw <= 139.552
    assert result.v_min_pu == pytest.approx(0.9378, abs=1e-3)
    assert not result.violations
    assert result.objective_kw == result.loss_kw
    assert len(seen) == result.iterations.height
    # The tables tell the same story as the figures.
    assert result.branches["loss_after_kw"].sum() == pytest.approx(result.loss_kw, rel=1e-9)
    assert result.branches["loss_before_kw"].sum() == pytest.approx(result.loss_before_kw, rel=1e-9)
    assert set(result.branches.filter(~pl.col("closed_after"))["name"]) == set(result.open_branches)
    assert result.buses["v_after_pu"].min() == pytest.approx(result.v_min_pu)
    assert set(result.changes) == set(result.open_before) ^ set(result.open_branches)


def test_civanlar16_equals_brute_force() -> None:
    grid = openpoint.read("civanlar16")
    same_answer(openpoint.reconfigure(grid, method=Benders(gap=GAP)), openpoint.reconfigure(grid, method=Enumeration()))


@pytest.mark.parametrize("max_changes", [0, 2, 4])
def test_at_most_so_many_changes(max_changes: int) -> None:
    grid = openpoint.read("civanlar16")
    ours = openpoint.reconfigure(grid, max_changes=max_changes)
    same_answer(ours, openpoint.reconfigure(grid, max_changes=max_changes, method=Enumeration()))
    assert len(ours.changes) <= max_changes


def test_baran33_with_four_changes() -> None:
    grid = openpoint.read("baran33")
    ours = openpoint.reconfigure(grid, max_changes=4)
    same_answer(ours, openpoint.reconfigure(grid, max_changes=4, method=Enumeration()))
    assert len(ours.changes) <= 4


@pytest.mark.parametrize("cost", [0.5, 5.0, 1e3])
def test_a_cost_per_change(cost: float) -> None:
    grid = openpoint.read("civanlar16")
    ours = openpoint.reconfigure(grid, change_cost_kw=cost)
    same_answer(ours, openpoint.reconfigure(grid, change_cost_kw=cost, method=Enumeration()))
    assert ours.objective_kw == pytest.approx(ours.loss_kw + cost * len(ours.changes))
    assert ours.changes == () or cost < 1e3


def test_locks_are_kept() -> None:
    grid = openpoint.read("civanlar16")
    free = openpoint.reconfigure(grid)
    shut, opened = free.open_branches[0], next(n for n in grid.branches()["name"] if n not in free.open_branches)
    for method in (Benders(), Enumeration(), ExtensiveForm()):
        try:
            held = openpoint.reconfigure(grid, locked_closed=[shut], locked_open=[opened], method=method)
        except InputError as error:
            pytest.fail(f"the locks leave a choice: {error}")
        assert shut not in held.open_branches
        assert opened in held.open_branches
        assert held.loss_kw >= free.loss_kw


@pytest.mark.parametrize("method", [TopologySearch(), BranchExchange(), Benders(), Enumeration(), ExtensiveForm()])
def test_a_grid_of_one_bus_loses_nothing(method: Method) -> None:
    load = {"name": "load", "bus": "hut", "p_kw": 5.0, "q_kvar": 1.0}
    bus, source = {"name": "hut", "vn_kv": 10.0}, {"name": "grid", "bus": "hut"}
    result = openpoint.reconfigure(
        Grid.from_tables("one bus", {"buses": [bus], "sources": [source], "loads": [load]}), method=method
    )
    assert result.termination in (Termination.OPTIMAL, Termination.LOCAL)
    assert (result.loss_kw, result.open_branches) == (0.0, ())


def test_locks_that_leave_nothing_are_faults_of_the_input() -> None:
    grid = openpoint.read("baran33")
    names = grid.branches()["name"].to_list()
    with pytest.raises(InputError, match="locked closed, they form a loop"):
        openpoint.reconfigure(grid, locked_closed=names)
    with pytest.raises(InputError, match="cut them off from every source"):
        openpoint.reconfigure(grid, locked_open=names)
    with pytest.raises(InputError, match="it must be open already"):
        openpoint.reconfigure(grid, locked_open=["7"], locked_closed=["7"])
    with pytest.raises(InputError, match="no such branch"):
        openpoint.reconfigure(grid, locked_open=["nowhere"])


@pytest.mark.parametrize(
    "options",
    [{"max_changes": -1}, {"change_cost_kw": -1.0}, {"change_cost_kw": math.nan}, {"change_cost_kw": math.inf}],
)
def test_options_without_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="give"):
        openpoint.reconfigure(openpoint.read("civanlar16"), **options)


def rated(grid: Grid, i_max_a: float) -> Grid:
    return grid.with_tables(lines=grid.lines.with_columns(i_max_a=pl.lit(i_max_a)))


def test_limits_that_nothing_keeps_are_proven_so_and_named() -> None:
    """60 A everywhere: the feeder alone carries more. Some 20 s, most of them to name the least violation."""
    result = openpoint.reconfigure(rated(openpoint.read("baran33"), 60.0), method=Benders(max_iterations=3000))
    assert result.termination is Termination.INFEASIBLE
    assert result.loss_kw is None
    assert result.open_branches == ()
    assert result.least_violation
    assert all(v.kind == "current" and v.value > v.limit == pytest.approx(60.0) for v in result.least_violation)
    assert "1" in {v.name for v in result.least_violation}
    assert len(result.least_violation_open) == 5


@pytest.mark.parametrize("seed", [3, 13, 23])
def test_the_least_violation_is_that_of_brute_force(seed: int) -> None:
    """A voltage above anything reachable: which topology comes nearest, by exact power flows."""
    grid = random_grid(seed, PLAIN)
    limits = Limits(v_min_pu=1.06)
    ours = openpoint.reconfigure(grid, limits=limits)
    best = openpoint.reconfigure(grid, limits=limits, method=Enumeration())
    assert ours.termination is best.termination is Termination.INFEASIBLE

    def total(result: ReconfigureResult) -> float:
        return sum(1.0 - (v.value / v.limit) ** 2 for v in result.least_violation)

    assert total(best) - 1e-6 <= total(ours) <= 1.01 * total(best) + 1e-6


def test_a_time_limit_keeps_a_verified_answer_and_a_valid_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    held(monkeypatch, 0.1)
    result = openpoint.reconfigure(openpoint.read("mantovani136"), method=Benders(time_limit_s=1.0))
    assert result.termination is Termination.TIME
    assert result.ac_max_mismatch_pu <= 1e-6
    assert result.lower_bound_kw <= 280.20
    assert result.loss_kw >= 280.18


def test_enumeration_stops_at_a_time_limit_with_the_best_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openpoint.studies.reconfigure.ac_evaluation.FLOWS", 1000)
    held(monkeypatch, 1.0)
    method = Enumeration(time_limit_s=8.5)
    result = openpoint.reconfigure(openpoint.read("baran33"), method=method)
    assert result.termination is Termination.TIME
    assert result.loss_before_kw is not None
    assert 139.55 < result.loss_kw <= result.loss_before_kw
    assert not math.isfinite(result.lower_bound_kw)
    words = re.fullmatch(r"([\d,]+) of ([\d,]+) topologies", result.iterations["verdict"][-1])
    tried, of = words.groups()
    assert of == "50,751"
    assert 1000 <= int(tried.replace(",", "")) < 10_000


def test_an_iteration_limit_keeps_the_best() -> None:
    result = openpoint.reconfigure(openpoint.read("civanlar16"), method=Benders(max_iterations=1, gap=0.0))
    assert result.termination is Termination.ITERATIONS
    assert result.loss_kw is not None


@pytest.mark.parametrize("seed", [1, 6, 8])
def test_the_plain_method_reaches_the_same_optimum(seed: int) -> None:
    grid = random_grid(seed, LIMITED if seed % 2 else PLAIN)
    plain = openpoint.reconfigure(grid, method=Benders(relaxation=False, gap=GAP, max_iterations=3000))
    best = openpoint.reconfigure(grid, method=Enumeration())
    if best.loss_kw is None:
        assert plain.termination is Termination.INFEASIBLE
    else:
        same_answer(plain, best)


def test_limits_in_place_of_the_grids_own() -> None:
    """The state of least loss goes down to 0.9864 pu."""
    grid, limits = random_grid(12, PLAIN), Limits(v_min_pu=0.98645)
    result = openpoint.reconfigure(grid, limits=limits, method=Benders(gap=GAP))
    same_answer(result, openpoint.reconfigure(grid, limits=limits, method=Enumeration()))
    assert result.v_min_pu >= 0.98645 - 1e-6
    assert result.loss_kw > 1.1 * openpoint.reconfigure(grid, limits=Limits(voltage=False)).loss_kw


def test_enumeration_refuses_what_it_cannot_do() -> None:
    with pytest.raises(OptionError, match="cannot dispatch generators"):
        openpoint.reconfigure(random_grid(0, DISPATCH), method=Enumeration())
    with pytest.raises(OptionError, match="too many to enumerate"):
        openpoint.reconfigure(openpoint.read("baran33"), method=Enumeration(most=100))


def test_the_same_question_gives_the_same_answer() -> None:
    grid = random_grid(8, LIMITED)
    first, second = (openpoint.reconfigure(grid) for _ in range(2))
    assert first.open_branches == second.open_branches
    assert first.iterations.drop("seconds").equals(second.iterations.drop("seconds"))


def test_a_generator_that_must_run_as_it_does_not_today_is_dispatched() -> None:
    """Its limits leave no choice, but today's output is not within them: no method may take today's for granted."""
    grid = openpoint.read("civanlar16")
    limits = {"p_min_kw": [2000.0], "p_max_kw": [2000.0], "q_min_kvar": [0.0], "q_max_kvar": [0.0]}
    unit = {"name": ["g"], "bus": [grid.loads["bus"][0]], "p_kw": [0.0], "q_kvar": [0.0]}
    fixed = grid.with_tables(generators=pl.DataFrame({**unit, "p_kw": [2000.0]}))
    must = grid.with_tables(generators=pl.DataFrame({**unit, **limits}))
    best = openpoint.reconfigure(fixed, method=Enumeration())
    for method in (None, openpoint.Benders()):
        result = openpoint.reconfigure(must, method=method)
        assert result.loss_kw == pytest.approx(best.loss_kw, rel=1e-6)
        assert result.lower_bound_kw <= best.loss_kw * (1 + 1e-6)
