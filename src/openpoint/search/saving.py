"""The mutable state of a search, and the checkpoint that keeps it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openpoint.search.checkpoint import MOST, Checkpoint, Saved, candidate_of, outputs_of, restored, state_of
from openpoint.search.incumbent import Incumbent, next_perturbations
from openpoint.search.infeasibility import InfeasibilitySearch
from openpoint.search.kernel.bookkeeping import waiting
from openpoint.search.paths.explorer import PathTree
from openpoint.search.region_decomposition import RegionDecomposition

if TYPE_CHECKING:
    from openpoint.search.certificate import Certificate

LONGEST = 1e10
"""Seconds of a search, at most."""
SAVE_EVERY_S = 30.0
"""Seconds between two checkpoints."""


@dataclass
class SearchState:
    """All that changes while a search goes on.

    Attributes:
        tree: the nodes; the search tightens the voltage limits of its model.
        certificate: None where none is wanted. leaves: states evaluated so far. earlier: seconds before a break.
        limits: the infeasibility search; None where a state is known from the start that keeps all limits.
    """

    tree: PathTree
    incumbent: Incumbent
    decomposition: RegionDecomposition
    certificate: Certificate | None
    limits: InfeasibilitySearch | None = None
    leaves: int = 0
    earlier: float = 0.0

    @property
    def limits_open(self) -> InfeasibilitySearch | None:
        """The infeasibility search, until a state that keeps the limits is known."""
        return self.limits if math.isinf(self.incumbent.value) else None

    @property
    def explored(self) -> float:
        """Share of the search that is done, where each side of a decision counts as half of its node."""
        counts, pool = self.tree.counts, self.tree.pool
        depth = int(counts.depth[0])
        levels = np.bincount(pool.depth[waiting(pool, counts)], minlength=depth + 1)
        levels[depth] += counts.active[0]
        return 1.0 - math.fsum(np.ldexp(levels.astype(float), -np.arange(len(levels))))

    def kept(self, seconds: float) -> dict[str, npt.NDArray[Any]]:
        """The arrays that `go_on` needs. `seconds`: of the search so far."""
        tree = self.tree
        state = state_of(tree.work, tree.pool, tree.counts, self.incumbent.candidate) | {
            "leaves": np.array(self.leaves),
            "by_cone": np.array(self.incumbent.by_cone),
            "division": np.array(self.decomposition.state, dtype=np.int64),
            "seconds": np.array(seconds),
            "outputs": self.incumbent.exchange.evaluator.network.generator_s,
        }
        if tree.explorer is not None:
            state |= tree.explorer.kept(tree.pool, tree.counts)
        if self.limits is not None:
            state |= self.limits.kept()
        if self.certificate is not None:
            state |= self.certificate.pause()
        return state

    def go_on(self, saved: Saved) -> None:
        """Continue from what was kept; the infeasibility search (`limits`) continues by its own method of that name.

        Raises:
            OptionError: the file has something that no search writes.
        """
        if not saved:
            return
        incumbent, tree = self.incumbent, self.tree
        exchange, network = incumbent.exchange, incumbent.exchange.evaluator.network
        given = tree.model, exchange.status, tree.work, tree.pool, tree.counts, incumbent.sizes
        tree.pool = restored(saved, *given)
        if tree.explorer is not None and "path_mask" in saved:
            tree.explorer.go_on(saved, tree.pool, tree.counts)
        else:
            tree.explorer = None
        if self.certificate is not None:
            self.certificate.resume(saved)
        self.leaves, incumbent.by_cone = (saved.whole(name) for name in ("leaves", "by_cone"))
        self.earlier = saved.number("seconds", 0.0, LONGEST)
        division = saved.array("division", np.int64, (5,))
        saved.within("division", division, 0, MOST)
        self.decomposition.state = division.tolist()
        incumbent.next_perturbations = next_perturbations(tree.nodes)
        outputs = outputs_of(saved, "outputs", network)
        if (state := candidate_of(saved, network, incumbent.sizes)) is not None:
            saved.states("best_closed", state.closed[incumbent.numbering.branch].astype(np.int8), exchange.status)
            if (best := exchange.at(state, state.generation)) is None:
                raise saved.refused("best_closed", "has no power flow, or too many changes")
            # An exchange that was interrupted is completed now; any other state stays as it is.
            incumbent.offer(best)
            exchange.at(best, outputs)


class SearchCheckpoint:
    """The checkpoint of a search, written at its start, now and then, and where a limit stops it; none without a file.

    Attributes:
        saved: what the file held at the start; empty where there was none. mark: why the last one was not written.
    """

    def __init__(self, file: Checkpoint | None, seconds: Callable[[], float]) -> None:
        """Read the file, if it is there. `seconds`: of the search so far.

        Raises:
            OptionError: it is no checkpoint, is damaged, or is that of another search.
        """
        self._file, self._seconds = file, seconds
        arrays = None if file is None else file.read()
        self.saved = Saved(arrays or {}, "the checkpoint" if file is None else f"the checkpoint {file.path}")
        self.mark, self._last = "", 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a search that was continued rests on; empty of another one."""
        if not self.saved:
            return ()
        words = (
            f"the search went on from {self.saved.name}, on which its bound rests: what was excluded before is not "
            "checked again. Where the proof matters, add --certificate from the start, which openpoint verify checks"
        )
        return (words,)

    @property
    def kept(self) -> bool:
        """Whether the search can be continued."""
        return self._file is not None

    def begin(self, state: SearchState) -> None:
        """Write it for the first time.

        Raises:
            OSError: it cannot be written. OptionError: that at the start has something that no search writes.
        """
        self.saved.all_taken()
        self._last = state.earlier
        self._write(state)

    def now_and_then(self, state: SearchState) -> None:
        """Write it if the last one is old."""
        if self._seconds() - self._last >= SAVE_EVERY_S:
            self.try_to_write(state)
            self._last = self._seconds()

    def try_to_write(self, state: SearchState) -> None:
        """Write it in the middle of a search, which a full disk must not end."""
        try:
            self._write(state)
            self.mark = ""
        except OSError as error:
            self.mark = f"checkpoint not written: {error.strerror}"

    def _write(self, state: SearchState) -> None:
        if self._file is not None:
            self._file.write(state.kept(self._seconds()))

    def end(self, state: SearchState, *, done: bool) -> None:
        """Delete it after a search that is done, but not where its certificate could not be written: go on for that."""
        if done and (state.certificate is None or state.certificate.failure is None):
            self.forget()

    def forget(self) -> None:
        """Delete it: there is nothing to continue with."""
        if self._file is not None:
            self._file.path.unlink(missing_ok=True)
