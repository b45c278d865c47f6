"""One topology for many futures: as brute force says, on random small grids; what is compared and what is refused."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint import Benders, CVaR, Enumeration, Expectation, ExtensiveForm, Futures, Grid, Regret, WorstCase
from openpoint.arrays import Bools, Floats
from openpoint.errors import OpenpointError, OptionError
from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.scenarios.futures import demand_moved as transported
from openpoint.scenarios.futures import demand_within, moved
from openpoint.scenarios.futures import read_futures_ambiguity as read_ambiguity
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome, Termination
from openpoint.twostage.uncertainty import Certain
from tests.builders.grids import (
    DISPATCH,
    FEED,
    LIMITED,
    LIMITED_FEED,
    PLAIN,
    RICH,
    Flavour,
    all_topologies,
    random_grid,
)

GAP = 1e-4
SAME = 1e-6
SMALL_KW = 1e-5
METHOD = Benders(gap=GAP, max_iterations=3000)


def futures_of(grid: Grid, seed: int, count: int = 4) -> Futures:
    """Futures in which every bus takes between nothing and twice its demand, and some feed back."""
    rng = np.random.default_rng(seed)
    today = Futures.today(grid)
    factor = rng.uniform(0.0, 1.6, (count, len(today.bus_names)))
    factor[rng.random(factor.shape) < 0.15] *= -0.7
    odds = rng.dirichlet(np.full(count, 2.0))
    names = tuple(f"f{k}" for k in range(count))
    return Futures(names, odds, today.bus_names, factor * today.p_kw, factor * today.q_kvar)


@dataclass(frozen=True)
class Truth:
    """All T topologies of a grid in K futures, by brute force: open branches, losses in kW, whether limits hold."""

    opened: list[frozenset[str]]
    loss: Floats
    kept: Bools


def brute_force(grid: Grid, futures: Futures) -> Truth:
    network = network_of(grid)
    closed = all_topologies(network)
    closed = closed[(closed == network.closed)[:, ~network.switchable].all(axis=1)]
    demand = (futures.p_kw + 1j * futures.q_kvar) / network.s_base_kva
    inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    loss, kept = np.full((len(closed), len(futures)), np.inf), np.zeros((len(closed), len(futures)), dtype=bool)
    for k, s in enumerate(demand):
        flows = solve(network, closed, s_power=s)
        good = flows.converged & flows.energised.all(axis=1)
        loss[good, k] = flows.loss[good] * network.s_base_kva
        w, i = np.abs(flows.v[:, inner]), flows.i_rated
        low, high = np.sqrt(network.w_min[inner]), np.sqrt(network.w_max[inner])
        within = (w >= low * (1 - 2e-6)) & (w <= high * (1 + 2e-6))
        kept[:, k] = good & within.all(axis=1) & (i <= np.sqrt(network.l_max) * (1 + 2e-6)).all(axis=1)
    names = np.array(network.branch_names)
    return Truth([frozenset(names[~x]) for x in closed], loss, kept)


def network_of(grid: Grid) -> Network:
    return radial_program(grid, ReconfigureOptions())[0].network


def expected(truth: Truth, p: Floats) -> Floats:
    return np.asarray(truth.loss @ p)


def worst(truth: Truth, p: Floats) -> Floats:
    return np.asarray(truth.loss.max(axis=1))


def cvar(level: float) -> Callable[[Truth, Floats], Floats]:
    """min_t t + E[(loss − t)⁺] / (1 − level), whose minimum lies at one of the losses."""

    def value(truth: Truth, p: Floats) -> Floats:
        over = np.maximum(truth.loss[:, None, :] - truth.loss[:, :, None], 0.0)  # (T, t, K)
        return np.asarray((truth.loss + over @ p / (1.0 - level)).min(axis=1))

    return value


def total_variation(radius: float) -> Callable[[Truth, Floats], Floats]:
    """The cheapest futures give up `radius` of the probability in favour of the dearest."""

    def value(truth: Truth, p: Floats) -> Floats:
        total = []
        for loss in truth.loss:
            order = np.argsort(loss)
            left = p[order].copy()
            give = np.minimum(np.cumsum(left), radius) - np.minimum(np.cumsum(left) - left, radius)
            left -= give
            left[-1] += give.sum()
            total.append(left @ loss[order])
        return np.array(total)

    return value


def regret(truth: Truth, p: Floats) -> Floats:
    return np.asarray((truth.loss - truth.loss.min(axis=0)).max(axis=1))


def mean_regret(truth: Truth, p: Floats) -> Floats:
    return np.asarray((truth.loss - truth.loss.min(axis=0)) @ p)


def agree(
    grid: Grid,
    futures: Futures,
    result: FuturesResult,
    measure: Callable[[Truth, Floats], Floats],
    share: float = 1.0,
) -> Termination:
    """The answer is that of brute force: status, value to the gap, a bound below it, figures of that topology."""
    truth, odds = brute_force(grid, futures), futures.weights
    with np.errstate(invalid="ignore"):
        value = measure(truth, odds)
    missed = ~truth.kept @ odds
    value = np.where((missed <= 1.0 - share + 1e-9) & np.isfinite(truth.loss).all(axis=1), value, np.inf)
    if not np.isfinite(value).any():
        assert result.termination is Termination.INFEASIBLE
        assert result.objective_kw is None
        assert not result.open_branches
        return result.termination
    assert result.termination in (Termination.OPTIMAL, Termination.GAP)
    best = value.min()
    slack = SAME * truth.loss[np.argmin(value)].max() + SMALL_KW
    assert best - slack <= result.objective_kw <= best + 1.1 * GAP * abs(best) + slack
    assert result.lower_bound_kw <= best + slack
    mine = truth.opened.index(frozenset(result.open_branches))
    assert value[mine] == pytest.approx(result.objective_kw, abs=slack)
    assert result.futures["loss_after_kw"].to_numpy() == pytest.approx(truth.loss[mine], rel=1e-9, abs=SMALL_KW)
    assert ((result.futures["violations_after"] == 0).to_numpy() == truth.kept[mine]).all()
    after = result.plans.filter(set="planned", topology="after").row(0, named=True)
    assert after["loss_expected_kw"] == pytest.approx(truth.loss[mine] @ odds, rel=1e-9, abs=SMALL_KW)
    assert after["limits_kept_share"] == pytest.approx(truth.kept[mine] @ odds, abs=1e-9)
    assert result.ac_max_mismatch_pu <= 1e-8
    return result.termination


CASES: dict[str, tuple[dict[str, Any], Callable[[Truth, Floats], Floats], tuple[Flavour, ...]]] = {
    "expected": ({}, expected, (LIMITED, FEED)),
    "worst": ({"risk": WorstCase()}, worst, (LIMITED_FEED,)),
    "cvar": ({"risk": CVaR(0.6)}, cvar(0.6), (FEED,)),
    "total variation": ({"ambiguity": moved(0.25)}, total_variation(0.25), (LIMITED,)),
    "regret": ({"risk": Regret()}, regret, (FEED,)),
    "mean regret": ({"risk": Regret(Expectation())}, mean_regret, (RICH,)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_that_of_brute_force(case: str) -> None:
    options, measure, flavours = CASES[case]
    # In the smallest grids one topology is often the best in every future, and there is no regret.
    buses = (5, 8) if case == "regret" else (3, 7)
    for seed, flavour in enumerate(flavours):
        grid = random_grid(4000 + seed, replace(flavour, buses=buses))
        futures = futures_of(grid, seed)
        # Enumeration does not know what each future would cost alone, of which regret is made.
        for method in (METHOD,) if "regret" in case else (METHOD, Enumeration()):
            result = openpoint.reconfigure_futures(grid, futures, method=method, **options)
            agree(grid, futures, result, measure)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_limits_may_be_missed_in_a_share_of_the_futures(share: float) -> None:
    ends = set()
    for seed in range(2):
        grid = random_grid(4100 + seed, LIMITED)
        futures = futures_of(grid, seed, count=5)
        result = openpoint.reconfigure_futures(grid, futures, limits_share=share, method=METHOD)
        ends.add(agree(grid, futures, result, expected, share))
    assert Termination.OPTIMAL in ends


def test_the_one_piece_program_gives_the_same() -> None:
    for seed in range(3):
        grid = random_grid(4300 + seed, replace(PLAIN, buses=(3, 5)))  # of ten buses one can take half a minute
        futures = futures_of(grid, seed, count=3)
        result = openpoint.reconfigure_futures(grid, futures, method=ExtensiveForm(gap=GAP))
        agree(grid, futures, result, expected)


def ring(**more: Any) -> Grid:
    """Four buses in a ring, S-A-B-C-S, open at C-S."""
    ohms = {"r_ohm": [0.4] * 4, "x_ohm": [0.3] * 4, "i_max_a": [200.0] * 4, "closed": [True, True, True, False]}
    ends = {"name": ["S-A", "A-B", "B-C", "C-S"], "from_bus": ["S", "A", "B", "C"], "to_bus": ["A", "B", "C", "S"]}
    tables: dict[str, Any] = {
        "buses": {"name": ["S", "A", "B", "C"], "vn_kv": [10.0] * 4, "v_min_pu": [0.9] * 4, "v_max_pu": [1.1] * 4},
        "lines": ends | ohms,
        "sources": {"name": ["grid"], "bus": ["S"]},
        "loads": {"name": ["a", "b", "c"], "bus": ["A", "B", "C"], "p_kw": [500.0, 400.0, 600.0]},
    }
    return Grid.from_tables("ring", {**tables, **more})


def two(grid: Grid, odds: tuple[float, float] | None = (0.5, 0.5)) -> Futures:
    """A has all the load, or C has: their mean is even."""
    p = np.array([[0.0, 1400.0, 0.0, 100.0], [0.0, 100.0, 200.0, 1400.0]])
    return Futures(("A busy", "C busy"), None if odds is None else np.array(odds), ("S", "A", "B", "C"), p, 0.3 * p)


def solved(grid: Grid, futures: Futures, **options: Any) -> FuturesResult:
    result: FuturesResult = openpoint.reconfigure_futures(grid, futures, **{"method": METHOD, **options})
    return result


def test_one_future_of_today_is_the_answer_of_today() -> None:
    grid = openpoint.read("civanlar16")
    alone = openpoint.reconfigure(grid, method=METHOD)
    today = Futures.today(grid)
    many = solved(grid, Futures(today.names, np.ones(1), today.bus_names, today.p_kw, today.q_kvar))
    assert many.open_branches == alone.open_branches
    assert many.objective_kw == pytest.approx(alone.loss_kw, rel=1e-9)
    before = many.plans.filter(topology="before")["loss_expected_kw"].item()
    assert before == pytest.approx(alone.loss_before_kw, rel=1e-9)


def test_worst_case_and_regret_need_no_probabilities_and_the_others_say_so() -> None:
    grid = ring()
    unknown = two(grid, odds=None)
    for risk in (WorstCase(), Regret()):
        result = solved(grid, unknown, risk=risk)
        assert result.objective_kw is not None
        assert result.futures["probability"].null_count() == 2
    for options in ({}, {"risk": CVaR(0.9)}, {"risk": Regret(Expectation())}, {"ambiguity": moved(0.1)}):
        with pytest.raises(OptionError, match=r"needs probabilities.* column probability.*--risk worst or regret"):
            solved(grid, unknown, **options)


@pytest.mark.parametrize(
    ("risk", "method"),
    [(WorstCase(), None), (Regret(), None), (Regret(Expectation()), METHOD), (WorstCase(), ExtensiveForm())],
)
def test_a_future_that_nothing_serves_is_proven_and_named_for_every_risk(risk: Any, method: Any) -> None:
    grid, p = ring(), np.array([[0.0, 400.0, 0.0, 100.0], [0.0, 90000.0, 0.0, 0.0]])
    futures = Futures(("calm", "flood"), np.array([0.5, 0.5]), ("S", "A", "B", "C"), p, 0.3 * p)
    options = {"method": method} if method is not None else {"method": openpoint.TopologySearch()}
    result = solved(grid, futures, risk=risk, **options)
    assert result.termination is Termination.INFEASIBLE
    assert result.open_branches == ()
    if method is None:
        assert any("keeps the limits in flood" in note for note in result.notes)


def test_regret_has_no_meaning_where_limits_may_be_missed_in_a_future_that_nothing_serves() -> None:
    grid, p = ring(), np.array([[0.0, 400.0, 0.0, 100.0], [0.0, 4000.0, 0.0, 0.0]])
    futures = Futures(("calm", "flood"), np.array([0.5, 0.5]), ("S", "A", "B", "C"), p, 0.3 * p)
    with pytest.raises(OpenpointError, match=r"future flood has no solution.*another risk"):
        solved(grid, futures, risk=Regret(), limits_share=0.5)


def test_the_weights_are_those_of_the_worst_expectation() -> None:
    grid = ring()
    result = solved(grid, two(grid), ambiguity=moved(0.2))
    loss, weight = (result.futures[name].to_numpy() for name in ("loss_after_kw", "weight"))
    assert sorted(weight) == pytest.approx([0.3, 0.7])
    assert weight[np.argmax(loss)] == pytest.approx(0.7)
    assert result.objective_kw == pytest.approx(weight @ loss, rel=1e-9)
    assert result.ambiguity == "total variation up to 0.2"


def test_the_sample_is_judged_and_not_planned_for() -> None:
    grid = ring()
    plain = solved(grid, two(grid))
    judged = solved(grid, two(grid), sample=two(grid, odds=None))
    assert plain.sample.is_empty()
    assert judged.open_branches == plain.open_branches
    assert judged.sample.height == 2
    assert "weight" not in judged.sample.columns
    ours, theirs = (judged.plans.filter(set=name, topology="after") for name in ("planned", "sample"))
    assert ours["loss_worst_kw"].item() == pytest.approx(theirs["loss_worst_kw"].item())
    # Nobody knows the probabilities of the sample: the mean is told, the risk of an expectation is not.
    assert theirs["loss_expected_kw"].item() == pytest.approx(judged.sample["loss_after_kw"].mean())
    assert theirs["risk_kw"].item() is None


def test_the_mean_future_can_mislead() -> None:
    """Feed-in cancels load in the mean, so that its topology does not care where the load is; many futures do."""
    grid = ring()
    p = np.array([[0.0, 200.0, 300.0, 1500.0], [0.0, 1200.0, -200.0, -1500.0]])
    futures = Futures(("evening", "noon"), np.array([0.5, 0.5]), ("S", "A", "B", "C"), p, np.zeros(p.shape))
    result = solved(grid, futures)
    plans = {row["topology"]: row for row in result.plans.iter_rows(named=True)}
    assert result.open_mean != result.open_branches
    assert plans["mean"]["loss_expected_kw"] > 1.05 * plans["after"]["loss_expected_kw"]


class Hasty:
    """A method that is stopped with today's topology in hand, but is thorough where one future is certain."""

    time_limit_s = None
    gap = GAP

    def solve(self, program: RadialProgram, progress: object = None, deadline: object = None) -> Outcome:
        if isinstance(program.uncertainty, Certain):
            return METHOD.solve(program)
        today = program.network.closed.astype(float)
        verdict = program.evaluate(today, program.uncertainty.values, None)
        value = float(program.ac.objectives(today[None, :] > 0.5)[0])
        return Outcome(Termination.TIME, today, verdict.state, 0.5 * value, value, (), 1.0, values=verdict.values)


def test_a_run_stopped_early_is_never_worse_than_the_mean_future() -> None:
    grid = openpoint.read("civanlar16")
    futures = openpoint.grow(grid, count=6, seed=1)
    result = solved(grid, futures, method=Hasty())
    plans = {row["topology"]: row["loss_expected_kw"] for row in result.plans.iter_rows(named=True)}
    assert plans["after"] <= plans["mean"] < plans["before"]
    assert result.objective_kw == pytest.approx(plans["after"], rel=1e-9)
    assert result.termination is Termination.TIME
    assert result.gap == pytest.approx((plans["after"] - 0.5 * plans["before"]) / plans["after"])
    assert any("branch exchange" in note for note in result.notes)


def test_changes_cost_and_are_limited_in_every_risk() -> None:
    grid = ring()
    stay = solved(grid, two(grid), change_cost_kw=1e4)
    assert stay.open_branches == stay.open_before
    assert not stay.switching
    free = solved(grid, two(grid))
    paid = solved(grid, two(grid), change_cost_kw=0.01)
    assert paid.objective_kw == pytest.approx(free.objective_kw + 0.01 * len(free.changes))
    assert solved(grid, two(grid), max_changes=0).open_branches == free.open_before
    assert solved(grid, two(grid), locked_open=["A-B"]).open_branches == ("A-B",)


def test_an_infeasible_problem_names_the_least_violation() -> None:
    grid = ring()
    limits = openpoint.Limits(v_min_pu=0.9995)
    result = solved(grid, two(grid), limits=limits)
    assert result.termination is Termination.INFEASIBLE
    assert result.objective_kw is None
    assert len(result.least_violation_open) == 1
    assert set(result.violations["kind"]) == {"voltage low"}
    share = solved(grid, two(grid), limits=openpoint.Limits(v_min_pu=0.98), limits_share=0.5)
    assert share.termination is not Termination.INFEASIBLE or share.least_violation_open


def test_generators_are_dispatched_in_every_future() -> None:
    for seed in range(1003, 1005):
        grid = random_grid(seed, replace(DISPATCH, buses=(3, 6)))
        result = solved(grid, futures_of(grid, 1, count=3), limits=openpoint.Limits(voltage=False, current=False))
        assert result.objective_kw is not None
        plans = {row["topology"]: row for row in result.plans.iter_rows(named=True)}
        assert plans["after"]["loss_expected_kw"] == pytest.approx(result.objective_kw, rel=1e-6)
        # Today's topology gets the best dispatch too, so that it is not beaten by a dispatch alone.
        before = plans["before"]["loss_expected_kw"]
        assert before is None or before >= result.lower_bound_kw * (1.0 - GAP)


def test_a_share_of_limits_is_refused_where_generators_are_dispatched() -> None:
    grid = random_grid(1003, DISPATCH)
    with pytest.raises(OptionError, match="limits_share=1, or clear the limits of the generators"):
        solved(grid, futures_of(grid, 1), limits_share=0.9)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"limits_share": 0.0}, "share above 0"),
        ({"limits_share": 1.5}, "limits_share is 1.5; give 0 to 1"),
        ({"risk": CVaR(0.5), "ambiguity": moved(0.1)}, "leave ambiguity out"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], told: str) -> None:
    grid = ring()
    with pytest.raises(OptionError, match=told):
        solved(grid, two(grid), **options)


def test_futures_of_another_grid_are_refused() -> None:
    other = two(ring())
    with pytest.raises(OptionError, match="another grid"):
        solved(openpoint.read("civanlar16"), other)


def test_ambiguity_sets_are_made_of_the_futures() -> None:
    grid = ring()
    futures = two(grid)
    near, far = (solved(grid, futures, ambiguity=transported(kva)).objective_kw for kva in (1.0, 1e6))
    assert far == pytest.approx(solved(grid, futures, risk=WorstCase()).objective_kw, rel=2 * GAP)
    assert near < far
    none = solved(grid, futures, ambiguity=demand_within(0.0)).objective_kw
    assert none == pytest.approx(solved(grid, futures).objective_kw, rel=2 * GAP)
    for text in ("tv:0.2", "wasserstein:300", "demand:0.1", "box:0.01"):
        assert callable(read_ambiguity(text))
    for text in ("tv", "tv:2", "tv:x", "moments:0.1", "box:-1", "wasserstein:-1"):
        with pytest.raises(OptionError):
            read_ambiguity(text)


def test_of_a_grid_with_a_loop_nothing_is_known_of_today() -> None:
    grid = ring()
    meshed = ring(lines=grid.lines.with_columns(closed=True).to_dict())
    result = solved(meshed, two(meshed, odds=None), risk=Regret(), sample=two(meshed))
    assert any("today" in note for note in result.notes)
    assert result.plans.filter(topology="before")["unsolved"].to_list() == [2, 2]


def test_the_mean_topology_is_the_best_for_the_mean_demand() -> None:
    """It is found by topology search, which has to see the demand of the futures and not today's."""
    grid = openpoint.read("civanlar16")
    rng = np.random.default_rng(4)
    today = openpoint.grow(grid, count=1, seed=1).mean()
    p = today.p_kw * rng.uniform(0.0, 3.0, today.p_kw.shape) * np.array([[0.8], [1.2]])
    futures = Futures(("low", "high"), (0.5, 0.5), today.bus_names, p, 0.3 * p)
    free = openpoint.Limits(voltage=False, current=False, v_max_pu=1.2)
    result = openpoint.reconfigure_futures(grid, futures, limits=free, method=Benders(gap=1e-3))
    best = openpoint.reconfigure_futures(grid, futures.mean(), risk=WorstCase(), limits=free, method=Enumeration())
    now = openpoint.reconfigure(grid, limits=free)
    assert set(result.open_mean) == set(best.open_branches) != set(now.open_branches)


@pytest.mark.parametrize("seed", range(4))
def test_a_future_alone_costs_what_enumeration_says(seed: int) -> None:
    """The yardstick of regret."""
    grid = openpoint.read("civanlar16")
    rng = np.random.default_rng(seed)
    program, _ = radial_program(grid, ReconfigureOptions())
    demand = program.demands[0] * rng.uniform(0.0, 2.0, len(program.demands[0]))
    single = program.with_uncertainty(Certain(np.concatenate([demand.real, demand.imag])), Expectation())
    bounds = single.deterministic_bounds(1e-6)
    assert bounds is not None
    lower, upper = bounds
    best = Enumeration().solve(single)
    assert upper == pytest.approx(best.upper_bound, rel=1e-9)
    assert best.upper_bound * (1 - 2e-6) <= lower <= best.upper_bound * (1 + 1e-9)
    any_bounds = single.deterministic_bounds(math.inf)
    assert any_bounds[0] <= best.upper_bound <= any_bounds[1] * (1 + 1e-9)


def test_futures_that_are_left_at_the_limit_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regret: a search of each future alone would go on beyond the limit by as much as all of them take."""
    grid = openpoint.read("civanlar16")
    futures, clock, asked = openpoint.grow(grid, count=12, seed=1), [0.0], [0]
    free = openpoint.Limits(voltage=False, current=False)
    best = openpoint.reconfigure_futures(grid, futures, risk=Regret(), limits=free)
    bounds = RadialProgram.deterministic_bounds

    def slow(self: RadialProgram, gap: float, deadline: Deadline | None = None) -> tuple[float, float] | None:
        asked[0] += 1
        clock[0] += 1.0
        return bounds(self, gap, deadline)

    monkeypatch.setattr(RadialProgram, "deterministic_bounds", slow)
    monkeypatch.setattr("openpoint.twostage.deadline.perf_counter", lambda: clock[0])
    method = openpoint.TopologySearch(time_limit_s=4.5)
    cut = openpoint.reconfigure_futures(grid, futures, risk=Regret(), limits=free, method=method)
    assert asked[0] == 5
    assert cut.termination is Termination.TIME
    assert cut.lower_bound_kw <= best.objective_kw * (1.0 + 1e-6)
    assert cut.objective_kw >= best.lower_bound_kw * (1.0 - 1e-6)
