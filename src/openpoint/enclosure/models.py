"""Loads whose power is constant, or goes with the voltage or its square: what their currents are about a flow.

A port draws conj(y) = (s + d) φ(x) / u at the voltage u (1 + x), with φ = 1 / (1 + x) at constant power, |1 + x| /
(1 + x) at constant current, 1 + conj(x) at constant impedance. With λ the linear part of φ − 1, Λx = −s λ(x) and
r = d − (s + d) φ + s − Λx it is (s + d − r − Λx) / u: linear but for r, which is of second order. Theory:
docs/every_load.md E1, E2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.enclosure.rounding import up

POWER, CURRENT, IMPEDANCE = 0, 1, 2


@dataclass(frozen=True)
class Models:
    """The models of m ports.

    Attributes:
        degree: (m) 0, 1 or 2: the power of the voltage with which the power drawn goes. size: (m) |s|, rounded up.
    """

    degree: Ints
    size: Floats

    @cached_property
    def is_power(self) -> Bools:
        """(m) whether the power is constant."""
        return np.asarray(self.degree == POWER)

    @cached_property
    def all_power(self) -> bool:
        """Whether all of them are."""
        return bool(self.is_power.all())

    def linear(self, s: Complexes) -> Complexes:
        """(m, 2) what Λ makes of a real and of an imaginary x."""
        return np.stack([self._of(s, 0.0 * s, -s), 1j * s], axis=1)

    def remainder(self, x: Floats, d: Floats) -> Floats:
        """(m) at least |r| where |x| and |d| are at most these, x below 1."""
        s = self.size
        power = x * (d + s * x) / (1.0 - x)
        if self.all_power:
            return up(power, 32)
        turn = x**2 / (2.0 * (1.0 - x)) + x**2 / (2.0 * (1.0 - x**2))
        return up(self._of(power, d * x + (s + d) * turn, d * x), 32)

    def slope(self, x: Floats, d: Floats) -> Floats:
        """(m) at least |∂r/∂x|."""
        s = self.size
        power = (d + 2.0 * s * x + s * x**2) / (1.0 - x) ** 2
        turn = x / (1.0 - x) * (1.0 + 1.0 / np.sqrt(1.0 - x**2))
        return up(self._of(power, d + (s + d) * turn, d), 64)

    def gain(self, x: Floats) -> Floats:
        """(m) at least |∂r/∂d|."""
        return up(self._of(x / (1.0 - x), x / np.sqrt(1.0 - x**2), x), 32)

    def value(self, x: Complexes, d: Complexes, s: Complexes) -> Complexes:
        """(m, K) r at (m, K) voltages and deviations; s: (m)."""
        s, degree = s[:, None], self.degree[:, None]
        if self.all_power:
            return np.asarray(x * (d - s * x) / (1.0 + x))
        phi = np.abs(1.0 + x) / (1.0 + x)
        current = 1j * d * x.imag - (s + d) * (phi - 1.0 + 1j * x.imag)
        other = np.where(degree == CURRENT, current, -d * np.conj(x))
        return np.where(degree == POWER, x * (d - s * x) / (1.0 + x), other)

    def _of(self, power: Any, current: Any, impedance: Any) -> Any:
        return np.where(self.degree == POWER, power, np.where(self.degree == CURRENT, current, impedance))
