"""What is compiled at the first use on a machine is told, once, and can be compiled beforehand."""

import importlib
import io
from collections.abc import Iterator
from pathlib import Path

import numba
import pytest
from rich.console import Console

import openpoint
import openpoint.compiled.compiler
from openpoint.cli import warmup
from openpoint.cli.display import COMPILING, Progress
from openpoint.compiled.jit import Kernel, Way, functions_of
from openpoint.compiled.timer import while_compiling
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
        openpoint.reconfigure_futures(small, openpoint.grow(small, count=3, seed=2))
        openpoint.reconfigure(random_grid(3, Flavour(feed=True, dispatch=True, limits=True)))
        openpoint.run_powerflow(openpoint.read("zhang118"))
        openpoint.harden(openpoint.read("zhang13"), any_lines=1, max_lines=1, max_generators=1)
    assert told == []


def kernels() -> Iterator[Kernel]:
    """All functions of the package whose machine code is kept on the disk."""
    root = Path(openpoint.__path__[0])
    for path in sorted(root.rglob("*.py")):
        if any(line in ("@compiled", "@lean") for line in path.read_text().splitlines()):
            module = importlib.import_module("openpoint." + ".".join(path.relative_to(root).with_suffix("").parts))
            yield from (
                value
                for value in vars(module).values()
                if isinstance(value, Kernel) and value.__module__ == module.__name__
                if value.way in (Way.WHOLE, Way.LEAN)
            )


def test_every_kernel_is_compiled_by_it(warm: None) -> None:
    """Called by itself, or by another one, in whose machine code it is."""
    everything = list(kernels())
    assert len(everything) >= 45
    called = [kernel for kernel in everything if kernel.signatures]
    within = {code for kernel in called for code in functions_of(kernel.py_func)}
    assert [kernel.py_func.__name__ for kernel in everything if kernel.py_func not in within] == []


def test_the_command_says_that_nothing_is_left(warm: None, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "STEPS", warmup.STEPS[:3])  # of all kernels the test above knows
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
