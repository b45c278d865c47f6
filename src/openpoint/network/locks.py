"""Locks: branches whose state is given, by name or because they are not switchable."""

from __future__ import annotations

from openpoint.arguments import Names
from openpoint.arrays import Bools
from openpoint.errors import InputError, Problem
from openpoint.network.arrays import Network


def locks(
    network: Network, closed: Bools, switchable: Bools, locked_open: Names, locked_closed: Names
) -> tuple[Bools, Bools]:
    """(B) branches that must be closed and that must be open, the fixed ones included.

    Args:
        closed, switchable: (B) today's state of the branches, and which may be switched.
        locked_open, locked_closed: names of branches that are locked.

    Raises:
        InputError: a name that is no branch, or a branch that must be both.
    """
    must_close, must_open = closed & ~switchable, ~closed & ~switchable
    wanted = ((locked_open, must_open, must_close, "closed"), (locked_closed, must_close, must_open, "open"))
    for names, mine, other, word in wanted:
        for name, e in zip(names, network.branch_numbers(list(names))):
            if other[e]:
                remedy = "Lock it one way only; what is not switchable keeps its state, unless --switchable names it"
                raise InputError([Problem("branches", name, "", f"it must be {word} already", remedy)])
            mine[e] = True
    return must_close, must_open
