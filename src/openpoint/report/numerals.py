"""Numbers and amounts as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def number(value: float | None, digits: int = 3, unit: str = "") -> str:
    """A number with a fixed count of digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{round(value, digits) + 0.0:,.{digits}f}{unit and ' ' + unit}"


def usd(value: float | None) -> str:
    """An amount of money; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{'-' if value <= -0.005 else ''}${number(abs(value), 2)}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage; a dash where there is none."""
    return "–" if share is None or not math.isfinite(share) else f"{share:.{digits}%}"


def names_and_more(names: Sequence[str], most: int) -> str:
    """The first names, and whether there are more."""
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")


def figures(value: float | None, digits: int = 4) -> str:
    """A number with so many significant digits, never with an exponent: 1,460 and 0.0123; a dash where there is none.

    Digits before the decimal point are all shown.
    """
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0.0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    shown = f"{value:,.{min(decimals, 12)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


_METHODS = {
    "TopologySearch": "Topology search",
    "BranchExchange": "Branch exchange",
    "Enumeration": "All topologies tried",
    "Benders": "Benders decomposition",
    "ColumnAndConstraint": "Column-and-constraint generation",
    "ExtensiveForm": "One program for all",
    "PeriodColumns": "Column-and-constraint generation by period",
    "PeriodScenarios": "Scenario days, by period",
    "DayTopologySearch": "Topology search of a day",
    "HourlySwitching": "Dynamic programming over proven topologies",
}


def method_words(method: str) -> str:
    """A method as results name it, `TopologySearch(gap=1e-06)`, in words: `Topology search, to 0.0001 %`."""
    name, _, rest = method.partition("(")
    if name not in _METHODS:
        return method
    text = _METHODS[name]
    for option in rest.rstrip(")").split(", "):
        key, _, value = option.partition("=")
        if key == "solver":
            text += f", solved by {value}"
        elif key == "gap":
            text += f", to {figures(100.0 * float(value))} %"
        elif key == "plain":
            text += ", plain"
    return text


def mismatch_words(mismatch_pu: float | None) -> str:
    """What the power flow of the answer leaves over at the worst bus; a dash where none was made."""
    if mismatch_pu is None or not math.isfinite(mismatch_pu):
        return "–"
    return "below 0.000001 pu" if mismatch_pu < 1e-6 else f"{figures(mismatch_pu, 2)} pu"
