"""Compile beforehand everything that is otherwise compiled at its first use on a machine: small runs call all of it."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from openpoint.arrays import Bools
from openpoint.cli.display import console
from openpoint.formulations.phases import phases_question
from openpoint.grid import Grid, files
from openpoint.network import build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.network.limits import Limits
from openpoint.report.terminal import words
from openpoint.scenarios.growth import grow
from openpoint.scenarios.storms import storms
from openpoint.search.kernel import entries
from openpoint.search.kernel.arrays import work_for
from openpoint.search.kernel.bookkeeping import counts, record_for
from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.search.model.build import build_model
from openpoint.search.paths.explorer import PathExplorer, pool_within
from openpoint.search.phases.known import largest_block, near_block
from openpoint.search.phases.model import Box, PhaseModel, phase_model
from openpoint.search.phases.pieces import Pieces, balanced, core_of, undecided
from openpoint.search.phases.proof import Checker
from openpoint.search.phases.proof_states import FEW as CHECKED
from openpoint.search.phases.tree import free_of_charge, status_of
from openpoint.search.switching.searches import JointSearch, PeriodSearch, Wanted
from openpoint.search.topology import search_topologies
from openpoint.studies.dispatch.day.study import dispatch_day
from openpoint.studies.dispatch.study import dispatch
from openpoint.studies.enclose.study import enclose
from openpoint.studies.harden.all_trees import AllTrees
from openpoint.studies.harden.study import harden
from openpoint.studies.harden.trees import feeder_of, missed_limits, spanning_trees
from openpoint.studies.powerflow.study import run_powerflow
from openpoint.studies.reconfigure.faults.study import reconfigure_secure
from openpoint.studies.reconfigure.futures.study import reconfigure_futures
from openpoint.studies.reconfigure.study import BranchExchange, reconfigure
from openpoint.studies.reconfigure.year.seasons.study import reconfigure_seasons
from openpoint.studies.reconfigure.year.study import reconfigure_year
from openpoint.verify import Question, check, verify


def warmup(*, quiet: bool) -> int:
    """Run each study that compiles, on grids that take no time themselves."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    from openpoint.compiled.timer import while_compiling

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
    run_powerflow(files.load("civanlar16"))


def _exchange() -> None:
    reconfigure(files.load("civanlar16"), method=BranchExchange())


def _search() -> None:
    reconfigure(files.load("civanlar16"), method=TopologySearch())


def _impossible_limits() -> None:
    # Voltages that no state keeps: the search for the highest voltages of all states is compiled for them.
    reconfigure(files.load("baran33"), method=TopologySearch(), limits=Limits(v_min_pu=0.95))


def _futures() -> None:
    grid = files.load("civanlar16")
    futures = grow(grid, count=2, seed=1)
    reconfigure_futures(grid, futures, method=TopologySearch())
    with tempfile.TemporaryDirectory() as folder:
        reconfigure_futures(grid, futures, method=TopologySearch(certificate=Path(folder) / "proof.cert"))


def _year() -> None:
    reconfigure_year(files.load("civanlar16"), "synthetic-hours")
    reconfigure_seasons(files.load("civanlar16"), "synthetic-hours", "quarterly", switchings_a_year=2)


def _certificate() -> None:
    grid = files.load("baran33")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "proof.cert"
        reconfigure(grid, method=TopologySearch(certificate=file))
        verify(grid, file)


def _parts_of_paths() -> None:
    # Grids of 200 paths and more are bounded by parts of these; after some looks whether to stop the search is stopped.
    search_topologies(build_network(_mesh(11, 11)), stop=_After(20))
    network = build_network(_mesh(9, 10))  # one part: no prices of borders are looked for before its tree grows
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "proof.cert"
        search_topologies(network, stop=_After(24), certificate=file)
        check(Question.of(network), file)


class _After:
    """A wish to stop that comes after so many questions for it."""

    def __init__(self, questions: int) -> None:
        self.left = questions

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def _mesh(rows: int, columns: int) -> Grid:
    """A mesh of lines that may all be opened, with a source in a corner and loads that differ."""
    at = {(i, j): f"{i} {j}" for i in range(rows) for j in range(columns)}
    ends = [(a, (a[0] + i, a[1] + j)) for a in at for i, j in ((0, 1), (1, 0)) if (a[0] + i, a[1] + j) in at]
    size = [1.0 + k * k % 7 for k in range(len(ends))]
    lines = {"name": [f"line {k}" for k in range(len(ends))], "r_ohm": [0.1 * z for z in size]}
    lines |= {"from_bus": [at[a] for a, _ in ends], "to_bus": [at[b] for _, b in ends]}
    lines |= {"x_ohm": [0.07 * z for z in size], "switchable": [True] * len(ends)}
    buses = [*at.values()]
    loads = {"name": buses[1:], "bus": buses[1:], "p_kw": [5.0 * z for z in size[: len(buses) - 1]]}
    loads["q_kvar"] = [2.0 * z for z in size[: len(buses) - 1]]
    source = {"name": ["source"], "bus": buses[:1]}
    tables: dict[str, dict[str, Any]]
    tables = {"buses": {"name": buses, "vn_kv": [20.0] * len(buses)}, "lines": lines, "loads": loads, "sources": source}
    return Grid.from_tables("mesh", tables)


def _enumeration() -> None:
    reconfigure(files.load("civanlar16"), method=Enumeration())


def _corners() -> None:
    enclose(files.load("baran33"), for_every="load=10%")


def _phases() -> None:
    if find_spec("opendssdirect") is not None:  # without it no grid of phases is read
        reconfigure(
            files.load("ieee13-microgrids"), method=TopologySearch(), limits=Limits(voltage=False, current=False)
        )
        # One with more radial states than are swept at a node, and with nodes to divide.
        one = _of_one_phase(_mesh(4, 4))
        answer = reconfigure(one, method=TopologySearch(gap=0.02))
        # The checker bounds flows in the core after many of the whole grid.
        model, today = _model(answer.grid_after or one)
        checker, status = Checker(model.blocks), status_of(model, today)
        checker.flows.value(status)
        for _ in range(CHECKED + 1):
            checker.flows.least(status, free_of_charge, 0.0)
        # A piece that is a tree, and one whose loop stays closed.
        loop = _of_one_phase(_mesh(2, 2))
        for count in (3, 4):
            lines = loop.lines.head(count).with_columns(switchable=False)
            blocks = _model(loop.with_tables(lines=lines))[0].blocks
            Pieces.of(blocks, np.where(blocks.is_source, -1, np.argmax(blocks.is_source)), balanced(blocks)).flows()
        _block_of_phases()


def _block_of_phases() -> None:
    """Two meshes with a line between them and leaves: the second one is a block in any of its states."""
    grid = _of_one_phase(_mesh(2, 6))
    grid = grid.with_tables(lines=grid.lines.filter(~pl.struct("from_bus", "to_bus").is_in(_BETWEEN)))
    model, today = _model(grid)
    core = core_of(model.blocks, status_of(model, today))
    if block := largest_block(core, fewest=1):
        for each in near_block(core, *block, CHECKED):
            each.of(undecided(core.blocks)[each.branch], math.inf)


_BETWEEN = [{"from_bus": "1 2", "to_bus": "1 3"}, {"from_bus": "0 5", "to_bus": "1 5"}]


def _of_one_phase(grid: Grid) -> Grid:
    """The same of phase a alone."""
    phase, tables = pl.lit("a").alias("phases"), {"buses": grid.buses, "lines": grid.lines, "loads": grid.loads}
    return grid.with_tables(**{name: table.with_columns(phase) for name, table in tables.items()})


def _model(grid: Grid) -> tuple[PhaseModel, Bools]:
    """A grid as matrices, and (B) its state."""
    asked = phases_question(grid, free=("topology",))
    return phase_model(asked.grid, asked.network, asked.always, asked.never, Box()), asked.today


def _devices() -> None:
    dispatch(files.load("baran33-devices"), limits=Limits(v_min_pu=0.95))


def _day() -> None:
    grid, uncertain = files.load("baran33"), {"load": 0.1, "solar": 0.3, "wind": 0.3}
    dispatch_day(grid, "baran33-day", topology="once", uncertain=uncertain, budget=2, gap=0.002)


def _switching() -> None:
    network = build_network(files.load("civanlar16"))
    hours = [replace(network, s_power=factor * network.s_power) for factor in (0.5, 1.0)]
    searches = [PeriodSearch(each, SwitchingRules.of(network)) for each in hours]
    wanted = Wanted(prices=np.zeros(network.n_conductors), threshold=math.inf, least=np.zeros(2))
    JointSearch(searches, np.ones(2), wanted).below()


def _faults() -> None:
    reconfigure_secure(files.load("civanlar16"), restorable="today")


def _restoration() -> None:
    grid = files.load("zhang13")
    harden(grid, disasters=storms(grid, count=2, seed=1), max_lines=1, max_generators=1)
    # All spanning trees are looked at where voltages bind.
    network, nowhere = build_network(grid), np.empty(0, dtype=np.int64)
    feeder = feeder_of(network, np.ones(network.n_terminals), nowhere, np.empty(0))
    root = network.source_terminal[0]
    live = np.ones(network.n_conductors, dtype=np.bool_)
    AllTrees(feeder, root, (1.0, 1.0, 1.0), 1).placed(live, np.array([root]))
    _, opened, _ = spanning_trees(feeder, live, root, feeder.p, feeder.q, 1000)
    missed_limits(feeder, ~np.isin(np.arange(network.n_conductors), opened[0]), root, feeder.p, feeder.q)


def _steps_of_long_searches() -> None:
    # What only a long search calls: on to other processes, and to limits of voltage on a tree with generators.
    network = build_network(files.load("baran33"))
    model, _ = build_model(network)
    work, counted = work_for(model), counts()
    entries.propagate(model, work)
    explorer = PathExplorer(model, work)
    pool = pool_within(1e6, model, explorer, counted)
    explorer.leave(pool, counted)
    entries.leave(model, work, pool, counted)
    entries.take(model, work, pool, counted, record_for(model, 0))
    entries.bounded(model, work)
    entries.iterated(model, work, 1)


STEPS: tuple[Callable[[], None], ...] = (
    _flow,
    _exchange,
    _search,
    _impossible_limits,
    _futures,
    _year,
    _certificate,
    _parts_of_paths,
    _enumeration,
    _corners,
    _phases,
    _devices,
    _day,
    _switching,
    _faults,
    _restoration,
    _steps_of_long_searches,
)
