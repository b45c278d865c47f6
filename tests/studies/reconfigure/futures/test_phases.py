"""Many futures of grids with phases a, b, c: the answer against all topologies by OpenDSS; what is refused."""

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import CVaR, Expectation, Futures, Limits, OptionError, Regret, TopologySearch, WorstCase
from openpoint.arrays import Bools, Floats
from openpoint.formulations.phases import phases_question
from openpoint.grid import Grid
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.twostage.risk import Risk
from tests.builders.meshed import meshed
from tests.builders.pages import render

FREE = Limits(voltage=False, current=False)


def futures_of(grid: Grid, seed: int, count: int = 3) -> Futures:
    """Futures that change the demand of most buses, also where there is no load of constant power today."""
    rng, today = np.random.default_rng(seed), Futures.today(grid)
    p = today.p_kw * rng.uniform(0.2, 1.4, (count, today.p_kw.shape[1]))
    p[:, 1:] += np.where(rng.random(p[:, 1:].shape) < 0.3, rng.uniform(-20.0, 20.0, p[:, 1:].shape), 0.0)
    q = today.q_kvar * rng.uniform(0.2, 1.4, (count, 1))
    return Futures(tuple(f"f{k}" for k in range(count)), rng.dirichlet(np.ones(count)), today.bus_names, p, q)


def under(grid: Grid, futures: Futures, k: int) -> Grid:
    """The grid with the demand of a future: what differs from today is a load of its own on all phases of the bus, or
    shared by the loads of constant power there as they share today's power."""
    today, rows = Futures.today(grid), grid.loads.to_dicts()
    for n, bus in enumerate(today.bus_names):
        more = futures.p_kw[k, n] - today.p_kw[0, n], futures.q_kvar[k, n] - today.q_kvar[0, n]
        here = [row for row in rows if row["bus"] == bus and row["model"] == "power"]
        if not here and any(more):
            phases = grid.buses.filter(pl.col("name") == bus)["phases"].item()
            delta = (grid.loads["connection"] == "delta").all() and len(phases) > 1
            place = {"name": f"new {bus}", "bus": bus, "phases": phases, "connection": "delta" if delta else "wye"}
            here = [dict.fromkeys(grid.loads.columns) | place | {"model": "power"}]
            here[0] |= {"p_kw": 0.0, "q_kvar": 0.0}
            rows += here
        for key, change in zip(("p_kw", "q_kvar"), more, strict=True):
            total = sum(abs(row[key]) for row in here)
            for row, size in [(row, abs(row[key])) for row in here]:
                row[key] += change * (size / total if total else 1.0 / len(here))
    fed = [row for row in rows if row["p_kw"] < 0.0]
    made = [{**row, "p_kw": -row["p_kw"], "q_kvar": -row["q_kvar"]} for row in fed]
    names = [
        name for name in ("name", "bus", "phases", "connection", "p_kw", "q_kvar") if name in grid.generators.columns
    ]
    generators = (
        pl.concat([grid.generators, pl.DataFrame(made).select(names)], how="diagonal") if made else grid.generators
    )
    loads = pl.DataFrame([row for row in rows if row["p_kw"] >= 0.0], schema=grid.loads.schema)
    return grid.with_tables(loads=loads, generators=generators)


def all_losses(grid: Grid, futures: Futures) -> tuple[list[Bools], Floats]:
    """All radial states and their losses (S, K), kW; inf without a flow."""
    states = list(phases_question(grid, free=("topology",)).states())
    losses = np.full((len(states), len(futures)), np.inf)
    for k in range(len(futures)):
        circuit = OpenDssCircuit(under(grid, futures, k))
        for s, closed in enumerate(states):
            circuit.rewire(closed)
            flows = circuit.solve()
            if flows.converged[0] and flows.energised.all():
                losses[s, k] = flows.loss_kw[0]
    return states, losses


@pytest.mark.parametrize(("seed", "risk"), [(3, Expectation()), (5, WorstCase()), (8, CVaR(0.5))])
def test_the_answer_is_that_of_all_topologies(seed: int, risk: Risk) -> None:
    grid = meshed(seed)
    futures = futures_of(grid, seed)
    try:
        found = openpoint.reconfigure_futures(grid, futures, risk=risk, limits=FREE, sample=futures_of(grid, 99))
    except OptionError as error:
        pytest.skip(str(error))
    states, losses = all_losses(grid, futures)
    weights = futures.weights
    if isinstance(risk, Expectation):
        value = losses @ weights
    elif isinstance(risk, WorstCase):
        value = losses.max(axis=1)
    else:
        value = np.array([_tail(each, weights, 0.5) for each in losses])
    assert found.objective_kw == pytest.approx(value.min(), rel=1e-4)
    assert value.min() * (1.0 - 1.1e-4) <= found.lower_bound_kw <= value.min() * (1.0 + 1e-6)
    best = int(np.argmin(value))
    names = grid.branches()["name"].to_list()
    if np.sort(value)[1] > value.min() * (1.0 + 1e-3):
        assert set(found.open_branches) == {names[b] for b in np.flatnonzero(~states[best])}
        assert found.futures["loss_after_kw"].to_numpy() == pytest.approx(losses[best], rel=1e-6)
    assert found.ac_max_mismatch_pu is not None
    assert found.ac_max_mismatch_pu < 1e-4
    assert found.buses.height == grid.buses.height
    assert found.branches.height == grid.branches().height
    assert found.sample_count == 3
    assert found.grid.loads.equals(grid.loads)  # not those that hold what futures change


def _tail(loss: Floats, weights: Floats, level: float) -> float:
    """CVaR by its definition, over thresholds."""
    return float(min(t + weights @ np.maximum(loss - t, 0.0) / (1.0 - level) for t in loss))


def test_one_future_of_today_is_the_answer_of_today() -> None:
    grid = openpoint.read("ieee123")
    today = openpoint.reconfigure(grid)
    found = openpoint.reconfigure_futures(grid, Futures.today(grid), risk="worst")
    assert (found.open_before, found.open_branches) == (today.open_before, today.open_branches)
    assert found.objective_kw == pytest.approx(today.loss_kw, rel=1e-6)
    assert found.open_mean == today.open_branches
    lowest = today.buses.group_by("name", maintain_order=True).agg(pl.col("v_after_pu").min())
    assert found.buses["v_lowest_after_pu"].to_list() == pytest.approx(lowest["v_after_pu"].to_list(), abs=1e-6)


def test_limits_are_kept_in_the_share_asked_for_and_told_by_phase() -> None:
    grid = openpoint.read("ieee123")
    futures = openpoint.grow(grid, count=4, seed=1, growth=openpoint.Growth.solar())
    none = openpoint.reconfigure_futures(grid, futures)
    assert none.objective_kw is None
    assert none.termination is openpoint.Termination.INFEASIBLE
    some = openpoint.reconfigure_futures(grid, futures, limits_share=0.25)
    assert some.objective_kw is not None
    kept = some.plans.filter(pl.col("topology") == "after")["limits_kept_share"].item()
    assert 0.25 <= kept < 1.0
    assert set(some.violations["phase"]) <= {"a", "b", "c"}
    assert "phase" in render(some)


def test_what_is_refused() -> None:
    grid = openpoint.read("ieee123")
    futures = Futures.today(grid)
    with pytest.raises(OptionError, match="topology search"):
        openpoint.reconfigure_futures(grid, futures, risk="worst", method="benders")
    with pytest.raises(OptionError, match="certificate"):
        openpoint.reconfigure_futures(grid, futures, risk="worst", method=TopologySearch(certificate="proof.gz"))
    with pytest.raises(OptionError, match="regret"):
        openpoint.reconfigure_futures(grid, futures, risk=Regret())
    with pytest.raises(OptionError, match="balanced equivalent"):
        openpoint.reconfigure_futures(grid, futures, risk="worst", switchable="*")
