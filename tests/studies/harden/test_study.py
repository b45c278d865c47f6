"""Hardening as a user asks for it: published figures to the cent, orders that theory demands, what is shown is true."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Disasters, Grid, HardenCosts, Limits, OptionError, Termination, harden
from openpoint.scenarios.futures import moved, outages_within, probabilities_within
from openpoint.scenarios.futures import outages_moved as transported
from openpoint.scenarios.futures import read_disasters_ambiguity as read_ambiguity
from openpoint.studies.harden import answer as harden_answer
from openpoint.studies.harden.result import HardenResult
from openpoint.twostage.ambiguity import Moments, TotalVariation
from openpoint.twostage.methods.decomposition import ColumnAndConstraint

A, B, C = ["2", "11"], ["4", "6", "11"], ["2", "5", "8", "14", "15"]
EXACT = ColumnAndConstraint(gap=1e-6)
CENT = HardenCosts(closed_line_usd=0.01)


@pytest.fixture(scope="module")
def zhang() -> Grid:
    return openpoint.read("zhang13")


def of(grid: Grid, **disasters: tuple[float, Sequence[str]]) -> Disasters:
    return Disasters.from_branches(grid, disasters)


def cost(result: HardenResult) -> float:
    assert result.cost_usd is not None
    return result.cost_usd


@pytest.fixture(scope="module")
def case2(zhang: Grid) -> HardenResult:
    """Disasters B and C, one line and one generator."""
    threat = of(zhang, B=(0.9, B), C=(0.1, C))
    return harden(zhang, disasters=threat, max_lines=1, max_generators=1, costs=CENT, method=EXACT)


def test_without_money_nothing_is_bought(zhang: Grid) -> None:
    result = harden(zhang, disasters=of(zhang, C=(1.0, C)), budget_usd=0.0, costs=CENT, method=EXACT)
    assert (result.hardened_branches, result.generators, result.investment_usd) == ((), (), 0.0)
    assert result.shed_kw["C"] == pytest.approx(617.68, abs=0.005)
    assert result.without_plan_usd == pytest.approx(cost(result), abs=1e-4)
    assert result.termination is Termination.OPTIMAL


def test_figures_keep_their_order(case2: HardenResult) -> None:
    waiting, likely, mean = case2.wait_and_see_usd, case2.most_likely_plan_usd, case2.mean_value_plan_usd
    assert likely is not None
    assert case2.without_plan_usd is not None
    assert case2.lower_bound_usd <= cost(case2) + 1e-9
    assert waiting <= cost(case2) <= min(likely, mean, case2.without_plan_usd) + 1e-3
    assert case2.evpi_usd == pytest.approx(cost(case2) - waiting)
    assert case2.vss_usd == pytest.approx(mean - cost(case2))
    assert (likely, waiting) == (pytest.approx(1264.86, abs=0.006), pytest.approx(415.11, abs=0.006))


def test_costs_are_those_of_what_is_shown(case2: HardenResult) -> None:
    """Investment, lost load and closed branches add up, and the disasters add up to the cost."""
    table = case2.disasters
    for row in table.iter_rows(named=True):
        branches = case2.branches.filter(pl.col("disaster") == row["disaster"])
        assert row["shed_kw"] == pytest.approx(case2.buses.filter(disaster=row["disaster"])["shed_kw"].sum())
        closed = round((row["cost_usd"] - 14.0 * row["shed_kw"]) / 0.01)
        # A dead branch keeps its state at no cost, so that no more are closed in the model than are shown.
        assert 0 <= closed <= (branches["state"] == "closed").sum()
    expected = float((table["probability"] * table["cost_usd"]).sum())
    assert cost(case2) == pytest.approx((case2.investment_usd or 0.0) + expected)


def test_what_is_shown_is_radial_islands_that_hang_together(case2: HardenResult) -> None:
    for name in case2.disasters["disaster"]:
        buses, branches = case2.buses.filter(disaster=name), case2.branches.filter(disaster=name)
        shut = branches.filter(state="closed")
        graph = nx.MultiGraph(shut.select("from_bus", "to_bus").rows())
        graph.add_nodes_from(buses["name"])
        island = dict(buses.select("name", "island").iter_rows())
        forming = case2.sources.filter((pl.col("disaster") == name) & pl.col("forms_grid"))["bus"].to_list()
        for part in nx.connected_components(graph):
            numbers = {island[bus] for bus in part}
            assert len(numbers) == 1
            assert sum(bus in part for bus in forming) == (1 if numbers != {0} else 0)
            assert numbers == {0} or graph.subgraph(part).number_of_edges() == len(part) - 1
        broken = set(B if name == "B" else C) - set(case2.hardened_branches)
        assert set(branches.filter(state="broken")["name"]) == broken
        dead = buses.filter(island=0)
        assert (dead["shed_kw"] == dead["load_kw"]).all()
        assert dead["v_pu"].is_null().all()


def test_switching_leads_from_today_to_what_is_shown(zhang: Grid, case2: HardenResult) -> None:
    today = dict(zhang.branches().select("name", "closed").iter_rows())
    for row in case2.branches.iter_rows(named=True):
        was, now = today[row["name"]], row["state"] == "closed"
        expected = "" if row["state"] == "broken" or was == now else "close" if now else "open"
        assert row["switching"] == expected


def test_power_is_balanced_after_every_disaster(case2: HardenResult) -> None:
    """By exact AC: what is delivered is what is served and lost, and every generator keeps its size but for losses."""
    assert (case2.ac_max_mismatch_pu or 1.0) < 1e-9
    for name in case2.disasters["disaster"]:
        buses, sources = case2.buses.filter(disaster=name), case2.sources.filter(disaster=name)
        served = buses["load_kw"].sum() - buses["shed_kw"].sum()
        lost = case2.branches.filter(disaster=name)["loss_kw"].sum()
        assert sources["p_kw"].sum() == pytest.approx(served + lost, abs=1e-6)
    backup = case2.sources.filter(kind="backup")
    assert backup["p_kw"].max() <= 100.0 + 0.5  # type: ignore[operator]


def test_limits_that_ac_breaks_are_told(zhang: Grid) -> None:
    """A generator at its full power that forms an island carries the losses on top."""
    result = harden(zhang, disasters=of(zhang, B=(1.0, B)), max_lines=1, max_generators=1, budget_usd=150.0)
    over = result.violations.filter(kind="active power")
    assert over["limit"].to_list() == [100.0]
    assert 100.0 < over["value"].item() < 100.1
    assert any("AC power flow breaks limits" in note for note in result.notes)
    tight = harden(zhang, disasters=of(zhang, B=(1.0, B)), budget_usd=0.0, limits=Limits(v_min_pu=0.99))
    assert cost(tight) >= cost(harden(zhang, disasters=of(zhang, B=(1.0, B)), budget_usd=0.0))


def test_any_line_is_the_worst_of_all_attacks(zhang: Grid) -> None:
    nothing = harden(zhang, any_lines=1, budget_usd=0.0, method=EXACT)
    assert nothing.worst_attack == ("1",)
    assert cost(nothing) == pytest.approx(14.0 * 1155.35, abs=0.01)
    assert nothing.shed_kw == {"worst attack": pytest.approx(1155.35)}
    assert nothing.wait_and_see_usd is None
    one = harden(zhang, any_lines=1, max_lines=1, max_generators=0, method=EXACT)
    assert one.hardened_branches == ("1",)
    # Without money each disaster costs what it costs alone, whatever the others are.
    rest = [name for name in zhang.branches()["name"] if name != "1"]
    every = of(zhang, **{name: (1.0 / len(rest), [name]) for name in rest})
    alone = harden(zhang, disasters=every, budget_usd=0.0, method=EXACT, value_of_information=False)
    assert alone.disasters.height == len(rest)
    assert cost(one) == pytest.approx(400.0 + max(alone.disasters["cost_usd"]), abs=0.01)


def test_ambiguity_costs_between_the_expectation_and_the_worst_disaster(zhang: Grid, case2: HardenResult) -> None:
    threat = of(zhang, B=(0.9, B), C=(0.1, C))

    def least(ambiguity: Any, **options: Any) -> HardenResult:
        given = {"max_lines": 1, "max_generators": 1, "costs": CENT, "method": EXACT, **options}
        return harden(zhang, disasters=threat, ambiguity=ambiguity, **given)

    plain, same = case2, least(moved(0.0))
    assert cost(same) == pytest.approx(cost(plain), abs=0.01)
    assert (same.wait_and_see_usd, same.mean_value_plan_usd) == (
        pytest.approx(plain.wait_and_see_usd, abs=0.01),
        pytest.approx(plain.mean_value_plan_usd, abs=0.01),
    )
    some = cost(least(TotalVariation(0.3), value_of_information=False))
    worst = least(moved(1.0))
    assert cost(plain) <= some + 1e-6 <= cost(worst) + 2e-6
    # Whatever the odds: the plan whose worst disaster costs least.
    assert cost(worst) == pytest.approx(max(worst.disasters["cost_usd"]) + (worst.investment_usd or 0.0), abs=0.01)
    assert (worst.wait_and_see_usd or 0.0) <= cost(worst) + 1e-6 <= (worst.mean_value_plan_usd or math.inf) + 2e-6


def test_recipes_say_what_they_promise(zhang: Grid) -> None:
    threat = of(zhang, B=(0.9, B), C=(0.1, C))
    gain = np.array([0.0, 1.0])  # all that matters is C

    def most(recipe: Any) -> float:
        return float(recipe(threat).around(threat.probabilities, 2).worst(gain)[0])

    # B and C share no line: 3 + 5 lines differ, so that one line on average moves an eighth.
    assert most(transported(1.0)) == pytest.approx(0.1 + 1.0 / 8.0)
    assert most(moved(0.2)) == pytest.approx(0.3)
    assert most(probabilities_within(0.05)) == pytest.approx(0.15)
    assert most(outages_within(0.07)) == pytest.approx(0.17)
    assert most(read_ambiguity("Moments:0.07")) == pytest.approx(0.17)


@pytest.mark.parametrize("text", ["tv", "tv:", "tv:x", "odds:0.1", ":0.1", "tv:1.1", "box:-0.1", "wasserstein:nan", ""])
def test_an_ambiguity_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        read_ambiguity(text)


def test_equal_disasters_are_one(zhang: Grid) -> None:
    twice = Disasters(
        ("first", "second", "third"),
        np.array([0.25, 0.25, 0.5]),
        of(zhang, B=(0.5, B), C=(0.5, C)).broken[[0, 0, 1]],
    )
    once = of(zhang, first=(0.5, B), third=(0.5, C))
    asked: dict[str, Any] = {"max_lines": 1, "costs": CENT, "value_of_information": False}
    few, many = (harden(zhang, disasters=each, max_generators=0, **asked) for each in (once, twice))
    assert cost(few) == pytest.approx(cost(many), abs=0.2)
    assert many.disasters["count"].to_list() == [2, 1]
    assert many.disasters["disaster"].to_list() == ["first", "third"]
    # A finished set speaks of the disasters as they were given.
    features = np.array([[1.0], [0.0], [0.0]])
    own = Moments(features, np.array([0.2]), np.array([0.3]))
    kept = harden(zhang, disasters=twice, max_generators=0, ambiguity=own, **asked)
    assert kept.disasters.height == 3


def test_disasters_that_are_not_shown_keep_their_figures(zhang: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    threat = of(zhang, A=(0.2, A), B=(0.5, B), C=(0.3, C))
    full = harden(zhang, disasters=threat, max_lines=1, max_generators=0, method=EXACT)
    monkeypatch.setattr(harden_answer, "SHOWN_MOST", 1)
    monkeypatch.setattr(harden_answer, "VALUED_MOST", 2)
    brief = harden(zhang, disasters=threat, max_lines=1, max_generators=0, method=EXACT)
    assert cost(brief) == pytest.approx(cost(full), abs=0.01)
    assert brief.buses["disaster"].n_unique() == 1
    assert brief.shed_kw == pytest.approx(full.shed_kw, abs=0.01)
    assert brief.wait_and_see_usd is None
    assert len(brief.notes) >= 2
    asked = harden(zhang, disasters=threat, max_lines=1, max_generators=0, method=EXACT, value_of_information=True)
    assert asked.wait_and_see_usd == pytest.approx(full.wait_and_see_usd, abs=0.01)


@pytest.mark.parametrize(("costs", "fixed"), [(None, False), (CENT, True)])
def test_a_time_limit_keeps_a_plan_and_its_bound(zhang: Grid, costs: HardenCosts | None, fixed: bool) -> None:
    """To buy nothing is one, also where some lines cannot be opened."""
    lines = zhang.lines.with_columns(pl.col("name").is_in(["1", "2"]).not_().alias("switchable"))
    grid = zhang.with_tables(lines=lines) if fixed else zhang
    threat = openpoint.storms(grid, count=30, seed=1, mean_broken=4.0)
    method = ColumnAndConstraint(gap=0.0, time_limit_s=1e-3)
    result = harden(grid, disasters=threat, max_lines=3, max_generators=2, costs=costs, method=method)
    assert result.termination is Termination.TIME
    assert result.wait_and_see_usd is None
    assert 0.0 <= result.lower_bound_usd <= cost(result) < math.inf


def test_progress_goes_on_after_the_plan(zhang: Grid) -> None:
    told = []
    harden(zhang, disasters=of(zhang, C=(1.0, C)), max_lines=1, max_generators=0, progress=told.append)
    assert all(b.seconds >= a.seconds for a, b in itertools.pairwise(told))
    assert any("operating point" in each.verdict for each in told)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "neither"),
        ({"any_lines": 1, "disasters": True}, "both"),
        ({"any_lines": 0}, "any_lines"),
        ({"any_lines": 16}, "15"),
        ({"any_lines": 1, "ambiguity": moved(0.1)}, "ambiguous"),
        ({"disasters": True, "max_lines": -1}, "max_lines"),
        ({"disasters": True, "max_generators": -2}, "max_generators"),
        ({"disasters": True, "budget_usd": -0.5}, "budget_usd"),
        ({"disasters": True, "budget_usd": math.nan}, "budget_usd"),
        ({"disasters": "of another grid"}, "branches"),
    ],
)
def test_options_that_make_no_sense_are_refused(zhang: Grid, options: dict[str, Any], said: str) -> None:
    if options.get("disasters") is True:
        options = options | {"disasters": of(zhang, C=(1.0, C))}
    elif "disasters" in options:
        options = {"disasters": Disasters(("x",), np.ones(1), np.ones((1, 3), dtype=bool))}
    with pytest.raises(OptionError, match=said):
        harden(zhang, **options)


def test_all_wrong_options_are_said_at_once() -> None:
    with pytest.raises(OptionError) as raised:
        harden("zhang13", any_lines=1, ambiguity=moved(0.1), max_lines=-1, budget_usd=-2.0, method="magic", limits={})  # type: ignore[arg-type]
    for told in (
        "any_lines has no probabilities",
        "max_lines is -1",
        "budget_usd is -2",
        "method is 'magic'",
        "limits is of",
    ):
        assert told in str(raised.value)
    with pytest.raises(
        OptionError, match=r"line_usd is -1; give 0 or more. Also: .*generator_kw is 0; give kW above 0"
    ):
        HardenCosts(line_usd=-1.0, generator_kw=0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"line_usd": -1.0},
        {"generator_usd": math.inf},
        {"voll_usd_per_kw": math.nan},
        {"generator_kw": 0.0},
        {"generator_kvar": -1.0},
        {"closed_line_usd": -0.01},
    ],
)
def test_prices_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        HardenCosts(**wrong)


def test_a_generator_has_the_usual_power_factor() -> None:
    assert HardenCosts(generator_kw=80.0).backup.q_kvar == pytest.approx(60.0)
    assert HardenCosts(generator_kvar=5.0).backup.q_kvar == 5.0


def test_a_grid_of_three_phases_is_refused(zhang: Grid) -> None:
    tables = {
        "buses": {"name": ["a", "b"], "vn_kv": [10.0] * 2, "phases": ["abc"] * 2},
        "sources": {"name": ["s"], "bus": ["a"]},
        "lines": {
            "name": ["l"],
            "from_bus": ["a"],
            "to_bus": ["b"],
            "phases": ["abc"],
            "r_ohm": [[0.1, 0.0, 0.1, 0.0, 0.0, 0.1]],
            "x_ohm": [[0.1, 0.0, 0.1, 0.0, 0.0, 0.1]],
        },
    }
    with pytest.raises(OptionError, match="balanced"):
        harden(Grid.from_tables("three", tables), any_lines=1)


def test_the_same_question_has_the_same_answer(zhang: Grid, case2: HardenResult) -> None:
    threat = of(zhang, B=(0.9, B), C=(0.1, C))
    again = harden(zhang, disasters=threat, max_lines=1, max_generators=1, costs=CENT, method=EXACT)
    for name in ("disasters", "buses", "branches", "sources", "violations"):
        assert getattr(again, name).equals(getattr(case2, name))
    assert (again.cost_usd, again.hardened_branches, again.generators) == (
        case2.cost_usd,
        case2.hardened_branches,
        case2.generators,
    )


def test_an_open_line_is_dead_after_a_disaster() -> None:
    """Its charging shows nowhere, wherever it is open, and whether or not both its buses are supplied."""
    bare = {"r_ohm": [1.0], "x_ohm": [1.0]}
    cable = bare | {"b_us": [500.0], "closed": False}
    tables: dict[str, Any] = {
        "buses": [{"name": name, "vn_kv": 20.0} for name in ("s", "a", "b")],
        "sources": [{"name": "grid", "bus": "s"}],
        "loads": [{"name": name, "bus": name, "p_kw": 500.0} for name in ("a", "b")],
    }
    lines = [{"name": f"s{name}", "from_bus": "s", "to_bus": name, **bare, "switchable": False} for name in ("a", "b")]
    lost = []
    for end in ("both", "from", "to"):
        tie = {"name": "tie", "from_bus": "a", "to_bus": "b", "open_end": end, **cable}
        grid = Grid.from_tables("tie", tables | {"lines": [*lines, tie]})
        found = harden(grid, disasters=of(grid, calm=(0.5, []), storm=(0.5, ["sa"])), max_lines=1)
        row = found.branches.filter(name="tie", disaster="calm").row(0, named=True)
        assert (row["state"], row["q_from_kvar"], row["loss_kw"]) == ("open", 0.0, 0.0)
        lost.append(found.branches["loss_kw"].sum())
    assert lost == pytest.approx([lost[0]] * 3, rel=1e-12)
