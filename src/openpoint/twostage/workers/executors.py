"""Where subproblems run: in this process, in a pool of processes, or on a Dask cluster. The answers are the same.

Tasks in processes of their own, of which one that ends takes no other with it.

`concurrent.futures` gives up a whole pool when one of its processes ends. Where tasks are long and unlike each other,
as whole grids are, each process has a pipe of its own: the end of a process is seen as the end of its pipe, its task is
tried once more in a new process, and the others go on.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar

from openpoint.errors import MissingExtraError, OptionError
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.workers.pool import A, B, Pool, Work, Workers, WorkersLostError, never, remembered

P = ParamSpec("P")
T = TypeVar("T")

_OF_TERMINALS = [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if name in dir(signal)]
MOST_PROCESSES = 61 if sys.platform == "win32" else 4096
"""Windows cannot wait for more."""
CONNECT_S = 10.0
"""Seconds within which a scheduler must answer and have a worker."""
DESERTED = 60
"""Seconds without workers after which the run on a cluster ends with an error."""


@dataclass(frozen=True)
class InProcess:
    """Subproblems one after the other in this process. For small grids, whose subproblems take milliseconds."""

    def __str__(self) -> str:
        return "serial"

    @contextmanager
    def open(self) -> Iterator[Workers]:
        """Workers for the length of the block."""
        yield _Here()


class _Here:
    def __init__(self) -> None:
        self._prepared: OrderedDict[int, tuple[object, Callable[[Any], Any]]] = OrderedDict()
        self._stop: Callable[[], bool] = never

    def run(self, work: Work[A, B], arguments: Sequence[A], stop: Callable[[], bool] = never) -> list[B] | None:
        self._stop = stop
        _, answer = remembered(self._prepared, id(work), lambda: (work, work.prepare(lambda: self._stop())))
        answers: list[B] = []
        for argument in arguments:
            if stop():
                return None
            answers.append(answer(argument))
        return answers


@dataclass(frozen=True)
class Processes:
    """A pool of processes on this machine, started at the first run and kept until the end of the block.

    The processes are spawned, not forked: a fork copies the locks that threads of numba, Polars or a solver hold at
    that moment, and Windows has none. Therefore a script must start its work below `if __name__ == "__main__":`.

    Attributes:
        count: processes, at least 1.
    """

    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_PROCESSES:
            raise OptionError(f"{self.count} processes; give a number from 1 to {MOST_PROCESSES}")

    def __str__(self) -> str:
        return f"processes:{self.count}"

    @contextmanager
    def open(self) -> Iterator[Workers]:
        """Workers for the length of the block, at the end of which the processes are killed."""
        backend = _ProcessBackend(str(self), self.count)
        try:
            yield Pool(backend)
        finally:
            backend.close()


class _ProcessBackend:
    death: type[Exception] = BrokenExecutor
    doubt = 2
    failure_limit = 2
    remedy = (
        "Most likely they ran out of memory: take fewer processes, or none to see the fault itself. "
        'A script must start its work below `if __name__ == "__main__":`.'
    )

    def __init__(self, name: str, count: int) -> None:
        self.name, self._count = name, count
        self._started: list[ProcessPoolExecutor] = []

    def start(self) -> Executor:
        self._started.append(_Deaf(self._count, multiprocessing.get_context("spawn"), settle))
        return self._started[-1]

    def count(self) -> int:
        return self._count

    def examine(self) -> None:
        """End the pool where a process has ended: after half an answer the pool would wait for the rest forever.

        Raises:
            WorkersLostError: the thread that hands out the work has ended, as it does where memory does not suffice.
        """
        executor: Any = self._started[-1]
        thread: threading.Thread | None = executor._executor_manager_thread
        # Where a process has ended the pool counts as broken before its thread ends, and what it computed is answered.
        if thread is not None and not thread.is_alive() and not executor._broken:
            raise WorkersLostError(f"{self.name}: no work is handed out any more. {self.remedy}")
        if connection.wait([process.sentinel for process in _processes(executor)], timeout=0):
            _kill(executor)

    def close(self) -> None:
        for executor in self._started:
            _kill(executor)
            executor.shutdown(wait=True, cancel_futures=True)


class _Deaf(ProcessPoolExecutor):
    """A pool whose processes start with Ctrl-C blocked, until they ignore it: this process reacts to it."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with interrupts_blocked():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Within it signals of the terminal wait; a process that is started in it begins so."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle() -> None:
    """In a new process: ignore Ctrl-C and the end of the terminal, and end when the parent has ended."""
    for each in _OF_TERMINALS:
        signal.signal(each, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _kill(executor: ProcessPoolExecutor) -> None:
    """End a pool: kill its processes, and close this side of the pipe of answers so that the pool sees their end."""
    for process in _processes(executor):
        process.kill()
    answers: Any = executor._result_queue
    if answers is not None:
        answers._writer.close()


def _processes(executor: ProcessPoolExecutor) -> list[BaseProcess]:
    return list((executor._processes or {}).values())


@dataclass(frozen=True)
class Cluster:
    """A running Dask cluster (extra `dask`), whose workers have the same openpoint installed.

    A worker uses one thread, so start as many as there are cores: `dask worker HOST:PORT --nworkers 16 --nthreads 1`.
    Where a worker is lost, Dask sends its work to the others.

    Only for a scheduler and a network that you trust: scheduler and workers are sent pickled Python objects and send
    such back, so that each of them can run any code here, and whoever reaches the scheduler can run any code there.

    Attributes:
        address: of the scheduler, as `dask://host:port`.
    """

    address: str

    _PATTERN: ClassVar[re.Pattern[str]] = re.compile(r"dask://([^/\s]+:\d+)/?")

    def __post_init__(self) -> None:
        if not self._PATTERN.fullmatch(self.address):
            raise OptionError(f"{self.address!r} is no address of a Dask scheduler; write dask://host:port")

    def __str__(self) -> str:
        return self.address

    @contextmanager
    def open(self) -> Iterator[Workers]:
        """Workers for the length of the block; the cluster runs on after it.

        A scheduler that answered before in this process and does not any more is one that has lost its workers: what
        was found with them is to be kept.

        Raises:
            MissingExtraError: Dask is not installed.
            OptionError: no scheduler answers at the address, or it has no workers.
        """
        try:
            from distributed import Client, KilledWorker
        except ImportError as error:
            raise MissingExtraError("distributed", "dask", "A Dask cluster") from error
        try:
            client = self._connected(Client)
        except OptionError as error:
            if self.address not in _REACHED:
                raise
            yield _Gone(str(error))
            return
        _REACHED.add(self.address)
        with client:
            yield Pool(_DaskBackend(str(self), client, KilledWorker))

    def _connected(self, connect: Any) -> Any:
        """A client of the scheduler, which has workers; `connect` is untyped in Dask."""
        where = self.address.removeprefix("dask://").rstrip("/")
        try:
            client = connect(f"tcp://{where}", timeout=CONNECT_S, set_as_default=False, name="openpoint")
        except OSError as error:
            raise OptionError(
                f"no Dask scheduler answers at {self.address}; start one with `dask scheduler`, or correct the address"
            ) from error
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
            threads = client.nthreads()
        except Exception as error:  # a client that has lost its scheduler raises exceptions of many types
            client.close(timeout=CONNECT_S)
            raise OptionError(
                f"the Dask scheduler at {self.address} has no workers; start some with "
                f"`dask worker {where} --nworkers auto --nthreads 1`"
            ) from error
        if (most := max(threads.values())) > 1:
            logging.getLogger(__name__).warning(
                "workers at %s have up to %d threads each, of which one is used; "
                "start them with --nworkers auto --nthreads 1",
                self.address,
                most,
            )
        return client


_REACHED: set[str] = set()
"""Addresses of schedulers that have answered in this process."""


@dataclass(frozen=True)
class _Gone:
    """Workers that are lost from the start; `why` with the remedy."""

    why: str

    def run(self, work: Work[A, B], arguments: Sequence[A], stop: Callable[[], bool] = never) -> list[B] | None:
        raise WorkersLostError(self.why)


@dataclass(frozen=True)
class Lasting:
    """Workers whose loss ends a run as a limit does: with the best answer that was verified, and its gap.

    Attributes:
        workers: those that may be lost. deadline: is over once they are.
    """

    workers: Workers
    deadline: Deadline

    def run(self, work: Work[A, B], arguments: Sequence[A], stop: Callable[[], bool] = never) -> list[B] | None:
        """See Workers; None, too, where they are lost, with a warning."""
        try:
            return self.workers.run(work, arguments, stop)
        except WorkersLostError as error:
            logging.getLogger(__name__).warning("%s", error)
            self.deadline.lose_workers()
            return None


class _DaskBackend:
    doubt = 1  # the scheduler has tried several workers itself before it gives up
    failure_limit = 1
    remedy = "Most likely they ran out of memory: give the workers more, or run in process to see the fault itself."

    def __init__(self, name: str, client: Any, death: type[Exception]) -> None:
        self.name, self._client, self.death = name, client, death
        self._deserted = 0

    def start(self) -> Executor:
        # With `pure=True` Dask would return the stored error of a chunk when it is repeated.
        executor: Executor = self._client.get_executor(pure=False)
        return executor

    def count(self) -> int:
        return max(1, self._workers())

    def _workers(self) -> int:
        try:
            return len(self._client.nthreads())
        except Exception as error:  # a closed client raises exceptions of many types
            raise WorkersLostError(f"{self.name} is gone; start it again, or run in process") from error

    def examine(self) -> None:
        self._deserted = 0 if self._workers() else self._deserted + 1
        if self._deserted > DESERTED:
            raise WorkersLostError(f"{self.name}: no workers are left; start new ones, or run in process")


@dataclass(frozen=True)
class GivenExecutor:
    """An executor that the caller has made and will shut down, such as that of `mpi4py.futures`.

    Attributes:
        executor: runs the subproblems; its workers have the same openpoint installed. count: of its workers.
    """

    executor: Executor
    count: int = 2

    def __str__(self) -> str:
        return type(self.executor).__name__

    @contextmanager
    def open(self) -> Iterator[Workers]:
        """Workers for the length of the block; the executor runs on after it."""
        yield Pool(_GivenBackend(str(self), self.executor, self.count))


class _GivenBackend:
    death: type[Exception] = BrokenExecutor
    doubt = 1
    failure_limit = 1
    remedy = "Make a new one, or let openpoint start processes, which it replaces where they end."

    def __init__(self, name: str, executor: Executor, count: int) -> None:
        self.name, self._executor, self._count = name, executor, count
        self._started = False

    def start(self) -> Executor:
        if self._started:
            raise WorkersLostError(f"the {self.name} given is broken: one of its workers ended. {self.remedy}")
        self._started = True
        return self._executor

    def count(self) -> int:
        return max(1, self._count)

    def examine(self) -> None:
        """The executor itself finds out whether its workers have ended."""


Choice = InProcess | Processes | Cluster | GivenExecutor
"""Where subproblems run, as the user chooses it."""


def executor_from(text: str | None) -> Choice:
    """The executor that a text names: None or `serial`, `processes:4`, `dask://host:port`; `str` is the inverse.

    Raises:
        OptionError: it names none.
    """
    if text is None or text == "serial":
        return InProcess()
    if text.startswith("dask:"):
        return Cluster(text)
    if match := re.fullmatch(r"processes:(\d{1,6})", text):
        return Processes(int(match[1]))
    raise OptionError(
        f"{text!r} is no place to run subproblems; write serial, processes:4 (a number of processes on this machine) "
        "or dask://host:port (the scheduler of a Dask cluster)"
    )


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
