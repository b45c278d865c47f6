"""Certificates of a whole set of flows: voltages in its middle, and radii, which are checked without an inverse.

About voltages u of the ports, with x = T ζ + η and A = Z / (u conj u), the map x ↦ (u0 − Z conj(s φ / u)) / u − 1 takes
|η| ≤ h into itself if

    |ρ| + σ(|D|) + |A| (|s| h + R(X)) ≤ h,     D = −A conj(B − ΛT) − T,     X = max |T ζ| + h,

and contracts if |A| diag(|s| + γ) w ≤ λ w with λ < 1. So there is one flow near u for each realisation. T = J B is no
part of the file; whatever it is, D says what it misses. Theory: docs/every_load.md E8.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.enclosure.bounds import Enclosure, NotEnclosed, Slack, box_of, first_order
from openpoint.enclosure.parts import GROWN, ROUNDS, LinearPart, Part, contraction_of
from openpoint.enclosure.ports import Ports
from openpoint.enclosure.ranges import modulus_ranges
from openpoint.enclosure.rounding import UNIT, lost, up
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import times

_LARGEST = 0.95
"""Largest |x| that is taken."""
_ITERATIONS = 500
_SPARE = 1e-3
"""Share of a radius that is left to whoever checks it with other roundings."""


class Check:
    """What a certificate of a part must hold against.

    Args:
        linear: of the part. ports: with the powers in the middle, and how far they deviate. among: the set. moving:
            numbers of the deviations. u: (m) voltages of the middle; None: they are found.

    Attributes:
        most: (k) currents that those of branches that deviate are not to exceed. along: (k) their voltages then. off:
            (m) what u misses, and what these voltages make of it.

    Raises:
        NoFlow: none was found.
    """

    def __init__(
        self, linear: LinearPart, ports: Ports, among: DeviationSet, moving: Ints, u: Complexes | None = None
    ) -> None:
        self.linear, self.among, self.moving = linear, among, moving
        self.flow = flow = linear.flow(ports, u)
        m, size, a, error = len(flow.u), flow.models.size, flow.a, flow.a_error
        self.a = up(np.abs(a) + error)
        self.b, self.first = b, t = first_order(flow, ports.spread[linear.ports][:, moving])
        second, sizes = b - flow.apply_linear(t), np.abs(b) + size[:, None] * np.abs(t)
        missed = np.abs(a @ np.conj(second) + t) + lost(m) * (self.a @ sizes + np.abs(t)) + error @ sizes
        self.defect = among.support(up(missed + (64 * UNIT) * (self.a @ sizes), 4 * m))
        self.x0, self.d = among.modulus(t), up(among.modulus(b) * (1.0 + 64 * UNIT))
        self.direct = up(linear.response(sp.csr_array(linear.draws.T)).along / np.abs(flow.u)[:, None])
        self.hold(np.zeros(len(linear.carrying)))

    def hold(self, most: Floats) -> None:
        """Take these currents for what those of branches that deviate do not exceed."""
        self.most, self.along = most, up(times(self.linear.ohms, most), len(most)) * (most > 0.0).any()
        self.off = up(self.flow.off + self.direct @ self.along, len(most))

    def found(self) -> tuple[Floats, Floats]:
        """Radii, and currents of branches that deviate, that are kept, nearly the least.

        Raises:
            NotEnclosed: none were found.
        """
        for _ in range(ROUNDS):
            radii = self.radii()
            now = self._currents(self._part(radii))
            if (now <= self.most).all():
                return radii, self.most
            self.hold(GROWN * np.maximum(now, self.most))
        raise NotEnclosed

    def _currents(self, part: Part) -> Floats:
        """(k) bounds of the currents of branches that deviate."""
        return modulus_ranges(part.known, part.forms(self.linear.carried), np.zeros(self.b.shape)).high

    def image(self, radii: Floats) -> Floats:
        """(m) radii into which the map takes |η| ≤ radii; inf where there is no bound."""
        x = self.x0 + radii
        if not np.max(x, initial=0.0) < _LARGEST:
            return np.full(len(x), np.inf)
        models = self.flow.models
        moved = up(models.size * radii + models.remainder(up(x), self.d))
        return up(self.off + self.defect + up(self.a @ moved, len(x)))

    def radii(self) -> Floats:
        """(m) radii that are kept, nearly the least.

        Raises:
            NotEnclosed: none were found.
        """
        found = np.zeros(len(self.x0))
        for _ in range(_ITERATIONS):
            new = self.image(found)
            if not np.isfinite(new).all():
                break
            if np.all(new <= found):
                return np.asarray(found * (1.0 + _SPARE) + 1e-10)
            found = np.maximum(found, new * (1.0 + 1e-9) + 1e-18)
        raise NotEnclosed

    def part(self, radii: Floats) -> Part:
        """The part over the whole set.

        Raises:
            NotEnclosed: these radii do not prove that each realisation has one flow, or currents are larger.
        """
        part = self._part(radii)
        if len(self.most) and not (self._currents(part) <= self.most).all():
            raise NotEnclosed
        return part

    def _part(self, radii: Floats) -> Part:
        """The part, if currents are no larger than what is held."""
        if not (np.all(radii >= 0.0) and np.all(self.image(radii) <= radii)):
            raise NotEnclosed
        flow, models = self.flow, self.flow.models
        x = up(self.x0 + radii)
        slope = models.slope(x, self.d)
        weight, contraction = contraction_of(up(self.a * (models.size + slope)), x)
        second = self.b - flow.s[:, None] * self.first
        centre, half, r = box_of(self.first, second, self.among, x, self.d, radii, models)
        slack = Slack(flow, self.b, self.d)(r, x)
        off = self.direct @ self.along
        drift = up(off + flow.norms @ up(models.size * off), len(x))
        known = Enclosure(
            flow, self.among, self.b, self.first, x, self.d, slack, centre, half, r, slope, weight, contraction, drift
        )
        part = Part(self.linear, self.moving, known, known, contraction, self.along)
        return replace(part, contraction=self._joint(models.size + slope, x)) if len(self.most) else part

    def _joint(self, slope: Floats, x: Floats) -> float:
        """By how much the map of voltages and of the voltages along branches that deviate contracts."""
        linear, currents = self.linear, self.linear.carried
        by_x = times(linear.ohms, up(currents.size + currents.error) * (slope / np.abs(self.flow.u)))
        share = np.block([[self.a * slope, self.direct], [by_x, times(linear.ohms, currents.along)]])
        return contraction_of(up(share, len(share)), np.concatenate([x, self.along]))[1]
