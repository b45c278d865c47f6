"""Compiled: the tree of a radial state, and what is fed through a bus."""

from __future__ import annotations

from openpoint.compiled.jit import inlined
from openpoint.powerflow.arrays import Wires
from openpoint.studies.reconfigure.faults.arrays import FaultData, FaultWork


@inlined
def grow_tree(wires: Wires, data: FaultData, state: FaultWork) -> bool:
    """The tree of `state.closed`, depth first; False where it has a loop, joins sources or leaves a bus out."""
    n, count, stack = len(data.load), 0, state.chosen
    for bus in range(n):
        state.place[bus] = -1
    for e in range(len(data.fr)):
        state.lower[e] = -1
    for s in range(len(wires.source)):
        root = wires.source[s]
        state.above[root], state.parent[root], state.feeder[root] = -1, -1, -1
        stack[0], depth = root, 1
        while depth > 0:
            depth -= 1
            bus = stack[depth]
            if state.place[bus] >= 0:
                return False
            state.place[bus] = count
            state.order[count] = bus
            count += 1
            for a in range(wires.start[bus], wires.start[bus + 1]):
                e, other = wires.via[a], wires.neighbour[a]
                if not state.closed[e] or e == state.above[bus]:
                    continue
                if state.place[other] >= 0 or data.source[other] >= 0 or depth == n:
                    return False
                state.above[other], state.parent[other], state.lower[e] = e, bus, other
                state.feeder[other] = other if data.source[bus] >= 0 else state.feeder[bus]
                stack[depth] = other
                depth += 1
    if count < n:
        return False
    for k in range(n):
        state.end[state.order[k]] = k + 1
        state.load_to[k + 1] = state.load_to[k] + data.load[state.order[k]]
        state.customers_to[k + 1] = state.customers_to[k] + data.customers[state.order[k]]
    for k in range(n - 1, -1, -1):
        bus = state.order[k]
        if state.parent[bus] >= 0:
            up = state.parent[bus]
            state.end[up] = max(state.end[up], state.end[bus])
    return True


@inlined
def below(state: FaultWork, head: int, bus: int) -> bool:
    """Whether a bus is fed through another one, itself included."""
    inside: bool = state.place[head] <= state.place[bus] < state.end[head]
    return inside


@inlined
def load_below(state: FaultWork, head: int) -> float:
    """Load that is fed through a bus."""
    total: float = state.load_to[state.end[head]] - state.load_to[state.place[head]]
    return total


@inlined
def customers_below(state: FaultWork, head: int) -> float:
    """Customers that are fed through a bus."""
    total: float = state.customers_to[state.end[head]] - state.customers_to[state.place[head]]
    return total
