"""Random options of all commands on small grids, and whether any run ends in a way that is not documented.

python -m benchmarks.options_random --runs 500 --seed 1
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import typer

import openpoint
from openpoint.cli.app import Commands, app

ENDINGS = {0, 2, 3, 4, 5, 6, 74, 130}
SKIPPED = ("install-completion", "show-completion", "warmup", "help", "executor", "debug")
GRIDS = ("civanlar16", "baran33", "dispatch33", "zhang13", "ieee13", "ieee37-microgrids", "baran33-devices", "nowhere")
NUMBERS = ("0", "1", "2", "0.5", "1e-3", "1.05", "0.95", "-1", "1e9", "nan", "inf", "x", "")
WORDS: tuple[str, ...] = ("7", "7,9", "*", "33", "nowhere", "", "losses", "losses=1,changes=0.1", "saidi", "saidi=1")
WORDS += ("expectation", "cvar:0.9", "worst", "regret", "tv:0.1", "scip", "highs", "none", "a=1", "0.1", "é")
WORDS += ("monthly", "13")
PLACES = (
    "out.json",
    "out.csv",
    "out.html",
    "out.xlsx",
    "out.m",
    "folder",
    "-",
    "futures.csv",
    "grid",
    "",
    "no/where.gz",
)
SECONDS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    commands = options_of_commands()
    endings: Counter[int | str] = Counter()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        openpoint.write("civanlar16", folder / "grid")
        openpoint.grow(openpoint.read("civanlar16"), count=3, seed=1).table().write_csv(folder / "futures.csv")
        for number in range(asked.first, asked.first + asked.runs):
            line = random_line(commands, random.Random(f"{asked.seed} {number}"))
            code, said = run(line, folder)
            endings[code] += 1
            if code not in ENDINGS or "Traceback" in said or "internal error" in said:
                failures.append(f"{number}: {' '.join(map(repr, line))}\n    {code}: {said.strip()[-400:]}")
                print(failures[-1], flush=True)
    print(f"{asked.runs} runs: {dict(endings)}; {len(failures)} failures")
    sys.exit(bool(failures))


def options_of_commands() -> dict[str, list[Any]]:
    """The parameters of each command."""
    group = typer.main.get_command(app)
    assert isinstance(group, Commands)
    found = {name: group.load(name) for name in group.sentences()}
    return {name: list(command.params) for name, command in found.items() if name not in SKIPPED}


def random_line(commands: dict[str, list[Any]], draw: random.Random) -> list[str]:
    """A command with its arguments and a few of its options."""
    name = draw.choice(sorted(commands))
    options = [each for each in commands[name] if each.opts[0].startswith("--")]
    line = [name]
    for argument in commands[name]:
        if argument in options or (not argument.required and draw.random() < 0.7):
            continue
        grids = draw.random() < 0.95 and argument.name in ("grid", "grids")
        line.append(draw.choice(GRIDS if grids else (*PLACES, *WORDS)))
    if any("--time-limit" in each.opts for each in options):
        line += ["--time-limit", "1"]
    for option in draw.sample(options, min(len(options), draw.choice((0, 1, 1, 2, 2, 3, 4, 6)))):
        spelled = draw.choice(option.opts)
        if any(word in spelled for word in (*SKIPPED, "time-limit")):
            continue
        line.append(spelled)
        if not getattr(option, "is_flag", False):
            line.append(value_of(option, draw))
    return line


def value_of(option: Any, draw: random.Random) -> str:
    """A value that fits the option, or does not."""
    kind = option.type_descriptor.annotation
    kinds = {each for each in (kind, *get_args(kind)) if isinstance(each, type)}
    if draw.random() < 0.08:
        return draw.choice((*NUMBERS, *WORDS, *PLACES))
    if choices := [str(member.value) for each in kinds if issubclass(each, Enum) for member in each]:
        return draw.choice(choices)
    if kinds & {int, float}:
        return draw.choice(("1", "2", "3", "5", "0") if int in kinds and draw.random() < 0.7 else NUMBERS)
    return draw.choice(PLACES if any(issubclass(each, Path) for each in kinds) else WORDS)


def run(line: list[str], folder: Path) -> tuple[int | str, str]:
    """How a command ends, and what it says on standard error."""
    command = [sys.executable, "-m", "openpoint", *line]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            _, said = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            _, said = process.communicate()
            return "too long", said.decode(errors="replace")
    return process.returncode, said.decode(errors="replace")


if __name__ == "__main__":
    main()
