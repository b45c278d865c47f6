"""Subproblems over any `concurrent.futures.Executor`: sent in chunks, repeated where a worker ended, in order."""

from __future__ import annotations

import hashlib
import pickle
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from openpoint.errors import OpenpointError


class WorkersLostError(OpenpointError):
    """The workers are gone, or end again and again: nothing more can be computed there. What is known stays true."""


KEPT = 8
"""Works that a worker keeps prepared; the longest unused one is removed first."""
CHUNKS_PER_WORKER = 16
"""Chunks per worker: enough that workers are busy where subproblems differ in length, few enough for little traffic."""
POLL_S = 0.1
"""Seconds between two calls of `stop`."""
EXAMINE_S = 1.0
"""Seconds without an answer after which the workers are checked."""

A = TypeVar("A")
B = TypeVar("B")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True)


def never() -> bool:
    """Do not stop."""
    return False


class Work(Protocol[A_contra, B_co]):
    """A computation for every argument: a picklable value, such as a frozen dataclass that contains a program.

    The answer to an argument must depend on the work and the argument only, bit for bit: not on earlier answers and
    not on the worker. Then no choice of workers changes a result.
    """

    def prepare(self, stop: Callable[[], bool] = never) -> Callable[[A_contra], B_co]:
        """Make the function of an argument. Expensive, called once in each worker, which keeps the function.

        Args:
            stop: whether the run is over; then an answer that is being computed may end early. It is not used in
                processes of their own: there the run does not wait for late answers.
        """
        ...


class Workers(Protocol):
    """Workers: where works are computed."""

    def run(self, work: Work[A, B], arguments: Sequence[A], stop: Callable[[], bool] = never) -> list[B] | None:
        """The answers in the order of the arguments; None if stopped before all were there.

        Args:
            work: the same object in every run of a method, so that it is pickled and prepared once.
            arguments: picklable; answers must be so too.
            stop: called at least every 0.2 s, in process between two arguments.

        Raises:
            WorkersLostError: workers ended repeatedly on the same arguments, or the cluster does not answer.
            Exception: what the work raised, unchanged; arguments that were not yet begun are dropped.
        """
        ...


class Backend(Protocol):
    """The properties in which executors differ.

    Attributes:
        name: in messages.
        death: exception of the future of a chunk whose worker ended.
        doubt: such failures of a chunk after which it is run by itself, so that no other chunk can be the cause.
        failure_limit: failures of a chunk run by itself after which the run ends with an error.
        remedy: what the user can do about workers that end.
    """

    name: str
    death: type[Exception]
    doubt: int
    failure_limit: int
    remedy: str

    def start(self) -> Executor:
        """A new executor, where there is none or the last one is broken."""
        ...

    def count(self) -> int:
        """Number of workers at present, at least 1."""
        ...

    def examine(self) -> None:
        """Called after every second in which no chunk came back: end broken workers, raise if none is left."""
        ...


class Pool:
    """Workers of any `concurrent.futures.Executor`: a process pool, Dask, `mpi4py.futures`."""

    def __init__(self, backend: Backend) -> None:
        """Make a pool; workers start at the first run."""
        self._backend = backend
        self._executor: Executor | None = None
        self._parcels: OrderedDict[int, _Parcel] = OrderedDict()

    def run(self, work: Work[A, B], arguments: Sequence[A], stop: Callable[[], bool] = never) -> list[B] | None:
        """See Workers."""
        parcel = remembered(self._parcels, id(work), lambda: _Parcel.of(work))
        if not len(arguments):
            return []
        count = self._backend.count()
        size = -(-len(arguments) // (CHUNKS_PER_WORKER * count))
        chunks: list[_Chunk[A, B]] = [_Chunk(k, arguments[k : k + size]) for k in range(0, len(arguments), size)]
        waiting, flying = deque(chunks), dict[Future[Any], _Chunk[A, B]]()
        last_answer = time.monotonic()
        try:
            while waiting or flying:
                if stop():
                    return None
                # One more than there are workers, so that none waits for its next chunk.
                while waiting and len(flying) <= count and not (flying and self._doubts(waiting[0], *flying.values())):
                    chunk = waiting.popleft()
                    flying[self._submit(parcel, chunk)] = chunk
                if len(flying) > 1:
                    for chunk in flying.values():
                        chunk.in_company = True
                landed = wait(flying, POLL_S, FIRST_COMPLETED).done
                if not landed and time.monotonic() - last_answer > EXAMINE_S:
                    self._backend.examine()
                if landed or time.monotonic() - last_answer > EXAMINE_S:
                    last_answer = time.monotonic()
                for future in landed:
                    self._land(future, flying.pop(future), waiting, len(arguments))
        finally:
            for future in flying:
                future.cancel()
        return [answer for chunk in chunks for answer in chunk.answers]

    def _doubts(self, *chunks: _Chunk[A, B]) -> bool:
        return any(chunk.deaths >= self._backend.doubt for chunk in chunks)

    def _submit(self, parcel: _Parcel, chunk: _Chunk[A, B]) -> Future[Any]:
        """Submit a chunk. A broken executor raises an error at that point; then it is replaced.

        Raises:
            WorkersLostError: a new one takes no work either.
        """
        pickled = parcel.pickled if chunk.with_work else None
        if self._executor is not None:
            try:
                return self._executor.submit(_work_on, parcel.digest, pickled, chunk.arguments)
            except Exception:  # broken: a new one is tried, which says what is the matter
                self._executor = None
        self._executor = self._backend.start()
        try:
            return self._executor.submit(_work_on, parcel.digest, pickled, chunk.arguments)
        except Exception as error:  # executors of others raise what they like once they are shut down
            raise WorkersLostError(f"{self._backend.name} takes no work: {error}. {self._backend.remedy}") from error

    def _land(self, future: Future[Any], chunk: _Chunk[A, B], waiting: deque[_Chunk[A, B]], n: int) -> None:
        """Keep the answers of a chunk, or put it back in the queue."""
        try:
            answers = future.result()
        except (CancelledError, OSError, MemoryError) as error:
            reason = "ran out of memory" if isinstance(error, MemoryError) else "is gone"
            raise WorkersLostError(f"{self._backend.name} {reason}; start it again, or run in process") from error
        except self._backend.death as error:
            chunk.deaths += 1
            chunk.deaths_alone += not chunk.in_company
            if chunk.deaths_alone >= self._backend.failure_limit:
                raise WorkersLostError(
                    f"{self._backend.name}: workers died again and again on {chunk} of {n}. {self._backend.remedy}"
                ) from error
            chunk.in_company = False
            waiting.append(chunk)
            return
        if answers is None:
            chunk.with_work = True
            waiting.appendleft(chunk)
        else:
            chunk.answers = answers


@dataclass(frozen=True)
class _Parcel:
    """A pickled work. It keeps a reference to the work, so that no other object gets its id."""

    work: object
    pickled: bytes
    digest: str

    @classmethod
    def of(cls, work: object) -> _Parcel:
        pickled = pickle.dumps(work, pickle.HIGHEST_PROTOCOL)
        return cls(work, pickled, hashlib.sha256(pickled).hexdigest())


@dataclass
class _Chunk(Generic[A, B]):
    """Some of the arguments, from number `first` on; its failures, and whether a worker requested its work."""

    first: int
    arguments: Sequence[A]
    answers: list[B] = field(default_factory=list)
    in_company: bool = False
    deaths: int = 0
    deaths_alone: int = 0
    with_work: bool = False

    def __str__(self) -> str:
        last = self.first + len(self.arguments)
        return f"subproblem {last}" if len(self.arguments) == 1 else f"subproblems {self.first + 1} to {last}"


def remembered(kept: OrderedDict[K, V], key: K, make: Callable[[], V], most: int = KEPT) -> V:
    """The value of a key, made where it is not among the last used ones, at most so many."""
    if key not in kept:
        while len(kept) >= most:
            kept.popitem(last=False)
        kept[key] = make()
    kept.move_to_end(key)
    return kept[key]


# In the worker.

_prepared: OrderedDict[str, Callable[[Any], Any]] = OrderedDict()
_busy = threading.Lock()
"""Lock of the work: solvers and CVXPY's numbering of variables are not thread-safe, and Dask may use two threads."""


def _work_on(digest: str, pickled: bytes | None, arguments: Sequence[Any]) -> list[Any] | None:
    """Answers to a chunk of arguments; None where this worker does not have the work, which then must be sent."""
    with _busy:
        if pickled is None and digest not in _prepared:
            return None
        answer = remembered(_prepared, digest, lambda: pickle.loads(pickled or b"").prepare())
        return [answer(argument) for argument in arguments]
