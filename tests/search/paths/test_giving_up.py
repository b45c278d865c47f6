"""A search that gives up the bound by paths and begins anew finds the same optimum, with a bound that never falls."""

from __future__ import annotations

import numpy as np
import pytest

from openpoint.search import saving, sharing
from openpoint.search.paths import explorer
from openpoint.search.paths.explorer import PathExplorer
from openpoint.search.result import SearchProgress
from openpoint.search.topology import search_topologies
from openpoint.twostage.workers.executors import InProcess
from tests.search.random_grids import random_grid
from tests.search.test_topology import loaded


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bound by paths is given up after one node or two, and the list has how often a search began anew."""
    monkeypatch.setattr(explorer, "ENOUGH", 2)
    monkeypatch.setattr(explorer, "PAYING", 2.0)
    monkeypatch.setattr(explorer, "STILL", 2.0)
    monkeypatch.setattr(saving, "LONG", 1)
    begun: list[int] = []
    begin_anew = saving.begin_anew

    def counted(counts: saving.Counts, bound: float) -> None:
        begun.append(int(counts.nodes[0]))
        begin_anew(counts, bound)

    monkeypatch.setattr(saving, "begin_anew", counted)
    return begun


def test_random_grids(at_once: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(60):
        network = random_grid(np.random.default_rng([seed, 33]), [(), ("locks",), ("stiff",)][seed % 3])
        bounds: list[float] = []

        def keep(now: SearchProgress, bounds: list[float] = bounds) -> None:
            bounds.append(now.lower_bound)

        found = search_topologies(network, gap=0.0, progress=keep)
        assert bounds == sorted(bounds), seed
        with monkeypatch.context() as without:
            without.setattr(PathExplorer, "explore", lambda *_: pytest.fail("bounded by paths"))
            without.setattr("openpoint.search.topology.obstacles", lambda _: ["a test"])
            alone = search_topologies(network, gap=0.0)
        assert found.termination is alone.termination
        assert found.value == pytest.approx(alone.value, rel=1e-7), seed
    assert len(at_once) > 5


def test_shared(at_once: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "LONG", 20)
    monkeypatch.setattr(explorer, "ENOUGH", 20)
    monkeypatch.setattr(sharing, "ALONE", 0.0)
    monkeypatch.setattr(sharing, "TOGETHER", 4)
    monkeypatch.setattr(sharing, "SIZE", 3000.0)
    network = loaded("zhang118")
    found = search_topologies(network, gap=1e-4, executor=InProcess())
    assert at_once
    assert found.value * network.s_base_kva == pytest.approx(869.730, rel=1e-4)
    assert 1.0 - found.lower_bound / found.value <= 1.001e-4
