"""Ctrl-C and SIGTERM end a run with the best solution found, its files and exit code 130."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import takewhile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

PATIENCE_S = 60.0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_best(tmp_path: Path, sent: signal.Signals) -> None:
    arguments = ["reconfigure", "baran69", "--method", "benders", "--gap", "0", "--json", "r.json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "openpoint", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        told = list(takewhile(lambda line: not line.strip().startswith("1 "), process.stdout))
        process.send_signal(sent)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 130, [*told, out, err]
    assert "Traceback" not in err
    kept = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert kept["termination"] == "interrupted"
    assert kept["loss_kw"] <= kept["loss_before_kw"]
    assert kept["ac_max_mismatch_pu"] <= 1e-6
    assert kept["lower_bound_kw"] is None or kept["lower_bound_kw"] <= kept["loss_kw"]


def test_ctrl_c_at_once_is_no_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "openpoint", "info", "mantovani136"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    # Inside the import of a compiled module the signal may end the process by itself, which a shell shows as 130, too.
    assert process.returncode in (130, -signal.SIGINT, 0), out + err
    assert "Traceback" not in err
