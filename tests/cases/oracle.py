"""Power flow of a balanced grid of lines by pandapower, built from the tables of the Grid and not from a Network.

Generators are those that run at a given output today; capacitors feed in the level of the steps that are on.
"""

import warnings

from openpoint.grid import Grid


def pandapower_loss(grid: Grid) -> tuple[float, float]:
    """Loss (kW) and lowest voltage (pu)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower as pp

        net = pp.create_empty_network()
        buses = pp.create_buses(net, len(grid.buses), vn_kv=grid.buses["vn_kv"].to_numpy())
        bus = dict(zip(grid.buses["name"], buses, strict=True))
        for r in grid.sources.iter_rows(named=True):
            pp.create_ext_grid(net, bus[r["bus"]], vm_pu=r["v_pu"])
        lines = grid.lines.filter(grid.lines["closed"])
        fr, to = ([bus[name] for name in lines[end]] for end in ("from_bus", "to_bus"))
        z = {f"{part}_ohm_per_km": lines[f"{part}_ohm"].list.first().to_numpy() for part in "rx"}
        pp.create_lines_from_parameters(net, fr, to, length_km=1.0, **z, c_nf_per_km=0.0, max_i_ka=1e3)
        for table, create in ((grid.loads, pp.create_loads), (grid.generators, pp.create_sgens)):
            p_mw, q_mvar = (table[column].to_numpy() / 1e3 for column in ("p_kw", "q_kvar"))
            create(net, [bus[name] for name in table["bus"]], p_mw=p_mw, q_mvar=q_mvar)
        for r in grid.capacitors.iter_rows(named=True):
            levels = r["levels_kvar"] or [r["q_kvar"] * k / r["steps"] for k in range(1, r["steps"] + 1)]
            pp.create_shunt(net, bus[r["bus"]], q_mvar=-[0.0, *levels][r["steps_on"]] / 1e3)
        pp.runpp(net, tolerance_mva=1e-9, numba=False)
    return float(net.res_line.pl_mw.sum()) * 1e3, float(net.res_bus.vm_pu.min())
