"""Operating points over a set of loads, against power flows of the islands as grids of their own, at vertices."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Grid, HardenCosts, OptionError
from openpoint.studies.harden.result import HardenResult
from tests.builders.pages import render

KW = 100.0


@cache
def solved(seed: int, share: float) -> HardenResult:
    return openpoint.harden(
        "zhang13",
        disasters=f"storms:8,seed={seed}",
        max_lines=1,
        max_generators=2,
        value_of_information=False,
        costs=HardenCosts(generator_kw=KW),
        for_every={"load": share},
    )


def islands(found: HardenResult, disaster: str) -> Grid:
    """What is energised after a disaster as a grid: its sources are what forms islands, what is shed is no load."""
    grid = found.grid
    buses = found.buses.filter(pl.col("island") > 0, disaster=disaster)
    closed = found.branches.filter(disaster=disaster, state="closed")["name"].implode()
    live = buses["name"].implode()
    delivers = found.sources.filter(disaster=disaster)
    roots = delivers.filter("forms_grid").join(buses.select(bus="name", v="v_pu"), on="bus")
    sources = [{"name": f"root {bus}", "bus": bus, "v_pu": v} for bus, v in roots.select("bus", "v").iter_rows()]
    served = buses.select(bus="name", part=1.0 - pl.col("shed_kw") / pl.col("load_kw").clip(1e-9))
    loads = grid.loads.filter(pl.col("bus").is_in(live)).join(served, on="bus", maintain_order="left")
    cells = loads.select("name", "bus", pl.col("p_kw") * pl.col("part"), pl.col("q_kvar") * pl.col("part")).to_dicts()
    units = delivers.filter(~pl.col("forms_grid")).select("name", "bus", "p_kw", "q_kvar").to_dicts()
    lines = grid.lines.filter(pl.col("name").is_in(closed), pl.col("from_bus").is_in(live)).with_columns(closed=True)
    tables = {"buses": grid.buses.filter(pl.col("name").is_in(live)), "lines": lines, "loads": cells}
    return Grid.from_tables("islands", {**tables, "sources": sources, "generators": units})


def breaks(state: Grid, scale: np.ndarray) -> bool:
    """Whether limits, those of backup generators included, are broken where loads are as large by these factors."""
    factor = pl.Series(scale)
    flow = openpoint.run_powerflow(state.with_tables(loads=state.loads.with_columns(pl.col("p_kw", "q_kvar") * factor)))
    backups = flow.sources.filter(pl.col("bus") != "1")
    over = (backups["p_kw"] > KW * (1.0 + 1e-4)) | (backups["p_kw"] < -1e-3)
    roots = state.sources["bus"].to_list()
    return bool(over.any() or [each for each in flow.violations if each.place not in roots])


def vertices(count: int, share: float) -> Iterator[np.ndarray]:
    yield from (np.full(count, 1.0 + share), np.full(count, 1.0 - share))
    for signs in np.random.default_rng(1).choice((-1.0, 1.0), (20, count)):
        yield 1.0 + share * signs


@pytest.mark.parametrize(("seed", "share"), [(1, 0.05), (3, 0.3)])
def test_verdicts_agree_with_power_flows_of_the_islands(seed: int, share: float) -> None:
    found = solved(seed, share)
    words = found.disasters.filter(pl.col("for_every") != "")
    assert set(words["for_every"]) <= {"proved", "disproved"}
    assert sum(found.for_every_counts.values()) == words.height > 2
    for disaster, word, limit in words.select("disaster", "for_every", "for_every_limit").iter_rows():
        state = islands(found, disaster)
        if word == "proved":
            assert not limit
            assert not any(breaks(state, scale) for scale in vertices(state.loads.height, share))
        else:
            at = found.witnesses.filter(disaster=disaster)
            scale = at.select("name", scale=pl.col("p_kw") / pl.col("p_today_kw"))
            factors = state.loads.join(scale, on="name", how="left", maintain_order="left")["scale"].fill_nan(1.0)
            assert ((factors.drop_nulls() - 1.0).abs() <= share + 1e-9).all()
            assert limit
            assert breaks(state, factors.fill_null(1.0).to_numpy())


def test_both_verdicts_are_shown() -> None:
    found = solved(1, 0.05)
    counts = found.for_every_counts
    assert counts["proved"]
    assert counts["disproved"]
    assert found.document()["proved_count"] == counts["proved"]
    text = render(found)
    assert "For every load ±5 %" in text
    assert f"{counts['proved']} of {sum(counts.values())} proved" in text


def test_what_is_generated_stays_as_planned() -> None:
    with pytest.raises(OptionError, match="takes the load alone"):
        openpoint.harden("zhang13", any_lines=1, for_every="load=5%,generation=5%")
