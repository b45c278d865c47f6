"""Topology search against all radial states of small grids, with lines that hang on one end, and on a full disk."""

import errno
import gzip
import logging
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint import TopologySearch
from openpoint.errors import OptionError
from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import losses
from openpoint.search import incumbent as keeping
from openpoint.search import topology
from openpoint.search.certificate import put_aside
from openpoint.search.enumeration import topologies
from openpoint.search.exchange.ac_check import AcEvaluator
from openpoint.search.kernel import bound as bounds
from openpoint.search.kernel import forest
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.search.kernel.entries import propagate
from openpoint.search.methods import Log
from openpoint.search.model.build import build_model
from openpoint.search.regions import process
from openpoint.search.result import SearchProgress
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from openpoint.verify import CertificateError, verify
from tests.builders.certificates import verify_network
from tests.powerflow.small_networks import Branch, make_network, random_network
from tests.search.entered import entered
from tests.search.kernel.test_bound import modelled
from tests.search.random_grids import KINDS, hanging, judged, random_grid

# name: least loss kW
OPTIMA = {
    "zhang13": 12.656,
    "civanlar16": 466.127,
    "baran33": 139.551,
    "baran69": 98.605,
    "das70": 301.645,
    "zhang118": 869.730,
    "mantovani136": 280.193,
}


def loaded(name: str, v_min: float = 0.0) -> Network:
    """A built-in grid with this voltage limit alone."""
    network = build_network(files.load(name))
    n, m = network.n_terminals, network.n_conductors
    return network.with_limits(w_min=np.full(n, v_min**2), w_max=np.full(n, np.inf), l_max=np.full(m, np.inf))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "+".join(kind) or "plain")
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_search_equals_brute_force(kind: tuple[str, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_grid(rng, kind)
    max_changes = int(rng.integers(0, 5)) if rng.random() < 0.3 else None
    cost = float(rng.uniform(0.0, 0.01)) if rng.random() < 0.3 else 0.0
    try:
        found = search_topologies(
            network,
            SwitchingRules.of(network, max_changes, cost),
            gap=0.0,
        )
    except OptionError:
        return  # voltages without limit
    states, value = judged(network, max_changes, cost)
    best = value.min(initial=np.inf)
    assert found.lower_bound <= best + 1e-9 * abs(best) or math.isinf(best)
    if len(network.generator_names):  # the best of some outputs is above the best of all
        assert found.lower_bound <= best * (1.0 + 1e-9) + 1e-12
        if found.termination in (Termination.OPTIMAL, Termination.GAP):
            assert found.value <= best * (1.0 + 1e-6) + 1e-9
        assert found.termination is not Termination.INFEASIBLE or math.isinf(best)
        return
    if math.isinf(best):
        assert found.termination is Termination.INFEASIBLE
        assert found.closed is None
        assert found.value == found.lower_bound == math.inf
        return
    assert found.termination is Termination.OPTIMAL
    assert found.value == pytest.approx(best, rel=1e-8, abs=1e-12)
    assert found.closed.tolist() in states[value <= best + 1e-8 * abs(best) + 1e-12].tolist()


@pytest.mark.parametrize("name", OPTIMA)
def test_the_optimum_of_a_built_in_grid_is_proven(name: str) -> None:
    network = loaded(name)
    found = search_topologies(network)
    scale = network.s_base_kva
    assert found.termination is Termination.OPTIMAL
    assert found.gap <= 1e-6
    assert found.value * scale == pytest.approx(OPTIMA[name], abs=6e-4)
    assert found.closed is not None
    assert losses(network, found.closed)[0][0] == found.value


@pytest.mark.parametrize(
    ("name", "v_min", "loss_kw"), [("baran33", 0.938, 139.978), ("baran33", 0.9412, 139.978), ("das70", 0.916, 301.717)]
)
def test_a_voltage_limit_moves_the_optimum(name: str, v_min: float, loss_kw: float) -> None:
    network = loaded(name, v_min)
    found = search_topologies(network)
    assert found.termination is Termination.OPTIMAL
    assert found.value * network.s_base_kva == pytest.approx(loss_kw, abs=6e-4)


def test_the_best_lowest_voltage_of_33_buses_is_known() -> None:
    """Of its 50,751 trees the best has 0.94129 at its lowest bus."""
    found = search_topologies(loaded("baran33", 0.9413))
    assert found.termination is Termination.INFEASIBLE
    value, miss = AcEvaluator(loaded("baran33", 0.9413)).evaluate(found.least_violation[None, :])
    assert 0.0 < miss[0] < 0.01
    assert np.isfinite(value).all()


@pytest.mark.parametrize(("name", "v_min"), [("baran33", 0.95), ("das70", 0.93)])
def test_limits_that_no_state_keeps_are_proven(name: str, v_min: float) -> None:
    """das70 has 3.8e8 trees; the best has about 0.9194 at its lowest bus."""
    network = loaded(name, v_min)
    found = search_topologies(network, time_limit=100.0)
    assert found.termination is Termination.INFEASIBLE
    assert found.least_violation is not None
    assert found.nodes < 5_000


def test_few_changes_and_their_cost() -> None:
    network = loaded("baran33")
    chunks = list(topologies(network))
    states = np.concatenate(chunks)
    loss, changes = losses(network, states)[0], (states != network.closed).sum(axis=1)
    for most in (0, 2, 3, 4, 6):
        best = loss[changes <= most].min()
        assert search_topologies(network, SwitchingRules.of(network, most)).value == pytest.approx(best, rel=1e-9)
    for cost_kw in (0.1, 2.0, 20.0):
        cost = cost_kw / network.s_base_kva
        found = search_topologies(network, SwitchingRules.of(network, None, cost))
        assert found.termination is Termination.OPTIMAL
        assert found.value == pytest.approx((loss + cost * changes).min(), rel=1e-9)


def test_a_stopped_search_keeps_its_bound_and_its_best_state() -> None:
    network = loaded("zhang118")
    optimum = OPTIMA["zhang118"] / network.s_base_kva
    told: list[SearchProgress] = []
    by_nodes = search_topologies(network, node_limit=100, progress=told.append)
    by_time = search_topologies(network, time_limit=0.0)
    by_wish = search_topologies(network, stop=lambda: len(told) > 0)
    ends = [Termination.ITERATIONS, Termination.TIME, Termination.INTERRUPTED]
    for found, why in zip((by_nodes, by_time, by_wish), ends, strict=True):
        assert found.termination is why
        assert 0.0 < found.lower_bound <= optimum * (1.0 + 1e-6)
        assert optimum * (1.0 - 1e-6) <= found.value < 1.5 * optimum  # today's state: 1.4925
        assert found.closed is not None
    assert by_nodes.value < 1.01 * optimum
    assert by_nodes.lower_bound > 0.9 * optimum
    assert 100 <= by_nodes.nodes < 200
    bounds, values = [s.lower_bound for s in told], [s.value for s in told]
    assert bounds == sorted(bounds)
    assert values == sorted(values, reverse=True)
    assert [s.nodes for s in told] == sorted(s.nodes for s in told)
    assert told[-1].gap == by_nodes.gap
    assert max(s.depth for s in told) > 10


@pytest.mark.parametrize("name", ["mantovani136", "zhang118"])
def test_the_share_explored_grows_to_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is the sum over open nodes of 2^-depth, so that the share is 1 when none is left, and not before."""
    monkeypatch.setattr(topology, "LOOK_UP", 0.0)
    told: list[SearchProgress] = []
    search_topologies(loaded(name), progress=told.append)
    shares = [now.explored for now in told]
    assert shares == sorted(shares)
    assert [share == 1.0 for share in shares] == [now.open_nodes == 0 for now in told]
    assert len({share for share in shares if 0.0 < share < 1.0}) > 10
    assert shares[-1] == 1.0


def test_a_start_that_is_left_on_a_large_grid_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    network = loaded("mantovani136")
    at_once = search_topologies(network, node_limit=1)
    monkeypatch.setattr(keeping, "START_EVALUATIONS", 0.0)
    told: list[SearchProgress] = []
    found = search_topologies(network, node_limit=1, progress=told.append)
    assert told[0].nodes == 1  # before any exchange
    assert found.value == pytest.approx(at_once.value, rel=1e-12)
    assert search_topologies(network).value * network.s_base_kva == pytest.approx(OPTIMA["mantovani136"], abs=6e-4)


def test_a_given_start_is_taken() -> None:
    network = loaded("baran33")
    best = search_topologies(network).closed
    found = search_topologies(network, starts=best[None, :], node_limit=1)
    assert found.value * network.s_base_kva == pytest.approx(OPTIMA["baran33"], abs=6e-4)


def test_locks_are_kept() -> None:
    network = loaded("baran33")
    none = np.zeros(network.n_conductors, dtype=bool)
    best = search_topologies(network).closed
    first = np.flatnonzero(~best)[0]
    lock = none.copy()
    lock[first] = True
    found = search_topologies(network, SwitchingRules(lock, none))
    assert found.closed[first]
    locked = topologies(network, SwitchingRules(lock, none))
    values = [losses(network, states)[0].min() for states in locked]
    assert found.value == pytest.approx(min(values), rel=1e-9)


def test_locks_without_a_radial_state_are_infeasible() -> None:
    ring = make_network(3, [Branch(0, 1), Branch(1, 2), Branch(2, 0)], {0: 1.0 + 0.0j})
    every, none = np.ones(3, dtype=bool), np.zeros(3, dtype=bool)
    for must_close, must_open in ((every, none), (none, every), (every, every)):
        found = search_topologies(ring, SwitchingRules(must_close, must_open))
        assert found.termination is Termination.INFEASIBLE
        assert found.closed is None


def test_what_the_bound_is_not_valid_for_is_refused() -> None:
    branches = [Branch(0, 1), Branch(1, 2), Branch(2, 0)]
    ring = make_network(3, branches, {0: 1.0 + 0.0j})
    with pytest.raises(OptionError, match="gap is 1"):
        search_topologies(ring, gap=1.0)
    with pytest.raises(OptionError, match="max_changes is -1"):
        search_topologies(ring, SwitchingRules.of(ring, -1))
    with pytest.raises(OptionError, match="change_cost is nan"):
        search_topologies(ring, SwitchingRules.of(ring, None, math.nan))
    with pytest.raises(OptionError, match="no resistance"):
        search_topologies(make_network(3, [*branches, Branch(0, 1, z=1.0j, y=1.0j)], {0: 1.0 + 0.0j}))


def test_a_grid_without_load_loses_nothing() -> None:
    network = random_network(1, 12, n_tie=4, rich=False, load=0.0)
    found = search_topologies(network)
    assert found.termination is Termination.OPTIMAL
    assert found.value == found.lower_bound == 0.0


def test_one_node_is_one_in_words() -> None:
    log, shown = Log(1.0, None), SearchProgress(1.0, 1, 2, 0, 0.0, 1.0, 0.5)
    log.on_progress(shown)
    log.on_progress(replace(shown, seconds=99.0, nodes=1200))
    assert [line.verdict.partition(",")[0] for line in log.lines] == ["1 node", "1"]
    assert log.lines[1].verdict.startswith("1,200 nodes, 2 open")


def test_a_long_search_for_which_no_gap_was_asked_is_content_with_less(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_network(files.load("baran33"))
    close = search_topologies(network, gap=None)
    assert (close.termination, close.gap <= 1e-6) == (Termination.OPTIMAL, True)
    monkeypatch.setattr(keeping, "LONG", 0.0)
    monkeypatch.setattr(keeping, "ENOUGH", 0.05)
    loose = search_topologies(network, gap=None)
    assert loose.termination is Termination.GAP
    assert 1e-6 < loose.gap <= 0.05
    assert loose.lower_bound <= close.value
    assert search_topologies(network, gap=1e-6).gap <= 1e-6


bound, root = entered(bounds.bound), entered(forest.root)


def cables(seed: int) -> Network:
    """A random grid whose lines have much charging, each hanging on one end, on the other, or on none."""
    rng = np.random.default_rng(seed)
    network = random_grid(rng, ("ratios",) if seed % 3 == 0 else ())
    y = rng.uniform(0.0, 0.002, network.n_conductors) + 1j * rng.uniform(0.01, 0.06, network.n_conductors)
    high = np.full(network.n_terminals, 1.5**2)
    return hanging(rng, replace(network, y_shunt=sp.csr_array(sp.diags_array(y)), w_max=high))


@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_exact_on_trees_and_below_all_completions_elsewhere(seed: int) -> None:
    """At the best multipliers of a tree the bound leaves no room for an error in what open lines take."""
    network = cables(seed)
    states, value = judged(network, None, 0.0)
    rng = np.random.default_rng(seed)
    for k in np.flatnonzero(np.isfinite(value))[:6]:
        model, numbering, work = modelled(network)
        tree = states[k, numbering.branch]
        work.status[:] = np.where(tree, CLOSED, OPEN)
        held = process(model, work.status, work.y, work.mu, work.phi, value[k])
        assert held.bound == pytest.approx(value[k], rel=1e-7)
        for known in (0.7, 0.4, 0.0):
            decided = rng.random(len(tree)) < known
            inside = (states[:, numbering.branch] == tree)[:, decided].all(axis=1)
            work.status[:] = np.where(decided, np.where(tree, CLOSED, OPEN), UNDECIDED)
            assert propagate(model, work)
            root(model, work)
            assert bound(model, work, held.work.y, held.work.mu) <= value[inside].min() * (1.0 + 1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_answers_are_those_of_brute_force_and_their_certificates_verify(seed: int, tmp_path: Path) -> None:
    network = cables(seed)
    _, value = judged(network, None, 0.0)
    if not np.isfinite(value).any():
        return
    found = search_topologies(network, gap=0.0, certificate=tmp_path / "proof")
    assert found.closed is not None
    assert found.value == pytest.approx(value.min(), rel=1e-9)
    proven = verify_network(network, tmp_path / "proof")
    assert proven.bound_kw == pytest.approx(value.min() * network.s_base_kva, rel=1e-6)
    assert ("lines open at the ends" in proven.limits) == network.hangs.any()
    if network.hangs.any():
        with pytest.raises(CertificateError, match=r"best state loses|does not reach"):
            verify_network(network.dead_when_open(), tmp_path / "proof")


def test_where_lines_hang_matters() -> None:
    """The grids above tell right from wrong: without what hangs the best state or its loss is another.

    Theory: docs/methods.md M4.
    """
    told = 0
    for seed in range(12):
        network = cables(seed)
        dead = search_topologies(network.dead_when_open())
        told += search_topologies(network).value != pytest.approx(dead.value, rel=1e-6)
    assert told > 6


def test_a_branch_that_must_close_hangs_nowhere() -> None:
    network = cables(1)
    free = np.zeros(network.n_conductors, dtype=bool)
    model, _ = build_model(network, SwitchingRules(~free, free))
    assert not model.worth.any()


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
Disk = Callable[[pytest.MonkeyPatch], None]


def lines_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full in the middle of the lines."""
    write, calls = gzip.GzipFile.write, list[int]()

    def some(self: gzip.GzipFile, data: Any) -> int:
        calls.append(len(data))
        if len(calls) > 5:
            raise FULL
        return write(self, data)

    monkeypatch.setattr(gzip.GzipFile, "write", some)


def the_whole_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes all lines, but not the file that they are copied to."""

    def refuse(*_: object) -> None:
        raise FULL

    monkeypatch.setattr("openpoint.search.certificate.write_bytes", refuse)


@pytest.mark.parametrize("fails", [lines_fail, the_whole_fails])
@pytest.mark.parametrize("futures", [False, True])
def test_a_full_disk_takes_the_certificate_alone(
    fails: Disk,
    futures: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def asked(method: TopologySearch) -> Any:
        if futures:
            return openpoint.reconfigure_futures("baran33", openpoint.grow("baran33", count=3, seed=1), method=method)
        return openpoint.reconfigure("baran33", method=method)

    whole = asked(TopologySearch())
    file = tmp_path / "proof.cert"
    fails(monkeypatch)
    with caplog.at_level(logging.WARNING):
        found = asked(TopologySearch(certificate=file))
    assert found.open_branches == whole.open_branches
    assert found.gap <= 1e-6
    assert f"{file} cannot be written: No space left on device" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails", [lines_fail, the_whole_fails])
def test_with_a_checkpoint_the_same_search_goes_on_to_the_certificate(
    fails: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, kept = tmp_path / "proof.cert", tmp_path / "open.search"
    method = TopologySearch(certificate=file, checkpoint=kept)
    with monkeypatch.context() as patch:
        fails(patch)
        found = openpoint.reconfigure("das70", method=method)
    assert found.gap <= 1e-6
    assert not file.exists()
    assert kept.exists()
    openpoint.reconfigure("das70", method=method)
    assert list(tmp_path.iterdir()) == [file]
    assert verify(openpoint.read("das70"), file).loss_kw == found.loss_kw


def test_a_folder_in_the_place_of_a_certificate_stays(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        put_aside(folder)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(("small", "paths"), [(90, False), (0, True)])
def test_small_grids_begin_without_paths_and_end_at_the_same_optimum(
    small: int, paths: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    made = topology.PathExplorer
    monkeypatch.setattr(topology, "SMALL", small)
    monkeypatch.setattr(topology, "PathExplorer", lambda *of, **more: (begun.append(1), made(*of, **more))[1])
    found = search_topologies(loaded("das70"), gap=1e-4)
    assert bool(begun) is paths
    assert found.value * loaded("das70").s_base_kva == pytest.approx(301.645, rel=1e-5)
    assert found.lower_bound >= found.value * (1.0 - 1.001e-4)


def test_paths_begin_anew_where_few_nodes_alone_do_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[float] = []
    monkeypatch.setattr(topology, "SMALL", 200)
    monkeypatch.setattr(topology, "ALONE", 20)
    found = search_topologies(loaded("zhang118"), gap=1e-4, progress=lambda now: bounds.append(now.lower_bound))
    assert bounds == sorted(bounds)
    assert found.value * loaded("zhang118").s_base_kva == pytest.approx(869.730, rel=1e-5)
    assert found.lower_bound >= found.value * (1.0 - 1.001e-4)
