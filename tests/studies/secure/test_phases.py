"""Faults of grids of phases a, b, c beside every tie, each state a power flow of a grid of its own."""

from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint as op
from openpoint.errors import OptionError
from openpoint.graph import energised
from openpoint.grid import Grid
from openpoint.network import build_network
from tests.builders.phase_trees import phase_trees

V_MIN = 0.93


def limited(seed: int) -> Grid:
    grid = phase_trees(seed)
    return grid.with_tables(buses=grid.buses.with_columns(v_min_pu=pl.lit(V_MIN)))


def by_every_tie(grid: Grid, fault: str) -> dict[str, Any]:
    """What closing one open line does after the fault of a closed one; all lines have switches at both ends."""
    network, closed = build_network(grid), dict(grid.branches().select("name", "closed").iter_rows())
    names = network.bus_names

    def fed(state: dict[str, bool]) -> np.ndarray:
        on = np.array([state[network.branch_names[b]] for b in network.conductor_branch])
        return energised(network.n_terminals, network.terminal_fr, network.terminal_to, on, network.source_terminal)

    left = closed | {fault: False}
    dark = {names[network.terminal_bus[n]] for n in np.flatnonzero(~fed(left))}
    lost = float(grid.loads.filter(pl.col("bus").is_in(list(dark)))["p_kw"].sum())
    found: dict[str, Any] = {"lost_kw": lost, "verdict": "no tie", "to_close": "", "loss": np.inf}
    if not lost:
        return found | {"verdict": "nothing lost"}
    for tie in [name for name, state in closed.items() if not state]:
        ends = grid.lines.filter(pl.col("name") == tie).select("from_bus", "to_bus").row(0)
        state = left | {tie: True}
        if len(dark & set(ends)) != 1:
            continue
        found["verdict"] = "limits" if found["verdict"] == "no tie" else found["verdict"]
        if not fed(state).all():
            continue
        flow = op.run_powerflow(grid.with_closed(state))
        if not flow.violations and flow.loss_kw < found["loss"]:
            found |= {"verdict": "restored", "to_close": tie, "loss": flow.loss_kw, "lost_kw": 0.0}
    return found


def test_ties_restore_what_every_tie_alone_does() -> None:
    seen = set[str]()
    for seed in range(12):
        grid = limited(seed)
        for row in op.secure(grid).faults.iter_rows(named=True):
            expected = by_every_tie(grid, row["name"])
            seen.add(expected["verdict"])
            assert (row["verdict"], row["to_close"]) == (expected["verdict"], expected["to_close"]), (seed, row["name"])
            assert row["lost_kw"] == pytest.approx(expected["lost_kw"])
    assert seen >= {"restored", "limits", "no tie"}


def test_a_unit_of_a_regulator_is_isolated_with_the_others() -> None:
    found = op.secure("ieee123").faults.filter(pl.col("name").is_in(["reg3a", "reg3c"]))
    assert found["to_open"].to_list() == ["reg3a reg3c"] * 2
    assert found["tripped_kw"].to_list() == pytest.approx(found["lost_kw"].to_list())
    assert (found["lost_kw"] > 0.0).all()


def test_what_is_there_for_balanced_grids_is_refused() -> None:
    with pytest.raises(OptionError, match=r"secure has switchings and for_every for balanced grids only"):
        op.secure("ieee13", switchings=2, for_every={"load": 0.1})
