"""Values of a certificate as what they should be: of exactly this type of JSON, and within their range, or refused.

`true` is no number here, 1.0 no whole number, and an object has the keys that it should and no other. Each function
takes a value and the words that name its place in the file.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.errors import OpenpointError

SHOWN = 40
"""Characters of a value that is refused."""
LARGE = 1 << 62
"""Whole numbers are less in absolute value, so that they fit in 64 bits."""


class CertificateError(OpenpointError):
    """The error for a certificate that is damaged or does not prove its claim; it names the line and the node."""


def refused(value: Any, place: str, needed: str) -> CertificateError:
    """The error for a value that is not what it should be."""
    text = ascii(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return CertificateError(f"{place} is {text[:SHOWN]}, and {needed} is needed")


def whole(value: Any, place: str, least: int, most: int) -> int:
    """A whole number from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        raise refused(value, place, f"a whole number from {least} to {most}")
    return value


def number(value: Any, place: str, least: float = -math.inf) -> float:
    """A finite number >= `least`."""
    if type(value) is int and abs(value) < LARGE:
        value = float(value)
    if type(value) is not float or not math.isfinite(value) or value < least:
        raise refused(value, place, "a number" + ("" if least == -math.inf else f" >= {least:g}"))
    return value


def flag(value: Any, place: str) -> bool:
    """`true` or `false`."""
    if type(value) is not bool:
        raise refused(value, place, "true or false")
    return value


def array(value: Any, place: str, size: int | None = None) -> list[Any]:
    """A list, of `size` values."""
    if type(value) is not list:
        raise refused(value, place, "a list")
    if size is not None and len(value) != size:
        raise CertificateError(f"{place} has {len(value)} values, and {size} are needed")
    return value


def wholes(value: Any, place: str, least: int, most: int, size: int | None = None) -> list[int]:
    """Whole numbers from `least` to `most`."""
    return [whole(each, place, least, most) for each in array(value, place, size)]


def integers(value: Any, place: str, size: int | None = None) -> Ints:
    """Whole numbers that fit in 63 bits, as an array."""
    try:
        found = np.array(array(value, place, size), dtype=np.int64)
        if set(map(type, value)) <= {int} and found.min(initial=0) >= -LARGE and found.max(initial=0) <= LARGE:
            return found
    except (OverflowError, TypeError, ValueError):
        pass
    raise refused(value, place, f"a list of whole numbers up to {LARGE}")


def different(value: Any, place: str, count: int) -> list[int]:
    """Numbers from 0 to `count` - 1, none of them twice."""
    found = wholes(value, place, 0, count - 1)
    if len(set(found)) < len(found):
        raise CertificateError(f"{place} has a number twice")
    return found


def numbers(value: Any, place: str, size: int) -> Floats:
    """So many finite numbers."""
    return np.array([number(each, place) for each in array(value, place, size)], dtype=np.float64)


def pairs(value: Any, place: str, count: int, least: int, most: int) -> dict[int, int]:
    """From numbers from 0 to `count` - 1, none of them twice, to whole numbers: a list of lists of both."""
    found = dict[int, int]()
    for pair in array(value, place):
        key, mine = array(pair, place, 2)
        found[whole(key, place, 0, count - 1)] = whole(mine, place, least, most)
    if len(found) < len(value):
        raise CertificateError(f"{place} has a number twice")
    return found


def text(value: Any, place: str) -> str:
    """A text."""
    if type(value) is not str:
        raise refused(value, place, "a text")
    return value


def texts(value: Any, place: str) -> list[str]:
    """Texts, none of them twice."""
    found = [text(each, place) for each in array(value, place)]
    if len(set(found)) < len(found):
        raise CertificateError(f"{place} has a name twice")
    return found


def named(value: Any, place: str, known: Mapping[str, int]) -> list[int]:
    """What names stand for, none of them twice."""
    found = texts(value, place)
    if strange := [name for name in found if name not in known]:
        raise CertificateError(f"{place} names {ascii(strange[0])[:SHOWN]}, which the grid does not have")
    return [known[name] for name in found]


def record(value: Any, place: str, must: Collection[str], may: Collection[str] = ()) -> dict[str, Any]:
    """An object with these keys."""
    if type(value) is not dict:
        raise refused(value, place, "an object")
    if strange := sorted(value.keys() - {*must, *may}):
        raise CertificateError(f"{place} has {ascii(strange[0])[:SHOWN]}, which is not known")
    if lacking := sorted(set(must) - value.keys()):
        raise CertificateError(f"{place} has no '{lacking[0]}'")
    return value
