"""Many demands of grids of phases: no bound above the best state, search equals enumeration (docs/methods.md M43)."""

from dataclasses import dataclass

import numpy as np
import pytest

from openpoint.arrays import Complexes, Floats, States
from openpoint.errors import OptionError
from openpoint.formulations.phases import phases_question
from openpoint.search.phases import futures
from openpoint.search.phases.futures import FuturesFlows, FuturesTree, cores_of
from openpoint.search.phases.model import Box, PhaseModel, phase_model
from openpoint.search.phases.tree import box_around, free_of_charge, status_of
from openpoint.search.tree import grow
from openpoint.twostage.ambiguity import ProbabilitySet, TotalVariation, all_of, exactly, tail_of
from tests.builders.phase_trees import phase_trees

COUNT = 4


@dataclass
class Enumerated:
    """The grid under each demand, and its radial states (S, m) with their losses (S, K), inf where there is no flow."""

    models: list[PhaseModel]
    status: States
    loss: Floats


def enumerated(kind: str, seed: int) -> Enumerated | None:
    rng = np.random.default_rng(seed)
    grid = phase_trees(seed, loads="all" if kind == "held" else kind, held=kind == "held")
    question = phases_question(grid, free=("topology",))
    model = phase_model(grid, question.network, question.always, question.never, Box(0.99, 1.01, 1.0))
    boxes = model.blocks.box
    try:
        models = [model.under(each) for each in demands(grid.loads["p_kw"].to_numpy() + 0j, rng)]
    except OptionError:
        return None
    flows = FuturesFlows([each.blocks for each in models], exactly(np.full(COUNT, 1.0 / COUNT)))
    status, loss = list[States](), list[list[float]]()
    for closed in question.states():
        status.append(status_of(model, closed))
        loss.append([each.loss(status[-1]) for each in flows.each])
        for one, lost in zip(flows.each, loss[-1], strict=True):
            if np.isfinite(lost):
                boxes = box_around(one.trees.v, model.blocks.has, boxes)
    if not np.isfinite(loss).all(axis=1).any():
        return None
    return Enumerated([each.within(boxes) for each in models], np.array(status), np.array(loss))


def demands(today: Complexes, rng: np.random.Generator) -> Complexes:
    """(K, L) loads between nothing and 1.3 times today's; some feed back."""
    factor = rng.uniform(0.0, 1.3, (COUNT, len(today)))
    factor[rng.random(factor.shape) < 0.15] *= -0.5
    return factor * today + 0.3j * rng.uniform(0.0, 1.0, factor.shape) * today


def risks(rng: np.random.Generator) -> list[ProbabilitySet]:
    odds = rng.dirichlet(np.ones(COUNT))
    return [exactly(odds), tail_of(odds, 0.6), all_of(COUNT), TotalVariation(0.2).around(odds, COUNT)]


@pytest.mark.parametrize("few", [1, 500])
@pytest.mark.parametrize("kind", ["power", "all", "held"])
def test_the_search_finds_what_enumeration_finds(kind: str, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few states swept at once the tree divides and probes; with many all states of a small grid are swept."""
    monkeypatch.setattr(futures, "FEW", few)
    tried = 0
    for seed in range(2 if few == 1 else 1):
        if (case := enumerated(kind, seed)) is None:
            continue
        blocks = [each.blocks for each in case.models]
        for risk in risks(np.random.default_rng(seed)):
            value = np.array([risk.worst(each)[0] for each in case.loss])
            best = float(value.min())
            if not np.isfinite(best):
                continue
            flows, found = FuturesFlows(blocks, risk), [best * 1.01 + 1e-9]
            cores = cores_of(blocks, case.status[0])
            tree = FuturesTree(cores, risk, found[0], free_of_charge)
            assert tree.lowest <= best * (1.0 + 1e-9)

            def leaf(at: States) -> None:
                found[0] = min(found[0], flows.loss(cores[0].whole(at, case.status[0])))  # noqa: B023
                tree.cutoff = min(tree.cutoff, found[0] * (1.0 - 1e-6))  # noqa: B023

            assert grow(tree, leaf, lambda: False)
            assert found[0] == pytest.approx(best, rel=1e-8), (seed, str(risk.form))
            assert best * (1.0 - 1.1e-6) <= min(tree.lowest, found[0]) <= best * (1.0 + 1e-9)
            tried += 1
    assert tried > (4 if few == 1 else 2)


def test_bounds_of_partial_states_are_at_most_the_best_completion() -> None:
    count = 0
    for seed in range(5):
        if (case := enumerated("all", seed)) is None:
            continue
        rng = np.random.default_rng(seed)
        cores = cores_of([each.blocks for each in case.models], case.status[0])
        for risk in risks(rng):
            value = np.array([risk.worst(each)[0] for each in case.loss])
            tree = FuturesTree(cores, risk, np.inf, free_of_charge)
            for _ in range(6):
                state = case.status[rng.integers(len(case.status))]
                known = cores[0].blocks.movable & (rng.random(len(cores[0].branch)) < 0.5)
                status = np.where(known, state[cores[0].branch], tree.status).astype(np.int8)
                alike = (case.status[:, cores[0].branch][:, known] == status[known]).all(axis=1)
                h = np.array([core.h for core in cores])
                bounds = tree._bounds(status, h, 3)
                found, weights = risk.worst(bounds)
                assert found <= value[alike].min() * (1.0 + 1e-9)
                opened = tree._probed(status, h, weights)
                for e in np.flatnonzero(np.isfinite(opened)).tolist():
                    without = alike & (case.status[:, cores[0].branch[e]] != 1)
                    assert opened[e] <= value[without].min(initial=np.inf) * (1.0 + 1e-9)
                    count += 1
    assert count > 50
