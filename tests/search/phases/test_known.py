"""A core without a block, near voltages that are known: no state loses less than is proved (docs/methods.md M50)."""

from pathlib import Path

import numpy as np
import pytest

import openpoint
from openpoint.grid import Grid
from openpoint.search.kernel.entries import EXHAUSTED, LEAF
from openpoint.search.phases.known import StatesNear, largest_block, near_block
from openpoint.search.phases.model import RADII, SIZES
from openpoint.search.phases.pieces import Core, core_of, undecided
from openpoint.search.phases.tree import Flows, PhaseTree
from tests.builders.phase_trees import in_chain, with_loose_part
from tests.search.phases.agree import Enumerated, enumerated

KINDS = pytest.mark.parametrize("kind", ["power", "all"])


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block may have few states, and a loose part may draw much."""
    monkeypatch.setattr("openpoint.search.phases.tree.FEWEST", 1)
    monkeypatch.setattr("openpoint.search.phases.tree.PLENTY", 1)
    monkeypatch.setattr("openpoint.search.phases.known.LOOSE", 1.0)


def cases(kind: str, loose_kw: float = 0.0) -> list[tuple[int, Enumerated, Core, list[StatesNear]]]:
    """Random grids in chains with a block that hangs on one bus, and with a loose part that generates, if asked."""
    found = []
    for seed in range(6):
        grid: Grid | None = in_chain(seed, loads=kind)
        if grid is not None and loose_kw > 0.0:
            grid = with_loose_part(grid, seed, loose_kw)
        case = None if grid is None else enumerated(grid)
        if case is None:
            continue
        core = core_of(case.model.blocks, case.status[0])
        if core.pieces is not None and (block := largest_block(core, 1)) is not None:
            near = near_block(core, *block, 1000)
            if near:
                found.append((seed, case, core, near))
    return found


def checked(case: Enumerated, core: Core, near: list[StatesNear]) -> tuple[int, int]:
    """Of how many states all bounds hold, and of how many they are not nothing."""
    least: dict[bytes, float] = {}
    for each in near:
        for state in each.of(undecided(core.blocks)[each.branch], np.inf):
            key = state.status.tobytes()
            least[key] = min(least.get(key, np.inf), state.least)
    bounds = np.array([least[status[core.branch][near[0].branch].tobytes()] for status in case.status])
    assert (bounds <= case.loss * (1.0 + 1e-9)).all()
    return len(bounds), int((bounds > 0.5 * case.loss).sum())


@KINDS
def test_no_state_loses_less_than_is_proved_of_all_states_of_a_block(kind: str) -> None:
    """By what is known at the voltages of the core, and by what is known at those of other states."""
    proved = count = 0
    for seed, case, core, near in cases(kind):
        rng = np.random.default_rng(seed)
        for again in range(2):
            more = checked(case, core, near)
            count, proved = count + more[0], proved + more[1]
            for each in near if not again else ():
                tree = case.status[rng.integers(len(case.status))][core.branch]
                assert each._learn_at(tree[each.branch]) == (each.rows == 2)
    assert count > 50
    assert proved > 0.5 * count


@KINDS
def test_what_is_left_out_loses_as_much_as_is_asked(kind: str) -> None:
    for seed, case, core, near in [*cases(kind), *cases(kind, loose_kw=4.0)]:
        enough = 1.02 * float(case.loss.min())
        states = (state for each in near for state in each.of(undecided(core.blocks)[each.branch], enough))
        left = {state.status.tobytes() for state in states}
        for status, loss in zip(case.status, case.loss, strict=True):
            if status[core.branch][near[0].branch].tobytes() not in left:
                assert loss >= enough * (1.0 - 1e-9), seed


@KINDS
def test_no_state_loses_less_than_is_proved_of_a_loose_part_anywhere(kind: str) -> None:
    """One that generates, so that less is lost with it in its place than without it."""
    count = bites = proved = 0
    for seed, case, core, near in cases(kind, loose_kw=4.0):
        for each in near:
            if each._loose is None:
                continue
            for tree in case.status[:8, core.branch]:
                each._learn_at(tree[each.branch])
            short = each._short
            found = {one.status.tobytes(): one for one in short.complete(undecided(short.blocks), each._block, np.inf)}
            mine = {status.tobytes() for status in each._part.states}
            inside = np.ones(len(core.blocks.fr), dtype=np.bool_)
            inside[each.branch] = False
            for status, loss in zip(case.status[:, core.branch], case.loss, strict=True):
                if status[inside].tobytes() in mine:
                    one = found[status[short.branch].tobytes()]
                    assert one.least <= loss * (1.0 + 1e-9), seed
                    count, bites, proved = count + 1, bites + (one.loss > loss), proved + (one.least > 0.5 * loss)
    assert count > 50
    assert bites > 0.1 * count
    assert proved > 0.5 * count


@KINDS
def test_what_a_block_draws_in_each_state_is_within_what_is_known_of_it(kind: str) -> None:
    """At voltages at random around those of the core, which are the first that are known."""
    count = 0
    for seed, _, _, near in cases(kind):
        rng = np.random.default_rng(seed)
        for each in near:
            block, hung, inner = each._block, each._full.blocks.hung, each._part.pieces
            middle = hung.at[-1, SIZES]
            for p, status in enumerate(each._part.states):
                for i in range(len(RADII)):
                    other = rng.normal(size=3) + 1j * rng.normal(size=3)
                    other = np.where(middle != 0.0, other * rng.uniform(0.3, 1.0) * RADII[i] / np.abs(other), 0.0)
                    off = block.off[0, i, p]
                    if not np.isfinite(off).all() or (found := inner.drawn((middle + other)[None], status)) is None:
                        continue
                    moves = np.stack([other.real, other.imag], axis=1).reshape(6)
                    linear = hung.flow[-1, SIZES] + block.apart[0, p] + moves @ hung.slope[-1, SIZES]
                    assert (np.abs(found[0] - linear)[:3] <= off[:3] + 1e-9).all(), seed
                    assert found[0, 3].real >= linear[3].real - off[3] - 1e-9, seed
                    count += 1
    assert count > 100


def test_the_search_near_known_voltages_finds_what_enumeration_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openpoint.search.phases.tree.FEW", 8)
    for seed, case, core, _ in [*cases("all"), *cases("power", loose_kw=4.0)]:
        flows, best, known = Flows(case.model.blocks), [case.loss.max() * 1.001], case.status[0]
        tree = PhaseTree(core, best[0])
        assert any(isinstance(each, StatesNear) for each in tree._rest)
        while (event := tree.explore(16)) != EXHAUSTED:
            if event == LEAF:
                best[0] = min(best[0], flows.loss(core.whole(tree.status, known)))
                tree.cutoff = min(tree.cutoff, best[0] * (1.0 - 1e-6))
        assert best[0] == pytest.approx(case.loss.min(), rel=1e-9), seed
        assert min(tree.lowest, best[0]) <= case.loss.min() * (1.0 + 1e-9)


def test_an_answer_near_known_voltages_is_that_of_all_states_and_has_no_certificate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("openpoint.search.phases.tree.FEW", 8)
    grid, free = with_loose_part(in_chain(3, loads="power"), 3, 4.0), openpoint.Limits(voltage=False, current=False)
    assert grid is not None
    search = openpoint.TopologySearch(gap=1e-6, certificate=tmp_path / "proof")
    found = openpoint.reconfigure(grid, method=search, limits=free)
    assert found.loss_kw == pytest.approx(
        openpoint.reconfigure(grid, method=openpoint.Enumeration(), limits=free).loss_kw
    )
    assert any("flows of radial states were computed in the core of the grid" in note for note in found.notes)
    assert any(note.startswith("no certificate: the states are so many") for note in found.notes)
    assert not (tmp_path / "proof").exists()
