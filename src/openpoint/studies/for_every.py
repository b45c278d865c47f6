"""A set of loads and generation as options: what deviates, by how much, and how much of it at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

from openpoint.arguments import of_kind
from openpoint.errors import OptionError
from openpoint.options import FIRST, Question, option

GROUPS = ("load", "generation")
_ADVICE = "load=10%, or load=0.1,generation=0.3: shares of their power, down and up"
WHAT = (
    "What deviates, each load and each generator by itself: shares of their power, down and up, as "
    "load=10%,generation=30%."
)


@dataclass(frozen=True, kw_only=True)
class ForEvery(Question):
    """A question about every load and generation of a set."""

    for_every: str | Mapping[str, float | str] | None = option(
        None, WHAT + "  [default: nothing]", unit="SHARES", flag="for-every", group=FIRST
    )
    budget: float | None = option(
        None,
        "At most so many of them deviate fully at once, or more by less.  [default: any number]",
        "number",
        unit="K",
        least=0.0,
        group=FIRST,
    )

    @property
    def shares(self) -> dict[str, float]:
        """The shares by group."""
        if self.for_every is None:
            return {}
        of_kind(self.for_every, str | Mapping, "for_every", _ADVICE)
        given = _pairs(self.for_every) if isinstance(self.for_every, str) else dict(self.for_every)
        for group in given:
            if group not in GROUPS:
                raise OptionError(f"for_every names {group!r}; the groups are {', '.join(GROUPS)}")
        return {group: _share(group, value) for group, value in given.items()}

    @property
    def set_words(self) -> str:
        """What deviates, in words."""
        return ", ".join(f"{group} ±{100 * share:g} %" for group, share in self.shares.items())

    def _check_budget(self) -> None:
        if self.budget is None:
            return
        if self.for_every is None:
            raise OptionError("budget bounds what deviates, and nothing does; give for_every, too")
        of_kind(self.budget, Real, "budget", "a number such as 5")
        if not (math.isfinite(self.budget) and self.budget >= 0.0):
            raise OptionError(f"budget is {self.budget:g}; give 0 or more")


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(","):
        group, equals, value = (each.strip() for each in part.partition("="))
        if not equals or group in found:
            raise OptionError(f"for_every is {text!r}; give {_ADVICE}")
        found[group] = value
    return found


def _share(group: str, given: float | str) -> float:
    """A share of a number, or of a text such as `10%` or `±10 %`."""
    text = str(given).strip().removeprefix("±").strip()
    percent = text.endswith("%")
    try:
        value = float(text.removesuffix("%")) / (100.0 if percent else 1.0)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise OptionError(f"for_every has {given!r} for {group}; give {_ADVICE}")
    return value
