"""Tasks in processes of their own: the end of one process takes no other task with it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from openpoint.twostage.workers.apart import ONE_THREAD, TRIES, Lost, run_apart


def square(number: int) -> int:
    return number * number


def die_at_three(number: int) -> int:
    if number == 3:
        os._exit(9)
    return square(number)


def die_once(flag: Path) -> int:
    """Its process is killed at the first call."""
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 7


def refuse(number: int) -> int:
    raise ValueError(f"no {number}")


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def environment(name: str) -> str:
    return os.environ.get(name, "")


def test_the_end_of_a_process_takes_no_other_task_with_it() -> None:
    answers = dict(run_apart(die_at_three, range(6), 2))
    assert answers == {0: 0, 1: 1, 2: 4, 3: Lost(9), 4: 16, 5: 25}


def test_a_task_whose_process_was_killed_is_tried_again(tmp_path: Path) -> None:
    assert TRIES == 2
    assert list(run_apart(die_once, [tmp_path / "flag"], 1)) == [(0, 7)]


def test_what_a_task_raises_is_raised_here() -> None:
    with pytest.raises(ValueError, match="no 1"):
        list(run_apart(refuse, [1], 1))


def test_a_stop_kills_what_runs() -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    assert list(run_apart(sleep, [3600.0, 3600.0], 2, stop)) == []


def test_answers_that_nobody_waits_for_are_dropped() -> None:
    with closing(run_apart(square, range(4), 1)) as answers:
        assert next(answers) == (0, 0)


def test_a_process_has_one_thread_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(ONE_THREAD)
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(names[0], "3")
    assert [answer for _, answer in sorted(run_apart(environment, names, 1))] == ["3", "1", "1", "1"]
    assert names[1] not in os.environ


def test_nothing_asked_is_nothing_answered() -> None:
    assert list(run_apart(square, [], 2)) == []
