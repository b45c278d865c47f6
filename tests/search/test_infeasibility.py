"""Whether limits can be kept: the highest voltages against all radial states, and limits that nothing keeps."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pytest

from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.search import topology
from openpoint.search.checkpoint import Saved
from openpoint.search.enumeration import topologies
from openpoint.search.exchange.ac_check import AcEvaluator
from openpoint.search.infeasibility import infeasibility_search
from openpoint.search.kernel import highest
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, Work, work_for
from openpoint.search.kernel.entries import EXHAUSTED, LEAF, propagate
from openpoint.search.kernel.highest import reach_for
from openpoint.search.model.build import Numbering, build_model
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.search.entered import entered
from tests.search.random_grids import random_grid
from tests.search.test_checkpoint import in_pieces, the_same
from tests.search.test_topology import loaded

PLAIN = [(), ("locks", "stiff"), ("current", "impedance"), ("ratings",), ("ratings", "locks", "impedance", "stiff")]
FEEDING = [
    ("generation",),
    ("shunts", "hanging"),
    ("ratios", "shunts"),
    ("capacitive", "impedance", "low", "high"),
    ("generation", "current", "impedance", "ratings", "high"),
    ("generation", "shunts", "ratios", "stiff", "impedance", "locks", "hanging", "ratings"),
]


@entered
def reached(model, work, reach):  # type: ignore[no-untyped-def]
    return highest.reached(model, work, reach)


def tight(seed: int, kinds: Sequence[Collection[str]] = PLAIN) -> tuple[Network, np.ndarray, np.random.Generator]:
    """A grid with a lower limit near the best lowest voltage of its states, and these."""
    rng = np.random.default_rng(seed)
    states: list[np.ndarray] = []
    while not states:  # some grids have no radial state
        network = random_grid(rng, kinds[seed % len(kinds)])
        states = list(topologies(network))
    every = np.concatenate(states)
    inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    flows = solve(network, every)
    lowest = np.where(flows.converged, np.abs(flows.v[:, inner]).min(axis=1), 0.0)
    limit = float(np.quantile(lowest, rng.choice([0.5, 1.0]))) + rng.choice([-0.004, 0.0005])
    held = float(np.abs(network.source_v).min())
    low = np.full(network.n_terminals, max(min(limit, held - 1e-3), 0.3) ** 2)
    return network.with_limits(w_min=low, w_max=network.w_max, l_max=network.l_max), every, rng


def begun(network: Network) -> tuple[Model, Numbering, Work]:
    """The root."""
    fixed = ~network.switchable
    model, numbering = build_model(network)
    work = work_for(model)
    work.status[(network.closed & fixed)[numbering.branch]] = CLOSED
    assert propagate(model, work)
    return model, numbering, work


def nodes(trees: np.ndarray, status: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """States of branches between the root and trees."""
    some = trees[rng.integers(len(trees), size=6)]
    known = rng.random(some.shape) < np.array([0.0, 0.3, 0.5, 0.7, 0.9, 1.0])[:, None]
    return np.where((status == UNDECIDED) & known, some, status).astype(np.int8)


def fed_from(network: Network, closed: np.ndarray) -> np.ndarray:
    """(E) the terminal that feeds each closed branch of a radial state, -1 for others."""
    near, feeds = set(network.source_terminal.tolist()), np.full(network.n_conductors, -1)
    ends = list(zip(network.terminal_fr.tolist(), network.terminal_to.tolist(), strict=True))
    left = set(np.flatnonzero(closed).tolist())
    while left:
        for e in list(left):
            for a, b in (ends[e], ends[e][::-1]):
                if a in near and feeds[e] < 0:
                    feeds[e] = a
                    near.add(b)
                    left.discard(e)
    return feeds


@pytest.mark.parametrize(("kinds", "seeds"), [(PLAIN, range(40)), (FEEDING, range(30))], ids=["plain", "feeding"])
def test_no_completion_has_a_higher_voltage_or_is_lost(kinds: list[tuple[str, ...]], seeds: range) -> None:
    """docs/methods.md M12."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        network, states, rng = tight(seed, kinds)
        model, numbering, work = begun(network)
        reach = reach_for(model)
        assert reach is not None
        good = states[AcEvaluator(network).evaluate(states)[1] == 0.0]
        w = np.abs(solve(network, good).v[:, numbering.bus]) ** 2 if len(good) else np.zeros((0, len(numbering.bus)))
        feeds = [fed_from(network, closed)[numbering.branch] for closed in good]
        good = good[:, numbering.branch]
        for status in nodes(states[:, numbering.branch], work.status.copy(), rng):
            work.status[:] = status
            if not propagate(model, work):
                seen["no state"] += 1
                continue
            margin = reached(model, work, reach)
            inside = ((work.status == UNDECIDED) | (good == work.status)).all(axis=1)
            seen["proven" if margin < 0.0 else "open"] += 1
            if margin < 0.0:
                assert not inside.any(), seed
                continue
            assert (w[inside] <= reach.w * (1.0 + 1e-9)).all(), seed
            seen["voltages"] += int(inside.sum()) * model.n
            for e in np.flatnonzero(work.status == UNDECIDED):
                for k in np.flatnonzero(inside & good[:, e]):
                    backwards = feeds[k][e] == numbering.bus[model.to[e]]
                    assert not reach.barred[2 * e + backwards], seed
                    seen["directions"] += 1
            if kinds is PLAIN and not np.any(work.status == UNDECIDED) and inside.any():
                drop = model.w_max[model.n :].max() - w[inside][0]
                assert (reach.w - w[inside][0] <= 0.1 * drop + 1e-9).all(), seed
                seen["trees"] += 1
    share = len(seeds) / 600
    assert seen["proven"] > 400 * share
    assert seen["open"] > 1000 * share
    assert seen["voltages"] > 5000 * share
    assert seen["directions"] > 2000 * share
    assert seen["trees"] > 300 * share or kinds is FEEDING


@pytest.mark.parametrize(
    ("kinds", "seeds"), [(PLAIN, range(600, 660)), (FEEDING, range(600, 630))], ids=["plain", "feeding"]
)
def test_it_says_whether_limits_can_be_kept_as_brute_force_does(kinds: list[tuple[str, ...]], seeds: range) -> None:
    seen: Counter[str] = Counter()
    for seed in seeds:
        network, states, _ = tight(seed, kinds)
        value, miss = AcEvaluator(network).evaluate(states)
        best = float(np.where(miss == 0.0, value, np.inf).min())
        model, numbering, work = begun(network)
        limits = infeasibility_search(model, work.status)
        assert limits is not None
        met = []
        while (event := limits.explore(100_000)) != EXHAUSTED:
            assert event == LEAF
            met.append(limits.work.status == CLOSED)
        full = np.zeros((len(met), network.n_conductors), dtype=bool)
        if met:
            full[:, numbering.branch] = met
        kept = AcEvaluator(network).evaluate(full)[1] == 0.0 if met else np.zeros(0, dtype=bool)
        assert kept.sum() == (miss == 0.0).sum(), seed  # all that keep the limits, none twice
        found = search_topologies(network, gap=0.0)
        assert found.termination is (Termination.INFEASIBLE if np.isinf(best) else Termination.OPTIMAL), seed
        assert found.value == pytest.approx(best, rel=1e-8, abs=1e-12), seed
        seen["infeasible" if np.isinf(best) else "feasible"] += 1
    assert min(seen["infeasible"], seen["feasible"]) > 0.15 * len(seeds)


def test_no_clock_decides_when_it_has_its_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = loaded("zhang118", 0.934)
    whole = search_topologies(network)
    assert whole.termination is Termination.INFEASIBLE
    for seconds in (0.0, 1e9):
        monkeypatch.setattr(topology, "LOOK_UP", seconds)
        the_same(search_topologies(network), whole)
    found, runs = in_pieces(network, tmp_path / "open", whole.nodes // 8)
    assert runs > 2
    the_same(found, whole)


@pytest.mark.parametrize(
    ("name", "v_min", "nodes"),
    [("baran33", 0.9413, 60), ("baran33", 0.95, 30), ("zhang118", 0.934, 60), ("zhang118", 0.96, 20)],
)
def test_few_nodes_prove_that_nothing_keeps_a_limit(name: str, v_min: float, nodes: int) -> None:
    """The best trees known have 0.94129 and 0.93286 at their lowest bus."""
    model, _, work = begun(loaded(name, v_min))
    limits = infeasibility_search(model, work.status)
    assert limits is not None
    while limits.explore(100_000) == LEAF:
        pass
    assert limits.nodes < nodes
    assert limits.trail.size[0] == limits.trail.active[0] == 0


def test_a_tight_limit_is_kept_and_paths_bound_the_loss_where_no_first_state_keeps_it() -> None:
    """Without the bound by paths the proof takes 4,400 nodes, and much longer on grids of hundreds of buses."""
    found = search_topologies(loaded("zhang118", 0.9328), gap=1e-4)
    assert found.termination is Termination.GAP
    assert found.value * loaded("zhang118").s_base_kva == pytest.approx(915.22, rel=1e-3)
    assert found.nodes < 4_000


def test_outputs_that_may_be_chosen_are_left_to_the_loss() -> None:
    model, _, _ = begun(random_grid(np.random.default_rng(7), ("dispatch", "low", "high")))
    assert reach_for(model) is None


def test_a_proof_in_pieces_is_the_proof_in_one() -> None:
    model, _, work = begun(loaded("zhang118", 0.934))
    whole, pieces = infeasibility_search(model, work.status), infeasibility_search(model, work.status)
    assert pieces is not None
    assert whole.explore(100_000) == EXHAUSTED
    runs = 0
    while pieces.explore(300) != EXHAUSTED:
        kept = {name: values.copy() for name, values in pieces.kept().items()}
        pieces = infeasibility_search(model, work.status)
        pieces.go_on(Saved(kept))
        runs += 1
    assert runs > 1
    assert pieces.nodes == whole.nodes
