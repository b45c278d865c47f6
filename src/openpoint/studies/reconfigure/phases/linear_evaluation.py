"""The evaluation of a topology by LinDist3Flow without a solver: exact for the linear model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.formulations.lindist3flow import rating_excess
from openpoint.formulations.lindist3flow_equations import LossTerms
from openpoint.formulations.lindist3flow_solve import evaluate
from openpoint.network import Network
from openpoint.solvers.modelling import cp

V_LEAST_PU, V_MOST_PU = 0.5, 1.5
"""Voltages beyond which a linear flow says nothing: states that leave them are left out."""


@final
@dataclass(frozen=True)
class LinearEvaluator:
    """Loss and violation of radial states in the linear model.

    Attributes:
        network: the grid with the limits to keep.
        demand: (N) and (D) what is drawn. reference: (N) voltages without load, around which voltages are linear.
        terms: the squares that the loss is made of. idle: (B) what transformers lose without load.
        base_kw: kW of one per unit of power of a phase.
    """

    network: Network
    demand: tuple[Complexes, Complexes]
    reference: Complexes
    terms: LossTerms
    idle: Floats
    base_kw: float

    def evaluate(self, closed: Bools) -> tuple[float, float]:
        """Loss in kW and sum of the excesses of the limits of a radial state (B).

        The excess is inf where voltages leave what the model can say anything about.
        """
        net = self.network
        flow = evaluate(net, closed, *self.demand, reference=self.reference)
        w, s = flow.w[0], flow.s[0]
        loss = float(self.terms.loss(s)[0] + self.idle[closed].sum()) * self.base_kw
        if w.min() < V_LEAST_PU**2 or w.max() > V_MOST_PU**2:
            return loss, math.inf
        low, high = voltage_limited(net)
        rated = np.asarray(
            rating_excess(net, cp.Constant(closed * 1.0), cp.Constant(s.real), cp.Constant(s.imag)).value
        )
        parts = [1.0 - w[low] / net.w_min[low], w[high] / net.w_max[high] - 1.0, rated]
        return loss, sum(float(np.maximum(part, 0.0).sum()) for part in parts)


def voltage_limited(network: Network) -> tuple[Bools, Bools]:
    """(N) terminals with a lower, and with an upper limit of voltage."""
    return network.w_min > 0.0, np.isfinite(network.w_max)
