"""Certificates of sets: accepted as written, refused with smaller radii, and nothing false is accepted of a mutant."""

import copy
import importlib.util
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint import Grid, InputError, OptionError
from openpoint.enclosure.claims import Claim, ProvedSet, write_claim
from openpoint.enclosure.islands import islands_of
from openpoint.enclosure.policy import Policy
from openpoint.enclosure.problem import problem_text
from openpoint.enclosure.verdict import Certifier
from openpoint.network.limits import Limits
from openpoint.verify import CertificateError
from tests.builders.grids import LIMITED_FEED, grids
from tests.enclosure.test_enclosure import realised, with_other_ohms

SMALL = "civanlar16"


def everywhere(grid: Grid) -> Grid:
    """The grid with loads whose models hold at all voltages."""
    bands = [pl.lit(None, pl.Float64).alias(column) for column in ("v_min_pu", "v_max_pu")]
    return grid.with_tables(loads=grid.loads.with_columns(bands))


def certified(grid: Grid, path: Path, **asked: Any) -> dict[str, Any]:
    openpoint.enclose(grid, **asked).to_certificate(path)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def proved(grid: Grid, given: object, path: Path) -> ProvedSet:
    path.write_text(json.dumps(given), encoding="utf-8")
    return openpoint.verify_set(grid, path)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("baran33", {"for_every": "load=50%"}),
        ("mantovani136", {"for_every": "load=25%", "budget": 10.0}),
        ("ieee37", {"for_every": "load=10%"}),
    ],
)
def test_a_certificate_is_accepted_and_one_with_radii_one_percent_smaller_is_not(
    name: str, asked: dict[str, Any], tmp_path: Path
) -> None:
    grid, path = everywhere(openpoint.read(name)), tmp_path / "set.json"
    result = openpoint.enclose(grid, **asked)
    given = certified(grid, path, **asked)
    found = openpoint.verify_set(grid, path)
    rows = found.rows.some(np.flatnonzero(found.rows.what_is("voltage")))
    low = dict(zip([each[1:3] for each in rows.what], rows.low, strict=True))
    for bus, phase, bound, least in result.buses.select("name", "phase", "v_low_pu", "v_least_pu").iter_rows():
        if (bus, phase) in low:  # sources have no bounds
            assert 0.995 * bound < low[bus, phase] <= least + 1e-9
    given["radii"] = [0.99 * radius for radius in given["radii"]]
    with pytest.raises(CertificateError, match="the radii do not prove"):
        proved(grid, given, path)


@given(grids(LIMITED_FEED), st.integers(0, 10_000), st.sampled_from([0.05, 0.3]))
@settings(max_examples=15, deadline=None)
def test_no_flow_of_a_random_grid_lies_outside_what_a_certificate_proves(grid: Grid, seed: int, share: float) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "set.json"
        try:
            write_claim(path, grid, Claim(Limits(), {"load": share, "generation": share}))
        except (InputError, OptionError):  # dark buses today, no flow, or a set that is too large
            return
        refuse_outside(grid, openpoint.verify_set(grid, path), seed)


def refuse_outside(grid: Grid, found: ProvedSet, seed: int) -> None:
    """Compare exact flows at realisations with the bounds."""
    rng, shares = np.random.default_rng(seed), found.claim.shares
    volts = found.rows.some(np.flatnonzero(found.rows.what_is("voltage")))
    keys = [each[1:3] for each in volts.what]
    spread = np.repeat(
        [shares.get("load", 0.0), shares.get("generation", 0.0)], [grid.loads.height, grid.generators.height]
    )
    for _ in range(3):
        factor = 1.0 + spread * rng.choice([-1.0, 1.0], len(spread)) * (found.claim.budget is None)
        flow = openpoint.run_powerflow(realised(grid, factor[: grid.loads.height], factor[grid.loads.height :]))
        v = {(name, phase): each for name, phase, each in flow.buses.select("name", "phase", "v_pu").iter_rows()}
        seen = np.array([v[key] for key in keys])
        assert ((volts.low - 1e-9 <= seen) & (seen <= volts.high + 1e-9)).all()


def leaves(given: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to all that a document holds."""
    yield way
    items = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list) else ()
    for key, value in items:
        yield from leaves(value, (*way, key))


NEW: tuple[Any, ...] = (None, "", [], {}, True, -1.0, 0.0, 1e-9, 0.3, 1.0, 5, 1e300, [[1.0]])
FACTORS = (-1.0, 0.0, 0.5, 0.99, 1.0 - 1e-7, 1.0 + 1e-6, 1.1, 3.0, 1e200)


def mutated(given: Any, ways: list[tuple[Any, ...]], rng: np.random.Generator) -> Any:
    """The document with something changed, deleted, repeated or swapped."""
    found = copy.deepcopy(given)
    for _ in range(rng.integers(1, 3)):
        way = ways[rng.integers(len(ways))]
        if not way:
            continue
        place = found
        try:
            for key in way[:-1]:
                place = place[key]
            old, kind = place[way[-1]], rng.integers(5)
            if kind == 0:
                del place[way[-1]]
            elif kind == 1:
                place[way[-1]] = NEW[rng.integers(len(NEW))]
            elif kind == 2 and isinstance(place, list):
                other = rng.integers(len(place))
                place[way[-1]], place[other] = place[other], old
            elif isinstance(old, bool):
                place[way[-1]] = not old
            elif isinstance(old, int | float):
                place[way[-1]] = old * FACTORS[rng.integers(len(FACTORS))]
            elif isinstance(old, list) and old:
                place[way[-1]] = old[: rng.integers(len(old))] if kind == 3 else [*old, old[0]]
        except (KeyError, IndexError, TypeError):  # gone by the change before
            continue
    return found


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Grid, dict[str, Any], Path]:
    grid, path = openpoint.read(SMALL), tmp_path_factory.mktemp("set") / "set.json"
    return grid, certified(grid, path, for_every="load=30%"), path


@given(st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_no_mutant_of_a_set_proves_what_is_false(original: tuple[Grid, dict[str, Any], Path], seed: int) -> None:
    grid, given, path = original
    document = mutated(given, list(leaves(given)), np.random.default_rng(seed))
    try:
        found = proved(grid, document, path)
    except CertificateError:
        return
    refuse_outside(grid, found, seed)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Grid, dict[str, Any], Path]:
    result = openpoint.partition("ieee13-microgrids", uncertainty=0.2, uncertain_loads=3, certify=True)
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    result.to_certificate(path)
    return result.grid, json.loads(path.read_text(encoding="utf-8")), path


def test_the_certificate_of_a_plan_proves_its_limits(plan: tuple[Grid, dict[str, Any], Path]) -> None:
    grid, given, path = plan
    found = proved(grid, given, path)
    assert found.holds
    assert "all limits hold" in str(found)
    given = {**given, "radii": [0.99 * radius for radius in given["radii"]]}
    with pytest.raises(CertificateError, match="the radii do not prove"):
        proved(grid, given, path)


@given(st.integers(0, 2**31))
def test_no_mutant_of_a_plan_proves_what_is_false(plan: tuple[Grid, dict[str, Any], Path], seed: int) -> None:
    """What is accepted of a mutant is proved by the other enclosure, too, which knows nothing of its radii."""
    grid, given, path = plan
    document = mutated(given, list(leaves(given)), np.random.default_rng(seed))
    try:
        claim = proved(grid, document, path).claim
    except CertificateError:
        return
    assert claim.plan is not None
    certifier = Certifier(islands_of(grid, claim.plan, claim.limits))
    again = certifier.judged(Policy(claim.outputs, claim.gain, from_plan=False))
    assert again.holds


@pytest.fixture(scope="module")
def reference() -> Any:
    """The checker of docs/check_set.py, which imports nothing of ours."""
    path = Path(__file__).parents[2] / "docs" / "check_set.py"
    spec = importlib.util.spec_from_file_location("check_set", path)
    assert "openpoint" not in "".join(
        line for line in path.read_text(encoding="utf-8").splitlines() if "import" in line
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("asked", [{"for_every": "load=50%"}, {"for_every": "load=20%", "budget": 4.5}])
def test_exact_arithmetic_accepts_the_certificate_of_a_set(
    reference: Any, asked: dict[str, Any], tmp_path: Path
) -> None:
    grid, path = openpoint.read("baran33"), tmp_path / "set.json"
    grid = grid.with_tables(buses=grid.buses.with_columns(v_min_pu=pl.lit(0.86)))
    given = certified(grid, path, **asked)
    problem = json.loads(problem_text(grid, openpoint.verify_set(grid, path).claim))
    reference.check(problem, given)
    with pytest.raises(reference.Refused, match="the radii do not prove"):
        reference.check(problem, {**given, "radii": [0.99 * radius for radius in given["radii"]]})
    lowest = max(openpoint.enclose(grid, **asked).buses["v_low_pu"].min(), 0.87)
    for each in problem["parts"][0]["quantities"]:
        each["low"] = lowest + 1e-3
    with pytest.raises(reference.Refused, match="its limits are not proved"):
        reference.check(problem, given)


@pytest.mark.parametrize("name", ["baran33", "ieee13"])
def test_certificates_of_branches_that_deviate(reference: Any, name: str, tmp_path: Path) -> None:
    """Accepted here and in exact arithmetic; not with radii or currents 1 % smaller. No flow lies outside."""
    grid, path = everywhere(openpoint.read(name)), tmp_path / "set.json"
    grid = grid.with_tables(buses=grid.buses.with_columns(v_min_pu=pl.lit(0.8), v_max_pu=pl.lit(1.2)))
    ohms = (0.04, 0.02)
    given = certified(grid, path, for_every={"load": 0.05, "resistance": ohms[0], "reactance": ohms[1]})
    assert max(given["currents"]) > 0.0
    found = openpoint.verify_set(grid, path)
    volts = found.rows.some(np.flatnonzero(found.rows.what_is("voltage")))
    rng = np.random.default_rng(0)
    for k in range(4):
        factor = 1.0 + 0.05 * rng.choice([-1.0, 1.0], grid.loads.height)
        here = with_other_ohms(realised(grid, factor, np.ones(grid.generators.height)), rng, ohms, ends=bool(k % 2))
        flow = openpoint.run_powerflow(here).buses.select("name", "phase", "v_pu")
        v = {(bus, phase): each for bus, phase, each in flow.iter_rows()}
        seen = np.array([v[each[1:3]] for each in volts.what])
        assert ((volts.low - 1e-6 <= seen) & (seen <= volts.high + 1e-6)).all()
    problem = json.loads(problem_text(grid, found.claim))
    for each in problem["parts"][0]["quantities"]:
        each["high"] = None if each["name"].startswith("current") else each["high"]
    reference.check(problem, given)
    for key in ("radii", "currents"):
        less = {**given, key: [0.99 * value for value in given[key]]}
        with pytest.raises(CertificateError, match="the radii do not prove"):
            proved(grid, less, path)
        with pytest.raises(reference.Refused, match=r"the radii do not prove|a current may be larger"):
            reference.check(problem, less)


def test_exact_arithmetic_takes_loads_of_all_models_and_between_phases(reference: Any, tmp_path: Path) -> None:
    grid, path = everywhere(openpoint.read("ieee13")), tmp_path / "set.json"
    grid = grid.with_tables(buses=grid.buses.with_columns(v_min_pu=pl.lit(0.8), v_max_pu=pl.lit(1.2)))
    given = certified(grid, path, for_every="load=5%")
    problem = json.loads(problem_text(grid, openpoint.verify_set(grid, path).claim))
    assert {port["degree"] for part in problem["parts"] for port in part["ports"]} == {0, 1, 2}
    overloaded = [each for each in problem["parts"][0]["quantities"] if each["name"].startswith("current xfm1")]
    for each in overloaded:
        each["high"] *= 2.0
    assert overloaded
    reference.check(problem, given)
    with pytest.raises(reference.Refused, match="the radii do not prove"):
        reference.check(problem, {**given, "radii": [0.99 * radius for radius in given["radii"]]})


@given(st.integers(0, 2**31))
@settings(max_examples=8, deadline=None)
def test_exact_arithmetic_accepts_no_false_mutant_of_a_plan(
    reference: Any, plan: tuple[Grid, dict[str, Any], Path], seed: int
) -> None:
    grid, given, path = plan
    claim = proved(grid, given, path).claim
    assert claim.plan is not None
    problem = json.loads(problem_text(grid, claim))
    numbers = {name: given[name] for name in ("u", "radii", "outputs", "gain")}
    document = {**given, **mutated(numbers, list(leaves(numbers)), np.random.default_rng(seed))}
    try:
        reference.check(problem, document)
    except (reference.Refused, KeyError, IndexError, TypeError, ValueError):
        return
    certifier = Certifier(islands_of(grid, claim.plan, claim.limits))
    again = certifier.judged(Policy(np.array(document["outputs"]), np.array(document["gain"]), from_plan=False))
    assert again.holds


def test_each_corner_of_a_certified_plan_keeps_its_limits(plan: tuple[Grid, dict[str, Any], Path]) -> None:
    grid, given, path = plan
    claim = proved(grid, given, path).claim
    certifier = Certifier(islands_of(grid, claim.plan, claim.limits))
    for corner in product((-1.0, 1.0), repeat=len(claim.plan.shares)):
        at = claim.outputs + claim.gain @ np.array(corner)
        loads = certifier.operated.loads @ np.array(corner)
        nothing = np.zeros((len(loads), 0), dtype=np.complex128)
        rows = certifier.plan.enclosed(at, loads, nothing, certifier.operated.among)
        assert (np.minimum(rows.low - rows.least, rows.most - rows.high) >= 0.0).all()
