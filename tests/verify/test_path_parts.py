"""Parts of the paths in certificates: no bound above the best completion, and nothing false is accepted."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.search.enumeration import topologies
from openpoint.search.kernel.arrays import CLOSED as IS_CLOSED
from openpoint.search.kernel.arrays import work_for
from openpoint.search.kernel.bookkeeping import counts
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from openpoint.search.paths import entries
from openpoint.search.paths.arrays import path_work_for
from openpoint.search.paths.build import paths_of
from openpoint.search.paths.certified import CertifiedNodes, checked_paths
from openpoint.search.paths.proven_parts import ProvenParts
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from openpoint.verify import CertificateError
from openpoint.verify.about import closed_about
from openpoint.verify.paths import ONE, Swept, obstacles
from tests.builders.certificates import Content, content, rewritten, verify_network
from tests.builders.path_grids import data_of
from tests.builders.random_parts import TOLERANCE, faults_of_checked_parts, swept_of
from tests.powerflow.small_networks import Branch, make_network
from tests.search.random_grids import random_grid, random_meshes

KINDS = [(), ("locks",), ("stiff",), ("low", "locks")]


@pytest.mark.parametrize("seed", range(40))
def test_a_closed_path_sends_no_less_than_its_bound_about_any_flow(seed: int) -> None:
    """Beside the fixed point of its balances and voltages, in floating point, with the sender as high as it can be."""
    rng = np.random.default_rng([seed, 71])
    network = random_grid(rng, KINDS[seed % len(KINDS)])
    if obstacles(data_of(network)):
        return
    swept = swept_of(network)
    for (k, end), arc in swept.arcs.items():
        path = swept.paths[k]
        buses, branches = (path.buses, path.branches) if end else (path.buses[::-1], path.branches[::-1])
        least = np.array([arc.f, arc.g]) / ONE
        for _ in range(6):
            size = float(rng.choice([0.0, 0.01, 0.1, 1.0]))
            about = least + size * rng.random(2)
            found = closed_about(swept, k, end, *(int(v * ONE) for v in about))
            s = [value / ONE for value in found.s]
            for _ in range(4):
                f, g = least + size * float(rng.choice([0.0, 0.5, 2.0])) * rng.random(2)
                bound = f + s[0] + s[1] * (f * f + g * g) + s[2] * f + s[3] * g
                bound_q = g + s[4] + s[5] * (f * f + g * g) + s[6] * f + s[7] * g
                if (sent := _sent(swept, buses, branches, f, g)) is not None:
                    assert bound <= sent[0] + 1e-12
                    assert bound_q <= sent[1] + 1e-12


def _sent(swept: Swept, buses: list[int], branches: list[int], f: float, g: float) -> tuple[float, float] | None:
    """What a chain sends, by sweeps; None where it has no voltages."""
    of, top = swept.of, swept.top[buses[0]] / ONE
    w, p, q = [top] * len(branches), 0.0, 0.0
    for _ in range(200):
        p, q, here = f, g, []
        for at in range(len(branches) - 1, -1, -1):
            if at < len(branches) - 1:
                p, q = (a + load[buses[at + 1]] / ONE for a, load in zip((p, q), swept.load, strict=True))
            here.append((p, q))
            l = (p * p + q * q) / w[at]
            p, q = p + of.r[branches[at]] / ONE * l, q + of.x[branches[at]] / ONE * l
        near = top
        for at, (e, (a, b)) in enumerate(zip(branches, here[::-1], strict=True)):
            r, x = of.r[e] / ONE, of.x[e] / ONE
            half = near / 2 - r * a - x * b
            rest = half * half - (r * r + x * x) * (a * a + b * b)
            if half <= 0 or rest <= 0:
                return None
            near = w[at] = half + np.sqrt(rest)
    return p, q


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_no_bound_by_parts_is_above_the_best_completion(first: int) -> None:
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
    patch.setattr("openpoint.search.paths.explorer.LEAST", 1)
    patch.setattr(CertifiedNodes, "_judge_whether_it_pays", lambda _: None)
    patch.setattr("openpoint.search.paths.proven_parts.ROUNDS", ((0, most, 200, 0.1), (0, most + 2, 200, 0.05)))


def grids_by_parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """Grids whose certificates are by parts."""
    for seed in range(120):
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
            yield Written(seed, gap, most, network, states, loss, path, file)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Written]:
    return list(grids_by_parts(tmp_path_factory))


def test_every_certificate_of_random_grids_is_verified(tmp_path: Path, written: list[Written]) -> None:
    parts = 0
    for at, case in enumerate(written):
        network = case.network
        found = verify_network(network, case.path)
        if at < 10:
            assert verify_network(network, rewritten(tmp_path / "file", *case.file)) == found
        assert found.bound_kw <= case.loss.min() * network.s_base_kva * (1.0 + TOLERANCE) + 1e-9
        parts = max(parts, case.file[1][0][1])
    assert len(written) >= 15
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
    assert better >= 5


@pytest.mark.parametrize("first", [0, 20])
def test_parts_prove_no_less_than_the_bound_of_the_first_node(first: int) -> None:
    """Also where locks close paths: what such a path costs open is in the prices of junctions."""
    compared = closed = 0
    for seed in range(first, first + 20):
        network = random_meshes(np.random.default_rng([seed, 74]), ("locks",))
        locks = network.closed & ~network.switchable, ~network.closed & ~network.switchable
        model, numbering = build_model(network, must_close=locks[0], must_open=locks[1])
        work = work_for(model)
        work.status[locks[0][numbering.branch]] = IS_CLOSED
        if not propagate(model, work) or (checked := checked_paths(network, model, numbering, locks)) is None:
            continue
        paths = paths_of(model)
        mask, zero, cutoff = path_work_for(paths, len(model.p)).mask, np.zeros(paths.junctions + 1), 1.0
        proven = ProvenParts(model, paths, (work.status, mask), checked, None)
        found = proven._about_flows(zero, zero, cutoff)
        count = counts()
        count.cutoff[0] = cutoff
        while proven.done < 1:
            proven.step(1, zero, zero, count)
        if found is None or not proven.proof.lines:
            continue
        bound = entries.path_bound(model, paths, found.of, found.work, proven.huge)
        assert proven.proof.bound >= bound - 1e-4 * cutoff
        compared += 1
        closed += any(np.all(work.status[paths.branch[a:b]] == IS_CLOSED) for a, b in pairwise(paths.start))
    assert compared >= 8
    assert closed >= 1


def tampered(rng: np.random.Generator, file: Content) -> Content:
    """A certificate with one thing changed that makes its bounds higher, or its tree smaller, or its prices others."""
    head, lines = dict(file[0]), copy.deepcopy(file[1])
    first, parts = lines[0], lines[1:]
    part = parts[int(rng.integers(len(parts)))]
    way = int(rng.integers(8))
    if way == 0 and first[4]:  # a negative price of a set
        first[4][int(rng.integers(len(first[4])))][0] *= -1
    elif way == 1:  # a path in two parts
        part[1].append(parts[int(rng.integers(len(parts)))][1][0])
    elif way == 2 and len(part[4]) > 1:  # a leaf left out
        leaves = [at for at, what in enumerate(part[4]) if what < 0]
        at = leaves[int(rng.integers(len(leaves)))]
        if part[4][at] == -1 and part[2]:
            skipped = part[4][:at].count(-1)
            for numbers in part[-2:]:
                del numbers[skipped :: part[4].count(-1)]
        del part[4][at]
    elif way == 3:  # a higher bound of a part
        part[3] += float(rng.choice([1e-6, 1e-3, 0.1])) * head["bound"]
    elif way == 4:  # other multipliers, and a higher bound
        part[-2] = [int(1.5 * y) for y in part[-2]]
        part[3] += 1e-3 * head["bound"]
    elif way == 5:  # other multipliers at the border
        first[-2] = [int(1.3 * y) + 1 for y in first[-2]]
    elif way == 6:  # other prices of junctions
        first[3] = [int(1.3 * z) + (1 << 30) for z in first[3]]
    else:  # other flows
        first[6] = [3 * f + (1 << 26) for f in first[6]]
    if way > 3 and rng.random() < 0.5:  # less is claimed, which may hold with what was changed
        slack = float(rng.choice([0.01, 0.1, 0.5])) * head["bound"]
        head["bound"] -= slack
        for part in parts:
            part[3] -= slack / len(parts)
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
def divided(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A certificate of several parts, one of them with inner junctions that is divided."""
    for case in grids_by_parts(tmp_path_factory):
        parts = case.file[1][1:]
        if len(parts) > 1 and any(part[2] and len(part[4]) > 1 for part in parts):
            return case
    raise AssertionError


def test_what_is_no_proof_is_refused_by_name(tmp_path: Path, divided: Written) -> None:
    path, network, (head, lines) = tmp_path / "file", divided.network, divided.file
    at = next(k for k, line in enumerate(lines) if line[0] == "part" and line[2] and len(line[4]) > 1)

    def refused(words: str, change: Any, place: int = at, claim: dict[str, Any] | None = None) -> None:
        other = copy.deepcopy(lines)
        change(other[place])
        with pytest.raises(CertificateError, match=words):
            verify_network(network, rewritten(path, head | (claim or {}), other))

    def leaf_left_out(line: list[Any]) -> None:
        line[4][-1:] = []
        line[-2:] = ([v for k, v in enumerate(part) if (k + 1) % line[4].count(-1)] for part in line[-2:])

    refused("price of a set is -1", lambda line: line[4].append([-1, [0, 1]]), 0)
    refused("a set is 1000000", lambda line: line[4].append([1, [0, 10**6]]), 0)
    refused("a set is True", lambda line: line[4].append([1, [True, True]]), 0)
    refused("a number twice", lambda line: line[4].append([1, [1, 1]]), 0)
    refused("too large", lambda line: line[4].append([1 << 61, [0, 1]]), 0)
    refused("price of a set is 12089", lambda line: line[4].append([1 << 80, [0, 1]]), 0)
    refused("prices has", lambda line: line[3].append(0), 0)
    refused("in two parts, or twice", lambda line: line[1].append(lines[1][1][0]))
    refused("inner junctions, not|cut off|no JSON", lambda line: line.__setitem__(2, line[2] + 1))
    refused("does not reach the bound", lambda line: line.__setitem__(3, line[3] + 1e-3 * head["bound"]))
    refused("does not cover", lambda line: line.__setitem__(4, [*line[4], -2]))
    refused("do not add up", lambda line: line.__setitem__(3, line[3] - 0.5 * head["bound"]))
    refused("where a part of the paths", lambda line: line.__setitem__(slice(None), ["none"]))


def test_a_search_that_is_stopped_leaves_what_its_parts_prove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[Written]
) -> None:
    path, checkpoint, stopped = tmp_path / "file", tmp_path / "checkpoint", 0
    for case in written[:10]:
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
    assert stopped >= 5


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
