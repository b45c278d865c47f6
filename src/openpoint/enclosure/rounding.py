"""Outward rounding without directed rounding: what plain double precision may miss, added to every bound.

Sums of products that are not negative lose at most a share of themselves, whatever their order and with or without
fused operations; sums that cancel lose at most a share of the sum of their moduli. Theory: docs/every_load.md E6.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.arrays import Floats

UNIT = 2.0**-53
"""Unit of rounding of a double."""
TINY = 1e-290
"""Above what underflow may lose."""


def up(value: Floats, terms: int = 8) -> Floats:
    """At least the exact value of a result that is not negative, a sum of `terms` products and a bit more."""
    return np.asarray(value * (1.0 + 2.0 * (terms + 16) * UNIT) + TINY)


def twice(values: Any) -> Any:
    """The values once more behind themselves, for real and for imaginary parts."""
    return np.concatenate([values, values])  # numpy.tile takes ten times as long


def lost(terms: int) -> float:
    """Share of the sum of moduli that a complex sum of `terms` products may lose."""
    return 4.0 * (terms + 32) * UNIT
