"""What is compiled at the first use on a machine is told, once, and can be compiled beforehand."""

from __future__ import annotations

import io

import numba
import pytest
from rich.console import Console

import openpoint
from openpoint.cli import warmup
from openpoint.cli.display import COMPILING, Progress
from openpoint.compiled.jit import while_compiling
from tests.builders.grids import Flavour, random_grid
from tests.cli.desk import Command


@pytest.fixture(scope="module")
def warm() -> None:
    for run in warmup.STEPS:
        run()


def test_after_it_no_study_compiles(warm: None) -> None:
    told: list[str] = []
    limits, small = openpoint.Limits(v_min_pu=0.97), openpoint.read("civanlar16")
    with while_compiling(lambda name, finished: told.append(name)):
        openpoint.reconfigure(openpoint.read("baran33"))
        openpoint.reconfigure(openpoint.read("das70"), limits=limits, max_changes=4)
        openpoint.reconfigure(small, futures=openpoint.grow(small, count=3, seed=2))
        openpoint.reconfigure(random_grid(3, Flavour(feed=True, dispatch=True, limits=True)))
        openpoint.run_powerflow(openpoint.read("zhang118"))
        openpoint.harden(openpoint.read("zhang13"), any_lines=1, max_lines=1, max_generators=1)
    assert told == []


def test_the_command_says_that_nothing_is_left(warm: None, command: Command) -> None:
    done = command("warmup")
    assert (done.code, done.err) == (0, "")
    assert done.out.strip() == "Everything is compiled already: nothing to do."


def test_a_run_says_once_that_it_compiles() -> None:
    page = io.StringIO()
    with Progress(Console(file=page, width=200)):
        for _ in range(2):
            numba.njit(lambda x: x + 1)(1)
    assert page.getvalue() == COMPILING + "\n"


def test_only_the_outermost_function_is_told() -> None:
    inner = numba.njit(lambda x: x + 1)

    @numba.njit
    def outer(x: int) -> int:
        return int(inner(x) + 1)

    told: list[tuple[str, bool]] = []
    with while_compiling(lambda name, finished: told.append((name, finished))):
        assert (outer(1), outer(2)) == (3, 4)
    assert told == [("outer", False), ("outer", True)]
