"""One topology for a year: figures of the answer, options that do not fit, what is written."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.errors import OptionError
from openpoint.powerflow.balanced import solve
from openpoint.studies.reconfigure.year.result import YearResult
from openpoint.verify import verify


def months() -> pl.DataFrame:
    """Twelve steps of a typical hour each, for two groups of loads."""
    hours = np.full(12, 730.0)
    day = 0.4 + 0.3 * np.cos(np.linspace(0.0, 5.5, 12))
    return pl.DataFrame({"hours": hours, "2": day, "18": 1.1 - day})


@pytest.fixture(scope="module")
def result() -> YearResult:
    return openpoint.reconfigure_year("civanlar16", months().rename({"2": "4", "18": "16"}))


def test_the_energy_is_that_of_the_power_flow_of_every_step(result: YearResult) -> None:
    from openpoint.network import build_network

    grid = openpoint.read("civanlar16")
    year = openpoint.read_year(months().rename({"2": "4", "18": "16"}), grid)
    network = build_network(grid)
    closed = np.array([name not in result.open_branches for name in network.branch_names])
    flows = solve(network, closed, s_power=year.demand(network.s_base_kva).rows(slice(None)))
    mwh = float(flows.loss @ year.hours) * network.s_base_kva / 1000.0
    assert result.energy_mwh == pytest.approx(mwh, rel=1e-8)
    assert result.steps["loss_after_kw"].to_numpy() == pytest.approx(flows.loss * network.s_base_kva, rel=1e-8)
    assert result.energy_bound_mwh <= mwh
    assert result.gap <= 1e-4
    assert result.branches["energy_lost_after_kwh"].sum() == pytest.approx(1000.0 * mwh, rel=1e-8)
    assert result.energy_before_mwh >= mwh
    assert result.steps_broken == 0
    assert result.ac_max_mismatch_pu < 1e-9
    lowest = result.buses.filter(pl.col("v_lowest_after_step").is_not_null()).sort("v_lowest_after_pu")
    assert lowest["v_lowest_after_pu"][0] == pytest.approx(np.abs(flows.v).min(), abs=1e-9)
    assert result.steps["demand_kw"].to_numpy() == pytest.approx(
        year.demand(network.s_base_kva).rows(slice(None)).real.sum(axis=1) * network.s_base_kva
    )


def test_limits_that_no_step_but_one_breaks_are_named_with_the_step() -> None:
    frame = pl.DataFrame({"hours": [8000.0, 760.0], "all": [0.3, 1.0]})
    found = openpoint.reconfigure_year("baran33", frame, limits=openpoint.Limits(v_min_pu=0.97))
    assert found.termination is openpoint.Termination.INFEASIBLE
    assert found.energy_mwh is None
    assert found.steps_broken == 1
    assert set(found.violations["step"]) == {"2"}
    assert found.least_violation_open
    assert "limits" in found.to_json()


def test_loads_of_a_year_that_stay_as_they_are_give_the_answer_of_today() -> None:
    frame = pl.DataFrame({"hours": [8760.0], "all": [1.0]})
    found = openpoint.reconfigure_year("baran33", frame)
    today = openpoint.reconfigure("baran33")
    assert set(found.open_branches) == set(today.open_branches)
    assert found.objective_kw == pytest.approx(today.loss_kw, rel=1e-8)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"method": openpoint.Benders()}, "TopologySearch only"),
        ({"method": openpoint.TopologySearch(checkpoint=Path("x.search"))}, "checkpoints are for one demand"),
    ],
)
def test_what_does_not_go_with_a_year_is_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        openpoint.reconfigure_year("civanlar16", months(), **options)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "options", [{}, {"change_cost_kw": 2.0}, {"max_changes": 2}, {"limits": openpoint.Limits(v_min_pu=0.965)}]
)
def test_the_certificate_says_what_the_result_says(options: dict[str, Any], tmp_path: Path) -> None:
    grid = openpoint.read("civanlar16")
    year = openpoint.read_year(months().rename({"2": "4", "18": "16"}), grid)
    path = tmp_path / "proof.gz"
    method = openpoint.TopologySearch(gap=1e-6, certificate=path)
    found = openpoint.reconfigure_year(grid, year, method=method, **options)
    proven = verify(grid, path, year=year)
    assert set(proven.open_branches) == set(found.open_branches)
    assert proven.energy_mwh == pytest.approx(found.energy_mwh, rel=1e-8)
    assert proven.value_kw == pytest.approx(found.objective_kw, rel=1e-8)
    assert proven.energy_bound_mwh == pytest.approx(found.energy_bound_mwh, rel=2e-6)
    assert proven.energy_bound_mwh <= found.energy_bound_mwh * (1.0 + 1e-9)
    assert proven.changes == len(found.changes)
    assert f"{found.energy_mwh:,.3f} MWh" in str(proven)


def test_a_certificate_of_a_year_of_another_grid_is_refused(tmp_path: Path) -> None:
    year = openpoint.read_year("synthetic-hours", "civanlar16")
    with pytest.raises(OptionError, match="another grid"):
        verify(openpoint.read("baran33"), tmp_path / "proof.gz", year=year)


def test_no_certificate_is_left_where_nothing_keeps_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "proof.gz"
    path.write_bytes(b"of an earlier run")
    method, limits = openpoint.TopologySearch(certificate=path), openpoint.Limits(v_min_pu=0.999)
    found = openpoint.reconfigure_year(
        "civanlar16", months().rename({"2": "4", "18": "16"}), method=method, limits=limits
    )
    assert found.termination is openpoint.Termination.INFEASIBLE
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"proof.gz.earlier": b"of an earlier run"}


def test_a_year_of_another_grid_is_refused() -> None:
    year = openpoint.read_year("synthetic-hours", "civanlar16")
    with pytest.raises(OptionError, match="another grid"):
        openpoint.reconfigure_year("baran33", year)


def test_it_is_written_drawn_and_reported(result: YearResult, tmp_path: Path) -> None:
    result.write_json(tmp_path / "year.json")
    result.write_tables(tmp_path / "tables")
    page = result.write_report(tmp_path / "year.html").read_text()
    assert "Energy lost" in page
    assert (tmp_path / "tables" / "steps.csv").is_file()
    for kind in ("grid", "losses", "voltages"):
        assert result.plot(kind).axes
    with pytest.raises(OptionError):
        result.plot("other")
