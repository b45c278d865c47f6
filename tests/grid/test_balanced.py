"""Grids made of grids: the balanced equivalent, and branches that are locked or operated by remote control."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
import openpoint as op
from openpoint import InputError, balanced_equivalent
from openpoint.grid import Grid
from openpoint.grid.balanced import is_symmetric
from openpoint.grid.today import as_asked, locked_note
from openpoint.io.write_back import write_back
from openpoint.network import build_network
from tests.grid import small
from tests.grid.small import grid, tables

HARMLESS = {"v_min_pu": 0.1, "v_max_pu": 2.0}
"""Range in which loads keep their model in OpenDSS."""


def in_phases(phases: str, seed: int) -> tuple[Grid, Grid]:
    """A random balanced feeder with a cable, a transformer and a capacitor, and the same in phases, by hand.

    Without coupling between n phases, each carries a nth of the power at 1 / √3 of the voltage: with impedances of
    n / 3 and admittances of 3 / n the flows are the same per unit.
    """
    rng, n = np.random.default_rng(seed), len(phases)
    up, down = n / 3.0, 3.0 / n
    tables: dict[str, list[dict[str, Any]]] = {kind: [] for kind in openpoint.read("baran33").tables()}
    equal: dict[str, list[dict[str, Any]]] = {kind: [] for kind in tables}

    def add(kind: str, row: dict[str, Any], **changed: Any) -> None:
        tables[kind].append(row)
        equal[kind].append(row | changed | ({} if kind == "sources" else {"phases": phases}))

    def matrix(value: float) -> list[float]:
        return [value if i == j else 0.0 for i in range(n) for j in range(i + 1)]

    for k in range(6):
        add("buses", {"name": f"b{k}", "vn_kv": 0.4 if k == 5 else 10.0})
    add("sources", {"name": "grid", "bus": "b0"})
    for k in range(4):
        r, x, b = rng.uniform((0.2, 0.2, 10.0), (2.0, 2.0, 90.0)).tolist()
        line = {"name": f"l{k}", "from_bus": f"b{rng.integers(k + 1)}", "to_bus": f"b{k + 1}", "i_max_a": 100.0}
        values = {"r_ohm": [r], "x_ohm": [x], "b_us": [b]}
        made = {"r_ohm": matrix(up * r), "x_ohm": matrix(up * x), "b_us": matrix(down * b)}
        add("lines", line | values, **made, i_max_a=100.0 * down)
    unit = {"name": "t", "from_bus": "b3", "to_bus": "b5", "vn_from_kv": 10.0, "vn_to_kv": 0.4, "s_max_kva": 400.0}
    ohm = {"r_ohm": 0.004, "x_ohm": 0.016}
    add("transformers", unit | ohm, **{name: up * value for name, value in ohm.items()})
    for k in (1, 2, 4, 5):
        add("loads", {"name": f"d{k}", "bus": f"b{k}", "p_kw": float(rng.uniform(20, 300)), "q_kvar": 20.0} | HARMLESS)
    add("capacitors", {"name": "c", "bus": "b4", "q_kvar": 60.0})
    return Grid.from_tables("one", tables), Grid.from_tables("one", equal)


@pytest.mark.parametrize("phases", ["a", "bc", "abc"])
def test_the_power_flow_is_the_same_where_the_phases_are_alike(phases: str) -> None:
    for seed in range(2):
        one, several = in_phases(phases, seed)
        made = balanced_equivalent(several)
        for kind in ("lines", "transformers"):
            for column in ("r_ohm", "x_ohm", "b_us"):
                expected, found = one.tables()[kind][column], made.tables()[kind][column]
                assert np.allclose(np.hstack(expected.to_list()), np.hstack(found.to_list()), rtol=1e-12)
        assert made.lines["i_max_a"].to_list() == pytest.approx(one.lines["i_max_a"].to_list())
        exact, equivalent = openpoint.run_powerflow(several), openpoint.run_powerflow(made)
        assert equivalent.loss_kw == pytest.approx(exact.loss_kw, rel=1e-6)
        assert equivalent.v_min_pu == pytest.approx(exact.v_min_pu, abs=1e-7)
        assert is_symmetric(several) == (phases == "abc") == (not made.notes)


def test_a_circuit_of_opendss_gets_the_answer_of_the_balanced_grid(tmp_path: Path) -> None:
    openpoint.write("baran33", tmp_path / "grid.dss")
    made = balanced_equivalent(openpoint.read(tmp_path / "grid.dss"))
    assert made.notes == ()  # nor do the switch controls that mark its ties need one
    free = openpoint.Limits(voltage=False, current=False)
    mine, theirs = openpoint.reconfigure(made, limits=free), openpoint.reconfigure("baran33", limits=free)
    assert mine.open_branches == theirs.open_branches
    assert mine.loss_kw == pytest.approx(theirs.loss_kw, rel=1e-6)


@pytest.mark.parametrize(("name", "banks", "within"), [("ieee37", 1, 0.05), ("ieee123", 4, 0.06), ("ieee13", 1, 0.13)])
def test_feeders_with_regulators_lose_about_the_same_and_say_what_is_neglected(
    name: str, banks: int, within: float
) -> None:
    grid = openpoint.read(name)
    made = balanced_equivalent(grid)
    assert sum("+" in row for row in made.transformers["name"]) <= banks
    assert not [problem for problem in made.problems() if problem.severity == "error"]
    exact, balanced = openpoint.run_powerflow(grid), openpoint.run_powerflow(made)
    assert balanced.loss_kw == pytest.approx(exact.loss_kw, rel=within)
    assert any("unbalance is neglected" in note for note in balanced.notes)
    assert "unbalance is neglected" in made.source
    assert made.loads["p_kw"].sum() == pytest.approx(grid.loads["p_kw"].sum())


def test_a_balanced_grid_is_its_own_equivalent() -> None:
    grid = small.grid(small.tables())
    assert balanced_equivalent(grid) is grid


def test_rows_at_one_place_that_are_not_in_one_state_are_named() -> None:
    grid = openpoint.read("ieee123")
    place = grid.transformers.filter(pl.col("phases") != "abc").group_by("from_bus", "to_bus").agg("name")
    names = max(place["name"].to_list(), key=len)
    assert len(names) > 1
    with pytest.raises(InputError, match="switched together"):
        balanced_equivalent(grid.with_closed({names[0]: False}))


def test_what_changes_the_model_of_loads_is_told_and_is_not_symmetric() -> None:
    _, several = in_phases("abc", 0)
    banded = several.with_tables(loads=several.loads.with_columns(pl.lit(0.95).alias("v_min_pu")))
    assert is_symmetric(several)
    assert not is_symmetric(banded)
    (note,) = balanced_equivalent(banded).notes
    assert "4 loads keep their model at every voltage" in note.message
    assert "unbalance" not in note.message
    assert note.changes_figures


def test_units_of_a_bank_that_differ_are_named() -> None:
    grid = openpoint.read("ieee123")
    turned = pl.col("name") == "reg4b"
    table = grid.transformers.with_columns(
        pl.when(turned).then(1.25).otherwise("tap_step_percent").alias("tap_step_percent")
    )
    with pytest.raises(InputError, match=r"reg4b, tap_step_percent: 1\.25, and reg4a"):
        balanced_equivalent(grid.with_tables(transformers=table))


WHY = "defective drive"


def _locked(name: str = "ab", *, kind: str = "lines") -> op.Grid:
    changed = tables()
    next(row for row in changed[kind] if row["name"] == name).update(locked_reason=WHY, remote=True)
    return grid(changed)


def test_a_locked_branch_is_not_switchable_anywhere() -> None:
    locked = _locked()
    assert dict(locked.branches().select("name", "switchable").iter_rows())["ab"] is False
    assert not build_network(locked).switchable[0]
    assert locked_note(locked) == (f"locked as today: ab closed ({WHY})",)
    assert locked_note(grid(tables())) == ()


def test_the_columns_survive_a_folder(tmp_path: Path) -> None:
    locked = _locked()
    op.write(locked, tmp_path / "grid")
    again = op.read(tmp_path / "grid")
    assert again.equals(locked)
    assert again.lines.filter(name="ab").select("remote", "locked_reason").row(0) == (True, WHY)


def test_bad_values_are_named_with_row_and_remedy() -> None:
    changed = tables()
    changed["lines"][0]["locked_reason"] = "true"
    changed["switches"][0]["locked_reason"] = "  "
    told = [(p.table, p.row, p.column) for p in grid(changed).problems() if p.severity == "error"]
    assert told == [("lines", "ab", "locked_reason"), ("switches", "cd", "locked_reason")]
    assert "defective drive" in grid(changed).problems()[0].remedy
    changed = tables()
    changed["lines"][0]["remote"] = "perhaps"
    with pytest.raises(InputError, match=r"ab.*remote.*'perhaps' is not true or false"):
        grid(changed)


def test_what_is_locked_cannot_be_asked_for_by_name_and_is_left_out_of_a_pattern() -> None:
    locked = _locked("de", kind="transformers")
    for ask in (
        lambda: as_asked(locked, ["de"], (), ()),
        lambda: as_asked(locked, ["d?"], (), ()),  # a pattern that only it matches
        lambda: as_asked(locked, (), ["de"], ()),
        lambda: op.reconfigure(_locked(), locked_open="ab"),
    ):
        with pytest.raises(InputError, match=f"locked: {WHY}"):
            ask()
    assert not dict(as_asked(locked, ["*"], (), ()).branches().select("name", "switchable").iter_rows())["de"]
    as_asked(locked, (), (), ["de"])  # in the state that it has


def test_a_locked_switch_is_not_operated_and_its_reason_stands_in_the_answer() -> None:
    free = op.reconfigure("civanlar16")
    name = free.changes[0]
    table = op.read("civanlar16")
    lines = table.lines.to_dicts()
    next(row for row in lines if row["name"] == name)["locked_reason"] = WHY
    result = op.reconfigure(op.Grid.from_tables("locked", {**table.tables(), "lines": lines}))
    assert name not in result.changes
    assert any(f"{name} " in note and WHY in note for note in result.notes)


def test_a_locked_state_is_not_written_back(tmp_path: Path) -> None:
    op.write(_locked(), tmp_path / "grid")
    with pytest.raises(InputError, match=f"locked: {WHY}"):
        write_back(tmp_path / "grid", tmp_path / "copy", {"ab": False})
