"""The file of a certificate: archives, schema, lines and damages are refused before they cost anything."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.network.devices import no_devices
from openpoint.search.exchange.ac_check import AcEvaluator
from openpoint.search.topology import search_topologies
from openpoint.verify import CertificateError, proof, schema, verify
from openpoint.verify.lines import BRACKETS, LINE, READERS, Archive, Probe, Sizes, read_line
from tests.builders.certificates import content, index, judged_tree, rewritten, verify_network
from tests.builders.clock import FAILURES, FailingExecutor


def archive(path: Path, text: bytes) -> Archive:
    path.write_bytes(gzip.compress(text, 1))
    return Archive(path, 10)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a": NaN}\n', "NaN is no number"),
        (b'{"a": -Infinity}\n', "-Infinity is no number"),
        (b'{"a": 1, "a": 1}\n', "a name comes twice"),
        (b'{"a": [{"b": 1, "b": 2}]}\n', "a name comes twice"),
        (b"[" * 6 + b"]" * 6 + b"\n", "more than 5 within each other"),
        (b"[" * 100_000 + b"\n", "brackets that do not match"),
        (b'["a", ]\n', "no JSON"),
        (b'["\xff"]\n', "no JSON"),
        (b"[1" + b"0" * 5000 + b"]\n", "no JSON"),
        (b'["a"]', "cut off within a line"),
    ],
)
def test_a_line_is_json_of_few_levels(text: bytes, words: str, tmp_path: Path) -> None:
    with archive(tmp_path / "file", text) as file, pytest.raises(CertificateError, match=words):
        file.line()


def test_brackets_within_texts_do_not_count(tmp_path: Path) -> None:
    with archive(tmp_path / "file", rb'{"[[[[[[[": "\"[[[[[[["}' + b"\n") as file:
        assert file.line() == {"[[[[[[[": '"[[[[[[['}
        assert file.line() is None


@pytest.mark.parametrize("what", [b" ", b"1,", b"[],"])
def test_a_long_line_is_refused_before_it_is_parsed(what: bytes, tmp_path: Path) -> None:
    """Of a head that would take gigabytes no more is unpacked than a line may have."""
    with archive(tmp_path / "file", b"[" + 3 * LINE // len(what) * what + b"1]\n") as file:
        tracemalloc.start()
        with pytest.raises(CertificateError, match="has more than"):
            file.line()
        assert tracemalloc.get_traced_memory()[1] < 4 * LINE
        tracemalloc.stop()


def test_many_brackets_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    with (
        archive(tmp_path / "file", b"[" + 2 * BRACKETS * b"[]," + b"1]\n") as file,
        pytest.raises(CertificateError, match="too many for this grid"),
    ):
        file.line()


def test_damage_of_the_packing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"a": 1}\n')
    with Archive(path, 10) as file, pytest.raises(CertificateError, match="this is no certificate"):
        file.line()
    packed = gzip.compress(b"[]\n" * 1000, 1)
    path.write_bytes(packed[:-12])
    with Archive(path, 10) as file, pytest.raises(CertificateError, match="damaged or cut off"):
        list(iter(file.line, None))


WRONG: list[tuple[Callable[[Any], Any], list[Any]]] = [
    (lambda v: schema.whole(v, "it", 0, 5), [True, False, 1.0, "1", None, [1], {}, -1, 6, 10**30]),
    (lambda v: schema.number(v, "it", 0.0), [True, "1", None, [1.0], {}, -1e-9, float("nan"), float("inf"), 10**30]),
    (lambda v: schema.wholes(v, "it", 0, 5, 2), [[1], [1, 2, 3], (1, 2), "12", {1: 2}, None, [1, True], [[1], 2]]),
    (lambda v: schema.different(v, "it", 3), [[0, 0], [3], [True], [0, False]]),
    (lambda v: schema.numbers(v, "it", 2), [[1.0], [1.0, None], [1.0, "x"], [True, 1.0], [1.0, 1e400]]),
    (lambda v: schema.pairs(v, "it", 3, 1, 9), [[[0, 1], [0, 2]], [[3, 1]], [[0, 0]], [[0]], [0, 1], [[True, 1]]]),
    (lambda v: schema.text(v, "it"), [1, None, ["a"], True]),
    (lambda v: schema.texts(v, "it"), [["a", "a"], ["a", 1], "ab"]),
    (lambda v: schema.named(v, "it", {"a": 0}), [["b"], ["a", "a"], [0], "a"]),
    (lambda v: schema.record(v, "it", ("a",), ("b",)), [[], {}, {"b": 1}, {"a": 1, "c": 1}, None]),
]


@pytest.mark.parametrize("at", range(len(WRONG)))
def test_a_wrong_value_is_refused_with_its_place(at: int) -> None:
    read, values = WRONG[at]
    for value in values:
        with pytest.raises(CertificateError, match="it "):
            read(value)


def test_right_values_are_read() -> None:
    assert type(schema.number(3, "it")) is float
    assert schema.numbers([1.5, 7], "it", 2).tolist() == [1.5, 7.0]
    assert schema.pairs([[2, 5], [0, 1]], "it", 3, 1, 9) == {2: 5, 0: 1}
    assert schema.named(["b", "a"], "it", {"a": 0, "b": 4}) == [4, 0]
    assert schema.record({"a": 1}, "it", ("a",), ("b",)) == {"a": 1}


def test_a_refusal_can_be_printed_whatever_the_value_is() -> None:
    for value in ("\ud800" * 100, "x" * 1000, ["\ud800"], {"\ud800": 1}):
        with pytest.raises(CertificateError) as error:
            schema.whole(value, "it", 0, 1)
        assert len(str(error.value).encode("ascii")) < 150


SIZES = Sizes(buses=3, branches=4, futures=0)
RIGHT: dict[str, list[Any]] = {
    "probe": [1, 20, [0], [[0, 5]], [[2, 1 << 16]], [1, 2, 3], [0, 0, -1]],
    "bound": [20, [], [], [], [0, 0, 0], [7, 8, 9]],
    "apply": [],
    "none": [],
    "judged": [],
    "split": [0],
    "from": [1],
    "regions": [[1], 20, [], [], [], [1, 2, 3], [0, 0, 0]],
    "region": [0.5, [3]],
    "parts": [1, [0, -1], 20, [1, 2], [3, 4]],
    "part": [[0, 2], 0.25, [0, -1, -2, -3], 20, [[5, 6], [7, 8]]],
}


def read(line: Any, path: Path, sizes: Sizes = SIZES) -> Any:
    path.write_bytes(gzip.compress(json.dumps(line).encode() + b"\n", 1))
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
    many = Sizes(3, 4, 2)
    future = ["future", 1, -1, 20, [], [], [], [1, 2, 3], [0, 0, 0]]
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


COUNT = 30


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
