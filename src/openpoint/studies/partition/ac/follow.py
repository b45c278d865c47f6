"""What the generators of a plan do once the loads are known: the cheapest recourse of the linear model.

Of several dispatches that are as cheap, as many are where all generators cost the same, the one is taken that leaves
the grid-forming generators most room within their limits and ramps, by the share of their range in the worst phase:
they take up what the linear model does not see, such as losses. Once an AC flow has shown how much that is, the
recourse may be asked again with this difference as power that they must deliver beside; then the others follow, too.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.solvers.base import Status
from openpoint.solvers.form import StandardForm
from openpoint.solvers.highs import HighsModel
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.twostage.recourse.condensed import condensed
from openpoint.twostage.recourse.subproblem import VIOLATION_MIN
from openpoint.twostage.recourse.template import template_of

TOLERANCE_PU = 2.0 * VIOLATION_MIN
"""Excess of a limit of the linear model, per unit of a phase, that the plan itself tolerates."""
ROOM_USD = 1e-3
"""What the room of the grid-forming generators is worth, so that a dispatch is at most so much above the cheapest."""


def leading(program: PartitionProgram, decision: Floats) -> Ints:
    """Numbers among `may_form` of the generator that forms the grid of each island; of several the largest.

    In AC flow it holds the voltage and the others deliver their set-points: two stiff sources would exchange power.
    """
    closed, _, forming, _, _ = program.parted(decision)
    units, chosen = program.generators, np.flatnonzero(forming > 0.5)
    island = program.blocks.islands(closed > 0.5)[units.block[units.may_form[chosen]]]
    size = np.array([units.p_capacity[units.of_part == g].sum() for g in units.may_form[chosen]])
    order = np.lexsort((-size, island))
    return np.sort(chosen[order][np.unique(island[order], return_index=True)[1]])


class Follower:
    """The recourse of one plan, realisation after realisation; compiled once.

    Attributes:
        led: (H) parts of the grid-forming generators, one an island.
    """

    def __init__(self, program: PartitionProgram, decision: Floats) -> None:
        """Compile.

        Args:
            program: a program of one step. decision: of it, its integers whole.
        """
        _, _, _, p, q = program.parted(decision)
        net, units = program.network, program.generators
        self.led = np.flatnonzero(np.isin(units.of_part, units.may_form[leading(program, decision)]))
        led = np.concatenate([self.led, len(p) + self.led])
        most, at = np.concatenate(program.ramps)[led], np.concatenate([p, q])[led]
        lower = np.maximum(-most, np.concatenate([net.p_min, net.q_min])[led] - at)
        upper = np.minimum(most, np.concatenate([net.p_max, net.q_max])[led] - at)

        template = template_of(program, len(decision))
        assert template.dispatch is not None
        ends = program.deviations
        self._small = small = condensed(template, decision, *ends, template.dispatch)
        m, h, z = len(ends[0]), len(led), len(small.cost)
        # Columns: realisation, what grid-forming generators deliver beside, free variables, room.
        none, half = np.zeros((len(small.by_u), h)), 0.5 * (upper - lower)[:, None]
        limits = np.hstack([small.by_u, none, small.by_z, np.zeros((len(none), 1))])
        output = np.hstack([small.wanted_by_u[led], np.eye(h), small.wanted_by_z[led]])
        free = np.hstack([np.zeros((z + 1, m + h)), np.eye(z + 1)])
        self._form = _inequalities(
            np.vstack([limits, np.hstack([output, half]), np.hstack([output, -half]), free]),
            np.concatenate([small.lower, np.full(h, -np.inf), lower - small.wanted[led], small.z_lower, [0.0]]),
            np.concatenate([small.upper, upper - small.wanted[led], np.full(h, np.inf), small.z_upper, [1.0]]),
            np.concatenate([np.zeros(m + h), small.cost, [-ROOM_USD]]),
        )
        self._coupled, self._z = np.arange(m + h), np.arange(m + h, m + h + z)
        self.restart()

    def restart(self) -> None:
        """Forget what was asked before, so that answers do not depend on it."""
        self._model = HighsModel(self._form)

    def changes(self, realisation: Floats, beside: Floats) -> Floats | None:
        """(2 P) change of active and reactive power, per unit; None where the limits cannot be kept.

        Args:
            realisation: (M). beside: (2 H) power that the grid-forming generators deliver and the model does not see.
        """
        self._model.fix(self._coupled, np.concatenate([realisation, beside]))
        answer = self._model.solve(integral=False, presolve=False)
        if answer.status is not Status.OPTIMAL or answer.x is None:
            return None
        small = self._small
        return np.asarray(small.wanted + small.wanted_by_u @ realisation + small.wanted_by_z @ answer.x[self._z])


def _inequalities(rows: Floats, lower: Floats, upper: Floats, cost: Floats) -> StandardForm:
    """min costᵀx with lower ≤ rows · x ≤ upper, up to what is tolerated."""
    low, high = np.isfinite(lower), np.isfinite(upper)
    a = np.vstack([-rows[low], rows[high]])
    b = np.concatenate([-lower[low], upper[high]]) + TOLERANCE_PU
    nothing = np.empty(0, dtype=np.int64)
    return StandardForm(cost, 0.0, sp.csc_array(a), b, 0, len(b), (), nothing, {})
