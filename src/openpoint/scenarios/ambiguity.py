"""How far the probabilities of futures may be wrong: sets of probabilities made of the futures themselves.

Each function gives a recipe: handed the futures, it returns the set. `reconfigure` takes recipes and finished sets
alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from openpoint.errors import OptionError
from openpoint.scenarios.futures import Futures
from openpoint.twostage.ambiguity import Ambiguity, Moments, ProbabilityBox, TotalVariation, Wasserstein

Recipe = Callable[[Futures], Ambiguity]

WAYS = "tv:0.2, wasserstein:300, demand:0.1 or box:0.01"


def moved(share: float) -> Recipe:
    """At most this share of the probability lies elsewhere: total variation."""
    _inside("the share of total variation", share, 1.0)
    return lambda _: TotalVariation(share)


def transported(kva: float) -> Recipe:
    """Probability is moved between futures by as many kVA as their buses differ in all, `kva` on average at most."""
    _inside("the Wasserstein radius", kva, math.inf)

    def recipe(futures: Futures) -> Ambiguity:
        s = futures.p_kw + 1j * futures.q_kvar
        return Wasserstein(kva, np.array([np.abs(s - each).sum(axis=1) for each in s]))

    return recipe


def demand_within(share: float) -> Recipe:
    """The expected active demand of every bus is its nominal one ± `share` of the bus's largest: bounds on moments."""
    _inside("the deviation of expected demand", share, 1.0)

    def recipe(futures: Futures) -> Ambiguity:
        p = futures.p_kw[:, np.ptp(futures.p_kw, axis=0) > 0.0]
        nominal, within = futures.weights @ p, share * np.abs(p).max(axis=0, initial=0.0)
        return Moments(p, nominal - within, nominal + within)

    return recipe


def probabilities_within(deviation: float) -> Recipe:
    """Every future has its nominal probability ± `deviation`."""
    _inside("the deviation of probabilities", deviation, 1.0)

    def recipe(futures: Futures) -> Ambiguity:
        nominal = futures.weights
        return ProbabilityBox(np.maximum(nominal - deviation, 0.0), np.minimum(nominal + deviation, 1.0))

    return recipe


_KINDS: dict[str, Callable[[float], Recipe]] = {
    "tv": moved,
    "wasserstein": transported,
    "demand": demand_within,
    "box": probabilities_within,
}


def read_ambiguity(text: str) -> Recipe:
    """The recipe that a word and a number name, such as `tv:0.2`.

    Raises:
        OptionError: another word, no number, or one out of its range.
    """
    kind, _, size = text.partition(":")
    try:
        return _KINDS[kind.strip().lower()](float(size))
    except (KeyError, ValueError):
        raise OptionError(f"the ambiguity {text!r} is not known; give {WAYS}") from None


def name_of(ambiguity: Ambiguity) -> str:
    """A set of probabilities in a few words."""
    match ambiguity:
        case TotalVariation(radius):
            return f"total variation up to {radius:g}"
        case Wasserstein(radius):
            return f"Wasserstein distance up to {radius:g}"
        case ProbabilityBox():
            return "bounds on each probability"
        case Moments():
            return "bounds on expectations"
    return type(ambiguity).__name__


def _inside(what: str, value: float, most: float) -> None:
    if not 0.0 <= value <= most:
        wanted = "0 or more" if math.isinf(most) else f"a number from 0 to {most:g}"
        raise OptionError(f"{what} is {value:g}; give {wanted}")
