"""The extensive form: both stages in one mixed-integer cone program, given to one solver. The oracle of the tests."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.errors import OpenpointError, OptionError
from openpoint.solvers import clarabel, highs, scip
from openpoint.solvers.base import Answer, Status, require
from openpoint.solvers.form import Ints, StandardForm
from openpoint.twostage.compile import compile_model
from openpoint.twostage.interrupt import Interrupt, listening
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination
from openpoint.twostage.program import EXACT, Floats, TwoStageProgram, Verdict, no_good, parts
from openpoint.twostage.stopping import PROVEN_GAP

_CAPABILITIES = {c.name: c for c in (scip.CAPABILITIES, highs.CAPABILITIES, clarabel.CAPABILITIES)}


@dataclass(frozen=True, kw_only=True)
class ExtensiveForm:
    """One mixed-integer cone program. Use it to check another method, not for speed.

    Where the exact verdict on the optimum is worse than the model says, it is added as a no-good cut and the model is
    solved again, so that the answer is exact.

    Attributes:
        solver: a solver with cones and integers: `scip`.
        gap: relative gap at which to stop.
        time_limit_s: seconds after which to stop; None = none.
    """

    solver: str = "scip"
    gap: float = 1e-4
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        if self.solver not in _CAPABILITIES:
            raise OptionError(f"unknown solver {self.solver!r}; known are {', '.join(_CAPABILITIES)}")
        way_out = "use method Benders, or the solver scip (pip install 'openpoint[scip]')"
        require(_CAPABILITIES[self.solver], cones=True, integers=True, way_out=way_out)
        if not 0.0 <= self.gap < 1.0:
            raise OptionError(f"gap is {self.gap:g}; give a relative gap from 0 to below 1, such as 1e-4")
        if self.time_limit_s is not None and not self.time_limit_s > 0.0:
            raise OptionError(f"time limit is {self.time_limit_s:g}; give seconds above 0")

    def __str__(self) -> str:
        return f"ExtensiveForm(solver={self.solver}, gap={self.gap:g})"

    def solve(self, program: TwoStageProgram[Any, Any], progress: Progress | None = None) -> Outcome:
        """Solve a program; where nothing keeps the limits, find the least violation."""
        with listening() as interrupt:
            began = time.perf_counter()
            outcome = self._solve(program, progress, interrupt, began, violation=False)
            if outcome.termination is not Termination.INFEASIBLE or interrupt.requested:
                return outcome
            least = self._solve(program, None, interrupt, began, violation=True)
        return replace(outcome, state=least.state, least_violation=least.decision)

    def _solve(
        self,
        program: TwoStageProgram[Any, Any],
        progress: Progress | None,
        interrupt: Interrupt,
        began: float,
        *,
        violation: bool,
    ) -> Outcome:
        model = _OnePiece(program, violation=violation)
        lower, upper, log = -math.inf, math.inf, list[Iteration]()
        best: tuple[Floats, Verdict] | None = None
        while True:
            left = None if self.time_limit_s is None else max(self.time_limit_s - (time.perf_counter() - began), 0.1)
            answer = model.solve(0.5 * self.gap, left)
            if answer.status is Status.INFEASIBLE and best is not None:
                lower = upper
            elif math.isfinite(answer.bound):
                lower = max(lower, min(answer.bound, upper))
            word = "nothing found"
            price = math.inf
            if answer.x is not None:
                decision = model.decision(answer)
                verdict = program.judge(decision, model.dispatch(answer))
                price = verdict.violation if violation else verdict.value
                value = price if violation else price + program.cost(decision)
                if value < upper:
                    upper, best = value, (decision, verdict)
                word = "one piece"
                known = model.recourse(answer)
                if verdict.final and price > known + EXACT * max(1.0, abs(known)):
                    model.forbid(decision, price)
                    word += " + no-good"
            log.append(Iteration(len(log) + 1, time.perf_counter() - began, lower, upper, price, word))
            if progress is not None:
                progress(log[-1])
            if (reason := self._why(answer, log[-1], "no-good" in word, interrupt)) is not None:
                break
        return Outcome(
            reason,
            None if best is None else best[0],
            None if best is None else best[1].state,
            lower,
            upper,
            tuple(log),
            time.perf_counter() - began,
        )

    def _why(self, answer: Answer, last: Iteration, again: bool, interrupt: Interrupt) -> Termination | None:
        if last.gap <= self.gap:
            return Termination.OPTIMAL if last.gap <= PROVEN_GAP else Termination.GAP
        if answer.status is Status.INFEASIBLE:
            return Termination.INFEASIBLE
        if interrupt.requested:
            return Termination.INTERRUPTED
        if answer.status is Status.LIMIT:
            return Termination.TIME if self.time_limit_s is not None else Termination.INTERRUPTED
        if answer.status is not Status.OPTIMAL:
            raise OpenpointError(f"{self.solver} failed on the one-piece program; use the method Benders")
        return None if again else Termination.RELAXATION


class _OnePiece:
    """Both stages compiled as one model; θ stands for the cost of the recourse."""

    def __init__(self, program: TwoStageProgram[Any, Any], *, violation: bool) -> None:
        first = program.first_stage(physics=True)
        recourse = program.recourse(first.decision, limits=not violation)
        stage = recourse.softened() if violation else recourse.hard()
        theta = cp.Variable(name="theta")
        constraints = [*first.constraints, *stage.constraints, theta >= stage.cost]
        constraints += [part >= 0 for cone in stage.cones for part in (cone.s, cone.t)]
        constraints += program.tighten(first, recourse, limits=not violation)
        self._form = compile_model(theta if violation else first.cost + theta, constraints, first.integers)
        self._cones = [tuple(self._form.of(part) for part in parts(cone)) for cone in stage.cones]
        dispatch = program.dispatch(recourse)
        self._dispatch: Ints | None = None if dispatch is None else self._form.of(dispatch)
        self._columns, self._theta = self._form.of(first.decision), int(self._form.of(theta)[0])
        self._floor = 0.0 if violation else program.recourse_floor
        self._distance = program.distance_min

    def solve(self, gap: float, time_limit_s: float | None) -> Answer:
        """Solve with what was forbidden so far."""
        rotated = [tuple(columns) for columns in self._cones]
        return scip.solve_scip(self._form, rotated, gap=gap, time_limit_s=time_limit_s)

    def decision(self, answer: Answer) -> Floats:
        assert answer.x is not None
        return np.asarray(np.round(answer.x[self._columns]))

    def dispatch(self, answer: Answer) -> Floats | None:
        assert answer.x is not None
        return None if self._dispatch is None else answer.x[self._dispatch]

    def recourse(self, answer: Answer) -> float:
        assert answer.x is not None
        return float(answer.x[self._theta])

    def forbid(self, decision: Floats, price: float) -> None:
        """Add the no-good cut as one more inequality."""
        slope, on_theta, upper = no_good(decision, price, floor=self._floor, distance_min=self._distance)
        row = np.zeros(len(self._form.c))
        row[self._columns], row[self._theta] = slope, on_theta
        form: StandardForm = self._form
        self._form = replace(
            form,
            a=sp.csc_array(sp.vstack([form.a, sp.csr_array(row[None, :])])),
            b=np.append(form.b, upper),
            n_nonneg=form.n_nonneg + 1,
        )
