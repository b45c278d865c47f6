"""A search that is broken off and goes on does what one run does; waiting nodes at a limit of memory."""

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.search import checkpoint, region_decomposition, topology
from openpoint.search import sharing as saving
from openpoint.search.kernel.arrays import work_for
from openpoint.search.kernel.bookkeeping import counts, pool_for, record_for, states_of, waiting
from openpoint.search.kernel.entries import push, take
from openpoint.search.model.build import build_model
from openpoint.search.result import SearchProgress, SearchResult
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from openpoint.verify import verify
from tests.builders.certificates import verify_network
from tests.search.entered import entered
from tests.search.random_grids import KINDS, random_grid
from tests.search.test_topology import loaded


def in_pieces(network: Network, file: Path, nodes: int, **options: object) -> tuple[SearchResult, int]:
    """The search in runs of so many nodes, and how many runs there were."""
    done, runs = 0, 0
    while True:
        runs += 1
        done += nodes
        found = search_topologies(network, node_limit=done, checkpoint=file, **options)  # type: ignore[arg-type]
        if found.termination is not Termination.ITERATIONS:
            return found, runs
        assert file.exists()
        assert found.nodes >= done
        done = found.nodes


def the_same(one: SearchResult, other: SearchResult) -> None:
    assert one.termination is other.termination
    assert (one.value, one.lower_bound) == (other.value, other.lower_bound)
    assert (one.nodes, one.probes, one.leaves) == (other.nodes, other.probes, other.leaves)
    assert (one.closed is None) == (other.closed is None)
    if one.closed is not None and other.closed is not None:
        np.testing.assert_array_equal(one.closed, other.closed)


@pytest.mark.parametrize(("name", "nodes"), [("baran33", 4), ("mantovani136", 25), ("zhang118", 80)])
def test_a_search_in_pieces_is_the_search_in_one(tmp_path: Path, name: str, nodes: int) -> None:
    network = loaded(name)
    whole = search_topologies(network)
    found, runs = in_pieces(network, tmp_path / "open", nodes)
    assert 3 <= runs <= -(-whole.nodes // nodes)
    the_same(found, whole)
    assert found.termination is Termination.OPTIMAL
    assert list(tmp_path.iterdir()) == []  # nothing to go on with


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "+".join(kind) or "plain")
def test_the_same_on_random_grids_with_limits_and_costs(tmp_path: Path, kind: tuple[str, ...]) -> None:
    seen = 0
    for seed in range(5):
        network = random_grid(np.random.default_rng(seed), kind)
        rules = SwitchingRules.of(network, 6 if seed % 3 == 0 else None, 0.002 * (seed % 2))
        options = {"gap": 0.0, "rules": rules}
        try:
            whole = search_topologies(network, **options)  # type: ignore[arg-type]
        except OptionError:
            continue
        found, runs = in_pieces(network, tmp_path / "open", 2, **options)
        seen += runs > 2
        if "dispatch" not in kind:
            the_same(found, whole)
            continue
        # Where generators are dispatched, the outputs of a tree depend a little on those of the tree before.
        assert found.termination is whole.termination
        if whole.closed is not None:
            assert (found.value, found.lower_bound) == pytest.approx((whole.value, whole.lower_bound), rel=1e-7)
    assert seen or set(kind) <= {"locks", "stiff", "low", "ratings"}  # the bound by paths closes these in two nodes


def test_a_certificate_in_pieces_is_the_certificate_in_one(tmp_path: Path) -> None:
    grid = files.load("baran33")
    network = build_network(grid).with_limits(
        w_min=np.zeros(33), w_max=np.full(33, np.inf), l_max=np.full(len(grid.branches()), np.inf)
    )
    search_topologies(network, certificate=tmp_path / "one")
    _, runs = in_pieces(network, tmp_path / "open", 6, certificate=tmp_path / "pieces")
    assert runs > 2
    assert str(verify(grid, tmp_path / "pieces")) == str(verify(grid, tmp_path / "one"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "pieces"]
    search_topologies(network, certificate=tmp_path / "pieces", checkpoint=tmp_path / "open", node_limit=10)
    (tmp_path / "pieces.part").unlink()
    with pytest.raises(OptionError, match=r"lines of the certificate written so far, .* are gone"):
        search_topologies(network, certificate=tmp_path / "pieces", checkpoint=tmp_path / "open")


def test_certificates_in_pieces_of_grids_with_outputs_to_choose(tmp_path: Path) -> None:
    pieces, seen = tmp_path / "pieces", 0
    for seed in range(10):
        network = random_grid(np.random.default_rng(seed), ("dispatch", "high", "ratings"))
        search_topologies(network, SwitchingRules.of(network, None, 0.001), certificate=tmp_path / "one")
        _, runs = in_pieces(
            network, tmp_path / "open", 2, rules=SwitchingRules.of(network, None, 0.001), certificate=pieces
        )
        assert pieces.exists() == (tmp_path / "one").exists()
        if runs > 2 and pieces.exists():
            one, proven = (verify_network(network, file, changes=(None, 0.001)) for file in (tmp_path / "one", pieces))
            assert (proven.value_kw, proven.bound_kw) == pytest.approx((one.value_kw, one.bound_kw), rel=1e-6)
            seen += 1
    assert seen >= 1


def test_what_cannot_be_gone_on_with_is_refused(tmp_path: Path) -> None:
    network, file = loaded("baran33"), tmp_path / "open"
    search_topologies(network, node_limit=4, checkpoint=file)
    good = file.read_bytes()

    def refused(words: str, other: Network = network, **options: object) -> None:
        before = file.read_bytes()
        with pytest.raises(OptionError, match=words) as error:
            search_topologies(other, checkpoint=file, **options)  # type: ignore[arg-type]
        assert "To start anew delete it, or name another file" in str(error.value)
        assert file.read_bytes() == before

    refused("another gap: 9.9.*e-07, not 0.01", gap=0.01)
    refused("another greatest number of changes: any, not 4", rules=SwitchingRules.of(network, 4))
    refused("another cost of changes, per unit: 0, not 0.5", rules=SwitchingRules.of(network, None, 0.5))
    refused("another certificate: no, not yes", certificate=tmp_path / "proof")
    first = network.switchable & (np.arange(network.n_conductors) == 6)
    assert first.any()
    none = np.zeros_like(first)
    refused("another branches locked open: none, not ", rules=SwitchingRules(none, first))
    refused("another grid, or of this one with other loads or limits", loaded("baran33", 0.9))
    refused("another grid", replace(network, s_power=network.s_power * 1.0000001))
    refused("another", loaded("das70"))
    for what in (good[:-1], good[: len(good) // 2], good[:200] + b"?" + good[201:], good + b"?", good[:40]):
        file.write_bytes(what)
        refused("damaged or was cut short")
    for what in (b"", b"\x00\xff", b"some text\n" + good, good[20:]):
        file.write_bytes(what)
        refused("not a checkpoint")
    file.write_bytes(good.replace(b"checkpoint 4", b"checkpoint 3", 1))
    refused("another format")
    file.write_bytes(good)
    assert search_topologies(network, checkpoint=file).termination is Termination.OPTIMAL


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, file = loaded("baran33"), tmp_path / "open"
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "__version__", "0.0.1")
        search_topologies(network, node_limit=4, checkpoint=file)
    with pytest.raises(OptionError, match=r"another version: 0\.0\.1, not"):
        search_topologies(network, checkpoint=file)


def test_no_objects_are_unpickled(tmp_path: Path) -> None:
    """A file with a right checksum but with Python objects inside is not executed."""
    network, file = loaded("baran33"), tmp_path / "open"
    np.savez(tmp_path / "bad.npz", key=np.array([{"a": 1}], dtype=object))
    data = (tmp_path / "bad.npz").read_bytes()
    file.write_bytes(f"{checkpoint.FORMAT} {hashlib.sha256(data).hexdigest()}\n".encode() + data)
    with pytest.raises(OptionError, match="damaged"):
        search_topologies(network, checkpoint=file)


def test_it_is_kept_now_and_then_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that dies leaves the last checkpoint, one that cannot write says so and goes on."""
    monkeypatch.setattr(saving, "SAVE_EVERY_S", 0.0)
    network, file = loaded("zhang118"), tmp_path / "open"
    whole = search_topologies(network)

    def die(now: SearchProgress) -> None:
        if now.nodes > 60:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        search_topologies(network, checkpoint=file, progress=die)
    the_same(search_topologies(network, checkpoint=file, node_limit=10**6), whole)

    marks = []

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def told(now: SearchProgress) -> None:
        marks.append(now.mark)
        if now.nodes > 1:
            monkeypatch.setattr(os, "fsync", full)

    the_same(search_topologies(network, checkpoint=file, progress=told), whole)
    assert "checkpoint not written: No space left on device" in marks
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="No space left"):  # at the start it is told at once
        search_topologies(network, checkpoint=file)


def test_a_pool_that_has_grown_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "pool_within", lambda memory, model, *_: pool_for(model, 2))
    whole = search_topologies(loaded("zhang118"))
    found, _ = in_pieces(loaded("zhang118"), tmp_path / "open", 400)
    the_same(found, whole)


def test_the_size_of_the_pieces_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a search changes on its way, such as giving up the bound by paths, depends on nodes, not on the clock."""
    monkeypatch.setattr(region_decomposition, "FIRST", 100)
    network = loaded("zhang118")
    found = []
    for seconds in (0.0, 0.05, 1e9):
        monkeypatch.setattr(topology, "LOOK_UP", seconds)
        found.append(search_topologies(network))
    for other in found[1:]:
        the_same(other, found[0])
    one_by_one, runs = in_pieces(loaded("baran33"), tmp_path / "open", 1)
    assert runs > 5
    the_same(one_by_one, search_topologies(loaded("baran33")))


def edited(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the arrays of a checkpoint, with the checksum of what they are then."""
    data = file.read_bytes().partition(b"\n")[2]
    with np.load(io.BytesIO(data)) as found:
        state = {name: found[name] for name in found.files}
    change(state)
    body = io.BytesIO()
    np.savez(body, allow_pickle=False, **state)
    file.write_bytes(f"{checkpoint.FORMAT} {hashlib.sha256(body.getvalue()).hexdigest()}\n".encode() + body.getvalue())


def test_each_array_is_of_its_kind_and_within_its_range(tmp_path: Path) -> None:
    """No number of a file reaches a compiled function without a look, nor a bound that is none."""
    network, file = loaded("baran33"), tmp_path / "open"
    search_topologies(network, node_limit=4, checkpoint=file)
    good, names = file.read_bytes(), []

    def refused(change: Callable[[dict[str, Any]], None]) -> None:
        file.write_bytes(good)
        edited(file, change)
        with pytest.raises(OptionError, match="To start anew delete it"):
            search_topologies(network, checkpoint=file, node_limit=1)

    edited(file, lambda state: names.extend(state.keys() - {"key"}))
    for name in names:
        if name != "best_closed":  # without it there is a search without a state
            refused(lambda state, name=name: state.pop(name))  # type: ignore[misc]
        refused(lambda state, name=name: state.update({name: state[name].astype("<c8")}))  # type: ignore[misc]
        refused(lambda state, name=name: state.update({name: state[name][None]}))  # type: ignore[misc]

    def put(name: str, value: Any, at: Any = ...) -> Callable[[dict[str, Any]], None]:
        def change(state: dict[str, Any]) -> None:
            state[name] = np.array(state[name])
            state[name][at] = value

        return change

    for name in ("pool_bound", "counts_bound", "counts_floor", "seconds", "pool_y", "work_y"):
        refused(put(name, np.nan))
    for name in ("pool_status", "work_status"):
        refused(put(name, -1 if name == "work_status" else 255))
    for name in ("counts_size", "counts_stack", "counts_nodes", "counts_depth", "leaves", "division"):
        refused(put(name, -1))
    refused(put("pool_bound", np.inf))
    refused(put("pool_depth", 1 << 30))
    refused(put("counts_active", 2))
    refused(put("best_closed", True))
    refused(lambda state: state.update(more=np.zeros(1)))
    file.write_bytes(good)
    assert search_topologies(network, checkpoint=file).termination is Termination.OPTIMAL


def test_the_best_state_is_evaluated_anew_and_the_result_names_the_file(tmp_path: Path) -> None:
    """What a file says of the value is not even in it; that a bound rests on what was excluded before is told."""
    network, file = loaded("zhang118"), tmp_path / "open"
    whole = search_topologies(network)
    assert whole.notes == ()
    search_topologies(network, node_limit=100, checkpoint=file)

    def today(state: dict[str, Any]) -> None:
        assert not {"best_value", "counts_cutoff", "w_min"} & state.keys()
        state["best_closed"] = network.closed

    edited(file, today)
    found = search_topologies(network, checkpoint=file, node_limit=101)
    assert found.value >= whole.value * (1.0 - 1e-9)
    assert len(found.notes) == 1
    assert f"went on from the checkpoint {file}, on which its bound rests" in found.notes[0]


def test_a_row_gives_back_what_was_put_into_it() -> None:
    """States exactly, and multipliers in single precision."""
    network = loaded("zhang118")
    none = np.zeros(network.n_conductors, dtype=bool)
    model, _ = build_model(network, SwitchingRules(none, none))
    work, rng = work_for(model), np.random.default_rng(0)
    pool, count = pool_for(model, 8), counts()
    put = []
    for bound in (3.0, 1.0, 2.0):
        count.nodes[0] += 1
        work.status[:] = rng.integers(0, 3, len(work.status))
        work.y[: model.n], work.mu[: model.n] = rng.random((2, model.n))
        put.append((bound, work.status.copy(), work.y.copy(), work.mu.copy()))
        entered(push)(model, work, pool, count, bound)
    np.testing.assert_array_equal(states_of(pool, waiting(pool, count)[0], len(work.status)), put[1][1])
    for bound, status, y, mu in sorted(put, key=lambda row: row[0]):
        take(model, work, pool, count, record_for(model, 0))
        assert count.bound[0] == bound
        np.testing.assert_array_equal(work.status, status)
        np.testing.assert_allclose(work.y, y, atol=1e-6)
        np.testing.assert_allclose(work.mu, mu, atol=1e-6)


@pytest.mark.parametrize("rows", [0, 40])
def test_at_the_limit_of_memory_the_search_goes_on_depth_first(tmp_path: Path, rows: int) -> None:
    network = loaded("zhang118", 0.9)
    whole = search_topologies(network)
    least: list[float] = []
    found = search_topologies(
        network, memory=600.0 * rows, certificate=tmp_path / "proof", progress=lambda now: least.append(now.lower_bound)
    )
    verify_network(network, tmp_path / "proof")
    again = search_topologies(network, memory=600.0 * rows)
    for one in (found, again):
        assert one.termination is Termination.OPTIMAL
        assert one.value == pytest.approx(whole.value, rel=1e-12)
        assert one.lower_bound == pytest.approx(whole.value, rel=2e-6)
    assert all(a <= b + 1e-12 for a, b in pairwise(least))
    stopped = search_topologies(network, memory=600.0 * rows, node_limit=100, checkpoint=tmp_path / "open")
    assert stopped.lower_bound <= whole.value
    on = search_topologies(network, memory=600.0 * rows, checkpoint=tmp_path / "open")
    assert on.value == pytest.approx(whole.value, rel=1e-12)


def test_random_grids_without_memory() -> None:
    for seed in range(30):
        network = random_grid(np.random.default_rng(seed), ("low", "ratings") if seed % 2 else ())
        whole, found = (search_topologies(network, gap=0.0, memory=most) for most in (2.0**30, 0.0))
        assert found.termination is whole.termination
        assert found.value == pytest.approx(whole.value, rel=1e-12)
