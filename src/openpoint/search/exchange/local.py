"""Branch exchange alone (Civanlar et al. 1988), with kicks: a local optimum in milliseconds, and no bound."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from openpoint.arrays import Bools
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.search.exchange.ac_check import AcEvaluator, Candidate, Exchange
from openpoint.search.kernel.arrays import CLOSED, work_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from openpoint.search.result import SearchProgress, SearchResult
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination


def exchange_branches(
    network: Network,
    *,
    must_close: Bools,
    must_open: Bools,
    max_changes: int | None = None,
    change_cost: float = 0.0,
    time_limit: float = math.inf,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[SearchProgress], None] | None = None,
    deadline: Deadline | None = None,
) -> SearchResult:
    """The best local optimum of branch exchange: from today's state and from the tree of least impedance, with kicks.

    Exchanges are ranked by an estimate from the currents of an exact flow, and accepted by exact flows. A kick is some
    of them at random, kept where exchange leads to a better state from there. Violations of limits come first.

    Args:
        network: a balanced network with the limits to keep. Limits count as kept within a relative 1e-6.
        must_close, must_open: (E) branches whose state is given.
        max_changes: most branches whose state may differ from today's. change_cost: cost of each, per unit.
        time_limit: seconds. stop: called regularly; True stops. progress: called after every exchange.
        deadline: used in place of the time limit.

    Raises:
        OptionError: several phases, generators to dispatch, or a voltage without limit.
    """
    model, numbering = build_model(
        network, must_close=must_close, must_open=must_open, max_changes=max_changes, change_cost=change_cost
    )
    if model.dispatchable:
        raise OptionError(
            "branch exchange does not dispatch generators; use topology search, or clear their limits to fix them"
        )
    work = work_for(model)
    work.status[must_close[numbering.branch]] = CLOSED
    possible = propagate(model, work)
    best: Candidate | None = None
    until = deadline or Deadline(time_limit)
    began = until.passed()

    def seconds() -> float:
        return until.passed() - began

    def over() -> bool:
        return until.over() or (stop is not None and stop())

    if possible:

        def better(candidate: Candidate) -> None:
            value = min(_value(candidate), _value(best))
            if progress is not None:
                progress(SearchProgress(seconds(), 0, 0, 0, -math.inf, value, 0.0))

        exchange = Exchange(model, numbering, AcEvaluator(network, change_cost), work.status, over, better)
        for weight in (network.closed[numbering.branch].astype(float), -np.sqrt(model.z2)):
            start = exchange.tree(weight)
            candidate = None if start is None else exchange.kicked(start, float(exchange.free.sum()))
            if candidate is not None and candidate.beats(best):
                best = candidate
            if best is not None and over():
                break
    reason = Termination.LOCAL if possible else Termination.INFEASIBLE
    if possible and over():
        reason = until.why if until.over() else Termination.INTERRUPTED
    holds = best is not None and best.violation == 0.0
    closed = None if best is None else best.closed
    return SearchResult(
        termination=reason,
        closed=closed if holds else None,
        generation=None if best is None else best.generation,
        value=_value(best),
        lower_bound=-math.inf if possible else math.inf,
        least_violation=None if holds else closed,
        nodes=0,
        probes=0,
        leaves=0,
        by_cone=0,
        seconds=seconds(),
    )


def _value(best: Candidate | None) -> float:
    return best.value if best is not None and best.violation == 0.0 else math.inf
