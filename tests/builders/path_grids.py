"""What the checker's bound by paths needs of a grid."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from openpoint.network import Network
from openpoint.verify.data import Data, read
from openpoint.verify.graph import Graph


def data_of(network: Network) -> Data[Fraction]:
    return read(network, [np.inf] * network.n_conductors, Fraction(0))


def squares_of(network: Network) -> dict[int, Fraction]:
    sources = zip(network.source_terminal.tolist(), network.source_v.tolist(), strict=True)
    return {bus: Fraction(v.real) ** 2 + Fraction(v.imag) ** 2 for bus, v in sources}


def graph_of(network: Network) -> Graph:
    fr, to, sources = network.terminal_fr.tolist(), network.terminal_to.tolist(), set(network.source_terminal.tolist())
    return Graph(network.n_terminals, fr, to, sources, set(), np.inf)
