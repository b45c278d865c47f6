"""Checkpoints: files with the state of an unfinished search, from which it is continued.

The file is a line of text, `openpoint checkpoint 4` and the SHA-256 of the rest, and then NumPy's npz without Python
objects: `key`, a JSON text that identifies the search, and the arrays of its state. A new checkpoint takes the place of
the last one as a whole (`openpoint.atomic`). A continued search takes the same steps as
one without interruption, with one exception: the outputs of dispatched generators depend slightly on the trees
evaluated before, and this history is not saved.

The arrays of a checkpoint as a search takes them back: each of the kind, the size and the range that it writes.

Compiled functions use them as numbers of branches, buses and rows without a look, and NaN compares as false wherever a
bound is compared.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Complexes, Ints, States
from openpoint.atomic import write_bytes
from openpoint.errors import OptionError
from openpoint.graph import is_radial
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.search.exchange.ac_check import Candidate
from openpoint.search.kernel.arrays import BETWEEN, LEAST, UNDECIDED, Model, Work
from openpoint.search.kernel.bookkeeping import Counts, Pool, enlarged, waiting
from openpoint.search.model.objective import Objective
from openpoint.version import __version__

Arrays = Mapping[str, npt.NDArray[Any]]
MOST = 1 << 62
"""Counts are less."""


class Saved:
    """The arrays of a checkpoint, by name; without any there was none.

    Attributes:
        name: of the file, in words. taken: names of the arrays that were taken so far.
    """

    def __init__(self, arrays: Arrays, name: str = "the checkpoint") -> None:
        self._arrays, self.name, self.taken = arrays, name, set[str]()

    def __bool__(self) -> bool:
        return bool(self._arrays)

    def __contains__(self, word: str) -> bool:
        return word in self._arrays

    def refused(self, word: str, why: str) -> OptionError:
        """The error for an array that no search writes."""
        return OptionError(
            f"{self.name} is not as a search leaves it: '{word}' {why}. To start anew delete it, or name another file"
        )

    def array(self, word: str, dtype: npt.DTypeLike, shape: tuple[int, ...], *, nan: bool = False) -> npt.NDArray[Any]:
        """An array of this kind and shape; `nan`: whether it may hold NaN.

        Raises:
            OptionError: it is another.
        """
        self.taken.add(word)
        found = self._arrays.get(word)
        if found is None:
            raise self.refused(word, "is missing")
        if found.dtype != np.dtype(dtype) or found.shape != shape:
            raise self.refused(word, f"is {found.dtype} {found.shape}, not {np.dtype(dtype)} {shape}")
        if not nan and found.dtype.kind in "fc" and np.isnan(found).any():
            raise self.refused(word, "has values that are no numbers")
        return found

    def width(self, word: str) -> int:
        """The length of the last axis of an array; 0 where there is none."""
        found = self._arrays.get(word)
        return found.shape[-1] if found is not None and found.ndim else 0

    def like(self, word: str, other: npt.NDArray[Any], *, nan: bool = False) -> npt.NDArray[Any]:
        """An array of the kind and shape of another one."""
        return self.array(word, other.dtype, other.shape, nan=nan)

    def rows(self, word: str, other: npt.NDArray[Any], count: int, *, nan: bool = False) -> npt.NDArray[Any]:
        """An array of so many rows, each like one of another array."""
        return self.array(word, other.dtype, (count, *other.shape[1:]), nan=nan)

    def within(self, word: str, found: npt.NDArray[Any], least: Any, most: Any) -> npt.NDArray[Any]:
        """The same array, whose values lie between these."""
        if not (np.all(found >= least) and np.all(found <= most)):
            raise self.refused(word, "has values that are out of range")
        return found

    def whole(self, word: str, least: int = 0, most: int = MOST, *, shape: tuple[int, ...] = ()) -> int:
        """A whole number."""
        return int(self.within(word, self.array(word, np.int64, shape), least, most).item())

    def number(self, word: str, least: float = -math.inf, most: float = math.inf) -> float:
        """A number, also an infinite one where the range has it."""
        return float(self.within(word, self.array(word, np.float64, ()), least, most).item())

    def states(self, word: str, found: npt.NDArray[Any], root: States) -> npt.NDArray[Any]:
        """The same (…, m) states of branches, which leave what is decided in every state (`root`) as it is."""
        self.within(word, found, 0, UNDECIDED)
        decided = root != UNDECIDED
        if not np.array_equal(found[..., decided], np.broadcast_to(root, found.shape)[..., decided]):
            raise self.refused(word, "leaves a branch in another state than every state has")
        return found

    def all_taken(self) -> None:
        """Refuse arrays that were not taken.

        Raises:
            OptionError: there are some.
        """
        if left := sorted(self._arrays.keys() - self.taken):
            raise self.refused(left[0], "is none of this search")


FORMAT = "openpoint checkpoint 4"
OF_NODE = (
    *("status", "low", "high", "y", "mu", "phi", "w"),
    *("choice_p", "choice_q", "taken_p", "taken_q", "end_p", "end_q", "kappa"),
)
"""Fields of `Work` that pass from node to node; the others are written before they are read."""
UNSET = "w", "taken_p", "taken_q"
"""Of these those that may be NaN: estimates, before there are any."""
OF_ROWS = ("status", "low", "high", "y", "mu", "phi", "bound", "origin", "depth")
"""Fields of `Pool` with a row a node."""
OF_COUNTS = ("size", "stack", "nodes", "probes", "active", "trials", "gains", "depth", "bound", "floor")
"""Fields of `Counts` that are kept: the limit of memory is that of the run, the cutoff that of the best state."""
MOST_DEPTH, MOST_ORIGIN = 1 << 20, np.iinfo(np.int32).max
"""Branchings above a node, and numbers of nodes, at most."""


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
            state = _unpacked(data)
            key = json.loads(str(state.pop("key")[()]))
            if type(key) is not dict:
                raise ValueError("'key' is no object")
        except (ValueError, KeyError, RuntimeError, struct.error, zipfile.BadZipFile) as error:
            raise OptionError(f"{name} is damaged: {error}. {anew}") from error
        for what, ours in self.key.items():
            if (theirs := key.get(what)) != ours:
                raise OptionError(f"{name} is of {_difference(what, theirs, ours)}. {anew}")
        return state


def key_of(
    network: Network,
    model: Model,
    rules: SwitchingRules,
    gap: float | None,
    certificate: bool,
    objective: Objective | None = None,
) -> dict[str, str]:
    """What identifies a search: version, options, and a SHA-256 of the names and of all numbers of its model."""
    names = network.branch_names
    locks = rules.must_close, rules.must_open
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
        "greatest number of changes": "any" if rules.max_changes is None else str(rules.max_changes),
        "cost of changes, per unit": f"{rules.change_cost:.17g}",
        "branches locked closed": ", ".join(chosen[0]) or "none",
        "branches locked open": ", ".join(chosen[1]) or "none",
        "certificate": "yes" if certificate else "no",
        "grid": digest.hexdigest(),
    }


def _difference(what: str, theirs: object, ours: str) -> str:
    if what == "grid":
        return "another grid, or of this one with other loads or limits"
    return f"a search with another {what}: {theirs}, not {ours}"


def state_of(work: Work, pool: Pool, counts: Counts, best: Candidate | None) -> dict[str, npt.NDArray[Any]]:
    """The arrays from which a search is continued."""
    rows = waiting(pool, counts)
    state: dict[str, npt.NDArray[Any]] = {f"pool_{name}": getattr(pool, name)[rows] for name in OF_ROWS}
    state |= {f"work_{name}": getattr(work, name) for name in OF_NODE}
    if best is not None:
        state |= {"best_closed": best.closed, "best_generation": best.generation, "best_positions": best.positions}
    return state | {f"counts_{name}": getattr(counts, name) for name in OF_COUNTS}


def _unpacked(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an npz that is not compressed, each as large as it says before it is made.

    Raises:
        ValueError, RuntimeError, struct.error, zipfile.BadZipFile: it is damaged, or holds something else.
    """
    found, left = dict[str, npt.NDArray[Any]](), len(data)
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        for entry in packed.infolist():
            if entry.compress_type != zipfile.ZIP_STORED or entry.filename in found:
                raise ValueError(f"'{entry.filename}' is packed, or comes twice")
            with packed.open(entry) as file:
                if (version := np.lib.format.read_magic(file)) != (1, 0):
                    raise ValueError(f"'{entry.filename}' is of version {version}")
                shape, transposed, dtype = np.lib.format.read_array_header_1_0(file)
                rest = file.read(left + 1)
            left -= len(rest)  # parts that overlap would be larger than the file
            if (
                left < 0
                or dtype.hasobject
                or dtype.kind not in "biufcU"
                or len(rest) != math.prod(shape) * dtype.itemsize
            ):
                raise ValueError(f"'{entry.filename}' has not the size that it names, or holds objects")
            values = np.frombuffer(rest, dtype=dtype) if dtype.itemsize else np.zeros(shape, dtype=dtype)
            found[entry.filename.removesuffix(".npy")] = values.reshape(shape, order="F" if transposed else "C").copy()
    return found


def candidate_of(saved: Saved, network: Network, sizes: Ints) -> Candidate | None:
    """The best radial state in a checkpoint, not evaluated; None if there is none.

    Args:
        sizes: (D) positions of each device.

    Raises:
        OptionError: it is no radial state with the outputs and positions that there are.
    """
    if "best_closed" not in saved:
        return None
    ends = network.terminal_fr, network.terminal_to
    closed = saved.array("best_closed", np.bool_, ends[0].shape)
    radial = is_radial(network.n_terminals, *ends, closed, network.source_terminal)
    if not radial or int(closed.sum()) != network.n_terminals - len(network.source_terminal):
        raise saved.refused("best_closed", "is no radial state")
    positions = saved.array("best_positions", np.int64, sizes.shape)
    saved.within("best_positions", positions, 0, sizes - 1)
    return Candidate(closed, math.inf, math.inf, outputs_of(saved, "best_generation", network), positions)


def outputs_of(saved: Saved, word: str, network: Network) -> Complexes:
    """(G) outputs of generators in a checkpoint.

    Raises:
        OptionError: they are not within their ranges.
    """
    found = saved.like(word, network.generator_s)
    for part, low, high in ((found.real, network.p_min, network.p_max), (found.imag, network.q_min, network.q_max)):
        saved.within(word, part, np.minimum(low, 0.0), np.maximum(high, 0.0))
    return found


def restored(saved: Saved, model: Model, root: States, work: Work, pool: Pool, counts: Counts, sizes: Ints) -> Pool:
    """Load a checkpoint into the arrays of a search; returns the pool, which may be a larger one.

    The cutoff and the ranges of voltages follow from the best state, and are not taken from the file.

    Args:
        root: (m) states of the branches that every state has. sizes: (D) positions of each device.

    Raises:
        OptionError: the file has something that no search writes.
    """
    for name in ("size", "stack", "nodes", "probes", "trials", "gains"):
        getattr(counts, name)[0] = saved.whole(f"counts_{name}", shape=(1,))
    for name, most in (("active", 1), ("depth", MOST_DEPTH)):
        getattr(counts, name)[0] = saved.whole(f"counts_{name}", most=most, shape=(1,))
    for name in ("bound", "floor"):
        getattr(counts, name)[:] = saved.like(f"counts_{name}", getattr(counts, name))
    size = int(counts.size[0] + counts.stack[0])
    found = {name: saved.rows(f"pool_{name}", getattr(pool, name), size) for name in OF_ROWS}
    four = (found["status"][:, :, None] >> np.arange(0, 8, 2, dtype=np.uint8)) & 3
    saved.states("pool_status", four.reshape(size, 4 * four.shape[1])[:, : len(root)].astype(np.int8), root)
    saved.within("pool_bound", found["bound"], -np.inf, np.finfo(float).max)
    saved.within("pool_low", found["low"], 0, found["high"])
    saved.within("pool_high", found["high"], 0, sizes - 1)
    saved.within("pool_origin", found["origin"], 0, MOST_ORIGIN)
    saved.within("pool_depth", found["depth"], 0, min(MOST_DEPTH, int(counts.depth[0]) if size == 0 else MOST_DEPTH))
    while len(pool.heap) < size:
        pool = enlarged(pool)
    for name, values in found.items():
        getattr(pool, name)[:size] = values
    for name in OF_NODE:
        getattr(work, name)[:] = saved.like(f"work_{name}", getattr(work, name), nan=name in UNSET)
    saved.states("work_status", work.status, root)
    saved.within("work_low", work.low, 0, work.high)
    saved.within("work_high", work.high, 0, sizes - 1)
    for name in ("choice_p", "choice_q", "end_p", "end_q"):
        saved.within(f"work_{name}", getattr(work, name), LEAST, BETWEEN)
    return pool
