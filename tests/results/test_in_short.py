"""The first sentence about a result is about the grid: what is to be done, and not that nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

import openpoint
from openpoint import Grid, Termination
from tests.builders.pages import render
from tests.builders.partitions import five
from tests.cli.desk import tables
from tests.report.conftest import build_result

FUTURES = pl.DataFrame({"future": ["one"], "bus": ["A"], "p_kw": [500.0], "q_kvar": [200.0], "probability": [1.0]})
DISASTERS = pl.DataFrame({"disaster": ["wind"], "probability": [1.0], "branch": ["A-B"]})


def ring() -> Grid:
    return Grid.from_tables("ring", tables())


def futures() -> Any:
    return openpoint.reconfigure(ring(), futures=FUTURES, method=openpoint.Enumeration())


def hardened() -> Any:
    return openpoint.harden(ring(), disasters=DISASTERS, budget_usd=0.0, value_of_information=False)


STUDIES: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "reconfigure": (build_result, {}, "2 switchings (1 to close, 1 to open)"),
    "as today": (build_result, {"open_branches": ("c-e",)}, "nothing to switch"),
    "futures": (futures, {}, "2 switchings (1 to close, 1 to open)"),
    "harden": (hardened, {"hardened_branches": ("A-B",), "generators": ("B", "C")}, "1 line to harden and 2 backup"),
    "harden nothing": (hardened, {"hardened_branches": (), "generators": ()}, "nothing to buy"),
}


@pytest.mark.parametrize("name", STUDIES)
def test_the_first_sentence_says_what_is_to_be_done(name: str) -> None:
    study, changed, todo = STUDIES[name]
    result = replace(study(), termination=Termination.OPTIMAL, **changed)
    assert result.in_short.startswith(f"Proven optimal: {todo}")
    assert result.in_short in render(result)
    late = replace(result, termination=Termination.TIME)
    assert late.in_short.startswith(f"{Termination.TIME.remedy} {todo[0].upper()}{todo[1:]}")


def test_switches_of_a_partition_count_from_today() -> None:
    result = openpoint.partition(five().grid())
    moved = result.switches.filter(pl.col("switching") != "").height
    assert result.in_short.startswith(f"Proven optimal: {moved} switching")
    assert result.in_short in render(result)
    still = replace(result, switches=result.switches.with_columns(switching=pl.lit("")))
    assert still.in_short == "Proven optimal: nothing to switch."


def test_relaxed_limits_are_said_in_the_first_sentence() -> None:
    result = replace(build_result(), termination=Termination.SOFT)
    assert result.in_short == f"{Termination.SOFT.remedy} 2 switchings (1 to close, 1 to open)."


def test_without_an_answer_nothing_is_to_be_done() -> None:
    assert build_result(answer=False).in_short == Termination.INFEASIBLE.remedy
