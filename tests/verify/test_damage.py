"""Bytes of a certificate are changed, dropped and doubled: what is accepted then is true, and all else is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.search.exchange.ac_check import AcEvaluator
from openpoint.search.topology import search_topologies
from openpoint.verify import CertificateError, proof, verify
from tests.builders.certificates import verify_network
from tests.builders.failing import FAILURES, FailingExecutor

COUNT = 60


@pytest.fixture(scope="module")
def network() -> Network:
    return build_network(files.load("civanlar16"))


@pytest.fixture(scope="module")
def text(network: Network, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a certificate."""
    path = tmp_path_factory.mktemp("damage") / "file"
    search_topologies(network, certificate=path)
    return gzip.decompress(path.read_bytes())


def damaged(rng: np.random.Generator, text: bytes, begin: int) -> bytes:
    """The text with some bytes after `begin` changed, dropped, doubled or shuffled."""
    at = int(rng.integers(begin, len(text)))
    end = min(len(text), at + int(rng.integers(1, 40)))
    ways = [
        bytes([int(rng.integers(256))]) + text[at + 1 : end],
        bytes([text[at] ^ (1 << int(rng.integers(8)))]) + text[at + 1 : end],
        b"",
        2 * text[at:end],
        text[at:end][::-1],
        b"[" * 20_000,
        b"-1",
    ]
    return text[:at] + ways[int(rng.integers(len(ways)))] + text[end:]


def false_claim(network: Network, text: bytes) -> tuple[bytes, int]:
    """The same lines below the claim that nothing is much better than a worse state, and where they begin."""
    head, lines = text.split(b"\n", 1)
    claim = json.loads(head)
    closed = np.array([name not in claim["open"] for name in network.branch_names])
    ways = []
    for a in np.flatnonzero(~closed):
        for b in np.flatnonzero(closed):
            other = closed.copy()
            other[[a, b]] = True, False
            ways.append(other)
    value, miss = AcEvaluator(network, 0.0).evaluate(np.array(ways))
    worse = int(np.argmin(np.where((miss == 0.0) & (value > claim["value"] * 1.001), value, np.inf)))
    names = [name for name, on in zip(network.branch_names, ways[worse], strict=True) if not on]
    bound = 0.5 * (claim["value"] + value[worse])
    first = json.dumps(claim | {"open": names, "value": value[worse], "bound": bound}).encode() + b"\n"
    return first + lines, len(first)


def test_damage_is_refused_or_does_not_matter(network: Network, text: bytes, tmp_path: Path) -> None:
    path, passed = tmp_path / "file", 0
    best = json.loads(text.split(b"\n", 1)[0])["value"]
    for seed in range(COUNT):
        path.write_bytes(gzip.compress(damaged(np.random.default_rng(seed), text, 0), 1))
        try:
            proven = verify_network(network, path)
        except CertificateError:
            continue
        assert proven.bound_kw <= best * network.s_base_kva * (1.0 + 1e-8), seed
        passed += 1
    assert passed < COUNT // 6


def test_no_damage_proves_what_is_false(network: Network, text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    claim, begin = false_claim(network, text)
    for seed in range(COUNT):
        path.write_bytes(gzip.compress(damaged(np.random.default_rng([seed, 1]), claim, begin), 1))
        with pytest.raises(CertificateError):
            verify_network(network, path)


def test_the_number_of_processes_reaches_the_check(
    text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools, pool = [], proof.ProcessPoolExecutor

    def counted(workers: int, context: Any) -> Any:
        pools.append(workers)
        return pool(workers, context)

    monkeypatch.setattr(proof, "ProcessPoolExecutor", counted)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(text, 1))
    grid = files.load("civanlar16")
    assert verify(grid, path, workers=2) == verify(grid, path)
    assert pools == [1]


def test_two_processes_have_the_verdict_of_one(network: Network, text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(text, 1))
    assert verify_network(network, path, workers=2) == verify_network(network, path)
    path.write_bytes(gzip.compress(false_claim(network, text)[0], 1))
    with pytest.raises(CertificateError) as one:
        verify_network(network, path)
    with pytest.raises(CertificateError) as two:
        verify_network(network, path, workers=2)
    assert str(one.value) == str(two.value)


@pytest.mark.parametrize("failure", ["pool killed", "broken"])
def test_where_a_process_is_killed_one_process_gives_the_verdict(
    failure: str, network: Network, text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(text, 1))
    expected = verify_network(network, path)
    failing = FailingExecutor(0, FAILURES[failure], at_once=False)
    monkeypatch.setattr(proof, "ProcessPoolExecutor", lambda workers, context: failing)
    assert verify_network(network, path, workers=2) == expected
