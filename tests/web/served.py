"""A server in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.web.conftest import TOKEN


class Served:
    """It can be started again at the same place; `options` are more of its command."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        self.port = 0
        self.begin()

    def begin(self) -> None:
        where = ["--port", str(self.port), "--folder", str(self.folder)]
        command = [sys.executable, "-m", "openpoint", "serve", *where, *self.options]
        environment = {**os.environ, "OPENPOINT_TOKEN": TOKEN}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split(":")[2].partition("/")[0])

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)

    def at(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, path: str, body: object = None) -> Any:
        """What REST answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        with urlopen(Request(self.at(path), data, headers)) as response:
            return json.load(response)

    def follow(self, run: str) -> None:
        """Wait until a run has ended."""
        with urlopen(Request(self.at(f"/api/runs/{run}/events"), headers={"authorization": f"Bearer {TOKEN}"})) as told:
            told.read()
