"""Which method suits which question, and what each finds."""

from __future__ import annotations

from dataclasses import replace

from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.studies.dispatch.model.layout import DispatchState
from openpoint.studies.dispatch.question import Found, Question
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Progress
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.methods.solving import ExtensiveForm

Method = TopologySearch | Benders | ExtensiveForm | Enumeration

FEW = 1_000_000
"""States up to which all are tried rather than bounded: a quarter of a minute."""


def quickest(question: Question, gap: float | None, time_limit_s: float | None) -> tuple[Method, str]:
    """The quickest method that can take a question, and why it is taken.

    Topology search where its bound is valid; else all states where they are few; else Benders. Without a gap, each has
    its own.
    """
    why_not = question.unsearchable()
    search = TopologySearch(time_limit_s=time_limit_s)
    search = search if gap is None else replace(search, gap=gap)
    if not why_not and question.drops is None:
        return search, "what is sought has a bound in closed form"
    if not question.dispatches and question.states <= FEW:
        why = f" (not topology search: {why_not})" if why_not else ""
        return Enumeration(time_limit_s=time_limit_s), f"{question.states:,} states are few enough to try all{why}"
    if not why_not:
        return search, "drops of voltage bound what is sought"
    benders = Benders(time_limit_s=time_limit_s)
    return benders if gap is None else replace(benders, gap=gap), f"topology search cannot take it: {why_not}"


def solve(method: Method, question: Question, progress: Progress | None, deadline: Deadline) -> Found:
    """What a method finds, in the units of the criteria.

    Raises:
        OptionError: the method cannot take the question.
    """
    if isinstance(method, TopologySearch | Enumeration):
        return method.solve(question, progress, deadline)
    outcome = method.solve(question.program, progress, deadline)
    found = outcome.state
    state = None
    if isinstance(found, DispatchState):
        state = question.state(found.closed, found.positions, found.generation)
    end = question.found(outcome.termination, state, outcome.lower_bound, outcome.log, outcome.seconds)
    return replace(end, lower_bound=outcome.lower_bound)
