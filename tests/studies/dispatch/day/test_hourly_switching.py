"""Hourly switching of certain days against the dynamic programme over all radial states."""

from dataclasses import replace

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network.day import HourRecourse
from openpoint.network.devices import no_devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import least_loss, no_supply_limits
from openpoint.search.enumeration import topologies
from openpoint.search.switching.states import best_plan
from openpoint.studies.dispatch.day.methods import HourlySwitching, also_decided
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.twostage.log import Termination
from tests.builders.days import day_of, idle_plan, stores
from tests.builders.grids import all_topologies
from tests.search.random_grids import random_grid

PERIODS = 4


def random_day(seed: int, kind: tuple[str, ...], prices: int) -> DayQuestion:
    """Loads that differ by bus and period; `prices`: 1 price for all sources of a period, or one each."""
    rng = np.random.default_rng(seed)
    network = random_grid(rng, kind)
    network = replace(network, closed=next(iter(topologies(network)))[0])
    sources = len(network.source_terminal)
    price = np.broadcast_to(rng.uniform(0.02, 0.3, (PERIODS, prices if sources > 1 else 1)), (PERIODS, sources))
    hours = rng.uniform(0.5, 2.0, PERIODS)
    bare, day = day_of(network, np.ones(PERIODS), hours=hours, source_price=price.copy(), export_price=0.5 * price)
    day = replace(day, load_power=day.load_power * rng.uniform(0.1, 1.3, (PERIODS, network.n_terminals)))
    cost = replace(least_loss(0, sources, network.n_conductors), loss=0.01, change=float(rng.choice([0.0, 1e-4])))
    most = int(rng.integers(0, 7)) if rng.random() < 0.8 else None
    return DayQuestion(
        bare,
        no_devices(),
        no_supply_limits(0, sources),
        cost,
        SwitchingRules.of(network, most),
        Cadence.HOURLY,
        Cadence.FIXED,
        day,
    )


def all_states(question: DayQuestion) -> tuple[np.ndarray, np.ndarray]:
    """(K, E) the radial states and (T, K) their exact costs in $, switching apart."""
    network, evaluator = question.network, DayEvaluator(question)
    states = all_topologies(network)
    nothing = np.zeros((1, network.n_terminals))
    recourse = HourRecourse(np.zeros((1, 0), dtype=np.complex128), nothing + 0j, nothing + 0j)
    values = np.empty((PERIODS, len(states)))
    for t in range(PERIODS):
        for k, state in enumerate(states):
            its = replace(idle_plan(question), closed=np.repeat(state[None], PERIODS, axis=0))
            cost, violation = evaluator.evaluate(its, t, np.ones((1, 0)), recourse)
            values[t, k] = cost[0] if violation[0] == 0.0 else np.inf
    return states, values


@pytest.mark.parametrize(
    ("seed", "kind", "prices"),
    [
        (0, (), 1),
        (1, (), 2),
        (2, ("locks",), 1),
        (0, ("locks",), 2),
        (1, ("current",), 2),
        (2, ("impedance", "shunts"), 1),
        (0, ("impedance", "shunts"), 2),
    ],
)
def test_equals_the_dynamic_programme_over_all_states(seed: int, kind: tuple[str, ...], prices: int) -> None:
    question = random_day(seed, kind, prices)
    found = HourlySwitching(gap=1e-6).solve(question)
    assert found.plan is not None
    states, values = all_states(question)
    net = question.network
    price, most = question.cost.change * net.s_base_kva, question.rules.max_changes
    best, _ = best_plan(states, values, before=net.closed, change=price, most=most)
    assert found.termination is Termination.GAP
    assert found.upper_bound == pytest.approx(best, rel=2e-6)
    assert found.lower_bound <= best * (1.0 + 1e-9)
    assert found.gap <= 2e-6
    assert found.worst.costs.sum() == pytest.approx(found.upper_bound, rel=1e-12)
    assert not found.worst.violations.any()


def test_names_all_that_else_is_to_be_decided() -> None:
    question = random_day(0, (), 1)
    day = replace(question.day, stores=stores([1]), source_price=question.day.source_price - 1.0)
    other = replace(question, day=day, topology=Cadence.ONCE)
    assert also_decided(question) == []
    with pytest.raises(OptionError, match=r"stores.*in 4 periods.*not decided in every period"):
        HourlySwitching().solve(other)
