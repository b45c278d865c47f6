"""Switch plans against all orders of switching, on random small grids."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from openpoint.arrays import Bools
from openpoint.formulations.radiality import by_branch, choices_of, radial_states
from openpoint.graph import energised
from openpoint.grid import Grid
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import FlowStatus, solve
from openpoint.powerflow.meshed import solve_meshed
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.search.plan import order
from openpoint.search.plan.flows import PhaseStates, ac_states, figures_of
from openpoint.search.plan.order import MORE, Order, best_order
from openpoint.search.plan.question import PlanQuestion
from openpoint.twostage.deadline import Deadline
from tests.builders.grids import LIMITED, LIMITED_FEED, RICH, all_topologies, random_grid
from tests.builders.phase_trees import phase_trees

V_MIN = 0.955
Judged = tuple[float, float, float]
"""Excess, strain and energy not supplied."""


def question(seed: int) -> PlanQuestion | None:
    """Two radial states of a random grid, far apart; None where there are no two."""
    return _between(random_grid(seed, (RICH, LIMITED, LIMITED_FEED)[seed % 3]), seed)


def phases_of(seed: int) -> PlanQuestion | None:
    """The same of phases a, b, c, of which lines may carry some only."""
    grid = phase_trees(seed)
    return _between(grid.with_tables(buses=grid.buses.with_columns(v_min_pu=pl.lit(V_MIN))), seed)


def _states(network: Network) -> Bools:
    """(K, B) every radial state."""
    if network.is_balanced:
        return all_topologies(network)
    none = np.zeros(len(network.branch_names), dtype=np.bool_)
    every = radial_states(choices_of(network, none, none), network.conductor_branch)
    return np.array([by_branch(network, state) for state in every])


def _between(grid: Grid, seed: int) -> PlanQuestion | None:
    network = build_network(grid)
    states = _states(network)
    if len(states) < 2:
        return None
    rng = np.random.default_rng(seed)
    before = states[rng.integers(len(states))]
    after = states[np.argmax((states != before).sum(axis=1) + rng.random(len(states)))]
    size = len(network.branch_names)
    return PlanQuestion(
        network=network,
        states=ac_states(grid, network),
        before=before,
        after=after,
        may_operate=by_branch(network, network.switchable),
        remote=rng.random(size) < 0.5,
        hours=rng.uniform(0.1, 1.0, size),
        load_kw=rng.uniform(1.0, 10.0, network.n_terminals),
    )


class Judge:
    """Excess and strain of states, each solved once."""

    def __init__(self, q: PlanQuestion) -> None:
        self.q, self.network, self.known = q, q.network, dict[bytes, tuple[float, float]]()

    def __call__(self, closed: Bools) -> tuple[float, float]:
        key = closed.tobytes()
        if key not in self.known:
            self.known[key] = self._solved(closed)
        return self.known[key]

    def _solved(self, closed: Bools) -> tuple[float, float]:
        """By the sweep, which knows states with buses that are off, else by Newton's method; of phases by OpenDSS."""
        if isinstance(self.q.states, PhaseStates):
            v = OpenDssCircuit(self.q.states.grid, closed=closed).solve().v[0]
            return max(0.0, *(1.0 - np.abs(v[v != 0.0]) / V_MIN)), 1.0 - float(np.abs(v[v != 0.0]).min())
        flows = solve(self.network, closed)
        if flows.status[0] == FlowStatus.NOT_RADIAL:
            state = solve_meshed(self.network, closed)
            if state is None:
                return math.inf, math.inf
            found = figures_of(self.network, state.v[0], state.i_rated[0])
        elif not flows.converged[0]:
            return math.inf, math.inf
        else:
            found = figures_of(self.network, flows.v[0], flows.i_rated[0])
        return found.excess, found.strain


def orders(q: PlanQuestion, closed: Bools) -> Iterator[list[tuple[int, int]]]:
    """Every order of exchanges of the branches that differ, by trying all."""
    network = q.network
    closings, openings = np.flatnonzero(q.after & ~closed), np.flatnonzero(closed & ~q.after)
    if not len(closings):
        yield []
    for c in closings.tolist():
        for o in openings.tolist():
            state = closed.copy()
            state[c], state[o] = True, False
            if live(network, state).all():
                yield from ([(c, o), *rest] for rest in orders(q, state))


def live(network: Network, closed: Bools, source: int | None = None) -> Bools:
    """(N) terminals with supply, or with that of one terminal of a source."""
    sources = network.source_terminal if source is None else np.array([source], dtype=np.int64)
    return energised(
        network.n_terminals, network.terminal_fr, network.terminal_to, closed[network.conductor_branch], sources
    )


def fed_apart(network: Network, closed: Bools, c: int) -> bool:
    """Whether different sources feed the ends of a branch."""
    own = network.conductor_branch == c
    fed = [live(network, closed, source) for source in network.source_terminal.tolist()]
    return any((each[network.terminal_fr[own]] != each[network.terminal_to[own]]).any() for each in fed)


def priced(q: PlanQuestion, judged: Judge, order: list[tuple[int, int]]) -> Judged:
    """What an order costs, each state computed anew."""
    network, closed = q.network, q.before.copy()
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
            energy += float(q.load_kw[~live(network, dark)].sum() * q.hours[c])
            seen = judged(dark)
        for each in (seen, judged(after)):
            excess, strain = max(excess, each[0]), max(strain, each[1])
        closed = after
    return excess, strain, energy


def exchanges(found: Order) -> list[tuple[int, int]]:
    return [(found.where.branch(move.close), found.where.branch(move.open)) for move in found.moves]


def least_exchanges(q: PlanQuestion, judged: Judge, allowed: float) -> float:
    """The fewest exchanges by which limits are kept, through all radial states: breadth first."""
    network = q.network
    states = [state for state in _states(network) if judged(state)[0] <= allowed]
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


@pytest.mark.parametrize(("of", "start"), [(question, 0), (question, 15), (question, 30), (phases_of, 0)])
def test_no_order_is_better(of: Callable[[int], PlanQuestion | None], start: int) -> None:
    seen = 0
    for seed in range(start, start + (15 if of is question else 7)):
        q = of(seed)
        if q is not None and of is question:
            q = replace(q, parallel=seed % 2 == 0)
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
    """Nor is there any search for additional operations after a good plan of fewest."""
    monkeypatch.setattr(order, "EXACT", exact)
    for seed, kept in ((0, True), (7, False), (122, False)):
        q = question(seed)
        assert q is not None
        found = best_order(q, Deadline(0.0))
        assert (found.keeps_limits, found.proven) == (kept, False)
        assert sum((move.close | move.open).bit_count() for move in found.moves) == found.fewest
