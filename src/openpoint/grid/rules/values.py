"""Rules for the numbers of a grid: errors, and warnings about implausible values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import polars as pl

from openpoint.errors import Problem
from openpoint.grid.rules.device_rules import DEVICE_DOUBTS, DEVICE_RULES, fixed_voltage_doubts
from openpoint.grid.rules.doubts import SLIPS, drop_doubts, slip_doubts, unit_doubts
from openpoint.grid.rules.rule import Rule, not_negative, positive, rows
from openpoint.grid.schemas import BRANCH_TABLES, Tables

RATIO_RANGE = (0.5, 2.0)
# No grid has a higher nominal voltage (1,150 kV ran in Kazakhstan, 1,200 kV is tried in India).
VN_KV_MOST = 1200.0


def _ordered(low: str, high: str, instead: str) -> pl.Expr:
    lo, hi = pl.coalesce(low, instead), pl.coalesce(high, instead)
    return (lo > hi) & lo.is_finite() & hi.is_finite()


_LESS_TAP = "1 + (tap_pos - tap_neutral) · tap_step_percent / 100 is not positive"
_ZERO = "the impedance is zero"
_GIVE_Z = "Give its impedance, or put it into the table `switches`, whose branches have none"
_STEP = 1 + (pl.col("tap_pos") - pl.col("tap_neutral")) * pl.col("tap_step_percent") / 100
_BOTH_Q = pl.col("q_min_kvar").is_not_null() & pl.col("q_max_kvar").is_not_null()
_P_LIMITS = "the least active power lies above the most (an empty limit stands for p_kw)"
_Q_LIMITS = "the least reactive power lies above the most (an empty limit stands for q_kvar)"

_NO_REASON = ["true", "false", "yes", "no", "1", "0", "nan", "none", "null", "-"]

RULES = (
    positive("buses", "vn_kv"),
    not_negative("buses", "v_min_pu"),
    positive("buses", "v_max_pu"),
    positive("loads", "v_rated_pu"),
    Rule(
        "buses",
        "v_min_pu",
        (pl.col("v_min_pu") > pl.col("v_max_pu")) & pl.col("v_min_pu").is_finite() & pl.col("v_max_pu").is_finite(),
        "the lower voltage limit lies above the upper",
        "Exchange or correct them",
    ),
    positive("lines", "i_max_a"),
    *(not_negative(kind, "loss_price_usd_per_kwh") for kind in ("lines", "transformers")),
    not_negative("lines", "length_km"),
    Rule(
        "lines",
        "open_end",
        pl.col("open_end").is_in(["from", "to"]) & (pl.col("phases") != "1"),
        "{value}: lines that are open at one end are modelled in balanced grids only",
        "Write both; its charging is then left out while it is open",
    ),
    Rule(
        "lines",
        "switch_ends",
        pl.col("switchable")
        & pl.col("switch_ends").is_in(["from", "to", "none"])
        & (pl.col("switch_ends") != pl.col("open_end")),
        "{value}: the line may be switched, and opens where no switch stands",
        "Write both, leave it empty, or write in open_end where the switch is",
    ),
    positive("switches", "i_max_a"),
    *(
        Rule(
            kind,
            "locked_reason",
            pl.col("locked_reason").str.strip_chars().str.to_lowercase().is_in(_NO_REASON)
            | ((pl.col("locked_reason") != "") & (pl.col("locked_reason").str.strip_chars() == "")),
            "{value!r} is no reason",
            "Write why it must not be operated, such as `defective drive`, or leave the cell empty",
        )
        for kind in BRANCH_TABLES
    ),
    *(
        Rule(
            kind,
            "route",
            pl.col("route").list.len() % 2 == 1,
            "an odd number of coordinates",
            "Give x and y of every point in turn",
        )
        for kind in BRANCH_TABLES
    ),
    *(positive(kind, f"{case}_loading_percent") for kind in BRANCH_TABLES for case in ("max", "emergency")),
    positive("transformers", "vn_from_kv"),
    positive("transformers", "vn_to_kv"),
    *(positive("transformers", column) for column in ("s_max_kva", "i_max_from_a", "i_max_to_a")),
    *(
        Rule(
            "transformers",
            column,
            (pl.col(column) < 0) & (pl.col("phases") != "1"),
            "{value} is negative, which is modelled in balanced grids only",
            "Give zero or a positive number",
        )
        for column in ("r_ohm", "x_ohm")
    ),
    not_negative("transformers", "g_us"),
    Rule("transformers", "r_ohm", (pl.col("r_ohm") == 0) & (pl.col("x_ohm") == 0), _ZERO, _GIVE_Z),
    Rule(
        "transformers",
        "tap_pos",
        (pl.col("tap_pos") < pl.col("tap_min")) | (pl.col("tap_pos") > pl.col("tap_max")),
        "{value} is outside tap_min … tap_max",
        "Correct the position or the range",
    ),
    Rule("transformers", "tap_step_percent", _STEP <= 0, _LESS_TAP, "Correct the tap position or the step"),
    positive("transformers", "v_hold_min_pu"),
    Rule(
        "transformers",
        "v_hold_min_pu",
        (pl.col("v_hold_min_pu") >= pl.col("v_hold_max_pu"))
        | (pl.col("v_hold_min_pu").is_null() != pl.col("v_hold_max_pu").is_null()),
        "a voltage to hold is a band from v_hold_min_pu up to v_hold_max_pu",
        "Give both, the first below the second, or neither",
    ),
    positive("sources", "v_pu"),
    Rule(
        "loads",
        "p_kw",
        pl.col("p_kw") < 0,
        "{value} kW is negative",
        "If it is net infeed, put it into the table `generators`; if the sign slipped, correct it",
    ),
    not_negative("loads", "v_min_pu"),
    positive("loads", "v_max_pu"),
    Rule(
        "loads",
        "v_min_pu",
        (pl.col("v_min_pu") > pl.col("v_max_pu")) & pl.col("v_min_pu").is_finite() & pl.col("v_max_pu").is_finite(),
        "the lower end of the band lies above the upper",
        "Exchange or correct them",
    ),
    Rule("generators", "p_min_kw", _ordered("p_min_kw", "p_max_kw", "p_kw"), _P_LIMITS, "Correct the limits"),
    Rule(
        "generators",
        "q_min_kvar",
        _ordered("q_min_kvar", "q_max_kvar", "q_kvar") & (pl.col("v_pu").is_null() | _BOTH_Q),
        _Q_LIMITS,
        "Correct the limits",
    ),
    positive("generators", "v_pu"),
    Rule(
        "capacitors",
        "q_kvar",
        (pl.col("q_kvar") < 0) & (pl.col("phases") != "1"),
        "{value} kvar is negative, and reactors in steps are modelled in balanced grids only",
        "Make it a load of model impedance with positive q_kvar, which stays on",
    ),
    Rule("capacitors", "steps", pl.col("steps") < 1, "{value} steps", "Give at least one step"),
    Rule(
        "capacitors",
        "steps_on",
        (pl.col("steps_on") < 0) | (pl.col("steps_on") > pl.col("steps")),
        "{value} is outside 0 … steps",
        "Correct the number of steps switched on",
    ),
)


DOUBTS = (
    Rule(
        "buses",
        "vn_kv",
        pl.col("vn_kv") > VN_KV_MOST,
        "{value} kV is more than any grid has",
        "Give kilovolts: 12.66 for 12,660 V",
    ),
    Rule(
        "capacitors",
        "q_kvar",
        (pl.col("q_kvar") < 0) & (pl.col("phases") == "1"),
        "{value} kvar is negative: a reactor",
        "Check that this is meant; a capacitor has positive kvar",
    ),
    *DEVICE_DOUBTS,
    *SLIPS,
)


def value_faults(grid: Tables) -> Iterator[Problem]:
    """Numbers that are not finite, have the wrong sign or order, and matrices of the wrong size."""
    tables = grid.tables()
    for kind, frame in tables.items():
        yield from _not_finite(kind, frame)
    yield from _broken(tables, (*RULES, *DEVICE_RULES), "error")
    yield from _matrix_faults(grid.lines)


def _broken(
    tables: dict[str, pl.DataFrame], rules: tuple[Rule, ...], severity: Literal["error", "warning"]
) -> Iterator[Problem]:
    # All rules of a table in one query: a query has a price of its own, whatever the size of the table.
    masks = {
        kind: frame.select(rule.bad.alias(str(k)) for k, rule in enumerate(rules) if rule.kind == kind)
        for kind, frame in tables.items()
        if frame.height
    }
    for k, rule in enumerate(rules):
        if rule.kind not in masks or not (bad := masks[rule.kind][str(k)]).any():
            continue
        for name, value in tables[rule.kind].filter(bad).select("name", rule.column).iter_rows():
            message = rule.message.format(value=_show(value))
            yield Problem(rule.kind, name, rule.column, message, rule.remedy, severity)


def _show(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _not_finite(kind: str, frame: pl.DataFrame) -> Iterator[Problem]:
    for column, dtype in frame.schema.items() if frame.height else ():
        bad = []
        if dtype == pl.Float64 and not np.isfinite(frame[column].to_numpy()).all():  # also where a cell is empty
            bad = [name for name, v in rows(frame, "name", column) if not math.isfinite(v or 0.0)]
        elif isinstance(dtype, pl.List):
            bad = [name for name, matrix in rows(frame, "name", column) if not all(map(math.isfinite, matrix))]
        for name in bad:
            yield Problem(kind, name, column, "the value is not a finite number", "Give a finite number")


def _matrix_faults(lines: pl.DataFrame) -> Iterator[Problem]:
    columns = ("name", "phases", "r_ohm", "x_ohm", "g_us", "b_us")
    for name, phases, r, x, g, b in rows(lines, *columns):
        n = len(phases)
        entries = n * (n + 1) // 2
        sound = True
        for column, matrix, may_be_empty in (("r_ohm", r, 0), ("x_ohm", x, 0), ("g_us", g, 1), ("b_us", b, 1)):
            if len(matrix) != entries and not (may_be_empty and not matrix):
                message = f"{len(matrix)} numbers for {n} phases"
                remedy = f"Give the lower triangle row by row: {entries} numbers"
                yield Problem("lines", name, column, message, remedy)
                sound = False
        if not sound:
            continue
        diagonal = [k * (k + 3) // 2 for k in range(n)]
        for column, matrix in (("r_ohm", r), ("x_ohm", x), ("g_us", g)):
            if matrix and any(matrix[k] < 0 for k in diagonal):
                message = f"{min(matrix[k] for k in diagonal):g} on the diagonal is negative"
                yield Problem("lines", name, column, message, "Give zero or a positive number")
        if any(r[k] == 0 and x[k] == 0 for k in diagonal):
            yield Problem("lines", name, "r_ohm", _ZERO, _GIVE_Z)


def plausibility_doubts(grid: Tables) -> Iterator[Problem]:
    """Warnings: values that are allowed but implausible."""
    yield from _broken(grid.tables(), DOUBTS, "warning")
    yield from fixed_voltage_doubts(grid)
    yield from _ratio_doubts(grid)
    yield from _band_doubts(grid)
    units = list(unit_doubts(grid))
    yield from units
    yield from slip_doubts(grid)
    if not units:  # which say the same of a level
        yield from drop_doubts(grid)


def _ratio_doubts(grid: Tables) -> Iterator[Problem]:
    """Rated voltages or taps far off the nominal voltages of the buses."""
    level = dict(rows(grid.buses, "name", "vn_kv"))
    step = _STEP.alias("step")
    columns = ("name", "from_bus", "to_bus", "vn_from_kv", "vn_to_kv", "tap_side", step)
    for name, fr, to, rated_fr, rated_to, side, factor in grid.transformers.select(columns).iter_rows():
        figures = (level.get(fr, 0.0), level.get(to, 0.0), rated_fr, rated_to, factor)
        if not all(math.isfinite(v) and v > 0 for v in figures):
            continue
        ratio = (rated_fr / level[fr]) * (level[to] / rated_to) * (factor if side == "from" else 1 / factor)
        if not RATIO_RANGE[0] <= ratio <= RATIO_RANGE[1]:
            message = f"its ratio is {ratio:g} times that of the nominal voltages of its buses"
            remedy = "Check the rated voltages, the tap and `vn_kv` of the buses"
            yield Problem("transformers", name, "vn_from_kv", message, remedy, "warning")


def _band_doubts(grid: Tables) -> Iterator[Problem]:
    """Loads that never draw their power, since their voltages lie far off the nominal one of the bus."""
    for name, low, high in rows(grid.loads, "name", "v_min_pu", "v_max_pu"):
        message = "at the nominal voltage of its bus it is an impedance, as its power belongs to {} pu"
        remedy = "Check its rated voltage and `vn_kv` of the bus, or correct the band"
        if high is not None and high < RATIO_RANGE[0]:
            yield Problem("loads", name, "v_max_pu", message.format(f"at most {high:.4g}"), remedy, "warning")
        elif low is not None and low > RATIO_RANGE[1]:
            yield Problem("loads", name, "v_min_pu", message.format(f"at least {low:.4g}"), remedy, "warning")
