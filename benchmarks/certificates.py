"""How large certificates are, and how long it takes to check them.

    python -m benchmarks.certificates --files bus_201_3.pos --coarse bus_873_7.pos --json docs/certificates.json
    python -m benchmarks.certificates --from docs/certificates.json --many --json docs/certificates.json
    python -m benchmarks.certificates --from docs/certificates.json --markdown docs/certificates.md

Each grid is searched without and with a certificate, which is then checked as `openpoint verify` does. Processor time
of one core; kernels are compiled before.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import openpoint
from openpoint import verify
from openpoint.twostage.risk import read_risk

from . import tables, timing

BUILT_IN = ("baran33", "das70", "zhang118", "mantovani136")
GAP, COARSE, OF_FUTURES = 1e-6, 1.5e-2, 1e-4
"""Gaps of grids, of those that end at no smaller one in time, and of futures."""
FUTURES = (("baran33", 100, "expected"), ("baran33", 100, "cvar:0.9"), ("das70", 20, "expected"))
"""Grids with futures grown from today within wide limits, their number, and the risk."""
YEARS = (("baran33", "synthetic-hours"), ("mantovani136", "synthetic-quarters"))
"""Grids with a year."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """A certificate.

    Attributes:
        grid: name, and its futures or its year. buses: of it. termination, gap: of the search. plain_s: it took without
            a certificate. search_s: and with it.
        megabytes: of the file. nodes, bounds: in it. check_s: as `openpoint verify`.
    """

    grid: str
    buses: int
    termination: str
    gap: float
    plain_s: float
    search_s: float
    megabytes: float | None
    nodes: int | None
    bounds: int | None
    check_s: float | None


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """What a call returns, and its processor time."""
    began = time.process_time()
    found = call()
    return found, time.process_time() - began


def measured(
    source: str,
    folder: Path,
    time_limit_s: float,
    gap: float = GAP,
    many: tuple[int, str] | None = None,
    year: str | None = None,
) -> Row:
    """Search a grid and check its certificate; `many`: number of its futures, and the risk; `year`: or a year."""
    grid, file = openpoint.read(source), folder / "certificate"
    asked: dict[str, Any] = {}
    name = grid.name
    if many is not None:
        wide = openpoint.Limits(v_min_pu=0.7, v_max_pu=1.2)
        asked = {"futures": openpoint.grow(grid, count=many[0], seed=1), "risk": read_risk(many[1]), "limits": wide}
        name = f"{grid.name}, {many[0]} futures, {many[1]}"
    table = asked.get("futures")
    steps = None if year is None else openpoint.read_year(year, grid)
    if steps is not None:
        asked, name = {"year": steps}, f"{grid.name}, {year}"
    plain = openpoint.TopologySearch(gap=gap, time_limit_s=time_limit_s)
    method = replace(plain, certificate=file)
    _, plain_s = timed(lambda: openpoint.reconfigure(grid, method=plain, **asked))
    result, search_s = timed(lambda: openpoint.reconfigure(grid, method=method, **asked))
    of_search = name, grid.buses.height, str(result.termination), result.gap, plain_s, search_s
    if not file.exists():
        return Row(*of_search, None, None, None, None)
    found, check_s = timed(lambda: verify.verify(grid, file, futures=table, year=steps))
    return Row(*of_search, file.stat().st_size / 1e6, found.nodes, found.bounds, check_s)


def table(rows: list[Row]) -> list[list[str]]:
    """A line a grid."""
    lines = [["grid", "gap", "search, s", "with file, s", "nodes", "bounds", "MB", "check, s"]]
    for row in rows:
        if row.nodes is None or row.bounds is None:
            stopped = f"{row.search_s:.1f} ({row.termination})"
            lines.append([row.grid, tables.percent(row.gap), f"{row.plain_s:.1f}", stopped, *[""] * 4])
            continue
        lines.append(
            [
                *(row.grid, tables.percent(row.gap), f"{row.plain_s:.1f}", f"{row.search_s:.1f}"),
                *(f"{row.nodes:,}", f"{row.bounds:,}"),
                *(f"{row.megabytes:.2f}", f"{row.check_s:.2f}"),
            ]
        )
    return lines


def of_many(folder: Path, time_limit_s: float) -> list[Row]:
    """The rows of futures and of years."""
    within = folder, time_limit_s, OF_FUTURES
    measured("civanlar16", *within, (3, "expected"))  # compiled from here on
    measured("civanlar16", *within, year="synthetic-hours")
    rows = [measured(source, *within, (count, risk)) for source, count, risk in FUTURES]
    return [*rows, *(measured(source, *within, year=year) for source, year in YEARS)]


def main() -> None:
    """Measure, and renew files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", nargs="*", default=[], metavar="FILE", help="further grids")
    parser.add_argument("--coarse", nargs="*", default=[], metavar="FILE", help="further grids, to a gap of 1.5 %%")
    parser.add_argument("--time-limit", type=float, default=60.0, metavar="SECONDS", help="of a search")
    parser.add_argument("--many", action="store_true", help="with --from: measure those of futures and years anew")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="given", help="measure nothing, read this")
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="renew the generated table of this page")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        within = Path(folder), given.time_limit
        if given.given is None:
            for small in ("civanlar16", "baran33"):  # compiled from here on, the bound by paths with the second one
                measured(small, *within)
            rows = [measured(source, *within) for source in (*BUILT_IN, *given.files)]
            rows += [measured(source, *within, COARSE) for source in given.coarse]
            every = [asdict(row) for row in [*rows, *of_many(*within)]]
            record: dict[str, Any] = {"machine": timing.machine(), "rows": every}
        else:
            record = json.loads(given.given.read_text(encoding="utf-8"))
            if given.many:
                others = [row for row in record["rows"] if ", " not in row["grid"]]
                record["rows"] = [*others, *(asdict(row) for row in of_many(*within))]
    rows = [Row(**row) for row in record["rows"]]
    if given.json is not None:
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(tables.aligned(table(rows)))
    if given.markdown is not None:
        text = f"{tables.where(record)}\n\n{tables.as_markdown(table(rows))}"
        page = tables.between_marks(given.markdown.read_text(encoding="utf-8"), text)
        given.markdown.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
