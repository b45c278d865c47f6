"""The exact AC state of a balanced grid under one topology and one demand, checked by the equations of the network."""

from __future__ import annotations

from dataclasses import dataclass

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.network import Network
from openpoint.network.kept import LIMIT_TOLERANCE
from openpoint.powerflow.balanced import FlowStatus, solve
from openpoint.powerflow.check import AcCheck, check_flow
from openpoint.powerflow.meshed import solve_meshed


@dataclass(frozen=True)
class AcState:
    """Exact AC state of a topology.

    Attributes:
        closed: (E) state of the branches. generation: (G) complex injection of dispatchable generators.
        v: (N) complex voltage. i: (E) rated current (`openpoint.network.ratings`). s_fr, s_to: (E) power into the
            branch at its ends.
        source_s: (S) power that each source delivers. loss: per unit. check: the independent check of the state.
    """

    closed: Bools
    generation: Complexes
    v: Complexes
    i: Floats
    s_fr: Complexes
    s_to: Complexes
    source_s: Complexes
    loss: float
    check: AcCheck


def ac_state(
    network: Network, closed: Bools, generation: Complexes | None = None, start: Complexes | None = None
) -> AcState | None:
    """Exact AC state of a topology, verified; None where a bus is without supply or no solution exists.

    A radial state is solved by the sweep, another one by Newton's method (`openpoint.powerflow.meshed`), which
    may `start` at given voltages (N).
    """
    generation = network.generator_s if generation is None else generation
    flows = solve(network, closed, generation=generation)
    if flows.status[0] == FlowStatus.NOT_RADIAL:
        meshed = solve_meshed(network, closed, generation, start)
        if meshed is None:
            return None
        v, ends, source_s, loss = meshed.v, (meshed.i_rated, meshed.s_fr, meshed.s_to), meshed.source_s, meshed.loss
    elif not flows.converged[0] or not flows.energised[0].all():
        return None
    else:
        v, ends = flows.v[0], (flows.i_rated[0], flows.s_fr[0], flows.s_to[0])
        source_s, loss = flows.source_s[0], float(flows.loss[0])
    check = check_flow(network, closed, v, generation=generation, tolerance=LIMIT_TOLERANCE)
    return AcState(closed, generation, v, *ends, source_s, loss, check)
