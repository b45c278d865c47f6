"""Enclosures: no exact flow of a set lies outside, bounds that are called exact are attained, sets are nested."""

from itertools import pairwise, product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint import Grid, InputError, OptionError
from openpoint.network import build_network
from openpoint.studies.enclose.result import EncloseResult
from tests.builders.grids import LIMITED_FEED, RICH, grids, random_grid
from tests.builders.phase_devices import feeder_with_devices
from tests.builders.phase_trees import phase_trees


def realised(grid: Grid, loads: np.ndarray, generators: np.ndarray) -> Grid:
    """The grid with its loads and generators times these factors."""

    def scaled(table: pl.DataFrame, by: np.ndarray) -> pl.DataFrame:
        factor = pl.Series(by, dtype=pl.Float64)
        return table.with_columns(table["p_kw"] * factor, table["q_kvar"] * factor)

    return grid.with_tables(loads=scaled(grid.loads, loads), generators=scaled(grid.generators, generators))


def refuse_outside(found: EncloseResult, realisation: Grid, near: float) -> None:
    """Compare voltages, currents, source powers and loss of an exact flow with the bounds; `near`: of its accuracy."""
    flow = openpoint.run_powerflow(realisation)
    keys = ["name", "phase"]
    buses = found.buses.join(flow.buses.select(*keys, "v_pu"), on=keys)
    assert buses.height == found.buses.height
    assert ((buses["v_pu"] >= buses["v_low_pu"] - near) & (buses["v_pu"] <= buses["v_high_pu"] + near)).all()
    flowing = flow.branches.filter(pl.col("closed")).select(*keys, i_now_a="i_a")
    branches = found.branches.join(flowing, on=keys).filter(pl.col("i_now_a").is_not_null())
    # OpenDSS grounds each winding by a millionth of its rating: currents of 0.4 mA where nothing is connected.
    slack = near * (1.0 + branches["i_high_a"].max())
    assert (branches["i_now_a"] <= branches["i_high_a"] + slack).all()
    assert (branches["i_now_a"] >= branches["i_low_a"] - slack).all()
    scale = near * (1.0 + abs(found.loss_high_kw) + found.sources["p_high_kw"].abs().sum())
    assert found.loss_low_kw - scale <= flow.loss_kw <= found.loss_high_kw + scale


@given(grids(LIMITED_FEED), st.integers(0, 10_000), st.sampled_from([0.05, 0.2, 0.5]))
@settings(max_examples=15, deadline=None)
def test_no_flow_of_a_random_grid_lies_outside(grid: Grid, seed: int, share: float) -> None:
    try:
        found = openpoint.enclose(grid, for_every={"load": share, "generation": share})
    except (InputError, OptionError):  # dark buses today, no flow, or a set that is too large
        return
    rng = np.random.default_rng(seed)
    for k in range(4):
        ends = rng.uniform(-1.0, 1.0, grid.loads.height + grid.generators.height)
        factor = 1.0 + share * (np.sign(ends) if k % 2 else ends)
        refuse_outside(found, realised(grid, factor[: grid.loads.height], factor[grid.loads.height :]), 1e-9)


@pytest.mark.parametrize("name", ["ieee13", "ieee37"])
def test_no_flow_of_an_unbalanced_feeder_lies_outside(name: str) -> None:
    """By OpenDSS, which ends at a change of 1e-9."""
    grid, rng = openpoint.read(name), np.random.default_rng(0)
    everywhere = [pl.lit(None, pl.Float64).alias(column) for column in ("v_min_pu", "v_max_pu")]
    grid = grid.with_tables(loads=grid.loads.with_columns(everywhere))  # their models hold at all voltages
    found = openpoint.enclose(grid, for_every="load=10%")
    for k in range(4):
        ends = rng.uniform(-1.0, 1.0, grid.loads.height)
        factor = 1.0 + 0.1 * (np.sign(ends) if k % 2 else ends)
        refuse_outside(found, realised(grid, factor, np.ones(grid.generators.height)), 1e-6)


def with_other_ohms(grid: Grid, rng: np.random.Generator, shares: tuple[float, float], *, ends: bool) -> Grid:
    """The grid with resistances and reactances anywhere within these shares, or at their `ends`."""

    def scaled(table: pl.DataFrame) -> pl.DataFrame:
        found = []
        for name, share in zip(("r_ohm", "x_ohm"), shares, strict=True):
            by = rng.uniform(-1.0, 1.0, table.height)
            by = 1.0 + share * (np.sign(by) if ends else by)
            if "open_end" in table.columns:  # where open at one end, what is drawn there stays as it is
                by = np.where((table["closed"] | (table["open_end"] == "both")).to_numpy(), by, 1.0)
            cells = [
                np.multiply(cell, k).tolist() if isinstance(cell, list) else cell * k
                for cell, k in zip(table[name].to_list(), by.tolist(), strict=True)
            ]
            found.append(pl.Series(name, cells, table[name].dtype))
        return table.with_columns(found)

    return grid.with_tables(lines=scaled(grid.lines), transformers=scaled(grid.transformers))


FLAVOURS = (LIMITED_FEED, RICH)


@given(st.sampled_from(FLAVOURS).flatmap(grids), st.integers(0, 10_000), st.sampled_from([(0.1, 0.0), (0.05, 0.1)]))
@settings(max_examples=15, deadline=None)
def test_no_flow_with_other_resistances_and_reactances_lies_outside(
    grid: Grid, seed: int, ohms: tuple[float, float]
) -> None:
    share = 0.1
    asked = {"load": share, "generation": share, "resistance": ohms[0], "reactance": ohms[1]}
    try:
        found = openpoint.enclose(grid, for_every=asked)
    except (InputError, OptionError):
        return
    rng = np.random.default_rng(seed)
    for k in range(4):
        ends = rng.uniform(-1.0, 1.0, grid.loads.height + grid.generators.height)
        factor = 1.0 + share * (np.sign(ends) if k % 2 else ends)
        here = realised(grid, factor[: grid.loads.height], factor[grid.loads.height :])
        refuse_outside(found, with_other_ohms(here, rng, ohms, ends=bool(k % 2)), 1e-9)


def test_a_note_says_that_lines_open_at_one_end_draw_what_they_do_today() -> None:
    grid = random_grid(974, LIMITED_FEED)
    (note,) = openpoint.enclose(grid, for_every="load=1%,reactance=10%").notes
    assert note.startswith("'e3', 'e4': where open at one end")
    assert not openpoint.enclose(grid, for_every="load=1%").notes


@pytest.mark.parametrize("name", ["ieee13", "ieee37"])
def test_no_flow_of_an_unbalanced_feeder_with_other_ohms_lies_outside(name: str) -> None:
    """By OpenDSS, which ends at a change of 1e-9."""
    grid, rng = openpoint.read(name), np.random.default_rng(0)
    everywhere = [pl.lit(None, pl.Float64).alias(column) for column in ("v_min_pu", "v_max_pu")]
    grid = grid.with_tables(loads=grid.loads.with_columns(everywhere))
    found = openpoint.enclose(grid, for_every="load=5%,resistance=10%,reactance=5%")
    for k in range(6):
        ends = rng.uniform(-1.0, 1.0, grid.loads.height)
        factor = 1.0 + 0.05 * (np.sign(ends) if k % 2 else ends)
        here = realised(grid, factor, np.ones(grid.generators.height))
        refuse_outside(found, with_other_ohms(here, rng, (0.1, 0.05), ends=bool(k % 2)), 1e-6)


@pytest.mark.parametrize("seed", range(1, 6))
def test_no_flow_of_a_random_unbalanced_grid_with_other_ohms_lies_outside(seed: int) -> None:
    """Wye and delta loads of all models, generators, capacitors, and in every third grid regulators; by OpenDSS."""
    grid = feeder_with_devices(seed) if seed % 3 == 0 else phase_trees(seed, generation=True)
    everywhere = [pl.lit(None, pl.Float64).alias(column) for column in ("v_min_pu", "v_max_pu")]
    grid, rng = grid.with_tables(loads=grid.loads.with_columns(everywhere)), np.random.default_rng(seed)
    found = openpoint.enclose(grid, for_every="load=10%,generation=30%,resistance=10%,reactance=5%")
    for k in range(4):
        ends = rng.uniform(-1.0, 1.0, grid.loads.height + grid.generators.height)
        ends = np.sign(ends) if k % 2 else ends
        here = realised(grid, 1.0 + 0.1 * ends[: grid.loads.height], 1.0 + 0.3 * ends[grid.loads.height :])
        refuse_outside(found, with_other_ohms(here, rng, (0.1, 0.05), ends=bool(k % 2)), 1e-6)


@pytest.mark.parametrize("name", ["baran33", "zhang118"])
def test_corners_with_other_ohms_are_exact_and_matrices_are_nearly_as_sharp(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At all ends together the flow is the bound, whatever is computed with matrices lies around it."""
    grid, asked = openpoint.read(name), "load=10%,resistance=5%,reactance=3%"
    found = openpoint.enclose(grid, for_every=asked)
    for sign in (-1.0, 1.0):
        loads = np.full(grid.loads.height, 1.0 + 0.1 * sign)
        lines = grid.lines.with_columns(pl.col("r_ohm") * (1.0 + 0.05 * sign), pl.col("x_ohm") * (1.0 + 0.03 * sign))
        flow = openpoint.run_powerflow(realised(grid, loads, np.ones(0)).with_tables(lines=lines))
        loss, v = ("loss_low_kw", "v_high_pu") if sign < 0.0 else ("loss_high_kw", "v_low_pu")
        assert getattr(found, loss) == pytest.approx(flow.loss_kw, rel=1e-9)
        assert np.allclose(found.buses[v].to_numpy(), flow.buses["v_pu"].to_numpy(), atol=1e-9)
    monkeypatch.setattr("openpoint.enclosure.grid.ends_of", lambda *_: None)
    other = openpoint.enclose(grid, for_every=asked)
    assert (other.buses["v_low_pu"] <= found.buses["v_low_pu"] + 1e-12).all()
    assert (other.branches["i_high_a"] >= found.branches["i_high_a"] - 1e-9).all()
    assert other.loss_low_kw <= found.loss_low_kw
    assert other.loss_high_kw >= found.loss_high_kw
    true, wide = (each.buses["v_high_pu"] - each.buses["v_low_pu"] for each in (found, other))
    assert ((wide / true).drop_nans() < 1.1).all()


@pytest.mark.parametrize("name", ["zhang118", "ieee13"])
def test_branches_alone_may_deviate(name: str) -> None:
    found = openpoint.enclose(name, for_every="resistance=2%")
    today = openpoint.run_powerflow(name)
    assert found.loss_low_kw < today.loss_kw < found.loss_high_kw
    assert found.loss_kw == pytest.approx(today.loss_kw, rel=1e-5)
    assert found.set_words == "resistance ±2 %"
    assert (found.buses["v_low_pu"] <= found.buses["v_pu"]).all()


def small() -> Grid:
    """The grid of Civanlar et al. with the loads of five buses alone, so that all vertices can be tried."""
    grid = openpoint.read("civanlar16")
    return grid.with_tables(loads=grid.loads.head(5))


def test_bounds_called_exact_are_those_of_all_vertices() -> None:
    grid, share = small(), 0.3
    found = openpoint.enclose(grid, for_every={"load": share})
    assert found.exact_percent > 80.0
    flows = [
        openpoint.run_powerflow(realised(grid, 1.0 + share * np.array(signs), np.ones(0))).buses["v_pu"].to_numpy()
        for signs in product((-1.0, 1.0), repeat=5)
    ]
    least, greatest = np.min(flows, axis=0), np.max(flows, axis=0)
    exact = found.buses["exact"].to_numpy()
    assert np.allclose(found.buses["v_low_pu"].to_numpy()[exact], least[exact], atol=1e-8)
    assert np.allclose(found.buses["v_high_pu"].to_numpy()[exact], greatest[exact], atol=1e-8)


def test_what_is_seen_lies_within_the_bounds_and_they_grow_with_the_set() -> None:
    sets = [{"budget": 0.0}, {"budget": 1.0}, {"budget": 5.0}, {}]
    found = [openpoint.enclose("baran33", for_every="load=20%", **each) for each in sets]  # type: ignore[arg-type]
    for each in found:
        for table, names in ((each.buses, "v_{}_pu"), (each.branches.filter(pl.col("closed")), "i_{}_a")):
            low, least, greatest, high = (table[names.format(part)] for part in ("low", "least", "greatest", "high"))
            near = 1e-9 * high.max()  # the error that exact flows are allowed
            assert ((low <= least + near) & (least <= greatest + near) & (greatest <= high + near)).all()
    today = openpoint.run_powerflow("baran33")
    assert found[0].loss_low_kw == pytest.approx(today.loss_kw, rel=1e-9) == found[0].loss_high_kw
    for inner, outer in pairwise(found):
        assert (outer.buses["v_low_pu"] <= inner.buses["v_low_pu"] + 1e-12).all()
        assert (outer.buses["v_high_pu"] >= inner.buses["v_high_pu"] - 1e-12).all()


def test_a_radius_one_percent_smaller_is_refused() -> None:
    """The radius of the polydisc that the map takes into itself is no larger than it must be."""
    from openpoint.enclosure import bounds
    from openpoint.enclosure.grid import bounds_of
    from openpoint.enclosure.ports import ports_of
    from openpoint.network.limits import Limits

    seen: list[tuple[np.ndarray, np.ndarray]] = []
    plain = bounds._refined

    def spied(flow, among, spread, first, rough):  # type: ignore[no-untyped-def]
        x0, x, d, _, t = rough

        def image(radius: np.ndarray) -> np.ndarray:
            return x0 + flow.norms @ flow.models.remainder(radius, d) + t

        seen.append((image(x) - x, image(0.99 * x) - 0.99 * x))
        return plain(flow, among, spread, first, rough)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "_refined", spied)
        grid = openpoint.read("baran33")
        network = Limits().applied(build_network(grid))
        bounds_of(grid, network, ports_of(grid, network, {"load": 0.2}), budget=31.0)
    ((inside, outside),) = seen
    assert (inside <= 0.0).all()
    assert (outside > 0.0).any()


@pytest.mark.parametrize(("name", "limit"), [("zhang118", 0.87), ("ieee37", 0.97)])
def test_the_witness_breaks_a_limit_in_an_exact_flow(name: str, limit: float) -> None:
    """In one phase by the sweep, in three by OpenDSS; each load stays within its share."""
    grid = openpoint.read(name)
    nothing = pl.lit(None, pl.Float64)
    loads = grid.loads.with_columns(v_min_pu=nothing, v_max_pu=nothing)
    strict = grid.with_tables(buses=grid.buses.with_columns(v_min_pu=pl.lit(limit)), loads=loads)
    found = openpoint.enclose(strict, for_every="load=10%")
    assert found.limits == "disproved"
    assert found.witness_limits
    assert found.witness_loads.height == found.deviations
    scale = (found.witness_loads["p_kw"] / found.witness_loads["p_today_kw"]).drop_nans().to_numpy()
    assert np.abs(scale - 1.0).max() == pytest.approx(0.1)
    assert "broken" in found.facts()


def test_a_set_too_large_is_refused_with_how_much_of_it_is_proven() -> None:
    with pytest.raises(OptionError, match=r"not proven that each realisation has a power flow; it is for \d+ %"):
        openpoint.enclose("baran33", for_every="load=900%")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"for_every": "sun=10%"}, "for_every names 'sun'"),
        ({"for_every": "load"}, "give load=10%"),
        ({"for_every": "load=x"}, "has 'x' for load"),
        ({"for_every": "load=-10%"}, "has '-10%' for load"),
        ({"for_every": "load=10%", "budget": -1.0}, "budget is -1"),
        ({"for_every": "sun=1", "budget": float("nan")}, "budget is nan"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        openpoint.enclose("baran33", **given)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_a_part_with_too_many_ports_is_said_to_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openpoint.enclosure.parts.MOST_PORTS", 10)
    with pytest.raises(OptionError, match="32 places with loads or generators"):
        openpoint.enclose("baran33", budget=3.0)


def test_the_current_of_a_shunt_at_a_source_counts() -> None:
    """A transformer between two sources: the losses of its core make the current at one end the larger."""
    tables = {
        "buses": [{"name": name, "vn_kv": 10.0} for name in "ab"],
        "sources": [{"name": f"s{bus}", "bus": bus, "v_pu": v} for bus, v in (("a", 1.0), ("b", 0.99))],
        "transformers": [
            {"name": "t", "from_bus": "a", "to_bus": "b", "vn_from_kv": 10.0, "vn_to_kv": 10.0}
            | {"r_ohm": 0.1, "x_ohm": 0.5, "g_us": 200.0, "b_us": -300.0}
        ],
        "loads": [{"name": "l", "bus": "b", "p_kw": 100.0, "q_kvar": 20.0}],
    }
    grid = Grid.from_tables("core", tables)
    found = openpoint.enclose(grid, for_every="load=0%").branches
    now = openpoint.run_powerflow(grid).branches
    assert found["i_a"].to_list() == pytest.approx(now["i_a"].to_list(), rel=1e-9)
    assert found["i_high_a"].to_list() == pytest.approx(now["i_a"].to_list(), rel=1e-9)
