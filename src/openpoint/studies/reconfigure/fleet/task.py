"""One grid of a fleet: solved and written, or kept from an earlier run, or a row with the reason why not."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from openpoint.errors import InputError, NotWrittenError, OpenpointError, grouped
from openpoint.grid.pv_generators import Held
from openpoint.io import read
from openpoint.report.page.html import render
from openpoint.results.columns import finite
from openpoint.studies.reconfigure.fleet.result import FleetRow
from openpoint.studies.reconfigure.fleet.schema import FAILED, KEPT, NOT_RUN, SOLVED
from openpoint.studies.reconfigure.fleet.sources import Source, digest_of
from openpoint.studies.reconfigure.fleet.store import GRIDS, REPORT, RESULT, save, saved
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.page import page
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.studies.reconfigure.study import prepare
from openpoint.twostage.log import Termination
from openpoint.version import __version__


@dataclass(frozen=True, kw_only=True)
class FleetTask:
    """What is asked of every grid of a fleet; picklable, for processes of their own.

    Attributes:
        out: folder of the fleet. options: as of `reconfigure`. pv: as of `read`.
        reports: whether each grid has a report.
    """

    out: Path
    options: ReconfigureOptions
    pv: Held
    reports: bool

    @property
    def question(self) -> str:
        """Everything on which a result depends beside the grid, as text."""
        return f"openpoint {__version__}\n{self.pv}\n{self.options!r}"

    def __call__(self, source: Source) -> FleetRow:
        """What is known of a grid in the end; only a disk that takes no more is an error.

        Raises:
            NotWrittenError: a file cannot be written.
        """
        try:
            return self._run(source)
        except NotWrittenError:
            raise
        except InputError as error:
            text = "\n".join(str(alike) for alike in grouped(error.problems))
        except OpenpointError as error:
            text = str(error)
        except OSError as error:
            text = f"{error.filename or source.place} cannot be read: {error.strerror or error}"
        except Exception as error:  # a fault of this package at one grid must not stop the others
            text = f"internal error, {type(error).__name__}: {error}. Please report it with the grid"
        return FleetRow(name=source.name, source=source.place, status=FAILED, error=text)

    def _run(self, source: Source) -> FleetRow:
        began = time.perf_counter()
        folder = self.out / GRIDS / source.name
        digest = digest_of(source.place, self.question)
        if (kept := saved(folder, digest, (RESULT, REPORT) if self.reports else (RESULT,))) is not None:
            return replace(kept, name=source.name, source=source.place, status=KEPT)
        result = prepare(read(source.place, pv=self.pv), self.options).solve()
        if result.termination is Termination.INTERRUPTED:
            return FleetRow(name=source.name, source=source.place, status=NOT_RUN)
        files = {RESULT: result.to_json()}
        if self.reports:
            files[REPORT] = render(page(result, picture=False))
        row = row_of(source, result, seconds=time.perf_counter() - began, reports=self.reports)
        save(folder, digest, row, files)
        return row


def row_of(source: Source, result: ReconfigureResult, *, seconds: float, reports: bool) -> FleetRow:
    """The row of a grid that was solved."""
    before, after = result.loss_before_kw, result.loss_kw
    saving = before - after if before is not None and after is not None else None
    gap, bound = finite(result.gap), finite(result.lower_bound_kw)
    return FleetRow(
        name=source.name,
        source=source.place,
        status=SOLVED,
        buses=result.grid.buses.height,
        branches=result.grid.branches().height,
        loss_before_kw=before,
        loss_kw=after,
        saving_kw=saving,
        saving_percent=100.0 * saving / before if saving is not None and before else None,
        lower_bound_kw=bound,
        gap_percent=None if gap is None else 100.0 * gap,
        bound_of=result.bound_of,
        termination=result.termination.value,
        changes=len(result.changes) if result.has_answer else None,
        v_min_pu=result.v_min_pu,
        violations=len(result.violations or result.least_violation),
        seconds=seconds,
        report=f"{GRIDS}/{source.name}/{REPORT}" if reports else None,
        notes="\n".join(result.notes) or None,
    )
