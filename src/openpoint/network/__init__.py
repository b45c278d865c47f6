"""Network: the immutable arrays in per unit that solvers use, built from a Grid in this one place."""

from openpoint.network.arrays import DeltaLoads, LineWindings, Network
from openpoint.network.build import build_network
from openpoint.network.load_shares import LoadShares, load_shares

__all__ = [
    "DeltaLoads",
    "LineWindings",
    "LoadShares",
    "Network",
    "build_network",
    "load_shares",
]
