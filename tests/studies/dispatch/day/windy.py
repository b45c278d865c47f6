"""A feeder of 33 buses with sun, wind, stores and flexible loads over some periods, for tests."""

from dataclasses import replace

import numpy as np

from openpoint.grid import files
from openpoint.network import build_network
from openpoint.network.day import DayPlan, Uncertain
from openpoint.studies.dispatch.day.model.question import DayQuestion
from tests.builders.days import day_of, demand, idle_plan, question_of, renewables, stores

SPREAD = np.array([0.1, 0.3, 0.3])
"""Deviations of load, sun and wind."""


def windy(profile: list[float], *, v_min: float = 0.9, shed: float = 0.5, feed_share: float = 1.0) -> DayQuestion:
    """Sun at three buses, wind at three, stores at two; all loads, all sun and all wind are uncertain together.

    Args:
        profile: of the load. v_min: limit. shed: share of the load that may be shed. feed_share: size of sun and wind.
    """
    network = build_network(files.load("baran33"))
    n, periods = network.n_terminals, len(profile)
    network = replace(network, w_min=np.full(n, v_min**2), w_max=np.full(n, 1.05**2))
    size = feed_share * float(network.s_power.real.sum())
    share = np.column_stack([np.linspace(0.2, 0.01, periods)] * 3 + [np.linspace(0.05, 0.02, periods)] * 3)
    feed = renewables([9, 19, 27, 10, 18, 25], share * size, s_max=0.24 * size)
    feed = replace(feed, kind=("solar",) * 3 + ("wind",) * 3)
    uncertain = Uncertain(
        names=("load", "solar", "wind"),
        group=("load", "solar", "wind"),
        load=np.zeros(n, dtype=np.int64),
        renewable=np.array([1, 1, 1, 2, 2, 2]),
        down=np.tile(SPREAD, (periods, 1)),
        up=np.tile(SPREAD, (periods, 1)),
        hours=np.array([2, 2, 2]),
    )
    network, day = day_of(
        network,
        np.array(profile),
        renewables=feed,
        stores=stores([5, 30], s_max=0.2, energy_max=1.0, energy_start=0.5, energy_end=0.4, wear=0.01),
        demand=demand(n, shift_buses=0.1, shift_time=0.1, shift_price=0.01, shed_share=shed, shed_price=2.0),
        source_price=np.linspace(0.08, 0.16, periods)[:, None],
        export_price=np.full((periods, 1), 0.04),
        uncertain=uncertain,
    )
    return question_of(network, day)


def busy_plan(question: DayQuestion) -> DayPlan:
    """Stores charge first and discharge last, some load moves from the last period to the first."""
    plan, day = idle_plan(question), question.day
    charge, discharge, shift = plan.charge.copy(), plan.discharge.copy(), plan.shift.copy()
    charge[0], discharge[-1] = 0.08, 0.09
    shift[0] = 0.05 * day.load_power[0].real
    shift[-1] = -shift[0]
    q = np.full_like(charge, 0.05)
    return replace(plan, charge=charge, discharge=discharge, store_q=q, shift=shift)
