"""Lower bounds of voltages from the loss of a known state: no state goes below them, and certificates rely on them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import solve
from openpoint.search.enumeration import topologies
from openpoint.search.result import gap_between
from openpoint.search.topology import search_topologies
from openpoint.verify import CertificateError
from openpoint.verify.caps import floors
from openpoint.verify.data import read
from openpoint.verify.graph import Graph
from tests.builders.certificates import content, rewritten, verify_network
from tests.search.random_grids import random_grid


def with_voltage(network: Network, rng: np.random.Generator) -> Network:
    """The network with part of its loads of constant impedance and current, and without lower limits."""
    power = network.s_power
    share = rng.uniform(0.0, 1.0, len(power))
    steady = rng.uniform(0.0, 1.0, len(power)) * (1.0 - share)
    return replace(
        network,
        s_power=(1.0 - share - steady) * power,
        s_current=network.s_current + steady * power,
        s_impedance=network.s_impedance + share * power,
        w_min=np.zeros(len(power)),
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_state_of_at_most_this_loss_has_lower_voltages(seed: int) -> None:
    rng = np.random.default_rng([seed, 5])
    network = with_voltage(random_grid(rng, ("generation",) if seed % 2 else ()), rng)
    states = np.concatenate(list(topologies(network)))
    flows = solve(network, states, s_power=network.s_power)
    good = flows.converged & flows.energised.all(axis=1)
    graph = Graph(
        network.n_terminals,
        network.terminal_fr.tolist(),
        network.terminal_to.tolist(),
        set(network.source_terminal.tolist()),
        set(),
        np.inf,
    )
    data = read(network, [np.inf] * network.n_conductors, Fraction(0))
    least = Fraction(float(np.min(np.abs(network.source_v) ** 2) * (1.0 - 1e-15)))
    for share in (0.1, 0.5, 1.0):
        loss = float(np.quantile(flows.loss[good], share))
        lowest = floors(data, graph, list(range(network.n_conductors)), Fraction(loss), least)
        squares = np.abs(flows.v[good & (flows.loss <= loss)]) ** 2
        assert np.all(squares >= np.array([float(w) for w in lowest]) - 1e-9)
        assert max(lowest) > 0


@pytest.fixture(scope="module")
def steady() -> Network:
    """The grid of 33 buses with loads of constant impedance and current alone, and no lower limit of voltage."""
    network = build_network(files.load("baran33"))
    power = network.s_power
    return replace(
        network, s_power=0.0 * power, s_impedance=0.7 * power, s_current=0.3 * power, w_min=np.zeros(len(power))
    )


def test_a_certificate_names_the_loss_and_needs_it(steady: Network, tmp_path: Path) -> None:
    path = tmp_path / "file"
    found = search_topologies(steady, certificate=path)
    proven = verify_network(steady, path)
    assert proven.bound_kw == pytest.approx(found.value * steady.s_base_kva, rel=2e-6)
    head, lines = content(path, steady)
    assert head["voltage_loss"] >= head["value"]

    def refused(words: str, **other: float) -> None:
        with pytest.raises(CertificateError, match=words):
            verify_network(steady, rewritten(tmp_path / "tampered", head | other, lines))

    refused("none of a state like the best one", voltage_loss=0.99 * head["value"])
    refused("Infinity is no number", voltage_loss=float("inf"))
    refused("does not reach", voltage_loss=40.0 * head["voltage_loss"])
    del head["voltage_loss"]
    refused("does not reach")


def test_the_ratio_of_a_branch_that_stays_open_changes_nothing(steady: Network, tmp_path: Path) -> None:
    tie = int(np.flatnonzero(~steady.closed)[0])
    at = np.arange(steady.n_conductors) == tie
    network = replace(steady, tap=np.where(at, 0.96, 1.0), switchable=steady.switchable & ~at)
    search_topologies(network, gap=1e-3, certificate=tmp_path / "file")
    assert verify_network(network, tmp_path / "file").gap <= 1.1e-3


@pytest.mark.parametrize("seed", range(12))
def test_certificates_of_loads_that_vary_with_the_voltage_are_accepted(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng([seed, 6])
    network = with_voltage(random_grid(rng, [(), ("locks",), ("generation",), ("ratings",)][seed % 4]), rng)
    most = None if seed % 3 else 4
    cost = 1e-4 * (seed % 2)
    found = search_topologies(network, max_changes=most, change_cost=cost, certificate=tmp_path / "file")
    if found.closed is None:
        assert not (tmp_path / "file").exists()
        return
    proven = verify_network(network, tmp_path / "file", changes=(most, cost))
    assert proven.bound_kw <= found.value * network.s_base_kva * (1.0 + 1e-9)
    assert proven.gap < 2e-6 or proven.value_kw - proven.bound_kw < 1e-6


def test_the_gap_of_a_value_of_nothing_is_none_or_without_end() -> None:
    assert [gap_between(0.0, 0.0), gap_between(1e-9, 0.0), gap_between(-1e-9, 0.0)] == [0.0, 0.0, np.inf]
    assert gap_between(1.0, 2.0) == 0.5
