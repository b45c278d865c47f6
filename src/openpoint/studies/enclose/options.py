"""Options of an enclosure: what deviates, by how much, and how much of it at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar, final

from openpoint.arguments import all_checked, of_kind
from openpoint.errors import OptionError
from openpoint.options import FIRST, Output, Question, option

GROUPS = ("load", "generation")
_ADVICE = "load=10%, or load=0.1,generation=0.3: shares of their power, down and up"


@final
@dataclass(frozen=True, kw_only=True)
class EncloseOptions(Question):
    """The question of what a set of loads and generation does to today's state.

    Raises:
        OptionError: with all that is wrong.
    """

    for_every: str | Mapping[str, float | str] = option(
        "load=10%",
        "What deviates, each load and each generator by itself: shares of their power, down and up, as "
        "load=10%,generation=30%.",
        unit="SHARES",
        flag="for-every",
        group=FIRST,
    )
    budget: float | None = option(
        None,
        "At most so many of them deviate fully at once, or more by less.  [default: any number]",
        "number",
        unit="K",
        least=0.0,
        group=FIRST,
    )

    stops: ClassVar[bool] = False
    outputs: ClassVar[tuple[Output, ...]] = (
        Output(
            name="certificate",
            sentence="Write a certificate of the set, which openpoint verify and anybody else can check.",
            method="to_certificate",
        ),
    )
    details: ClassVar[str] = (
        "Bounds of every voltage, current, source power and loss that hold for every realisation, proven in exact AC. "
        "Active and reactive power of a load deviate together."
    )
    examples: ClassVar[str] = """\\b
Examples:
  openpoint enclose baran33
  openpoint enclose zhang118 --for-every load=25% --budget 10 --report bounds.html
  openpoint enclose baran33 --for-every load=20% --certificate set.json"""

    def __post_init__(self) -> None:
        all_checked(lambda: self.shares, self._check_budget)

    @property
    def shares(self) -> dict[str, float]:
        """The shares by group."""
        of_kind(self.for_every, str | Mapping, "for_every", _ADVICE)
        given = _pairs(self.for_every) if isinstance(self.for_every, str) else dict(self.for_every)
        for group in given:
            if group not in GROUPS:
                raise OptionError(f"for_every names {group!r}; the groups are {', '.join(GROUPS)}")
        return {group: _share(group, value) for group, value in given.items()}

    def _check_budget(self) -> None:
        if self.budget is None:
            return
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
