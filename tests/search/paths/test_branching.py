"""Branching with both bounds: gains are seen though the bound by paths is the higher one."""

from __future__ import annotations

from typing import Any

import pytest

from openpoint.search import topology
from openpoint.search.saving import SearchState
from tests.search.test_topology import loaded


def searched(name: str, gap: float, certifiable: bool, monkeypatch: pytest.MonkeyPatch) -> SearchState:
    seen: list[SearchState] = []

    def remembered(*parts: Any, **more: Any) -> SearchState:
        seen.append(SearchState(*parts, **more))
        return seen[-1]

    monkeypatch.setattr(topology, "SearchState", remembered)
    found = topology.search_topologies(loaded(name), gap=gap, certifiable=certifiable)
    assert found.gap <= 1.001 * gap
    (state,) = seen
    return state


@pytest.mark.parametrize("name", ["zhang118", "mantovani136"])
def test_trials_show_gains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state = searched(name, 1e-4, False, monkeypatch)
    assert state.by_paths is not None
    nodes, helped = state.by_paths.of_paths.tally
    assert helped > nodes / 2
    assert 10 * state.counts.gains[0] > state.counts.trials[0] > 0


def test_trials_show_gains_where_nodes_are_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = searched("baran69", 1e-6, True, monkeypatch).counts
    assert 40 * counts.gains[0] > counts.trials[0] > 0
