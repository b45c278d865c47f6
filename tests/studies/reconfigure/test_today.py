"""Today's state: parallel transformers and loops are named, and no transformer is opened unless asked for."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import openpoint
from openpoint import Grid, InputError, TopologySearch
from openpoint.verify import CertificateError, verify


def station(*, ring: bool = False, **transformer: Any) -> Grid:
    """Two parallel transformers feed a bus with a load, from which a line leads on, or two."""
    row = {"from_bus": "HV", "to_bus": "MV", "vn_from_kv": 110.0, "vn_to_kv": 10.0, "r_ohm": 0.05, "x_ohm": 0.6}
    lines = [{"name": "out", "from_bus": "MV", "to_bus": "end", "r_ohm": 0.5, "x_ohm": 0.4}]
    if ring:
        lines.append({**lines[0], "name": "back", "r_ohm": 0.6})
    return Grid.from_tables(
        "station",
        {
            "buses": [{"name": "HV", "vn_kv": 110.0}, {"name": "MV", "vn_kv": 10.0}, {"name": "end", "vn_kv": 10.0}],
            "lines": lines,
            "transformers": [{"name": name, **row, **transformer} for name in ("T1", "T2")],
            "sources": [{"name": "grid", "bus": "HV"}],
            "loads": [{"name": "town", "bus": "end", "p_kw": 800.0, "q_kvar": 200.0}],
        },
    )


def test_parallel_transformers_stay_closed() -> None:
    """As one transformer of half the impedance, of which each carries half the current."""
    grid = station(ring=True)
    answer = openpoint.reconfigure(grid)
    assert answer.open_branches == ("back",)
    half = {"r_ohm": 0.025, "x_ohm": 0.3}
    one = openpoint.run_powerflow(station(**half).with_closed({"T2": False}))
    assert answer.loss_kw == pytest.approx(one.loss_kw, rel=1e-12)
    assert answer.loss_kw == pytest.approx(openpoint.run_powerflow(station()).loss_kw, rel=1e-12)
    assert answer.lower_bound_kw == pytest.approx(answer.loss_kw, rel=1e-6)
    current = dict(answer.branches.select("name", "i_after_a").iter_rows())
    together = dict(one.branches.select("name", "i_a").iter_rows())["T1"]
    assert current["T1"] == pytest.approx(current["T2"]) == pytest.approx(together / 2)


def test_loops_that_cannot_be_kept_are_named_with_the_way_out() -> None:
    grid = station()
    ratios = grid.transformers.with_columns(vn_from_kv=pl.Series([110.0, 115.5]))
    with pytest.raises(InputError) as caught:
        openpoint.reconfigure(grid.with_tables(transformers=ratios))
    (problem,) = caught.value.problems
    assert {"T1", "T2"} <= set(f"{problem.row}, {problem.message}".replace("'", "").replace(",", "").split())
    assert "--open T2, or --switchable T1,T2" in problem.remedy
    assert "parallel branches that have one ratio" in problem.remedy
    assert openpoint.run_powerflow(grid.with_tables(transformers=ratios)).loss_kw > 0.0


def test_a_transformer_is_opened_where_it_is_asked_for() -> None:
    locked = openpoint.reconfigure(station(), locked_open=["T2"])
    assert locked.open_branches == ("T2",)
    for asked in (["T1", "T2"], "T1"):
        chosen = openpoint.reconfigure(station(), switchable=asked)
        assert len(chosen.open_branches) == 1
        assert chosen.loss_kw == pytest.approx(locked.loss_kw, rel=1e-9)
    by_table = openpoint.reconfigure(station(switchable=True))
    assert by_table.loss_kw == pytest.approx(locked.loss_kw, rel=1e-9)


def test_no_transformer_is_opened_where_lines_can_be() -> None:
    result = openpoint.reconfigure(station(ring=True), locked_open=["T1"])
    assert set(result.open_branches) == {"T1", "back"}
    (note,) = result.notes
    assert note.startswith("today's state is not radial, and its loss is that with its loops closed")
    for loop in ("loop 'back' (lines), 'out' (lines)", "loop 'T1' (transformers), 'T2' (transformers)"):
        assert loop in note
    assert result.loss_before_kw is not None


def test_a_transformer_that_is_open_today_is_closed_only_on_demand() -> None:
    grid = station()
    apart = grid.with_closed({"T1": False, "T2": False})
    with pytest.raises(InputError, match="--switchable T1,T2"):
        openpoint.reconfigure(apart)
    result = openpoint.reconfigure(apart, locked_closed=["T1"])
    assert result.open_branches == ("T2",)
    assert result.notes == ("no loss before: in today's state no source reaches the buses MV, end",)


def test_a_line_that_is_marked_as_fixed_is_named_by_switchable_alone() -> None:
    grid = openpoint.read("baran33")
    fixed = grid.with_tables(lines=grid.lines.with_columns(switchable=grid.lines["name"] != "7"))
    with pytest.raises(InputError, match="unless --switchable names it"):
        openpoint.reconfigure(fixed, locked_open="7")
    assert openpoint.reconfigure(fixed, locked_open=["7"], switchable="7").open_branches[0] == "7"


def test_a_pattern_stands_for_all_names_that_match() -> None:
    by_name = openpoint.reconfigure(station(), switchable=["T1", "T2"])
    for pattern in ("T*", "T[12]"):
        chosen = openpoint.reconfigure(station(), switchable=pattern)
        assert chosen.branches["switchable"].equals(by_name.branches["switchable"])
        assert len(chosen.open_branches) == 1
    with pytest.raises(InputError, match=r"X\*: no such branch"):
        openpoint.reconfigure(station(), switchable="X*")


def test_joined_sources_are_named() -> None:
    grid = openpoint.read("civanlar16")
    joined = grid.with_closed(dict.fromkeys(grid.branches().filter(~grid.branches()["closed"])["name"], True))
    for (note,) in (openpoint.run_powerflow(joined).notes, openpoint.reconfigure(joined).notes):
        assert "sources '1' and '2' are joined by" in note


def test_a_certificate_with_an_open_transformer_is_verified(tmp_path: Path) -> None:
    file = tmp_path / "proof"
    openpoint.reconfigure(station(), locked_open=["T2"], method=TopologySearch(certificate=file))
    assert verify(station(), file).given == (("T2",), ())
    openpoint.reconfigure(station(), switchable=["T1", "T2"], method=TopologySearch(certificate=file))
    with pytest.raises(CertificateError, match="is the certificate of this grid"):
        verify(station(), file)
    assert verify(station().with_switchable(["T1", "T2"]), file).open_branches in (("T1",), ("T2",))


def test_parallel_transformers_are_told_in_many_futures_too() -> None:
    futures = openpoint.grow(station(), count=2, seed=1)
    result = openpoint.reconfigure_futures(station(), futures, switchable="T2")
    assert result.open_branches == ("T2",)
    assert any(note.startswith("no loss before: today's state is meshed") for note in result.notes)


def test_three_phases_name_their_loops() -> None:
    grid = openpoint.read("ieee13")
    twins = grid.transformers.head(1)
    meshed = grid.with_tables(transformers=grid.transformers.vstack(twins.with_columns(name=twins["name"] + " twin")))
    (problem,) = (p for p in meshed.problems() if p.column == "closed")
    assert problem.row == f"{twins['name'][0]} twin"
