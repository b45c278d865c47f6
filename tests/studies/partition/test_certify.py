"""Certificates of plans in exact AC power flow: OpenDSS and openpoint's own recourse at loads of the set agree."""

from itertools import product

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Grid
from openpoint.arrays import Floats
from openpoint.enclosure import islands
from openpoint.enclosure.islands import Refused, Topology
from openpoint.enclosure.policy import Policy
from openpoint.enclosure.verdict import Certifier
from openpoint.studies.partition.ac import Follower, PlanCircuit, evaluate_plan
from openpoint.studies.partition.certify import islands_of
from openpoint.studies.partition.result import PartitionResult
from openpoint.studies.partition.samples import model_of


@pytest.fixture(scope="module")
def disproved() -> PartitionResult:
    """A plan whose set-points fail at vertices of its set, and that is proved with others."""
    return openpoint.partition("ieee37-microgrids", uncertainty=0.25, uncertain_loads=6, certify=True)


def operated(result: PartitionResult) -> tuple[PlanCircuit, Floats]:
    """The plan with its certified set-points in OpenDSS, and (2 P, n) its policy, per unit."""
    plan, found = model_of(result), result.certificate
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
    proved = disproved.certificate.limits
    for kind in ("active power", "reactive power"):
        seen = [-e for limit, e in zip(circuit.limits, excess, strict=True) if limit.kind == kind]
        margin = proved.filter(pl.col("kind") == kind, pl.col("side").is_in(["least", "most"]))["margin"].to_numpy()
        assert margin.min() <= min(seen) + 1e-3
        assert margin.min() >= min(seen) - 0.2  # kW


def test_no_recourse_is_found_where_a_plan_is_disproved(disproved: PartitionResult) -> None:
    found = disproved.certificate
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
    assert not still.holds
    proof = certifier.proof(from_plan=False)
    assert proof.holds
    assert not certifier.judged(proof.policy, 2.0 * certifier.level(proof)).holds  # type: ignore[union-attr]


@pytest.mark.parametrize("asked", [{}, {"uncertainty": 0.1, "most_deviating": 2}, {"uncertainty": 0.25}])
def test_plans_of_certain_loads_and_of_budgets_are_proved(asked: dict[str, float]) -> None:
    result = openpoint.partition("ieee13-microgrids", certify=True, **asked)  # type: ignore[arg-type]
    assert result.ac == "proved"
    # Above the linear cost by losses, and by what the policy costs at its worst; of several policies any may be found.
    assert result.cost_usd <= (result.ac_cost_usd or 0.0) <= 1.01 * result.cost_usd
    assert (result.certificate.limits["margin"] >= 0.0).all()
    assert (result.ac_level or 0.0) >= result.uncertainty


SIX = ["s712c", "s720c", "s722b", "s728", "s731b", "s738a"]
PLANS = [
    (37, SIX, 0.25, 547, 19366.30),
    (123, 20, 0.25, 1321, 22459.76),
]
"""Buses, uncertain loads, level, load served and linear cost of two plans of docs/every_load.md."""


@pytest.mark.parametrize(("buses", "loads", "level", "served", "cost"), PLANS)
def test_plans_are_proved(buses: int, loads: int | list[str] | None, level: float, served: float, cost: float) -> None:
    asked = {} if loads is None else {"uncertain_loads": loads}
    result = openpoint.partition(f"ieee{buses}-microgrids", uncertainty=level, certify=True, **asked)  # type: ignore[arg-type]
    assert result.ac == "proved"
    assert result.served_kw == pytest.approx(served, abs=0.5)
    assert result.cost_usd == pytest.approx(cost, abs=0.01)
    assert result.cost_usd <= (result.ac_cost_usd or 0.0) <= 1.0005 * result.cost_usd  # any policy may be found


def test_nothing_is_certified_unless_asked_for() -> None:
    result = openpoint.partition("ieee13-microgrids")
    assert result.ac is None
    assert not result.tables()["limits"].height


def ring(most_kw: float) -> Grid:
    """Four blocks in a ring beside the substation, with generators in two of them that have no power to spare."""

    def line(ends: str, *, switch: bool = True) -> dict[str, object]:
        return {
            "name": ends,
            "from_bus": ends[:1],
            "to_bus": ends[1:],
            "r_ohm": 0.5,
            "x_ohm": 0.3,
            "switchable": switch,
        }

    def unit(bus: str, p: float) -> dict[str, object]:
        limits = {"p_min_kw": 0.0, "p_max_kw": p, "q_min_kvar": -60.0, "q_max_kvar": 60.0}
        return {"name": f"g{bus}", "bus": bus, "p_kw": 0.0, "q_kvar": 0.0, **limits}

    loads = (("A", 60.0), ("b", 40.0), ("C", 35.0), ("d", 20.0))
    tables = {
        "buses": [{"name": name, "vn_kv": 1.0} for name in "sabcdAC"],
        "sources": [{"name": "substation", "bus": "s"}],
        "lines": [
            *(line(ends) for ends in ("sa", "ab", "ac", "cd", "bd")),
            *(line(ends, switch=False) for ends in ("aA", "cC")),
        ],
        "loads": [{"name": f"l{bus}", "bus": bus, "p_kw": p, "q_kvar": 0.2 * p} for bus, p in loads],
        "generators": [unit("a", most_kw), unit("d", 20.0)],
    }
    return Grid.from_tables("ring", tables)


def most_proved_kw(grid: Grid, share: float) -> float:
    """The most load that any switches and generators that form grids serve, proved with some set-points."""
    switches = grid.lines.filter(pl.col("switchable"))["name"].to_list()
    best = 0.0
    for closed, forming in product(product((False, True), repeat=len(switches)), (("ga",), ("gd",), ("ga", "gd"))):
        state = dict(zip(switches, closed, strict=True))
        shares = dict.fromkeys(grid.loads["name"], share)
        try:
            here = islands.islands_of(
                grid, Topology(state, dict.fromkeys(forming, 1.0), shares, None, 0.5), openpoint.Limits()
            )
        except Refused:
            continue
        proof = Certifier(here).proof(from_plan=False)
        if proof is not None and proof.holds:
            alive = {here.network.bus_names[k] for k in here.network.terminal_bus}
            best = max(best, grid.loads.filter(pl.col("bus").is_in(alive))["p_kw"].sum())
    return best


@pytest.mark.parametrize(("most_kw", "share"), [(100.0, 0.02)])
def test_a_plan_that_is_disproved_is_replaced_by_the_best_one_that_is_proved(most_kw: float, share: float) -> None:
    """As all switches and all generators that may form a grid say, one by one."""
    grid = ring(most_kw)
    linear = openpoint.partition(grid, uncertainty=share, ramp=0.5)
    found = openpoint.partition(grid, uncertainty=share, ramp=0.5, certify=True)
    assert found.served_kw == pytest.approx(most_proved_kw(grid, share))
    assert found.served_kw < linear.served_kw
    assert found.ac in ("proved", None)
    assert linear.lower_bound_usd <= found.lower_bound_usd <= (found.cost_usd or 0.0) + 1e-4
    assert any("do not hold in exact AC" in note for note in found.notes)
