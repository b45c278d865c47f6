"""The verdict on a plan in exact AC power flow over its whole set: proved, disproved, or open.

Each island is a grid whose source is the generator that forms it; the others deliver set-points and follow the loads by
an affine policy, o(ζ) = outputs + gain · ζ, each phase by itself. Loads and policy together are one set of deviations,
so that an enclosure bounds every voltage, current and output over all of it. Set-points and gain come from a linear
program; what is claimed is what the enclosure of its outcome says.

Disproved is a plan by a load at which no recourse within the ramps keeps the limits of the generators that form the
grid. There the recourse is the set: every output is linear in it up to a bound, and the multipliers of a linear
program prove that the limits, loosened by this bound, contradict each other. Theory: docs/every_load.md E7.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import linprog

from openpoint.arrays import Bools, Floats
from openpoint.enclosure.bounds import NotEnclosed
from openpoint.enclosure.flow import NoFlow
from openpoint.enclosure.parts import TooLarge
from openpoint.enclosure.policy import Policy, improved
from openpoint.enclosure.recourse import Operated
from openpoint.enclosure.rounding import TINY, lost
from openpoint.enclosure.rows import PlanSet, Rows
from openpoint.enclosure.sets import DeviationSet

ROUNDS = 8
"""Linear programs after which no policy is said to be found."""
MOST_VERTICES = 64
"""Loads that are tried to disprove a plan."""
_LEVELS = 10
"""Halvings of the level to which a policy holds; at most FAR times the set is tried."""
_TIGHTENED = 8
"""Times that what others may do is bounded by the limits, to disprove a plan."""
FAR = 4.0


@dataclass(frozen=True)
class Proof:
    """A policy and what its enclosure says.

    Attributes:
        policy: of the generators that follow. rows: bounds and limits. unit_margins: (2 P, 4) room of the generators.
        level: the proof holds for this multiple of the set, at least.
    """

    policy: Policy
    rows: Rows
    unit_margins: Floats
    level: float = 1.0

    @property
    def holds(self) -> bool:
        """Whether all limits are kept over the whole set."""
        return bool((self.rows.margins >= 0.0).all() and (self.unit_margins >= 0.0).all())


@dataclass(frozen=True)
class Counterexample:
    """A load at which no recourse within the ramps keeps the limits.

    Attributes:
        deviations: (n) of the loads, between −1 and 1. short: by how much at least, kW or kvar.
        leads: (H) whether limits of this part of a generator that forms the grid contradict each other.
    """

    deviations: Floats
    short: float
    leads: Bools


_FAILURES = (NotEnclosed, NoFlow, TooLarge)


@dataclass(frozen=True)
class Start:
    """Where the search for a policy begins.

    Attributes:
        policy: the first. watched: numbers of the rows that the program has at least. basis: of a similar program.
    """

    policy: Policy
    watched: frozenset[int]
    basis: Any = None


class Certifier:
    """Proofs and counterexamples for one plan.

    Attributes:
        end: where the last search for a policy ended; None where there was none.
    """

    def __init__(self, operated: Operated, alike: PlanSet | None = None) -> None:
        """Begin.

        Args:
            operated: the grid. alike: of the same grid and places of ports, whose linear part is used.
        """
        self.operated = operated
        self.plan = alike.of(operated) if alike else PlanSet(operated)
        leads = operated.leads
        self._lead_price = leads.price
        self._nothing = np.zeros(len(operated.ports.s), dtype=np.complex128)
        self.end: Start | None = None

    def judged(self, policy: Policy, times: float = 1.0) -> Proof | None:
        """What holds of a policy, over a multiple of the set; None where no flow is proved."""
        here, units = self.operated, self.operated.units
        scaled = Policy(policy.outputs, times * policy.gain, policy.from_plan)
        try:
            rows = self.plan.enclosed(
                policy.outputs, self._nothing, times * here.loads + self.plan.power(scaled.gain), here.among
            )
        except _FAILURES:
            return None
        if policy.from_plan:
            rows = _from_plan(rows, here)
        if here.capability is not None:
            own = self.plan.capability(here.capability, scaled.outputs, scaled.gain, times)
            rows = Rows.joined([rows, own])
        return Proof(scaled, rows, scaled.margins(units, here.among))

    def proof(self, *, from_plan: bool, known: Proof | None = None, start: Start | None = None) -> Proof | None:
        """The best proof found; it may not hold.

        Args:
            from_plan: whether set-points are those of the plan, or are chosen anew. known: of all units as planned.
            start: of a similar set, with the same units and quantities.
        """
        here = self.operated
        units, n = here.units, len(here.names)
        if start is None:
            policy = Policy(units.planned, np.zeros((len(units.planned), n)), from_plan)
            start = Start(policy, frozenset(range(2 * len(here.leads.part))))
            known = known or self.judged(policy)
            proof = known
        else:
            proof = self.judged(start.policy)
        best, policy, basis, watched = known, start.policy, start.basis, set(start.watched)
        for _ in range(ROUNDS):
            if proof is None:
                break
            tight = (proof.rows.room < 0.5 * here.room) | proof.rows.what_is("capability")
            watched |= set(np.flatnonzero(tight).tolist())
            movable = [k for k in sorted(watched) if proof.rows.by_unit[k].any()]
            if not movable:  # no generator follows
                break
            saved = self._lead_price @ proof.rows.by_unit[: len(self._lead_price)]
            rows = proof.rows.some(np.array(movable))
            price = units.price + saved
            policy, room, basis = improved(policy, units, rows, price, here.among, here.room, basis)
            if room == -np.inf:
                break
            self.end = Start(policy, frozenset(watched), basis)
            proof = self.judged(policy)
            if proof is not None and (best is None or _worst(proof) > _worst(best)):
                best = proof
            if proof is not None and proof.holds and proof.rows.room[movable].min() >= min(room, 0.5 * here.room):
                break
        return best

    def level(self, proof: Proof) -> float:
        """The multiple of the set to which a proof holds."""
        low, high = 1.0, FAR
        for _ in range(_LEVELS):
            middle = 0.5 * (low + high)
            found = self.judged(proof.policy, middle)
            low, high = (middle, high) if found is not None and found.holds else (low, middle)
        return low

    def counterexample(self, proof: Proof | None, *, from_plan: bool) -> Counterexample | None:
        """The worst of the loads tried at which no recourse, or no set-points at all, keep the limits."""
        found, tried = None, set()
        for deviations in self._vertices(proof):
            if deviations.tobytes() not in tried:
                tried.add(deviations.tobytes())
                short, leads = self._short_at(deviations, from_plan=from_plan)
                if short > (found.short if found else 0.0):
                    found = Counterexample(deviations, short, leads)
        return found

    def _vertices(self, proof: Proof | None) -> Iterator[Floats]:
        n, among = len(self.operated.names), self.operated.among
        if proof is not None:
            rows = proof.rows
            slopes = rows.by_load + rows.by_unit @ proof.policy.gain
            for k in np.argsort(rows.room, kind="stable")[:8]:
                vertex = among.vertex(slopes[[k]])[0]
                yield vertex
                yield -vertex
        if among.is_box(n) and 2**n <= MOST_VERTICES:
            yield from (np.array(signs) for signs in product((-1.0, 1.0), repeat=n))

    def _short_at(self, deviations: Floats, *, from_plan: bool) -> tuple[float, Bools]:
        """By how much the limits of the generators that form the grid are missed at a load, whatever others do."""
        here, units = self.operated, self.operated.units
        low, high = units.least, units.most
        if from_plan:
            low, high = np.maximum(low, units.planned - units.ramp), np.minimum(high, units.planned + units.ramp)
        nothing = 0.0, np.zeros(len(here.lead_at), dtype=np.bool_)
        for _ in range(_TIGHTENED):
            middle, half = 0.5 * (low + high), np.maximum(0.5 * (high - low), 0.0)
            spread = self.plan.power(np.diag(half))
            try:
                rows = self.plan.enclosed(middle, here.loads @ deviations, spread, DeviationSet(), only_outputs=True)
            except _FAILURES:
                return nothing
            if from_plan:
                rows = _from_plan(rows, here)
            slopes = rows.by_unit * half
            a = np.vstack([slopes, -slopes])
            b = np.concatenate([rows.most - rows.middle + rows.down, rows.middle + rows.up - rows.least])
            short, weight = _contradicted(a, b)
            if short > 0.0:
                return short, np.asarray(weight.reshape(4, len(here.lead_at)).any(axis=0))
            # Each limit by itself bounds each output, whatever the others are: where no limit is kept nothing is lost.
            beyond = (b + np.abs(a).sum(axis=1))[:, None] / np.maximum(np.abs(a), 1e-300) - 1.0 + 1e-9
            up, down = (
                np.clip(np.where(side, beyond, 1.0).min(axis=0, initial=1.0), -1.0, 1.0) for side in (a > 0.0, a < 0.0)
            )
            if (up + down > 1.8).all():
                return nothing
            low, high = middle - down * half, middle + up * half
        return nothing


def _contradicted(a: Floats, b: Floats) -> tuple[float, Floats]:
    """By how much at least a ζ ≤ b is missed for every |ζ| ≤ 1, and by which weights; 0 where it is not known to be."""
    answer: Any = linprog(
        np.r_[np.zeros(a.shape[1]), -1.0],
        A_ub=np.column_stack([a, np.ones(len(a))]),
        b_ub=b,
        bounds=[(-1.0, 1.0)] * a.shape[1] + [(None, None)],
        method="highs",
    )
    if answer.x is None or answer.x[-1] >= 0.0:
        return 0.0, np.zeros(len(b))
    weight = np.maximum(-answer.ineqlin.marginals, 0.0)
    weight[weight < 1e-9 * weight.max(initial=0.0)] = 0.0
    # For every ζ, weight · (a ζ − b) is at least this: the rows contradict each other.
    least = -np.abs(weight @ a).sum() - weight @ b
    size = weight @ (np.abs(a).sum(axis=1) + np.abs(b))
    missed = lost(len(a) + a.shape[1]) * size + 1e-7 * weight.sum()
    return float(max(least - missed, 0.0) / max(weight.sum(), TINY)), weight


def _from_plan(rows: Rows, here: Operated) -> Rows:
    """The rows with the most change of the generators that form the grid from their set-points in the plan."""
    leads, k = here.leads, 2 * len(here.leads.part)
    least, most, ramp = rows.least.copy(), rows.most.copy(), rows.ramp.copy()
    least[:k] = np.maximum(least[:k], leads.planned - leads.ramp)
    most[:k] = np.minimum(most[:k], leads.planned + leads.ramp)
    ramp[:k] = np.inf
    return Rows(**{**vars(rows), "least": least, "most": most, "ramp": ramp})


def _worst(proof: Proof) -> float:
    return float(proof.rows.room.min())
