"""Where the server listens, and that one folder has one server."""

import os
import socket
from pathlib import Path

import pytest

from openpoint.errors import OptionError
from openpoint.web.server import _alone, _listening


def test_a_port_that_is_taken_is_told() -> None:
    with _listening("127.0.0.1", 0) as made:
        assert made.proto == socket.IPPROTO_TCP  # by which asyncio knows that small answers are sent at once
        with pytest.raises(OptionError, match="cannot listen at"):
            _listening("127.0.0.1", made.getsockname()[1])


def test_a_folder_has_one_server(tmp_path: Path) -> None:
    first = _alone(tmp_path)
    with pytest.raises(OptionError, match="kept by another openpoint serve"):
        _alone(tmp_path)
    os.close(first)
    os.close(_alone(tmp_path))
