"""Hypothesis draws the same examples in every run, so that a red test is about the change and not about luck.

HYPOTHESIS_PROFILE=explore draws new ones, and more. Linear algebra and data frames run on one thread a process: pytest
has a process a core, and threads that wait for each other only burn processor time. The collector of garbage leaves
alone what imports and the collection of tests made, and looks at the rest more rarely.

A run that leaves files in the working tree, or removes some, has failed.
"""

import gc
import os
import sys
from collections.abc import Generator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported
os.environ.setdefault("POLARS_MAX_THREADS", "1")  # a seventh of the processor time of a small grid's search

import pytest
from hypothesis import HealthCheck, settings

from tests.processor_time import listed
from tests.working_tree import difference, paths

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


BEFORE = pytest.StashKey[set[str]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remember what the working tree holds; in the one process that outlasts the others."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        session.config.stash[BEFORE] = paths()


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """Fail where the working tree is not as it was."""
    result = yield
    before = session.config.stash.get(BEFORE, None)
    if before is not None and (lines := difference(before, paths())):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("the tests changed the working tree", *lines, sep="\n")
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that were measured to be slow."""
    slow = set(listed())
    for item in items:
        if item.nodeid in slow:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what lives until the end: it went through all of that again and again; and a
    compiler what pandapower has in Python as well."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    if "pandapower.auxiliary" in sys.modules:
        from tests.builders.empty_nets import made_once

        vars(sys.modules["pandapower.auxiliary"])["NUMBA_INSTALLED"] = False  # seconds in each process, for few flows
        made_once()
