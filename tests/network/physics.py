"""The equations of `openpoint.network.arrays`, written out slowly: what they leave over at given voltages."""

import numpy as np

from openpoint.arrays import Complexes, Ints
from openpoint.network import Network
from openpoint.network.arrays import winding_matrix


def missing_power(network: Network, v: Complexes) -> Complexes:
    """(N) power that loads and branches draw at each terminal, per unit of a phase; 0 where nothing is missing."""
    current = np.zeros(network.n_terminals, dtype=complex)
    for branch in np.flatnonzero(np.bincount(network.conductor_branch)):
        conductors = np.flatnonzero(network.conductor_branch == branch)
        if network.closed[conductors[0]]:
            for terminals, i in branch_currents(network, conductors, v):
                np.add.at(current, terminals, i)
    size = np.abs(v)
    drawn = network.s_power + network.s_current * size + network.s_impedance * size**2
    np.subtract.at(drawn, network.generator_terminal, network.generator_s)
    delta = network.delta
    u = v[delta.fr] - v[delta.to]
    s = delta.s_power + delta.s_current * np.abs(u) / 3**0.5 + delta.s_impedance * np.abs(u) ** 2 / 3
    np.add.at(current, delta.fr, np.conj(s / u))
    np.subtract.at(current, delta.to, np.conj(s / u))
    return drawn + v * np.conj(current)


def branch_currents(network: Network, e: Ints, v: Complexes) -> list[tuple[Ints, Complexes]]:
    """Terminals of a branch of conductors e, and the currents that enter it there."""
    fr, to = network.terminal_fr[e], network.terminal_to[e]
    z = network.z[e][:, e].toarray()
    y = network.y_shunt[e][:, e].toarray() / 2
    tap, shift = network.tap[e], network.shift[e]
    if (at := np.flatnonzero(network.windings.conductor == e[0])).size:
        g, h = network.windings.return_fr[at], network.windings.return_to[at]
        i = np.linalg.solve(z, (v[fr] - v[g]) / tap - (v[to] - v[h]))
        return [(fr, i / tap), (g, -i / tap), (to, -i), (h, i)]
    connection = network.branch_connections[network.conductor_branch[e[0]]]
    w_fr, w_to = np.eye(len(e)), np.eye(len(e))
    ratio = tap.astype(complex)
    if connection == "wye-wye":
        ratio = tap * np.exp(1j * shift)
    else:
        w = winding_matrix(connection, float(shift[0]))
        w_fr = w if connection.startswith("delta") else w_fr
        w_to = w if connection.endswith("delta") else w_to
    inner, outer = w_fr @ v[fr] / ratio, w_to @ v[to]
    through = np.linalg.solve(z, inner - outer)
    i_fr, i_to = through + y @ inner, y @ outer - through
    return [(fr, w_fr.T @ (i_fr / np.conj(ratio))), (to, w_to.T @ i_to)]
