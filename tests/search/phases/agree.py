"""Searches of random grids of phases beside all their radial states: power flows, bounds, answers, certificates."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import itertools
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import openpoint
from openpoint.arrays import Complexes, Floats, Ints, States
from openpoint.errors import OptionError
from openpoint.formulations.phases import PhasesQuestion, phases_question
from openpoint.grid import Grid
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.search.phases.bound import squares_for
from openpoint.search.phases.certificate import problem_text
from openpoint.search.phases.flow import UNDECIDED, trees_for
from openpoint.search.phases.model import EVERYWHERE, Blocks, Box, PhaseModel, phase_model
from openpoint.search.phases.multipliers import improve, pattern_for
from openpoint.search.phases.pieces import balanced
from openpoint.search.phases.tree import Flows, box_around, closed_of, jumping, status_of
from openpoint.verify import CertificateError
from tests.builders.grids import Flavour, random_grid
from tests.builders.meshed import meshed
from tests.builders.phase_devices import feeder_with_devices
from tests.builders.phase_trees import in_chain, phase_trees

KINDS = ("power", "wye", "all", "held", "collapsed", "chain", "feeder", "devices", "single")
"""Loads to neutral of constant power; of every model; deltas, bands and capacitors, too; a loop that stays closed, too;
voltages down to 0.2 pu; two grids in series; feeders with regulators, transformers and laterals; banks, too; one phase
of a balanced grid."""
BALANCED = Flavour(rich=False, feed=True)
FREE = openpoint.Limits(voltage=False, current=False)
GAP, SAME, CLOSE = 1e-4, 1e-5, 1e-8
"""Asked of a search; by which two power flows may differ; rounding of one."""
TIED = 1e-7
"""Share of the load by which losses of two power flows may differ, too: OpenDSS ties windings to ground with a
millionth of their rating, so that none floats."""
FLOWS, NODES, MUTANTS = 6, 6, 6
"""States by OpenDSS, partial states and changed certificates of a grid."""


def grid_of(kind: str, seed: int) -> Grid:
    """The random grid of a kind; a third of those that are trees with ties have generators."""
    if kind in ("feeder", "devices"):
        return meshed(seed) if kind == "feeder" else feeder_with_devices(seed)
    if kind == "chain":
        return in_chain(seed)
    if kind == "single":
        return one_phase(random_grid(seed, BALANCED))
    loads = {"held": "all", "collapsed": "power"}.get(kind, kind)
    grid = phase_trees(seed, loads=loads, generation=seed % 3 == 0, held=kind == "held")
    if kind != "collapsed":
        return grid
    much = {"p_kw": pl.col("p_kw") * 60.0, "q_kvar": pl.col("q_kvar") * 60.0, "v_min_pu": pl.lit(0.92)}
    return grid.with_tables(loads=grid.loads.with_columns(**much))


def one_phase(grid: Grid) -> Grid:
    """Phase a of a balanced grid of lines, loads and generators."""
    changed = {}
    for name, table in grid.tables().items():
        third = [pl.col(of) / 3.0 for of in ("p_kw", "q_kvar") if of in table.columns]
        phase = [pl.lit("a").alias("phases")] if "phases" in table.columns else []
        changed[name] = table.with_columns(*third, *phase)
    return grid.with_tables(**changed)


@dataclass
class Enumerated:
    """All radial states of a grid (K, m) with their losses (K), and of each bus the box of all its voltages."""

    question: PhasesQuestion
    model: PhaseModel
    boxes: Floats
    status: States
    loss: Floats


def enumerated(grid: Grid) -> Enumerated | None:
    """None where fewer than two states have a power flow."""
    question = phases_question(grid, free=("topology",))
    model = phase_model(grid, question.network, question.always, question.never, Box(0.99, 1.01, 1.0))
    boxes = model.blocks.box
    flows, found, losses = Flows(model.within(EVERYWHERE).blocks), [], []
    for closed in question.states():
        status = status_of(model, closed)
        assert np.array_equal(closed_of(model, status), closed)
        loss = flows.loss(status)
        if np.isfinite(loss):
            boxes = box_around(flows.trees.v, model.blocks.has, boxes)
            found.append(status)
            losses.append(loss)
    if len(found) < 2:
        return None
    return Enumerated(question, model.within(boxes), boxes, np.array(found), np.array(losses))


def bound(blocks: Blocks, status: States, h: Complexes, rounds: int) -> float:
    """Of a partial state (m), from multipliers (n, 3) that become those of the best round."""
    trees = trees_for(blocks)
    trees.v[:] = balanced(blocks)
    priority: Ints = np.argsort(-blocks.has.sum(axis=1), kind="stable")
    tools = trees, squares_for(blocks), pattern_for(blocks)
    return float(improve(blocks, status, priority, h, rounds, np.inf, *tools))


def bounds(case: Enumerated, rng: np.random.Generator, nodes: int) -> list[tuple[float, float]]:
    """Bounds of partial states at random beside the least loss of their completions.

    Multipliers are those of the fixed point, disturbed, and of no sense at all.
    """
    blocks, found = case.model.blocks, []
    free = blocks.has & ~blocks.is_source[:, None]
    for _ in range(nodes):
        tree = case.status[rng.integers(len(case.status))]
        movable = blocks.movable & (rng.random(len(tree)) < rng.random())
        status = np.where(movable, UNDECIDED, tree).astype(np.int8)
        best = case.loss[((case.status == status) | (status == UNDECIDED)).all(axis=1)].min()
        h = np.zeros(blocks.has.shape, dtype=np.complex128)
        for rounds, size in ((0, 0.0), (2, 0.0), (8, 0.0), (0, 0.02), (0, 0.3)):
            noise = rng.normal(size=h.shape) + 1j * rng.normal(size=h.shape)
            h = h + np.where(free, size * max(np.abs(h).max(), 0.01) * noise, 0.0)
            found.append((bound(blocks, status, h, rounds), float(best)))
    return found


def lines_of(path: Path) -> list[Any]:
    """The lines of a certificate."""
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def written(path: Path, lines: list[Any]) -> Path:
    """A certificate of such lines."""
    path.write_bytes(gzip.compress("".join(f"{json.dumps(line)}\n" for line in lines).encode()))
    return path


def mutant(rng: np.random.Generator, lines: list[Any]) -> list[Any]:
    """The lines of a certificate with one change."""
    some = [json.loads(json.dumps(line)) for line in lines]
    numbers = [k for k, line in enumerate(lines) if isinstance(line, dict) and k]
    at, kind = int(rng.integers(1, len(some))), int(rng.integers(6))
    if kind == 0:
        del some[at]
    elif kind == 1:
        some[at] = str(rng.choice(["none", "flow"]))
    elif kind == 2:
        some.insert(at, some[at])
    elif kind == 3:
        some[at] = int(rng.integers(-1, 12))
    elif kind == 4 and numbers:
        steps = some[int(rng.choice(numbers))]["steps"]
        steps[int(rng.integers(len(steps)))] += int(rng.integers(-(2**22), 2**22))
    else:
        other = int(rng.integers(1, len(some)))
        some[at], some[other] = some[other], some[at]
    return some


def reference() -> Any:
    """The checker of docs/check_phases.py, which imports nothing of ours but the balls beside it."""
    docs = str(Path(__file__).parents[3] / "docs")
    sys.path[:0] = [] if docs in sys.path else [docs]
    return importlib.import_module("check_phases")


@dataclass
class Tally:
    """What was compared of grids of a kind, and what is wrong."""

    grids: int = 0
    refused: int = 0
    states: int = 0
    flows: int = 0
    bounds: int = 0
    certificates: int = 0
    mutants: int = 0
    refused_mutants: int = 0
    wrong: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        """The cells of a table."""
        counts = self.grids, self.refused, self.states, self.flows, self.bounds, self.certificates
        return [f"{each:,}" for each in (*counts, self.mutants, self.refused_mutants, len(self.wrong))]


def compare(kind: str, seed: int, folder: Path, tally: Tally) -> None:
    """Compare one grid with all its radial states; grids that have one state or that the bound refuses are counted."""
    grid, rng = grid_of(kind, seed), np.random.default_rng([seed, 43])
    try:
        case = enumerated(grid)
    except OptionError:
        case = None
    if case is None:
        tally.refused += 1
        return
    name, before = f"{kind} {seed}", len(tally.wrong)
    tally.grids, tally.states = tally.grids + 1, tally.states + len(case.status)
    _flows(grid, case, name, tally)
    for found, best in bounds(case, rng, NODES):
        tally.bounds += int(np.isfinite(found))
        if found > best * (1.0 + 1e-9) + 1e-12:
            tally.wrong.append(f"{name}: a bound of {found} above {best}")
    path = folder / "proof.gz"
    path.unlink(missing_ok=True)
    method = openpoint.TopologySearch(gap=GAP, certificate=path)
    answer = openpoint.reconfigure(grid, method=method, limits=FREE)
    every = openpoint.reconfigure(grid, method=openpoint.Enumeration(), limits=FREE)
    assert answer.loss_kw is not None
    assert answer.lower_bound_kw is not None
    assert every.loss_kw is not None
    if answer.loss_kw > every.loss_kw * (1.0 + GAP + SAME) + 1e-9:
        tally.wrong.append(f"{name}: {answer.loss_kw} kW, and enumeration {every.loss_kw}")
    if answer.lower_bound_kw > every.loss_kw * (1.0 + SAME) + 1e-9:
        tally.wrong.append(f"{name}: at least {answer.lower_bound_kw} kW, and enumeration {every.loss_kw}")
    if kind == "single":
        whole = openpoint.reconfigure(
            random_grid(seed, BALANCED), method=openpoint.TopologySearch(gap=GAP), limits=FREE
        )
        assert whole.loss_kw is not None
        if abs(whole.loss_kw / 3.0 - answer.loss_kw) > (GAP + SAME) * answer.loss_kw + 1e-9:
            tally.wrong.append(f"{name}: {answer.loss_kw} kW, and of the balanced grid {whole.loss_kw} in three phases")
    if path.exists():
        _certificate(grid, case, path, rng, name, tally)
    elif not any("no certificate" in note for note in answer.notes):
        tally.wrong.append(f"{name}: no certificate and no word of it")
    if len(tally.wrong) > before:
        tally.wrong[-1] += f" ({answer.termination})"


def _flows(grid: Grid, case: Enumerated, name: str, tally: Tally) -> None:
    """Some states by OpenDSS; where loads jump there may be several flows, and nothing is compared."""
    if jumping(case.model.blocks).any():
        return
    circuit, base = OpenDssCircuit(grid), case.question.network.s_base_kva / 3.0
    tied = TIED * float(grid.loads["p_kw"].sum())
    for status, loss in itertools.islice(zip(case.status, case.loss, strict=True), FLOWS):
        circuit.rewire(closed_of(case.model, status))
        solved = circuit.solve()
        if solved.converged[0]:
            tally.flows += 1
            if abs(loss * base - solved.loss_kw[0]) > SAME * solved.loss_kw[0] + tied:
                tally.wrong.append(f"{name}: a flow loses {loss * base} kW, by OpenDSS {solved.loss_kw[0]}")


def _certificate(grid: Grid, case: Enumerated, path: Path, rng: np.random.Generator, name: str, tally: Tally) -> None:
    """Both checkers accept it and prove no more than is true, of changed ones neither."""
    other, lines = reference(), lines_of(path)
    least = case.loss.min() * case.question.network.s_base_kva / 3.0 * (1.0 + CLOSE) + 1e-9
    proved = openpoint.verify_phases(grid, path)
    problem = json.loads(problem_text(grid, proved))
    both = proved.lower_bound_kw, other.check(problem, lines)
    tally.certificates += 1
    if max(both) > least:
        tally.wrong.append(f"{name}: certificates prove {both} kW of {least}")
    for _ in range(MUTANTS if len(lines) > 1 else 0):
        some = mutant(rng, lines)
        tally.mutants += 1
        try:
            found = openpoint.verify_phases(grid, written(path, some)).lower_bound_kw
        except CertificateError:
            found, tally.refused_mutants = 0.0, tally.refused_mutants + 1
        with contextlib.suppress(other.Refused):
            found = max(found, other.check(problem, some))
        if found > least:
            tally.wrong.append(f"{name}: a changed certificate proves {found} kW of {least}")
