"""Which tests are slow, by measurement: `make slow` writes slow.txt, and conftest.py marks what stands there.

Processor time is measured, of this process and of those that it starts, so that other work on the machine counts less.
A test is slow above ALONE_S. Of the cases of one test the quickest counts so; each further one is slow above AGAIN_S,
as it repeats the same theorem with other data. The quickest test of a file is slow only above FILE_S, so that what the
file is about is not left out.

The limits follow from the whole: `make check` is to end within two minutes on two cores, so that the tests that are
left may share two minutes of processor time; the rest is for style, types, the start of the workers and collection.
With ALONE_S at 0.5 and FILE_S at 2.5 they would take half as much again. `make slow` says what they take.
"""

import resource
from collections.abc import Generator
from pathlib import Path

import pytest

ALONE_S = 0.3
AGAIN_S = 0.05
FILE_S = 1.0
MOST = 25
"""Lines of the summary."""
LIST = Path(__file__).with_name("slow.txt")
_HEAD = "# Made by `make slow`, see processor_time.py. Tests that make check leaves out."
_seconds: dict[str, float] = {}


def listed() -> list[str]:
    """The names of the slow tests."""
    lines = LIST.read_text(encoding="utf-8").splitlines() if LIST.exists() else []
    return [line for line in lines if line and not line.startswith("#")]


def slow(seconds: dict[str, float]) -> list[str]:
    """The names of those tests that are slow, by their processor times."""
    cases: dict[str, list[tuple[float, str]]] = {}
    for name, time in seconds.items():
        cases.setdefault(name.partition("[")[0], []).append((time, name))
    found = []
    for members in map(sorted, cases.values()):
        (quickest, name), *others = members
        found += [name] if quickest > ALONE_S else []
        found += [name for time, name in others if time > AGAIN_S]
    files: dict[str, list[tuple[float, str]]] = {}
    for name, time in seconds.items():
        files.setdefault(name.partition("::")[0], []).append((time, name))
    kept = {name for time, name in map(min, files.values()) if time <= FILE_S}
    return sorted(set(found) - kept)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure one test with its fixtures."""
    before = _used()
    result = yield
    _seconds[item.nodeid] = _used() - before
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the tests that are not slow take, and what took most: files, and tests with all their cases."""
    quick = set(_seconds) - set(slow(_seconds))
    left = sum(_seconds[name] for name in quick)
    terminalreporter.section(f"{len(quick)} of {len(_seconds)} tests are not slow, {left:.0f} s in all")
    for word, mark in (("files", "::"), ("tests", "[")):
        total: dict[str, float] = {}
        for name, time in _seconds.items():
            total[name.partition(mark)[0]] = total.get(name.partition(mark)[0], 0.0) + time
        terminalreporter.section(f"{word} by processor time, {sum(total.values()):.0f} s in all")
        for name in sorted(total, key=lambda name: -total[name])[:MOST]:
            terminalreporter.write_line(f"{total[name]:7.1f} s  {name}")


def pytest_sessionfinish() -> None:
    """Write the list, of what was run; the rest of it stays."""
    others = [name for name in listed() if name not in _seconds]
    LIST.write_text("\n".join([_HEAD, *sorted([*others, *slow(_seconds)])]) + "\n", encoding="utf-8")


def _used() -> float:
    here, below = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return here.ru_utime + here.ru_stime + below.ru_utime + below.ru_stime
