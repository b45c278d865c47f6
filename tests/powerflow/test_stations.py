"""Power flows of grids with closed loops of stations, and of many steps."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import OptionError
from openpoint.grid.rules.wiring import meshes
from openpoint.io.pgm import grid_from_text
from openpoint.network import Network
from openpoint.powerflow import series
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.series import StepDemand, series_until, solve_series
from openpoint.powerflow.state import excesses
from openpoint.search.enumeration import topologies
from tests.builders.stations import station_input, without_links
from tests.powerflow.small_networks import random_network
from tests.search.random_grids import random_grid

RELATIVE = 1e-6
"""Difference of voltages in pu, of the loss, and of powers and currents by the largest of their kind."""
LINKS = 1e-4
"""Difference of the power of links, by the largest power: those of power-grid-model have 1e-8 pu of 1 MVA."""
DEVIATION = 1e-8
"""What power-grid-model may still change in its last step, pu."""


def by_power_grid_model(content: dict[str, Any]) -> Any:
    """Its results, by component; the input passes its own validation."""
    from power_grid_model import CalculationMethod, PowerGridModel
    from power_grid_model.utils import json_deserialize
    from power_grid_model.validation import assert_valid_input_data

    data = json_deserialize(json.dumps(content))
    assert_valid_input_data(data)
    method = CalculationMethod.newton_raphson
    return PowerGridModel(data).calculate_power_flow(calculation_method=method, error_tolerance=DEVIATION)


def differences(seed: int) -> tuple[float, float, int]:
    """The greatest difference of a grid, that of the powers of its links, and the number of loops of its state."""
    content = station_input(seed)
    merged, node = without_links(content)
    found = by_power_grid_model(merged)
    grid = grid_from_text(json.dumps(content), f"{seed}.json")
    flow = openpoint.run_powerflow(grid)
    size, degrees = (dict(flow.buses.select("name", column).iter_rows()) for column in ("v_pu", "angle_degree"))
    volts = {row["id"]: row["u"] * np.exp(1j * row["u_angle"]) for row in found["node"]}
    worst = 0.0
    for row in content["data"]["node"]:
        own = size[str(row["id"])] * np.exp(1j * math.radians(degrees[str(row["id"])]))
        worst = max(worst, abs(own - volts[node[row["id"]]] / row["u_rated"]))
    columns = ("name", "p_from_kw", "q_from_kvar", "loss_kw", "i_a")
    rows = {row[0]: row[1:] for row in flow.branches.select(*columns).iter_rows()}
    power, current, loss = [], [], 0.0
    for kind in ("line", "transformer"):
        for row in found[kind]:
            p, q, lost, amps = rows[str(row["id"])]
            power += [(1e3 * (p + 1j * q), row["p_from"] + 1j * row["q_from"]), (1e3 * (lost - p), row["p_to"])]
            if kind == "line":
                current.append((amps, max(row["i_from"], row["i_to"])))
            loss += row["p_from"] + row["p_to"]
    for pairs in (power, current):
        scale = max(abs(theirs) for _, theirs in pairs)
        worst = max(worst, max(abs(own - theirs) for own, theirs in pairs) / scale)
    beside = {str(row["id"]) for row in merged["data"]["shunt"]} - {str(row["id"]) for row in content["data"]["shunt"]}
    own = sum(lost for name, (*_, lost, _) in rows.items() if not name.startswith("source") and name not in beside)
    worst = max(worst, abs(1e3 * own / loss - 1.0))
    assert flow.ac_max_mismatch_pu < 1e-9
    found_meshes = meshes(grid)
    loops = [mesh for mesh in found_meshes if not mesh.is_held]
    assert bool(loops) == any("today's state is not radial" in note for note in flow.notes)
    assert all(repr(name) in " ".join(flow.notes) for mesh in loops[:1] for name in mesh.names[:3])
    return worst, _of_links(by_power_grid_model(content), rows), len(found_meshes)


def _of_links(found: Any, rows: dict[str, tuple[float, ...]]) -> float:
    pairs = []
    for link in found.get("link", ()):
        p, q, *_ = rows[str(link["id"])]
        pairs.append((1e3 * (p + 1j * q), link["p_from"] + 1j * link["q_from"]))
    scale = max((abs(theirs) for _, theirs in pairs), default=0.0)
    scale = max(scale, np.abs(found["transformer"]["p_from"] + 1j * found["transformer"]["q_from"]).max())
    return float(max((abs(own - theirs) for own, theirs in pairs), default=0.0) / scale)


@pytest.mark.parametrize("seed", range(6))
def test_the_flow_is_that_of_power_grid_model(seed: int) -> None:
    """docs/methods.md M6."""
    worst, links, _ = differences(seed)
    assert worst < RELATIVE
    assert links < LINKS


few = settings(max_examples=40, deadline=None)


def demand_of(rng: np.random.Generator, network: Network, steps: int, most: float) -> StepDemand:
    n, d = network.n_terminals, int(rng.integers(1, 4))
    profile = rng.uniform(-0.3 if rng.random() < 0.3 else 0.1, most, (steps, d))
    bus = np.concatenate([np.arange(n), rng.integers(0, n, 3)])
    power = np.concatenate([network.s_power, rng.uniform(-0.01, 0.01, 3) + 0.0j])
    return StepDemand(profile, bus, rng.integers(0, d, n + 3), power, n)


@few
@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.sampled_from([1.0, 1.0, 6.0]))
def test_every_step_is_that_of_the_sweep(seed: int, steps: int, most: float) -> None:
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        network = random_grid(rng, ("shunts", "ratios", "hanging", "generation", "ratings", "low", "high"))
        closed = next(iter(topologies(network)))[0]
    else:
        network = random_network(seed, int(rng.integers(3, 20)))
        closed = network.closed
    demand = demand_of(rng, network, steps, most)
    hours = rng.uniform(0.1, 2.0, steps)
    found = solve_series(network, closed, demand, hours)
    flows = solve(network, closed, s_power=demand.rows(slice(None)))
    if not flows.energised.all():
        assert np.isinf(found.loss).all()
        return
    good = flows.converged
    assert np.array_equal(np.isfinite(found.loss), good)
    assert found.loss[good] == pytest.approx(flows.loss[good], rel=1e-7, abs=1e-11)
    assert found.excess[good] == pytest.approx(excesses(network, flows)[good], rel=1e-7, abs=1e-9)
    inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    if not good.any():
        assert np.isnan(found.v_low).all()
        return
    v, i = np.abs(flows.v[good]), flows.i_rated[good]
    assert found.v_low[good] == pytest.approx(v[:, inner].min(axis=1), abs=1e-8)
    assert found.v_high[good] == pytest.approx(v[:, inner].max(axis=1), abs=1e-8)
    assert found.v_low_of[inner] == pytest.approx(v[:, inner].min(axis=0), abs=1e-8)
    assert found.v_high_of[inner] == pytest.approx(v[:, inner].max(axis=0), abs=1e-8)
    assert found.i_of == pytest.approx(i.max(axis=0), rel=1e-7, abs=1e-9)
    assert np.abs(flows.v)[found.v_low_at[inner], inner] == pytest.approx(found.v_low_of[inner], abs=1e-8)
    used = np.flatnonzero(found.i_at >= 0)
    assert flows.i_rated[found.i_at[used], used] == pytest.approx(found.i_of[used], rel=1e-7, abs=1e-9)
    branch = np.where(good[:, None], (flows.s_fr + flows.s_to).real * hours[:, None], 0.0).sum(axis=0)
    assert found.energy[closed] == pytest.approx(branch[closed], rel=1e-6, abs=1e-9)


def by_bus(demands: np.ndarray) -> StepDemand:
    """(T, N) demands, the active and the reactive part of each bus a share of its own."""
    n = demands.shape[1]
    profile, power = np.concatenate([demands.real, demands.imag], axis=1), np.repeat([1.0 + 0.0j, 1.0j], n)
    return StepDemand(profile, np.tile(np.arange(n), 2), np.arange(2 * n), power, n)


def test_rows_of_shares_are_the_demands() -> None:
    rng = np.random.default_rng(1)
    rows = rng.uniform(-1, 1, (7, 5)) + 1j * rng.uniform(-1, 1, (7, 5))
    demand = by_bus(rows)
    assert demand.rows(slice(None)) == pytest.approx(rows)
    assert demand.take(np.array([3, 1])).rows(slice(0, 1)) == pytest.approx(rows[3:4])


def test_shapes_that_do_not_fit_are_told() -> None:
    network = random_network(1, 5)
    with pytest.raises(OptionError, match="do not fit"):
        solve_series(network, network.closed, by_bus(np.zeros((3, 4), dtype=np.complex128)), np.ones(3))


@pytest.mark.parametrize("most", [1.0, 60.0])
def test_steps_in_pieces_are_those_at_once_and_a_piece_may_be_the_last(
    most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    network = random_network(7, 12)
    demand, hours = demand_of(rng, network, 300, most), rng.uniform(0.1, 2.0, 300)
    whole = solve_series(network, network.closed, demand, hours)
    assert np.isfinite(whole.loss).all() == (most == 1.0)
    monkeypatch.setattr(series, "AT_ONCE", 2 * 12 * series.LANES)
    stops = iter([False] * 5)  # of 300 steps each of 32 lanes has ten, two at once
    found = series_until(network, network.closed, demand, hours, stops.__next__)
    assert found is not None
    assert not list(stops)
    for name, values in vars(whole).items():
        assert np.array_equal(getattr(found, name), values, equal_nan=values.dtype == float), name
    for before in range(5):
        stops = iter([False] * before + [True])
        assert series_until(network, network.closed, demand, hours, stops.__next__) is None
        assert not list(stops)
