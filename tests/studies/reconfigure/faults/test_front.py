"""Fronts of loss and what faults do, against all radial states of random grids."""

from __future__ import annotations

import json
import signal

import jsonschema
import numpy as np
import pytest

import openpoint
from openpoint import OptionError, Termination
from openpoint.report.charts import widened
from openpoint.studies.catalog import published
from openpoint.studies.reconfigure.faults.front.report import view
from openpoint.studies.reconfigure.faults.front.search import Front, FrontSearch
from openpoint.studies.reconfigure.faults.task import FaultLimits, FaultTask, Sought, figure_of, unlimited
from openpoint.twostage.deadline import Deadline
from tests.builders.fault_tasks import Case, fault_case
from tests.builders.pages import Page, render

GAP = 1e-7


class Ready:
    """A random grid as a front is asked for it."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def task(self, sought: Sought, limits: FaultLimits) -> FaultTask:
        net, fixed = self.case.network, ~self.case.network.switchable
        return FaultTask(net, net.closed & fixed, ~net.closed & fixed, None, 0.0, self.case.evaluator, sought, limits)

    def limits(self) -> FaultLimits:
        return unlimited(self.case.network.n_conductors)

    def starts(self, _: Deadline) -> list[np.ndarray]:
        """Today's state, and one of fewest unrestorable faults, which must not hide those between."""
        judged = [figures for figures in self.case.figures if figures is not None]
        return [self.case.network.closed, *(each.closed for each in sorted(judged, key=lambda each: each.count)[:1])]

    def scale(self, _: Sought) -> float:
        return 1.0


def front(case: Case, kept: Sought | None, points: int = 9) -> tuple[FrontSearch, Front]:
    search = FrontSearch(Ready(case), kept, points, GAP, Deadline(), None)  # type: ignore[arg-type]
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


@pytest.mark.parametrize("seed", range(50))
def test_the_front_of_unrestorable_faults_is_that_of_all_states(seed: int) -> None:
    case = fault_case(seed)
    if case is None:
        pytest.skip("today's state stays meshed")
    search, found = front(case, None)
    states = all_states(case, None)
    expected = best_of(states)
    told = [(each.result.value, search.value(each.best)) for each in found.points if each.best is not None]
    assert [value for _, value in told] == [value for _, value in expected]
    assert [loss for loss, _ in told] == pytest.approx([loss for loss, _ in expected], rel=2.0 * GAP)
    if expected:
        assert found.termination in (Termination.OPTIMAL, Termination.GAP)
        assert all(each.result.gap <= GAP for each in found.points)
        assert found.least == expected[-1][1]
    else:
        assert found.termination is Termination.INFEASIBLE


@pytest.mark.parametrize("seed", range(10))
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
        assert found.points[0].result.value == pytest.approx(expected[0][0], rel=2.0 * GAP)
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
    assert "No radial state" in str(view(nothing))
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


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(OptionError, match="one of unrestorable, saifi, saidi, ens, not of 'cost'"):
        openpoint.reconfigure_front("baran33", "cost")
    with pytest.raises(OptionError, match="leave points out"):
        openpoint.reconfigure_front("baran33", "unrestorable", points=4)
    with pytest.raises(OptionError, match="SAIDI needs faults a year"):
        openpoint.reconfigure_front("baran33", "saidi")
