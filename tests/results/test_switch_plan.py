"""Switch plans under the names of a grid: each step an operation, each state that of another program."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import polars as pl
import pytest

import openpoint as op
from openpoint.errors import InputError, OptionError
from openpoint.network import build_network
from openpoint.report.page.model import Table
from openpoint.report.switch_plan import plan_section, write_checklist
from openpoint.results.switch_plan import SwitchPlan
from openpoint.studies.reconfigure.result import ReconfigureResult
from tests.powerflow.oracles import pandapower_voltages

EXCHANGE = op.BranchExchange()


@pytest.fixture(scope="module")
def result() -> ReconfigureResult:
    """Of three feeders with a source each."""
    return op.reconfigure("civanlar16", method=EXCHANGE)


@pytest.mark.parametrize(("name", "parallel"), [("baran33", False), ("civanlar16", True)])
def test_each_step_is_one_operation_and_its_state_that_of_pandapower(name: str, parallel: bool) -> None:
    result = op.reconfigure(name, method=EXCHANGE)
    plan = op.plan_answer(result, parallel=parallel)
    network = build_network(result.grid)
    number = {branch: e for e, branch in enumerate(network.branch_names)}
    closed = network.closed.copy()
    for row in plan.steps.iter_rows(named=True):
        e = number[row["name"]]
        assert closed[e] == (row["action"] == "open")
        assert row["off_kw"] == 0.0
        closed[e] = not closed[e]
        v = np.abs(pandapower_voltages(network, closed))
        assert row["v_min_pu"] == pytest.approx(v.min(), abs=1e-7)
        assert network.bus_names[int(v.argmin())] == row["v_min_bus"]
    assert {network.branch_names[e] for e in np.flatnonzero(~closed)} == set(result.open_branches)
    assert plan.operations == plan.fewest_operations == len(result.changes)
    assert plan.steps["loop"].to_list() == [True, False] * (plan.operations // 2)
    assert plan.proven
    assert plan.ac_max_mismatch_pu < 1e-9


def test_who_is_off_where_sources_may_not_be_joined(result: ReconfigureResult) -> None:
    customers = op.Reliability.of(customers={"bus": ["11", "8"], "customers": [7, 3]})
    plan = op.plan_answer(result, reliability=customers, manual_minutes=12.0)
    assert plan.steps["action"].to_list() == ["open", "close", "open", "close"]
    off = plan.steps.filter(pl.col("off_kw") > 0)
    load = dict(result.grid.loads.group_by("bus").agg(pl.col("p_kw").sum()).iter_rows())
    for buses, kw, minutes in off.select("off_buses", "off_kw", "off_min").iter_rows():
        assert kw == pytest.approx(sum(load[bus] for bus in buses.split(" ")))
        assert minutes == 12.0
    assert plan.not_supplied_kwh == pytest.approx(off["off_kw"].sum() * 0.2)
    assert plan.steps.filter(off_buses="11")["off_customers"].to_list() == [7.0]
    assert "2 interruptions" in plan.in_short
    assert "12 min on site" in plan.notes[0]


def test_remote_operations_come_first() -> None:
    base = op.read("baran33")
    second = op.plan_answer(op.reconfigure(base, method=EXCHANGE)).steps["name"].to_list()[2:4]
    lines = base.lines.with_columns(remote=pl.col("name").is_in(second))
    plan = op.plan_answer(op.reconfigure(base.with_tables(lines=lines), method=EXCHANGE))
    assert plan.steps["name"].to_list()[:2] == second
    assert plan.steps["remote"].to_list() == [True] * 2 + [False] * (plan.operations - 2)
    assert plan.manual_operations == plan.operations - 2


def test_it_is_written_with_the_result_and_as_a_list_to_print(result: ReconfigureResult, tmp_path: Path) -> None:
    planned = result.with_plan(op.plan_answer(result))
    document = json.loads(planned.to_json())
    jsonschema.validate(document, planned.shape.json_schema())
    assert document["plan"]["operations"] == 4
    assert [row["name"] for row in document["switch_plan"]] == planned.tables()["switch_plan"]["name"].to_list()
    assert json.loads(result.to_json())["plan"] is None
    assert planned.row()["plan"] == _plan(planned).in_short
    assert "Switch plan" in planned.write_report(tmp_path / "r.html").read_text()
    for ending in ("html", "md", "csv"):
        text = write_checklist(result.grid, _plan(planned), tmp_path / f"list.{ending}").read_text()
        assert all(name in text for name in planned.changes)
    with pytest.raises(OptionError, match=r"ends in \.html"):
        write_checklist(result.grid, _plan(planned), tmp_path / "list.pdf")


def test_what_cannot_be_planned_is_said(result: ReconfigureResult) -> None:
    with pytest.raises(InputError, match="99"):
        op.plan_answer(result, reliability=op.Reliability.of(customers={"bus": ["99"], "customers": [1]}))
    with pytest.raises(OptionError, match="manual_minutes"):
        op.plan_answer(result, manual_minutes=-1.0)
    none = op.reconfigure("baran33", limits=op.Limits(v_min_pu=0.999), method=EXCHANGE)
    with pytest.raises(OptionError, match="there is no answer"):
        op.plan_answer(none)
    same = op.reconfigure("baran33", max_changes=0)
    assert op.plan_answer(same).in_short == "Nothing to switch."


def _plan(result: ReconfigureResult) -> SwitchPlan:
    assert result.plan is not None
    return result.plan


@pytest.mark.filterwarnings("ignore")
def test_a_checklist_names_the_switches_of_a_net_and_leaves_out_what_no_step_has(tmp_path: Path) -> None:
    import pandapower.networks as networks

    net = networks.simple_mv_open_ring_net()
    net.switch.loc[6, "name"] = "Switch 6"
    plan = op.switch_plan(net, ["line 1"]).plan
    # A line opens at its to end, or where it is open today.
    assert dict(plan.steps.select("name", "switch").iter_rows()) == {"line 3": "Switch 6", "line 1": "3"}
    assert op.switch_plan(net, ["line 2"]).plan.steps["switch"].to_list() == ["Switch 6", "5"]
    net.switch.loc[5, "name"] = "Q2"
    assert op.switch_plan(net, ["line 2"]).plan.steps["switch"].to_list() == ["Switch 6", "5 Q2"]
    sheet = op.read(net)
    text = write_checklist(sheet, plan, tmp_path / "list.md").read_text("utf-8")
    head = next(line for line in text.splitlines() if line.startswith("| step"))
    assert "| switch | at | by |" in head
    assert "limit broken" not in head
    table = next(block for block in plan_section(plan).content if isinstance(block, Table))
    assert max(sum(len(str(cell)) + 3 for cell in row) for row in table.rows) <= 120  # a row fits a screen
    assert op.plan_answer(op.reconfigure("baran33", method=EXCHANGE)).steps["switch"].to_list() == [""] * 8
