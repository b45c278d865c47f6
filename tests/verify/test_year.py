"""Certificates of a year: accepted by two checkers, true, and refused where anything was changed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.search.methods import TopologySearch
from openpoint.search.topology import search_topologies
from openpoint.studies.reconfigure.year.search import YearTask, search_year
from openpoint.twostage.deadline import Deadline
from openpoint.verify import CertificateError, Question
from openpoint.verify.steps import Steps
from openpoint.verify.year import Ranges, out_of
from tests.builders.by_reference import of_file
from tests.builders.certificates import Content, Line, content, index, rewritten, verify_network
from tests.studies.reconfigure.year.test_search import random_year

SEEDS = range(36)


def steps_of(task: YearTask) -> Steps:
    demand = task.demand
    return Steps(task.hours, demand.profile, demand.bus, demand.follows, demand.power, demand.n_buses)


def changes_of(task: YearTask) -> tuple[int | None, float]:
    """The greatest number and the price of changes."""
    return task.program.max_changes, task.program.change_cost_kw / task.network.s_base_kva


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
    head["groups"] += 1


def a_group_without_number(head: dict[str, Any], lines: list[Line]) -> None:
    head["labels"] = np.where(head["labels"] == 1, -1, head["labels"])


def a_group_without_steps(head: dict[str, Any], lines: list[Line]) -> None:
    head["labels"] = np.where(head["labels"] == 1, 0, head["labels"])


def drop_bounds(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [line for line in lines if line[0] != "future"]


def drop_the_bounds_of_a_group(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [line for line in lines if line[:2] != ["future", 0]]


def name_another_group(head: dict[str, Any], lines: list[Line]) -> None:
    for line in lines:
        if line[0] == "future":
            line[1] = 0


def name_a_group_that_is_not_there(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "future")][1] = head["groups"]


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


@pytest.mark.parametrize("seed", [1, 13, 16, 21, 33])
def test_any_groups_prove_what_is_true_or_nothing(seed: int, tmp_path: Path) -> None:
    """Steps are moved to other groups: what is accepted then is true all the same."""
    task, _, values = random_year(seed)
    path = written(task, tmp_path / "file", 12)
    assert path is not None
    made, best, refused = content(path, task.network), float(values.min()) * task.network.s_base_kva, 0
    for trial in range(6):
        rng = np.random.default_rng([seed, trial])
        head, lines = copy.deepcopy(made)
        groups = head["labels"].copy()
        moved = rng.choice(len(groups), 1 + trial, replace=False)
        groups[moved] = rng.integers(0, head["groups"], len(moved))
        head["labels"] = groups
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


@pytest.mark.parametrize("seed", [1, 6, 13, 16, 18, 21, 24, 26, 33])
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
    question = Question.of(task.network, steps=steps_of(task), change_cost=changes_of(task)[1])
    head, lines = content(path, task.network)
    assert of_file(question, path) is None
    more = rewritten(path, head | {"bound": head["value"] * (1.0 + 1e-5)}, lines)
    assert of_file(question, more) is not None


def test_every_limit_is_looked_at_in_every_step() -> None:
    ranges = Ranges(low={1: 0.9}, high={1: 1.1}, current={3: 2.0})
    w = {0: np.full(5, 9.0), 1: np.array([0.9, 0.89, 1.1, 1.11, 1.0])}  # bus 0 is a source
    l = {3: np.array([2.0, 0.0, 0.0, 0.0, 2.01]), 4: np.full(5, 9.0)}  # branch 4 has no limit
    assert out_of(ranges, w, l).tolist() == [False, True, False, True, True]
