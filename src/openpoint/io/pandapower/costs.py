"""Limits and prices of what feeds a pandapower net: external grids, and generators that are dispatched.

Costs are polynomials in MW (`poly_cost`), whose € are read as $.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from openpoint.io.pandapower.json import Row
from openpoint.io.pandapower.reading import Reading

_NOT_READ = ("cq0_eur", "cq1_eur_per_mvar", "cq2_eur_per_mvar2")


def limits_of(reading: Reading, row: Row, table: str, letters: Iterable[str]) -> dict[str, float | None]:
    """Limits of active (`p`) and reactive (`q`) power as columns of a row; empty where the net has none."""
    limits = {}
    for letter in letters:
        for side in ("min", "max"):
            value = reading.optional(table, row, f"{side}_{letter}_{'mw' if letter == 'p' else 'mvar'}")
            unit = "kw" if letter == "p" else "kvar"
            limits[f"{letter}_{side}_{unit}"] = None if value is None else value * 1000.0
    return limits


def supply_of(reading: Reading, row: Row, table: str) -> dict[str, float | None]:
    """Limits of power and the price of a source, as columns."""
    return _source_limits(reading, row, table) | _source_price(reading, row, table)


def _source_limits(reading: Reading, row: Row, table: str) -> dict[str, float | None]:
    """Limits of power of a source; those that cross are left out with a note."""
    limits = limits_of(reading, row, table, "pq")
    for letter, unit in (("p", "kw"), ("q", "kvar")):
        ends = (f"{letter}_min_{unit}", f"{letter}_max_{unit}")
        low, high = (limits[column] for column in ends)
        if low is not None and high is not None and low > high:
            message = f"the least power {low:g} {unit} lies above the most, {high:g} {unit}; neither is read"
            reading.note(table, row, "", message, "Exchange or correct them", changes_figures=True)
            limits |= dict.fromkeys(ends)
    return limits


def _source_price(reading: Reading, row: Row, table: str) -> dict[str, float | None]:
    """The price of the energy of a source; none where the net has none that can be read."""
    cost = _cost(reading, row, table)
    if cost is None:
        return {}
    if cost["cp2_eur_per_mw2"]:
        message = f"a source has one price for all of its energy; that of {table} {row['index']} is not read"
        reading.note("poly_cost", cost, "cp2_eur_per_mw2", message, "Leave cp2_eur_per_mw2 at 0", changes_figures=True)
        return {}
    return {"price_usd_per_kwh": cost["cp1_eur_per_mw"] / 1e3}


def generator_costs(reading: Reading, row: Row, table: str) -> dict[str, float]:
    """The costs of a generator, as columns; none where the net has none."""
    cost = _cost(reading, row, table)
    if cost is None:
        return {}
    return {
        "cost_usd_per_kwh": cost["cp1_eur_per_mw"] / 1e3,
        "cost_usd_per_kw2h": cost["cp2_eur_per_mw2"] / 1e6,
        "cost_on_usd_per_h": cost["cp0_eur"],
    }


def _cost(reading: Reading, row: Row, table: str) -> dict[str, Any] | None:
    """The row of `poly_cost` about an element, with numbers for its coefficients."""
    found = [
        cost for cost in reading.net.rows("poly_cost") if (cost.get("et"), cost.get("element")) == (table, row["index"])
    ]
    if not found:
        return None
    names = ("cp0_eur", "cp1_eur_per_mw", "cp2_eur_per_mw2")
    cost = found[0] | {name: reading.number("poly_cost", found[0], name, 0.0) for name in names}
    if cost["cp0_eur"] < 0 or cost["cp2_eur_per_mw2"] < 0:
        message = f"the cost of {table} {row['index']} has a negative constant or square, and is not read"
        reading.note("poly_cost", cost, "", message, "Give 0 or more", changes_figures=True)
        return None
    if cost["cp1_eur_per_mw"] < 0 and reading.optional(table, row, "max_p_mw") is None:
        message = f"the cost of {table} {row['index']} is below 0, and nothing limits its power; it is not read"
        reading.note("poly_cost", cost, "cp1_eur_per_mw", message, "Give max_p_mw", changes_figures=True)
        return None
    if any(reading.number("poly_cost", cost, name, 0.0) for name in _NOT_READ):
        message = f"the cost of the reactive power of {table} {row['index']} is not read"
        reading.note("poly_cost", cost, "", message, "Check that it does not matter", changes_figures=True)
    return cost


def note_costs(reading: Reading) -> None:
    """Notes on the costs of a net: their money, and those that are not read."""
    if reading.net.rows("poly_cost"):
        message = "costs in € are read as $"
        reading.note("poly_cost", None, "", message, "Convert them if the difference matters", changes_figures=True)
    if rows := reading.net.rows("pwl_cost"):
        message = f"{len(rows)} costs that are piecewise linear are not read"
        reading.note("pwl_cost", None, "", message, "Write them as polynomials in poly_cost", changes_figures=True)
