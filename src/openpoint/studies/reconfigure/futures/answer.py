"""The futures of a question with what is known of their probabilities, and the result that says the answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Complexes, Floats
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.grid.today import locked_note, why_no_loss
from openpoint.network import Network
from openpoint.report.terminal import words
from openpoint.results.columns import finite
from openpoint.results.common import iterations_table
from openpoint.scenarios.futures import Futures, FuturesRecipe, name_of, text_of
from openpoint.studies.reconfigure.futures import evaluate
from openpoint.studies.reconfigure.futures.evaluate import Compared, FuturesEvaluation, violations
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.methods import ProvingMethod
from openpoint.studies.reconfigure.model import RadialProgram, as_realisation
from openpoint.studies.reconfigure.result import ITERATIONS
from openpoint.twostage.ambiguity import Ambiguity
from openpoint.twostage.log import Outcome, Termination
from openpoint.twostage.risk import CVaR, Expectation, Regret, Risk, probability_set
from openpoint.twostage.uncertainty import AmbiguousScenarios, Finite, Scenarios


@dataclass(frozen=True)
class FuturesUncertainty:
    """The futures and how they count; see `openpoint.reconfigure`.

    Raises:
        OptionError: the parts contradict each other.
    """

    futures: Futures
    risk: Risk
    ambiguity: Ambiguity | FuturesRecipe | None
    limits_share: float
    sample: Futures | None

    def __post_init__(self) -> None:
        if not 0.0 < self.limits_share <= 1.0:
            raise OptionError(f"limits_share is {self.limits_share:g}; give a share above 0, up to 1 (all futures)")
        if self.ambiguity is not None and not isinstance(_inner(self.risk), Expectation):
            raise OptionError(
                f"{self.risk} of ambiguous probabilities is not defined; use Expectation(), or leave ambiguity out"
            )
        needed = self.ambiguity is not None or isinstance(_inner(self.risk), Expectation | CVaR)
        if needed and self.futures.probabilities is None:
            what = "ambiguity" if self.ambiguity is not None else str(self.risk)
            raise OptionError(
                f"{what} needs probabilities, and these futures have none: give them in a column probability, or use "
                "WorstCase() or Regret() (--risk worst or regret)"
            )

    @property
    def words(self) -> tuple[str, str | None]:
        """Risk and ambiguity for people."""
        return str(self.risk), None if self.ambiguity is None else name_of(self._set())

    def heading(self, method: ProvingMethod) -> str:
        """How many futures there are, and the method."""
        others = "" if self.sample is None else f", tested also in {words.count(len(self.sample), 'other')}"
        return f"futures: {len(self.futures)}{others}\nmethod: {words.method(method)}"

    def uncertainty(self, s_base_kva: float) -> Finite:
        """The futures as realisations in per unit."""
        values = realisations(self.futures, s_base_kva)
        if self.ambiguity is None:
            return Scenarios(values, self.futures.probabilities)
        return AmbiguousScenarios(values, self.futures.probabilities, self._set())

    def before(self, program: RadialProgram) -> RadialProgram:
        """The program of a grid with these futures."""
        uncertainty = self.uncertainty(program.network.s_base_kva)
        asked = program.asked
        if asked is not None:
            share, ambiguity = float(self.limits_share), text_of(self.ambiguity)
            asked = replace(asked, futures=True, risk=self.risk.text, ambiguity=ambiguity, limits_share=share)
        return replace(program, futures=uncertainty, risk=self.risk, limits_share=self.limits_share, asked=asked)

    def sampled(self, s_base_kva: float) -> Finite | None:
        """The sample as realisations; None where the risk is not defined on it."""
        if self.sample is None or self.ambiguity is not None:
            return None
        if self.sample.probabilities is None and isinstance(_inner(self.risk), Expectation | CVaR):
            return None
        return Scenarios(realisations(self.sample, s_base_kva), self.sample.probabilities)

    def _set(self) -> Ambiguity:
        assert self.ambiguity is not None
        return self.ambiguity(self.futures) if callable(self.ambiguity) else self.ambiguity


def futures_result(
    grid: Grid,
    network: Network,
    uncertainty: FuturesUncertainty,
    method: ProvingMethod,
    outcome: Outcome,
    planned: Compared,
    sampled: Compared | None,
    notes: list[str],
) -> FuturesResult:
    futures = uncertainty.futures
    after = planned.after
    answer = after if math.isfinite(outcome.upper_bound) else None
    finite_set = uncertainty.uncertainty(network.s_base_kva)
    if not np.isfinite(planned.before.loss_kw).any():
        notes.append(why_no_loss(grid, " in any future"))
    if outcome.termination is Termination.INFEASIBLE and after is None:
        notes.append("no radial state has a power flow solution in every future: check the loads of the futures")
    weights = None if answer is None else _risk(finite_set, uncertainty.risk, answer.loss_kw)[1]
    risk, ambiguity = uncertainty.words
    plans = evaluate.plans("planned", futures, planned, lambda loss: _risk(finite_set, uncertainty.risk, loss)[0])
    sample = evaluate.futures(None, None, None)
    if sampled is not None and uncertainty.sample is not None:
        others = uncertainty.sampled(network.s_base_kva)
        plans = plans.vstack(
            evaluate.plans(
                "sample",
                uncertainty.sample,
                sampled,
                lambda loss: math.nan if others is None else _risk(others, uncertainty.risk, loss)[0],
            )
        )
        sample = evaluate.futures(uncertainty.sample, sampled, None)
    return FuturesResult(
        grid=grid,
        method=str(method),
        termination=outcome.termination,
        seconds=outcome.seconds,
        risk=risk,
        ambiguity=ambiguity,
        limits_share=uncertainty.limits_share,
        open_before=_open(network, planned.before),
        open_mean=_open(network, planned.mean),
        open_branches=_open(network, answer),
        objective_kw=None if answer is None else finite(outcome.upper_bound),
        lower_bound_kw=outcome.lower_bound,
        gap=outcome.gap,
        ac_max_mismatch_pu=None if after is None else after.max_mismatch,
        least_violation_open=() if answer is not None else _open(network, after),
        plans=plans,
        futures=evaluate.futures(futures, planned, weights),
        sample=sample.drop("weight"),
        violations=violations(futures.names, after),
        buses=evaluate.buses(network, planned),
        branches=evaluate.branches(grid, network, planned, futures.weights),
        iterations=iterations_table(outcome.log, ITERATIONS),
        notes=(*grid.figure_notes, *locked_note(grid), *notes),
    )


def _open(network: Network, evaluation: FuturesEvaluation | None) -> tuple[str, ...]:
    """Names of the branches open in a topology, in the order of the grid; none of none."""
    closed = () if evaluation is None else evaluation.closed
    return tuple(name for name, state in zip(network.branch_names, closed) if not state)


def _risk(uncertainty: Finite, risk: Risk, loss_kw: Floats) -> tuple[float, Floats | None]:
    """The risk of losses, and the probabilities that count; nan where it takes more: what each future loses alone."""
    if isinstance(risk, Regret):
        return math.nan, None
    return probability_set(uncertainty, risk).worst(loss_kw)


def realisations(futures: Futures, s_base_kva: float) -> Floats:
    demand: Complexes = np.asarray(futures.p_kw + 1j * futures.q_kvar, dtype=np.complex128)
    return as_realisation(demand / s_base_kva)


def _inner(risk: Risk) -> Risk:
    return risk.of if isinstance(risk, Regret) else risk
