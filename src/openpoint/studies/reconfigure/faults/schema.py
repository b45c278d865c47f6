"""The shapes of what `openpoint reconfigure` writes with limits of faults, and of its fronts."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import ENDS
from openpoint.results.schema import Schema, maybe, names, text, value, whole
from openpoint.results.shape import Shape
from openpoint.studies.reconfigure.faults.task import Sought
from openpoint.studies.reconfigure.schema import RECONFIGURE
from openpoint.twostage.log import Termination

FAULTS: c.Table = {
    **ENDS,
    "restorable_before": c.maybe_flag("whether one tie for each part restores it today; null: no fault", "today"),
    "restorable_after": c.maybe_flag("the same in the answer", "answer"),
}


def _of_faults() -> dict[str, Schema]:
    keys: dict[str, Schema] = {}
    for when, word in (("before", "today"), ("after", "in the answer")):
        keys |= {
            f"unrestorable_{when}": maybe("integer", f"faults that one tie for each part does not restore, {word}"),
            f"saifi_{when}_per_year": maybe("number", f"SAIFI: interruptions of a customer a year, {word}"),
            f"saidi_{when}_h_per_year": maybe("number", f"SAIDI: hours without supply of a customer a year, {word}"),
            f"not_supplied_{when}_kwh_per_year": maybe("number", f"energy not supplied a year, kWh, {word}"),
        }
    return keys


SECURED = Shape(
    "reconfigure",
    "reconfigure-secure",
    "Result of openpoint reconfigure --restorable, --minimize",
    {
        **RECONFIGURE.keys,
        "minimized": value("string", "the figure that is least", enum=list(Sought)),
        "minimized_value": maybe("number", "its value in the answer, in minimized_unit; null: no answer"),
        "minimized_bound": maybe("number", "proven lower bound of it; the key gap is that of both"),
        "minimized_unit": text("its unit"),
        "fault_limit": text("what faults may do at most; empty: anything"),
        **_of_faults(),
    },
    {**RECONFIGURE.tables, "faults": FAULTS},
    beside=RECONFIGURE.beside,
)

POINTS: c.Table = {
    "number": c.whole("1, 2, …; the first is the least loss of all", "point"),
    "limit": c.maybe_number("bound of the other figure; null: none", "bound", 4),
    "loss_kw": c.maybe_number("exact AC loss, kW; null: no answer", "loss, kW", 3),
    "lower_bound_kw": c.maybe_number("no state that keeps the bound loses less, proven", "lower bound, kW", 3),
    "gap": c.maybe_number("(loss − lower bound) / loss", "gap", 6),
    "unrestorable": c.maybe_whole("faults that one tie for each part does not restore", "unrestorable"),
    "saifi_per_year": c.maybe_number("SAIFI: interruptions of a customer a year", "SAIFI, 1/a", 4),
    "saidi_h_per_year": c.maybe_number("SAIDI: hours without supply of a customer a year", "SAIDI, h/a", 4),
    "not_supplied_kwh_per_year": c.maybe_number("energy not supplied a year, kWh", "ENS, kWh/a", 1),
    "open_branches": c.names("branches open in the answer", "open"),
    "changes": c.maybe_whole("branches to switch from today", "to switch"),
    "termination": c.text("why the run of the point ended", "ended", options=[t.value for t in Termination]),
    "seconds": c.number("of the search alone", "seconds", 2),
}

FRONT = Shape(
    "reconfigure-front",
    "reconfigure-front",
    "Result of openpoint reconfigure --front",
    {
        "kept": value("string", "figure that is bounded, a bound a point", enum=["saidi", "unrestorable"]),
        "kept_unit": text("its unit; empty for a plain number"),
        "point_count": whole("number of points with an answer"),
        "notes": names("warnings that belong to the front"),
    },
    {"points": POINTS},
)
