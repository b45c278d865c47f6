"""Faults of devices, and slips of a hurried hand: each is told with its table and a remedy; real grids raise none."""

import math
import re
from typing import Any

import polars as pl
import pytest

import openpoint
from openpoint import Grid
from openpoint.errors import InputError, Problem
from openpoint.grid.rules.device_rules import MOST_POSITIONS
from openpoint.grid.rules.doubts import drop_doubts, slip_doubts
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
    ("capacitors", {"q_kvar": -60.0, "levels_kvar": [-30.0, -15.0, -60.0]}, "levels_kvar", "or fall from below 0"),
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


# A grid, what is changed (`=` all cells of a column, `[]=` one of them, `*` all times a number), where it is told, and
# some of the words. Several changes have semicolons between them.
TABLE = """
baran33 | sources.v_pu = 12.66 | sources | far from
baran33 | sources.v_pu = 12660.0 | sources | far from
baran33 | sources.v_pu = 7.3 | sources | far from
baran33 | sources.v_pu = 100.0 | sources | far from
baran33 | sources.v_pu = 0.1 | sources | far from
baran33 | sources.v_pu = 0.0 | sources | not positive
baran33 | sources.v_pu = -1.0 | sources | not positive
baran33 | sources.v_pu = nan | sources | finite
baran33-devices | generators.v_pu = 12.66 | generators | far from
baran33 | buses.vn_kv * 1000 | buses | more than any grid
baran33 | buses.vn_kv * 0.001 | lines | times the nominal voltage
baran33 | buses.vn_kv * 0.1 | lines | times the nominal voltage
baran33 | buses.vn_kv * 0.2 | lines | times the nominal voltage
baran33 | buses.vn_kv []= 0.4 | lines | it joins
baran33 | buses.vn_kv []= 20.0 | lines | it joins
baran33 | buses.vn_kv []= 0.0 | buses | not positive
baran33 | buses.vn_kv []= -12.66 | buses | not positive
baran33 | buses.v_min_pu []= 1.0; buses.v_max_pu []= 1.0 | buses | both voltage limits are 1 pu
baran33 | buses.v_min_pu []= 0.95; buses.v_max_pu []= 0.95 | buses | both voltage limits are
baran33 | buses.v_min_pu = 1.05; buses.v_max_pu = 1.05 | buses | both voltage limits are
baran33 | buses.v_min_pu = 1.1; buses.v_max_pu = 0.9 | buses | lies above the upper
baran33 | buses.v_min_pu = 11.4; buses.v_max_pu = 13.9 | buses | far above
baran33 | buses.v_min_pu = 90.0; buses.v_max_pu = 110.0 | buses | far above
baran33 | buses.v_min_pu = None; buses.v_max_pu = 0.05 | buses | far below
baran33 | buses.v_max_pu = 0.0 | buses | not positive
baran33 | buses.v_max_pu = -1.0 | buses | not positive
baran33 | buses.v_min_pu = -0.9 | buses | is negative
baran33 | lines.i_max_a = 400000.0 | lines | more than any conductor
baran33 | lines.i_max_a = 100000.0 | lines | more than any conductor
baran33 | lines.i_max_a []= 30000.0 | lines | more than any conductor
baran33 | lines.i_max_a = 0.4 | lines | the largest rating
baran33 | lines.i_max_a = 0.2 | lines | the largest rating
baran33 | lines.i_max_a = 0.1 | lines | the largest rating
baran33 | lines.i_max_a = 0.0 | lines | not positive
baran33 | lines.i_max_a []= -400.0 | lines | not positive
ieee13 | transformers.s_max_kva = 5000000.0 | transformers | more than any transformer
ieee13 | transformers.s_max_kva []= -5.0 | transformers | not positive
ieee13 | transformers.s_max_kva []= 0.0 | transformers | not positive
baran33 | loads swapped | loads | reactive power is greater
baran69 | loads swapped | loads | reactive power is greater
das70 | loads swapped | loads | reactive power is greater
mantovani136 | loads swapped | loads | reactive power is greater
civanlar16 | loads swapped | loads | is negative
baran33 | loads.p_kw * 1000; loads.q_kvar * 1000 | lines | times the nominal voltage
baran33 | loads.p_kw * 100; loads.q_kvar * 100 | lines | times the nominal voltage
baran33 | loads.p_kw * 30; loads.q_kvar * 30 | lines | times the nominal voltage
baran33 | loads.p_kw * 10; loads.q_kvar * 10 | buses | times the nominal voltage
baran33 | loads.p_kw * 0.001; loads.q_kvar * 0.001 | loads | multiply p_kw and q_kvar by 1000
baran33 | loads.p_kw * 1e-6; loads.q_kvar * 1e-6 | loads | multiply p_kw and q_kvar by 1000
baran33 | loads.p_kw * 0; loads.q_kvar * 0 | loads | all loads are 0
baran33 | loads.p_kw * -1 | loads | is negative
baran33 | loads.p_kw * 1000 | lines | times the nominal voltage
baran33 | loads.p_kw * 0.001 | loads | reactive power is greater
baran33 | loads.q_kvar * 1000 | loads | reactive power is greater
baran33 | loads.p_kw []= 60000.0 | buses | times the nominal voltage
baran33 | loads.p_kw []= 420000.0 | loads | times the nominal voltage
baran33 | loads.p_kw []= -60.0 | loads | is negative
baran33 | loads.p_kw []= inf | loads | finite
baran33 | loads.q_kvar []= nan | loads | finite
baran33 | loads none | loads | no rows
baran33 | loads twice | loads | more than once
baran33 | loads.bus []= '34' | loads | there is no bus
baran33 | loads.bus []= '' | loads | there is no bus
baran33 | loads.model []= 'constant' | loads | is not known
baran33 | lines.r_ohm * 1000; lines.x_ohm * 1000 | lines | times the nominal voltage
baran33 | lines.r_ohm * 100; lines.x_ohm * 100 | lines | times the nominal voltage
baran33 | lines.r_ohm * 16; lines.x_ohm * 16 | buses | times the nominal voltage
baran69 | lines.r_ohm * 16; lines.x_ohm * 16 | buses | times the nominal voltage
baran69 | lines.r_ohm * 1000; lines.x_ohm * 1000 | lines | times the nominal voltage
das70 | lines.r_ohm * 12; lines.x_ohm * 12 | buses | times the nominal voltage
das70 | lines.r_ohm * 1000; lines.x_ohm * 1000 | lines | times the nominal voltage
zhang118 | lines.r_ohm * 12; lines.x_ohm * 12 | lines | times the nominal voltage
zhang118 | lines.r_ohm * 1000; lines.x_ohm * 1000 | lines | times the nominal voltage
mantovani136 | lines.r_ohm * 20; lines.x_ohm * 20 | lines | times the nominal voltage
mantovani136 | lines.r_ohm * 1000; lines.x_ohm * 1000 | lines | times the nominal voltage
baran33 | lines.r_ohm * 0.001; lines.x_ohm * 0.001 | lines | hardly any of the voltage
baran33 | lines.r_ohm * 0.0001; lines.x_ohm * 0.0001 | lines | ohms and not per unit
mantovani136 | lines.r_ohm * 0.001; lines.x_ohm * 0.001 | lines | hardly any of the voltage
baran33 | lines.r_ohm * 0; lines.x_ohm * 0 | lines | the impedance is zero
baran33 | lines.r_ohm * -1 | lines | negative
baran33 | lines.r_ohm []= [922.0] | lines | times the nominal voltage
baran33 | lines.x_ohm []= [4700.0] | lines | times the nominal voltage
baran33 | lines.r_ohm []= [-0.1] | lines | negative
baran33 | lines.r_ohm []= [] | lines | 0 numbers
baran33 | lines.r_ohm []= [0.1, 0.2, 0.1] | lines | 3 numbers
baran33 | lines.to_bus []= '99' | lines | there is no bus
baran33 | lines.to_bus []= '' | lines | there is no bus
baran33 | lines.name []= '' | lines | a name is empty
baran33 | lines.length_km []= -1.0 | lines | is negative
baran33 | lines.open_end []= 'left' | lines | is not known
baran33 | lines.phases []= 'abc' | lines | has phases
baran33 | lines.locked_reason []= 'no' | lines | is no reason
baran33 | lines twice | lines | more than once
baran33 | buses twice | buses | more than once
baran33 | sources none | sources | no source
baran33 | sources.bus []= '0' | sources | there is no bus
baran33-devices | capacitors.q_kvar []= -300.0 | capacitors | is negative
baran33-devices | capacitors.steps []= 0 | capacitors | 0 steps
baran33-devices | capacitors.steps_on []= 99 | capacitors | outside
baran33-devices | capacitors.steps []= 5000 | capacitors | positions
baran33-devices | sources.price_usd_per_kwh = 50.0 | sources | implausible
baran33-devices | sources.price_usd_per_kwh = -5.0 | sources | below 0
"""
SLIPS = [tuple(cell.strip() for cell in line.split("|")) for line in TABLE.strip().splitlines()]
ROW = 5


def changed(grid: Grid, text: str) -> Grid:
    """The grid with the changes of a line."""
    for change in text.split(";"):
        if swap := re.fullmatch(r"\s*(\w+) (swapped|none|twice)\s*", change):
            kind, way = swap[1], swap[2]
            frame = grid.tables()[kind]
            ways = {"none": frame.head(0), "twice": pl.concat([frame, frame.head(1)])}
            if way == "swapped":
                ways[way] = frame.with_columns(p_kw=pl.col("q_kvar"), q_kvar=pl.col("p_kw"))
            grid = grid.with_tables(**{kind: ways[way]})
            continue
        parts = re.fullmatch(r"\s*(\w+)\.(\w+) (\[\]=|=|\*) (.+?)\s*", change)
        assert parts is not None, change
        kind, column, sign = parts.groups()[:3]
        given = eval(parts[4], {"nan": math.nan, "inf": math.inf})
        frame = grid.tables()[kind]
        values: list[Any] = frame[column].to_list()
        for k in range(len(values)) if sign != "[]=" else [ROW % len(values)]:
            old = values[k]
            if sign != "*":
                values[k] = given
            else:
                values[k] = [each * given for each in old] if isinstance(old, list) else old * given
        grid = grid.with_tables(**{kind: frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))})
    return grid


@pytest.mark.parametrize(("name", "change", "table", "words"), SLIPS)
def test_a_slip_is_told_with_its_place_and_a_remedy(name: str, change: str, table: str, words: str) -> None:
    grid = openpoint.read(name)
    before = set(grid.problems())
    more = [problem for problem in changed(grid, change).problems() if problem not in before]
    told = [p for p in more if words in p.message + p.remedy and p.table == table]
    assert told, [str(p) for p in more][:5]
    assert all(p.remedy for p in told)


@pytest.mark.parametrize("name", openpoint.cases()["name"].to_list())
def test_built_in_grids_raise_no_such_doubt(name: str) -> None:
    assert not [*slip_doubts(openpoint.read(name)), *drop_doubts(openpoint.read(name))]


@pytest.mark.parametrize(("rating", "told"), [(0.63, "ratings of all transformers together"), (63.0, ""), (630.0, "")])
def test_ratings_of_transformers_carry_their_loads(rating: float, told: str) -> None:
    tables = {
        "buses": {"name": ["S", "L"], "vn_kv": [20.0, 0.4]},
        "sources": {"name": ["grid"], "bus": ["S"]},
        "loads": {"name": ["a", "b"], "bus": ["L", "L"], "p_kw": [100.0, 80.0], "q_kvar": [30.0, 20.0]},
        "transformers": {
            "name": ["T"], "from_bus": ["S"], "to_bus": ["L"], "vn_from_kv": [20.0], "vn_to_kv": [0.4],
            "r_ohm": [0.002], "x_ohm": [0.01], "s_max_kva": [rating],
        },
    }  # fmt: skip
    said = [problem.message for problem in Grid.from_tables("g", tables).problems() if "ratings" in problem.message]
    assert len(said) == bool(told)
    assert not told or told in said[0]
