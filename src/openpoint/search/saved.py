"""The arrays of a checkpoint as a search takes them back: each of the kind, the size and the range that it writes.

Compiled functions use them as numbers of branches, buses and rows without a look, and NaN compares as false wherever a
bound is compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from openpoint.arrays import States
from openpoint.errors import OptionError
from openpoint.search.kernel.arrays import UNDECIDED

Arrays = Mapping[str, npt.NDArray[Any]]
MOST = 1 << 62
"""Counts are less."""


class Saved:
    """The arrays of a checkpoint, by name; without any there was none.

    Attributes:
        name: of the file, in words. taken: names of the arrays that were taken so far.
    """

    def __init__(self, arrays: Arrays, name: str = "the checkpoint") -> None:
        self._arrays, self.name, self.taken = arrays, name, set[str]()

    def __bool__(self) -> bool:
        return bool(self._arrays)

    def __contains__(self, word: str) -> bool:
        return word in self._arrays

    def refused(self, word: str, why: str) -> OptionError:
        """The error for an array that no search writes."""
        return OptionError(
            f"{self.name} is not as a search leaves it: '{word}' {why}. To start anew delete it, or name another file"
        )

    def array(self, word: str, dtype: npt.DTypeLike, shape: tuple[int, ...], *, nan: bool = False) -> npt.NDArray[Any]:
        """An array of this kind and shape; `nan`: whether it may hold NaN.

        Raises:
            OptionError: it is another.
        """
        self.taken.add(word)
        found = self._arrays.get(word)
        if found is None:
            raise self.refused(word, "is missing")
        if found.dtype != np.dtype(dtype) or found.shape != shape:
            raise self.refused(word, f"is {found.dtype} {found.shape}, not {np.dtype(dtype)} {shape}")
        if not nan and found.dtype.kind in "fc" and np.isnan(found).any():
            raise self.refused(word, "has values that are no numbers")
        return found

    def width(self, word: str) -> int:
        """The length of the last axis of an array; 0 where there is none."""
        found = self._arrays.get(word)
        return found.shape[-1] if found is not None and found.ndim else 0

    def like(self, word: str, other: npt.NDArray[Any], *, nan: bool = False) -> npt.NDArray[Any]:
        """An array of the kind and shape of another one."""
        return self.array(word, other.dtype, other.shape, nan=nan)

    def rows(self, word: str, other: npt.NDArray[Any], count: int, *, nan: bool = False) -> npt.NDArray[Any]:
        """An array of so many rows, each like one of another array."""
        return self.array(word, other.dtype, (count, *other.shape[1:]), nan=nan)

    def within(self, word: str, found: npt.NDArray[Any], least: Any, most: Any) -> npt.NDArray[Any]:
        """The same array, whose values lie between these."""
        if not (np.all(found >= least) and np.all(found <= most)):
            raise self.refused(word, "has values that are out of range")
        return found

    def whole(self, word: str, least: int = 0, most: int = MOST, *, shape: tuple[int, ...] = ()) -> int:
        """A whole number."""
        return int(self.within(word, self.array(word, np.int64, shape), least, most).item())

    def number(self, word: str, least: float = -math.inf, most: float = math.inf) -> float:
        """A number, also an infinite one where the range has it."""
        return float(self.within(word, self.array(word, np.float64, ()), least, most).item())

    def states(self, word: str, found: npt.NDArray[Any], root: States) -> npt.NDArray[Any]:
        """The same (…, m) states of branches, which leave what is decided in every state (`root`) as it is."""
        self.within(word, found, 0, UNDECIDED)
        decided = root != UNDECIDED
        if not np.array_equal(found[..., decided], np.broadcast_to(root, found.shape)[..., decided]):
            raise self.refused(word, "leaves a branch in another state than every state has")
        return found

    def all_taken(self) -> None:
        """Refuse arrays that were not taken.

        Raises:
            OptionError: there are some.
        """
        if left := sorted(self._arrays.keys() - self.taken):
            raise self.refused(left[0], "is none of this search")
