"""Layouts: every bus has its own place, the same one every time, and lines of the tree never cross."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.arrays import Floats
from openpoint.grid.grid import Grid
from openpoint.report.grids import grid_frame, is_wide
from openpoint.report.layout.feeders import ends, source_buses, spanning_forest
from openpoint.report.layout.place import Layout, compute_layout, shorten, symbol_spots


def random_grid(n: int, n_ties: int, seed: int, sources: int = 1) -> Grid:
    """A random near-radial grid: mostly long feeders, some laterals, some ties."""
    rng = np.random.default_rng(seed)
    pairs = [(i - 1 if rng.random() < 0.7 and i > sources else int(rng.integers(0, i)), i) for i in range(sources, n)]
    closed = [True] * len(pairs)
    if n > 1:
        pairs += [tuple(int(k) for k in rng.choice(n, 2, replace=False)) for _ in range(n_ties)]
        closed += [False] * n_ties
    return Grid.from_tables(
        "random",
        {
            "buses": {"name": [f"b{i}" for i in range(n)], "vn_kv": [10.0] * n},
            "lines": [
                {"name": f"l{k}", "from_bus": f"b{a}", "to_bus": f"b{b}", "r_ohm": 0.1, "x_ohm": 0.1, "closed": c}
                for k, ((a, b), c) in enumerate(zip(pairs, closed, strict=True))
            ],
            "sources": {"name": [f"s{i}" for i in range(sources)], "bus": [f"b{i}" for i in range(sources)]},
        },
    )


def sane(grid: Grid, layout: Layout) -> None:
    """What every layout promises."""
    assert layout.xy.shape == (grid.buses.height, 2)
    assert np.isfinite(layout.xy).all()
    assert len(np.unique(layout.xy.round(9), axis=0)) == grid.buses.height
    assert len(layout.ways) == grid.branches().height
    for (a, b), way in zip(ends(grid), layout.ways, strict=True):
        assert np.isfinite(way).all()
        np.testing.assert_allclose(way[0], layout.xy[a], atol=1e-9)
        np.testing.assert_allclose(way[-1], layout.xy[b], atol=1e-9)


def crossings(ways: list[Floats]) -> int:
    """Proper crossings of straight pieces of different ways."""
    pieces = [(k, p, q) for k, way in enumerate(ways) for p, q in pairwise(way)]

    def turn(a: Floats, b: Floats, c: Floats) -> float:
        value = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        return float(np.sign(value)) if abs(value) > 1e-9 else 0.0

    return sum(
        turn(p, q, r) * turn(p, q, s) < 0 and turn(r, s, p) * turn(r, s, q) < 0
        for i, (k, p, q) in enumerate(pieces)
        for m, r, s in pieces[i + 1 :]
        if k != m
    )


@settings(max_examples=13, deadline=None)
@given(n=st.integers(1, 40), n_ties=st.integers(0, 6), seed=st.integers(0, 10**6), sources=st.integers(1, 3))
def test_every_grid_gets_a_sane_schematic_whose_tree_does_not_cross(
    n: int, n_ties: int, seed: int, sources: int
) -> None:
    grid = random_grid(max(n, sources), n_ties, seed, sources)
    layout = compute_layout(grid)
    sane(grid, layout)
    tree = [way for way, closed in zip(layout.ways, grid.branches()["closed"], strict=True) if closed]
    assert crossings(tree) == 0


def test_the_same_grid_gives_the_same_layout() -> None:
    first, second = (compute_layout(random_grid(60, 8, 3)) for _ in range(2))
    assert np.array_equal(first.xy, second.xy)
    assert all(np.array_equal(a, b) for a, b in zip(first.ways, second.ways, strict=True))


def test_columns_of_a_schematic_count_branches_to_the_source() -> None:
    grid = random_grid(50, 5, 7)
    forest = spanning_forest(50, ends(grid), source_buses(grid), grid.branches()["closed"].to_list())
    assert compute_layout(grid).xy[:, 0].tolist() == list(forest.hops)


def test_a_feeder_without_laterals_is_a_straight_line() -> None:
    n = 12
    grid = Grid.from_tables(
        "feeder",
        {
            "buses": {"name": [f"b{i}" for i in range(n)], "vn_kv": [10.0] * n},
            "lines": [
                {"name": f"l{i}", "from_bus": f"b{i}", "to_bus": f"b{i + 1}", "r_ohm": 1.0, "x_ohm": 1.0}
                for i in range(n - 1)
            ],
            "sources": {"name": ["s"], "bus": ["b0"]},
        },
    )
    assert compute_layout(grid).xy.tolist() == [[float(i), 0.0] for i in range(n)]


def test_coordinates_of_the_grid_are_kept_and_missing_ones_lie_between_neighbours(
    make_grid: Callable[..., Grid],
) -> None:
    grid = make_grid(places=True)
    grid = grid.with_tables(buses=grid.buses.with_columns(pl.col("x") + 500.0))  # no degrees
    layout = compute_layout(grid)
    assert layout.is_map
    assert layout.xy[:5].tolist() == [[500.0, 0.0], [501.0, 1.0], [502.0, 1.0], [502.0, 0.0], [501.0, -1.0]]
    assert layout.xy[5].tolist() == [501.5, -0.5]  # between c and d
    sane(grid, layout)


@pytest.mark.parametrize("longer", [1.0, 3.0])
def test_a_map_has_the_same_frame_in_any_unit(longer: float, make_grid: Callable[..., Grid]) -> None:
    """As in metres, so in degrees, of which a feeder takes a few hundredths."""
    grid = make_grid(places=True)
    frames = []
    for unit in (1.0, 0.01, 1000.0):
        places = grid.buses.with_columns(x=pl.col("x") * unit * longer, y=pl.col("y") * unit)
        layout = compute_layout(grid.with_tables(buses=places))
        assert layout.is_map
        assert is_wide(layout) == (longer == 3.0)
        frame = grid_frame(layout, 800.0)
        frames.append([frame.height, *(scale * unit for scale in frame.scale), frame.fine])
    assert frames[1] == pytest.approx(frames[0], rel=0.01)  # degrees are narrower by the latitude
    assert frames[2] == pytest.approx(frames[0], rel=0.01)


@pytest.mark.parametrize("spots", [2, 6])
def test_buses_on_one_spot_are_drawn_apart(spots: int, make_grid: Callable[..., Grid]) -> None:
    grid = make_grid(places=True)
    x, y = ([*grid.buses[c][: 6 - spots], *[2.0] * spots] for c in ("x", "y"))
    grid = grid.with_tables(buses=grid.buses.with_columns(x=pl.Series(x), y=pl.Series(y)))
    layout = compute_layout(grid)
    # One spot for all says nothing: then a schematic is drawn.
    assert layout.is_map == (spots == 2)
    sane(grid, layout)


def test_parallel_branches_and_buses_without_a_source_have_ways_of_their_own() -> None:
    grid = Grid.from_tables(
        "odd",
        {
            "buses": {"name": list("abcd"), "vn_kv": [10.0] * 4},
            "lines": [
                {"name": name, "from_bus": a, "to_bus": b, "r_ohm": 1.0, "x_ohm": 1.0, "closed": closed}
                for name, a, b, closed in (("1", "a", "b", True), ("2", "a", "b", True), ("3", "c", "d", True))
            ],
            "sources": {"name": ["s"], "bus": ["a"]},
        },
    )
    layout = compute_layout(grid)
    sane(grid, layout)
    assert not np.array_equal(layout.ways[0], layout.ways[1])


def test_a_grid_without_buses_has_an_empty_layout() -> None:
    layout = compute_layout(Grid.from_tables("empty", {}))
    assert layout.xy.shape == (0, 2)
    assert layout.ways == ()
    assert layout.extent == (0.0, 0.0, 0.0, 0.0)


def test_symbols_sit_on_their_branch_away_from_crossings(make_grid: Callable[..., Grid]) -> None:
    layout = compute_layout(make_grid())
    spots = symbol_spots(layout, range(6), (0.5, 0.5))
    for e, spot in spots.items():
        way = layout.ways[e]
        steps = [np.linspace(p, q, 201) for p, q in pairwise(way)]
        assert np.hypot(*(np.concatenate(steps) - spot).T).min() < 0.01
        assert np.hypot(*(layout.xy - spot).T).min() > 0.15


@pytest.mark.parametrize(
    ("name", "short"), [("abc", "abc"), ("x" * 14, "x" * 14), ("feeder-north-17", "feeder-…rth-17")]
)
def test_long_names_lose_their_middle(name: str, short: str) -> None:
    assert shorten(name) == short
    assert len(shorten(name)) <= 14
