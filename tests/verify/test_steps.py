"""Steps of a year as the checker takes them: sweeps of all of them, their mean demands and ends, limits in each."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from openpoint.arrays import Bools
from openpoint.errors import OptionError
from openpoint.grid import files
from openpoint.network import build_network
from openpoint.powerflow.balanced import solve
from openpoint.scenarios.year.read import read_year
from openpoint.studies.reconfigure.year.search import YearTask
from openpoint.verify import steps as module
from openpoint.verify.flow import flow, flows
from openpoint.verify.graph import Graph
from openpoint.verify.steps import Steps
from openpoint.verify.year import Ranges, Year
from tests.builders.certificates import verify_network
from tests.studies.reconfigure.year.test_search import mean_losses, random_year
from tests.verify.test_year import changes_of, steps_of, written


def order_of(task: YearTask, closed: Bools) -> list[tuple[int, int, int]]:
    net = task.network
    ends = net.terminal_fr.tolist(), net.terminal_to.tolist()
    graph = Graph(net.n_terminals, *ends, set(net.source_terminal.tolist()), set(), math.inf)
    return graph.directed(closed.astype(int).tolist(), set(), [0] * net.n_terminals)


@pytest.mark.parametrize("seed", range(36))
def test_sweeps_of_many_steps_are_those_of_each_and_of_the_power_flow(seed: int) -> None:
    task, states, _ = random_year(seed)
    net = task.network
    if not len(states):
        pytest.skip("the grid has no radial state")
    closed = states[seed % len(states)]
    order, some = order_of(task, closed), task.demand.rows(np.arange(9))
    found, known = flows(net, order, some), solve(net, closed, s_power=some)
    none = np.zeros(len(net.generator_names), dtype=np.complex128)
    for t, demand in enumerate(some):
        loss, w, _, rated, _ = flow(replace(net, s_power=demand), order, none)
        assert found.loss[t] == pytest.approx(loss, rel=1e-10, abs=1e-14)
        if math.isinf(loss):
            continue
        assert loss == pytest.approx(known.loss[t], rel=1e-7, abs=1e-10)
        assert {bus: square[t] for bus, square in found.w.items()} == pytest.approx(w, rel=1e-10)
        assert {e: square[t] for e, square in found.rated.items()} == pytest.approx(rated, rel=1e-8, abs=1e-16)
        assert [rated.get(e, 0.0) for e in range(net.n_conductors)] == pytest.approx(known.i_rated[t] ** 2, abs=1e-9)


def test_steps_without_a_flow_have_no_loss_and_spoil_no_others() -> None:
    task, states, _ = random_year(0)
    order, rows = order_of(task, states[0]), task.demand.rows(np.arange(3))
    rows[1] *= 1e4
    found = flows(task.network, order, rows)
    assert np.isfinite(found.loss).tolist() == [True, False, True]
    again = flows(task.network, order, rows[[0, 2]])
    assert found.loss[[0, 2]] == pytest.approx(again.loss, rel=1e-11)


def demands_of(steps: Steps) -> list[tuple[list[Fraction], list[Fraction]]]:
    """The exact demand in every step."""
    found = []
    for row in steps.profile.tolist():
        p, q = [Fraction(0)] * steps.n, [Fraction(0)] * steps.n
        for bus, follows, power in zip(steps.bus.tolist(), steps.follows.tolist(), steps.power.tolist(), strict=True):
            p[bus] += Fraction(row[follows]) * Fraction(power.real)
            q[bus] += Fraction(row[follows]) * Fraction(power.imag)
        found.append((p, q))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_mean_demands_are_exact_and_ends_enclose_every_step(seed: int) -> None:
    task, *_ = random_year(seed)
    steps = steps_of(task)
    rng = np.random.default_rng(seed)
    steps = replace(steps, hours=rng.choice([0.25, 0.1, 1.0 / 3.0, 7.0], len(steps.hours)))
    label = rng.integers(0, 4, len(steps.hours))
    label[:4] = range(4)
    every, year, hours = demands_of(steps), Year(steps, label, []), [Fraction(h) for h in steps.hours.tolist()]
    for k in range(4):
        members = np.flatnonzero(label == k).tolist()
        length = sum((hours[t] for t in members), Fraction(0))
        assert Fraction(year.measure.lower[k], year.measure.whole) == length / sum(hours)
        for part, mean in enumerate(year.demand(k)):
            assert mean == [sum(hours[t] * every[t][part][bus] for t in members) / length for bus in range(steps.n)]
    for part, (low, high) in enumerate(zip(*year.ends, strict=True)):
        for bus in range(steps.n):
            column = [demand[part][bus] for demand in every]
            assert low[bus] <= min(column)
            assert max(column) <= high[bus]
            assert float(high[bus] - low[bus]) <= float(max(column) - min(column)) + 1e-9


def test_a_state_is_judged_by_a_limit_that_it_breaks_though_another_step_has_no_flow() -> None:
    """No flow in a step is no proof; a limit that is broken in another step is one, wherever that step is."""
    task, states, _ = random_year(13)
    order = order_of(task, states[0])
    steps = steps_of(task)
    far = replace(steps, profile=steps.profile.copy())
    far.profile[-1] *= 1e5
    every = range(steps.n)
    tight = Ranges(dict.fromkeys(every, 2.0), dict.fromkeys(every, 3.0), {})
    free = Ranges({}, {}, {})
    for profile, ranges, expected in ((steps, tight, (0.0, False)), (far, tight, (0.0, False))):
        year = Year(profile, np.zeros(len(steps.hours), dtype=np.int64), [])
        assert year.loss(task.network, order, ranges) == expected
        assert year.watched
        assert year.loss(task.network, order, ranges) == expected
    assert Year(far, np.zeros(len(steps.hours), dtype=np.int64), []).loss(task.network, order, free) == (math.inf, True)


def test_steps_are_taken_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    task, states, _ = random_year(13)
    order, steps, free = order_of(task, states[0]), steps_of(task), Ranges({}, {}, {})
    label = np.zeros(len(steps.hours), dtype=np.int64)
    whole = Year(steps, label, []).loss(task.network, order, free)[0]
    monkeypatch.setattr(module, "PIECE", 7 * steps.n)
    assert [piece.stop for piece in steps.pieces()][:2] == [7, 14]
    assert Year(steps, label, []).loss(task.network, order, free)[0] == pytest.approx(whole, rel=1e-13)
    low, high = steps.ends
    rows = steps.rows(slice(None))
    assert low == pytest.approx(rows.real.min(axis=0) + 1j * rows.imag.min(axis=0), abs=1e-9)
    assert high == pytest.approx(rows.real.max(axis=0) + 1j * rows.imag.max(axis=0), abs=1e-9)


@pytest.mark.parametrize(
    ("seed", "heavier", "proven"), [(1, 16, True), (2, 10, True), (18, 10, True), (24, 6, True), (7, 70, False)]
)
def test_states_that_have_no_flow_in_a_step_are_excluded_by_bounds_or_no_file_is_left(
    seed: int, heavier: int, proven: bool, tmp_path: Path
) -> None:
    task, states, _ = random_year(seed)
    demand = replace(task.demand, profile=task.demand.profile * heavier)
    task = replace(task, demand=demand)
    excess = [task.flows(state).excess for state in states]
    assert any(np.isinf(e).any() and not (e[np.isfinite(e)] > 0.0).any() for e in excess)
    best = float(mean_losses(task, states).min()) * task.network.s_base_kva
    assert math.isfinite(best)
    path = written(task, tmp_path / "file")
    assert (path is not None) == proven
    if path is not None:
        found = verify_network(task.network, path, steps=steps_of(task), changes=changes_of(task))
        assert found.bound_kw <= best * (1.0 + 1e-12)
        assert found.value_kw == pytest.approx(best, rel=2e-6)


@pytest.mark.parametrize(("hours", "profile"), [(0.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (8760.0, math.nan)])
def test_a_year_whose_numbers_are_none_is_refused(hours: float, profile: float) -> None:
    grid = files.load("civanlar16")
    year = read_year(pl.DataFrame({"hours": [8760.0], "all": [1.0]}), grid)
    wrong = replace(year, hours=np.array([hours]), profile=np.array([[profile, 1.0]]))
    assert Steps.of(year, build_network(grid)).n == len(year.bus_names)
    with pytest.raises(OptionError, match="no steps, or values that are no numbers, or steps without length"):
        Steps.of(wrong, build_network(grid))
