"""Certificates of grids with devices, made line by line: true ones are accepted, and every change is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.network.devices import DeviceKind, Devices
from openpoint.search.operating_states import best_operating_state
from openpoint.verify import CertificateError, Verified, verify, verify_network
from openpoint.verify.data import digest
from tests.builders.certificates import Content, Line, content, index, judged_tree, rewritten
from tests.builders.device_grids import DeviceGrid, free_of_charge, random_device_grid
from tests.builders.device_tables import device_grid_of, random_device_tables
from tests.powerflow.small_networks import Branch, make_network
from tests.powerflow.test_operating_point import devices_of

FEATURES = ("banks", "voltages", "taps", "fixed units", "limits", "ratings")


def written(grid: DeviceGrid, below: float = 0.0) -> Content | None:
    """The certificate that visits all states, its bound lowered by a share; None where no state keeps the limits."""
    best = best_operating_state(grid.evaluator).best
    if best is None or best.violation > 0.0:
        return None
    worth = best.value, best.value * (1.0 - below)
    return judged_tree(grid.network, grid.devices, best.closed, best.positions, worth)


def checked(grid: DeviceGrid, made: Content, path: Path) -> Verified:
    return verify_network(grid.network, rewritten(path, *made), devices=grid.devices)


def test_trees_of_all_states_are_accepted_and_higher_bounds_are_not(tmp_path: Path) -> None:
    seen = []
    for seed in range(60):
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
        assert proven.positions == tuple(zip(grid.devices.names, head["positions"], strict=True))
        seen += [DeviceKind(kind) for kind in grid.devices.kind]
        if states > 1 and head["value"] > 1e-6:
            k = next(k for k, line in enumerate(lines) if line[0] == "judged")
            with pytest.raises(CertificateError, match=r"has not|does not hold|is not"):
                checked(grid, (head | {"lines": len(lines) - 1}, lines[:k] + lines[k + 1 :]), tmp_path / "file")
    assert all(seen.count(kind) >= 5 for kind in DeviceKind)


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
    head["lines"] = len(lines)


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


def another_digest(head: dict[str, Any], lines: list[Line]) -> None:
    head["digest"] = digest(feeder().network)


def no_devices_named(head: dict[str, Any], lines: list[Line]) -> None:
    head |= {"devices": [], "positions": []}


def a_device_less(head: dict[str, Any], lines: list[Line]) -> None:
    head["devices"].pop()
    head["positions"].pop()


def a_device_twice(head: dict[str, Any], lines: list[Line]) -> None:
    """The digest is forged to fit."""
    grid = feeder()
    head["devices"].append("d2")
    head["positions"].append(1)
    head["digest"] = digest(grid.network, grid.devices.only(np.array([0, 1, 2, 2])))


def feed_in_while_off(head: dict[str, Any], lines: list[Line]) -> None:
    head["positions"][2] = 0


def a_higher_bound(head: dict[str, Any], lines: list[Line]) -> None:
    head["value"] *= 1.0 + 1e-3
    head["bound"] = head["value"]


TAMPERINGS: list[tuple[Callable[[dict[str, Any], list[Line]], None], str]] = [
    (swap_a_side, "cannot be split"),
    (leave_out_a_side, "nodes left"),
    (split_after_the_last, "cannot be split"),
    (split_before_the_first, "position is -1"),
    (split_another_place, "cannot be split|does not hold"),
    (split_no_device, "the device is 3, and a whole number from 0 to 2"),
    (take_a_third_side, "side is 2"),
    (judge_before_all_is_single, "does not hold here"),
    (another_position, "the best state loses"),
    (a_position_outside, "have no positions"),
    (a_negative_position, "positions is -1"),
    (no_positions, "positions has 0 values"),
    (another_digest, "another grid"),
    (no_devices_named, "another grid"),
    (a_device_less, "another grid"),
    (a_device_twice, "another grid"),
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
    with pytest.raises(CertificateError, match="loses too little"):
        checked(grid, other, tmp_path / "file")


def test_devices_that_are_held_stay_as_they_are(tmp_path: Path) -> None:
    whole = feeder()
    some = whole.devices.only(np.array([0, 2]))
    made = written(replace(whole, devices=some))
    assert made is not None
    proven = checked(whole, made, tmp_path / "file")
    assert [name for name, _ in proven.positions] == ["d0", "d2"]
    assert "in which d1 stays at -1 loses" in str(proven)
    moved = replace(whole.network, source_v=1.03 * whole.network.source_v)
    with pytest.raises(CertificateError, match="another grid"):
        checked(replace(whole, network=moved), content(tmp_path / "file"), tmp_path / "file")


@pytest.mark.parametrize("change", ["values", "today", "place"])
def test_other_devices_are_noticed(change: str, made: Content, tmp_path: Path) -> None:
    grid = feeder()
    devices = grid.devices
    other: dict[str, Devices] = {
        "values": replace(devices, values=(devices.values[0] * 1.01, *devices.values[1:])),
        "today": replace(devices, today=np.array([2, 0, 1])),
        "place": replace(devices, place=np.array([1, 0, 0])),
    }
    with pytest.raises(CertificateError, match="another grid"):
        checked(replace(grid, devices=other[change]), made, tmp_path / "file")


def test_names_that_two_devices_have_are_told_apart_by_the_digest(tmp_path: Path) -> None:
    grid = feeder()
    same = replace(grid, devices=replace(grid.devices, names=("a", "b", "a")))
    made = written(replace(same, devices=same.devices.only(np.array([1, 2]))))
    assert made is not None
    assert [name for name, _ in checked(same, made, tmp_path / "file").positions] == ["b", "a"]


@pytest.mark.parametrize("seed", range(0, 16, 2))
def test_certificates_of_grids_in_tables_are_checked_with_the_devices_of_the_tables(seed: int, tmp_path: Path) -> None:
    grid = random_device_tables(seed, 200)
    arrays = device_grid_of(grid)
    arrays = replace(arrays, supply=free_of_charge(arrays.network)[1])
    made = written(arrays)
    if made is None:
        return
    proven = verify(grid, rewritten(tmp_path / "file", *made))
    best = dict(zip(arrays.devices.names, made[0]["positions"], strict=True))
    first = dict(zip(arrays.devices.names, arrays.devices.first.tolist(), strict=True))
    assert dict(proven.positions) == {name: first[name] + k for name, k in best.items()}
    assert proven.held == ()
    if arrays.devices.count > 1:
        few = replace(arrays, devices=arrays.devices.only(np.array([0])))
        made = written(few)
        if made is not None:
            proven = verify(grid, rewritten(tmp_path / "file", *made))
            today = (arrays.devices.first + arrays.devices.today).tolist()
            assert proven.held == tuple(zip(arrays.devices.names, today, strict=True))[1:]
