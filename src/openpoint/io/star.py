"""The star of impedances that stands for a transformer of three windings."""

from __future__ import annotations

from typing import TypeVar

Number = TypeVar("Number", float, complex)


def star_of(first_second: Number, second_third: Number, first_third: Number) -> tuple[Number, Number, Number]:
    """The impedances of the three windings to their common point, from those between two windings, the third open.

    Each of the three given is the sum of two of the star, so that z_1 = (z_12 + z_13 - z_23) / 2 and so on. All are
    referred to one winding. The reactance of one may be negative though those between windings are not.
    """
    half = (first_second + second_third + first_third) / 2.0
    return half - second_third, half - first_third, half - first_second
