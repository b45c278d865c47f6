"""What public functions take: a grid by any of its names, one name or several, and nothing else without a word."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Disasters, Futures, Grid, Horizon, InputError, Limits, OptionError
from tests.cli.desk import tables

EXCHANGE = openpoint.BranchExchange()
DISASTERS = pl.DataFrame({"disaster": ["wind"], "probability": [1.0], "branch": ["A-B"]})
FUTURES = pl.DataFrame({"future": ["one"], "bus": ["A"], "p_kw": [1.0], "q_kvar": [0.0], "probability": [1.0]})


@pytest.fixture(scope="module")
def ring() -> Grid:
    return Grid.from_tables("ring", tables())


@pytest.fixture(scope="module")
def folder(ring: Grid, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grids") / "ring"
    openpoint.write(ring, path)
    return path


def kept(result: Disasters, path: Path) -> pl.DataFrame:
    openpoint.write_disasters(result, path.parent / "ring", path)
    return pl.read_csv(path)


ASKED: dict[str, Callable[[Any], object]] = {
    "reconfigure": lambda grid: openpoint.reconfigure(grid, method=EXCHANGE).open_branches,
    "dispatch": lambda grid: openpoint.dispatch(grid).open_branches,
    "harden": lambda grid: openpoint.harden(grid, disasters=DISASTERS, budget_usd=0.0).cost_usd,
    "run_powerflow": lambda grid: openpoint.run_powerflow(grid).loss_kw,
    "storms": lambda grid: openpoint.storms(grid, count=3, seed=1, mean_broken=1.0).broken.tolist(),
    "grow": lambda grid: openpoint.grow(grid, count=2, seed=1).p_kw.tolist(),
    "read_futures": lambda grid: openpoint.read_futures(FUTURES, grid).p_kw.tolist(),
    "Futures.today": lambda grid: Futures.today(grid).p_kw.tolist(),
    "read_disasters": lambda grid: openpoint.read_disasters(DISASTERS, grid).broken.tolist(),
    "Disasters.from_branches": lambda grid: Disasters.from_branches(grid, {"wind": (1.0, ["A-B"])}).broken.tolist(),
    "Disasters.table": lambda grid: openpoint.read_disasters(DISASTERS, grid).table(grid).rows(),
    "read": lambda grid: openpoint.read(grid).name,
}


@pytest.mark.parametrize("name", ASKED)
def test_a_grid_is_given_as_itself_or_by_its_path(name: str, ring: Grid, folder: Path) -> None:
    ask = ASKED[name]
    assert ask(ring) == ask(folder) == ask(str(folder))


PARTITIONS: dict[str, Callable[[Any], object]] = {
    "partition": openpoint.partition,
    "partition_steps": lambda grid: openpoint.partition_steps(grid, Horizon.from_tables({"step": ["noon"]})),
    "Horizon.equipped": Horizon.from_tables({"step": ["noon"]}).equipped,
}
OTHERS = PARTITIONS | {"write": lambda grid: openpoint.write(grid, "nowhere")}


@pytest.mark.parametrize("name", ASKED | OTHERS)
@pytest.mark.parametrize("given", [None, 33, {"buses": []}, ["baran33"]], ids=lambda given: type(given).__name__)
def test_what_is_no_grid_is_refused(name: str, given: object) -> None:
    with pytest.raises(OptionError, match=r"the grid is .*; give a Grid, the path of a file or folder, "):
        (ASKED | OTHERS)[name](given)


@pytest.mark.parametrize("name", PARTITIONS)
def test_a_grid_to_cut_up_is_read_by_its_name(name: str) -> None:
    if name == "Horizon.equipped":
        assert PARTITIONS[name]("baran33") is not None
        return
    # Without a generator that may form a grid there is nothing to solve: the fault shows that the grid was read.
    with pytest.raises(InputError, match="no generator is dispatchable"):
        PARTITIONS[name]("baran33")


def test_a_name_that_is_no_grid_names_the_built_in_cases() -> None:
    with pytest.raises(InputError, match="Did you mean baran33"):
        openpoint.reconfigure("baran3")


def test_a_grid_is_written_by_its_name(tmp_path: Path) -> None:
    openpoint.write("civanlar16", tmp_path / "copy")
    assert openpoint.read(tmp_path / "copy").equals(openpoint.read("civanlar16"))


@pytest.mark.parametrize("lock", ["locked_open", "locked_closed"])
def test_a_bare_text_is_one_name(lock: str) -> None:
    # The letters of "33" are branch 3 twice, which is another answer.
    one, listed = (openpoint.reconfigure("baran33", method=EXCHANGE, **{lock: given}) for given in ("33", ["33"]))
    assert one.open_branches == listed.open_branches
    assert ("33" in one.open_branches) == (lock == "locked_open")


@pytest.mark.parametrize(
    "given", [33, None, [33], ["33", None], b"33"], ids=["number", "none", "numbers", "gap", "bytes"]
)
@pytest.mark.parametrize("lock", ["locked_open", "locked_closed"])
def test_what_is_no_name_is_refused(lock: str, given: object) -> None:
    with pytest.raises(OptionError, match=f"{lock} has .*, which is no name; give names as texts"):
        openpoint.reconfigure("baran33", **{lock: given})  # type: ignore[call-overload]


def test_names_come_in_any_kind_of_series(ring: Grid) -> None:
    for names in (("B-C",), {"B-C": 1}, pl.Series(["B-C"]), np.array(["B-C"]), iter(["B-C"])):
        assert openpoint.reconfigure(ring, method=EXCHANGE, locked_open=names).open_branches == ("B-C",)


def test_one_kind_of_branch_breaks(ring: Grid) -> None:
    one = openpoint.storms(ring, count=3, seed=1, mean_broken=1.0, kinds="lines")
    assert one.equals(openpoint.storms(ring, count=3, seed=1, mean_broken=1.0, kinds=["lines"]))


def test_disasters_and_futures_have_whole_names(ring: Grid) -> None:
    assert Disasters("storm", np.ones(1), np.ones((1, 4), dtype=bool)).names == ("storm",)
    assert Futures("noon", None, "bus", np.ones((1, 1)), np.ones((1, 1))).bus_names == ("bus",)
    assert Disasters.from_branches(ring, {"wind": (1.0, "A-B")}).broken.tolist() == [[False, True, False, False]]
    with pytest.raises(OptionError, match="give its probability and branches"):
        Disasters.from_branches(ring, {"wind": 1.0})  # type: ignore[dict-item]


def test_an_uncertain_load_is_named_or_counted() -> None:
    for given in (None, True, 0.5, [1]):
        with pytest.raises(OptionError, match=r"uncertain_loads has .*, which is no name"):
            openpoint.partition("ieee13-microgrids", uncertainty=0.1, uncertain_loads=given)  # type: ignore[arg-type]


def test_branches_are_closed_by_a_mapping(ring: Grid) -> None:
    assert ring.with_closed({"C-S": np.True_}).branches()["closed"].all()
    for given in ("C-S", ["C-S"], {"C-S": "open"}, {"C-S": None}):
        with pytest.raises(OptionError, match="give a mapping of names to True or False"):
            ring.with_closed(given)  # type: ignore[arg-type]


def test_tables_of_futures_and_disasters_are_read_where_they_are_used(ring: Grid, tmp_path: Path) -> None:
    file = tmp_path / "futures.csv"
    FUTURES.write_csv(file)
    read = openpoint.reconfigure_futures(ring, openpoint.read_futures(file, ring), method=openpoint.Enumeration())
    for given in (file, str(file), FUTURES):
        result = openpoint.reconfigure_futures(ring, given, sample=given, method=openpoint.Enumeration())
        assert (result.objective_kw, result.sample.height) == (read.objective_kw, 1)


CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "method": (lambda: openpoint.reconfigure("baran33", method="magic"), "method is 'magic'; give"),  # type: ignore
    "limits": (lambda: openpoint.reconfigure("baran33", limits={"v_min_pu": 1}), "limits is of type dict; give"),  # type: ignore
    "max_changes": (lambda: openpoint.reconfigure("baran33", max_changes="2"), "max_changes is '2'; give"),  # type: ignore
    "risk": (lambda: openpoint.reconfigure_futures("civanlar16", [], risk="cvar"), "cvar:0.9"),  # type: ignore
    "futures": (lambda: openpoint.reconfigure_futures("civanlar16", []), "futures is of type list; give"),  # type: ignore
    "disasters": (lambda: openpoint.harden("zhang13", disasters=[]), "disasters is of type list; give"),  # type: ignore
    "costs": (lambda: openpoint.harden("zhang13", any_lines=1, costs=400.0), "costs is 400.0; give HardenCosts"),  # type: ignore
    "growth": (lambda: openpoint.grow("civanlar16", count=1, seed=1, growth="solar"), "growth is 'solar'; give"),  # type: ignore
    "horizon": (lambda: openpoint.partition_steps("baran33", 3), "the horizon is 3; give a Horizon"),  # type: ignore
    "result": (lambda: openpoint.sample_partition("ieee13"), "the result is 'ieee13'; give what"),  # type: ignore
    "priorities": (lambda: openpoint.PartitionCosts(priorities="a"), "priorities is 'a'; give factors"),  # type: ignore
    "path": (lambda: openpoint.write("baran33", 3), "path is 3; give the path"),  # type: ignore
    "tables": (lambda: Grid.from_tables("a", "buses"), "tables is 'buses'; give a mapping"),  # type: ignore
}


@pytest.mark.parametrize("what", CALLS)
def test_an_argument_of_another_kind_is_refused(what: str) -> None:
    call, told = CALLS[what]
    with pytest.raises(OptionError) as raised:
        call()
    assert told in str(raised.value)


def test_limits_are_those_of_the_grid_where_none_are_given() -> None:
    assert Limits.given(None) == Limits()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"v_min_pu": "0.9"}, "v_min_pu is '0.9'; give a number in pu"),
        ({"v_max_pu": [1.05]}, "v_max_pu is of type list; give a number in pu"),
        ({"v_min_pu": 95}, "v_min_pu is 95; a voltage limit lies between 0 and 2 pu"),
        ({"v_min_pu": 1.1, "v_max_pu": 1.0}, "v_min_pu 1.1 lies above v_max_pu 1"),
    ],
)
def test_limits_are_numbers_in_pu(given: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=re.escape(told)):
        openpoint.Limits(**given)


def test_options_beside_a_whole_method_stand_in_the_place_of_its_own(tmp_path: Path) -> None:
    proof, method = tmp_path / "proof.gz", openpoint.TopologySearch(gap=0.5)
    found = openpoint.reconfigure("civanlar16", method=method, gap=1e-5, certificate=proof, time_limit_s=60.0)
    assert found.gap <= 1e-5
    assert openpoint.verify_certificate("civanlar16", proof).bound_kw <= (found.loss_kw or 0.0)
    with pytest.raises(OptionError, match="certificate is no option of Benders"):
        openpoint.reconfigure("civanlar16", method=openpoint.Benders(), certificate=proof)
