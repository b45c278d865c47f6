"""The exchanges that lead from today's state to an answer, those that save most per switch operation first.

An exchange closes a branch and opens one of the loop that this makes, so that every state on the way is radial
(`openpoint.graph.exchange_order`). Of what is left to close, the next is what saves most from where one stands, with
the opening that loses least. What an exchange saves depends on those before it, so that savings are not always in
order, and limits may be broken half-way: exchanges that follow each other become one group until

- no state between groups breaks limits by more than today's state and the answer do, and
- no group saves more per operation than one before it.

The first groups are then those to do where operations are few. They are good, not proven best: that is
`reconfigure` with `max_changes`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from openpoint.arrays import Bools
from openpoint.graph import is_radial, path
from openpoint.network import Network
from openpoint.studies.reconfigure.ac_evaluation import AcEvaluator
from openpoint.studies.reconfigure.result import SwitchGroup


def switch_groups(network: Network, ac: AcEvaluator, after: Bools) -> tuple[SwitchGroup, ...]:
    """The groups from the network's state to another one, (E); none where a state is not radial or has no flow.

    Args:
        network: without permanently closed loops. ac: the evaluator of its states at the demand of today.
    """
    before, ends = network.closed, (network.n_terminals, network.terminal_fr, network.terminal_to)
    if not all(is_radial(*ends, closed, network.source_terminal) for closed in (before, after)):
        return ()
    at_first, at_last = _flow(ac, before), _flow(ac, after)
    if not np.isfinite(at_first[0]) or not np.isfinite(at_last[0]):
        return ()
    most, groups, waiting = max(at_first[1], at_last[1]), list[SwitchGroup](), None
    for step, violation in _exchanges(network, ac, after, at_first[0]):
        waiting = step if waiting is None else waiting + step
        if violation > most:
            continue
        while groups and groups[-1].saving_per_operation_kw < waiting.saving_per_operation_kw:
            waiting = groups.pop() + waiting
        groups.append(waiting)
        waiting = None
    return tuple(groups)


def _exchanges(network: Network, ac: AcEvaluator, after: Bools, loss: float) -> Iterator[tuple[SwitchGroup, float]]:
    """Each exchange from the network's state, of `loss`, to another one, and the violation after it.

    What an exchange saves seldom rises with those before it, so that only the one that seemed best is looked at anew.
    """
    closed, done = network.closed.copy(), 0

    def best(close: int) -> tuple[float, int, int, float, float, int]:
        tried = []
        for opened in _openings(network, closed, after, close):
            state = closed.copy()
            state[[close, opened]] = True, False
            lost, violation = _flow(ac, state)
            tried.append((lost, opened, violation))
        lost, opened, violation = min(tried)
        return (lost - loss if np.isfinite(lost) else np.inf), close, opened, lost, violation, done

    queue = [best(int(e)) for e in np.flatnonzero(after & ~closed)]
    heapq.heapify(queue)
    while queue:
        _, close, opened, lost, violation, when = heapq.heappop(queue)
        if when < done:
            heapq.heappush(queue, best(close))
            continue
        closed[[close, opened]] = True, False
        names = network.branch_names
        yield SwitchGroup((names[close],), (names[opened],), loss, lost), violation
        loss, done = lost, done + 1


def _openings(network: Network, closed: Bools, after: Bools, close: int) -> list[int]:
    """Branches of the loop that closing one makes that are not closed in the end; there is at least one."""
    node = np.arange(network.n_terminals)
    node[network.source_terminal] = network.source_terminal[0]
    fr, to, now = node[network.terminal_fr], node[network.terminal_to], np.flatnonzero(closed)
    loop = path(len(node), fr[now], to[now], int(fr[close]), int(to[close])) or ()
    return [int(now[k]) for k in loop if not after[now[k]]]


def _flow(ac: AcEvaluator, closed: Bools) -> tuple[float, float]:
    loss, violation = ac.flows(closed[None, :])
    return float(loss[0, 0]), float(violation[0, 0])
