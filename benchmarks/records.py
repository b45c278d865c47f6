"""Minimum-loss reconfiguration: every instance of the literature that can be had, its best known loss, and the bound.

    python -m benchmarks.records --data FOLDER           all instances of docs/records.toml; renews docs/records.md
    python -m benchmarks.records --only "33 buses"       one; the others keep their figures
    python -m benchmarks.records --page                  computes nothing, writes the page from docs/records.json

An instance is searched by its own command, once for the answer (`SECONDS` at most) and once more with a certificate,
which `openpoint verify` then checks. What was measured before is kept where an instance is not at hand or not asked
for, and so is the better of two losses and of two bounds, until the question of the row changes. Exit status 1: a
published loss or one found lies below a bound without a note that says why, or a certificate is refused.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import sys
import tempfile
import time
import tomllib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpoint.cli.app import run_app

from . import tables, timing
from .real_grids import net_named

TABLE, FIGURES, PAGE = Path("docs/records.toml"), Path("docs/records.json"), Path("docs/records.md")
SECONDS = 120
"""Time limit of a search, in seconds."""
GAP = 1e-4
KEPT = "These are the rows measured last; the others keep their figures, some of other machines."
Figures = dict[str, Any]


@dataclass(frozen=True)
class Instance:
    """A row of the table: a grid, the question, and what was published.

    Attributes:
        name: of the row. kind, data: where the grid comes from (built-in, file, pandapower, simbench) and its name.
        sha256: of a file, "" where it was never at hand. source, note: in words.
        question: options of `openpoint reconfigure`. published: kW, by whom, seconds where told.
    """

    name: str
    kind: str
    data: str
    sha256: str
    source: str
    question: tuple[str, ...]
    published: tuple[dict[str, Any], ...]
    note: str

    @property
    def grid(self) -> str:
        """The grid as the commands name it."""
        return self.data if self.kind in ("built-in", "file") else f"{self.data.replace(' (', '-').strip(')')}.json"

    def command(self, *more: str) -> list[str]:
        """The command that answers the question."""
        return ["reconfigure", self.grid, *self.question, "--gap", f"{GAP:g}", *more]


def instances() -> list[Instance]:
    """The rows of the table, in its order."""
    rows = tomllib.loads(TABLE.read_text("utf-8"))["instance"]
    return [
        Instance(
            row["name"],
            row["data"].partition(" ")[0],
            row["data"].partition(" ")[2],
            row.get("sha256", ""),
            row["source"],
            tuple(row["question"].split()),
            tuple(row["published"]),
            row.get("note", ""),
        )
        for row in rows
    ]


def put_down(instance: Instance, data: Path | None, folder: Path) -> Path | None:
    """The file of an instance, in a folder of its own; None where it is not at hand.

    Raises:
        ValueError: a file of this name has another content.
    """
    if instance.kind == "built-in":
        return Path(instance.data)
    if instance.kind == "file":
        found = next(data.rglob(instance.data), None) if data is not None else None
        if found is not None and instance.sha256 and hashlib.sha256(found.read_bytes()).hexdigest() != instance.sha256:
            raise ValueError(f"{found} is not the file of the row {instance.name!r}: its SHA-256 differs")
        return found
    import pandapower

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = net_named(instance.data)
        net.profiles = {}
        pandapower.to_json(net, str(folder / instance.grid))
    return folder / instance.grid


def measured(instance: Instance, file: Path, folder: Path) -> Figures:
    """Figures of an instance: the answer, the certificate, its check."""
    answer, proof = folder / "answer.json", folder / "proof"
    given = [str(file) if part == instance.grid else part for part in instance.command()]
    more = ["--quiet", "--force", "--time-limit", str(SECONDS), "--json", str(answer)]
    seconds = _run([*given, *more])
    result = json.loads(answer.read_text("utf-8"))
    figures = {
        "before_kw": result["loss_before_kw"],
        "loss_kw": result["loss_kw"],
        "bound_kw": result["lower_bound_kw"],
        "open": result["open_branches"],
        "switchings": len(result["switching_list"]),
        "v_min_pu": result["v_min_pu"],
        "seconds": seconds,
        "version": result["version"],
        "question": " ".join(instance.command()),
    }
    if result["method"].startswith("TopologySearch"):
        written = _run([*given, *more, "--certificate", str(proof)])
        held = json.loads(answer.read_text("utf-8"))
        if proof.exists():
            begun = time.process_time()
            status = _exit(["verify", str(file), str(proof), *instance.question, "--quiet"])
            figures["certificate"] = {
                "bound_kw": held["lower_bound_kw"],
                "loss_kw": held["loss_kw"],
                "seconds": written,
                "megabytes": proof.stat().st_size / 1e6,
                "check_seconds": time.process_time() - begun,
                "accepted": status == 0,
            }
    return figures


def _run(words: list[str]) -> float:
    """Processor seconds of a command in this process."""
    begun = time.process_time()
    _exit(words)
    return time.process_time() - begun


def _exit(words: list[str]) -> int:
    """Exit status of a command in this process."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            run_app(words)
        except SystemExit as left:
            return int(left.code or 0)
    return 0


def merged(old: Figures | None, new: Figures) -> Figures:
    """The figures of now, with the better loss and the better bound of both."""
    if old is None or old["question"] != new["question"]:
        return new
    best = min((old, new), key=lambda figures: figures["loss_kw"])
    kept = {key: best[key] for key in ("loss_kw", "open", "switchings", "v_min_pu")}
    return {**new, **kept, "bound_kw": max(old["bound_kw"], new["bound_kw"])}


def faults(rows: list[tuple[Instance, Figures | None]]) -> list[str]:
    """Losses below a bound without a note that says why, and certificates that were refused."""
    found = []
    for instance, figures in rows:
        if figures is None:
            continue
        bound = figures["bound_kw"]
        below = [kw for kw in (some["kw"] for some in instance.published) if kw + rounding_of(kw) < bound]
        if (below and not instance.note) or figures["loss_kw"] < bound * (1.0 - 1e-9):
            found.append(f"{instance.name}: {[*below, figures['loss_kw']]} kW below the bound of {bound:.4f} kW")
        if not figures.get("certificate", {}).get("accepted", True):
            found.append(f"{instance.name}: the certificate is refused")
    return found


def rounding_of(kw: float) -> float:
    """By how much a printed figure may be rounded: half a unit of its last digit."""
    return 0.5 * 10.0 ** -len(str(kw).partition(".")[2])


def table(rows: list[tuple[Instance, Figures | None]]) -> list[list[str]]:
    """A line an instance."""
    head = ["instance", "before kW", "published kW", "best known kW", "bound kW", "gap", "CPU s"]
    lines = [[*head, "certified gap", "CPU s", "MB", "checked in s"]]
    for instance, figures in rows:
        published = "; ".join(_published(some) for some in instance.published)
        if figures is None:
            lines.append([instance.name, "", published, *["data not at hand"], *[""] * 7])
            continue
        loss, bound, proof = figures["loss_kw"], figures["bound_kw"], figures.get("certificate")
        line = [instance.name, tables.number(figures["before_kw"]), published, tables.number(loss)]
        line += [tables.number(bound), tables.percent(1.0 - bound / loss), f"{figures['seconds']:.1f}"]
        if proof is None:
            lines.append([*line, *[""] * 4])
            continue
        line += [tables.percent(1.0 - proof["bound_kw"] / loss), f"{proof['seconds']:.1f}"]
        lines.append([*line, f"{proof['megabytes']:.2f}", f"{proof['check_seconds']:.1f}"])
    return lines


def _published(some: dict[str, Any]) -> str:
    took = f", {some['seconds']:,} s" if "seconds" in some else ""
    return f"{some['kw']:g} ({some['by']}{took})"


def details(rows: list[tuple[Instance, Figures | None]]) -> str:
    """Under the table: source, command, open branches and notes of each instance."""
    parts = []
    for instance, figures in rows:
        hashed = f", SHA-256 {instance.sha256[:16]}…" if instance.sha256 else ""
        text = [f"**{instance.name}**: {instance.source} (`{instance.grid}`{hashed})."]
        text.append(f"`openpoint {' '.join(instance.command())}`.")
        if figures is not None:
            lowest = figures["v_min_pu"]
            text.append(f"Lowest voltage {lowest:.5f} pu, {figures['switchings']} branches switched.")
            if len(figures["open"]) <= MOST_NAMES:
                text.append(f"Open: {' '.join(figures['open'])}.")
        if instance.note:
            text.append(f"{instance.note[0].upper()}{instance.note[1:]}.")
        parts.append("- " + " ".join(text))
    return "\n".join(parts)


MOST_NAMES = 25
"""Open branches that are listed; more are in the JSON file."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="where the files lie that are not shipped")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of rows, in place of all")
    parser.add_argument("--page", action="store_true", help="compute nothing, write the page")
    parser.add_argument("--nets", type=Path, metavar="FOLDER", help="write the nets of pandapower and SimBench there")
    given = parser.parse_args()
    every = instances()
    if unknown := sorted(set(given.only or ()) - {instance.name for instance in every}):
        parser.error(f"no row has the name {', '.join(map(repr, unknown))}; names are in {TABLE}")
    if given.nets is not None:
        given.nets.mkdir(parents=True, exist_ok=True)
        for instance in every:
            if instance.kind in ("pandapower", "simbench"):
                print(put_down(instance, None, given.nets))
        return 0
    record = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {"rows": {}}
    if not given.page:
        _exit(["warmup", "--quiet"])
        record["machine"] = timing.machine()
        for instance in every:
            if given.only and instance.name not in given.only:
                continue
            with tempfile.TemporaryDirectory() as name:
                file = put_down(instance, given.data, Path(name))
                if file is None:
                    print(f"{instance.name}: {instance.data} is not at hand", file=sys.stderr, flush=True)
                    continue
                found = measured(instance, file, Path(name))
            record["rows"][instance.name] = merged(record["rows"].get(instance.name), found)
            print(instance.name, json.dumps({**found, "open": len(found["open"])}), file=sys.stderr, flush=True)
            FIGURES.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    rows = [(instance, record["rows"].get(instance.name)) for instance in every]
    text = f"{tables.as_markdown(table(rows))}\n\n{tables.where(record)} {KEPT}\n\n## Row by row\n\n{details(rows)}"
    PAGE.write_text(tables.between_marks(PAGE.read_text("utf-8"), text), encoding="utf-8")
    for fault in (wrong := faults(rows)):
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
