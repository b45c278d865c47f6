"""The same power flow by pandapower, by power-grid-model and by a dense Newton method of our own."""

import warnings

import numpy as np

from openpoint.arrays import Bools, Complexes
from openpoint.network import Network

FREQUENCY = 50.0


def pandapower_voltages(network: Network, closed: Bools) -> Complexes:
    """(N) voltages in pu by `pandapower.runpp` (Newton); 0 at buses without a source.

    Branches with a ratio become transformers in the pi model (their susceptance must be inductive), branches without
    impedance bus-bus switches. Open branches are left out. pandapower averages the shares of constant current of all
    elements at a bus without weights: a load of constant current must be alone at its bus.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower as pp

        net = pandapower_net(network, closed)
        pp.runpp(
            net,
            algorithm="nr",
            init="dc",
            tolerance_mva=1e-9,  # short lines: rounding of the voltages alone leaves 1e-11
            max_iteration=100,
            calculate_voltage_angles=True,
            trafo_model="pi",
            numba=False,
            check_connectivity=True,
        )
        size = net.res_bus.vm_pu.to_numpy()
        angle = np.radians(net.res_bus.va_degree.to_numpy())
    return np.nan_to_num(size * np.exp(1j * angle))


def pandapower_net(network: Network, closed: Bools) -> object:
    """The network as a pandapower net."""
    import pandapower as pp

    s_mva = network.s_base_kva / 1000.0
    net = pp.create_empty_network(sn_mva=s_mva, f_hz=FREQUENCY)
    pp.create_buses(net, network.n_terminals, vn_kv=network.v_base_kv)
    for bus, v in zip(network.source_terminal, network.source_v, strict=True):
        pp.create_ext_grid(net, int(bus), vm_pu=abs(v), va_degree=float(np.degrees(np.angle(v))))
    z, y = network.z.diagonal(), network.y_shunt.diagonal()
    plain = []
    for e in np.flatnonzero(closed):
        fr, to = int(network.terminal_fr[e]), int(network.terminal_to[e])
        v_fr, v_to = float(network.v_base_kv[fr]), float(network.v_base_kv[to])
        if network.tap[e] != 1.0 or network.shift[e] or v_fr != v_to:
            assert y[e].imag <= 0.0, "pandapower's transformers have no capacitance"
            pp.create_transformer_from_parameters(
                net,
                hv_bus=fr,
                lv_bus=to,
                sn_mva=s_mva,
                vn_hv_kv=network.tap[e] * v_fr,
                vn_lv_kv=v_to,
                vk_percent=abs(z[e]) * 100.0,
                vkr_percent=z[e].real * 100.0,
                pfe_kw=y[e].real * network.s_base_kva,
                i0_percent=abs(y[e]) * 100.0,
                shift_degree=float(np.degrees(network.shift[e])),
            )
        elif z[e] == 0.0:
            pp.create_switch(net, fr, to, et="b", closed=True)
        else:
            plain.append(e)
    if plain:  # all at once: one by one pandas takes seconds for a hundred
        z_base = network.v_base_kv[network.terminal_to[plain]] ** 2 / s_mva
        pp.create_lines_from_parameters(
            net,
            network.terminal_fr[plain],
            network.terminal_to[plain],
            length_km=1.0,
            r_ohm_per_km=z[plain].real * z_base,
            x_ohm_per_km=z[plain].imag * z_base,
            c_nf_per_km=y[plain].imag / z_base / (2.0 * np.pi * FREQUENCY) * 1e9,
            g_us_per_km=y[plain].real / z_base * 1e6,
            max_i_ka=1e9,
        )
    full = {"const_i_p_percent": 100.0, "const_i_q_percent": 100.0}
    for load, options in ((network.s_power, {}), (network.s_current, full)):
        if len(buses := np.flatnonzero(load)):
            s = load[buses] * s_mva
            pp.create_loads(net, buses, p_mw=s.real, q_mvar=s.imag, **options)
    for bus in np.flatnonzero(network.s_impedance):
        s = network.s_impedance[bus] * s_mva
        pp.create_shunt(net, int(bus), p_mw=s.real, q_mvar=s.imag)
    for bus, s in zip(network.generator_terminal, network.generator_s, strict=True):
        pp.create_sgen(net, int(bus), p_mw=s.real * s_mva, q_mvar=s.imag * s_mva)
    return net


def power_grid_model_input(network: Network, closed: Bools) -> dict[str, np.ndarray]:
    """The network as input of power-grid-model: every branch a generic branch."""
    from power_grid_model import LoadGenType, initialize_array

    v_base = network.v_base_kv * 1e3
    s_base = network.s_base_kva * 1e3
    n, e = network.n_terminals, network.n_conductors
    node = initialize_array("input", "node", n)
    node["id"], node["u_rated"] = np.arange(n), v_base
    z_base = v_base[network.terminal_to] ** 2 / s_base
    z, y = network.z.diagonal(), network.y_shunt.diagonal()
    branch = initialize_array("input", "generic_branch", e)
    branch["id"] = n + np.arange(e)
    branch["from_node"], branch["to_node"] = network.terminal_fr, network.terminal_to
    branch["from_status"] = branch["to_status"] = closed
    branch["r1"], branch["x1"] = z.real * z_base, z.imag * z_base
    branch["g1"], branch["b1"] = y.real / z_base, y.imag / z_base
    branch["k"], branch["theta"] = network.tap, network.shift
    source = initialize_array("input", "source", len(network.source_terminal))
    source["id"] = n + e + np.arange(len(source))
    source["node"], source["status"] = network.source_terminal, 1
    source["u_ref"], source["u_ref_angle"] = np.abs(network.source_v), np.angle(network.source_v)
    source["sk"] = 1e20  # no impedance behind the source
    power = network.s_power.copy()
    np.subtract.at(power, network.generator_terminal, network.generator_s)
    loads = []
    for kind, s in (
        (LoadGenType.const_power, power),
        (LoadGenType.const_current, network.s_current),
        (LoadGenType.const_impedance, network.s_impedance),
    ):
        buses = np.flatnonzero(s)
        load = initialize_array("input", "sym_load", len(buses))
        load["node"], load["status"], load["type"] = buses, 1, kind
        load["p_specified"], load["q_specified"] = s[buses].real * s_base, s[buses].imag * s_base
        loads.append(load)
    load = np.concatenate(loads)
    load["id"] = n + e + len(source) + np.arange(len(load))
    return {"node": node, "generic_branch": branch, "source": source, "sym_load": load}


def power_grid_model_voltages(network: Network, closed: Bools) -> Complexes:
    """(N) voltages in pu by power-grid-model (Newton); 0 at buses without a source.

    Every branch needs an impedance.
    """
    from power_grid_model import CalculationMethod, PowerGridModel

    model = PowerGridModel(power_grid_model_input(network, closed))
    result = model.calculate_power_flow(
        calculation_method=CalculationMethod.newton_raphson, error_tolerance=1e-12, max_iterations=100
    )["node"]
    return np.where(result["energized"] != 0, result["u_pu"] * np.exp(1j * result["u_angle"]), 0.0)


def newton_voltages(network: Network, closed: Bools, *, load: float = 1.0, iterations: int = 60) -> Complexes | None:
    """(N) voltages by a dense Newton method on the bus admittance matrix, loads times `load`; None if it fails.

    Every branch needs an impedance, every bus a source.
    """
    n = network.n_terminals
    z, shunt = network.z.diagonal(), network.y_shunt.diagonal()
    matrix = np.zeros((n, n), dtype=complex)
    for e in np.flatnonzero(closed):
        i, k, a = network.terminal_fr[e], network.terminal_to[e], network.tap[e] * np.exp(1j * network.shift[e])
        own = 1.0 / z[e] + shunt[e] / 2.0
        matrix[i, i] += own / abs(a) ** 2
        matrix[k, k] += own
        matrix[i, k] -= 1.0 / z[e] / np.conj(a)
        matrix[k, i] -= 1.0 / z[e] / a
    free = np.setdiff1d(np.arange(n), network.source_terminal)
    v = np.zeros(n, dtype=complex)
    v[network.source_terminal] = network.source_v
    v[free] = -np.linalg.solve(matrix[np.ix_(free, free)], (matrix @ v)[free])  # the grid without load
    for _ in range(iterations):
        size = np.abs(v)
        s = network.s_power + network.s_current * size + network.s_impedance * size**2
        s = -load * s
        np.add.at(s, network.generator_terminal, load * network.generator_s)
        gap = (v * np.conj(matrix @ v) - s)[free]
        if np.abs(gap).max() < 1e-10:
            return v
        # Derivatives by the real and imaginary part of v.
        slope = load * (network.s_current + 2.0 * network.s_impedance * size) / size
        d_re = np.diag(np.conj(matrix @ v) + slope * v.real) + v[:, None] * np.conj(matrix)
        d_im = np.diag(1j * np.conj(matrix @ v) + slope * v.imag) - 1j * v[:, None] * np.conj(matrix)
        d_re, d_im = d_re[np.ix_(free, free)], d_im[np.ix_(free, free)]
        try:
            slopes = np.block([[d_re.real, d_im.real], [d_re.imag, d_im.imag]])
            step = np.linalg.solve(slopes, np.concatenate([gap.real, gap.imag]))
        except np.linalg.LinAlgError:
            return None
        v[free] -= step[: len(free)] + 1j * step[len(free) :]
    return None
