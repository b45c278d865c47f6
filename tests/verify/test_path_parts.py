"""Parts of the paths in certificates: no bound above the best completion, and nothing false is accepted."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import solve
from openpoint.search.enumeration import topologies
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from openpoint.verify import CertificateError
from openpoint.verify.paths import obstacles
from tests.builders.certificates import Content, content, rewritten, verify_network
from tests.builders.path_grids import data_of
from tests.builders.random_parts import TOLERANCE, faults_of_checked_parts
from tests.powerflow.small_networks import Branch, make_network
from tests.search.random_grids import random_grid, random_meshes

KINDS = [(), ("locks",), ("stiff",), ("low", "locks")]


@pytest.mark.parametrize("first", range(0, 30, 10))
def test_no_bound_by_parts_is_above_the_best_completion(first: int) -> None:
    """At any multipliers and prices: docs/methods.md M49."""
    total = 0
    for seed in range(first, first + 10):
        rng = np.random.default_rng([seed, 72])
        for make in (random_grid, random_meshes):
            bounds, wrong = faults_of_checked_parts(make(rng, KINDS[seed % len(KINDS)]), rng, 8)
            assert wrong == []
            total += bounds
    assert total >= 20


@dataclass(frozen=True)
class Written:
    """A grid with all its radial states and their losses, and its certificate, which is by parts.

    Attributes:
        gap: asked for. most: for `always_by_parts`. path, file: the certificate that the search wrote, and its
            content.
    """

    seed: int
    gap: float
    most: int
    network: Network
    states: np.ndarray
    loss: np.ndarray
    path: Path
    file: Content


def always_by_parts(patch: pytest.MonkeyPatch, most: int) -> None:
    """Every search for a certificate tries parts of so many paths, on small grids, too."""
    patch.setattr("openpoint.search.paths.proven_parts.FEW", 0)
    for name, value in (("WHOLE", 0), ("MOST", most), ("SMALL", most)):
        patch.setattr(f"openpoint.search.paths.proven_parts.{name}", value)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Written]:
    """Grids whose certificates are by parts."""
    found = []
    for seed in range(60):
        rng, path = np.random.default_rng([seed, 73]), tmp_path_factory.mktemp("grid") / "file"
        most = int(rng.integers(2, 5))
        network = random_meshes(rng, KINDS[seed % len(KINDS)])
        some = list(topologies(network))
        if obstacles(data_of(network)) or not some:
            continue
        with pytest.MonkeyPatch.context() as patch:
            always_by_parts(patch, most)
            gap = float(rng.choice([1e-3, 0.02, 0.1, 0.2]))
            search_topologies(network, gap=gap, certificate=path)
        file = content(path, network) if path.exists() else ({}, [])
        if any(line[0] == "part" for line in file[1]):
            states = np.concatenate(some)
            flows = solve(network, states)
            loss = np.where(flows.converged & flows.energised.all(axis=1), flows.loss, np.inf)
            found.append(Written(seed, gap, most, network, states, loss, path, file))
    return found


def test_every_certificate_of_random_grids_is_verified(tmp_path: Path, written: list[Written]) -> None:
    parts = 0
    for at, case in enumerate(written):
        network = case.network
        found = verify_network(network, case.path)
        if at < 10:
            assert verify_network(network, rewritten(tmp_path / "file", *case.file)) == found
        assert found.bound_kw <= case.loss.min() * network.s_base_kva * (1.0 + TOLERANCE) + 1e-9
        parts = max(parts, case.file[1][0][1])
    assert len(written) >= 8
    assert parts >= 3


def test_a_search_that_its_parts_end_claims_what_these_add_up_to(tmp_path: Path, written: list[Written]) -> None:
    better = 0
    for case in written:
        head, lines = case.file
        more = head | {"bound": head["bound"] * (1.0 + 1e-9)}
        assert more["bound"] <= head["value"]
        with pytest.raises(CertificateError, match="do not add up"):
            verify_network(case.network, rewritten(tmp_path / "file", more, lines))
        better += (head["value"] - head["bound"]) / head["value"] < 0.999 * case.gap
    assert better >= 2


def tampered(rng: np.random.Generator, file: Content) -> Content:
    """A certificate with one thing changed that makes its bounds higher, or its tree smaller, or its prices others."""
    head, lines = dict(file[0]), copy.deepcopy(file[1])
    first, parts = lines[0], lines[1:]
    part = parts[int(rng.integers(len(parts)))]
    way = int(rng.integers(1, 7))
    if way == 1:  # a path in two parts
        part[1].append(parts[int(rng.integers(len(parts)))][1][0])
    elif way == 2 and len(part[3]) > 1:  # a leaf left out
        leaves = [at for at, what in enumerate(part[3]) if what < 0]
        at = leaves[int(rng.integers(len(leaves)))]
        if part[3][at] != -2:
            del part[5][sum(what in (-1, -3) for what in part[3][:at])]
        del part[3][at]
    elif way == 3:  # a higher bound of a part
        part[2] += float(rng.choice([1e-6, 1e-3, 0.1])) * head["bound"]
    elif way == 4:  # other multipliers, and a higher bound
        part[5] = [[int(1.5 * y) for y in leaf] for leaf in part[5]]
        part[2] += 1e-3 * head["bound"]
    elif way == 5:  # other multipliers at the border
        first[-2] = [int(1.3 * y) + 1 for y in first[-2]]
    else:  # other prices of junctions
        first[2] = [int(1.3 * z) + (1 << 30) for z in first[2]]
    if way > 3 and rng.random() < 0.5:  # less is claimed, which may hold with what was changed
        slack = float(rng.choice([0.01, 0.1, 0.5])) * head["bound"]
        head["bound"] -= slack
        for part in parts:
            part[2] -= slack / len(parts)
    return head, lines


def test_nothing_false_is_accepted(tmp_path: Path, written: list[Written]) -> None:
    """Also with the claim that a worse state is nearly the best one."""
    path, accepted, refused = tmp_path / "file", 0, 0
    for case in written[-50:]:
        rng, network, states, loss = np.random.default_rng([case.seed, 75]), case.network, case.states, case.loss
        least = loss.min()
        worse = [k for k in np.argsort(loss) if least * 1.001 < loss[k] < np.inf]
        for _ in range(8):
            head, lines = tampered(rng, case.file)
            if rng.random() < 0.5:
                head["bound"] = min(head["value"], least * (1.0 + 1e-5))
            if worse and rng.random() < 0.5:
                head["open"] = [network.branch_names[e] for e in np.flatnonzero(~states[worse[0]])]
                head["value"], head["bound"] = float(loss[worse[0]]), least + 0.1 * (float(loss[worse[0]]) - least)
                head.pop("voltage_loss", None)
            try:
                found = verify_network(network, rewritten(path, head, lines))
            except CertificateError:
                refused += 1
                continue
            accepted += 1
            assert found.bound_kw <= least * network.s_base_kva * (1.0 + TOLERANCE) + 1e-9
    assert refused > 2 * accepted > 0


@pytest.fixture(scope="module")
def divided(written: list[Written]) -> Written:
    """A certificate of several parts, one of them with inner junctions that is divided."""
    several = (case for case in written if len(case.file[1]) > 2)
    return next(case for case in several if any(any(part[5]) and len(part[3]) > 1 for part in case.file[1][1:]))


def test_what_is_no_proof_is_refused_by_name(tmp_path: Path, divided: Written) -> None:
    path, network, (head, lines) = tmp_path / "file", divided.network, divided.file
    at = next(k for k, line in enumerate(lines) if line[0] == "part" and any(line[5]) and len(line[3]) > 1)

    def refused(words: str, change: Any, place: int = at, claim: dict[str, Any] | None = None) -> None:
        other = copy.deepcopy(lines)
        change(other[place])
        with pytest.raises(CertificateError, match=words):
            verify_network(network, rewritten(path, head | (claim or {}), other))

    refused("prices is True", lambda line: line[2].__setitem__(0, True), 0)
    refused("too large", lambda line: line[2].__setitem__(0, 1 << 61), 0)
    refused("in two parts, or twice", lambda line: line[1].append(lines[1][1][0]))
    refused("leaves of others", lambda line: line[5][0].append(1))
    refused("does not reach the bound", lambda line: line.__setitem__(2, line[2] + 1e-3 * head["bound"]))
    refused("does not cover", lambda line: line.__setitem__(3, [*line[3], -2]))
    refused("do not add up", lambda line: line.__setitem__(2, line[2] - 0.5 * head["bound"]))
    refused("where a part of the paths", lambda line: line.__setitem__(slice(None), ["none"]))


def test_a_search_that_is_stopped_leaves_what_its_parts_prove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[Written]
) -> None:
    path, checkpoint, stopped = tmp_path / "file", tmp_path / "checkpoint", 0
    for case in written:
        if stopped == 3:
            break
        network, loss = case.network, case.loss
        always_by_parts(monkeypatch, case.most)
        found = search_topologies(network, certificate=path, node_limit=1)
        if found.termination is not Termination.ITERATIONS:
            continue
        stopped += 1
        proven = verify_network(network, path)
        assert content(path, network)[1][0][0] == "parts"
        assert proven.bound_kw <= loss.min() * network.s_base_kva * (1.0 + TOLERANCE) + 1e-9
        assert proven.bound_kw <= found.lower_bound * network.s_base_kva * (1.0 + TOLERANCE)
        again = search_topologies(network, certificate=path, node_limit=1, checkpoint=checkpoint)
        assert (again.termination, path.exists(), checkpoint.exists()) == (Termination.ITERATIONS, False, True)
        whole = search_topologies(network, certificate=path, checkpoint=checkpoint)
        assert whole.value == search_topologies(network).value
        assert verify_network(network, path).bound_kw <= whole.value * network.s_base_kva
    assert stopped == 3


def test_what_the_bound_does_not_hold_for_is_named() -> None:
    data = data_of(build_network(files.load("baran33")))
    none = [Fraction(0)] * len(data.p)
    assert obstacles(data) == []
    assert obstacles(replace(data, p=[*data.p[:-1], Fraction(-1)])) == ["generation"]
    assert obstacles(replace(data, q_w=[*none[:-1], Fraction(-1)])) == ["loads that depend on the voltage"]
    assert obstacles(replace(data, b=[*data.b[:-1], Fraction(1)])) == ["shunts"]
    assert obstacles(replace(data, tap=[*data.tap[:-1], Fraction(2)])) == ["ratios"]
    assert obstacles(replace(data, x=[*data.x[:-1], Fraction(-1)])) == ["negative impedances"]
    assert obstacles(replace(data, price=[*data.price[:-1], Fraction(1)])) == ["prices of closings"]


def test_parts_of_a_grid_with_generation_are_refused_by_name(tmp_path: Path) -> None:
    network, path = build_network(files.load("baran33")), tmp_path / "file"
    network = replace(network, s_power=np.where(np.arange(33) == 20, -0.01, network.s_power))
    search_topologies(network, gap=0.5, certificate=path)
    head, _ = content(path, network)
    line = ["parts", 1, [], 0, [], []]
    with pytest.raises(CertificateError, match="does not hold for a grid with generation"):
        verify_network(network, rewritten(path, head, [line]))


def test_rings_without_junctions_are_no_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All paths are between sources then, and a certificate without any part would be refused."""
    always_by_parts(monkeypatch, 4)
    rng, path = np.random.default_rng(3), tmp_path / "file"
    loads, ends = rng.uniform(0.02, 0.1, 9) * (1.0 + 0.3j), [(0, 1), (1, 2), (2, 3), (3, 0)]
    wires = [(a and a + 3 * ring, b and b + 3 * ring) for ring in range(3) for a, b in ends]
    branches = [Branch(*e, complex(*rng.uniform(0.01, 0.05, 2)), closed=e[1] > 0) for e in wires]
    network = make_network(10, branches, {0: 1.0 + 0.0j}, power=[0.0j, *loads])
    found = search_topologies(network, gap=1e-9, certificate=path)
    least = solve(network, np.concatenate(list(topologies(network)))).loss.min()
    assert abs(found.value - least) <= TOLERANCE * least
    assert verify_network(network, path).bound_kw <= least * network.s_base_kva * (1.0 + TOLERANCE)


def test_parts_are_shared_by_processes(divided: Written) -> None:
    network, path = divided.network, divided.path
    assert verify_network(network, path, workers=2) == verify_network(network, path)
