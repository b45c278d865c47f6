"""Transformers of three phases and three windings: a star of three of two windings around a bus of its own.

The three windings of a phase share one core. Referred to the first winding, the equivalent circuit is a star: each
winding is connected to a common point by an impedance of its own, and the three currents into this point sum to zero.
This point is the bus, whose phases are grounded wyes. OpenDSS has the magnetising branch at the second winding, so this
winding is the to end of its transformer. A star with a negative reactance is refused.
"""

from __future__ import annotations

import math
from typing import Any

from openpoint.io.opendss.branches import TAP_ACCURACY, Winding, is_closed, read_transformer, winding_of
from openpoint.io.opendss.reading import Reading
from openpoint.io.star import star_of

_WITH_IDLE = 2


def read_windings(reading: Reading, element: str) -> None:
    """A transformer of two windings, or of three phases and three windings."""
    engine = reading.engine
    engine.Transformers.Name(element.partition(".")[2])
    if engine.Transformers.NumWindings() == 3 and engine.CktElement.NumPhases() == 3:
        _read_star(reading, element)
    else:
        read_transformer(reading, element)


def _read_star(reading: Reading, element: str) -> None:
    ends = reading.ends(element)
    if ends is None:
        return
    engine = reading.engine
    windings = [winding_of(engine, number, *end) for number, end in enumerate(ends, start=1)]
    for winding in windings:
        if winding.nodes[:3] != [1, 2, 3] or (not winding.is_delta and any(winding.nodes[3:])):
            message = f"a winding at {winding.bus} has the nodes {'.'.join(map(str, winding.nodes))}"
            reading.fault(
                element, message, "Of three windings give all the nodes 1.2.3, and ground the neutrals (node 0)"
            )
            return
    if not is_closed(reading, element, 3):
        reading.fault(element, "it has three windings and is open", "Disable it, or write transformers of two windings")
        return
    xhl, xht, xlt = (numbers / 100.0 for numbers in _reactances(engine))
    reactances = star_of(xhl, xlt, xht)
    if min(reactances) < 0:
        shown = ", ".join(f"{100.0 * x:g} %" for x in reactances)
        message = f"its three windings are a star of the reactances {shown}, and none may be negative"
        reading.fault(element, message, "Write transformers of two windings")
        return
    first, star = windings[0], f"{element} (star)"
    place = next((row for row in reading.tables["buses"] if row["name"] == first.bus), {})
    kv = reading.bus_kv[first.bus]
    reading.add("buses", name=star, vn_kv=kv, phases="abc", x=place.get("x"), y=place.get("y"))
    lead = _lead(reading, windings)
    for number, (winding, x_pu) in enumerate(zip(windings, reactances), start=1):
        z = complex(winding.r_percent / 100.0, x_pu)  # per unit of the kVA of the first winding
        _leg(reading, element, number, (winding, first), star, z, lead)


def _reactances(engine: Any) -> tuple[float, float, float]:
    return engine.Transformers.Xhl(), engine.Transformers.Xht(), engine.Transformers.Xlt()


def _leg(
    reading: Reading, element: str, number: int, pair: tuple[Winding, Winding], star: str, z: complex, lead: float
) -> None:
    """The transformer from a winding to the star, or the other way round for that with the magnetising branch."""
    winding, first = pair
    word = "delta" if winding.is_delta else "wye"
    changer = _changer(reading, element, number, winding)
    rated = winding.kv * (1.0 if changer else winding.tap)
    row: dict[str, Any] = {
        "name": f"{reading.name(element)} ({number})",
        "phases": "abc",
        "switchable": False,
        **changer,
    }
    turn = lead if winding.is_delta else 0.0
    rating = reading.value("normhkva") / (math.sqrt(3.0) * winding.kv) if number == 1 else 0.0
    row[f"i_max_{'from' if number != _WITH_IDLE else 'to'}_a"] = rating or None
    if number != _WITH_IDLE:
        z_base = first.kv**2 * 1000.0 / first.kva
        row |= {"from_bus": winding.bus, "to_bus": star, "vn_from_kv": rated, "vn_to_kv": first.kv}
        row |= {"connection": f"{word}-wye", "shift_degree": turn, "tap_side": "from"}
    else:
        z_base = (winding.kv * winding.tap) ** 2 * 1000.0 / first.kva
        row |= {"from_bus": star, "to_bus": winding.bus, "vn_from_kv": first.kv, "vn_to_kv": rated}
        row |= {"connection": f"wye-{word}", "shift_degree": -turn, "tap_side": "to"}
        row |= {"g_us": reading.value("%noloadloss") * 1e4 / z_base, "b_us": -reading.value("%imag") * 1e4 / z_base}
    reading.add("transformers", **row, r_ohm=z.real * z_base, x_ohm=z.imag * z_base)


def _changer(reading: Reading, element: str, number: int, winding: Winding) -> dict[str, Any]:
    """The columns of the tap changer of a winding; none where it has none that matters."""
    columns = winding.changer() or {}
    if (element, number) in reading.controlled:
        return columns
    return columns and (columns | {"controllable": False}) if abs(winding.tap - 1.0) > TAP_ACCURACY else {}


def _lead(reading: Reading, windings: list[Winding]) -> float:
    """By how many degrees the deltas lead the wyes; in OpenDSS the first two windings determine it."""
    first, second, _ = windings
    if first.is_delta == second.is_delta:
        return -30.0
    hv_leads = not reading.text("leadlag").lower().startswith(("lead", "euro"))
    of_first = 30.0 if hv_leads == (first.kv >= second.kv) else -30.0
    return of_first if first.is_delta else -of_first
