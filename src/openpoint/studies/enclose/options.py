"""Options of an enclosure: what deviates, by how much, and how much of it at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from openpoint.options import FIRST, Output, option
from openpoint.studies.shared import FOR_EVERY, ForEverySome


@final
@dataclass(frozen=True, kw_only=True)
class EncloseOptions(ForEverySome):
    """The question of what a set of loads and generation does to today's state.

    Raises:
        OptionError: with all that is wrong.
    """

    for_every: str | Mapping[str, float | str] = option(
        "load=10%", FOR_EVERY, unit="SHARES", flag="for-every", group=FIRST
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
  openpoint enclose baran33 --for-every load=10% --certificate set.json"""
