"""The proof of a whole search by the path bound of its first node, as a line of a certificate.

The bound is worked out as the checker does, by its own code, so that what is written is what it accepts; that of the
search gives the multipliers, and has to reach the cutoff as well.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.network import Network
from openpoint.search.certificate import Certificate
from openpoint.search.kernel.arrays import UNDECIDED, Model, Work
from openpoint.search.kernel.bookkeeping import PATHS, Counts
from openpoint.search.kernel.node import MARGIN
from openpoint.search.model.build import Numbering
from openpoint.search.paths import entries
from openpoint.search.paths.arrays import path_work_for
from openpoint.search.paths.bound import HUGE
from openpoint.search.paths.build import obstacles, paths_of
from openpoint.search.task import SearchTask
from openpoint.verify import paths as checker
from openpoint.verify.data import read
from openpoint.verify.graph import Graph
from openpoint.verify.wires import CLOSED, FREE, OPEN

STEPS = 300
"""Evaluations of the path bound, at most."""
BITS = 24
"""Binary digits of the multipliers."""


def prove_root(
    task: SearchTask, model: Model, numbering: Numbering, work: Work, counts: Counts, certificate: Certificate | None
) -> bool:
    """Whether no state is below the cutoff by the path bound, with which a search for a certificate is done then.

    Args:
        work: with the branches that are decided in every state, as `propagate` leaves it.
    """
    cutoff = float(counts.cutoff[0])
    if not task.certifiable or counts.nodes[0] > 0 or task.changes != (None, 0.0):
        return False
    if obstacles(model) or not (work.status == UNDECIDED).any() or not cutoff < numbering.greatest:
        return False
    paths = paths_of(model)
    of_paths = path_work_for(paths, len(model.p))
    entries.begin(model, paths, of_paths, work)
    if not entries.prepared(model, paths, of_paths, work):
        return False
    value = entries.raised(model, paths, of_paths, work, HUGE * cutoff, cutoff * (1.0 + 2.0 * MARGIN), STEPS)
    y, mu = np.zeros((2, len(model.p)), dtype=np.int64)
    y[paths.bus], mu[paths.bus] = (np.rint(part[:-1] * 2.0**BITS) for part in (of_paths.y, of_paths.mu))
    if not cutoff <= value < np.inf or not _checked(task.network, numbering, task.locks, y, mu, cutoff):
        return False
    if certificate is not None:
        record = certificate.record
        for row in (record.y, record.mu, record.phi, record.w, record.top):
            row[0] = 0
        record.y[0], record.mu[0] = y, mu
        record.kind[0], record.bits[0], record.size[0] = PATHS, BITS, 1
        certificate.take()
    counts.nodes[0], counts.active[0] = 1, 0
    counts.floor[0] = counts.bound[0] = cutoff
    return True


def _checked(
    network: Network, numbering: Numbering, locks: tuple[Bools, Bools], y: Ints, mu: Ints, cutoff: float
) -> bool:
    """Whether the checker's bound reaches the cutoff."""
    data = read(network, [0.0] * network.n_conductors, Fraction(0))
    if checker.obstacles(data):
        return False
    fr, to = network.terminal_fr, network.terminal_to
    squares = {
        bus: Fraction(v.real) ** 2 + Fraction(v.imag) ** 2
        for bus, v in zip(network.source_terminal.tolist(), network.source_v.tolist(), strict=True)
    }
    graph = Graph(network.n_terminals, fr.tolist(), to.tolist(), set(squares), set(), math.inf)
    status = np.where(locks[0], CLOSED, np.where(locks[1] | (fr == to), OPEN, FREE)).astype(np.int8)
    given = np.zeros((2, network.n_terminals), dtype=np.int64)
    given[:, numbering.bus] = y, mu
    if not graph.consequences(status):
        return False
    bound = checker.PathBound(data, graph, squares)
    found = bound.bound(status.tolist(), given[0].tolist(), given[1].tolist(), BITS, Fraction(cutoff))
    return found is not None and found >= Fraction(cutoff)
