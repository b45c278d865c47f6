"""A certificate on a disk that takes no more: the answer is kept, and nothing half-written is left."""

from __future__ import annotations

import errno
import gzip
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import openpoint
from openpoint import TopologySearch
from openpoint.search.certificate import put_aside
from openpoint.verify import verify

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
Disk = Callable[[pytest.MonkeyPatch], None]


def lines_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full in the middle of the lines."""
    write, calls = gzip.GzipFile.write, list[int]()

    def some(self: gzip.GzipFile, data: Any) -> int:
        calls.append(len(data))
        if len(calls) > 5:
            raise FULL
        return write(self, data)

    monkeypatch.setattr(gzip.GzipFile, "write", some)


def the_whole_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes all lines, but not the file that they are copied to."""

    def refuse(*_: object) -> None:
        raise FULL

    monkeypatch.setattr("openpoint.search.certificate.write_bytes", refuse)


@pytest.mark.parametrize("fails", [lines_fail, the_whole_fails])
@pytest.mark.parametrize("futures", [False, True])
def test_a_full_disk_takes_the_certificate_alone(
    fails: Disk,
    futures: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    given = {"futures": openpoint.grow("baran33", count=3, seed=1)} if futures else {}
    whole = openpoint.reconfigure("baran33", method=TopologySearch(), **given)  # type: ignore[call-overload]
    file = tmp_path / "proof.cert"
    fails(monkeypatch)
    with caplog.at_level(logging.WARNING):
        method = TopologySearch(certificate=file)
        found = openpoint.reconfigure("baran33", method=method, **given)  # type: ignore[call-overload]
    assert found.open_branches == whole.open_branches
    assert found.gap <= 1e-6
    assert f"{file} cannot be written: No space left on device" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails", [lines_fail, the_whole_fails])
def test_with_a_checkpoint_the_same_search_goes_on_to_the_certificate(
    fails: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, kept = tmp_path / "proof.cert", tmp_path / "open.search"
    method = TopologySearch(certificate=file, checkpoint=kept)
    with monkeypatch.context() as patch:
        fails(patch)
        found = openpoint.reconfigure("das70", method=method)
    assert found.gap <= 1e-6
    assert not file.exists()
    assert kept.exists()
    openpoint.reconfigure("das70", method=method)
    assert list(tmp_path.iterdir()) == [file]
    assert verify(openpoint.read("das70"), file).loss_kw == found.loss_kw


def test_a_folder_in_the_place_of_a_certificate_stays(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        put_aside(folder)
    assert list(tmp_path.iterdir()) == [folder]
