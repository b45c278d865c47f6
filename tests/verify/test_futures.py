"""Certificates of searches over many futures: accepted by two checkers, and refused where anything was changed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.grid import builtin
from openpoint.network import build_network
from openpoint.search.enumeration import topologies
from openpoint.search.futures.certificate import FuturesCertificate, FuturesClaim
from openpoint.search.futures.search import search_futures
from openpoint.search.futures.task import FuturesTask
from openpoint.twostage.ambiguity import Moments, ProbabilitySet, tail_of
from openpoint.twostage.deadline import Deadline
from openpoint.verify import CertificateError, Verified, verify_network
from openpoint.verify.head import BetweenBounds, NearNominal
from openpoint.verify.measure import Measure, measure_of
from tests.builders.certificates import Content, Line, content, index, rewritten
from tests.builders.second_checker import Refused, covered, second_check
from tests.search.random_futures import RISKS, Brute, probabilities_of, random_task

ENTRY = -2
"""Place of the multipliers of active power in a line."""


def written(task: FuturesTask, states: np.ndarray, path: Path, share: float = 1.0) -> Path | None:
    """The certificate of a search; None where it ends without an answer."""
    built, count = task.built(by_loss=False), len(task.demands)
    weights = np.full(count, 1.0 / count)
    claim = FuturesClaim(task.demands, task.probabilities, task.wait_and_see, weights, share if task.limits else 0.0)
    certificate = FuturesCertificate(path, task.network, built, claim)
    search_futures(task, gap=1e-6, deadline=Deadline(math.inf), starts=states[:1], built=built, certificate=certificate)
    return path if path.exists() else None


@pytest.mark.parametrize("seed", [*range(16), 91, 115])
def test_certificates_under_every_risk_are_accepted_and_claim_no_more_than_is_true(seed: int, tmp_path: Path) -> None:
    task, states, risk = random_task(seed)
    try:
        path = written(task, states, tmp_path / "file")
    except OptionError:
        return
    best = float(task.evaluate(states).objective.min(initial=math.inf)) if len(states) else math.inf
    assert (path is None) == math.isinf(best), risk
    if path is None:
        return
    s = task.network.s_base_kva
    proven = verify_network(task.network, path, futures=(task.demands, np.full(len(task.demands), 1.0)))
    assert proven.bound_kw <= best * s * (1.0 + 1e-12) + 1e-12
    assert proven.value_kw - proven.bound_kw <= 2e-6 * abs(proven.value_kw) + 2e-6
    head, lines = content(path)
    if covered(task.network) and head["max_changes"] is None and "lower" in head["futures"]["measure"]:
        second_check(task.network, head, lines)


def plain_task() -> tuple[FuturesTask, np.ndarray]:
    """Six futures of the grid of 16 buses, with loads that take power and the mean of the worst half."""
    network = build_network(builtin.load("civanlar16"))
    loads = np.abs(network.s_power.real) + 1j * np.abs(network.s_power.imag)
    network = replace(network, s_power=loads, s_impedance=np.zeros_like(loads))
    rng = np.random.default_rng(3)
    demands = loads * rng.uniform(0.6, 1.2, (6, 1)) * rng.uniform(0.5, 1.5, (6, len(loads)))
    probabilities = tail_of(np.full(6, 1.0 / 6.0), 0.5)
    judge = Brute(network, demands, probabilities, np.zeros(6), None, 0.0, True)
    fixed = ~network.switchable
    task = FuturesTask(
        network=network,
        demands=demands,
        must_close=network.closed & fixed,
        must_open=~network.closed & fixed,
        probabilities=probabilities,
        wait_and_see=np.zeros(6),
        evaluate=judge,
    )
    return task, np.concatenate(list(topologies(network)))


@pytest.fixture(scope="module")
def task() -> tuple[FuturesTask, np.ndarray]:
    return plain_task()


@pytest.fixture(scope="module")
def made(task: tuple[FuturesTask, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Content:
    path = written(*task, tmp_path_factory.mktemp("futures") / "file")
    assert path is not None
    return content(path)


def raise_the_bound(head: dict[str, Any], lines: list[Line]) -> None:
    head["bound"] = head["value"] = 1.001 * head["value"]


def grow_a_demand(head: dict[str, Any], lines: list[Line]) -> None:
    head["demands"] = head["demands"] * 1.001


def swap_futures(head: dict[str, Any], lines: list[Line]) -> None:
    head["demands"] = head["demands"][:, ::-1]


def lower_a_loss_of_reference(head: dict[str, Any], lines: list[Line]) -> None:
    head["futures"]["reference"] = [1e-3] * 6


def widen_the_probabilities(head: dict[str, Any], lines: list[Line]) -> None:
    head["futures"]["measure"]["upper"] = [2.0 * p for p in head["futures"]["measure"]["upper"]]


def narrow_the_probabilities(head: dict[str, Any], lines: list[Line]) -> None:
    upper = head["futures"]["measure"]["upper"]
    head["futures"]["measure"]["upper"] = [p / sum(upper) for p in upper]


def probabilities_that_do_not_sum_to_one(head: dict[str, Any], lines: list[Line]) -> None:
    head["futures"]["measure"]["upper"] = [0.5 * p for p in head["futures"]["measure"]["lower"]]


def negative_probabilities(head: dict[str, Any], lines: list[Line]) -> None:
    head["futures"]["measure"]["lower"][0] = -0.1


def a_future_less(head: dict[str, Any], lines: list[Line]) -> None:
    head["futures"]["count"] -= 1


def drop_bounds(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [line for line in lines if line[0] != "future"]
    head["lines"] = len(lines)


def drop_half_of_the_bounds(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [line for at, line in enumerate(lines) if line[0] != "future" or at % 2]
    head["lines"] = len(lines)


def scale_multipliers(head: dict[str, Any], lines: list[Line]) -> None:
    for line in lines:
        if line[0] == "future":
            line[ENTRY] = [2 * a for a in line[ENTRY]]


def name_a_future_that_is_not_there(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "future")][1] = head["futures"]["count"]


def name_another_future(head: dict[str, Any], lines: list[Line]) -> None:
    for line in lines:
        if line[0] == "future":
            line[1] = 0


def open_a_branch_that_is_decided(head: dict[str, Any], lines: list[Line]) -> None:
    lines.insert(1, ["probe", 10_000])
    head["lines"] += 1


def say_that_none_is_left(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [["none"]]
    head["lines"] = 1


def forget_a_side(head: dict[str, Any], lines: list[Line]) -> None:
    del lines[max(at for at, line in enumerate(lines) if line[0] == "from") :]
    head["lines"] = len(lines)


def demand_no_limits(head: dict[str, Any], lines: list[Line]) -> None:
    head["futures"]["share"] = 2.0


def bound_voltages_by_a_loss(head: dict[str, Any], lines: list[Line]) -> None:
    head["voltage_loss"] = head["value"]


TAMPERINGS = [
    *(raise_the_bound, grow_a_demand, swap_futures, lower_a_loss_of_reference, widen_the_probabilities),
    *(narrow_the_probabilities, probabilities_that_do_not_sum_to_one, negative_probabilities, a_future_less),
    *(drop_bounds, drop_half_of_the_bounds, scale_multipliers, name_a_future_that_is_not_there, name_another_future),
    *(open_a_branch_that_is_decided, say_that_none_is_left, forget_a_side, demand_no_limits),
    bound_voltages_by_a_loss,
]


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_tampering_is_refused(
    tamper: Callable[[dict[str, Any], list[Line]], None],
    task: tuple[FuturesTask, np.ndarray],
    made: Content,
    tmp_path: Path,
) -> None:
    head, lines = copy.deepcopy(made)
    tamper(head, lines)
    with pytest.raises(CertificateError):
        verify_network(task[0].network, rewritten(tmp_path / "tampered", head, lines))


def test_both_checkers_accept_it_and_refuse_more(
    task: tuple[FuturesTask, np.ndarray], made: Content, tmp_path: Path
) -> None:
    head, lines = copy.deepcopy(made)
    assert verify_network(task[0].network, rewritten(tmp_path / "file", head, lines)).gap < 2e-6
    second_check(task[0].network, head, lines)
    with pytest.raises(Refused):
        second_check(task[0].network, head | {"bound": head["value"] * (1.0 + 1e-4)}, lines)


def test_limits_that_are_kept_in_a_share_of_the_futures_are_said(
    task: tuple[FuturesTask, np.ndarray], tmp_path: Path
) -> None:
    some = replace(task[0], limits=False)
    claim = FuturesClaim(some.demands, some.probabilities, some.wait_and_see, np.full(6, 1.0 / 6.0), 0.5)
    built = some.built(by_loss=False)
    certificate = FuturesCertificate(tmp_path / "file", some.network, built, claim)
    search_futures(
        some, gap=1e-4, deadline=Deadline(math.inf), starts=task[1][:1], built=built, certificate=certificate
    )
    proven = verify_network(some.network, tmp_path / "file")
    assert "the voltage limits of the grid" in proven.limits
    assert proven.limits.endswith("in at least 0.5 of the futures")


def test_what_is_changed_at_random_is_refused_or_still_true(
    task: tuple[FuturesTask, np.ndarray], made: Content, tmp_path: Path
) -> None:
    best = float(task[0].evaluate(task[1]).objective.min())
    refused = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        head, lines = copy.deepcopy(made)
        line = lines[int(rng.choice([at for at, line in enumerate(lines) if line[0] == "future"]))]
        row = line[int(rng.choice([-2, -1]))]
        row[int(rng.integers(len(row)))] += int(rng.integers(-(2**20), 2**20))
        try:
            found: Verified = verify_network(task[0].network, rewritten(tmp_path / "file", head, lines))
        except CertificateError:
            refused += 1
            continue
        assert found.bound_kw <= best * task[0].network.s_base_kva * (1.0 + 1e-9)
    assert refused > 5


def measured(risk: str, seed: int) -> tuple[Measure, ProbabilitySet, int]:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 9))
    probabilities = probabilities_of(risk, rng, rng.random((count, 3)) + 0j)
    given = vars(probabilities.form)
    form = NearNominal(**given) if "nominal" in given else BetweenBounds(**given)
    return measure_of(form), probabilities, count


@pytest.mark.parametrize("risk", RISKS)
def test_measures_equal_those_of_a_linear_program(risk: str) -> None:
    for seed in range(20):
        measure, probabilities, count = measured(risk, seed)
        values = np.random.default_rng([seed, 1]).normal(0.0, 1.0, count)
        whole = [int(value * 2**60) for value in values]
        found = float(measure.worst(whole) / Fraction(2**60))
        assert found == pytest.approx(probabilities.worst(values)[0], rel=1e-9, abs=1e-9)


def test_probabilities_by_moments_are_refused_by_name(tmp_path: Path) -> None:
    task, _ = plain_task()
    count = len(task.demands)
    moments = Moments(np.ones((count, 1)), np.ones(1), np.ones(1)).around(None, count)
    with pytest.raises(OptionError, match="by their moments"):
        FuturesClaim(task.demands, moments, task.wait_and_see, np.ones(count), 1.0).head()


def test_a_file_of_the_version_before_is_refused_with_a_way_out(
    task: tuple[FuturesTask, np.ndarray], made: Content, tmp_path: Path
) -> None:
    head, lines = made
    path = rewritten(tmp_path / "file", head | {"format": "openpoint certificate 5"}, lines)
    with pytest.raises(
        CertificateError, match="'openpoint certificate 5', not 'openpoint certificate 10': write it again"
    ):
        verify_network(task[0].network, path)
    other = replace(task[0].network, s_power=2.0 * task[0].network.s_power)
    with pytest.raises(CertificateError, match="another grid"):
        verify_network(other, rewritten(tmp_path / "file", head, lines))
