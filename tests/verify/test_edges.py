"""Certificates of grids whose limits lie beside the figures of a state, of tiny loads and of none: all are accepted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.search.topology import search_topologies
from tests.builders.certificates import verify_network
from tests.search.random_grids import edged

COUNT = 60
ON_THE_EDGE = (371, 467, 596, 1057, 1962)
"""There the search judges that a state misses a limit, by 1e-9 of it at most, and the checker that it is kept."""
WITHOUT_END = (104, 213)
"""There multipliers grow beyond whole numbers of 64 bits where changes cost much and no rating leaves a state."""


def options(seed: int) -> tuple[int | None, float, float]:
    """Most changes, the cost of each, and the gap."""
    rng = np.random.default_rng([seed, 8])
    most = int(rng.integers(0, 7)) if rng.random() < 0.4 else None
    cost = float(rng.choice([1e-9, 1e-4, 1e-2, 1.0])) if rng.random() < 0.4 else 0.0
    return most, cost, float(rng.choice([0.0, 1e-6, 1e-4, 1e-2]))


def proven(seed: int, path: Path, change_cost: float | None = None) -> bool:
    """Whether there is an answer, whose certificate is then accepted."""
    network = edged(seed)
    if network is None:
        return False
    most, cost, gap = options(seed) if change_cost is None else (None, change_cost, 0.0)
    try:
        found = search_topologies(network, gap=gap, max_changes=most, change_cost=cost, certificate=path)
    except OptionError:
        return False
    if found.closed is None:
        return False
    checked = verify_network(network, path, changes=(most, cost))
    assert checked.value_kw == pytest.approx(found.value * network.s_base_kva, rel=1e-8, abs=1e-15), seed
    assert checked.bound_kw <= checked.value_kw, seed
    return True


def test_every_certificate_is_accepted_where_limits_lie_beside_figures(tmp_path: Path) -> None:
    assert sum(proven(seed, tmp_path / "file") for seed in range(COUNT)) >= COUNT // 2


@pytest.mark.parametrize("seed", ON_THE_EDGE)
def test_a_state_on_the_edge_of_a_limit_refuses_no_certificate(seed: int, tmp_path: Path) -> None:
    assert proven(seed, tmp_path / "file")


@pytest.mark.parametrize("seed", WITHOUT_END)
def test_multipliers_without_end_are_written_as_a_share_of_them(seed: int, tmp_path: Path) -> None:
    assert proven(seed, tmp_path / "file", change_cost=1.0)
