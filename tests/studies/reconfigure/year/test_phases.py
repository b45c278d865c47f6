"""A year of grids with phases a, b, c: the answer against all topologies by OpenDSS; what is refused."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Limits, OptionError, TopologySearch
from openpoint.formulations.phases import phases_question
from openpoint.grid import Grid
from openpoint.powerflow.opendss import OpenDssCircuit
from tests.builders.meshed import meshed
from tests.builders.pages import render

FREE = Limits(voltage=False, current=False)
HOURS = [2000.0, 4000.0, 2760.0]


def with_sun(grid: Grid) -> Grid:
    """With a generator of one phase at its second bus."""
    bus, phases = grid.buses.select("name", "phases").row(1)
    unit = {"name": "l1", "bus": bus, "phases": phases[0], "p_kw": 30.0, "q_kvar": 2.0}  # called as a load is
    return grid.with_tables(generators=pl.DataFrame([unit]))


def year_of(grid: Grid, folder: Path, seed: int) -> Path:
    """Profiles of each load, whatever its model, of the generator, and one that is followed by reactive power alone."""
    rng, names = np.random.default_rng(seed), grid.loads["name"].to_list()
    shapes = {f"of {name}": rng.uniform(0.3, 1.2, 3) for name in names}
    pl.DataFrame({"hours": HOURS, **shapes, "sun": [1.0, 0.4, 0.0], "var": [0.5, 1.0, 0.8]}).write_csv(
        folder / "profiles.csv"
    )
    follows = {
        "load": names,
        "profile": list(shapes),
        "q_profile": ["var" if k % 2 else None for k in range(len(names))],
    }
    pl.DataFrame(follows).write_csv(folder / "load_profiles.csv")
    pl.DataFrame({"generator": ["l1"], "profile": ["sun"]}).write_csv(folder / "generator_profiles.csv")
    return folder


def in_step(grid: Grid, folder: Path, k: int) -> Grid:
    """The grid as it is in a step."""
    at = pl.read_csv(folder / "profiles.csv").row(k, named=True)
    follows = {row["load"]: row for row in pl.read_csv(folder / "load_profiles.csv").to_dicts()}
    loads = []
    for row in grid.loads.to_dicts():
        p, q = (follows[row["name"]][key] for key in ("profile", "q_profile"))
        loads.append({**row, "p_kw": row["p_kw"] * at[p], "q_kvar": row["q_kvar"] * at[q or p]})
    sun = grid.generators.with_columns(pl.col("p_kw", "q_kvar") * at["sun"])
    return grid.with_tables(loads=pl.DataFrame(loads, schema=grid.loads.schema), generators=sun)


@pytest.mark.parametrize("seed", [3, 8])
def test_the_answer_is_that_of_all_topologies(seed: int, tmp_path: Path) -> None:
    grid = with_sun(meshed(seed))
    folder = year_of(grid, tmp_path, seed)
    try:
        found = openpoint.reconfigure_year(grid, folder, limits=FREE)
    except OptionError as error:
        pytest.skip(str(error))
    states = list(phases_question(grid, free=("topology",)).states())
    losses = np.full((len(states), 3), np.inf)
    for k in range(3):
        circuit = OpenDssCircuit(in_step(grid, folder, k))
        for s, closed in enumerate(states):
            circuit.rewire(closed)
            flows = circuit.solve()
            if flows.converged[0] and flows.energised.all():
                losses[s, k] = flows.loss_kw[0]
    energy = losses @ np.array(HOURS) / 1000.0
    assert found.energy_mwh == pytest.approx(energy.min(), rel=1e-4)
    assert energy.min() * (1.0 - 1.1e-4) <= found.energy_bound_mwh <= energy.min() * (1.0 + 1e-6)
    best, names = int(np.argmin(energy)), grid.branches()["name"].to_list()
    if np.sort(energy)[1] > energy.min() * (1.0 + 1e-3):
        assert set(found.open_branches) == {names[b] for b in np.flatnonzero(~states[best])}
        assert found.steps["loss_after_kw"].to_numpy() == pytest.approx(losses[best], rel=1e-5)
    assert found.branches["energy_lost_after_kwh"].sum() / 1000.0 == pytest.approx(found.energy_mwh, rel=1e-5)
    assert found.ac_max_mismatch_pu is not None
    assert found.ac_max_mismatch_pu < 1e-4
    assert found.checked_steps == 3
    assert found.grid.generators.equals(grid.generators)


def test_extremes_are_those_of_the_phase_that_is_farthest() -> None:
    year = pl.DataFrame({"hours": [3000.0, 5760.0], "share": [1.0, 0.5]})
    found = openpoint.reconfigure_year("ieee123", year, limits=FREE)
    today = openpoint.reconfigure("ieee123", limits=FREE)
    assert found.steps["loss_before_kw"][0] == pytest.approx(today.loss_before_kw, rel=1e-6)
    lowest = dict(today.buses.group_by("name").agg(pl.col("v_before_pu").min()).iter_rows())
    inner = found.buses.filter(pl.col("v_lowest_before_step").is_not_null())
    for name, v, step in inner.select("name", "v_lowest_before_pu", "v_lowest_before_step").iter_rows():
        assert v == pytest.approx(lowest[name], abs=1e-6) if step == "1" else v <= lowest[name] + 1e-6
    assert "1" in set(inner["v_lowest_before_step"])
    assert "all 2 steps by power flow" in render(found)


def test_limits_hold_in_every_step() -> None:
    year = pl.DataFrame({"hours": [760.0, 8000.0], "share": [1.0, 0.5]})
    found = openpoint.reconfigure_year("ieee13", year)
    assert found.objective_kw is None
    assert found.termination is openpoint.Termination.INFEASIBLE
    assert set(found.violations["step"]) == {"1"}


def test_what_is_refused(tmp_path: Path) -> None:
    year = pl.DataFrame({"hours": [3000.0, 5760.0], "share": [1.0, 0.5]})
    with pytest.raises(OptionError, match="soft limits"):
        openpoint.reconfigure_year("ieee123", year, soft_limits=True)
    with pytest.raises(OptionError, match="no certificate"):
        openpoint.reconfigure_year("ieee123", year, certificate=tmp_path / "proof.gz")
    with pytest.raises(OptionError, match="8,760 steps"):
        openpoint.reconfigure_year("ieee123", "synthetic-hours")
    with pytest.raises(OptionError, match="of another grid"):
        openpoint.reconfigure_year("ieee123", openpoint.read_year(year, "ieee13"))
    with pytest.raises(OptionError, match="TopologySearch only"):
        openpoint.reconfigure_year("ieee123", year, method=openpoint.Enumeration())  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="checkpoint"):
        openpoint.reconfigure_year("ieee123", year, method=TopologySearch(checkpoint=tmp_path / "c"))
