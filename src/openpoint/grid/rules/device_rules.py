"""Rules for devices: what a decision may set, within which limits, and at what price."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from openpoint.errors import InputError, Problem
from openpoint.grid.rules.rule import Rule, not_negative, positive, rows
from openpoint.grid.schemas import Tables

MOST_POSITIONS = 1000
"""Positions of a device. More are a slip of a digit, and would fill the memory."""
# A voltage is one of those that a source can be set to within this many steps, a level the last one within this share.
_ACCURACY = 1e-6
# Energy that seems dearer than this is priced per MWh, as a rule.
_DEAR_USD_PER_KWH = 10.0
_RANGE = ("v_min_pu", "v_max_pu", "v_step_pu")
_MANY = f"more than {MOST_POSITIONS} positions"

_limited = pl.any_horizontal(pl.col("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar").is_not_null())
_ranged = pl.all_horizontal(pl.col(*_RANGE).is_not_null())
_steps_up = (pl.col("v_pu") - pl.col("v_min_pu")) / pl.col("v_step_pu")


def _least_size(low: pl.Expr, high: pl.Expr) -> pl.Expr:
    """The least magnitude of a number between two others."""
    return pl.max_horizontal(low, -high, pl.lit(0.0))


def _beyond_rating() -> pl.Expr:
    """Whether every output of a generator within its limits is more than s_max_kva."""
    least_p = _least_size(pl.coalesce("p_min_kw", "p_kw"), pl.coalesce("p_max_kw", "p_kw"))
    least_q = _least_size(pl.coalesce("q_min_kvar", "q_kvar"), pl.coalesce("q_max_kvar", "q_kvar"))
    return (pl.col("s_max_kva") > 0) & (least_p**2 + least_q**2 > pl.col("s_max_kva") ** 2)


def _factor(position: str) -> pl.Expr:
    return 1 + (pl.col(position) - pl.col("tap_neutral")) * pl.col("tap_step_percent") / 100


def _crossed(low: str, high: str) -> Rule:
    message = f"{{value}} lies above {high}"
    return Rule("sources", low, pl.col(low) > pl.col(high), message, "Exchange or correct them")


def _dear(kind: str, column: str) -> Rule:
    bad = pl.col(column).abs() > _DEAR_USD_PER_KWH
    return Rule(kind, column, bad, "{value} $/kWh is implausible", "If it is $/MWh, divide it by 1000")


DEVICE_RULES = (
    Rule(
        "transformers",
        "tap_step_percent",
        pl.col("controllable") & ((_factor("tap_min") <= 0) | (_factor("tap_max") <= 0)) & (_factor("tap_pos") > 0),
        "1 + (tap − tap_neutral) · tap_step_percent / 100 is not positive at every tap from tap_min to tap_max",
        "Correct the range or the step, or write controllable false",
    ),
    Rule(
        "transformers",
        "tap_max",
        pl.col("controllable") & (pl.col("tap_max") - pl.col("tap_min") >= MOST_POSITIONS),
        _MANY,
        "Correct tap_min and tap_max, or write controllable false",
    ),
    Rule(
        "capacitors",
        "steps",
        pl.col("controllable") & (pl.col("steps") >= MOST_POSITIONS),
        "{value} steps make " + _MANY,
        "Correct the number, or write controllable false",
    ),
    Rule(
        "capacitors",
        "levels_kvar",
        pl.when(pl.col("q_kvar") < 0)
        .then((pl.col("levels_kvar").list.first() >= 0) | (pl.col("levels_kvar").list.diff().list.max() >= 0))
        .otherwise((pl.col("levels_kvar").list.first() <= 0) | (pl.col("levels_kvar").list.diff().list.min() <= 0)),
        "the levels do not rise from above 0, or fall from below 0 where q_kvar is negative",
        "Give the reactive power with one step on, with two and so on: 150 300 600",
    ),
    Rule(
        "capacitors",
        "steps",
        (pl.col("levels_kvar").list.len() > 0) & (pl.col("levels_kvar").list.len() != pl.col("steps")),
        "{value} is not the number of levels in levels_kvar",
        "Give a level for each step",
    ),
    Rule(
        "capacitors",
        "q_kvar",
        (pl.col("levels_kvar").list.last() - pl.col("q_kvar")).abs() > _ACCURACY * pl.col("q_kvar").abs(),
        "{value} kvar is not the last level in levels_kvar",
        "q_kvar is that of all steps together; correct one of the two",
    ),
    positive("generators", "s_max_kva"),
    Rule(
        "generators",
        "s_max_kva",
        _beyond_rating() & pl.col("v_pu").is_null(),
        "{value} kVA is less than every output within the limits of power",
        "Correct the rating or the limits",
    ),
    Rule(
        "generators",
        "may_stop",
        pl.col("may_stop") & ~_limited,
        "it may be off, but without limits of power its output is fixed",
        "Give p_min_kw and p_max_kw, the least and the most while it is on",
    ),
    Rule(
        "generators",
        "cost_usd_per_kwh",
        (pl.col("cost_usd_per_kwh") < 0) & pl.col("p_max_kw").is_null(),
        "{value} $/kWh is below 0, and nothing limits the power",
        "Give p_max_kw, or correct the cost",
    ),
    not_negative("generators", "cost_usd_per_kw2h"),
    not_negative("generators", "cost_on_usd_per_h"),
    *(positive("sources", column) for column in (*_RANGE, "s_max_kva")),
    _crossed("v_min_pu", "v_max_pu"),
    _crossed("p_min_kw", "p_max_kw"),
    _crossed("q_min_kvar", "q_max_kvar"),
    Rule(
        "sources",
        "v_step_pu",
        pl.any_horizontal(pl.col(*_RANGE).is_not_null()) & ~_ranged,
        "of v_min_pu, v_max_pu and v_step_pu some are given and some are not",
        "Give all three, or none for a voltage that is fixed",
    ),
    Rule(
        "sources",
        "v_pu",
        _ranged
        & (
            (pl.col("v_pu") < pl.col("v_min_pu") - _ACCURACY * pl.col("v_step_pu"))
            | (pl.col("v_pu") > pl.col("v_max_pu") + _ACCURACY * pl.col("v_step_pu"))
            | ((_steps_up - _steps_up.round()).abs() > _ACCURACY)
        ),
        "{value} pu is none of v_min_pu, v_min_pu + v_step_pu, … up to v_max_pu",
        "Correct the voltage of today or the range",
    ),
    Rule(
        "sources",
        "v_step_pu",
        (pl.col("v_step_pu") > 0) & (pl.col("v_max_pu") - pl.col("v_min_pu") >= MOST_POSITIONS * pl.col("v_step_pu")),
        "steps of {value} pu make " + _MANY,
        "Give a greater step",
    ),
    Rule(
        "sources",
        "s_max_kva",
        (pl.col("s_max_kva") > 0)
        & (_least_size(pl.col("p_min_kw").fill_null(0.0), pl.col("p_max_kw").fill_null(0.0)) > pl.col("s_max_kva")),
        "{value} kVA is less than every active power within its limits",
        "Correct the rating or the limits",
    ),
    Rule(
        "sources",
        "price_usd_per_kwh",
        (pl.col("price_usd_per_kwh") < 0) & pl.col("p_max_kw").is_null() & pl.col("s_max_kva").is_null(),
        "{value} $/kWh is below 0, and nothing limits the power",
        "Give p_max_kw or s_max_kva, or correct the price",
    ),
)
DEVICE_DOUBTS = (
    Rule(
        "transformers",
        "tap_step_percent",
        pl.col("controllable") & (pl.col("tap_min") < pl.col("tap_max")) & (pl.col("tap_step_percent") == 0),
        "it has taps, and a step of 0 %: none of them changes anything",
        "Give tap_step_percent, or write controllable false",
    ),
    Rule(
        "generators",
        "cost_usd_per_kwh",
        ((pl.col("cost_usd_per_kwh") != 0) | (pl.col("cost_usd_per_kw2h") != 0)) & ~_limited,
        "it has a cost, but without limits of power its output is fixed and its cost not counted",
        "Give p_min_kw and p_max_kw to have it dispatched",
    ),
    _dear("sources", "price_usd_per_kwh"),
    _dear("generators", "cost_usd_per_kwh"),
)


def set_voltage_faults(grid: Tables) -> Iterator[Problem]:
    """Sources whose voltage may be set, and today breaks the limits of their own bus."""
    for name, bus, v in _off_limits(grid, may_be_set=True):
        message = f"{v:g} pu breaks the voltage limits of its own bus {bus!r}, within which it is to be set"
        yield Problem("sources", name, "v_pu", message, "Correct the voltage of today or the limits of the bus")


def fixed_voltage_doubts(grid: Tables) -> Iterator[Problem]:
    """Warnings: sources of a fixed voltage that breaks the limits of their own bus."""
    for name, bus, v in _off_limits(grid, may_be_set=False):
        message = f"{v:g} pu breaks the voltage limits of its own bus {bus!r}"
        remedy = "Correct the voltage of the source or the limits of the bus"
        yield Problem("sources", name, "v_pu", message, remedy, "warning")


def _off_limits(grid: Tables, *, may_be_set: bool) -> Iterator[tuple[str, str, float]]:
    limits = {name: (lo, hi) for name, lo, hi in rows(grid.buses, "name", "v_min_pu", "v_max_pu")}
    for name, bus, v, *ranged in rows(grid.sources, "name", "bus", "v_pu", *_RANGE):
        if (None in ranged) == may_be_set:
            continue
        low, high = limits.get(bus, (None, None))
        if (low is not None and v < low) or (high is not None and v > high):
            yield name, bus, v


OFFER = (
    'Run it at today\'s output (--pv pq, in Python read(path, pv="pq")), or choose its reactive power within its '
    'limits (--pv free, pv="free"), with reconfigure, or with convert for all studies; powerflow holds the voltage'
)


def held_faults(grid: Tables) -> Iterator[Problem]:
    """Voltages that cannot be held: at the bus of a source, of several phases, or two at one bus."""
    sources = set(grid.sources["bus"].to_list())
    level: dict[str, tuple[str, float]] = {}
    for name, bus, phases, v in rows(grid.generators, "name", "bus", "phases", "v_pu"):
        if v is None:
            continue
        if phases != "1":
            message, remedy = "generators hold voltages in balanced grids only", 'Leave v_pu empty, or use phases "1"'
            yield Problem("generators", name, "v_pu", message, remedy)
        elif bus in sources:
            message = f"a source holds the voltage of bus {bus!r} already"
            yield Problem("generators", name, "v_pu", message, "Leave v_pu empty")
        elif level.setdefault(bus, (name, v))[1] != v:
            other, held = level[bus]
            message = f"{v:g} pu, but {other} holds the same bus at {held:g} pu"
            yield Problem("generators", name, "v_pu", message, "Give both the same voltage, or leave one empty")


def refuse_held(grid: Tables) -> None:
    """Refuse generators that hold a voltage, in a study that computes with given powers.

    Raises:
        InputError: naming them, and how else they can be run.
    """
    names = grid.generators.filter(pl.col("v_pu").is_not_null())["name"].to_list()
    if names:
        message = "it holds the voltage of its bus, which is not done here"
        raise InputError([Problem("generators", name, "v_pu", message, OFFER) for name in names])
