"""The record of a run of a method: the log of iterations, why it stopped, and the outcome."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from openpoint.arrays import Floats
from openpoint.errors import OptionError


class Termination(enum.StrEnum):
    """Why a run ended. `remedy`: what the user can do about it."""

    OPTIMAL = "optimal"
    GAP = "gap"
    TIME = "time"
    ITERATIONS = "iterations"
    INTERRUPTED = "interrupted"
    WORKERS = "workers lost"
    RELAXATION = "relaxation"
    ACCURACY = "accuracy"
    LIMITS = "limits"
    LOCAL = "local optimum"
    INFEASIBLE = "infeasible"
    SOFT = "limits not kept"

    @property
    def remedy(self) -> str:
        return _REMEDIES[self]

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 0 solved, 3 nothing keeps the limits, 4 not proven, 130 interrupted."""
        return _EXIT_CODES[self]


_REMEDIES = {
    Termination.OPTIMAL: "Proven optimal.",
    Termination.GAP: "Proven: no other answer is better by more than the gap; ask for a smaller one to go on.",
    Termination.TIME: "The time limit came first; what was verified by then is kept. Raise it or accept the gap.",
    Termination.ITERATIONS: "The iteration limit came first; what was verified by then is kept. Raise it.",
    Termination.INTERRUPTED: "Interrupted; what was verified by then is kept. Run again with more time.",
    Termination.WORKERS: "The workers are gone; what was verified by then is kept. Start them again, or run in this "
    "process (serial).",
    Termination.RELAXATION: "The bound is that of a relaxation, not exact here; what was found is verified by AC and "
    "lies above the bound by the gap. Accept it, or fix what loosens the bound: outputs of generators, prices below 0.",
    Termination.ACCURACY: "The bounds are as close as the accuracy of the solvers lets them be. Accept the gap.",
    Termination.LIMITS: "By exact AC power flow nothing that was met keeps all limits, and nothing proves that nothing "
    "does: the least violation is named. Relax limits, or free more.",
    Termination.LOCAL: "No likely exchange of two branches is better; nothing is proven. Topology search proves how "
    "good it is.",
    Termination.INFEASIBLE: "Proven: nothing keeps all limits. Relax or reinforce where the least violation is named.",
    Termination.SOFT: "Nothing keeps all limits; the answer breaks them by as little as is said, and loses least of "
    "the states that do. Reinforce where limits are broken, or accept it.",
}
_EXIT_CODES = {
    Termination.OPTIMAL: 0,
    Termination.GAP: 0,
    Termination.TIME: 4,
    Termination.ITERATIONS: 4,
    Termination.INTERRUPTED: 130,
    Termination.WORKERS: 4,
    Termination.RELAXATION: 4,
    Termination.ACCURACY: 4,
    Termination.LIMITS: 4,
    Termination.LOCAL: 4,
    Termination.INFEASIBLE: 3,
    Termination.SOFT: 3,
}


CUT_SHORT = (Termination.TIME, Termination.INTERRUPTED, Termination.WORKERS)
"""Ends that come from outside: more time would have found more."""


@dataclass(frozen=True, slots=True)
class Iteration:
    """One line of the log: an iteration, or new bounds between two iterations.

    Bounds are of the whole objective, in the program's own unit; `inf` where not yet known.

    Attributes:
        number: 1, 2, …
        seconds: since the start of the method.
        lower_bound: best proven so far.
        upper_bound: best verified so far.
        value: exact value of the decision tried in this iteration (`inf` if it violates limits).
        verdict: the cuts added: `optimality`, `feasibility`, `no-good`, in the order added, joined by ` + `; for lines
            between iterations `start`, `root` or `bound`.
        violation: least violation of the decision tried (0 where limits hold).
        mark: a short warning where the numbers were bad, else empty.
        interim: a line between two iterations: bounds move, but no decision was tried.
    """

    number: int
    seconds: float
    lower_bound: float
    upper_bound: float
    value: float
    verdict: str
    violation: float = 0.0
    mark: str = ""
    interim: bool = False

    @property
    def gap(self) -> float:
        return relative_gap(self.lower_bound, self.upper_bound)


SAME = 1e-6
"""Largest difference of bounds that counts as no gap: 1 mW where they are kW, for grids without losses."""

Progress = Callable[[Iteration], None]
"""A function that is called with every line of the log."""


def relative_gap(lower: float, upper: float) -> float:
    """(upper − lower) / |upper|, not below 0; 0 where both are equal up to SAME, `inf` where one is not finite."""
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return math.inf
    if upper - lower <= SAME:
        return 0.0
    return (upper - lower) / abs(upper) if upper != 0.0 else math.inf


@dataclass(frozen=True)
class Outcome:
    """The result of a method, numbers only.

    Attributes:
        termination: why it stopped.
        decision: (n) first-stage decision of the best verified solution; None if there is none.
        state: `ExactEvaluation.state` of the best decision (the study knows its type); None if there is none.
        lower_bound, upper_bound: of the whole objective.
        log: the iterations.
        seconds: time of the method only.
        least_violation: decision with the smallest violation found, where no decision kept the limits, else None.
        values: (K) verified recourse cost of the decision in every realisation; None where there is none.
        infeasible_alone: numbers of realisations that are known to have no solution even by themselves.
        notes: what the bound rests on beside the method, for the user.
    """

    termination: Termination
    decision: Floats | None
    state: object | None
    lower_bound: float
    upper_bound: float
    log: tuple[Iteration, ...]
    seconds: float
    least_violation: Floats | None = field(default=None)
    values: Floats | None = field(default=None)
    infeasible_alone: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        return relative_gap(self.lower_bound, self.upper_bound)


PROVEN_GAP = 1e-4
"""Largest gap at which an answer is called optimal: far below the accuracy of data of grids."""


def check_stops(gap: float, time_limit_s: float | None) -> None:
    """Refuse a gap or a time limit that is out of range.

    Raises:
        OptionError: saying which.
    """
    if not 0.0 <= gap < 1.0:
        raise OptionError(f"gap is {gap:g}; give a relative gap from 0 to below 1, such as 1e-4")
    if time_limit_s is not None and not time_limit_s > 0.0:
        raise OptionError(f"time limit is {time_limit_s:g}; give seconds above 0")


def ended_by(gap: float) -> Termination:
    """How a run ends that has reached the gap asked for: optimal if it is at most PROVEN_GAP."""
    return Termination.OPTIMAL if gap <= PROVEN_GAP else Termination.GAP
