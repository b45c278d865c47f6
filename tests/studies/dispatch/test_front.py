"""Fronts of two criteria: every point is the optimum under its bound, and no state beats the front."""

import itertools
import json
import math
from functools import cache
from pathlib import Path

import jsonschema
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Limits, OptionError
from openpoint.network import build_network
from openpoint.report.figure import save
from openpoint.results.base import report_html
from openpoint.search.enumeration import combination, count_positions, topologies
from openpoint.search.methods import TopologySearch
from openpoint.studies.catalog import published
from openpoint.studies.dispatch import study
from openpoint.studies.dispatch.front.result import DispatchFront, figure_of
from openpoint.studies.dispatch.front.study import prepare_front
from openpoint.studies.dispatch.options import DispatchOptions
from openpoint.studies.dispatch.study import question_of
from tests.builders.clock import held
from tests.builders.dispatch_grids import ring
from tests.builders.pages import Page, front_points, render


@cache
def front(criteria: str, points: int = 9) -> DispatchFront:
    return openpoint.dispatch_front(ring(), criteria, points=points)


@cache
def all_states(first: str, second: str) -> list[tuple[float, float]]:
    """Both criteria of every state of the ring."""
    question = question_of(ring(), DispatchOptions())
    (trees,) = topologies(question.network)
    count = count_positions(question.devices)
    positions = combination(question.devices, np.arange(count))
    closed, positions = np.repeat(trees, count, axis=0), np.tile(positions, (len(trees), 1))
    output = np.clip(question.network.generator_s.real, question.network.p_min, question.network.p_max) + 0j
    s = question.network.s_base_kva
    values = [question.criterion(name).evaluate(closed, positions, output)[0] * s for name in (first, second)]
    return list(zip(values[0].tolist(), values[1].tolist(), strict=True))


@pytest.mark.parametrize("kept", ["moves", "changes", "balance", "deviation"])
def test_every_point_is_the_least_under_its_bound(kept: str) -> None:
    states = all_states("losses", kept)
    found = front(f"losses,{kept}")
    assert found.point_count >= 2
    for row in found.points.iter_rows(named=True):
        limit = math.inf if row["limit"] is None else row["limit"]
        best = min(loss for loss, other in states if other <= limit * (1.0 + 1e-9))
        assert row["sought"] == pytest.approx(best, rel=1e-6)
        assert row["kept"] <= limit * (1.0 + 1e-6)
        assert row["lower_bound"] <= row["sought"] * (1.0 + 1e-9)


@pytest.mark.parametrize("criteria", ["losses,balance", "losses,v_min"])
def test_a_front_builds_its_network_once(criteria: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question is the one that is stated for it alone."""
    built = []
    monkeypatch.setattr(study, "build_network", lambda grid: built.append(grid) or build_network(grid))
    found = openpoint.dispatch_front(ring(), criteria, points=3)
    assert found.point_count >= 2
    assert len(built) == 1


def test_a_question_asked_otherwise_is_the_one_stated_anew() -> None:
    first = question_of(ring(), DispatchOptions(limits=Limits(v_max_pu=1.05)))
    other = DispatchOptions(
        limits=Limits(v_min_pu=0.97, v_max_pu=1.05), minimize="balance", at_most={"moves": 1, "changes": 2}
    )
    again, anew = study.asked_otherwise(first, other), question_of(ring(), other)
    assert (again.weights, again.most, again.rules.max_changes) == (anew.weights, anew.most, anew.rules.max_changes)
    for name in ("w_min", "w_max", "l_max"):
        assert vars(again.network)[name].tolist() == vars(anew.network)[name].tolist()


def test_a_front_of_whole_numbers_is_complete() -> None:
    states = all_states("losses", "moves")
    told = {row["kept"]: row["sought"] for row in front("losses,moves").points.iter_rows(named=True)}
    undominated = {
        round(other): loss
        for loss, other in sorted(states)
        if not any(a < loss - 1e-9 and b <= other for a, b in states)
    }
    assert set(told) <= set(undominated) | {max(told)}
    assert min(told) == 0.0


def test_the_lowest_voltage_is_bounded_from_below() -> None:
    found = front("losses,v_min").points
    for before, after in itertools.pairwise(found.iter_rows(named=True)):
        assert after["kept"] >= after["limit"] * (1.0 - 1e-6)
        assert after["kept"] > before["kept"]
        assert after["sought"] >= before["sought"] - 1e-9


def test_it_is_written_in_its_shape_and_drawn(tmp_path: Path) -> None:
    found = front("losses,balance", 4)
    jsonschema.validate(json.loads(found.to_json()), published("dispatch-front"))
    found.write_report(tmp_path / "front.html")
    assert "proven bound" in (tmp_path / "front.html").read_text(encoding="utf-8")
    save(found, tmp_path / "front.svg")
    assert "balance" in (tmp_path / "front.svg").read_text(encoding="utf-8")
    found.write_tables(tmp_path / "tables")
    assert pl.read_csv(tmp_path / "tables" / "points.csv").height == len(found.results)


def test_every_point_leads_to_its_grid() -> None:
    """The points are drawn along the criterion kept, which is not the order of the answers."""
    found = openpoint.dispatch_front("civanlar16", "losses,changes")
    told = front_points(Page(render(found)))
    assert len({each.open_branches for each in found.results}) == len(told) == 3
    assert [x for x, _, _ in told] == sorted(x for x, _, _ in told)
    for x, y, opened in told:
        (answer,) = {
            each.open_branches
            for each in found.results
            if each.has_answer
            and figure_of(each, found.kept) == pytest.approx(x, rel=1e-8, abs=1e-9)
            and figure_of(each, found.sought) == pytest.approx(y, rel=1e-8)
        }
        assert opened == set(answer)


@pytest.mark.parametrize("criteria", ["losses", "losses,losses", "v_min,losses", "losses,loss", "losses,cost,balance"])
def test_what_is_no_pair_of_criteria_is_refused(criteria: str) -> None:
    with pytest.raises(OptionError, match="a front is drawn of two criteria"):
        openpoint.dispatch_front(ring(), criteria)


def test_a_front_of_one_point_is_refused() -> None:
    with pytest.raises(OptionError, match="give 2 or more"):
        openpoint.dispatch_front(ring(), "losses,changes", points=1)


def test_the_page_names_methods_in_words() -> None:
    text = report_html(front("losses,changes", 3))
    assert "Topology search, to " in text
    assert "TopologySearch(" not in text


@pytest.mark.parametrize("kept", ["moves", "v_min"])
def test_a_time_limit_is_that_of_all_points(kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = front(f"losses,{kept}")
    clock = held(monkeypatch, 0.1)
    found = prepare_front(ring(), f"losses,{kept}", DispatchOptions(time_limit_s=2.5)).solve()
    assert found.cut
    assert "all points together" in found.notes[-1]
    assert 1 <= len(found.results) < len(whole.results)
    assert clock.now <= 6.0  # the looks after the limit, too


def test_a_front_within_its_time_is_whole() -> None:
    found = prepare_front(ring(), "losses,v_min", DispatchOptions(time_limit_s=1e6)).solve()
    assert not found.cut
    assert found.points["sought"].to_list() == pytest.approx(front("losses,v_min").points["sought"].to_list())


def test_the_range_of_a_criterion_is_found_by_whatever_method_can() -> None:
    found = openpoint.dispatch_front(ring(), "losses,changes", method=TopologySearch())
    assert found.points["sought"].to_list() == pytest.approx(front("losses,changes").points["sought"].to_list())
