"""A file appears under its final name whole, or not at all; a folder is written by one command."""

import hashlib
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

UNDECODABLE = "surrogateescape"
"""How text is written: file names that are no valid UTF-8 are kept byte for byte."""

# Numbers of processes say nothing on another machine that shares the folder.
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_TEMPORARY = re.compile(r"\..+?(\.(?P<host>[0-9a-f]{8}))?\.(?P<process>\d+)\.tmp", re.DOTALL)
_SHOWN = 40
"""Characters of a name that its temporary name begins with: longer ones would not be allowed."""
_FOREIGN_S = 24 * 3600
"""Seconds after which a file that nobody has touched counts as left over on another machine."""
_LOCK = ".lock"


class FolderInUseError(OSError):
    """Another command writes into the folder."""


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Temporary name beside `path`, renamed to it when the block ends without an error.

    The content is flushed to disk before the rename, so that neither a killed process nor a power
    cut leaves half a file under the final name. After an error the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:_SHOWN]}.{_HOST}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8 under `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode(errors=UNDECODABLE))


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keep other commands out of `folder`, which is made, and clear what killed ones left there.

    The system releases it however this process ends. A folder that stays empty is removed again,
    if it was not there.

    Raises:
        FolderInUseError: If another command is at work there.
    """
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise FolderInUseError(
            f"another command is writing into {folder}: wait for its end, or choose another folder"
        ) from None
    try:
        remove_left_over(folder)
        yield
    finally:
        with suppress(OSError):  # not on Windows, where it is open
            (folder / _LOCK).unlink()
        lock.release()
        if not was_there:
            with suppress(OSError):  # it holds something
                folder.rmdir()


def remove_left_over(folder: Path) -> None:
    """Remove files below `folder` that processes were writing which live no longer."""
    for path in folder.rglob(".*.tmp"):
        with suppress(FileNotFoundError):
            if _is_left_over(path):
                path.unlink()


def _is_left_over(temporary: Path) -> bool:
    found = _TEMPORARY.fullmatch(temporary.name)
    if found is None:
        return False
    if found["host"] in (None, _HOST):
        return not _lives(int(found["process"]))
    return time.time() - temporary.stat().st_mtime > _FOREIGN_S


def _lives(process: int) -> bool:
    """Whether there is such a process; yes, where asking would end it (on Windows)."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    try:  # killed, but not yet collected by the process that started it
        return b") Z " not in Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return True


def _flush_folder(folder: Path) -> None:
    """Flush the rename itself, where the system lets a folder be opened (not on Windows)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
