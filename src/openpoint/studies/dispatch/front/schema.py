"""The shape of what `openpoint dispatch-front` writes."""

from __future__ import annotations

from openpoint.network.criteria import CRITERIA
from openpoint.results import columns as c
from openpoint.results.schema import names, text, value, whole
from openpoint.results.shape import Shape
from openpoint.twostage.log import Termination

V_MIN = "v_min"
"""The lowest voltage, which is bounded from below; the criteria are bounded from above."""

POINTS: c.Table = {
    "number": c.whole("1, 2, …; the first is the least of the criterion sought alone", "point"),
    "limit": c.maybe_number("bound of the other criterion; null: none", "bound", 5),
    "sought": c.maybe_number("the criterion sought, exact AC, in its unit; null: no answer", "sought", 4),
    "lower_bound": c.maybe_number("no state that keeps the bound has less of it, proven", "lower bound", 4),
    "gap": c.maybe_number("(sought − lower bound) / sought", "gap", 6),
    "kept": c.maybe_number("the other criterion, exact AC, in its unit", "kept", 5),
    "open_branches": c.text("names of the branches open in the answer", "open"),
    "actions": c.maybe_whole("steps from today's state to the answer", "to do"),
    "method": c.text("name and options of the method", "method"),
    "termination": c.text("why the run of the point ended", "ended", options=[t.value for t in Termination]),
    "seconds": c.number("of the method alone", "seconds", 2),
}
_NAMES = [*CRITERIA, V_MIN]

FRONT = Shape(
    "dispatch-front",
    "dispatch-front",
    "Result of openpoint dispatch-front",
    {
        "sought": value("string", "criterion that is minimised at each point", enum=list(CRITERIA)),
        "sought_unit": text("its unit; empty for a plain number"),
        "kept": value("string", "criterion that is bounded, a bound a point", enum=_NAMES),
        "kept_unit": text("its unit; empty for a plain number"),
        "point_count": whole("number of points with an answer"),
        "notes": names("warnings that belong to the front"),
    },
    {"points": POINTS},
)
