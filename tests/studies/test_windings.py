"""Limits of both windings of transformers: by brute force over states, taps and ties, with currents worked out here."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint import Grid, Limits, TopologySearch
from openpoint.network import build_network
from openpoint.powerflow.state import ac_state
from openpoint.verify import verify
from tests.builders.grids import all_topologies

LOOSE = Limits(v_min_pu=0.7, v_max_pu=1.3)


def two_stations(seed: int, *, free: bool = False, idle: bool = True) -> Grid:
    """Two transformers far from their neutral taps feed a ring of five buses; their ratings are tight, nothing else is.

    Args:
        free: their taps may be set, to one of three positions. idle: they magnetise.
    """
    rng = np.random.default_rng(seed)
    buses = [{"name": "H", "vn_kv": 110.0}, *({"name": name, "vn_kv": 20.0} for name in "ABCDEFG")]
    loads = [
        {"name": bus, "bus": bus, "p_kw": float(rng.uniform(500, 3000)), "q_kvar": float(rng.uniform(0, 900))}
        for bus in "CDEFG"
    ]
    whole = sum(row["p_kw"] for row in loads)
    transformers = []
    for k, bus in enumerate("AB"):
        middle = int(rng.integers(-9, 10))
        transformers.append(
            {
                "name": f"T{k}",
                "from_bus": "H",
                "to_bus": bus,
                "vn_from_kv": 110.0,
                "vn_to_kv": float(rng.choice([20.0, 21.0])),
                "s_max_kva": whole * float(rng.uniform(0.55, 0.75)),
                "r_ohm": 0.1,
                "x_ohm": 1.5,
                "g_us": 8.0 if idle else 0.0,
                "b_us": -60.0 if idle else 0.0,
                "tap_side": str(rng.choice(["from", "to"])),
                "tap_pos": middle,
                "tap_min": middle - 1,
                "tap_max": middle + 1,
                "tap_step_percent": 1.5,
                "controllable": free,
            }
        )
    pairs = ["AC", "CD", "DE", "EF", "FG", "GB", "CF"]
    lines = [
        {"name": pair, "from_bus": pair[0], "to_bus": pair[1], "r_ohm": [0.3], "x_ohm": [0.3], "b_us": [90.0]}
        for pair in pairs
    ]
    for row in lines[4:5] + lines[6:]:
        row["closed"] = False
    tables: dict[str, Any] = {"buses": buses, "lines": lines, "transformers": transformers, "loads": loads}
    return Grid.from_tables("two", {**tables, "sources": [{"name": "S", "bus": "H", "v_pu": 1.02}]})


def fullest(grid: Grid, closed: np.ndarray) -> tuple[float, float]:
    """The loss in kW of a state, and the greatest share of a winding's rated current, by the powers at its ends."""
    network = build_network(grid)
    state = ac_state(network, closed)
    if state is None:
        return math.inf, math.inf
    most, at = 0.0, {name: e for e, name in enumerate(network.branch_names)}
    for row in grid.transformers.iter_rows(named=True):
        e = at[row["name"]]
        for s, terminal, rated in (
            (state.s_fr[e], network.terminal_fr[e], row["vn_from_kv"]),
            (state.s_to[e], network.terminal_to[e], row["vn_to_kv"]),
        ):
            volts = abs(state.v[terminal]) * network.v_base_kv[terminal]
            amps = abs(s) * network.s_base_kva / (math.sqrt(3.0) * volts)
            most = max(most, amps / (row["s_max_kva"] / (math.sqrt(3.0) * rated)))
    return state.loss * network.s_base_kva, float(most)


def best_of(grids: list[Grid]) -> float:
    """The least loss of all radial states of some grids in which no winding is overloaded."""
    states = ((grid, closed) for grid in grids for closed in all_topologies(build_network(grid)))
    found = (fullest(grid, closed) for grid, closed in states)
    return min((loss for loss, most in found if most <= 1.0 + 1e-6), default=math.inf)


@pytest.mark.parametrize("seed", range(4))
def test_reconfigure_overloads_no_winding_and_proves_the_best(seed: int, tmp_path: Path) -> None:
    grid = two_stations(seed, idle=seed % 3 > 0)
    best, method = best_of([grid]), TopologySearch(gap=1e-7, certificate=tmp_path / "proof")
    answer = openpoint.reconfigure(grid, limits=LOOSE, method=method)
    if math.isinf(best):
        assert answer.loss_kw is None
        return
    assert answer.loss_kw == pytest.approx(best, rel=1e-7)
    assert verify(grid, tmp_path / "proof").loss_kw == pytest.approx(best, rel=1e-7)
    rows = dict(answer.branches.select("name", "loading_after_percent").iter_rows())
    closed = answer.branches["closed_after"].to_numpy()
    assert max(rows["T0"], rows["T1"]) == pytest.approx(100.0 * fullest(grid, closed)[1], rel=1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_dispatch_with_free_taps_overloads_no_winding(seed: int) -> None:
    grid = two_stations(seed, free=True)
    tables = grid.tables()
    positions = [range(low, high + 1) for low, high in grid.transformers.select("tap_min", "tap_max").iter_rows()]
    grids = [
        Grid.from_tables("two", {**tables, "transformers": grid.transformers.with_columns(tap_pos=np.array(taps))})
        for taps in itertools.product(*positions)
    ]
    best, answer = best_of(grids), openpoint.dispatch(grid, free="topology,taps", limits=LOOSE)
    if math.isinf(best):
        assert answer.loss_kw is None
        return
    assert answer.loss_kw == pytest.approx(best, rel=1e-6)
    assert answer.lower_bound <= best * (1.0 + 1e-9)
    assert not answer.violations


@pytest.mark.parametrize("seed", range(4))
def test_secure_restores_over_no_winding_that_is_overloaded(seed: int) -> None:
    grid = two_stations(seed)
    result = openpoint.secure(grid, limits=LOOSE)
    network, checked = build_network(grid), 0
    number = {name: e for e, name in enumerate(network.branch_names)}
    for row in result.faults.filter(kind="lines", restorable=True).iter_rows(named=True):
        if row["to_close"]:
            closed = network.closed.copy()
            closed[number[row["name"]]], closed[number[row["to_close"]]] = False, True
            most = fullest(grid, closed)[1]
            checked += 1
            assert row["loading_percent"] == pytest.approx(100.0 * most, rel=1e-7)
            assert most <= 1.0 + 1e-6
    for row in result.faults.filter(kind="lines", verdict="limits").iter_rows(named=True):
        for tie in np.flatnonzero(~network.closed):
            closed = network.closed.copy()
            closed[number[row["name"]]], closed[tie] = False, True
            checked += 1
            assert fullest(grid, closed)[1] > 1.0  # inf where it restores nothing
    assert checked
