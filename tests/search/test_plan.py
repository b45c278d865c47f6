"""Switch plans against all orders of switching, on random small grids."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from openpoint.arrays import Bools
from openpoint.graph import energised
from openpoint.network import Network, build_network
from openpoint.network.stations import open_held_meshes
from openpoint.powerflow.balanced import FlowStatus, solve
from openpoint.powerflow.meshed import solve_meshed
from openpoint.search.plan import order
from openpoint.search.plan.order import MORE, Order, best_order
from openpoint.search.plan.question import PlanQuestion, figures_of
from openpoint.twostage.deadline import Deadline
from tests.builders.grids import LIMITED, LIMITED_FEED, RICH, all_topologies, random_grid

Judged = tuple[float, float, float]
"""Excess, strain and energy not supplied."""


def question(seed: int, *, parallel: bool = False) -> PlanQuestion | None:
    """Two radial states of a random grid, far apart; None where there are no two."""
    network = build_network(random_grid(seed, (RICH, LIMITED, LIMITED_FEED)[seed % 3]))
    states = all_topologies(network)
    if len(states) < 2:
        return None
    rng = np.random.default_rng(seed)
    before = states[rng.integers(len(states))]
    after = states[np.argmax((states != before).sum(axis=1) + rng.random(len(states)))]
    size = network.n_conductors
    return PlanQuestion(
        stations=open_held_meshes(network),
        before=before,
        after=after,
        may_operate=network.switchable,
        remote=rng.random(size) < 0.5,
        hours=rng.uniform(0.1, 1.0, size),
        load_kw=rng.uniform(1.0, 10.0, network.n_terminals),
        parallel=parallel,
    )


class Judge:
    """Excess and strain of states, each solved once."""

    def __init__(self, q: PlanQuestion) -> None:
        self.network, self.known = q.stations.whole, dict[bytes, tuple[float, float]]()

    def __call__(self, closed: Bools) -> tuple[float, float]:
        key = closed.tobytes()
        if key not in self.known:
            self.known[key] = self._solved(closed)
        return self.known[key]

    def _solved(self, closed: Bools) -> tuple[float, float]:
        """By the sweep, which knows states with buses that are off, else by Newton's method."""
        flows = solve(self.network, closed)
        if flows.status[0] == FlowStatus.NOT_RADIAL:
            state = solve_meshed(self.network, closed)
            if state is None:
                return math.inf, math.inf
            found = figures_of(self.network, state.v, state.i_rated)
        elif not flows.converged[0]:
            return math.inf, math.inf
        else:
            found = figures_of(self.network, flows.v[0], flows.i_rated[0])
        return found.excess, found.strain


def orders(q: PlanQuestion, closed: Bools) -> Iterator[list[tuple[int, int]]]:
    """Every order of exchanges of the branches that differ, by trying all."""
    network = q.stations.whole
    closings, openings = np.flatnonzero(q.after & ~closed), np.flatnonzero(closed & ~q.after)
    if not len(closings):
        yield []
    for c in closings.tolist():
        for o in openings.tolist():
            state = closed.copy()
            state[c], state[o] = True, False
            if energised(
                network.n_terminals, network.terminal_fr, network.terminal_to, state, network.source_terminal
            ).all():
                yield from ([(c, o), *rest] for rest in orders(q, state))


def fed_apart(network: Network, closed: Bools, c: int) -> bool:
    """Whether different sources feed the ends of a branch."""
    fr, to = network.terminal_fr[c], network.terminal_to[c]
    for source in network.source_terminal:
        live = energised(
            network.n_terminals, network.terminal_fr, network.terminal_to, closed, np.array([source], dtype=np.int64)
        )
        if live[fr] != live[to]:
            return True
    return False


def priced(q: PlanQuestion, judged: Judge, order: list[tuple[int, int]]) -> Judged:
    """What an order costs, each state computed anew."""
    network, closed = q.stations.whole, q.before.copy()
    ends = [judged(state) for state in (q.before, q.after)]
    excess, strain, energy = max(end[0] for end in ends), max(end[1] for end in ends), 0.0
    for c, o in order:
        loop = closed.copy()
        loop[c] = True
        seen = judged(loop)
        after = loop.copy()
        after[o] = False
        if (fed_apart(network, closed, c) and not q.parallel) or math.isinf(seen[0]):
            dark = closed.copy()
            dark[o] = False
            live = energised(
                network.n_terminals, network.terminal_fr, network.terminal_to, dark, network.source_terminal
            )
            energy += float(q.load_kw[~live].sum() * q.hours[c])
            seen = judged(dark)
        for each in (seen, judged(after)):
            excess, strain = max(excess, each[0]), max(strain, each[1])
        closed = after
    return excess, strain, energy


def exchanges(found: Order) -> list[tuple[int, int]]:
    return [(found.where.branch(move.close), found.where.branch(move.open)) for move in found.moves]


def least_exchanges(q: PlanQuestion, judged: Judge, allowed: float) -> float:
    """The fewest exchanges by which limits are kept, through all radial states: breadth first."""
    network = q.stations.whole
    states = [state for state in all_topologies(network) if judged(state)[0] <= allowed]
    far = {q.before.tobytes(): 0}
    front = [q.before]
    while front:
        at = front.pop(0)
        for other in states:
            if (at != other).sum() != 2 or other.tobytes() in far:
                continue
            c, o = int(np.flatnonzero(other & ~at)[0]), int(np.flatnonzero(at & ~other)[0])
            if priced(replace(q, before=at, after=other), judged, [(c, o)])[0] <= allowed:
                far[other.tobytes()] = far[at.tobytes()] + 1
                front.append(other)
    return far.get(q.after.tobytes(), math.inf)


@pytest.mark.parametrize("start", range(0, 45, 15))
def test_no_order_is_better(start: int) -> None:
    seen = 0
    for seed in range(start, start + 15):
        q = question(seed, parallel=seed % 2 == 0)
        if q is None or not 2 < len(q.differing) <= 6:
            continue
        judged = Judge(q)
        everything = [priced(q, judged, order) for order in orders(q, q.before)]
        allowed = max(judged(state)[0] for state in (q.before, q.after))
        found = best_order(q)
        possible = [each for each in everything if math.isfinite(each[0])]
        if found is None:
            assert not possible or math.isinf(allowed)
            continue
        seen += 1
        assert found.proven
        assert found.allowed == pytest.approx(allowed, abs=1e-9)
        kept = [each for each in possible if each[0] <= allowed + 1e-9]
        operations = sum((move.close | move.open).bit_count() for move in found.moves)
        if not kept:
            fewest = 2 * least_exchanges(q, judged, allowed + 1e-9)
            assert operations == (fewest if fewest <= found.fewest + MORE else found.fewest)
        mine = priced(q, judged, exchanges(found))
        assert found.excess == pytest.approx(mine[0], abs=1e-8)
        if operations > found.fewest:
            assert found.keeps_limits
            continue
        if not kept:
            assert mine[0] == pytest.approx(min(each[0] for each in possible), abs=1e-8)
            kept = [each for each in possible if each[0] <= mine[0] + 1e-8]
        least = min(round(each[2], 6) for each in kept)
        assert mine[2] == pytest.approx(least, abs=1e-5)
        assert mine[1] == pytest.approx(min(each[1] for each in kept if round(each[2], 6) <= least), abs=1e-7)
    assert seen > 2


def test_operations_are_proven_where_a_detour_keeps_the_limits() -> None:
    """Among the random grids there are those that need additional operations, and those where nothing helps."""
    kinds = set[str]()
    for seed in (0, 7, 122):
        q = question(seed)
        assert q is not None
        found = best_order(q)
        more = sum((move.close | move.open).bit_count() for move in found.moves) > found.fewest
        kinds.add("more" if more else "kept" if found.keeps_limits else "broken")
    assert kinds == {"more", "kept", "broken"}


@pytest.mark.parametrize("exact", [order.EXACT, 0])
def test_without_time_there_is_an_order_and_no_proof(exact: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is there any search for additional operations after a good plan of fewest, which has no deadline."""
    monkeypatch.setattr(order, "EXACT", exact)
    for seed, kept in ((0, True), (7, False), (122, False)):
        q = question(seed)
        assert q is not None
        found = best_order(q, Deadline(0.0))
        assert (found.keeps_limits, found.proven) == (kept, False)
        assert sum((move.close | move.open).bit_count() for move in found.moves) == found.fewest
