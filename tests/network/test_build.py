"""Arrays of any phases: numbering, units, equations at voltages that OpenDSS finds; blocks by another road."""

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import InputError
from openpoint.grid import Grid
from openpoint.network import Network, build_network, load_shares
from openpoint.network.blocks import blocks, refuse_loops
from openpoint.network.load_shares import LoadShares
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.check import check_flow
from openpoint.powerflow.opendss import OpenDssCircuit
from tests.network.physics import missing_power
from tests.powerflow.small_networks import Branch, make_network

FEEDERS = ("ieee13", "ieee37", "ieee123")


def at_every_voltage(grid: Grid) -> Grid:
    """Loads without a band, and switches as lines: the reference divides by impedances."""
    none = pl.lit(None, dtype=pl.Float64)
    lines = [
        {**row, "r_ohm": _diagonal(1e-3, len(row["phases"])), "x_ohm": _diagonal(0.0, len(row["phases"]))}
        for row in grid.switches.iter_rows(named=True)
    ]
    more = Grid.from_tables("more", {"lines": lines}).lines
    return grid.with_tables(
        loads=grid.loads.with_columns(v_min_pu=none, v_max_pu=none),
        lines=pl.concat([grid.lines, more]),
        switches=grid.switches.clear(),
    )


def _diagonal(value: float, n: int) -> list[float]:
    return [value * (i == j) for i in range(n) for j in range(i + 1)]


@pytest.mark.parametrize("name", FEEDERS)
def test_the_equations_hold_at_the_voltages_of_opendss(name: str) -> None:
    """Nothing is missing at any terminal but those of the source: all is as `openpoint.network.arrays` says."""
    circuit = OpenDssCircuit(at_every_voltage(openpoint.read(name)))
    network, flows = circuit.network, circuit.solve()
    assert flows.converged.all()
    missing = missing_power(network, flows.v[0])
    held = np.isin(np.arange(network.n_terminals), network.source_terminal)
    # OpenDSS ties floating deltas to ground by some 1e-6 of the rating of their transformers.
    assert np.abs(missing[~held]).max() * network.s_base_kva / 3 < 2e-3
    at_source = missing[held].sum() * network.s_base_kva / 3
    assert at_source == pytest.approx(flows.source_kva[0].sum(), abs=1e-4)


@pytest.mark.parametrize("name", FEEDERS)
def test_a_radial_feeder_has_a_conductor_for_every_terminal_but_its_source(name: str) -> None:
    network = build_network(openpoint.read(name))
    assert network.closed.sum() == network.n_terminals - 3
    assert len(network.branch_connections) == len(network.branch_names) == len(network.branch_kinds)
    assert network.z.shape == (network.n_conductors, network.n_conductors)


def test_sources_hold_three_balanced_voltages() -> None:
    network = build_network(openpoint.read("ieee13"))
    assert [network.terminal_phase[t] for t in network.source_terminal] == ["a", "b", "c"]
    turn = 1.0001 * np.exp(1j * np.radians([30.0, -90.0, 150.0]))
    np.testing.assert_allclose(network.source_v, turn, rtol=1e-12)


def small(**changes: Any) -> Grid:
    """Two buses of 10 kV and three phases, a line, and a row each of load, capacitor and generator."""
    place = {"bus": "B", "phases": "abc", "connection": "delta"} | changes
    tables = {
        "buses": [{"name": n, "vn_kv": 10.0, "phases": "abc"} for n in "AB"],
        "lines": [{"name": "ab", "from_bus": "A", "to_bus": "B", "phases": "abc"} | LINE],
        "sources": [{"name": "grid", "bus": "A"}],
        "loads": [{"name": "l", "p_kw": 300.0, "q_kvar": 150.0} | place],
        "capacitors": [{"name": "c", "q_kvar": 60.0, "steps": 3, "steps_on": 2} | place],
        "generators": [{"name": "g", "p_kw": 30.0, "p_min_kw": 0.0, "p_max_kw": 90.0} | place],
    }
    return Grid.from_tables("small", tables)


LINE = {"r_ohm": [1.0, 0.1, 1.0, 0.1, 0.1, 1.0], "x_ohm": [2.0, 0.5, 2.0, 0.5, 0.5, 2.0]}
A, B, C = 3, 4, 5  # terminals of bus B


@pytest.mark.parametrize(
    ("phases", "pairs"),
    [("abc", [(A, B), (B, C), (C, A)]), ("ab", [(A, B)]), ("bc", [(B, C)]), ("ac", [(C, A)])],
)
def test_a_delta_lies_between_its_terminals(phases: str, pairs: list[tuple[int, int]]) -> None:
    network = build_network(small(phases=phases))
    delta = network.delta
    assert list(zip(delta.fr.tolist(), delta.to.tolist())) == pairs
    assert network.s_base_kva == 1000.0
    # Per unit of a third of the base, shared by the windings.
    each = 3.0 / 1000.0 / len(pairs)
    np.testing.assert_allclose(delta.s_power, np.full(len(pairs), (300 + 150j) * each))
    np.testing.assert_allclose(delta.s_impedance, np.full(len(pairs), -40j * each))
    assert not network.s_power.any()
    assert not network.s_impedance.any()
    assert list(zip(network.generator_terminal.tolist(), network.generator_return.tolist())) == pairs
    np.testing.assert_allclose(network.p_max, np.full(len(pairs), 90.0 * each))


@pytest.mark.parametrize(("phases", "at"), [("abc", [A, B, C]), ("bc", [B, C]), ("c", [C])])
def test_a_wye_draws_at_its_terminals(phases: str, at: list[int]) -> None:
    network = build_network(small(phases=phases, connection="wye"))
    expected = np.zeros(6, dtype=complex)
    expected[at] = (300 + 150j) * 3.0 / 1000.0 / len(at)
    np.testing.assert_allclose(network.s_power, expected)
    assert len(network.delta.fr) == 0
    assert network.generator_terminal.tolist() == at
    assert network.generator_return.tolist() == [-1] * len(at)


def test_impedance_of_a_line_is_a_block_per_unit() -> None:
    z = build_network(small()).z.toarray()
    expected = np.full((3, 3), 0.1 + 0.5j) + np.eye(3) * (0.9 + 1.5j)
    np.testing.assert_allclose(z, expected / (10.0**2 * 1000.0 / 1000.0), rtol=1e-12)


@pytest.mark.parametrize("name", [*FEEDERS, "baran33"])
def test_shares_of_the_loads_add_up_to_the_arrays(name: str) -> None:
    grid = openpoint.read(name)
    network, shares = build_network(grid), load_shares(grid)
    s = grid.loads["p_kw"].to_numpy() + 1j * grid.loads["q_kvar"].to_numpy()
    for model in ("power", "current", "impedance"):
        part = np.where(np.array(shares.p_models) == model, s.real, 0.0)
        part = part + 1j * np.where(np.array(shares.q_models) == model, s.imag, 0.0)
        delta, wye = without_capacitors(grid, shares, part)
        without = build_network(grid.with_tables(capacitors=grid.capacitors.clear()))
        np.testing.assert_allclose(wye, getattr(without, f"s_{model}"), atol=1e-12)
        np.testing.assert_allclose(delta, getattr(without.delta, f"s_{model}"), atol=1e-12)
    assert shares.names == tuple(grid.loads["name"])
    assert network.s_base_kva == without.s_base_kva


def without_capacitors(grid: Grid, shares: LoadShares, s: Any) -> tuple[Any, Any]:
    assert not grid.capacitors.filter(connection="delta").height
    return shares.delta @ s, shares.wye @ s


def test_an_open_delta_regulator_is_a_conductor_for_each_of_two_phases() -> None:
    """Windings ab and bc beside a jumper in b: they feed a and c, and b is their way back."""
    network = build_network(openpoint.read("ieee37"))
    names = [network.branch_names[network.conductor_branch[e]] for e in network.windings.conductor]
    assert names == ["reg1a", "reg1c"]
    assert [network.conductor_phase[e] for e in network.windings.conductor] == ["a", "c"]
    for ends, bus in ((network.windings.return_fr, "799r"), (network.windings.return_to, "799")):
        assert [network.bus_names[network.terminal_bus[t]] for t in ends] == [bus, bus]
        assert [network.terminal_phase[t] for t in ends] == ["b", "b"]


def test_ratings_are_limits_of_current() -> None:
    network = build_network(openpoint.read("ieee37"))
    rating = dict(openpoint.read("ieee37").transformers.select("name", "s_max_kva").iter_rows())
    amps = np.sqrt(network.l_max) * network.i_base_a
    for e, branch in enumerate(network.conductor_branch):
        name = network.branch_names[branch]
        if name == "xfm1":
            assert amps[e] == pytest.approx(rating[name] / (3**0.5 * 0.48))
        elif name in ("reg1a", "reg1c"):
            assert amps[e] == pytest.approx(rating[name] / 4.8)


@pytest.mark.parametrize("end", ["from", "to"])
def test_a_line_open_at_one_end_is_a_line_to_a_bus_of_its_own(end: str) -> None:
    """The same loss, voltages and balance as with a bus at the open end, which is the definition."""
    z = {"r_ohm": [12.0], "x_ohm": [15.0], "g_us": [20.0], "b_us": [900.0]}
    tables: dict[str, list[dict[str, Any]]] = {
        "buses": [{"name": name, "vn_kv": 20.0} for name in ("s", "a", "b")],
        "sources": [{"name": "grid", "bus": "s", "v_pu": 1.02}],
        "loads": [{"name": name, "bus": name, "p_kw": 700.0, "q_kvar": 300.0} for name in ("a", "b")],
        "lines": [
            {"name": "sa", "from_bus": "s", "to_bus": "a", "r_ohm": [2.0], "x_ohm": [3.0]},
            {"name": "bs", "from_bus": "b", "to_bus": "s", "r_ohm": [2.0], "x_ohm": [3.0]},
        ],
    }
    tie = {"name": "ab", "from_bus": "a", "to_bus": "b", "closed": False, "open_end": end}
    hanging = build_network(Grid.from_tables("one", tables | {"lines": [*tables["lines"], tie | z]}))
    stub = {"name": "ab", "closed": True, "from_bus": "a" if end == "to" else "b", "to_bus": "end"}
    whole = {"buses": [*tables["buses"], {"name": "end", "vn_kv": 20.0}], "lines": [*tables["lines"], stub | z]}
    explicit = build_network(Grid.from_tables("two", tables | whole))
    found, expected = solve(hanging, hanging.closed), solve(explicit, explicit.closed)
    assert found.loss[0] == pytest.approx(expected.loss[0], rel=1e-12)
    np.testing.assert_allclose(found.v[0], expected.v[0, :3], rtol=1e-12)
    assert (found.s_fr + found.s_to)[0, 2] == pytest.approx((expected.s_fr + expected.s_to)[0, 2], rel=1e-9)
    assert abs(expected.v[0, 3]) > abs(found.v[0, 1 if end == "to" else 2])  # the voltage rises towards the open end
    check = check_flow(hanging, hanging.closed, found.v[0])
    assert check.max_mismatch < 1e-12
    assert check.loss == pytest.approx(found.loss[0], rel=1e-12)
    assert solve(hanging.dead_when_open(), hanging.closed).loss[0] != pytest.approx(found.loss[0], rel=1e-3)


def reach(network: Network, bus: int) -> set[int]:
    """Buses that fixed closed branches join to a bus."""
    found, ahead = {bus}, [bus]
    while ahead:
        here = ahead.pop()
        for e in range(network.n_conductors):
            ends = {
                int(network.terminal_bus[network.terminal_fr[e]]),
                int(network.terminal_bus[network.terminal_to[e]]),
            }
            if network.closed[e] and not network.switchable[e] and here in ends:
                ahead += sorted(ends - found)
                found |= ends
    return found


@settings(max_examples=13, deadline=None)
@given(st.integers(2, 8), st.data())
def test_blocks_are_what_fixed_branches_join(n: int, data: st.DataObject) -> None:
    branches = []
    for i in range(1, n):  # a tree, so that no block has a loop
        switchable, closed = data.draw(st.booleans()), data.draw(st.booleans())
        branches.append(Branch(data.draw(st.integers(0, i - 1)), i, switchable=switchable, closed=closed))
    extra = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=3))
    branches += [Branch(a, b, closed=data.draw(st.booleans())) for a, b in extra if a != b]
    network = make_network(n, branches, {0: 1.0 + 0j})
    found = blocks(network)
    for bus in range(n):
        assert set(np.flatnonzero(found.of_bus == found.of_bus[bus])) == reach(network, bus)
    assert list(found.switches) == [k for k, branch in enumerate(branches) if branch.switchable]
    for s, a, b in zip(found.switches, found.fr, found.to):
        assert (a, b) == (found.of_bus[branches[s].fr], found.of_bus[branches[s].to])
    assert list(np.flatnonzero(found.lost)) == [found.of_bus[0]]
    assert [found.names[b] for b in sorted(set(found.of_bus))] == list(found.names)


def test_microgrids_have_seven_blocks_and_that_of_the_substation() -> None:
    network = build_network(openpoint.read("ieee37-microgrids"))
    found = blocks(network)
    assert (found.count, found.lost.sum(), len(found.switches)) == (8, 1, 10)
    assert sorted(np.bincount(found.of_bus).tolist()) == [1, 3, 3, 4, 4, 6, 7, 9]
    assert len(np.unique(found.islands(np.zeros(10, dtype=bool)))) == 8


def test_a_switch_feeds_only_blocks_whose_phases_it_has() -> None:
    network = build_network(openpoint.read("ieee13-microgrids"))
    cut = blocks(network)
    names = [network.branch_names[k] for k in cut.switches]
    only = {name: (bool(a), bool(b)) for name, a, b in zip(names, cut.ahead, cut.back) if not (a and b)}
    # The laterals of two phases cannot feed the feeder of three, nor each other along one.
    assert only == {"632645": (True, False), "671684": (True, False), "t646-611": (False, False)}


def test_three_phases_joined_by_lone_units_are_no_loop() -> None:
    assert blocks(build_network(openpoint.read("ieee13"))).count == 2  # three regulators side by side
    assert blocks(build_network(openpoint.read("ieee37"))).count == 1  # an open delta


def test_a_loop_that_nobody_can_open_is_refused() -> None:
    ring = [Branch(0, 1, switchable=False), Branch(1, 2, switchable=False), Branch(2, 0, switchable=False)]
    network = make_network(3, ring, {0: 1.0 + 0j})
    with pytest.raises(InputError, match="loop within a block"):
        refuse_loops(network)
    opened = np.array([True, True, False])
    assert blocks(dataclasses.replace(network, closed=opened)).count == 1
