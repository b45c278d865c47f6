"""What a certificate says of ratings, ratios, shunts, loads and changes is bound to the grid, and needed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import solve
from openpoint.search.topology import search_topologies
from openpoint.verify import CertificateError
from tests.builders.certificates import ROW, Content, Line, content, index, rewritten, verify_network
from tests.powerflow.small_networks import Branch, make_network

COST = 0.0005
MOST = 6


def rich() -> Network:
    """The grid of 33 buses with ratios, charging, all models of load, and ratings that bind at its optimum."""
    net = build_network(files.load("baran33"))
    tap = np.ones(net.n_conductors)
    tap[[0, 20]] = 0.98, 1.02
    y = np.where(np.arange(net.n_conductors) % 4 == 0, 1e-4 + 2e-3j, 0.0)
    impedance = 0.2 * net.s_power
    current = np.where(np.arange(33) % 3 == 0, 0.3 * net.s_power, 0.0)
    current[7] -= 0.02
    net = replace(
        net,
        tap=tap,
        y_shunt=sp.csr_array(sp.diags_array(y)),
        s_power=net.s_power - impedance - current,
        s_impedance=impedance,
        s_current=current,
    )
    best = search_topologies(net).closed
    assert best is not None
    l = solve(net, best).i_rated[0] ** 2
    l_max = np.full(net.n_conductors, np.inf)
    hot = np.argsort(-l)[4:8]
    l_max[hot] = 0.97 * l[hot]
    return replace(net, l_max=l_max)


@pytest.fixture(scope="module")
def network() -> Network:
    return rich()


@pytest.fixture(scope="module")
def written(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Content:
    path = tmp_path_factory.mktemp("rich") / "file"
    search_topologies(network, max_changes=MOST, change_cost=COST, certificate=path)
    return content(path, network)


def test_all_of_it_together_verifies(network: Network, written: Content, tmp_path: Path) -> None:
    head, lines = written
    proven = verify_network(network, rewritten(tmp_path / "file", head, lines), changes=(MOST, COST))
    assert 0 < proven.changes <= MOST
    price_kw = COST * network.s_base_kva
    assert proven.value_kw == pytest.approx(proven.loss_kw + proven.changes * price_kw, rel=1e-12)
    assert proven.judged > 0
    assert str(proven).startswith(
        f"Verified: no radial state with the voltage limits of the grid, its current limits, at most {MOST} changes, "
        f"loses less than {proven.bound_kw:.6f} kW with {price_kw:g} kW for each change; that with"
    )
    assert f"and has {proven.changes} changes, {proven.value_kw:.6f} kW in all" in str(proven)
    bounds = [line for line in lines if line[0] in ("probe", "bound")]
    assert any(line[ROW["near"]] for line in bounds)
    assert any(line[ROW["phi"]] for line in bounds)


def forget_the_voltages_of_ratings(head: dict[str, Any], lines: list[Line]) -> None:
    for line in lines:
        if line[0] in ("probe", "bound"):
            line[ROW["near"]] = []


def rate_at_a_strange_voltage(head: dict[str, Any], lines: list[Line]) -> None:
    for line in lines:
        if line[0] in ("probe", "bound"):
            line[ROW["near"]] = [[bus, 4 * w] for bus, w in line[ROW["near"]]]


def rate_at_no_voltage(head: dict[str, Any], lines: list[Line]) -> None:
    line = next(line for line in lines if line[0] == "bound" and line[ROW["near"]])
    line[ROW["near"]][0][1] = 0


def drop_an_output(head: dict[str, Any], lines: list[Line]) -> None:
    del head["generation"]


TAMPERINGS: list[tuple[Callable[[dict[str, Any], list[Line]], None], str]] = [
    (forget_the_voltages_of_ratings, "does not reach"),
    (rate_at_a_strange_voltage, "does not reach"),
    (rate_at_no_voltage, "near is 0"),
    (drop_an_output, "has no 'generation'"),
]


@pytest.mark.parametrize(("tamper", "words"), TAMPERINGS, ids=lambda case: getattr(case, "__name__", ""))
def test_tampering_is_caught(
    tamper: Callable[[dict[str, Any], list[Line]], None],
    words: str,
    network: Network,
    written: Content,
    tmp_path: Path,
) -> None:
    head, lines = copy.deepcopy(written)
    tamper(head, lines)
    with pytest.raises(CertificateError, match=words):
        verify_network(network, rewritten(tmp_path / "tampered", head, lines), changes=(MOST, COST))


OTHERS: list[tuple[Callable[[Network], Network], tuple[int | None, float], str]] = [
    (
        lambda net: replace(net, l_max=np.full(net.n_conductors, np.inf)),
        (MOST, COST),
        "does not reach|loses too little",
    ),
    (lambda net: replace(net, l_max=1.05 * net.l_max), (MOST, COST), "does not reach|loses too little"),
    (lambda net: replace(net, l_max=0.5 * net.l_max), (MOST, COST), "misses the limits"),
    (lambda net: net, (None, COST), "refused at line"),
    (lambda net: net, (2, COST), "the best state has 4 changes"),
    (lambda net: net, (MOST, 0.9 * COST), "best state loses"),
    (lambda net: net, (MOST, 2.0 * COST), "best state loses"),
]


@pytest.mark.parametrize("case", range(len(OTHERS)))
def test_the_answer_of_one_question_is_none_of_another(
    case: int, network: Network, written: Content, tmp_path: Path
) -> None:
    change, changes, words = OTHERS[case]
    with pytest.raises(CertificateError, match=words):
        verify_network(change(network), rewritten(tmp_path / "file", *written), changes=changes)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_value_and_bound_moved_with_the_price_of_changes_are_refused(
    factor: float, network: Network, written: Content, tmp_path: Path
) -> None:
    """A true statement of the best state, but what others lose with more changes, or fewer, is claimed too high."""
    head, lines = copy.deepcopy(written)
    more = 4 * (factor - 1.0) * COST
    head["value"] += more
    head["bound"] += more
    with pytest.raises(CertificateError, match="does not reach"):
        verify_network(network, rewritten(tmp_path / "file", head, lines), changes=(MOST, factor * COST))


def other_grids(net: Network) -> dict[str, Network]:
    """The same grid but for one number."""
    one = np.arange(33) == 12
    y = net.y_shunt.diagonal() * np.where(np.arange(net.n_conductors) == 4, 0.5, 1.0)
    return {
        "shunt": replace(net, y_shunt=sp.csr_array(sp.diags_array(y))),
        "tap": replace(net, tap=np.where(net.tap == 0.98, 0.99, net.tap)),
        "capacitor": replace(net, s_impedance=np.where(one, 0.01j, net.s_impedance)),
        "load of constant current": replace(net, s_current=np.where(one, 0.01, net.s_current)),
    }


@pytest.mark.parametrize("what", ["shunt", "tap", "capacitor", "load of constant current"])
def test_another_grid_is_noticed(what: str, network: Network, written: Content, tmp_path: Path) -> None:
    head, lines = written
    other = other_grids(network)[what]
    with pytest.raises(CertificateError, match="best state loses"):
        verify_network(other, rewritten(tmp_path / "file", head, lines), changes=(MOST, COST))


def dispatched() -> Network:
    """A ring with a generator whose output may be chosen, and a tie."""
    branches = [Branch(0, 1), Branch(1, 2), Branch(2, 3), Branch(3, 4), Branch(4, 0), Branch(1, 4, closed=False)]
    power = [0.0, 0.2 + 0.1j, 0.3 + 0.1j, 0.1 + 0.05j, 0.2 + 0.1j]
    net = make_network(5, branches, {0: 1.0}, power=power, generators=[(2, 0.0), (3, 0.0)])
    most = np.array([0.4, 0.1])
    return replace(net, p_min=np.zeros(2), p_max=most, q_min=-0.2 * most, q_max=0.2 * most)


def test_outputs_to_choose_are_proven_by_multipliers(tmp_path: Path) -> None:
    network, path = dispatched(), tmp_path / "file"
    found = search_topologies(network, certificate=path)
    proven = verify_network(network, path)
    assert proven.judged == 0
    assert proven.limits == "the voltage limits of the grid, outputs within their ranges,"
    assert proven.gap < 2e-6
    assert proven.value_kw == pytest.approx(found.value * network.s_base_kva, rel=1e-9)
    head, lines = content(path, network)
    assert found.generation is not None
    np.testing.assert_array_equal(head["generation"], [found.generation.real, found.generation.imag])

    def refused(words: str, head: dict[str, Any], lines: list[Line]) -> None:
        with pytest.raises(CertificateError, match=words):
            verify_network(network, rewritten(tmp_path / "tampered", head, lines))

    refused("not within its range", head | {"generation": [[0.5, 0.1], [0.0, 0.0]]}, lines)
    refused("best state loses", head | {"generation": [[0.0, 0.0], [0.0, 0.0]]}, lines)
    leaf = copy.deepcopy(lines)
    leaf[index(leaf, "bound")] = ["judged"]
    refused("'judged' does not hold", head, leaf)
    refused("does not reach", head | {"bound": head["value"]}, lines)
    narrower = replace(network, p_max=0.5 * network.p_max)
    with pytest.raises(CertificateError, match="not within its range"):
        verify_network(narrower, path)
