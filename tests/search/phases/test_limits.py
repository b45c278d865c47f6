"""Limits in sweeps are those of OpenDSS; what is left out in the core breaks them (docs/methods.md M46)."""

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.formulations.phases import phases_question
from openpoint.search.exchange.phases import PhasesEvaluator, excess
from openpoint.search.kernel.entries import EXHAUSTED, LEAF
from openpoint.search.phases.flow import UNDECIDED
from openpoint.search.phases.limits import BlockLimits
from openpoint.search.phases.model import Box, phase_model
from openpoint.search.phases.pieces import undecided
from openpoint.search.phases.states import AllStates
from openpoint.search.phases.tree import Flows, PhaseTree, status_of
from tests.builders.meshed import meshed
from tests.search.phases.agree import bound
from tests.search.phases.test_bound import grids
from tests.search.phases.test_parts import chains


def test_what_breaks_limits_in_a_sweep_does_so_in_opendss() -> None:
    compared = broken = 0
    for seed in range(20):
        grid = meshed(seed, v_min_pu=0.985, rated=True)
        question = phases_question(grid, free=("topology",))
        try:
            model = phase_model(grid, question.network, question.always, question.never, Box())
        except OptionError:
            continue
        limits, flows, evaluator = (
            BlockLimits.of(model, question.network),
            Flows(model.blocks),
            PhasesEvaluator(question),
        )
        known = int(np.isfinite(limits.l_max).sum()) == int(np.isfinite(question.network.l_max).sum())
        for closed, _ in zip(question.states(), range(6), strict=False):
            status = status_of(model, closed)
            if not np.isfinite(flows.loss(status)):
                continue
            largest, total = limits.excess(model.blocks, status, flows.trees)
            judged = float(excess(question.network, evaluator.flows(closed, question.devices.today))[0])
            if known:
                assert total == pytest.approx(judged, abs=1e-4, rel=1e-4)
            assert total <= judged * (1.0 + 1e-4) + 1e-4
            assert largest <= total
            compared, broken = compared + 1, broken + (total > 1e-3)
    assert compared > 30
    assert 20 < broken < compared


@pytest.mark.parametrize("kind", ["power", "wye"])
def test_states_that_are_left_out_in_the_core_break_limits(kind: str) -> None:
    """Of voltages, and of currents in the core and in what hangs on it; the search finds what enumeration finds."""
    out = count = broken = searched = 0
    for seed, case, core in chains(kind):
        rng, whole, flows = np.random.default_rng(seed), case.model.blocks, Flows(case.model.blocks)
        assert np.isfinite(flows.loss(case.status[0]))
        low = rng.uniform(0.9, 0.995, whole.has.shape) ** 2 * (rng.random(whole.has.shape) < 0.2)
        most = np.abs(flows.trees.i) ** 2 * rng.uniform(0.8, 3.0, whole.carries.shape) + 1e-3
        most[rng.random(most.shape) < 0.7] = np.inf
        limits = BlockLimits(low, np.full(low.shape, np.inf), most, np.ones((2, *most.shape)))
        ranges = limits.of_core(whole, core)
        every = AllStates(core.blocks, 1000, ranges=ranges)
        kept = {each.status.tobytes() for each in every.of(undecided(core.blocks), np.inf)}
        least = np.inf
        for status, loss in zip(case.status, case.loss, strict=True):
            flows.loss(status)
            excess = limits.excess(whole, status, flows.trees)[0]
            if status[core.branch].tobytes() not in kept:
                assert excess >= every.mildest[0] * (1.0 - 1e-9), seed
                out += 1
            count, broken = count + 1, broken + (excess > 1e-4)
            least = min(least, loss if excess <= 0.0 else np.inf)
        tree, best = PhaseTree(core, np.inf, ranges=ranges), np.inf
        while (event := tree.explore(16)) != EXHAUSTED:
            if event == LEAF:
                loss = flows.loss(at := core.whole(tree.status, case.status[0]))
                best = min(best, loss if limits.excess(whole, at, flows.trees)[0] <= 0.0 else np.inf)
                tree.cutoff = min(tree.cutoff, best * (1.0 - 1e-6))
        assert best == pytest.approx(least, rel=1e-5), seed
        searched += np.isfinite(least)
    assert broken < count
    assert out > 0.2 * broken
    assert searched > 1


@pytest.mark.parametrize("kind", ["power", "all", "held"])
def test_a_bound_in_boxes_of_limits_is_never_above_the_best_state_that_keeps_them(kind: str) -> None:
    """Partial states at random, limits of voltages that some radial states break."""
    count = higher = 0
    for seed, case in grids(kind, range(20, 34)):
        rng, wide, flows = np.random.default_rng(seed), case.model.blocks, Flows(case.model.blocks)
        free = wide.has & ~wide.is_source[:, None]
        sizes = list[np.ndarray]()
        for status in case.status:
            flows.loss(status)
            sizes.append(np.where(free, np.abs(flows.trees.v) ** 2, np.inf))
        w = np.array(sizes)
        some = w[rng.integers(len(w))]
        low = np.where(free & (rng.random(free.shape) < 0.5), 0.999 * some, 0.0)
        none = np.full(wide.carries.shape, np.inf)
        limits = BlockLimits(low, np.full(low.shape, np.inf), none, np.zeros((2, *none.shape)))
        narrow = wide._replace(box=limits.narrowed(wide.box))
        keeps = ~(w < low).any(axis=(1, 2))
        for _ in range(12):
            tree = case.status[rng.integers(len(case.status))]
            status = np.where(wide.movable & (rng.random(len(tree)) < rng.random()), UNDECIDED, tree).astype(np.int8)
            completes = ((case.status == status) | (status == UNDECIDED)).all(axis=1)
            best = case.loss[completes & keeps].min(initial=np.inf)
            h = np.zeros(wide.has.shape, dtype=np.complex128)
            other = bound(wide, status, h.copy(), 8)
            found = bound(narrow, status, h, 8)
            assert found <= best * (1.0 + 1e-9) + 1e-12, seed
            count, higher = count + np.isfinite(best), higher + (found > other * (1.0 + 1e-6))
    assert count > 60
    # Of loads of constant power, voltages at the tops are best high in either box, and only few low limits count.
    assert higher > (0.03 if kind == "power" else 0.1) * count
