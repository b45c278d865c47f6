"""Ambiguity sets of the probabilities of futures or disasters, made from the scenarios.

Each function returns a recipe: a function from the scenarios to the set. `reconfigure` and `harden` take recipes and
sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from openpoint.errors import OptionError
from openpoint.scenarios.disasters import Disasters
from openpoint.scenarios.futures import Futures
from openpoint.twostage.ambiguity import Ambiguity, Moments, ProbabilityBox, TotalVariation, Wasserstein

FuturesRecipe = Callable[[Futures], Ambiguity]
DisastersRecipe = Callable[[Disasters], Ambiguity]
Scenarios = TypeVar("Scenarios", Futures, Disasters)
AnyScenarios = TypeVar("AnyScenarios", contravariant=True)


@dataclass(frozen=True)
class Recipe(Generic[AnyScenarios]):
    """A recipe with the text by which a command names it, such as `tv:0.2`."""

    text: str
    make: Callable[[AnyScenarios], Ambiguity]

    def __call__(self, scenarios: AnyScenarios) -> Ambiguity:
        """The set of the scenarios."""
        return self.make(scenarios)


def moved(share: float) -> Callable[[Futures | Disasters], Ambiguity]:
    """At most this share of the probability is moved to other scenarios: total variation."""
    _inside("the share of total variation", share, 1.0)
    return Recipe[Futures | Disasters](f"tv:{float(share)!r}", lambda _: TotalVariation(share))


def probabilities_within(deviation: float) -> Callable[[Futures | Disasters], Ambiguity]:
    """Every future, or distinct disaster, has its nominal probability ± `deviation`: a box of probabilities."""
    _inside("the deviation of probabilities", deviation, 1.0)

    def recipe(scenarios: Futures | Disasters) -> Ambiguity:
        nominal = scenarios.weights if isinstance(scenarios, Futures) else scenarios.probabilities
        return ProbabilityBox(np.maximum(nominal - deviation, 0.0), np.minimum(nominal + deviation, 1.0))

    return Recipe(f"box:{float(deviation)!r}", recipe)


def demand_moved(kva: float) -> FuturesRecipe:
    """Wasserstein set of futures: distance is the summed difference of demand in kVA, `kva` on average at most."""
    _inside("the Wasserstein radius", kva, math.inf)

    def recipe(futures: Futures) -> Ambiguity:
        s = futures.p_kw + 1j * futures.q_kvar
        return Wasserstein(kva, np.array([np.abs(s - each).sum(axis=1) for each in s]))

    return Recipe(f"wasserstein:{float(kva)!r}", recipe)


def demand_within(share: float) -> FuturesRecipe:
    """The expected active demand of every bus is its nominal one ± `share` of the bus's largest: bounds on moments."""
    _inside("the deviation of expected demand", share, 1.0)

    def recipe(futures: Futures) -> Ambiguity:
        p = futures.p_kw[:, np.ptp(futures.p_kw, axis=0) > 0.0]
        nominal, within = futures.weights @ p, share * np.abs(p).max(axis=0, initial=0.0)
        return Moments(p, nominal - within, nominal + within)

    return Recipe(f"demand:{float(share)!r}", recipe)


def outages_moved(branches: float) -> DisastersRecipe:
    """Wasserstein set of disasters: distance is the number of branches that differ, `branches` on average at most."""
    _inside("the Wasserstein radius", branches, math.inf)

    def recipe(disasters: Disasters) -> Ambiguity:
        broken = disasters.broken.astype(np.float64)
        common, size = broken @ broken.T, broken.sum(axis=1)
        return Wasserstein(branches, size[:, None] + size[None, :] - 2.0 * common)

    return recipe


def outages_within(deviation: float) -> DisastersRecipe:
    """Every branch breaks with its nominal probability ± `deviation`: bounds on the first moments of the outages."""
    _inside("the deviation of outage probabilities", deviation, 1.0)

    def recipe(disasters: Disasters) -> Ambiguity:
        outages = disasters.broken.astype(np.float64)
        outages = outages[:, outages.any(axis=0)]
        nominal = disasters.probabilities @ outages
        lower, upper = np.maximum(nominal - deviation, 0.0), np.minimum(nominal + deviation, 1.0)
        return Moments(outages, lower, upper)

    return recipe


_OF_FUTURES: dict[str, Callable[[float], FuturesRecipe]] = {
    "tv": moved,
    "wasserstein": demand_moved,
    "demand": demand_within,
    "box": probabilities_within,
}
_OF_DISASTERS: dict[str, Callable[[float], DisastersRecipe]] = {
    "tv": moved,
    "moments": outages_within,
    "wasserstein": outages_moved,
    "box": probabilities_within,
}


def read_futures_ambiguity(text: str) -> FuturesRecipe:
    """The recipe for futures that a word and a number name, such as `tv:0.2`.

    Raises:
        OptionError: another word, no number, or one out of its range.
    """
    return _read(text, _OF_FUTURES, "tv:0.2, wasserstein:300, demand:0.1 or box:0.01")


def read_disasters_ambiguity(text: str) -> DisastersRecipe:
    """The recipe for disasters that a word and a number name, such as `tv:0.2`.

    Raises:
        OptionError: another word, no number, or one out of its range.
    """
    return _read(text, _OF_DISASTERS, "tv:0.2, moments:0.1, wasserstein:1 or box:0.1")


def _read(
    text: str, kinds: Mapping[str, Callable[[float], Callable[[Scenarios], Ambiguity]]], known: str
) -> Callable[[Scenarios], Ambiguity]:
    kind, _, size = text.partition(":")
    try:
        return kinds[kind.strip().lower()](float(size))
    except (KeyError, ValueError):
        raise OptionError(f"the ambiguity {text!r} is not known; give {known}") from None


def text_of(ambiguity: Ambiguity | FuturesRecipe | None) -> str | None:
    """The text by which a command names a set for futures, None for none; empty where it has no such text."""
    if isinstance(ambiguity, TotalVariation):
        return f"tv:{float(ambiguity.radius)!r}"
    if isinstance(ambiguity, Recipe):
        return str(ambiguity.text)
    return None if ambiguity is None else ""


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
