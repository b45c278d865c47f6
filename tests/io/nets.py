"""pandapower nets for the tests of the reader."""

import copy
import warnings
from functools import cache
from typing import Any


def full_net() -> Any:
    """A net with one of nearly everything that the reader knows: two levels, taps, switches, shunts, ZIP loads."""
    return copy.deepcopy(_full_net())  # made once: pandapower takes longer for it than the reader


@cache
def _full_net() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower as pp

        net = pp.create_empty_network(name="small", f_hz=50.0)
        hv = pp.create_bus(net, 110.0, name="HV", geodata=(0.0, 0.0))
        mv = [pp.create_bus(net, 20.0, name=n, geodata=(1.0, i)) for i, n in enumerate(["A", "B", "C", "C", None])]
        lv = pp.create_bus(net, 0.4, name="LV", min_vm_pu=0.9, max_vm_pu=1.1)
        dead = pp.create_bus(net, 20.0, name="dead", in_service=False)
        pp.create_ext_grid(net, hv, vm_pu=1.02, name="upstream")
        trafo = {
            "vn_hv_kv": 110.0,
            "vn_lv_kv": 20.0,
            "vk_percent": 11.0,
            "vkr_percent": 0.4,
            "pfe_kw": 14.0,
            "i0_percent": 0.07,
        }
        tap = {"tap_side": "hv", "tap_neutral": 0, "tap_min": -9, "tap_max": 9, "tap_step_percent": 1.5, "tap_pos": -2}
        pp.create_transformer_from_parameters(
            net, hv, mv[0], 25.0, **trafo, **tap, tap_changer_type="Ratio", shift_degree=150.0, name="T1", parallel=2
        )
        small = {
            "vn_hv_kv": 20.0,
            "vn_lv_kv": 0.4,
            "vk_percent": 6.0,
            "vkr_percent": 1.4,
            "pfe_kw": 1.0,
            "i0_percent": 0.3,
        }
        tap = {"tap_side": "lv", "tap_neutral": 0, "tap_min": -2, "tap_max": 2, "tap_step_percent": 2.5, "tap_pos": 1}
        t2 = pp.create_transformer_from_parameters(
            net, mv[2], lv, 0.63, **small, **tap, tap_changer_type="Ratio", df=0.9
        )
        cable = {"r_ohm_per_km": 0.2, "x_ohm_per_km": 0.12, "c_nf_per_km": 250.0, "max_i_ka": 0.3, "g_us_per_km": 1.0}
        ends = [(0, 1), (1, 2), (2, 3), (3, 4)]
        lines = [
            pp.create_line_from_parameters(net, mv[a], mv[b], 2.5, **cable, name="L", df=0.8, parallel=1 + (a == 0))
            for a, b in ends
        ]
        # Without charging: pandapower keeps lines with one dead end under voltage.
        dry = {**cable, "c_nf_per_km": 0.0, "g_us_per_km": 0.0}
        tie = pp.create_line_from_parameters(net, mv[0], mv[4], 1.0, **dry)
        pp.create_line_from_parameters(net, mv[0], dead, 1.0, **dry)
        pp.create_line_from_parameters(net, mv[0], mv[3], 1.0, **cable, in_service=False)
        for line, end in ((lines[1], mv[1]), (lines[1], mv[2]), (tie, mv[0])):
            pp.create_switch(net, end, line, et="l", closed=line != tie)
        pp.create_switch(net, mv[2], t2, et="t")
        station = pp.create_bus(net, 20.0, name="station")
        other = pp.create_bus(net, 20.0, name="other")
        pp.create_switch(net, mv[1], station, et="b", name="coupler")
        pp.create_switch(net, mv[1], other, et="b", z_ohm=0.5, name="fuse", in_ka=0.2)
        pp.create_load(net, station, 1.0, 0.3, name="town", scaling=0.8)
        pp.create_load(net, mv[3], 0.5, 0.1, const_z_p_percent=30, const_z_q_percent=20, const_i_p_percent=50)
        pp.create_load(net, lv, 0.2, 0.05)
        pp.create_load(net, other, -0.1, -0.01, name="feeding")
        pp.create_load(net, other, 9.0, in_service=False)
        pp.create_load(net, dead, 9.0)
        pp.create_sgen(net, mv[2], 0.3, 0.02, name="wind")
        limits = {"min_p_mw": 0.0, "max_p_mw": 0.4, "min_q_mvar": -0.1, "max_q_mvar": 0.1}
        # Not at the bus of the ZIP load, whose shares pandapower applies to all that is at the bus.
        pp.create_sgen(net, mv[1], 0.2, controllable=True, **limits, name="plant")
        pp.create_storage(net, lv, p_mw=0.05, max_e_mwh=1.0)
        pp.create_shunt(net, mv[4], q_mvar=-0.1, p_mw=0.001, step=2, max_step=3)
        pp.create_shunt(net, mv[1], q_mvar=0.05, vn_kv=21.0)
        return net


def solved(net: Any) -> tuple[float, float]:
    """Loss (kW) of lines, transformers and bus-bus impedances, and the lowest voltage (pu), by pandapower."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower as pp

        pp.runpp(net, tolerance_mva=1e-10, numba=False)
        loss = net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum()
        if "p_from_mw" in net.res_switch:
            loss += (net.res_switch.p_from_mw + net.res_switch.p_to_mw).sum()
    return float(loss) * 1e3, float(net.res_bus.vm_pu.min())
