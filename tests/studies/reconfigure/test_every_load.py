"""States that keep their limits for every load of a set, against exact flows of all states at vertices of the set."""

import itertools

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Limits
from openpoint.errors import OptionError
from openpoint.grid.today import with_outputs_as_given
from openpoint.network import build_network
from openpoint.network.stations import open_held_meshes
from openpoint.powerflow.balanced import losses, solve
from openpoint.powerflow.state import excesses
from openpoint.report.page.model import Section
from openpoint.studies.reconfigure.every_load import ForEveryLoad, LoadSet, Verdict
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.report import page
from openpoint.studies.reconfigure.setup import radial_program
from tests.builders.grids import DISPATCH, LIMITED, LIMITED_FEED, PLAIN, RICH, all_topologies, random_grid

SHARE = 0.2


@pytest.mark.parametrize("seed", range(3))
def test_verdicts_agree_with_exact_flows_at_vertices(seed: int) -> None:
    """What is proved holds at all that are tried; what is disproved does not hold at one of all."""
    grid = random_grid(seed, LIMITED_FEED)
    loads = np.flatnonzero((grid.loads["p_kw"].to_numpy() != 0.0) | (grid.loads["q_kvar"].to_numpy() != 0.0))[:6]
    first = pl.Series(np.isin(np.arange(grid.loads.height), loads))
    sure = grid.loads.with_columns(
        pl.when(first).then(pl.col(name)).otherwise(0.0).alias(name) for name in ("p_kw", "q_kvar")
    )
    grid = grid.with_tables(loads=sure)
    network = Limits().applied(build_network(grid))
    states = all_topologies(network)
    stations = open_held_meshes(network)
    judge = ForEveryLoad(grid, radial_program(grid, ReconfigureOptions())[0], stations, LoadSet({"load": SHARE}))
    worst = np.zeros(len(states))
    for signs in itertools.product((-1.0, 1.0), repeat=len(loads)):
        scale = np.ones(grid.loads.height)
        scale[loads] += SHARE * np.array(signs)
        here = grid.with_tables(loads=sure.with_columns(pl.col("p_kw", "q_kvar") * pl.Series(scale)))
        net = Limits().applied(build_network(here))
        flows = solve(net, states)
        worst = np.maximum(worst, np.where(flows.converged, excesses(net, flows), np.inf))
    found = [judge.verdict(state).word for state in states]
    for verdict, excess in zip(found, worst.tolist(), strict=True):
        assert verdict != "proved" or excess == 0.0
        assert verdict != "disproved" or excess > 0.0


FLAVOURS = (LIMITED_FEED, LIMITED, RICH, DISPATCH, PLAIN)


@pytest.mark.parametrize("seed", range(8))
def test_the_answer_is_that_of_trying_all_states(seed: int) -> None:
    """Each radial state is judged by itself: the best that is proved, and a bound that counts what is open."""
    grid = random_grid(seed, FLAVOURS[seed % len(FLAVOURS)])
    greatest, budget = seed % 3 == 2, (None, 2, 1.5)[seed % 4 % 3]
    shares = {"load": (0.05, 0.2, 0.6)[seed % 7 % 3], "generation": 0.1 * (seed % 2)}
    fixed, _ = with_outputs_as_given(grid)
    program, stations = radial_program(fixed, ReconfigureOptions())
    judge = ForEveryLoad(fixed, program, stations, LoadSet(shares, budget, greatest))
    words = dict.fromkeys(("proved", "disproved", "open"), np.inf)
    for closed in all_topologies(program.network):
        found = judge.verdict(closed)
        loss = float(losses(program.network, closed)[0][0])
        words[found.word] = min(words[found.word], found.most if greatest and found.word == "proved" else loss)
    kw = program.network.s_base_kva
    best, still_open = words["proved"] * kw, words["open"] * kw
    answer = openpoint.reconfigure(grid, for_every=shares, budget=budget, greatest_loss=greatest, gap=1e-6)
    near = 2e-6 * abs(best) + 1e-6 if np.isfinite(best) else 0.0
    if np.isfinite(best):
        assert answer.objective_kw == pytest.approx(best, abs=near)
        assert answer.lower_bound_kw <= best + near
        if not greatest:
            assert answer.lower_bound_kw <= still_open + near
            assert answer.lower_bound_kw >= min(best, still_open) - near
            assert (answer.termination == "optimal") == (still_open >= best - near)
    else:
        assert not answer.has_answer
        assert answer.termination == ("limits" if np.isfinite(still_open) else "infeasible")
    if answer.witness_loads is not None:
        assert answer.witness_limits


def test_a_state_that_is_open_keeps_the_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the enclosure of the best state fails, the second best is the answer, and the bound is the first one's."""
    best = openpoint.reconfigure("baran33", for_every="load=5%")
    plain = ForEveryLoad.verdict

    def blind(self: ForEveryLoad, closed: np.ndarray) -> Verdict:
        names = {self.network.branch_names[self.network.conductor_branch[e]] for e in np.flatnonzero(~closed)}
        return Verdict("open") if names == set(best.open_branches) else plain(self, closed)

    monkeypatch.setattr(ForEveryLoad, "verdict", blind)
    found = openpoint.reconfigure("baran33", for_every="load=5%")
    assert found.loss_kw > best.loss_kw
    assert found.lower_bound_kw == pytest.approx(best.loss_kw, rel=1e-6)
    assert found.termination == "relaxation"
    assert "1 open" in found.notes[-1]


def test_the_answer_is_the_best_that_is_proved() -> None:
    """On 33 buses one state that loses less breaks a limit at a load of the set, which the result names."""
    limits = Limits(v_min_pu=0.935)
    today = openpoint.reconfigure("baran33", limits=limits)
    found = openpoint.reconfigure("baran33", limits=limits, for_every="load=5%")
    assert today.open_branches != found.open_branches == ("7", "9", "14", "28", "32")
    assert found.termination == "optimal"
    assert "1 disproved, 0 open" in found.notes[-1]
    assert found.witness_open == today.open_branches
    scale = (found.witness_loads["p_kw"] / found.witness_loads["p_today_kw"]).to_numpy()
    assert ((scale > 0.95 - 1e-9) & (scale < 1.05 + 1e-9)).all()
    grid = openpoint.read("baran33")
    there = grid.loads.join(found.witness_loads.select("name", p="p_kw", q="q_kvar"), on="name", maintain_order="left")
    loads = there.with_columns(p_kw="p", q_kvar="q").select(grid.loads.columns)
    state = grid.with_closed({name: name not in found.witness_open for name in grid.branches()["name"]})
    flow = openpoint.run_powerflow(state.with_tables(loads=loads))
    (broken,) = found.witness_limits
    assert flow.v_min_pu == pytest.approx(broken.value, abs=1e-9)
    assert broken.value < 0.935
    headings = [part.heading for part in page(found, picture=False).parts if isinstance(part, Section)]
    assert "A load of the set at which limits are broken" in headings


def test_the_greatest_loss_is_that_of_the_largest_loads() -> None:
    grid = openpoint.read("baran33")
    found = openpoint.reconfigure(grid, for_every="load=10%", greatest_loss=True)
    largest = grid.with_tables(loads=grid.loads.with_columns(pl.col("p_kw", "q_kvar") * 1.1))
    assert found.objective_kw == pytest.approx(openpoint.reconfigure(largest).loss_kw, rel=1e-6)


def test_limits_hold_at_larger_resistances_too() -> None:
    """Where all draw power the state that is proved keeps its limits at the largest loads and resistances together."""
    limits = Limits(v_min_pu=0.932)
    plain = openpoint.reconfigure("baran33", limits=limits, for_every="load=5%")
    found = openpoint.reconfigure("baran33", limits=limits, for_every="load=5%,resistance=10%")
    lowest = []
    for each in (plain, found):
        grid = each.grid.with_closed({name: name not in each.open_branches for name in each.grid.branches()["name"]})
        loads = grid.loads.with_columns(pl.col("p_kw", "q_kvar") * 1.05)
        lines = grid.lines.with_columns(pl.col("r_ohm") * 1.1)
        lowest.append(openpoint.run_powerflow(grid.with_tables(loads=loads, lines=lines)).v_min_pu)
    assert lowest[0] < 0.932 <= lowest[1] * (1.0 + 1e-6)
    assert plain.loss_kw < found.loss_kw


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(OptionError, match="leave soft_limits out"):
        openpoint.reconfigure("baran33", for_every="load=5%", soft_limits=True)
    with pytest.raises(OptionError, match="budget bounds what deviates"):
        openpoint.reconfigure("baran33", budget=3)
