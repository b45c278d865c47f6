"""The quadratic loss: its terms are those of the impedance matrices, and it comes near the exact loss."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.errors import InputError
from openpoint.formulations.lindist3flow_equations import internal_voltages, series_impedance
from openpoint.formulations.lindist3flow_loss import loss_cones, loss_terms
from openpoint.network import build_network
from tests.builders.meshed import meshed
from tests.formulations.three_phase import two_buses


def some_flows(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, count)) + 1j * rng.normal(size=(4, count))


@pytest.mark.parametrize("name", ["ieee13", "ieee37", "ieee123", "meshed"])
def test_the_loss_is_that_of_the_currents_in_the_impedance_matrices(name: str) -> None:
    """Re(i^H Z i), whatever the currents: mutual terms, regulators between lines and deltas included."""
    network = build_network(meshed(24) if name == "meshed" else openpoint.read(name))
    rng = np.random.default_rng(1)
    v = rng.uniform(0.9, 1.1, network.n_terminals) * np.exp(1j * rng.uniform(-3, 3, network.n_terminals))
    s = some_flows(network.n_conductors, 0)
    i = np.conj(s / (internal_voltages(network)[1] @ v))
    exact = [(np.conj(row) @ (series_impedance(network) @ row)).real for row in i]
    np.testing.assert_allclose(loss_terms(network, v).loss(s), exact, rtol=1e-10)


def test_on_one_phase_it_is_r_times_the_squared_current() -> None:
    network = build_network(openpoint.read("baran33"))
    s = some_flows(network.n_conductors, 3)
    v = np.full(network.n_terminals, 0.97 + 0.0j)
    expected = (np.abs(s) ** 2 / 0.97**2) @ network.r
    np.testing.assert_allclose(loss_terms(network, v).loss(s), expected, rtol=1e-12)


@pytest.mark.parametrize("state", [1.0, 0.25])
def test_the_cones_cost_what_the_terms_do_over_the_state(state: float) -> None:
    """The perspective: the same flow costs the more the less of the branch is closed."""
    network = build_network(meshed(4))
    terms = loss_terms(network, np.exp(2j * np.arange(network.n_terminals)))
    s = some_flows(network.n_conductors, 5)[0]
    p, q = cp.Variable(network.n_conductors), cp.Variable(network.n_conductors)
    cone, loss, tied = loss_cones(terms, cp.Constant(np.full(len(network.branch_names), state)), p, q)
    problem = cp.Problem(cp.Minimize(loss), [*tied, cone.constraint(), p == s.real, q == s.imag])
    assert problem.solve(solver=cp.CLARABEL) == pytest.approx(terms.loss(s)[0] / state, rel=1e-6)


def test_a_matrix_that_makes_power_is_refused_by_name() -> None:
    grid = two_buses("line", [])
    wrong = pl.Series("r_ohm", [[0.1, 0.3, 0.1, 0.3, 0.3, 0.1]])
    network = build_network(grid.with_tables(lines=grid.lines.with_columns(wrong)))
    with pytest.raises(InputError, match=r"row L, r_ohm: .* not a positive semidefinite matrix"):
        loss_terms(network, np.ones(network.n_terminals, dtype=np.complex128))
