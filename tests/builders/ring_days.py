"""A day of the ring of `dispatch_grids` as arrays: four periods, a unit, a battery, a vehicle, sun and wind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from openpoint import Grid
from openpoint.network import build_network
from openpoint.studies.dispatch.day.options import DayOptions
from openpoint.studies.dispatch.day.study import PreparedDay, prepare_arrays
from tests.builders import days
from tests.builders.dispatch_grids import ring

PROFILE = np.array([0.6, 0.9, 1.0, 0.8])
HOURS = np.array([6.0, 6.0, 6.0, 5.0])  # a day of 23 h


def prepared(grid: Grid | None = None, *, parts: dict[str, Any] | None = None, **options: Any) -> PreparedDay:
    """The day of the ring, ready to be solved; `parts` replace what the day has, `options` what is asked."""
    grid = grid or ring()
    network = build_network(grid)
    base, n = network.s_base_kva, network.n_terminals
    sun = np.array([[0.0, 60.0], [250.0, 80.0], [120.0, 100.0], [0.0, 90.0]]) / base
    stores = days.stores(
        [1, 3],
        vehicle=[False, True],
        first=[0, 1],
        last=[4, 3],
        energy_max=np.array([800.0, 100.0]) / base,
        energy_start=np.array([400.0, 20.0]) / base,
        energy_end=np.array([400.0, 80.0]) / base,
        charge_max=np.array([100.0, 11.0]) / base,
        discharge_max=np.array([100.0, 0.0]) / base,
        wear=[0.01, 0.0],
    )
    stores = replace(stores, names=("battery", "car"))
    plain: dict[str, Any] = {
        "hours": HOURS,
        "source_price": np.array([[0.05], [0.12], [0.2], [0.1]]),
        "renewables": days.renewables([2, 3], sun, curtailment=0.03),
        "stores": stores,
        "units": days.links(1, start=np.array([20.0]) / base, on_before=np.array([False])),
        "demand": days.demand(n, shift_buses=0.2, shift_time=0.1, shift_price=0.02, shed_share=0.3, shed_price=3.0),
    }
    bare, day = days.day_of(network, PROFILE, **{**plain, **(parts or {})})
    return prepare_arrays(grid, bare, day, "ring-day", DayOptions(**{"method": "columns", **options}))
