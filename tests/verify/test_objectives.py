"""Certificates of other costs than the loss and of limits of supply: accepted, true, and refused when tampered with."""

import copy
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network.devices import DeviceKind
from openpoint.network.operating_cost import OperatingCost
from openpoint.search.topology import search_topologies
from openpoint.verify import CertificateError, Verified
from openpoint.verify.data import Objective
from openpoint.verify.fixed_point import PHI
from openpoint.verify.graph import CLOSED, FREE, OPEN, Graph
from tests.builders.certificates import ROW, Content, Line, content, rewritten, verify_network
from tests.builders.device_grids import FEATURES, DeviceGrid, free_of_charge, random_device_grid
from tests.builders.sampled_outputs import best_operating_state
from tests.powerflow.small_networks import Branch, make_network
from tests.powerflow.test_operating_point import devices_of
from tests.verify.test_bound import ONE, Valued, bound_of

Tamper = Callable[[dict[str, Any], list[Line]], None]


def searched(grid: DeviceGrid, file: Path) -> float | None:
    """The value of the answer, whose certificate is in the file; None where there is none."""
    file.unlink(missing_ok=True)
    try:
        parts = {"devices": grid.devices, "cost": grid.cost, "supply": grid.supply}
        found = search_topologies(grid.network, certificate=file, **parts)  # type: ignore[arg-type]
    except OptionError:
        return None
    return found.value if file.exists() else None


def checked(grid: DeviceGrid, file: Path) -> Verified:
    objective = Objective(grid.cost, grid.supply)
    return verify_network(grid.network, file, devices=grid.devices, objective=objective)


def least_kw(grid: DeviceGrid) -> float:
    """The least value of all states, those with outputs to choose sampled."""
    best = best_operating_state(grid.evaluator).best
    return (best.value if best is not None and best.violation == 0.0 else math.inf) * grid.network.s_base_kva


def test_certificates_are_accepted_and_prove_no_more_than_is_true(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in range(20):
        grid = random_device_grid(seed, FEATURES, 200)
        value = searched(grid, tmp_path / "file")
        if value is None:
            continue
        proven, best = checked(grid, tmp_path / "file"), least_kw(grid)
        assert proven.value_kw == pytest.approx(value * grid.network.s_base_kva, rel=1e-8, abs=1e-9), seed
        # A sampled output may be beyond its circle by the tolerance of limits.
        assert proven.bound_kw <= best + 1e-6 * abs(best) + 1e-9, seed
        seen["accepted"] += 1
        seen["priced"] += bool(proven.prices)
        seen["limited"] += any(np.isfinite(limit).any() for limit in vars(grid.supply).values())
        seen["moves"] += grid.cost.move > 0.0
    assert seen["accepted"] >= 12
    assert min(seen["priced"], seen["limited"], seen["moves"]) >= 3, seen


def plant() -> DeviceGrid:
    """Two sources of different prices, one limited, a ring between them, a generator with a circle, and one that stops.

    A branch without impedance is at the dearer source.
    """
    network = make_network(
        6,
        [
            Branch(0, 1, 0.02 + 0.03j),
            Branch(1, 2, 0.02 + 0.02j),
            Branch(2, 3, 0.03 + 0.02j),
            Branch(3, 4, 0.02 + 0.02j),
            Branch(4, 5, 0.0j, switchable=False),
            Branch(1, 3, 0.04 + 0.02j, closed=False),
            Branch(2, 4, 0.03 + 0.01j, closed=False),
        ],
        {0: 1.0 + 0.0j, 5: 1.0 + 0.0j},
        power=[0.05, 0.3 + 0.1j, 0.4 + 0.2j, 0.3 + 0.1j, 0.2 + 0.1j, 0.0],
        generators=[(2, 0.0j), (3, 0.1 + 0.0j)],
        v_limits=(0.9, 1.05),
    )
    # The branch 2 – 3 is open today, so that the state is radial.
    network = replace(network, closed=network.closed & (np.arange(7) != 2))
    network = replace(network, p_min=np.array([0.0, 0.1]), p_max=np.array([0.3, 0.1]))
    network = replace(network, q_min=np.array([-0.3, 0.0]), q_max=np.array([0.3, 0.0]))
    devices = devices_of((DeviceKind.BANK, 3, [0.0, 0.1], 0), (DeviceKind.UNIT, 1, [0.0, 1.0], 1))
    cost, free = free_of_charge(network)
    cost = OperatingCost(
        loss=0.1,
        source=np.array([0.9, 1.1]),
        generator=np.array([0.7, 0.2]),
        square=np.array([0.5, 0.0]),
        idle=np.array([0.0, 0.01]),
        current=np.where(np.arange(network.n_conductors) == 4, 0.0, 0.01),
        move=1e-5,
        change=0.002,
    )
    supply = replace(free, p_max=np.array([0.5, np.inf]), q_min=np.array([0.0, -np.inf]), s_max=np.array([0.6, np.inf]))
    return DeviceGrid(network, devices, cost, replace(supply, generator_s_max=np.array([0.3, np.inf])))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Content:
    file = tmp_path_factory.mktemp("plant") / "file"
    assert searched(plant(), file) is not None
    return content(file, plant().network)


def test_all_of_it_together_is_told(written: Content, tmp_path: Path) -> None:
    grid, file = plant(), rewritten(tmp_path / "file", *written)
    proven = checked(grid, file)
    assert proven.bound_kw <= least_kw(grid)
    assert proven.gap <= 1e-2  # the limits of the source bind, and steps of their multipliers end before the optimum
    assert "the limits of the power of sources and generators, outputs within" in str(proven)
    assert "at the prices given, and 2 for each change" in str(proven)


def another_base(head: dict[str, Any], lines: list[Line]) -> None:
    head["base"] = [None] * len(head["base"])


def a_base_that_is_no_source(head: dict[str, Any], lines: list[Line]) -> None:
    head["base"][1] = 2


def turn_the_sign_of_a_limit(head: dict[str, Any], lines: list[Line]) -> None:
    """The multiplier of the limited source, of which a limit is missing below, by the line that sets it first."""
    for line in lines:
        if line[0] in ("probe", "bound"):
            line[ROW["y"]][0] = -abs(line[ROW["y"]][0]) - (1 << line[ROW["bits"]])
            return


def free_a_source_without_limits(head: dict[str, Any], lines: list[Line]) -> None:
    next(line for line in lines if line[0] in ("probe", "bound"))[ROW["y"]][5] += 1


def leave_out_a_node(head: dict[str, Any], lines: list[Line]) -> None:
    del lines[max(k for k, line in enumerate(lines) if line[0] == "bound")]


def another_output(head: dict[str, Any], lines: list[Line]) -> None:
    head["generation"][0][0] *= 0.9


TAMPERINGS: list[tuple[Tamper, str]] = [
    (another_base, "does not reach"),
    (a_base_that_is_no_source, "2 is no whole number from 0 to 1"),
    (turn_the_sign_of_a_limit, "does not reach"),
    (free_a_source_without_limits, "does not reach"),
    (leave_out_a_node, "is not|end of the file|does not hold"),
    (another_output, "the best state loses"),
]


@pytest.mark.parametrize(("tamper", "words"), TAMPERINGS, ids=lambda case: getattr(case, "__name__", ""))
def test_tampering_is_caught(tamper: Tamper, words: str, written: Content, tmp_path: Path) -> None:
    head, lines = copy.deepcopy(written)
    tamper(head, lines)
    with pytest.raises(CertificateError, match=words):
        checked(plant(), rewritten(tmp_path / "tampered", head, lines))


def asked_otherwise(what: str) -> DeviceGrid:
    """The grid with a price or a limit changed."""
    grid = plant()
    cost, supply = grid.cost, grid.supply
    costs = {
        "dearer": {"source": cost.source * [1.0, 1.001]},
        "cheaper losses": {"loss": 0.0},
        "a square": {"square": cost.square * 2.0},
        "idle": {"idle": cost.idle * 2.0},
    }
    limits = {
        "a wider source": {"p_max": supply.p_max * 1.01, "s_max": np.full(2, np.inf)},
        "a narrower source": {"p_max": supply.p_max * 0.9},
        "a wider circle": {"generator_s_max": supply.generator_s_max * 1.05},
        "a narrower circle": {"generator_s_max": supply.generator_s_max * 0.5},
    }
    return replace(grid, cost=replace(cost, **costs.get(what, {})), supply=replace(supply, **limits.get(what, {})))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("dearer", "the best state loses"),
        ("cheaper losses", "the best state loses"),
        ("a square", "the best state loses"),
        ("idle", "the best state loses"),
        ("a wider source", "does not reach"),
        ("a narrower source", "misses the limits"),
        ("a wider circle", "does not reach"),
        ("a narrower circle", "misses the limits"),
    ],
)
def test_the_answer_at_other_prices_and_limits_is_none(what: str, words: str, written: Content, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=words):
        checked(asked_otherwise(what), rewritten(tmp_path / "file", *written))


def test_what_passes_is_true_however_prices_and_limits_were_changed(tmp_path: Path) -> None:
    """The head is forged to fit: the value is that of the best state at other prices and limits."""
    file, passed = tmp_path / "file", 0
    for seed in range(11):
        rng = np.random.default_rng(seed)
        grid = random_device_grid(seed, tuple(name for name in FEATURES if name != "units"), 200)
        if searched(grid, file) is None:
            continue
        head, lines = content(file, grid.network)
        other = otherwise(rng, grid)
        positions, closed = (
            np.array(head.get("positions", []), dtype=np.int64),
            ~np.isin(grid.network.branch_names, head["open"]),
        )
        if len(positions) != grid.devices.count:
            continue
        value = float(other.evaluator.evaluate(closed, positions, grid.network.generator_s)[0][0])
        claim = head | {"value": value, "bound": min(value, head["bound"] * rng.choice([0.9, 1.0, 1.01]))}
        try:
            proven = checked(other, rewritten(file, claim, lines))
        except CertificateError:
            continue
        passed += 1
        assert proven.bound_kw <= least_kw(other) * (1.0 + 1e-8) + 1e-9, seed
    assert passed >= 1


def otherwise(rng: np.random.Generator, grid: DeviceGrid) -> DeviceGrid:
    """The grid with a price or limit changed."""
    kind = rng.integers(3)
    cost, supply = grid.cost, grid.supply
    if kind == 0:
        cost = replace(cost, source=cost.source * rng.uniform(0.9, 1.1, len(cost.source)))
    elif kind == 1:
        cost = replace(cost, move=cost.move * 0.5, current=cost.current * rng.uniform(0.5, 1.5))
    else:
        supply = replace(supply, p_max=supply.p_max * rng.uniform(0.9, 1.1), s_max=supply.s_max * rng.uniform(0.9, 1.1))
    return replace(grid, cost=cost, supply=supply)


def test_the_bound_of_a_node_is_never_above_its_best_state_at_any_multipliers() -> None:
    seen: Counter[str] = Counter()
    for seed in range(15):
        grid = random_device_grid(seed, FEATURES, 200)
        grid = replace(grid, cost=replace(grid.cost, change=0.0))
        valued, rng, net = Valued(grid), np.random.default_rng(seed), grid.network
        if not np.isfinite(valued.value).any():
            continue
        ends = net.terminal_fr.tolist(), net.terminal_to.tolist()
        graph = Graph(net.n_terminals, *ends, set(net.source_terminal.tolist()), set(), math.inf)
        for _ in range(6):
            k = rng.choice(np.flatnonzero(np.isfinite(valued.value)))
            known = rng.random(net.n_conductors) < rng.choice([0.5, 1.0])
            status = np.where(known, np.where(valued.closed[k], CLOSED, OPEN), FREE).astype(np.int8)
            if not graph.consequences(status):
                continue
            spans = [
                (int(rng.integers(0, p + 1)), int(rng.integers(p, size)))
                for p, size in zip(valued.positions[k].tolist(), grid.devices.sizes.tolist())
            ]
            best = valued.best(status, spans)
            of = bound_of(grid, best)
            if of is None:
                continue
            y, mu, phi = multipliers(rng, grid, of.base[0])
            found = of.value(status.tolist(), ((y, mu), ((), phi, {})), spans)
            seen["none"] += found is None
            if found is not None:
                value = found / ONE
                assert value <= best + 1e-9 * abs(best) + 1e-12, seed
                seen["near"] += value >= best - 0.5 * abs(best)
    assert seen["near"] >= 7, seen


def multipliers(
    rng: np.random.Generator, grid: DeviceGrid, base: list[int]
) -> tuple[list[int], list[int], dict[int, int]]:
    """Multipliers near the prices of sources, those of sources themselves as their limits allow them; `base`: by bus
    what y is given in addition to."""
    net = grid.network
    size = rng.choice([1e-3, 1e-2, 0.1])
    near = float(np.mean(grid.cost.source)) + np.abs(rng.normal(0.0, size, net.n_terminals))
    y = [int(v * ONE) - given for v, given in zip(near.tolist(), base, strict=True)]
    mu = [int(v * ONE) for v in np.abs(rng.normal(0.0, size, net.n_terminals)).tolist()]
    for s, bus in enumerate(net.source_terminal.tolist()):
        y[bus], mu[bus] = 0, 0
        if np.isfinite(grid.supply.s_max[s]):
            y[bus], mu[bus] = int(rng.normal(0.0, size) * ONE), int(rng.normal(0.0, size) * ONE)
        elif np.isfinite(grid.supply.p_max[s]):
            y[bus] = int(abs(rng.normal(0.0, size)) * ONE)
    return y, mu, {int(bus): int(rng.normal(0.0, size) * 2**PHI) for bus in rng.integers(0, net.n_terminals, 2)}
