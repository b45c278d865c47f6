"""Restoration by more than ties on random grids, against every radial state after every fault."""

from __future__ import annotations

from typing import Any

import pytest

import openpoint
from openpoint.studies.secure.model import switchings
from tests.builders.clock import held
from tests.builders.rerouted import restorable
from tests.builders.secured import random_secured

MOST = 2


@pytest.mark.parametrize("seed", range(100, 108))
def test_closings_are_those_of_brute_force(seed: int) -> None:
    check(seed)


def check(seed: int) -> dict[str, int]:
    """Compare every fault of a random grid with brute force; how many were restorable by what."""
    grid, data = random_secured(seed)
    by_ties = openpoint.secure(grid, reliability=data)
    result = openpoint.secure(grid, reliability=data, switchings=MOST, any_switching=True)
    load = dict(zip(result.buses["name"], result.buses["load_kw"], strict=True))
    lost_by_ties = dict(by_ties.faults.select("name", "lost_kw").iter_rows())
    found = {row["name"]: row for row in result.switchings.iter_rows(named=True)}
    for row in result.faults.iter_rows(named=True):
        name, word = row["name"], row["restorable"]
        assert word not in ("more", "unknown")
        assert (word == "switchings") == (name in found)
        if word in ("nothing", "ties"):  # see test_oracle
            continue
        expected = restorable(grid, name)
        cut_kw = sum(load[bus] for bus in expected.cut_off)
        if word == "none":
            assert expected.fewest is None, name
        elif word == "switchings":
            fewest = expected.fewest
            assert fewest is not None
            assert expected.joined <= fewest <= row["closings"]
            assert not row["is_fewest"] or row["closings"] == fewest
            within = fewest <= max(MOST, expected.joined)
            assert found[name]["is_taken"] == within
            assert row["is_fewest"] or not within
            assert len(found[name]["to_close"].split()) == row["closings"]
            assert len(found[name]["then_open"].split()) == row["closings"] - expected.joined
            if within:
                assert row["lost_kw"] == pytest.approx(cut_kw, abs=1e-6)
                continue
        assert set(row["cut_off"].split()) == set(expected.cut_off)
        assert row["lost_kw"] == pytest.approx(lost_by_ties[name], abs=1e-6)
    return result.restorable_counts


def test_the_time_limit_leaves_faults_unknown_and_counts_them_as_neither() -> None:
    result = openpoint.secure("baran33", any_switching=True, time_limit_s=0.0)
    assert result.restorable_counts["unknown"] + result.restorable_counts["more"] == 10
    assert result.restorable_counts["none"] == 0
    assert "not known" in result.notes[0]


def test_states_are_not_counted_once_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, count = held(monkeypatch, 0.0), switchings.count_topologies

    def slow(*given: Any, **options: Any) -> int:
        clock.now += 1.0
        return count(*given, **options)

    monkeypatch.setattr(switchings, "count_topologies", slow)
    whole = openpoint.secure("baran33", switchings=3)
    assert clock.now > 100.0
    clock.now = 0.0
    cut = openpoint.secure("baran33", switchings=3, time_limit_s=20.5)
    assert 20.0 < clock.now <= 23.0
    assert cut.restorable_counts["unknown"] + cut.restorable_counts["more"] > 0
    known = dict(whole.faults.select("name", "restorable").iter_rows())
    for name, word in cut.faults.select("name", "restorable").iter_rows():
        assert word in (known[name], "more", "unknown")
