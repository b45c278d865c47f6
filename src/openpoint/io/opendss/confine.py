"""What the child process of `openpoint.io.opendss.process` may not do any more once the engine is loaded.

The filter of `openpoint.io.opendss.statement` is the first line of defence, this is the second: the code of the engine,
or code that a circuit brought it to load, computes, reads one folder, and answers its parent.

| system | effect |
|---|---|
| Linux 5.13 and later (Landlock) | reads nothing but that folder; creates, changes and runs nothing; no TCP (6.7) |
| Linux, macOS | writes no byte into a file, starts no process, takes at most `MOST_MEMORY_BYTES`, leaves no core dump |
| Windows | nothing |

Source: Landlock's user space API, https://docs.kernel.org/userspace-api/landlock.html.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys

MOST_MEMORY_BYTES = 4 * 2**30

# Numbers of the system calls, which are the same on all architectures of Linux but Alpha.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
# Rights on files that each version of Landlock knows, as the number of bits: execute, write, read, make, remove, …
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP_RIGHTS = 0b11
_SCOPES = 0b11  # abstract sockets, and signals to other processes
_NO_NEW_PRIVILEGES = 38


def confine(folder: str) -> bool:
    """Give up, for good, whatever a circuit does not need; reads stay possible in `folder` alone.

    Returns:
        Whether the system keeps files from being created and read, too (Landlock).
    """
    with contextlib.suppress(ImportError):
        _limit()
    return sys.platform == "linux" and _landlock(folder)


def _limit() -> None:
    import resource

    limits = {"RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NPROC": 0, "RLIMIT_AS": MOST_MEMORY_BYTES}
    for name, most in limits.items():
        if (which := getattr(resource, name, None)) is not None:
            with contextlib.suppress(OSError, ValueError):  # a system that does not have it, or less is left already
                resource.setrlimit(which, (most, most))


def _landlock(folder: str) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or version < 1:
        return False
    rights = (1 << _FILE_RIGHTS[min(version, 5)]) - 1
    handled = struct.pack("QQQ", rights, _TCP_RIGHTS if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(size), 0)
    if rules < 0:
        return False
    place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        beneath = struct.pack("=Qi", _READ_FILE | _READ_FOLDER, place)
        if libc.syscall(_ADD_RULE, rules, _RULE_PATH_BENEATH, beneath, 0):
            return False
        return int(libc.syscall(_RESTRICT_SELF, rules, 0)) == 0
    finally:
        os.close(place)
        os.close(rules)
