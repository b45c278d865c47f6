"""The theorems of docs/every_load.md: the identity, the bounds of rounding in exact arithmetic, other power flows."""

from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint import Grid, InputError
from openpoint.arrays import Complexes, Floats
from openpoint.enclosure.bounds import Enclosure, first_order
from openpoint.enclosure.corners import corners_of
from openpoint.enclosure.flow import NoFlow, PortFlow
from openpoint.enclosure.grid import bounds_of
from openpoint.enclosure.parts import linear_part, part_of
from openpoint.enclosure.ports import ports_of
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import system_of
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.powerflow.balanced import solve
from tests.builders.grids import LIMITED_FEED, grids
from tests.enclosure.test_enclosure import realised
from tests.powerflow.oracles import power_grid_model_voltages


def flows_of(grid: Grid, share: float) -> list[tuple[PortFlow, Complexes, Floats, Floats]]:
    """Of each part: its flow, its deviations, and z and u0 of the ports."""
    network = Limits().applied(build_network(grid))
    ports = ports_of(grid, network, {"load": share, "generation": share})
    system = system_of(grid, network, ports)
    found = []
    for states, here, moving in system.parts(ports):
        linear = linear_part(system, ports, states, here)
        flow = linear.flow(ports)
        spread, _ = first_order(flow, ports.spread[here][:, moving])
        found.append((flow, spread, linear.z, linear.u0))
    return found


@given(grids(LIMITED_FEED), st.integers(0, 10_000))
@settings(max_examples=13, deadline=None)
def test_a_flow_is_the_linearised_one_at_a_shifted_deviation(grid: Grid, seed: int) -> None:
    """x = J (d − r(x)) for flows that sweeps of the port equations find, of loads of all models."""
    rng = np.random.default_rng(seed)
    try:
        parts = flows_of(grid, 0.5)
    except (InputError, NoFlow):
        return
    for flow, spread, z, u0 in parts:
        m, n = spread.shape
        d = spread @ rng.uniform(-1.0, 1.0, (n, 8))
        degree = flow.models.degree[:, None]
        x = np.zeros((m, 8), dtype=complex)
        for _ in range(500):
            drawn = (flow.s[:, None] + d) * np.abs(1.0 + x) ** degree
            u = u0[:, None] - z @ np.conj(drawn / (flow.u[:, None] * (1.0 + x)))
            x, last = u / flow.u[:, None] - 1.0, x
        if m and np.abs(x - last).max() < 1e-15:
            assert np.abs(x - flow.apply_jacobian(d - flow.models.value(x, d, flow.s))).max() <= 1e-13


def exact(values: Complexes) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(float(v.real)), Fraction(float(v.imag))) for v in values]


Exact = tuple[Fraction, Fraction]


def times(a: Exact, b: Exact) -> Exact:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def plus(*terms: Exact) -> Exact:
    return sum((t[0] for t in terms), Fraction(0)), sum((t[1] for t in terms), Fraction(0))


def minus(a: Exact) -> Exact:
    return -a[0], -a[1]


def conj(a: Exact) -> Exact:
    return a[0], -a[1]


def over(a: Exact, b: Exact) -> Exact:
    size = b[0] ** 2 + b[1] ** 2
    top = times(a, conj(b))
    return top[0] / size, top[1] / size


def modulus(a: Exact) -> Decimal:
    square = a[0] ** 2 + a[1] ** 2
    return (Decimal(square.numerator) / Decimal(square.denominator)).sqrt()


def test_bounds_of_rounding_hold_in_exact_arithmetic() -> None:
    """τ and Δ, and the map of the polydisc into itself, in fractions: impedances are the doubles of the network."""
    grid = openpoint.read("civanlar16")
    grid = grid.with_tables(loads=grid.loads.head(6))
    network = Limits().applied(build_network(grid))
    ports = ports_of(grid, network, {"load": 0.3})
    system = system_of(grid, network, ports)
    among = DeviationSet()
    for states, here, moving in system.parts(ports):
        known = part_of(ports, among, linear_part(system, ports, states, here), moving).known
        if len(here):
            check_exactly(known, path_impedances(network, ports.fr[here]), Fraction(1))


def path_impedances(network, terminals) -> list[list[Exact]]:  # type: ignore[no-untyped-def]
    """Sums of impedances that two terminals of a tree have in common on their ways from the source."""
    closed = np.flatnonzero(network.closed)
    ways = []
    for t in terminals:
        at, way, came = int(t), [], -1
        tree = {int(s): -1 for s in network.source_terminal}
        grown = True
        while grown:
            grown = False
            for e in closed:
                ends = network.terminal_fr[e], network.terminal_to[e]
                for a, b in (ends, ends[::-1]):
                    if int(a) in tree and int(b) not in tree:
                        tree[int(b)], grown = int(e), True
        while (came := tree[at]) >= 0:
            way.append(came)
            fr, to = int(network.terminal_fr[came]), int(network.terminal_to[came])
            parent = fr if tree[to] == came and to == at else to
            at = parent
        ways.append(set(way))
    z = exact(network.z.diagonal())
    return [[plus((Fraction(0), Fraction(0)), *(z[e] for e in a & b)) for b in ways] for a in ways]


def check_exactly(known: Enclosure, z: list[list[Exact]], u0: Fraction) -> None:
    flow, m = known.flow, len(known.x)
    u, s = exact(flow.u), exact(flow.s)
    columns = (flow.jacobian[:, :m], flow.jacobian[:, m:])
    j = [[exact(column[k]) for k in range(m)] for column in columns]  # of 1 and of i
    a = [[over(z[k][i], times(u[k], conj(u[i]))) for i in range(m)] for k in range(m)]
    current = [conj(over(s[k], u[k])) for k in range(m)]

    def jacobian(w: list[Exact]) -> list[Exact]:
        return [
            plus(
                *((w[i][0] * j[0][k][i][0], w[i][0] * j[0][k][i][1]) for i in range(m)),
                *((w[i][1] * j[1][k][i][0], w[i][1] * j[1][k][i][1]) for i in range(m)),
            )
            for k in range(m)
        ]

    with localcontext() as context:
        context.prec = 60
        off = [
            over(
                plus((u0, Fraction(0)), minus(u[k]), minus(plus(*(times(z[k][i], current[i]) for i in range(m))))), u[k]
            )
            for k in range(m)
        ]
        back = jacobian([times(s[k], off[k]) for k in range(m)])
        tau = [modulus(plus(off[k], minus(back[k]))) for k in range(m)]
        assert all(tau[k] <= Decimal(float(flow.loss[k])) for k in range(m))
        defect = [Decimal(0)] * m
        for i in range(m):
            for unit in ((Fraction(1), Fraction(0)), (Fraction(0), Fraction(1))):
                w = [unit if k == i else (Fraction(0), Fraction(0)) for k in range(m)]
                ac = [times(a[k][i], conj(unit)) for k in range(m)]
                first = jacobian(w)
                second = jacobian([times(s[k], ac[k]) for k in range(m)])
                for k in range(m):
                    defect[k] += modulus(plus(first[k], ac[k], minus(second[k])))
        assert all(defect[k] <= Decimal(float(flow.defect[k])) for k in range(m))

        def norm(k: int, i: int) -> Decimal:
            one, turned = j[0][k][i], times((Fraction(0), Fraction(1)), j[1][k][i])
            return (modulus(plus(one, minus(turned))) + modulus(plus(one, turned))) / 2

        norms = [[norm(k, i) for i in range(m)] for k in range(m)]
        corners = [[Fraction(sign) for sign in signs] for signs in product((-1, 1), repeat=known.spread.shape[1])]
        x0, d = ([greatest(exact(row), corners) for row in rows] for rows in (known.first, known.spread))
        x = [Decimal(float(v)) * Decimal("1.01") for v in known.x]
        size = [modulus(v) for v in s]
        r = [x[k] * (d[k] + size[k] * x[k]) / (1 - x[k]) for k in range(m)]
        reach = max(d[k] + r[k] + size[k] * x[k] for k in range(m))
        for k in range(m):
            moved = sum((norms[k][i] * r[i] for i in range(m)), Decimal(0))
            assert x0[k] + moved + tau[k] + defect[k] * reach <= x[k]


def greatest(row: list[Exact], corners: list[list[Fraction]]) -> Decimal:
    """The greatest modulus of an affine form over a box: it is at a vertex."""
    return max(modulus(plus(*((v[0] * c, v[1] * c) for v, c in zip(row, corner, strict=True)))) for corner in corners)


def test_flows_at_two_corners_lie_between_their_bounds_in_exact_arithmetic() -> None:
    """The squared currents of the least and of the greatest loads, as a fixed point in 40 digits."""
    network = build_network(openpoint.read("baran33"))
    corners = corners_of(network, ports_of(openpoint.read("baran33"), network, {"load": 0.25}))
    assert corners is not None
    order, above, edge = tree_of(network)
    with localcontext() as context:
        context.prec = 40
        r, x = ([Decimal(float(value)) for value in part] for part in (network.r, network.x))
        for corner, factor in ((0, Decimal("0.75")), (1, Decimal(1)), (2, Decimal("1.25"))):
            s = [(factor * Decimal(float(p)), factor * Decimal(float(q))) for p, q in real_pairs(network.s_power)]
            square = [Decimal(0)] * len(r)
            for _ in range(60):
                p, q = ([each[k] for each in s] for k in (0, 1))
                for t in order[:0:-1]:
                    e = edge[t]
                    p[above[t]] += p[t] + r[e] * square[e]
                    q[above[t]] += q[t] + x[e] * square[e]
                w = {order[0]: Decimal(1)}
                for t in order[1:]:
                    e = edge[t]
                    w[t] = w[above[t]] - 2 * (r[e] * p[t] + x[e] * q[t]) - (r[e] ** 2 + x[e] ** 2) * square[e]
                    square[e] = (p[t] ** 2 + q[t] ** 2) / w[t]
            found = [(corners.w[corner], [w[t] for t in range(len(w))]), (corners.current[corner], square)]
            found.append((corners.p[corner], [p[order[0]]]))
            for (low, high), true in found:
                assert all(Decimal(float(a)) <= b <= Decimal(float(c)) for a, b, c in zip(low, true, high, strict=True))
                assert np.allclose(low, high, rtol=1e-11, atol=1e-200)


def real_pairs(values: Complexes) -> list[tuple[float, float]]:
    return [(value.real, value.imag) for value in values]


def tree_of(network: Network) -> tuple[list[int], dict[int, int], dict[int, int]]:
    """Terminals in the order of their distance from the source, and of each the one before and the branch between."""
    order, above, edge = [int(network.source_terminal[0])], {}, {}
    for t in order:
        for e in np.flatnonzero(network.closed):
            for a, b in (
                (network.terminal_fr[e], network.terminal_to[e]),
                (network.terminal_to[e], network.terminal_fr[e]),
            ):
                if a == t and int(b) not in order:
                    order.append(int(b))
                    above[int(b)], edge[int(b)] = t, int(e)
    return order, above, edge


@pytest.mark.parametrize("name", ["baran33", "mantovani136"])
def test_two_corners_are_what_slopes_of_known_sign_give(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By sweeps and by matrices: both bounds are attained, but for rounding."""
    grid = openpoint.read(name)
    network = build_network(grid)
    ports = ports_of(grid, network, {"load": 0.25})
    ours = bounds_of(grid, network, ports)
    monkeypatch.setattr("openpoint.enclosure.grid.ends_of", lambda *_: None)
    theirs = bounds_of(grid, network, ports)
    for what in ("voltage", "current", "p", "q", "loss"):
        a, b = getattr(ours, what), getattr(theirs, what)
        for side in ("low", "middle", "high", "least", "greatest"):
            assert np.allclose(getattr(a, side), getattr(b, side), rtol=1e-7, atol=1e-9)
        assert (a.low >= b.low - 1e-12).all()
        assert (a.high <= b.high + 1e-12).all()
    assert (ours.heaviest == theirs.heaviest).all()


@pytest.mark.parametrize("change", ["infeed", "beyond zero", "loop", "shunt", "impedance"])
def test_two_corners_are_taken_only_where_they_hold(change: str) -> None:
    grid = openpoint.read("baran33")
    loads, lines, share = grid.loads, grid.lines, 0.25
    if change == "infeed":
        loads = loads.with_columns(q_kvar=pl.when(pl.int_range(pl.len()) == 3).then(-10.0).otherwise(pl.col("q_kvar")))
    elif change == "beyond zero":
        share = 1.5
    elif change == "loop":
        lines = lines.with_columns(closed=pl.lit(value=True))
    elif change == "shunt":
        lines = lines.with_columns(b_us=pl.lit(1.0))
    else:
        loads = loads.with_columns(model=pl.lit("impedance"))
    changed = grid.with_tables(loads=loads, lines=lines)
    network = build_network(changed)
    assert corners_of(network, ports_of(changed, network, {"load": share})) is None


def test_power_grid_model_agrees() -> None:
    """No voltage that power-grid-model finds for a realisation lies outside its bounds."""
    grid, rng = openpoint.read("zhang118"), np.random.default_rng(3)
    found = openpoint.enclose(grid, for_every="load=30%").buses
    low, high = found["v_low_pu"].to_numpy(), found["v_high_pu"].to_numpy()
    for k in range(6):
        ends = rng.uniform(-1.0, 1.0, grid.loads.height)
        factor = 1.0 + 0.3 * (np.sign(ends) if k % 2 else ends)
        network = build_network(realised(grid, factor, np.ones(grid.generators.height)))
        v = np.abs(power_grid_model_voltages(network, network.closed))
        assert ((v >= low - 1e-9) & (v <= high + 1e-9)).all()


def backward_feeder() -> Grid:
    """A radial feeder of 533 buses behind a reactance, with 513 loads and 19 generators, which feed in more."""
    buses = [{"name": f"b{k}", "vn_kv": 12.66} for k in range(533)]
    above = [0, *(k - 1 if k % 4 else k - 1 - k * k % min(k, 30) for k in range(1, 533))]
    ohms = [(0.0005, 3.0) if k == 1 else (0.01 + 0.002 * (k % 5), 0.01 + 0.001 * (k % 3)) for k in range(533)]
    lines = [
        {"name": f"l{k}", "from_bus": f"b{above[k]}", "to_bus": f"b{k}", "r_ohm": ohms[k][0], "x_ohm": ohms[k][1]}
        for k in range(1, 533)
    ]
    kw = [400.0 if k == 1 else 10.0 + k % 11 for k in range(533)]
    loads = [
        {"name": f"d{k}", "bus": f"b{k}", "p_kw": kw[k], "q_kvar": 0.4 * kw[k] * (k > 1)}
        for k in range(1, 533)
        if k % 28
    ]
    suns = [{"name": f"g{k}", "bus": f"b{k}", "p_kw": 540.0, "q_kvar": 0.0} for k in range(28, 533, 28)]
    sources = [{"name": "s", "bus": "b0", "v_pu": 1.0}]
    tables = {"buses": buses, "sources": sources, "lines": lines, "loads": loads, "generators": suns}
    return Grid.from_tables("backward", tables)


def test_corners_are_wrong_where_branches_carry_power_back() -> None:
    """A load raises a voltage and lowers a current; two corners bound no realisation, and enclosures bound them all."""
    grid = backward_feeder()
    network = Limits().applied(build_network(grid))
    ports = ports_of(grid, network, {"load": 0.25, "generation": 0.25})
    n = len(ports.names)
    assert (network.n_terminals, grid.generators.height, n) == (533, 19, 532)

    def flows(points: Floats) -> tuple[Floats, Floats, Floats]:
        """(K, q) voltages, currents and losses at (n, K) realisations."""
        found = solve(network, network.closed, s_power=np.stack([network.s_power + row for row in moved(points)]))
        assert found.converged.all()
        return np.abs(found.v), found.i_rated, found.loss[:, None]

    def moved(points: Floats) -> Complexes:
        added = np.zeros((points.shape[1], 533), dtype=np.complex128)
        added[:, ports.fr] = (ports.spread @ points).T
        return added

    one = np.zeros((n, 2))
    one[ports.names.index("loads d1"), 1] = 1.0
    v, i, _ = flows(one)
    near, ahead = (network.bus_names.index("b1"), network.branch_names.index("l1"))
    assert v[1, near] - v[0, near] > 1e-5
    assert i[1, ahead] - i[0, ahead] < -1e-3
    assert corners_of(network, ports) is None

    toward = np.where(np.asarray(ports.spread.sum(axis=0)).real >= 0.0, 1.0, -1.0)
    rng = np.random.default_rng(0)
    some = rng.uniform(-1.0, 1.0, (n, 500))
    some[:, ::2] = np.sign(some[:, ::2])
    bounds, beyond = bounds_of(grid, network, ports), []
    for corners, seen, known in zip(
        flows(np.stack([-toward, toward], axis=1)),
        flows(some),
        (bounds.voltage, bounds.current, bounds.loss),
        strict=True,
    ):
        assert ((seen >= known.low - 1e-9) & (seen <= known.high + 1e-9)).all()
        outside = (seen < corners.min(axis=0) - 1e-6) | (seen > corners.max(axis=0) + 1e-6)
        beyond.append(int(outside.any(axis=1).sum()))
    assert beyond[1] == 500  # some current of every realisation
    assert beyond[2] > 250  # and the losses of most
