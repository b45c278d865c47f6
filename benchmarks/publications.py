"""Tables and figures of the five publications that openpoint implements, from one command.

    python -m benchmarks.publications --out out/published
    python -m benchmarks.publications --only 001 003
    python -m benchmarks.publications --markdown docs/publications.md

Every run is a command of openpoint, whose tables and pictures are written to a folder of its name. The page
docs/publications.md says which element of which publication each of them shows; its list of runs is made from here.
"""

from __future__ import annotations

import argparse
import resource
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from . import tables

SIX = "s712c,s720c,s722b,s728,s731b,s738a"
"""Six uncertain loads of the 37 buses."""
DAY = "--uncertain load=0.1,solar=0.3,wind=0.3 --budget 2 --gap 2e-3 --time-limit 60"
"""The robust day, its topology decided once."""


@dataclass(frozen=True)
class Run:
    """A command, the publication that it belongs to, and what of it it shows.

    Attributes:
        name: of its folder. publication: 000 to 004. shows: in words. command: without `openpoint`, or several joined
            by `&&`; `{out}` stands for the folder.
    """

    name: str
    publication: str
    shows: str
    command: str

    def commands(self, folder: Path) -> list[list[str]]:
        """The words of each command."""
        return [shlex.split(each.replace("{out}", str(folder))) for each in self.command.split(" && ")]


RUNS = (
    Run(
        "two_stage",
        "000",
        "topology by Benders' decomposition with a cone power flow, its cuts in the log",
        "reconfigure baran33 --method benders --v-min 0.9 --report {out}/grid.png --tables {out}",
    ),
    Run(
        "futures",
        "000",
        "deep uncertainty: one topology for many futures",
        "futures baran33 --output {out}/futures.parquet --count 40 --seed 1"
        " && reconfigure-futures baran33 {out}/futures.parquet --v-min 0.85 --tables {out}",
    ),
    Run(
        "levels",
        "001",
        "table I, figure 3: islands at four levels of uncertainty",
        'compare ieee37-microgrids partition --case "± {}: --uncertainty {0,0.1,0.15,0.25} --uncertain-loads '
        f'{SIX}" --report {{out}}/islands.png --tables {{out}}',
    ),
    Run(
        "samples",
        "001",
        "table II and section D: shares of samples that hold in the linear model and in AC",
        f"partition ieee37-microgrids --uncertainty 0.25 --uncertain-loads {SIX} --samples 10000 --tables {{out}}",
    ),
    Run(
        "das70",
        "002",
        "table I, figure 3: the least loss of the 70 buses",
        "reconfigure das70 --report {out}/grid.png --tables {out}",
    ),
    Run(
        "khodr70",
        "002",
        "section IV: banks, taps and generators of the 70 buses",
        "dispatch khodr70 --minimize losses --v-min 0.96 --v-max 1.04 --report {out}/grid.png --tables {out}",
    ),
    Run(
        "disasters",
        "003",
        "pictures of phases 1 to 3: the grid after each disaster, with the power of every line",
        "harden zhang13 --disasters {out}/broken.csv --max-lines 1 --max-generators 1 --report {out}/after.png"
        " --tables {out}/tables",
    ),
    Run(
        "day33",
        "004",
        "figures 5 to 16: four shares of demand that moves, over each other, and their topologies, 33 buses",
        f'compare baran33 dispatch-day --case "shift {{}}: --day baran33-day {DAY} --shift buses={{0,0.1,0.15,0.2}}"'
        " --report {out}/day.png --report {out}/grid.png --tables {out}",
    ),
)
DISASTERS = """disaster,probability,branch
A,0.8,2
A,0.8,11
B,0.15,4
B,0.15,6
B,0.15,11
C,0.05,2
C,0.05,5
C,0.05,8
C,0.05,14
C,0.05,15
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="out/published", type=Path, metavar="DIR", help="folder of what is made")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="runs, or publications, as 003")
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="run nothing, renew the list of this page")
    options = parser.parse_args()
    if options.markdown:
        text = options.markdown.read_text(encoding="utf-8")
        content = tables.between_marks(text, tables.as_markdown(rows()), "publications")
        options.markdown.write_text(content, encoding="utf-8")
        return 0
    failed, begun = 0, time.monotonic()
    for run in RUNS:
        if not options.only or {run.name, run.publication} & set(options.only):
            failed += executed(run, options.out / run.name)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.0f} s of processor time, {time.monotonic() - begun:.0f} s")
    return failed


def executed(run: Run, folder: Path) -> bool:
    """Run a command, its output beside its tables; whether it failed. A gap that is left at a time limit is none."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "broken.csv").write_text(DISASTERS, encoding="utf-8")
    before, text, codes = resource.getrusage(resource.RUSAGE_CHILDREN), "", list[int]()
    for words in run.commands(folder):
        done = subprocess.run([sys.executable, "-m", "openpoint", *words, "--force"], capture_output=True, text=True)
        text += done.stdout + done.stderr
        codes.append(done.returncode)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    (folder / "output.txt").write_text(text, encoding="utf-8")
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{run.publication} {run.name:<10} {seconds:6.1f} s  exit code {max(codes)}  {folder}", flush=True)
    return not set(codes) <= {0, 4}


def rows() -> list[list[str]]:
    """The list of runs as a table."""
    head = ["run", "publication", "shows", "command"]
    return [
        head,
        *(
            [
                r.name,
                r.publication,
                r.shows,
                f"`openpoint {r.command.replace('{out}', 'out').replace('&& ', '&& openpoint ')}`",
            ]
            for r in RUNS
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
