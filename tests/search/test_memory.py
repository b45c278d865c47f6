"""Waiting nodes: what rows of a pool keep, and a search at its limit of memory."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from openpoint.search import memory
from openpoint.search.kernel.arrays import work_for
from openpoint.search.kernel.bookkeeping import counts, pool_for, record_for, row_bytes, states_of, waiting
from openpoint.search.kernel.entries import take
from openpoint.search.kernel.waiting import push
from openpoint.search.model.build import build_model
from openpoint.search.paths.anchors import anchors_of
from openpoint.search.paths.build import paths_of
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.builders.certificates import verify_network
from tests.search.entered import entered
from tests.search.random_grids import random_grid
from tests.search.test_topology import loaded


@pytest.mark.parametrize("few", [False, True])
def test_a_row_gives_back_what_was_put_into_it(few: bool) -> None:
    """States exactly, and multipliers in single precision; of a compact row those of junctions."""
    network = loaded("zhang118")
    none = np.zeros(network.n_conductors, dtype=bool)
    model, _ = build_model(network, must_close=none, must_open=none)
    work, rng = work_for(model), np.random.default_rng(0)
    paths = paths_of(model)
    anchors = anchors_of(model, paths)
    assert anchors is not None
    pool, count = pool_for(model, 8, anchors if few else None), counts()
    kept = paths.bus if few else np.arange(model.n)
    put = []
    for bound in (3.0, 1.0, 2.0):
        count.nodes[0] += 1
        work.status[:] = rng.integers(0, 3, len(work.status))
        work.y[: model.n], work.mu[: model.n] = rng.random((2, model.n))
        put.append((bound, work.status.copy(), work.y[kept].copy(), work.mu[kept].copy()))
        entered(push)(model, work, pool, count, bound)
    np.testing.assert_array_equal(states_of(pool, waiting(pool, count)[0], len(work.status)), put[1][1])
    for bound, status, y, mu in sorted(put, key=lambda row: row[0]):
        take(model, work, pool, count, record_for(model, 0))
        assert count.bound[0] == bound
        np.testing.assert_array_equal(work.status, status)
        np.testing.assert_allclose(work.y[kept], y, atol=1e-6)
        np.testing.assert_allclose(work.mu[kept], mu, atol=1e-6)
    if few:
        assert row_bytes(pool) < row_bytes(pool_for(model, 1)) / 3


def test_beyond_junctions_a_uniform_difference_stays_what_it_is() -> None:
    """Interpolation is between junctions: where the multipliers of all of them differ alike, those of all buses do."""
    network = loaded("baran69")
    none = np.zeros(network.n_conductors, dtype=bool)
    model, _ = build_model(network, must_close=none, must_open=none)
    anchors = anchors_of(model, paths_of(model))
    assert anchors is not None
    differ = np.append(np.full(len(anchors.kept), 0.5), 0.0)
    inside = (anchors.near < len(anchors.kept)) & (anchors.far < len(anchors.kept))
    between = differ[anchors.near] + anchors.share * (differ[anchors.far] - differ[anchors.near])
    assert inside.sum() > 30
    np.testing.assert_allclose(between[inside], 0.5)
    assert np.all((between >= 0.0) & (between <= 0.5))
    assert np.all(between[model.n :] == 0.0)


@pytest.mark.parametrize("name", ["zhang118", "mantovani136"])
def test_compact_rows_change_no_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search_topologies(loaded(name))
    monkeypatch.setattr(memory, "LARGE", 0)
    found = search_topologies(loaded(name))
    assert found.termination is Termination.OPTIMAL
    assert found.value == whole.value
    assert found.lower_bound == pytest.approx(whole.lower_bound, rel=1e-6)


@pytest.mark.parametrize("rows", [0, 3, 40])
def test_at_the_limit_of_memory_the_search_goes_on_depth_first(tmp_path: Path, rows: int) -> None:
    network = loaded("zhang118", 0.9)
    whole = search_topologies(network)
    least: list[float] = []
    found = search_topologies(
        network, memory=600.0 * rows, certificate=tmp_path / "proof", progress=lambda now: least.append(now.lower_bound)
    )
    verify_network(network, tmp_path / "proof")
    again = search_topologies(network, memory=600.0 * rows)
    for one in (found, again):
        assert one.termination is Termination.OPTIMAL
        assert one.value == pytest.approx(whole.value, rel=1e-12)
        assert one.lower_bound == pytest.approx(whole.value, rel=2e-6)
    assert all(a <= b + 1e-12 for a, b in pairwise(least))
    stopped = search_topologies(network, memory=600.0 * rows, node_limit=100, checkpoint=tmp_path / "open")
    assert stopped.lower_bound <= whole.value
    on = search_topologies(network, memory=600.0 * rows, checkpoint=tmp_path / "open")
    assert on.value == pytest.approx(whole.value, rel=1e-12)


def test_random_grids_without_memory() -> None:
    for seed in range(60):
        network = random_grid(np.random.default_rng(seed), ("low", "ratings") if seed % 2 else ())
        whole, found = (search_topologies(network, gap=0.0, memory=most) for most in (2.0**30, 0.0))
        assert found.termination is whole.termination
        assert found.value == pytest.approx(whole.value, rel=1e-12)
