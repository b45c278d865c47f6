"""A flow and its exact linearisation, in the form of ports: u = u0 − Z conj(s / u).

About a flow u*, with u = u* (1 + x), A = Z / (u* conj(u*)) and e = d − r (`openpoint.enclosure.models`),

    x − A conj(Λx) = ρ − A conj(e),   x = J e + τ,   J = −(1 − A conj(Λ·))⁻¹ A conj(·),

exactly: ρ is what u* misses, τ what rounding makes of it and of J. Theory: docs/every_load.md E1.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.enclosure.models import Models
from openpoint.enclosure.rounding import UNIT, lost, twice, up

_SWEEPS = 2000
_STEP = 2e-15
"""Largest change of a voltage in the last sweep, pu."""


class NoFlow(Exception):
    """No flow at the loads as they are was found."""


class PortFlow:
    """A flow of m ports, its linearisation, and bounds of what these miss.

    A real-linear map of complex numbers has the matrix (…, 2 m) of what it makes of real parts and of imaginary parts.

    Args:
        z: (m, m), with z_error, (m) bounds by column. u0: (m), with u0_error. s: (m) power at nominal voltage.
        degree: (m) of the models. unit: (m) nominal voltage. u: (m) voltages that may miss the flow; None: it is found.

    Attributes:
        u: (m) voltages. s: (m) power at these. scale: (m) that over the power at nominal voltage.
        a, a_error: (m, m) A and how far it may be off. off: (m) at least |ρ|.
        jacobian: (m, 2 m) J. norms: (m, m) at least the norms of its parts.
        loss: (m) at least |τ| but for what grows with the set, `defect` times the greatest |d − r − Λx|.

    Raises:
        NoFlow: none was found.
    """

    def __init__(
        self,
        z: Complexes,
        z_error: Floats,
        u0: Complexes,
        u0_error: float,
        s: Complexes,
        degree: Ints,
        unit: Floats,
        u: Complexes | None = None,
    ) -> None:
        self.u = u = _solved(z, u0, s, degree, unit) if u is None else u
        self.scale = (np.abs(u) / unit) ** degree
        self.s = s * self.scale
        self.models = Models(degree, up(np.abs(self.s)))
        m, size = len(u), self.models.size
        turned = self.models.linear(self.s)
        a = z / (u[:, None] * np.conj(u)[None, :])
        a_size = up(np.abs(a), 32)
        a_error = a_size * (64 * UNIT) + up(z_error[None, :] / (np.abs(u)[:, None] * np.abs(u)[None, :]))
        antilinear = np.concatenate([a, -1j * a], axis=1)  # what A conj(·) makes of 1 and of i
        known = np.concatenate([(a * np.conj(turned[:, 0])), (a * np.conj(turned[:, 1]))], axis=1)
        system = np.eye(2 * m) - _real(known)
        self.real = -np.linalg.solve(system, _real(antilinear)) if m else np.zeros((0, 0))
        self.jacobian = j = self.real[:m] + 1j * self.real[m:]
        self.norms = part_norms(j)
        self.a, self.a_error = a, a_error
        # Δ = J + A conj(·) − J Λ (A conj(·)), nothing but for rounding
        step = self.apply_linear(antilinear, turned)
        defect = _real(j + antilinear) - self.real @ _real(step)
        rounded = np.abs(self.real).sum(axis=1) + 2.0 * twice(a_size.sum(axis=1))
        chain = self.norms @ (size * up(a_size.sum(axis=1), m))
        rounded = rounded[:m] + rounded[m:] + 6.0 * chain
        missed = up(a_error.sum(axis=1), m)
        missed = missed + self.norms @ up(size * missed)
        whole = np.abs(defect).sum(axis=1)
        self.defect = up(whole[:m] + whole[m:] + lost(2 * m) * rounded + 4.0 * missed, 8 * m)
        off = np.abs(u0 - u - z @ np.conj(self.s / u))
        current = up(size / np.abs(u))
        off += lost(m) * (np.abs(u0) + np.abs(u) + np.abs(z) @ current) + u0_error + z_error @ current
        self.off = off = up(off / np.abs(u), 4 * m)
        self.loss = up(off + self.norms @ up(size * off), 4 * m)

    @cached_property
    def currents(self) -> Complexes:
        """(m, 2 m) what the currents of the ports are of e, but for τ."""
        m = len(self.u)
        unit = np.concatenate([np.eye(m), 1j * np.eye(m)], axis=1)
        return np.asarray(np.conj((unit - self.apply_linear(self.jacobian)) / self.u[:, None]))

    def apply_linear(self, columns: Complexes, turned: Complexes | None = None) -> Complexes:
        """Λ of (m, K) columns."""
        turned = self.models.linear(self.s) if turned is None else turned
        return np.asarray(turned[:, :1] * columns.real + turned[:, 1:] * columns.imag)

    def apply_jacobian(self, columns: Complexes) -> Complexes:
        """J of (m, K) columns."""
        m = len(self.u)
        found = self.real @ np.concatenate([columns.real, columns.imag])
        return np.asarray(found[:m] + 1j * found[m:])


def part_norms(rows: Complexes) -> Floats:
    """(q, m) at least the norms of the real-linear maps of one complex number in (q, 2 m) rows."""
    m = rows.shape[1] // 2
    a, b = rows[:, :m], 1j * rows[:, m:]
    return up(0.5 * (np.abs(a - b) + np.abs(a + b)), 16)


def _real(rows: Complexes) -> Floats:
    return np.concatenate([rows.real, rows.imag])


def _solved(z: Complexes, u0: Complexes, s: Complexes, degree: Ints, unit: Floats) -> Complexes:
    """The voltages that sweeps of the fixed point find."""
    u, powers = u0.copy(), bool((degree == 0).all())
    for _ in range(_SWEEPS):
        with np.errstate(all="ignore"):  # a grid that cannot carry its load
            drawn = s if powers else s * (np.abs(u) / unit) ** degree
            new = u0 - z @ np.conj(drawn / u)
            change = np.abs(new - u).max(initial=0.0)
        u = new
        if change < _STEP or not np.isfinite(change):
            break
    if not change < 1e-9:
        raise NoFlow
    return np.asarray(u)
