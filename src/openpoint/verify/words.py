"""A question in the words and units of the user."""

from __future__ import annotations

from collections.abc import Iterator

from openpoint.network.criteria import CRITERIA
from openpoint.network.limits import Limits
from openpoint.verify.asked import Asked
from openpoint.verify.measure import ambiguity_of, risk_of
from openpoint.verify.question import Question

KINDS = {
    "tv": "a share of {} of the probability may lie elsewhere",
    "wasserstein": "probability may be moved by {} kVA of demand on average",
    "box": "each probability may differ by {}",
}
"""By kind of ambiguity what may be wrong of probabilities."""


def limits_in_words(question: Question, *, outputs: bool) -> list[str]:
    """The limits that states keep; `outputs`: whether those of generators may be chosen."""
    asked, net = question.asked or Asked(), question.net
    limits = [*_of_grid(asked.limits, question)]
    if question.steps is not None:
        limits = [f"{' and '.join(limits)} in every step"]
    elif question.futures is not None and not question.futures.limited:
        limits = [f"{' and '.join(limits)} in at least {asked.limits_share:.4g} of the futures"]
    if question.objective.supply_given:
        limits.append("the limits of the power of sources and generators")
    elif question.unsupplied:
        limits.append("limits of the power of sources and generators left out")
    limits += [question.held] if question.held else []
    limits += ["outputs within their ranges"] if outputs else []
    limits += ["lines open at the ends that the grid names"] if net.hangs.any() else []
    return limits + ([] if question.max_changes is None else [f"at most {question.max_changes} changes"])


def _of_grid(limits: Limits, question: Question) -> Iterator[str]:
    """Limits of voltages and currents; those of the sources' own buses do not count."""
    ends = limits.v_min_pu, limits.v_max_pu
    whose = "the voltage limits of the grid"
    if ends == (None, None):
        yield whose if limits.voltage else "voltage limits left out"
    else:
        low, high = (None if end is None else f"{end:g}" for end in ends)
        words = f"{low} to {high}" if low and high else f"{low} or more" if low else f"{high} or less"
        other = "" if low and high else f", its other limit {'that of the grid' if limits.voltage else 'left out'}"
        yield f"voltages of {words} pu at every bus without a source (not the limits of the grid{other})"
    if not limits.current:
        yield "current limits left out"
    elif min(question.l_max, default=float("inf")) < float("inf"):
        yield "its current limits" if ends == (None, None) and limits.voltage else "the current limits of the grid"


def futures_in_words(asked: Asked, count: int) -> str:
    """The measure of the losses in the futures of the user."""
    regret, word, level = risk_of(asked.risk)
    loss = "loss beyond what each future loses at best by itself" if regret else "loss"
    risk = f"greatest {loss}" if word == "worst" else f"expectation of the {loss}"
    if word == "cvar":
        risk = f"mean of the greatest losses, those of probability {1.0 - level:.4g},"
        risk = risk.replace("losses", "losses beyond what each future loses at best by itself") if regret else risk
    if asked.ambiguity is not None:
        kind, size = ambiguity_of(asked.ambiguity)
        risk = f"worst expectation of the loss where {KINDS[kind].format(f'{size:g}')},"
    return f"{risk} in the {count} futures of the table"


def prices_in_words(question: Question) -> str:
    """What is minimised where it is not the loss."""
    asked = question.asked
    if asked is None or asked.minimize is None:
        return "at the prices given"
    weights = asked.minimize
    if dict(weights) == {"cost": 1.0}:
        return "$/h at the prices of the grid"
    return f"as {weights_in_words(weights)} count"


def weights_in_words(weights: object) -> str:
    """Criteria with their weights and units."""
    assert isinstance(weights, dict)
    return ", ".join(f"{w:g} for each {CRITERIA[name].unit or 'unit'} of {name}" for name, w in weights.items())
