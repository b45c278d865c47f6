"""Topology search as a value: what a caller may give for a path and an executor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import openpoint
from openpoint import GivenExecutor, OptionError, Processes, TopologySearch


def test_a_text_is_a_path(tmp_path: Path) -> None:
    method = TopologySearch(certificate=f"{tmp_path}/proof.cert", checkpoint=f"{tmp_path}/open")  # type: ignore[arg-type]
    openpoint.reconfigure("baran33", method=method)
    assert list(tmp_path.iterdir()) == [tmp_path / "proof.cert"]
    with pytest.raises(OptionError, match="certificate"):
        TopologySearch(certificate=3)  # type: ignore[arg-type]


def test_an_executor_is_taken_as_it_is_and_a_text_names_one() -> None:
    with ThreadPoolExecutor(2) as executor:
        method = TopologySearch(executor=executor)  # type: ignore[arg-type]
        assert method.executor == GivenExecutor(executor)
        assert openpoint.reconfigure("baran33", method=method).gap <= 1e-6
    assert TopologySearch(executor="processes:2").executor == Processes(2)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="no place to run"):
        TopologySearch(executor="2")  # type: ignore[arg-type]
