"""Grids in memory: read as their file is, and set in place to the states of an answer."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import InputError, OptionError
from openpoint.io.memory import set_states
from tests.io.nets import full_net

WITHOUT = openpoint.Limits(voltage=False, current=False)


def ring() -> Any:
    import pandapower.networks as networks

    return networks.case33bw()


def loss_kw(net: Any) -> float:
    import pandapower as pp

    pp.runpp(net, tolerance_mva=1e-9, numba=False)
    return 1e3 * float(net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum())


def pgm_data() -> dict[str, Any]:
    """Two buses fed over two lines in parallel ways, one of which is open."""
    from power_grid_model import initialize_array

    node = initialize_array("input", "node", 3)
    node["id"], node["u_rated"] = [1, 2, 3], 1e4
    line = initialize_array("input", "line", 3)
    line["id"], line["from_node"], line["to_node"] = [4, 5, 6], [1, 2, 1], [2, 3, 3]
    line["from_status"], line["to_status"] = 1, [1, 1, 0]
    line["r1"], line["x1"], line["c1"], line["tan1"], line["i_n"] = [0.5, 0.9, 0.1], 0.1, 0.0, 0.0, 500.0
    load = initialize_array("input", "sym_load", 2)
    load["id"], load["node"], load["status"], load["type"] = [7, 8], [2, 3], 1, 0
    load["p_specified"], load["q_specified"] = [1e5, 4e5], 1e4
    source = initialize_array("input", "source", 1)
    source["id"], source["node"], source["status"], source["u_ref"], source["sk"] = 9, 1, 1, 1.0, 1e20
    return {"node": node, "line": line, "sym_load": load, "source": source}


@pytest.mark.filterwarnings("ignore")
def test_a_net_in_memory_is_the_grid_of_its_file(tmp_path: Path) -> None:
    import pandapower as pp
    from pandapower.toolbox import nets_equal

    net = full_net()
    pp.to_json(net, str(tmp_path / "net.json"))
    mine, theirs = openpoint.read(net), openpoint.read(tmp_path / "net.json")
    assert all(table.equals(theirs.tables()[kind]) for kind, table in mine.tables().items())
    assert mine.title == theirs.title
    assert nets_equal(net, full_net())


@pytest.mark.filterwarnings("ignore")
def test_an_answer_is_set_in_the_net_and_pandapower_computes_its_loss() -> None:
    net = ring()
    answer = openpoint.reconfigure(net, limits=WITHOUT)
    kinds = net.line.dtypes.to_dict()
    changes = answer.apply_to(net)
    assert {change.branch for change in changes} == set(answer.changes)
    assert loss_kw(net) == pytest.approx(answer.loss_kw, rel=1e-7)
    assert net.line.dtypes.to_dict() == kinds
    opened = openpoint.read(net).branches().filter(~pl.col("closed"))["name"]
    assert set(opened) == set(answer.open_branches)


def test_an_answer_is_set_in_data_of_power_grid_model() -> None:
    from power_grid_model import PowerGridModel

    data = pgm_data()
    before = copy.deepcopy(data)
    answer = openpoint.reconfigure(data, limits=WITHOUT)
    assert answer.changes
    assert all(data[name].tobytes() == before[name].tobytes() for name in data)
    answer.apply_to(data)
    found = PowerGridModel(data).calculate_power_flow()
    assert float(np.sum(found["line"]["p_from"] + found["line"]["p_to"])) == pytest.approx(
        1e3 * answer.loss_kw, rel=1e-6
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("in_file", [False, True])
def test_an_answer_makes_a_net_that_differs_in_its_states_alone(in_file: bool, tmp_path: Path) -> None:
    import pandapower as pp
    from pandapower.toolbox import nets_equal

    net = full_net()
    pp.to_json(net, str(tmp_path / "net.json"))
    answer = openpoint.switch_plan(tmp_path / "net.json" if in_file else net, ["line 1"], limits=WITHOUT)
    made = answer.to_pandapower()
    assert nets_equal(net, full_net())
    assert not nets_equal(net, made)
    answer.apply_to(net)
    assert nets_equal(net, made)
    pp.runpp(made, tolerance_mva=1e-9, calculate_voltage_angles=True, numba=False)
    lost = sum(float(made[f"res_{table}"].pl_mw.sum()) for table in ("line", "trafo"))
    lost += float((made.res_switch.p_from_mw + made.res_switch.p_to_mw).sum())
    assert 1e3 * lost == pytest.approx(openpoint.run_powerflow(answer.grid_after).loss_kw, rel=1e-7)


def test_an_answer_makes_data_of_power_grid_model() -> None:
    data = pgm_data()
    answer = openpoint.reconfigure(data, limits=WITHOUT)
    made = answer.to_power_grid_model()
    answer.apply_to(data)
    for name, rows in data.items():
        for column in rows.dtype.names:
            np.testing.assert_array_equal(made[name][column], rows[column])
    with pytest.raises(OptionError, match="input was not read from a net of pandapower but from: power-grid-model"):
        answer.to_pandapower()


@pytest.mark.filterwarnings("ignore")
def test_what_a_net_does_not_come_from_or_is_not_given_is_said() -> None:
    answer = openpoint.reconfigure("baran33", limits=WITHOUT)
    with pytest.raises(OptionError, match=r"baran33 was not read from a net of pandapower .*write_back"):
        answer.to_pandapower()
    with pytest.raises(OptionError, match="no answer whose states"):
        openpoint.reconfigure(ring(), limits=openpoint.Limits(v_min_pu=0.99)).to_pandapower()
    net = full_net()
    settings = openpoint.dispatch(net, limits=WITHOUT)
    assert settings.moves.height
    with pytest.raises(OptionError, match="sets more than branches"):
        settings.to_pandapower()


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_set_leaves_the_net_as_it_is() -> None:
    net = ring()
    before = copy.deepcopy(net)
    first = openpoint.read(net).branches()["name"][0]
    with pytest.raises(InputError, match="nowhere"):
        set_states(net, {first: False, "nowhere": True})
    from pandapower.toolbox import nets_equal

    assert nets_equal(net, before)


@pytest.mark.parametrize("given", [{"node": "x"}, {"node": np.zeros(2)}, {"node": []}])
def test_damaged_data_of_power_grid_model_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="input data of"):
        openpoint.read(given)


@pytest.mark.parametrize("given", [{}, {"buses": []}, []])
def test_another_mapping_or_a_list_is_no_grid(given: Any) -> None:
    with pytest.raises(OptionError, match="pandapower net"):
        openpoint.read(given)
    with pytest.raises(OptionError, match="no grid in memory"):
        set_states(given, {})
