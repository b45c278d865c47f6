"""Branching with both bounds: gains are seen though the bound by paths is the higher one."""

from __future__ import annotations

from typing import Any

import pytest

from openpoint.search import topology
from openpoint.search.saving import SearchState
from tests.search.test_topology import loaded


@pytest.mark.parametrize("name", ["zhang118", "mantovani136"])
def test_trials_show_gains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[SearchState] = []

    def remembered(*parts: Any, **more: Any) -> SearchState:
        seen.append(SearchState(*parts, **more))
        return seen[-1]

    monkeypatch.setattr(topology, "SearchState", remembered)
    found = topology.search_topologies(loaded(name), gap=1e-4)
    assert found.gap <= 1.001e-4
    (state,) = seen
    assert state.by_paths is not None
    nodes, helped = state.by_paths.of_paths.tally
    assert helped > nodes / 2
    assert 10 * state.counts.gains[0] > state.counts.trials[0] > 0
