"""The grid that only draws, of which the path bound holds, against all radial states of random grids."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.search.paths.arrays import obstacles
from tests.search.paths.agree import Case, case_of, faults, faults_of_parts, lost
from tests.search.random_grids import random_grid

KINDS = [
    ("shunts", "hanging"),
    ("shunts", "ratios", "locks"),
    ("shunts", "capacitive", "ratios", "impedance", "hanging"),
    ("shunts", "stiff", "ratings", "low", "ratios"),
]
SLIGHT = (1.0, 0.1, 0.01)
"""Shares of the random admittances."""


def grid_of(rng: np.random.Generator, seed: int) -> Network:
    """A random grid whose ratios stand at sources, with fewer loads and less admittance than others have."""
    net = random_grid(rng, KINDS[seed % len(KINDS)])
    at_source = np.isin(net.terminal_fr, net.source_terminal) & ~np.isin(net.terminal_to, net.source_terminal)
    slight = SLIGHT[seed % len(SLIGHT)]
    return replace(
        net,
        tap=np.where(at_source, net.tap, 1.0),
        shift=np.where(at_source, net.shift, 0.0),
        y_shunt=slight * net.y_shunt,
        y_open_fr=slight * net.y_open_fr,
        y_open_to=slight * net.y_open_to,
        s_power=net.s_power * (rng.random(net.n_terminals) < 0.7),
    )


def drawing_network(net: Network, case: Case) -> Network:
    """The drawing grid as a network."""
    model, branch, bus = case.model, case.numbering.branch, case.numbering.bus
    z, power, held = np.array(net.z.diagonal()), np.zeros(net.n_terminals, dtype=complex), net.source_v.copy()
    z[branch] = model.r + 1j * model.x
    power[bus] = model.p + 1j * model.q
    by_bus = np.zeros(net.n_terminals)
    by_bus[bus] = model.w_max
    held[:] = np.sqrt(by_bus[net.source_terminal])
    none = np.zeros(net.n_conductors, dtype=complex)
    return replace(
        net,
        z=sp.csr_array(sp.diags_array(z)),
        y_shunt=0.0 * net.y_shunt,
        y_open_fr=none,
        y_open_to=none,
        tap=np.ones(net.n_conductors),
        s_power=power,
        s_impedance=0.0 * power,
        source_v=held,
    )


@pytest.mark.parametrize("seed", range(24))
def test_the_drawing_grid_loses_no_more_in_any_state(seed: int) -> None:
    """docs/methods.md M48."""
    rng = np.random.default_rng([seed, 51])
    net = grid_of(rng, seed)
    case = case_of(net)
    if case is None:
        return
    closed = np.zeros((len(case.closed), net.n_conductors), dtype=bool)
    closed[:, case.numbering.branch] = case.closed
    drawn, whole = solve(drawing_network(net, case), closed), solve(net, closed)
    assert drawn.converged[whole.converged].all()
    assert obstacles(case.model) == []
    below = drawn.loss + case.steady <= whole.loss * (1.0 + 1e-9)
    assert below[whole.converged].all()
    inner = case.numbering.bus[: case.model.n]
    assert (np.abs(drawn.v) >= np.abs(whole.v) * (1.0 - 1e-9))[whole.converged][:, inner].all()


@pytest.mark.parametrize("seed", range(12))
def test_no_bound_is_above_the_best_completion(seed: int) -> None:
    rng = np.random.default_rng([seed, 52])
    case = case_of(grid_of(rng, seed))
    if case is not None:
        assert faults(case, rng, 4)[1] == []
        assert faults_of_parts(case, rng, 2)[1] == []


@pytest.mark.parametrize("share", [1e-4, 0.05])
@pytest.mark.parametrize("seed", range(6))
def test_no_state_below_the_cutoff_is_lost(seed: int, share: float) -> None:
    rng = np.random.default_rng([seed, 53])
    case = case_of(grid_of(rng, seed))
    assert case is None or lost(case, share) == 0


def test_little_is_lost_where_loads_draw_the_charging() -> None:
    """Charging next to reactive loads is drawn there, and all reactive power stays but that; else it is left out."""
    kept, left_out = 0, 0
    for seed in range(40):
        case = case_of(grid_of(np.random.default_rng([seed, 54]), seed))
        if case is not None and case.whole.shunts and case.whole.q.any():
            kept += case.model.q.sum() > 0.5 * case.whole.q.sum()
            left_out += not case.model.x.any()
    assert kept > 5
    assert left_out > 2
