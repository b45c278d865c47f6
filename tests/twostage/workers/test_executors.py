"""Subproblems in process, in processes and on a Dask cluster: the same answers, whoever dies."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openpoint.arrays import Floats
from openpoint.errors import MissingExtraError, OpenpointError, OptionError
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from openpoint.twostage.workers import executors
from openpoint.twostage.workers.executors import (
    ONE_THREAD,
    TRIES,
    Choice,
    Cluster,
    GivenExecutor,
    InProcess,
    Lasting,
    Lost,
    Processes,
    executor_from,
    run_apart,
)
from openpoint.twostage.workers.pool import CHUNKS_PER_WORKER, KEPT, Workers, WorkersLostError
from tests.builders.clock import FAILURES, FailingExecutor
from tests.twostage.workers.works import (
    LARGE,
    Large,
    Picky,
    Price,
    Tracked,
    die_at_three,
    die_once,
    environment,
    refuse,
    sleep,
    square,
)

if TYPE_CHECKING:
    from distributed import LocalCluster

    from openpoint.twostage.recourse.evaluation import Response


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes; Dask's own log says how workers die, which is what happens here."""
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as cluster,
    ):
        yield cluster


def choice_of(cluster: LocalCluster) -> Cluster:
    return Cluster(cluster.scheduler_address.replace("tcp://", "dask://"))


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    with Processes(2).open() as workers:
        yield workers


@pytest.fixture(scope="module")
def dask(cluster: LocalCluster) -> Iterator[Workers]:
    with choice_of(cluster).open() as workers:
        yield workers


@pytest.fixture(params=["serial", "processes", "dask"])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    if request.param == "serial":
        with InProcess().open() as here:
            yield here
    else:
        yield request.getfixturevalue({"processes": "pool"}.get(request.param, request.param))


def bits(responses: list[Response] | None) -> list[object]:
    return [
        (r.feasible, r.rough, r.value.hex(), r.slope.tobytes(), [[part.tobytes() for part in c] for c in r.point])
        for r in responses
    ]


Real = tuple[Price, "list[Floats]", list[object]]


@pytest.fixture(scope="module")
def real() -> Real:
    """The recourse of a published grid, decisions (topologies and points between them), and the answers in process."""
    from openpoint.grid.files import load
    from tests.builders.programs import program_of

    program = program_of(load("baran33"))
    trees = [*program.warm_starts(), *program.rounding_heuristic(program.warm_starts()[0], 12)]
    decisions = trees + [0.7 * a + 0.3 * b for a, b in pairwise(trees)]
    with InProcess().open() as here:
        return Price(program), decisions, bits(here.run(Price(program), decisions))


def test_real_subproblems_have_the_same_answers_bit_for_bit(pool: Workers, dask: Workers, real: Real) -> None:
    work, xs, expected = real
    for workers in (pool, dask):
        assert bits(workers.run(work, xs)) == expected
        assert bits(workers.run(work, xs[2::-1])) == expected[2::-1]


@pytest.mark.parametrize("n", [0, 1, 9, 50])
def test_answers_come_in_the_order_of_the_arguments(workers: Workers, tmp_path: Path, n: int) -> None:
    assert workers.run(Tracked(tmp_path), range(n)) == [x * x for x in range(n)]
    assert all(Tracked(tmp_path).tried(x) == 1 for x in range(n))


def test_a_work_is_prepared_once_in_each_worker(workers: Workers, tmp_path: Path) -> None:
    work = Tracked(tmp_path, seconds=0.01)
    for _ in range(3):
        assert workers.run(work, range(20)) is not None
    prepared = work.prepared()
    assert len(prepared) == len(set(prepared)) <= 2


def test_a_worker_forgets_works_not_used_for_long(workers: Workers, tmp_path: Path) -> None:
    works = [Tracked(tmp_path / str(k)) for k in range(KEPT + 1)]
    for work in works:
        work.folder.mkdir()
    for work in [*works, works[0]]:
        assert workers.run(work, [3]) == [9]


def test_exceptions_of_the_work_come_back_as_they_are(workers: Workers) -> None:
    with pytest.raises(ZeroDivisionError, match="13"):
        workers.run(Picky(), range(40))
    assert workers.run(Picky(), range(5)) == list(range(5))


def test_stop_is_heard_at_once(workers: Workers, tmp_path: Path) -> None:
    work, asked = Tracked(tmp_path, seconds=0.2), list[None]()
    assert workers.run(work, range(50), lambda: asked.append(None) or len(asked) > 3) is None
    assert len(list(tmp_path.glob("tried-*"))) < 25


def test_answers_that_are_there_are_not_thrown_away_by_a_late_stop(workers: Workers) -> None:
    asked: list[None] = []
    assert workers.run(Picky(), [1, 2], lambda: bool(asked.append(None))) == [1, 2]
    assert asked


@pytest.mark.parametrize("deadly", [(5,), (0, 24, 48)])
def test_a_process_that_dies_is_replaced_and_its_work_redone(
    pool: Workers, tmp_path: Path, deadly: tuple[int, ...]
) -> None:
    work = Tracked(tmp_path, deadly=deadly)
    assert pool.run(work, range(50)) == [x * x for x in range(50)]
    assert all(work.tried(x) >= 2 for x in deadly)


def test_a_process_that_dies_while_it_sends_is_replaced(pool: Workers, tmp_path: Path) -> None:
    answers = pool.run(Large(tmp_path / "died"), range(3))
    assert [(len(answer), answer[0]) for answer in answers] == [(LARGE, x) for x in range(3)]


def test_an_idle_process_that_dies_is_replaced(pool: Workers, tmp_path: Path) -> None:
    work = Tracked(tmp_path, seconds=0.01)
    pool.run(work, range(8))
    for pid in set(work.prepared()):
        os.kill(int(pid), signal.SIGKILL)
    assert pool.run(work, range(8)) == [x * x for x in range(8)]


def test_work_that_always_kills_its_process_is_named(pool: Workers, tmp_path: Path) -> None:
    """One argument a chunk: number 4 of 32 is the culprit, and no other is blamed or lost to the next run."""
    work = Tracked(tmp_path, deadly=(3,), deaths=99)
    with pytest.raises(OpenpointError, match=r"processes:2: workers died again and again on subproblem 4 of 32\. Most"):
        pool.run(work, range(2 * CHUNKS_PER_WORKER))
    assert work.tried(3) == 4
    assert pool.run(work, [1, 2]) == [1, 4]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_pool_whose_own_thread_ends_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("can't start new thread")  # as where memory does not suffice

    monkeypatch.setattr("multiprocessing.queues.Queue._start_thread", fail)
    with Processes(1).open() as workers, pytest.raises(WorkersLostError, match=r"no work is handed out .* memory"):
        workers.run(Tracked(tmp_path), [1])


def test_a_pool_ends_at_once_whatever_it_does(tmp_path: Path) -> None:
    work = Tracked(tmp_path, seconds=600.0)
    with Processes(2).open() as workers:
        assert workers.run(work, range(4), lambda: len(work.prepared()) == 2) is None
        began = time.perf_counter()
    assert time.perf_counter() - began < 300.0  # not after the work, on whatever machine
    assert not [pid for pid in work.prepared() if alive(int(pid))]


def test_processes_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import time\n"
        "from dataclasses import dataclass\n"
        "from openpoint.twostage.workers.executors import Processes\n"
        "@dataclass(frozen=True)\n"
        "class Sleep:\n"
        "    def prepare(self, stop=None):\n"
        "        import os\n"
        "        os.write(1, b'%d\\n' % os.getpid())\n"
        "        return time.sleep\n"
        "if __name__ == '__main__':\n"
        "    with Processes(2).open() as workers:\n"
        "        workers.run(Sleep(), [30.0, 30.0])\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
    assert until(lambda: not any(map(alive, pids)), seconds=5.0)


def test_ctrl_c_is_for_the_main_process_alone(tmp_path: Path) -> None:
    """The terminal sends it to all of them."""
    work = Tracked(tmp_path, seconds=0.1)
    with Processes(2).open() as workers:
        interrupted: set[str] = set()

        def interrupt() -> bool:
            for pid in set(work.prepared()) - interrupted:
                os.kill(int(pid), signal.SIGINT)
                interrupted.add(pid)
            return False

        assert workers.run(work, range(16), interrupt) == [x * x for x in range(16)]
    assert interrupted
    assert len(work.prepared()) == 2


def test_a_dask_worker_killed_in_the_middle_changes_nothing(dask: Workers, tmp_path: Path) -> None:
    assert dask.run(Tracked(tmp_path, deadly=(5,)), range(20)) == [x * x for x in range(20)]


def test_work_that_dask_gives_up_is_tried_once_more(dask: Workers, tmp_path: Path) -> None:
    work = Tracked(tmp_path, deadly=(1,), deaths=2, seconds=0.5)
    assert dask.run(work, [0, 1]) == [0, 1]
    assert work.tried(1) == 3


def test_work_that_always_kills_its_dask_worker_is_named(dask: Workers, tmp_path: Path) -> None:
    work = Tracked(tmp_path, deadly=(0,), deaths=99, seconds=0.5)
    # On a busy machine the cluster may be out of workers before Dask has counted the deaths.
    died = r"dask://.*: (workers died again and again on subproblem 1 of 1\. Most|no workers are left)"
    with pytest.raises(OpenpointError, match=died):
        dask.run(work, [0])


def test_a_cluster_that_loses_all_workers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its workers were started with more threads than are used, which is said."""
    from distributed import LocalCluster

    monkeypatch.setattr(executors, "DESERTED", 1)
    few = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "protocol": "tcp", "dashboard_address": ":0"}
    with LocalCluster(**few, silence_logs=logging.CRITICAL) as cluster, choice_of(cluster).open() as workers:
        assert "have up to 2 threads each, of which one is used" in caplog.text
        work = Tracked(tmp_path, seconds=0.5)
        assert workers.run(work, [1]) == [1]
        cluster.scale(0)
        with pytest.raises(OpenpointError, match="no workers are left; start new ones"):
            workers.run(work, range(20))


def test_a_cluster_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(executors, "CONNECT_S", 2.0)

    few = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "protocol": "tcp", "dashboard_address": ":0"}
    with LocalCluster(**few, silence_logs=logging.CRITICAL) as cluster, choice_of(cluster).open() as workers:
        assert workers.run(Tracked(tmp_path), [1]) == [1]
        cluster.close()
        with pytest.raises(OpenpointError, match="is gone; start it again"):
            workers.run(Tracked(tmp_path), [1, 2])


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "CONNECT_S", 1.0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"dask://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(OptionError, match="no Dask scheduler answers"), Cluster(address).open():
        pass


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match="pip install 'distributed"), Cluster("dask://127.0.0.1:8786").open():
        pass


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        (None, InProcess()),
        ("serial", InProcess()),
        ("processes:4", Processes(4)),
        ("dask://host.example:8786", Cluster("dask://host.example:8786")),
        ("dask://[::1]:8786", Cluster("dask://[::1]:8786")),
    ],
)
def test_a_choice_is_read_and_written(text: str | None, choice: Choice) -> None:
    assert executor_from(text) == choice
    assert executor_from(str(choice)) == choice


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "write serial, processes:4"),
        ("processes", "processes:4"),
        ("processes:", "processes:4"),
        ("processes:-1", "processes:4"),
        ("processes:0", "0 processes; give a number from 1"),
        ("processes:99999", "give a number from 1"),
        ("threads:4", "'threads:4' is no place"),
        ("dask:host", "write dask://host:port"),
        ("dask://host", "write dask://host:port"),
        ("dask://host:port", "write dask://host:port"),
        ("tcp://host:8786", "or dask://host:port"),
    ],
)
def test_what_is_no_choice_is_refused_with_the_way_out(text: str, remedy: str) -> None:
    with pytest.raises(OptionError, match=remedy):
        executor_from(text)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(done: Callable[[], bool], *, seconds: float) -> bool:
    """Whether something happens in time."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        if done():
            return True
        time.sleep(0.05)
    return False


def test_a_scheduler_that_answered_before_has_lost_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found with them is to be kept, so it is no wrong option any more."""
    monkeypatch.setattr(executors, "CONNECT_S", 1.0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        choice = Cluster(f"dask://127.0.0.1:{probe.getsockname()[1]}")
    monkeypatch.setattr(executors, "_REACHED", {choice.address})
    with choice.open() as workers, pytest.raises(WorkersLostError, match="no Dask scheduler answers"):
        workers.run(Picky(), [1])


def test_workers_that_are_lost_end_a_run_as_a_limit_does(caplog: pytest.LogCaptureFixture) -> None:
    deadline = Deadline(100.0)
    part, after = deadline.within(10.0), deadline.after(10.0)
    # The first chunk is sent twice: a new worker asks for its work.
    executor = GivenExecutor(FailingExecutor(2, FAILURES["connection"], at_once=False), 1)
    with executor.open() as opened:
        workers = Lasting(opened, deadline)
        assert workers.run(Picky(), [1]) == [1]
        assert not deadline.over()
        assert workers.run(Picky(), [1, 2]) is None
    assert part.over()
    assert part.why is Termination.WORKERS
    assert not after.over()
    assert "is gone" in caplog.text


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
