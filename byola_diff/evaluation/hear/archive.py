"""A HEAR task given as `.tar.gz`: unpacked once into a cache, with nothing outside its folder.

The archive comes from elsewhere, so only plain files and folders are unpacked; links, devices and
paths that lead out are refused, and so is what would fill the disk.
"""

import hashlib
import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from byola_diff.evaluation.hear.task_metadata import HearTaskError
from byola_diff.progress import progress
from byola_diff.tables.rows import located

MAX_BYTES = 200 << 30
MAX_MEMBERS = 2_000_000
"""The largest published task has fewer than half of either."""

_HASHED_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 20
_EXTENDED = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


def unpack_task(archive: Path, cache: Path) -> Path:
    """Folder of the task in an archive such as `hear-...-48000.tar.gz`, unpacked below `cache`.

    It appears there whole or not at all, and a second call finds it there.

    Raises:
        FileNotFoundError: If there is no such archive.
        HearTaskError: If it is broken, hostile or too large, or holds not exactly one task.
    """
    if not archive.is_file():
        raise FileNotFoundError(f"no such archive: {archive}")
    name = archive.name.removesuffix(".gz").removesuffix(".tar")
    unpacked = cache / f"{name}-{_fingerprint(archive)}"
    with located(f"{archive}: ", HearTaskError):
        if not unpacked.is_dir():
            temporary = cache / f".{unpacked.name}.{os.getpid()}.tmp"
            try:
                temporary.mkdir(parents=True)
                _unpack(archive, temporary)
                _task_folder(temporary)
                try:
                    temporary.rename(unpacked)
                except OSError:  # another process may have been first: its folder is as good
                    if not unpacked.is_dir():
                        raise
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        return _task_folder(unpacked)


class _BoundedHeader(tarfile.TarInfo):
    """A header of a member; extended ones (long names and the like) are read into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_BoundedHeader":
        """As of the base class; a `ValueError` if an extended header is of no sane size."""
        header = super().frombuf(buf, encoding, errors)
        if header.size > _MAX_HEADER_BYTES and header.type in _EXTENDED:
            raise ValueError(
                f"refused: an extended header of {header.size} bytes, above {_MAX_HEADER_BYTES}"
            )
        return header


def _unpack(archive: Path, folder: Path) -> None:
    seen: set[PurePosixPath] = set()
    n_bytes = 0
    try:
        size = archive.stat().st_size
        with (
            archive.open("rb") as packed,
            progress(total=size, unit="bytes", unit_scale=True, leave=False) as bar,
            tarfile.open(fileobj=packed, mode="r:gz", tarinfo=_BoundedHeader) as tar,
        ):
            for member in tar:
                n_bytes += member.size
                _check(member, seen)
                if n_bytes > MAX_BYTES:
                    raise ValueError(f"unpacks to more than {MAX_BYTES} bytes")
                if member.size > shutil.disk_usage(folder).free:
                    raise ValueError(f"the disk of {folder.parent} is too small for it")
                if len(seen) > MAX_MEMBERS:
                    raise ValueError(f"has more than {MAX_MEMBERS} members")
                tar.extract(member, folder, filter="data")
                bar.update(packed.tell() - bar.n)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ValueError(f"can't be unpacked, perhaps truncated: {error}") from error


def _check(member: tarfile.TarInfo, seen: set[PurePosixPath]) -> None:
    """Refuse what a task has no use for."""
    path = PurePosixPath(member.name)
    problem = None
    if path.is_absolute() or PureWindowsPath(member.name).anchor:
        problem = "its path is absolute"
    elif ".." in PureWindowsPath(member.name).parts:
        problem = "its path has '..'"
    elif not (member.isreg() or member.isdir()):
        problem = "it is neither a file nor a folder, but a link or device"
    elif path in seen and not member.isdir():
        problem = "it is there twice"
    if problem:
        raise ValueError(f"refused for its member {member.name!r}: {problem}")
    seen.add(path)


def _task_folder(folder: Path) -> Path:
    found = sorted(path.parent for path in folder.rglob("task_metadata.json"))
    if len(found) != 1:
        names = [str(path.relative_to(folder)) for path in found]
        raise ValueError(f"must hold one task_metadata.json, not {len(found)}: {names}")
    return found[0]


def _fingerprint(archive: Path) -> str:
    """Hash of size, start and end of the file: gzip ends in a checksum of all it holds."""
    size = archive.stat().st_size
    with archive.open("rb") as stream:
        start = stream.read(_HASHED_BYTES)
        stream.seek(max(0, size - _HASHED_BYTES))
        digest = hashlib.sha256(b"%d" % size + start + stream.read())
    return digest.hexdigest()[:12]
