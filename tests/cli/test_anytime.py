"""`reconfigure --checkpoint` and `--method exchange` as a person runs them."""

import json
from pathlib import Path

import pytest

import openpoint
from tests.cli.desk import Command


def test_a_search_goes_on_from_its_checkpoint(command: Command) -> None:
    limits = ("--ignore-limits", "all")
    done = command("reconfigure", "zhang118", *limits, "--checkpoint", "open.search", "--time-limit", 0.02)
    assert done.code == 4, done.err
    assert "checkpoint: open.search; the same command goes on from it" in done.out
    assert "not a checkpoint" in command("reconfigure", "zhang118", "--checkpoint", _text("a.search")).err
    other = command("reconfigure", "baran33", *limits, "--checkpoint", "open.search")
    assert other.code == 2
    assert "error: the checkpoint open.search is of another grid" in other.err
    for options in (("--method", "benders"), ("--method", "exchange")):
        done = command("reconfigure", "baran33", "--checkpoint", "open.search", *options)
        assert done.code == 2
        assert f"--checkpoint is no option of --method {options[1]}" in done.err
    done = command("reconfigure", "zhang118", *limits, "--checkpoint", "open.search", "--json", "r.json")
    assert done.code == 0, done.err
    assert "checkpoint: " not in done.out
    assert "from the checkpoint open.search, on which its bound rests" in done.out
    assert not Path("open.search").exists()
    assert json.loads(Path("r.json").read_text(encoding="utf-8"))["loss_kw"] == pytest.approx(869.730, abs=6e-4)
    done = command("reconfigure", "baran33", "--checkpoint", "r.json/open.search")
    assert done.code == 2
    assert "--checkpoint: cannot write into r.json" in done.err


def _text(name: str) -> str:
    Path(name).write_text("some text", encoding="utf-8")
    return name


def test_exchange_says_that_nothing_is_proven(command: Command) -> None:
    done = command(
        "reconfigure", "mantovani136", "--method", "exchange", "--ignore-limits", "voltage", "--json", "r.json"
    )
    assert done.code == 4, done.err
    assert "(local optimum). No likely exchange of two branches is better; nothing is proven." in done.out
    assert "no bound is proven" in done.out
    kept = json.loads(Path("r.json").read_text(encoding="utf-8"))
    assert kept["termination"] == "local optimum"
    assert kept["method"] == "BranchExchange()"
    assert kept["lower_bound_kw"] is None
    assert kept["gap"] is None
    assert 280.192 <= kept["loss_kw"] < kept["loss_before_kw"]  # 280.193 is the optimum
    grid = openpoint.read("mantovani136")
    closed = {name: name not in kept["open_branches"] for name in grid.branches()["name"]}
    left = openpoint.run_powerflow(grid.with_closed(closed))
    assert left.loss_kw == pytest.approx(kept["loss_kw"], rel=1e-9)
    done = command("reconfigure", "baran33", "--method", "exchange", "--gap", 1e-3)
    assert (done.code, done.out) == (2, "")
    assert "--gap is no option of --method exchange" in done.err
    done = command("reconfigure-futures", "baran33", "futures.csv", "--method", "exchange")
    assert done.code == 2
    assert "method is 'exchange'; give one of search, benders" in done.err
