"""Newton's method for the multipliers of all voltage limits that bind on one tree.

On a tree the bound, maximised over y and μ, is a concave function of the multipliers φ of the voltage limits, and its
derivative by φ_j is the limit less the squared voltage w_j of the relaxation. `ascend_limit_multipliers` raises one bus
after another, which stalls where limits at several buses bind together. Here the limits of all of these are solved for
at once, with the derivatives ∂w/∂φ from differences (a semismooth Newton method, Qi and Sun 1993). Where a step would
turn the sign of a multiplier, it becomes 0. Multipliers are valid whatever they are; the best bound met is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.search.kernel.arrays import PHI_BITS, Model, Work
from openpoint.search.kernel.entries import bounded, iterated

MOST_BUSES = 8
"""Buses whose limits are solved for together; those that are missed most."""
STEPS = 12
"""Newton steps, at most."""
ITERATIONS = 8
"""Iterations of the fixed point between two looks at the voltages."""
INSIDE = 5e-7
"""How far inside a limit the voltages are aimed at, as a share of it, so that an exact power flow keeps it."""
CLOSE = 1e-7
"""Distance of squared voltages from the aim at which a limit counts as met."""
RULE = 10.0
"""Of the active set: share of the bound, per squared voltage."""
DIFFERENCE = 1e-3
"""Change of a multiplier for a derivative, relative to the largest multiplier or the bound."""


@dataclass(frozen=True)
class _Point:
    """Multipliers of all kinds, the bound, and the squared voltages."""

    y: Floats
    mu: Floats
    phi: Floats
    bound: float
    w: Floats


class LimitNewton:
    """The multipliers of the tree in `work`, whose forest is directed."""

    def __init__(self, model: Model, work: Work) -> None:
        self.model, self.work = model, work
        self.aims = model.w_min * (1.0 + INSIDE), model.w_max * (1.0 - INSIDE)

    def raised(self, cutoff: float) -> float:
        """Raise the bound until the cutoff or the limits are met; leaves the best multipliers in `work`."""
        here = self._at(self.work.phi.copy())
        best = here
        for _ in range(STEPS):
            if here.bound == -np.inf:
                break
            rest = self._rest(here)
            idle = (here.phi != 0.0) & (rest == 0.0)
            if idle.any():
                here = self._at(np.where(idle, 0.0, here.phi))
                best = max(best, here, key=lambda point: point.bound)
                continue
            buses = np.argsort(-np.abs(rest), kind="stable")[: min(MOST_BUSES, np.count_nonzero(rest))]
            if np.abs(rest).max() <= CLOSE or best.bound >= cutoff:
                break
            step = self._step(here, buses, rest[buses])
            for share in (1.0, 0.5, 0.1):
                there = self._at(self._kept(here.phi, rest, buses, share * step))
                if there.bound > here.bound - 1e-9 * abs(here.bound):
                    break
            else:
                break
            here = there
            best = max(best, here, key=lambda point: point.bound)
        self._restore(best)
        self.work.phi[:] = np.rint(best.phi * 2.0**PHI_BITS) / 2.0**PHI_BITS  # as a certificate holds them
        return bounded(self.model, self.work)

    def _at(self, phi: Floats) -> _Point:
        """The point with the best multipliers of the balances for these of the limits."""
        work = self.work
        work.phi[:] = phi
        value = iterated(self.model, work, ITERATIONS)
        return _Point(work.y.copy(), work.mu.copy(), phi, value, work.w.copy())

    def _restore(self, point: _Point) -> None:
        self.work.y[:], self.work.mu[:], self.work.phi[:] = point.y, point.mu, point.phi

    def _rest(self, point: _Point) -> Floats:
        """(N) the limit that binds at every bus less its squared voltage, 0 where none does.

        A limit binds by the rule of the primal-dual active set (Hintermüller, Ito, Kunisch 2002): if its multiplier,
        less a multiple of how far its voltage is inside, has the sign of the limit.
        """
        (low, high), scale = self.aims, RULE * abs(point.bound)
        rest = np.where(point.phi + scale * (low - point.w) > 0.0, low - point.w, 0.0)
        rest = np.where(point.phi + scale * (high - point.w) < 0.0, high - point.w, rest)
        rest[self.model.n :] = 0.0
        return rest

    def _step(self, here: _Point, buses: Ints, rest: Floats) -> Floats:
        """Changes of the multipliers of some buses after which their voltages would be at the limits."""
        slopes = np.empty((len(buses), len(buses)))
        size = DIFFERENCE * max(float(np.abs(here.phi).max()), abs(here.bound))
        for column, bus in enumerate(buses):
            self._restore(here)
            phi = here.phi.copy()
            phi[bus] += size
            slopes[:, column] = (self._at(phi).w - here.w)[buses] / size
        self._restore(here)
        return np.asarray(np.linalg.lstsq(np.nan_to_num(slopes), rest, rcond=1e-10)[0])

    def _kept(self, phi: Floats, rest: Floats, buses: Ints, step: Floats) -> Floats:
        """Multipliers after a step, 0 where it would turn their sign."""
        after = phi.copy()
        after[buses] += step
        sign = np.where(phi != 0.0, phi, rest)
        return np.where(after * sign < 0.0, 0.0, after)
