"""Certificates of searches over many futures: accepted by two checkers, and refused where anything was changed."""

import copy
import gzip
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import solve
from openpoint.search.enumeration import topologies
from openpoint.search.futures.model import FuturesTask
from openpoint.search.futures.search import search_futures
from openpoint.search.futures.tree import FuturesCertificate
from openpoint.search.topology import search_topologies
from openpoint.twostage.ambiguity import ProbabilitySet, tail_of
from openpoint.twostage.deadline import Deadline
from openpoint.verify import CertificateError, Verified
from openpoint.verify.asked import Between, Measure
from openpoint.verify.year import Futures
from tests.builders.certificates import (
    Content,
    Line,
    content,
    content_of,
    futures_of,
    index,
    rewritten,
    unpacked,
    verify_network,
)
from tests.search.random_futures import RISKS, Brute, probabilities_of, random_task

ENTRY = -2
"""Place of the multipliers of active power in a line."""


def written(task: FuturesTask, states: np.ndarray, path: Path, regret: bool = False) -> Path | None:
    """The certificate of a search; None where it ends without an answer."""
    built = task.built(by_loss=False)
    proofs: tuple[bytes, ...] = ()
    if regret:
        if (alone := by_itself(task, path)) is None:
            return None
        task, proofs = alone
    certificate = FuturesCertificate(path, task.network, built, alone=proofs)
    search_futures(task, gap=1e-6, deadline=Deadline(math.inf), starts=states[:1], built=built, certificate=certificate)
    return path if path.exists() else None


def by_itself(task: FuturesTask, path: Path) -> tuple[FuturesTask, tuple[bytes, ...]] | None:
    """The task with what each future loses at best by itself, and certificates of that; None where there is none."""
    values, proofs = [], list[bytes]()
    for demand in task.demands:
        found = search_topologies(
            replace(task.network, s_power=demand),
            task.rules,
            gap=1e-8,
            certificate=path,
        )
        if found.closed is None or not path.exists():
            return None
        values.append(found.value)
        proofs.append(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert isinstance(task.evaluate, Brute)
    alone = np.array(values)
    return replace(task, wait_and_see=alone, evaluate=replace(task.evaluate, alone=alone)), tuple(proofs)


@pytest.mark.parametrize("seed", [*range(8), 91, 115])
def test_certificates_under_every_risk_are_accepted_and_claim_no_more_than_is_true(seed: int, tmp_path: Path) -> None:
    task, states, risk = random_task(seed)
    regret = risk.startswith("regret")
    if regret and not task.limits:
        return  # of a future by itself the limits are kept
    try:
        path = written(task, states, tmp_path / "file", regret)
    except OptionError:
        return
    if regret and len(states) and path is not None:
        task = by_itself(task, tmp_path / "alone")[0]  # type: ignore[index]
    best = float(task.evaluate(states).objective.min(initial=math.inf)) if len(states) else math.inf
    assert (path is None) == math.isinf(best), risk
    if path is None:
        return
    s, futures = task.network.s_base_kva, futures_of(task, regret=regret)
    proven = verify_network(
        task.network, path, futures=futures, changes=(task.rules.max_changes, task.rules.change_cost)
    )
    slack = 1e-8 * float(task.wait_and_see.max()) * s if regret else 1e-12
    assert proven.bound_kw <= best * s * (1.0 + 1e-12) + slack
    assert proven.value_kw - proven.bound_kw <= 2e-6 * abs(proven.value_kw) + 2e-6


def plain_task(spread: tuple[float, float] = (0.5, 1.5)) -> tuple[FuturesTask, np.ndarray]:
    """Six futures of the grid of 16 buses, with loads that take power and the mean of the worst half."""
    network = build_network(files.load("civanlar16"))
    loads = np.abs(network.s_power.real) + 1j * np.abs(network.s_power.imag)
    network = replace(network, s_power=loads, s_impedance=np.zeros_like(loads))
    rng = np.random.default_rng(3)
    demands = loads * rng.uniform(0.6, 1.2, (6, 1)) * rng.uniform(*spread, (6, len(loads)))
    probabilities = tail_of(np.full(6, 1.0 / 6.0), 0.5)
    judge = Brute(network, demands, probabilities, np.zeros(6), None, 0.0, True)
    task = FuturesTask(
        network=network,
        demands=demands,
        rules=SwitchingRules.of(network),
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
    return content(path, task[0].network)


def raise_the_bound(head: dict[str, Any], lines: list[Line]) -> None:
    head["bound"] = head["value"] = 1.001 * head["value"]


def be_of_regret(head: dict[str, Any], lines: list[Line]) -> None:
    head["proofs"] = [b"nothing"] * 6


def judge_at_once(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [["judged"]]


def drop_bounds(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [line for line in lines if line[0] != "future"]


def drop_half_of_the_bounds(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [line for at, line in enumerate(lines) if line[0] != "future" or at % 2]


def scale_multipliers(head: dict[str, Any], lines: list[Line]) -> None:
    for line in lines:
        if line[0] == "future":
            line[ENTRY] = [2 * a for a in line[ENTRY]]


def name_a_future_that_is_not_there(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "future")][1] = 6


def name_another_future(head: dict[str, Any], lines: list[Line]) -> None:
    for line in lines:
        if line[0] == "future":
            line[1] = 0


def open_a_branch_that_is_decided(head: dict[str, Any], lines: list[Line]) -> None:
    lines.insert(1, ["probe", 10_000])


def say_that_none_is_left(head: dict[str, Any], lines: list[Line]) -> None:
    lines[:] = [["none"]]


def forget_a_side(head: dict[str, Any], lines: list[Line]) -> None:
    del lines[max(at for at, line in enumerate(lines) if line[0] == "from") :]


def bound_voltages_by_a_loss(head: dict[str, Any], lines: list[Line]) -> None:
    head["voltage_loss"] = head["value"]


TAMPERINGS = [
    *(raise_the_bound, be_of_regret, judge_at_once),
    *(drop_bounds, drop_half_of_the_bounds, scale_multipliers, name_a_future_that_is_not_there, name_another_future),
    *(open_a_branch_that_is_decided, say_that_none_is_left, forget_a_side, bound_voltages_by_a_loss),
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
        verify_network(task[0].network, rewritten(tmp_path / "tampered", head, lines), futures=futures_of(task[0]))


def grow_a_demand(futures: Futures) -> Futures:
    return replace(futures, demands=futures.demands * 1.001)


def swap_futures(futures: Futures) -> Futures:
    return replace(futures, demands=futures.demands[::-1])


@pytest.mark.parametrize("change", [grow_a_demand, swap_futures], ids=lambda change: change.__name__)
def test_what_holds_of_other_futures_alone_is_refused(
    change: Callable[[Futures], Futures], task: tuple[FuturesTask, np.ndarray], made: Content, tmp_path: Path
) -> None:
    head, lines = copy.deepcopy(made)
    futures = change(futures_of(task[0]))
    with pytest.raises(CertificateError, match=r"best state loses|reach the bound"):
        verify_network(task[0].network, rewritten(tmp_path / "file", head, lines), futures=futures)


@pytest.mark.parametrize("value", [0.0, 1e300])
def test_a_best_state_without_a_power_flow_is_none(
    value: float, task: tuple[FuturesTask, np.ndarray], made: Content, tmp_path: Path
) -> None:
    head, lines = copy.deepcopy(made)
    futures = replace(futures_of(task[0]), demands=1e4 * task[0].demands)
    path = rewritten(tmp_path / "file", head | {"value": value, "bound": value}, lines)
    with pytest.raises(CertificateError, match="the best state loses inf per unit"):
        verify_network(task[0].network, path, futures=futures)


def even(futures: Futures) -> Between:
    return Between([1] * 6, [1] * 6, 6)


def seldom(futures: Futures) -> Between:
    """Probabilities of which the futures that lose most have least."""
    size = np.argsort(np.argsort(-np.abs(futures.demands).sum(axis=1)))
    weights = [int(rank) ** 4 for rank in size]
    return Between(weights, weights, sum(weights))


def narrower(futures: Futures) -> Between:
    """The mean of all but the least one, in place of the worst half."""
    return Between([0] * 6, [1] * 6, 5)


@pytest.mark.parametrize("change", [even, seldom, narrower], ids=lambda change: change.__name__)
def test_a_value_and_a_bound_by_other_probabilities_are_none_of_the_table(
    change: Callable[[Futures], Between], task: tuple[FuturesTask, np.ndarray], made: Content, tmp_path: Path
) -> None:
    """What `openpoint verify` said was "of the table" when the probabilities were those of the file."""
    head, lines = copy.deepcopy(made)
    futures = futures_of(task[0])
    other = replace(futures, measure=change(futures))
    lower = verify_network_value(task[0].network, head, other)
    assert lower < head["value"] * 0.999
    head["value"], head["bound"] = lower, lower * (1.0 - 1e-4)
    with pytest.raises(CertificateError, match="best state loses"):
        verify_network(task[0].network, rewritten(tmp_path / "file", head, lines), futures=futures)


def verify_network_value(network: Network, head: dict[str, Any], futures: Futures) -> float:
    """What the best state of a head is worth in some futures."""
    closed = ~np.isin(network.branch_names, head["open"])
    losses = [float(solve(replace(network, s_power=demand), closed).loss[0]) for demand in futures.demands]
    return futures.worth(losses, [0.0] * len(losses))


def test_regret_is_measured_from_what_each_future_is_proven_to_lose_at_best(tmp_path: Path) -> None:
    task, states = plain_task((-1.0, 3.0))
    path = written(task, states, tmp_path / "file", regret=True)
    assert path is not None
    network, futures = task.network, futures_of(task, regret=True)
    head, lines = content(path, network)
    proven = verify_network(network, path, futures=futures)
    verdicts = task.evaluate(states)
    kept = np.isfinite(verdicts.losses).all(axis=1) & (verdicts.violation == 0.0)
    losses, states = verdicts.losses[kept], states[kept]
    regret = losses - losses.min(axis=0)
    best = min(futures.worth(row, [0.0] * 6) for row in regret.tolist()) * network.s_base_kva
    size = float(losses.min(axis=0).max()) * network.s_base_kva
    assert proven.bound_kw <= best + 1e-8 * size
    assert best - 1e-8 * size <= proven.value_kw <= best * (1.0 + 2e-6) + 1e-7 * size

    def refused(words: str, head: dict[str, Any]) -> None:
        with pytest.raises(CertificateError, match=words):
            verify_network(network, rewritten(tmp_path / "forged", head, lines), futures=futures)

    # A worse state by itself, so that the regret is less: its own certificate does not hold.
    one, own = content_of(head["proofs"][2], network.n_terminals)
    worse = int(np.argsort(losses[:, 2])[3])
    names = [name for name, on in zip(network.branch_names, states[worse], strict=True) if not on]
    for claim in (
        {"open": names, "value": float(losses[worse, 2]), "bound": float(losses[worse, 2]) * (1.0 - 1e-7)},
        {"value": one["value"] * 1.01},
        {"bound": one["value"]},
    ):
        proofs = [*head["proofs"]]
        proofs[2] = unpacked(one | claim, own)
        refused("future 3 by itself: ", head | {"proofs": proofs})
    refused("future 1 by itself: ", head | {"proofs": head["proofs"][::-1]})
    lesser = {key: value for key, value in head.items() if key not in ("proofs", "alone")}
    refused("is there for regret", lesser)
    for factor in (0.5, 0.999, 1.001):
        refused("best state loses", head | {"value": head["value"] * factor, "bound": 0.0})


def test_it_is_accepted_and_a_worse_state_with_a_bound_above_the_best_is_not(
    task: tuple[FuturesTask, np.ndarray], made: Content, tmp_path: Path
) -> None:
    head, lines = copy.deepcopy(made)
    futures, network = futures_of(task[0]), task[0].network
    assert verify_network(network, rewritten(tmp_path / "file", head, lines), futures=futures).gap < 2e-6
    value = task[0].evaluate(task[1]).objective
    worse = int(np.argmin(np.where(value > value.min() * 1.001, value, np.inf)))
    names = [name for name, on in zip(network.branch_names, task[1][worse], strict=True) if not on]
    for more in (1e-5, 1e-4):
        claim = {"open": names, "value": float(value[worse]), "bound": float(value.min()) * (1.0 + more)}
        with pytest.raises(CertificateError):
            verify_network(network, rewritten(tmp_path / "file", head | claim, lines), futures=futures)


def test_limits_are_kept_in_a_share_of_the_futures_that_is_asked(
    task: tuple[FuturesTask, np.ndarray], tmp_path: Path
) -> None:
    some = replace(task[0], limits=False)
    built = some.built(by_loss=False)
    certificate = FuturesCertificate(tmp_path / "file", some.network, built)
    search_futures(
        some, gap=1e-4, deadline=Deadline(math.inf), starts=task[1][:1], built=built, certificate=certificate
    )
    half = replace(futures_of(some), share=0.5)
    proven = verify_network(some.network, tmp_path / "file", futures=half)
    assert "the voltage limits of the grid" in proven.limits
    assert "of the futures" in proven.limits


def test_what_is_changed_at_random_is_refused_or_still_true(
    task: tuple[FuturesTask, np.ndarray], made: Content, tmp_path: Path
) -> None:
    best = float(task[0].evaluate(task[1]).objective.min())
    refused = 0
    for seed in range(13):
        rng = np.random.default_rng(seed)
        head, lines = copy.deepcopy(made)
        line = lines[int(rng.choice([at for at, line in enumerate(lines) if line[0] == "future"]))]
        row = line[int(rng.choice([-2, -1]))]
        row[int(rng.integers(len(row)))] += int(rng.integers(-(2**20), 2**20))
        try:
            found: Verified = verify_network(
                task[0].network, rewritten(tmp_path / "file", head, lines), futures=futures_of(task[0])
            )
        except CertificateError:
            refused += 1
            continue
        assert found.bound_kw <= best * task[0].network.s_base_kva * (1.0 + 1e-9)
    assert refused > 2


def measured(risk: str, seed: int) -> tuple[Measure, ProbabilitySet, int]:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 9))
    probabilities = probabilities_of(risk, rng, rng.random((count, 3)) + 0j)
    task = replace(plain_task()[0], probabilities=probabilities)
    return futures_of(task).measure, probabilities, count


@pytest.mark.parametrize("risk", RISKS)
def test_measures_equal_those_of_a_linear_program(risk: str) -> None:
    for seed in range(10):
        measure, probabilities, count = measured(risk, seed)
        values = np.random.default_rng([seed, 1]).normal(0.0, 1.0, count)
        whole = [int(value * 2**60) for value in values]
        found = float(measure.worst(whole) / Fraction(2**60))
        assert found == pytest.approx(probabilities.worst(values)[0], rel=1e-9, abs=1e-9)


def test_a_file_of_the_version_before_is_refused_with_a_way_out(
    task: tuple[FuturesTask, np.ndarray], made: Content, tmp_path: Path
) -> None:
    head, lines = made
    path = rewritten(tmp_path / "file", head | {"format": "openpoint certificate 5"}, lines)
    with pytest.raises(
        CertificateError, match="'openpoint certificate 5', not 'openpoint certificate 14': write it again"
    ):
        verify_network(task[0].network, path)
