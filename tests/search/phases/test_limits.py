"""Limits in the flows of sweeps are those of OpenDSS."""

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.formulations.phases import phases_question
from openpoint.search.exchange.phases import PhasesEvaluator, excess
from openpoint.search.phases.limits import BlockLimits
from openpoint.search.phases.model import Box, phase_model
from openpoint.search.phases.tree import Flows, status_of
from tests.builders.meshed import meshed


def test_what_breaks_limits_in_a_sweep_does_so_in_opendss() -> None:
    compared = broken = 0
    for seed in range(40):
        grid = meshed(seed, v_min_pu=0.985, rated=True)
        question = phases_question(grid, free=("topology",))
        try:
            model = phase_model(grid, question.network, question.always, question.never, Box())
        except OptionError:
            continue
        limits, flows, evaluator = (
            BlockLimits.of(model, question.network),
            Flows(model.blocks),
            PhasesEvaluator(question),
        )
        known = int(np.isfinite(limits.l_max).sum()) == int(np.isfinite(question.network.l_max).sum())
        for closed, _ in zip(question.states(), range(6), strict=False):
            status = status_of(model, closed)
            if not np.isfinite(flows.loss(status)):
                continue
            largest, total = limits.excess(model.blocks, status, flows.trees)
            judged = float(excess(question.network, evaluator.flows(closed, question.devices.today))[0])
            if known:
                assert total == pytest.approx(judged, abs=1e-4, rel=1e-4)
            assert total <= judged * (1.0 + 1e-4) + 1e-4
            assert largest <= total
            compared, broken = compared + 1, broken + (total > 1e-3)
    assert compared > 60
    assert 20 < broken < compared
