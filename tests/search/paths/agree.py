"""The path bound of random grids beside all their radial states."""

import itertools
from dataclasses import dataclass

import numpy as np

from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import solve
from openpoint.search.exchange.ac_check import AcEvaluator
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, work_for
from openpoint.search.kernel.bookkeeping import counts, enlarged, pool_for
from openpoint.search.kernel.entries import EXHAUSTED, FULL, LEAF, propagate
from openpoint.search.kernel.node import MARGIN
from openpoint.search.model.build import Numbering, build_model
from openpoint.search.paths import ascent, entries
from openpoint.search.paths import bound as path_bounds
from openpoint.search.paths.arrays import BACK, FORTH, Paths, PathWork, obstacles, path_work_for, paths_of
from openpoint.search.paths.arrays import OPEN as IS_OPEN
from openpoint.search.paths.border import Border, Prices, node_of
from openpoint.search.paths.drawn import drawing, least_steady_loss
from openpoint.search.paths.explorer import PathExplorer
from tests.builders.grids import all_topologies
from tests.search.entered import entered

HUGE = 1e3
ROUNDS = 6
"""Steps to better prices at the border of parts."""


@dataclass(frozen=True)
class Case:
    """A grid with its paths, and its radial states.

    Attributes:
        whole: the model of the grid. model: of its drawing grid. steady: what the admittances lose at least.
        closed: (S, m). states: (S, K) of the paths. value: (S). w: (S, J) squared voltages of junctions.
    """

    whole: Model
    model: Model
    steady: float
    numbering: Numbering
    paths: Paths
    closed: np.ndarray
    states: np.ndarray
    value: np.ndarray
    w: np.ndarray


def case_of(network: Network, change_cost: float = 0.0) -> Case | None:
    """The paths and the states of a grid; None where the bound does not hold or no state has a power flow."""
    fixed = ~network.switchable
    must_close, must_open = network.closed & fixed, ~network.closed & fixed
    whole, numbering = build_model(network, SwitchingRules(must_close, must_open, None, change_cost))
    closed = all_topologies(network)
    if not len(closed) or obstacles(model := drawing(whole)):
        return None
    value, miss = AcEvaluator(network, change_cost).evaluate(closed)
    kept = miss == 0.0
    if not kept.any():
        return None
    paths = paths_of(model)
    own = closed[kept][:, numbering.branch]
    states = np.stack([path_states(model, paths, some) for some in own])
    w = np.abs(solve(network, closed[kept]).v[:, numbering.bus[paths.bus]]) ** 2
    work, value = work_for(whole), value[kept] - numbering.fixed_cost
    work.status[must_close[numbering.branch]] = CLOSED
    propagate(whole, work)
    steady = least_steady_loss(whole, model, work.status, float(value.max()))
    return Case(whole, model, steady, numbering, paths, own, states, value, w)


def path_states(model: Model, paths: Paths, closed: np.ndarray) -> np.ndarray:
    """(K) state of each path in one radial state, (m)."""
    n = model.n
    fr, to = np.minimum(model.fr, n), np.minimum(model.to, n)
    depth = np.full(n + 1, -1)
    depth[n] = 0
    for _ in range(n + 1):
        for a, b in ((fr, to), (to, fr)):
            reached = closed & (depth[a] >= 0) & (depth[b] < 0)
            depth[b[reached]] = depth[a[reached]] + 1
    states = []
    for k in range(len(paths.u)):
        branches = paths.branch[paths.start[k] : paths.start[k + 1]]
        u, v = (min(int(part[k]), n) for part in (paths.u_bus, paths.v_bus))
        forth = FORTH if depth[u] < depth[v] else BACK
        states.append(forth if closed[branches].all() else IS_OPEN)
    return np.array(states, dtype=np.int8)


def random_node(rng: np.random.Generator, case: Case) -> tuple[np.ndarray, PathWork, np.ndarray]:
    """(m) states of branches, the paths' own, and (S) which radial states both allow: at least one."""
    tree = rng.integers(len(case.closed))
    paths, model = case.paths, case.model
    status = np.where(case.closed[tree], CLOSED, OPEN)
    status = np.where(rng.random(len(status)) < rng.choice([0.0, 0.3, 0.6, 1.0]), status, UNDECIDED)
    work = path_work_for(paths, len(model.p))
    work.steady[0] = case.steady
    for k in np.flatnonzero(rng.random(len(paths.u)) < rng.choice([0.0, 0.3, 0.9])):
        work.mask[k] &= case.states[tree, k] | rng.choice([IS_OPEN, FORTH, BACK, 0])
    fits = np.all((status == UNDECIDED) | ((status == CLOSED) == case.closed), axis=1)
    return status.astype(np.int8), work, fits & np.all(case.states & work.mask, axis=1)


def faults(case: Case, rng: np.random.Generator, nodes: int) -> tuple[int, list[str]]:
    """Bounds at random multipliers of random nodes: how many there were, and those above a completion."""
    model, paths, found, bounds = case.model, case.paths, [], 0
    for _ in range(nodes):
        status, of_paths, fits = random_node(rng, case)
        work = work_for(model)
        entries.begin(model, paths, of_paths, work)
        work.status[:] = status
        best = float(case.value[fits].min())
        if not propagate(model, work) or not entries.prepared(model, paths, of_paths, work):
            found.append("a node with completions has none")
            continue
        largest = float(rng.choice([0.0, 0.05, 0.2, 1.0]))
        for _ in range(4):
            # About other flows than the least ones, and with prices of voltages where paths are decided.
            of_paths.about_p[:], of_paths.about_q[:] = rng.choice([0.0, 0.5, 2.0]) * rng.random((2, 2 * len(paths.u)))
            entries.prepared(model, paths, of_paths, work)
            of_paths.y[:-1], of_paths.mu[:-1] = largest * rng.random((2, paths.junctions))
            entered(path_bounds.order_decided)(model, paths, of_paths)
            for _ in range(3):
                bound = entries.path_bound(model, paths, of_paths, work, HUGE * best)
                bounds += 1
                if bound > best * (1.0 + 1e-9) + 1e-15:
                    found.append(f"bound {bound:.9g} above {best:.9g} with prices of voltages")
                step = rng.choice([0.1, 0.3, 1.0]) * paths.metric
                of_paths.y[:-1] = np.maximum(0.0, of_paths.y[:-1] + step @ of_paths.residual_p)
                of_paths.mu[:-1] = np.maximum(0.0, of_paths.mu[:-1] + step @ of_paths.residual_q)
            entries.prepared(model, paths, of_paths, work)
            of_paths.y[:-1], of_paths.mu[:-1] = largest * rng.random((2, paths.junctions))
            bound = entries.path_bound(model, paths, of_paths, work, HUGE * best)
            bounds += 1
            if bound > best * (1.0 + 1e-9) + 1e-15:
                found.append(f"bound {bound:.9g} above {best:.9g}")
            # Towards better multipliers, where the bound is near the best completion.
            of_paths.y[:-1] = np.maximum(0.0, of_paths.y[:-1] + 0.3 * paths.metric @ of_paths.residual_p)
            bound = entries.path_bound(model, paths, of_paths, work, HUGE * best)
            bounds += 1
            if bound > best * (1.0 + 1e-9) + 1e-15:
                found.append(f"bound {bound:.9g} above {best:.9g} after a step")
            # With the voltages of what is below a cutoff, which the best completion is.
            if bound == -np.inf:
                continue
            cutoff = best * (1.0 + float(rng.choice([1e-6, 0.05, 0.5]))) + 1e-15
            entered(ascent.force)(paths, of_paths, bound)
            left = cutoff - (bound - MARGIN * abs(bound))
            entered(ascent.lower_voltages)(paths, of_paths, bound, left)
            below = case.w[fits & (case.value < cutoff)]
            if np.any(below > of_paths.known_w * (1.0 + 1e-9)):
                found.append(f"voltages above those below {cutoff:.9g}")
            entries.prepared(model, paths, of_paths, work)
            bound = entries.path_bound(model, paths, of_paths, work, HUGE * best)
            if bound > best * (1.0 + 1e-9) + 1e-15:
                found.append(f"bound {bound:.9g} above {best:.9g} with voltages below {cutoff:.9g}")
            of_paths.known_w[:] = np.inf
            entries.prepared(model, paths, of_paths, work)
    return bounds, found


def faults_of_parts(case: Case, rng: np.random.Generator, nodes: int) -> tuple[int, list[str]]:
    """Bounds by parts at random nodes, partitions and prices of these: how many, and those above a completion."""
    model, paths, found, bounds = case.model, case.paths, [], 0
    some = np.flatnonzero((paths.u < paths.junctions) | (paths.v < paths.junctions))
    for _ in range(nodes):
        status, of_paths, fits = random_node(rng, case)
        work = work_for(model)
        entries.begin(model, paths, of_paths, work)
        work.status[:] = status
        best = float(case.value[fits].min())
        if not propagate(model, work) or not entries.prepared(model, paths, of_paths, work):
            found.append("a node with completions has none")
            continue
        largest = float(rng.choice([0.0, 0.05, 0.2, 1.0]))
        for turn in range(4):
            if turn % 2 == 0:
                of_paths.y[:-1], of_paths.mu[:-1] = largest * rng.random((2, paths.junctions))
            else:  # towards better multipliers
                of_paths.y[:-1] = np.maximum(0.0, of_paths.y[:-1] + 0.3 * paths.metric @ of_paths.residual_p)
            bound = entries.path_bound(model, paths, of_paths, work, HUGE * best)
            if bound == -np.inf:
                continue
            label = rng.integers(int(rng.integers(1, 4)), size=len(some))
            parts, begin = [some[label == g] for g in range(3) if np.any(label == g)], None
            if rng.random() < 0.5:
                y, mu, z = rng.random((3, paths.junctions + 1)) * [[largest], [largest], [2.0 * best]]
                y[-1] = mu[-1] = z[-1] = 0.0
                begin = Prices(y, mu, z - z.mean())
            border = Border(model, paths, node_of(paths, of_paths, work.status, bound), parts, begin)
            cutoff, ahead = best * float(rng.choice([1.0, 1.1, 2.0])) + 1e-15, float(rng.choice([0.01, 0.1, 1.0]))
            rounds = border.rounds(cutoff, ahead, int(rng.choice([4, 10, 100])))
            for value in itertools.islice(rounds, ROUNDS * len(parts)):
                bounds += value > -np.inf
                if value > best * (1.0 + 1e-9) + 1e-15:
                    found.append(f"bound by parts {value:.9g} above {best:.9g}")
    return bounds, found


def rounds_of_two_parts(case: Case, rng: np.random.Generator) -> list[float]:
    """Bounds of a grid by two random parts, at better and better prices of these."""
    model, paths = case.model, case.paths
    of_paths, work = path_work_for(paths, len(model.p)), work_for(model)
    of_paths.steady[0] = case.steady
    assert propagate(model, work)
    entries.begin(model, paths, of_paths, work)
    assert entries.prepared(model, paths, of_paths, work)
    best = float(case.value.min())
    bound = entries.raised(model, paths, of_paths, work, HUGE * best, best, 100)
    some = np.flatnonzero((paths.u < paths.junctions) | (paths.v < paths.junctions))
    first = rng.permutation(len(some)) < len(some) // 2
    border = Border(model, paths, node_of(paths, of_paths, work.status, bound), [some[first], some[~first]])
    return [value for value in border.rounds(best, 0.3, 100) if value > -np.inf] or [bound]


def lost(case: Case, share: float) -> int:
    """How many radial states below (1 + share) times the least value the search with both bounds does not come to."""
    model = case.whole
    work, pool, count = work_for(model), pool_for(model, 64), counts()
    cutoff = float(case.value.min()) * (1.0 + share) + 1e-15
    count.cutoff[0], count.active[0] = cutoff, 1
    assert propagate(model, work)
    explorer = PathExplorer(model, work, loss=cutoff)
    found = set()
    while (event := explorer.explore(pool, count, 50)) != EXHAUSTED:
        if event == LEAF:
            found.add((work.status == CLOSED).tobytes())
            count.active[0] = 0
        elif event == FULL:
            pool = enlarged(pool)
    return sum(some.tobytes() not in found for some in case.closed[case.value < cutoff * (1.0 - 1e-6)])
