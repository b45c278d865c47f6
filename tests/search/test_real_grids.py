"""Grids of utilities, as pandapower and simbench give them, with their limits and generation."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint import TopologySearch, reconfigure
from openpoint.io.pandapower.read import grid_from_text
from openpoint.verify import verify

# name: (least loss kW, most nodes); couplers and transformers stay as they are, in the commercial grid in a loop.
REAL = {"mv_oberrhein": (946.632, 1_000), "1-MV-urban--0-sw": (247.871, 1_000), "1-MV-comm--0-sw": (179.346, 1_000)}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SimBench's tables, with the first day of its profiles: no grid reads of the year, and pandas takes seconds."""
    from simbench.networks.extract_simbench_grids_from_csv import complete_data_path

    folder = tmp_path_factory.mktemp("simbench")
    for file in Path(complete_data_path(0)).glob("*.csv"):
        if "Profile" in file.name:
            with file.open(encoding="utf-8") as lines:
                (folder / file.name).write_text("".join(itertools.islice(lines, 1 + 96)), encoding="utf-8")
        else:
            (folder / file.name).symlink_to(file)
    return folder


def net_named(name: str, tables: Path) -> Any:
    import pandapower.networks as networks
    import simbench

    made = getattr(networks, name, None)
    return made() if made is not None else simbench.get_simbench_net(name, str(tables))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REAL)
def test_least_loss_and_pandapowers_own_flow_of_it(name: str, tables: Path, tmp_path: Path) -> None:
    import pandapower as pp

    net = net_named(name, tables)
    grid = grid_from_text(pp.to_json(net), "net.json")
    result = reconfigure(grid, method=TopologySearch(gap=1e-5, certificate=tmp_path / "file"))
    loss_kw, most = REAL[name]
    assert result.gap <= 1e-5
    assert result.loss_kw == pytest.approx(loss_kw, abs=6e-4)
    assert result.ac_max_mismatch_pu < 1e-9
    assert not result.violations
    assert int(str(result.iterations["verdict"][-1]).split()[0].replace(",", "")) < most

    proven = verify(grid, tmp_path / "file")
    ends = "lines open at the ends that the grid names"
    assert proven.limits == f"the voltage limits of the grid, its current limits, {ends},"
    assert proven.open_branches == result.open_branches
    assert proven.loss_kw == pytest.approx(result.loss_kw, rel=1e-9)
    assert proven.gap <= 1.001e-5

    # A line opens at the end that the grid names, and keeps its charging at the other.
    closed = dict(result.branches.select("name", "closed_after").iter_rows())
    end = dict(grid.lines.select("name", "open_end").iter_rows())
    bus = {name: int(net.line[f"{at}_bus"][net.line["name"] == name].item()) for name, at in end.items()}
    line = net.switch["element"].map(net.line["name"])
    opens = (net.switch["bus"] == line.map(bus)) & ~line.map(closed).fillna(True).astype(bool)
    net.switch["closed"] = np.where(net.switch.et == "l", ~opens, net.switch["name"].map(closed).fillna(True)).astype(
        bool
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.runpp(net, tolerance_mva=1e-9)
    own_kw = 1e3 * float(net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum())
    assert own_kw == pytest.approx(result.loss_kw, rel=1e-6)
    assert float(np.nanmin(net.res_bus.vm_pu)) == pytest.approx(result.v_min_pu, abs=1e-6)
