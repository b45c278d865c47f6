"""A day of four periods on six buses that holds a little of everything, small enough to try all vertices and trees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from openpoint.network.day import Uncertain
from openpoint.network.devices import DeviceKind, Devices, no_devices
from openpoint.network.operating_cost import least_loss, no_supply_limits
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from tests.builders.days import day_of, demand, links, renewables, stores
from tests.powerflow.small_networks import Branch, make_network

PERIODS = 4


def small_day(hours: int = 1, *, v_min: float = 0.9, v_max: float = 1.1, **parts: Any) -> DayQuestion:
    """The question; `hours` is the budget of load and sun, parts replace those of its day."""
    branches = [
        *(Branch(a, b, z) for a, b, z in ((0, 1, 0.01 + 0.01j), (1, 2, 0.03 + 0.02j), (2, 3, 0.04 + 0.03j))),
        *(Branch(a, b, z) for a, b, z in ((1, 4, 0.03 + 0.03j), (4, 5, 0.05 + 0.03j))),
        Branch(3, 5, 0.04 + 0.04j, closed=False),
    ]
    load = np.array([0.0, 0.1, 0.2, 0.25, 0.15, 0.2]) * (1.0 + 0.4j)
    limits = (v_min, v_max)
    net = make_network(6, branches, {0: 1.0 + 0.0j}, power=list(load), generators=[(3, 0.0j)], v_limits=limits)
    net = replace(net, p_min=np.array([0.0]), p_max=np.array([0.2]), q_min=np.array([-0.1]), q_max=np.array([0.1]))
    sun = np.array([[0.0], [0.3], [0.25], [0.0]])
    spread = np.tile([0.15, 0.4], (PERIODS, 1))
    plain = {
        "hours": np.array([1.0, 1.0, 2.0, 1.0]),
        "source_price": np.array([[0.05], [0.1], [0.08], [0.2]]),
        "export_price": np.full((PERIODS, 1), 0.02),
        "stores": stores([4, 5], s_max=[0.12, 0.0], last=[PERIODS, 2], energy_end=[0.2, 0.25], wear=0.001),
        "renewables": renewables([5], sun, s_max=0.35, curtailment=0.01),
        "units": links(1, ramp_up=np.array([0.08]), ramp_down=np.array([0.1])),
        "demand": demand(6, shift_buses=0.05, shift_time=0.1, shift_price=0.01, shed_share=1.0, shed_price=2.0),
        "uncertain": Uncertain(
            ("load", "solar"),
            ("load", "solar"),
            np.zeros(6, dtype=np.int64),
            np.array([1]),
            spread,
            spread,
            np.array([hours, hours]),
        ),
    }
    bare, day = day_of(net, np.array([0.6, 0.8, 0.7, 1.2]), **{**plain, **parts})
    cost = replace(least_loss(1, 1, 6), loss=0.02, generator=np.array([0.11]), square=np.array([0.1]))
    free = np.zeros(6, dtype=np.bool_)
    return DayQuestion(
        bare,
        no_devices(),
        no_supply_limits(1, 1),
        cost,
        free,
        free,
        Cadence.ONCE,
        Cadence.FIXED,
        None,
        day,
    )


def with_stopping_unit(question: DayQuestion) -> DayQuestion:
    """The question with a generator that may stop, costs by the hour and by the start, and has a least output."""
    unit = Devices(
        ("unit",),
        np.array([int(DeviceKind.UNIT)]),
        np.array([0]),
        (np.array([0.0, 1.0]),),
        np.array([0]),
        np.array([1]),
    )
    return replace(
        question,
        network=replace(question.network, p_min=np.array([0.12])),
        devices=unit,
        cost=replace(question.cost, idle=np.array([0.002])),
        day=replace(question.day, units=links(1, start=np.array([0.004]), on_before=np.array([False]))),
    )
