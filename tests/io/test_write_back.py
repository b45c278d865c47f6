"""Switch states written back: only these change, and the program of the file computes the loss of the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import openpoint
from openpoint import InputError, OptionError
from openpoint.io.opendss.engine import borrow_engine, hand_back, run_statements, solve_today
from openpoint.io.opendss.text import read_script
from openpoint.io.switch_states import offsets, span
from openpoint.io.write_back import write_back

CASE = """function mpc = ring
mpc.version = '2';
mpc.baseMVA = 10;
mpc.bus = [1 3 0 0 0 0 1 1 0 10 1 1.1 .9; 2 1 .5 .1 0 0 1 1 0 10 1 1.1 .9; 3 1 .4 .1 0 0 1 1 0 10 1 1.1 .9];
mpc.gen = [1 0 0 10 -10 1 100 1 10 0];
%{
mpc.branch = [ in a comment ]
%}
mpc.branch = [ % Stra\xdfe
  1, 2, 0.01, 0.01, 0, 0, 0, 0, 0, 0, 1, -360, 360;
  2\t3\t0.01 0.01 0 0 0 0 0 0 1 -360 360   % here
  1 3 0.03 ...
    0.03 0 0 0 0 0 0 0 -360 360 ];
"""


def pandapower_loss_kw(path: Path) -> float:
    import pandapower as pp

    net = pp.from_json(str(path))
    pp.runpp(net, tolerance_mva=1e-9, numba=False)
    return 1e3 * float(net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum())


def net_file(folder: Path, name: str) -> Path:
    import pandapower as pp
    import pandapower.networks as networks

    net = getattr(networks, name)()
    if len(net.switch):
        net.switch["name"] = [f'Straße "{k}" \U0001f50c' for k in range(len(net.switch))]
    pp.to_json(net, str(folder / "net.json"))
    return folder / "net.json"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["simple_mv_open_ring_net", "case33bw"])
def test_pandapower_computes_the_loss_of_the_answer(name: str, tmp_path: Path) -> None:
    source, copy = net_file(tmp_path, name), tmp_path / "copy.json"
    branches = openpoint.read(source).branches()
    lock = branches.filter("switchable", "closed")["name"][-2]
    answer = openpoint.reconfigure(source, limits=openpoint.Limits(voltage=False, current=False), locked_open=lock)
    changes = write_back(source, copy, dict(answer.branches.select("name", "closed_after").iter_rows()))
    assert len({change.branch for change in changes}) == len(answer.changes) > 0
    assert openpoint.run_powerflow(copy).loss_kw == pytest.approx(answer.loss_kw, rel=1e-9)
    assert pandapower_loss_kw(copy) == pytest.approx(answer.loss_kw, rel=1e-6)
    before, after = source.read_bytes(), copy.read_bytes()
    assert before.replace(b"true", b"T").replace(b"false", b"T") == after.replace(b"true", b"T").replace(b"false", b"T")
    write_back(copy, copy, dict(branches.select("name", "closed").iter_rows()))
    restored = openpoint.read(copy)
    assert restored.branches().equals(branches)


@pytest.mark.filterwarnings("ignore")
def test_tables_within_the_json_are_found_as_well(tmp_path: Path) -> None:
    source = net_file(tmp_path, "simple_mv_open_ring_net")
    content = json.loads(source.read_text())
    table = content["_object"]["switch"]
    inner = json.loads(table["_object"])
    cells = [dict(zip(inner["columns"], row)) for row in inner["data"]]
    by_index = {str(k): {**row, "closed": int(row["closed"])} for k, row in zip(inner["index"], cells)}
    by_column = {c: {str(k): row[c] for k, row in zip(inner["index"], cells)} for c in inner["columns"]}
    for orient, made in (("index", by_index), ("columns", by_column), ("split", inner)):
        content["_object"]["switch"] = table | {"orient": orient, "_object": made}
        source.write_text(json.dumps(content, indent=1))
        closed = dict(openpoint.read(source).branches().select("name", "closed").iter_rows())
        (change, *_) = write_back(source, tmp_path / "copy.json", {next(n for n, c in closed.items() if not c): True})
        assert "Straße" in change.element
        assert openpoint.read(tmp_path / "copy.json").branches()["closed"].all()


def test_only_the_status_of_a_matpower_case_changes(tmp_path: Path) -> None:
    source, copy = tmp_path / "ring.m", tmp_path / "copy.m"
    source.write_bytes(CASE.replace("\n", "\r\n").encode("latin-1"))
    changes = write_back(source, copy, {"1": True, "2": False, "3": True})
    assert [change.branch for change in changes] == ["2", "3"]
    assert "2 to 3 = 0" in str(changes[0])
    pairs = [(a, b) for a, b in zip(source.read_bytes(), copy.read_bytes(), strict=True) if a != b]
    assert pairs == [(ord("1"), ord("0")), (ord("0"), ord("1"))]
    assert openpoint.read(copy).branches()["closed"].to_list() == [True, False, True]


def test_what_the_file_cannot_hold_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    later = tmp_path / "later.m"
    later.write_text(CASE + "mpc.branch(2, 11) = 1;\n")
    copy = tmp_path / "copy.m"
    with pytest.raises(InputError, match="row 2: read again"):
        write_back(later, copy, {"2": False})
    assert not copy.exists()
    copy.write_text("mine")
    with pytest.raises(InputError):
        write_back(later, copy, {"2": False})
    assert copy.read_text() == "mine"
    later.write_text(CASE.replace("0 0 1 -360 360   % here", "0 0 1*1 -360 360"))
    with pytest.raises(InputError, match="not written as a number"):
        write_back(later, copy, {"2": False})
    with pytest.raises(InputError, match="no such branch"):
        write_back(later, copy, {"7": False})


def test_formats(tmp_path: Path) -> None:
    source = tmp_path / "ring.m"
    source.write_text(CASE)
    with pytest.raises(OptionError, match=r"ends in \.m"):
        write_back(source, tmp_path / "copy.json", {})
    with pytest.raises(OptionError, match="convert"):
        write_back("baran33", tmp_path / "copy", {})
    for name in ("tables", "book.xlsx"):
        openpoint.write(source, tmp_path / name)
        copy = tmp_path / f"copy {name}"
        (change,) = write_back(tmp_path / name, copy, {"2": False})
        assert str(change) == "open 2: lines, closed = false"
        made, before = openpoint.read(copy), openpoint.read(tmp_path / name)
        assert made.with_closed({"2": True}).lines.equals(before.lines)


def test_an_opendss_circuit_gets_statements_at_its_end(tmp_path: Path) -> None:
    source, copy = tmp_path / "circuit.dss", tmp_path / "copy.dss"
    openpoint.write(openpoint.read("ieee13").with_switchable("650632"), source)
    closed = dict(openpoint.read(source).branches().filter("switchable").select("name", "closed").iter_rows())
    assert "650632" in closed
    write_back(source, copy, {"671692": False})
    assert copy.read_bytes().startswith(source.read_bytes())
    assert dict(openpoint.read(copy).branches().select("name", "closed").iter_rows())["671692"] is False
    write_back(copy, tmp_path / "again.dss", {"671692": True})
    assert openpoint.read(tmp_path / "again.dss").branches()["closed"].all()
    write_back(source, copy, {"650632": False})
    assert "Edit SwtControl." in copy.read_text()


def test_opendss_computes_the_loss_of_the_answer(tmp_path: Path) -> None:
    source, copy = tmp_path / "circuit.dss", tmp_path / "copy.dss"
    openpoint.write("zhang13", source)
    answer = openpoint.reconfigure("zhang13", limits=openpoint.Limits(voltage=False, current=False))
    assert write_back(source, copy, dict(answer.branches.select("name", "closed_after").iter_rows()))
    for file, loss in ((source, answer.loss_before_kw), (copy, answer.loss_kw)):
        engine = borrow_engine()
        assert run_statements(engine, read_script(file).statements) == []
        assert solve_today(engine)
        found = engine.Circuit.Losses()[0] / 1e3
        hand_back(engine)
        assert found == pytest.approx(loss, rel=1e-6)


def test_values_are_found_in_the_text_of_json() -> None:
    content: Any = {"a\\": [1, {"b": "x"}], "c é\U0001f50c": {"d": [[], [True, None, -1.5e3]]}, "e": {}}
    for text in (json.dumps(content), json.dumps(content, ensure_ascii=False, indent=3)):
        start, end = span(text, ("c é\U0001f50c", "d", 1, 0))
        assert text[start:end] == "true"
        start, end = span(text, ("a\\", 1))
        assert json.loads(text[start:end]) == {"b": "x"}
        for way in (("x",), ("a\\", 2), ("e", "x"), ("c é\U0001f50c", "d", 0, 0), ("a\\", "x"), ("e", 0)):
            with pytest.raises(LookupError):
                span(text, way)
        literal = json.dumps(text)
        places = offsets(literal)
        assert len(places) == len(text) + 1
        assert all(json.loads(f'"{literal[a:b]}"') == c for a, b, c in zip(places, places[1:], text))
