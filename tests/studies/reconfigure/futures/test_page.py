"""The report of many futures: staircases that are distributions, pages that hold, names that stay text."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import openpoint
from openpoint import Enumeration, Futures, Grid
from openpoint.errors import OptionError
from openpoint.studies.reconfigure.futures.report import (
    Spread,
    cumulative,
    futures_scene,
    headline,
    limits_of,
    loss_chart,
    saving_chart,
    savings,
    spreads,
    voltage_chart,
)
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.futures.words import against_mean
from tests.builders.pages import HOSTILE, Page, drawable, render, write_report

NAMES = ("S", "A", "B", "C")


def result_of(
    *, names: tuple[str, ...] = NAMES, v_min: float = 0.9, sample: bool = True, evening: bool = True
) -> FuturesResult:
    """A ring of four buses; in the evening C takes most, at noon it feeds most, so that their mean says little."""
    lines = [f"{a}-{b}" for a, b in zip(names, [*names[1:], names[0]])]
    grid = Grid.from_tables(
        "ring",
        {
            "buses": {"name": list(names), "vn_kv": [10.0] * 4, "v_min_pu": [v_min] * 4, "v_max_pu": [1.1] * 4},
            "lines": {
                "name": lines,
                "from_bus": list(names),
                "to_bus": [*names[1:], names[0]],
                "r_ohm": [0.4] * 4,
                "x_ohm": [0.3] * 4,
                "i_max_a": [200.0] * 4,
                "closed": [True, True, True, False],
            },
            "sources": {"name": ["grid"], "bus": [names[0]]},
            "loads": {"name": ["a"], "bus": [names[1]], "p_kw": [500.0], "q_kvar": [100.0]},
        },
        title=f"A ring of {names[1]}",
    )
    noon = [1200.0, -200.0, -1500.0]
    p = np.array([[0.0, 200.0, 300.0, 1500.0], [0.0, *(noon if evening else [210.0, 310.0, 1400.0])]])
    futures = Futures(("evening", "noon"), np.array([0.5, 0.5]), names, p, np.zeros((2, 4)))
    more = Futures(
        ("mild", "cold", "sunny"), None, names, np.array([0.3, 1.2, -0.4])[:, None] * p[:1], np.zeros((3, 4))
    )
    return openpoint.reconfigure_futures(grid, futures, sample=more if sample else None, method=Enumeration())


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.01, 1.0)), min_size=1, max_size=20),
    st.integers(0, 3),
)
def test_a_staircase_is_a_distribution(pairs: list[tuple[float, float]], unsolved: int) -> None:
    values = np.array([v for v, _ in pairs] + [np.nan] * unsolved)
    weights = np.array([w for _, w in pairs] + [0.5] * unsolved)
    weights /= weights.sum()
    x, share = cumulative(values, weights)
    assert (np.diff(x) >= 0).all()
    assert (np.diff(share) >= -1e-12).all()
    assert share[0] == 0.0
    # What has no solution is missing at the top.
    assert share[-1] == pytest.approx(weights[: len(pairs)].sum())
    middle = values[0]
    assert share[x <= middle].max() == pytest.approx(weights[np.nan_to_num(values, nan=np.inf) <= middle].sum())


def test_equal_topologies_are_drawn_once_and_named_together() -> None:
    different, same = result_of(), result_of(evening=False)
    assert [each.key for each in spreads(different, different.futures)] == ["before", "mean", "after"]
    found = spreads(same, same.futures)
    assert same.open_mean == same.open_branches
    assert [each.key for each in found] == ["before", "after"]
    assert "mean future" in found[-1].title
    assert "changes nothing" in against_mean(same)


def test_the_savings_add_up_to_what_the_plans_say() -> None:
    result = result_of()
    plans = {
        row["topology"]: row["loss_expected_kw"] for row in result.plans.filter(set="planned").iter_rows(named=True)
    }
    for each, saved in savings(spreads(result, result.futures)):
        assert (np.diff(saved) >= 0).all()
        assert saved.mean() == pytest.approx(plans[each.key] - plans["after"])
    said = re.search(r"loses ([\d.]+) kW less on average", against_mean(result))
    assert float(said[1]) == pytest.approx(plans["mean"] - plans["after"], abs=0.006)


def test_weights_are_the_probabilities_or_equal() -> None:
    result = result_of()
    planned, sample = spreads(result, result.futures)[0], spreads(result, result.sample)[0]
    assert planned.weights.tolist() == [0.5, 0.5]
    assert sample.weights == pytest.approx([1 / 3] * 3)


def test_the_grid_shows_the_extremes_of_all_futures() -> None:
    result = result_of()
    scene = futures_scene(result)
    after = scene.states["after"]
    assert np.nanmin(after.v) == pytest.approx(float(result.futures["v_min_after_pu"].min()))  # type: ignore[arg-type]
    assert after.loss.sum() == pytest.approx(after.loss_kw)
    assert {scene.branch_names[e] for e in scene.opened | scene.closed} == set(result.changes)
    assert dict(limits_of(result)) == {"lower limit": 0.9, "upper limit": 1.1}
    broken = futures_scene(result_of(v_min=0.9999))
    assert broken.states["after"].violations
    assert not broken.feasible


def test_the_page_says_what_the_result_says() -> None:
    result = result_of()
    page = Page(render(result))
    assert against_mean(result) in page.text
    for row in result.plans.iter_rows(named=True):
        assert f"{row['loss_expected_kw']:,.2f}" in page.text
    assert {"losses-planned", "losses-sample", "savings-planned", "voltages-sample", "grid-after"} <= set(page.charts)
    assert "nan" not in page.text.lower().split()
    assert "None" not in page.text
    alone = Page(render(result_of(sample=False)))
    assert "losses-sample" not in alone.charts


def test_an_infeasible_result_makes_a_page() -> None:
    result = result_of(v_min=0.9999)
    page = Page(render(result))
    assert "Infeasible." in page.text
    assert "least violation met" in page.text
    assert "Limits broken by the state of least violation met" in page.text
    assert "savings-planned" not in page.charts
    assert "no answer" in headline(result)


def test_markup_in_names_stays_text() -> None:
    hostile = (HOSTILE["a"], HOSTILE["b"], HOSTILE["c"], HOSTILE["title"])
    result = result_of(names=hostile)
    futures = result.futures.with_columns(future=pl.Series([HOSTILE["e"], HOSTILE["d"]]))
    page = render(replace(result, futures=futures))
    tags = {tag for tag, _ in Page(page).tags}
    assert not tags & {"a", "b", "i"}
    assert HOSTILE["e"] in Page(page).text
    raw = page.split('id="charts">')[1].split("</script>")[0]
    assert not set("<>&") & set(raw)


def test_the_page_can_draw_every_chart() -> None:
    for chart in Page(render(result_of())).charts.values():
        drawable(chart)


def test_without_any_state_there_is_no_chart() -> None:
    assert loss_chart([]) is None
    assert voltage_chart([], []) is None
    one = np.array([1.0])
    assert saving_chart([Spread("before", "today", one, one, one, one)]) is None


def test_pages_are_the_same_every_time(tmp_path: Path) -> None:
    result = result_of()
    assert all(result.plot(kind).axes for kind in ("grid", "losses", "savings", "voltages"))
    with pytest.raises(OptionError, match="no picture"):
        result.plot("pie")
    pages = [write_report(result, tmp_path / f"{i}.html").read_bytes() for i in range(2)]
    assert pages[0] == pages[1]
