"""Load shapes of the circuit loaded in the OpenDSS engine, as rows; runs in the process of the engine."""

from __future__ import annotations

from typing import Any

from openpoint.io.opendss.engine import property_of

PURPOSES = ("daily", "yearly", "duty")
_CLASSES = ("load", "generator", "pvsystem", "storage")


def read_shape_rows(engine: Any) -> dict[str, Any]:
    """`shapes` and `uses`, the rows of the tables of `openpoint.io.opendss.shapes.LoadShapes`."""
    return {"shapes": _shapes(engine), "uses": _uses(engine)}


def _shapes(engine: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    api = engine.LoadShape
    has_next = api.First()
    while has_next:
        name, p, q = api.Name(), list(api.PMult()), list(api.QMult())
        hours, each = list(api.TimeArray()), api.HrInterval()
        follows = len(q) != len(p)
        for step, value in enumerate(p):
            hour = step * each if each > 0 or len(hours) != len(p) else hours[step]
            rows.append((name, step, hour, value, None if follows else q[step], bool(api.UseActual())))
        has_next = api.Next()
    return rows


def _uses(engine: Any) -> list[tuple[str, str, str]]:
    used: list[tuple[str, str, str]] = []
    for element in (name.lower() for name in engine.Circuit.AllElementNames()):
        if element.partition(".")[0] in _CLASSES:
            engine.Circuit.SetActiveElement(element)
            given = [(purpose, property_of(engine, purpose).lower()) for purpose in PURPOSES]
            used += [(element, purpose, shape) for purpose, shape in given if shape and shape != "none"]
    return used
