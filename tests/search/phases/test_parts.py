"""Parts of few states as pieces: no state loses less than is proved of all that a flow covers (docs/methods.md M45)."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from openpoint.graph import components
from openpoint.search.kernel.entries import EXHAUSTED, LEAF
from openpoint.search.phases.flow import CLOSED, OPEN
from openpoint.search.phases.model import NEAR, RADII, SIZES, STEP_U
from openpoint.search.phases.parts import _as_piece, _smallest, rest_of
from openpoint.search.phases.pieces import Core, Pieces, balanced, core_of, part_of, undecided
from openpoint.search.phases.states import AllStates, states_left
from openpoint.search.phases.tree import Flows, PhaseTree
from tests.builders.phase_trees import in_chain
from tests.search.phases.agree import Enumerated, enumerated

KINDS = pytest.mark.parametrize("kind", ["power", "all", "held"])


@cache
def chains(kind: str) -> list[tuple[int, Enumerated, Core]]:
    """Random grids in chains, of which a branch that may be opened is fixed, so that pieces hang on what is left."""
    found = []
    for seed in range(4):
        case = enumerated(in_chain(seed, loads="all" if kind == "held" else kind, held=kind == "held"))
        if case is None:
            continue
        tree, whole = case.status[0], case.model.blocks
        fixed = np.random.default_rng(seed).choice(np.flatnonzero(whole.movable & (tree == CLOSED)))
        left, movable = case.status[:, fixed] == CLOSED, whole.movable.copy()
        movable[fixed] = False
        case.model = replace(case.model, blocks=whole._replace(movable=movable))
        case.status, case.loss = case.status[left], case.loss[left]
        found.append((seed, case, core_of(case.model.blocks, tree)))
    return found


@KINDS
def test_no_state_loses_less_than_is_proved_of_all_that_a_flow_of_the_rest_covers(kind: str) -> None:
    smaller = proved = count = 0
    for seed, case, core in chains(kind):
        rest = rest_of(core)
        smaller += len(rest.branch) < len(core.branch)
        found = AllStates(rest.blocks, 1000).of(undecided(rest.blocks), np.inf)
        least = {each.status.tobytes(): each.least for each in found}
        assert len(least) == len(found)
        for status, loss in zip(case.status, case.loss, strict=True):
            bound = least[status[core.branch][rest.branch].tobytes()]
            assert bound <= loss * (1.0 + 1e-9), seed
            count += 1
            proved += bound > 0.5 * loss
    assert smaller > 3
    assert proved > 0.3 * count


@KINDS
def test_what_a_part_draws_in_each_state_is_within_what_is_known_of_it(kind: str) -> None:
    """At voltages at random; it is worked out with all that hangs on the part."""
    count = 0
    for seed, case, _ in chains(kind):
        rng, whole = np.random.default_rng(seed), case.model.blocks
        shunts = {name: np.where(whole.movable[:, None, None], getattr(whole, name), 0.0) for name in ("y_fr", "y_to")}
        whole = whole._replace(**shunts)  # of others they may be at the bus that the part hangs on
        core = core_of(whole, case.status[0])
        b = core.blocks
        part = _smallest(b, np.zeros(len(b.has), dtype=np.bool_))
        if part is None or (hung := _as_piece(b, core.v, *part)) is None:
            continue
        at = int(core.bus[part[0]])
        apart = (whole.fr != at) & (whole.to != at)
        number = components(len(whole.has), whole.fr[apart], whole.to[apart])
        below = np.isin(number, number[core.bus[part[1]]])
        v = balanced(whole)
        v[core.bus] = core.v
        touched = below[whole.fr] | below[whole.to]
        for status in {each[touched].tobytes(): each for each in case.status}.values():
            closed = ~touched | (status != OPEN)
            tree = part_of(whole, np.arange(len(whole.has)), np.flatnonzero(closed), np.ones(len(v), dtype=np.bool_))
            pieces = Pieces.of(tree, np.where(below, at, -1), v)
            for _ in range(10):
                k, i = int(rng.integers(20, SIZES)), int(rng.integers(NEAR))
                middle = (hung.base[:1] + STEP_U * k)[:, None] * hung.shape
                other = rng.normal(size=(1, 3)) + 1j * rng.normal(size=(1, 3))
                other *= rng.uniform(0.3, 1.0) * RADII[i] / np.abs(other)
                found = pieces.drawn(middle + other)
                if found is None:
                    continue
                moves = np.stack([other.real, other.imag], axis=2).reshape(1, 6)
                linear = hung.flow[:, k] + np.einsum("cm,cmo->co", moves, hung.slope[:, k])
                assert (np.abs(found - linear)[:, :3] <= hung.off[:, k, i, :3] + 1e-9).all(), seed
                assert found[0, 3].real >= linear[0, 3].real - hung.off[0, k, i, 3] - 1e-9, seed
                count += bool(np.isfinite(hung.off[0, k, i]).all())
    assert count > 150


@KINDS
def test_the_search_by_the_rest_finds_what_enumeration_finds(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openpoint.search.phases.tree.FEW", 8)
    swept = count = 0
    for seed, case, core in chains(kind):
        flows, best, known = Flows(case.model.blocks), [case.loss.max() * 1.001], case.status[0]
        tree = PhaseTree(core, best[0])
        while (event := tree.explore(16)) != EXHAUSTED:
            if event == LEAF:
                best[0] = min(best[0], flows.loss(core.whole(tree.status, known)))
                tree.cutoff = min(tree.cutoff, best[0] * (1.0 - 1e-6))
        assert best[0] == pytest.approx(case.loss.min(), rel=1e-9), seed
        assert min(tree.lowest, best[0]) >= best[0] * (1.0 - 1.1e-6)
        assert min(tree.lowest, best[0]) <= case.loss.min() * (1.0 + 1e-9)
        swept, count = swept + tree.swept, count + len(case.loss)
    assert swept < count


def test_states_of_a_part_times_those_of_the_rest_are_all_states() -> None:
    for _, _, core in chains("power"):
        rest, whole = rest_of(core), core.blocks
        inside = np.ones(len(whole.fr), dtype=np.bool_)
        inside[rest.branch] = False
        parts = states_left(whole, np.where(inside, undecided(whole), CLOSED).astype(np.int8))
        product = parts * states_left(rest.blocks, undecided(rest.blocks))
        assert product == pytest.approx(states_left(whole, undecided(whole)), rel=1e-4)
