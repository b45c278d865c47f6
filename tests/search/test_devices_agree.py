"""Search with devices on random grids: its answer keeps the limits in the exact flow, no state that the enumeration
visits is better, and its certificate is accepted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network.devices import DeviceKind
from openpoint.search.operating_states import best_operating_state
from openpoint.search.result import SearchResult
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from openpoint.verify import verify_network
from tests.builders.device_grids import DeviceGrid, random_device_grid

FEATURES = ("banks", "voltages", "taps", "fixed units", "units", "limits", "ratings")
COUNT = 60


def searched(grid: DeviceGrid, file: Path) -> tuple[DeviceGrid, SearchResult] | None:
    """The grid and the answer; devices that the search does not set are held; None where it refuses the grid."""
    kinds = grid.devices.kind
    some = grid.devices.only(np.flatnonzero((kinds == DeviceKind.BANK) | (kinds == DeviceKind.VOLTAGE)))
    for devices in (grid.devices, some):
        try:
            found = search_topologies(grid.network, devices=devices, gap=1e-6, certificate=file)
        except OptionError:
            continue
        return replace(grid, devices=devices), found
    return None


def test_the_answer_is_proven_best_by_enumeration_and_by_its_certificate(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in range(COUNT):
        file = tmp_path / str(seed)
        asked = searched(random_device_grid(seed, FEATURES, 1000), file)
        if asked is None:
            continue
        grid, found = asked
        every = best_operating_state(grid.evaluator)
        least = every.best.value if every.best is not None and every.best.violation == 0.0 else np.inf
        seen[found.termination.name] += 1
        assert found.lower_bound <= least * (1.0 + 1e-9) + 1e-12, seed
        if found.closed is None:
            assert found.termination is Termination.INFEASIBLE, seed
            assert least == np.inf, seed
            continue
        positions = grid.devices.today if found.positions is None else found.positions
        value, violation = grid.evaluator.evaluate(found.closed, positions, found.generation)
        assert violation[0] == 0.0, seed
        assert value[0] == pytest.approx(found.value, rel=1e-9, abs=1e-12), seed
        if found.termination is Termination.OPTIMAL:
            assert found.value <= least * (1.0 + 1e-5) + 1e-9, seed
        if every.exact:
            assert found.value >= least * (1.0 - 1e-9) - 1e-12, seed
        if file.exists():
            proven = verify_network(grid.network, file, devices=grid.devices)
            assert proven.bound_kw <= min(least, found.value) * grid.network.s_base_kva * (1.0 + 1e-9) + 1e-9, seed
            seen["verified"] += 1
            seen["with devices"] += len(proven.positions) > 0
            seen["with outputs"] += not every.exact
    assert seen["verified"] >= 40
    assert min(seen["with devices"], seen["with outputs"]) >= 10
