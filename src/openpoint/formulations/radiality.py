"""Radiality: constraints on branch states so that the grid is radial, by arcs and a single-commodity flow.

Branches that must be closed (not switchable, locked, or bridges of the grid) are contracted first. On what is left,
every block without a source has exactly one parent: Σ of the arcs into it = 1; a closed branch is one of its two arcs.
These constraints alone admit loops that are disconnected from every source where nothing is consumed. So a fictitious
commodity flows from the sources to those blocks that the power balance does not force to be connected (Lavorato et al.
2012).

Radial choices where a branch has conductors of several phases, which open and close together.

The graph is that of terminals and conductors: every terminal is connected to one source by one path. The constraints of
`radiality` apply to conductors in place of branches, and all conductors of a branch have the same state.

Switching actions: how many branches may change their state, and what a change costs.

With x the state of the branches and x⁰ that of today,

    changes(x) = Σ_{x⁰ = 0} x + Σ_{x⁰ = 1} (1 − x),      changes(x) ≤ N,      cost = c · changes(x)

Theory: docs/methods.md M1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import InputError, Problem
from openpoint.graph import bridges, components, forest
from openpoint.grid.grid import Grid
from openpoint.grid.today import refuse_locked_meshes
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.solvers.modelling import cp


@dataclass(frozen=True)
class Choices:
    """The branches and blocks that are left after contraction.

    Attributes:
        free: branches whose state is undecided (F of E).
        state: (E) 1 closed, 0 open where fixed; nan where free.
        fr, to: (F) blocks at the ends of the free branches; the block of all sources is 0.
        block: (N) block of each bus.
        n_blocks: blocks, that of the sources included.
        loop: branches that must be closed and close a loop or join two sources; empty where a radial choice exists.
        cut_off: buses that no source can reach; empty where a radial choice exists.
    """

    free: Ints
    state: Floats
    fr: Ints
    to: Ints
    block: Ints
    n_blocks: int
    loop: tuple[int, ...] = ()
    cut_off: tuple[int, ...] = ()


@dataclass(frozen=True)
class Radiality:
    """Variables and constraints of a radial choice.

    Attributes:
        closed: (E) state of every branch.
        arc_fr, arc_to: (F) arcs of the free branches: from fr to to, and back; None where nothing is free.
        integers: the integer variables: the arcs, which make the states binary too.
        constraints: linear.
    """

    closed: cp.Variable
    arc_fr: cp.Variable | None
    arc_to: cp.Variable | None
    integers: tuple[cp.Variable, ...]
    constraints: list[cp.Constraint]


def contract(n: int, fr: Ints, to: Ints, sources: Ints, must_close: Bools, must_open: Bools) -> Choices:
    """Contract the branches that must be closed, bridges included; all sources become block 0.

    Args:
        n: number of buses. fr, to: (E) ends of the branches. sources: buses that are sources.
        must_close, must_open: (E) fixed states.
    """
    usable = ~must_open
    label = np.arange(n)
    label[sources] = sources[0]
    closed = must_close.copy()
    while True:
        joined = np.flatnonzero(closed)
        block = components(n, label[fr[joined]], label[to[joined]])[label]
        undecided = np.flatnonzero(usable & ~closed)
        more = bridges(int(block.max()) + 1, block[fr[undecided]], block[to[undecided]])
        if not more.any():
            break
        closed[undecided[more]] = True
    loop = _loop(n, fr, to, sources, must_close)
    joined = np.flatnonzero(usable)
    reach = components(n, label[fr[joined]], label[to[joined]])[label]
    cut_off = tuple(np.flatnonzero(reach != reach[sources[0]]).tolist())
    # Renumber: the block of the sources first.
    block = np.unique(np.where(block == block[sources[0]], -1, block), return_inverse=True)[1]
    inside = undecided[block[fr[undecided]] == block[to[undecided]]]  # would close a loop at once
    free = np.setdiff1d(undecided, inside)
    state = np.where(closed, 1.0, 0.0)
    state[free] = np.nan
    return Choices(free, state, block[fr[free]], block[to[free]], block, int(block.max()) + 1, loop, cut_off)


def choices_left(network: Network, rules: SwitchingRules) -> Choices:
    """What rules leave to decide over the branches of a balanced network."""
    ends = network.terminal_fr, network.terminal_to, network.source_terminal
    return contract(network.n_terminals, *ends, rules.must_close, rules.must_open)


def _loop(n: int, fr: Ints, to: Ints, sources: Ints, must_close: Bools) -> tuple[int, ...]:
    """Branches of one loop among those that must be closed, the sources taken as one bus; empty if there is none."""
    label = np.arange(n)
    label[sources] = sources[0]
    chosen = np.flatnonzero(must_close)
    a, b = label[fr[chosen]], label[to[chosen]]
    if len(chosen) <= n - 1 - int(components(n, a, b).max()):
        return ()
    return tuple(chosen[~bridges(n, a, b)].tolist())


def heaviest_tree(choices: Choices, weight: Floats) -> Floats:
    """(E) states of the radial choice of greatest total weight (Kruskal 1956)."""
    state = np.nan_to_num(choices.state, nan=0.0)
    order = np.argsort(-weight[choices.free], kind="stable")
    state[choices.free[order]] = forest(choices.n_blocks, choices.fr[order], choices.to[order])
    return state


def radiality(choices: Choices, *, consuming: Bools) -> Radiality:
    """Variables and constraints of the radial choices.

    Args:
        choices: from `contract`.
        consuming: (blocks) blocks that the power balance forces to be connected to a source, because they consume and
            nothing feeds in anywhere; the others need the commodity.
    """
    fixed = np.flatnonzero(~np.isnan(choices.state))
    closed = cp.Variable(len(choices.state), name="closed")
    constraints: list[cp.Constraint] = [closed[fixed] == choices.state[fixed]] if len(fixed) else []
    count, blocks = len(choices.free), choices.n_blocks
    if count == 0:
        return Radiality(closed, None, None, (), constraints)
    arc_fr, arc_to = cp.Variable(count, name="arc_fr"), cp.Variable(count, name="arc_to")
    columns = np.arange(count)
    into_to = sp.csr_array((np.ones(count), (choices.to, columns)), shape=(blocks, count))
    into_fr = sp.csr_array((np.ones(count), (choices.fr, columns)), shape=(blocks, count))
    constraints += [
        *_one_parent(closed[choices.free], (arc_fr, arc_to), into_to @ arc_fr + into_fr @ arc_to),
        *_connectivity((arc_fr, arc_to), into_to - into_fr, np.flatnonzero(~consuming[1:]) + 1),
    ]
    return Radiality(closed, arc_fr, arc_to, (arc_fr, arc_to), constraints)


def _one_parent(
    closed: cp.Expression, arcs: tuple[cp.Variable, cp.Variable], parents: cp.Expression
) -> list[cp.Constraint]:
    """closed = arc_fr + arc_to ≤ 1, Σ arcs into a block = 1, into that of the sources 0: spanning tree by parents."""
    arc_fr, arc_to = arcs
    return [
        arc_fr >= 0,
        arc_to >= 0,
        arc_fr <= 1,
        arc_to <= 1,
        closed == arc_fr + arc_to,
        parents[1:] == 1,
        parents[0] == 0,
        closed <= 1,
    ]


def _connectivity(arcs: tuple[cp.Variable, cp.Variable], into: sp.csr_array, needy: Ints) -> list[cp.Constraint]:
    """Single-commodity flow (Gavish and Graves 1978): each of M needy blocks takes a unit that comes from the sources,

    Σ flow into − Σ flow out of = 1 (0 for the others),      −M arc_to ≤ flow ≤ M arc_fr
    """
    if not len(needy):
        return []
    flow = cp.Variable(into.shape[1], name="commodity")
    demand = np.zeros(into.shape[0])
    demand[needy] = 1.0
    return [
        (into @ flow)[1:] == demand[1:],
        flow <= len(needy) * arcs[0],
        flow >= -len(needy) * arcs[1],
    ]


def contract_coupled(
    n: int, fr: Ints, to: Ints, branch: Ints, sources: Ints, must_close: Bools, must_open: Bools
) -> Choices:
    """Contract the conductors that must be closed, including all conductors of the same branches; see `contract`.

    Args:
        n: number of terminals. fr, to: (E) ends of the conductors. branch: (E) branch of each, 0 … B - 1.
        sources: terminals that are sources. must_close, must_open: (E) fixed states.
    """
    closed, opened = must_close, must_open
    while True:
        choices = contract(n, fr, to, sources, closed, opened)
        closed = _together(branch, choices.state == 1.0)
        opened = _together(branch, choices.state == 0.0) & ~closed  # both ways: closed, it makes a loop
        settled = np.array_equal(closed, choices.state == 1.0) and np.array_equal(opened, choices.state == 0.0)
        if settled or choices.loop or choices.cut_off:
            return choices


def radial_states(choices: Choices, branch: Ints, weight: Floats | None = None) -> Iterator[Bools]:
    """All radial states (E) of the conductors, each once; those that keep branches of great weight come first.

    Args:
        choices: of `contract_coupled`, with the branches (E) of all its conductors.
        weight: (B) by branch.
    """
    if choices.loop or choices.cut_off:
        return
    free, fr, to = choices.free, choices.fr, choices.to
    own = branch[free]
    rank = np.zeros(len(own)) if weight is None else weight[own]
    base = choices.state == 1.0
    source = np.zeros(1, dtype=np.int64)
    waiting = [(np.zeros(len(free), dtype=np.bool_), np.zeros(len(free), dtype=np.bool_))]
    while waiting:
        shut, opened = waiting.pop()
        left = contract_coupled(choices.n_blocks, fr, to, own, source, shut, opened)
        settled = left.state == 1.0, left.state == 0.0
        if left.loop or left.cut_off:
            continue
        if not len(left.free):
            state = base.copy()
            state[free] = settled[0]
            yield state
            continue
        chosen = own == own[left.free[np.argmax(rank[left.free])]]
        waiting += [(settled[0], settled[1] | chosen), (settled[0] | chosen, settled[1])]


def _together(branch: Ints, some: Bools) -> Bools:
    """(E) whether any conductor of the same branch is among `some`."""
    hit = np.zeros(int(branch.max(initial=-1)) + 1, dtype=np.bool_)
    hit[branch[some]] = True
    return hit[branch]


def choices_of(network: Network, must_close: Bools, must_open: Bools) -> Choices:
    """What is left to decide over conductors, of states given by branch (B); permanently closed loops do not count."""
    branch = network.conductor_branch
    closed, opened = must_close[branch], must_open[branch]
    tree = np.flatnonzero(~(loop_closers(network) & closed))
    found = contract_coupled(
        network.n_terminals,
        network.terminal_fr[tree],
        network.terminal_to[tree],
        branch[tree],
        network.source_terminal,
        closed[tree],
        opened[tree],
    )
    state = np.ones(network.n_conductors)
    state[tree] = found.state
    return replace(found, free=tree[found.free], state=state, loop=tuple(tree[list(found.loop)].tolist()))


def loop_closers(network: Network) -> Bools:
    """(E) conductors without which the permanently closed loops of a grid of phases are open, one a loop.

    Such a loop consists of lines and switches that cannot be opened.
    """
    found = np.zeros(network.n_conductors, dtype=np.bool_)
    kinds = np.array([kind != "transformers" for kind in network.branch_kinds], dtype=np.bool_)
    held = np.flatnonzero(network.closed & ~network.switchable & kinds[network.conductor_branch])
    if not network.is_balanced and len(held):
        in_tree = forest(network.n_terminals, network.terminal_fr[held], network.terminal_to[held])
        found[held[~in_tree]] = True
    return found


def is_radial_state(network: Network, closed: Bools) -> bool:
    """Whether a state (B) reaches every terminal by one path from one source."""
    kept = choices_of(network, closed, ~closed)
    return not (kept.loop or kept.cut_off)


def by_branch(network: Network, state: Bools) -> Bools:
    """(B) state of the branches of that of their conductors (E)."""
    found = np.zeros(len(network.branch_names), dtype=np.bool_)
    found[network.conductor_branch] = state
    return found


@final
@dataclass(frozen=True)
class Switching:
    """The branches whose state differs from today's.

    Attributes:
        today: (B) today's state.
        most: most changes; None = any number.
        cost_kw: of a change, in kW of loss.
    """

    today: Bools
    most: int | None
    cost_kw: float

    def changes(self, closed: cp.Expression) -> cp.Expression:
        """Number of changes of a state (B) that is yet to be decided."""
        return cp.sum(closed[~self.today]) + cp.sum(1 - closed[self.today])

    def limit(self, closed: cp.Expression) -> list[cp.Constraint]:
        """changes(x) ≤ N."""
        return [] if self.most is None else [self.changes(closed) <= self.most]

    def cost(self, closed: Bools) -> Floats:
        """(…) cost in kW of states (…, B)."""
        return np.asarray(self.cost_kw * np.sum(closed != self.today, axis=-1))

    def allowed(self, closed: Bools) -> Bools:
        """(…) whether states (…, B) keep to the number of changes."""
        if self.most is None:
            return np.ones(closed.shape[:-1], dtype=np.bool_)
        return np.asarray(np.sum(closed != self.today, axis=-1) <= self.most)


def refuse_impossible(grid: Grid, network: Network, choices: Choices, must_close: Bools) -> None:
    """Locks that leave no radial state are a fault of the input, not an infeasible study.

    Args:
        must_close: (B) branches that must be closed.

    Raises:
        InputError: naming the branches of a loop, or the buses cut off.
    """
    if choices.loop:
        refuse_locked_meshes(grid, [network.branch_names[b] for b in np.flatnonzero(must_close)])
    if choices.cut_off:
        cut_off = list(dict.fromkeys(network.bus_names[network.terminal_bus[n]] for n in choices.cut_off))
        remedy = "Release a branch that connects them"
        message = "the branches locked open cut them off from every source"
        raise InputError([Problem("buses", ", ".join(cut_off[:10]), "", message, remedy)])
