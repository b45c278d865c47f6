"""What a saving of losses is worth: energy and money a year, and their present value.

    energy a year = saving at the demand of the grid · hours       money a year = energy · price
    present value = money a year · (1 − (1 + i)^−n) / i            of n years at an interest of i; · n where i = 0

The *hours* are those of equal losses: how long the demand of the grid would have to last to lose what a year loses.
Where the demand is that of the peak, they are 8,760 h times the loss factor, often taken as 0.3 · f + 0.7 · f² at a
load factor f.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from openpoint.arguments import of_kind
from openpoint.errors import OptionError
from openpoint.results.schema import Schema, maybe

WORTH_KEYS: dict[str, Schema] = {
    "saving_mwh_a_year": maybe("number", "energy that the answer saves a year, MWh; null: no `worth` was given"),
    "saving_money_a_year": maybe("number", "the same in money, in the currency of the price"),
    "saving_present_value": maybe("number", "the money of all years at its present value"),
}


@dataclass(frozen=True)
class Worth:
    """What losses are worth.

    Attributes:
        price: of energy lost, money per MWh.
        hours: of equal losses a year, see above, 0 to 8,784.
        interest: a year, 0.05 is 5 %. years: for which savings count.

    Raises:
        OptionError: with what is wrong.
    """

    price: float
    hours: float = 8760.0
    interest: float = 0.0
    years: float = 1.0

    def __post_init__(self) -> None:
        wrong = []
        ranges = {"price": (0.0, 1e9), "hours": (0.0, 8784.0), "interest": (0.0, 1.0), "years": (0.0, 1e3)}
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            of_kind(value, Real, f"{name} of worth", f"a number from {least:g} to {most:g}")
            if not (math.isfinite(value) and least <= value <= most):
                wrong.append(f"{name} of worth is {value:g}; give {least:g} to {most:g}")
        if wrong:
            raise OptionError("; ".join(wrong))

    def values(self, saving_kw: float | None) -> dict[str, float | None]:
        """Energy, money and present value of a saving, under the names of `WORTH_KEYS`."""
        if saving_kw is None:
            return dict.fromkeys(WORTH_KEYS)
        energy = saving_kw * self.hours / 1000.0
        money = energy * self.price
        i, n = self.interest, self.years
        each = n if i == 0.0 else -math.expm1(-n * math.log1p(i)) / i
        return dict(zip(WORTH_KEYS, (energy, money, money * each), strict=True))

    def words(self, saving_kw: float) -> tuple[str, tuple[str, ...]]:
        """The money of a year, and how it comes about."""
        energy, money, present = self.values(saving_kw).values()
        how = f"{energy:,.1f} MWh: {self.hours:g} h of equal losses, {self.price:g} per MWh"
        later = f"present value of {self.years:g} years at {100.0 * self.interest:g} %: {present:,.0f}"
        return f"{money:,.0f} a year", (how, later if self.years != 1.0 else "")


def read_worth(given: Worth | str | None) -> Worth | None:
    """What losses are worth, from a text such as `price=80,hours=3000,interest=0.05,years=20`.

    Raises:
        OptionError: it is something else.
    """
    if given is None or isinstance(given, Worth):
        return given
    of_kind(given, str, "worth", "a Worth, or a text such as 'price=80,hours=3000'")
    names, found, wrong = ("price", "hours", "interest", "years"), dict[str, float](), list[str]()
    for part in given.split(","):
        name, _, text = (each.strip() for each in part.partition("="))
        try:
            value = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
        except ValueError:
            value = math.nan
        if name not in names or name in found or math.isnan(value):
            wrong.append(repr(part))
        found[name] = value
    if wrong or "price" not in found:
        said = f"{', '.join(wrong)} in worth is not understood" if wrong else "worth has no price"
        raise OptionError(f"{said}; give the price per MWh, and more as in price=80,hours=3000,interest=5%,years=20")
    return Worth(**found)
