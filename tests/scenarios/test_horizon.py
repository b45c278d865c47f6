"""Horizons: read from files and tables, and every fault of theirs told at once with its place and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import openpoint
from openpoint import Horizon, InputError, OptionError, read_horizon
from openpoint.studies.partition.options import read_priorities

STEPS = {"step": ["t0", "t1", "t2"], "hours": [1.0, 2.0, 3.0]}


def refused(**tables: Any) -> list[str]:
    grid = openpoint.read("ieee37-microgrids")
    with pytest.raises(InputError) as caught:
        openpoint.partition_steps(grid, Horizon.from_tables(**{"steps": STEPS, **tables}))
    return [str(problem) for problem in caught.value.problems]


def event(step: str, branch: str, what: str) -> dict[str, str]:
    return {"step": step, "branch": branch, "event": what}


def store(**more: object) -> dict[str, object]:
    return {"generator": "g738", "energy_kwh": 100.0, "start_kwh": 50.0} | more


@pytest.mark.parametrize(
    ("events", "told"),
    [
        (
            [event("t0", "l2", "open"), event("t0", "l2", "close")],
            "event: close and, in row number 1, open",
        ),
        ([event("t0", "l2", "open"), event("t0", "l2", "open")], "the same event stands in row number 1"),
        ([event("t9", "l2", "open")], "there is no step 't9'"),
        ([event("t0", "l99", "open")], "there is no branch 'l99'"),
        ([event("t0", "tie11", "open")], "Did you mean 'tie1'"),
        ([event("t0", "l1", "open")], "row number 1, branch: the branch cannot be operated. Mark it switchable"),
        ([event("t0", "l2", "shut")], "unknown event 'shut'. The events are fault, open, close, release"),
        ([event("t1", "l2", "release")], "nothing holds the branch"),
        ([event("t0", "l2", "release"), event("t1", "l2", "open")], "row number 1, event: nothing holds the branch"),
        ([event("t0", "l2", "fault"), event("t1", "l2", "close")], "the branch has a fault since row number 1"),
        ([event("t0", "l10", "fault"), event("t0", "tie1", "close")], "held closed while the fault of row number 1"),
        (
            [event("t1", "tie1", "close"), event("t2", "l10", "fault")],
            "row number 1, event: held closed while",
        ),
    ],
)
def test_events_that_contradict_are_told(events: list[dict[str, str]], told: str) -> None:
    faults = refused(events=events)
    assert len(faults) == 1
    assert faults[0].startswith("events, row number")
    assert told in faults[0]


def test_a_release_ends_what_an_event_began() -> None:
    """A fault that is released leaves its switches to the decision, and another event may follow."""
    grid = openpoint.read("ieee37-microgrids")
    events = [event("t0", "l10", "fault"), event("t1", "l10", "release"), event("t1", "tie1", "close")]
    events += [event("t2", "tie1", "open")]
    horizon = Horizon.from_tables(STEPS, events=events)
    from openpoint.network import build_network
    from openpoint.network.blocks import blocks
    from openpoint.studies.partition.timeline import timeline_of

    network = build_network(grid)
    cut = blocks(network)
    first, second, third = timeline_of(horizon, grid, network, cut).locks
    assert first.dead.sum() == 1
    block = int(first.dead.argmax())
    assert (first.open == ((cut.fr == block) | (cut.to == block))).all()
    tie = [network.branch_names[k] for k in cut.switches].index("tie1")
    assert not second.dead.any()
    assert not second.open.any()
    assert second.closed.nonzero()[0].tolist() == [tie]
    assert third.open.nonzero()[0].tolist() == [tie]
    assert not third.closed.any()


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (store(start_kwh=120.0), "start_kwh"),
        (store(start_kwh=5.0, least_kwh=10.0), "start_kwh"),
        (store(energy_kwh=0.0), "energy_kwh"),
        (store(least_kwh=-1.0), "least_kwh"),
        (store(end_kwh=101.0, charge_kw=100.0), "end_kwh"),
        (store(end_kwh=90.0, charge_kw=1.0), "end_kwh"),
        (store(charge_efficiency=1.2), "charge_efficiency"),
        (store(discharge_efficiency=0.0), "discharge_efficiency"),
        (store(charge_kw=-5.0), "charge_kw"),
        (store(generator="g73"), "generator"),
        (store(start_kwh=float("nan")), "start_kwh"),
    ],
)
def test_stores_that_cannot_be_are_told(row: dict[str, object], column: str) -> None:
    faults = refused(storage=[row])
    assert [fault.startswith(f"storage, row number 1, {column}: ") for fault in faults] == [True]


def test_all_faults_of_all_tables_are_told_at_once() -> None:
    faults = refused(
        steps={"step": ["t0", "t0"], "hours": [0.0, 1.0], "load_share": [1.0, -0.1]},
        events=[event("t7", "l2", "open"), event("t0", "l1", "close")],
        profiles=[{"step": "t0", "load": "s728", "share": 2.0}, {"step": "t0", "load": "s728", "share": -1.0}],
        storage=[store(), store()],
    )
    starts = [
        *("steps, row number 2, step", "steps, row number 1, hours", "steps, row number 2, load_share"),
        *("profiles, row number 2, load", "profiles, row number 2, share", "storage, row number 2, generator"),
        *("events, row number 1, step", "events, row number 2, branch"),
    ]
    assert len(faults) == len(starts)
    for start, fault in zip(starts, faults):
        assert fault.startswith(start)


def test_a_folder_and_a_file_are_read_as_they_were_meant(tmp_path: Path) -> None:
    (tmp_path / "steps.csv").write_text("step,hours\n1,2.5\n2,\n", encoding="utf-8")
    (tmp_path / "events.csv").write_text("step,branch,event\n2,l2,open\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    horizon = read_horizon(tmp_path)
    assert horizon.steps.to_dicts() == [
        {"step": "1", "hours": 2.5, "load_share": 1.0},
        {"step": "2", "hours": 1.0, "load_share": 1.0},
    ]
    assert horizon.events.rows() == [("2", "l2", "open")]
    assert horizon.storage.is_empty()
    assert [note.table for note in horizon.notes] == ["notes.txt"]
    horizon.steps.write_parquet(tmp_path / "some.parquet")
    assert read_horizon(tmp_path / "some.parquet").steps.equals(horizon.steps)


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("steps.csv", "step,hour\n1,2\n", "unknown column 'hour'"),
        ("steps.csv", "step,hours\n1,2\n2,two\n", "line 3, hours: 'two' is not a number"),
        ("events.csv", "step,branch\n1,l2\n", "event: column is missing"),
        ("storage.csv", "generator,energy_kwh,start_kwh\ng738,,5\n", "line 2, energy_kwh: value is missing"),
    ],
)
def test_faults_of_files_name_the_line(tmp_path: Path, file: str, text: str, told: str) -> None:
    (tmp_path / "steps.csv").write_text("step\n1\n", encoding="utf-8")
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=told):
        read_horizon(tmp_path)


def test_what_is_no_horizon_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table of the steps"):
        read_horizon(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_horizon(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="the table has no rows"):
        openpoint.partition_steps(openpoint.read("ieee37-microgrids"), Horizon.from_tables({"step": []}))
    with pytest.raises(OptionError, match="max_actions is -1"):
        openpoint.partition_steps(
            openpoint.read("ieee37-microgrids"), Horizon.from_tables({"step": ["a"]}), max_actions=-1
        )


def test_priorities_are_read_and_their_faults_told(tmp_path: Path) -> None:
    file = tmp_path / "weights.csv"
    file.write_text("load,priority\ns728,5\ns722b,0\n", encoding="utf-8")
    assert read_priorities(file) == {"s728": 5.0, "s722b": 0.0}
    file.write_text("load,priority\ns728,5\ns728,-1\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_priorities(file)
    assert [(fault.row, fault.column) for fault in caught.value.problems] == [
        ("number 2", "load"),
        ("number 2", "priority"),
    ]
    with pytest.raises(InputError, match="no such file"):
        read_priorities(tmp_path / "weights.txt")
