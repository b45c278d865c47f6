"""Certificates of grids of phases: what they prove, checked against all radial states; what is changed is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint.arrays import Bools, Complexes, Floats
from openpoint.compiled.jit import compiled
from openpoint.grid import Grid
from openpoint.search.phases.bound import _greatest, squares_for
from openpoint.search.phases.certificate import problem_text
from openpoint.search.phases.flow import UNDECIDED, trees_for
from openpoint.search.phases.model import box_rows
from openpoint.search.phases.multipliers import improve, pattern_for
from openpoint.search.phases.pieces import balanced
from openpoint.search.phases.proof import Checker, Nodes
from openpoint.search.phases.states import graph_for, propagate
from openpoint.search.phases.tree import free_of_charge
from openpoint.verify import CertificateError
from tests.builders.phase_trees import in_chain, phase_trees
from tests.search.phases.agree import Enumerated, enumerated, lines_of, mutant, reference, written
from tests.search.phases.test_bound import grids

GAP = 1e-3
REFERENCE = reference()


def certified(grid: Grid, path: Path, **options: object) -> openpoint.ReconfigureResult:
    """The answer of the search, which writes its certificate."""
    return openpoint.reconfigure(
        grid,
        method=openpoint.TopologySearch(gap=GAP, certificate=path),
        limits=openpoint.Limits(voltage=False),
        **options,
    )


@pytest.mark.parametrize("kind", ["power", "wye", "all", "held"])
def test_bounds_of_the_checker_are_those_of_the_search_and_never_above_the_best_completion(kind: str) -> None:
    """Partial states at random; multipliers of the fixed point, and disturbed."""
    for seed, case in grids(kind, range(20, 24)):
        rng, blocks = np.random.default_rng(seed), case.model.blocks
        checker, graph = Checker(blocks), graph_for(blocks)
        trees, squares, pattern = trees_for(blocks), squares_for(blocks), pattern_for(blocks)
        priority = np.argsort(-blocks.has.sum(axis=1), kind="stable")
        rows = []
        for _ in range(12):
            status = checker.first()
            kept = case.status[int(rng.integers(len(case.status)))]
            some = rng.random(len(status)) < rng.random()
            status[some & (status == UNDECIDED)] = kept[some & (status == UNDECIDED)]
            other = status.copy()
            assert propagate(blocks, status, graph) == checker.follow(other) is True
            assert (status == other).all()
            trees.v[:] = balanced(blocks)
            h = np.zeros((len(blocks.has), 3), dtype=complex)
            improve(blocks, status, priority, h, int(rng.integers(1, 6)), np.inf, trees, squares, pattern)
            if rng.random() < 0.5:
                h = h * (1.0 + 0.2 * rng.standard_normal(h.shape))
            own = float(improve(blocks, status, priority, h.copy(), 0, np.inf, trees, squares, pattern))
            agrees = (case.status == status) | (status == UNDECIDED)
            rows.append((status, h, squares.line[:, 1].copy(), own, case.loss[agrees.all(axis=1)].min()))
        states, multipliers, slopes, own, best = (np.array(part) for part in zip(*rows, strict=True))
        found = checker.bounds(Nodes(states, multipliers, slopes))
        assert (found <= best * (1.0 + 1e-9)).all()
        finite = np.isfinite(own)
        # Discs of loads between phases are sampled finer by the checker, and a little smaller.
        assert np.abs(found - own)[finite] == pytest.approx(0.0, abs=1e-9 if kind in ("power", "wye") else 2e-4)


@pytest.mark.parametrize("kind", ["power", "wye", "all", "held"])
def test_flows_of_the_checker_are_those_of_the_search(kind: str) -> None:
    for _, case in grids(kind, range(40, 46)):
        flows = Checker(case.model.blocks).flows
        found = [flows.least(status, free_of_charge, np.inf) for status in case.status]
        assert found == pytest.approx(case.loss, rel=5e-8, abs=1e-12)


def _checked(case: Enumerated) -> tuple[Checker, Any]:
    """The checker around one state, and what each loses by sweeps from no load, where shares of loads jump, too."""
    checker = Checker(case.model.blocks)
    assert np.isfinite(checker.flows.value(case.status[0]))
    return checker, [checker.flows._each(status, free_of_charge, np.inf) for status in case.status]


@pytest.mark.parametrize("kind", ["power", "all", "held"])
def test_what_states_lose_is_bounded_in_the_core(kind: str) -> None:
    """Far from the state around which it is known, too."""
    count = known = 0
    for seed, case in grids(kind, range(13)):
        checker, least = _checked(case)
        flows = checker.flows
        flows._tabulate()
        count += len(flows._plain.root)
        for status, loss in zip(case.status, least, strict=True):
            found = flows._bounds(status, status[None, :0], np.full(1, np.inf), flows._plain)[0]
            assert found <= loss * (1.0 + 1e-9), seed
            known += found > 0.5 * loss
    assert count > 4
    assert known > 25


@pytest.mark.parametrize("kind", ["power", "all", "held"])
def test_one_flow_covers_all_states_of_parts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No state loses less than is proved of all that have the rest of the core in common (docs/methods.md M45)."""
    monkeypatch.setattr("openpoint.search.phases.proof_states.FEW", 0)
    smaller = proved = count = 0
    for seed in range(3):
        case = enumerated(in_chain(seed, loads="all" if kind == "held" else kind, held=kind == "held"))
        if case is None:
            continue
        checker, least = _checked(case)
        flows, root = checker.flows, checker.first()
        checker.follow(root)
        rows = np.concatenate(list(flows._states(root)))
        states = {row.tobytes() for row in rows}
        assert len(states) == len(rows)
        assert {status[root == UNDECIDED].tobytes() for status in case.status} <= states
        flows._tabulate()
        rest = flows.rest(root)
        smaller += bool((rest != root).any())
        rows = np.concatenate(list(flows._states(rest)))
        found = flows._bounds(rest, rows, np.full(len(rows), np.inf), flows._joined)
        bound = {row.tobytes(): each for row, each in zip(rows, found.tolist(), strict=True)}
        for status, loss in zip(case.status, least, strict=True):
            assert bound[status[rest == UNDECIDED].tobytes()] <= loss * (1.0 + 1e-9), seed
            proved += bound[status[rest == UNDECIDED].tobytes()] > 0.5 * loss
            count += 1
        best = min(least)
        assert best * (1.0 - GAP) <= flows.least(root, free_of_charge, best * (1.0 - GAP)) <= best * (1.0 + 1e-9)
    assert smaller > 1
    assert proved > 0.3 * count or kind == "held"


def test_a_node_with_too_many_states_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = phase_trees(64, loads="wye")
    certified(grid, tmp_path / "proof.gz")
    head = lines_of(tmp_path / "proof.gz")[0]
    monkeypatch.setattr("openpoint.search.phases.proof_states.MOST", 1)
    with pytest.raises(CertificateError, match="more than 1 radial states that are not excluded: divide it"):
        openpoint.verify_phases(grid, written(tmp_path / "other.gz", [head, "flow"]))


@pytest.mark.parametrize("kind", ["power", "wye", "all", "held"])
def test_a_certificate_proves_the_least_loss_of_all_states(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So do both checkers, of which one has whole numbers; with states in the core, and with bounds or states alone."""
    proved = 0
    for seed in range(60, 66):
        monkeypatch.setattr("openpoint.search.phases.proof_states.FEW", 0 if seed % 2 else 100)
        monkeypatch.setattr("openpoint.search.phases.certificate.SHARE", 100.0 if seed % 4 == 1 else 0.0)
        loads = "all" if kind == "held" else kind
        grid = phase_trees(seed, loads=loads, generation=seed % 3 == 0, held=kind == "held")
        if (case := enumerated(grid)) is None:
            continue
        base = case.question.network.s_base_kva / 3.0
        path = tmp_path / f"{seed}.gz"
        answer = certified(grid, path)
        found = openpoint.verify_phases(grid, path)
        least = case.loss.min() * base
        assert found.lower_bound_kw <= least * (1.0 + 1e-8)
        assert found.lower_bound_kw >= least * (1.0 - GAP) - 1e-9
        problem = json.loads(problem_text(grid, found))
        assert REFERENCE.check(problem, lines_of(path)) <= least * (1.0 + 1e-8)
        assert REFERENCE.check(problem, lines_of(path)) == pytest.approx(found.lower_bound_kw, rel=GAP, abs=1e-9)
        assert found.open_branches == answer.open_branches
        assert found.value_kw == pytest.approx(answer.loss_kw, rel=1e-5, abs=1e-6)
        proved += 1
    assert proved > 2


def test_where_no_voltages_in_the_box_carry_the_load_multipliers_grow_no_further_than_needed(tmp_path: Path) -> None:
    grid = phase_trees(1061)
    answer = certified(grid, tmp_path / "proof.gz")
    assert openpoint.verify_phases(grid, tmp_path / "proof.gz").lower_bound_kw == pytest.approx(answer.loss_kw, rel=GAP)


@pytest.mark.parametrize("options", [{"max_changes": 2}, {"change_cost_kw": 0.5}, {"locks": True}])
def test_a_certificate_counts_changes_and_locks(options: dict[str, object], tmp_path: Path) -> None:
    grid = phase_trees(64, loads="wye")
    case = enumerated(grid)
    assert case is not None
    if options.pop("locks", False):
        options = {"locked_open": openpoint.reconfigure(grid, limits=openpoint.Limits(voltage=False)).to_close[:1]}
        options = options if options["locked_open"] else {"locked_open": ()}
    answer = certified(grid, tmp_path / "proof.gz", **options)
    found = openpoint.verify_phases(grid, tmp_path / "proof.gz")
    assert (found.max_changes, found.change_cost_kw) == (options.get("max_changes"), options.get("change_cost_kw", 0.0))
    assert found.locked_open == tuple(options.get("locked_open", ()))  # type: ignore[arg-type]
    price = found.change_cost_kw * len(answer.changes)
    assert found.lower_bound_kw <= answer.loss_kw + price + 1e-6
    assert found.lower_bound_kw >= (answer.loss_kw + price) * (1.0 - 1.1 * GAP)
    proved = REFERENCE.check(json.loads(problem_text(grid, found)), lines_of(tmp_path / "proof.gz"))
    assert proved == pytest.approx(found.lower_bound_kw, rel=1e-6)


@pytest.fixture
def case_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("openpoint.search.phases.certificate.SHARE", 0.0)
    return lambda held=False: _made(tmp_path, held=held)


def _made(tmp_path: Path, *, held: bool) -> tuple[Grid, Enumerated, list[object]]:
    """A grid whose proof has lines of every kind but `none`."""
    for seed in range(60, 75):
        grid = phase_trees(seed, loads="all", held=held)
        case = enumerated(grid)
        if case is not None and case.model.blocks.closes.any() == held and len(case.status) > 4:
            certified(grid, tmp_path / "proof.gz")
            lines = lines_of(tmp_path / "proof.gz")
            if {type(line) for line in lines[1:]} >= {int, dict, str}:
                return grid, case, lines
    raise AssertionError("no grid with all kinds of lines")


@pytest.mark.parametrize("held", [False, True])
def test_certificates_that_were_changed_prove_nothing_false(
    held: bool, case_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, case, lines = case_of(held=held)
    monkeypatch.setattr("openpoint.search.phases.proof_states.FEW", 0)
    problem = json.loads(problem_text(grid, openpoint.verify_phases(grid, tmp_path / "proof.gz")))
    least = case.loss.min() * case.question.network.s_base_kva / 3.0
    rng, refused = np.random.default_rng(5), 0
    for _ in range(24):
        some = mutant(rng, lines)
        try:
            found = openpoint.verify_phases(grid, written(tmp_path / "other.gz", some))
        except CertificateError:
            refused += 1
        else:
            assert found.lower_bound_kw <= least * (1.0 + 1e-8)
        try:
            assert REFERENCE.check(problem, some) <= least * (1.0 + 1e-8)
        except REFERENCE.Refused:
            refused += 1
    assert refused > 12


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("format", "openpoint certificate of phases 0", "its form is not"),
        ("box", [0.9, 0.8, 10.0], "the box is none"),
        ("box", [0.9, "1", 10.0], "box"),
        ("gap", -1.0, "gap"),
        ("gap", None, "gap"),
        ("open", ["nowhere"], "open"),
        ("open", [], "its best state"),
        ("max_changes", -1, "max_changes"),
        ("change_cost_kw", True, "change_cost_kw"),
        ("locked_open", ["nowhere"], "does not go with the grid"),
        ("more", 1, "the head"),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(key: str, value: object, words: str, tmp_path: Path) -> None:
    grid = phase_trees(64, loads="wye")
    certified(grid, tmp_path / "proof.gz")
    head, *rest = lines_of(tmp_path / "proof.gz")
    assert isinstance(head, dict)
    head[key] = value
    with pytest.raises(CertificateError, match=words):
        openpoint.verify_phases(grid, written(tmp_path / "other.gz", [head, *rest]))


def test_steps_of_another_kind_or_number_are_refused(case_of: Any, tmp_path: Path) -> None:
    grid, _, lines = case_of()
    at = next(k for k, line in enumerate(lines) if isinstance(line, dict) and k)
    steps = lines[at]["steps"]  # type: ignore[index]
    for wrong in (steps[:-1], [*steps, 0], [0.5, *steps[1:]], [2**60, *steps[1:]], "none", None):
        with pytest.raises(CertificateError):
            openpoint.verify_phases(
                grid, written(tmp_path / "other.gz", [*lines[:at], {"steps": wrong}, *lines[at + 1 :]])
            )
    (tmp_path / "other.gz").write_bytes((tmp_path / "proof.gz").read_bytes()[:-20])
    with pytest.raises(CertificateError, match="cut off"):
        openpoint.verify_phases(grid, tmp_path / "other.gz")


def test_an_answer_stands_where_its_certificate_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("openpoint.search.phases.certificate.write_bytes", full)
    answer = certified(phase_trees(64, loads="wye"), tmp_path / "proof.gz")
    assert "no certificate: the disk is full" in answer.notes
    assert answer.loss_kw is not None


@pytest.mark.parametrize("searched", [True, False])
def test_a_run_that_is_stopped_says_that_there_is_no_certificate(
    searched: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its proof is written, or before."""
    name = "write_proof" if searched else "grow"
    monkeypatch.setattr(f"openpoint.studies.reconfigure.phases.search.{name}", lambda *_, **__: None)
    answer = certified(phase_trees(64, loads="wye"), tmp_path / "proof.gz")
    assert any("no certificate: the run was stopped" in note for note in answer.notes)
    assert not (tmp_path / "proof.gz").exists()


def test_words_for_states_are_those_of_the_search() -> None:
    from openpoint.search.phases import flow, proof, proof_sweeps

    assert (proof.CLOSED, proof.LOOP) == (proof_sweeps.CLOSED, proof_sweeps.LOOP)
    assert (flow.OPEN, flow.CLOSED, flow.UNDECIDED, flow.LOOP) == (
        proof.OPEN,
        proof.CLOSED,
        proof.UNDECIDED,
        proof.LOOP,
    )


@compiled
def greatest(a: Complexes, has: Bools, box: Floats, room: Complexes, top: Floats) -> float:
    return float(_greatest(a, has, 0, box, room, top))


def test_no_voltages_in_a_box_have_more_than_the_sup_at_a_top() -> None:
    """Both codes, at voltages at random and at the ends of all ranges (docs/methods.md M47)."""
    close, ends = 0, np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=3)))
    for seed in range(400):
        rng = np.random.default_rng(seed)
        has = np.array([[(1, 1, 1), (1, 1, 1), (1, 1, 0), (1, 0, 1), (0, 1, 0)][rng.integers(5)]], dtype=np.bool_)
        a = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))
        a = np.where(has.T & has, a + a.conj().T + np.diag(rng.normal(size=3) * rng.integers(10)), 0.0)
        low, turn = rng.uniform(0.4, 1.0, (1, 3)), float(rng.choice([0.01, 3.0, 12.0, 80.0, 90.0]))
        box = box_rows(low, low + rng.uniform(0.0, 0.5, (1, 3)), np.array([turn]))
        found = greatest(a, has, box[0], np.zeros((4, 3, 3), dtype=np.complex128), np.zeros(3))
        checker = object.__new__(Checker)
        object.__setattr__(checker, "blocks", SimpleNamespace(has=has, box=box))
        checked = checker._greatest(a[None], np.array([0]))[0]
        assert found == pytest.approx(checked, rel=1e-6, abs=1e-6)
        part = np.concatenate([rng.random((1000, 3)), rng.integers(0, 2, (1000, 3)).astype(float)])
        way = np.concatenate([rng.uniform(-1.0, 1.0, (1000, 3)), ends[rng.integers(0, len(ends), 1000)]]) / 2.0
        v = (low + part * (box[:, 3:6] - low)) * np.exp(1j * np.radians(turn * way - 120.0 * np.arange(3))) * has
        most = np.einsum("pj,jk,pk->p", v.conj(), a, v).real.max()
        assert most <= min(found, checked) + 1e-9
        close += found - most < 0.05 * np.abs(a).sum()
    assert close > 150
