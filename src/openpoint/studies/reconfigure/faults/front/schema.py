"""The shape of what `openpoint reconfigure-front` writes."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.schema import maybe, names, text, value, whole
from openpoint.results.shape import Shape
from openpoint.studies.reconfigure.faults.task import FIGURES
from openpoint.twostage.log import Termination

ENDINGS = [t.value for t in Termination]

POINTS: c.Table = {
    "number": c.whole("1, 2, …; the first is the least loss of all", "point"),
    "loss_kw": c.number("exact AC loss, kW", "loss, kW", 3),
    "lower_bound_kw": c.number("no state with as little of the figure that is kept loses less, proven", "bound, kW", 3),
    "gap": c.number("(loss − lower bound) / loss", "gap", 6),
    "unrestorable": c.whole("faults that one tie for each part does not restore", "unrestorable"),
    "saifi_per_year": c.maybe_number("SAIFI: interruptions of a customer a year", "SAIFI, 1/a", 4),
    "saidi_h_per_year": c.maybe_number("SAIDI: hours without supply of a customer a year", "SAIDI, h/a", 4),
    "not_supplied_kwh_per_year": c.maybe_number("energy not supplied a year, kWh", "ENS, kWh/a", 1),
    "changes": c.whole("branches to switch from today", "to switch"),
    "to_close": c.names("branches to close from today", "to close"),
    "to_open": c.names("branches to open from today", "to open"),
    "open_branches": c.names("branches open in the point", "open"),
    "termination": c.text("whether it is proven, or what stopped the proof", "ended", options=ENDINGS),
}

BOUNDS: c.Table = {
    "limit": c.maybe_number("most of the figure that is kept, in its unit; null: any", "limit", 4),
    "lower_bound_kw": c.maybe_number(
        "no state within the limit loses less, proven; null: see is_empty", "bound, kW", 3
    ),
    "is_empty": c.flag("whether it is proven that no state is within the limit", "proven empty"),
    "nodes": c.whole("of the search", "nodes"),
    "termination": c.text("how the search ended", "ended", options=ENDINGS),
    "seconds": c.number("of the search", "seconds", 2),
}

FRONT = Shape(
    "reconfigure-front",
    "reconfigure-front",
    "Result of openpoint reconfigure-front",
    {
        "kept": value("string", "figure that is bounded, a bound a point", enum=list(FIGURES)),
        "kept_unit": text("its unit; empty for a number of faults"),
        "kept_before": maybe("number", "the figure today; null: not known"),
        "kept_bound": maybe("number", "no state has less of it, proven; null: nothing is proven"),
        "loss_before_kw": maybe("number", "exact AC loss today, kW; null: no radial state, or none with a solution"),
        "termination": value("string", "whether every point is proven, or what stopped the run", enum=ENDINGS),
        "remedy": text("what to do about it"),
        "seconds": value("number", "of all searches"),
        "gap": maybe("number", "greatest gap of a point; null: no points"),
        "point_count": whole("number of points"),
        "notes": names("warnings that belong to the front"),
    },
    {"points": POINTS, "bounds": BOUNDS},
)
