"""The proof that a radial state has no power flow: never of a state that has one, and of most that have none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import solve
from openpoint.search.no_flow import has_no_flow
from openpoint.search.topology import search_topologies
from tests.builders.certificates import verify_network
from tests.builders.grids import DISPATCH, FEED, PLAIN, RICH, Flavour, all_topologies, random_grid
from tests.builders.programs import program_of


def network_of(seed: int, flavour: Flavour, load: float = 1.0) -> Network:
    """A random grid with its loads times a number."""
    net = program_of(random_grid(seed, flavour)).network
    more = {name: load * getattr(net, name) for name in ("s_power", "s_current", "s_impedance")}
    return replace(net, **more, generator_s=load * net.generator_s)


@pytest.mark.parametrize("flavour", [PLAIN, RICH, FEED, DISPATCH])
def test_a_state_that_has_a_power_flow_is_never_excluded(flavour: Flavour) -> None:
    """Neither within narrow ranges around its voltages, with its own loss as the most, nor within wide ones.

    Theory: docs/methods.md M24.
    """
    tried = 0
    for seed in range(2):
        net = network_of(seed, flavour, load=1.0 + seed % 4)
        closed = all_topologies(net)
        flows = solve(net, closed)
        for k in np.flatnonzero(flows.converged & flows.energised.all(axis=1))[:3]:
            w, loss = np.abs(flows.v[k]) ** 2, float(flows.loss[k])
            for share in (1e-9, 1e-3, 0.3):
                assert not has_no_flow(net, closed[k], (w * (1 - share), w * (1 + share)), loss + 1e-9 * abs(loss))
            tried += 1
    assert tried > 3


def test_most_states_without_a_power_flow_are_excluded() -> None:
    """With loads so heavy that sweeps diverge, and a loss to keep, as a search knows one."""
    without, proven = 0, 0
    for seed in range(10):
        for load in (8.0, 16.0, 32.0):
            net = network_of(seed, PLAIN, load)
            closed = all_topologies(net)
            flows = solve(net, closed)
            held = flows.converged & flows.energised.all(axis=1)
            if not held.any():
                continue
            ranges = np.zeros(net.n_terminals), np.full(net.n_terminals, 1.5)
            for k in np.flatnonzero(~flows.converged)[:4]:
                without += 1
                proven += has_no_flow(net, closed[k], ranges, float(flows.loss[held].min()))
    assert without > 10
    assert proven > 0.9 * without


def test_two_buses_to_the_nose() -> None:
    """A load at the end of one line: w + |z|² |s|² / w = u − 2 r p has a root up to a known load."""
    tables = {
        "buses": {"name": ["S", "A"], "vn_kv": [10.0] * 2},
        "lines": {"name": ["l"], "from_bus": ["S"], "to_bus": ["A"], "r_ohm": [2.0], "x_ohm": [1.0]},
        "sources": {"name": ["s"], "bus": ["S"]},
        "loads": {"name": ["a"], "bus": ["A"], "p_kw": [100.0]},
    }
    net = build_network(Grid.from_tables("two", tables))
    z, closed = complex(net.z.diagonal()[0]), np.ones(1, dtype=np.bool_)
    most = 1.0 / (2.0 * (z.real + abs(z)))  # of active power
    ranges = np.zeros(2), np.full(2, 2.0)
    for share, none in ((0.99, False), (1.001, True)):
        power = np.array([0.0, share * most], dtype=np.complex128)
        assert has_no_flow(replace(net, s_power=power), closed, ranges, np.inf) == none


def test_the_search_writes_what_the_checker_accepts_or_nothing(tmp_path: Path) -> None:
    """On grids so heavily loaded that radial states have no power flow; `benchmarks.heavy_certificates` does many."""
    written, lost, file = 0, 0, tmp_path / "proof"
    for seed in range(15):
        net = network_of(seed, (PLAIN, RICH, FEED)[seed % 3], load=8.0)
        closed = all_topologies(net)
        closed = closed[(closed == net.closed)[:, ~net.switchable].all(axis=1)]
        flows = solve(net, closed)
        held = flows.converged & flows.energised.all(axis=1)
        if held.all() or not held.any() or len(net.generator_names):
            continue
        lost += int((~held).sum())
        best = float(flows.loss[held].min())
        found = search_topologies(net, certificate=file)
        assert found.lower_bound <= best * (1.0 + 1e-7)
        if file.exists():
            assert verify_network(net, file).bound_kw <= best * net.s_base_kva * (1.0 + 1e-7)
            written += 1
            file.unlink()
    assert written >= 1
    assert lost > 5
