"""Every fault of random grids by another way: sections and supply by graphs, states as grids of their own."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import openpoint
from openpoint.studies.secure.model import states
from tests.builders.secured import outcomes, random_breakers, random_secured


@pytest.mark.parametrize("seed", range(12))
def test_faults_are_those_of_graphs_and_single_states(seed: int) -> None:
    check(seed)


def check(seed: int) -> None:
    """Compare tables and indices of a random grid with the oracle; every second one has breakers in its feeders."""
    grid, data = random_secured(seed)
    breakers = random_breakers(seed, grid) if seed % 2 else {}
    data = replace(data, breakers=pl.DataFrame({"branch": list(breakers), "end": list(breakers.values())}))
    result = openpoint.secure(grid, reliability=data, failures_per_km_year=0.1, switching_h=0.5, repair_h=3.0)
    found = {row["name"]: row for row in result.faults.iter_rows(named=True)}
    load = dict(zip(result.buses["name"], result.buses["load_kw"], strict=True))
    customers = dict(data.customers.iter_rows())
    rates = dict(data.rates.select("branch", "failures_per_year").iter_rows())
    km = dict(grid.lines.select("name", "length_km").iter_rows())
    expected = dict(outcomes(grid, breakers))
    assert found.keys() == expected.keys()
    times = hours = kwh = 0.0
    for name, outcome in expected.items():
        row = found[name]
        lost = sum(load[bus] for part in outcome.parts for bus in part) - outcome.served_kw
        assert row["is_whole"]
        if not outcome.parts:
            assert row["verdict"] == ("nothing lost" if outcome.stays else "overload")
        assert row["tripped_kw"] == pytest.approx(sum(load[bus] for bus in outcome.tripped), abs=1e-9)
        assert row["isolated_kw"] == pytest.approx(sum(load[bus] for bus in outcome.isolated), abs=1e-9)
        assert row["lost_kw"] == pytest.approx(lost, abs=1e-6), name
        assert set(row["to_close"].split()) == outcome.ties or outcome.served_kw == 0.0, name
        waiting = set(outcome.isolated).union(*outcome.parts) - _served(grid, result, row, outcome.parts)
        rate = rates.get(name, 0.1 * km[name] if name in km else 0.0)
        here = [customers.get(bus, 0.0) for bus in outcome.tripped]
        times += rate * sum(here)
        hours += rate * (0.5 * sum(here) + 2.5 * sum(customers.get(bus, 0.0) for bus in waiting))
        kwh += rate * (0.5 * row["tripped_kw"] + 2.5 * (lost + row["isolated_kw"]))
    total = sum(customers.values())
    assert result.saifi_per_year == pytest.approx(times / total, rel=1e-9)
    assert result.saidi_h_per_year == pytest.approx(hours / total, rel=1e-9)
    assert result.not_supplied_kwh_per_year == pytest.approx(kwh, rel=1e-6, abs=1e-9)


def _served(
    grid: openpoint.Grid, result: object, row: dict[str, object], parts: tuple[frozenset[str], ...]
) -> set[str]:
    """Buses of the parts that the ties of a row feed."""
    ties = str(row["to_close"]).split()
    ends = grid.branches().filter(grid.branches()["name"].is_in(ties)).select("from_bus", "to_bus")
    touched = {bus for pair in ends.iter_rows() for bus in pair}
    return {bus for part in parts if part & touched for bus in part}


@pytest.mark.parametrize("name", ["mantovani136", "zhang118"])
def test_the_feeders_that_a_switching_changes_tell_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for large in (0, 10_000):
        monkeypatch.setattr(states, "LARGE", large)
        found.append(openpoint.secure(name).faults)
    assert_frame_equal(found[0], found[1], rel_tol=1e-9)
