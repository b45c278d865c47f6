"""Certificates whose nodes end by their regions: verified by two checkers, and nothing false is accepted."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.search import region_decomposition, regions
from openpoint.search.regions import Outcome
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from openpoint.verify import CertificateError
from tests.builders.certificates import Content, changes, content, rewritten, verify_network
from tests.search.random_grids import FEATURES, judged, random_regions

ENDLESS = 10**9
TOLERANCE = 1e-8


KINDS = [kind for kind in FEATURES if kind not in ("ratios", "shunts", "impedance", "current", "hanging")]
"""What the grids have."""


class Restart:
    """What makes a search begin anew by regions."""

    bound = np.inf


@pytest.fixture(autouse=True)
def always_by_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every search begins anew by regions, and tries them at every node."""

    def better(decomposition: Any, gap: float, spent: int) -> Outcome | Restart:
        return Restart()

    monkeypatch.setattr(region_decomposition.RegionDecomposition, "_better", better)
    monkeypatch.setattr(region_decomposition, "OPEN", 0)
    monkeypatch.setattr(region_decomposition, "PAYING", ENDLESS)
    monkeypatch.setattr(regions, "WIDE", np.inf)


def written(path: Path, first: int, count: int, patch: pytest.MonkeyPatch, kinds: list[str]) -> Iterator[Any]:
    """Grids, their states and values, the least of these, and certificates of which some end nodes by regions."""
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        patch.setattr(region_decomposition, "CERTIFIED", (int(rng.choice([0, 1, 3])), 8))
        network = random_regions(rng, [kind for kind in kinds if rng.random() < 0.2])
        most, cost = changes(rng)
        states, value = judged(network, most, cost)
        if not np.isfinite(value).any():
            continue
        found = search_topologies(network, SwitchingRules.of(network, most, cost), gap=1e-4, certificate=path)
        least = float(value.min())
        assert found.lower_bound <= least * (1.0 + TOLERANCE) + 1e-12
        if path.exists():
            yield rng, network, (states, value, least, (most, cost)), content(path, network)


def test_multipliers_at_which_the_supplied_part_has_no_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded ones: a branch without resistance in it."""
    for _, network, (_, _, least, asked), _ in written(tmp_path / "file", 42_960, 1, monkeypatch, KINDS):
        proven = verify_network(network, tmp_path / "file", changes=asked)
        assert proven.bound_kw <= least * network.s_base_kva * (1.0 + TOLERANCE)


def has_regions(file: Content) -> bool:
    return any(line[0] == "region" for line in file[1])


def test_every_certificate_of_random_grids_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, divided = tmp_path / "file", 0
    for _, network, (_, _, least, asked), file in written(path, 0, 80, monkeypatch, KINDS):
        proven = verify_network(network, path, changes=asked)
        assert proven.bound_kw <= least * network.s_base_kva * (1.0 + TOLERANCE) + 1e-9
        if has_regions(file):
            divided += 1
            again = verify_network(network, rewritten(path, *file), changes=asked)
            assert again.bound_kw == proven.bound_kw
    assert divided >= 8


def tampered(rng: np.random.Generator, file: Content, network: Network, known: Any) -> Content:
    """A certificate with one thing changed, and often the claim that a worse state is nearly the best."""
    head, lines = dict(file[0]), copy.deepcopy(file[1])
    states, value, least, _ = known
    of = [line for line in lines if line[0] == "region"]
    first = [line for line in lines if line[0] == "regions"]
    region, division = of[rng.integers(len(of))], first[rng.integers(len(first))]
    way = int(rng.integers(7))
    if way == 0:
        region[1] *= float(rng.choice([0.9, 1.001, 1.3]))
    elif way == 1:
        k = int(rng.integers(len(region[2])))
        region[2][k] += int(rng.integers(-(2**36), 2**36))
    elif way == 2:
        division[-2] = [int(1.3 * y) for y in division[-2]]
    elif way == 3:
        division[1] = sorted(set(division[1]) ^ {int(rng.integers(network.n_terminals))})
    elif way == 4:
        at = lines.index(region)
        del lines[at : at + 2]
    elif way == 5:
        region[1] += 0.03 * abs(head["bound"])
        head["bound"] = min(head["value"], 1.02 * head["bound"])
    worse = [k for k in np.argsort(value) if np.isfinite(value[k]) and value[k] > 1.001 * least]
    if worse and (way == 6 or rng.random() < 0.7):
        closed = states[worse[0]].astype(bool)
        head["open"] = [network.branch_names[e] for e in np.flatnonzero(~closed)]
        head["value"] = float(value[worse[0]])
        head["bound"] = 0.5 * (least + head["value"])
        head["voltage_loss"] = max(head.get("voltage_loss", 0.0), head["value"])
    return head, lines


def test_nothing_false_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, accepted, refused = tmp_path / "file", 0, 0
    for rng, network, known, file in written(path, 300, 60, monkeypatch, KINDS):
        if not has_regions(file):
            continue
        for _ in range(6):
            head, lines = tampered(rng, file, network, known)
            try:
                proven = verify_network(network, rewritten(path, head, lines), changes=known[3])
            except CertificateError:
                refused += 1
                continue
            assert proven.bound_kw <= known[2] * network.s_base_kva * (1.0 + TOLERANCE) + 1e-9
            accepted += 1
    assert refused > 3 * accepted > 0


def divided(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Network, Content]:
    """The first grid whose certificate has regions."""
    return next((net, file) for _, net, _, file in written(path, 0, 100, monkeypatch, []) if has_regions(file))


def test_a_search_that_is_stopped_again_and_again_writes_the_same_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_decomposition, "CERTIFIED", (0, 8))
    path, checkpoint, found = tmp_path / "file", tmp_path / "checkpoint", 0
    for seed in range(700, 715):
        network = random_regions(np.random.default_rng(seed), [])
        whole = search_topologies(network, gap=1e-4, certificate=path)
        head, lines = content(path, network)
        for limit in range(1, 200):
            part = search_topologies(network, gap=1e-4, certificate=path, checkpoint=checkpoint, node_limit=limit)
            if part.termination is not Termination.ITERATIONS:
                break
        assert part.value == whole.value
        assert [line[0] for line in content(path, network)[1]] == [line[0] for line in lines]
        assert verify_network(network, path).nodes <= len(lines)
        found += has_regions((head, lines))
    assert found >= 1


def test_what_is_no_region_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    network, (head, lines) = divided(path, monkeypatch)
    at = next(k for k, line in enumerate(lines) if line[0] == "region")
    division = next(k for k, line in enumerate(lines) if line[0] == "regions")
    _, bound, prices = lines[at]
    for line, words in (
        (["region", float("inf"), prices], "Infinity is no number"),
        (["region", bound, [*prices, 0]], "hubs, not"),
        (["judged"], "'judged' where a region begins"),
    ):
        with pytest.raises(CertificateError, match=words):
            verify_network(network, rewritten(path, head, [*lines[:at], line, *lines[at + 1 :]]))
    for line, words in (
        (["judged"], "'judged' does not hold in a region"),
        (["from", 1], "'from' where a node is"),
    ):
        with pytest.raises(CertificateError, match=words):
            verify_network(network, rewritten(path, head, [*lines[: at + 1], line, *lines[at + 1 :]]))
    cut = lines[: at + 1]
    with pytest.raises(CertificateError, match="ends with nodes left"):
        verify_network(network, rewritten(path, head, cut))
    wrong = copy.deepcopy(lines)
    wrong[division][-2] = [y + (1 << 22) for y in wrong[division][-2]]
    with pytest.raises(CertificateError, match="bound"):
        verify_network(network, rewritten(path, head, wrong))


def test_regions_are_for_losses_of_plain_grids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    network, (head, lines) = divided(path, monkeypatch)
    branch = np.flatnonzero(network.closed)[0]
    y_open = np.where(np.arange(network.n_conductors) == branch, 1e-14 + 0j, 0.0)
    hanging = replace(network, y_open_fr=y_open)
    with pytest.raises(CertificateError, match="regions do not cover a grid with shunts"):
        verify_network(hanging, rewritten(path, head, lines))
