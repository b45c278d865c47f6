"""Slips of a hurried hand: each is a doubt or a fault with its table and a remedy, and real grids raise none."""

from __future__ import annotations

import math
import re
from typing import Any

import polars as pl
import pytest

import openpoint
from openpoint import Grid
from openpoint.grid.rules.slips import drop_doubts, slip_doubts

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
