"""A search shared among workers finds what a search alone finds, and loses nothing where a worker ends."""

import gzip
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network.freedom import SwitchingRules
from openpoint.search import sharing
from openpoint.search.result import SearchProgress, SearchResult
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from openpoint.twostage.workers.executors import GivenExecutor, InProcess, Processes
from tests.builders.certificates import verify_network
from tests.builders.clock import FAILURES, FailingExecutor
from tests.search.random_grids import FEATURES, random_grid
from tests.search.test_checkpoint import the_same
from tests.search.test_topology import loaded


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small searches are shared, too."""
    monkeypatch.setattr(sharing, "ALONE", 0.0)
    monkeypatch.setattr(sharing, "TOGETHER", 4)
    monkeypatch.setattr(sharing, "SIZE", 3000.0)


def test_random_grids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "TOGETHER", 1)
    monkeypatch.setattr(sharing, "SIZE", 20.0)
    proofs = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = random_grid(rng, [feature for feature in [*FEATURES, "dispatch"] if rng.random() < 0.25])
        proof = tmp_path / "proof" if seed % 2 else None
        cost = 0.001 * (seed % 3)
        options = {"gap": 0.0, "rules": SwitchingRules.of(network, None, cost)}
        try:
            alone = search_topologies(network, **options)  # type: ignore[arg-type]
        except OptionError:
            continue
        shared = search_topologies(network, executor=InProcess(), certificate=proof, **options)  # type: ignore[arg-type]
        assert shared.termination is alone.termination
        assert shared.value == pytest.approx(alone.value, rel=1e-7)
        if proof is not None and proof.exists() and shared.closed is not None:
            proven = verify_network(network, proof, changes=(None, cost))
            assert proven.value_kw == pytest.approx(shared.value * network.s_base_kva, rel=1e-7)
            proofs += shared.nodes > 3
    assert proofs > 1


def test_one_worker_and_two_of_which_one_is_killed(tmp_path: Path) -> None:
    network = loaded("das70")
    one = search_topologies(network, gap=1e-4, executor=InProcess(), certificate=tmp_path / "one")
    killed: list[int] = []

    def kill(now: SearchProgress) -> None:
        children = multiprocessing.active_children()
        if children and not killed:
            killed.append(now.nodes)
            children[0].kill()

    two = search_topologies(network, gap=1e-4, executor=Processes(2), certificate=tmp_path / "two", progress=kill)
    assert killed
    the_same(one, two)
    assert gzip.decompress((tmp_path / "one").read_bytes()) == gzip.decompress((tmp_path / "two").read_bytes())


def test_a_stopped_search_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    network, file = loaded("zhang118"), tmp_path / "open"
    whole = search_topologies(network, gap=1e-4, executor=InProcess())
    calls = []

    def stop() -> bool:
        calls.append(0)
        return len(calls) % 40 == 0

    found: SearchResult | None = None
    while found is None or found.termination is Termination.INTERRUPTED:
        found = search_topologies(network, gap=1e-4, executor=InProcess(), checkpoint=file, stop=stop)
        assert found.lower_bound <= whole.value * (1.0 + 1e-9)
    assert len(calls) > 40
    assert found.value == whole.value
    assert found.gap <= 1.0001e-4


def test_an_executor_of_the_caller() -> None:
    network = loaded("mantovani136")
    with ThreadPoolExecutor(2) as executor:
        two = search_topologies(network, gap=1e-4, executor=GivenExecutor(executor, 2))
        again = search_topologies(network, gap=1e-4, executor=GivenExecutor(executor, 2))
    the_same(two, search_topologies(network, gap=1e-4, executor=InProcess()))
    the_same(two, again)


@pytest.mark.parametrize("failure", FAILURES)
def test_the_best_state_and_its_bound_are_kept_where_workers_are_lost(failure: str) -> None:
    network = loaded("zhang118")
    whole = search_topologies(network, gap=1e-6, executor=InProcess())
    for chunks in (0, 2):
        executor = GivenExecutor(FailingExecutor(chunks, FAILURES[failure], at_once=chunks == 0), 1)
        found = search_topologies(network, gap=1e-6, executor=executor)
        assert found.termination is Termination.WORKERS
        assert found.closed is not None
        assert found.value >= whole.value * (1.0 - 1e-9)
        assert found.lower_bound <= whole.value * (1.0 + 1e-9)
