"""Certificates: what the search writes verifies, and nothing that was tampered with does."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.arrays import Bools
from openpoint.errors import OptionError
from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.network.limits import Limits
from openpoint.search.exchange.ac_check import AcEvaluator
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from openpoint.verify import CertificateError, verify
from tests.builders.certificates import ROW, Line, changes, content, index, rewritten, verify_network
from tests.search.random_grids import KINDS, judged, random_grid

LOSS_KW = {"civanlar16": 466.127, "baran33": 139.551, "baran69": 98.605, "das70": 301.645, "mantovani136": 280.193}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates of built-in grids."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in LOSS_KW:
        search_topologies(build_network(files.load(name)), certificate=folder / name)
    return {name: folder / name for name in LOSS_KW}


@pytest.mark.parametrize("name", LOSS_KW)
def test_the_certificate_of_a_built_in_grid_verifies(name: str, certificates: dict[str, Path]) -> None:
    found = verify(files.load(name), certificates[name])
    assert found.loss_kw == pytest.approx(LOSS_KW[name], abs=6e-4)
    assert found.loss_kw * (1.0 - 1.1e-6) <= found.bound_kw <= found.loss_kw
    assert found.gap <= 1.1e-6
    assert found.bounds > 10
    assert found.limits == "the voltage limits of the grid"
    assert found.given == ((), ())
    assert not certificates[name].with_name(name + ".part").exists()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "+".join(kind) or "plain")
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None)
def test_certificates_of_random_grids_verify(
    kind: tuple[str, ...], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = np.random.default_rng(seed)
    network = random_grid(rng, kind)
    path = tmp_path_factory.getbasetemp() / "random"
    gap = float(rng.choice([0.0, 1e-6, 1e-2]))
    most, price = changes(rng)
    try:
        found = search_topologies(network, SwitchingRules.of(network, most, price), gap=gap, certificate=path)
    except OptionError:
        return  # voltages without limit
    if found.closed is None:
        assert not path.exists()
        return
    if found.termination is Termination.RELAXATION and not path.exists():
        return  # nothing bounds a state with outputs to choose
    proven = verify_network(network, path, changes=(most, price))
    states, value = judged(network, most, price)
    best = value.min() * network.s_base_kva
    assert proven.bound_kw <= best * (1.0 + 1e-8)
    assert proven.value_kw == pytest.approx(found.value * network.s_base_kva, rel=1e-9)
    assert proven.loss_kw == pytest.approx(proven.value_kw - proven.changes * price * network.s_base_kva, abs=1e-9)
    if "dispatch" not in kind:
        assert proven.gap <= gap * (1.0 + 1e-6) + 1e-12
        assert proven.value_kw <= best * (1.0 + 1.01 * gap + 1e-8)
    refuse_too_much(network, path, states, (most, price))


def refuse_too_much(network: Network, path: Path, states: Bools, limits: tuple[int | None, float]) -> None:
    """With a worse state for the best one, every bound above the best one is refused."""
    head, lines = content(path, network)
    (most, price), names_of = limits, network.branch_names
    outputs = [complex(*pair) for pair in zip(*head["generation"], strict=True)]
    value, miss = AcEvaluator(replace(network, generator_s=np.array(outputs, dtype=complex)), price).evaluate(states)
    if most is not None:
        miss[(states != network.closed).sum(axis=1) > most] = 1.0
    for worse in np.flatnonzero((miss == 0.0) & (value > head["value"] * (1.0 + 1e-5)))[:3]:
        names = [name for name, closed in zip(names_of, states[worse], strict=True) if not closed]
        bound = head["value"] + 0.1 * (value[worse] - head["value"])
        claim = head | {"open": names, "value": value[worse], "bound": bound}
        with pytest.raises(CertificateError, match="refused"):
            verify_network(network, rewritten(path, claim, lines), changes=limits)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_what_passes_is_true_however_it_was_tampered_with(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Lines are dropped, doubled, exchanged and changed, and a higher bound is claimed."""
    rng = np.random.default_rng(seed)
    network = random_grid(rng, KINDS[rng.integers(len(KINDS))])
    path = tmp_path_factory.getbasetemp() / "tampered"
    most, price = changes(rng)
    path.unlink(missing_ok=True)
    try:
        search_topologies(network, SwitchingRules.of(network, most, price), gap=0.05, certificate=path)
    except OptionError:
        return
    if not path.exists():
        return
    head, lines = content(path, network)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(lines)))
        other = lines[int(rng.integers(len(lines)))]
        change = int(rng.integers(5))
        if change == 0 and len(lines) > 1:
            del lines[at]
        elif change == 1:
            lines.insert(at, copy.deepcopy(other))
        elif change == 2:
            lines[at] = copy.deepcopy(other)
        elif len(lines[at]) > 1 and isinstance(lines[at][1], int):
            lines[at][1] = int(rng.integers(-1, network.n_conductors + 1))
        else:
            head["bound"] *= float(rng.uniform(1.0, 1.05))
    head["bound"] = min(head["bound"], head["value"])
    try:
        proven = verify_network(network, rewritten(path, head, lines), changes=(most, price))
    except CertificateError:
        return
    assert proven.bound_kw <= judged(network, most, price)[1].min() * network.s_base_kva * (1.0 + 1e-8)


def lower_value(head: dict[str, Any], lines: list[Line]) -> None:
    head["value"] *= 1.0 - 1e-7


def raise_bound(head: dict[str, Any], lines: list[Line]) -> None:
    head["bound"] += 0.999 * (head["value"] - head["bound"])


def raise_both(head: dict[str, Any], lines: list[Line]) -> None:
    for name in ("value", "bound", "voltage_loss"):
        head[name] *= 1.01


def bound_above_the_value(head: dict[str, Any], lines: list[Line]) -> None:
    head["bound"] = head["value"] * (1.0 + 1e-9)


def change_a_multiplier(head: dict[str, Any], lines: list[Line]) -> None:
    line = lines[index(lines, "bound")]
    line[ROW["y"]][7] += 1 << line[ROW["bits"]]


def feed_a_source(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "bound")][-2][0] += 1


def drop_a_node(head: dict[str, Any], lines: list[Line]) -> None:
    at = [k for k, line in enumerate(lines) if line[0] == "from"]
    del lines[at[-2] : at[-1]]


def drop_the_last_node(head: dict[str, Any], lines: list[Line]) -> None:
    del lines[max(k for k, line in enumerate(lines) if line[0] == "from") :]


def split_another_branch(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "split")][1] = head["open_number"]


def probe_another_branch(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "probe")][1] = head["open_number"]


def close_without_probe(head: dict[str, Any], lines: list[Line]) -> None:
    line = lines[index(lines, "bound")]
    lines[index(lines, "split")] = ["probe", head["open_number"], *line[1:]]


def say_nothing_is_left(head: dict[str, Any], lines: list[Line]) -> None:
    at = index(lines, "split")
    lines[at:] = [["none"]]


def leave_it_to_the_power_flow(head: dict[str, Any], lines: list[Line]) -> None:
    at = index(lines, "split")
    lines[at:] = [["judged"]]


def take_another_best(head: dict[str, Any], lines: list[Line]) -> None:
    head["open"][0] = "1"


def name_a_strange_branch(head: dict[str, Any], lines: list[Line]) -> None:
    head["open"][0] = "no such branch"


def name_a_branch_twice(head: dict[str, Any], lines: list[Line]) -> None:
    head["open"].append(head["open"][0])


def give_multipliers_of_no_digits(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "bound")][ROW["bits"]] = 41


def go_back_twice(head: dict[str, Any], lines: list[Line]) -> None:
    lines.insert(len(lines), lines[index(lines, "from")])


def leave_out_a_bus(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "bound")][-1].pop()


def root_nowhere(head: dict[str, Any], lines: list[Line]) -> None:
    lines[index(lines, "bound")][ROW["roots"]] = [-1]


def lock_the_best_away(head: dict[str, Any], lines: list[Line]) -> None:
    head["question"]["locked_closed"] = [head["open"][0]]


TAMPERINGS: list[tuple[Callable[[dict[str, Any], list[Line]], None], str]] = [
    (lower_value, "best state loses"),
    (raise_bound, "does not reach"),
    (raise_both, "best state loses"),
    (bound_above_the_value, "is above the value"),
    (change_a_multiplier, "does not reach"),
    (feed_a_source, "does not reach"),
    (drop_a_node, "does not reach|no open side|otherwise|is decided|nodes left|does not hold"),
    (drop_the_last_node, "nodes left"),
    (split_another_branch, "refused"),
    (probe_another_branch, "does not reach|decided"),
    (close_without_probe, "does not reach"),
    (say_nothing_is_left, "'none' does not hold"),
    (leave_it_to_the_power_flow, "'judged' does not hold"),
    (take_another_best, "radial|loses"),
    (name_a_strange_branch, "no such branch"),
    (name_a_branch_twice, "a name twice"),
    (give_multipliers_of_no_digits, "binary digits is 41"),
    (go_back_twice, "more lines"),
    (leave_out_a_bus, "has 32 values, and 33 are needed"),
    (root_nowhere, "roots"),
    (lock_the_best_away, "locks"),
]


@pytest.mark.parametrize(("tamper", "words"), TAMPERINGS, ids=lambda case: getattr(case, "__name__", ""))
def test_tampering_is_caught(
    tamper: Callable[[dict[str, Any], list[Line]], None],
    words: str,
    certificates: dict[str, Path],
    tmp_path: Path,
) -> None:
    grid = files.load("baran33")
    head, lines = content(certificates["baran33"], build_network(files.load("baran33")))
    verify(grid, rewritten(tmp_path / "same", head, lines))
    number = {name: e for e, name in enumerate(build_network(grid).branch_names)}
    head["open_number"] = number[head["open"][0]]
    tamper(head, lines)
    del head["open_number"]
    with pytest.raises(CertificateError, match=words):
        verify(grid, rewritten(tmp_path / "tampered", head, lines))


def test_the_node_at_fault_is_named(certificates: dict[str, Path], tmp_path: Path) -> None:
    head, lines = content(certificates["baran33"], build_network(files.load("baran33")))
    at = max(k for k, line in enumerate(lines) if line[0] == "bound")
    lines[at][-2] = [0] * 32 + [10**9]
    nodes = 1 + sum(line[0] in ("split", "from") for line in lines[:at])
    with pytest.raises(CertificateError, match=f"line {at + 2}, node {nodes}: "):
        verify(files.load("baran33"), rewritten(tmp_path / "tampered", head, lines))


def test_a_changed_grid_is_noticed(certificates: dict[str, Path]) -> None:
    grid = files.load("baran33")
    loads = grid.loads.with_columns(p_kw=grid.loads["p_kw"] * np.where(np.arange(grid.loads.height) == 3, 1.001, 1.0))
    for other in (grid.with_tables(loads=loads), files.load("baran69")):
        with pytest.raises(CertificateError, match=r"best state loses|should be radial"):
            verify(other, certificates["baran33"])


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_noticed(share: float, certificates: dict[str, Path], tmp_path: Path) -> None:
    whole = certificates["das70"].read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CertificateError):
        verify(files.load("das70"), path)
    path.write_bytes(whole[:-40] + bytes(40))
    with pytest.raises(CertificateError, match="damaged"):
        verify(files.load("das70"), path)
    path.write_text("a text", encoding="utf-8")
    with pytest.raises(CertificateError, match="this is no certificate"):
        verify(files.load("das70"), path)


def test_other_limits_and_locks_are_said(tmp_path: Path) -> None:
    grid = files.load("das70")
    method = openpoint.TopologySearch(certificate=tmp_path / "file")
    found = openpoint.reconfigure(grid, limits=Limits(v_min_pu=0.916), locked_open="76", method=method)
    proven = verify(grid, tmp_path / "file")
    assert proven.loss_kw == pytest.approx(found.loss_kw, rel=1e-9)
    assert "voltages of 0.916 or more pu at every bus without a source" in str(proven)
    assert "not the limits of the grid" in str(proven)
    assert proven.given == (("76",), ())
    assert "in which 76 stays open" in str(proven)


def test_a_file_of_another_version_is_refused_with_a_way_out(certificates: dict[str, Path], tmp_path: Path) -> None:
    head, lines = content(certificates["baran33"], build_network(files.load("baran33")))
    head["format"] = "openpoint certificate 1"
    with pytest.raises(CertificateError, match=r"'openpoint certificate 1', not .* write it again"):
        verify(files.load("baran33"), rewritten(tmp_path / "old", head, lines))
    head["format"] = "something else"
    with pytest.raises(CertificateError, match="form is 'something else'"):
        verify(files.load("baran33"), rewritten(tmp_path / "other", head, lines))


def test_nothing_is_written_where_nothing_is_proven(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("of an earlier run", encoding="utf-8")
    network = build_network(files.load("baran69"))
    found = search_topologies(network, node_limit=3, certificate=path)
    assert found.termination is Termination.ITERATIONS
    kept = {"file.earlier": "of an earlier run"}
    assert {each.name: each.read_text("utf-8") for each in tmp_path.iterdir()} == kept
    tight = Limits(v_min_pu=0.99).applied(network)
    assert search_topologies(tight, certificate=path).termination is Termination.INFEASIBLE
    assert {each.name: each.read_text("utf-8") for each in tmp_path.iterdir()} == kept


def test_a_recorded_search_finds_the_same(tmp_path: Path) -> None:
    for name in LOSS_KW:
        network: Network = build_network(files.load(name))
        recorded = search_topologies(network, certificate=tmp_path / name)
        plain = search_topologies(network, certifiable=True)
        work = [(found.value, found.nodes, found.probes, found.leaves) for found in (plain, recorded)]
        assert work[0] == work[1]
        # Without a file the search has further bounds: from the incumbent's loss, by paths, and by regions.
        assert search_topologies(network).value == recorded.value


def test_progress_is_told_line_by_line(certificates: dict[str, Path]) -> None:
    told: list[tuple[int, int]] = []
    verify(files.load("baran33"), certificates["baran33"], lambda done, whole: told.append((done, whole)))
    lines, size = content(certificates["baran33"], build_network(files.load("baran33")))[1], told[0][1]
    assert len(told) == len(lines)
    assert told == sorted(told)
    assert told[-1] == (size, size) == (certificates["baran33"].stat().st_size,) * 2


def test_reconfigure_leaves_a_certificate(tmp_path: Path) -> None:
    grid = openpoint.read("baran33")
    result = openpoint.reconfigure(grid, method=openpoint.TopologySearch(certificate=tmp_path / "file"))
    proven = verify(grid, tmp_path / "file")
    assert proven.open_branches == result.open_branches
    assert proven.loss_kw == pytest.approx(result.loss_kw, rel=1e-9)
