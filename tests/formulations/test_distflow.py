"""DistFlow: every exact AC flow is a point of the model, within its bounds, and what tightens it cuts none off."""

from __future__ import annotations

import math
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.formulations.distflow import DistFlow, distflow, voltage_bounds
from openpoint.network import Network
from openpoint.network.kept import at_kept_limits
from openpoint.network.ratings import greatest_series_currents
from openpoint.powerflow.state import AcState, ac_state
from openpoint.studies.reconfigure.model import RadialChoice, RadialProgram
from tests.builders.grids import DISPATCH, FIXED, PLAIN, all_topologies, random_grid
from tests.builders.programs import Today, program_of, value_of
from tests.powerflow.small_networks import random_network

FLAVOURS = (*FIXED, DISPATCH)
SEEDS = range(4000, 4030)


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


@pytest.mark.parametrize("seed", range(4100, 4115))
def test_the_cone_is_exact_where_loads_only_consume(seed: int) -> None:
    """Constant-power loads, no upper voltage limit: the optimum at a fixed tree is the AC power flow."""
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


@pytest.mark.parametrize("seed", range(4200, 4215))
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


@pytest.mark.parametrize("seed", range(30))
def test_limits_of_current_are_those_of_both_ends(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(seed, 9, n_tie=3, ideal=False)
    network = replace(network, l_max=np.where(rng.random(network.n_conductors) < 0.7, rng.uniform(0.01, 0.3), np.inf))
    state = ac_state(network, network.closed)
    assert state is not None
    model = distflow(network, cp.Constant(network.closed.astype(float)), np.full(network.n_terminals, 2.0))
    put(network, model, network.closed, state)
    excess = state.i**2 / at_kept_limits(network).l_max - 1.0
    (current,) = [limit for limit in model.limits if limit.name == "current"]
    assert float(np.max(current.excess.value)) == pytest.approx(float(excess.max()), rel=1e-7)
    assert int((current.excess.value > 1e-9).sum()) >= int((excess > 1e-9).sum())
    wider = replace(network, l_max=network.l_max * (1.0 + max(float(excess.max()), 0.0)))
    most = greatest_series_currents(at_kept_limits(wider))
    assert (model.l.value <= most * (1.0 + 1e-9)).all()
