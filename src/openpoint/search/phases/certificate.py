"""Certificates of grids of any phases: the tree of a proof, and multipliers for the bounds of its nodes.

After the head a file has a line for each node, depth first: the number of a branch that divides it, first open, then
closed; multipliers; "flow", where the flows of all radial states that are left say what they lose; or "none", where
nothing radial is left that feeds all phases with as many changes as are allowed. What is proved is the least of all
bounds and losses; no number that decides is in the file. docs/formats.md has the form.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openpoint.arguments import Names
from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.atomic import write_bytes
from openpoint.errors import InputError, OptionError
from openpoint.formulations.phases import PhasesQuestion, phases_question
from openpoint.grid.grid import Grid
from openpoint.grid.unfed import without_idle
from openpoint.network.limits import Limits
from openpoint.search.phases.bound import squares_for
from openpoint.search.phases.flow import trees_for
from openpoint.search.phases.model import Box, PhaseModel, phase_model
from openpoint.search.phases.multipliers import improve, pattern_for
from openpoint.search.phases.proof import CLOSED, LOOP, OPEN, UNDECIDED, Checker, Nodes
from openpoint.search.phases.states import PROBE_SHARE, graph_for, probe, propagate, states_left
from openpoint.search.phases.tree import Price, price_of
from openpoint.verify import schema
from openpoint.verify.lines import Archive
from openpoint.verify.schema import CertificateError

FORMAT = "openpoint certificate of phases 2"
BITS = 20
"""Multipliers and slopes are multiples of 2^-BITS, and differences from those of the line before."""
LARGEST = 1 << 52
ROUNDS = 8
"""Of the fixed point for the multipliers of a line."""
PAYS, PACE = 20, 16
"""Branches are probed at each node while one in so many is fixed by that, else at one node in so many."""
SHARE = 0.1
"""Flows of buses of the core, over buses squared, up to which all radial states of a node are named without a bound."""
ABOVE = 1e-7
"""By how much of itself a bound is above what is to be proved before it is rounded."""
NUMBERS = 3_000_000
"""Of matrices that are checked at once."""


@dataclass(frozen=True)
class ProvedStates:
    """What a certificate of a grid of any phases proves.

    Attributes:
        grid: its name. box: of voltages in which states are covered. lower_bound_kw: of loss and price of changes of
            all radial states there. open_branches, value_kw: the best state, and its loss by sweeps with that price.
        locked_open, locked_closed, max_changes, change_cost_kw: what the states keep to. bounds, flows: how many.
    """

    grid: str
    box: Box
    lower_bound_kw: float
    open_branches: tuple[str, ...]
    value_kw: float
    locked_open: tuple[str, ...]
    locked_closed: tuple[str, ...]
    max_changes: int | None
    change_cost_kw: float
    bounds: int
    flows: int

    def __str__(self) -> str:
        box, words = self.box, ["in exact AC power flow, whatever limits they keep"]
        for name, locked in (("open", self.locked_open), ("closed", self.locked_closed)):
            words += [f"with {', '.join(locked)} {name}"] if locked else []
        words += [] if self.max_changes is None else [f"with at most {self.max_changes} changes"]
        words += [f"a change counted as {self.change_cost_kw:g} kW"] if self.change_cost_kw else []
        share = 100.0 * (1.0 - self.lower_bound_kw / self.value_kw) if self.value_kw > 0.0 else 0.0
        return (
            f"{self.grid}: no radial state loses less than {self.lower_bound_kw:.6g} kW,\n"
            f"of those whose voltages to neutral lie between {box.v_min:.4g} and {box.v_max:.4g} pu, with angles of "
            f"120 ± {box.turn:.3g} degrees between phases;\n{', '.join(words)}\n"
            f"open {' '.join(self.open_branches) or 'none'}: {self.value_kw:.6g} kW, {max(share, 0.0):.4f} % above\n"
            f"proved by {self.bounds:,} bounds, and {self.flows:,} flows of radial states"
        )


class _Writer:
    """The lines of a proof that no radial state loses less than a target, per unit."""

    def __init__(self, checker: Checker, price: Price, target: float) -> None:
        self.checker, self.blocks, self.price, self.target = checker, checker.blocks, price, target
        self._priority: Ints = np.argsort(-self.blocks.has.sum(axis=1), kind="stable")
        self._trees, self._squares = trees_for(self.blocks), squares_for(self.blocks)
        self._pattern, self._graph = pattern_for(self.blocks), graph_for(self.blocks)
        self._last = np.zeros(2 * int(self.checker.wanted.sum()) + len(self.blocks.bus), dtype=np.int64)
        self._nodes = self._probed = self._fixed = 0

    def lines(self) -> Iterator[Any]:
        """The lines, by depth-first search; flows of radial states may lose less than the target."""
        blocks = self.blocks
        self._trees.v[:] = np.where(blocks.has, np.exp(-2j * np.pi / 3.0 * np.arange(3)), 0.0)
        waiting = [(self.checker.first(), np.zeros(blocks.has.shape, dtype=np.complex128))]
        while waiting:
            status, h = waiting.pop()
            yield from self._node(status, h, waiting)

    def _node(self, status: States, h: Complexes, waiting: list[tuple[States, Complexes]]) -> Iterator[Any]:
        """The lines of a node, with multipliers h."""
        self._nodes += 1
        flows, square = self.checker.flows, len(self.blocks.has) ** 2
        while True:
            some = bool(propagate(self.blocks, status, self._graph)) and self.price(status) < math.inf
            rest = flows.rest(status)
            if some and states_left(self.blocks, rest) * flows.core <= SHARE * square:
                yield "flow"
                return
            bound = self._bound(status, h) if some else math.inf
            if bound >= self._enough(status):
                yield "none" if bound == math.inf else self._written(h)
                return
            if not (left := np.flatnonzero(rest == UNDECIDED)).size:
                yield "flow"
                return
            value, fixed = np.where(rest == UNDECIDED, np.abs(self._trees.i).sum(axis=1), -math.inf), 0
            if self._fixed * PAYS >= self._probed or self._nodes % PACE == 0:
                tools = self._trees, self._squares, self._pattern, self._graph, value, np.empty(len(value))
                probe(self.blocks, status.copy(), self._priority, h, self._enough(status), PROBE_SHARE, *tools)
                self._probed += len(left)
                for e in left[value[left] == math.inf].tolist():
                    if status[e] != UNDECIDED:
                        continue
                    other, better = status.copy(), h.copy()
                    other[e] = OPEN
                    fed = propagate(self.blocks, other, self._graph) and self.price(other) < math.inf
                    bound = self._bound(other, better) if fed else math.inf
                    if bound < self._enough(other):
                        continue
                    fixed += 1
                    yield e
                    yield "none" if bound == math.inf else self._written(better)
                    status[e] = CLOSED
                    if not propagate(self.blocks, status, self._graph):
                        break
                self._fixed += fixed
            if not fixed:
                value[(value == math.inf) | (rest != UNDECIDED)] = -math.inf
                chosen = int(np.argmax(value))
                chosen = chosen if rest[chosen] == UNDECIDED else int(left[0])
                yield chosen
                for state in (CLOSED, OPEN):
                    other = status.copy()
                    other[chosen] = state
                    waiting.append((other, h.copy()))
                return

    def _enough(self, status: States) -> float:
        return (self.target - self.price(status)) * (1.0 + ABOVE)

    def _bound(self, status: States, h: Complexes) -> float:
        if math.isinf(self.price(status)):
            return math.inf
        tools = self._trees, self._squares, self._pattern
        return float(improve(self.blocks, status, self._priority, h, ROUNDS, self._enough(status), *tools))

    def _written(self, h: Complexes) -> dict[str, list[int]]:
        own = h[self.checker.wanted]
        now = np.rint(np.concatenate([own.real, own.imag, self._squares.line[:, 1]]) * 2.0**BITS).astype(np.int64)
        step, self._last = now - self._last, now
        return {"steps": step.tolist()}


def write_proof(
    path: Path, asked: PhasesQuestion, model: PhaseModel, locks: tuple[tuple[str, ...], tuple[str, ...]],
    box: Box, best: Bools, gap: float, over: Callable[[], bool],
) -> float | None:  # fmt: skip
    """Write the proof that radial states lose at least so much, or as much as it turns out that they do.

    Args:
        model: with the box. locks: names that are locked open and closed. best: (B) state. gap: how much less, over
            what that loses. over: whether to give up.

    Returns:
        The bound that the file proves, kW; None where it was given up.

    Raises:
        CertificateError: the checker finds no flow of a state. OSError: not written.
    """
    base = asked.network.s_base_kva / 3.0
    price = price_of(model, asked.switching, base)
    head = {
        "format": FORMAT,
        "locked_open": list(locks[0]),
        "locked_closed": list(locks[1]),
        "max_changes": asked.switching.most,
        "change_cost_kw": asked.switching.cost_kw,
        "box": [box.v_min, box.v_max, box.turn],
        "gap": gap,
        "open": [asked.network.branch_names[b] for b in np.flatnonzero(~best)],
    }
    lines = [head]
    proof = _Proof(model, price, gap)
    _value(model, asked, proof, best)
    for line in _Writer(proof.checker, price, proof.enough).lines():
        lines.append(line)
        proof.take(line)
        if over():
            return None
    found = proof.done()
    write_bytes(path, [gzip.compress("".join(f"{json.dumps(line)}\n" for line in lines).encode(), mtime=0)])
    return found * base


class _Proof:
    """A proof as it is read: nodes that are left, and bounds that wait to be worked out together.

    Attributes:
        least: of what is proved so far, per unit. enough: loss and price of the best state less the gap: nothing above
            it needs to be known well. bounds: how many.
    """

    def __init__(self, model: PhaseModel, price: Price, gap: float) -> None:
        self.checker, self.price, self.gap = Checker(model.blocks), price, gap
        blocks = model.blocks
        self._left = [self.checker.first()]
        self._last = np.zeros(2 * int(self.checker.wanted.sum()) + len(blocks.bus), dtype=np.int64)
        self._waiting: list[tuple[States, Ints, float]] = []
        self._at_once = 1 + NUMBERS // (9 * len(blocks.has))
        self.least, self.enough, self.bounds = math.inf, math.inf, 0

    def take(self, line: Any) -> None:
        """The next line.

        Raises:
            CertificateError: it does not hold.
        """
        if not self._left:
            raise CertificateError("there are more lines than nodes")
        status = self._left.pop()
        some = self.checker.follow(status)
        price = self.price(status)
        if line == "none":
            if some and price < math.inf and self.checker.fed(status):
                raise CertificateError("a node with radial states is said to have none")
            return
        if not some:
            raise CertificateError("a node without a radial state has a line of another kind")
        if isinstance(line, dict):
            steps = schema.integers(schema.record(line, "a bound", ("steps",))["steps"], "steps", len(self._last))
            self._last = self._last + steps
            if (np.abs(self._last) > LARGEST).any():
                raise CertificateError("a multiplier is too large")
            self.bounds += 1
            self._waiting.append((status, self._last, price))
            if len(self._waiting) >= self._at_once:
                self._work()
        elif line == "flow":
            self._note(np.array([self.checker.flows.least(status, self.price, self.enough)]))
        else:
            chosen = schema.whole(line, "a branch", 0, len(status) - 1)
            if status[chosen] != UNDECIDED:
                raise CertificateError(f"branch {chosen} is decided already")
            for state in (CLOSED, OPEN):
                other = status.copy()
                other[chosen] = state
                self._left.append(other)

    def done(self) -> float:
        """The least of what is proved, per unit.

        Raises:
            CertificateError: nodes are left, or a bound or a flow is none.
        """
        if self._left:
            raise CertificateError(f"{len(self._left)} nodes have no line")
        self._work()
        return self.least

    def _work(self) -> None:
        if not self._waiting:
            return
        status, steps, price = (np.array(part) for part in zip(*self._waiting, strict=True))
        self._waiting.clear()
        wanted, scale = self.checker.wanted, 2.0**-BITS
        count = int(wanted.sum())
        h = np.zeros((len(status), *wanted.shape), dtype=np.complex128)
        h[:, wanted] = scale * (steps[:, :count] + 1j * steps[:, count : 2 * count])
        with np.errstate(all="ignore"):  # whatever is not a number is no bound
            found = self.checker.bounds(Nodes(status, h, scale * steps[:, 2 * count :]))
        self._note(found + price)

    def _note(self, found: Floats) -> None:
        if not (found > -math.inf).all():
            raise CertificateError("a line proves nothing: its multipliers give no bound, or no flow is found")
        self.least = min(self.least, float(found.min()))


def is_proof(path: Path) -> bool:
    """Whether a file is a certificate of a grid of any phases."""
    start = f'{{"format": "{FORMAT}"'.encode()
    try:
        with gzip.open(path) as packed:
            return packed.read(len(start)) == start
    except (OSError, EOFError):
        return False


def check_proof(grid: Grid, path: Path | str, progress: Callable[[int, int], None] | None = None) -> ProvedStates:
    """What a certificate proves of a grid of any phases, checked without the bounds and flows of the search.

    Raises:
        CertificateError: it proves nothing, with the reason. InputError: the grid has faults. OSError: not read.
    """
    grid = without_idle(grid.check())
    try:
        with Archive(path, len(grid.buses) + len(grid.branches())) as archive:
            return _checked(grid, archive, progress)
    except CertificateError as error:
        raise CertificateError(f"{path}: refused: {error}") from None
    except (InputError, OptionError) as error:
        raise CertificateError(f"{path}: refused: it does not go with the grid: {error}") from None


def _checked(grid: Grid, archive: Archive, progress: Callable[[int, int], None] | None) -> ProvedStates:
    names = "format", "locked_open", "locked_closed", "max_changes", "change_cost_kw", "box", "gap", "open"
    head = schema.record(archive.line(), "the head", names)
    if head["format"] != FORMAT:
        raise CertificateError(f"its form is not '{FORMAT}': write it again with this version")
    locked_open, locked_closed = (tuple(schema.texts(head[name], name)) for name in names[1:3])
    most = None if head["max_changes"] is None else schema.whole(head["max_changes"], "max_changes", 0, schema.LARGE)
    cost = schema.number(head["change_cost_kw"], "change_cost_kw", 0.0)
    v_min, v_max, turn = schema.numbers(head["box"], "box", 3).tolist()
    if not (0.2 <= v_min < v_max <= 2.0 and 0.0 <= turn < 60.0):
        raise CertificateError("the box is none: voltages from 0.2 to 2 pu, and angles of less than 60 degrees")
    box = Box(v_min, v_max, turn)
    asked, model = _stated(grid, locked_open, locked_closed, most, cost, box)
    network, base = asked.network, asked.network.s_base_kva / 3.0
    gap = schema.number(head["gap"], "gap", 0.0)
    proof = _Proof(model, price_of(model, asked.switching, base), gap)
    closed = np.ones(len(network.branch_names), dtype=np.bool_)
    closed[schema.named(head["open"], "open", {name: b for b, name in enumerate(network.branch_names)})] = False
    value = _value(model, asked, proof, closed)
    while (line := archive.line()) is not None:
        proof.take(line)
        if progress is not None:
            progress(*archive.place)
    bound = proof.done() * base
    return ProvedStates(
        grid=grid.name,
        box=box,
        lower_bound_kw=bound,
        open_branches=tuple(network.branch_names[b] for b in np.flatnonzero(~closed)),
        value_kw=value * base,
        locked_open=locked_open,
        locked_closed=locked_closed,
        max_changes=most,
        change_cost_kw=cost,
        bounds=proof.bounds,
        flows=proof.checker.flows.count,
    )


def _stated(
    grid: Grid, locked_open: Names, locked_closed: Names, most: int | None, cost: float, box: Box
) -> tuple[PhasesQuestion, PhaseModel]:
    """The question that a head has in words, and the grid as matrices."""
    asked = phases_question(
        grid,
        free=("topology",),
        limits=Limits(voltage=False, current=False),
        locked_open=locked_open,
        locked_closed=locked_closed,
        max_changes=most,
        change_cost_kw=cost,
    )
    return asked, phase_model(asked.grid, asked.network, asked.always, asked.never, box)


def problem_text(grid: Grid, of: ProvedStates) -> str:
    """The problem of a certificate as plain numbers, which docs/check_phases.py reads."""
    locks = of.locked_open, of.locked_closed
    asked, model = _stated(without_idle(grid.check()), *locks, of.max_changes, of.change_cost_kw, of.box)
    blocks, network = model.blocks, asked.network
    today, number = asked.switching.today, model.block_of
    rows = [
        {
            "name": name,
            "phases": np.flatnonzero(blocks.has[b]).tolist(),
            "source": _pairs(blocks.held[b]) if blocks.is_source[b] else None,
            "s": _pairs(blocks.s[b]),
            "y": _pairs(blocks.y[b]) if blocks.y[b].any() else None,
        }
        for b, name in enumerate(network.bus_names)
    ]
    branches = [
        {
            "names": [network.branch_names[b] for b in np.flatnonzero(number == e)],
            "fr": int(blocks.fr[e]),
            "to": int(blocks.to[e]),
            "phases": np.flatnonzero(blocks.carries[e]).tolist(),
            "z": _pairs(blocks.z[:, e]),
            "ratio": _pairs(blocks.ratio[:, e]),
            "y_fr": _pairs(blocks.y_fr[e]) if blocks.y_fr[e].any() else None,
            "y_to": _pairs(blocks.y_to[e]) if blocks.y_to[e].any() else None,
            "movable": bool(blocks.movable[e]),
            "loop": _pairs(blocks.loop[e]) if blocks.closes[e] else None,
            "today": today[number == e].tolist(),
        }
        for e in range(len(blocks.fr))
    ]
    names = "bus", "phase", "back", "power", "degree", "low", "high", "rated", "outer"
    columns = [getattr(blocks, name) for name in names]
    columns[3] = np.stack([blocks.power.real, blocks.power.imag], axis=1)
    loads = [dict(zip(names, row, strict=True)) for row in zip(*(column.tolist() for column in columns), strict=True)]
    for load in loads:
        load["high"] = load["high"] if math.isfinite(load["high"]) else None
    head = {
        "format": "openpoint problem of phases 1",
        "base_kw": network.s_base_kva / 3.0,
        "locked_open": list(locks[0]),
        "locked_closed": list(locks[1]),
        "max_changes": of.max_changes,
        "change_cost_kw": of.change_cost_kw,
        "fixed_changes": int(today[number < 0].sum()),
    }
    return json.dumps({**head, "buses": rows, "branches": branches, "loads": loads}) + "\n"


def _pairs(values: Complexes) -> Any:
    """Complex numbers as pairs, in lists within lists."""
    return np.stack([values.real, values.imag], axis=-1).tolist()


def _value(model: PhaseModel, asked: PhasesQuestion, proof: _Proof, closed: Bools) -> float:
    """Loss and price of the best state (B), per unit.

    Raises:
        CertificateError: it is no radial state that is allowed, or has no flow.
    """
    allowed = bool((closed | ~asked.always).all() and not (closed & asked.never).any()) and asked.is_radial(closed)
    status = proof.checker.first()
    status[status == UNDECIDED] = OPEN
    known = model.block_of >= 0
    status[model.block_of[known & closed]] = CLOSED
    status[model.blocks.closes] = LOOP
    price = proof.price(status)
    value = proof.checker.flows.value(status) if allowed else math.inf
    if not (allowed and value < math.inf and price < math.inf):
        raise CertificateError("its best state is not radial, not allowed, or has no flow")
    value = value * (1.0 + 2e-8) + price
    proof.enough = value * (1.0 - proof.gap)
    return value
