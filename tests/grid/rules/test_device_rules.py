"""Every fault of a device is named, and what is plausible passes."""

from __future__ import annotations

import math
from typing import Any

import pytest

from openpoint.errors import InputError, Problem
from openpoint.grid.rules.device_rules import MOST_POSITIONS
from tests.grid.small import grid, tables

TAPS = {"tap_min": -2, "tap_max": 2, "tap_step_percent": 2.5}
RANGE = {"v_min_pu": 0.96, "v_max_pu": 1.04, "v_step_pu": 0.01}
LEVELS = {"q_kvar": 60.0, "steps": 3, "steps_on": 0, "levels_kvar": [15.0, 30.0, 60.0]}
UNIT = {"p_min_kw": 10.0, "p_max_kw": 40.0, "q_min_kvar": -30.0, "q_max_kvar": 30.0, "may_stop": True}
COSTS = {"s_max_kva": 45.0, "cost_usd_per_kwh": 0.2, "cost_usd_per_kw2h": 0.001, "cost_on_usd_per_h": 3.0}
LIMITS = {"p_min_kw": -100.0, "p_max_kw": 500.0, "q_min_kvar": -50.0, "q_max_kvar": 200.0, "s_max_kva": 400.0}
SOUND = {"transformers": TAPS, "sources": RANGE | LIMITS | {"price_usd_per_kwh": 0.1}}
SOUND |= {"capacitors": LEVELS, "generators": UNIT | COSTS}

Values = dict[str, Any]


def problems(kind: str, values: Values) -> list[Problem]:
    """Problems of the small grid with sound devices, after changes to the row of a table."""
    changed = tables()
    for table, columns in SOUND.items():
        changed[table][0].update(columns)
    changed[kind][0].update(values)
    return grid(changed).problems()


def test_sound_devices_have_no_problems() -> None:
    assert problems("sources", {}) == []


FAULTS: list[tuple[str, Values, str, str]] = [
    ("transformers", {"tap_pos": 3}, "tap_pos", "outside"),
    ("transformers", {"tap_min": -50}, "tap_step_percent", "not positive at every tap"),
    ("transformers", {"tap_max": 998, "tap_step_percent": 0.1}, "tap_max", "more than 1000"),
    ("capacitors", {"steps": 0, "levels_kvar": []}, "steps", "0 steps"),
    ("capacitors", {"steps": MOST_POSITIONS, "levels_kvar": []}, "steps", "more than 1000"),
    ("capacitors", {"steps_on": 4}, "steps_on", "outside"),
    ("capacitors", {"levels_kvar": [30.0, 15.0, 60.0]}, "levels_kvar", "do not rise"),
    ("capacitors", {"levels_kvar": [0.0, 15.0, 60.0]}, "levels_kvar", "from above 0"),
    ("capacitors", {"levels_kvar": [15.0, math.nan, 60.0]}, "levels_kvar", "finite"),
    ("capacitors", {"levels_kvar": [15.0, 60.0]}, "steps", "number of levels"),
    ("capacitors", {"q_kvar": 50.0}, "q_kvar", "not the last level"),
    ("generators", {"p_min_kw": 50.0}, "p_min_kw", "above the most"),
    ("generators", {"q_min_kvar": 31.0}, "q_min_kvar", "above the most"),
    ("generators", {"s_max_kva": 0.0}, "s_max_kva", "not positive"),
    ("generators", {"s_max_kva": 9.0}, "s_max_kva", "less than every output"),
    ("generators", {"s_max_kva": 20.0, "q_min_kvar": 18.0}, "s_max_kva", "less than every output"),
    ("generators", {"s_max_kva": 20.0, "p_min_kw": -60.0, "p_max_kw": -21.0}, "s_max_kva", "less than every output"),
    ("generators", {"s_max_kva": math.inf}, "s_max_kva", "finite"),
    ("generators", {"cost_usd_per_kwh": math.nan}, "cost_usd_per_kwh", "finite"),
    ("generators", {"cost_usd_per_kwh": -0.1, "p_max_kw": None}, "cost_usd_per_kwh", "nothing limits"),
    ("generators", {"cost_usd_per_kw2h": -0.1}, "cost_usd_per_kw2h", "negative"),
    ("generators", {"cost_on_usd_per_h": -1.0}, "cost_on_usd_per_h", "negative"),
    ("generators", dict.fromkeys(("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")), "may_stop", "fixed"),
    ("sources", {"p_min_kw": 501.0}, "p_min_kw", "lies above"),
    ("sources", {"q_min_kvar": 201.0}, "q_min_kvar", "lies above"),
    ("sources", {"s_max_kva": -1.0}, "s_max_kva", "not positive"),
    ("sources", {"p_min_kw": 401.0}, "s_max_kva", "every active power"),
    ("sources", {"p_min_kw": None, "p_max_kw": -401.0}, "s_max_kva", "every active power"),
    ("sources", {"v_min_pu": 1.05}, "v_min_pu", "lies above"),
    ("sources", {"v_min_pu": 1.01}, "v_pu", "none of"),
    ("sources", {"v_max_pu": 0.99}, "v_pu", "none of"),
    ("sources", {"v_pu": 1.005}, "v_pu", "none of"),
    ("sources", {"v_step_pu": None}, "v_step_pu", "some are given"),
    ("sources", {"v_step_pu": 0.0}, "v_step_pu", "not positive"),
    ("sources", {"v_step_pu": 1e-5}, "v_step_pu", "more than 1000"),
    ("sources", {"price_usd_per_kwh": math.inf}, "price_usd_per_kwh", "finite"),
    ("sources", {"price_usd_per_kwh": -0.1, "p_max_kw": None, "s_max_kva": None}, "price_usd_per_kwh", "limits"),
]


@pytest.mark.parametrize(("kind", "values", "column", "message"), FAULTS)
def test_every_fault_is_named_with_row_and_remedy(kind: str, values: Values, column: str, message: str) -> None:
    told = [p for p in problems(kind, values) if (p.severity, p.table, p.column) == ("error", kind, column)]
    assert len(told) == 1
    assert told[0].row == tables()[kind][0]["name"]
    assert message in told[0].message
    assert told[0].remedy


def test_all_faults_of_devices_come_at_once() -> None:
    changed = tables()
    changed["capacitors"][0]["steps"] = 0
    changed["generators"][0] |= {"q_min_kvar": 1.0, "q_max_kvar": 0.0, "cost_usd_per_kw2h": -1.0}
    changed["transformers"][0]["tap_pos"] = 9
    changed["sources"][0] |= {"price_usd_per_kwh": -1.0}
    with pytest.raises(InputError) as caught:
        grid(changed).check()
    assert {(p.table, p.column) for p in caught.value.problems} == {
        ("capacitors", "steps"),
        ("capacitors", "steps_on"),
        ("generators", "q_min_kvar"),
        ("generators", "cost_usd_per_kw2h"),
        ("transformers", "tap_pos"),
        ("sources", "price_usd_per_kwh"),
    }


@pytest.mark.parametrize(
    ("kind", "values", "column"),
    [
        ("transformers", {"tap_step_percent": 0.0}, "tap_step_percent"),
        ("generators", {"cost_usd_per_kwh": 50.0}, "cost_usd_per_kwh"),
        ("sources", {"price_usd_per_kwh": 50.0}, "price_usd_per_kwh"),
    ],
)
def test_what_is_implausible_is_a_warning(kind: str, values: Values, column: str) -> None:
    (problem,) = problems(kind, values)
    assert (problem.severity, problem.table, problem.column) == ("warning", kind, column)


def test_a_cost_without_limits_of_power_is_doubted() -> None:
    changed = tables()
    changed["generators"] = [{"name": "chp", "bus": "C", "p_kw": 20.0, "cost_usd_per_kwh": 0.2}]
    (problem,) = grid(changed).problems()
    assert (problem.severity, problem.column) == ("warning", "cost_usd_per_kwh")


def test_odd_ranges_of_what_no_decision_sets_are_allowed() -> None:
    fixed = {"controllable": False}
    assert problems("transformers", {"tap_min": -100, "tap_max": 2000} | fixed) == []
    assert problems("transformers", {"tap_step_percent": 0.0} | fixed) == []
    assert problems("capacitors", {"steps": 5000, "levels_kvar": []} | fixed) == []


@pytest.mark.parametrize(("columns", "severity"), [(RANGE, "error"), ({}, "warning")])
def test_a_voltage_of_today_that_breaks_its_bus(columns: Values, severity: str) -> None:
    """No setting may break the limits of the bus, so that today's could not be told among them."""
    changed = tables()
    changed["sources"][0] |= columns
    changed["buses"][0]["v_max_pu"] = 0.99
    (problem,) = grid(changed).problems()
    assert (problem.severity, problem.table, problem.column) == (severity, "sources", "v_pu")


def test_a_negative_price_is_allowed_where_the_power_is_limited() -> None:
    assert problems("sources", {"price_usd_per_kwh": -0.05}) == []
    assert problems("generators", {"cost_usd_per_kwh": -0.05}) == []
