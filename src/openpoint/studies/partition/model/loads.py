"""Loads of the blocks, and the base of power of a terminal."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.blocks import Blocks


def terminal_base_kw(network: Network) -> float:
    """What one per unit of power is at a terminal, in kW."""
    return network.s_base_kva / (1.0 if network.is_balanced else 3.0)


def block_loads_kw(grid: Grid, network: Network, blocks: Blocks, share: Floats | float = 1.0) -> Floats:
    """(B) nominal load of each block, or a share (L) of it."""
    home = load_blocks(grid, network, blocks)
    return np.asarray(
        np.bincount(home, weights=share * grid.loads["p_kw"].to_numpy(), minlength=blocks.count), dtype=np.float64
    )


def load_blocks(grid: Grid, network: Network, blocks: Blocks) -> Ints:
    """(loads) block of each load."""
    number = {name: i for i, name in enumerate(network.bus_names)}
    at = np.array([number[bus] for bus in grid.loads["bus"]], dtype=np.int64)
    return np.asarray(blocks.of_bus[at])
