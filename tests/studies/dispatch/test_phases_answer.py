"""`openpoint.dispatch` on grids of several phases: options, result, schema, and the grid after."""

import json
import math

import jsonschema
import polars as pl
import pytest

import openpoint
from openpoint.errors import OptionError
from openpoint.formulations.phases import Sought
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.studies.catalog import published
from openpoint.twostage.log import Termination
from tests.builders.phase_devices import LIMITS, small_case


def test_its_answer_is_the_best_of_all_states() -> None:
    case = small_case(3, topology=False)
    least = case.least(Sought.LOSS)
    result = openpoint.dispatch(case.grid, free="taps,capacitors", limits=LIMITS)
    assert result.termination is Termination.OPTIMAL
    assert result.objective == pytest.approx(least.value_kw, rel=1e-6)
    assert result.lower_bound == result.objective
    assert result.gap == 0.0
    assert result.free == ("taps", "capacitors")
    assert result.devices["answer"].to_list() == least.positions.tolist()
    assert result.moves.height == (least.positions != case.devices.today).sum()
    jsonschema.validate(json.loads(result.to_json()), published("dispatch"))
    assert result.grid_after is not None
    again = OpenDssCircuit(result.grid_after).solve()
    assert again.loss_kw[0] == pytest.approx(result.loss_kw, rel=1e-6)


def test_the_cost_of_sources_is_their_power_at_its_price() -> None:
    case = small_case(3, topology=False)
    least = case.least(Sought.SOURCE)
    priced = case.grid.with_tables(sources=case.grid.sources.with_columns(price_usd_per_kwh=pl.lit(0.2)))
    result = openpoint.dispatch(priced, free="taps,capacitors", minimize="cost", limits=LIMITS)
    assert result.objective == pytest.approx(0.2 * least.value_kw, rel=1e-6)
    assert result.objective == result.cost_usd_per_h
    assert result.sources["cost_after_usd_per_h"].sum() == pytest.approx(result.objective)


def test_where_local_search_ends_nothing_is_proven() -> None:
    result = openpoint.dispatch("ieee13", limits=openpoint.Limits(current=False, voltage=False))
    assert result.termination is Termination.LOCAL
    assert result.lower_bound == -math.inf
    assert result.gap == math.inf
    jsonschema.validate(json.loads(result.to_json()), published("dispatch"))


def test_where_nothing_keeps_the_limits_there_is_no_answer() -> None:
    result = openpoint.dispatch("ieee13", limits=openpoint.Limits(v_min_pu=1.04, v_max_pu=1.05))
    assert not result.has_answer
    assert result.least_violation
    assert result.grid_after is None
    jsonschema.validate(json.loads(result.to_json()), published("dispatch"))


def test_what_is_for_balanced_grids_is_refused() -> None:
    with pytest.raises(OptionError, match="minimises losses or cost, one of them, not balance"):
        openpoint.dispatch("ieee13", minimize="balance")
    with pytest.raises(OptionError, match="one of them, not losses, moves"):
        openpoint.dispatch("ieee13", minimize="losses=1,moves=0.1")
    with pytest.raises(OptionError, match="bounds changes alone, not deviation"):
        openpoint.dispatch("ieee13", at_most={"deviation": 0.1})
    with pytest.raises(OptionError, match="this grid has none for generators"):
        openpoint.dispatch("ieee13", free="generators")
    with pytest.raises(OptionError, match="give price_usd_per_kwh to each"):
        openpoint.dispatch("ieee13", minimize="cost")
