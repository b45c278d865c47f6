"""Restored states over a set of loads, against exact flows of all states that feed as much, at all vertices."""

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import InputError, OptionError
from openpoint.grid.grid import Grid
from openpoint.network import build_network
from openpoint.network.limits import Limits
from openpoint.powerflow.state import ac_state
from openpoint.results.ac_tables import violations
from tests.builders.pages import render
from tests.builders.secured import live_buses, outcomes, random_secured, state_grid

SHARE = 0.25


def breaks(state: Grid, share: float) -> bool:
    """Whether a limit is broken at a vertex of the set, in a state as a grid of its own."""
    network = Limits().applied(build_network(state))
    number = {name: n for n, name in enumerate(network.bus_names)}
    at = [number[bus] for bus in state.loads["bus"]]
    s = (state.loads["p_kw"] + 0.0).to_numpy() + 1j * state.loads["q_kvar"].to_numpy()
    for signs in itertools.product((-1.0, 1.0), repeat=len(at)):
        power = np.zeros(network.n_terminals, dtype=np.complex128)
        np.add.at(power, at, s * (1.0 + share * np.array(signs)) / network.s_base_kva)
        here = ac_state(replace(network, s_power=power), network.closed)
        if here is None or violations(network, here):
            return True
    return False


@pytest.mark.parametrize("seed", range(200, 203))
def test_verdicts_are_those_of_all_states_at_all_vertices(seed: int) -> None:
    """Proved: no vertex breaks a limit. Disproved: one does, and so it is of all choices that feed as much."""
    grid, _ = random_secured(seed)
    found = openpoint.secure(grid, for_every={"load": SHARE})
    plain = {row["name"]: row for row in openpoint.secure(grid).faults.iter_rows(named=True)}
    today = grid.branches().filter("closed")["name"].to_list()
    ties = grid.branches().filter(~pl.col("closed") & pl.col("switchable"))["name"].to_list()
    expected = dict(outcomes(grid))
    for row in found.faults.iter_rows(named=True):
        before, fault = plain[row["name"]], expected[row["name"]]
        assert row["verdict"] == before["verdict"]
        assert row["lost_kw"] == pytest.approx(before["lost_kw"])
        if not row["for_every"]:
            assert not row["to_close"]
            continue
        left = [name for name in today if name not in row["to_open"].split()]

        def state(closed: list[str], out: frozenset[str] = fault.isolated) -> Grid:
            return state_grid(grid, closed, live_buses(grid, closed, set(out)))

        assert breaks(state([*left, *row["to_close"].split()]), SHARE) == (row["for_every"] == "disproved")
        assert row["is_next"] == (row["to_close"] != before["to_close"])
        if row["is_next"]:
            assert breaks(state([*left, *before["to_close"].split()]), SHARE)
        if row["for_every"] == "disproved":
            fed = live_buses(grid, [*left, *row["to_close"].split()], set(fault.isolated))
            usable = [tie for tie in ties if not fault.isolated & ends(grid, tie)]
            for others in itertools.combinations(usable, len(row["to_close"].split())):
                closed = [*left, *others]
                same = live_buses(grid, closed, set(fault.isolated)) == fed
                assert not same or is_meshed(grid, today, closed) or breaks(state(closed), SHARE)
    assert found.for_every_counts["open"] == 0


def ends(grid: Grid, name: str) -> set[str]:
    return set(grid.branches().filter(name=name).select("from_bus", "to_bus").row(0))


def is_meshed(grid: Grid, today: list[str], closed: list[str]) -> bool:
    """Whether more branches are closed than keep as many buses fed, beside loops that there are today."""
    return len(closed) > len(today)


def test_a_witness_is_a_load_of_the_set_at_which_the_state_breaks_limits() -> None:
    grid = openpoint.read("baran33")
    found = openpoint.secure(grid, for_every="load=10%")
    assert found.for_every_counts == {"proved": 14, "disproved": 7, "open": 0}
    assert found.document()["disproved_count"] == 7
    for row in found.faults.filter(pl.col("for_every") == "disproved").iter_rows(named=True):
        at = found.witnesses.filter(fault=row["name"])
        assert ((at["p_kw"] / at["p_today_kw"] - 1.0).abs() <= 0.1 + 1e-9).all()
        there = grid.loads.join(at.select("name", p="p_kw", q="q_kvar"), on="name", maintain_order="left")
        loads = there.with_columns(p_kw="p", q_kvar="q").select(grid.loads.columns)
        closed = {row["to_open"]: False, row["to_close"]: True}
        state = grid.with_tables(loads=loads).with_closed(closed)
        flow = openpoint.run_powerflow(state)
        (limit,) = [
            each for each in flow.violations if row["for_every_limit"].startswith(f"voltage low at {each.place}:")
        ]
        assert f"{limit.value:.5f}" in row["for_every_limit"]
    text = render(found)
    assert "For every load ±10 %" in text
    assert "14 of 21 proved" in text


def test_more_than_ties_are_judged_too() -> None:
    found = openpoint.secure("baran33", switchings=2, for_every="load=2%")
    words = dict(found.faults.select("name", "for_every").iter_rows())
    assert {words[name] for name in found.switchings["name"]} <= {"proved", "disproved"}


def test_a_smaller_set_is_proved_where_a_larger_one_is() -> None:
    proved = [
        set(openpoint.secure("baran33", for_every=asked).faults.filter(for_every="proved")["name"])
        for asked in ("load=2%", "load=5%", "load=10%", "load=10%,resistance=20%", "load=20%,resistance=20%")
    ]
    assert proved[2] > proved[3]
    assert all(more >= less for more, less in itertools.pairwise(proved))


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(OptionError, match="budget bounds what deviates"):
        openpoint.secure("baran33", budget=3)
    taps = {"v_hold_min_pu": 0.99, "v_hold_max_pu": 1.01, "hold_side": "to", "tap_min": -2, "tap_max": 2}
    grid, _ = random_secured(200)
    held = grid.with_tables(
        transformers=grid.transformers.with_columns(
            *(pl.lit(value).alias(name) for name, value in taps.items()), tap_step_percent=pl.lit(2.0)
        )
    )
    with pytest.raises(InputError, match="proved for every load of a set"):
        openpoint.secure(held, for_every="load=10%")
