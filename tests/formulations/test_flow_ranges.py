"""Ranges of the flow of a radial state, and ceilings of squared currents, against exact power flows within them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from openpoint.arrays import Floats
from openpoint.formulations.flow_ranges import DrawnRanges, FlowBox, FlowRanges, ceiling, flow_ranges
from openpoint.network import Network
from openpoint.powerflow.balanced import Flows, solve
from tests.powerflow.small_networks import Branch, make_network

SAMPLES = 200
ROUNDING = 1e-9


def a_network(rng: np.random.Generator) -> Network:
    """A tree of 7 buses with lines in both directions, charging, a transformer and a line open at one end."""
    ends = [(int(rng.integers(max(0, bus - 3), bus)), bus) for bus in range(1, 7)]
    branches = [
        Branch(
            *(ends[k] if rng.random() < 0.5 else ends[k][::-1]),
            complex(rng.uniform(0.005, 0.03), rng.uniform(0.003, 0.02)),
            y=complex(0.001, 0.01) * rng.random(),
            tap=float(rng.choice([1.0, 0.97])),
        )
        for k in range(6)
    ]
    tie = Branch(3, 6, 0.02 + 0.01j, y=0.02j, closed=False)
    network = make_network(7, [*branches, tie], {0: 1.02 + 0.0j}, power=np.zeros(7, dtype=np.complex128))
    hanging = np.zeros(7, dtype=np.complex128)
    hanging[6] = 0.01j
    return replace(network, y_open_fr=hanging)


def drawn_of(rng: np.random.Generator, n: int) -> DrawnRanges:
    low = rng.uniform(-0.3, 0.1, n) + 1j * rng.uniform(-0.2, 0.05, n)
    steady = rng.uniform(0.0, 0.05, n) + 1j * rng.uniform(-0.1, 0.05, n)
    high = low + rng.uniform(0.0, 0.3, n) + 1j * rng.uniform(0.0, 0.2, n)
    moved = 0.05 * (rng.random(n) + 1j * rng.random(n))
    current = 0.03 * rng.standard_normal(n) * (1.0 + 0.5j)
    return DrawnRanges(low, high, current, steady, steady + 0.05j, moved)


def sampled(rng: np.random.Generator, network: Network, drawn: DrawnRanges) -> tuple[Network, Flows]:
    """Exact flows somewhere in the ranges, half of what is drawn at an end of its range."""
    shape = SAMPLES, network.n_terminals

    def share() -> Floats:
        return np.where(rng.random(shape) < 0.5, rng.random(shape).round(), rng.random(shape))

    size = drawn.high - drawn.low
    power = drawn.low + share() * size.real + 1j * share() * size.imag
    parts = []
    for most in (drawn.moved.real, drawn.moved.imag):
        moved = rng.choice([-1.0, 1.0], shape) * most
        moved -= most * moved.sum(axis=1, keepdims=True) / most.sum()
        parts.append(moved * np.minimum(1.0, (most / np.maximum(np.abs(moved), 1e-12)).min(axis=1, keepdims=True)))
    steady = drawn.impedance_low + 1j * share() * (drawn.impedance_high - drawn.impedance_low).imag
    current = np.broadcast_to(drawn.current, shape)
    flows = solve(
        network, network.closed, s_power=power + parts[0] + 1j * parts[1], s_current=current, s_impedance=steady
    )
    assert flows.converged.all()
    return network, flows


def at_branches(network: Network, flows: Flows) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """(K, E) p, q, l, w_fr, w_to of the formulation; 0 at open branches."""
    closed = network.closed
    w = np.abs(flows.v) ** 2
    inner = flows.v[:, network.terminal_fr] / network.tap
    s = inner * np.conj(flows.i_series)
    parts = s.real, s.imag, np.abs(flows.i_series) ** 2, np.abs(inner) ** 2, w[:, network.terminal_to]
    return tuple(np.where(closed, part, 0.0) for part in parts)  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(8))
def test_every_flow_is_in_the_ranges_and_below_the_ceilings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = a_network(rng)
    n = network.n_terminals
    network, flows = sampled(rng, network, drawn := drawn_of(rng, n))
    w = np.full(n, 0.6), np.full(n, 1.3)
    w[0][0] = w[1][0] = 1.02**2
    ranges = flow_ranges(network, network.closed, drawn, w, (network.tap, network.tap))
    assert isinstance(ranges, FlowRanges)
    p, q, l, w_fr, w_to = at_branches(network, flows)
    rows = ceiling(network, ranges)
    assert (rows.a @ np.concatenate([p, q, l, w_fr, w_to], axis=1).T <= rows.b[:, None] + ROUNDING).all()
    e, to = ranges.branch, ranges.at_to
    lower_end = (
        (np.where(to, p[:, e] - network.r[e] * l[:, e], -p[:, e]), ranges.p),
        (np.where(to, q[:, e] - network.x[e] * l[:, e], -q[:, e]), ranges.q),
        (np.where(to, w_to[:, e], w_fr[:, e]), ranges.w),
        (l[:, e], ranges.l),
    )
    for values, (low, high) in lower_end:
        assert (values >= low - ROUNDING).all()
        assert (values <= high + ROUNDING).all()
        assert (high - low < 2.5).all()


def test_without_ranges_the_ceiling_is_the_current() -> None:
    network = a_network(np.random.default_rng(1))
    load = np.full(7, 0.1 + 0.05j)
    none = np.zeros(7, dtype=np.complex128)
    w = np.full(7, 0.6), np.full(7, 1.3)
    w[0][0] = w[1][0] = 1.02**2
    ranges = flow_ranges(
        network, network.closed, DrawnRanges(load, load, none, none, none, none), w, (network.tap, network.tap)
    )
    assert ranges is not None
    flows = solve(network, network.closed, s_power=load[None, :])
    l = np.abs(flows.i_series[0, ranges.branch]) ** 2
    assert ranges.l[1] == pytest.approx(l, rel=1e-3)
    assert ranges.l[0] == pytest.approx(l, rel=1e-3)


def test_a_loop_and_voltages_without_a_lower_bound_have_no_ranges() -> None:
    network = a_network(np.random.default_rng(2))
    none = np.zeros(7, dtype=np.complex128)
    drawn, taps, w = DrawnRanges(*[none] * 6), (network.tap, network.tap), (np.full(7, 0.6), np.full(7, 1.3))
    assert flow_ranges(network, np.ones_like(network.closed), drawn, w, taps) is None
    assert flow_ranges(network, network.closed, drawn, (np.zeros(7), w[1]), taps) is None


@pytest.mark.parametrize("reactive", [False, True])
def test_flows_in_a_box_are_below_its_ceilings_and_others_are_cut_off(reactive: bool) -> None:
    rng = np.random.default_rng(20 + reactive)
    network = a_network(rng)
    network, flows = sampled(rng, network, drawn := drawn_of(rng, network.n_terminals))
    w = np.full(7, 0.6), np.full(7, 1.3)
    w[0][0] = w[1][0] = 1.02**2
    parts = at_branches(network, flows)
    point = np.concatenate(parts, axis=1)
    for branch in (0, 2, 4):
        whole = flow_ranges(network, network.closed, drawn, w, (network.tap, network.tap))
        assert whole is not None
        to = bool(whole.at_to[whole.branch == branch][0])
        z = (network.x if reactive else network.r)[branch]
        at = parts[int(reactive)][:, branch]
        at = at - z * parts[2][:, branch] if to else -at
        middle = float(np.median(at))
        for low, high in ((-np.inf, middle), (middle, np.inf)):
            box = FlowBox(branch, reactive, low, high)
            ranges = flow_ranges(network, network.closed, drawn, w, (network.tap, network.tap), (box,))
            assert ranges is not None
            rows = ceiling(network, ranges)
            holds = (rows.a @ point.T <= rows.b[:, None] + ROUNDING).all(axis=0)
            inside = (at >= low) & (at <= high)
            assert holds[inside].all()
            assert not holds[~inside].any()
