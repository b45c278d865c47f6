"""Reactors of a solved OpenDSS circuit: in series a line, to ground or between phases a load of constant impedance."""

from __future__ import annotations

import math

import numpy as np

from openpoint.arrays import Complexes
from openpoint.io.opendss.branches import NO_RATING_A, triangle
from openpoint.io.opendss.reading import LETTER, Reading

# Relative difference of admittances attributed to rounding, and size below which an admittance counts as 0.
_ROUNDED = 1e-9


def read_reactor(reading: Reading, element: str) -> None:
    """A reactor, by its admittances in the engine."""
    ends = reading.ends(element)
    if ends is None:
        return
    engine = reading.engine
    bus, nodes = ends[0]
    y = np.asarray(engine.CktElement.YPrim(), dtype=np.float64).view(np.complex128)
    y = y.reshape(math.isqrt(y.size), -1)[: len(nodes), : len(nodes)]
    if len(ends) == 2 and any(ends[1][1]):
        if ends[1][0] != bus:
            _series(reading, element, ends, y)
            return
        if len(nodes) != 1:
            remedy = "Give two different buses, or ground it"
            reading.fault(element, "a reactor between nodes of the same bus", remedy)
            return
        _shunt(reading, element, bus, [*nodes, *ends[1][1]], (complex(y[0, 0]), 1, "delta"))
        return
    off = y[~np.eye(len(y), dtype=np.bool_)]
    size = np.abs(y).max()
    is_delta = reading.is_delta() and len(nodes) == 3
    shared = np.concatenate([y.diagonal() / (-2.0 if is_delta else 1.0), off if is_delta else []])
    if np.abs(shared - shared[0]).max() > _ROUNDED * size or (not is_delta and np.abs(off).max(initial=0.0) > 0):
        message = "a reactor whose phases differ or couple is not read"
        reading.fault(element, message, "Write one for each phase")
        return
    y_each = complex(-shared[0] if is_delta else shared[0])
    _shunt(reading, element, bus, nodes, (y_each, len(nodes), "delta" if is_delta else "wye"))


def _series(reading: Reading, element: str, ends: list[tuple[str, list[int]]], y: Complexes) -> None:
    (fr, nodes), (to, nodes_to) = ends
    if nodes != nodes_to or 0 in nodes or len(set(nodes)) < len(nodes):
        message = f"its ends have the nodes {'.'.join(map(str, nodes))} and {'.'.join(map(str, nodes_to))}"
        reading.fault(element, message, "Give both ends the same nodes, each once")
        return
    if np.abs(y - y.T).max() > _ROUNDED * np.abs(y).max():
        reading.fault(element, "its impedances of positive and negative sequence differ", "Leave out Z2")
        return
    order = np.argsort(nodes)
    z = np.linalg.inv(y)[np.ix_(order, order)]
    z[np.abs(z) <= _ROUNDED * np.abs(z).max()] = 0.0
    r = np.where(np.abs(z.real) <= _ROUNDED * np.abs(z).max(), 0.0, z.real)
    amps = reading.value("normamps")
    reading.add(
        "lines",
        name=reading.name(element),
        from_bus=fr,
        to_bus=to,
        phases="".join(LETTER[nodes[k]] for k in order),
        r_ohm=triangle(r),
        x_ohm=triangle(z.imag),
        i_max_a=None if amps in (0.0, NO_RATING_A) else amps,
        switchable=element in reading.switchable,
        length_km=0.0,
    )


def _shunt(reading: Reading, element: str, bus: str, nodes: list[int], each: tuple[complex, int, str]) -> None:
    """A load; `each` has the admittance of one of how many equal parts, and how these are connected."""
    y, parts, connection = each
    if 0 in nodes or len(set(nodes)) < len(nodes):
        message = f"its nodes {'.'.join(map(str, nodes))} are no set of phases"
        reading.fault(element, message, "Name its phases in the bus, as in bus1=name.1 or bus1=name.1.2.3")
        return
    kv = reading.bus_kv[bus] if connection == "delta" else reading.phase_kv(bus)
    s = y.conjugate() * kv**2 * 1000.0 * parts
    reading.add(
        "loads",
        name=element,
        bus=bus,
        phases="".join(LETTER[k] for k in sorted(nodes)),
        connection=connection,
        model="impedance",
        p_kw=max(s.real, 0.0),
        q_kvar=s.imag,
    )
