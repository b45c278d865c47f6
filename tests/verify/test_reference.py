"""The reference checker: it agrees with the fast one, believes nothing of the file, and imports nothing of ours."""

import ast
import gzip
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import solve
from openpoint.search.enumeration import topologies
from openpoint.search.topology import search_topologies
from openpoint.verify import Question, reference
from openpoint.verify.question import problem_text
from openpoint.verify.reference import ONE
from tests.builders.agreement import both, by_rounding
from tests.builders.certificates import by_reference
from tests.builders.certified import KINDS, Case, certified
from tests.builders.mutations import mutated, pieces_of, text_of
from tests.search.random_grids import random_grid

FILE = Path(reference.__file__)
EACH = {"plain": 20, "regions": 20, "parts": 20, "devices": 20, "futures": 15, "year": 3}
"""Mutations of each certificate."""


def cases(kind: str, count: int, folder: Path) -> list[Case]:
    found = (certified(kind, seed, folder) for seed in range(200, 230))
    return [case for case, _ in zip((case for case in found if case is not None), range(count), strict=False)]


@pytest.mark.parametrize("kind", KINDS)
def test_both_checkers_say_the_same_of_certificates_and_of_mutated_ones(kind: str, tmp_path: Path) -> None:
    said: Counter[bool] = Counter()
    for seed, (question, text) in enumerate(cases(kind, 3, tmp_path)):
        problem, pieces = problem_text(question), pieces_of(text)
        found = both(question, text, tmp_path / "file", problem)
        assert found.fast is None
        assert found.reference is None
        for k in range(EACH[kind]):
            changed, what = mutated(np.random.default_rng([seed, k]), pieces)
            found = both(question, text_of(changed), tmp_path / "file", problem)
            said[found.fast is None] += 1
            assert found.agree or (found.reference is None and by_rounding(question, changed, tmp_path / "file")), (
                f"{what}: {found}"
            )
    assert said[False] > said[True]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bound_above_the_best_value_is_refused_whatever_lines_say(kind: str, tmp_path: Path) -> None:
    """Of the best state, and of the value as if it were that of a worse state."""
    for question, text in cases(kind, 2, tmp_path):
        pieces = pieces_of(text)
        head, problem = pieces[0], problem_text(question)
        for factor in (1e-6, 1e-3, 0.5):
            more = head["value"] + factor * max(abs(head["value"]), 1e-3)
            for claim in ({"bound": more}, {"bound": more, "value": more}):
                changed = [head | claim, *pieces[1:]]
                assert by_reference(problem, text_of(changed)) is not None


@pytest.mark.parametrize("seed", range(3))
def test_power_flows_are_those_in_floating_point(seed: int) -> None:
    """Where one is found; without one in floating point none is."""
    rng = np.random.default_rng([seed, 61])
    network = random_grid(rng, [(), ("currents",), ("charging", "ratios"), ("sources", "generation")][seed % 4])
    if seed % 3 == 0:
        network = _loaded(network, float(rng.choice([3.0, 10.0, 100.0])))
    problem = reference.Problem(problem_text(Question.of(network)))
    g, states = problem.grid, [state for some in topologies(network) for state in some][:6]
    found = solve(network, np.array(states)) if states else None
    for k, closed in enumerate(states):
        assert found is not None
        power = list(zip(g.p, g.q, strict=True))
        held, w_load = dict(zip(problem.at, problem.held, strict=True)), list(zip(g.p_w, g.q_w, strict=True))
        order = reference.directed(g, closed.astype(int).tolist())
        if len(order) < g.n or sum(above < 0 for _, above, _ in order) > len(g.sources):
            continue
        flow = reference.power_flow(g, order, power, held, g.tap, w_load)
        if flow is None:
            continue
        assert found.converged[k]
        assert abs(flow.loss / ONE - found.loss[k]) <= 1e-9


@pytest.mark.parametrize("kind", ["plain", "futures"])
def test_a_state_is_judged_to_break_limits_only_where_that_is_sure(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one demand and of many: ends of a power flow that are too far apart to tell prove nothing."""
    question, text = cases(kind, 1, tmp_path)[0]
    check = reference.Check(reference.Problem(problem_text(question)), reference.lines_of(text))
    opened = set(check.head["open"])
    status = [reference.OPEN if e.name in opened else reference.CLOSED for e in check.problem.branches]
    for sure, expected in (
        ((True, False), (True, False)),
        ((False, False), (False, False)),
        ((False, True), (False, True)),
    ):
        monkeypatch.setattr(reference.Check, "_keeps", lambda self, flow, sure=sure: sure)
        assert check._worth(status, [], [])[1:3] == expected


def _loaded(network: Network, factor: float) -> Network:
    return replace(network, s_power=factor * network.s_power)


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The problem file and a certificate of a built-in grid."""
    folder, network = tmp_path_factory.mktemp("proof"), build_network(files.load("baran33"))
    search_topologies(network, gap=1e-3, certificate=folder / "file")
    (folder / "problem").write_text(problem_text(Question.of(network)))
    return folder / "problem", folder / "file"


def run(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """The checker by itself, from another folder, where nothing can be imported but the standard library."""
    command = [sys.executable, "-I", "-S", str(FILE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)


def test_it_runs_by_itself_and_its_exit_code_tells(proof: tuple[Path, Path], tmp_path: Path) -> None:
    problem, file = proof
    found = run(problem, file)
    assert found.returncode == 0
    assert "no radial state is worth less than 139.4" in found.stdout
    damaged = tmp_path / "damaged"
    text = gzip.decompress(file.read_bytes())
    damaged.write_bytes(gzip.compress(text.replace(b'"bound": 0.0139', b'"bound": 0.0149')))
    found = run(problem, damaged)
    assert found.returncode == 5
    assert found.stderr.startswith("refused")
    for arguments in ((), (problem,), (problem, problem), (file, file), (problem, tmp_path / "none")):
        found = run(*arguments)
        assert found.returncode == 2, arguments
        assert found.stderr.startswith("not readable")


def test_another_problem_is_not_proven(proof: tuple[Path, Path]) -> None:
    """A limit, a lock, a price and a demand of the problem count, and nothing that the file says."""
    text = gzip.decompress(proof[1].read_bytes())

    def changed(**parts: Any) -> str:
        return json.dumps(json.loads(proof[0].read_text()) | parts)

    def rows(table: str, column: str, row: int, value: Any) -> dict[str, Any]:
        given = json.loads(proof[0].read_text())[table]
        given["rows"][row][given["columns"].index(column)] = value
        return {table: given}

    assert by_reference(changed(), text) is None
    assert "locks" in str(by_reference(changed(**rows("branches", "lock", 6, "closed")), text))
    assert "another value" in str(by_reference(changed(change_cost=1e-3), text))
    assert "too many changes" in str(by_reference(changed(max_changes=2), text))
    assert "another value" in str(by_reference(changed(**rows("branches", "tap", 3, 1.1)), text))


def test_it_imports_the_standard_library_alone() -> None:
    tree = ast.parse(FILE.read_text())
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert found <= sys.stdlib_module_names | {"__future__"}
    assert not {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)
    }
