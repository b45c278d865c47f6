"""Compile beforehand everything that is otherwise compiled at its first use on a machine: small runs call all of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from openpoint.cli.display import console
from openpoint.grid import builtin
from openpoint.network.limits import Limits
from openpoint.report.terminal import words
from openpoint.scenarios.growth import grow
from openpoint.scenarios.storms import storms
from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.studies.harden.study import harden
from openpoint.studies.powerflow.study import run_powerflow
from openpoint.studies.reconfigure.study import BranchExchange, reconfigure
from openpoint.verify import verify


def warmup(*, quiet: bool) -> int:
    """Run each study that compiles, on grids that take no time themselves."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    from openpoint.compiled.jit import while_compiling

    out = console(quiet=quiet)
    compiled: list[str] = []
    began = time.perf_counter()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=out, transient=True) as bar:
        task = bar.add_task("compiling", total=len(STEPS))

        def report(name: str, finished: bool) -> None:
            if finished:
                compiled.append(name)
            else:
                bar.update(task, description=f"compiling {name}")

        with while_compiling(report):
            for run in STEPS:
                run()
                bar.advance(task)
    if compiled:
        seconds = time.perf_counter() - began
        out.print(f"{words.count(len(compiled), 'function')} compiled in {seconds:.0f} s and kept for later runs.")
    else:
        out.print("Everything is compiled already: nothing to do.")
    return 0


def _flow() -> None:
    run_powerflow(builtin.load("civanlar16"))


def _exchange() -> None:
    reconfigure(builtin.load("civanlar16"), method=BranchExchange())


def _search() -> None:
    reconfigure(builtin.load("civanlar16"), method=TopologySearch())


def _impossible_limits() -> None:
    # Voltages that no state keeps: the search for the highest voltages of all states is compiled for them.
    reconfigure(builtin.load("baran33"), method=TopologySearch(), limits=Limits(v_min_pu=0.95))


def _futures() -> None:
    grid = builtin.load("civanlar16")
    reconfigure(grid, futures=grow(grid, count=2, seed=1), method=TopologySearch())


def _year() -> None:
    reconfigure(builtin.load("civanlar16"), year="synthetic-hours")


def _certificate() -> None:
    grid = builtin.load("baran33")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "proof.cert"
        reconfigure(grid, method=TopologySearch(certificate=file))
        verify(grid, file)


def _enumeration() -> None:
    reconfigure(builtin.load("civanlar16"), method=Enumeration())


def _restoration() -> None:
    grid = builtin.load("zhang13")
    harden(grid, disasters=storms(grid, count=2, seed=1), max_lines=1, max_generators=1)


STEPS: tuple[Callable[[], None], ...] = (
    _flow,
    _exchange,
    _search,
    _impossible_limits,
    _futures,
    _year,
    _certificate,
    _enumeration,
    _restoration,
)
