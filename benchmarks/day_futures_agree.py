"""Whether the plans of a day for futures agree, on random small days with everything that a day may hold.

    python -m benchmarks.day_futures_agree [--count 200] [--first 0]

Three futures are drawn for every day that has something uncertain, with random probabilities; the risk is the
expectation, CVaR(0.5) or the worst case, in turn. The search for the topology is compared with the best plan of every
radial topology one by one: its bound may not lie above the least cost of them, nor its cost below the least bound, and
where it reached its gap its cost may not be further than that from the least. What the search
refuses by name is counted. Exit status 1: a fault.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import networkx as nx
import numpy as np

from openpoint.arrays import Bools
from openpoint.errors import OptionError
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion, ScenarioDays, with_scenarios
from openpoint.studies.dispatch.day.samples import sample_days
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch
from openpoint.twostage.log import Termination
from openpoint.twostage.risk import CVaR, Expectation, WorstCase
from tests.builders.random_days import random_day

RISKS = Expectation(), CVaR(0.5), WorstCase()
NAMES = ("a", "b", "c")
GAP = 1e-3
"""Gap of the search."""
SAME = 1e-4
"""Relative accuracy of the plans of given topologies."""


def question_of(seed: int) -> DayQuestion | None:
    """The day of a seed before futures; None where nothing is uncertain, or positions are asked for."""
    day = random_day(seed)
    question = day.question
    plain = question.positions is Cadence.FIXED and "banks" not in day.held
    if not question.day.uncertain.count or not plain:
        return None
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(len(NAMES)))
    days = sample_days(question.day.uncertain, len(NAMES), seed=seed)
    asked = replace(question, topology=Cadence.ONCE)
    return with_scenarios(asked, ScenarioDays(NAMES, days, probabilities, RISKS[seed % len(RISKS)]))


def trees(question: DayQuestion) -> Iterator[Bools]:
    """All radial states that are allowed."""
    net, rules = question.network, question.rules
    ends = list(zip(net.terminal_fr.tolist(), net.terminal_to.tolist(), strict=True))
    sources = net.source_terminal.tolist()
    for some in itertools.combinations(range(len(ends)), net.n_terminals - len(sources)):
        graph = nx.MultiGraph([*(ends[e] for e in some), *((sources[0], other) for other in sources[1:])])
        graph.add_nodes_from(range(net.n_terminals))
        closed = np.isin(np.arange(len(ends)), some)
        moved = closed != net.closed
        locked = (rules.must_close & ~closed).any() or (rules.must_open & closed).any()
        many = rules.max_changes is not None and moved.sum() > rules.max_changes
        if nx.is_connected(graph) and not (locked or many or (moved & ~net.switchable).any()):
            yield closed


def faults(question: DayQuestion) -> tuple[str, list[str]]:
    """How the search ended, and what does not agree."""
    try:
        found = DayTopologySearch(gap=GAP).solve(question)
    except OptionError:
        return "refused", []
    method, templates = PeriodScenarios(gap=SAME), HourTemplates(question)
    each = [method.solve(question, closed=closed, templates=templates) for closed in trees(question)]
    cost = min((one.upper_bound for one in each), default=np.inf)
    bound = min((one.lower_bound for one in each), default=np.inf)
    told = list[str]()
    if found.lower_bound > cost + SAME * abs(cost):
        told.append(f"the bound {found.lower_bound} lies above {cost}")
    if found.upper_bound < bound - SAME * abs(bound):
        told.append(f"the cost {found.upper_bound} lies below {bound}")
    if found.termination is Termination.GAP and found.upper_bound > cost + (GAP + SAME) * abs(cost):
        told.append(f"the cost {found.upper_bound} is not the least, {cost}")
    return found.termination.value, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    ends, wrong = Counter[str](), 0
    for seed in range(arguments.first, arguments.first + arguments.count):
        question = question_of(seed)
        if question is None:
            continue
        end, told = faults(question)
        ends[end] += 1
        wrong += bool(told)
        for line in told:
            print(f"{seed}: {line}", flush=True)
    print(f"{sum(ends.values())} days, {wrong} with faults; the search: {dict(ends)}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
