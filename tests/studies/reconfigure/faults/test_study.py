"""Faults as limits and objectives of published and of random grids: answers, refusals, fronts against all states."""

import json
import math
import signal

import jsonschema
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import InputError, OptionError, Reliability, Termination
from openpoint.arrays import Bools
from openpoint.network.freedom import SwitchingRules
from openpoint.report.charts import widened
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.studies.catalog import published
from openpoint.studies.reconfigure.faults import search as module
from openpoint.studies.reconfigure.faults.front.report import page
from openpoint.studies.reconfigure.faults.front.study import Front, FrontSearch
from openpoint.studies.reconfigure.faults.result import SecuredResult
from openpoint.studies.reconfigure.faults.search import (
    Found,
    IndexSearch,
    LossSearch,
    floors_of,
    none_keeps,
    unkept_limits,
)
from openpoint.studies.reconfigure.faults.task import (
    ENDLESS,
    FaultExchange,
    FaultLimits,
    FaultTask,
    Sought,
    figure_of,
    unlimited,
)
from openpoint.studies.secure.model.faults import tree_of
from openpoint.twostage.deadline import Deadline
from tests.builders.fault_tasks import Case, fault_case
from tests.builders.pages import Page, front_points, render


def customers() -> Reliability:
    """Customers at some buses of baran33, and a breaker in its feeder."""
    at = {"bus": ["14", "18", "25"], "customers": [120, 80, 400]}
    return Reliability.of(at, breakers={"branch": ["5", "9"], "end": ["from", "to"]})


def test_the_answer_is_judged_as_secure_judges_it() -> None:
    result = openpoint.reconfigure_secure("baran33", restorable="today", reliability=customers(), failures="branch=0.1")
    assert result.termination is Termination.GAP
    assert result.fault_limit == "no fault less restorable than today"
    assert result.grid_after is not None
    for grid, summary in ((result.grid, result.before), (result.grid_after, result.after)):
        judged = openpoint.secure(grid, reliability=customers(), failures="branch=0.1")
        bad = ("partly restored", "overload", "limits", "no tie")
        assert summary.unrestorable == sum(judged.counts[verdict] for verdict in bad)
        assert summary.saifi_per_year == pytest.approx(judged.saifi_per_year)
        assert summary.saidi_h_per_year == pytest.approx(judged.saidi_h_per_year)
        assert summary.not_supplied_kwh_per_year == pytest.approx(judged.not_supplied_kwh_per_year)
    rows = result.faults.filter(restorable_before=True)
    assert not (~rows["restorable_after"].fill_null(value=True)).any()
    assert result.document()["before_unrestorable"] == 11


@pytest.mark.parametrize("minimize", ["saidi", "loss"])
def test_what_is_remote_is_switched_as_soon_as_secure_says(minimize: str) -> None:
    grid = openpoint.read("baran33")
    remote = ["6", "7", "13", "14", "28", "29", "33", "34", "35", "36", "37"]
    grid = grid.with_tables(lines=grid.lines.with_columns(remote=pl.col("name").is_in(remote)))

    def judged(asked: openpoint.Grid) -> float | None:
        return openpoint.secure(
            asked, reliability=customers(), failures="branch=0.1", hours="remote=0.1"
        ).saidi_h_per_year

    result = openpoint.reconfigure_secure(
        grid,
        minimize=minimize,
        reliability=customers(),
        failures="branch=0.1",
        hours="remote=0.1",
        gap=0.2,
    )
    assert result.grid_after is not None
    assert result.before.saidi_h_per_year == pytest.approx(judged(result.grid))
    assert result.after.saidi_h_per_year == pytest.approx(judged(result.grid_after))
    plain = openpoint.secure(result.grid, reliability=customers(), failures="branch=0.1")
    assert result.before.saidi_h_per_year != pytest.approx(plain.saidi_h_per_year)


def test_a_branch_that_is_closed_today_stays_open_where_it_is_locked_open() -> None:
    plain = openpoint.reconfigure("baran33", locked_open="3")
    found = openpoint.reconfigure_secure("baran33", locked_open="3", restorable=37)  # all faults may be unrestorable
    assert "3" in found.open_branches
    assert found.loss_kw == pytest.approx(plain.loss_kw, rel=1e-4)


def test_a_number_that_nothing_keeps_is_proven_to_be_none() -> None:
    result = openpoint.reconfigure_secure("baran33", restorable=0)
    assert result.termination is Termination.INFEASIBLE
    assert not result.has_answer
    assert result.after.unrestorable is None
    assert any("has fewer than 1 unrestorable faults, proven; the fewest known are" in note for note in result.notes)


def test_an_index_is_kept_or_proven_not_to_be_and_its_floor_is_told() -> None:
    def asked(at_most: dict[str, float] | str) -> SecuredResult:
        return openpoint.reconfigure_secure("civanlar16", at_most=at_most, failures="branch=0.1")

    least = openpoint.reconfigure_secure("civanlar16", minimize="ens", failures="branch=0.1")
    kept = asked({"ens": 1.001 * least.minimized_value, "unrestorable": 20})
    assert kept.after.not_supplied_kwh_per_year <= 1.0011 * least.minimized_value
    assert kept.fault_limit.startswith("at most 20 unrestorable faults, ENS at most ")
    none = asked("ens=1")
    assert none.termination is Termination.INFEASIBLE
    assert not none.has_answer
    told = next(note for note in none.notes if note.startswith("ENS: no state has less than"))
    floor, known = (float(part.split()[0]) for part in (told.split("less than ")[1], told.split("known is ")[1]))
    assert 1.0 < floor <= known * (1.0 + 1e-5)
    assert known == pytest.approx(least.minimized_value, rel=1e-4)


def test_limits_of_figures_that_make_no_sense_are_refused_at_once() -> None:
    with pytest.raises(OptionError, match=r"names 'caidi'; the figures of faults are .*saifi.*-1; give 0 or more"):
        openpoint.reconfigure_secure("baran33", at_most={"caidi": 1.0, "saidi": -1.0})
    with pytest.raises(OptionError, match="at_most says nothing of saidi; give a number, such as"):
        openpoint.reconfigure_secure("baran33", at_most="saidi")
    with pytest.raises(OptionError, match="at_most of saidi is nan; give 0 or more"):
        openpoint.reconfigure_secure("baran33", at_most={"saidi": float("nan")})
    with pytest.raises(OptionError, match="give a whole number of faults"):
        openpoint.reconfigure_secure("baran33", at_most={"unrestorable": 2.5})
    with pytest.raises(OptionError, match="both give a number of unrestorable faults"):
        openpoint.reconfigure_secure("baran33", at_most={"unrestorable": 2}, restorable=3)
    with pytest.raises(OptionError, match="saidi is what is least and bounded by at_most"):
        openpoint.reconfigure_secure("baran33", at_most={"saidi": 2}, minimize="saidi")
    with pytest.raises(OptionError, match=r"SAIDI needs faults a year.*ENS needs faults a year"):
        openpoint.reconfigure_secure("baran33", at_most={"saidi": 2, "ens": 3})


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(OptionError, match="minimize is 'cost'; give one of loss, saifi, saidi, ens"):
        openpoint.reconfigure_secure("baran33", minimize="cost")
    with pytest.raises(OptionError, match=r"loading of emergency is 0.*restorable is -1"):
        openpoint.reconfigure_secure("baran33", restorable=-1, emergency={"loading": 0.0})
    with pytest.raises(OptionError, match=r"1\.2, and is in percent; for 1\.2 times the ratings give 120"):
        openpoint.reconfigure_secure("baran33", restorable=3, emergency={"loading": 1.2})
    with pytest.raises(OptionError, match="above switching=1; give at most that"):
        openpoint.reconfigure_secure("baran33", restorable=3, hours={"remote": 2.0})
    with pytest.raises(OptionError, match=r"SAIDI needs faults a year.*and customers by bus"):
        openpoint.reconfigure_secure("baran33", minimize="saidi")
    with pytest.raises(OptionError, match="give max_changes"):
        openpoint.reconfigure_secure("baran33", minimize="ens", failures="branch=0.1", change_cost_kw=1.0)
    with pytest.raises(OptionError, match="balanced grids"):
        openpoint.reconfigure_secure("ieee13", restorable=3)
    grid = openpoint.read("baran33").with_closed(dict.fromkeys(("33",), True))
    with pytest.raises(InputError, match="no fault is restorable as today"):
        openpoint.reconfigure_secure(grid, restorable="today")


def test_the_page_says_what_the_result_says() -> None:
    result = openpoint.reconfigure_secure("baran33", restorable=5)
    page = Page(render(result))
    for said in ("Limit of faults: at most 5 unrestorable faults.", "unrestorable faults", "proven: no state has less"):
        assert said in page.text


GAP_OF_FRONTS = 1e-7


class Ready:
    """A random grid as a front is asked for it."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def task(self, sought: Sought, limits: FaultLimits) -> FaultTask:
        net, _fixed = self.case.network, ~self.case.network.switchable
        return FaultTask(net, SwitchingRules.of(net), self.case.evaluator, sought, limits)

    def limits(self) -> FaultLimits:
        return unlimited(self.case.network.n_conductors)

    def starts(self, _: Deadline) -> list[np.ndarray]:
        """Today's state, and one of fewest unrestorable faults, which must not hide those between."""
        judged = [figures for figures in self.case.figures if figures is not None]
        return [self.case.network.closed, *(each.closed for each in sorted(judged, key=lambda each: each.count)[:1])]

    def scale(self, _: Sought) -> float:
        return 1.0


def front(case: Case, kept: Sought | None, points: int = 9) -> tuple[FrontSearch, Front]:
    search = FrontSearch(Ready(case), kept, points, GAP_OF_FRONTS, Deadline(), None)  # type: ignore[arg-type]
    return search, search.solve()


def all_states(case: Case, kept: Sought | None) -> list[tuple[float, float]]:
    """(loss, figure) of all radial states that keep the limits."""
    loss, miss = Ready(case).task(Sought.LOSS, Ready(case).limits()).ac.evaluate(case.states)
    return [
        (float(loss[k]), float(figures.count) if kept is None else figure_of(kept, figures))
        for k, figures in enumerate(case.figures)
        if figures is not None and miss[k] == 0.0
    ]


def best_of(states: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The states of which none has less of both, by rising loss."""
    found: list[tuple[float, float]] = []
    for loss, value in sorted(states):
        if not found or value < found[-1][1] * (1.0 - 1e-8):
            found.append((loss, value))
    return found


@pytest.mark.parametrize("seed", range(13))
def test_the_front_of_unrestorable_faults_is_that_of_all_states(seed: int) -> None:
    case = fault_case(seed)
    if case is None:
        pytest.skip("today's state stays meshed")
    search, found = front(case, None)
    states = all_states(case, None)
    expected = best_of(states)
    told = [(each.result.value, search.value(each.best)) for each in found.points if each.best is not None]
    assert [value for _, value in told] == [value for _, value in expected]
    assert [loss for loss, _ in told] == pytest.approx([loss for loss, _ in expected], rel=2.0 * GAP_OF_FRONTS)
    if expected:
        assert found.termination in (Termination.OPTIMAL, Termination.GAP)
        assert all(each.result.gap <= GAP_OF_FRONTS for each in found.points)
        assert found.least == expected[-1][1]
    else:
        assert found.termination is Termination.INFEASIBLE


@pytest.mark.parametrize("seed", range(5))
def test_points_and_bounds_of_an_index_are_those_of_all_states(seed: int) -> None:
    case = fault_case(seed)
    if case is None:
        pytest.skip("today's state stays meshed")
    for kept in (Sought.SAIDI, Sought.SAIFI, Sought.ENS):
        check_index(case, kept)


def check_index(case: Case, kept: Sought) -> None:
    """Points are on the front of all states, and no state is where none is said to be."""
    search, found = front(case, kept, 5)
    states = all_states(case, kept)
    expected = best_of(states)
    for each in found.points:
        assert each.best is not None
        value = search.value(each.best)
        assert min(abs(loss / each.result.value - 1.0) + abs(v - value) / (value + 1e-9) for loss, v in expected) < 1e-6
    for bounded in found.bounded:
        within = [loss for loss, value in states if value <= bounded.limit]
        assert bounded.lower_bound <= min(within, default=np.inf) * (1.0 + 1e-9)
    if expected:
        assert found.points[0].result.value == pytest.approx(expected[0][0], rel=2.0 * GAP_OF_FRONTS)
        assert found.least <= expected[-1][1] * (1.0 + 1e-9) + 1e-9


def test_a_front_is_told_and_its_points_are_states_of_their_own() -> None:
    front = openpoint.reconfigure_front("baran33", "unrestorable")
    assert front.termination is Termination.GAP
    assert front.loss_before_kw == pytest.approx(202.677, abs=1e-3)
    counts = front.points["unrestorable"].to_list()
    assert counts == sorted(counts, reverse=True)
    assert front.points["loss_kw"].is_sorted()
    assert front.kept_bound == counts[-1]
    assert front.bounds.filter("is_empty")["limit"].to_list() == [counts[-1] - 1]
    for each in front.results:
        judged = openpoint.secure("baran33", open_branches=each.open_branches)
        restored = judged.counts["restored"] + judged.counts["nothing lost"]
        assert each.after.unrestorable == sum(judged.counts.values()) - restored
        alone = openpoint.reconfigure("baran33", locked_open=each.open_branches)
        assert alone.open_branches == each.open_branches
    document = json.loads(front.to_json())
    jsonschema.validate(document, published("reconfigure-front"))
    assert [row["open_branches"] for row in document["points"]] == [list(each.open_branches) for each in front.results]
    page = Page(render(front))
    assert f"no state has fewer than {counts[-1]} unrestorable faults" in page.text
    assert "infeasible" in page.text
    assert [(x, opened) for x, _, opened in front_points(page)] == [
        (each.after.unrestorable, set(each.open_branches)) for each in front.results
    ]


def test_the_axes_of_one_point_are_long_enough_for_ticks() -> None:
    low, high = widened(139.5513, 139.5514)
    assert high - low == pytest.approx(1.395514)
    assert (low + high) / 2 == pytest.approx(139.55135)
    assert widened(139.0, 202.0) == (139.0, 202.0)


def test_a_stopped_front_keeps_what_it_has() -> None:
    front = openpoint.reconfigure_front("baran33", "unrestorable", time_limit_s=0.0)
    assert front.termination is Termination.TIME
    assert front.point_count == 1
    assert front.results[0].loss_kw is not None
    assert "not every point is proven" in front.notes[-1]
    nothing = openpoint.reconfigure_front("baran33", "unrestorable", limits=openpoint.Limits(v_min_pu=0.999))
    assert nothing.termination is Termination.INFEASIBLE
    assert "No radial state" in str(page(nothing).brief)
    assert "points 0" in repr(nothing)


def test_ctrl_c_keeps_the_points_found() -> None:
    """The second search has hundreds of nodes when it is stopped after its first."""

    def stop(*_: object) -> None:
        nonlocal told
        told += 1
        if told == 2:
            signal.raise_signal(signal.SIGINT)

    told = 0
    front = openpoint.reconfigure_front("baran33", "unrestorable", progress=stop)
    assert front.termination is Termination.INTERRUPTED
    assert front.termination.exit_code == 130
    assert front.point_count
    assert all(each.lower_bound_kw <= each.loss_kw * (1.0 + 1e-9) for each in front.results)
    assert "not every point is proven" in front.notes[-1]


def test_refusals_of_fronts_say_what_to_do() -> None:
    with pytest.raises(OptionError, match="kept is 'cost'; give one of unrestorable, saifi, saidi, ens"):
        openpoint.reconfigure_front("baran33", "cost")
    with pytest.raises(OptionError, match="max_changes is -1; give 0 or more"):
        openpoint.reconfigure_front("baran33", "unrestorable", max_changes=-1)
    with pytest.raises(OptionError, match="leave points out"):
        openpoint.reconfigure_front("baran33", "unrestorable", points=4)
    with pytest.raises(OptionError, match="SAIDI needs faults a year"):
        openpoint.reconfigure_front("baran33", "saidi")


GAP = 1e-6


@pytest.mark.parametrize("seed", range(8))
def test_all_states_bounds_and_optima(seed: int) -> None:
    """docs/methods.md M40, M41."""
    case = fault_case(seed)
    if case is None:
        pytest.skip("today's state stays meshed")
    check_figures(case)
    check_bounds(case, np.random.default_rng(seed))
    check_optima(case)


def check_figures(case: Case) -> None:
    """The compiled judgement of every state is that of the model of `secure`."""
    for closed, expected in zip(case.states, case.figures, strict=True):
        found = case.evaluator.figures(closed)
        assert (found is None) == (expected is None)
        if found is None or expected is None:
            continue
        assert found.is_whole
        assert np.array_equal(found.unrestorable, expected.unrestorable)
        for sought in (Sought.SAIFI, Sought.SAIDI, Sought.ENS):
            assert figure_of(sought, found) == pytest.approx(figure_of(sought, expected), rel=1e-9, abs=1e-9)


def check_bounds(case: Case, rng: np.random.Generator) -> None:
    """At partial states no completion has less than the bounds, and every fault named is unrestorable in all."""
    e, fixed = case.network.n_conductors, ~case.network.switchable
    for sought in (Sought.SAIFI, Sought.SAIDI, Sought.ENS):
        bound = task_of(case, sought, unlimited(e)).bound
        for share in (0.0, 0.3, 0.6, 0.9, 1.0, None, None, None):
            closed = case.states[rng.integers(len(case.states))]
            known = near_sources(case, closed, rng) if share is None else rng.random(e) < share
            status = np.where(known, np.where(closed, CLOSED, OPEN), UNDECIDED).astype(np.int8)
            status[fixed] = np.where(case.network.closed, CLOSED, OPEN)[fixed]
            count = bound.faults(status, ENDLESS)
            fits = ~(case.states & (status == OPEN)).any(axis=1) & ~(~case.states & (status == CLOSED)).any(axis=1)
            for k in np.flatnonzero(fits):
                figures = case.figures[k]
                if figures is not None:
                    assert count <= figures.count
                    assert not (bound.work.lost & ~figures.unrestorable).any()
                    assert bound.interruptions <= figure_of(sought, figures) * (1.0 + 1e-9) + 1e-9


def near_sources(case: Case, closed: Bools, rng: np.random.Generator) -> Bools:
    """(E) branches decided where a search goes from the sources outwards: those at some buses that are fed first."""
    tree = tree_of(case.network, closed)
    first = tree.order[: rng.integers(1, len(tree.order) + 1)]
    fr, to = case.network.terminal_fr, case.network.terminal_to
    return (np.isin(fr, first) | np.isin(to, first)) & (rng.random(len(fr)) < 0.9)


def check_optima(case: Case) -> int:
    """Search finds what the best of all states has, or that there is none; how many searches there were."""
    known = [figures for figures in case.figures if figures is not None]
    if not known:
        return 0
    e = case.network.n_conductors
    today = case.by_model(case.network.closed)
    least = min(figures.count for figures in known)
    every = np.ones(e, dtype=np.bool_)
    hours, times = (
        sorted(figure_of(index, figures) for figures in known)[len(known) // 2]
        for index in (Sought.SAIDI, Sought.SAIFI)
    )
    limits = [
        unlimited(e),
        FaultLimits(least, every),
        FaultLimits(least - 1, every),
        FaultLimits(ENDLESS, every, {Sought.SAIDI: hours}),
        FaultLimits(ENDLESS, every, {Sought.SAIFI: times, Sought.SAIDI: 1.1 * hours}),
        *([] if today is None else [FaultLimits(ENDLESS, today.unrestorable)]),
    ]
    asked = [(sought, each) for each in limits for sought in (Sought.LOSS, Sought.SAIDI)]
    asked += [(sought, each) for each in limits[:2] for sought in (Sought.SAIFI, Sought.ENS)]
    for sought, each in asked:
        check(case, task_of(case, sought, each))
    return len(asked)


@pytest.mark.parametrize("seed", range(4))
def test_all_states_are_evaluated_where_they_are_few(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = fault_case(seed)
    monkeypatch.setattr(module, "QUICK", 1)
    task, whole = task_of(case, Sought.SAIDI, unlimited(case.network.n_conductors)), list[int]()
    monkeypatch.setattr(IndexSearch, "_divide", lambda *_: None)
    monkeypatch.setattr(FaultExchange, "perturbations", lambda *_: None)
    search = IndexSearch(task, 0.0, Deadline(), lambda _: whole.append(1))
    found = search.solve([])  # no state to begin with, and no node that says anything
    _, miss = task.ac.evaluate(case.states)
    kept = [each for each, over in zip(case.figures, miss, strict=True) if each and over == 0.0]
    values = [figure_of(Sought.SAIDI, each) for each in kept]
    assert whole
    if not values:
        assert found.result.termination is Termination.INFEASIBLE
        return
    assert found.best.merit[2] == pytest.approx(min(values), rel=1e-12)
    assert found.result.termination is Termination.OPTIMAL
    assert found.result.lower_bound == pytest.approx(min(values), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_floors_are_those_of_all_states(seed: int) -> None:
    """A limit just below the least of all states is proven to be kept by none, and one just above it is kept."""
    case = fault_case(seed)
    if case is None:
        pytest.skip("today's state stays meshed")
    e = case.network.n_conductors
    ac = task_of(case, Sought.LOSS, unlimited(e)).ac
    _, miss = ac.evaluate(case.states)
    for index in (Sought.SAIFI, Sought.SAIDI, Sought.ENS):
        values = [figure_of(index, each) for each, over in zip(case.figures, miss, strict=True) if each and over == 0.0]
        least = min(values, default=math.inf)
        if not 0.0 < least < math.inf:
            continue
        for factor in (0.999, 1.001):
            task = task_of(case, Sought.LOSS, unlimited(e).with_index(index, factor * least))
            (floor,) = floors_of(task, [case.network.closed], GAP, Deadline())
            assert floor.is_above == (factor < 1.0)
            assert floor.least <= least * (1.0 + 1e-9)
            assert (figure_of(index, floor.best.figures) <= factor * least) == (factor > 1.0)
            found = none_keeps(task, [floor], 0.0)
            assert (found is None) == (factor > 1.0)
            if found is not None:
                (told,) = unkept_limits(task, found, [floor], {index: (1.0, "units")})
                assert told.startswith(f"{index.name}: no state has less than {floor.least:.6g} units, proven")


def check(case: Case, task: FaultTask) -> None:
    """One search against the best of all states."""
    loss, miss = task.ac.evaluate(case.states)
    best = math.inf
    for k, figures in enumerate(case.figures):
        if figures is not None and miss[k] == 0.0 and task.limits.excess(figures) == 0.0:
            value = float(loss[k]) if task.sought is Sought.LOSS else figure_of(task.sought, figures)
            best = min(best, value)
    found = solved(case, task)
    if math.isinf(best):
        assert found.result.termination is Termination.INFEASIBLE
        return
    assert found.result.termination in (Termination.OPTIMAL, Termination.GAP)
    assert found.result.value == pytest.approx(best, rel=2.0 * GAP, abs=1e-12)
    assert found.result.lower_bound <= best * (1.0 + 1e-9) + 1e-12


def solved(case: Case, task: FaultTask) -> Found:
    """What the search for the figure sought finds."""
    if task.sought is Sought.LOSS:
        return LossSearch(task, GAP, Deadline(), None).solve([case.network.closed])
    return IndexSearch(task, GAP, Deadline(), None).solve([case.network.closed])


def task_of(case: Case, sought: Sought, limits: FaultLimits) -> FaultTask:
    """The task on a random grid, without limits of changes."""
    net, _fixed = case.network, ~case.network.switchable
    return FaultTask(net, SwitchingRules.of(net), case.evaluator, sought, limits)
