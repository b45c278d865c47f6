"""Rows of a pool that keep the multipliers of junctions only.

Beyond the junctions, how multipliers differ from those of the first node changes little within a path and next to
nothing within a dangling tree. So the difference is interpolated along the paths, by impedance, and is that of the
place where a dangling tree begins. The fixed point of the node then does the rest.
"""

from __future__ import annotations

import numpy as np

from openpoint.search.kernel.arrays import Model
from openpoint.search.kernel.bookkeeping import Anchors
from openpoint.search.paths.arrays import Paths

WORTH = 4
"""Buses per junction from which on junctions alone are kept."""


def anchors_of(model: Model, paths: Paths) -> Anchors | None:
    """The junctions as anchors; None where they save little, or multipliers of sources or devices must be kept, too."""
    size, none = len(model.p), paths.junctions
    if model.costly or model.spans or model.devices or size < WORTH * max(paths.junctions, 1):
        return None
    near, far = np.full((2, size), none, dtype=np.int32)
    share = np.zeros(size)
    near[paths.bus] = far[paths.bus] = np.arange(paths.junctions)
    length = np.sqrt(model.z2)
    for k in range(len(paths.u)):
        some = slice(paths.start[k], paths.start[k + 1])
        at = np.cumsum(length[paths.branch[some]])
        inner = paths.beyond[some][:-1]
        near[inner], far[inner] = paths.u[k], paths.v[k]
        share[inner] = at[:-1] / at[-1] if at[-1] > 0.0 else 0.5
    for bus, above in zip(paths.pruned[::-1], paths.above[::-1], strict=True):
        near[bus], far[bus], share[bus] = near[above], far[above], share[above]
    return Anchors(paths.bus, near, far, share)
