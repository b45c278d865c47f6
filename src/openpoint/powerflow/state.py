"""The exact AC state of a balanced grid under one topology and one demand, checked by the equations of the network."""

from __future__ import annotations

from dataclasses import dataclass

from openpoint.arrays import Bools, Complexes
from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.check import AcCheck, check_flow
from openpoint.powerflow.ensemble import LIMIT_TOLERANCE


@dataclass(frozen=True)
class RadialState:
    """Exact AC state of a topology.

    Attributes:
        closed: (E) state of the branches. generation: (G) complex injection of dispatchable generators.
        v: (N) complex voltage. i: (E) series current. s_fr, s_to: (E) power into the branch at its ends.
        loss: per unit. check: the independent check of the state.
    """

    closed: Bools
    generation: Complexes
    v: Complexes
    i: Complexes
    s_fr: Complexes
    s_to: Complexes
    loss: float
    check: AcCheck


def ac_state(network: Network, closed: Bools, generation: Complexes | None = None) -> RadialState | None:
    """Exact AC state of a topology, verified; None where it is not radial or no solution exists."""
    generation = network.generator_s if generation is None else generation
    flows = solve(network, closed, generation=generation)
    if not flows.converged[0] or not flows.energised[0].all():
        return None
    v = flows.v[0]
    check = check_flow(network, closed, v, generation=generation, tolerance=LIMIT_TOLERANCE)
    return RadialState(
        closed=closed,
        generation=generation,
        v=v,
        i=flows.i_series[0],
        s_fr=flows.s_fr[0],
        s_to=flows.s_to[0],
        loss=float(flows.loss[0]),
        check=check,
    )
