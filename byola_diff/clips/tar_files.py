"""Tar files of audio, here or behind a URL: found, counted by their headers, read as streams.

Files are opened by fsspec, whose stores fail in their own ways: whatever goes wrong with a shard is
an `OSError` that names it, after some more tries.
"""

import hashlib
import os
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from byola_diff.audio.find import AUDIO_SUFFIXES
from byola_diff.optional import require

T = TypeVar("T")

_WAITS_S = (1.0, 4.0, 16.0)
"""Before a shard that could not be read is opened again; the last failure is told."""
_COUNTED_AT_ONCE = 32
_START_BYTES = 512
"""Bytes at the start of a clip that, with its header, say which it is."""
_AHEAD_BYTES = 2048
"""Read with a header, in one request: it may have two blocks before it, and a start behind."""
_END_BYTES = 1 << 20
"""Looked at behind the last file; programs that write tar files add some 10 KiB of zeros."""
_QUERY = r"\?[^\s'\">)]*"
"""What a URL in a sentence ends with that may hold a signature."""


class Shard(NamedTuple):
    """A tar file, by path or URL, and the clips in it."""

    url: str
    n_clips: int
    sha256: str
    """Hash over name, size, header and first bytes of each clip, in order."""

    @property
    def name(self) -> str:
        """Its file name; of a URL without the query, which may hold a signature."""
        return shown(self.url).rpartition("/")[2]


def shown(url: str) -> str:
    """A path as it is; of a URL what lies before its query, which may hold a signature."""
    return url.partition("?")[0] if "://" in url else url


class _BadTarError(OSError):
    """A fault of the file itself, which another try does not mend."""


_LASTING = (_BadTarError, PermissionError, ImportError, ValueError)


def find_shards(root: Path | str) -> list[Shard]:
    """The tar shards of a folder, of a path or of a URL, with braces such as `{0000..0099}`.

    Headers of all files in them are read, once in a process, to count the clips.

    Raises:
        FileNotFoundError: If there are none.
        OSError: If one can't be read, or is damaged where headers are.
    """
    if "://" not in str(root) and Path(root).is_dir():
        urls = [str(path) for path in sorted(Path(root).glob("[!.]*.tar"))]
    else:
        urls = list(require("braceexpand", "shards").braceexpand(str(root)))
    if not urls:
        raise FileNotFoundError(f"no tar files in {root}")
    with ThreadPoolExecutor(_COUNTED_AT_ONCE) as pool:
        return list(pool.map(_counted, urls))


def read_clips(shard: Shard) -> Iterator[tuple[str, bytes]]:
    """Name and content of each clip of a shard, in order.

    Raises:
        OSError: If it can't be read to its end, or has another number of clips than was counted.
    """
    n_clips = 0
    for clip in _tried_again(_stream, shard.url):
        yield clip
        n_clips += 1
    if n_clips != shard.n_clips:
        raise OSError(f"{shown(shard.url)}: {n_clips} clips, of which {shard.n_clips} were counted")


def is_clip(name: str) -> bool:
    """Whether a file of this name is audio, and neither hidden nor one of WebDataset's own."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts) or re.match(r"__[^/]*__/", name)
    return not hidden and path.suffix.lower() in AUDIO_SUFFIXES


@cache
def _counted(url: str) -> Shard:
    digest, n_clips = hashlib.sha256(), 0
    for fingerprint in _tried_again(_fingerprints, url):
        digest.update(fingerprint)
        n_clips += 1
    return Shard(url, n_clips, digest.hexdigest())


def _fingerprints(url: str) -> Iterator[bytes]:
    """Hash of what is seen of each clip without reading all of it."""
    store, path = require("fsspec", "shards").url_to_fs(url)
    # A store's own block of some MiB would be read ahead at each header: all of the corpus.
    how = {"block_size": _AHEAD_BYTES, "cache_type": "readahead"}
    last = "its start"
    with store.open(path, "rb", **how) as stream, _opened_tar(stream) as tar:
        for member in tar:
            last = member.name
            if member.isreg() and is_clip(member.name):
                stream.seek(member.offset_data)  # `extractfile` would read 8 KiB
                start = stream.read(min(_START_BYTES, member.size))
                told = f"\0{member.size}\0{member.chksum}\0".encode()
                yield hashlib.sha256(os.fsencode(member.name) + told + start).digest()
        # At a header that it can't read, `tarfile` ends as at the end.
        stream.seek(tar.offset)
        rest = stream.read(_END_BYTES)
    if len(rest) < 2 * tarfile.BLOCKSIZE or rest.strip(b"\0"):
        raise _BadTarError(f"cut off or damaged after {last}")


def _opened_tar(stream: object) -> tarfile.TarFile:
    """Read by seeking from one header to the next."""
    try:
        return tarfile.open(fileobj=stream, mode="r:")  # pyright: ignore
    except tarfile.TarError as error:
        raise _BadTarError(f"no uncompressed tar file: {error}") from error


def _stream(url: str) -> Iterator[tuple[str, bytes]]:
    read = require("webdataset", "shards").tariterators.tar_file_iterator
    with require("fsspec", "shards").open(url, "rb") as stream:
        for member in read(stream, skip_meta=None, select_files=is_clip):
            yield member["fname"], member["data"]


def _tried_again(read: Callable[[str], Iterator[T]], url: str) -> Iterator[T]:
    """What is read of a shard; after a failure it is opened anew, and read on from where it was."""
    n_read = 0
    for wait_s in (*_WAITS_S, None):
        try:
            for item in islice(read(url), n_read, None):
                n_read += 1
                yield item
            return
        except ModuleNotFoundError:  # of `require`, which says what to install
            raise
        except Exception as error:  # that of a network is mostly no `OSError`
            # Whatever a web server answers but success, fsspec tells as a missing file, without a
            # number of the system.
            missing = isinstance(error, FileNotFoundError) and error.errno is not None
            if wait_s is None or missing or isinstance(error, _LASTING):
                # Whose kind often is all that is told: such as that there is no such file.
                kind = "" if isinstance(error, _BadTarError) else f" ({type(error).__name__})"
                # Stores tell the URL once more, not always to the letter.
                reason = re.sub(_QUERY, "", str(error)) if shown(url) != url else error
                raise OSError(f"{shown(url)}: {reason}{kind}") from error
            time.sleep(wait_s)
