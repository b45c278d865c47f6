"""Power flow of a balanced grid of lines by pandapower, built from the tables of the Grid and not from a Network.

Generators are those that run at a given output today; capacitors feed in the level of the steps that are on.
"""

from __future__ import annotations

import warnings

from openpoint.grid import Grid


def pandapower_loss(grid: Grid) -> tuple[float, float]:
    """Loss (kW) and lowest voltage (pu)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower as pp

        net = pp.create_empty_network()
        bus = {r["name"]: pp.create_bus(net, vn_kv=r["vn_kv"]) for r in grid.buses.iter_rows(named=True)}
        for r in grid.sources.iter_rows(named=True):
            pp.create_ext_grid(net, bus[r["bus"]], vm_pu=r["v_pu"])
        for r in grid.lines.filter(grid.lines["closed"]).iter_rows(named=True):
            ends = bus[r["from_bus"]], bus[r["to_bus"]]
            pp.create_line_from_parameters(net, *ends, 1.0, r["r_ohm"][0], r["x_ohm"][0], 0.0, 1e3)
        for r in grid.loads.iter_rows(named=True):
            pp.create_load(net, bus[r["bus"]], r["p_kw"] / 1e3, r["q_kvar"] / 1e3)
        for r in grid.generators.iter_rows(named=True):
            pp.create_sgen(net, bus[r["bus"]], r["p_kw"] / 1e3, r["q_kvar"] / 1e3)
        for r in grid.capacitors.iter_rows(named=True):
            levels = r["levels_kvar"] or [r["q_kvar"] * k / r["steps"] for k in range(1, r["steps"] + 1)]
            pp.create_shunt(net, bus[r["bus"]], q_mvar=-[0.0, *levels][r["steps_on"]] / 1e3)
        pp.runpp(net, tolerance_mva=1e-9, numba=False)
    return float(net.res_line.pl_mw.sum()) * 1e3, float(net.res_bus.vm_pu.min())
