"""Debian packages read without Debian: an `ar` archive with two tar archives in it.

Nothing is ever written by the names in it. What would unpack to absurdly more than the package is
refused: a package of sounds, which hardly compress, never does.
"""

import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60
_OPEN = {".xz": lzma.open, ".gz": gzip.open}
_DAMAGE = (lzma.LZMAError, zlib.error, gzip.BadGzipFile, EOFError)
_MOST_INFLATED = 20
_ALWAYS_ALLOWED_BYTES = 64 << 20
_TOO_MUCH = "it unpacks to far more than its own size"
_MOST_MEMBER_BYTES = 4 << 30


class DebError(ValueError):
    """A package that can't be read, and why."""


class _Bounded(io.RawIOBase):
    """So many bytes of a stream, or with a reason up to so many, for which it fails beyond them.

    All damage is a `DebError`, whoever reads.
    """

    def __init__(self, stream: io.BufferedIOBase, most_bytes: int, reason: str = "") -> None:
        self._stream, self._left, self._reason = stream, most_bytes, reason

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            content = self._stream.read(min(len(buffer), self._left + bool(self._reason)))
        except _DAMAGE as error:
            raise DebError(f"damaged: {error}") from error
        if not content and self._left and not self._reason:
            raise DebError(f"truncated: {self._left} bytes of a part are missing")
        self._left -= len(content)
        if self._left < 0:
            raise DebError(self._reason)
        buffer[: len(content)] = content
        return len(content)


def read_control(deb: Path) -> dict[str, str]:
    """Fields of the package's description, such as Package and Version.

    Raises:
        DebError: If it is no Debian package, or damaged.
    """
    for name, file in _members(deb, "control.tar"):
        if name == "control":
            lines = file.read(1 << 20).decode(errors="replace").splitlines()
            pairs = [line.partition(":") for line in lines if line[:1].strip()]
            return {key: value.strip() for key, _, value in pairs}
    raise DebError("no Debian package: it has no control file")


def package_files(deb: Path) -> Iterator[tuple[str, io.BufferedIOBase]]:
    """Path from the root and content of each regular file; the content is to be read at once.

    Raises:
        DebError: If it is no Debian package, damaged, or would unpack to far more than its size.
    """
    yield from _members(deb, "data.tar")


def _members(deb: Path, wanted: str) -> Iterator[tuple[str, io.BufferedIOBase]]:
    try:
        with _unpacked(deb, wanted) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                # What a sparse file reads as zeros is nowhere in the stream that is bounded.
                plain = member.isreg() and not member.issparse()
                content = archive.extractfile(member) if plain else None
                if isinstance(content, io.BufferedIOBase) and member.size <= _MOST_MEMBER_BYTES:
                    yield member.name.removeprefix("./"), content
    except DebError:
        raise
    except (tarfile.TarError, ValueError) as error:  # the latter of numbers in headers
        raise DebError(f"damaged: {error}") from error


@contextmanager
def _unpacked(deb: Path, wanted: str) -> Iterator[io.BufferedReader]:
    """The tar archive of this name inside the package, as a stream of bytes."""
    most_bytes = _MOST_INFLATED * deb.stat().st_size + _ALWAYS_ALLOWED_BYTES
    with deb.open("rb") as stream:
        name, n_bytes = _find(stream, wanted)
        part = io.BufferedReader(_Bounded(stream, n_bytes))
        opened = _OPEN.get(suffix := name.removeprefix(wanted))
        if suffix and opened is None:
            raise DebError(f"its {name} has a compression that is not read here: xz and gz are")
        inner = opened(part) if opened else part
        yield io.BufferedReader(_Bounded(inner, most_bytes, _TOO_MUCH))


def _find(stream: io.BufferedReader, wanted: str) -> tuple[str, int]:
    """Name and size of an entry of the `ar` archive, at whose first byte the stream then is."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise DebError("no Debian package: it does not begin as one")
    while len(header := stream.read(_HEADER_BYTES)) == _HEADER_BYTES:
        name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), header[48:58]
        if not size.strip().isdigit():
            break
        n_bytes = int(size)
        if name.startswith(wanted):
            return name, n_bytes
        stream.seek(n_bytes + n_bytes % 2, io.SEEK_CUR)
    raise DebError(f"no Debian package, or truncated: it has no {wanted}")
