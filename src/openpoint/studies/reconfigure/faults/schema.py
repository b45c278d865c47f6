"""The shape of what `openpoint reconfigure` writes with limits of faults."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import ENDS
from openpoint.results.schema import Schema, maybe, text, value
from openpoint.results.shape import Shape
from openpoint.studies.reconfigure.faults.task import Sought
from openpoint.studies.reconfigure.schema import RECONFIGURE

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
    "reconfigure-secure",
    "reconfigure-secure",
    "Result of openpoint reconfigure-secure",
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
