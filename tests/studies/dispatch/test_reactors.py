"""Reactors in steps, transformers that may be off, taps in the finest steps: beside all states tried one by one."""

import random

import polars as pl
import pytest
from scipy.optimize import minimize_scalar

import openpoint
from openpoint import Benders, Grid, InputError, TopologySearch, dispatch
from openpoint.studies.powerflow.study import run_powerflow
from tests.builders.device_tables import device_grid_of, random_device_tables
from tests.builders.dispatch_grids import SOURCE, ring
from tests.builders.sampled_outputs import best_operating_state

WITH_REACTORS = (0, 6, 14)
"""Grids whose reactors are of use in some state."""


def with_reactors(seed: int) -> Grid:
    """A random grid whose banks are reactors, most of its loads capacitive."""
    tables = {kind: frame.to_dicts() for kind, frame in random_device_tables(seed, 300).tables().items()}
    rng = random.Random(seed)
    for row in tables["capacitors"]:
        row |= {"q_kvar": -row["q_kvar"], "levels_kvar": [-level for level in row["levels_kvar"]]}
    for row in tables["loads"]:
        row["q_kvar"] *= -1.0 if rng.random() < 0.7 else 1.0
    return Grid.from_tables("reactors", tables).check()


@pytest.mark.parametrize("seed", WITH_REACTORS)
def test_reactors_stand_as_in_the_best_of_all_states(seed: int) -> None:
    grid = with_reactors(seed)
    arrays = device_grid_of(grid)
    best = best_operating_state(arrays.evaluator).best
    for method in (None, Benders(gap=1e-6)):
        found = dispatch(grid, minimize="losses", method=method)
        if best is None or best.violation > 0.0:
            assert not found.has_answer
            continue
        value = best.value * arrays.network.s_base_kva
        assert found.objective == pytest.approx(value, rel=2e-4, abs=1e-6)
        assert found.lower_bound <= value * (1.0 + 1e-6) + 1e-6
        assert run_powerflow(found.grid_after).loss_kw == pytest.approx(found.loss_kw, rel=1e-6, abs=1e-6)


def test_a_reactor_between_phases_is_refused() -> None:
    grid = openpoint.read("ieee13-microgrids")
    wrong = {"name": ["x"], "bus": ["680"], "phases": ["abc"], "q_kvar": [-100.0]}
    with pytest.raises(InputError, match="reactors in steps are modelled in balanced grids only"):
        grid.with_tables(capacitors=pl.DataFrame(wrong)).check()


def two_transformers(iron: float, load: float = 1.0) -> Grid:
    """Two substations with a transformer each, joined by lines: one carries all, or each its own part."""
    load *= 400.0
    return Grid.from_tables(
        "two",
        {
            "buses": {"name": ["H1", "H2", "1", "2", "3"], "vn_kv": [60.0, 60.0, 10.0, 10.0, 10.0]},
            "transformers": [
                {"name": f"t{k}", "from_bus": f"H{k}", "to_bus": str(k), "vn_from_kv": 60.0, "vn_to_kv": 10.0,
                 "r_ohm": 0.2, "x_ohm": 2.0, "g_us": iron, "switchable": True}
                for k in (1, 2)
            ],
            "lines": [
                {"name": f"{a}-{b}", "from_bus": a, "to_bus": b, "r_ohm": 0.5, "x_ohm": 0.4}
                for a, b in (("1", "3"), ("3", "2"))
            ],
            "sources": [{"name": f"s{k}", "bus": f"H{k}"} for k in (1, 2)],
            "loads": [{"name": bus, "bus": bus, "p_kw": load, "q_kvar": 0.5 * load} for bus in ("1", "2", "3")],
        },
    )  # fmt: skip


def test_a_transformer_of_a_substation_is_off_where_its_iron_loses_more_than_it_saves() -> None:
    rng, counts = random.Random(2), list[int]()
    for iron, load in [
        (0.0, 1.0),
        (60.0, 1.0),
        (60.0, 4.0),
        *((rng.uniform(0, 60), rng.uniform(0.3, 2)) for _ in "123456"),
    ]:
        grid = two_transformers(iron, load)
        found = dispatch(grid, minimize="losses", method=TopologySearch(gap=1e-6))
        arrays = device_grid_of(grid)
        best = best_operating_state(arrays.evaluator).best
        assert found.loss_kw == pytest.approx(best.value * arrays.network.s_base_kva, rel=1e-6)
        counts.append(int(found.grid_after.transformers["closed"].sum()))
    assert counts[:3] == [2, 1, 2]
    assert min(counts[3:].count(number) for number in (1, 2)) >= 2


def test_steps_of_a_ten_thousandth_are_as_good_as_a_continuous_voltage() -> None:
    """A voltage in between any two positions, by a search over the exact flow of every tree."""
    rng = random.Random(1)
    least = rng.uniform(0.965, 0.985)
    wide = SOURCE | {"v_pu": [1.0], "v_min_pu": [0.96], "v_max_pu": [1.04], "v_step_pu": [0.0001]}
    grid = ring(sources=wide)
    # Loads of constant impedance lose more at a higher voltage: the lower limit is met between two positions.
    drawn = [pl.col(name) * pl.Series([rng.uniform(0.5, 1.5) for _ in range(3)]) for name in ("p_kw", "q_kvar")]
    loads = grid.loads.with_columns(*drawn, model=pl.lit("impedance"))
    limits = grid.buses.with_columns(v_min_pu=pl.lit(least), v_max_pu=pl.lit(1.05))
    grid = grid.with_tables(loads=loads, buses=limits)
    found = dispatch(grid, minimize="losses", free=["topology", "taps"])
    assert found.has_answer

    def value(v: float, opened: str) -> float:
        after = grid.with_closed({name: name != opened for name in grid.lines["name"]})
        moved = after.sources.with_columns(v_pu=pl.lit(v), v_min_pu=None, v_max_pu=None, v_step_pu=None)
        flow = run_powerflow(after.with_tables(sources=moved.cast(after.sources.schema)))
        return flow.loss_kw + 1e6 * max(0.0, least - flow.v_min_pu)

    ends = {"bounds": (0.96, 1.04), "method": "bounded", "options": {"xatol": 1e-9}}
    best = min(minimize_scalar(value, args=(name,), **ends).fun for name in grid.lines["name"])
    assert best * (1.0 - 1e-6) <= found.loss_kw <= best * (1.0 + 3e-4)
