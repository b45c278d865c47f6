"""Topology search on the built-in grids and on those of utilities, and as a value with path and executor."""

import itertools
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint import GivenExecutor, OptionError, Processes, TopologySearch, reconfigure
from openpoint.grid import files
from openpoint.io.pandapower.read import grid_from_text
from openpoint.network import build_network
from openpoint.powerflow.balanced import losses
from openpoint.search.enumeration import count_topologies, topologies
from openpoint.verify import verify

# name: (topologies, least loss kW, how many topologies share it)
ENUMERATED = {
    "zhang13": (134, 12.656, 2),
    "civanlar16": (190, 466.127, 1),
    "baran33": (50_751, 139.551, 1),
    "baran69": (407_924, 98.605, 4),
}


@pytest.mark.parametrize("name", ENUMERATED)
def test_brute_force_finds_the_least_loss(name: str) -> None:
    network = build_network(files.load(name))
    number, loss_kw, ties = ENUMERATED[name]
    assert count_topologies(network) == number
    every = list(topologies(network))
    assert sum(map(len, every)) == number
    values = np.concatenate([losses(network, closed, tolerance=1e-10)[0] for closed in every])
    least = np.sort(values)[: ties + 1] * network.s_base_kva
    np.testing.assert_allclose(least[:ties], loss_kw, atol=6e-4)
    assert least[ties] > loss_kw + 0.01


def test_large_grids_are_counted_exactly() -> None:
    assert count_topologies(build_network(files.load("das70"))) == 383_204_016
    assert count_topologies(build_network(files.load("zhang118"))) == 4_460_226_199_546_680
    assert count_topologies(build_network(files.load("mantovani136"))) == 2_268_613_367_486_060_112


# name: (least loss kW, most nodes); couplers and transformers stay as they are, in the commercial grid in a loop.
REAL = {
    "mv_oberrhein": (946.632, 1_000),
    "1-MV-urban--0-sw": (247.871, 1_000),
    "1-MV-comm--0-sw": (179.346, 1_000),
}


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

    if name == "mv_oberrhein with stations":
        return networks.mv_oberrhein(include_substations=True)
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
        pp.runpp(net, tolerance_mva=1e-9, numba=False)
    own_kw = 1e3 * float(net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum())
    assert own_kw == pytest.approx(result.loss_kw, rel=1e-6)
    assert float(np.nanmin(net.res_bus.vm_pu)) == pytest.approx(result.v_min_pu, abs=1e-6)


def test_a_text_is_a_path(tmp_path: Path) -> None:
    method = TopologySearch(certificate=f"{tmp_path}/proof.cert", checkpoint=f"{tmp_path}/open")  # type: ignore[arg-type]
    openpoint.reconfigure("baran33", method=method)
    assert list(tmp_path.iterdir()) == [tmp_path / "proof.cert"]
    with pytest.raises(OptionError, match="certificate"):
        TopologySearch(certificate=3)  # type: ignore[arg-type]


def test_an_executor_is_taken_as_it_is_and_a_text_names_one() -> None:
    with ThreadPoolExecutor(2) as executor:
        method = TopologySearch(executor=executor)  # type: ignore[arg-type]
        assert method.executor == GivenExecutor(executor)
        assert openpoint.reconfigure("baran33", method=method).gap <= 1e-6
    assert TopologySearch(executor="processes:2").executor == Processes(2)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="no place to run"):
        TopologySearch(executor="2")  # type: ignore[arg-type]
