"""Tasks in processes of their own, of which one that ends takes no other with it.

`concurrent.futures` gives up a whole pool when one of its processes ends. Where tasks are long and unlike each other,
as whole grids are, each process has a pipe of its own: the end of a process is seen as the end of its pipe, its task is
tried once more in a new process, and the others go on.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Generic

from openpoint.twostage.workers.executors import interrupts_blocked, settle
from openpoint.twostage.workers.pool import A, B, never

TRIES = 2
"""Processes that a task may end; a process may also end by what is not its task's fault, as where memory is short."""
POLL_S = 0.1
"""Seconds between two calls of `stop`."""
# One thread a process: as many processes as processors are busy otherwise with each other's threads. These are read
# where the libraries are imported, so the process must be born with them.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class Lost:
    """What stands for the answer of a task whose process ended, as often as it was tried.

    Attributes:
        exit_code: of the last process; negative is the number of the signal that ended it.
    """

    exit_code: int


@dataclass(frozen=True, slots=True)
class _Raised:
    error: Exception


@dataclass(frozen=True, slots=True)
class _Worker(Generic[A]):
    """A process, the pipe to it, and the number of the task that it has (-1: none)."""

    process: BaseProcess
    pipe: Connection
    task: int = -1


def run_apart(
    work: Callable[[A], B], arguments: Sequence[A], count: int, stop: Callable[[], bool] = never
) -> Generator[tuple[int, B | Lost]]:
    """The number of each argument and its answer, as they come.

    Args:
        work: a picklable function or value. arguments: picklable, as answers must be.
        count: processes, at least 1.
        stop: called at least every 0.2 s; once it says so, the processes are killed and nothing more comes.

    Raises:
        Exception: what the work raised, unchanged; the processes are killed, and tasks that they had are lost.
    """
    waiting = deque(range(len(arguments)))
    tries = dict.fromkeys(waiting, 0)
    workers: dict[Connection, _Worker[A]] = {}
    try:
        while (waiting or workers) and not stop():
            while waiting and len(workers) < min(count, len(arguments)):
                started = _started(work)
                workers[started.pipe] = started
            for pipe, worker in list(workers.items()):
                if worker.task >= 0:
                    continue
                if not waiting:
                    del workers[pipe]
                    pipe.close()  # the process ends where its pipe does
                    continue
                task = waiting.popleft()
                workers[pipe] = _Worker(worker.process, pipe, task)
                with suppress(OSError):  # it has ended: its pipe says so below
                    pipe.send(arguments[task])
            for ready in connection.wait(list(workers), timeout=POLL_S):
                worker = next(each for pipe, each in workers.items() if pipe is ready)
                answer = _answer(worker)
                if not isinstance(answer, Lost):
                    workers[worker.pipe] = _Worker(worker.process, worker.pipe)
                    yield worker.task, answer
                    continue
                del workers[worker.pipe]
                worker.pipe.close()
                tries[worker.task] += 1
                if tries[worker.task] < TRIES:
                    waiting.append(worker.task)
                else:
                    yield worker.task, answer
    finally:
        for worker in workers.values():
            worker.process.kill()
            worker.pipe.close()


def _answer(worker: _Worker[A]) -> B | Lost:
    """What a worker sent, or that it ended."""
    try:
        answer = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        return Lost(worker.process.exitcode or 0)
    if isinstance(answer, _Raised):
        raise answer.error
    found: B | Lost = answer
    return found


def _started(work: Callable[[A], B]) -> _Worker[A]:
    """A new process that waits for tasks."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, work), daemon=True)
    with interrupts_blocked(), _environment(ONE_THREAD):
        process.start()
    there.close()
    return _Worker(process, here)


@contextmanager
def _environment(names: Mapping[str, str]) -> Iterator[None]:
    """Within it these environment variables are set, where they were not."""
    added = [name for name in names if name not in os.environ]
    os.environ.update({name: names[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _serve(pipe: Connection, work: Callable[[A], B]) -> None:
    """In a process: do what comes through the pipe until it ends."""
    settle()
    with suppress(EOFError):
        while True:
            argument = pipe.recv()
            try:
                answer: B | _Raised = work(argument)
            except Exception as error:
                answer = _Raised(error)
            pipe.send(answer)
