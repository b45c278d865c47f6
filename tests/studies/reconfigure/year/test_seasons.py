"""A year in blocks: figures of the answer, theorems about them, options that do not fit, what is written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.errors import OptionError
from openpoint.powerflow.balanced import solve
from openpoint.studies.reconfigure.year.seasons.result import SeasonsResult
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.interrupt import Interrupt

GAP = openpoint.TopologySearch(gap=1e-6)


def year() -> pl.DataFrame:
    """Sixteen typical hours; two groups of loads have their seasons one after another."""
    hours = np.full(16, 547.5)
    summer = np.repeat([0.2, 1.2, 1.2, 0.2], 4) * np.tile([0.8, 1.0, 1.1, 0.9], 4)
    loads = openpoint.read("civanlar16").loads["name"].to_list()
    return pl.DataFrame({"hours": hours} | {name: summer if n < 6 else 1.4 - summer for n, name in enumerate(loads)})


def asked(**options: Any) -> SeasonsResult:
    return openpoint.reconfigure_seasons("civanlar16", year(), 4, method=GAP, **options)


@pytest.fixture(scope="module")
def free() -> SeasonsResult:
    return asked()


def test_the_energy_is_that_of_the_power_flow_of_every_step(free: SeasonsResult) -> None:
    from openpoint.network import build_network

    grid = openpoint.read("civanlar16")
    network = build_network(grid)
    steps = openpoint.read_year(year(), grid)
    demands = steps.demand(network.s_base_kva).rows(slice(None))
    total = 0.0
    for b, state in enumerate(free.states):
        closed = np.array([name not in state.open_branches for name in network.branch_names])
        here = slice(4 * b, 4 * b + 4)
        flows = solve(network, closed, s_power=demands[here])
        mwh = float(flows.loss @ steps.hours[here]) * network.s_base_kva / 1000.0
        assert free.blocks["energy_mwh"][b] == pytest.approx(mwh, rel=1e-8)
        assert free.steps["loss_after_kw"].to_numpy()[here] == pytest.approx(flows.loss * network.s_base_kva, rel=1e-8)
        total += mwh
    assert free.energy_mwh == pytest.approx(total, rel=1e-8)
    assert free.energy_bound_mwh <= total
    assert free.gap <= 1e-6
    assert free.steps_broken == 0
    assert free.ac_max_mismatch_pu < 1e-9


def test_energy_falls_with_the_operations_between_one_topology_and_the_best_of_each_block(free: SeasonsResult) -> None:
    one = openpoint.reconfigure_year("civanlar16", year(), method=GAP)
    assert one.energy_mwh is not None
    assert free.operations
    few = [asked(switchings_a_year=most) for most in (0, 2, 4)]
    energies = [each.energy_mwh for each in (*few, free)]
    assert energies == sorted(energies, reverse=True)  # type: ignore[type-var]
    assert few[0].energy_mwh == pytest.approx(one.energy_mwh, rel=1e-9)
    assert set(few[0].states[0].open_branches) == set(one.open_branches)
    assert few[0].operations == 0
    assert few[1].energy_mwh < few[0].energy_mwh  # type: ignore[operator]
    for most, each in zip((0, 2, 4), few, strict=True):
        assert each.operations <= most
        assert each.energy_bound_mwh <= each.energy_mwh * (1.0 + 1e-12)  # type: ignore[operator]


def test_counted_from_today_no_operation_keeps_today() -> None:
    kept = asked(switchings_a_year=0, from_today=True)
    assert kept.operations == 0
    assert {state.open_branches for state in kept.states} == {kept.open_before}
    assert kept.energy_mwh == pytest.approx(kept.energy_before_mwh)
    some = asked(switchings_a_year=4, from_today=True)
    assert some.operations == some.switchings.height <= 4
    assert some.switchings["counted"].all()
    assert some.energy_mwh < kept.energy_mwh  # type: ignore[operator]


def test_a_price_counts_and_a_high_one_stops_all_switching(free: SeasonsResult) -> None:
    dear = asked(switching_kwh=1e6)
    assert dear.operations == 0
    some = asked(switching_kwh=1000.0, from_today=True)
    mwh = some.energy_mwh + some.operations
    assert some.objective_kw * some.hours / 1000.0 == pytest.approx(mwh, rel=1e-9)
    assert free.energy_mwh <= some.energy_mwh  # type: ignore[operator]


def test_what_staying_would_lose_and_what_is_switched(free: SeasonsResult) -> None:
    moved = free.blocks["operations"].to_list()
    assert moved[0] is None
    assert free.operations == sum(moved[1:])
    assert free.switchings.filter("counted").height == free.operations
    for before, now, row in zip(free.states, free.states[1:], free.blocks.to_dicts()[1:], strict=False):
        assert set(before.open_branches) ^ set(now.open_branches) == {*now.to_close, *now.to_open}
        same = before.open_branches == now.open_branches
        assert row["energy_staying_mwh"] >= row["energy_mwh"] * (1.0 - 2e-6)
        assert same == (row["energy_staying_mwh"] == row["energy_mwh"])
    written = json.loads(free.to_json())
    assert written["study"] == "reconfigure-seasons"
    assert written["blocks"][1]["open_branches"] == list(free.states[1].open_branches)


def test_a_block_that_no_topology_serves_is_named_with_its_steps() -> None:
    frame = pl.DataFrame({"hours": [2190.0] * 4, "all": [0.3, 0.3, 1.0, 0.3]})
    found = openpoint.reconfigure_seasons("baran33", frame, 4, limits=openpoint.Limits(v_min_pu=0.97))
    assert found.termination is openpoint.Termination.INFEASIBLE
    assert found.infeasible_block == "3 of 4"
    assert set(found.violations["step"]) == {"3"}
    assert set(found.violations["block"]) == {"3 of 4"}
    assert found.least_violation_open
    assert found.energy_mwh is None
    assert not found.states


def test_stopped_at_once_it_keeps_a_bound_and_what_it_has() -> None:
    from openpoint.studies.reconfigure.options import ReconfigureSeasonsOptions
    from openpoint.studies.reconfigure.year.seasons.search import PlanTask, search_plan
    from openpoint.studies.reconfigure.year.seasons.study import PreparedSeasons, prepare

    grid = openpoint.read("civanlar16")
    ready = prepare(grid, ReconfigureSeasonsOptions(year(), 4, method=GAP))
    assert isinstance(ready, PreparedSeasons)
    interrupt = Interrupt()
    interrupt.requested = True
    plan = PlanTask(ready.of_year.task, ready.blocks, 2, 0.0, False)
    found = search_plan(plan, 1e-6, None, Deadline(interrupt=interrupt)).outcome
    assert found.termination is openpoint.Termination.INTERRUPTED
    assert found.closed is not None
    assert 0.0 <= found.lower_bound <= found.upper_bound
    whole = search_plan(plan, 1e-6, None, Deadline()).outcome
    assert found.lower_bound <= whole.upper_bound * (1.0 + 1e-9)
    assert whole.upper_bound <= found.upper_bound * (1.0 + 1e-9)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"switchings_a_year": -1}, "switchings_a_year is -1; give 0 or more"),
        ({"switching_kwh": -1.0}, "switching_kwh is -1"),
        ({"method": openpoint.Benders()}, "TopologySearch only"),
        ({"method": openpoint.TopologySearch(certificate=Path("x.gz"))}, "for one topology of a year"),
        ({"blocks": 17}, "give 1 to 16"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError) as caught:
        openpoint.reconfigure_seasons("civanlar16", year(), **({"blocks": 4} | options))
    assert told in str(caught.value)
