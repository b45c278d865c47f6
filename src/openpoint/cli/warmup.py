"""Compile beforehand everything that is otherwise compiled at its first use on a machine."""

from __future__ import annotations

import time

from openpoint.cli import words
from openpoint.cli.display import console


def warmup(*, quiet: bool) -> int:
    """Run each study that compiles, on grids that take no time themselves."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    from openpoint.cli import warmup_runs as study
    from openpoint.compiled.jit import while_compiling

    out = console(quiet=quiet)
    compiled: list[str] = []
    began = time.perf_counter()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=out, transient=True) as bar:
        task = bar.add_task("compiling", total=len(study.STEPS))

        def tell(name: str, finished: bool) -> None:
            if finished:
                compiled.append(name)
            else:
                bar.update(task, description=f"compiling {name}")

        with while_compiling(tell):
            for run in study.STEPS:
                run()
                bar.advance(task)
    if compiled:
        seconds = time.perf_counter() - began
        out.print(f"{words.count(len(compiled), 'function')} compiled in {seconds:.0f} s and kept for later runs.")
    else:
        out.print("Everything is compiled already: nothing to do.")
    return 0
