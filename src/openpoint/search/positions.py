"""Moves of devices: better positions for one tree, by the exact power flow, without a bound."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product

import numpy as np

from openpoint.arrays import Ints
from openpoint.search.exchange.ac_check import AcEvaluator, Candidate


def improved_positions(
    evaluator: AcEvaluator, sizes: Ints, candidate: Candidate, over: Callable[[], bool]
) -> Candidate:
    """The candidate after the best move of its devices, again and again until none is better.

    A move sets one device by 1, 2, 4 … positions up or down; where none of these is better, two devices by one each.

    Args:
        evaluator: of states, with the outputs of the candidate. sizes: (D) number of positions.
        over: called before every round; True stops.
    """
    while not over():
        better = None
        for moves in (_single_moves, _pair_moves):
            better = _best(evaluator, candidate, moves(sizes, candidate.positions))
            if better is not None:
                break
        if better is None:
            break
        candidate = better
    return candidate


def _best(evaluator: AcEvaluator, candidate: Candidate, positions: Ints) -> Candidate | None:
    """The best of (K, D) positions on the candidate's tree; None if the candidate itself is not worse."""
    if not len(positions):
        return None
    value, violation = evaluator.evaluate_at(np.repeat(candidate.closed[None, :], len(positions), axis=0), positions)
    best = int(np.lexsort((value, violation))[0])
    generation = evaluator.running(evaluator.outputs, positions[best])
    found = Candidate(candidate.closed, float(value[best]), float(violation[best]), generation, positions[best])
    ahead = (found.violation, found.value) < (candidate.violation, candidate.value - 1e-9 * abs(candidate.value))
    return found if ahead else None


def _single_moves(sizes: Ints, positions: Ints) -> Ints:
    """(K, D) positions with one device moved by a power of 2."""
    steps = [sign * 2**k for k in range(int(max(sizes, default=1)).bit_length()) for sign in (1, -1)]
    return _kept([((d, step),) for d in range(len(sizes)) for step in steps], sizes, positions)


def _pair_moves(sizes: Ints, positions: Ints) -> Ints:
    """(K, D) positions with two devices moved by one."""
    pairs = product(combinations(range(len(sizes)), 2), (1, -1), (1, -1))
    return _kept([((d, first), (e, second)) for (d, e), first, second in pairs], sizes, positions)


def _kept(moves: list[tuple[tuple[int, int], ...]], sizes: Ints, positions: Ints) -> Ints:
    """The positions after every move that stays within the ranges."""
    after = np.repeat(positions[None, :], len(moves), axis=0)
    for row, move in zip(after, moves, strict=True):
        for d, step in move:
            row[d] += step
    return after[((after >= 0) & (after < sizes)).all(axis=1)]
