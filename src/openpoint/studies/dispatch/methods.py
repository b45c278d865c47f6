"""Which method suits which question."""

from __future__ import annotations

from openpoint.studies.dispatch.enumeration import Enumeration, count_states
from openpoint.studies.dispatch.question import Question

Method = Enumeration


def quickest(question: Question, gap: float | None, time_limit_s: float | None) -> tuple[Method, str]:
    """The quickest method that can take a question, and why it is taken."""
    return Enumeration(time_limit_s=time_limit_s), f"{count_states(question):,} states are few enough to try all"
