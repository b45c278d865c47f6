"""Soft limits: what gives way and what is then lost, by all radial states; and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Benders, BranchExchange, Enumeration, Limits, OptionError, Termination, TopologySearch
from openpoint.arrays import Bools
from openpoint.grid import Grid
from openpoint.network import build_network
from openpoint.powerflow.balanced import solve
from openpoint.studies.catalog import published
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.soft import Seen, question_of, soften_outcome
from openpoint.studies.reconfigure.study import Method, PreparedReconfigure, prepare
from openpoint.studies.reconfigure.year.result import YearResult
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration
from tests.builders.grids import PLAIN, RICH, all_topologies, random_grid

STEP = 1e-3


def tightened(grid: Grid, seed: int) -> tuple[Grid, Limits]:
    """Ratings of some branches below what any state needs, and a voltage that few states or none reach."""
    rng = np.random.default_rng(seed)
    network = build_network(grid)
    flows = solve(network, all_topologies(network))
    good = flows.converged & flows.energised.all(axis=1)
    i, v = flows.i_rated[good] * network.i_base_a, np.abs(flows.v[good])
    amps = np.quantile(i, rng.uniform(0.0, 0.3), axis=0)
    rated = dict(zip(network.branch_names, np.where((amps > 0.5) & (rng.random(len(amps)) < 0.9), amps, np.nan)))
    lines = grid.lines.with_columns(
        i_max_a=pl.Series([rated[name] for name in grid.lines["name"]], dtype=pl.Float64).fill_nan(None)
    )
    inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    low = float(np.quantile(v[:, inner].min(axis=1), rng.uniform(0.5, 1.0))) + rng.choice([0.0, 0.004])
    return grid.with_tables(lines=lines), Limits(v_min_pu=low if rng.random() < 0.7 else None)


def up(share: float) -> float:
    return max(math.ceil((share - 1e-9) / STEP), 0) * STEP


def brute_force(
    grid: Grid, limits: Limits, year: Sequence[tuple[float, float]] = ((1.0, 1.0),)
) -> tuple[dict[tuple[str, str | None], float], float] | None:
    """Percent by which limits give way, and the mean loss in kW; None where some state keeps them all.

    year: hours of each step, and its share of the loads.
    """
    network = limits.applied(build_network(grid))
    closed: Bools = all_topologies(network)
    inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    low = np.sqrt(np.where(network.w_min > 0, network.w_min, np.nan))
    loss, good, of_steps = np.zeros(len(closed)), np.ones(len(closed), dtype=np.bool_), []
    for hours, share in year:
        flows = solve(network, closed, s_power=np.tile(share * network.s_power, (len(closed), 1)))
        v, i = np.abs(flows.v), flows.i_rated
        good &= flows.converged & flows.energised.all(axis=1)
        loss += flows.loss * hours / sum(hours for hours, _ in year)
        of_steps.append(
            np.column_stack(
                [
                    np.nan_to_num(1.0 - v / low)[:, inner].max(axis=1, initial=0.0),
                    (v / np.sqrt(network.w_max) - 1.0)[:, inner].max(axis=1, initial=0.0),
                    i / np.sqrt(network.l_max) - 1.0,
                ]
            )
        )
    loss, shares = loss[good], np.max(of_steps, axis=0)[good]
    shares = np.where(shares > 1e-6, shares, 0.0)
    box = up(shares.max(axis=1).min())
    if box == 0.0:
        return None
    inside = (shares <= box + 1e-9).all(axis=1)
    ideal = np.array([up(share) for share in shares[inside].min(axis=0)])
    more = up((shares[inside] - ideal).max(axis=1).min())
    allowed = np.minimum(box, ideal + more)
    for j in np.flatnonzero(allowed > ideal):
        fewer = np.where(np.arange(len(allowed)) == j, ideal, allowed)
        allowed = fewer if (shares <= fewer + 1e-9).all(axis=1).any() else allowed
    best = loss[(shares <= allowed + 1e-9).all(axis=1)].min()
    names = [("voltage low", None), ("voltage high", None), *(("current", name) for name in network.branch_names)]
    there = np.concatenate([[True, True], np.isfinite(network.l_max)])
    return {name: 100.0 * x for name, x, is_there in zip(names, allowed, there) if x and is_there}, (
        best * network.s_base_kva
    )


def agrees(grid: Grid, limits: Limits, method: Method) -> bool:
    """Whether limits had to give way; what did and the loss are those of brute force."""
    best = brute_force(grid, limits)
    result = openpoint.reconfigure(grid, limits=limits, method=method, soft_limits=True)
    gives_way = as_found(result, best)
    given = {} if result.soft_limits is None else {(r.kind, r.name): r.percent for r in result.soft_limits.relaxed}
    for broken in result.violations:
        name = broken.name if broken.kind == "current" else None
        assert 100.0 * broken.excess <= given[broken.kind, name] + 1e-3
    if best is not None:
        assert result.loss_kw == pytest.approx(best[1], rel=2e-4)
    return gives_way


def as_found(
    result: openpoint.ReconfigureResult | YearResult, best: tuple[dict[tuple[str, str | None], float], float] | None
) -> bool:
    """Whether limits had to give way; what did is that of brute force, and so is the bound."""
    if best is None:
        assert result.soft_limits is None
        assert result.termination is Termination.OPTIMAL
        return False
    assert result.termination is Termination.SOFT
    assert result.termination.exit_code == 3
    assert result.soft_limits.proven
    assert {(r.kind, r.name): pytest.approx(r.percent) for r in result.soft_limits.relaxed} == best[0]
    assert result.lower_bound_kw <= best[1] * (1.0 + 1e-9)
    assert len(result.violations)
    return True


@pytest.mark.parametrize(
    ("method", "seeds"),
    [
        (TopologySearch(), (*range(8), 8, 20, 25, 33, 37, 42, 47, 48, 51, 61, 64, 67, 78, 98)),
        (Enumeration(), (2, 20, 25, 37)),
        (Benders(), (2, 20)),
    ],
)
def test_what_gives_way_and_what_is_lost_is_that_of_brute_force(method: Method, seeds: Sequence[int]) -> None:
    """Seed 2 and most from 8 on keep their limits in no state, where up to seven of them give way.

    Theory: docs/methods.md M23.
    """
    broken = [agrees(*tightened(random_grid(seed, (PLAIN, RICH)[seed % 2]), seed), method) for seed in seeds]
    assert sum(broken) > len(broken) / 2


def test_of_a_year_it_is_that_of_all_states_in_all_steps() -> None:
    """The steps and their shares are drawn, too."""
    broken = 0
    for seed in (2, 4, 8, 20, 42, 48, 64, 78):
        grid, limits = tightened(random_grid(seed, PLAIN), seed)
        rng = np.random.default_rng(seed)
        hours = 8760.0 * rng.dirichlet(np.ones(4))
        year = list(zip(hours.tolist(), rng.uniform(0.2, 1.1, 4).tolist()))
        best = brute_force(grid, limits, year)
        frame = pl.DataFrame(year, schema=["hours", "all"], orient="row")
        result = openpoint.reconfigure_year(grid, frame, limits=limits, soft_limits=True)
        broken += as_found(result, best)
        if best is not None:
            assert result.objective_kw == pytest.approx(best[1], rel=2e-4)
            assert result.steps_broken
            assert any("limits are not kept" in note for note in result.notes)
    assert broken >= 4


@pytest.mark.parametrize("seed", [2, 20, 25, 37])
def test_where_the_time_is_up_without_a_state_the_least_violation_is_sought_but_not_proven(seed: int) -> None:
    grid, limits = tightened(random_grid(seed, (PLAIN, RICH)[seed % 2]), seed)
    best = brute_force(grid, limits)
    prepared = prepare(grid, ReconfigureOptions(limits=limits, method=TopologySearch()))
    assert isinstance(prepared, PreparedReconfigure)
    whole = prepared.method.solve(prepared.program, None, Deadline())
    assert whole.termination is Termination.INFEASIBLE
    stopped = replace(whole, termination=Termination.TIME)
    outcome, soft = soften_outcome(question_of(prepared.program, prepared.method), stopped, None, Deadline())
    assert outcome.termination is Termination.TIME
    assert not soft.proven
    assert {(r.kind, r.name): pytest.approx(r.percent) for r in soft.relaxed} == best[0]
    assert outcome.upper_bound == pytest.approx(best[1], rel=2e-4)


def test_the_method_has_all_of_the_time_once_it_knows_a_state() -> None:
    line = Iteration(1, 0.0, 0.0, math.inf, math.inf, "")
    told: list[Iteration] = []
    seen = Seen(told.append)
    seen(line)
    assert not seen.any
    seen(replace(line, upper_bound=1.0))
    assert seen.any
    assert len(told) == 2


def hot(i_max_a: float = 80.0) -> Grid:
    """The ring of three loads of which one feeder carries all: `a` and `d` lead to the source, `c` is the tie."""
    rows = [
        {"name": "a", "from_bus": "S", "to_bus": "A", "i_max_a": i_max_a},
        {"name": "b", "from_bus": "A", "to_bus": "B"},
        {"name": "c", "from_bus": "B", "to_bus": "A", "closed": False},
    ]
    return Grid.from_tables(
        "hot",
        {
            "buses": [{"name": name, "vn_kv": 10.0, "v_min_pu": 0.9} for name in "SAB"],
            "sources": [{"name": "s", "bus": "S"}],
            "lines": [{**row, "r_ohm": 0.4, "x_ohm": 0.3} for row in rows],
            "loads": [{"name": name, "bus": name, "p_kw": 700.0, "q_kvar": 200.0} for name in "AB"],
        },
    )


def test_only_what_nothing_keeps_gives_way() -> None:
    """All the load goes through `a`; voltages and the other ratings need not give way for it."""
    result = openpoint.reconfigure(hot(), soft_limits=True)
    assert result.termination is Termination.SOFT
    assert [(each.kind, each.name) for each in result.soft_limits.relaxed] == [("current", "a")]
    assert [(each.kind, each.name) for each in result.violations] == [("current", "a")]
    broken, given = 100.0 * result.violations[0].excess, result.soft_limits.relaxed[0].percent
    assert given - 0.1 <= broken <= given + 1e-3
    assert result.least_violation == ()
    assert "limits are not kept: current at a" in result.notes[-1]
    assert "no radial state breaks them less" in result.notes[-1]
    free = openpoint.reconfigure(hot(), limits=Limits(current=False))
    assert result.loss_kw == pytest.approx(free.loss_kw, rel=1e-9)
    schema = published("reconfigure")
    jsonschema.validate(document := result.document(), schema, cls=jsonschema.Draft202012Validator)
    assert document["termination"] == "limits not kept"
    assert document["soft_limits"]["proven"] is True
    assert document["soft_limits"]["relaxed"][0]["name"] == "a"


def test_where_limits_hold_nothing_gives_way() -> None:
    soft = openpoint.reconfigure(hot(200.0), soft_limits=True)
    hard = openpoint.reconfigure(hot(200.0))
    assert soft.termination is hard.termination is Termination.OPTIMAL
    assert soft.soft_limits is None
    assert (soft.loss_kw, soft.open_branches) == (hard.loss_kw, hard.open_branches)


def test_an_infeasible_run_says_what_to_do() -> None:
    notes = openpoint.reconfigure(hot()).notes
    assert any("the least violation met: current at a" in note for note in notes)
    ways = next(note for note in notes if "--soft-limits" in note)
    assert "soft_limits=True" in ways
    assert "--ignore-limits current (Limits(current=False)) alone would do" in ways
    assert not any("no switching can help" in note for note in notes)
    low = openpoint.reconfigure(hot(200.0), limits=Limits(v_min_pu=0.999)).notes
    assert any("--ignore-limits voltage (Limits(voltage=False)) alone would do" in note for note in low)


def test_where_nothing_can_be_switched_an_infeasible_run_says_so() -> None:
    tree = openpoint.reconfigure(hot(), locked_open=["c"])
    assert tree.termination is Termination.INFEASIBLE
    assert any("no switching can help: there is one radial state only" in note for note in tree.notes)


def test_without_a_proof_the_answer_is_the_least_violation_met() -> None:
    """Branch exchange proves nothing, and its answer says so."""
    result = openpoint.reconfigure(hot(), method=BranchExchange(), soft_limits=True)
    assert result.termination is Termination.LOCAL
    assert not result.soft_limits.proven
    assert result.loss_kw is not None
    assert [violation.name for violation in result.violations] == ["a"]
    assert "not proven to be the least" in result.notes[-1]
    hard = openpoint.reconfigure(hot(), method=BranchExchange())
    assert any("no state that was met keeps all limits" in note for note in hard.notes)
    assert any("--soft-limits" in note for note in hard.notes)


def test_questions_that_take_too_long_are_given_up_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    proven = openpoint.reconfigure(hot(), soft_limits=True)
    monkeypatch.setattr("openpoint.studies.reconfigure.soft.ASK_S", 0.0)
    result = openpoint.reconfigure(hot(), soft_limits=True)
    assert result.termination is Termination.SOFT
    assert not result.soft_limits.proven
    assert result.soft_limits.least_percent == 0.0
    assert result.soft_limits.relaxed == proven.soft_limits.relaxed
    assert result.loss_kw == pytest.approx(proven.loss_kw, rel=1e-9)
    assert "not proven to be the least" in result.notes[-1]
    assert proven.soft_limits.least_percent == pytest.approx(proven.soft_limits.relaxed[0].percent)


def test_outputs_of_generators_are_chosen_within_relaxed_limits() -> None:
    """A generator of 100 kW takes off what it can; only the rest of the overload gives way."""
    output = {"p_kw": 0.0, "p_min_kw": 0.0, "p_max_kw": 100.0, "q_min_kvar": 0.0, "q_max_kvar": 0.0}
    grid = hot(60.0).with_tables(generators=pl.DataFrame([{"name": "g", "bus": "B", **output}]))
    result = openpoint.reconfigure(grid, soft_limits=True)
    without = openpoint.reconfigure(hot(60.0), soft_limits=True)
    assert result.termination in (Termination.SOFT, Termination.RELAXATION)
    assert result.soft_limits.relaxed[0].percent < without.soft_limits.relaxed[0].percent - 5.0
    assert result.generators["p_kw"].to_list() == pytest.approx([100.0], abs=1.0)


def test_three_phases_by_all_topologies_and_by_the_linear_model() -> None:
    """A transformer of the IEEE 13 feeder carries 107 % of what OpenDSS rates it at, whatever is switched."""
    grid = openpoint.read("ieee13")
    result = openpoint.reconfigure(grid, soft_limits=True)
    assert result.termination is Termination.SOFT
    assert result.soft_limits.proven
    assert [str(each) for each in result.soft_limits.relaxed] == ["current at xfm1, phase a by 7.3 %"]
    assert result.loss_kw == pytest.approx(112.585, abs=0.002)
    hard = openpoint.reconfigure(grid)
    assert any("no switching can help" in note for note in hard.notes)


def test_soft_limits_are_refused_where_they_mean_nothing(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="checkpoint"):
        openpoint.reconfigure(hot(), method=TopologySearch(checkpoint=tmp_path / "a"), soft_limits=True)


def test_relaxed_limits_have_no_certificate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "proof"
    method = TopologySearch(certificate=path)
    result = openpoint.reconfigure("baran33", limits=Limits(v_min_pu=0.95), soft_limits=True, method=method)
    assert result.soft_limits is not None
    assert not path.exists()
    assert "limits are relaxed" in caplog.text


def test_limits_that_are_kept_have_their_certificate(tmp_path: Path) -> None:
    path = tmp_path / "proof"
    limits = Limits(v_min_pu=0.93)
    openpoint.reconfigure("baran33", limits=limits, soft_limits=True, method=TopologySearch(certificate=path))
    assert openpoint.verify_certificate("baran33", path, limits=limits).gap <= 1e-4
