"""Files that are no certificates: too large, too deep, cut off or no JSON, refused before they are parsed."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from openpoint.verify import CertificateError
from openpoint.verify.archive import BLOCK, BRACKETS, HEAD, Archive


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
    with archive(tmp_path / "file", b"[" + 3 * HEAD // len(what) * what + b"1]\n") as file:
        tracemalloc.start()
        with pytest.raises(CertificateError, match="has more than"):
            file.line()
        assert tracemalloc.get_traced_memory()[1] < 4 * HEAD
        tracemalloc.stop()


def test_many_brackets_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    with (
        archive(tmp_path / "file", b"[" + 2 * BRACKETS * b"[]," + b"1]\n") as file,
        pytest.raises(CertificateError, match="too many for this grid"),
    ):
        file.line()


def test_blocks_are_there_and_not_too_large(tmp_path: Path) -> None:
    with archive(tmp_path / "file", b"[]\n1234567") as file:
        file.line()
        assert file.block(3) == b"123"
        with pytest.raises(CertificateError, match="larger than"):
            file.block(BLOCK + 1)
        with pytest.raises(CertificateError, match="cut off within the numbers"):
            file.block(5)


def test_damage_of_the_packing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"a": 1}\n')
    with Archive(path, 10) as file, pytest.raises(CertificateError, match="this is no certificate"):
        file.line()
    packed = gzip.compress(b"[]\n" * 1000, 1)
    path.write_bytes(packed[:-12])
    with Archive(path, 10) as file, pytest.raises(CertificateError, match="damaged or cut off"):
        list(iter(file.line, None))
