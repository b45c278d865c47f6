"""LinDistFlow by hand; every exact flow is a point of DistFlow; ranges of flows against exact power flows."""

import dataclasses
import itertools
import math
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.formulations.distflow import DistFlow, distflow, voltage_bounds
from openpoint.formulations.flow_ranges import DrawnRanges, FlowBox, FlowRanges, current_bounds, flow_ranges
from openpoint.formulations.islands import CORNERS, lindistflow, nominal_demand, voltage_limits, voltage_upper_bound
from openpoint.network import Network, build_network
from openpoint.network.limits import at_kept_limits, greatest_series_currents
from openpoint.powerflow.balanced import Flows, solve
from openpoint.powerflow.state import AcState, ac_state
from openpoint.solvers.base import Status
from openpoint.solvers.highs import HighsModel
from openpoint.studies.reconfigure.model import RadialChoice, RadialProgram
from openpoint.twostage.recourse.compile import compile_model
from tests.builders.grids import DISPATCH, FIXED, PLAIN, RICH, Flavour, all_topologies, random_grid
from tests.builders.programs import Today, program_of, value_of
from tests.powerflow.small_networks import Branch, make_network, random_network


def flow_of(network: Network, closed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """w, p and q of a state by the model."""
    s = nominal_demand(network)
    most = float(np.abs(s.real).sum()), float(np.abs(s.imag).sum())
    state = cp.Constant(closed.astype(float))
    block = lindistflow(network, state, cp.Constant(s.real), cp.Constant(s.imag), most=most)
    form = compile_model(cp.Constant(0.0) * cp.sum(block.w), block.constraints)
    answer = HighsModel(form).solve(integral=False)
    if answer.status is not Status.OPTIMAL:
        return None
    return answer.x[form.of(block.w)], answer.x[form.of(block.p)], answer.x[form.of(block.q)]


@pytest.mark.parametrize("seed", range(5))
def test_a_tree_carries_what_lies_beyond_and_drops_by_the_law(seed: int) -> None:
    network = build_network(random_grid(seed, RICH))
    closed = all_topologies(network)[0]
    found = flow_of(network, closed)
    if found is None:  # a voltage beyond the usual limits
        return
    w, p, q = found
    s, fr, to = nominal_demand(network), network.terminal_fr, network.terminal_to
    np.testing.assert_allclose(p[~closed], 0.0, atol=1e-7)
    parent = solve(network, closed)  # energised from the sources: who lies beyond whom
    assert parent.energised[0].all()
    for e in np.flatnonzero(closed):
        rest = closed.copy()
        rest[e] = False
        fed = solve(network, rest).energised[0]
        beyond = s[~fed].sum()
        along = beyond if not fed[to[e]] else -beyond
        assert p[e] + 1j * q[e] == pytest.approx(along, abs=1e-6)
        law = w[fr[e]] / network.tap[e] ** 2 - w[to[e]]
        assert law == pytest.approx(2 * (network.r[e] * p[e] + network.x[e] * q[e]), abs=1e-6)
    np.testing.assert_allclose(w[network.source_terminal], np.abs(network.source_v) ** 2, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_its_voltages_are_exact_to_first_order_in_the_load(seed: int) -> None:
    """Halving the load divides the error of w by four, up to terms of higher order."""
    base = build_network(random_grid(seed, PLAIN))
    closed = all_topologies(base)[0]
    errors = []
    for share in (0.02, 0.01):
        network = dataclasses.replace(base, s_power=share * base.s_power)
        found = flow_of(network, closed)
        errors.append(np.max(np.abs(found[0] - np.abs(solve(network, closed).v[0]) ** 2)))
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05) or errors[0] < 1e-8


@pytest.mark.parametrize("seed", range(8))
def test_the_voltage_law_is_the_hull_of_open_and_closed(seed: int) -> None:
    """Any linear cost over state, voltages and drop is least at a branch that is open or closed.

    Theory: docs/methods.md M3.
    """
    rng = np.random.default_rng(seed)
    network = make_network(3, [Branch(1, 2, z=0.5 + 0.0j, tap=float(rng.uniform(0.95, 1.05)))], {0: 1.0})
    low, high = rng.uniform(0.8, 0.95, 3), rng.uniform(1.0, 1.2, 3)
    low[0] = high[0] = 1.0
    closed, load = cp.Variable(1), cp.Variable(3)
    block = lindistflow(network, closed, load, cp.Constant(np.zeros(3)), most=None, bounds=(low, high))
    c = rng.normal(size=4)
    cost = c[0] * closed[0] + c[1] * block.w[1] + c[2] * block.w[2] + c[3] * block.p[0]
    values = []
    for fixed in ([], [closed == 0], [closed == 1]):
        form = compile_model(cost, [*block.constraints, closed >= 0, closed <= 1, *fixed])
        values.append(HighsModel(form).solve(integral=False).value)
    assert values[0] == pytest.approx(min(values[1:]), abs=1e-6)


def test_a_rating_is_missed_by_at_most_the_polygon_on_the_safe_side() -> None:
    network = make_network(2, [Branch(0, 1, z=0.001 + 0.001j, i_max=0.5)], {0: 1.0})
    most = []
    for angle in np.linspace(0, 2 * math.pi, 96, endpoint=False):
        size = cp.Variable()
        direction = np.array([0.0, 1.0])
        load = (math.cos(angle) * size * direction, math.sin(angle) * size * direction)
        block = lindistflow(network, cp.Constant(np.ones(1)), *load, most=(1.0, 1.0))
        answer = HighsModel(compile_model(-size, block.constraints)).solve(integral=False)
        most.append(-answer.value / 0.5)
    assert max(most) == pytest.approx(1.0, abs=1e-6)
    assert min(most) == pytest.approx(math.cos(math.pi / CORNERS), abs=1e-6)
    assert min(most) > 1 - 0.0193
    assert most[0] == pytest.approx(1.0, abs=1e-6)  # a corner on the axis: active power alone is rated exactly


def test_powers_that_no_branch_carries_bound_it() -> None:
    network = make_network(2, [Branch(0, 1)], {0: 1.0})
    state, zero = cp.Constant(np.array([0.5])), cp.Constant(np.zeros(2))
    for share, status in ((0.49, Status.OPTIMAL), (0.51, Status.INFEASIBLE)):
        load = cp.Constant(np.array([0.0, share * 0.2]))
        block = lindistflow(network, state, load, zero, most=(0.2, 0.1))
        form = compile_model(cp.Constant(0.0) * cp.sum(block.w), block.constraints)
        assert HighsModel(form).solve(integral=False).status is status


def test_limits_are_those_of_the_buses_else_the_usual_ones() -> None:
    network = make_network(3, [Branch(0, 1), Branch(1, 2)], {0: 1.05})
    network = dataclasses.replace(network, w_min=np.array([0.0, 0.0, 0.9]), w_max=np.array([np.inf, np.inf, 1.1]))
    low, high = voltage_limits(network)
    np.testing.assert_allclose(low, [1.1025, 0.81, 0.9])
    np.testing.assert_allclose(high, [1.1025, 1.21, 1.1])


@pytest.mark.parametrize("seed", range(5))
def test_no_voltage_exceeds_its_upper_bound(seed: int) -> None:
    network = build_network(random_grid(seed, Flavour(buses=(3, 8), feed=True)))
    network = dataclasses.replace(
        network, w_min=np.full(network.n_terminals, 1e-6), w_max=np.full(network.n_terminals, 100.0)
    )
    s = nominal_demand(network)
    feed_p, feed_q = np.maximum(-s.real, 0).sum(), np.maximum(-s.imag, 0).sum()
    most = voltage_upper_bound(network, float(np.max(np.abs(network.source_v) ** 2)), feed_p, feed_q)
    for closed in itertools.islice(all_topologies(network), 10):
        if (found := flow_of(network, closed)) is not None:
            assert found[0].max() <= most + 1e-7


FLAVOURS = (*FIXED, DISPATCH)
SEEDS = range(4000, 4012)


def case(seed: int) -> tuple[RadialProgram, list[tuple[np.ndarray, AcState]]]:
    program = program_of(random_grid(seed, FLAVOURS[seed % len(FLAVOURS)]))
    rows = all_topologies(program.network)
    picked = np.random.default_rng(seed).permutation(len(rows))[:8]
    flows = [(rows[k], ac_state(program.network, rows[k])) for k in picked]
    return program, [(x, state) for x, state in flows if state is not None]


def put(network: Network, flow: DistFlow, closed: np.ndarray, state: AcState) -> None:
    """Give the variables of the model the values of an AC flow."""
    w, fr, to = np.abs(state.v) ** 2, network.terminal_fr, network.terminal_to
    w_fr, w_to = closed * w[fr] / network.tap**2, closed * w[to]
    flow.w.value, flow.w_fr.value, flow.w_to.value = w, w_fr, w_to
    flow.p.value = closed * (state.s_fr.real - network.g / 2 * w_fr)
    flow.q.value = closed * (state.s_fr.imag + network.b / 2 * w_fr)
    flow.l.value = np.divide(flow.p.value**2 + flow.q.value**2, w_fr, out=np.zeros_like(w_fr), where=w_fr > 0.0)
    if flow.s_gen is not None:
        flow.s_gen.value = np.array([state.generation.real, state.generation.imag])
    for variable in {v for c in flow.constraints for v in c.variables() if v.name() == "v"}:
        variable.value = np.abs(state.v)


def now(program: RadialProgram) -> cp.Constant:
    return cp.Constant(program.uncertainty.values[0])


def worst(constraints: list[cp.Constraint]) -> float:
    return max((float(np.max(c.violation(), initial=0.0)) for c in constraints), default=0.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_ac_flow_is_a_point_of_the_model(seed: int) -> None:
    """docs/methods.md M2."""
    program, flows = case(seed)
    network = program.network
    decision = cp.Variable(network.n_conductors)
    model = program.recourse(decision, now(program), limits=False)
    for closed, state in flows:
        if np.any(np.abs(state.v) ** 2 > voltage_bounds(network, limits=False)[1] + 1e-9):
            pytest.fail(f"the AC voltage leaves its bound at seed {seed}")
        decision.value = closed.astype(float)
        put(network, model, closed, state)
        s_gen = network.generator_s
        dispatched = np.all((s_gen.real >= network.p_min) & (s_gen.real <= network.p_max))
        assert worst(list(model.constraints)) < 1e-8 or not dispatched, seed
        for cone in model.cones:
            np.testing.assert_allclose(
                sum(u.value**2 for u in cone.u), cone.s.value * cone.t.value, atol=1e-9, rtol=1e-7
            )
        assert float(model.cost.value) == pytest.approx(state.loss * network.s_base_kva, rel=1e-7, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_tightens_cuts_off_no_ac_flow(seed: int) -> None:
    """Without incumbents it holds at every AC flow; with them at every one that is good enough to be an answer."""
    program, flows = case(seed)
    network = program.network
    for limits in (False, True):
        first: RadialChoice = program.first_stage(with_recourse=True)
        model = program.recourse(first.decision, now(program), limits=limits)
        starts = [value_of(program, x) for x in program.warm_starts()]
        most = min(starts, default=math.inf) if limits else math.inf
        more = program.valid_inequalities(first, model, program.uncertainty.values[0], most=most, limits=limits)
        for closed, state in flows:
            value = value_of(program, closed.astype(float))
            if limits and not (math.isfinite(value) and value <= most):
                continue
            first.decision.value = closed.astype(float)
            put(network, model, closed, state)
            _orient(program, first, closed)
            assert worst(list(more)) < 1e-8, (seed, limits)


def _orient(program: RadialProgram, first: RadialChoice, closed: np.ndarray) -> None:
    """Values of the arcs: away from the sources."""
    if first.arc_fr is None or first.arc_to is None:
        return
    choices = program.choices
    depth = {0: 0}
    arc_fr, arc_to = np.zeros(len(choices.free)), np.zeros(len(choices.free))
    while len(depth) < choices.n_blocks:
        for k, e in enumerate(choices.free):
            a, b = int(choices.fr[k]), int(choices.to[k])
            if closed[e] and (a in depth) != (b in depth):
                (arc_fr if a in depth else arc_to)[k] = 1.0
                depth[b if a in depth else a] = 1
    first.arc_fr.value, first.arc_to.value = arc_fr, arc_to


@pytest.mark.parametrize("seed", range(4100, 4104))
def test_the_cone_is_exact_where_loads_only_consume(seed: int) -> None:
    """Constant-power loads, no upper voltage limit: the optimum at a fixed tree is the AC power flow.

    Theory: docs/methods.md M2.
    """
    program = program_of(random_grid(seed, PLAIN))
    rows = all_topologies(program.network)
    sub = Today(program)
    for closed in rows[:6]:
        state = ac_state(program.network, closed)
        if state is None:
            continue
        response = sub.respond(closed.astype(float))
        assert response.value == pytest.approx(state.loss * program.network.s_base_kva, rel=1e-5, abs=1e-5)
        *_, l, w_fr = response.point[0]
        np.testing.assert_allclose(l, closed * np.abs(state.i) ** 2, atol=1e-5)
        np.testing.assert_allclose(w_fr, closed * np.abs(state.v[program.network.terminal_fr]) ** 2, atol=1e-5)


@pytest.mark.parametrize("seed", range(4200, 4204))
def test_the_cone_never_exceeds_the_exact_loss(seed: int) -> None:
    program, flows = case(seed)
    if len(program.network.generator_names):
        return
    sub = Today(program)
    for closed, state in flows:
        exact = value_of(program, closed.astype(float))
        response = sub.respond(closed.astype(float))
        if math.isfinite(exact):
            assert response.feasible
            assert response.value <= state.loss * program.network.s_base_kva * (1 + 1e-6) + 1e-6


def test_a_voltage_that_nothing_bounds_is_refused_with_the_way_out() -> None:
    from tests.powerflow.small_networks import Branch, make_network

    network = make_network(2, [Branch(0, 1, z=0.5 + 0.5j)], {0: 1.0}, impedance=[0.0, -1.5j])
    with pytest.raises(OptionError, match="upper voltage limits"):
        voltage_bounds(network, limits=True)


@pytest.mark.parametrize("seed", range(8))
def test_limits_of_current_are_those_of_both_ends(seed: int) -> None:
    """docs/methods.md M5."""
    rng = np.random.default_rng(seed)
    network = random_network(seed, 9, n_tie=3, ideal=False)
    network = replace(network, l_max=np.where(rng.random(network.n_conductors) < 0.7, rng.uniform(0.01, 0.3), np.inf))
    state = ac_state(network, network.closed)
    model = distflow(network, cp.Constant(network.closed.astype(float)), np.full(network.n_terminals, 2.0))
    put(network, model, network.closed, state)
    excess = state.i**2 / at_kept_limits(network).l_max - 1.0
    (current,) = [limit for limit in model.limits if limit.name == "current"]
    assert float(np.max(current.excess.value)) == pytest.approx(float(excess.max()), rel=1e-7)
    assert int((current.excess.value > 1e-9).sum()) >= int((excess > 1e-9).sum())
    wider = replace(network, l_max=network.l_max * (1.0 + max(float(excess.max()), 0.0)))
    most = greatest_series_currents(at_kept_limits(wider))
    assert (model.l.value <= most * (1.0 + 1e-9)).all()


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


@pytest.mark.parametrize("seed", range(4))
def test_every_flow_is_in_the_ranges_and_below_the_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = a_network(rng)
    n = network.n_terminals
    network, flows = sampled(rng, network, drawn := drawn_of(rng, n))
    w = np.full(n, 0.6), np.full(n, 1.3)
    w[0][0] = w[1][0] = 1.02**2
    ranges = flow_ranges(network, network.closed, drawn, w, (network.tap, network.tap))
    assert isinstance(ranges, FlowRanges)
    p, q, l, w_fr, w_to = at_branches(network, flows)
    rows = current_bounds(network, ranges)
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


def test_without_ranges_the_bound_is_the_current() -> None:
    network = a_network(np.random.default_rng(1))
    load = np.full(7, 0.1 + 0.05j)
    none = np.zeros(7, dtype=np.complex128)
    w = np.full(7, 0.6), np.full(7, 1.3)
    w[0][0] = w[1][0] = 1.02**2
    ranges = flow_ranges(
        network, network.closed, DrawnRanges(load, load, none, none, none, none), w, (network.tap, network.tap)
    )
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
def test_flows_in_a_box_are_below_its_bounds_and_others_are_cut_off(reactive: bool) -> None:
    rng = np.random.default_rng(20 + reactive)
    network = a_network(rng)
    network, flows = sampled(rng, network, drawn := drawn_of(rng, network.n_terminals))
    w = np.full(7, 0.6), np.full(7, 1.3)
    w[0][0] = w[1][0] = 1.02**2
    parts = at_branches(network, flows)
    point = np.concatenate(parts, axis=1)
    for branch in (0, 2, 4):
        whole = flow_ranges(network, network.closed, drawn, w, (network.tap, network.tap))
        to = bool(whole.at_to[whole.branch == branch][0])
        z = (network.x if reactive else network.r)[branch]
        at = parts[int(reactive)][:, branch]
        at = at - z * parts[2][:, branch] if to else -at
        middle = float(np.median(at))
        for low, high in ((-np.inf, middle), (middle, np.inf)):
            box = FlowBox(branch, reactive, low, high)
            ranges = flow_ranges(network, network.closed, drawn, w, (network.tap, network.tap), (box,))
            assert ranges is not None
            rows = current_bounds(network, ranges)
            holds = (rows.a @ point.T <= rows.b[:, None] + ROUNDING).all(axis=0)
            inside = (at >= low) & (at <= high)
            assert holds[inside].all()
            assert not holds[~inside].any()
