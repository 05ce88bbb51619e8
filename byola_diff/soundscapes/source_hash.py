"""What a recording holds, so that items made of another version of it are made again."""

from functools import cache
from pathlib import Path

from byola_diff.audio.files import AudioFileError
from byola_diff.storage import sha256


def source_sha256(path: Path) -> str:
    """SHA-256 of a recording. A process reads it once, as long as size and time stay the same.

    Raises:
        AudioFileError: If there is no such file, or it can't be read.
    """
    try:
        about = path.stat()
        return _sha256(path, about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise AudioFileError(path, error.strerror or type(error).__name__) from error


@cache
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    del size, changed_ns  # they tell versions of a file apart
    return sha256(path)
