"""Check a certificate of `openpoint reconfigure` or `dispatch` without the code that wrote it.

A certificate (docs/formats.md) claims that every radial state that a question allows (`openpoint.verify.question`, made
of the user's grid, tables and options) has an objective value of at least `bound`, and contains a state with the value
`value`.
Its lines describe a branch-and-bound tree. The checker tracks the states of the branches and the positions that each
device may have (`openpoint.verify.devices`) itself, and derives what follows from the graph with its own search for
loops and bridges and its own count of closings. It accepts

- that a branch cannot be open, or that a node contains no state of interest, only by a lower bound of at least `bound`,
  evaluated in integers: data and multipliers are multiples of powers of two, all divisions and roots are rounded to the
  safe side;
- that a node contains no radial state, only by the graph;
- a radial state by its power flow, a sweep in floating point, of a year one in every step: the only place where
  rounding enters. With dispatchable generators it accepts a radial state by a lower bound only. The limits
  are 1e-6 wider than those asked. A state within 1e-8 of such a limit counts neither as keeping nor as violating
  it: the best state may be one, and other such states may have less loss;
- the end of the file, when both sides of every branching are done.

The bound is derived in `openpoint.verify.bound`, that by paths in `openpoint.verify.paths`; the head is checked in
`openpoint.verify.claim`. Under many futures a node has a bound for each of them, and their measure is the bound
(`openpoint.verify.year`); of a year the bounds of groups of steps are those of futures (`openpoint.verify.year`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from openpoint.arrays import Complexes
from openpoint.network import Network
from openpoint.verify.claim import EXACT, Claim
from openpoint.verify.devices import Span, running
from openpoint.verify.fixed_point import NodeBound
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
    Step,
    read_head,
    read_line,
)
from openpoint.verify.path_parts import PartLines
from openpoint.verify.paths import Swept, obstacles, swept
from openpoint.verify.question import Question
from openpoint.verify.regions import Regions, State, Tree
from openpoint.verify.schema import CertificateError
from openpoint.verify.verified import Verified
from openpoint.verify.year import FuturesBounds

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
        raise CertificateError(f"{path}: refused at {error}") from None


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
        raise CertificateError(f"{where}: {error}") from None


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
            raise CertificateError(f"future {k + 1} by itself: {error}") from None
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
            self.bound = NodeBound(self.data, claim.graph, goal, claim.places)
            self.bound.base = self._base(claim.base, self.bound.exact.prices)
        else:
            self.futures = FuturesBounds(self.data, claim.graph, goal, claim.places, claim.every)
        status = np.where(net.terminal_fr == net.terminal_to, OPEN, FREE).astype(np.int8)
        for state in (OPEN, CLOSED):
            status[claim.locked[state]] = state
        self.first = status.copy()
        self.regions: Regions | None = None
        self.parts: PartLines | None = None
        self.tree = Tree(claim.graph, State(status, claim.places.whole, {}, set(), {}))

    def _base(self, given: list[int | None], prices: list[int]) -> list[int]:
        """By bus what its multiplier of active power is given in addition to: the price of a source, or 0."""
        own = dict(zip(self.claim.places.sources, prices, strict=True))
        if len(given) != self.claim.graph.n or any(s is not None and s not in range(len(prices)) for s in given):
            raise CertificateError("the sources whose prices multipliers are given beside are none of the grid")
        return [own.get(bus, 0 if s is None else prices[s]) for bus, s in enumerate(given)]

    @property
    def sizes(self) -> Sizes:
        """Of what the next line is of."""
        claim = self.claim
        of_region = None if self.regions is None else self.regions.sizes
        count = 0 if claim.every is None else claim.every.count
        return of_region or Sizes(claim.graph.n, len(claim.graph.fr), claim.devices.count, count)

    def line(self, line: Line) -> None:
        """Check one line of the file."""
        if self.regions is not None:
            if self.regions.line(line, self._is_mine):
                self.regions, self.tree.state = None, None
        elif self.parts is not None:
            self._in_parts(self.parts, line)
        elif self.tree.step(line):
            return
        elif isinstance(line, Step):
            nearer, farther = self._divided(line)
            here = self.tree.here
            other = here.beside(here.status.copy(), farther, dict(here.values))
            here.spans = nearer
            self.tree.leave(other)
        elif isinstance(line, Judged) and self.tree.decided and (only := self._only()) is not None:
            self._judge(*only)
        elif not (self._step_one if self.futures is None else self._step_many)(line):
            raise CertificateError(f"'{line.word}' does not hold here")

    def _step_one(self, line: Line) -> bool:
        """A line with a bound for one demand; whether it is one."""
        here = self.tree.here
        if isinstance(line, Bound | Probe) and line.given is not None and self.bound is not None:
            self.bound.given.take(line.given)
            if self._is_mine() and not self.bound.reached(self.tree.asked(line), here.spans):
                raise CertificateError("the bound of these multipliers does not reach the bound claimed")
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
                raise CertificateError("the bounds of the futures do not reach the bound claimed")
            self.tree.accept(line)
        else:
            return False
        return True

    def _judge(self, positions: list[int], outputs: Complexes) -> None:
        """Accept a radial state that misses a limit or is worth at least what is claimed."""
        claim = self.claim
        self.judged += 1
        found = claim.worth(self.tree.here.status.tolist(), positions, outputs, -EXACT)
        if not math.isfinite(found.value) or (found.kept and found.value < claim.bound - EXACT * claim.size):
            raise CertificateError("a radial state has no power flow, or keeps the limits and loses too little")
        self.tree.state = None

    def _divided(self, line: Step) -> tuple[list[Span], list[Span]]:
        """The intervals of the node that follows and of the one that waits: a device is split after position k."""
        spans, d, k, side = self.tree.here.spans, line.device, line.k, line.side
        if not spans[d][0] <= k < spans[d][1]:
            raise CertificateError(f"device {d} cannot be split after position {k}")
        first, last = spans[d]
        parts = (first, k), (k + 1, last)
        sides = [[*spans[:d], part, *spans[d + 1 :]] for part in parts]
        return sides[side], sides[1 - side]

    def _only(self) -> tuple[list[int], Complexes] | None:
        """The positions of the devices and the outputs of the generators; None if there is any choice."""
        if any(first < last for first, last in self.tree.here.spans):
            return None
        claim, positions = self.claim, [first for first, _ in self.tree.here.spans]
        on = running(claim.net, claim.devices, positions)
        if np.any(on & claim.ranged):
            return None
        return positions, np.where(on, claim.net.p_max + 1j * claim.net.q_max, 0.0)

    @cached_property
    def paths(self) -> Swept:
        """The paths of the first node; made where there are lines of their parts."""
        if why := obstacles(self.data):
            raise CertificateError(f"the bound by paths does not hold for a grid with {', '.join(why)}")
        squares = {bus: high for bus, (_, high) in self.claim.places.squares_of(self.data).items()}
        return swept(self.data, self.claim.graph, squares, self.first.tolist())

    @property
    def done(self) -> bool:
        """Whether no node is left."""
        return self.tree.done and self.regions is None and self.parts is None

    def end(self) -> Verified:
        """The result, after the last line."""
        return self.claim.proven(self.tree.node, self.bounds, self.judged, self.by_paths)
