"""Grids of phases: no bound is above the best completion, search equals enumeration (docs/methods.md M43)."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.arrays import Ints, States
from openpoint.cli.warmup import _mesh
from openpoint.errors import OptionError
from openpoint.formulations.phases import phases_question
from openpoint.grid import Grid
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.search.phases.bound import squares_for
from openpoint.search.phases.deviation import deviate, no_ranges, sizes_for
from openpoint.search.phases.flow import CHANGE, CLOSED, OPEN, UNDECIDED, sweep, trees_for
from openpoint.search.phases.model import EVERYWHERE, NEAR, RADII, SIZES, STEP_U, Box, phase_model
from openpoint.search.phases.multipliers import improve, pattern_for
from openpoint.search.phases.pieces import Core, Pieces, attachments, balanced, core_of, in_series, part_of, undecided
from openpoint.search.phases.response import eliminate, linear_for
from openpoint.search.phases.states import PROBE_SHARE, choose, complete, graph_for, probe, propagate, swept_for
from openpoint.search.phases.tree import (
    Flows,
    PhaseTree,
    bounds_pay,
    box_around,
    jumping,
    kicked,
    states_left,
    status_of,
)
from openpoint.search.tree import grow
from tests.builders.phase_trees import phase_trees
from tests.search.phases.agree import Enumerated, bound, bounds, enumerated, grid_of


def grids(kind: str, seeds: range) -> list[tuple[int, Enumerated]]:
    """Of a kind of `agree.KINDS`, those of several states."""
    found = ((seed, enumerated(grid_of(kind, seed))) for seed in seeds)
    return [(seed, each) for seed, each in found if each is not None]


@pytest.mark.parametrize("kind", ["power", "wye", "all", "held", "collapsed"])
def test_a_bound_is_never_above_the_best_completion(kind: str) -> None:
    count = 0
    for seed, case in grids(kind, range(6)):
        for found, best in bounds(case, np.random.default_rng(seed), 12):
            assert found <= best * (1.0 + 1e-9) + 1e-12, seed
            count += np.isfinite(found)
    assert count > 100


@pytest.mark.parametrize("kind", ["power", "all"])
def test_a_step_with_one_branch_more_open_is_about_a_round_of_its_own(kind: str) -> None:
    """Its bound is one of all states with that branch open, and rises about as much; so does the estimate of it."""
    rises = list[tuple[float, float, float]]()
    for seed, case in grids(kind, range(8)):
        blocks, status = case.model.blocks, undecided(case.model.blocks)
        priority: Ints = np.argsort(-blocks.has.sum(axis=1), kind="stable")
        h, value, guess = np.zeros(blocks.has.shape, dtype=np.complex128), np.empty(len(status)), np.empty(len(status))
        here = bound(blocks, status, h, 12)
        trees = trees_for(blocks)
        trees.v[:] = balanced(blocks)
        tools = trees, squares_for(blocks), pattern_for(blocks), graph_for(blocks)
        assert probe(blocks, status.copy(), priority, h, np.inf, 0.0, *tools, value, guess) >= 0
        for e in np.flatnonzero(status == UNDECIDED):
            best = case.loss[case.status[:, e] == OPEN].min(initial=np.inf)
            assert value[e] <= best * (1.0 + 1e-9) + 1e-12, seed
            if np.isfinite(best):
                other = np.where(np.arange(len(status)) == e, OPEN, status).astype(np.int8)
                assert propagate(blocks, other, graph_for(blocks))
                rises.append((value[e] - here, bound(blocks, other, h.copy(), 1) - here, guess[e] - here))
    by_step, by_round, by_estimate = np.array(rises).T
    assert len(rises) > 30
    assert by_step.sum() > 0.7 * by_round.sum() > 0.0
    known = by_estimate < 0.5 * here  # large ones are those of branches that are nearly bridges
    assert known.sum() > 10
    assert np.median(np.abs(by_estimate / by_step - 1.0)[known]) < 0.3


@pytest.mark.parametrize("kind", ["power", "all", "held"])
def test_what_a_node_decides_is_decided_so_in_each_better_state(kind: str) -> None:
    """Branches that are probed or tried, at cutoffs below and above the best loss, until one divides the states."""
    fixed = divided = 0
    for seed, case in grids(kind, range(8)):
        blocks = case.model.blocks
        priority: Ints = np.argsort(-blocks.has.sum(axis=1), kind="stable")
        tools = trees_for(blocks), squares_for(blocks), pattern_for(blocks), graph_for(blocks)
        for share in (0.9, 1.0001, 1.1):
            status, cutoff = undecided(blocks), share * case.loss.min()
            h, better = np.zeros(blocks.has.shape, dtype=np.complex128), case.loss < cutoff
            value, guess, stepped = np.empty(len(status)), np.empty(len(status)), h.copy()
            tools[0].v[:] = balanced(blocks)
            while propagate(blocks, status, tools[3]) and (status == UNDECIDED).any():
                here = float(improve(blocks, status, priority, h, 3, np.inf, *tools[:3]))
                before = status.copy()
                if (count := probe(blocks, status, priority, h, cutoff, PROBE_SHARE, *tools, value, guess)) < 0:
                    break
                every = np.ones(len(status), dtype=np.bool_)
                asked = blocks, status, every, priority, h, here, cutoff, *tools, value, guess, stepped
                chosen = -1 if count else int(choose(*asked))
                now = (status != before) & (status != UNDECIDED)
                assert ((case.status == status) | ~now)[better].all(), (seed, share)
                fixed += int(now.sum())
                if chosen >= 0:
                    assert value[chosen] <= case.loss[case.status[:, chosen] == OPEN].min(initial=np.inf) * (1 + 1e-9)
                    divided += 1
                    break
            else:
                continue
            assert not better.any() or count >= 0, (seed, share)
    assert fixed > 30
    assert divided > 3


@pytest.mark.parametrize("kind", ["power", "all", "held", "collapsed"])
def test_what_pieces_add_to_the_bound_is_valid_at_all_multipliers_between_the_samples(kind: str) -> None:
    """Branches of a tree are fixed at random, so that parts of it hang on what is left to choose."""
    pieces = count = 0
    for seed, case in grids(kind, range(40, 50)):
        rng, tree, whole = np.random.default_rng(seed), case.status[0], case.model.blocks
        fixed = whole.movable & (tree == CLOSED) & (rng.random(len(tree)) < 0.9)
        left = (case.status[:, fixed] == CLOSED).all(axis=1)
        core = core_of(whole._replace(movable=whole.movable & ~fixed), tree)
        blocks, hung = core.blocks, core.blocks.hung
        pieces += len(hung.bus)
        states, losses = case.status[left][:, core.branch], case.loss[left]
        for _ in range(6):
            other = states[rng.integers(len(states))]
            status = np.where(blocks.movable & (rng.random(len(other)) < rng.random()), UNDECIDED, other).astype(
                np.int8
            )
            best = losses[((states == status) | (status == UNDECIDED)).all(axis=1)].min()
            for rounds, size in ((0, 0.0), (4, 0.0), (0, 0.1), (0, 1.0)):
                noise = rng.normal(size=core.h.shape) + 1j * rng.normal(size=core.h.shape)
                h = core.h + 0.05 * size * noise
                weights = rng.dirichlet(np.ones(6), len(hung.bus)) * rng.choice([-1, 1], (len(hung.bus), 6))
                h[hung.bus] = hung.h + np.einsum("ci,cij->cj", size * weights * hung.reach, hung.mode)
                h = np.where(blocks.has & ~blocks.is_source[:, None], h, 0.0)
                found = bound(blocks, status, h, rounds)
                assert found <= best * (1.0 + 1e-9) + 1e-12, (seed, rounds, size)
                count += np.isfinite(found)
    assert pieces > 2
    assert count > 100


@pytest.mark.parametrize("kind", ["power", "all"])
def test_samples_of_pieces_are_valid_behind_transformers_of_large_reactance(kind: str) -> None:
    """There the bound is not defined at all multipliers; what a piece loses and draws has its prices at the sample."""
    count = 0
    for seed, case in grids(kind, range(40, 50)):
        rng, tree, whole = np.random.default_rng(seed), case.status[0], case.model.blocks
        fixed = whole.movable & (tree == CLOSED) & (rng.random(len(tree)) < 0.9)
        at = attachments(whole._replace(movable=whole.movable & ~fixed))
        inner = (at[whole.fr] >= 0) | (at[whole.to] >= 0)
        z = np.where(inner[:, None, None], whole.z.real + 6j * whole.z.imag, whole.z)
        changed = {"movable": whole.movable & ~fixed, "z": z}
        flows = Flows(whole._replace(**changed))
        if not np.isfinite(flows.loss(tree)):
            continue
        whole = case.model.within(box_around(flows.trees.v, whole.has, case.boxes)).blocks._replace(**changed)
        core = core_of(whole, tree)
        hung, pieces = core.blocks.hung, Pieces.of(whole, attachments(whole), flows.trees.v)
        if not len(hung.bus) or (found := pieces.drawn(v := flows.trees.v[pieces.bus[pieces.root]])) is None:
            continue
        shift = np.repeat(hung.reach[..., None] * hung.mode, 2, axis=1) * np.tile([1.0, -1.0], 6)[None, :, None]
        h = hung.h[:, None, :] + np.concatenate([np.zeros((len(v), 1, 3)), shift], axis=1)
        truth = found[:, None, 3].real + (h * (v * found[:, :3].conj())[:, None, :]).sum(axis=2).real
        bounds = hung.constant - np.einsum("cj,ckjl,cl->ck", v.conj(), hung.a, v).real
        assert (bounds <= truth + 1e-9).all(), seed
        count += bounds.size
    assert count > 25


@pytest.mark.parametrize("kind", ["power", "all", "held"])
def test_all_states_that_are_left_are_swept_in_the_core_with_the_losses_of_the_whole(kind: str) -> None:
    """Pieces hang on the core."""
    count = 0
    for seed, case in grids(kind, range(40, 50)):
        rng, tree, whole = np.random.default_rng(seed), case.status[0], case.model.blocks
        fixed = whole.movable & (tree == CLOSED) & (rng.random(len(tree)) < 0.9)
        left = (case.status[:, fixed] == CLOSED).all(axis=1)
        core = core_of(whole._replace(movable=whole.movable & ~fixed), tree)
        blocks = core.blocks
        found = swept_for(blocks, 1000)
        priority: Ints = np.argsort(-blocks.has.sum(axis=1), kind="stable")
        tools = trees_for(blocks), graph_for(blocks), no_ranges(blocks), False, found
        sizes = sizes_for(blocks, sequences=True)
        swept = complete(blocks, sizes, undecided(blocks), priority, np.inf, *tools)
        assert np.isfinite(found.loss[:swept]).all()  # those that do not feed every phase are left out
        states = {status.tobytes(): loss for status, loss in zip(found.status[:swept], found.loss)}
        assert len(states) == swept
        for status, loss in zip(case.status[left], case.loss[left], strict=True):
            assert states.pop(status[core.branch].tobytes()) == pytest.approx(loss, rel=2e-3)
            count += 1
        assert not states
        best = case.loss[left].min()
        again = complete(blocks, sizes, undecided(blocks), priority, best * 1.003, *tools)
        assert again >= 1
        assert found.loss[:again].min() == pytest.approx(best, rel=2e-3)
        unmoved = sum(bool((each[blocks.movable] != CLOSED).all()) for each in case.status[left][:, core.branch])
        carries = blocks.carries & ~blocks.movable[:, None]
        again = complete(blocks._replace(carries=carries), sizes, undecided(blocks), priority, np.inf, *tools)
        assert again == unmoved  # what feeds not every phase is left out
    assert count > 10


@pytest.mark.parametrize("kind", ["power", "all", "held"])
def test_no_state_loses_less_in_the_whole_grid_than_is_proved_from_its_flow_in_the_core(kind: str) -> None:
    """Its voltages are as near as is proved, too (docs/methods.md M44), of flows that are made exact or ended early."""
    proved = count = 0
    for seed, case in grids(kind, range(60, 70)):
        rng, tree, whole = np.random.default_rng(seed), case.status[0], case.model.blocks
        fixed = whole.movable & (tree == CLOSED) & (rng.random(len(tree)) < 0.9)
        left = (case.status[:, fixed] == CLOSED).all(axis=1)
        core, known = core_of(whole._replace(movable=whole.movable & ~fixed), tree), False
        blocks, trees, flows = core.blocks, trees_for(core.blocks), Flows(whole)
        sizes = sizes_for(blocks, sequences=True)
        priority: Ints = np.argsort(-blocks.has.sum(axis=1), kind="stable")
        for status, loss in zip(case.status[left], case.loss[left], strict=True):
            flows.loss(status)
            # From what holds of another state, and from voltages of another one.
            for change, warm in ((3e-2, known), (1e-3, known), (1e-4, False), (1e-10, False)):
                found = sweep(blocks, status[core.branch], priority, trees, change, warm)
                less = deviate(blocks, sizes, status[core.branch], trees, warm)
                count += 1
                if np.isfinite(less):
                    assert loss >= (found - less) * (1.0 - 1e-9)
                    assert change > 1e-4 or less < 0.1 * found
                    apart = np.abs(np.einsum("njk,nk->nj", sizes.u, flows.trees.v[core.bus] - trees.v))
                    assert (apart <= trees.far + 1e-9).all()
                    proved += 1
            known = bool(np.isfinite(less))
    assert count > 20
    assert proved > 0.6 * count


@pytest.mark.parametrize("kind", ["power", "all"])
def test_what_changes_of_voltages_make_of_a_flow_is_eliminated_as_flows_beside_it_differ(kind: str) -> None:
    """What is drawn at sources and lost behind them, by differences of flows, of a tree and of one with pieces."""
    count, step = 0, 1e-5
    for _, case in grids(kind, range(60, 70)):
        n, closed = len(case.model.blocks.has), np.flatnonzero(case.status[0] == CLOSED)
        whole = part_of(case.model.blocks, np.arange(n), closed, np.ones(n, dtype=np.bool_))
        for blocks in (whole, core_of(whole, np.full(len(closed), CLOSED, dtype=np.int8)).blocks):
            trees, status = trees_for(blocks), np.full(len(blocks.fr), CLOSED, dtype=np.int8)
            n = len(blocks.has)
            linear = linear_for(blocks)
            drawn, lost = linear.drawn, linear.lost
            blocks = blocks._replace(held=blocks.held.copy())
            sweep(blocks, status, np.arange(n), trees, CHANGE, False)
            eliminate(blocks, sizes_for(blocks, sequences=False), status, trees, linear)
            source = int(np.flatnonzero(blocks.is_source)[0])
            for j, way in itertools.product(np.flatnonzero(blocks.has[source]).tolist(), (1.0, 1j)):
                ends = []
                for sign in (1.0, -1.0):
                    blocks.held[source, j] += sign * step * way
                    loss = sweep(blocks, status, np.arange(n), trees, 1e-13, False)
                    blocks.held[source, j] -= sign * step * way
                    ends.append(np.append(trees.drawn[source], loss))
                slope, column = (ends[0] - ends[1]) / (2.0 * step), j if way == 1.0 else 3 + j
                found = drawn[source, :3, column] + 1j * drawn[source, 3:, column]
                np.testing.assert_allclose(found, slope[:3], rtol=2e-3, atol=2e-4)
                np.testing.assert_allclose(lost[source, column], slope[3].real, rtol=2e-3, atol=2e-4)
                count += 1
    assert count > 40


@pytest.mark.parametrize("kind", ["power", "all"])
def test_what_pieces_draw_is_within_what_is_known_of_it(kind: str) -> None:
    """At voltages at random around those at which their flows are known."""
    count = 0
    for seed, case in grids(kind, range(60, 70)):
        rng, tree, whole = np.random.default_rng(seed), case.status[0], case.model.blocks
        fixed = whole.movable & (tree == CLOSED) & (rng.random(len(tree)) < 0.9)
        whole = whole._replace(movable=whole.movable & ~fixed)
        core, flows = core_of(whole, tree), Flows(whole)
        hung = core.blocks.hung
        flows.loss(tree)
        if not len(hung.bus):
            continue
        pieces = Pieces.of(whole, attachments(whole), flows.trees.v)
        assert np.array_equal(core.bus[hung.bus], pieces.bus[pieces.root])
        sizes = sizes_for(core.blocks, sequences=True)
        for _ in range(20):
            k, i = int(rng.integers(SIZES)), int(rng.integers(NEAR))
            middle = (hung.base + STEP_U * k)[:, None] * hung.shape
            other = rng.normal(size=middle.shape) + 1j * rng.normal(size=middle.shape)
            other *= rng.uniform(0.3, 1.0) * RADII[i] / np.abs(other)
            found = pieces.drawn(np.where(middle != 0.0, middle + other, 0.0))
            if found is None:
                continue
            moves = np.stack([other.real, other.imag], axis=2).reshape(len(middle), 6)
            linear = hung.flow[:, k] + np.einsum("cm,cmo->co", moves, hung.slope[:, k])
            u = sizes.u[hung.bus]
            off = np.abs(found - linear)[:, :3]
            assert (off <= hung.off[:, k, i, :3] + 1e-9).all(), seed
            assert (found[:, 3].real >= linear[:, 3].real - hung.off[:, k, i, 3] - 1e-9).all(), seed
            change = np.abs(np.einsum("cjk,ck->cj", u, other))
            change = np.einsum("cm,cmo->co", change, hung.steep[:, k])
            assert (np.abs(np.einsum("cjk,ck->cj", u, (linear - hung.flow[:, k])[:, :3])) <= change[:, :3] + 1e-9).all()
            count += int(np.isfinite(hung.off[:, k, i]).sum())
    assert count > 250


def test_branches_in_series_are_one_of_the_same_flow() -> None:
    gone = 0
    for seed, case in grids("power", range(6)):
        rng, whole, tree = np.random.default_rng(seed), case.model.blocks, case.status[0]
        idle = ~whole.is_source & (rng.random(len(whole.has)) < 0.7)
        branches = np.flatnonzero(tree != OPEN)
        blocks = part_of(whole, np.arange(len(whole.has)), branches, ~idle[whole.bus])
        blocks = blocks._replace(
            movable=np.zeros(len(branches), dtype=np.bool_),
            s=np.where(idle[:, None], 0.0, blocks.s),
            y=np.where(idle[:, None, None], 0.0, blocks.y),
            y_fr=blocks.y_fr * 1e-6,
            y_to=blocks.y_to * 1e-6,
        )
        merged, _, at = in_series(blocks)
        status = tree[branches]
        assert Flows(merged).loss(status[at]) == pytest.approx(Flows(blocks).loss(status), rel=1e-8)
        gone += len(blocks.has) - len(merged.has)
    assert gone > 1


@pytest.mark.parametrize("low", [0.6, 0.8, 0.97])
def test_lines_in_the_place_of_what_loads_draw_are_valid_in_the_whole_box(low: float) -> None:
    """Of ieee13, whose loads have bands of voltage within most boxes: c share(u) ≥ c (a + b u²), point by point."""
    grid = openpoint.read("ieee13")
    question = phases_question(grid, free=("topology",))
    box = Box(low, 1.2, 10.0)
    blocks = phase_model(grid, question.network, question.always, question.never, box).blocks
    trees, squares, h = trees_for(blocks), squares_for(blocks), np.zeros((len(blocks.has), 3), dtype=complex)
    trees.v[:] = balanced(blocks)
    priority: Ints = np.argsort(-blocks.has.sum(axis=1), kind="stable")
    improve(blocks, undecided(blocks), priority, h, 3, np.inf, trees, squares, pattern_for(blocks))
    tried = 0
    for d, back in enumerate(blocks.back.tolist()):
        size = 1.0 if back < 0 else np.sqrt(3.0)
        ends = (box.v_min, box.v_max) if back < 0 else box.row[6:8] / size
        u = np.linspace(*ends, 5001)
        least, most, rated = blocks.low[d], blocks.high[d], blocks.rated[d]
        # OpenDSS: constant below half of the rated voltage and above the band as an impedance, linear between
        constant = blocks.outer[d] == 1
        at_low, w = 1.0 if constant else rated / least, u / rated
        edge = least / rated
        under = w * (0.5 + (at_low - 0.5) * (w - 0.5) / (edge - 0.5)) if np.isfinite(edge) and edge > 0.5 else w**2
        under = np.where(w <= 0.5, w**2, under)
        over = w**2 / (most / rated) ** (1 if constant else 2)
        scale = rated ** int(blocks.degree[d])
        draws = np.where(u < least, scale * under, np.where(u > most, scale * over, u ** int(blocks.degree[d])))
        away = draws - squares.line[d, 0] - squares.line[d, 1] * u**2
        assert (away >= 0.0).all() or (away <= 0.0).all(), (d, away.min(), away.max())
        tried += bool(least > ends[0])
    assert tried > 0 or low > 0.95


def test_of_loads_of_constant_power_the_bound_of_a_tree_is_its_loss() -> None:
    """And of impedances, capacitors and charging: nothing is lost by completing the square."""
    for _, case in grids("power", range(12)):
        for status, loss in zip(case.status[:3], case.loss[:3], strict=True):
            h = np.zeros(case.model.blocks.has.shape, dtype=np.complex128)
            assert bound(case.model.blocks, status, h, 20) == pytest.approx(loss, rel=1e-7)


@pytest.mark.parametrize("kind", ["power", "all", "held"])
@pytest.mark.parametrize("bounded", [True, False])
def test_the_search_finds_what_enumeration_finds(kind: str, bounded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With bounds of nodes, and with flows of states alone, until these prove little."""
    if not bounded:
        monkeypatch.setattr("openpoint.search.phases.tree.FEW", 2)
    for seed, case in grids(kind, range(20, 26)):
        flows = Flows(case.model.blocks)
        best = [case.loss.max() * 1.001]
        core = core_of(case.model.blocks, case.status[0], sampled=bounded)
        assert core.bound <= case.loss.min() * (1.0 + 1e-9)
        tree = PhaseTree(core, best[0], bounded=bounded)

        def leaf(
            at: States,
            best: list[float] = best,
            tree: PhaseTree = tree,
            flows: Flows = flows,
            core: Core = core,
            known: States = case.status[0],
        ) -> None:
            best[0] = min(best[0], flows.loss(core.whole(at, known)))
            tree.cutoff = min(tree.cutoff, best[0] * (1.0 - 1e-6))

        assert grow(tree, leaf, lambda: False)
        assert best[0] == pytest.approx(case.loss.min(), rel=1e-9), seed
        assert min(tree.lowest, best[0]) >= best[0] * (1.0 - 1.1e-6)


def test_without_samples_nodes_begin_with_the_multipliers_around_which_these_are_taken() -> None:
    """Far from there pieces have no bound, once they are sampled."""
    found = 0
    for _, case in grids("power", range(40, 50)):
        core = core_of(case.model.blocks, case.status[0], sampled=False)
        if core.unsampled is not None:
            _, node = PhaseTree(core, np.inf, bounded=False)._queue.pop()
            assert np.array_equal(node.h, core.h)
            assert bound(core.sampled().blocks, node.status, node.h, 3) > 0.0
            found += bool(np.abs(core.h).max() > 0.0)
    assert found > 3


def test_bounds_pay_where_they_exclude_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openpoint.search.phases.tree.FEW", 2)
    found = [0, 0]
    for _, case in grids("power", range(40, 50)):
        core = core_of(case.model.blocks, case.status[0], sampled=False)
        assert bounds_pay(core.sampled(), case.status[0], np.inf)
        if core.unsampled is not None and len(case.status) > 4:
            found[0] += bounds_pay(core, case.status[0], 0.5 * case.loss.min())
            found[1] += bounds_pay(core, case.status[0], 2.0 * case.loss.max())
    assert found[0] > 0 == found[1]


def test_flows_are_those_of_opendss() -> None:
    for seed in range(3):
        grid = phase_trees(seed, generation=seed == 3, held=seed % 2 == 1)
        case = enumerated(grid)
        flows, circuit = Flows(case.model.blocks), OpenDssCircuit(grid)
        for closed in list(case.question.states())[:2]:
            loss = flows.loss(status_of(case.model, closed)) * case.question.network.s_base_kva / 3.0
            circuit.rewire(closed)
            solved = circuit.solve()
            if np.isfinite(loss) and solved.converged[0]:
                assert loss == pytest.approx(solved.loss_kw[0], rel=1e-5)


def test_flows_of_loads_that_pull_the_voltage_down_are_those_of_opendss() -> None:
    """Below their band these are impedances as large as those of lines, where plain sweeps swing further each time."""
    low = []
    for seed in range(5):
        grid = phase_trees(seed, loads="power")
        much = {"p_kw": pl.col("p_kw") * 60.0, "q_kvar": pl.col("q_kvar") * 60.0, "v_min_pu": pl.lit(0.92)}
        grid = grid.with_tables(loads=grid.loads.with_columns(**much))
        asked = phases_question(grid, free=("topology",))
        network = asked.network
        model = phase_model(grid, network, asked.always, asked.never, EVERYWHERE)
        flows, circuit = Flows(model.blocks), OpenDssCircuit(grid)
        slot = ["abc".index(phase) for phase in network.terminal_phase]
        for closed in list(asked.states())[:3]:
            loss = flows.loss(status_of(model, closed)) * network.s_base_kva / 3.0
            circuit.rewire(closed)
            solved = circuit.solve()
            v = flows.trees.v[network.terminal_bus, slot]
            assert solved.converged[0]
            assert loss == pytest.approx(solved.loss_kw[0], rel=1e-6)
            assert v == pytest.approx(solved.v[0], abs=1e-6)
            low.append(np.abs(v).min())
    assert sum(each < 0.55 for each in low) > 2


def test_local_search_with_kicks_finds_the_best_state_of_small_grids() -> None:
    for seed, case in grids("power", range(20, 30)):
        flows = Flows(case.model.blocks)
        found = kicked(flows, case.status[np.argmax(case.loss)], lambda: False)
        assert flows.loss(found) == pytest.approx(case.loss.min(), rel=1e-9), seed


def test_the_answer_of_a_feeder_is_that_of_all_its_topologies() -> None:
    grid = openpoint.read("ieee123")
    names = [*(n for n in grid.lines["name"] if not n.startswith("vsource")), *grid.switches["name"]]
    grid = grid.with_switchable(names)
    found = openpoint.reconfigure(grid, method=openpoint.TopologySearch())
    assert found.open_branches == ("l93", "sw5")  # of 76 topologies, all tried
    assert found.loss_kw == pytest.approx(93.501, abs=1e-3)
    assert found.lower_bound_kw == pytest.approx(found.loss_kw, rel=1.01e-4)
    assert found.lower_bound_kw <= found.loss_kw
    assert "the bound holds for all radial states whose voltages" in found.notes[-1]


RING = """clear
new circuit.c bus1=s basekv=12.47 phases=3
new line.l1 bus1=s bus2=x phases=3 length=2 units=km r1=0.3 x1=0.4 r0=0.6 x0=1.2 c1=0 c0=0
new line.l2 bus1=x bus2=z phases=3 length=2 units=km r1=0.3 x1=0.4 r0=0.6 x0=1.2 c1=0 c0=0
new line.l3 bus1=s bus2=z phases=3 length=3 units=km r1=0.3 x1=0.4 r0=0.6 x0=1.2 c1=0 c0=0
{}
new load.x bus1=x phases=3 kv=12.47 kw=900 kvar=300
new load.z bus1=z phases=3 kv=12.47 kw=1500 kvar=400
{}
set voltagebases=[12.47]
calcvoltagebases
"""
LATERALS = """new line.a bus1=x.1 bus2=z.1 phases=1 length=1 units=km r1=0.3 x1=0.4 r0=0.3 x0=0.4 c1=0 c0=0
new line.c bus1=x.3 bus2=z.3 phases=1 length=1 units=km r1=0.3 x1=0.4 r0=0.3 x0=0.4 c1=0 c0=0"""
TWO_PHASES = """new line.ab bus1=s.1.2 bus2=w.1.2 phases=2 length=1 units=km r1=0.3 x1=0.4 r0=0.6 x0=1.2 c1=0 c0=0
new line.a bus1=x.1 bus2=w.1 phases=1 length=1 units=km r1=0.3 x1=0.4 r0=0.3 x0=0.4 c1=0 c0=0
new line.b bus1=z.2 bus2=w.2 phases=1 length=1 units=km r1=0.3 x1=0.4 r0=0.3 x0=0.4 c1=0 c0=0
new load.w bus1=w.1 phases=1 kv=7.2 kw=100"""


def test_laterals_of_single_phases_close_loops_where_a_phase_of_each_bus_settles_the_others(tmp_path: Path) -> None:
    file = tmp_path / "ring.dss"
    opened = "open line.l3 1\nopen line.a 1\nopen line.c 1"
    file.write_text(RING.format(LATERALS, opened), encoding="utf-8")
    grid = openpoint.read(file).with_switchable(["l1", "l2", "l3", "a", "c"])
    found, every = (
        openpoint.reconfigure(grid, method=method) for method in (openpoint.TopologySearch(), openpoint.Enumeration())
    )
    assert found.open_branches == every.open_branches
    assert found.loss_kw == pytest.approx(every.loss_kw, rel=1e-9)
    file.write_text(RING.format(TWO_PHASES, "open line.l3 1\nopen line.a 1\nopen line.b 1"), encoding="utf-8")
    grid = openpoint.read(file).with_switchable(["l1", "l2", "l3", "a", "b", "ab"])
    with pytest.raises(OptionError, match="phases of one bus may hang on several branches"):
        openpoint.reconfigure(grid, method=openpoint.TopologySearch())


def test_what_the_bound_is_not_valid_for_is_refused() -> None:
    grid = openpoint.read("ieee37")
    question = phases_question(grid.with_switchable("jumper"), free=("topology",))
    with pytest.raises(OptionError, match="windings between two lines"):
        phase_model(grid, question.network, question.always & False, question.never, Box())
    with pytest.raises(OptionError, match="no checkpoint"):
        openpoint.reconfigure(openpoint.read("ieee123"), method=openpoint.TopologySearch(checkpoint="saved"))


def test_of_two_flows_of_a_load_that_jumps_the_one_that_loses_less_is_taken() -> None:
    """At 0.95 pu a load whose power follows the voltage goes over to what it draws at its rated voltage."""
    line = {"phases": "a", "r_ohm": [1.0], "x_ohm": [0.1]}
    load = {"phases": "a", "model": "cvr", "p_kw": 281.0, "q_kvar": 0.0, "v_min_pu": 0.95, "v_max_pu": 1.05}
    tables: dict[str, Any] = {
        "buses": [{"name": name, "vn_kv": 4.16, "phases": "a"} for name in "sab"],
        "sources": [{"name": "s", "bus": "s"}],
        "lines": [
            {"name": "sa", "from_bus": "s", "to_bus": "a", **line},
            {"name": "sb", "from_bus": "s", "to_bus": "b", **line},
            {"name": "ab", "from_bus": "a", "to_bus": "b", **line, "closed": False},
        ],
        "loads": [{"name": "a", "bus": "a", **load}],
    }
    asked = phases_question(Grid.from_tables("jump", tables), free=("topology",))
    model = phase_model(asked.grid, asked.network, asked.always, asked.never, Box())
    status, found = status_of(model, asked.today), []
    for warm, size in ((False, 1.0), (True, 0.948)):
        flows, start = Flows(model.blocks), size * balanced(model.blocks)
        flows.trees.v[:] = start
        found.append(float(sweep(model.blocks, status, flows.priority, flows.trees, CHANGE, warm)))
        flows.trees.v[:], flows._warm = start, warm
        assert flows.loss(status) == pytest.approx(min(found), rel=1e-9)
    assert jumping(model.blocks).any()
    assert max(found) > 1.05 * min(found)


def test_more_states_than_a_number_holds_are_many() -> None:
    mesh, phase = _mesh(28, 28), pl.lit("a").alias("phases")
    tables = {"buses": mesh.buses, "lines": mesh.lines, "loads": mesh.loads}
    one = mesh.with_tables(**{name: table.with_columns(phase) for name, table in tables.items()})
    asked = phases_question(one, free=("topology",))
    blocks = phase_model(one, asked.network, asked.always, asked.never, Box()).blocks
    assert 1e300 < states_left(blocks, undecided(blocks)) < np.inf
