"""Small balanced networks in per unit, built without tables, for the tests of power flow and search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from openpoint.network import Network


@dataclass(frozen=True)
class Branch:
    """One branch: voltage of from = tap · e^(j shift) · internal voltage; y is the shunt of both ends together."""

    fr: int
    to: int
    z: complex = 0.01 + 0.01j
    y: complex = 0.0
    tap: float = 1.0
    shift: float = 0.0
    closed: bool = True
    switchable: bool = True
    i_max: float = np.inf
    rated_fr: float = 1.0
    rated_to: float = 1.0

    def turned(self) -> Branch:
        """The same branch with its ends exchanged; only for branches without ratio."""
        return replace(self, fr=self.to, to=self.fr)


def make_network(
    n_bus: int,
    branches: Sequence[Branch],
    sources: dict[int, complex],
    *,
    power: Sequence[complex] | None = None,
    current: Sequence[complex] | None = None,
    impedance: Sequence[complex] | None = None,
    generators: Sequence[tuple[int, complex]] = (),
    v_limits: tuple[float, float] = (0.0, np.inf),
    v_base_kv: float = 10.0,
) -> Network:
    """A network of buses 0 … n_bus - 1; loads are given per bus."""

    def loads(given: Sequence[complex] | None) -> np.ndarray:
        return np.zeros(n_bus, dtype=complex) if given is None else np.array(given, dtype=complex)

    def column(name: str, dtype: type) -> np.ndarray:
        return np.array([getattr(b, name) for b in branches], dtype=dtype)

    n_branch, n_gen = len(branches), len(generators)
    output = np.array([s for _, s in generators], dtype=complex)
    return Network(
        s_base_kva=1000.0,
        bus_names=tuple(f"b{i}" for i in range(n_bus)),
        branch_names=tuple(f"e{i}" for i in range(n_branch)),
        branch_kinds=("lines",) * n_branch,
        branch_connections=("wye-wye",) * n_branch,
        terminal_bus=np.arange(n_bus),
        terminal_phase=("1",) * n_bus,
        conductor_branch=np.arange(n_branch),
        conductor_phase=("1",) * n_branch,
        terminal_fr=column("fr", int),
        terminal_to=column("to", int),
        v_base_kv=np.full(n_bus, v_base_kv),
        z=sp.csr_array(sp.diags_array(column("z", complex))),
        y_shunt=sp.csr_array(sp.diags_array(column("y", complex))),
        tap=column("tap", float),
        shift=column("shift", float),
        rating=column("i_max", float),
        l_max=column("i_max", float) ** 2,
        rated_fr=column("rated_fr", float),
        rated_to=column("rated_to", float),
        i_base_a=np.full(n_branch, 1000.0 / (np.sqrt(3.0) * v_base_kv)),
        switchable=column("switchable", bool),
        closed=column("closed", bool),
        y_open_fr=np.zeros(n_branch, dtype=complex),
        y_open_to=np.zeros(n_branch, dtype=complex),
        w_min=np.full(n_bus, v_limits[0] ** 2),
        w_max=np.full(n_bus, v_limits[1] ** 2),
        source_terminal=np.array(list(sources), dtype=np.int64),
        source_v=np.array(list(sources.values()), dtype=complex),
        s_power=loads(power),
        s_current=loads(current),
        s_impedance=loads(impedance),
        generator_names=tuple(f"g{i}" for i in range(n_gen)),
        generator_terminal=np.array([bus for bus, _ in generators], dtype=np.int64),
        generator_return=np.full(n_gen, -1),
        generator_s=output,
        p_min=output.real,
        p_max=output.real,
        q_min=output.imag,
        q_max=output.imag,
    )


def random_network(
    seed: int,
    n_bus: int,
    *,
    n_source: int = 1,
    n_tie: int = 0,
    rich: bool = True,
    ideal: bool = True,
    load: float = 1.0,
) -> Network:
    """A random forest with `n_tie` open ties.

    `rich`: ratios, shunts, generators and all models of load; `ideal`: of these also branches without impedance.
    """
    rng = np.random.default_rng(seed)
    sources = {i: complex(rng.uniform(0.98, 1.05) * np.exp(1j * rng.uniform(-0.3, 0.3))) for i in range(n_source)}
    branches = []
    for bus in range(n_source, n_bus):
        other = int(rng.integers(max(0, bus - 6), bus))
        branches.append(_random_branch(rng, other, bus, rich, ideal))
    for _ in range(n_tie):
        fr, to = rng.choice(n_bus, size=2, replace=False)
        branches.append(replace(_random_branch(rng, int(fr), int(to), False, False), closed=False))
    order = rng.permutation(len(branches))
    per_bus = load * rng.uniform(0.0, 2.0, n_bus) / n_bus * np.exp(1j * rng.uniform(-0.5, 0.8, n_bus))
    kind = rng.integers(0, 3 if rich else 1, n_bus)
    models = [np.where(kind == k, per_bus, 0.0) for k in range(3)]
    generators = [(int(rng.integers(0, n_bus)), 0.1 * load + 0.02j) for _ in range(2 if rich else 0)]
    network = make_network(
        n_bus,
        [branches[i] for i in order],
        sources,
        power=models[0],
        current=models[1],
        impedance=models[2],
        generators=generators,
    )
    return rated_by_ends(np.random.default_rng([seed, 1]), network) if rich else network


def rated_by_ends(rng: np.random.Generator, network: Network) -> Network:
    """The network with ratings that differ at the two ends of some branches, or are about one end only."""
    size = network.n_conductors
    differ, kind = rng.uniform(0.9, 1.1, size), rng.integers(0, 5, size)
    return replace(
        network,
        rated_fr=np.choose(kind, [1.0, 1.0, differ, differ, 0.0]) * (kind < 4),
        rated_to=np.where(kind == 3, 0.0, 1.0),
    )


def _random_branch(rng: np.random.Generator, fr: int, to: int, rich: bool, ideal: bool) -> Branch:
    z = complex(*rng.uniform(0.001, 0.02, 2))
    y, tap, shift = 0.0j, 1.0, 0.0
    if rich:
        kind = rng.integers(0, 5)
        if kind == 0:
            tap, shift = rng.uniform(0.92, 1.08), rng.choice([0.0, np.pi / 6, -np.pi / 3])
        elif kind == 1 and ideal:
            z = 0.0j
        elif kind == 2:
            y = complex(rng.uniform(0.0, 0.002), rng.uniform(-0.01, 0.02))
    branch = Branch(fr, to, z, y, float(tap), float(shift))
    return branch if rng.random() < 0.5 else replace(branch, fr=to, to=fr)
