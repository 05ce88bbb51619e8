"""Files of a package that hold sounds themselves: archives of games.

Zip is that of Python. The two others are read as their engines do: OpenTTD's sound set, a table of
places of RIFF files, and OpenClonk's group, a gzip with another magic and a scrambled header. A
container is untrusted: what it says of sizes is bounded by its own, and its files do not overlap.
"""

import errno
import io
import lzma
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from byola_diff.audio.find import AUDIO_SUFFIXES

Named = Iterator[tuple[str, bytes]]

_MOST_INFLATED = 50
_MOST_BYTES = 4 << 30
_GROUP_MAGIC, _GZIP_MAGIC = b"\x1e\x8c", b"\x1f\x8b"
_GROUP_TITLE, _GROUP_HEADER_BYTES, _GROUP_ENTRY_BYTES = b"RedWolf Design GrpFolder", 204, 316
_MOST_NESTED = 8
_DAMAGE = (struct.error, IndexError, zlib.error, EOFError, RuntimeError, NotImplementedError)
_DAMAGE += (zipfile.BadZipFile, lzma.LZMAError, UnicodeDecodeError)


class ContainerError(ValueError):
    """A container that is damaged, or holds far more than its size."""


def is_audio(path: str) -> bool:
    """Whether a path names a sound; G.722 has no other sign than that."""
    return PurePosixPath(path).suffix.lower() in {*AUDIO_SUFFIXES, ".g722"}


def is_container(path: str) -> bool:
    """Whether a path names a file that may hold sounds."""
    return PurePosixPath(path).suffix.lower() in _READERS


def sounds_within(path: str, file: io.BufferedIOBase) -> Named:
    """Names and contents of the sounds in a container.

    Raises:
        ContainerError: If it is damaged, or holds far more than its size.
    """
    try:
        found = _READERS[PurePosixPath(path).suffix.lower()](file)
        yield from ((name, content) for name, content in found if is_audio(name))
    except _DAMAGE as error:
        raise ContainerError(f"damaged: {error}") from error
    except OSError as error:
        # Of a place before its beginning, or (None) of bzip2; else the disk is full.
        if error.errno not in (errno.EINVAL, None):
            raise
        raise ContainerError(f"damaged: {error}") from error


def read_zip(file: io.BufferedIOBase) -> Named:
    """Sounds of a zip archive, such as id Tech's pk3, sorted by name."""
    with tempfile.TemporaryFile() as seekable:  # of a GiB and more, which memory may not have
        shutil.copyfileobj(file, seekable, 1 << 20)
        with zipfile.ZipFile(seekable) as archive:
            names = [entry for entry in archive.infolist() if is_audio(entry.filename)]
            _check_inflated(seekable.tell(), sum(entry.file_size for entry in names))
            for entry in sorted(names, key=lambda entry: entry.filename):
                yield entry.filename, archive.read(entry)


def read_cat(file: io.BufferedIOBase) -> Named:
    """RIFF files of OpenTTD's sound set, each named by its place and its description."""
    content = file.read()
    left = len(content)
    count = (struct.unpack_from("<I", content)[0] & 0x7FFF_FFFF) // 8
    for place in range(count):
        start = struct.unpack_from("<I", content, 8 * place)[0] & 0x7FFF_FFFF
        label = content[start + 1 : start + 1 + content[start]]
        begin = content.find(b"RIFF", start + 1 + len(label), start + len(label) + 17)
        if begin >= 0:
            end = begin + 8 + struct.unpack_from("<I", content, begin + 4)[0]
            text = label.rstrip(b"\0").decode("utf-8", "replace")
            left = _less(left, sound := content[begin:end])
            yield f"{place:02d} {text}.wav", sound


def read_group(file: io.BufferedIOBase) -> Named:
    """Files of an OpenClonk group and of the groups in it."""
    content = file.read()
    yield from _group(content, "", 0, _Inflater(len(content)))


def _group(content: bytes, prefix: str, nested: int, inflater: "_Inflater") -> Named:
    if content[:2] == _GROUP_MAGIC:
        content = inflater.gunzip(_GZIP_MAGIC + content[2:])
    head = bytearray(byte ^ 237 for byte in content[:_GROUP_HEADER_BYTES])
    for place in range(0, _GROUP_HEADER_BYTES - 2, 3):
        head[place], head[place + 2] = head[place + 2], head[place]
    if not head.startswith(_GROUP_TITLE) or nested > _MOST_NESTED:
        raise ContainerError("damaged: no group file")
    count = struct.unpack_from("<i", head, 36)[0]
    base, left = _GROUP_HEADER_BYTES + _GROUP_ENTRY_BYTES * count, len(content)
    for place in range(count):
        at = _GROUP_HEADER_BYTES + _GROUP_ENTRY_BYTES * place
        name = prefix + content[at : at + 260].split(b"\0")[0].decode("latin-1")
        is_group, size, _, offset = struct.unpack_from("<iiii", content, at + 264)
        left = _less(left, inside := content[base + offset : base + offset + size])
        if is_group:
            yield from _group(inside, f"{name}/", nested + 1, inflater)
        else:
            yield name, inside


def _less(left: int, content: bytes) -> int:
    """What is left of a container for its other files: none lies in two of them."""
    if len(content) > left:
        raise ContainerError("damaged: its files overlap")
    return left - len(content)


@dataclass
class _Inflater:
    """Inflates parts of a container of this size, together to a bounded number of bytes."""

    size: int
    n_bytes: int = 0

    def gunzip(self, content: bytes) -> bytes:
        left = min(_MOST_INFLATED * self.size, _MOST_BYTES) - self.n_bytes
        inflated = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(content, left + 1)
        self.n_bytes += len(inflated)
        _check_inflated(self.size, self.n_bytes)
        return inflated


def _check_inflated(size: int, n_bytes: int) -> None:
    if n_bytes > min(_MOST_INFLATED * size, _MOST_BYTES):
        raise ContainerError(f"its {size} bytes stand for {n_bytes} or more")


_READERS: dict[str, Callable[[io.BufferedIOBase], Named]] = {
    **dict.fromkeys((".zip", ".pk3"), read_zip),
    **dict.fromkeys((".ocd", ".ocf", ".ocg"), read_group),
    ".cat": read_cat,
}
