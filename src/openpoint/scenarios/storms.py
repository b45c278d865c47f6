"""Random storms: a straight path across the grid; a line breaks with a probability that falls with its distance.

For studies on grids without recorded outages. The model, for a branch whose middle lies at the distance d from the path
of a storm with the wind speed V on the path:

- wind at the branch: V / sqrt(1 + (d / width)²): constant near the path, falling as 1/d outside, as around a vortex;
- the branch breaks with probability p = x⁶ / (1 + x⁶), x = wind / wind that breaks half of all branches. This is a
  log-logistic fragility curve. Fragility curves of overhead lines over the wind speed are S-shaped, as a rule lognormal
  (Panteli, Pickering, Wilkinson, Dawson and Mancarella, IEEE Trans. Power Systems 32(5), 2017, 3747–3757; Ouyang and
  Dueñas-Osorio, Structural Safety 48, 2014, 15–24); the power 6 is as steep as a lognormal one with a dispersion of
  about 0.28. Given the wind, branches break independently of each other;
- V is uniform between 1 − spread and 1 + spread times a mean wind, and the mean wind is set so that a storm breaks
  `mean_broken` branches on average.

The wind is not a forecast, since its scale is fitted: where recorded outages or regional wind maps exist, make the
disasters from them.

The path goes through a point that is uniform over the bounding box of the buses, in a direction that is uniform, too.
Everything is computed by additions, multiplications, divisions and square roots, which every machine rounds alike, so
a seed gives the same storms everywhere; and the first storms of a longer series are those of a shorter one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from openpoint.arguments import names_of
from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.grid.schemas import BRANCH_TABLES
from openpoint.io import GridLike, read
from openpoint.scenarios.disasters import Disasters

Kind = Literal["lines", "switches", "transformers"]

# The mean wind is fitted to storms of another seed: it must not depend on the storms that are asked for. Their number,
# smaller where they would have more than so many numbers.
_FITTING_SEED, _FITTED, _FITTED_NUMBERS = 0, 5000, 5_000_000
# Numbers that a storm takes beside one a branch, in the mean rounded up, and numbers that are worked out together.
_NUMBERS_STORM, _NUMBERS_BLOCK = 6, 1_000_000
# Least width of a storm, as a share of the grid's diagonal; the inverse is the greatest.
_NARROWEST = 1e-3
# Bisections of the range of the wind. With more, the result would depend on the order of a sum.
_HALVINGS = 24


def storms(
    grid: GridLike,
    *,
    count: int,
    seed: int,
    mean_broken: float = 3.0,
    width: float = 0.1,
    spread: float = 0.3,
    kinds: Kind | Iterable[Kind] = ("lines",),
    per_length: bool = False,
) -> Disasters:
    """`count` storms of probability 1 / count each, called "storm 1", "storm 2" …; some may break nothing.

    Coordinates of buses are points of a plane with equal scales on both axes. A grid without coordinates is laid out:
    horizontally by the number of branches to the source, vertically by the order of the feeders, both scaled to a
    square, so that lines of one lateral break together. Give the buses coordinates where their location matters.

    Args:
        grid: the grid, a path or a name that `read` takes; open branches break as well as closed ones.
        count: number of storms. Storms that break the same branches are kept; `Disasters.merged` makes them one.
        seed: of the random numbers (PCG64).
        mean_broken: branches that a storm breaks on average; between 0 and the number of branches that can break.
        width: distance from the path at which the wind is 1 / sqrt(2) of that along it, as a share of the diagonal of
            the bounding box of the buses.
        spread: half the range of the wind over its mean, 0 = every storm is as strong; from 0 to less than 1.
        kinds: the table of the branches that can break, or several.
        per_length: the odds p / (1 − p) grow with the distance between the ends of a branch; needs coordinates.

    Raises:
        InputError: the grid has faults.
        OptionError: an argument out of its range, nothing that can break, or coordinates of some buses only.
    """
    if count < 1 or seed < 0:
        raise OptionError(f"storms need a count of at least 1 and a seed of at least 0, not {count} and {seed}")
    if not (_NARROWEST <= width <= 1.0 / _NARROWEST and 0.0 <= spread < 1.0):
        raise OptionError(
            f"width is {width:g} and spread {spread:g}; give a width from {_NARROWEST:g} to {1 / _NARROWEST:g} and a "
            "spread from 0 to below 1"
        )
    map_ = _map(read(grid).check(), names_of(kinds, "kinds"), per_length)
    most = int((map_.weight > 0.0).sum())
    if not 0.0 < mean_broken < most:
        raise OptionError(f"mean_broken is {mean_broken:g}; give a number between 0 and {most}, as many can break")
    rng = np.random.Generator(np.random.PCG64(_FITTING_SEED))
    fitted = min(_FITTED, max(500, _FITTED_NUMBERS // len(map_.weight)))
    odds_fitted = [odds for odds, _ in _storms(map_, rng, width, spread, fitted)]
    scale = _fitted_scale(np.concatenate(odds_fitted), mean_broken)
    rng = np.random.Generator(np.random.PCG64(seed))
    broken = np.zeros((count, len(map_.can_break)), dtype=np.bool_)
    drawn = [chance < _probability(scale * odds) for odds, chance in _storms(map_, rng, width, spread, count)]
    broken[:, map_.can_break] = np.concatenate(drawn)
    return Disasters(tuple(f"storm {k + 1}" for k in range(count)), np.full(count, 1.0 / count), broken)


@dataclass(frozen=True)
class _Map:
    """Where B branches that can break lie. low, high: (2) corners of the box of the buses. middle: (B, 2).

    weight: (B) factor on the odds, one in the mean. can_break: (E) which branches these are.
    """

    low: Floats
    high: Floats
    middle: Floats
    weight: Floats
    can_break: Bools

    @property
    def diagonal(self) -> float:
        return float(_length(self.high - self.low))


def _map(grid: Grid, kinds: Sequence[str], per_length: bool) -> _Map:
    if unknown := [kind for kind in kinds if kind not in BRANCH_TABLES]:
        raise OptionError(f"kinds names {', '.join(map(repr, unknown))}; the kinds are {', '.join(BRANCH_TABLES)}")
    branches = grid.branches()
    can_break = branches["kind"].is_in(list(kinds)).to_numpy()
    if not can_break.any():
        raise OptionError(
            f"the grid has no {' or '.join(kinds) or 'kind of branch'} that could break; name other kinds"
        )
    mapped = _has_coordinates(grid)
    places = grid.buses.select("x", "y").to_numpy() if mapped else _sketch(grid)
    number = {name: n for n, name in enumerate(grid.buses["name"])}
    fr, to = (places[[number[bus] for bus in branches[end]]][can_break] for end in ("from_bus", "to_bus"))
    weight = np.ones(len(fr))
    if per_length:
        weight = _length(to - fr)
        if not mapped or not weight.any():
            raise OptionError("per_length needs lines of some length; give the buses coordinates, or leave it out")
        weight = weight / (math.fsum(weight) / len(weight))
    found = _Map(places.min(axis=0), places.max(axis=0), (fr + to) / 2.0, weight, can_break)
    if not found.diagonal > 0.0:
        raise OptionError("all buses lie at one spot, so no line is nearer to a storm; correct x and y of the buses")
    return found


def _storms(
    map_: _Map, rng: np.random.Generator, width: float, spread: float, count: int
) -> Iterator[tuple[Floats, Floats]]:
    """Blocks of K storms: (K, B) odds p / (1 − p) of breaking where the mean wind is one, and (K, B) uniform numbers.

    Each storm takes from one stream a point, pairs until one is a direction, a wind, and B numbers more.
    """
    b = len(map_.middle)
    drawn, block = np.empty(0), max(1, _NUMBERS_BLOCK // b)
    for begun in range(0, count, block):
        size = min(block, count - begun)
        drawn = np.append(drawn, rng.random(max(0, size * (b + _NUMBERS_STORM) - len(drawn))))
        is_direction, at = _directions(drawn), 0
        first, pair = np.empty((2, size), dtype=np.int64)
        for k in range(size):
            first[k], pair[k] = at, at + 2
            while True:
                if pair[k] + 3 + b > len(drawn):
                    drawn = np.append(drawn, rng.random(b + _NUMBERS_STORM))
                    is_direction = _directions(drawn)
                if is_direction[pair[k]]:
                    break
                pair[k] += 2
            at = int(pair[k]) + 3 + b
        yield _odds(map_, drawn, first, pair, width, spread), drawn[(pair + 3)[:, None] + np.arange(b)]
        drawn = drawn[at:]


def _odds(map_: _Map, drawn: Floats, first: Ints, pair: Ints, width: float, spread: float) -> Floats:
    """(K, B) odds in the storms whose points begin at `first` and whose directions at `pair` of the numbers drawn."""
    points = map_.low + drawn[first[:, None] + np.arange(2)] * (map_.high - map_.low)
    x, y = (2.0 * drawn[pair + k][:, None] - 1.0 for k in (0, 1))
    wind = 1.0 + spread * (2.0 * drawn[pair + 2][:, None] - 1.0)
    offset = map_.middle - points[:, None, :]
    d = (offset[:, :, 0] * x + offset[:, :, 1] * y) / (np.sqrt(x * x + y * y) * width * map_.diagonal)
    square = wind * wind / (1.0 + d * d)
    return np.asarray(map_.weight * (square * square * square))


def _directions(drawn: Floats) -> Bools:
    """Whether each number and the next are a direction: a uniform point of the disc has one that is uniform, without
    sine and cosine."""
    x, y = 2.0 * drawn[:-1] - 1.0, 2.0 * drawn[1:] - 1.0
    square = x * x + y * y
    return np.asarray((square > 0.01) & (square <= 1.0))


def _probability(odds: Floats) -> Floats:
    return odds / (1.0 + odds)


def _fitted_scale(odds: Floats, mean_broken: float) -> float:
    """The factor on the odds (storms, B) for which a storm breaks `mean_broken` branches on average."""

    def mean(scale: float) -> float:
        return float(_probability(scale * odds).sum()) / len(odds)

    low = 1.0
    while mean(low) > mean_broken:
        low /= 2.0
    while mean(2.0 * low) <= mean_broken:
        low *= 2.0
    step = low
    for _ in range(_HALVINGS):
        step /= 2.0
        low += step if mean(low + step) <= mean_broken else 0.0
    return low


def _has_coordinates(grid: Grid) -> bool:
    missing = grid.buses.filter(~(pl.col("x").is_finite() & pl.col("y").is_finite()).fill_null(False))["name"].to_list()
    if missing and len(missing) < grid.buses.height:
        raise OptionError(
            f"buses without coordinates: {names_in_words(missing)}; give all buses x and y, or none for a sketch"
        )
    return not missing


def _sketch(grid: Grid) -> Floats:
    """(N, 2) coordinates in the unit square: number of closed branches to the source, and the order of the feeders.

    Buses without a closed path to a source form trees of their own.
    """
    number = {name: n for n, name in enumerate(grid.buses["name"])}
    around: list[list[int]] = [[] for _ in number]
    for fr, to in grid.branches().filter(pl.col("closed")).select("from_bus", "to_bus").iter_rows():
        around[number[fr]].append(number[to])
        around[number[to]].append(number[fr])
    depth, children = dict[int, int](), [list[int]() for _ in number]
    roots: list[int] = []
    for root in [*(number[bus] for bus in grid.sources["bus"]), *range(len(around))]:
        if root in depth:
            continue
        roots.append(root)
        depth[root] = 0
        queue = deque([root])
        while queue:
            bus = queue.popleft()
            for other in around[bus]:
                if other not in depth:
                    depth[other] = depth[bus] + 1
                    children[bus].append(other)
                    queue.append(other)
    order: list[int] = []
    stack = roots[::-1]
    while stack:
        order.append(bus := stack.pop())
        stack += children[bus][::-1]
    row = np.zeros(len(order))
    ends = [bus for bus in order if not children[bus]]
    row[ends] = np.arange(len(ends))
    for bus in reversed(order):
        if children[bus]:
            row[bus] = (row[children[bus][0]] + row[children[bus][-1]]) / 2.0
    places = np.column_stack([[float(depth[bus]) for bus in range(len(order))], row])
    return np.asarray(places / np.maximum(places.max(axis=0), 1.0))


def _length(vector: Floats) -> Floats:
    """(…) length of vectors (…, 2)."""
    return np.asarray(np.sqrt(vector[..., 0] * vector[..., 0] + vector[..., 1] * vector[..., 1]))
