"""Certificates of a year: its steps and groups, and what is refused."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from openpoint.arrays import Bools
from openpoint.errors import OptionError
from openpoint.grid import files
from openpoint.network import build_network
from openpoint.powerflow.balanced import solve
from openpoint.scenarios.year.read import read_year
from openpoint.search.methods import TopologySearch
from openpoint.search.topology import search_topologies
from openpoint.studies.reconfigure.year.search import YearTask, search_year
from openpoint.twostage.deadline import Deadline
from openpoint.verify import CertificateError, Question
from openpoint.verify import year as module
from openpoint.verify.caps import flow, flows
from openpoint.verify.graph import Graph
from openpoint.verify.year import Ranges, Steps, Year, out_of
from tests.builders.certificates import Content, Line, content, index, of_file, rewritten, verify_network
from tests.studies.reconfigure.year.test_search import mean_losses, random_year


def order_of(task: YearTask, closed: Bools) -> list[tuple[int, int, int]]:
    net = task.network
    ends = net.terminal_fr.tolist(), net.terminal_to.tolist()
    graph = Graph(net.n_terminals, *ends, set(net.source_terminal.tolist()), set(), math.inf)
    return graph.directed(closed.astype(int).tolist(), set(), [0] * net.n_terminals)


@pytest.mark.parametrize("seed", range(9))
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


@pytest.mark.parametrize("seed", range(3))
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


SEEDS = range(12)


def steps_of(task: YearTask) -> Steps:
    demand = task.demand
    return Steps(task.hours, demand.profile, demand.bus, demand.follows, demand.power, demand.n_buses)


def changes_of(task: YearTask) -> tuple[int | None, float]:
    """The greatest number and the price of changes."""
    return task.program.rules.max_changes, task.program.rules.change_cost


def written(task: YearTask, path: Path, groups: int = 6, gap: float = 1e-6) -> Path | None:
    """The certificate of a search; None where it ends without one."""
    search_year(task, TopologySearch(gap=gap, certificate=path), None, Deadline(), groups=groups)
    return path if path.exists() else None


@pytest.mark.parametrize("seed", SEEDS)
def test_certificates_are_accepted_and_claim_no_more_than_is_true(seed: int, tmp_path: Path) -> None:
    task, _, values = random_year(seed)
    try:
        path = written(task, tmp_path / "file", [2, 6, 24][seed % 3])
    except OptionError:
        pytest.skip("nothing bounds the voltages of this grid")
    best, s = float(values.min(initial=math.inf)), task.network.s_base_kva
    assert (path is None) == math.isinf(best)
    if path is None:
        return
    proven = verify_network(task.network, path, steps=steps_of(task), changes=changes_of(task))
    assert proven.bound_kw <= best * s * (1.0 + 1e-12) + 1e-12
    assert proven.value_kw == pytest.approx(best * s, rel=2e-6, abs=2e-6)
    assert proven.value_kw - proven.bound_kw <= 2e-6 * abs(proven.value_kw) + 2e-6
    assert proven.steps == len(task.hours)
    assert proven.hours == pytest.approx(task.hours.sum())


@pytest.fixture(scope="module")
def task() -> YearTask:
    """A year whose best state keeps limits that others break, without generation."""
    return random_year(13)[0]


@pytest.fixture(scope="module")
def made(task: YearTask, tmp_path_factory: pytest.TempPathFactory) -> Content:
    folder = tmp_path_factory.mktemp("year")
    path = written(task, folder / "file", 12, 1e-3)
    assert path is not None
    found = content(path, task.network)
    assert (
        verify_network(
            task.network, rewritten(folder / "again", *found), steps=steps_of(task), changes=changes_of(task)
        ).gap
        < 2e-3
    )
    return found


Tampering = Callable[[dict[str, Any], list[Line]], None]


def raise_the_bound(head: dict[str, Any], lines: list[Line]) -> None:
    head["bound"] = head["value"] = 1.001 * head["value"]


def lower_the_loss(head: dict[str, Any], lines: list[Line]) -> None:
    head["value"] = head["bound"] = head["value"] * (1.0 - 1e-6)


def raise_the_loss(head: dict[str, Any], lines: list[Line]) -> None:
    head["value"] = head["value"] * (1.0 + 1e-6)


def another_best_state(head: dict[str, Any], lines: list[Line]) -> None:
    head["open"] = [*head["open"][1:], next(name for name in NAMES if name not in head["open"])]


def a_group_more(head: dict[str, Any], lines: list[Line]) -> None:
    head["groups"][0] = max(head["groups"]) + 2


def a_group_without_number(head: dict[str, Any], lines: list[Line]) -> None:
    head["groups"] = [-1 if k == 1 else k for k in head["groups"]]


def a_group_without_steps(head: dict[str, Any], lines: list[Line]) -> None:
    head["groups"] = [0 if k == 1 else k for k in head["groups"]]


def drop_bounds(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [line for line in lines if line[0] != "future"]


def drop_the_bounds_of_a_group(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [line for line in lines if line[:2] != ["future", 0]]


def name_another_group(head: dict[str, Any], lines: list[Line]) -> None:
    for line in lines:
        if line[0] == "future":
            line[1] = 0


def name_a_group_that_is_not_there(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "future")][1] = max(head["groups"]) + 1


def scale_multipliers(head: dict[str, Any], lines: list[Line]) -> None:
    for line in lines:
        if line[0] == "future":
            line[-2] = [2 * a for a in line[-2]]


def judge_at_once(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [["judged"]]


def forget_a_side(head: dict[str, Any], lines: list[Line]) -> None:
    del lines[max(at for at, line in enumerate(lines) if line[0] == "from") :]


def bound_voltages_by_a_loss(head: dict[str, Any], lines: list[Line]) -> None:
    head["voltage_loss"] = head["value"]


TAMPERINGS: list[Tampering] = [
    *(raise_the_bound, lower_the_loss, raise_the_loss, another_best_state, a_group_more),
    *(a_group_without_number, a_group_without_steps, drop_bounds),
    *(drop_the_bounds_of_a_group, name_another_group, name_a_group_that_is_not_there, scale_multipliers),
    *(judge_at_once, forget_a_side, bound_voltages_by_a_loss),
]
NAMES = random_year(13)[0].network.branch_names


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_tampering_is_refused(tamper: Tampering, task: YearTask, made: Content, tmp_path: Path) -> None:
    head, lines = copy.deepcopy(made)
    tamper(head, lines)
    with pytest.raises(CertificateError):
        verify_network(
            task.network, rewritten(tmp_path / "tampered", head, lines), steps=steps_of(task), changes=changes_of(task)
        )


def test_a_best_state_without_a_power_flow_is_none(task: YearTask, made: Content, tmp_path: Path) -> None:
    """Whatever its value is said to be."""
    head, lines = copy.deepcopy(made)
    steps = steps_of(task)
    steps = replace(steps, profile=steps.profile * np.where(np.arange(len(steps.hours)) == 3, 1e4, 1.0)[:, None])
    network = task.network.with_limits(
        w_min=np.zeros(task.network.n_terminals),
        w_max=np.full(task.network.n_terminals, np.inf),
        l_max=np.full(task.network.n_conductors, np.inf),
    )
    for value in (head["value"], 0.0, 1e300):
        path = rewritten(tmp_path / "file", head | {"value": value, "bound": value}, lines)
        with pytest.raises(CertificateError, match="the best state loses inf per unit"):
            verify_network(network, path, steps=steps, changes=changes_of(task))


def test_a_year_that_is_missing_or_too_much_is_told(task: YearTask, made: Content, tmp_path: Path) -> None:
    head, lines = copy.deepcopy(made)
    path = rewritten(tmp_path / "file", head, lines)
    with pytest.raises(CertificateError, match=r"give the table of its profiles \(--year\)"):
        verify_network(task.network, path)
    search_topologies(task.network, certificate=path)
    with pytest.raises(CertificateError, match="not about a year"):
        verify_network(task.network, path, steps=steps_of(task), changes=changes_of(task))


@pytest.mark.parametrize("seed", [1, 16, 33])
def test_any_groups_prove_what_is_true_or_nothing(seed: int, tmp_path: Path) -> None:
    """Steps are moved to other groups: what is accepted then is true all the same."""
    task, _, values = random_year(seed)
    path = written(task, tmp_path / "file", 12)
    assert path is not None
    made, best, refused = content(path, task.network), float(values.min()) * task.network.s_base_kva, 0
    for trial in range(6):
        rng = np.random.default_rng([seed, trial])
        head, lines = copy.deepcopy(made)
        groups = np.array(head["groups"])
        moved = rng.choice(len(groups), 1 + trial, replace=False)
        groups[moved] = rng.integers(0, groups.max() + 1, len(moved))
        head["groups"] = groups.tolist()
        head["bound"] *= [1.0, 1.0 + 1e-7, 1.0 + 2e-6][trial % 3]
        head["bound"] = min(head["bound"], head["value"])
        try:
            found = verify_network(
                task.network, rewritten(path, head, lines), steps=steps_of(task), changes=changes_of(task)
            )
        except CertificateError:
            refused += 1
            continue
        assert found.bound_kw <= best * (1.0 + 1e-9)
    assert refused


@pytest.mark.parametrize("seed", [1, 13, 18, 24])
def test_nothing_proves_that_a_worse_state_is_best(seed: int, tmp_path: Path) -> None:
    """Below the claim that nothing is better than a worse state the lines are changed at random."""
    task, states, values = random_year(seed)
    path = written(task, tmp_path / "file", 12)
    assert path is not None
    best = values.min()
    worse = np.flatnonzero(np.isfinite(values) & (values > best * 1.0001))
    if not len(worse):
        pytest.skip("no other state keeps the limits")
    made, steps = content(path, task.network), steps_of(task)
    for trial in range(5):
        rng = np.random.default_rng([seed, trial, 1])
        head, lines = copy.deepcopy(made)
        other = int(worse[trial % len(worse)])
        closed = states[other]
        head["open"] = [name for name, on in zip(task.network.branch_names, closed, strict=True) if not on]
        head["value"], head["bound"] = float(values[other]), 0.5 * float(best + values[other])
        some = [line for line in lines if line[0] == "future"]
        for line in some[:: int(rng.integers(1, 4))] if trial else []:
            line[-2] = (np.array(line[-2]) * rng.uniform(0.9, 1.5)).astype(np.int64).tolist()
        with pytest.raises(CertificateError):
            verify_network(task.network, rewritten(path, head, lines), steps=steps, changes=changes_of(task))


def test_the_reference_checker_accepts_a_year_and_refuses_more_than_is_proven(tmp_path: Path) -> None:
    task = random_year(16)[0]
    path = written(task, tmp_path / "file", 12)
    assert path is not None
    question = Question.of(task.network, replace(task.program.rules, max_changes=None), steps=steps_of(task))
    head, lines = content(path, task.network)
    assert of_file(question, path) is None
    more = rewritten(path, head | {"bound": head["value"] * (1.0 + 1e-5)}, lines)
    assert of_file(question, more) is not None


def test_every_limit_is_looked_at_in_every_step() -> None:
    ranges = Ranges(low={1: 0.9}, high={1: 1.1}, current={3: 2.0})
    w = {0: np.full(5, 9.0), 1: np.array([0.9, 0.89, 1.1, 1.11, 1.0])}  # bus 0 is a source
    l = {3: np.array([2.0, 0.0, 0.0, 0.0, 2.01]), 4: np.full(5, 9.0)}  # branch 4 has no limit
    assert out_of(ranges, w, l).tolist() == [False, True, False, True, True]
