"""Checkpoints: files with the state of an unfinished search, from which it is continued.

The file is a line of text, `openpoint checkpoint 2` and the SHA-256 of the rest, and then NumPy's npz without Python
objects: `key`, a JSON text that identifies the search, and the arrays of its state. A new checkpoint takes the place of
the last one as a whole (`openpoint.atomic`). A continued search takes the same steps as
one without interruption, with one exception: the outputs of dispatched generators depend slightly on the trees
evaluated before, and this history is not saved.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Bools
from openpoint.atomic import write_bytes
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.search.exchange.ac_check import Candidate
from openpoint.search.kernel.arrays import Model, Work
from openpoint.search.kernel.bookkeeping import Counts, Pool, enlarged, waiting
from openpoint.search.model.objective import Objective
from openpoint.version import __version__

FORMAT = "openpoint checkpoint 2"
OF_NODE = (
    *("status", "low", "high", "y", "mu", "phi", "w"),
    *("choice_p", "choice_q", "taken_p", "taken_q", "end_p", "end_q", "kappa"),
)
"""Fields of `Work` that pass from node to node; the others are written before they are read."""
OF_ROWS = ("status", "low", "high", "y", "mu", "phi", "phi_at", "bound", "origin", "depth")
"""Fields of `Pool` with a row a node."""
OF_BASE = ("base_y", "base_mu")
"""Fields of `Pool` that all its rows share, and that change."""

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint file of one search.

    Attributes:
        path: of the file. key: identifies the search; from readable labels to values, see `key_of`.
    """

    path: Path
    key: Mapping[str, str]

    def write(self, state: Arrays) -> None:
        """Write the file, replacing an earlier one in a single step.

        Raises:
            OSError: it cannot be written; the earlier file remains.
        """
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, key=np.array(json.dumps(dict(self.key))), **state)
        data = buffer.getvalue()
        write_bytes(self.path, [f"{FORMAT} {hashlib.sha256(data).hexdigest()}\n".encode(), data])

    def read(self) -> dict[str, npt.NDArray[Any]] | None:
        """The saved state; None where there is no file.

        Raises:
            OptionError: the file is no checkpoint, is damaged, or is that of another search.
        """
        if not self.path.exists():
            return None
        name = f"the checkpoint {self.path}"
        anew = "To start anew delete it, or name another file"
        head, _, data = self.path.read_bytes().partition(b"\n")
        words = head.decode("ascii", "replace").rsplit(" ", 1)
        if words[0] != FORMAT:
            what = "another format" if words[0].startswith("openpoint checkpoint") else "not a checkpoint"
            raise OptionError(f"{name} is {what}. {anew}")
        if words[1:] != [hashlib.sha256(data).hexdigest()]:
            raise OptionError(f"{name} is damaged or was cut short. {anew}")
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as found:
                state = {word: found[word] for word in found.files}
            key = json.loads(str(state.pop("key")))
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise OptionError(f"{name} is damaged: {error}. {anew}") from error
        for what, ours in self.key.items():
            if (theirs := key.get(what)) != ours:
                raise OptionError(f"{name} is of {_difference(what, theirs, ours)}. {anew}")
        return state


def key_of(
    network: Network,
    model: Model,
    locks: tuple[Bools, Bools],
    max_changes: int | None,
    change_cost: float,
    gap: float | None,
    certificate: bool,
    objective: Objective | None = None,
) -> dict[str, str]:
    """What identifies a search: version, options, and a SHA-256 of the names and of all numbers of its model."""
    names = network.branch_names
    chosen = [[names[e] for e in np.flatnonzero(lock & network.switchable)] for lock in locks]
    digest = hashlib.sha256(json.dumps([network.bus_names, names]).encode())
    for field in fields(model):
        digest.update(np.ascontiguousarray(getattr(model, field.name)).tobytes())
    if objective is not None:
        for part in (objective.cost, objective.supply):
            for value in vars(part).values():
                digest.update(np.ascontiguousarray(value).tobytes())
    return {
        "version": __version__,
        "gap": "" if gap is None else f"{gap:.17g}",
        "greatest number of changes": "any" if max_changes is None else str(max_changes),
        "cost of changes, per unit": f"{change_cost:.17g}",
        "branches locked closed": ", ".join(chosen[0]) or "none",
        "branches locked open": ", ".join(chosen[1]) or "none",
        "certificate": "yes" if certificate else "no",
        "grid": digest.hexdigest(),
    }


def _difference(what: str, theirs: object, ours: str) -> str:
    if what == "grid":
        return "another grid, or of this one with other loads or limits"
    return f"a search with another {what}: {theirs}, not {ours}"


def state_of(
    model: Model, work: Work, pool: Pool, counts: Counts, best: Candidate | None
) -> dict[str, npt.NDArray[Any]]:
    """The arrays from which a search is continued."""
    rows = waiting(pool, counts)
    state: dict[str, npt.NDArray[Any]] = {"w_min": model.w_min, "w_max": model.w_max}
    state |= {f"pool_{name}": getattr(pool, name)[rows] for name in OF_ROWS}
    state |= {f"pool_{name}": getattr(pool, name) for name in OF_BASE}
    state |= {f"work_{name}": getattr(work, name) for name in OF_NODE}
    if best is not None:  # `best_miss` keeps its name, so that older files can be read
        state |= {"best_closed": best.closed, "best_value": np.array(best.value), "best_miss": np.array(best.violation)}
        state |= {"best_generation": best.generation, "best_positions": best.positions}
    return state | {f"counts_{field.name}": getattr(counts, field.name) for field in fields(counts)}


def candidate_of(state: Arrays) -> Candidate | None:
    """The best radial state in a checkpoint; None if there is none."""
    if "best_closed" not in state:
        return None
    value, violation = float(state["best_value"]), float(state["best_miss"])
    return Candidate(state["best_closed"], value, violation, state["best_generation"], state["best_positions"])


def restored(state: Arrays, model: Model, work: Work, pool: Pool, counts: Counts) -> Pool:
    """Load a checkpoint into the arrays of a search; returns the pool, which may be a larger one."""
    size = int(state["counts_size"][0] + state["counts_stack"][0])
    while len(pool.heap) < size:
        pool = enlarged(pool)
    model.w_min[:], model.w_max[:] = state["w_min"], state["w_max"]
    for name in OF_ROWS:
        getattr(pool, name)[:size] = state[f"pool_{name}"]
    for name in OF_BASE:
        getattr(pool, name)[:] = state[f"pool_{name}"]
    for name in OF_NODE:
        getattr(work, name)[:] = state[f"work_{name}"]
    for field in fields(counts):
        if field.name != "room":  # the limit of memory is that of today
            getattr(counts, field.name)[:] = state[f"counts_{field.name}"]
    return pool
