"""How far the probabilities of disasters may be wrong: sets of probabilities made of the disasters themselves.

Each function gives a recipe: handed the distinct disasters, it returns the set. `harden` takes recipes and
finished sets alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from openpoint.errors import OptionError
from openpoint.scenarios.disasters import Disasters
from openpoint.twostage.ambiguity import Ambiguity, Moments, ProbabilityBox, TotalVariation, Wasserstein

Recipe = Callable[[Disasters], Ambiguity]

WAYS = "tv:0.2, moments:0.1, wasserstein:1 or box:0.1"


def moved(share: float) -> Recipe:
    """At most this share of the probability lies elsewhere: total variation."""
    _inside("the share of total variation", share, 1.0)
    return lambda _: TotalVariation(share)


def outages_within(deviation: float) -> Recipe:
    """Every branch breaks with its nominal probability ± `deviation`: bounds on the first moments of the outages."""
    _inside("the deviation of outage probabilities", deviation, 1.0)

    def recipe(disasters: Disasters) -> Ambiguity:
        outages = disasters.broken.astype(np.float64)
        outages = outages[:, outages.any(axis=0)]
        nominal = disasters.probabilities @ outages
        lower, upper = np.maximum(nominal - deviation, 0.0), np.minimum(nominal + deviation, 1.0)
        return Moments(outages, lower, upper)

    return recipe


def transported(branches: float) -> Recipe:
    """Probability is moved between disasters by as many branches as they differ in, `branches` on average at most."""
    _inside("the Wasserstein radius", branches, math.inf)

    def recipe(disasters: Disasters) -> Ambiguity:
        broken = disasters.broken.astype(np.float64)
        common, size = broken @ broken.T, broken.sum(axis=1)
        return Wasserstein(branches, size[:, None] + size[None, :] - 2.0 * common)

    return recipe


def probabilities_within(deviation: float) -> Recipe:
    """Every distinct disaster has its nominal probability ± `deviation`."""
    _inside("the deviation of probabilities", deviation, 1.0)

    def recipe(disasters: Disasters) -> Ambiguity:
        nominal = disasters.probabilities
        return ProbabilityBox(np.maximum(nominal - deviation, 0.0), np.minimum(nominal + deviation, 1.0))

    return recipe


_KINDS: dict[str, Callable[[float], Recipe]] = {
    "tv": moved,
    "moments": outages_within,
    "wasserstein": transported,
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


def _inside(what: str, value: float, most: float) -> None:
    if not 0.0 <= value <= most:
        wanted = "0 or more" if math.isinf(most) else f"a number from 0 to {most:g}"
        raise OptionError(f"{what} is {value:g}; give {wanted}")
