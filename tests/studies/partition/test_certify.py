"""Certificates of plans in exact AC power flow: OpenDSS and openpoint's own recourse at loads of the set agree."""

from __future__ import annotations

from itertools import product

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.arrays import Floats
from openpoint.enclosure.policy import Policy
from openpoint.enclosure.verdict import Certifier
from openpoint.studies.partition.ac import Follower, PlanCircuit, evaluate_plan
from openpoint.studies.partition.certify.islands import islands_of
from openpoint.studies.partition.result import PartitionResult
from openpoint.studies.partition.samples import model_of


@pytest.fixture(scope="module")
def disproved() -> PartitionResult:
    """A plan whose set-points fail at vertices of its set, and that is proved with others."""
    return openpoint.partition("ieee37-microgrids", uncertainty=0.25, uncertain_loads=6, certify=True)


def operated(result: PartitionResult) -> tuple[PlanCircuit, Floats]:
    """The plan with its certified set-points in OpenDSS, and (2 P, n) its policy, per unit."""
    plan, found = model_of(result), result.certificate
    assert found is not None
    program, x = plan.program, plan.program.whole(plan.decision)
    net, base = program.network, program.network.terminal_base_kw
    parts = len(net.p_min)
    part = {
        (name, net.terminal_phase[t]): k
        for k, (name, t) in enumerate(zip(net.generator_names, net.generator_terminal, strict=True))
    }
    start = len(x) - 2 * parts
    x = x.copy()
    for name, phase, p, q in found.set_points.select("generator", "phase", "p_kw", "q_kvar").iter_rows():
        k = part[name, phase]
        x[start + k], x[start + parts + k] = p / base, q / base
    gain = np.zeros((2 * parts, len(result.uncertain_loads)))
    for name, phase, load, p, q in found.policy.iter_rows():
        j = result.uncertain_loads.index(load)
        gain[part[name, phase], j], gain[parts + part[name, phase], j] = p / base, q / base
    return PlanCircuit(result.grid, program, x), gain


def test_opendss_keeps_every_limit_of_a_proved_plan_at_all_vertices(disproved: PartitionResult) -> None:
    assert (disproved.ac, disproved.ac_as_planned) == ("proved", "disproved")
    assert disproved.served_kw == pytest.approx(1180.0)
    circuit, gain = operated(disproved)
    inside = np.random.default_rng(0).uniform(-1.0, 1.0, (16, 6))
    loads = np.concatenate([np.array(list(product((-1.0, 1.0), repeat=6))), inside])
    flows = circuit.flows(disproved.uncertainty * loads, loads @ gain.T)
    assert flows.converged.all()
    assert (flows.excess <= np.array([limit.tolerance for limit in circuit.limits])).all()


def test_bounds_hold_what_opendss_finds_and_are_sharp(disproved: PartitionResult) -> None:
    """The least room that OpenDSS leaves at vertices is that of the proof, but for some watts."""
    circuit, gain = operated(disproved)
    loads = np.array(list(product((-1.0, 1.0), repeat=6)))
    excess = circuit.flows(disproved.uncertainty * loads, loads @ gain.T).excess.max(axis=0)
    assert disproved.certificate is not None
    proved = disproved.certificate.limits
    for kind in ("active power", "reactive power"):
        seen = [-e for limit, e in zip(circuit.limits, excess, strict=True) if limit.kind == kind]
        margin = proved.filter(pl.col("kind") == kind, pl.col("side").is_in(["least", "most"]))["margin"].to_numpy()
        assert margin.min() <= min(seen) + 1e-3
        assert margin.min() >= min(seen) - 0.2  # kW


def test_no_recourse_is_found_where_a_plan_is_disproved(disproved: PartitionResult) -> None:
    found = disproved.certificate
    assert found is not None
    assert 0.5 < (disproved.ac_short_kw or 0.0) < 2.0
    plan = model_of(disproved)
    program, x = plan.program, plan.program.whole(plan.decision)
    deviations = found.counterexample["deviation_percent"].to_numpy()[None, :] / 100.0
    assert np.allclose(np.abs(deviations), 0.25)
    verdict = evaluate_plan(Follower(program, x), PlanCircuit(disproved.grid, program, x), deviations)
    assert verdict.linear.all()
    assert not verdict.shared.any()


def test_a_verdict_does_not_stand_on_the_linear_program(disproved: PartitionResult) -> None:
    """A policy that is worse than the one found is not proved: the program only proposes."""
    plan = model_of(disproved)
    certifier = Certifier(islands_of(disproved.grid, plan.program, plan.program.whole(plan.decision), None))
    units = certifier.operated.units
    still = certifier.judged(Policy(units.planned, np.zeros((len(units.planned), 6)), from_plan=False))
    assert still is not None
    assert not still.holds
    proof = certifier.proof(from_plan=False)
    assert proof is not None
    assert proof.holds
    assert not certifier.judged(proof.policy, 2.0 * certifier.level(proof)).holds  # type: ignore[union-attr]


@pytest.mark.parametrize("asked", [{}, {"uncertainty": 0.1, "most_deviating": 2}, {"uncertainty": 0.25}])
def test_plans_of_certain_loads_and_of_budgets_are_proved(asked: dict[str, float]) -> None:
    result = openpoint.partition("ieee13-microgrids", certify=True, **asked)  # type: ignore[arg-type]
    assert result.ac == "proved"
    assert result.cost_usd is not None
    assert result.ac_cost_usd == pytest.approx(result.cost_usd, rel=5e-3)
    assert result.certificate is not None
    assert (result.certificate.limits["margin"] >= 0.0).all()
    assert (result.ac_level or 0.0) >= result.uncertainty


def test_nothing_is_certified_unless_asked_for() -> None:
    result = openpoint.partition("ieee13-microgrids")
    assert result.ac is None
    assert not result.tables()["limits"].height
