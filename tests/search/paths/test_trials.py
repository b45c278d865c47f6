"""Trials of paths, and searches that begin anew with them, against all radial states of random grids."""

from __future__ import annotations

import numpy as np
import pytest

from openpoint.grid import builtin
from openpoint.network import build_network
from openpoint.search.paths import explorer
from openpoint.search.paths.explorer import PathExplorer
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.search.paths.agree import case_of, lost
from tests.search.random_grids import random_grid

KINDS = [(), ("locks",), ("stiff",), ("ratings", "low", "locks")]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[PathExplorer]:
    """Searches begin anew with trials after their second node; those that did."""
    found: list[PathExplorer] = []
    monkeypatch.setattr(explorer, "ANEW_AFTER", 2)
    monkeypatch.setattr(explorer, "WAITING", 1e9)
    anew = explorer.begin_anew
    try_paths = PathExplorer._try_paths

    def seen(self: PathExplorer, *given: object) -> None:
        monkeypatch.setattr(explorer, "begin_anew", lambda *asked: (found.append(self), anew(*asked)))
        before, of = len(found), self.of_paths
        try_paths(self, *given)
        if len(found) > before:
            for now, first in ((of.y, of.first_y), (of.mu, of.first_mu), (of.known_w, of.first_w)):
                np.testing.assert_array_equal(now, first)
            for now, first in ((of.known_p, of.first_p), (of.known_q, of.first_q)):
                np.testing.assert_array_equal(now, first)

    monkeypatch.setattr(PathExplorer, "_try_paths", seen)
    return found


@pytest.mark.parametrize("share", [1e-4, 0.05, 0.5])
def test_no_state_below_the_cutoff_is_lost_by_trials(begun: list[PathExplorer], share: float) -> None:
    for seed in range(40):
        rng = np.random.default_rng([seed, 41])
        case = case_of(random_grid(rng, KINDS[seed % len(KINDS)]))
        assert case is None or lost(case, share) == 0, seed
    tried = sum(bool(each.of_paths.trials[0]) for each in begun)
    assert share < 0.01 or tried > 5  # with the smallest share searches end at the first node


@pytest.mark.parametrize("name", ["baran33", "zhang118", "mantovani136"])
def test_a_search_that_begins_anew_ends_at_the_same_optimum(begun: list[PathExplorer], name: str) -> None:
    network = build_network(builtin.load(name))
    bounds: list[float] = []
    found = search_topologies(network, gap=1e-4, progress=lambda now: bounds.append(now.lower_bound))
    assert begun
    assert bounds == sorted(bounds)
    assert found.termination in (Termination.OPTIMAL, Termination.GAP)
    best = {"baran33": 139.551, "zhang118": 869.730, "mantovani136": 280.193}[name]
    assert found.value * network.s_base_kva == pytest.approx(best, rel=1e-5)
    assert found.lower_bound >= found.value * (1.0 - 1.001e-4)
