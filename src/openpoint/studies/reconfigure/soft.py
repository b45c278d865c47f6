"""Where nothing keeps all limits: the state that breaks them least, and of those the one that loses least.

A **limit** is here the lower voltage limit of all buses, the upper one, or the rating of one conductor; it is relaxed
by a share of itself, a whole number of `STEP`s. What has to give way is found by asking a method again and again
whether any radial state keeps the limits relaxed so and so:

1. t, the least share by which all limits are relaxed alike (Chebyshev);
2. s_j, for every limit j that all states within t break: the least share of it alone, the others relaxed by t; 0 for
   the rest. This is the ideal point of multiple criteria (Zeleny 1973), which no state can be better than;
3. u, the least share that added to all s_j lets a single state keep the limits, relaxed by at most t: above 0 where
   one limit or another may be kept, and not all. Then limits are kept at s_j in turn as far as they can be, those of
   voltage first and then the ratings in the order of the branches;
4. the state of least loss among those which keep the limits relaxed so.

Theory: docs/methods.md M23.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from openpoint.arrays import Floats
from openpoint.network import Network
from openpoint.network.limits import LIMIT_TOLERANCE
from openpoint.results.violation import Violation
from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.studies.reconfigure.ac_evaluation import states_of
from openpoint.studies.reconfigure.methods import BranchExchange, Method
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.result import RelaxedLimit, SoftLimits
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination

_LOG = logging.getLogger(__name__)
STEP = 1e-3
"""Shares of a limit are distinguished by this: 0.1 %."""
ROUNDING = 1e-9
"""Of a share."""
MOST = 20
"""Limits of which it is asked how far each has to give way; more of them are taken as they are met."""
LOW, HIGH, RATINGS = 0, 1, 2
"""Where the shares of the lower limits of voltage, of the upper ones and of the conductors stand."""

Payload = TypeVar("Payload")


@dataclass(frozen=True)
class Reply(Generic[Payload]):
    """The answer of a method for relaxed limits.

    Attributes:
        termination: why it stopped; only INFEASIBLE proves that nothing keeps them.
        shares: (2 + E) by how much the state found exceeds the limits of the grid, see `shares_of`; None: none found.
        payload: of the study.
    """

    termination: Termination
    shares: Floats | None
    payload: Payload


@dataclass(frozen=True)
class Softened(Generic[Payload]):
    """The state of least violation.

    Attributes:
        reply: with the state. relaxed: (2 + E) shares of the limits relaxed. proven: whether the violation is proven
            least. least: no state keeps all limits relaxed by less than this share. stopped: what ended the asking, if
            anything. least_lost: whether `reply` is of the least loss within the relaxed limits; else it is of a state
            met on the way.
    """

    reply: Reply[Payload]
    relaxed: Floats
    proven: bool
    least: float
    stopped: Termination | None
    least_lost: bool


def shares_of(network: Network, v: Floats, i: Floats) -> Floats:
    """(2 + E) relative excess of the limits by a state: of the lower and the upper voltage limits, of each rating.

    Args:
        v: (N) magnitudes of voltage. i: (E) of current, per unit. An excess within the tolerance is 0.
    """
    low, high, most = np.sqrt(network.w_min), np.sqrt(network.w_max), np.sqrt(network.l_max)
    held = np.zeros(len(v), dtype=np.bool_)
    held[network.source_terminal] = True
    under = np.where(low > 0.0, 1.0 - v / np.where(low > 0.0, low, 1.0), 0.0)
    over = np.where(i > 0.0, i / np.maximum(most, 1e-9) - 1.0, 0.0)
    share = np.concatenate([[under[~held].max(initial=0.0), (v / high - 1.0)[~held].max(initial=0.0)], over])
    return np.asarray(np.where(share > LIMIT_TOLERANCE, share, 0.0))


def relaxed(network: Network, shares: Floats) -> Network:
    """The network with its limits relaxed by these shares, (2 + E)."""
    return network.with_limits(
        w_min=network.w_min * np.maximum(1.0 - shares[LOW], 0.0) ** 2,
        w_max=network.w_max * (1.0 + shares[HIGH]) ** 2,
        l_max=network.l_max * (1.0 + shares[RATINGS:]) ** 2,
    )


@dataclass
class _Search(Generic[Payload]):
    """The questions asked, and the states met.

    Attributes:
        ask: a method; of shares, and whether the least loss is wanted or any state.
        known: replies with a state. refused: (2 + E) shares at which there is none. open: at which that is not known.
        stopped: what ended the asking.
    """

    ask: Callable[[Floats, bool], Reply[Payload]]
    known: list[Reply[Payload]]
    stopped: Termination | None = None
    refused: list[Floats] = field(default_factory=list)
    open: list[Floats] = field(default_factory=list)

    @property
    def bound(self) -> float:
        """No state keeps all limits relaxed by less than this share."""
        return max((float(shares.min()) + STEP for shares in self.refused), default=0.0)

    @property
    def met(self) -> Floats:
        """(K, 2 + E) shares of the states met."""
        return np.stack([reply.shares for reply in self.known if reply.shares is not None])

    def met_within(self, shares: Floats) -> bool:
        """Whether a state was met that keeps the limits relaxed so."""
        return bool((self.met <= shares + ROUNDING).all(axis=1).any())

    def some_state(self, shares: Floats) -> bool:
        """Whether any state keeps the limits relaxed so; where the method does not decide it, as if none did."""
        if self.met_within(shares):
            return True
        if self.stopped is not None or any((shares <= other).all() for other in (*self.refused, *self.open)):
            return False
        reply = self.ask(shares, False)
        if reply.shares is not None:  # what it exceeds them by counts as kept
            self.known.append(replace(reply, shares=np.minimum(reply.shares, shares)))
            return True
        self.reject(reply.termination, shares)
        return False

    def reject(self, why: Termination, shares: Floats) -> None:
        """Keep in mind that no state was found at these shares."""
        (self.refused if why is Termination.INFEASIBLE else self.open).append(shares)
        if why is Termination.INTERRUPTED:
            self.stopped = why

    def least(self, shares: Callable[[int], Floats], low: int, high: int) -> int:
        """The least number of steps above `low`, at which no state is, with one; there is one at `high`."""
        closely = True
        while True:
            met = low
            while high - met > 1:  # what was met needs no question
                middle = (met + high) // 2
                met, high = (met, middle) if self.met_within(shares(middle)) else (middle, high)
            if high - low <= 1:
                return high
            # The last step is where the proof lies; where it is not the last, half of the way saves many.
            steps = high - 1 if closely else (low + high) // 2
            closely = not closely
            if not self.some_state(shares(steps)):
                low = steps


def as_met(reply: Reply[Payload]) -> Softened[Payload]:
    """The state of a reply, of which nothing is proven."""
    assert reply.shares is not None
    return Softened(reply, _rounded(reply.shares), False, 0.0, reply.termination, False)


def soften(first: Reply[Payload], ask: Callable[[Floats, bool], Reply[Payload]]) -> Softened[Payload]:
    """The state of least violation and then of least loss, where nothing keeps the limits, or nothing is known to.

    Args:
        first: a state that breaks limits; unless it ended as infeasible, nothing that follows is proven.
        ask: a method; of shares, and whether the least loss is wanted or any state that keeps them.
    """
    assert first.shares is not None
    search = _Search(ask, [first])
    size = len(first.shares)
    if first.termination is not Termination.INFEASIBLE:
        search.reject(first.termination, np.zeros(size))
    steps = search.least(lambda k: np.full(size, k * STEP), 0, _steps(float(first.shares.max())))
    box = np.full(size, steps * STEP)
    ideal = _ideal(search, box, steps)

    def at(more: int) -> Floats:
        return np.asarray(np.minimum(box, ideal + more * STEP))

    best = ask(at(0), True) if search.stopped is None else None
    within = at(0)
    if best is not None and best.shares is None:
        search.reject(best.termination, at(0))
        within = _kept_in_turn(search, at(search.least(at, 0, steps)), ideal)
        best = ask(within, True) if search.stopped is None else None
    if best is None or best.shares is None:  # time is up
        why = search.stopped if best is None else best.termination
        nearest = min(search.known, key=lambda known: _worst(known.shares))
        assert nearest.shares is not None
        return Softened(nearest, _rounded(nearest.shares), False, search.bound, why, False)
    return Softened(best, within, not search.open and search.stopped is None, search.bound, None, True)


def _ideal(search: _Search[Payload], box: Floats, steps: int) -> Floats:
    """(2 + E) least share of each limit alone, the others relaxed by `box`."""
    ideal = np.zeros(len(box))
    for _ in range(MOST):
        inside = search.met[(search.met <= box + ROUNDING).all(axis=1)]
        always = inside.min(axis=0)
        left = np.flatnonzero((always > 0.0) & (ideal == 0.0))
        if not len(left) or search.stopped is not None:
            break
        j = int(left[np.argmax(always[left])])

        def alone(k: int, j: int = j) -> Floats:
            shares = box.copy()
            shares[j] = k * STEP
            return shares

        ideal[j] = search.least(alone, -1, min(_steps(always[j]), steps)) * STEP
    inside = search.met[(search.met <= box + ROUNDING).all(axis=1)]
    left = np.flatnonzero((inside.min(axis=0) > 0.0) & (ideal == 0.0))
    search.open += [box] * bool(len(left))  # more limits than are asked about
    ideal[left] = np.minimum(_rounded(inside.min(axis=0)), box)[left]
    return ideal


def _kept_in_turn(search: _Search[Payload], shares: Floats, ideal: Floats) -> Floats:
    """(2 + E) shares with those of `ideal` wherever a state is left."""
    asked = len(search.refused) + len(search.known)
    for j in np.flatnonzero(shares > ideal):
        fewer = shares.copy()
        fewer[j] = ideal[j]
        ask = len(search.refused) + len(search.known) - asked < MOST
        if search.some_state(fewer) if ask else search.met_within(fewer):
            shares = fewer
    return shares


def _steps(share: float) -> int:
    """The whole number of steps that covers a share."""
    return math.ceil((share - ROUNDING) / STEP)


def _rounded(shares: Floats) -> Floats:
    return np.asarray(np.maximum(np.ceil((shares - ROUNDING) / STEP), 0.0) * STEP)


def _worst(shares: Floats | None) -> float:
    return math.inf if shares is None else float(shares.max())


def as_soft_limits(network: Network, softened: Softened[Payload]) -> SoftLimits:
    """Which limits were relaxed, in the words of a result."""
    found = []
    for kind, place in (("voltage low", LOW), ("voltage high", HIGH)):
        if softened.relaxed[place] > 0.0:
            found.append(RelaxedLimit(kind, None, None, 100.0 * float(softened.relaxed[place])))
    for e in np.flatnonzero(softened.relaxed[RATINGS:] > 0.0):
        if not np.isfinite(network.l_max[e]):
            continue
        branch, phase = network.branch_names[network.conductor_branch[e]], network.conductor_phase[e]
        found.append(RelaxedLimit("current", branch, phase, 100.0 * float(softened.relaxed[RATINGS + e])))
    return SoftLimits(tuple(found), softened.proven, 100.0 * softened.least)


def not_kept(violations: tuple[Violation, ...], soft: SoftLimits) -> str:
    """The warning that belongs to an answer which breaks limits."""
    worst = max(violations, key=lambda each: each.excess)
    more = f", and {len(violations) - 1} more" if len(violations) > 1 else ""
    proof = (
        f"proven to {100.0 * STEP:g} % of a limit: no radial state breaks them less"
        if soft.proven
        else "the least violation met, which is not proven to be the least"
    )
    if not soft.proven and soft.least_percent > 0.0:
        proof += f": all that is proven is that all limits give way by {soft.least_percent:.1f} % or more"
    return f"limits are not kept: {_with_percent(worst)}{more}; {proof}"


SOFTLY = "--soft-limits (soft_limits=True) answers with the state that breaks them least"
"""A way on where nothing keeps the limits."""


def ways_on(violations: tuple[Violation, ...], free: int, *, proven: bool) -> tuple[str, ...]:
    """What can be done where nothing keeps the limits, as warnings.

    Args:
        violations: of the least violation met; none where there is no state.
        free: how many branches are open to choice. proven: whether nothing else keeps the limits.
    """
    if not violations:
        return ()
    worst = max(violations, key=lambda each: each.excess)
    more = f", and {len(violations) - 1} more" if len(violations) > 1 else ""
    none = "no radial state keeps all limits" if proven else "no state that was met keeps all limits"
    texts = [f"{none}; the least violation met: {_with_percent(worst)}{more}"]
    if not free:
        texts.append("no switching can help: there is one radial state only. Reinforce there, or relax the limits")
    ways = [SOFTLY]
    kinds = {each.kind for each in violations}
    if kinds == {"current"}:
        ways.append("--ignore-limits current (Limits(current=False)) alone would do")
    elif "current" not in kinds:
        ways.append("--ignore-limits voltage (Limits(voltage=False)) alone would do")
    return (*texts, "; ".join(ways))


def _with_percent(violation: Violation) -> str:
    return f"{violation} ({100.0 * violation.value / violation.limit:.1f} %)"


ANY = 0.99
"""Gap at which a method that is asked for any state stops at the first."""
ASK_S = 30.0
"""Seconds of a question at most: near the least violation the proof may take far longer than the answer is worth."""
ASKING = 0.6
"""Share of a limit of time that questions may take; the rest is for the least loss."""
FIRST = 0.4
"""Share of a limit of time after which states that break limits are asked for, where none that keeps them is known."""
SOLVED = (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY)


@dataclass(frozen=True, eq=False)
class Question:
    """A question to which soft limits are an answer, too.

    Attributes:
        network: with the limits to keep. method: that is asked.
        solve: what a method finds in the network with these limits.
        shares: (2 + E) by how much the state of an outcome exceeds the limits; None: it has none.
        value: of the state of an outcome, kW.
    """

    network: Network
    method: Method
    solve: Callable[[Method, Network, Progress | None, Deadline], Outcome]
    shares: Callable[[Outcome], Floats | None]
    value: Callable[[Outcome], float]


def question_of(program: RadialProgram, method: Method) -> Question:
    """The question of a program for one demand."""

    def solve(asked: Method, network: Network, progress: Progress | None, deadline: Deadline) -> Outcome:
        return asked.solve(replace(program, network=network), progress, deadline)

    def shares(outcome: Outcome) -> Floats | None:
        state = states_of(outcome)
        if state is None or not np.isfinite(state.loss[0]):
            return None
        return shares_of(program.network, np.abs(state.v[0]), state.i[0])

    def value(outcome: Outcome) -> float:
        decision, state = _state(outcome), states_of(outcome)
        assert state is not None
        return program.first_stage_cost(decision) + float(state.loss[0]) * program.network.s_base_kva

    return Question(program.network, method, solve, shares, value)


def solve_softly(
    question: Question, progress: Progress | None, deadline: Deadline
) -> tuple[Outcome, SoftLimits | None]:
    """What a method finds; with the state of least violation where it finds none that keeps the limits.

    Within a limit of time the method has all of it as soon as it knows a state that keeps them, else `FIRST` of it.
    """
    seen = Seen(progress)
    limit = deadline.left()
    first = deadline if math.isinf(limit) else deadline.early(FIRST * limit, unless=lambda: seen.any)
    outcome = question.solve(question.method, question.network, seen, first)
    return soften_outcome(question, outcome, progress, deadline)


class Seen:
    """Progress that is passed on, and whether a state that keeps the limits is known."""

    def __init__(self, progress: Progress | None) -> None:
        self.any, self._progress = False, progress

    def __call__(self, line: Iteration) -> None:
        self.any |= math.isfinite(line.upper_bound)
        if self._progress is not None:
            self._progress(line)


def soften_outcome(
    question: Question, outcome: Outcome, progress: Progress | None, deadline: Deadline
) -> tuple[Outcome, SoftLimits | None]:
    """The outcome with the state of least violation as its decision, where no state was found that keeps the limits.

    Args:
        question: by whose method `outcome` came. progress: called in the last question. deadline: of the study.
    """
    if outcome.decision is not None or (first := question.shares(outcome)) is None:
        return outcome, None
    began, method = deadline.passed(), question.method

    def ask(shares: Floats, least_loss: bool) -> Reply[Outcome]:
        until = deadline if least_loss else _for_a_question(deadline)
        if until.over():
            return Reply(until.why, None, outcome)
        asked = _uncertified(method) if least_loss else _any(method)
        found = question.solve(asked, relaxed(question.network, shares), progress if least_loss else None, until)
        return Reply(found.termination, None if found.decision is None else question.shares(found), found)

    reply = Reply(outcome.termination, first, outcome)
    undecided = outcome.termination in (Termination.TIME, Termination.WORKERS)
    asks = outcome.termination is Termination.INFEASIBLE or (undecided and not deadline.over())
    softened = soften(reply, ask) if asks else as_met(reply)
    kept = softened.reply.payload
    if not softened.relaxed.any() and kept.decision is not None:  # a state that keeps them, met by the questions
        kept = kept if softened.least_lost else replace(kept, termination=softened.stopped or deadline.why)
        return replace(kept, seconds=outcome.seconds + deadline.passed() - began), None
    best = _outcome(question, softened)
    if undecided:  # that nothing keeps the limits is not known
        best = replace(best, termination=outcome.termination)
    seconds = outcome.seconds + deadline.passed() - began
    return replace(best, seconds=seconds), as_soft_limits(question.network, softened)


def _for_a_question(deadline: Deadline) -> Deadline:
    """What a question may take of the time that is left."""
    if math.isinf(deadline.left()):
        return deadline.within(ASK_S)
    passed = deadline.passed()
    asking = ASKING * (passed + deadline.left()) - passed
    return deadline.within(max(min(asking / 3.0, ASK_S), 0.0))


def _uncertified(method: Method) -> Method:
    """The method without a certificate, which is told: it would be about limits that nobody can ask to be checked."""
    if not isinstance(method, TopologySearch) or method.certificate is None:
        return method
    _LOG.warning(
        "no certificate: limits are relaxed, and a certificate is about those that are asked for. "
        "Ask with limits that can be kept (--v-min, --v-max, --ignore-limits)"
    )
    return replace(method, certificate=None)


def _any(method: Method) -> Method:
    """The method where any state will do."""
    if isinstance(method, Enumeration | BranchExchange):
        return method
    if isinstance(method, TopologySearch):
        return replace(method, gap=ANY, certificate=None)
    return replace(method, gap=ANY)


def _outcome(question: Question, softened: Softened[Outcome]) -> Outcome:
    """What was found, as an outcome whose decision breaks limits."""
    found = softened.reply.payload
    if softened.least_lost:
        return replace(found, termination=Termination.SOFT) if found.termination in SOLVED else found
    why = softened.stopped or Termination.SOFT
    return replace(
        found,
        termination=Termination.SOFT if why is Termination.INFEASIBLE else why,
        decision=_state(found),
        least_violation=None,
        lower_bound=-math.inf,
        upper_bound=question.value(found),
    )


def _state(outcome: Outcome) -> Floats:
    """The decision of an outcome, or the state of least violation that it met."""
    state = outcome.least_violation if outcome.decision is None else outcome.decision
    assert state is not None
    return state
