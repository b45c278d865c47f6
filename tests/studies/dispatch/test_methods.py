"""Every method of dispatch finds the same optimum; which one is taken, and what each refuses."""

from functools import cache

import pytest

import openpoint
from openpoint import Benders, Enumeration, ExtensiveForm, Grid, OptionError, Termination, TopologySearch
from openpoint.studies.dispatch.result import DispatchResult
from tests.builders.dispatch_grids import UNIT, regulated, ring

QUESTIONS = {
    "losses of a ring": (ring, "losses"),
    "cost": (ring, "cost"),
    "losses and balance": (ring, "losses=1,balance=50"),
    "deviation": (ring, "deviation"),
    "few moves": (ring, "losses=1,moves=0.5,changes=0.1"),
    "a regulator": (regulated, "losses"),
}


@cache
def optimum(name: str) -> float:
    grid, minimize = QUESTIONS[name]
    objective = openpoint.dispatch(grid(), minimize=minimize, method=Enumeration()).objective
    assert objective is not None
    return objective


def agrees(result: DispatchResult, name: str) -> None:
    assert result.termination in (Termination.OPTIMAL, Termination.GAP)
    assert result.objective == pytest.approx(optimum(name), rel=1e-4)
    assert result.lower_bound <= optimum(name) * (1.0 + 1e-9)
    assert not result.violations


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, Benders()) for name in QUESTIONS]
    + [(name, ExtensiveForm(solver="scip")) for name in ("losses and balance", "few moves", "a regulator")],
)
def test_cone_methods_find_the_optimum_of_all_states(name: str, method: Benders | ExtensiveForm) -> None:
    grid, minimize = QUESTIONS[name]
    agrees(openpoint.dispatch(grid(), minimize=minimize, method=method), name)


def test_topology_search_is_taken_where_it_can_be_and_agrees() -> None:
    result = openpoint.dispatch(regulated())
    assert result.method == "TopologySearch(gap=1e-06)"
    assert "closed form" in result.why_method
    agrees(result, "a regulator")


@pytest.mark.parametrize(
    ("grid", "minimize", "method", "why"),
    [
        (ring, "cost", "TopologySearch(gap=1e-06)", "closed form"),
        (regulated, "deviation", "Enumeration()", "no useful bound in closed form"),
        (regulated, "losses=1,moves=0.1", "TopologySearch(gap=1e-06)", "closed form"),
    ],
)
def test_the_method_is_chosen_for_a_reason(grid: object, minimize: str, method: str, why: str) -> None:
    assert callable(grid)
    result = openpoint.dispatch(grid(), minimize=minimize)
    assert result.method == method
    assert why in result.why_method


def dispatchable() -> Grid:
    """The ring with a unit whose output is to be chosen."""
    return ring(generators={**UNIT, "p_min_kw": [100.0], "q_min_kvar": [-100.0], "q_max_kvar": [100.0]})


def test_outputs_are_chosen_by_search_benders_and_the_one_piece_program() -> None:
    result = openpoint.dispatch(dispatchable(), minimize="cost", method=Benders(gap=1e-4))
    searched = openpoint.dispatch(dispatchable(), minimize="cost")
    assert searched.method == "TopologySearch(gap=1e-06)"
    assert searched.objective == pytest.approx(result.objective, rel=1e-4)
    assert searched.lower_bound <= (result.objective or 0.0) * (1.0 + 1e-9)
    other = openpoint.dispatch(dispatchable(), minimize="cost", method=ExtensiveForm(solver="scip"))
    assert result.objective == pytest.approx(other.objective, rel=1e-3)
    (unit,) = result.generators.iter_rows(named=True)
    assert unit["on_after"] == (unit["p_after_kw"] > 0.0)
    fixed = openpoint.dispatch(dispatchable(), minimize="cost", free="topology,taps,capacitors")
    assert result.objective <= fixed.objective * (1.0 + 1e-4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"method": TopologySearch(), "minimize": "deviation"}, "no useful bound in closed form"),
        ({"method": TopologySearch(), "at_most": "balance=1"}, "balance may not exceed a figure"),
        ({"method": Enumeration(most=10)}, "more than the limit of 10 states"),
    ],
)
def test_what_a_method_cannot_take_is_refused_with_a_reason(options: dict[str, object], told: str) -> None:
    with pytest.raises(OptionError) as error:
        openpoint.dispatch(regulated(), **options)  # type: ignore[arg-type]
    assert told in str(error.value)


def test_outputs_cannot_be_enumerated() -> None:
    with pytest.raises(OptionError, match="cannot choose the output of generators"):
        openpoint.dispatch(dispatchable(), method=Enumeration())


@pytest.mark.parametrize(
    ("at_most", "method"),
    [
        ("moves=1,changes=0", Benders()),
        ("deviation=0.005", ExtensiveForm(solver="scip")),
        ("balance=1.5", Benders()),
    ],
)
def test_cone_methods_keep_bounded_criteria(at_most: str, method: Benders | ExtensiveForm) -> None:
    best = openpoint.dispatch(ring(), at_most=at_most, method=Enumeration())
    found = openpoint.dispatch(ring(), at_most=at_most, method=method)
    if best.objective is None:
        assert found.termination is Termination.INFEASIBLE
    else:
        assert found.objective == pytest.approx(best.objective, rel=1e-4)


def test_outputs_are_chosen_under_a_bound_by_benders() -> None:
    free = openpoint.dispatch(dispatchable(), minimize="cost")
    losses = dict(free.criteria.select("name", "answer").iter_rows())["losses"]
    kept = openpoint.dispatch(dispatchable(), minimize="cost", at_most={"losses": 0.9 * losses})
    assert kept.method == "Benders(gap=0.0001)"
    assert kept.objective >= free.objective * (1.0 - 1e-4)
    assert dict(kept.criteria.select("name", "answer").iter_rows())["losses"] <= 0.9 * losses * (1.0 + 1e-5)
