"""Names of the arrays that functions take and give; each docstring names its axes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Complexes = npt.NDArray[np.complex128]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]
"""Numbers of buses, branches and rows in compiled functions: half the memory of `Ints`."""
States = npt.NDArray[np.int8]
"""Open, closed or undecided, a branch each."""
Bytes = npt.NDArray[np.uint8]
