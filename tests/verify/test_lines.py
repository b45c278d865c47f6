"""Lines that are read as they are written, and refused where a value is of another type; lines that lead nowhere."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.grid import files
from openpoint.network import build_network
from openpoint.network.devices import no_devices
from openpoint.search.topology import search_topologies
from openpoint.verify import CertificateError
from openpoint.verify.archive import Archive
from openpoint.verify.lines import READERS, Probe, Sizes, read_line
from tests.builders.certificates import content, index, judged_tree, rewritten, verify_network

SIZES = Sizes(buses=3, branches=4, devices=2, futures=0)
RIGHT: dict[str, list[Any]] = {
    "probe": [1, 20, [0], [[0, 5]], [[2, 1 << 16]], 1],
    "bound": [20, [], [], [], 8],
    "apply": [],
    "none": [],
    "judged": [],
    "split": [0],
    "step": [1, 0, 1],
    "from": [1],
    "regions": [[1], 20, [], [], [], 1],
    "region": [2, 0.5, [3]],
    "parts": [1, 2, [0, -1], 30, 1, 20, 1],
    "part": [[0, 2], 1, 0.25, [0, -1, -2], 20, 1],
}


def read(line: Any, path: Path, sizes: Sizes = SIZES) -> Any:
    path.write_bytes(gzip.compress(json.dumps(line).encode() + b"\n" + bytes(200), 1))
    with Archive(path, 10) as file:
        return read_line(file, sizes)


def changed(value: Any) -> list[Any]:
    """The value with one thing in it of another type, in all places."""
    if not isinstance(value, list):
        return [True, None, "1", [value], {}, -(10**30), 10**30]
    found = [1, None, "x", {}]
    for at, part in enumerate(value):
        found += [[*value[:at], other, *value[at + 1 :]] for other in changed(part)]
    return found


@pytest.mark.parametrize("word", RIGHT)
def test_a_line_with_a_value_of_another_type_is_refused(word: str, tmp_path: Path) -> None:
    right = [word, *RIGHT[word]]
    assert read(right, tmp_path / "file").word == word
    wrong = [[word, *other] for other in changed(RIGHT[word]) if isinstance(other, list)]
    wrong += [right[:-1], [*right, 1], [[word], *right[1:]], {word: 1}, [], word, None]
    for line in wrong:
        with pytest.raises(CertificateError):
            read(line, tmp_path / "file")


def test_words_of_futures_have_their_own_form(tmp_path: Path) -> None:
    many = Sizes(3, 4, 0, 2)
    future = ["future", 1, -1, 20, [], [], [], 1]
    assert read(future, tmp_path / "file", many).branch is None
    assert read(["probe", 1], tmp_path / "file", many) == Probe(1, None)
    for line in (["future", 2, *future[2:]], ["future", 0, -1.0, *future[3:]], ["future", 0, 4, *future[3:]]):
        with pytest.raises(CertificateError):
            read(line, tmp_path / "file", many)
    with pytest.raises(CertificateError):
        read(future, tmp_path / "file")
    assert set(READERS) == {*RIGHT, "future"}


def test_no_line_holds_twice_in_succession(tmp_path: Path) -> None:
    """Of what may be repeated for nothing a file could go on for ever."""
    network, path, words = build_network(files.load("civanlar16")), tmp_path / "file", set[str]()
    found = search_topologies(network, certificate=path)
    assert found.closed is not None
    by_search = content(path, network)
    by_power_flow = judged_tree(network, no_devices(), found.closed, np.zeros(0, int), (found.value, 0.5 * found.value))
    for head, lines in (by_search, by_power_flow):
        verify_network(network, rewritten(path, head, lines))
        for word in {line[0] for line in lines}:
            at = index(lines, word)
            twice = [*lines[: at + 1], lines[at], *lines[at + 1 :]]
            with pytest.raises(CertificateError):
                verify_network(network, rewritten(path, head, twice))
            words.add(word)
    assert words >= {"apply", "probe", "split", "from", "judged"}


def test_applying_nothing_is_no_step(tmp_path: Path) -> None:
    network, path = build_network(files.load("civanlar16")), tmp_path / "file"
    search_topologies(network, certificate=path)
    head, _ = content(path, network)
    with pytest.raises(CertificateError, match="line 2, node 1: there is nothing to close"):
        verify_network(network, rewritten(path, head, [["apply"]] * 10_000))


def test_a_file_ends_with_its_last_node(tmp_path: Path) -> None:
    network, path = build_network(files.load("civanlar16")), tmp_path / "file"
    search_topologies(network, certificate=path)
    head, lines = content(path, network)
    for changed_lines, words in ((lines[:-1], "nodes left"), ([*lines, ["none"]], "more lines")):
        with pytest.raises(CertificateError, match=words):
            verify_network(network, rewritten(path, head, changed_lines))
