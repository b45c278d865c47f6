"""Loadings are those of pandapower: the fuller end of a line, the fuller winding of a transformer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint.io.pandapower.branches import branch_names
from openpoint.io.pandapower.read import grid_from_text
from openpoint.io.pandapower.reading import net_from_text

NETS = (
    "case39",
    "case57",
    "create_cigre_network_mv",
    "create_kerber_landnetz_freileitung_1",
    "example_multivoltage",
    "example_simple",
    "mv_oberrhein",
    "simple_mv_open_ring_net",
)
SIDES = ("hv", "mv", "lv")


def pairs(net: Any, text: str) -> Iterator[tuple[float, float]]:
    """Of every line and transformer its loading here and by pandapower, in percent of what it may carry."""
    flow = openpoint.run_powerflow(grid_from_text(text, "net.json"))
    own, names = (
        dict(flow.branches.select("name", "loading_percent").iter_rows()),
        branch_names(net_from_text(text, "")),
    )
    for table in ("line", "trafo", "trafo3w"):
        for row in net[table].index:
            keys = [(f"trafo3w {side}", row) for side in SIDES] if table == "trafo3w" else [(table, row)]
            loadings = [own[names[key]] for key in keys if key in names and names[key] in own]
            theirs = float(net[f"res_{table}"].at[row, "loading_percent"])
            if loadings and None not in loadings and np.isfinite(theirs):
                most = net[table].at[row, "max_loading_percent"] if "max_loading_percent" in net[table] else 100.0
                yield max(loadings), theirs * 100.0 / (most if np.isfinite(most) else 100.0)


@pytest.mark.parametrize(
    ("name", "moved"), [(name, moved) for name in NETS for moved in (False, True) if not (moved and name[:4] == "case")]
)
def test_loadings_are_those_of_pandapower(name: str, moved: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower as pp
        import pandapower.networks

        net = getattr(pandapower.networks, name)()
        rng = np.random.default_rng(len(name))
        if moved:  # taps on either side, units in parallel, derated ones
            for k in net.trafo.index:
                net.trafo.loc[k, ["tap_side", "tap_changer_type"]] = rng.choice(["hv", "lv"]), "Ratio"
                net.trafo.loc[k, ["tap_neutral", "tap_step_percent"]] = 0, 1.25
                net.trafo.loc[k, ["tap_pos", "tap_min", "tap_max"]] = int(rng.integers(-5, 6)), -6, 6
                net.trafo.loc[k, "df"] = rng.uniform(0.8, 1.0)
            net.line["df"] = rng.uniform(0.8, 1.0, len(net.line))
        pp.runpp(net, tolerance_mva=1e-9, numba=False, init="dc", enforce_q_lims=True)
        found = list(pairs(net, pp.to_json(net)))
    assert len(found) > 2
    np.testing.assert_allclose(*np.array(found).T, rtol=1e-6, atol=1e-7)


def test_the_overload_of_a_tapped_winding_is_seen() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower as pp
        import pandapower.networks

        net = pandapower.networks.mv_oberrhein()
        net.trafo["tap_pos"] = -3
        net.load[["p_mw", "q_mvar"]] *= 1.19
        pp.runpp(net, numba=False)
        flow = openpoint.run_powerflow(grid_from_text(pp.to_json(net), "net.json"))
    worst = float(net.res_trafo.loading_percent.max())
    assert worst > 103.0
    assert [v.value / v.limit for v in flow.violations if v.kind == "current"] == pytest.approx(
        [worst / 100.0], rel=1e-5
    )
