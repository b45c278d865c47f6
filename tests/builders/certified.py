"""Certificates of small random grids, of every kind that is written, with the questions that they answer."""

import gzip
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np

from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.search import region_decomposition
from openpoint.search.topology import search_topologies
from openpoint.verify import Question
from tests.builders.certificates import changes, futures_of
from tests.builders.device_grids import FEATURES as DEVICES
from tests.builders.device_grids import random_device_grid
from tests.search.random_futures import random_task
from tests.search.random_grids import FEATURES, random_grid, random_meshes, random_regions

Case = tuple[Question, bytes]
"""A question, and a certificate of it, unpacked."""
ENDLESS = 10**9


def certified(kind: str, seed: int, folder: Path) -> Case | None:
    """A certificate of a kind of `KINDS`; None where this seed has none."""
    path = folder / "file"
    path.unlink(missing_ok=True)
    try:
        question = KINDS[kind](seed, path)
    except OptionError:
        return None
    if question is None or not path.exists():
        return None
    return question, gzip.decompress(path.read_bytes())


def _plain(seed: int, path: Path) -> Question | None:
    rng = np.random.default_rng([seed, 51])
    network = random_grid(rng, tuple(feature for feature in FEATURES if rng.random() < 0.25))
    return _searched(network, rng, path, 1e-6)


def _searched(network: Network, rng: np.random.Generator, path: Path, gap: float) -> Question:
    rules = SwitchingRules.of(network, *changes(rng))
    search_topologies(network, rules, gap=gap, certificate=path)
    return Question.of(network, rules)


def _regions(seed: int, path: Path) -> Question | None:
    rng = np.random.default_rng([seed, 53])
    network = random_regions(rng, [feature for feature in FEATURES if rng.random() < 0.2])
    with always_by_regions((int(rng.choice([0, 1, 3])), 8)):
        return _searched(network, rng, path, 1e-4)


@contextmanager
def always_by_regions(certified: tuple[int, int]) -> Iterator[None]:
    """Within it every search begins anew by regions, and tries them at every node."""

    class Restart:
        bound = math.inf

    with ExitStack() as stack:
        of = region_decomposition.RegionDecomposition
        stack.enter_context(patch.object(of, "_better", lambda *_: Restart()))
        stack.enter_context(patch.object(region_decomposition, "OPEN", 0))
        stack.enter_context(patch.object(region_decomposition, "PAYING", ENDLESS))
        stack.enter_context(patch.object(region_decomposition, "CERTIFIED", certified))
        stack.enter_context(patch("openpoint.search.regions.WIDE", math.inf))
        yield


def _parts(seed: int, path: Path) -> Question | None:
    rng = np.random.default_rng([seed, 73])
    most = int(rng.integers(2, 5))
    network = random_meshes(rng, [(), ("locks",), ("stiff",), ("low", "locks")][seed % 4])
    with patch.multiple("openpoint.search.paths.proven_parts", FEW=0, WHOLE=0, MOST=most, SMALL=most):
        search_topologies(network, gap=float(rng.choice([1e-3, 0.02, 0.1, 0.2])), certificate=path)
    return Question.of(network)


def _devices(seed: int, path: Path) -> Question | None:
    grid = random_device_grid(seed, DEVICES, 200)
    parts = {"devices": grid.devices, "cost": grid.cost, "supply": grid.supply}
    search_topologies(grid.network, certificate=path, **parts)  # type: ignore[arg-type]
    return Question.of(grid.network, **parts)  # type: ignore[arg-type]


def _futures(seed: int, path: Path) -> Question | None:
    from tests.verify.test_futures import written

    task, states, risk = random_task(seed)
    regret = risk.startswith("regret")
    if (regret and not task.limits) or written(task, states, path, regret) is None:
        return None
    futures = futures_of(task, regret=regret)
    return Question.of(task.network, task.rules, futures=futures)


def _year(seed: int, path: Path) -> Question | None:
    from tests.studies.reconfigure.year.test_search import random_year
    from tests.verify.test_steps import steps_of, written

    task, _, _ = random_year(seed)
    if written(task, path, [2, 6, 24][seed % 3]) is None:
        return None
    return Question.of(task.network, task.program.rules, steps=steps_of(task))


KINDS: dict[str, Callable[[int, Path], Question | None]] = {
    "plain": _plain,
    "regions": _regions,
    "parts": _parts,
    "devices": _devices,
    "futures": _futures,
    "year": _year,
}
