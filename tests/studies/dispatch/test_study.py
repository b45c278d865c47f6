"""Dispatch on grids small enough to try every state by another way: optimum, criteria, bounds, and the grid after."""

import itertools
import json
import math
from functools import cache

import jsonschema
import polars as pl
import pytest

import openpoint
from openpoint import Grid, InputError, Limits, OptionError, Termination
from openpoint.network import build_network
from openpoint.powerflow.balanced import solve
from openpoint.studies.catalog import published
from openpoint.studies.dispatch.result import DispatchResult
from tests.builders.dispatch_grids import SOURCE, loss_kw, regulated, ring

LINES = ("S-A", "A-B", "B-C", "C-S")


@cache
def figures_of_all_states() -> list[tuple[float, float]]:
    """Loss in kW and cost in $/h of every state of the ring, each as a grid of its own."""
    grid, found = ring(), []
    for opened, steps, v, p in itertools.product(LINES, range(3), (0.98, 1.02), (0.0, 300.0)):
        network = build_network(
            grid.with_closed({name: name != opened for name in LINES}).with_tables(
                capacitors=grid.capacitors.with_columns(steps_on=pl.lit(steps, pl.Int64)),
                sources=grid.sources.with_columns(v_pu=pl.lit(v)),
                generators=grid.generators.with_columns(p_kw=pl.lit(p)),
            )
        )
        flow = solve(network, network.closed)
        delivered = float(flow.source_s[0].real.sum()) * network.s_base_kva
        found.append((float(flow.loss[0]) * network.s_base_kva, 0.1 * delivered + (0.09 * p + 5.0 if p else 0.0)))
    return found


@cache
def solved(minimize: str = "losses", at_most: str = "") -> DispatchResult:
    return openpoint.dispatch(ring(), minimize=minimize, at_most=at_most)


def known(value: float | None) -> float:
    """A figure that must be there."""
    assert value is not None
    return value


def heads(result: DispatchResult, *names: str) -> pl.Series:
    """Currents of the feeder heads in the answer, A."""
    return result.branches.filter(pl.col("name").is_in(names))["i_after_a"]


def test_the_least_loss_is_that_of_all_states_tried_one_by_one() -> None:
    result = solved()
    assert result.termination is Termination.OPTIMAL
    assert result.free == ("topology", "taps", "capacitors", "commitment")
    assert result.loss_kw == pytest.approx(min(loss for loss, _ in figures_of_all_states()), rel=1e-9)
    assert result.objective == pytest.approx(result.loss_kw)
    assert (1.0 - 1e-6) * result.objective <= result.lower_bound <= result.objective
    assert result.objective_unit == "kW"


def test_the_least_cost_weighs_energy_of_source_and_unit() -> None:
    result = solved("cost")
    assert result.cost_usd_per_h == pytest.approx(min(cost for _, cost in figures_of_all_states()), rel=1e-9)
    assert result.objective_unit == "$/h"
    paid = result.sources["cost_after_usd_per_h"].sum() + result.generators["cost_after_usd_per_h"].sum()
    assert paid == pytest.approx(result.cost_usd_per_h)


def test_balance_is_the_sum_of_squared_loadings_of_the_feeder_heads() -> None:
    result = solved("losses=1,balance=100")
    assert result.balance == pytest.approx(float(((heads(result, "S-A", "C-S") / 200.0) ** 2).sum()), rel=1e-9)
    assert result.objective == pytest.approx(known(result.loss_kw) + 100.0 * known(result.balance))
    assert result.objective_unit == ""


def test_balance_without_ratings_is_relative_to_an_equal_share_of_the_load() -> None:
    grid = Grid.from_tables("ring", {**ring().tables(), "capacitors": ring().capacitors.clear()})
    grid = grid.with_tables(lines=grid.lines.with_columns(i_max_a=pl.lit(None, pl.Float64)))
    result = openpoint.dispatch(grid, minimize="balance", free="topology")
    share = 1500.0 / 2 / (math.sqrt(3) * 10.0)
    assert result.balance == pytest.approx(float(((heads(result, "S-A", "C-S") / share) ** 2).sum()), rel=1e-9)


def test_the_heads_of_a_lone_feeder_are_at_its_first_fork() -> None:
    locked = [str(k) for k in range(1, 31)]  # which says nothing of the heads
    result = openpoint.dispatch("baran33", free="topology", locked_closed=locked)
    load = openpoint.read("baran33").loads
    share = load["p_kw"].sum() / 2 / (math.sqrt(3) * 12.66)
    assert result.balance == pytest.approx(float(((heads(result, "2", "18") / share) ** 2).sum()), rel=1e-6)


def test_deviation_is_the_mean_over_the_buses_that_no_source_holds() -> None:
    result = solved("deviation")
    v = result.buses.filter(pl.col("name") != "S")["v_after_pu"].to_numpy()
    assert result.deviation_pu == pytest.approx(float((abs(v**2 - 1.0) / 2.0).mean()))


def test_bounded_criteria_are_kept_and_cost_something() -> None:
    free, kept = solved(), solved("losses", "moves=1,changes=0")
    figures = dict(kept.criteria.select("name", "answer").iter_rows())
    assert figures["moves"] <= 1.0
    assert figures["changes"] == 0.0
    assert known(free.loss_kw) < known(kept.loss_kw) < known(kept.loss_before_kw)
    most = 1.5 * known(solved("deviation").deviation_pu)
    assert known(solved("losses", f"deviation={most}").deviation_pu) <= most * (1.0 + 1e-6)


def test_what_no_state_keeps_is_told_with_its_least_violation() -> None:
    result = openpoint.dispatch(ring(), at_most={"losses": 1.0})
    assert result.termination is Termination.INFEASIBLE
    assert result.objective is None
    assert result.grid_after is None
    assert any("losses" in note and "bounded by 1" in note for note in result.notes)
    tight = openpoint.dispatch(ring(), limits=Limits(v_min_pu=1.03))
    assert {violation.kind for violation in tight.least_violation} == {"voltage low"}


def test_the_limit_of_a_source_is_kept_or_named() -> None:
    result = openpoint.dispatch(ring(sources={**SOURCE, "q_max_kvar": [250.0]}))
    assert result.sources["q_after_kvar"][0] <= 250.0 * (1 + 1e-6)
    least = openpoint.dispatch(ring(sources={**SOURCE, "q_max_kvar": [100.0]}))
    told = [(v.kind, v.name, v.limit, v.unit) for v in least.least_violation]
    assert told == [("reactive power", "grid", pytest.approx(100.0), "kvar")]


def test_the_grid_after_has_the_state_of_the_answer() -> None:
    for result in (solved(), solved("cost"), openpoint.dispatch(regulated(), limits=Limits(v_min_pu=0.97))):
        assert result.grid_after is not None
        assert loss_kw(result.grid_after) == pytest.approx(result.loss_kw, rel=1e-9)


def test_taps_are_told_as_the_grid_counts_them() -> None:
    grid = regulated()
    result = openpoint.dispatch(grid, free="taps", minimize="deviation")
    (row,) = result.devices.iter_rows(named=True)
    assert (row["kind"], row["place"], row["least"], row["most"]) == ("tap changer", "A – D", -1.0, 1.0)

    def deviation(tap: int) -> float:
        set_to = grid.with_tables(transformers=grid.transformers.with_columns(tap_pos=pl.lit(tap, pl.Int64)))
        return known(openpoint.dispatch(set_to, free="topology", max_changes=0).deviation_pu)

    assert row["answer"] == min((-1, 0, 1), key=deviation)


def test_actions_lead_from_today_to_the_answer() -> None:
    result = solved("cost")
    told, moved = result.actions, result.moves.filter(pl.col("kind") != "generator")
    assert told.filter(pl.col("quantity").is_in(["steps on", "voltage"]))["name"].to_list() == moved["name"].to_list()
    switched = told.filter(quantity="state")
    assert sorted(switched["name"]) == sorted(result.switching_list["name"])
    assert switched["action"].to_list() == ["close", "open"] * (switched.height // 2)
    assert switched["then"].to_list() == ["loop", "radial"] * (switched.height // 2)
    assert told["number"].to_list() == list(range(1, told.height + 1))


def test_what_is_not_free_stays() -> None:
    held = openpoint.dispatch(ring(), free=["capacitors"])
    assert held.open_branches == held.open_before
    assert held.devices["kind"].to_list() == ["capacitor bank"]
    assert held.generators["p_after_kw"].to_list() == [0.0]
    assert openpoint.dispatch(ring(), free="topology,taps").free == ("topology", "taps")


def test_the_document_keeps_its_shape() -> None:
    for result in (solved(), solved("losses", "losses=1")):
        jsonschema.validate(json.loads(result.to_json()), published("dispatch"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"free": "topology,storage"}, "free names 'storage'; what may be free is topology, taps"),
        ({"free": ["capacitors"]}, "capacitors needs a controllable capacitor bank"),
        ({"minimize": "loss"}, "minimize names 'loss'; the criteria are losses, cost"),
        ({"minimize": {"losses": -1}}, "minimize of losses is -1; give 0 or more"),
        ({"minimize": "losses=0"}, "weight above 0"),
        ({"minimize": "losses=x"}, "minimize of losses is 'x'; give a number"),
        ({"minimize": "losses,losses=2"}, "minimize names losses twice"),
        ({"at_most": "balance"}, "at_most says nothing of balance; give a number, such as balance=0.8"),
        ({"max_changes": -1}, "max_changes is -1; give 0 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(OptionError) as error:
        openpoint.dispatch("baran33", **options)  # type: ignore[arg-type]
    assert told in str(error.value)


def test_all_faults_of_options_are_told_at_once() -> None:
    with pytest.raises(OptionError, match=r"'storage'.*Also: at_most names 'loss'.*Also: minimize of losses is -1"):
        openpoint.dispatch("baran33", free="storage", minimize="losses=-1", at_most="loss=3")


def test_a_cost_without_prices_names_the_column() -> None:
    with pytest.raises(InputError, match="price_usd_per_kwh"):
        openpoint.dispatch("baran33", minimize="cost")
    assert openpoint.dispatch("civanlar16").cost_usd_per_h is None


def test_voltages_without_limits_are_told_beside_the_figures() -> None:
    free = openpoint.dispatch("baran33-devices", limits=Limits(voltage=False, v_max_pu=None), free="taps,capacitors")
    assert [note for note in free.notes if note.startswith("32 of 33 buses have no lower or no upper voltage limit")]
    assert f"{free.v_min_pu:.4f} to {free.v_max_pu:.4f} pu" in "".join(free.notes)
    kept = openpoint.dispatch("baran33-devices", limits=Limits(v_min_pu=0.95, v_max_pu=1.05), free="taps,capacitors")
    switched = openpoint.dispatch("baran33-devices", limits=Limits(voltage=False), free="topology")
    assert not any("upper voltage limit" in note for note in (*kept.notes, *switched.notes))
