"""Files written whole, in the place of what was there: the only code of the package that writes results.

The content goes into a temporary file beside the target and to the disk, and then takes the name of the target, which
no file system does by halves (POSIX `rename`). Whatever fails before that, the old file is as it was, and the temporary
file is removed; only a process that is killed leaves it, as `.openpoint-….part`.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from openpoint.errors import OptionError

Content = bytes | Iterable[bytes]
"""The content of a file, or its parts in their order."""
_CHUNK = 1 << 20


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8; see `write_files`."""
    write_files({path: text.encode("utf-8")})


def write_bytes(path: Path, content: Content) -> None:
    """Write a file; see `write_files`."""
    write_files({path: content})


def write_files(contents: Mapping[Path, Content], gone: Iterable[Path] = ()) -> None:
    """Write files: all of them, or where one cannot be written none.

    Missing folders are made. Where the path is a symbolic link, the file that it leads to is replaced. Mode and, where
    the rights suffice, owner of a file that is replaced are kept; other hard links to it keep the old content. A file
    whose rights forbid writing is not replaced. What is no file, as a pipe or a device, is written to directly.

    Args:
        contents: by path. gone: files that are removed afterwards, where they are there.

    Raises:
        OSError: one of the files cannot be written, which the error names; nothing was changed, unless one of several
            could not be renamed.
    """
    ready: list[tuple[Path, Path]] = []
    try:
        for path, content in contents.items():
            with _naming(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                if _is_a_device(path):
                    with path.open("wb") as stream:
                        stream.writelines(_parts(content))
                else:
                    target = Path(os.path.realpath(path))
                    if target.is_symlink():  # that leads to itself
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    ready.append((target.with_name(f".openpoint-{os.urandom(8).hex()}.part"), target))
                    _fill(*ready[-1], content)
        while ready:
            with _naming(ready[0][1]):
                os.replace(*ready[0])
            _sync_folder(ready.pop(0)[1].parent)
    finally:
        for part, _ in ready:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    for path in gone:
        path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it; of a link in it the link alone.

    Raises:
        OSError: something in it cannot be removed.
    """
    shutil.rmtree(path)


@contextmanager
def refusing() -> Iterator[None]:
    """Within it an error of the disk is an `OptionError` that names the file."""
    try:
        yield
    except OSError as error:
        raise OptionError(f"{error.filename} cannot be written: {error.strerror or error}") from error


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Within it an error of the disk names this path, and not a temporary file or none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _is_a_device(path: Path) -> bool:
    """Whether a path leads to what is no file, or to an open one, as /dev/stdout does."""
    if str(path).startswith(("/dev/", "/proc/")):
        return not str(path).startswith("/dev/shm/")
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)


def _fill(part: Path, target: Path, content: Content) -> None:
    """Write the content into a new file with the rights of the target, and to the disk."""
    before = target.stat() if target.exists() else None
    if before is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with open(part, "xb") as file:
        if before is not None and os.name == "posix":
            with suppress(OSError):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
        file.writelines(_parts(content))
        file.flush()
        os.fsync(file.fileno())


def chunks(path: Path) -> Iterator[bytes]:
    """The content of a file in parts, as a `Content`."""
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            yield part


def _parts(content: Content) -> Iterable[bytes]:
    return (content,) if isinstance(content, bytes) else content


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
