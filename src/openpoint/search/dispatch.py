"""Dispatch: the output of the dispatchable generators with the least loss on one tree.

On a tree the bound with the best multipliers equals the optimum of the cone program, and the flows in the ties of the
choices (`openpoint.search.kernel.multipliers`) are the output at this optimum. It is evaluated by the exact power flow
like any other. Where limits bind, a few steps of their multipliers do not reach the output that just keeps them; then
a cone program is solved, if one is given. If no output keeps the limits, this is proven by more steps of the
multipliers where possible, without the cone solver. With devices, Newton's method solves for all limits that bind at
once (`openpoint.search.dispatch`), before the cone solver is asked.

Moves of devices: better positions for one tree, by the exact power flow, without a bound.

Outputs of generators by sequential quadratic programming on the exact power flow (Kraft 1988).

Where the cone program is tight, its outputs are the best ones, but for what separates them from the limits. Where it
is not, they may miss a limit or cost more than others do.

Newton's method for the multipliers of all voltage limits that bind on one tree.

On a tree the bound, maximised over y and μ, is a concave function of the multipliers φ of the voltage limits, and its
derivative by φ_j is the limit less the squared voltage w_j of the relaxation. `ascend_limit_multipliers` raises one bus
after another, which stalls where limits at several buses bind together. Here the limits of all of these are solved for
at once, with the derivatives ∂w/∂φ from differences (a semismooth Newton method, Qi and Sun 1993). Where a step would
turn the sign of a multiplier, it becomes 0. Multipliers are valid whatever they are; the best bound met is kept.

Theory: docs/methods.md M11.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.powerflow.operating_point import OperatingPointEvaluator
from openpoint.search.exchange.ac_check import AcEvaluator, Candidate
from openpoint.search.kernel.arrays import CLOSED, OPEN, PHI_BITS, Model, Work, work_for
from openpoint.search.kernel.bookkeeping import Counts, pool_for, record_for
from openpoint.search.kernel.entries import bounded, iterated
from openpoint.search.model.build import Numbering
from openpoint.search.tree import PlainTree

MOST_BUSES = 8
"""Buses whose limits are solved for together; those that are missed most."""
NEWTON_STEPS = 12
"""Newton steps, at most."""
ITERATIONS = 8
"""Iterations of the fixed point between two looks at the voltages."""
NEWTON_INSIDE = 5e-7
"""How far inside a limit the voltages are aimed at, as a share of it, so that an exact power flow keeps it."""
CLOSE = 1e-7
"""Distance of squared voltages from the aim at which a limit counts as met."""
RULE = 10.0
"""Of the active set: share of the bound, per squared voltage."""
NEWTON_DIFFERENCE = 1e-3
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
        self.aims = model.w_min * (1.0 + NEWTON_INSIDE), model.w_max * (1.0 - NEWTON_INSIDE)

    def raised(self, cutoff: float) -> float:
        """Raise the bound until the cutoff or the limits are met; leaves the best multipliers in `work`."""
        here = self._at(self.work.phi.copy())
        best = here
        for _ in range(NEWTON_STEPS):
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
        size = NEWTON_DIFFERENCE * max(float(np.abs(here.phi).max()), abs(here.bound))
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


def improved_positions(
    evaluator: AcEvaluator, sizes: Ints, candidate: Candidate, over: Callable[[], bool]
) -> Candidate:
    """The candidate after the best move of its devices, again and again until none is better.

    A move sets one device by 1, 2, 4 … positions up or down; where none of these is better, two devices by one each.

    Args:
        evaluator: of states, with the outputs of the candidate. sizes: (D) number of positions.
        over: called before every round; True stops.
    """
    while not over():
        better = None
        for moves in (_single_moves, _pair_moves):
            better = _best(evaluator, candidate, moves(sizes, candidate.positions))
            if better is not None:
                break
        if better is None:
            break
        candidate = better
    return candidate


def _best(evaluator: AcEvaluator, candidate: Candidate, positions: Ints) -> Candidate | None:
    """The best of (K, D) positions on the candidate's tree; None if the candidate itself is not worse."""
    if not len(positions):
        return None
    value, violation = evaluator.evaluate_at(np.repeat(candidate.closed[None, :], len(positions), axis=0), positions)
    best = int(np.lexsort((value, violation))[0])
    generation = evaluator.running(evaluator.outputs, positions[best])
    found = Candidate(candidate.closed, float(value[best]), float(violation[best]), generation, positions[best])
    ahead = (found.violation, found.value) < (candidate.violation, candidate.value - 1e-9 * abs(candidate.value))
    return found if ahead else None


def _single_moves(sizes: Ints, positions: Ints) -> Ints:
    """(K, D) positions with one device moved by a power of 2."""
    steps = [sign * 2**k for k in range(int(max(sizes, default=1)).bit_length()) for sign in (1, -1)]
    return _holds([((d, step),) for d in range(len(sizes)) for step in steps], sizes, positions)


def _pair_moves(sizes: Ints, positions: Ints) -> Ints:
    """(K, D) positions with two devices moved by one."""
    pairs = product(combinations(range(len(sizes)), 2), (1, -1), (1, -1))
    return _holds([((d, first), (e, second)) for (d, e), first, second in pairs], sizes, positions)


def _holds(moves: list[tuple[tuple[int, int], ...]], sizes: Ints, positions: Ints) -> Ints:
    """The positions after every move that stays within the ranges."""
    after = np.repeat(positions[None, :], len(moves), axis=0)
    for row, move in zip(after, moves, strict=True):
        for d, step in move:
            row[d] += step
    return after[((after >= 0) & (after < sizes)).all(axis=1)]


DIFFERENCE = 1e-4
"""Change of an output for a derivative, as a share of its range."""
INSIDE = 1e-10
"""How far inside a limit outputs are aimed at, as a share of it: more than the accuracy of a power flow."""
MISSED = 1e-4
"""Excess above which no outputs near keep the limits, and none of less cost are sought."""
NEAR = 400
"""Limits that are looked at, at most; those that are nearest."""
ROUNDS = 3
"""How often limits that came near are added."""
STEPS = 60
"""Quadratic programs of a round, at most."""
ACCURACY = 1e-12
"""Relative gain of cost at which a round ends."""


@dataclass
class _Outputs:
    """Outputs of one state as points between 0 and 1, and what they cost and exceed, with derivatives."""

    point: OperatingPointEvaluator
    closed: Bools
    positions: Ints
    given: Complexes
    known: dict[bytes, tuple[float, Floats, Floats, Floats]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        net = self.point.network
        self.least = np.concatenate([net.p_min, net.q_min])
        self.range = np.concatenate([net.p_max, net.q_max]) - self.least
        self.free = np.flatnonzero(self.range > 0.0)

    @property
    def start(self) -> Floats:
        """The given outputs."""
        both = np.concatenate([self.given.real, self.given.imag])
        shares = (both[self.free] - self.least[self.free]) / self.range[self.free]
        return np.asarray(np.clip(shares, 0.0, 1.0))

    def at(self, x: Floats) -> Complexes:
        """(…, G) outputs of points (…, n)."""
        both = np.broadcast_to(np.concatenate([self.given.real, self.given.imag]), (*x.shape[:-1], 2 * len(self.given)))
        both = both.copy()
        both[..., self.free] = self.least[self.free] + x * self.range[self.free]
        p, q = np.split(both, 2, axis=-1)
        return np.asarray(p + 1j * q)

    def seen(self, x: Floats) -> tuple[float, Floats, Floats, Floats]:
        """Cost, (M) excesses, (n) and (M, n) their derivatives at a point; derivatives are 0 where they are unknown."""
        key = x.tobytes()
        if key not in self.known:
            step = DIFFERENCE * np.eye(len(x))
            values, excesses = self.point.margins(
                self.closed, self.positions, self.at(np.concatenate([x[None, :], x + step, x - step]))
            )
            ahead, behind = slice(1, 1 + len(x)), slice(1 + len(x), None)
            with np.errstate(invalid="ignore"):
                slope = (values[ahead] - values[behind]) / (2.0 * DIFFERENCE)
                slopes = (excesses[ahead] - excesses[behind]).T / (2.0 * DIFFERENCE)
            self.known[key] = float(values[0]), excesses[0], _number(slope), _number(slopes)
        return self.known[key]


def improved(
    point: OperatingPointEvaluator,
    closed: Bools,
    positions: Ints,
    output: Complexes,
    within: Callable[[Complexes], Complexes],
) -> Complexes:
    """(G) outputs that miss the limits by less, or cost less, than those given, if there are any near.

    Args:
        point: exact evaluation. closed, positions: (E) and (D), the state.
        output: (G) to start from. within: puts outputs into their ranges.
    """
    outputs = _Outputs(point, closed, positions, output)
    x = outputs.start
    if not len(x) or not math.isfinite(outputs.seen(x)[0]):
        return output
    if outputs.seen(x)[1].max(initial=-1.0) > 0.0:
        x = _kept(outputs, x)
    if outputs.seen(x)[1].max(initial=-1.0) <= MISSED:
        x = _cheaper(outputs, x)
    other = within(outputs.at(x))
    values, violations = point.evaluate(closed, positions, np.stack([output, other]))
    best = int(np.lexsort((values, violations))[0])
    return other if best == 1 else output


def _kept(outputs: _Outputs, x: Floats) -> Floats:
    """The outputs near some that miss limits whose greatest excess is least; the first found that keep all."""
    excess = max(float(outputs.seen(x)[1].max()), 0.0)
    start, limits = np.append(x, excess), _nearest(outputs, x)
    found = _minimised(
        lambda z: (float(z[-1]), np.append(np.zeros(len(x)), 1.0)),
        lambda z: (
            z[-1] - outputs.seen(z[:-1])[1][limits],
            np.hstack([-outputs.seen(z[:-1])[3][limits], np.ones((len(limits), 1))]),
        ),
        start,
        [(0.0, 1.0)] * len(x) + [(-1e-3, max(excess, 1e-3))],
    )[:-1]
    return found if outputs.seen(found)[1].max() < excess else x


def _cheaper(outputs: _Outputs, x: Floats) -> Floats:
    """The outputs of least cost near some, with the limits kept that are near there."""
    scale = max(abs(outputs.seen(x)[0]), 1e-9)
    limits = np.empty(0, dtype=np.int64)

    def cost(z: Floats) -> tuple[float, Floats]:
        value, _, slope, _ = outputs.seen(z)
        return value / scale, slope / scale

    def room(z: Floats) -> tuple[Floats, Floats]:
        _, excess, _, slopes = outputs.seen(z)
        return -excess[limits] - INSIDE, -slopes[limits]

    for _ in range(ROUNDS):
        limits = np.union1d(limits, _nearest(outputs, x))
        x = _minimised(cost, room, x, [(0.0, 1.0)] * len(x))
        if np.delete(outputs.seen(x)[1], limits).max(initial=-1.0) <= 0.0:
            break
    return x


def _nearest(outputs: _Outputs, x: Floats) -> Ints:
    """Numbers of the limits that are nearest."""
    excess = outputs.seen(x)[1]
    return np.argsort(-excess, kind="stable")[:NEAR]


def _minimised(
    cost: Callable[[Floats], tuple[float, Floats]],
    room: Callable[[Floats], tuple[Floats, Floats]],
    start: Floats,
    ranges: list[tuple[float, float]],
) -> Floats:
    """A local optimum of a cost with room ≥ 0, both with their derivatives."""

    def finite(value: Any) -> Any:
        return np.clip(np.nan_to_num(value, nan=1e6, posinf=1e6, neginf=-1e6), -1e6, 1e6)

    kept = {"type": "ineq", "fun": lambda z: finite(room(z)[0]), "jac": lambda z: room(z)[1]}
    from scipy.optimize import minimize

    answer: Any = minimize(  # type: ignore[call-overload]
        lambda z: finite(cost(z)[0]),
        start,
        jac=lambda z: cost(z)[1],
        bounds=ranges,
        constraints=[kept],
        method="SLSQP",
        options={"maxiter": STEPS, "ftol": ACCURACY},
    )
    low, high = np.array(ranges).T
    return np.clip(np.asarray(answer.x, dtype=np.float64), low, high)


def _number(derivatives: Floats) -> Floats:
    return np.asarray(np.nan_to_num(derivatives, nan=0.0, posinf=0.0, neginf=0.0))


STEPS_MOST = 40
"""How often a bound is raised by multipliers of limits, at most."""
LITTLE = 1e-3
"""Relative gain of one such step below which no more are made."""


class Threshold(NamedTuple):
    """A cost from which on a state is of no interest; `over`: called regularly, True stops."""

    cost: float
    over: Callable[[], bool]


Cone = Callable[[Bools, Ints, Threshold | None], tuple[float, Complexes | None]]
"""From the (E) state of a tree and the (D) positions of devices to a lower bound of its cost, inf if nothing keeps the
limits, and the (G) outputs. With a threshold the bound may take longer."""


class Dispatcher:
    """Outputs of the dispatchable generators for one tree after another."""

    def __init__(
        self, model: Model, numbering: Numbering, network: Network, cone: Cone | None, most: Floats | None
    ) -> None:
        """`most`: (G) greatest apparent power of the generators; None without limits."""
        self.most = most
        self.model, self.numbering, self.network, self.cone = model, numbering, network, cone
        self.work, self.pool, self.record = work_for(model), pool_for(model, 2), record_for(model, 0)

    @property
    def today(self) -> Complexes:
        """(G) today's output, or the nearest output within the ranges."""
        return self.within(self.network.generator_s)

    def within(self, s: Complexes) -> Complexes:
        """(G) the outputs within the ranges that are nearest to the given ones."""
        net, most = self.network, self.most
        if most is not None:
            s = s * np.minimum(1.0, most / np.maximum(np.abs(s), 1e-300))
        p, q = np.clip(s.real, net.p_min, net.p_max), np.clip(s.imag, net.q_min, net.q_max)
        if most is not None:
            q = np.clip(q, -np.sqrt(np.maximum(most**2 - p**2, 0.0)), np.sqrt(np.maximum(most**2 - p**2, 0.0)))
        return np.asarray(p + 1j * q)

    def on(self, closed: Bools, positions: Ints) -> Complexes:
        """(G) output with the least loss on a tree; `closed`: (m), `positions`: (D)."""
        work, tree = self.work, self._tree(self.work)
        work.y[:], work.mu[:], work.phi[:] = self.model.y_first, 0.0, 0.0
        work.status[:] = np.where(closed, CLOSED, OPEN)
        work.low[:] = work.high[:] = positions
        tree.begin(self.numbering.greatest + float(self.model.price.sum()))
        tree.process_one()
        return self.outputs(work)

    def _tree(self, work: Work) -> PlainTree:
        """The one node in `work`."""
        return PlainTree(self.model, work, pool=self.pool, record=self.record)

    def raised(self, work: Work, found: Counts) -> float:
        """Lower bound of the tree in `work`, raised by multipliers of its limits until the cutoff or little gain.

        `found`: counts of the node, whose bound is set.
        """
        tree = self._tree(work)
        count = tree.counts
        count.bound[0] = found.bound[0]
        for _ in range(STEPS_MOST):
            before = float(count.bound[0])
            enough = before + LITTLE * abs(before) if before > -math.inf else -math.inf
            tree.begin(float(found.cutoff[0]))
            tree.process_one()
            if count.bound[0] >= count.cutoff[0] or -math.inf < count.bound[0] <= enough:
                break
        found.bound[0] = count.bound[0]
        return float(count.bound[0])

    def newton(self, work: Work, found: Counts) -> tuple[float, Complexes]:
        """As `raised`, by Newton's method on all limits that bind; and (G) the output that just keeps them."""
        value = LimitNewton(self.model, work).raised(float(found.cutoff[0]))
        found.bound[0] = max(found.bound[0], value)
        return float(found.bound[0]), self.outputs(work)

    def outputs(self, work: Work) -> Complexes:
        """(G) output at the current multipliers; the generators of a bus share what the bus feeds in."""
        net, model, today = self.network, self.model, self.today
        if model.costly:
            most = model.first_source
            return self.within(work.output_p[:most] + 1j * work.output_q[:most])
        place = np.full(net.n_terminals, -1)
        place[self.numbering.bus] = np.arange(len(model.p))
        at = place[net.generator_terminal]
        p = _output(work.taken_p, model.p, model.p_span, at, net.p_min, net.p_max, today.real)
        least_q = work.least_q if model.banks else model.q
        q = _output(work.taken_q, least_q, model.q_span, at, net.q_min, net.q_max, today.imag)
        return self.within(p + 1j * q)


def _output(taken: Floats, least: Floats, span: Floats, at: Ints, low: Floats, high: Floats, today: Floats) -> Floats:
    """(G) outputs with which the net loads of the buses are `taken`; today's where an output has no range."""
    share = np.clip((taken - least)[at] / np.where(span[at] > 0.0, span[at], 1.0), 0.0, 1.0)
    return np.where(span[at] > 0.0, high - share * (high - low), today)
