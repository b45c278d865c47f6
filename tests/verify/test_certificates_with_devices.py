"""Certificates of grids with devices, made line by line: true ones are accepted, and every change is refused."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.arrays import Ints
from openpoint.network import build_network
from openpoint.network.devices import DeviceKind, Devices, build_devices, build_supply
from openpoint.network.freedom import free_kinds, freed
from openpoint.verify import CertificateError, Verified, verify
from openpoint.verify.data import Objective
from openpoint.verify.question import mattering
from tests.builders.certificates import Content, Line, index, judged_tree, rewritten, verify_network
from tests.builders.device_grids import DeviceGrid, free_of_charge, random_device_grid
from tests.builders.device_tables import random_device_tables
from tests.builders.sampled_outputs import best_operating_state
from tests.powerflow.small_networks import Branch, make_network
from tests.powerflow.test_operating_point import devices_of

FEATURES = ("banks", "voltages", "taps", "fixed units", "limits", "ratings")


def written(grid: DeviceGrid, below: float = 0.0) -> Content | None:
    """The certificate that visits all states, its bound lowered by a share; None where no state keeps the limits."""
    best = best_operating_state(grid.evaluator).best
    if best is None or best.violation > 0.0:
        return None
    worth, some = (best.value, best.value * (1.0 - below)), mattering_of(grid)
    return judged_tree(grid.network, grid.devices.only(some), best.closed, best.positions[some], worth)


def mattering_of(grid: DeviceGrid) -> Ints:
    """Numbers of the devices that the proof sets."""
    net = grid.network
    return mattering(net, grid.devices, ~net.closed & ~net.switchable, grid.supply)


def checked(grid: DeviceGrid, made: Content, path: Path) -> Verified:
    objective = Objective(grid.cost, grid.supply)
    return verify_network(grid.network, rewritten(path, *made), devices=grid.devices, objective=objective)


def test_trees_of_all_states_are_accepted_and_higher_bounds_are_not(tmp_path: Path) -> None:
    seen = []
    for seed in range(30):
        grid = random_device_grid(seed, FEATURES, 60)
        made = written(grid) if grid.devices.count else None
        if made is None:
            continue
        head, lines = made
        proven = checked(grid, made, tmp_path / "file")
        states = sum(line[0] == "judged" for line in lines)
        assert (proven.judged, proven.nodes) == (
            states,
            1 + sum(line[0] in ("split", "step", "from") for line in lines),
        )
        names = grid.devices.only(mattering_of(grid)).names
        assert proven.positions == tuple(zip(names, head["positions"], strict=True))
        seen += [DeviceKind(kind) for kind in grid.devices.kind]
        if states > 1 and head["value"] > 1e-6:
            k = next(k for k, line in enumerate(lines) if line[0] == "judged")
            with pytest.raises(CertificateError, match=r"is done|does not hold|is not"):
                checked(grid, (head, lines[:k] + lines[k + 1 :]), tmp_path / "file")
    assert all(seen.count(kind) >= 2 for kind in DeviceKind)


def feeder() -> DeviceGrid:
    """One line, a bank of four steps at its end, a source of two voltages, a tie beside it, and a unit."""
    network = make_network(
        3,
        [Branch(0, 1, 0.02 + 0.04j), Branch(1, 2, 0.02 + 0.02j), Branch(0, 2, 0.05 + 0.02j, closed=False)],
        {0: 1.0 + 0.0j},
        power=[0.0, 0.3 + 0.1j, 0.5 + 0.4j],
        impedance=[0.0, 0.0, -0.1j],
        generators=[(1, 0.2 + 0.1j)],
        v_limits=(0.9, 1.04),
    )
    devices = devices_of(
        (DeviceKind.BANK, 2, [0.0, 0.1, 0.2, 0.3], 1),
        (DeviceKind.VOLTAGE, 0, [1.0, 1.03], 0),
        (DeviceKind.UNIT, 0, [0.0, 1.0], 1),
    )
    return DeviceGrid(network, replace(devices, first=np.array([0, -1, 0])), *free_of_charge(network))


@pytest.fixture(scope="module")
def made() -> Content:
    found = written(feeder(), below=1e-6)
    assert found is not None
    return found


def test_the_best_positions_are_told_as_the_grid_counts_them(made: Content, tmp_path: Path) -> None:
    proven = checked(feeder(), made, tmp_path / "file")
    assert proven.positions == (("d0", 3), ("d1", 0), ("d2", 1))
    assert " open, d0 at 3, d1 at 0, d2 at 1 loses" in str(proven)


def swap_a_side(head: dict[str, Any], lines: list[Line]) -> None:
    """The lines that follow split positions of the side that waits."""
    line = next(line for line in lines if line[0] == "step" and line[1:3] == [0, 1])
    line[3] = 1 - line[3]


def leave_out_a_side(head: dict[str, Any], lines: list[Line]) -> None:
    del lines[next(k for k, line in enumerate(lines) if line[0] == "from") :]


def split_after_the_last(head: dict[str, Any], lines: list[Line]) -> None:
    line = next(line for line in lines if line[0] == "step" and line[1] == 0)
    line[2] = 3


def split_before_the_first(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "step")][2] = -1


def split_another_place(head: dict[str, Any], lines: list[Line]) -> None:
    next(line for line in lines if line[0] == "step" and line[1] == 0)[2] = 0


def split_no_device(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "step")][1] = 3


def take_a_third_side(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "step")][3] = 2


def judge_before_all_is_single(head: dict[str, Any], lines: list[Line]) -> None:
    k = max(k for k, line in enumerate(lines) if line[0] == "step")
    lines[k] = ["judged"]


def another_position(head: dict[str, Any], lines: list[Line]) -> None:
    head["positions"][0] = 2


def a_position_outside(head: dict[str, Any], lines: list[Line]) -> None:
    head["positions"][0] = 4


def a_negative_position(head: dict[str, Any], lines: list[Line]) -> None:
    head["positions"][0] = -1


def no_positions(head: dict[str, Any], lines: list[Line]) -> None:
    del head["positions"]


def a_position_less(head: dict[str, Any], lines: list[Line]) -> None:
    head["positions"].pop()


def a_position_more(head: dict[str, Any], lines: list[Line]) -> None:
    head["positions"].append(1)


def feed_in_while_off(head: dict[str, Any], lines: list[Line]) -> None:
    head["positions"][2] = 0


def a_higher_bound(head: dict[str, Any], lines: list[Line]) -> None:
    head["value"] *= 1.0 + 1e-3
    head["bound"] = head["value"]


TAMPERINGS: list[tuple[Callable[[dict[str, Any], list[Line]], None], str]] = [
    (swap_a_side, "is no whole number from"),
    (leave_out_a_side, "end of the file"),
    (split_after_the_last, "3 is no whole number from 0 to 2"),
    (split_before_the_first, "-1 is no whole number"),
    (split_another_place, "is no whole number from|does not hold"),
    (split_no_device, "3 is no whole number from 0 to 2"),
    (take_a_third_side, "2 is no whole number from 0 to 1"),
    (judge_before_all_is_single, "does not hold here"),
    (another_position, "the best state loses"),
    (a_position_outside, "have no positions"),
    (a_negative_position, "positions is -1"),
    (no_positions, "have no positions"),
    (a_position_less, "have no positions"),
    (a_position_more, "have no positions"),
    (feed_in_while_off, "an output is not within its range"),
    (a_higher_bound, "the best state loses"),
]


@pytest.mark.parametrize(("tamper", "words"), TAMPERINGS, ids=lambda case: getattr(case, "__name__", ""))
def test_tampering_is_caught(
    tamper: Callable[[dict[str, Any], list[Line]], None], words: str, made: Content, tmp_path: Path
) -> None:
    head, lines = copy.deepcopy(made)
    tamper(head, lines)
    with pytest.raises(CertificateError, match=words):
        checked(feeder(), (head, lines), tmp_path / "tampered")


def test_a_state_that_is_not_the_best_is_refused_where_the_bound_is_its_value(made: Content, tmp_path: Path) -> None:
    grid = feeder()
    closed, positions = grid.network.closed, np.array([2, 0, 1])
    value = float(grid.evaluator.evaluate(closed, positions)[0][0])
    other = judged_tree(grid.network, grid.devices, closed, positions, (value, value))
    with pytest.raises(CertificateError, match="is worth less"):
        checked(grid, other, tmp_path / "file")


def test_the_answer_with_fewer_devices_is_none_with_more(tmp_path: Path) -> None:
    whole = feeder()
    some = replace(whole, devices=whole.devices.only(np.array([0, 2])))
    made = written(some)
    assert made is not None
    assert [name for name, _ in checked(some, made, tmp_path / "file").positions] == ["d0", "d2"]
    for other in (whole, replace(some, network=replace(some.network, source_v=1.03 * some.network.source_v))):
        with pytest.raises(CertificateError, match=r"have no positions|best state loses"):
            checked(other, made, tmp_path / "file")


@pytest.mark.parametrize("change", ["values", "place"])
def test_other_devices_are_noticed(change: str, made: Content, tmp_path: Path) -> None:
    grid = feeder()
    devices = grid.devices
    other: dict[str, Devices] = {
        "values": replace(devices, values=(devices.values[0] * 1.01, *devices.values[1:])),
        "place": replace(devices, place=np.array([1, 0, 0])),
    }
    with pytest.raises(CertificateError, match="best state loses"):
        checked(replace(grid, devices=other[change]), made, tmp_path / "file")


@pytest.mark.parametrize("seed", range(0, 16, 4))
def test_certificates_of_grids_in_tables_are_checked_with_the_devices_of_the_tables(seed: int, tmp_path: Path) -> None:
    grid = random_device_tables(seed, 200)
    network = build_network(grid)
    every, supply = build_devices(grid, network), build_supply(grid, network)
    kinds = free_kinds(network, every, None)
    for free in (None, kinds[:2]):
        held, devices = freed(network, every, kinds if free is None else free)
        arrays = DeviceGrid(held, devices, free_of_charge(held)[0], supply)
        if "topology" not in kinds or not devices.count or (made := written(arrays)) is None:
            continue
        question = {"minimize": {"losses": 1.0}} | ({} if free is None else {"free": list(free)})
        proven = verify(grid, rewritten(tmp_path / "file", made[0] | {"question": question}, made[1]))
        set_here = devices.only(mattering_of(arrays))
        first = dict(zip(set_here.names, set_here.first.tolist(), strict=True))
        best = dict(zip(set_here.names, made[0]["positions"], strict=True))
        assert dict(proven.positions) == {name: first[name] + k for name, k in best.items()}
        today = dict(zip(every.names, (every.first + every.today).tolist(), strict=True))
        assert dict(proven.held) == {name: at for name, at in today.items() if name not in best}
        assert bool(proven.differs) == (free is not None and len(free) < len(kinds))
