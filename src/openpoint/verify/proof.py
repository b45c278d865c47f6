"""Check a certificate of `openpoint reconfigure` or `dispatch` without the code that wrote it.

A certificate (docs/formats.md) claims that every radial state that a question allows (`openpoint.verify.question`, made
of the user's grid, tables and options) has an objective value of at least `bound`, and contains a state with the value
`value`.
Its lines describe a branch-and-bound tree. The fast checker tracks the states of the branches itself, and derives what
follows from the graph with its own search for loops and bridges and its own count of closings. It accepts

- that a branch cannot be open, or that a node contains no state of interest, only by a lower bound of at least `bound`,
  evaluated in integers: data and multipliers are multiples of powers of two, all divisions and roots are rounded to the
  safe side;
- that a node contains no radial state, only by the graph;
- a radial state by its power flow, a sweep in floating point, of a year one in every step: the only place where
  rounding enters. With dispatchable generators it accepts a radial state by a lower bound only. The limits
  are 1e-6 wider than those asked. A state within 1e-8 of such a limit counts neither as keeping nor as violating
  it: the best state may be one, and other such states may have less loss;
- the end of the file, when both sides of every branching are done.

The bound is derived in `openpoint.verify.fixed_point`, that by paths in `openpoint.verify.paths`; the head is checked
in `openpoint.verify.claim`. Under many futures a node has a bound for each of them, and their measure is the bound
(`openpoint.verify.year`); of a year the bounds of groups of steps are those of futures (`openpoint.verify.year`).

Devices, prices, and limits of the power of sources and generators the reference checker covers alone
(`openpoint.verify.reference`). It also decides where a bound misses what is claimed in 64 bits.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from openpoint.compiled.jit import IN_PYTHON
from openpoint.network import Network
from openpoint.verify import reference
from openpoint.verify.claim import EXACT, Claim
from openpoint.verify.fixed_point import NodeBound, Undecided
from openpoint.verify.graph import CLOSED, FREE, OPEN
from openpoint.verify.lines import (
    Archive,
    Bound,
    ByParts,
    ByRegions,
    Future,
    Head,
    Judged,
    Line,
    Probe,
    Sizes,
    read_head,
    read_line,
)
from openpoint.verify.path_parts import PartLines
from openpoint.verify.paths import Swept, obstacles, swept
from openpoint.verify.question import Question, problem_text
from openpoint.verify.regions import Regions, State, Tree
from openpoint.verify.schema import CertificateError
from openpoint.verify.verified import Verified
from openpoint.verify.year import FuturesBounds

REFERENCE: Any = reference
"""The reference checker, which has no types."""
TRIES = 64
"""How often a future may be bounded at a node with the same branches closed, or with one more open, at most."""


def check(
    question: Question,
    path: Path | str,
    progress: Callable[[int, int], None] | None = None,
    *,
    workers: int = 1,
) -> Verified:
    """Check a certificate of a question in numbers; otherwise as `openpoint.verify.ask.verify`."""
    if not question.plain or IN_PYTHON:
        return by_reference(question, path, progress)
    try:
        return fast(question, path, progress, workers=workers)
    except Undecided as error:
        with suppress(CertificateError):
            return by_reference(question, path, progress)
        raise CertificateError(str(error)) from None


def fast(
    question: Question,
    path: Path | str,
    progress: Callable[[int, int], None] | None = None,
    *,
    workers: int = 1,
) -> Verified:
    """Check a certificate of a plain question with bounds in 64 bits.

    Raises:
        Undecided: a bound is not reached in these. CertificateError: another step does not hold.
    """
    of_part = partial(_checked, question, path)
    if workers == 1 or question.futures is not None or question.steps is not None:
        return of_part((0, 1), progress)
    with ProcessPoolExecutor(workers - 1, get_context("spawn")) as pool:
        others = [pool.submit(of_part, (k, workers)) for k in range(1, workers)]
        with suppress(CertificateError, BrokenExecutor):
            found = of_part((0, workers), progress)
            for other in others:
                other.result()
            return found
    return of_part((0, 1), progress)  # refused: the words are those of one process; or a process was killed


def opened(net: Network, path: Path | str) -> Archive:
    """The file of a certificate of a network."""
    return Archive(path, net.n_terminals + net.n_conductors)


def _checked(
    question: Question, path: Path | str, part: tuple[int, int], progress: Callable[[int, int], None] | None = None
) -> Verified:
    """Check a file, of its bounds those of a part: (k, n) every n-th from k on."""
    try:
        with opened(question.net, path) as archive:
            return _proven(question, archive, part, progress)[1]
    except CertificateError as error:
        raise type(error)(f"{path}: refused at {error}") from None


def _proven(
    question: Question,
    archive: Archive,
    part: tuple[int, int],
    progress: Callable[[int, int], None] | None = None,
    *,
    alone: bool = False,
) -> tuple[Claim, Verified]:
    """Go through a file, whose place the error names; `alone`: or through the certificate of a future in it."""
    proof = None
    try:
        steps = None if question.steps is None else len(question.steps.hours)
        head = read_head(archive, question.net, steps)
        proof = _Proof(Claim(_with_alone(question, head, archive), head), part)
        while not proof.done:
            proof.lines += 1
            proof.line(read_line(archive, proof.sizes))
            if progress is not None:
                progress(*archive.place)
        if not alone and archive.line() is not None:
            raise CertificateError("there are more lines after the last node")
        return proof.claim, proof.end()
    except CertificateError as error:
        where = f"line {proof.lines + 1}, node {proof.tree.node}" if proof is not None and proof.lines else "head"
        raise type(error)(f"{where}: {error}") from None


def _with_alone(question: Question, head: Head, archive: Archive) -> Question:
    """The question with what each future loses at best by itself, where the risk is regret, by certificates of each."""
    futures = question.futures
    if (head.alone is not None) != (futures is not None and futures.regret):
        raise CertificateError("what each future loses at best by itself is there for regret, and for regret alone")
    if futures is None or head.alone is None:
        return question
    if len(head.alone) != futures.count:
        raise CertificateError(f"there are {len(head.alone)} futures by themselves, and {futures.count} in the table")
    claims = []
    for k, size in enumerate(head.alone):
        one = replace(question, futures=None, net=replace(question.net, s_power=futures.demands[k]))
        try:
            begun = archive.lines
            claims.append(_proven(one, archive, (0, 1), alone=True)[0])
            if archive.lines - begun != size:
                raise CertificateError(f"it has {archive.lines - begun} lines, not {size}")
        except CertificateError as error:
            raise type(error)(f"future {k + 1} by itself: {error}") from None
    alone = [claim.attained for claim in claims], [claim.bound for claim in claims]
    return replace(question, futures=replace(futures, alone=alone))


class _Proof:
    """The state of a check of a file."""

    def __init__(self, claim: Claim, part: tuple[int, int]) -> None:
        """`part`: (k, n) of the bounds for one demand only every n-th is worked out, from k on."""
        self.claim, self.part = claim, part
        self.lines, self.bounds, self.judged, self.by_paths = 0, 0, 0, 0
        net, self.data, goal = claim.net, claim.data(), claim.goal
        self.bound, self.futures = None, None
        if claim.every is None:
            self.bound = NodeBound(self.data, claim.graph, goal)
        else:
            self.futures = FuturesBounds(self.data, claim.graph, goal, claim.every)
        status = np.where(net.terminal_fr == net.terminal_to, OPEN, FREE).astype(np.int8)
        for state in (OPEN, CLOSED):
            status[claim.locked[state]] = state
        self.first = status.copy()
        self.regions: Regions | None = None
        self.parts: PartLines | None = None
        self.tree = Tree(claim.graph, State(status, {}))

    @property
    def sizes(self) -> Sizes:
        """Of what the next line is of."""
        claim = self.claim
        of_region = None if self.regions is None else self.regions.sizes
        count = 0 if claim.every is None else claim.every.count
        return of_region or Sizes(claim.graph.n, len(claim.graph.fr), count)

    def line(self, line: Line) -> None:
        """Check one line of the file."""
        if self.regions is not None:
            if self.regions.line(line, self._is_mine):
                self.regions, self.tree.state = None, None
        elif self.parts is not None:
            self._in_parts(self.parts, line)
        elif self.tree.step(line):
            return
        elif isinstance(line, Judged) and self.tree.decided and not self.claim.ranged.any():
            self._judge()
        elif not (self._step_one if self.futures is None else self._step_many)(line):
            raise CertificateError(f"'{line.word}' does not hold here")

    def _step_one(self, line: Line) -> bool:
        """A line with a bound for one demand; whether it is one."""
        here = self.tree.here
        if isinstance(line, Bound | Probe) and line.given is not None and self.bound is not None:
            self.bound.given.take(line.given)
            if self._is_mine() and not self.bound.reached(self.tree.asked(line)):
                raise Undecided("the bound of these multipliers does not reach the bound claimed")
            self.tree.accept(line)
        elif isinstance(line, ByParts):
            self.parts = PartLines(self.paths, self.claim.goal, here.status, line)
        elif isinstance(line, ByRegions):
            self.bounds += 1
            self.regions = Regions(self.claim, self.data, here.status, line)
        else:
            return False
        return True

    def _in_parts(self, parts: PartLines, line: Line) -> None:
        """A line of a part of the paths; after the last one the node is done."""
        begun = parts.leaves
        done = parts.line(line, self._is_mine)
        self.by_paths += parts.leaves - begun
        self.bounds += parts.leaves - begun - 1  # the part is one of them
        if done:
            self.parts, self.tree.state = None, None

    def _is_mine(self) -> bool:
        """Count a bound; whether it is worked out here."""
        rank, count = self.part
        self.bounds += 1
        return self.bounds % count == rank

    def _step_many(self, line: Line) -> bool:
        """A line with a bound under many futures; whether it is one."""
        here, futures = self.tree.here, self.futures
        assert futures is not None
        if isinstance(line, Future):
            k, branch = line.k, line.branch
            here.tried[k, branch] += 1
            if here.tried[k, branch] > TRIES or not (branch is None or self.tree.is_free(branch)):
                raise CertificateError(f"future {k} is bounded too often here, or branch {branch} is decided already")
            futures.multipliers[k].take(line.given)
            self.bounds += 1
            known = here.values if branch is None else here.opened.setdefault(branch, {})
            found = futures.bound(k, here.status if branch is None else self.tree.with_open(branch))
            known[k] = max([found, *(values[k] for values in (known, here.values) if k in values)])
        elif isinstance(line, Bound | Probe):
            values = here.values if isinstance(line, Bound) else here.values | here.opened.get(line.branch, {})
            if not futures.reached(values):
                raise Undecided("the bounds of the futures do not reach the bound claimed")
            self.tree.accept(line)
        else:
            return False
        return True

    def _judge(self) -> None:
        """Accept a radial state that misses a limit or is worth at least what is claimed."""
        claim = self.claim
        self.judged += 1
        output = claim.net.p_max + 1j * claim.net.q_max
        found = claim.worth(self.tree.here.status.tolist(), [], output, -EXACT)
        if not math.isfinite(found.value) or (found.kept and found.value < claim.bound - EXACT * claim.size):
            raise CertificateError("a radial state has no power flow, or keeps the limits and loses too little")
        self.tree.state = None

    @cached_property
    def paths(self) -> Swept:
        """The paths of the first node; made where there are lines of their parts."""
        if why := obstacles(self.data):
            raise CertificateError(f"the bound by paths does not hold for a grid with {', '.join(why)}")
        return swept(self.data, self.claim.graph, self.claim.squares, self.first.tolist())

    @property
    def done(self) -> bool:
        """Whether no node is left."""
        return self.tree.done and self.regions is None and self.parts is None

    def end(self) -> Verified:
        """The result, after the last line."""
        return self.claim.proven(self.tree.node, self.bounds, self.judged, self.by_paths)


def by_reference(question: Question, path: Path | str, progress: Callable[[int, int], None] | None = None) -> Verified:
    """Check a file with the reference checker, which covers all questions.

    Raises:
        CertificateError: it is refused.
    """
    with opened(question.net, path) as archive:
        try:
            head = read_head(archive, question.net, None if question.steps is None else len(question.steps.hours))
            regret = head.alone is not None
            claim = None if regret else Claim(question, head)
        except CertificateError as error:
            raise CertificateError(f"{path}: refused at head: {error}") from None
    check, count = None, Counter[str]()
    try:
        with gzip.open(path) as packed:
            text = packed.read(reference.MOST_BYTES + 1)
        lines = _counted(REFERENCE.lines_of(text), count, text.count(b"\n"), progress)
        check = REFERENCE.Check(REFERENCE.Problem(problem_text(question)), lines)
        nodes = check.run()
    except (EOFError, zlib.error, *reference.BROKEN) as error:
        where = "head" if not count else f"line {count.total()}"
        raise CertificateError(f"{path}: refused at {where}: {error}") from None
    if claim is None:
        assert question.futures is not None
        alone = [value / reference.ONE for value in check.many.minus], [v / reference.ONE for v in check.many.less]
        claim = Claim(replace(question, futures=replace(question.futures, alone=alone)), head)
    bounds = count["future"] if claim.every is not None else sum(count[word] for word in ("probe", "bound", "leaf"))
    return claim.proven(nodes, bounds, count["judged"], count["leaf"])


def _counted(
    lines: Iterator[Any], count: Counter[str], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[Any]:
    """The lines, counted by their words; leaves of parts of the paths count one by one."""
    for done, line in enumerate(lines):
        if type(line) is list and line and type(line[0]) is str:
            count[line[0]] += 1
            if line[0] == "part" and len(line) > 3 and type(line[3]) is list:
                count["leaf"] += sum(type(node) is int and node < 0 for node in line[3])
        if progress is not None:
            progress(done + 1, total)
        yield line
