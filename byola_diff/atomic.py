"""A file appears under its final name whole, or not at all."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNDECODABLE = "surrogateescape"
"""How text is written: file names that are no valid UTF-8 are kept byte for byte."""

_TEMPORARY = re.compile(r"\..+\.(?P<process>\d+)\.tmp")


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Temporary name beside `path`, renamed to it when the block ends without an error.

    The content is flushed to disk before the rename, so that neither a killed process nor a power
    cut leaves half a file under the final name. After an error the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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


def writers(folder: Path) -> list[int]:
    """Other living processes that are writing a file directly in `folder`, in increasing order."""
    others = {_writer(path) for path in folder.glob(".*.tmp")} - {None, os.getpid()}
    return sorted(process for process in others if process and _lives(process))


def remove_left_over(folder: Path) -> None:
    """Remove files below `folder` that processes were writing which live no longer."""
    for path in folder.rglob(".*.tmp"):
        process = _writer(path)
        if process is not None and not _lives(process):
            path.unlink(missing_ok=True)


def _writer(temporary: Path) -> int | None:
    found = _TEMPORARY.fullmatch(temporary.name)
    return int(found["process"]) if found else None


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
