"""Duels: whoever wins, the optimum is the same and the bound never falls; the winner has the higher bound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from openpoint.arrays import States
from openpoint.search import duel, sharing
from openpoint.search.kernel.bookkeeping import Counts, Pool, lowest, operations
from openpoint.search.paths.explorer import PathExplorer
from openpoint.search.result import SearchProgress
from openpoint.search.saving import SearchState
from openpoint.search.topology import search_topologies
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.workers.executors import InProcess
from tests.search.random_grids import random_grid
from tests.search.test_checkpoint import in_pieces, the_same
from tests.search.test_topology import loaded


@pytest.fixture(autouse=True)
def won(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Duels are held from the second node on, in small steps; the list has which of them the rival won."""
    monkeypatch.setattr(duel, "AFTER", 2)
    monkeypatch.setattr(duel, "PIECE", 2)
    found: list[bool] = []
    hold, explore = duel.hold, duel.Rival.explore
    last: list[tuple[float, int]] = []

    def seen(rival: duel.Rival, evaluate_leaf: Callable[[States], None]) -> None:
        before = operations(rival.model, rival.count, int(rival.count.nodes[0]))
        explore(rival, evaluate_leaf)
        last.append((rival.bound, before))

    def checked(state: SearchState, memory: float, leaf: Callable[[States], None], deadline: Deadline) -> None:
        most, bound, later = duel.spent(state), lowest(state.counts, state.pool), state.duels > 0
        hold(state, memory, leaf, deadline)
        reached, before = last[-1]
        assert before < most  # all but the last piece
        if state.by_paths is None:
            assert lowest(state.counts, state.pool) >= bound
            assert not later or reached > bound
        elif later:
            assert reached <= bound or bound >= state.counts.cutoff[0]
        found.append(state.by_paths is None)

    monkeypatch.setattr(duel.Rival, "explore", seen)
    monkeypatch.setattr(duel, "hold", checked)
    return found


@pytest.mark.parametrize(("clear", "wins"), [(0.0, False), (1e9, True)])
def test_random_grids(won: list[bool], clear: float, wins: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duel, "CLEAR", clear)
    monkeypatch.setattr(duel, "DUELS", 1)
    monkeypatch.setattr(duel, "AFTER", 1)
    explore, take_over = PathExplorer.explore, duel.Rival.take_over
    ended: list[bool] = []

    def taken(rival: duel.Rival, state: SearchState) -> None:
        ended.append(rival.bound > rival.count.cutoff[0])
        take_over(rival, state)

    monkeypatch.setattr(duel.Rival, "take_over", taken)

    def both(explorer: PathExplorer, pool: Pool, counts: Counts, most: int) -> int:
        event = explore(explorer, pool, counts, most)
        explorer.pays = True
        return event

    monkeypatch.setattr(PathExplorer, "explore", both)
    for seed in range(100):  # most end at the first node
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
    assert len(won) > 5
    if wins:
        assert won.count(True) >= len(won) - 2
    else:
        assert all(ended)  # no rival won that had not ended its search
        assert won.count(False) > len(won) / 2


@pytest.mark.parametrize("clear", [0.0, 0.8, 1e9])
def test_in_pieces(won: list[bool], clear: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(duel, "CLEAR", clear)
    network = loaded("zhang118")
    whole = search_topologies(network, gap=1e-4)
    duels = len(won)
    found, runs = in_pieces(network, tmp_path / "open", 50, gap=1e-4)
    assert runs > 3
    the_same(found, whole)
    assert won[:duels] == won[duels:]
    assert whole.value * network.s_base_kva == pytest.approx(869.730, rel=1e-4)
    assert whole.gap <= 1.001e-4


def test_shared(won: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a search is shared, no duel is held; before, they are."""
    monkeypatch.setattr(sharing, "ALONE", 5000.0)
    monkeypatch.setattr(sharing, "TOGETHER", 4)
    monkeypatch.setattr(sharing, "SIZE", 3000.0)
    network = loaded("zhang118")
    found = search_topologies(network, gap=1e-4, executor=InProcess())
    the_same(found, search_topologies(network, gap=1e-4, executor=InProcess()))
    assert won
    assert found.value * network.s_base_kva == pytest.approx(869.730, rel=1e-4)
    assert found.gap <= 1.001e-4
