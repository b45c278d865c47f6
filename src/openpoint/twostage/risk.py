"""Risk: how the costs of many realisations become one number."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from openpoint.errors import OptionError
from openpoint.twostage.ambiguity import ProbabilitySet, all_of, exactly, tail_of
from openpoint.twostage.uncertainty import AmbiguousScenarios, Box, Budget, Certain, Finite, Uncertainty


@dataclass(frozen=True)
class Expectation:
    """The probability-weighted mean; over ambiguous probabilities, the worst one."""

    def __str__(self) -> str:
        return "expectation"

    @property
    def text(self) -> str:
        """As `read_risk` reads it."""
        return "expected"


@dataclass(frozen=True)
class CVaR:
    """The mean cost of the worst realisations, those of probability 1 − level; at level 0 the expectation.

    Conditional value at risk (Rockafellar and Uryasev 2000).
    """

    level: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.level < 1.0:
            raise OptionError(f"level of CVaR is {self.level:g}; give 0 up to, not including, 1, such as 0.9")

    def __str__(self) -> str:
        return f"CVaR({self.level:g})"

    @property
    def text(self) -> str:
        """As `read_risk` reads it."""
        return f"cvar:{float(self.level)!r}"


@dataclass(frozen=True)
class WorstCase:
    """The largest cost, whatever the probabilities."""

    def __str__(self) -> str:
        return "worst case"

    @property
    def text(self) -> str:
        """As `read_risk` reads it."""
        return "worst"


@dataclass(frozen=True)
class Regret:
    """The risk `of` the regret: the cost of each realisation beyond its wait-and-see value (Savage 1951).

    For finitely many realisations; the program of each realisation by itself is solved first.
    """

    of: Expectation | CVaR | WorstCase = field(default_factory=WorstCase)

    def __str__(self) -> str:
        return f"regret, {self.of}"

    @property
    def text(self) -> str:
        """As `read_risk` reads it."""
        return f"regret:{self.of.text}"


Risk = Expectation | CVaR | WorstCase | Regret
RISKS = "expected, worst, cvar:0.9, regret, regret:expected or regret:cvar:0.9"


def read_risk(text: str) -> Risk:
    """The risk that a text names, such as `cvar:0.9`.

    Raises:
        OptionError: it names none, or a level out of its range.
    """
    word, _, rest = text.strip().lower().partition(":")
    if word == "regret":
        of = read_risk(rest or "worst")
        if not isinstance(of, Regret):
            return Regret(of)
    elif word == "cvar":
        try:
            level = float(rest)
        except ValueError:
            pass
        else:
            return CVaR(level)
    elif not rest and word in ("expected", "worst"):
        return Expectation() if word == "expected" else WorstCase()
    raise OptionError(f"the risk {text!r} is not known; give {RISKS}")


def probability_set(uncertainty: Finite, risk: Risk) -> ProbabilitySet:
    """The probability vectors of which the risk is the worst expectation.

    Raises:
        OptionError: the risk needs probabilities that are not given, or is not defined on ambiguous ones.
    """
    if isinstance(risk, Regret):
        risk = risk.of
    if isinstance(uncertainty, Certain):
        return exactly(np.ones(1))
    count = len(uncertainty.values)
    if isinstance(uncertainty, AmbiguousScenarios):
        if not isinstance(risk, Expectation):
            raise OptionError(
                f"{risk} of ambiguous probabilities is not defined; use Expectation(), or plain Scenarios"
            )
        return uncertainty.ambiguity.around(uncertainty.probabilities, count)
    if isinstance(risk, WorstCase):
        return all_of(count)
    if uncertainty.probabilities is None:
        raise OptionError(f"{risk} needs probabilities; give them with the scenarios, or use WorstCase() or Regret()")
    if isinstance(risk, CVaR) and risk.level > 0.0:
        return tail_of(uncertainty.probabilities, risk.level)
    return exactly(uncertainty.probabilities)


def check_risk(uncertainty: Uncertainty, risk: Risk) -> None:
    """Refuse a risk that the uncertainty does not define.

    Raises:
        OptionError: naming a risk that can be used.
    """
    if not isinstance(uncertainty, Box | Budget):
        probability_set(uncertainty, risk)
    elif not isinstance(risk, WorstCase):
        raise OptionError(f"{risk} is not defined over a polyhedral set; use WorstCase(), or Scenarios")
