"""Lines that hang on one end while they are open: bounds are exact on trees, and answers those of brute force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from openpoint.network import Network
from openpoint.search.kernel import bound as bounds
from openpoint.search.kernel import forest
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from openpoint.search.regions import process
from openpoint.search.topology import search_topologies
from openpoint.verify import CertificateError
from tests.builders.certificates import verify_network
from tests.search.entered import entered
from tests.search.kernel.test_bound import modelled
from tests.search.random_grids import hanging, judged, random_grid

bound, root = entered(bounds.bound), entered(forest.root)


def cables(seed: int) -> Network:
    """A random grid whose lines have much charging, each hanging on one end, on the other, or on none."""
    rng = np.random.default_rng(seed)
    network = random_grid(rng, ("ratios",) if seed % 3 == 0 else ())
    y = rng.uniform(0.0, 0.002, network.n_conductors) + 1j * rng.uniform(0.01, 0.06, network.n_conductors)
    high = np.full(network.n_terminals, 1.5**2)
    return hanging(rng, replace(network, y_shunt=sp.csr_array(sp.diags_array(y)), w_max=high))


@pytest.mark.parametrize("seed", range(12))
def test_bounds_are_exact_on_trees_and_below_all_completions_elsewhere(seed: int) -> None:
    """At the best multipliers of a tree the bound leaves no room for an error in what open lines take."""
    network = cables(seed)
    states, value = judged(network, None, 0.0)
    rng = np.random.default_rng(seed)
    for k in np.flatnonzero(np.isfinite(value))[:6]:
        model, numbering, work = modelled(network)
        tree = states[k, numbering.branch]
        work.status[:] = np.where(tree, CLOSED, OPEN)
        held = process(model, work.status, work.y, work.mu, work.phi, value[k])
        assert held.bound == pytest.approx(value[k], rel=1e-7)
        for known in (0.7, 0.4, 0.0):
            decided = rng.random(len(tree)) < known
            inside = (states[:, numbering.branch] == tree)[:, decided].all(axis=1)
            work.status[:] = np.where(decided, np.where(tree, CLOSED, OPEN), UNDECIDED)
            assert propagate(model, work)
            root(model, work)
            assert bound(model, work, held.work.y, held.work.mu) <= value[inside].min() * (1.0 + 1e-9)


@pytest.mark.parametrize("seed", range(24))
def test_answers_are_those_of_brute_force_and_their_certificates_verify(seed: int, tmp_path: Path) -> None:
    network = cables(seed)
    _, value = judged(network, None, 0.0)
    if not np.isfinite(value).any():
        return
    found = search_topologies(network, gap=0.0, certificate=tmp_path / "proof")
    assert found.closed is not None
    assert found.value == pytest.approx(value.min(), rel=1e-9)
    proven = verify_network(network, tmp_path / "proof")
    assert proven.bound_kw == pytest.approx(value.min() * network.s_base_kva, rel=1e-6)
    assert ("lines open at the ends" in proven.limits) == network.hangs.any()
    if network.hangs.any():
        with pytest.raises(CertificateError, match="another grid"):
            verify_network(network.dead_when_open(), tmp_path / "proof")


def test_where_lines_hang_matters() -> None:
    """The grids above tell right from wrong: without what hangs the best state or its loss is another."""
    told = 0
    for seed in range(24):
        network = cables(seed)
        dead = search_topologies(network.dead_when_open())
        told += search_topologies(network).value != pytest.approx(dead.value, rel=1e-6)
    assert told > 12


def test_a_branch_that_must_close_hangs_nowhere() -> None:
    network = cables(1)
    free = np.zeros(network.n_conductors, dtype=bool)
    model, _ = build_model(network, must_close=~free, must_open=free)
    assert not model.worth.any()
