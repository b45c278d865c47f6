"""Files are written whatever becomes of the terminal, and what is lost of the text is told by the exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="streams of POSIX")

PATIENCE_S = 60.0


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell in which `openpoint` is this one."""
    line = command.replace("openpoint", f"{sys.executable} -m openpoint")
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)


def test_a_reader_that_leaves_ends_nothing(tmp_path: Path) -> None:
    line = "openpoint powerflow zhang118 --json r.json | head -1; exit ${PIPESTATUS[0]}"
    done = run(line, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("zhang118: ")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["study"] == "powerflow"


def test_without_any_stream_the_files_are_whole(tmp_path: Path) -> None:
    """No file takes the number of a stream that is closed, and the text with it."""
    line = "openpoint powerflow civanlar16 --json r.json --report r.html <&- >&- 2>&-"
    assert run(line, tmp_path).returncode == 0
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["study"] == "powerflow"
    assert (tmp_path / "r.html").read_text(encoding="utf-8").endswith("</html>\n")


@pytest.mark.parametrize("arguments", ["cases", "--version", "powerflow civanlar16 --json -"])
def test_text_that_a_full_disk_does_not_take_is_told(arguments: str, tmp_path: Path) -> None:
    done = run(f"openpoint {arguments} >/dev/full", tmp_path)
    assert done.returncode == 74
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


AT_A_TERMINAL = """
import fcntl, signal, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what started the tests may have told them to ignore it
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # this process is the one that hears of its end
from openpoint.cli import main
main()
"""


def test_the_end_of_the_terminal_keeps_the_best(tmp_path: Path) -> None:
    arguments = ["reconfigure", "zhang118", "--method", "benders", "--gap", "0", "--json", "r.json"]
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", AT_A_TERMINAL, *arguments],
        cwd=tmp_path,
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
    )
    os.close(end)
    told = b""
    while b"iteration" not in told:
        told += os.read(terminal, 4096)
    os.close(terminal)
    assert process.wait(PATIENCE_S) == 130, told
    kept = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert kept["termination"] == "interrupted"
    assert kept["loss_kw"] <= kept["loss_before_kw"]
