"""The path bound of the checker: never above the best completion, and in certificates of the first node."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import solve
from openpoint.search.enumeration import topologies
from openpoint.search.topology import search_topologies
from openpoint.verify import CertificateError
from openpoint.verify.arborescence import Arc, arborescence
from openpoint.verify.path_node import BACK, BROKEN, FORTH, REACHED
from openpoint.verify.path_table import nodes_of
from openpoint.verify.paths import PathBound, obstacles
from openpoint.verify.wires import CLOSED, FREE, OPEN
from tests.builders.certificates import Content, content, rewritten, verify_network
from tests.builders.path_grids import data_of, graph_of, squares_of
from tests.builders.random_parts import swept_of
from tests.search.random_grids import random_grid

BITS = 20


def bounds_of(network: Network, rng: np.random.Generator, count: int) -> tuple[list[float], list[float]]:
    """Bounds of random nodes at random multipliers, and the least loss of the radial states of each."""
    some = list(topologies(network))
    states = np.concatenate(some) if some else np.zeros((0, network.n_conductors), dtype=np.bool_)
    flows = solve(network, states)
    losses = np.where(flows.converged & flows.energised.all(axis=1), flows.loss, np.inf)
    data, graph = data_of(network), graph_of(network)
    bound = PathBound(data, graph, squares_of(network))
    found, best = [], []
    for _ in range(count if len(states) else 0):
        status = np.where(network.terminal_fr == network.terminal_to, OPEN, FREE).astype(np.int8)
        status[~network.switchable] = network.closed[~network.switchable]
        for e in np.flatnonzero((status == FREE) & (rng.random(len(status)) < rng.choice([0.0, 0.3]))):
            status[e] = rng.choice([OPEN, CLOSED])
        if not graph.consequences(status):
            continue
        fitting = np.all((status == FREE) | (states == (status == CLOSED)), axis=1)
        size = 0.0 if rng.random() < 0.2 else float(rng.choice([0.03, 0.1, 0.5]))
        y, mu = (rng.integers(-(2**16), int(size * 2**BITS) + 1, network.n_terminals).tolist() for _ in range(2))
        value = bound.bound(status.tolist(), y, mu, BITS, Fraction(1, 10))
        if value is not None:
            found.append(float(value))
            best.append(float(losses[fitting].min(initial=np.inf)))
    return found, best


@pytest.mark.parametrize("seed", range(60))
def test_no_bound_is_above_the_best_completion(seed: int) -> None:
    rng = np.random.default_rng([seed, 41])
    network = random_grid(rng, [(), ("locks",), ("stiff",), ("ratings", "low", "locks")][seed % 4])
    if not obstacles(data_of(network)):
        found, best = bounds_of(network, rng, 8)
        assert all(value <= loss + 1e-12 + 1e-9 * abs(loss) for value, loss in zip(found, best, strict=True)), seed


@pytest.mark.parametrize("seed", range(40))
def test_the_arborescence_is_the_cheapest_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 6))
    arcs: list[Arc] = []
    for _ in range(int(rng.integers(size, 14))):
        tail, head = int(rng.integers(-1, size)), int(rng.integers(size))
        if tail != head:
            arcs.append((int(rng.integers(-20, 20)), tail, head))
    least: int | None = None
    for chosen in itertools.product(*([arc for arc in arcs if arc[2] == j] for j in range(size))):
        above = [arc[1] for arc in chosen]
        reached = [j for j in range(size) if -1 in itertools.islice(_ways(above, j), size)]
        if len(reached) == size:
            total = sum(arc[0] for arc in chosen)
            least = total if least is None else min(least, total)
    assert arborescence(arcs, list(range(size))) == least


def _ways(above: list[int], j: int) -> itertools.chain[int]:
    def up(here: int) -> itertools.chain[int]:
        while True:
            here = above[here] if here >= 0 else here
            yield here

    return up(j)


def test_what_the_bound_does_not_hold_for_is_named() -> None:
    data = data_of(build_network(files.load("baran33")))
    none = [Fraction(0)] * len(data.p)
    assert obstacles(data) == []
    assert obstacles(replace(data, p=[*data.p[:-1], Fraction(-1)])) == ["generation"]
    assert obstacles(replace(data, q_w=[*none[:-1], Fraction(-1)])) == ["loads that depend on the voltage"]
    assert obstacles(replace(data, b=[*data.b[:-1], Fraction(1)])) == ["shunts"]
    assert obstacles(replace(data, tap=[*data.tap[:-1], Fraction(2)])) == ["ratios"]
    assert obstacles(replace(data, x=[*data.x[:-1], Fraction(-1)])) == ["negative impedances"]
    assert obstacles(replace(data, loss=[Fraction(2)])) == ["devices, prices or limits of supply"]
    assert obstacles(replace(data, price=[*data.price[:-1], Fraction(1)])) == [
        "prices of closings, currents or sources"
    ]


def certified(network: Network, path: Path) -> Content:
    """A certificate of half of the least loss, which the first node proves."""
    search_topologies(network, gap=0.5, certificate=path)
    return content(path, network)


def test_certificates_of_the_first_node_are_accepted_and_claim_no_more_than_is_true(tmp_path: Path) -> None:
    by_paths = 0
    for seed in range(24):
        rng, path = np.random.default_rng([seed, 43]), tmp_path / f"file {seed}"
        network = random_grid(rng, [(), ("locks",), ("stiff",)][seed % 3])
        found = search_topologies(network, gap=float(rng.choice([0.05, 0.2, 0.5])), certificate=path)
        assert path.exists() == (found.closed is not None), seed
        if found.closed is None:
            continue
        flows = solve(network, np.concatenate(list(topologies(network))))
        least = float(flows.loss[flows.converged & flows.energised.all(axis=1)].min())
        proven = verify_network(network, path)
        assert proven.bound_kw <= least * network.s_base_kva * (1.0 + 1e-9), seed
        by_paths += content(path, network)[1][0][0] == "paths"
    assert by_paths > 5


def test_a_grid_that_need_not_lose_anything_is_proven_by_paths() -> None:
    """The goal is 0 then, also of lines that were written while the best state known still lost something."""
    reached = 0
    for seed in range(12):
        network = random_grid(np.random.default_rng([seed, 44]), ("stiff",))
        nodes = nodes_of(swept_of(network))
        status = np.where(network.terminal_fr == network.terminal_to, OPEN, FREE).astype(np.int8)
        ways = np.full(len(nodes.table.u), BROKEN | FORTH | BACK, dtype=np.int8)
        zero = np.zeros(len(nodes.buses), dtype=np.int64)
        verdicts = [nodes.decided(status.copy(), ways.copy(), zero, zero, 8, Fraction(goal)) for goal in (0, 1)]
        assert verdicts[1] != REACHED
        reached += verdicts[0] == REACHED
    assert reached >= 6


def test_tampered_bounds_by_paths_are_refused(tmp_path: Path) -> None:
    network = build_network(files.load("baran33"))
    head, lines = certified(network, tmp_path / "file")
    assert [line[0] for line in lines] == ["paths"]
    found = verify_network(network, rewritten(tmp_path / "file", head, lines))
    assert "Checked: 1 node, 1 bound in integers (1 by paths), 0 radial states and the best one" in str(found)
    line = lines[0]
    for head_now, lines_now in (
        (head | {"bound": head["value"]}, lines),
        (head | {"junctions": head["junctions"] + 1}, lines),
        (head | {"format": "openpoint certificate 7"}, lines),
        (head, [[*line[:-2], [8 * y for y in line[-2]], line[-1]]]),
        (head, [["paths", [], [], 41, *line[-2:]]]),
        (head, [["paths", [len(network.branch_names)], [], *line[3:]]]),
        (head | {"lines": 2}, [line, line]),
        (head | {"lines": 2}, [["split", 3], line]),
    ):
        with pytest.raises(CertificateError):
            verify_network(network, rewritten(tmp_path / "file", head_now, lines_now))


def tree(seed: int, path: Path) -> tuple[Network, Content] | None:
    """A certificate of a random grid with bounds by paths in its tree; None where there is none."""
    rng = np.random.default_rng([seed, 45])
    network = random_grid(rng, [(), ("locks",), ("stiff",)][seed % 3])
    search_topologies(network, gap=float(rng.choice([1e-6, 1e-3, 1e-2])), certificate=path)
    found = content(path, network) if path.exists() else None
    return None if found is None or not any(line[0] == "paths" for line in found[1]) else (network, found)


def test_what_a_line_by_paths_excludes_is_checked(tmp_path: Path) -> None:
    """Each branch closed and each direction excluded is one that no state below the bound has, or it is refused."""
    refused, tried, path = 0, 0, tmp_path / "file"
    for seed in range(21):
        if (found := tree(seed, path)) is None:
            continue
        network, (head, lines) = found
        verify_network(network, path)
        states = np.concatenate(list(topologies(network)))
        flows = solve(network, states)
        best = states[np.flatnonzero(flows.converged)[np.argmin(flows.loss[flows.converged])]]
        for at in [k for k, line in enumerate(lines) if line[0] == "paths"][:2]:
            word, closed, ways, *rest = lines[at]
            free = [e for e in np.flatnonzero(~best).tolist() if e not in closed and network.switchable[e]]
            ends = set(map(tuple, ways))
            others = [w for e in range(len(best)) for w in ([e, 0], [e, 1]) if best[e] and tuple(w) not in ends]
            for more in [([*closed, e], ways) for e in free[:1]] + [(closed, [*ways, way]) for way in others[:1]]:
                now = [*lines[:at], [word, *more, *rest], *lines[at + 1 :]]
                tried += 1
                try:
                    proven = verify_network(network, rewritten(path, head, now))
                    assert proven.bound_kw <= flows.loss[flows.converged].min() * network.s_base_kva * (1 + 1e-9)
                except CertificateError:
                    refused += 1
            if ways or closed:
                without = [*lines[:at], [word, [], [], *rest], *lines[at + 1 :]]
                with pytest.raises(CertificateError):
                    verify_network(network, rewritten(path, head, without))
    assert refused > 0.8 * tried > 10


def test_neither_checker_accepts_what_is_false(tmp_path: Path) -> None:
    """A state that is not the best one, as if it were, with a bound above the best: lines changed to hide that."""
    both, false, path = 0, 0, tmp_path / "file"
    for seed in range(18):
        if (found := tree(seed, path)) is None:
            continue
        network, (head, lines) = found
        verify_network(network, path)
        both += 1
        rng, states = np.random.default_rng([seed, 47]), np.concatenate(list(topologies(network)))
        flows = solve(network, states)
        loss = np.where(flows.converged & flows.energised.all(axis=1), flows.loss, np.inf)
        order = np.argsort(loss)
        worse = next((k for k in order if loss[order[0]] * (1.0 + 1e-4) < loss[k] < np.inf), None)
        if worse is None:
            continue
        named = [name for name, closed in zip(network.branch_names, states[worse], strict=True) if not closed]
        worth = {"value": float(loss[worse]), "bound": float(loss[order[0]]) * (1.0 + 1e-5)}
        hides = np.flatnonzero(~states[order[0]] & network.switchable).tolist()
        for _ in range(2):
            now = []
            for line in lines:
                more = [*line[1], int(rng.choice(hides))] if line[0] == "paths" else []
                now.append(["paths", more, *line[2:]] if more and rng.random() < 0.6 else line)
            claim = {key: value for key, value in head.items() if key != "voltage_loss"} | worth | {"open": named}
            false += 1
            with pytest.raises(CertificateError):
                verify_network(network, rewritten(path, claim, now))
    assert both > 4
    assert false > 8


@pytest.mark.parametrize("left", [0.3, 0.6, 0.9, 0.99])
def test_a_certificate_of_one_line_that_is_cut_off_is_refused(left: float, tmp_path: Path) -> None:
    network, path = build_network(files.load("baran33")), tmp_path / "file"
    _, lines = certified(network, path)
    assert [line[0] for line in lines] == ["paths"]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole))])
    with pytest.raises(CertificateError, match=r"cut off|fewer lines|no certificate"):
        verify_network(network, path)


def test_a_bound_by_paths_of_a_grid_with_generation_is_refused_by_name(tmp_path: Path) -> None:
    network = build_network(files.load("baran33"))
    network = replace(network, s_power=np.where(np.arange(33) == 20, -0.01, network.s_power))
    head, lines = certified(network, tmp_path / "file")
    assert lines[-1][0] == "bound"
    head["junctions"] = 1
    with pytest.raises(CertificateError, match="does not hold for a grid with generation"):
        verify_network(network, rewritten(tmp_path / "file", head, [*lines[:-1], ["paths", [], [], 8, [0], [0]]]))
