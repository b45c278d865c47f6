"""What processes are given to do. Each process imports this module, which must not wait for what it does not need."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openpoint.arrays import Floats
    from openpoint.studies.reconfigure.model import RadialProgram
    from openpoint.twostage.recourse.evaluation import Response


@dataclass(frozen=True)
class Price:
    """The recourse of a program at a decision."""

    program: RadialProgram

    def prepare(self, stop: object = None) -> Callable[[Floats], Response]:
        from openpoint.twostage.recourse.evaluation import Subproblem

        subproblem = Subproblem(self.program, self.program.network.n_conductors)
        return lambda decision: subproblem.respond(decision, self.program.uncertainty.values[0])


@dataclass(frozen=True)
class Tracked:
    """Squares, and leaves a file for every preparation and every attempt; `deadly` arguments kill their worker.

    Attributes:
        folder: where the files go.
        deadly: arguments whose first attempts end in the death of the worker.
        deaths: number of these attempts.
        seconds: that an argument takes.
    """

    folder: Path
    deadly: tuple[int, ...] = ()
    deaths: int = 1
    seconds: float = 0.0

    def prepare(self, stop: object = None) -> Callable[[int], int]:
        (self.folder / f"prepared-{os.getpid()}-{uuid.uuid4().hex}").touch()
        return self.square

    def square(self, x: int) -> int:
        attempt = len(list(self.folder.glob(f"tried-{x}-*")))
        (self.folder / f"tried-{x}-{uuid.uuid4().hex}").touch()
        time.sleep(self.seconds)
        if x in self.deadly and attempt < self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        return x * x

    def prepared(self) -> list[str]:
        """Process of every preparation."""
        return [path.name.split("-")[1] for path in self.folder.glob("prepared-*")]

    def tried(self, x: int) -> int:
        return len(list(self.folder.glob(f"tried-{x}-*")))


@dataclass(frozen=True)
class Picky:
    """Refuses 13."""

    def prepare(self, stop: object = None) -> Callable[[int], int]:
        return self.refuse

    def refuse(self, x: int) -> int:
        if x == 13:
            raise ZeroDivisionError("13")
        return x


LARGE = 30_000_000
"""Bytes that take milliseconds to send, far more than a pipe holds."""


@dataclass(frozen=True)
class Large:
    """Large answers; the first worker dies in the middle of sending one."""

    file: Path

    def prepare(self, stop: object = None) -> Callable[[int], bytes]:
        return self.answer

    def answer(self, x: int) -> bytes:
        if x == 1 and not self.file.exists():
            self.file.touch()
            threading.Thread(target=self.die_sending, daemon=True).start()
        return bytes([x]) * LARGE

    def die_sending(self) -> None:
        main = threading.main_thread().ident
        assert main is not None
        while not sys._current_frames()[main].f_code.co_name.startswith("_send"):
            time.sleep(0.0005)
        os.kill(os.getpid(), signal.SIGKILL)


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
